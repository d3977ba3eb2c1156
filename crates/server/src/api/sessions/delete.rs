//! `DELETE /v3/session/{session_id}/delete/` — erases a session with its pictures and keys.

use axum::{extract::State, http::StatusCode, response::Response};

use crate::{
    api::Detail,
    app::App,
    http::{
        caller::{Caller, DeleteSessions},
        failure::Failure,
        parts::Ids,
    },
};

/// Erases a session for good: rows, pictures, and the key when nothing else of the person is left.
#[utoipa::path(delete, path = "/v3/session/{session_id}/delete/", tag = "sessions",
    params(("session_id" = uuid::Uuid, Path, description = "The session.")),
    responses((status = 204), (status = 403, body = Detail), (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<DeleteSessions>,
    State(app): State<App>,
    Ids(session): Ids,
) -> Result<Response, Failure> {
    if !app.service.erase_session(&caller.access, session.into()).await? {
        return Err(Failure::not_found());
    }
    Ok(caller.answer(StatusCode::NO_CONTENT))
}
