//! `GET /v3/lists/{list_uuid}/entries/` — what a list holds.

use axum::{Json, extract::State, response::Response};
use serde_json::json;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        caller::{Caller, ReadSessions},
        failure::Failure,
        fields::Fields,
        parts::{Ids, QueryFields},
    },
};

/// Entries of a list, newest first; templates are never shown.
#[utoipa::path(get, path = "/v3/lists/{list_uuid}/entries/", tag = "lists",
    params(("list_uuid" = uuid::Uuid, Path, description = "The list."), ("limit" = Option<u32>, Query, description = "1 to 200; 50 without it."), ("offset" = Option<u32>, Query, description = "How many to pass over.")),
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Ids(list): Ids,
    query: QueryFields,
) -> Result<Response, Failure> {
    let (limit, offset) = query.read(Fields::page)?;
    let entries = app
        .service
        .face_entries(&caller.access, list.into(), i64::from(limit), i64::from(offset))
        .await?
        .ok_or_else(Failure::not_found)?;
    Ok(caller.answer(Json(json!({ "results": entries }))))
}
