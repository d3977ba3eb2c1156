//! The UN Security Council's consolidated list.
//!
//! Key: `REFERENCE_NUMBER`. Names are FIRST_NAME to FOURTH_NAME joined; the original
//! script may hold several forms separated by semicolons or line breaks.

use std::path::Path;

use super::xml::{Node, records};
use super::{ImportError, open};
use crate::dates::DateRange;
use crate::model::{CountryLink, Entity, NameKind, Schema};

pub(super) fn import(path: &Path, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    let mut published = String::new();
    records(path, "un-xml", open(path)?, &["INDIVIDUAL", "ENTITY"], &mut |node| match node.name.as_str() {
        "INDIVIDUAL" => sink(entity(&node, Schema::Person, "INDIVIDUAL")),
        "ENTITY" => sink(entity(&node, Schema::Organization, "ENTITY")),
        _ => node.attribute("dateGenerated").clone_into(&mut published),
    })?;
    Ok(published)
}

fn entity(node: &Node, schema: Schema, tag: &str) -> Entity {
    let key = Some(node.get("REFERENCE_NUMBER")).filter(|k| !k.is_empty()).unwrap_or(node.get("DATAID"));
    let mut entity = Entity::new(format!("un:{key}"), schema);
    let parts = ["FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME"].map(|t| node.get(t));
    // "na" stands for a part that is not applicable.
    let name = parts
        .iter()
        .filter(|p| !p.is_empty() && !p.eq_ignore_ascii_case("na"))
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    let name = name.strip_suffix(" na").unwrap_or(&name);
    entity.add_name(name, NameKind::Primary);
    for original in node.get("NAME_ORIGINAL_SCRIPT").split([';', '\n', '؛', '/']) {
        entity.add_name(original, NameKind::Alias);
    }
    for alias in node.all(&format!("{tag}_ALIAS")) {
        let kind = match alias.get("QUALITY").to_ascii_lowercase().as_str() {
            "low" => NameKind::Weak,
            "f.k.a." | "fka" => NameKind::Former,
            _ => NameKind::Alias,
        };
        for part in alias.get("ALIAS_NAME").split(';') {
            entity.add_name(part, kind);
        }
        entity.add_birth(alias.get("DATE_OF_BIRTH"));
    }
    for nationality in node.all("NATIONALITY").flat_map(|n| n.all("VALUE")) {
        entity.add_country(CountryLink::Nationality, nationality.text.trim());
    }
    for birth in node.all("INDIVIDUAL_DATE_OF_BIRTH") {
        if let (Some(from), Some(to)) =
            (DateRange::parse(birth.get("FROM_YEAR")), DateRange::parse(birth.get("TO_YEAR")))
        {
            entity.add_birth_range(DateRange { from: from.from, to: to.to.max(from.to) });
        }
        let text = if birth.get("DATE").is_empty() { birth.get("YEAR") } else { birth.get("DATE") };
        let about = birth.get("TYPE_OF_DATE").to_ascii_uppercase().starts_with("APPROX");
        if about {
            entity.add_birth(&format!("circa {text}"));
        } else {
            entity.add_birth(text);
        }
    }
    for place in node.all("INDIVIDUAL_PLACE_OF_BIRTH") {
        entity.add_country(CountryLink::Birth, place.get("COUNTRY"));
        let text = ["CITY", "STATE_PROVINCE", "COUNTRY"]
            .map(|t| place.get(t))
            .into_iter()
            .filter(|p| !p.is_empty())
            .collect::<Vec<_>>()
            .join(", ");
        Entity::add_text(&mut entity.birth_places, &text);
    }
    for address in node.all(&format!("{tag}_ADDRESS")) {
        entity.add_country(CountryLink::Residence, address.get("COUNTRY"));
        let parts = ["STREET", "CITY", "STATE_PROVINCE", "ZIP_CODE", "COUNTRY"].map(|t| address.get(t));
        Entity::add_text(
            &mut entity.addresses,
            &parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(", "),
        );
    }
    for document in node.all("INDIVIDUAL_DOCUMENT") {
        let kind = match document.get("TYPE_OF_DOCUMENT").to_lowercase() {
            t if t.contains("passport") => "passport",
            t if t.contains("national") => "national-id",
            _ => "other",
        };
        let country = if document.get("ISSUING_COUNTRY").is_empty() {
            document.get("COUNTRY_OF_ISSUE")
        } else {
            document.get("ISSUING_COUNTRY")
        };
        entity.add_identifier(kind, document.get("NUMBER"), country);
    }
    match node.get("GENDER").to_lowercase().as_str() {
        "male" => "male".clone_into(&mut entity.gender),
        "female" => "female".clone_into(&mut entity.gender),
        _ => {}
    }
    for position in node.all("DESIGNATION").chain(node.all("TITLE")).flat_map(|n| n.all("VALUE")) {
        Entity::add_text(&mut entity.positions, &position.text);
    }
    Entity::add_text(&mut entity.programs, node.get("UN_LIST_TYPE"));
    Entity::add_text(&mut entity.notes, node.get("COMMENTS1"));
    node.get("LISTED_ON").clone_into(&mut entity.listed_on);
    entity.topics.push("sanction".to_owned());
    entity
}
