//! `PATCH /v3/session/{session_id}/update-status/` — records a decision taken by hand.

use axum::{Json, extract::State, response::Response};
use serde::Deserialize;
use serde_json::json;
use service::sessions::SetStatusError;
use utoipa::ToSchema;
use workflow::{NotAllowed, SessionStatus};

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

/// What is decided.
#[derive(Deserialize, ToSchema)]
#[schema(as = StatusUpdate)]
#[expect(
    dead_code,
    reason = "documents the body; fields are read one by one so that all complaints come together"
)]
pub(crate) struct Request {
    /// `Approved`, `Declined` or `Resubmitted`.
    new_status: String,
    /// Why; kept with the session.
    comment: Option<String>,
    /// Only `false`: this server sends no e-mail.
    send_email: Option<bool>,
    /// Taken beside `send_email: false` only.
    email_address: Option<String>,
    /// Taken beside `send_email: false` only.
    email_language: Option<String>,
}

/// Records a decision taken by hand.
#[utoipa::path(patch, path = "/v3/session/{session_id}/update-status/", tag = "sessions", request_body = Request,
    params(("session_id" = uuid::Uuid, Path, description = "The session.")),
    responses(
    (status = 200, body = Object),
    (status = 400, body = FieldErrors),
    (status = 403, body = Detail),
    (status = 404, body = Detail),
    (status = 415, body = Detail),
    (status = 429, body = Detail),
))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Ids(session): Ids,
    body: JsonObject,
) -> Result<Response, Failure> {
    let (status, comment) = body.read(read)?;
    let Some(status) = status else {
        return Err(Failure::field("new_status", "This field is required."));
    };
    set(&caller, &app, session, status, &comment).await
}

fn read(fields: &mut Fields) -> (Option<SessionStatus>, String) {
    let status = fields.required_text("new_status", 50).and_then(|text| {
        let status = SessionStatus::parse(&text);
        if status.is_none() {
            fields.complain(
                "new_status",
                &format!("\"{}\" is not a valid choice.", crate::http::body::printable(&text)),
            );
        }
        status
    });
    let comment = fields.text("comment", 2_000).unwrap_or_default();
    fields.unsupported("nodes_to_resubmit", "every step is asked for again; leave it out.");
    let address = fields.email("email_address");
    let language = fields.choice("email_language", super::create::LANGUAGES);
    match fields.boolean("send_email") {
        Some(true) if address.is_none() => {
            fields.complain("email_address", "Email address is required when send_email is true.");
        }
        Some(true) => fields.complain(
            "send_email",
            "This is not supported by this server: it sends no e-mail. Tell the person yourself and leave it out.",
        ),
        Some(false) => {}
        None => {
            for (name, given) in [("email_address", address.is_some()), ("email_language", language.is_some())] {
                if given {
                    fields.complain(name, "This is not supported by this server: it sends no e-mail. Leave it out.");
                }
            }
        }
    }
    (status, comment)
}

async fn set(
    caller: &Caller<WriteSessions>,
    app: &App,
    session: uuid::Uuid,
    status: SessionStatus,
    comment: &str,
) -> Result<Response, Failure> {
    match app.service.set_status(&caller.access, session.into(), status, comment).await {
        Ok(()) => Ok(caller.answer(Json(json!({ "session_id": session })))),
        Err(SetStatusError::NotFound) => Err(Failure::not_found()),
        Err(SetStatusError::NotAllowed(NotAllowed::Same)) => {
            Err(Failure::list(&NotAllowed::Same.to_string()))
        }
        Err(SetStatusError::NotAllowed(NotAllowed::NotSettable)) => {
            Err(Failure::field("new_status", &NotAllowed::NotSettable.to_string()))
        }
        Err(SetStatusError::NotAllowed(other)) => {
            Err(Failure::detail(axum::http::StatusCode::BAD_REQUEST, "wrong_status", &other.to_string()))
        }
        Err(SetStatusError::Store(error)) => Err(error.into()),
    }
}
