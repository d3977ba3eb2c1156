//! Single checks without a session: pictures in, one result out.
//!
//! The checks are those of sessions, judged under the settings of the request.

pub(crate) mod age_estimation;
pub(crate) mod aml;
pub(crate) mod face_match;
pub(crate) mod face_search;
pub(crate) mod id_verification;
pub(crate) mod nfc_verification;
pub(crate) mod passive_liveness;

use serde_json::{Value, json};
use service::standalone::{Common, StandaloneError};

use crate::http::{
    failure::Failure,
    fields::Fields,
    form::{FileField, PICTURES},
};

/// A picture of a face, as the single checks take it.
pub(crate) const fn face_picture(name: &'static str) -> FileField {
    FileField { name, required: true, max_megabytes: 5, extensions: PICTURES }
}

/// The fields that every single check has.
pub(crate) fn common(fields: &mut Fields) -> Common {
    Common {
        save: fields.boolean("save_api_request").unwrap_or(true),
        vendor_data: fields.text("vendor_data", 1_000).filter(|text| !text.is_empty()),
        metadata: fields.object("metadata").map(Value::Object),
    }
}

/// The envelope of a result.
pub(crate) fn envelope(
    request: uuid::Uuid,
    name: &str,
    block: Value,
    common: &Common,
    created_at: jiff::Timestamp,
) -> Value {
    json!({
        "request_id": request,
        name: block,
        "vendor_data": common.vendor_data,
        "metadata": common.metadata,
        "created_at": created_at.to_string(),
    })
}

/// What is answered when a single check could not give a result.
pub(crate) fn failure(error: StandaloneError) -> Failure {
    use axum::http::StatusCode;
    match error {
        StandaloneError::Picture { field, text } => Failure::field(field, &text),
        StandaloneError::Password(text) => Failure::detail(StatusCode::BAD_REQUEST, "pdf_password", &text),
        StandaloneError::NoDocument => {
            Failure::error(StatusCode::BAD_REQUEST, "COULD_NOT_RECOGNIZE_DOCUMENT")
        }
        StandaloneError::NoFace => Failure::error(StatusCode::BAD_REQUEST, "No face detected in the image"),
        StandaloneError::Disabled => Failure::detail(
            StatusCode::FORBIDDEN,
            "face_search_disabled",
            "Face search is switched off for this application. Its owner can switch it on with a stated purpose: bonafide application set --face-search PURPOSE.",
        ),
        StandaloneError::ConsentRequired => Failure::detail(
            StatusCode::FORBIDDEN,
            "consent_required",
            "This application requires a recorded consent. Record one with POST /v3/consents/ and send its vendor_data with the check.",
        ),
        StandaloneError::NotInstalled(text) => {
            Failure::detail(StatusCode::SERVICE_UNAVAILABLE, "model_not_installed", &text)
        }
        StandaloneError::Busy => Failure::busy(2),
        StandaloneError::Failed(error) => Failure::internal(&*error),
        StandaloneError::Store(error) => error.into(),
    }
}
