//! Lists that come as one JSON object a line: OpenSanctions FtM and nested, Senzing.

use std::io::{BufRead, Read};
use std::path::Path;

use serde_json::Value;

use super::tables::{gender, id_kind};
use super::{Format, ImportError, MAX_FILE_BYTES, open};
use crate::model::{CountryLink, Entity, NameKind, Schema};

/// Longest line that is read.
const MAX_LINE: u64 = 32 << 20;

fn objects(path: &Path, format: Format, sink: &mut dyn FnMut(Value)) -> Result<(), ImportError> {
    let bad =
        |reason: String| ImportError::Malformed { path: path.to_owned(), format: format.name(), reason };
    let mut input = open(path)?.take(MAX_FILE_BYTES);
    let mut line = Vec::new();
    let mut number = 0u64;
    loop {
        line.clear();
        let read = (&mut input)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .map_err(|source| ImportError::Read { path: path.to_owned(), source })?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        if number == 1 && line.trim_ascii_start().first() == Some(&b'[') {
            // A small file may be one array over many lines.
            (&mut input)
                .take(MAX_LINE)
                .read_to_end(&mut line)
                .map_err(|source| ImportError::Read { path: path.to_owned(), source })?;
        }
        let value: Value = serde_json::from_slice(&line).map_err(|e| bad(format!("line {number}: {e}")))?;
        match value {
            // A whole file that is one array is read as its elements.
            Value::Array(values) => values.into_iter().for_each(&mut *sink),
            other => sink(other),
        }
    }
}

/// `entities.ftm.json` and `targets.nested.json`; only entities that can be targets become entries.
pub(super) fn ftm(path: &Path, format: Format, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    let mut published = String::new();
    objects(path, format, &mut |value| {
        // A delta line wraps the entity; a deleted one is no entry.
        let value = match value.get("entity") {
            Some(_) if value["op"] == "DEL" => return,
            Some(entity) => entity.clone(),
            None => value,
        };
        if let Some(entity) = ftm_entity(&value) {
            let seen = value["last_seen"].as_str().unwrap_or_default();
            if seen > published.as_str() {
                seen.clone_into(&mut published);
            }
            sink(entity);
        }
    })?;
    Ok(published)
}

/// One entity in the shape of FollowTheMoney; `None` for relations and for what is not a target.
pub(crate) fn ftm_entity(value: &Value) -> Option<Entity> {
    let schema = value["schema"].as_str()?;
    if !matches!(
        schema,
        "Person"
            | "Organization"
            | "Company"
            | "PublicBody"
            | "LegalEntity"
            | "Vessel"
            | "Airplane"
            | "Security"
            | "CryptoWallet"
    ) || value["target"] == Value::Bool(false)
    {
        return None;
    }
    let mut entity = Entity::new(format!("os:{}", value["id"].as_str()?), Schema::parse(schema));
    let properties = &value["properties"];
    let texts = |name: &str| -> Vec<&str> {
        properties[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let caption = value["caption"].as_str().unwrap_or_default();
    if texts("name").contains(&caption) {
        entity.add_name(caption, NameKind::Primary);
    }
    for (property, kind) in [
        ("name", NameKind::Primary),
        ("alias", NameKind::Alias),
        ("previousName", NameKind::Former),
        ("weakAlias", NameKind::Weak),
    ] {
        for name in texts(property) {
            entity.add_name(name, kind);
        }
    }
    if entity.names.is_empty() {
        let parts = [texts("firstName"), texts("lastName")].concat().join(" ");
        entity.add_name(&parts, NameKind::Primary);
    }
    for date in texts("birthDate").into_iter().chain(texts("incorporationDate")) {
        entity.add_birth(date);
    }
    for (property, link) in [
        ("nationality", CountryLink::Nationality),
        ("citizenship", CountryLink::Nationality),
        ("birthCountry", CountryLink::Birth),
        ("jurisdiction", CountryLink::Registration),
        ("flag", CountryLink::Registration),
        ("country", CountryLink::Unspecified),
    ] {
        for country in texts(property) {
            entity.add_country(link, country);
        }
    }
    texts("gender").into_iter().for_each(|g| gender(&mut entity, g));
    for (property, kind) in [
        ("passportNumber", "passport"),
        ("idNumber", "national-id"),
        ("taxNumber", "tax-id"),
        ("innCode", "tax-id"),
        ("ogrnCode", "registration"),
        ("registrationNumber", "registration"),
        ("leiCode", "lei"),
        ("swiftBic", "bic"),
        ("imoNumber", "imo"),
        ("mmsi", "mmsi"),
        ("publicKey", "crypto"),
    ] {
        for number in texts(property) {
            entity.add_identifier(kind, number.trim_start_matches("IMO"), "");
        }
    }
    // In the nested form documents and addresses are entities inside the properties.
    for inner in properties
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, v)| v.as_array().into_iter().flatten())
        .filter(|v| v.is_object())
    {
        let inner_texts = |name: &str| -> Vec<&str> {
            inner["properties"][name].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
        };
        match inner["schema"].as_str() {
            Some("Passport" | "Identification") => {
                let kind = if inner["schema"] == "Passport" {
                    "passport"
                } else {
                    id_kind(inner_texts("type").first().copied().unwrap_or("id"))
                };
                let country = inner_texts("country").first().copied().unwrap_or_default();
                inner_texts("number").into_iter().for_each(|n| entity.add_identifier(kind, n, country));
            }
            Some("Address") => {
                inner_texts("full").into_iter().for_each(|a| Entity::add_text(&mut entity.addresses, a))
            }
            Some("Sanction") => {
                inner_texts("program").into_iter().for_each(|p| Entity::add_text(&mut entity.programs, p))
            }
            _ => {}
        }
    }
    let mut list = |property: &str, into: fn(&mut Entity) -> &mut Vec<String>| {
        texts(property).into_iter().for_each(|t| Entity::add_text(into(&mut entity), t))
    };
    list("topics", |e| &mut e.topics);
    list("position", |e| &mut e.positions);
    list("birthPlace", |e| &mut e.birth_places);
    list("address", |e| &mut e.addresses);
    list("notes", |e| &mut e.notes);
    list("sourceUrl", |e| &mut e.urls);
    list("program", |e| &mut e.programs);
    for dataset in value["datasets"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        Entity::add_text(&mut entity.programs, dataset);
    }
    value["first_seen"].as_str().unwrap_or_default().clone_into(&mut entity.listed_on);
    Some(entity)
}

/// Senzing JSONL as OpenSanctions publishes it.
pub(super) fn senzing(path: &Path, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    objects(path, Format::Senzing, &mut |value| {
        let Some(id) = value["RECORD_ID"].as_str() else { return };
        let schema = match value["RECORD_TYPE"].as_str() {
            Some("PERSON") => Schema::Person,
            Some("ORGANIZATION") => Schema::Organization,
            Some("VESSEL") => Schema::Vessel,
            _ => Schema::LegalEntity,
        };
        let mut entity = Entity::new(format!("senzing:{id}"), schema);
        let rows = |name: &str| -> Vec<Value> { value[name].as_array().cloned().unwrap_or_default() };
        for name in rows("NAMES") {
            let kind = if name["NAME_TYPE"] == "PRIMARY" { NameKind::Primary } else { NameKind::Alias };
            for field in ["NAME_FULL", "NAME_ORG"] {
                entity.add_name(name[field].as_str().unwrap_or_default(), kind);
            }
        }
        for date in rows("DATES") {
            entity.add_birth(
                date["DATE_OF_BIRTH"].as_str().or(date["REGISTRATION_DATE"].as_str()).unwrap_or_default(),
            );
        }
        for country in rows("COUNTRIES") {
            for (field, link) in [
                ("NATIONALITY", CountryLink::Nationality),
                ("CITIZENSHIP", CountryLink::Nationality),
                ("COUNTRY_OF_ASSOCIATION", CountryLink::Unspecified),
                ("REGISTRATION_COUNTRY", CountryLink::Registration),
            ] {
                entity.add_country(link, country[field].as_str().unwrap_or_default());
            }
        }
        for id in rows("IDENTIFIERS") {
            for (field, kind) in [
                ("PASSPORT_NUMBER", "passport"),
                ("NATIONAL_ID_NUMBER", "national-id"),
                ("TAX_ID_NUMBER", "tax-id"),
                ("LEI_NUMBER", "lei"),
            ] {
                entity.add_identifier(kind, id[field].as_str().unwrap_or_default(), "");
            }
        }
        for gendered in rows("GENDERS").iter().chain(std::iter::once(&value)) {
            gender(&mut entity, gendered["GENDER"].as_str().unwrap_or_default());
        }
        for risk in rows("RISKS") {
            Entity::add_text(&mut entity.topics, risk["TOPIC"].as_str().unwrap_or_default());
        }
        for address in rows("ADDRESSES") {
            Entity::add_text(&mut entity.addresses, address["ADDR_FULL"].as_str().unwrap_or_default());
        }
        Entity::add_text(&mut entity.urls, value["URL"].as_str().unwrap_or_default());
        Entity::add_text(&mut entity.programs, value["DATA_SOURCE"].as_str().unwrap_or_default());
        sink(entity);
    })?;
    Ok(String::new())
}
