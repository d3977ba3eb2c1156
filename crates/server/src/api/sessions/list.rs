//! `GET /v3/sessions/` — the sessions of an application, newest first.

use axum::{Json, extract::State, response::Response};
use serde_json::json;
use service::sessions::Filter;
use workflow::SessionStatus;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        body::printable,
        caller::{Caller, ReadSessions},
        failure::Failure,
        fields::Fields,
        parts::QueryFields,
    },
};

/// Names of single checks; of those that this server does not have, the list is empty.
const SERVICES: &[&str] = &[
    "ID_VERIFICATION",
    "FACE_MATCH",
    "AGE_ESTIMATION",
    "FACE_SEARCH",
    "NFC_VERIFICATION",
    "POA",
    "AML",
    "KYB_REGISTRY",
    "PASSIVE_LIVENESS",
    "DATABASE_VALIDATION",
    "PHONE_VERIFICATION",
    "EMAIL_VERIFICATION",
];

/// The sessions of an application, newest first.
#[utoipa::path(get, path = "/v3/sessions/", tag = "sessions",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 without it."),
        ("offset" = Option<u32>, Query, description = "How many to pass over."),
        ("status" = Option<String>, Query, description = "Only sessions with this status."),
        ("vendor_data" = Option<String>, Query, description = "Only sessions of this person."),
        ("workflow_id" = Option<uuid::Uuid>, Query, description = "Only sessions of this workflow."),
        ("session_kind" = Option<String>, Query, description = "`user` (without it), `business` or `all`."),
        ("country" = Option<String>, Query, description = "Only documents of this issuing state (ISO 3166-1 alpha-3)."),
        ("document_type" = Option<String>, Query, description = "Only documents of this type: `P`, `ID`, `DL`, `RP` …"),
        ("api_service" = Option<String>, Query, description = "Only single checks of this name: `FACE_MATCH`, `AML` …"),
        ("didit_internal_id" = Option<uuid::Uuid>, Query, description = "Only sessions of this person."),
        ("date_from" = Option<String>, Query, description = "Started on or after this day (UTC), YYYY-MM-DD."),
        ("date_to" = Option<String>, Query, description = "Started on or before this day (UTC), YYYY-MM-DD."),
    ),
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    query: QueryFields,
) -> Result<Response, Failure> {
    let sent = query.as_sent().clone();
    let filter = query.read(read)?;
    let (count, results) = app.service.list(&caller.access, &filter, &app.settings.public_url).await?;
    let page = |offset: i64| {
        let base = app.settings.public_url.trim_end_matches('/');
        let others: Vec<String> = sent
            .iter()
            .filter(|(key, _)| *key != "limit" && *key != "offset")
            .map(|(key, value)| format!("&{}={}", encode(key), encode(value.as_str().unwrap_or_default())))
            .collect();
        let limit = filter.limit;
        format!("{base}/v3/sessions/?limit={limit}&offset={offset}{}", others.concat())
    };
    let (limit, offset) = (filter.limit, filter.offset);
    Ok(caller.answer(Json(json!({
        "count": count,
        "next": (offset + limit < count).then(|| page(offset + limit)),
        "previous": (offset > 0).then(|| page((offset - limit).max(0))),
        "results": results,
    }))))
}

fn read(fields: &mut Fields) -> Filter {
    let (limit, offset) = fields.page();
    let status = fields.text("status", 50).and_then(|text| {
        let status = SessionStatus::parse(&text);
        if status.is_none() {
            let text = printable(&text);
            fields.complain(
                "status",
                &format!("Select a valid choice. {text} is not one of the available choices."),
            );
        }
        status
    });
    let kind = fields.choice("session_kind", &["user", "business", "all"]).unwrap_or("user");
    Filter {
        status,
        kind: (kind != "all").then(|| kind.to_owned()),
        vendor_data: fields.text("vendor_data", 1_000),
        workflow: fields.uuid("workflow_id").map(Into::into),
        country: fields.country("country"),
        document_type: fields.choice("document_type", &workflow::settings::DOCUMENT_TYPES).map(str::to_owned),
        service: fields.choice("api_service", SERVICES).map(str::to_owned),
        subject: fields.uuid("didit_internal_id").map(Into::into),
        from: fields.date("date_from"),
        to: fields.date("date_to"),
        limit: i64::from(limit),
        offset: i64::from(offset),
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986, 2.3).
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
