//! `/v3/lists/…` and `/v3/blocklist/…` — faces that must not get in, and faces known to be fine.
//!
//! Only lists of faces so far: other kinds are refused, because nothing would look at them.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use base64::Engine;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use service::face_lists::{Described, ListError, Source};
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        body::JsonObject,
        caller::{Caller, ReadSessions, WriteSessions},
        failure::Failure,
        fields::Fields,
    },
};

/// Largest picture of an entry.
const IMAGE_MAX_BYTES: usize = 3 * 1024 * 1024;

fn failure(error: ListError) -> Failure {
    match error {
        ListError::NotFound => Failure::not_found(),
        ListError::NoSelfie => {
            Failure::field("reference_session_id", "This session has no picture of a face.")
        }
        ListError::Picture(error) => super::standalone::failure(error),
        ListError::Store(error) => error.into(),
    }
}

fn id(text: &str) -> Result<uuid::Uuid, Failure> {
    uuid::Uuid::try_parse(text).map_err(|_| Failure::not_found())
}

/// All lists of faces; the blocklist comes with the application.
#[utoipa::path(get, path = "/v3/lists/", tag = "lists",
    responses((status = 200, body = Object), (status = 403, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn lists(caller: Caller<ReadSessions>, State(app): State<App>) -> Result<Response, Failure> {
    let lists = app.service.face_lists(&caller.access).await?;
    Ok(caller.answer(Json(json!({ "count": lists.len(), "next": null, "previous": null, "results": lists }))))
}

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
pub(crate) async fn create(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    JsonObject(body): JsonObject,
) -> Result<Response, Failure> {
    let mut fields = Fields::new(body);
    let name = fields.required_text("name", 100).unwrap_or_default();
    let list_type = fields.choice("list_type", &["allowlist", "custom"]);
    if fields.choice("entry_type", &["face"]).is_none() {
        fields.complain("entry_type", "This field is required; only \"face\" is supported.");
    }
    if list_type.is_none() {
        fields.complain("list_type", "This field is required.");
    }
    fields.finish()?;
    let list = app.service.create_face_list(&caller.access, &name, list_type.unwrap_or("custom")).await?;
    Ok(caller.answer((StatusCode::CREATED, Json(list))))
}

/// One list.
#[utoipa::path(get, path = "/v3/lists/{list_uuid}/", tag = "lists",
    params(("list_uuid" = uuid::Uuid, Path, description = "The list.")),
    responses((status = 200, body = Object), (status = 403, body = Detail), (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn get(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Path(list): Path<String>,
) -> Result<Response, Failure> {
    let list =
        app.service.face_list(&caller.access, id(&list)?.into()).await?.ok_or_else(Failure::not_found)?;
    Ok(caller.answer(Json(list)))
}

/// Deletes a list with its entries; the blocklist stays.
#[utoipa::path(delete, path = "/v3/lists/{list_uuid}/", tag = "lists",
    params(("list_uuid" = uuid::Uuid, Path, description = "The list.")),
    responses((status = 204), (status = 403, body = Detail), (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn delete(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Path(list): Path<String>,
) -> Result<Response, Failure> {
    if !app.service.delete_face_list(&caller.access, id(&list)?.into()).await? {
        return Err(Failure::not_found());
    }
    Ok(caller.answer(StatusCode::NO_CONTENT))
}

/// Entries of a list, newest first; templates are never shown.
#[utoipa::path(get, path = "/v3/lists/{list_uuid}/entries/", tag = "lists",
    params(("list_uuid" = uuid::Uuid, Path, description = "The list."), ("limit" = Option<u32>, Query, description = "1 to 200; 50 without it."), ("offset" = Option<u32>, Query, description = "How many to pass over.")),
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn entries(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Path(list): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Failure> {
    let list = id(&list)?;
    let mut fields = Fields::new(query.into_iter().map(|(key, value)| (key, json!(value))).collect());
    let limit = fields.integer("limit", 1, 200).unwrap_or(50);
    let offset = fields.integer("offset", 0, 1_000_000_000).unwrap_or(0);
    fields.finish()?;
    let entries = app
        .service
        .face_entries(&caller.access, list.into(), i64::from(limit), i64::from(offset))
        .await?
        .ok_or_else(Failure::not_found)?;
    Ok(caller.answer(Json(json!({ "results": entries }))))
}

fn described(fields: &mut Fields) -> Described {
    Described {
        display_label: fields.text("display_label", 255),
        comment: fields.text("comment", 2_000),
        metadata: fields.object("metadata").map(Value::Object),
    }
}

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
pub(crate) async fn add(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Path(list): Path<String>,
    JsonObject(body): JsonObject,
) -> Result<Response, Failure> {
    let list = id(&list)?;
    if app.service.face_list(&caller.access, list.into()).await?.is_none() {
        return Err(Failure::not_found());
    }
    let mut fields = Fields::new(body);
    let session = fields.uuid("reference_session_id");
    if session.is_none() {
        fields.complain("reference_session_id", "This field is required.");
    }
    let described = described(&mut fields);
    fields.finish()?;
    let source = Source::Session(session.unwrap_or_default().into());
    let entry =
        app.service.add_face(&caller.access, list.into(), source, described).await.map_err(failure)?;
    Ok(caller.answer((StatusCode::CREATED, Json(entry))))
}

/// An entry made from a picture.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct NewFace {
    /// A picture of the face, base64, at most 3 MB; only its template is kept.
    image: String,
    /// How the entry is shown.
    display_label: Option<String>,
    /// Why it is there.
    comment: Option<String>,
    /// Anything.
    metadata: Option<Map<String, Value>>,
}

/// Lists the face of a picture.
#[utoipa::path(post, path = "/v3/lists/{list_uuid}/entries/face-upload/", tag = "lists", request_body = NewFace,
    params(("list_uuid" = uuid::Uuid, Path, description = "The list.")),
    responses((status = 201, body = Object), (status = 400, body = Object), (status = 403, body = Detail), (status = 404, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail), (status = 503, body = Detail)))]
pub(crate) async fn upload(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Path(list): Path<String>,
    JsonObject(body): JsonObject,
) -> Result<Response, Failure> {
    let list = id(&list)?;
    if app.service.face_list(&caller.access, list.into()).await?.is_none() {
        return Err(Failure::not_found());
    }
    let mut fields = Fields::new(body);
    let image = fields.required_text("image", 4 * IMAGE_MAX_BYTES / 3 + 100).and_then(|text| {
        let encoded = text.rsplit_once("base64,").map_or(text.as_str(), |(_, encoded)| encoded);
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok();
        if bytes.is_none() {
            fields.complain("image", "Upload a valid image, base64 encoded.");
        }
        bytes
    });
    let described = described(&mut fields);
    fields.finish()?;
    let source = Source::Picture(image.unwrap_or_default());
    let entry =
        app.service.add_face(&caller.access, list.into(), source, described).await.map_err(failure)?;
    Ok(caller.answer((StatusCode::CREATED, Json(entry))))
}

/// Removes an entry; the next search does not find it.
#[utoipa::path(delete, path = "/v3/lists/{list_uuid}/entries/{entry_uuid}/", tag = "lists",
    params(("list_uuid" = uuid::Uuid, Path, description = "The list."), ("entry_uuid" = uuid::Uuid, Path, description = "The entry.")),
    responses((status = 204), (status = 403, body = Detail), (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn remove(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Path((list, entry)): Path<(String, String)>,
) -> Result<Response, Failure> {
    if !app.service.remove_face(&caller.access, id(&list)?.into(), id(&entry)?.into()).await? {
        return Err(Failure::not_found());
    }
    Ok(caller.answer(StatusCode::NO_CONTENT))
}

/// Faces on the blocklist.
#[utoipa::path(get, path = "/v3/blocklist/", tag = "lists",
    params(("item_type" = Option<String>, Query, description = "`face`, the only kind so far.")),
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn blocklist(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Failure> {
    let mut fields = Fields::new(query.into_iter().map(|(key, value)| (key, json!(value))).collect());
    let _ = fields.choice("item_type", &["face"]);
    fields.finish()?;
    let list = app.service.face_blocklist(&caller.access).await?;
    let entries = app.service.face_entries(&caller.access, list, 200, 0).await?.unwrap_or_default();
    Ok(caller.answer(Json(json!({ "list_id": list, "results": entries }))))
}

/// What of a session is blocked.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct Block {
    /// The session.
    session_id: uuid::Uuid,
    /// Its face.
    blocklist_face: bool,
}

/// Refuses what asks for anything but the face.
fn only_faces(fields: &mut Fields, prefix: &str) -> Option<uuid::Uuid> {
    let session = fields.uuid("session_id");
    if session.is_none() {
        fields.complain("session_id", "This field is required.");
    }
    for other in ["document", "phone", "email"] {
        if fields.boolean(&format!("{prefix}_{other}")) == Some(true) {
            fields.complain(&format!("{prefix}_{other}"), "Only faces can be listed so far.");
        }
    }
    let field = format!("{prefix}_face");
    if fields.boolean(&field) != Some(true) {
        fields.complain(&field, "This field is required and must be true.");
    }
    session
}

/// Puts the face of a session on the blocklist.
#[utoipa::path(post, path = "/v3/blocklist/add/", tag = "lists", request_body = Block,
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 404, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail), (status = 503, body = Detail)))]
pub(crate) async fn block(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    JsonObject(body): JsonObject,
) -> Result<Response, Failure> {
    let mut fields = Fields::new(body);
    let session = only_faces(&mut fields, "blocklist");
    fields.finish()?;
    let session = session.unwrap_or_default();
    let list = app.service.face_blocklist(&caller.access).await?;
    let source = Source::Session(session.into());
    let entry =
        app.service.add_face(&caller.access, list, source, Described::default()).await.map_err(failure)?;
    Ok(caller.answer(Json(json!({ "session_id": session, "entry": entry }))))
}

/// What of a session is no longer blocked.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct Unblock {
    /// The session.
    session_id: uuid::Uuid,
    /// Its face.
    unblock_face: bool,
}

/// Takes the face of a session off the blocklist.
#[utoipa::path(post, path = "/v3/blocklist/remove/", tag = "lists", request_body = Unblock,
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 404, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn unblock(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    JsonObject(body): JsonObject,
) -> Result<Response, Failure> {
    let mut fields = Fields::new(body);
    let session = only_faces(&mut fields, "unblock");
    fields.finish()?;
    let session = session.unwrap_or_default();
    if app.service.unblock_face(&caller.access, session.into()).await? == 0 {
        return Err(Failure::not_found());
    }
    Ok(caller.answer(Json(json!({ "session_id": session }))))
}
