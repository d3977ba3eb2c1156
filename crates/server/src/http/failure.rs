//! The error shapes of the API families, in one type.
//!
//! `/v3` speaks the shapes its clients know: `{"detail": …}`, `{"error": …}`,
//! `{"field": ["…"]}`. Where the shape is an object of fixed keys, a stable
//! `code` stands beside the text. Causes of our own faults are logged once,
//! here, and the caller gets only a request id.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

/// An answer that is not a success.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    body: Value,
    retry_after_s: Option<u64>,
}

impl Failure {
    /// `{"detail": text, "code": code}`.
    pub(crate) fn detail(status: StatusCode, code: &str, text: &str) -> Self {
        Self { status, body: json!({ "detail": text, "code": code }), retry_after_s: None }
    }

    /// `{"error": text}`; the text of this shape is itself the stable code or sentence.
    pub(crate) fn error(status: StatusCode, text: &str) -> Self {
        Self { status, body: json!({ "error": text }), retry_after_s: None }
    }

    /// `{"field": ["text"]}`.
    pub(crate) fn field(field: &str, text: &str) -> Self {
        Self::fields(Map::from_iter([(field.to_owned(), json!([text]))]))
    }

    /// `{"field": "text"}`: some operations have the bare text here.
    pub(crate) fn bare_field(field: &str, text: &str) -> Self {
        Self::fields(Map::from_iter([(field.to_owned(), json!(text))]))
    }

    /// Several fields at once.
    pub(crate) fn fields(fields: Map<String, Value>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, body: Value::Object(fields), retry_after_s: None }
    }

    /// `["text"]`.
    pub(crate) fn list(text: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, body: json!([text]), retry_after_s: None }
    }

    /// No key, a wrong key, or a key without the scope: one answer for all, as clients know it.
    pub(crate) fn forbidden() -> Self {
        Self::detail(
            StatusCode::FORBIDDEN,
            "permission_denied",
            "You do not have permission to perform this action.",
        )
    }

    /// Unknown, or another tenant's: the two cannot be told apart.
    pub(crate) fn not_found() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "not_found", "Not found.")
    }

    /// Too many requests.
    pub(crate) fn throttled(text: &str, retry_after_s: u64) -> Self {
        let mut failure = Self::detail(StatusCode::TOO_MANY_REQUESTS, "rate_limited", text);
        failure.retry_after_s = Some(retry_after_s);
        failure
    }

    /// The queue is full or a dependency is away for a moment.
    pub(crate) fn busy(retry_after_s: u64) -> Self {
        let mut failure = Self::detail(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "The service is busy. Please try again in a moment.",
        );
        failure.retry_after_s = Some(retry_after_s);
        failure
    }

    /// The body of the request came too slowly, or stopped coming.
    pub(crate) fn too_slow() -> Self {
        Self::detail(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "The request body did not arrive in time. Please try again.",
        )
    }

    /// The body alone, for an answer in which it stands beside others.
    pub(crate) fn into_body(self) -> Value {
        self.body
    }

    /// Our fault: logged with its whole chain, answered with a request id only.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let request_id = uuid::Uuid::new_v4();
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            chain = format!("{chain}: {cause}");
            source = cause.source();
        }
        tracing::error!(request.id = %request_id, error = %chain, "request failed");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            body: json!({ "detail": "Internal error.", "code": "internal", "request_id": request_id }),
            retry_after_s: None,
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        if error.is_transient() {
            tracing::warn!(error = %error, "store is not available");
            Self::busy(2)
        } else {
            Self::internal(&error)
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
