//! `POST /v3/lists/` — makes a list of faces.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
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

/// A list to make.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct NewList {
    /// What its owner calls it.
    name: String,
    /// `allowlist` or `custom`; the blocklist exists.
    list_type: String,
    /// `face`.
    entry_type: String,
}

/// Makes a list of faces.
#[utoipa::path(post, path = "/v3/lists/", tag = "lists", request_body = NewList,
    responses((status = 201, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    body: JsonObject,
) -> Result<Response, Failure> {
    let (name, list_type) = body.read(|fields| {
        let _ = fields.required_choice("entry_type", &["face"]);
        (
            fields.required_text("name", 100).unwrap_or_default(),
            fields.required_choice("list_type", &["allowlist", "custom"]),
        )
    })?;
    let list = app.service.create_face_list(&caller.access, &name, list_type.unwrap_or("custom")).await?;
    Ok(caller.answer((StatusCode::CREATED, Json(list))))
}
