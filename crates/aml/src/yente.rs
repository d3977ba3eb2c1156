//! Requests and responses of yente's matching API, so that its clients work unchanged.
//!
//! `POST /match/{dataset}` and `GET /search/{dataset}` of yente 5. The dataset is
//! `default` for all lists or the name of one. Scores are 0..1 as there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

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
#[serde(deny_unknown_fields)]
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

/// Properties of FollowTheMoney's entities that lists have. An example may have each of them; the matcher weighs those
/// that [`Example::query`] reads, the others say nothing about who it is.
pub const PROPERTIES: &[&str] = &[
    "abbreviation",
    "accountId",
    "address",
    "addressEntity",
    "alias",
    "amount",
    "appearance",
    "birthCountry",
    "birthDate",
    "birthPlace",
    "bikCode",
    "buildDate",
    "bvdId",
    "callSign",
    "category",
    "caemCode",
    "cageCode",
    "cikCode",
    "citizenship",
    "city",
    "classification",
    "coatoCode",
    "code",
    "country",
    "createdAt",
    "crn",
    "cryptoWallets",
    "currency",
    "dateOfDeath",
    "deathDate",
    "deregistrationDate",
    "description",
    "directorshipDirector",
    "dissolutionDate",
    "dunsCode",
    "education",
    "email",
    "ethnicity",
    "eyeColor",
    "fatherName",
    "firstName",
    "flag",
    "fnsCode",
    "fullAddress",
    "full",
    "gender",
    "giiNumber",
    "grossRegisteredTonnage",
    "hairColor",
    "height",
    "icaoCode",
    "idNumber",
    "imoNumber",
    "incorporationDate",
    "indexText",
    "inn",
    "innCode",
    "ipoCode",
    "irsCode",
    "isin",
    "issuer",
    "jibCode",
    "jurisdiction",
    "keywords",
    "kpp",
    "lastName",
    "leiCode",
    "legalForm",
    "licenseNumber",
    "licenseType",
    "mainCountry",
    "managingExchange",
    "middleName",
    "mmsi",
    "model",
    "modifiedAt",
    "motherName",
    "name",
    "nameSuffix",
    "nationality",
    "navigationArea",
    "npiCode",
    "notes",
    "number",
    "ogrnCode",
    "okopfCode",
    "okpoCode",
    "okvedCode",
    "opencorporatesUrl",
    "owner",
    "parent",
    "pastFlags",
    "pastNames",
    "pastTypes",
    "passport",
    "passportNumber",
    "permId",
    "pfrNumber",
    "phone",
    "place",
    "political",
    "portOfRegistry",
    "position",
    "postalCode",
    "postOfficeBox",
    "previousName",
    "program",
    "programId",
    "profession",
    "proof",
    "publicKey",
    "publisher",
    "publisherUrl",
    "recordId",
    "region",
    "registrationNumber",
    "religion",
    "registrationDate",
    "remarks",
    "retrievedAt",
    "role",
    "sayariId",
    "secondName",
    "sector",
    "serialNumber",
    "socialSecurityNumber",
    "sourceUrl",
    "spokenLanguage",
    "state",
    "status",
    "street",
    "subnationalArea",
    "summary",
    "swiftBic",
    "taxNumber",
    "taxStatus",
    "ticker",
    "title",
    "tonnage",
    "topics",
    "torontoId",
    "type",
    "uniqueEntityId",
    "vatCode",
    "voenCode",
    "weakAlias",
    "website",
    "weight",
    "wikidataId",
    "wikipediaUrl",
    "yearBuilt",
];

/// Whether entities have a property of this name.
#[must_use]
pub fn is_property(name: &str) -> bool {
    PROPERTIES.contains(&name)
}

/// One query: an entity by example.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
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
    /// None of these schemata.
    pub exclude_schema: Vec<String>,
    /// Entries never returned.
    pub exclude_entity_ids: Vec<String>,
    /// Only entries that changed since then, as the caller wrote it.
    pub changed_since: Option<String>,
    /// Which entries these are.
    #[serde(skip)]
    pub changed: Option<Arc<HashSet<String>>>,
}

impl MatchOptions {
    fn keeps(&self, entity: &Entity) -> bool {
        !self.exclude_schema.iter().any(|schema| schema == entity.schema.name())
            && self.changed.as_ref().is_none_or(|changed| changed.contains(&entity.key))
    }
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
            exclude_schema: Vec::new(),
            exclude_entity_ids: Vec::new(),
            changed_since: None,
            changed: None,
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

/// Most hits that are looked through for those that a filter leaves.
const FILTERED: usize = 500;

/// The lists that may answer; empty for all. A name that no list has leaves nothing.
fn lists_of(screener: &Screener, dataset: &str, include: &[String], exclude: &[String]) -> Vec<String> {
    let lists: Vec<String> = match (dataset, include) {
        ("default", include) if include.iter().any(|list| list == "default") => Vec::new(),
        ("default", include) => include.to_vec(),
        (dataset, include) if include.is_empty() || include.iter().any(|list| list == dataset) => {
            vec![dataset.to_owned()]
        }
        _ => vec![String::new()],
    };
    if exclude.is_empty() {
        return lists;
    }
    let all = screener.manifest().lists.iter().map(|list| list.list.clone());
    let left: Vec<String> =
        all.filter(|list| (lists.is_empty() || lists.contains(list)) && !exclude.contains(list)).collect();
    // Nothing is left: no list is called so.
    if left.is_empty() { vec![String::new()] } else { left }
}

/// The hits of one example.
pub(crate) fn hits(
    screener: &Screener,
    dataset: &str,
    example: &Example,
    options: &MatchOptions,
) -> Vec<Hit> {
    let limit = options.limit.clamp(1, FILTERED);
    let filtered = options.changed.is_some() || !options.exclude_schema.is_empty();
    let profile = Profile {
        limit: if filtered { FILTERED } else { limit },
        threshold: (options.cutoff * 100.0).clamp(0.0, 100.0),
        topics: options.topics.clone(),
        lists: lists_of(screener, dataset, &options.include_dataset, &options.exclude_dataset),
        exclude: options.exclude_entity_ids.clone(),
        ..Profile::default()
    };
    let mut hits = screener.screen(&example.query(), &profile).hits;
    hits.retain(|hit| options.keeps(&hit.entity));
    hits.truncate(limit);
    hits
}

/// Answers `POST /match/{dataset}`; the caller has checked [`MAX_BATCH`].
#[must_use]
pub fn answer(screener: &Screener, dataset: &str, request: &MatchRequest, options: &MatchOptions) -> Value {
    let mut responses = serde_json::Map::new();
    for (key, example) in request.queries.iter().take(MAX_BATCH) {
        let hits = hits(screener, dataset, example, options);
        let results: Vec<Value> = hits.iter().map(|hit| result(hit, options.threshold)).collect();
        responses.insert(
            key.clone(),
            json!({"status": 200, "results": results, "total": {"value": results.len(), "relation": "eq"}, "query": example}),
        );
    }
    let limit = options.limit.clamp(1, FILTERED);
    json!({"responses": responses, "matcher": {"name": {"description": "aligned tokens weighed by rarity", "coefficient": 1.0}}, "limit": limit})
}

/// Most results of a search that can be paged through.
pub const SEARCH_RESULTS: usize = 100;

/// Query arguments of `GET /search/{dataset}`.
#[derive(Clone, Debug, Default)]
pub struct SearchOptions {
    /// The schema asked for.
    pub schema: Option<String>,
    /// Most results.
    pub limit: usize,
    /// Results to pass over.
    pub offset: usize,
    /// Only entries of one of these countries.
    pub countries: Vec<String>,
    /// What matches have in common: topics, lists, schemata, changes.
    pub filters: MatchOptions,
    /// Only entries whose property has this value: all must hold.
    pub properties: Vec<(String, String)>,
    /// Order by a property; `true` for the largest first. By likeness without it.
    pub sort: Vec<(String, bool)>,
    /// Which facets are counted.
    pub facets: Vec<String>,
}

/// What is counted without a wish.
pub const FACETS: [&str; 3] = ["countries", "topics", "datasets"];

/// The values of a property, or of a field, of an entry as it is shown.
fn values_of<'a>(shown: &'a Value, name: &str) -> Vec<&'a str> {
    let texts = |value: &'a Value| -> Vec<&'a str> {
        match value {
            Value::String(text) => vec![text],
            Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    };
    let name = name.rsplit(['.', ':']).next().unwrap_or(name);
    match name {
        "countries" => ["nationality", "birthCountry", "country"]
            .iter()
            .flat_map(|name| texts(&shown["properties"][*name]))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        "topics" => texts(&shown["properties"]["topics"]),
        "id" | "caption" | "schema" | "datasets" | "first_seen" => texts(&shown[name]),
        _ => texts(&shown["properties"][name]),
    }
}

/// Answers `GET /search/{dataset}`: entries by text.
#[must_use]
pub fn search(screener: &Screener, dataset: &str, q: &str, options: &SearchOptions) -> Value {
    let query = Query {
        names: vec![q.to_owned()],
        schema: options.schema.as_deref().map_or(Schema::Thing, Schema::parse),
        ..Query::default()
    };
    let filters = &options.filters;
    let profile = Profile {
        limit: FILTERED,
        threshold: 1.0,
        lists: lists_of(screener, dataset, &filters.include_dataset, &filters.exclude_dataset),
        topics: filters.topics.clone(),
        ..Profile::default()
    };
    let mut found: Vec<Value> = screener
        .screen(&query, &profile)
        .hits
        .iter()
        .filter(|hit| filters.keeps(&hit.entity))
        .map(|hit| entity(&hit.entity))
        .filter(|shown| {
            let has = |name: &str, value: &str| values_of(shown, name).contains(&value);
            (options.countries.is_empty() || options.countries.iter().any(|c| has("countries", c)))
                && options.properties.iter().all(|(name, value)| has(name, value))
        })
        .take(SEARCH_RESULTS)
        .collect();
    for (name, largest_first) in options.sort.iter().rev() {
        found.sort_by(|a, b| {
            let (a, b) = (values_of(a, name).into_iter().min(), values_of(b, name).into_iter().min());
            // What has no value comes last, whatever the order.
            let order = a.is_none().cmp(&b.is_none());
            order.then(if *largest_first { b.cmp(&a) } else { a.cmp(&b) })
        });
    }
    let facets: serde_json::Map<String, Value> =
        options.facets.iter().map(|name| (name.clone(), facet(name, &found))).collect();
    let total = found.len();
    let results: Vec<Value> = found.into_iter().skip(options.offset).take(options.limit).collect();
    json!({
        "results": results, "facets": facets, "total": {"value": total, "relation": "eq"},
        "limit": options.limit, "offset": options.offset,
    })
}

/// How often each value stands in what was found.
fn facet(name: &str, found: &[Value]) -> Value {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for value in found.iter().flat_map(|shown| values_of(shown, name)) {
        *counts.entry(value).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|&(value, count)| (std::cmp::Reverse(count), value));
    let values: Vec<Value> = counts
        .into_iter()
        .map(|(value, count)| json!({"name": value, "label": value, "count": count}))
        .collect();
    json!({"label": name, "values": values})
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
