//! Requests and responses of yente's matching API, so that its clients work unchanged.
//!
//! `POST /match/{dataset}` and `GET /search/{dataset}` of yente 5. The dataset is
//! `default` for all lists or the name of one. Scores are 0..1 as there.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::model::{CountryLink, Entity, Identifier, NameKind, Schema};
use crate::profile::Profile;
use crate::screen::{Hit, Query, Screener};
use crate::{DateRange, country_code};

/// Most queries of one request, as in yente.
pub const MAX_BATCH: usize = 100;

/// The one matcher, and the names by which a client asks for whatever is best.
pub const ALGORITHMS: [&str; 3] = ["bonafide", "best", "default"];

/// Body of `POST /match/{dataset}`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MatchRequest {
    /// Queries under keys of the caller.
    pub queries: BTreeMap<String, Example>,
    /// Weights of yente's own features, of which there are none here.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// Settings of yente's own algorithms, of which there are none here.
    #[serde(default)]
    pub config: BTreeMap<String, Value>,
}

/// One query: an entity by example.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Example {
    /// The caller's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Schema of FollowTheMoney.
    pub schema: String,
    /// Properties; a single text stands for a list of one.
    #[serde(default, deserialize_with = "one_or_many")]
    pub properties: BTreeMap<String, Vec<String>>,
}

fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        Many(Vec<Option<String>>),
        None(()),
    }
    let map = BTreeMap::<String, Either>::deserialize(deserializer)?;
    Ok(map
        .into_iter()
        .map(|(key, value)| {
            let values = match value {
                Either::One(text) => vec![text],
                Either::Many(texts) => texts.into_iter().flatten().collect(),
                Either::None(()) => Vec::new(),
            };
            (key, values)
        })
        .collect())
}

/// Query arguments of `POST /match/{dataset}`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct MatchOptions {
    /// Most results of one query, at most 500.
    pub limit: usize,
    /// Score from which a result is a match.
    pub threshold: f32,
    /// Score below which nothing is returned.
    pub cutoff: f32,
    /// One of [`ALGORITHMS`].
    pub algorithm: String,
    /// Only entries with one of these topics.
    pub topics: Vec<String>,
    /// Only these lists.
    pub include_dataset: Vec<String>,
    /// None of these lists.
    pub exclude_dataset: Vec<String>,
    /// Entries never returned.
    pub exclude_entity_ids: Vec<String>,
}

impl Default for MatchOptions {
    fn default() -> Self {
        Self {
            limit: 5,
            threshold: 0.70,
            cutoff: 0.50,
            algorithm: "best".to_owned(),
            topics: Vec::new(),
            include_dataset: Vec::new(),
            exclude_dataset: Vec::new(),
            exclude_entity_ids: Vec::new(),
        }
    }
}

impl Example {
    /// The example as a query.
    #[must_use]
    pub fn query(&self) -> Query {
        let texts = |name: &str| self.properties.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut names: Vec<String> = ["name", "alias", "weakAlias", "previousName"]
            .iter()
            .flat_map(|p| texts(p).iter().cloned())
            .collect();
        if names.is_empty() {
            let whole = ["firstName", "middleName", "fatherName", "lastName"]
                .iter()
                .flat_map(|p| texts(p).first().cloned())
                .collect::<Vec<_>>()
                .join(" ");
            names.push(whole);
        }
        let identifiers = [
            ("passportNumber", "passport"),
            ("idNumber", "national-id"),
            ("taxNumber", "tax-id"),
            ("registrationNumber", "registration"),
            ("leiCode", "lei"),
            ("swiftBic", "bic"),
            ("imoNumber", "imo"),
            ("mmsi", "mmsi"),
            ("publicKey", "crypto"),
        ];
        Query {
            names,
            schema: Schema::parse(&self.schema),
            births: texts("birthDate")
                .iter()
                .chain(texts("incorporationDate"))
                .filter_map(|d| DateRange::parse(d))
                .collect(),
            countries: ["nationality", "citizenship", "country", "jurisdiction", "flag"]
                .iter()
                .flat_map(|p| texts(p))
                .filter_map(|c| country_code(c))
                .map(str::to_owned)
                .collect(),
            gender: texts("gender").first().cloned().unwrap_or_default(),
            identifiers: identifiers
                .iter()
                .flat_map(|(property, kind)| {
                    texts(property).iter().map(|v| Identifier {
                        kind: (*kind).to_owned(),
                        value: v.clone(),
                        country: String::new(),
                    })
                })
                .collect(),
        }
    }
}

/// Answers `POST /match/{dataset}`; the caller has checked [`MAX_BATCH`].
#[must_use]
pub fn answer(screener: &Screener, dataset: &str, request: &MatchRequest, options: &MatchOptions) -> Value {
    let mut lists = options.include_dataset.clone();
    if dataset != "default" && lists.is_empty() {
        lists.push(dataset.to_owned());
    }
    if !options.exclude_dataset.is_empty() {
        let all = screener.manifest().lists.iter().map(|l| l.list.clone());
        lists = all
            .filter(|l| (lists.is_empty() || lists.contains(l)) && !options.exclude_dataset.contains(l))
            .collect();
    }
    let profile = Profile {
        limit: options.limit.clamp(1, 500),
        threshold: (options.cutoff * 100.0).clamp(0.0, 100.0),
        topics: options.topics.clone(),
        lists,
        exclude: options.exclude_entity_ids.clone(),
        ..Profile::default()
    };
    let mut responses = serde_json::Map::new();
    for (key, example) in request.queries.iter().take(MAX_BATCH) {
        let screening = screener.screen(&example.query(), &profile);
        let results: Vec<Value> = screening.hits.iter().map(|h| result(h, options.threshold)).collect();
        responses.insert(
            key.clone(),
            json!({"status": 200, "results": results, "total": {"value": results.len(), "relation": "eq"}, "query": example}),
        );
    }
    json!({"responses": responses, "matcher": {"name": {"description": "aligned tokens weighed by rarity", "coefficient": 1.0}}, "limit": profile.limit})
}

/// Answers `GET /search/{dataset}`: entries by text.
#[must_use]
pub fn search(screener: &Screener, dataset: &str, q: &str, schema: Option<&str>, limit: usize) -> Value {
    let query = Query {
        names: vec![q.to_owned()],
        schema: schema.map_or(Schema::Thing, Schema::parse),
        ..Query::default()
    };
    let lists = if dataset == "default" { Vec::new() } else { vec![dataset.to_owned()] };
    let profile = Profile { limit: limit.clamp(1, 100), threshold: 1.0, lists, ..Profile::default() };
    let hits = screener.screen(&query, &profile).hits;
    let results: Vec<Value> = hits.iter().map(|h| entity(&h.entity)).collect();
    json!({"results": results, "facets": {}, "total": {"value": results.len(), "relation": "eq"}, "limit": profile.limit, "offset": 0})
}

/// The entry of an id, or nothing.
#[must_use]
pub fn find(screener: &Screener, id: &str) -> Option<Value> {
    let index = screener.index();
    let number = *index.numbers_of(&std::iter::once(id).collect()).get(id)?;
    index.entity(number).map(|found| entity(&found))
}

/// An entry in the shape of FollowTheMoney.
#[must_use]
pub fn entity(entity: &Entity) -> Value {
    let names = |kind: NameKind| -> Vec<&str> {
        entity.names.iter().filter(|n| n.kind == kind).map(|n| n.text.as_str()).collect()
    };
    let countries = |wanted: &[CountryLink]| -> Vec<&str> {
        entity.countries.iter().filter(|(l, _)| wanted.contains(l)).map(|(_, c)| c.as_str()).collect()
    };
    let mut properties: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut put = |name: &'static str, values: Vec<&str>| {
        if !values.is_empty() {
            properties.insert(name, values.into_iter().map(str::to_owned).collect());
        }
    };
    let births: Vec<String> = entity.births.iter().map(ToString::to_string).collect();
    put("name", names(NameKind::Primary));
    put("alias", names(NameKind::Alias));
    put("weakAlias", names(NameKind::Weak));
    put("previousName", names(NameKind::Former));
    put("birthDate", births.iter().map(String::as_str).collect());
    put("nationality", countries(&[CountryLink::Nationality]));
    put("birthCountry", countries(&[CountryLink::Birth]));
    put("country", countries(&[CountryLink::Unspecified, CountryLink::Residence, CountryLink::Registration]));
    put("gender", Some(entity.gender.as_str()).filter(|g| !g.is_empty()).into_iter().collect());
    for (name, list) in [
        ("topics", &entity.topics),
        ("position", &entity.positions),
        ("birthPlace", &entity.birth_places),
        ("address", &entity.addresses),
        ("notes", &entity.notes),
        ("program", &entity.programs),
        ("sourceUrl", &entity.urls),
    ] {
        put(name, list.iter().map(String::as_str).collect());
    }
    for (kind, name) in [
        ("passport", "passportNumber"),
        ("national-id", "idNumber"),
        ("tax-id", "taxNumber"),
        ("registration", "registrationNumber"),
        ("imo", "imoNumber"),
        ("crypto", "publicKey"),
    ] {
        put(name, entity.identifiers.iter().filter(|i| i.kind == kind).map(|i| i.value.as_str()).collect());
    }
    let list = entity.key.split(':').next().unwrap_or_default();
    json!({
        "id": entity.key, "caption": entity.caption(), "schema": entity.schema.name(), "properties": properties, "datasets": [list],
        "referents": [], "target": true, "first_seen": entity.listed_on, "last_seen": Value::Null, "last_change": Value::Null,
    })
}

fn result(hit: &Hit, threshold: f32) -> Value {
    let mut value = entity(&hit.entity);
    let score = f64::from(hit.score) / 100.0;
    let explanations: BTreeMap<&str, Value> = hit
        .evidence
        .iter()
        .map(|e| {
            let share = 1.0 / (1.0 + (-f64::from(e.log_odds)).exp());
            (
                e.feature.as_str(),
                json!({"score": share, "detail": e.relation, "query": e.query, "candidate": e.listed}),
            )
        })
        .collect();
    let features: BTreeMap<&str, f64> =
        explanations.iter().filter_map(|(k, v)| Some((*k, v["score"].as_f64()?))).collect();
    value["score"] = json!(score);
    value["match"] = json!(score >= f64::from(threshold));
    value["explanations"] = json!(explanations);
    value["features"] = json!(features);
    value
}
