//! `POST /v3/id-verification/` — reads and judges a document without a session.

use axum::{
    Json,
    extract::{Request, State},
    response::Response,
};
use serde::Deserialize;
use service::standalone::IdVerification;
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        caller::{Caller, WriteSessions},
        failure::Failure,
        form::{FileField, Form, PICTURES_AND_PDF},
    },
};

const FILES: &[FileField] = &[
    FileField { name: "front_image", required: true, max_megabytes: 10, extensions: PICTURES_AND_PDF },
    FileField { name: "back_image", required: false, max_megabytes: 10, extensions: PICTURES_AND_PDF },
];

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[schema(as = IdVerificationForm)]
#[expect(dead_code, reason = "documents the form")]
pub(crate) struct Body {
    /// Side with the portrait: tiff, jpg, jpeg, png, webp or pdf, at most 10 MB.
    #[schema(format = Binary, value_type = String)]
    front_image: Vec<u8>,
    /// The other side.
    #[schema(format = Binary, value_type = Option<String>)]
    back_image: Option<Vec<u8>>,
    /// Password of the front's PDF.
    front_image_password: Option<String>,
    /// Password of the back's PDF.
    back_image_password: Option<String>,
    /// Whether screens and copies are looked for.
    #[schema(default = false)]
    perform_document_liveness: Option<bool>,
    /// Declines below this age, 1 to 120.
    minimum_age: Option<i32>,
    /// `NO_ACTION` or `DECLINE`.
    #[schema(default = "NO_ACTION")]
    expiration_date_not_detected_action: Option<String>,
    /// `NO_ACTION` or `DECLINE`.
    #[schema(default = "DECLINE")]
    invalid_mrz_action: Option<String>,
    /// `NO_ACTION` or `DECLINE`.
    #[schema(default = "DECLINE")]
    inconsistent_data_action: Option<String>,
    /// `latin`. Names are read in Latin letters only, so `non_latin` is refused.
    #[schema(default = "latin")]
    preferred_characters: Option<String>,
    /// Whether the pictures and the result are kept.
    #[schema(default = true)]
    save_api_request: Option<bool>,
    /// The caller's own name for the person.
    vendor_data: Option<String>,
    /// Given back with the answer.
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Reads and judges an identity document.
#[utoipa::path(post, path = "/v3/id-verification/", tag = "checks",
    request_body(content = Body, content_type = "multipart/form-data"),
    responses(
    (status = 200, body = Object),
    (status = 400, body = FieldErrors),
    (status = 403, body = Detail),
    (status = 413, body = Detail),
    (status = 415, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "The queue is full; `Retry-After` says when to come back."),
))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Failure> {
    let mut form = Form::read(request, FILES).await?;
    let front = form.file("front_image").unwrap_or_default().to_vec();
    let back = form.file("back_image").map(|bytes| bytes.to_vec());
    let actions = &["NO_ACTION", "DECLINE"];
    let input = form.read_fields(|fields| {
        // What has no effect is refused: see `Body::preferred_characters`.
        fields.choice("preferred_characters", &["latin"]);
        let back_password = fields.text("back_image_password", 200);
        if back_password.is_some() && back.is_none() {
            fields.complain("back_image_password", "There is no back_image that it could open.");
        }
        IdVerification {
            front,
            back,
            front_password: fields.text("front_image_password", 200),
            back_password,
            document_liveness: fields.boolean("perform_document_liveness").unwrap_or(false),
            minimum_age: fields.integer("minimum_age", 1, 120).and_then(|age| u8::try_from(age).ok()),
            decline_missing_expiry: fields.choice("expiration_date_not_detected_action", actions)
                == Some("DECLINE"),
            decline_invalid_mrz: fields.choice("invalid_mrz_action", actions) != Some("NO_ACTION"),
            decline_inconsistent: fields.choice("inconsistent_data_action", actions) != Some("NO_ACTION"),
            common: super::common(fields),
        }
    })?;
    let common = input.common.clone();
    let result = app
        .service
        .id_verification(&caller.access, input, &app.settings.public_url)
        .await
        .map_err(super::failure)?;
    let body = super::envelope(result.request, "id_verification", result.block, &common, app.timestamp());
    Ok(caller.answer(Json(body)))
}
