//! Reads multipart forms: files with their limits, texts as fields.
//!
//! A file is refused while it is read, before it is held whole: by its
//! extension first, then by its size. What it really is, the decoding door of
//! `imaging` finds out from its bytes.

use axum::{
    extract::{FromRequest, Multipart, Request},
    http::StatusCode,
};
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use super::{body, body::printable, failure::Failure, fields::Fields};

/// A file a form may carry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileField {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) max_megabytes: usize,
    pub(crate) extensions: &'static [&'static str],
}

/// Extensions of pictures.
pub(crate) const PICTURES: &[&str] = &["tiff", "jpg", "jpeg", "png", "webp"];
/// Extensions of pictures and PDF.
pub(crate) const PICTURES_AND_PDF: &[&str] = &["tiff", "jpg", "jpeg", "png", "webp", "pdf"];

/// Most parts a form may have.
const MAX_PARTS: usize = 64;
/// Most bytes of one text field.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// What is said of a field that stands twice.
const TWICE: &str = "This is given more than once. Send it once.";

/// A form that was read whole.
pub(crate) struct Form {
    files: Vec<(&'static str, Bytes)>,
    texts: Map<String, Value>,
    known: Vec<String>,
}

impl Form {
    /// Reads a form.
    ///
    /// # Errors
    /// The API's complaint about the first file that is missing, too large or of a wrong extension.
    pub(crate) async fn read(request: Request, files: &'static [FileField]) -> Result<Self, Failure> {
        let unsupported = || {
            Failure::detail(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Unsupported media type in request. Use multipart/form-data.",
            )
        };
        let mut parts = Multipart::from_request(request, &()).await.map_err(|_| unsupported())?;
        let mut taken: Vec<(&'static str, Bytes)> = Vec::new();
        let mut texts = Map::new();
        let mut complaints = Map::new();
        for count in 0.. {
            let part = match parts.next_field().await {
                Ok(Some(part)) => part,
                Ok(None) => break,
                Err(error) => return Err(body::body_failure(error.status())),
            };
            if count >= MAX_PARTS {
                return Err(Failure::detail(
                    StatusCode::BAD_REQUEST,
                    "too_many_parts",
                    "The form has too many parts.",
                ));
            }
            let name = part.name().unwrap_or_default().to_owned();
            if let Some(field) = files.iter().find(|field| field.name == name) {
                if let Some(complaint) = wrong_extension(field, part.file_name()) {
                    complaints.entry(field.name).or_insert_with(|| serde_json::json!([complaint]));
                    skip(part).await?;
                    continue;
                }
                match collect(part, field.max_megabytes * 1024 * 1024).await? {
                    Some(bytes) if bytes.is_empty() => {
                        complaints
                            .entry(field.name)
                            .or_insert_with(|| serde_json::json!(["The submitted file is empty."]));
                    }
                    Some(_) if taken.iter().any(|(name, _)| *name == field.name) => {
                        complaints.entry(field.name).or_insert_with(|| serde_json::json!([TWICE]));
                    }
                    Some(bytes) => taken.push((field.name, bytes)),
                    None => {
                        let text = format!("File size should not exceed {} MB", field.max_megabytes);
                        complaints.entry(field.name).or_insert_with(|| serde_json::json!([text]));
                    }
                }
            } else if let Some(bytes) = collect(part, MAX_TEXT_BYTES).await? {
                let text = Value::String(String::from_utf8_lossy(&bytes).into_owned());
                if texts.insert(name.clone(), text).is_some() {
                    complaints.entry(printable(&name)).or_insert_with(|| serde_json::json!([TWICE]));
                }
            } else {
                complaints
                    .entry(printable(&name))
                    .or_insert_with(|| serde_json::json!(["This field is too long."]));
            }
        }
        for field in files.iter().filter(|field| field.required) {
            if !taken.iter().any(|(name, _)| *name == field.name) {
                complaints.entry(field.name).or_insert_with(|| serde_json::json!(["No file was submitted."]));
            }
        }
        if complaints.is_empty() {
            let known = files.iter().map(|field| field.name.to_owned()).collect();
            Ok(Self { files: taken, texts, known })
        } else {
            Err(Failure::fields(complaints))
        }
    }

    /// A text field, which stays to be read: for what decides whether the rest is looked at.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).and_then(Value::as_str)
    }

    /// Takes the text fields out; each that `read` does not ask for is refused by name.
    ///
    /// # Errors
    /// Every complaint at once.
    pub(crate) fn read_fields<T>(&mut self, read: impl FnOnce(&mut Fields) -> T) -> Result<T, Failure> {
        Fields::read_texts(std::mem::take(&mut self.texts), Map::new(), self.known.clone(), read)
    }

    /// Takes a file out of the form.
    pub(crate) fn file(&mut self, name: &str) -> Option<Bytes> {
        let index = self.files.iter().position(|(field, _)| *field == name)?;
        Some(self.files.swap_remove(index).1)
    }
}

fn wrong_extension(field: &FileField, file_name: Option<&str>) -> Option<String> {
    // A part without a file name (some clients) or without an extension is judged by its bytes alone.
    let extension = file_name?.rsplit_once('.')?.1.to_ascii_lowercase();
    let known = field.extensions.contains(&extension.as_str()) || extension == "tif";
    (!known).then(|| {
        format!(
            "File extension “{}” is not allowed. Allowed extensions are: {}.",
            printable(&extension),
            field.extensions.join(", ")
        )
    })
}

/// The bytes of a part, or `None` when there are more than `limit`.
async fn collect(
    mut part: axum::extract::multipart::Field<'_>,
    limit: usize,
) -> Result<Option<Bytes>, Failure> {
    let mut bytes = BytesMut::new();
    let mut over = false;
    while let Some(chunk) = part.chunk().await.map_err(|error| body::body_failure(error.status()))? {
        over = over || bytes.len() + chunk.len() > limit;
        if !over {
            bytes.extend_from_slice(&chunk);
        }
    }
    Ok((!over).then(|| bytes.freeze()))
}

async fn skip(part: axum::extract::multipart::Field<'_>) -> Result<(), Failure> {
    collect(part, 0).await.map(|_| ())
}
