//! `POST /v3/blocklist/add/` — puts face and document of a session on the blocklist.

use axum::{Json, extract::State, response::Response};
use serde::Deserialize;
use serde_json::json;
use service::face_lists::{Described, Source};
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

/// What of a session is blocked.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct Block {
    /// The session.
    session_id: uuid::Uuid,
    /// Its face.
    blocklist_face: Option<bool>,
    /// Its document: issuer, type and number, kept as a keyed digest.
    blocklist_document: Option<bool>,
}

/// Puts the face of a session, its document, or both on the blocklist.
#[utoipa::path(post, path = "/v3/blocklist/add/", tag = "lists", request_body = Block,
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 404, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail), (status = 503, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    body: JsonObject,
) -> Result<Response, Failure> {
    let meant = body.read(|fields| super::meant(fields, "blocklist"))?;
    let session = meant.session;
    // The document first: it needs no nets, and a session without one is refused before anything is listed.
    let document = match meant.document {
        true => {
            Some(app.service.block_document(&caller.access, session.into()).await.map_err(super::failure)?)
        }
        false => None,
    };
    let face = match meant.face {
        true => {
            let list = app.service.face_blocklist(&caller.access).await?;
            let source = Source::Session(session.into());
            let added = app.service.add_face(&caller.access, list, source, Described::default()).await;
            Some(added.map_err(super::failure)?)
        }
        false => None,
    };
    Ok(caller.answer(Json(json!({ "session_id": session, "entry": face, "document_entry": document }))))
}
