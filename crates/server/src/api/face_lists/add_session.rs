//! `POST /v3/lists/{list_uuid}/entries/` — lists the face of a session.

use axum::{extract::State, response::Response};
use serde::Deserialize;
use serde_json::{Map, Value};
use service::face_lists::Source;
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        body::JsonObject,
        caller::{Caller, WriteSessions},
        failure::Failure,
        fields::Fields,
        parts::Ids,
    },
};

/// An entry made from a session.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct NewEntry {
    /// The session whose selfie is listed.
    reference_session_id: uuid::Uuid,
    /// How the entry is shown.
    display_label: Option<String>,
    /// Why it is there.
    comment: Option<String>,
    /// Anything.
    metadata: Option<Map<String, Value>>,
}

/// Lists the face of a session.
#[utoipa::path(post, path = "/v3/lists/{list_uuid}/entries/", tag = "lists", request_body = NewEntry,
    params(("list_uuid" = uuid::Uuid, Path, description = "The list.")),
    responses((status = 201, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 404, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail), (status = 503, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Ids(list): Ids,
    body: JsonObject,
) -> Result<Response, Failure> {
    super::must_exist(&app, &caller, list).await?;
    let read = |fields: &mut Fields| (fields.required_uuid("reference_session_id"), super::described(fields));
    let (session, described) = body.read(read)?;
    let source = Source::Session(session.unwrap_or_default().into());
    super::add(&app, &caller, list, source, described).await
}
