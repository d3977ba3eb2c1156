//! `GET /v3/session/{session_id}/decision/` — everything known about a session.

use axum::{Json, extract::State, response::Response};
use serde_json::Value;

use crate::{
    api::Detail,
    app::App,
    http::{
        caller::{Caller, ReadSessions},
        failure::Failure,
        parts::Ids,
    },
};

/// Everything known about a session: status, features, results of each check, warnings.
#[utoipa::path(get, path = "/v3/session/{session_id}/decision/", tag = "sessions",
    params(("session_id" = uuid::Uuid, Path, description = "The session.")),
    responses(
    (status = 200, body = Object, description = "The decision; each list of results is null until its check has run."),
    (status = 403, body = Detail),
    (status = 404, body = Detail),
    (status = 429, body = Detail),
))]
pub(crate) async fn handler(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Ids(session): Ids,
) -> Result<Response, Failure> {
    let decision: Value = app
        .service
        .decision(&caller.access, session.into(), &app.settings.public_url)
        .await?
        .ok_or_else(Failure::not_found)?;
    Ok(caller.answer(Json(decision)))
}
