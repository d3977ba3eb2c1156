//! `GET /v3/lists/` — all lists of faces.

use axum::{Json, extract::State, response::Response};
use serde_json::json;

use crate::{
    api::Detail,
    app::App,
    http::{
        caller::{Caller, ReadSessions},
        failure::Failure,
    },
};

/// All lists of faces; the blocklist comes with the application.
#[utoipa::path(get, path = "/v3/lists/", tag = "lists",
    responses((status = 200, body = Object), (status = 403, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
) -> Result<Response, Failure> {
    let lists = app.service.face_lists(&caller.access).await?;
    Ok(caller.answer(Json(json!({ "count": lists.len(), "next": null, "previous": null, "results": lists }))))
}
