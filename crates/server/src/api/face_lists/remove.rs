//! `DELETE /v3/lists/{list_uuid}/entries/{entry_uuid}/` — removes an entry.

use axum::{extract::State, http::StatusCode, response::Response};

use crate::{
    api::Detail,
    app::App,
    http::{
        caller::{Caller, WriteSessions},
        failure::Failure,
        parts::Ids,
    },
};

/// Removes an entry; the next search does not find it.
#[utoipa::path(delete, path = "/v3/lists/{list_uuid}/entries/{entry_uuid}/", tag = "lists",
    params(("list_uuid" = uuid::Uuid, Path, description = "The list."), ("entry_uuid" = uuid::Uuid, Path, description = "The entry.")),
    responses((status = 204), (status = 403, body = Detail), (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Ids((list, entry)): Ids<(uuid::Uuid, uuid::Uuid)>,
) -> Result<Response, Failure> {
    if !app.service.remove_face(&caller.access, list.into(), entry.into()).await? {
        return Err(Failure::not_found());
    }
    Ok(caller.answer(StatusCode::NO_CONTENT))
}
