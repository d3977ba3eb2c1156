//! `/v3/lists/…` and `/v3/blocklist/…` — faces that must not get in, and faces known to be fine.
//!
//! The blocklist holds documents too. Other kinds are refused, because nothing would look at them.

pub(crate) mod add_picture;
pub(crate) mod add_session;
pub(crate) mod all;
pub(crate) mod block;
pub(crate) mod blocked;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod entries;
pub(crate) mod get;
pub(crate) mod remove;
pub(crate) mod unblock;

use axum::{Json, http::StatusCode, response::Response};
use serde_json::Value;
use service::face_lists::{Described, ListError, Source};

use crate::{
    app::App,
    http::{
        caller::{Caller, WriteSessions},
        failure::Failure,
        fields::Fields,
    },
};

fn failure(error: ListError) -> Failure {
    match error {
        ListError::NotFound => Failure::not_found(),
        ListError::NoSelfie => {
            Failure::field("reference_session_id", "This session has no picture of a face.")
        }
        ListError::NoDocument => {
            Failure::field("session_id", "This session read no document with issuer, type and number.")
        }
        ListError::Picture(error) => super::standalone::failure(error),
        ListError::Store(error) => error.into(),
    }
}

/// Answers 404 before the body is looked at.
async fn must_exist(app: &App, caller: &Caller<WriteSessions>, list: uuid::Uuid) -> Result<(), Failure> {
    let found = app.service.face_list(&caller.access, list.into()).await?;
    found.map(|_| ()).ok_or_else(Failure::not_found)
}

/// Adds an entry and shows it.
async fn add(
    app: &App,
    caller: &Caller<WriteSessions>,
    list: uuid::Uuid,
    source: Source,
    described: Described,
) -> Result<Response, Failure> {
    let entry =
        app.service.add_face(&caller.access, list.into(), source, described).await.map_err(failure)?;
    Ok(caller.answer((StatusCode::CREATED, Json(entry))))
}

fn described(fields: &mut Fields) -> Described {
    Described {
        display_label: fields.text("display_label", 255),
        comment: fields.text("comment", 2_000),
        metadata: fields.object("metadata").map(Value::Object),
    }
}

/// What of a session is meant.
struct Meant {
    session: uuid::Uuid,
    face: bool,
    document: bool,
}

/// The session, and what of it a body asks for under names with this prefix; refuses what cannot be listed.
fn meant(fields: &mut Fields, prefix: &str) -> Meant {
    let session = fields.required_uuid("session_id").unwrap_or_default();
    for other in ["phone", "email"] {
        fields.unsupported(&format!("{prefix}_{other}"), "only faces and documents can be listed so far.");
    }
    let mut asks = |what: &str| fields.boolean(&format!("{prefix}_{what}")) == Some(true);
    let (face, document) = (asks("face"), asks("document"));
    if !face && !document {
        fields.complain(&format!("{prefix}_face"), "Set this or the document's field to true.");
    }
    Meant { session, face, document }
}
