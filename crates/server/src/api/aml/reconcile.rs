//! The reconciliation API as yente serves it, for OpenRefine and other programs that match columns of names.
//!
//! `GET /reconcile/{dataset}` is the manifest, `POST` takes a form with `queries`, and `suggest/…` completes what is
//! typed. Extending a table by data (`extend`) is not there.

use std::collections::BTreeMap;

use aml::{reconcile, yente::MAX_BATCH};
use axum::{
    Json,
    extract::{Form, Path, Query, State, rejection::FormRejection},
    http::StatusCode,
    response::Response,
};

use super::yente::{
    count_batch, knows, misread, no_dataset, no_property, options, unknown, unprocessable, whole,
};
use crate::{
    api::Detail,
    app::App,
    http::{
        body::{body_failure, printable, unparsed},
        caller::{Caller, ReadSessions, WriteSessions},
        failure::Failure,
        json,
    },
};

/// Longest text that suggestions are made for.
const PREFIX_CHARACTERS: usize = 500;

/// Says what the service is and where its suggestions are.
#[utoipa::path(get, path = "/reconcile/{dataset}", tag = "yente",
    params(("dataset" = String, Path, description = "`default` or the id of a list.")),
    responses(
    (status = 200, body = Object),
    (status = 403, body = Detail),
    (status = 404, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "No list is loaded, or the queue is full."),
))]
pub(crate) async fn manifest(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Path(dataset): Path<String>,
) -> Result<Response, Failure> {
    let asked = dataset.clone();
    let known = app.service.ask_lists(move |screener| knows(screener, &asked).then_some(())).await;
    super::found(known, || no_dataset(&dataset))?;
    let base = app.settings.public_url.trim_end_matches('/');
    Ok(caller.answer(Json(reconcile::manifest(base, &dataset))))
}

/// Matches a batch of names.
#[utoipa::path(post, path = "/reconcile/{dataset}", tag = "yente",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded",
        description = "`queries`: a JSON object of queries under keys of the caller."),
    params(
        ("dataset" = String, Path, description = "`default` or the id of a list."),
        ("threshold" = Option<f64>, Query, description = "Score from which a result is a match; 0.7 without it."),
        ("changed_since" = Option<String>, Query, description = "Only entries that are not as they were then: a date or a time."),
    ),
    responses(
    (status = 200, body = Object),
    (status = 400, body = Detail),
    (status = 403, body = Detail),
    (status = 404, body = Detail),
    (status = 415, body = Detail),
    (status = 422, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "No list is loaded, or the queue is full."),
))]
pub(crate) async fn queries(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Path(dataset): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Response, Failure> {
    let (match_options, since) = options(query)?;
    let bad = |code: &'static str, text: &str| Failure::detail(StatusCode::BAD_REQUEST, code, text);
    let Form(form) = form.map_err(|rejection| match rejection {
        FormRejection::InvalidFormContentType(_) => Failure::detail(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Unsupported media type in request. Use application/x-www-form-urlencoded.",
        ),
        other => body_failure(other.status()),
    })?;
    for (index, (name, _)) in form.iter().enumerate() {
        if !matches!(name.as_str(), "queries" | "extend") {
            let text = format!("{}: Unknown field. This operation takes: queries.", printable(name));
            return Err(unknown(&text));
        }
        if form.iter().take(index).any(|(other, _)| other == name) {
            return Err(unknown(&format!("{name}: This is given more than once. Send it once.")));
        }
    }
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if field("extend").is_some_and(|text| !text.trim().is_empty()) {
        return Err(bad("no_extension", "Extending a table by data is not offered."));
    }
    let Some(text) = field("queries") else { return Err(bad("no_queries", "No queries provided.")) };
    let parsed = json::parse(text.as_bytes()).map_err(|error| unparsed(&error))?;
    let batch: BTreeMap<String, reconcile::ReconQuery> = serde_json::from_value(parsed).map_err(|error| {
        if error.to_string().starts_with("unknown field") {
            return misread("queries", &error);
        }
        bad("parse_error", &format!("queries: JSON parse error - {error}."))
    })?;
    if let Some(name) = batch.values().find_map(reconcile::ReconQuery::unknown_property) {
        return Err(no_property(name));
    }
    if batch.len() > MAX_BATCH {
        let text = format!("Too many queries in one batch (limit: {MAX_BATCH})");
        return Err(bad("too_many_queries", &text));
    }
    let (asked, count) = (dataset.clone(), batch.len());
    let answered = app
        .service
        .ask_lists_changed(since, move |screener, changed| {
            let options = aml::yente::MatchOptions { changed, ..match_options };
            knows(screener, &asked).then(|| reconcile::answer(screener, &asked, &batch, &options))
        })
        .await;
    let mut response = caller.answer(Json(super::found(answered, || no_dataset(&dataset))?));
    count_batch(&mut response, count);
    Ok(response)
}

/// Completes what is typed: entries, types or properties.
#[utoipa::path(get, path = "/reconcile/{dataset}/suggest/{what}", tag = "yente",
    params(
        ("dataset" = String, Path, description = "`default` or the id of a list."),
        ("what" = String, Path, description = "`entity`, `type` or `property`."),
        ("prefix" = Option<String>, Query, description = "What was typed."),
        ("limit" = Option<u32>, Query, description = "Most entries, up to 100; 10 without it."),
    ),
    responses(
    (status = 200, body = Object),
    (status = 403, body = Detail),
    (status = 404, body = Detail),
    (status = 422, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "No list is loaded, or the queue is full."),
))]
pub(crate) async fn suggest(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Path((dataset, what)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let (mut prefix, mut limit) = (String::new(), 10);
    for (name, value) in query {
        match name.as_str() {
            "prefix" if value.chars().count() > PREFIX_CHARACTERS => {
                return Err(unprocessable(&format!(
                    "prefix: at most {PREFIX_CHARACTERS} characters are taken"
                )));
            }
            "prefix" => prefix = value,
            "limit" => limit = whole("limit", &value, 0, 500)?.min(aml::yente::SEARCH_RESULTS),
            name => return Err(unknown(&format!("{}: Unknown parameter. Leave it out.", printable(name)))),
        }
    }
    if !matches!(what.as_str(), "entity" | "type" | "property") {
        return Err(Failure::not_found());
    }
    let asked = dataset.clone();
    let answered = app
        .service
        .ask_lists(move |screener| {
            knows(screener, &asked).then(|| match what.as_str() {
                "entity" => reconcile::suggest_entities(screener, &asked, &prefix, limit),
                "type" => reconcile::suggest_types(&prefix),
                _ => reconcile::suggest_properties(&prefix),
            })
        })
        .await;
    Ok(caller.answer(Json(super::found(answered, || no_dataset(&dataset))?)))
}
