//! `GET /v3/sessions/` — the sessions of an application, newest first.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Query, State},
    response::Response,
};
use serde_json::{Map, Value, json};
use service::sessions::Filter;
use workflow::SessionStatus;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        caller::{Caller, ReadSessions},
        failure::Failure,
        fields::Fields,
    },
};

/// The sessions of an application, newest first.
#[utoipa::path(get, path = "/v3/sessions/", tag = "sessions",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 without it."),
        ("offset" = Option<u32>, Query, description = "How many to pass over."),
        ("status" = Option<String>, Query, description = "Only sessions with this status."),
        ("vendor_data" = Option<String>, Query, description = "Only sessions of this person."),
        ("workflow_id" = Option<uuid::Uuid>, Query, description = "Only sessions of this workflow."),
        ("date_from" = Option<String>, Query, description = "Started on or after this day (UTC), YYYY-MM-DD."),
        ("date_to" = Option<String>, Query, description = "Started on or before this day (UTC), YYYY-MM-DD."),
    ),
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Failure> {
    let values: Map<String, Value> = query.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let mut fields = Fields::new(values);
    let (limit, offset) = fields.page();
    let status = fields.text("status", 50).and_then(|text| {
        let status = SessionStatus::parse(&text);
        if status.is_none() {
            fields.complain(
                "status",
                &format!(
                    "Select a valid choice. {} is not one of the available choices.",
                    crate::http::body::printable(&text)
                ),
            );
        }
        status
    });
    let filter = Filter {
        status,
        vendor_data: fields.text("vendor_data", 1_000),
        workflow: fields.uuid("workflow_id").map(Into::into),
        from: fields.date("date_from"),
        to: fields.date("date_to"),
        limit: i64::from(limit),
        offset: i64::from(offset),
    };
    fields.finish()?;
    let (count, results) = app.service.list(&caller.access, &filter, &app.settings.public_url).await?;
    let page = |offset: i64| {
        let base = app.settings.public_url.trim_end_matches('/');
        let mut others: Vec<String> = query
            .iter()
            .filter(|(key, _)| *key != "limit" && *key != "offset")
            .map(|(key, value)| format!("&{}={}", encode(key), encode(value)))
            .collect();
        others.sort();
        format!("{base}/v3/sessions/?limit={limit}&offset={offset}{}", others.concat())
    };
    let (limit, offset) = (i64::from(limit), i64::from(offset));
    Ok(caller.answer(Json(json!({
        "count": count,
        "next": (offset + limit < count).then(|| page(offset + limit)),
        "previous": (offset > 0).then(|| page((offset - limit).max(0))),
        "results": results,
    }))))
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
