//! Reads JSON bodies with the API's own errors instead of the framework's.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use serde_json::{Map, Value};

use super::failure::Failure;

/// A JSON object of at most as many bytes as the route takes.
pub(crate) struct JsonObject(pub(crate) Map<String, Value>);

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
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(_) => Err(Failure::detail(
                StatusCode::BAD_REQUEST,
                "invalid_body",
                "Invalid data. Expected a dictionary.",
            )),
            Err(error) => Err(Failure::detail(
                StatusCode::BAD_REQUEST,
                "parse_error",
                &format!("JSON parse error - line {} column {}.", error.line(), error.column()),
            )),
        }
    }
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
