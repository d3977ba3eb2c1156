//! `DELETE /v3/lists/{list_uuid}/` — deletes a list with its entries.

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

/// Deletes a list with its entries; the blocklist stays.
#[utoipa::path(delete, path = "/v3/lists/{list_uuid}/", tag = "lists",
    params(("list_uuid" = uuid::Uuid, Path, description = "The list.")),
    responses((status = 204), (status = 403, body = Detail), (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Ids(list): Ids,
) -> Result<Response, Failure> {
    if !app.service.delete_face_list(&caller.access, list.into()).await? {
        return Err(Failure::not_found());
    }
    Ok(caller.answer(StatusCode::NO_CONTENT))
}
