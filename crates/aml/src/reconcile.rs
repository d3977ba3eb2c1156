//! The reconciliation API by which OpenRefine matches a column of names, as yente serves it.
//!
//! W3C Entity Reconciliation Community Group, *Reconciliation Service API* 0.2: manifest, batches of queries,
//! suggestions. Types are schemata of FollowTheMoney, properties those that the matcher weighs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::Schema;
use crate::screen::Screener;
use crate::yente::{Example, MatchOptions, SearchOptions, hits, search};

/// Most results of one query.
const MAX_RESULTS: usize = 100;
/// Results of a query that asks for no number.
const RESULTS: usize = 5;

/// Types: schema, its plural.
const TYPES: [(Schema, &str); 7] = [
    (Schema::Person, "People"),
    (Schema::Organization, "Organizations"),
    (Schema::Company, "Companies"),
    (Schema::LegalEntity, "Legal entities"),
    (Schema::Vessel, "Vessels"),
    (Schema::Airplane, "Airplanes"),
    (Schema::Thing, "Things"),
];

/// Properties that a query may carry.
const PROPERTIES: [(&str, &str); 12] = [
    ("Thing:name", "Name"),
    ("Thing:alias", "Other name"),
    ("Person:firstName", "First name"),
    ("Person:lastName", "Last name"),
    ("Person:birthDate", "Date of birth"),
    ("Person:nationality", "Nationality"),
    ("Person:gender", "Gender"),
    ("Person:passportNumber", "Passport number"),
    ("LegalEntity:country", "Country"),
    ("LegalEntity:idNumber", "ID number"),
    ("LegalEntity:registrationNumber", "Registration number"),
    ("LegalEntity:incorporationDate", "Date of incorporation"),
];

/// One query of a batch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconQuery {
    query: Option<String>,
    #[serde(rename = "type")]
    of: Value,
    limit: Option<usize>,
    properties: Vec<ReconProperty>,
    /// A type weighs, it does not exclude: the one way there is here.
    #[serde(rename = "type_strict")]
    _strictness: Option<Strictness>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Strictness {
    Should,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReconProperty {
    pid: String,
    /// What the caller calls the property that `pid` names.
    #[serde(default, rename = "p")]
    _label: Option<String>,
    v: Value,
}

/// The texts of a value: a text, a number, an entity, or several of them.
fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Number(number) => out.push(number.to_string()),
        Value::Array(values) => values.iter().take(100).for_each(|value| match value {
            Value::Array(_) => {}
            value => texts(value, out),
        }),
        Value::Object(entity) => {
            let name = entity.get("name").or_else(|| entity.get("str")).or_else(|| entity.get("id"));
            out.extend(name.and_then(Value::as_str).map(str::to_owned));
        }
        Value::Null | Value::Bool(_) => {}
    }
}

impl ReconQuery {
    /// A property that FollowTheMoney does not have.
    pub fn unknown_property(&self) -> Option<&str> {
        let names =
            self.properties.iter().map(|property| property.pid.rsplit(':').next().unwrap_or_default());
        names.into_iter().find(|name| !crate::yente::is_property(name))
    }

    fn example(&self) -> Example {
        let schema = match &self.of {
            Value::String(schema) => Some(schema.as_str()),
            Value::Array(schemata) => schemata.first().and_then(Value::as_str),
            _ => None,
        };
        let mut properties: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if let Some(name) = &self.query {
            properties.insert("name".to_owned(), vec![name.clone()]);
        }
        for property in &self.properties {
            let name = property.pid.rsplit(':').next().unwrap_or_default();
            texts(&property.v, properties.entry(name.to_owned()).or_default());
        }
        Example { id: None, schema: schema.unwrap_or("Thing").to_owned(), properties }
    }
}

/// The manifest of a dataset; `base` is the address of the server, without a slash at its end.
#[must_use]
pub fn manifest(base: &str, dataset: &str) -> Value {
    let service = format!("{base}/reconcile/{dataset}");
    let suggest = |what: &str| json!({"service_url": service, "service_path": format!("/suggest/{what}")});
    let space = "https://www.opensanctions.org/reference/#schema";
    json!({
        "versions": ["0.2"],
        "name": format!("Bonafide: {}", if dataset == "default" { "all lists" } else { dataset }),
        "identifierSpace": space,
        "schemaSpace": space,
        "view": {"url": format!("{base}/entities/{{{{id}}}}")},
        "batchSize": 20,
        "suggest": {"entity": suggest("entity"), "type": suggest("type"), "property": suggest("property")},
        "defaultTypes": TYPES.iter().map(|&(schema, _)| kind(schema)).collect::<Vec<_>>(),
    })
}

fn kind(schema: Schema) -> Value {
    let plural = TYPES.iter().find(|(known, _)| *known == schema).map_or("Things", |(_, plural)| plural);
    json!({"id": schema.name(), "name": plural, "description": schema.name()})
}

/// Answers a batch of queries; the caller has checked [`crate::yente::MAX_BATCH`].
#[must_use]
pub fn answer(
    screener: &Screener,
    dataset: &str,
    queries: &BTreeMap<String, ReconQuery>,
    options: &MatchOptions,
) -> Value {
    let mut answers = serde_json::Map::new();
    for (key, query) in queries {
        let limit = query.limit.unwrap_or(RESULTS).clamp(1, MAX_RESULTS);
        let options = MatchOptions { limit, cutoff: 0.0, ..options.clone() };
        let results: Vec<Value> = hits(screener, dataset, &query.example(), &options)
            .iter()
            .map(|hit| {
                let score = f64::from(hit.score) / 100.0;
                json!({
                    "id": hit.entity.key, "name": hit.entity.caption(), "description": hit.entity.schema.name(),
                    "type": [kind(hit.entity.schema)], "score": score,
                    "match": score >= f64::from(options.threshold),
                })
            })
            .collect();
        answers.insert(key.clone(), json!({"result": results}));
    }
    Value::Object(answers)
}

fn suggested(prefix: &str, result: Vec<Value>) -> Value {
    json!({"code": "/api/status/ok", "status": "200 OK", "prefix": prefix, "result": result})
}

fn begins(prefix: &str, texts: [&str; 2]) -> bool {
    let prefix = prefix.trim().to_lowercase();
    texts.iter().any(|text| text.to_lowercase().split([' ', ':']).any(|word| word.starts_with(&prefix)))
}

/// Entries whose name resembles a text.
#[must_use]
pub fn suggest_entities(screener: &Screener, dataset: &str, prefix: &str, limit: usize) -> Value {
    let found = search(screener, dataset, prefix, &SearchOptions { limit, ..SearchOptions::default() });
    let results = found["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let results = results
        .iter()
        .map(|shown| {
            let schema = Schema::parse(shown["schema"].as_str().unwrap_or_default());
            json!({
                "id": shown["id"], "name": shown["caption"], "description": shown["schema"], "type": [kind(schema)],
            })
        })
        .collect();
    suggested(prefix, results)
}

/// Types whose name has a word that begins so.
#[must_use]
pub fn suggest_types(prefix: &str) -> Value {
    let found = TYPES.iter().filter(|(schema, plural)| begins(prefix, [schema.name(), plural]));
    suggested(prefix, found.map(|&(schema, _)| kind(schema)).collect())
}

/// Properties whose name has a word that begins so.
#[must_use]
pub fn suggest_properties(prefix: &str) -> Value {
    let found = PROPERTIES.iter().filter(|(id, name)| begins(prefix, [id, name]));
    suggested(prefix, found.map(|(id, name)| json!({"id": id, "name": name, "description": name})).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_reads_its_type_and_the_values_of_properties_in_every_shape() {
        let query: ReconQuery = serde_json::from_value(json!({
            "query": "Ana Ejemplo", "type": ["Person"], "limit": 3,
            "properties": [
                {"pid": "Person:birthDate", "v": "1974-03-01"},
                {"pid": "nationality", "v": [{"id": "es", "name": "es"}, "fr"]},
                {"pid": "Person:passportNumber", "v": 17},
                {"pid": "unknown", "v": null},
            ],
        }))
        .unwrap();
        let asked = query.example().query();
        assert_eq!((asked.names.as_slice(), asked.schema), (&["Ana Ejemplo".to_owned()][..], Schema::Person));
        assert_eq!((asked.births.len(), asked.countries.len(), asked.identifiers.len()), (1, 2, 1));
    }

    #[test]
    fn suggestions_begin_with_what_was_typed() {
        let ids = |answer: Value| -> Vec<String> {
            let results = answer["result"].as_array().cloned().unwrap_or_default();
            results.iter().filter_map(|r| r["id"].as_str().map(str::to_owned)).collect()
        };
        assert_eq!(ids(suggest_types("peo")), ["Person"]);
        assert_eq!(ids(suggest_properties("birth")), ["Person:birthDate"]);
        assert!(ids(suggest_types("zzz")).is_empty());
    }
}
