//! yente's matching API, so that its clients work when their base address changes.
//!
//! `POST /match/{dataset}`, `GET /search/{dataset}`, `/entities/{entity_id}`, `/catalog`, `/algorithms`, `/healthz`,
//! `/readyz`; [`super::reconcile`] has what OpenRefine asks. A dataset is `default` (all lists) or the id of one list. The key comes as `Authorization: ApiKey …` or
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
        parts::QueryFields,
    },
};

/// Longest text that is searched for.
const SEARCH_CHARACTERS: usize = 500;
/// Longest id of an entry that is looked for.
const ID_CHARACTERS: usize = 500;
/// Most values of an argument that may come several times.
const MOST_VALUES: usize = 50;

pub(super) fn unprocessable(text: &str) -> Failure {
    Failure::detail(StatusCode::UNPROCESSABLE_ENTITY, "invalid", text)
}

pub(super) fn knows(screener: &Screener, dataset: &str) -> bool {
    dataset == "default" || screener.manifest().lists.iter().any(|list| list.list == dataset)
}

pub(super) fn no_dataset(dataset: &str) -> Failure {
    let text = format!("No such dataset: {}", printable(dataset));
    Failure::detail(StatusCode::NOT_FOUND, "no_such_dataset", &text)
}

pub(super) fn whole(name: &str, text: &str, least: usize, most: usize) -> Result<usize, Failure> {
    let wrong = || unprocessable(&format!("{name}: a whole number from {least} to {most} is required"));
    text.parse().ok().filter(|value| (least..=most).contains(value)).ok_or_else(wrong)
}

fn share(name: &str, text: &str) -> Result<f32, Failure> {
    let wrong = || unprocessable(&format!("{name}: a number from 0 to 1 is required"));
    text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(wrong)
}

/// The time that an argument names, in seconds since 1970: a date, or a date with a time, in UTC where it says nothing
/// else.
pub(super) fn moment(name: &str, text: &str) -> Result<u64, Failure> {
    let wrong =
        || unprocessable(&format!("{name}: a date is required, as 2026-01-31 or 2026-01-31T12:00:00Z"));
    let utc =
        |time: jiff::civil::DateTime| time.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp());
    let timestamp = text
        .parse::<jiff::Timestamp>()
        .or_else(|_| text.parse::<jiff::civil::DateTime>().and_then(utc))
        .or_else(|_| text.parse::<jiff::civil::Date>().and_then(|date| utc(date.at(0, 0, 0, 0))));
    Ok(u64::try_from(timestamp.map_err(|_| wrong())?.as_second()).unwrap_or(0))
}

/// How many queries a batch had, where yente's clients look for it.
pub(super) fn count_batch(response: &mut Response, queries: usize) {
    response.headers_mut().insert("x-batch-size", queries.into());
}

/// Adds, beside what yente's clients read, what the result was made with.
fn cite(answer: &mut Value, screener: &Screener) {
    answer["list_versions"] = json!(screener.manifest().lists);
    answer["engine_version"] = json!(aml::ENGINE_VERSION);
}

/// Takes one more value of an argument that may come several times.
fn take(name: &str, values: &mut Vec<String>, value: String) -> Result<(), Failure> {
    if values.len() >= MOST_VALUES {
        return Err(unprocessable(&format!("{name}: at most {MOST_VALUES} are taken")));
    }
    values.push(value);
    Ok(())
}

/// What is said of an argument or a field that the operation does not have.
pub(super) fn unknown(text: &str) -> Failure {
    Failure::detail(StatusCode::BAD_REQUEST, "unknown_field", text)
}

/// What is said of a body that is not as it is declared.
pub(super) fn misread(place: &str, error: &serde_json::Error) -> Failure {
    let text = format!("{place}: {error}");
    if error.to_string().starts_with("unknown field") { unknown(&text) } else { unprocessable(&text) }
}

/// What is said of a property that no entity has.
pub(super) fn no_property(name: &str) -> Failure {
    let hint = workflow::nearest(name, yente::PROPERTIES.iter().copied());
    let hint = hint.map_or_else(|| "Leave it out.".to_owned(), |near| format!("Did you mean '{near}'?"));
    unknown(&format!("properties.{}: Unknown property. {hint}", printable(name)))
}

/// Reads an argument that says which entries may match.
fn filter(options: &mut yente::MatchOptions, name: &str, value: &str) -> Result<(), Failure> {
    let value = || value.to_owned();
    match name {
        "topics" => take(name, &mut options.topics, value())?,
        "include_dataset" | "datasets" => take(name, &mut options.include_dataset, value())?,
        "exclude_dataset" => take(name, &mut options.exclude_dataset, value())?,
        "exclude_schema" => take(name, &mut options.exclude_schema, value())?,
        "exclude_entity_ids" => take(name, &mut options.exclude_entity_ids, value())?,
        "changed_since" => options.changed_since = Some(value()).filter(|text| !text.is_empty()),
        _ => return Err(unknown(&format!("{}: Unknown parameter. Leave it out.", printable(name)))),
    }
    Ok(())
}

/// Reads the arguments of a match, and since when entries have to have changed.
pub(super) fn options(query: Vec<(String, String)>) -> Result<(yente::MatchOptions, Option<u64>), Failure> {
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
            // In yente it widens the first search, at a price in time; here the first search is always wide.
            "fuzzy" if matches!(value.to_ascii_lowercase().as_str(), "true" | "false" | "1" | "0") => {}
            "fuzzy" => return Err(unprocessable("fuzzy: true or false is required")),
            name => filter(&mut options, name, &value)?,
        }
    }
    let since = options.changed_since.as_deref().map(|text| moment("changed_since", text)).transpose()?;
    Ok((options, since))
}

/// Matches entities by example.
#[utoipa::path(post, path = "/match/{dataset}", tag = "yente", request_body = Object,
    params(
        ("dataset" = String, Path, description = "`default` or the id of a list."),
        ("limit" = Option<u32>, Query, description = "Most results of a query, up to 500; 5 without it."),
        ("threshold" = Option<f64>, Query, description = "Score from which a result is a match; 0.7 without it."),
        ("cutoff" = Option<f64>, Query, description = "Least score that is returned; 0.5 without it."),
        ("algorithm" = Option<String>, Query, description = "`best`, `default` or `bonafide`: there is one matcher."),
        ("fuzzy" = Option<bool>, Query, description = "The first search is always wide, which is what `true` asks for; `false` only saves time elsewhere."),
        ("topics" = Option<String>, Query, description = "Only entries with this topic; may come several times."),
        ("include_dataset" = Option<String>, Query, description = "Only this list; may come several times."),
        ("datasets" = Option<String>, Query, description = "The same as `include_dataset`."),
        ("exclude_dataset" = Option<String>, Query, description = "Not this list; may come several times."),
        ("exclude_schema" = Option<String>, Query, description = "Not this schema; may come several times."),
        ("exclude_entity_ids" = Option<String>, Query, description = "Not this entry; may come several times, up to 50."),
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
pub(crate) async fn match_entities(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Path(dataset): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    body: JsonObject,
) -> Result<Response, Failure> {
    let (options, since) = options(query)?;
    let request: yente::MatchRequest = serde_json::from_value(Value::Object(body.as_sent().clone()))
        .map_err(|error| misread("body", &error))?;
    let properties = request.queries.values().flat_map(|example| example.properties.keys());
    if let Some(name) = properties.into_iter().find(|name| !yente::is_property(name)) {
        return Err(no_property(name));
    }
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
    let (asked, queries) = (dataset.clone(), request.queries.len());
    let answered = app
        .service
        .ask_lists_changed(since, move |screener, changed| {
            let options = yente::MatchOptions { changed, ..options };
            knows(screener, &asked).then(|| {
                let mut answer = yente::answer(screener, &asked, &request, &options);
                cite(&mut answer, screener);
                answer["config_hash"] = json!(service::screening::fingerprint(&(&asked, &options)));
                answer
            })
        })
        .await;
    let mut response = caller.answer(Json(super::found(answered, || no_dataset(&dataset))?));
    count_batch(&mut response, queries);
    Ok(response)
}

/// Reads the arguments of a search.
fn search_options(
    query: Vec<(String, String)>,
) -> Result<(String, yente::SearchOptions, Option<u64>), Failure> {
    let mut options = yente::SearchOptions { limit: 10, ..yente::SearchOptions::default() };
    let mut q = String::new();
    for (name, value) in query {
        match name.as_str() {
            "q" if value.chars().count() > SEARCH_CHARACTERS => {
                return Err(unprocessable(&format!("q: at most {SEARCH_CHARACTERS} characters are taken")));
            }
            "q" => q = value,
            "schema" if !value.is_empty() => options.schema = Some(value),
            "limit" => options.limit = whole("limit", &value, 0, 500)?.min(yente::SEARCH_RESULTS),
            "offset" => options.offset = whole("offset", &value, 0, 9_999)?,
            "countries" => take("countries", &mut options.countries, value.to_lowercase())?,
            "facets" => take("facets", &mut options.facets, value)?,
            "filter" => {
                let Some((property, wanted)) =
                    value.split_once(':').filter(|_| options.properties.len() < MOST_VALUES)
                else {
                    return Err(unprocessable(&format!(
                        "filter: a property and its value are required, as gender:female; at most {MOST_VALUES} times"
                    )));
                };
                options.properties.push((property.to_owned(), wanted.to_owned()));
            }
            "sort" => {
                let (property, order) = value.split_once(':').unwrap_or((value.as_str(), "asc"));
                if !matches!(order, "asc" | "desc") || options.sort.len() >= MOST_VALUES {
                    return Err(unprocessable(
                        "sort: a property and its order are required, as birthDate:desc",
                    ));
                }
                options.sort.push((property.to_owned(), order == "desc"));
            }
            "fuzzy" if matches!(value.to_ascii_lowercase().as_str(), "true" | "1") => {}
            "fuzzy" => {
                return Err(unknown(
                    "fuzzy: Only true is supported by this server: spellings are always compared. Leave it out.",
                ));
            }
            name => filter(&mut options.filters, name, &value)?,
        }
    }
    if options.facets.is_empty() {
        options.facets = yente::FACETS.map(str::to_owned).to_vec();
    }
    let since =
        options.filters.changed_since.as_deref().map(|text| moment("changed_since", text)).transpose()?;
    Ok((q, options, since))
}

/// Searches entries by name.
#[utoipa::path(get, path = "/search/{dataset}", tag = "yente",
    params(
        ("dataset" = String, Path, description = "`default` or the id of a list."),
        ("q" = Option<String>, Query, description = "The name."),
        ("schema" = Option<String>, Query, description = "Schema of FollowTheMoney; `Thing` without it."),
        ("limit" = Option<u32>, Query, description = "Most results, up to 100; 10 without it."),
        ("offset" = Option<u32>, Query, description = "How many to pass over; the first 100 can be paged through."),
        ("countries" = Option<String>, Query, description = "Only entries of this country (ISO 3166-1 alpha-2); may come several times."),
        ("topics" = Option<String>, Query, description = "Only entries with this topic; may come several times."),
        ("include_dataset" = Option<String>, Query, description = "Only this list; may come several times."),
        ("datasets" = Option<String>, Query, description = "The same as `include_dataset`."),
        ("exclude_entity_ids" = Option<String>, Query, description = "Not this entry; may come several times, up to 50."),
        ("exclude_dataset" = Option<String>, Query, description = "Not this list; may come several times."),
        ("exclude_schema" = Option<String>, Query, description = "Not this schema; may come several times."),
        ("changed_since" = Option<String>, Query, description = "Only entries that are not as they were then: a date or a time."),
        ("filter" = Option<String>, Query, description = "A property and its value, as `gender:female`; may come several times, all must hold."),
        ("sort" = Option<String>, Query, description = "A property and its order, as `birthDate:desc`; by likeness without it."),
        ("facets" = Option<String>, Query, description = "What is counted: `countries`, `topics`, `datasets` without it."),
        ("fuzzy" = Option<bool>, Query, description = "Only `true`: spellings are always compared."),
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
    let (q, options, since) = search_options(query)?;
    let asked = dataset.clone();
    let answered = app
        .service
        .ask_lists_changed(since, move |screener, changed| {
            let mut options = options;
            options.filters.changed = changed;
            knows(screener, &asked).then(|| {
                let mut answer = yente::search(screener, &asked, &q, &options);
                cite(&mut answer, screener);
                answer
            })
        })
        .await;
    Ok(caller.answer(Json(super::found(answered, || no_dataset(&dataset))?)))
}

/// One entry by its id.
#[utoipa::path(get, path = "/entities/{entity_id}", tag = "yente",
    params(
        ("entity_id" = String, Path, description = "The id of an entry, as results give it."),
        ("nested" = Option<bool>, Query, description = "Entries hold no others within: the answer is the same with `true` and `false`."),
    ),
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
    query: QueryFields,
) -> Result<Response, Failure> {
    query.read(|fields| fields.boolean("nested"))?;
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
        .await;
    Ok(caller.answer(Json(super::found(answered, no_entity)?)))
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
        let read = given(&[("topics", "sanction"), ("topics", "crime"), ("limit", "7"), ("fuzzy", "False")])
            .unwrap();
        let (read, since) = read;
        assert_eq!((read.topics.len(), read.limit, since), (2, 7, None));
        let (_, since) = given(&[("changed_since", "1970-01-02")]).unwrap();
        assert_eq!(since, Some(86_400));
        let (_, since) = given(&[("changed_since", "1970-01-01T01:00:00+01:00")]).unwrap();
        assert_eq!(since, Some(0));
        assert!(given(&[("changed_since", "yesterday")]).is_err());
        assert!(given(&vec![("topics", "sanction"); 51]).is_err());
        assert!(given(&[("limit", "501")]).is_err());
        assert!(given(&[("threshold", "NaN")]).is_err());
        assert!(given(&[("fuzzy", "x")]).is_err());
        assert!(given(&[("treshold", "0.9")]).is_err());
        assert!(given(&[("algorithm", "best")]).is_ok());
        assert!(given(&[("algorithm", "logic-v2")]).is_err());
    }
}
