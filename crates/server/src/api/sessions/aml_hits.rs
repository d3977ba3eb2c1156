//! `PATCH /v3/session/{session_id}/update-aml-hit-status/` and `…/bulk-update-aml-hit-status/` — verdicts about hits.
//!
//! One file for both: the second is the first, many times in one transaction.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};
use service::screening::review::{HitUpdate, REVIEW_STATUSES, ReviewError};
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        body::{JsonObject, printable},
        caller::{Caller, WriteSessions},
        failure::Failure,
        fields::Fields,
        parts::{Ids, QueryFields},
    },
};

/// Most verdicts of one request.
const MAX_UPDATES: usize = 500;

/// A verdict.
#[derive(Deserialize, ToSchema)]
#[schema(as = HitStatusUpdate)]
#[expect(
    dead_code,
    reason = "documents the body; fields are read one by one so that all complaints come together"
)]
pub(crate) struct Request {
    /// `id` of the hit in the screening.
    hit_id: String,
    /// `Unreviewed`, `Confirmed Match`, `False Positive` or `Inconclusive`.
    review_status: String,
    /// The screening, where a session has several.
    node_id: Option<String>,
}

/// One of many verdicts.
#[derive(Deserialize, ToSchema)]
#[schema(as = BulkHitStatus)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct Update {
    /// `id` of the hit in the screening.
    hit_id: String,
    /// `Unreviewed`, `Confirmed Match`, `False Positive` or `Inconclusive`.
    review_status: String,
}

/// Verdicts, all taken or none.
#[derive(Deserialize, ToSchema)]
#[schema(as = HitStatusUpdates)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct BulkRequest {
    /// The verdicts.
    hit_updates: Vec<Update>,
    /// The screening, where a session has several.
    node_id: Option<String>,
}

fn update(fields: &mut Fields) -> Option<HitUpdate> {
    let hit = fields.required_text("hit_id", 300);
    // The same words whether it is missing or wrong, as everywhere.
    let status = fields.required_text("review_status", 50).and_then(|text| {
        let found = REVIEW_STATUSES.iter().copied().find(|status| *status == text);
        if found.is_none() {
            fields.complain("review_status", &format!("\"{}\" is not a valid choice.", printable(&text)));
        }
        found
    });
    Some(HitUpdate { hit: hit?, status: status? })
}

/// The screening that is meant, in the body or in the query.
fn node_of(fields: &mut Fields, query: Option<String>) -> Option<String> {
    let node = fields.text("node_id", 200).filter(|node| !node.is_empty());
    if node.is_some() && query.is_some() && node != query {
        fields.complain("node_id", "Body and query name different screenings. Send one of them.");
    }
    node.or(query)
}

fn queried(fields: &mut Fields) -> Option<String> {
    fields.text("node_id", 200).filter(|node| !node.is_empty())
}

async fn record(
    caller: &Caller<WriteSessions>,
    app: &App,
    session: uuid::Uuid,
    node: Option<String>,
    updates: Vec<HitUpdate>,
    unknown: impl Fn(&[String]) -> String,
) -> Result<Value, Failure> {
    match app.service.review_hits(&caller.access, session.into(), node, updates).await {
        Ok(block) => Ok(json!({
            "session_id": session, "status": block["status"], "score": block["score"],
            "total_hits": block["total_hits"], "warnings": block["warnings"],
        })),
        Err(ReviewError::NotFound) => Err(Failure::not_found()),
        Err(ReviewError::NoScreening) => Err(Failure::detail(
            StatusCode::NOT_FOUND,
            "no_aml_check",
            "The session does not have an AML check.",
        )),
        Err(ReviewError::UnknownHits(hits)) => {
            let hits: Vec<String> = hits.iter().map(|hit| printable(hit)).collect();
            Err(Failure::detail(StatusCode::NOT_FOUND, "hit_not_found", &unknown(&hits)))
        }
        Err(ReviewError::Store(error)) => Err(error.into()),
    }
}

/// Records a verdict about a hit; score and status of the screening follow, and the verdict is remembered for the
/// person until the entry materially changes.
#[utoipa::path(patch, path = "/v3/session/{session_id}/update-aml-hit-status/", tag = "sessions", request_body = Request,
    params(
        ("session_id" = uuid::Uuid, Path, description = "The session."),
        ("node_id" = Option<String>, Query, description = "The screening, where a session has several."),
    ),
    responses(
    (status = 200, body = Object),
    (status = 400, body = FieldErrors),
    (status = 403, body = Detail),
    (status = 404, body = Detail),
    (status = 415, body = Detail),
    (status = 429, body = Detail),
))]
pub(crate) async fn one(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Ids(session): Ids,
    query: QueryFields,
    body: JsonObject,
) -> Result<Response, Failure> {
    let query = query.read(queried)?;
    let (update, node) = body.read(|fields| (update(fields), node_of(fields, query)))?;
    let updates = update.into_iter().collect();
    let unknown = |hits: &[String]| format!("Hit with ID '{}' not found in the AML check.", hits.join(", "));
    let body = record(&caller, &app, session, node, updates, unknown).await?;
    Ok(caller.answer(Json(body)))
}

/// Records verdicts about several hits, all of them or none.
#[utoipa::path(patch, path = "/v3/session/{session_id}/bulk-update-aml-hit-status/", tag = "sessions", request_body = BulkRequest,
    params(
        ("session_id" = uuid::Uuid, Path, description = "The session."),
        ("node_id" = Option<String>, Query, description = "The screening, where a session has several."),
    ),
    responses(
    (status = 200, body = Object),
    (status = 400, body = FieldErrors),
    (status = 403, body = Detail),
    (status = 404, body = Detail),
    (status = 415, body = Detail),
    (status = 429, body = Detail),
))]
pub(crate) async fn bulk(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Ids(session): Ids,
    query: QueryFields,
    body: JsonObject,
) -> Result<Response, Failure> {
    let query = query.read(queried)?;
    let (updates, node) = body.read(|fields| (updates(fields), node_of(fields, query)))?;
    let unknown = |hits: &[String]| format!("Hits not found: {}", hits.join(", "));
    let body = record(&caller, &app, session, node, updates, unknown).await?;
    Ok(caller.answer(Json(body)))
}

fn updates(fields: &mut Fields) -> Vec<HitUpdate> {
    let mut updates = Vec::new();
    match fields.any("hit_updates") {
        None => fields.complain("hit_updates", "This field is required."),
        Some(Value::Array(items)) if items.is_empty() => {
            fields.complain("hit_updates", "hit_updates cannot be empty");
        }
        Some(Value::Array(items)) if items.len() > MAX_UPDATES => fields
            .complain("hit_updates", &format!("Ensure this field has no more than {MAX_UPDATES} elements.")),
        Some(Value::Array(items)) => {
            for item in items {
                let Value::Object(item) = item else {
                    fields.complain("hit_updates", "Expected a list of dictionaries.");
                    break;
                };
                updates.extend(fields.entry("hit_updates", item, update).flatten());
            }
        }
        Some(_) => fields.complain("hit_updates", "Expected a list of items but got another type."),
    }
    updates
}
