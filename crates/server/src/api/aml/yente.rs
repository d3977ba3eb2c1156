//! yente's matching API, so that its clients work when their base address changes.
//!
//! `POST /match/{dataset}`, `GET /search/{dataset}`, `/entities/{entity_id}`, `/catalog`, `/algorithms`, `/healthz`,
//! `/readyz`. A dataset is `default` (all lists) or the id of one list. The key comes as `Authorization: ApiKey …` or
//! as everywhere.

use aml::{Screener, yente};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    api::Detail,
    app::App,
    http::{
        body::{JsonObject, printable},
        caller::{Caller, ReadSessions, WriteSessions},
        failure::Failure,
    },
};

/// Longest text that is searched for.
const SEARCH_CHARACTERS: usize = 500;
/// Longest id of an entry that is looked for.
const ID_CHARACTERS: usize = 500;
/// Most results of a search that can be paged through.
const SEARCH_RESULTS: usize = 100;

fn unprocessable(text: &str) -> Failure {
    Failure::detail(StatusCode::UNPROCESSABLE_ENTITY, "invalid", text)
}

fn knows(screener: &Screener, dataset: &str) -> bool {
    dataset == "default" || screener.manifest().lists.iter().any(|list| list.list == dataset)
}

fn no_dataset(dataset: &str) -> Failure {
    let text = format!("No such dataset: {}", printable(dataset));
    Failure::detail(StatusCode::NOT_FOUND, "no_such_dataset", &text)
}

fn whole(name: &str, text: &str, least: usize, most: usize) -> Result<usize, Failure> {
    let wrong = || unprocessable(&format!("{name}: a whole number from {least} to {most} is required"));
    text.parse().ok().filter(|value| (least..=most).contains(value)).ok_or_else(wrong)
}

fn share(name: &str, text: &str) -> Result<f32, Failure> {
    let wrong = || unprocessable(&format!("{name}: a number from 0 to 1 is required"));
    text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(wrong)
}

/// Adds, beside what yente's clients read, what the result was made with.
fn cite(answer: &mut Value, screener: &Screener) {
    answer["list_versions"] = json!(screener.manifest().lists);
    answer["engine_version"] = json!(aml::ENGINE_VERSION);
}

/// Reads the arguments of a match.
fn options(query: Vec<(String, String)>) -> Result<yente::MatchOptions, Failure> {
    let mut options = yente::MatchOptions::default();
    for (name, value) in query {
        match name.as_str() {
            "limit" => options.limit = whole("limit", &value, 0, 500)?.max(1),
            "threshold" => options.threshold = share("threshold", &value)?,
            "cutoff" => options.cutoff = share("cutoff", &value)?,
            "algorithm" if yente::ALGORITHMS.contains(&value.as_str()) => options.algorithm = value,
            "algorithm" => {
                let text = format!("Unknown algorithm: {}", printable(&value));
                return Err(Failure::detail(StatusCode::BAD_REQUEST, "unknown_algorithm", &text));
            }
            "topics" => options.topics.push(value),
            "include_dataset" => options.include_dataset.push(value),
            "exclude_dataset" => options.exclude_dataset.push(value),
            "exclude_entity_ids" => options.exclude_entity_ids.push(value),
            _ => {}
        }
    }
    if options.exclude_entity_ids.len() > 50 {
        return Err(unprocessable("exclude_entity_ids: at most 50 are taken"));
    }
    Ok(options)
}

/// Matches entities by example.
#[utoipa::path(post, path = "/match/{dataset}", tag = "yente", request_body = Object,
    params(
        ("dataset" = String, Path, description = "`default` or the id of a list."),
        ("limit" = Option<u32>, Query, description = "Most results of a query, up to 500; 5 without it."),
        ("threshold" = Option<f64>, Query, description = "Score from which a result is a match; 0.7 without it."),
        ("cutoff" = Option<f64>, Query, description = "Least score that is returned; 0.5 without it."),
        ("algorithm" = Option<String>, Query, description = "`best`, `default` or `bonafide`: there is one matcher."),
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
pub(crate) async fn match_entities(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Path(dataset): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    JsonObject(body): JsonObject,
) -> Result<Response, Failure> {
    let options = options(query)?;
    let request: yente::MatchRequest = serde_json::from_value(Value::Object(body))
        .map_err(|error| unprocessable(&format!("body: {error}")))?;
    if request.queries.is_empty() {
        return Err(Failure::detail(StatusCode::BAD_REQUEST, "no_queries", "No queries provided."));
    }
    if !request.weights.is_empty() || !request.config.is_empty() {
        let text = "weights and config belong to yente's algorithms; this matcher takes none.";
        return Err(Failure::detail(StatusCode::BAD_REQUEST, "no_such_setting", text));
    }
    if request.queries.len() > yente::MAX_BATCH {
        let text = format!("Too many queries in one batch (limit: {})", yente::MAX_BATCH);
        return Err(Failure::detail(StatusCode::BAD_REQUEST, "too_many_queries", &text));
    }
    let asked = dataset.clone();
    let answered = app
        .service
        .ask_lists(move |screener| {
            knows(screener, &asked).then(|| {
                let mut answer = yente::answer(screener, &asked, &request, &options);
                cite(&mut answer, screener);
                answer["config_hash"] = json!(service::screening::fingerprint(&(&asked, &options)));
                answer
            })
        })
        .await
        .map_err(|error| super::lists_failure(&error))?;
    match answered {
        None => Err(super::no_lists()),
        Some(None) => Err(no_dataset(&dataset)),
        Some(Some(answer)) => Ok(caller.answer(Json(answer))),
    }
}

/// Searches entries by name.
#[utoipa::path(get, path = "/search/{dataset}", tag = "yente",
    params(
        ("dataset" = String, Path, description = "`default` or the id of a list."),
        ("q" = Option<String>, Query, description = "The name."),
        ("schema" = Option<String>, Query, description = "Schema of FollowTheMoney; `Thing` without it."),
        ("limit" = Option<u32>, Query, description = "Most results, up to 100; 10 without it."),
        ("offset" = Option<u32>, Query, description = "How many to pass over; the first 100 can be paged through."),
    ),
    responses(
    (status = 200, body = Object),
    (status = 403, body = Detail),
    (status = 404, body = Detail),
    (status = 422, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "No list is loaded, or the queue is full."),
))]
pub(crate) async fn search(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Path(dataset): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let (mut q, mut schema, mut limit, mut offset) = (String::new(), None, 10, 0);
    for (name, value) in query {
        match name.as_str() {
            "q" if value.chars().count() > SEARCH_CHARACTERS => {
                return Err(unprocessable(&format!("q: at most {SEARCH_CHARACTERS} characters are taken")));
            }
            "q" => q = value,
            "schema" if !value.is_empty() => schema = Some(value),
            "limit" => limit = whole("limit", &value, 0, 500)?.min(SEARCH_RESULTS),
            "offset" => offset = whole("offset", &value, 0, 9_999)?,
            _ => {}
        }
    }
    let asked = dataset.clone();
    let answered = app
        .service
        .ask_lists(move |screener| {
            knows(screener, &asked).then(|| {
                let most = (offset + limit).clamp(1, SEARCH_RESULTS);
                let mut answer = yente::search(screener, &asked, &q, schema.as_deref(), most);
                let results = answer["results"].as_array().cloned().unwrap_or_default();
                answer["results"] = results.into_iter().skip(offset).take(limit).collect();
                answer["limit"] = json!(limit);
                answer["offset"] = json!(offset);
                cite(&mut answer, screener);
                answer
            })
        })
        .await
        .map_err(|error| super::lists_failure(&error))?;
    match answered {
        None => Err(super::no_lists()),
        Some(None) => Err(no_dataset(&dataset)),
        Some(Some(answer)) => Ok(caller.answer(Json(answer))),
    }
}

/// One entry by its id.
#[utoipa::path(get, path = "/entities/{entity_id}", tag = "yente",
    params(("entity_id" = String, Path, description = "The id of an entry, as results give it.")),
    responses(
    (status = 200, body = Object),
    (status = 403, body = Detail),
    (status = 404, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "No list is loaded, or the queue is full."),
))]
pub(crate) async fn find(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let no_entity = || Failure::detail(StatusCode::NOT_FOUND, "no_such_entity", "No such entity!");
    if id.chars().count() > ID_CHARACTERS {
        return Err(no_entity());
    }
    let answered = app
        .service
        .ask_lists(move |screener| {
            yente::find(screener, &id).map(|mut found| {
                cite(&mut found, screener);
                found
            })
        })
        .await
        .map_err(|error| super::lists_failure(&error))?;
    match answered {
        None => Err(super::no_lists()),
        Some(None) => Err(no_entity()),
        Some(Some(found)) => Ok(caller.answer(Json(found))),
    }
}

/// The datasets: `default` with all lists, and each list.
#[utoipa::path(get, path = "/catalog", tag = "yente", responses(
    (status = 200, body = Object),
    (status = 403, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "The lists cannot be opened, or the queue is full."),
))]
pub(crate) async fn catalog(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
) -> Result<Response, Failure> {
    let (status, in_use) = app.service.list_status().await.map_err(|error| super::lists_failure(&error))?;
    let lists = in_use.map(|manifest| manifest.lists).unwrap_or_default();
    let version = |list: &aml::lists::ListVersion| list.sha256.chars().take(16).collect::<String>();
    let names: Vec<&str> = lists.iter().map(|list| list.list.as_str()).collect();
    let mut datasets: Vec<Value> = lists
        .iter()
        .map(|list| {
            json!({
                "name": list.list, "title": list.list, "version": version(list), "load": true, "children": [],
                "entity_count": list.entities, "index_version": version(list), "index_current": true,
            })
        })
        .collect();
    let entities: u64 = lists.iter().map(|list| list.entities).sum();
    datasets.push(json!({
        "name": "default", "title": "All lists", "version": null, "load": true, "children": names,
        "entity_count": entities, "index_version": null, "index_current": true,
    }));
    let stale: Vec<&str> =
        status.iter().filter(|list| list.stale).map(|list| list.current.list.as_str()).collect();
    let current: Vec<&&str> = names.iter().filter(|name| !stale.contains(*name)).collect();
    Ok(caller.answer(Json(json!({
        "datasets": datasets, "current": current, "outdated": stale, "index_stale": !stale.is_empty(),
    }))))
}

/// The matcher: there is one; `best` and `default` mean it too.
#[utoipa::path(get, path = "/algorithms", tag = "yente", responses(
    (status = 200, body = Object),
    (status = 403, body = Detail),
    (status = 429, body = Detail),
))]
pub(crate) async fn algorithms(caller: Caller<ReadSessions>) -> Response {
    caller.answer(Json(json!({
        "algorithms": [{
            "name": "bonafide",
            "description": "Aligned name tokens weighed by their rarity, with dates, countries, gender and identifiers.",
            "features": {}, "docs": {},
        }],
        "default": "bonafide",
        "best": "bonafide",
    })))
}

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "yente", security(()), responses((status = 200, body = Object)))]
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Whether there are lists to match against.
#[utoipa::path(get, path = "/readyz", tag = "yente", security(()), responses(
    (status = 200, body = Object),
    (status = 503, body = Object, description = "No list is loaded, or the queue is full."),
))]
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    match app.service.ask_lists(|_| ()).await {
        Ok(Some(())) => Json(json!({ "status": "ok" })).into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "error" }))).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_taken_as_often_as_they_come_and_checked() {
        let given = |pairs: &[(&str, &str)]| {
            options(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        let read =
            given(&[("topics", "sanction"), ("topics", "crime"), ("limit", "7"), ("fuzzy", "x")]).unwrap();
        assert_eq!((read.topics.len(), read.limit), (2, 7));
        assert!(given(&[("limit", "501")]).is_err());
        assert!(given(&[("threshold", "NaN")]).is_err());
        assert!(given(&[("algorithm", "best")]).is_ok());
        assert!(given(&[("algorithm", "logic-v2")]).is_err());
    }
}
