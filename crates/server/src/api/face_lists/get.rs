//! `GET /v3/lists/{list_uuid}/` — one list.

use axum::{Json, extract::State, response::Response};

use crate::{
    api::Detail,
    app::App,
    http::{
        caller::{Caller, ReadSessions},
        failure::Failure,
        parts::Ids,
    },
};

/// One list.
#[utoipa::path(get, path = "/v3/lists/{list_uuid}/", tag = "lists",
    params(("list_uuid" = uuid::Uuid, Path, description = "The list.")),
    responses((status = 200, body = Object), (status = 403, body = Detail), (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Ids(list): Ids,
) -> Result<Response, Failure> {
    let list = app.service.face_list(&caller.access, list.into()).await?.ok_or_else(Failure::not_found)?;
    Ok(caller.answer(Json(list)))
}
