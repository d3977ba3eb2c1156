//! `GET /v1/aml/lists/` and `GET /v1/aml/lists/{list_id}/diff` — which lists are in use, how old they are, what changed.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use serde_json::{Value, json};
use service::screening::status::Page;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        caller::{Caller, ReadSessions},
        failure::Failure,
        parts::QueryFields,
    },
};

/// The watch-lists: version in use, hash, dates, counts, versions kept, and whether a list is older than it should be.
#[utoipa::path(get, path = "/v1/aml/lists/", tag = "screening", responses(
    (status = 200, body = Object),
    (status = 403, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "The lists cannot be opened, or the queue is full."),
))]
pub(crate) async fn list(caller: Caller<ReadSessions>, State(app): State<App>) -> Result<Response, Failure> {
    let (status, in_use) = app.service.list_status().await.map_err(|error| super::lists_failure(&error))?;
    let lists: Vec<Value> = status
        .iter()
        .map(|list| {
            let version: String = list.current.sha256.chars().take(16).collect();
            let imported = i64::try_from(list.current.imported_at).unwrap_or(0);
            let imported = jiff::Timestamp::from_second(imported).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            // An import is in use when the index was built with it.
            let indexed = in_use.as_ref().is_some_and(|manifest| manifest.lists.contains(&list.current));
            json!({
                "id": list.current.list, "version": version, "sha256": list.current.sha256,
                "format": list.current.format, "published_at": list.current.published_at,
                "imported_at": imported.to_string(), "entities": list.current.entities,
                "names": list.current.names, "skipped": list.current.skipped, "age_s": list.age_s,
                "stale": list.stale, "in_use": indexed, "versions": list.versions, "refused": list.refused,
            })
        })
        .collect();
    let stale = lists.iter().any(|list| list["stale"] == true);
    let engine = in_use.map(|manifest| manifest.engine_version);
    Ok(caller.answer(Json(
        json!({ "count": lists.len(), "stale": stale, "engine_version": engine, "lists": lists }),
    )))
}

/// What changed in a list between two kept versions, by default from the one before to the one in use.
#[utoipa::path(get, path = "/v1/aml/lists/{list_id}/diff", tag = "screening",
    params(
        ("list_id" = String, Path, description = "The list, such as `ofac`."),
        ("from" = Option<String>, Query, description = "Older version: the first 16 characters of its hash."),
        ("to" = Option<String>, Query, description = "Newer version."),
        ("limit" = Option<u32>, Query, description = "1 to 10,000 changes; 1,000 without it."),
        ("offset" = Option<u32>, Query, description = "How many to pass over."),
    ),
    responses(
    (status = 200, body = Object),
    (status = 400, body = FieldErrors),
    (status = 403, body = Detail),
    (status = 404, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "The lists cannot be opened, or the queue is full."),
))]
pub(crate) async fn diff(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Path(list): Path<String>,
    query: QueryFields,
) -> Result<Response, Failure> {
    let (from, to, limit, offset) = query.read(|fields| {
        (
            fields.text("from", 64).filter(|version| !version.is_empty()),
            fields.text("to", 64).filter(|version| !version.is_empty()),
            fields.integer("limit", 1, 10_000).unwrap_or(1_000),
            fields.integer("offset", 0, 1_000_000_000).unwrap_or(0),
        )
    })?;
    let page =
        Page { offset: usize::try_from(offset).unwrap_or(0), limit: usize::try_from(limit).unwrap_or(1_000) };
    let difference =
        app.service.list_diff(list, from, to, page).await.map_err(|error| super::lists_failure(&error))?;
    Ok(caller.answer(Json(difference)))
}
