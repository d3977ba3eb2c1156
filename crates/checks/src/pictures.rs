//! Files of a submission as pictures: decoded at the one door, shown as pixels only.

use imaging::{DecodeError, Limits, Picture};

/// Why bytes are no usable picture, in words for people.
#[derive(Debug)]
pub struct Unreadable(DecodeError);

impl Unreadable {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        self.0.code()
    }

    /// What is wrong and what to do.
    pub fn message(&self) -> String {
        let mut text = self.0.to_string();
        if let Some(first) = text.get(..1) {
            text = format!("{}{}", first.to_uppercase(), text.get(1..).unwrap_or_default());
        }
        format!("{text}. Please send a JPEG, PNG, WebP or TIFF picture.")
    }

    /// Whether nothing is wrong with the bytes: no decoder was free.
    pub fn is_busy(&self) -> bool {
        self.0 == DecodeError::Unavailable
    }

    /// The cause.
    pub fn cause(&self) -> &DecodeError {
        &self.0
    }
}

/// Decodes an upload of a document, in a process of its own. PDFs give their first page.
///
/// # Errors
/// [`Unreadable`].
pub fn decode(bytes: &[u8], password: Option<&str>) -> Result<Picture, Unreadable> {
    let limits = Limits { max_rendered_pages: 1, ..Limits::default() };
    let pages = decoder::decode_pages(bytes, &limits, password).map_err(Unreadable)?;
    pages.into_iter().next().ok_or(Unreadable(DecodeError::NoPixels))
}

/// Decodes a picture of a person, in a process of its own. A PDF is refused unopened: no camera makes one.
///
/// # Errors
/// [`Unreadable`].
pub fn decode_photo(bytes: &[u8]) -> Result<Picture, Unreadable> {
    match imaging::sniff(bytes) {
        Ok(imaging::Format::Pdf) => Err(Unreadable(DecodeError::PictureExpected)),
        _ => decode(bytes, None),
    }
}

/// A picture as it is shown: pixels only, without metadata.
pub fn jpeg(picture: &Picture) -> Vec<u8> {
    imaging::encode_jpeg(&picture.pixels, 90)
}

/// Media type of an upload, by its first bytes.
pub fn content_type(bytes: &[u8]) -> &'static str {
    match imaging::sniff(bytes) {
        Ok(imaging::Format::Png) => "image/png",
        Ok(imaging::Format::Webp) => "image/webp",
        Ok(imaging::Format::Tiff) => "image/tiff",
        Ok(imaging::Format::Pdf) => "application/pdf",
        _ => "image/jpeg",
    }
}
