//! `POST /v3/passive-liveness/` — judges whether a picture shows a live person.

use axum::{
    Json,
    extract::{Request, State},
    response::Response,
};
use serde::Deserialize;
use service::standalone::PassiveLiveness;
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors, standalone::face_picture},
    app::App,
    http::{
        caller::{Caller, WriteSessions},
        failure::Failure,
        form::{FileField, Form},
    },
};

const FILES: &[FileField] = &[face_picture("user_image")];

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[schema(as = PassiveLivenessForm)]
#[expect(dead_code, reason = "documents the form")]
pub(crate) struct Body {
    /// Picture of the person: tiff, jpg, jpeg, png or webp, at most 5 MB.
    #[schema(format = Binary, value_type = String)]
    user_image: Vec<u8>,
    /// A score at or below this declines, 0 to 100.
    #[schema(default = 30)]
    face_liveness_score_decline_threshold: Option<f64>,
    /// Whether turned pictures are tried in all four directions; without it a face lying on its side is none.
    #[schema(default = false)]
    rotate_image: Option<bool>,
    /// Whether the picture and the result are kept.
    #[schema(default = true)]
    save_api_request: Option<bool>,
    /// The caller's own name for the person.
    vendor_data: Option<String>,
    /// Given back with the answer.
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Judges whether a picture shows a live person; without a liveness model the result is never a pass.
#[utoipa::path(post, path = "/v3/passive-liveness/", tag = "checks",
    request_body(content = Body, content_type = "multipart/form-data"),
    responses(
    (status = 200, body = Object),
    (status = 400, body = FieldErrors),
    (status = 403, body = Detail, description = "No permission, or the application requires a recorded consent and there is none (`consent_required`)."),
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
    let user = form.file("user_image").unwrap_or_default().to_vec();
    let input = form.read_fields(|fields| PassiveLiveness {
        user,
        decline_threshold: fields.number("face_liveness_score_decline_threshold", 0.0, 100.0).unwrap_or(30.0),
        rotate: fields.boolean("rotate_image").unwrap_or(false),
        common: super::common(fields),
    })?;
    let common = input.common.clone();
    let result = app
        .service
        .passive_liveness(&caller.access, input, &app.settings.public_url)
        .await
        .map_err(super::failure)?;
    let body = super::envelope(result.request, "liveness", result.block, &common, app.timestamp());
    Ok(caller.answer(Json(body)))
}
