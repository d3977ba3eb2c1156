//! `POST /v1/aml/replay` — repeats an earlier screening on the list versions it was made with.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};
use service::screening::{Asked, NotRepeatable, replay::ReplayError};
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        body::JsonObject,
        caller::{Caller, WriteSessions},
        failure::Failure,
        fields::Fields,
    },
};

/// Which screening.
#[derive(Deserialize, ToSchema)]
#[schema(as = ScreeningReplay)]
#[expect(
    dead_code,
    reason = "documents the body; fields are read one by one so that all complaints come together"
)]
pub(crate) struct Request {
    /// A saved request or session. Or, for one that was not saved (a line of a batch), what follows.
    session_id: Option<uuid::Uuid>,
    /// The body that was sent then.
    query: Option<serde_json::Map<String, Value>>,
    /// `list_versions` of the answer.
    list_versions: Option<Vec<Value>>,
    /// `engine_version` of the answer.
    engine_version: Option<String>,
}

/// Repeats a screening: `aml` is what was answered then, byte for byte; `identical` compares it with the kept digest.
#[utoipa::path(post, path = "/v1/aml/replay", tag = "screening", request_body = Request, responses(
    (status = 200, body = Object),
    (status = 400, body = FieldErrors),
    (status = 403, body = Detail),
    (status = 404, body = Detail),
    (status = 409, body = Detail, description = "Another engine made it, or a list version is not kept."),
    (status = 415, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "The queue is full."),
))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    body: JsonObject,
) -> Result<Response, Failure> {
    let (session, query, engine, lists) = body.read(|fields| {
        let session = fields.uuid("session_id");
        let query = fields.object("query");
        let engine = fields.text("engine_version", 100);
        let lists = fields.any("list_versions");
        if session.is_none() && query.is_none() {
            fields.complain("session_id", "This field is required.");
        }
        // A saved screening knows what it was made with.
        for (name, given) in [
            ("query", query.is_some()),
            ("engine_version", engine.is_some()),
            ("list_versions", lists.is_some()),
        ] {
            if session.is_some() && given {
                fields.complain(name, "Send either session_id or this.");
            }
        }
        (session, query, engine, lists)
    })?;
    let repeated = match (session, query) {
        (Some(session), _) => app.service.replay_session(&caller.access, session.into()).await,
        (None, query) => {
            let (person, settings) = Fields::read(query.unwrap_or_default(), super::question)?;
            super::settled(&settings)?;
            let lists = serde_json::from_value(lists.unwrap_or_default()).map_err(|_| {
                Failure::field("list_versions", "Give back `list_versions` as the answer had them.")
            })?;
            let engine = engine.ok_or_else(|| Failure::field("engine_version", "This field is required."))?;
            app.service.replay_question(Asked::new(&person, settings), engine, lists).await
        }
    };
    match repeated {
        Ok(repeated) => {
            let body = json!({ "aml": repeated.block, "identical": repeated.identical });
            Ok(caller.answer(Json(body)))
        }
        Err(ReplayError::NotFound) => Err(Failure::not_found()),
        Err(ReplayError::Busy) => Err(Failure::busy(2)),
        Err(ReplayError::Store(error)) => Err(error.into()),
        Err(ReplayError::NotRepeatable(NotRepeatable::Io(error))) => Err(Failure::internal(&error)),
        Err(ReplayError::NotRepeatable(error)) => {
            Err(Failure::detail(StatusCode::CONFLICT, "not_repeatable", &error.to_string()))
        }
    }
}
