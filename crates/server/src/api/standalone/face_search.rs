//! `POST /v3/face-search/` — searches a face among those that the application knows.

use axum::{
    Json,
    extract::{Request, State},
    response::Response,
};
use serde::Deserialize;
use service::face_search::{FaceSearch, SearchType};
use utoipa::ToSchema;

use crate::{
    api::{Detail, standalone::face_picture},
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
#[schema(as = FaceSearchForm)]
#[expect(dead_code, reason = "documents the form")]
pub(crate) struct Body {
    /// Picture of the person: tiff, jpg, jpeg, png or webp, at most 5 MB.
    #[schema(format = Binary, value_type = String)]
    user_image: Vec<u8>,
    /// `most_similar`, or `blocklisted_or_approved`: only faces on a blocklist and of approved sessions.
    #[schema(default = "most_similar")]
    search_type: Option<String>,
    /// Whether turned pictures are tried in all four directions; without it a face lying on its side is none.
    #[schema(default = false)]
    rotate_image: Option<bool>,
    /// Whether the picture and the result are kept, and the face is enrolled.
    #[schema(default = true)]
    save_api_request: Option<bool>,
    /// The caller's own name for the person.
    vendor_data: Option<String>,
    /// Given back with the answer.
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Searches a face among those that the application knows; the five most similar ones, blocklisted first.
#[utoipa::path(post, path = "/v3/face-search/", tag = "checks",
    request_body(content = Body, content_type = "multipart/form-data"),
    responses(
    (status = 200, body = Object),
    (status = 400, body = Object, description = "A field is wrong, or the picture shows no face: `{\"error\": \"No face detected in the image\"}`."),
    (status = 403, body = Detail, description = "No permission, face search is switched off for this application (`face_search_disabled`), or there is no recorded consent (`consent_required`)."),
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
    let input = form.read_fields(|fields| {
        let search_type = match fields.choice("search_type", &["most_similar", "blocklisted_or_approved"]) {
            Some("blocklisted_or_approved") => SearchType::BlocklistedOrApproved,
            _ => SearchType::MostSimilar,
        };
        FaceSearch {
            user,
            search_type,
            rotate: fields.boolean("rotate_image").unwrap_or(false),
            common: super::common(fields),
        }
    })?;
    let common = input.common.clone();
    let url = &app.settings.public_url;
    let result = app.service.face_search(&caller.access, input, url).await.map_err(super::failure)?;
    let body = super::envelope(result.request, "face_search", result.block, &common, app.timestamp());
    Ok(caller.answer(Json(body)))
}
