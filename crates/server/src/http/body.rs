//! Reads JSON bodies with the API's own errors instead of the framework's.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{StatusCode, Uri, header},
};
use serde_json::{Map, Value};

use super::{failure::Failure, fields::Fields, json, parts::QueryFields};

/// A JSON object of at most as many bytes as the route takes.
pub(crate) struct JsonObject(Map<String, Value>);

impl JsonObject {
    /// Takes the fields out; each that `read` does not ask for is refused by name.
    ///
    /// # Errors
    /// Every complaint at once.
    pub(crate) fn read<T>(self, read: impl FnOnce(&mut Fields) -> T) -> Result<T, Failure> {
        Fields::read(self.0, read)
    }

    /// The object as it came: for comparing two requests with each other, or for a declared type that knows its own
    /// fields and refuses others.
    pub(crate) fn as_sent(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let content_type = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence != "application/json" {
            let text = format!("Unsupported media type \"{}\" in request.", printable(&essence));
            return Err(Failure::detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", &text));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| body_failure(rejection.status()))?;
        match json::parse(&bytes) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(_) => Err(Failure::detail(
                StatusCode::BAD_REQUEST,
                "invalid_body",
                "Invalid data. Expected a dictionary.",
            )),
            Err(error) => Err(unparsed(&error)),
        }
    }
}

/// Takes the fields out of a small body that is read as a text: a plain form, or JSON.
///
/// # Errors
/// Every complaint at once, also about each field that `read` does not ask for.
pub(crate) fn read_small<T>(body: &str, read: impl FnOnce(&mut Fields) -> T) -> Result<T, Failure> {
    if body.trim_start().starts_with('{') {
        return match json::parse(body.as_bytes()) {
            Ok(Value::Object(object)) => Fields::read(object, read),
            Ok(_) => Err(body_failure(StatusCode::BAD_REQUEST)),
            Err(error) => Err(unparsed(&error)),
        };
    }
    // A plain form is written as a query is.
    let uri: Uri = format!("/?{}", body.trim()).parse().map_err(|_| body_failure(StatusCode::BAD_REQUEST))?;
    QueryFields::of(&uri).map_err(|_| body_failure(StatusCode::BAD_REQUEST))?.read(read)
}

/// What is said of a text that is no JSON, or in which a key stands twice.
pub(crate) fn unparsed(error: &serde_json::Error) -> Failure {
    let (line, column) = (error.line(), error.column());
    if error.is_data() {
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or_default();
        let text = format!("JSON parse error - line {line} column {column}: {what}. Send it once.");
        return Failure::detail(StatusCode::BAD_REQUEST, "duplicate_key", &text);
    }
    let text = format!("JSON parse error - line {line} column {column}.");
    Failure::detail(StatusCode::BAD_REQUEST, "parse_error", &text)
}

/// What is said when a body could not be taken whole.
pub(crate) fn body_failure(status: StatusCode) -> Failure {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        Failure::detail(status, "body_too_large", "Request body is too large.")
    } else {
        Failure::detail(StatusCode::BAD_REQUEST, "invalid_body", "Request body could not be read.")
    }
}

/// At most 100 printable ASCII characters of what the caller sent, for error texts.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(100).collect()
}
