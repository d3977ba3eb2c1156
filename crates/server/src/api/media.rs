//! `GET /media/{token}` — one picture of a session, by a link that was signed for an hour.

use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};

use crate::{api::Detail, app::App, http::failure::Failure};

/// One picture of a session, re-encoded, by a link that was signed for an hour. Every reading is audited.
#[utoipa::path(get, path = "/media/{token}", tag = "sessions", security(()),
    params(("token" = String, Path, description = "From a decision.")),
    responses((status = 200, body = Vec<u8>, content_type = "image/jpeg"), (status = 404, body = Detail)))]
pub(crate) async fn handler(State(app): State<App>, Path(token): Path<String>) -> Result<Response, Failure> {
    let picture = app.service.media(&token).await?.ok_or_else(Failure::not_found)?;
    Ok((
        [
            (header::CONTENT_TYPE, "image/jpeg"),
            (header::CACHE_CONTROL, "private, no-store"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
            (header::CONTENT_DISPOSITION, "attachment; filename=\"picture.jpg\""),
        ],
        picture,
    )
        .into_response())
}
