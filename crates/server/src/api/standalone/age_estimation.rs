//! `POST /v3/age-estimation/` — estimates an age from a picture.

use axum::{
    Json,
    extract::{Request, State},
    response::Response,
};
use serde::Deserialize;
use service::standalone::AgeEstimation;
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
#[schema(as = AgeEstimationForm)]
#[expect(dead_code, reason = "documents the form")]
pub(crate) struct Body {
    /// Picture of the person: tiff, jpg, jpeg, png or webp, at most 5 MB.
    #[schema(format = Binary, value_type = String)]
    user_image: Vec<u8>,
    /// A liveness score at or below this declines, 0 to 100.
    #[schema(default = 30)]
    face_liveness_score_decline_threshold: Option<f64>,
    /// An estimated age below this declines, in years.
    #[schema(default = 18)]
    age_estimation_decline_threshold: Option<i32>,
    /// Years of doubt to both sides of it: within them the status is `In Review` and the outcome `uncertain`; ask for a
    /// document ("Challenge 25": threshold 18, buffer 7).
    #[schema(default = 0)]
    age_estimation_buffer: Option<i32>,
    /// Whether only the outcome is given and kept: neither picture nor age, nor a template of the face.
    #[schema(default = false)]
    outcome_only: Option<bool>,
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

/// Estimates an age from a picture, together with passive liveness.
#[utoipa::path(post, path = "/v3/age-estimation/", tag = "checks",
    request_body(content = Body, content_type = "multipart/form-data"),
    responses(
    (status = 200, body = Object, description = "The result stands under `age_estimation` and, for clients of that reading, under `liveness`."),
    (status = 400, body = FieldErrors),
    (status = 403, body = Detail, description = "No permission, or the application requires a recorded consent and there is none (`consent_required`)."),
    (status = 413, body = Detail),
    (status = 415, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "The age model is not installed (it is opt-in), or the queue is full."),
))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Failure> {
    let mut form = Form::read(request, FILES).await?;
    let user = form.file("user_image").unwrap_or_default().to_vec();
    let input = form.read_fields(|fields| AgeEstimation {
        user,
        liveness_decline_threshold: fields
            .number("face_liveness_score_decline_threshold", 0.0, 100.0)
            .unwrap_or(30.0),
        minimum_age: fields
            .integer("age_estimation_decline_threshold", 0, 100)
            .and_then(|age| u8::try_from(age).ok())
            .unwrap_or(18),
        buffer: fields
            .integer("age_estimation_buffer", 0, 30)
            .and_then(|years| u8::try_from(years).ok())
            .unwrap_or(0),
        outcome_only: fields.boolean("outcome_only").unwrap_or(false),
        rotate: fields.boolean("rotate_image").unwrap_or(false),
        common: super::common(fields),
    })?;
    let common = input.common.clone();
    let result = app.service.age_estimation(&caller.access, input).await.map_err(super::failure)?;
    let mut body =
        super::envelope(result.request, "age_estimation", result.block.clone(), &common, app.timestamp());
    body["liveness"] = result.block;
    Ok(caller.answer(Json(body)))
}
