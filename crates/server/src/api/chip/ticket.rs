//! `POST /v1/chip/relay/` — gives a person's app the ticket with which it connects its radio to the server.
//!
//! The caller is the person: the session's token stands in `Session-Token`, no key is needed or looked at.

use axum::{
    Json,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use service::chip::relay::{Opens, TicketError};
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::{App, ClientAddress},
    http::{body::JsonObject, failure::Failure, fields::Fields, limit::Budget},
};

/// What is printed on the document and opens its chip: the card access number, or the other three.
#[derive(Deserialize, ToSchema)]
#[schema(as = RelayRequest)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct Body {
    /// As in the machine readable zone, without fillers.
    #[schema(max_length = 22)]
    document_number: Option<String>,
    /// `YYYY-MM-DD`.
    date_of_birth: Option<String>,
    /// `YYYY-MM-DD`.
    expiration_date: Option<String>,
    /// Six digits on the front of identity cards; then the rest is not needed.
    card_access_number: Option<String>,
}

/// Where to connect, and what to say there.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// WebSocket address.
    url: String,
    /// The `token` of the hello; good for one chip of this session.
    ticket: String,
    /// Version of the protocol (docs/chip-relay.md).
    version: u32,
    /// Milliseconds of silence after which it is void.
    idle_ms: u64,
}

/// The session's token, from `Session-Token`.
fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers.get("session-token")?.to_str().ok().filter(|token| !token.is_empty() && token.len() <= 100)
}

fn read(fields: &mut Fields) -> Option<Opens> {
    let card = fields.text("card_access_number", 16);
    let number = fields.text("document_number", 22);
    let birth = fields.date("date_of_birth");
    let expiry = fields.date("expiration_date");
    if let Some(digits) = card {
        for (name, given) in [
            ("document_number", number.is_some()),
            ("date_of_birth", birth.is_some()),
            ("expiration_date", expiry.is_some()),
        ] {
            if given {
                fields.complain(name, "Send either the card access number or this.");
            }
        }
        if digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_digit()) {
            return Some(Opens::CardAccessNumber(digits));
        }
        fields.complain("card_access_number", "A card access number has digits only.");
        return None;
    }
    let given = number.filter(|number| {
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'<')
    });
    if given.is_none() {
        fields.complain("document_number", "Letters and digits of the machine readable zone are needed.");
    }
    for (name, value) in [("date_of_birth", birth), ("expiration_date", expiry)] {
        if value.is_none() {
            fields.complain(name, "This field is required.");
        }
    }
    Some(Opens::Zone {
        document_number: given?.trim_end_matches('<').to_owned(),
        date_of_birth: birth?,
        date_of_expiry: expiry?,
    })
}

/// Opens a conversation with the chip of a session's document.
#[utoipa::path(post, path = "/v1/chip/relay/", tag = "chip", request_body = Body, security(()),
    params(("session-token" = String, Header, description = "The token of the session.")),
    responses(
    (status = 201, body = Ticket),
    (status = 400, body = FieldErrors),
    (status = 403, body = Detail, description = "No session has this token."),
    (status = 409, body = Detail, description = "The session reads no chip now: no consent yet, handed in already, over, or without NFC."),
    (status = 415, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "Too many chips are being read; `Retry-After` says when to come back."),
))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: ClientAddress,
    request: Request,
) -> Result<Response, Failure> {
    app.addresses.count(&client.0, Budget::HostedPage, app.now_s())?;
    let token = session_token(request.headers()).ok_or_else(Failure::forbidden)?.to_owned();
    // Who has no session learns nothing about bodies, and no byte of theirs is read.
    if app.service.view(&token).await?.is_none() {
        return Err(Failure::forbidden());
    }
    let opens = JsonObject::from_request(request, &app).await?.read(read)?;
    let Some(opens) = opens else { return Err(Failure::field("document_number", "This field is required.")) };
    let ticket = app.service.chip_ticket(&token, opens).await.map_err(|error| match error {
        TicketError::NotNow => {
            Failure::detail(StatusCode::CONFLICT, "chip_not_now", "This session reads no chip now.")
        }
        TicketError::NoConsent => {
            Failure::detail(StatusCode::CONFLICT, "consent_required", "The person has not agreed yet.")
        }
        TicketError::Busy => Failure::busy(10),
        TicketError::Store(error) => error.into(),
    })?;
    let base = app.settings.public_url.trim_end_matches('/');
    let base = base.strip_prefix("http").map_or_else(|| base.to_owned(), |rest| format!("ws{rest}"));
    let ticket = Ticket {
        url: format!("{base}/v1/chip/relay/"),
        ticket: ticket.text,
        version: service::chip::relay::VERSION,
        idle_ms: ticket.idle_ms,
    };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(ticket)).into_response())
}
