//! `POST /v3/blocklist/remove/` — takes face and document of a session off the blocklist.

use axum::{Json, extract::State, response::Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        body::JsonObject,
        caller::{Caller, WriteSessions},
        failure::Failure,
    },
};

/// What of a session is no longer blocked.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct Unblock {
    /// The session.
    session_id: uuid::Uuid,
    /// Its face.
    unblock_face: Option<bool>,
    /// Its document.
    unblock_document: Option<bool>,
}

/// Takes the face of a session, its document, or both off the blocklist.
#[utoipa::path(post, path = "/v3/blocklist/remove/", tag = "lists", request_body = Unblock,
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 404, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    body: JsonObject,
) -> Result<Response, Failure> {
    let meant = body.read(|fields| super::meant(fields, "unblock"))?;
    let mut removed = 0;
    if meant.face {
        removed += app.service.unblock_face(&caller.access, meant.session.into()).await?;
    }
    if meant.document {
        removed += app.service.unblock_document(&caller.access, meant.session.into()).await?;
    }
    if removed == 0 {
        return Err(Failure::not_found());
    }
    Ok(caller.answer(Json(json!({ "session_id": meant.session }))))
}
