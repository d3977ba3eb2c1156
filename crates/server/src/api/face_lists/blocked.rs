//! `GET /v3/blocklist/` — the faces or documents on the blocklist.

use axum::{Json, extract::State, response::Response};
use serde_json::json;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        caller::{Caller, ReadSessions},
        failure::Failure,
        parts::QueryFields,
    },
};

/// Entries that are shown.
const MOST: i64 = 200;

/// Faces on the blocklist, or documents.
#[utoipa::path(get, path = "/v3/blocklist/", tag = "lists",
    params(("item_type" = Option<String>, Query, description = "`face` (without it) or `document`.")),
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    query: QueryFields,
) -> Result<Response, Failure> {
    let documents =
        query.read(|fields| fields.choice("item_type", &["face", "document"]) == Some("document"))?;
    let (list, entries) = if documents {
        app.service.blocked_documents(&caller.access, MOST).await?
    } else {
        let list = app.service.face_blocklist(&caller.access).await?;
        (list, app.service.face_entries(&caller.access, list, MOST, 0).await?.unwrap_or_default())
    };
    Ok(caller.answer(Json(json!({ "list_id": list, "results": entries }))))
}
