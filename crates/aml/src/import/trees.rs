//! Lists that come as XML besides the UN's: EU, UK, and OFAC's advanced format.

use std::collections::HashMap;
use std::path::Path;

use super::tables::{eu_birth, gender, id_kind, join};
use super::xml::{Node, records};
use super::{ImportError, open};
use crate::dates::DateRange;
use crate::model::{CountryLink, Entity, NameKind, Schema};

/// EU FSF XML 1.1.
pub(super) fn eu_xml(path: &Path, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    let mut published = String::new();
    records(path, "eu-xml", open(path)?, &["sanctionEntity"], &mut |node| {
        if node.name != "sanctionEntity" {
            node.attribute("generationDate").clone_into(&mut published);
            return;
        }
        let key = Some(node.attribute("euReferenceNumber"))
            .filter(|k| !k.is_empty())
            .unwrap_or(node.attribute("logicalId"));
        let person = node
            .child("subjectType")
            .is_some_and(|s| s.attribute("code") == "person" || s.attribute("classificationCode") == "P");
        let mut entity =
            Entity::new(format!("eu:{key}"), if person { Schema::Person } else { Schema::Organization });
        for alias in node.all("nameAlias") {
            let kind = match alias.attribute("strong") {
                "false" => NameKind::Weak,
                _ if entity.names.is_empty() => NameKind::Primary,
                _ => NameKind::Alias,
            };
            let parts = ["firstName", "middleName", "lastName"].map(|p| alias.attribute(p));
            let whole = alias.attribute("wholeName");
            entity.add_name(if whole.is_empty() { parts.join(" ") } else { whole.to_owned() }.as_str(), kind);
            gender(&mut entity, alias.attribute("gender"));
            Entity::add_text(&mut entity.positions, alias.attribute("function"));
        }
        for birth in node.all("birthdate") {
            let range = eu_birth(
                birth.attribute("birthdate"),
                birth.attribute("year"),
                birth.attribute("yearRangeFrom"),
                birth.attribute("yearRangeTo"),
                birth.attribute("circa") == "true",
            );
            if let Some(range) = range {
                entity.add_birth_range(range);
            }
            entity.add_country(CountryLink::Birth, birth.attribute("countryIso2Code"));
            Entity::add_text(
                &mut entity.birth_places,
                &join(&[birth.attribute("city"), birth.attribute("place"), birth.attribute("region")]),
            );
        }
        for citizenship in node.all("citizenship") {
            entity.add_country(CountryLink::Nationality, citizenship.attribute("countryIso2Code"));
        }
        for id in node.all("identification") {
            entity.add_identifier(
                id_kind(id.attribute("identificationTypeCode")),
                id.attribute("number"),
                id.attribute("countryIso2Code"),
            );
            entity.add_identifier(
                id_kind(id.attribute("identificationTypeCode")),
                id.attribute("latinNumber"),
                id.attribute("countryIso2Code"),
            );
        }
        for address in node.all("address") {
            entity.add_country(CountryLink::Residence, address.attribute("countryIso2Code"));
            Entity::add_text(
                &mut entity.addresses,
                &join(
                    &["street", "poBox", "zipCode", "city", "region", "countryDescription"]
                        .map(|a| address.attribute(a)),
                ),
            );
        }
        for regulation in node.all("regulation") {
            Entity::add_text(&mut entity.programs, regulation.attribute("programme"));
            Entity::add_text(&mut entity.urls, regulation.get("publicationUrl"));
        }
        Entity::add_text(&mut entity.notes, node.get("remark"));
        node.attribute("designationDate").clone_into(&mut entity.listed_on);
        entity.topics.push("sanction".to_owned());
        sink(entity);
    })?;
    Ok(published)
}

/// The UK Sanctions List as XML.
pub(super) fn uk_xml(path: &Path, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    records(path, "uk-xml", open(path)?, &["Designation"], &mut |node| {
        if node.name != "Designation" {
            return;
        }
        let schema = match node.get("IndividualEntityShip").to_lowercase().as_str() {
            "individual" => Schema::Person,
            "ship" => Schema::Vessel,
            _ => Schema::Organization,
        };
        let mut entity = Entity::new(format!("uk:{}", node.get("UniqueID")), schema);
        for name in node.all("Names").flat_map(|n| n.all("Name")) {
            let text = ["Name1", "Name2", "Name3", "Name4", "Name5", "Name6"].map(|t| name.get(t));
            let text = text.into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(" ");
            let kind = if name.get("NameType").eq_ignore_ascii_case("primary name") {
                NameKind::Primary
            } else {
                NameKind::Alias
            };
            let weak = name.get("AliasStrength").to_lowercase().contains("low");
            entity.add_name(&text, if weak { NameKind::Weak } else { kind });
        }
        entity.names.sort_by_key(|n| n.kind != NameKind::Primary);
        for name in node.all("NonLatinNames").flat_map(|n| n.all("NonLatinName")) {
            entity.add_name(name.get("NameNonLatinScript"), NameKind::Alias);
        }
        for address in node.all("Addresses").flat_map(|n| n.all("Address")) {
            entity.add_country(CountryLink::Residence, address.get("AddressCountry"));
            let lines = [
                "AddressLine1",
                "AddressLine2",
                "AddressLine3",
                "AddressLine4",
                "AddressLine5",
                "AddressLine6",
                "AddressPostalCode",
                "AddressCountry",
            ];
            Entity::add_text(&mut entity.addresses, &join(&lines.map(|l| address.get(l))));
        }
        for individual in node.all("IndividualDetails").flat_map(|n| n.all("Individual")) {
            each(individual, "DOBs", "DOB", |t| entity.add_birth(t));
            each(individual, "Nationalities", "Nationality", |t| {
                entity.add_country(CountryLink::Nationality, t)
            });
            each(individual, "Positions", "Position", |t| Entity::add_text(&mut entity.positions, t));
            each(individual, "Genders", "Gender", |t| gender(&mut entity, t));
            for location in individual.all("BirthDetails").flat_map(|n| n.all("Location")) {
                entity.add_country(CountryLink::Birth, location.get("CountryOfBirth"));
                Entity::add_text(
                    &mut entity.birth_places,
                    &join(&[location.get("TownOfBirth"), location.get("CountryOfBirth")]),
                );
            }
            for (outer, inner, number, kind) in [
                ("PassportDetails", "Passport", "PassportNumber", "passport"),
                (
                    "NationalIdentifierDetails",
                    "NationalIdentifier",
                    "NationalIdentifierNumber",
                    "national-id",
                ),
            ] {
                for id in individual.all(outer).flat_map(|n| n.all(inner)) {
                    entity.add_identifier(kind, id.get(number), "");
                }
            }
        }
        for ship in node.all("ShipDetails").flat_map(|n| n.all("Ship")) {
            each(ship, "IMONumbers", "IMONumber", |t| entity.add_identifier("imo", t, ""));
        }
        Entity::add_text(&mut entity.programs, node.get("RegimeName"));
        Entity::add_text(&mut entity.notes, node.get("UKStatementofReasons"));
        Entity::add_text(&mut entity.notes, node.get("OtherInformation"));
        node.get("DateDesignated").clone_into(&mut entity.listed_on);
        entity.topics.push("sanction".to_owned());
        sink(entity);
    })?;
    Ok(String::new())
}

fn each(node: &Node, outer: &str, inner: &str, mut sink: impl FnMut(&str)) {
    for value in node.all(outer).flat_map(|n| n.all(inner)) {
        sink(value.text.trim());
    }
}

/// OFAC's advanced XML (ASLS): reference values first, then documents, then parties, then sanctions entries.
pub(super) fn ofac_advanced(path: &Path, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    let wanted =
        ["DateOfIssue", "ReferenceValueSets", "Location", "IDRegDocument", "DistinctParty", "SanctionsEntry"];
    let mut values: HashMap<(String, String), String> = HashMap::new();
    let mut countries: HashMap<String, String> = HashMap::new();
    let mut locations: HashMap<String, (String, String)> = HashMap::new();
    let mut documents: HashMap<String, Vec<(String, String, String)>> = HashMap::new();
    let mut parties: Vec<Entity> = Vec::new();
    // Profiles by their place: tens of thousands of entries point back at them.
    let mut profiles: HashMap<String, usize> = HashMap::new();
    let mut published = String::new();
    records(path, "ofac-xml", open(path)?, &wanted, &mut |node| match node.name.as_str() {
        "DateOfIssue" => {
            let date = (
                node.get("Year").parse::<u32>(),
                node.get("Month").parse::<u32>(),
                node.get("Day").parse::<u32>(),
            );
            if let (Ok(y), Ok(m), Ok(d)) = date {
                published = DateRange::day(y, m, d).to_string();
            }
        }
        "ReferenceValueSets" => {
            for set in &node.children {
                for value in &set.children {
                    values.insert(
                        (value.name.clone(), value.attribute("ID").to_owned()),
                        value.text.trim().to_owned(),
                    );
                    if value.name == "Country" {
                        let code = if value.attribute("ISO2").is_empty() {
                            value.text.trim()
                        } else {
                            value.attribute("ISO2")
                        };
                        countries.insert(value.attribute("ID").to_owned(), code.to_owned());
                    }
                }
            }
        }
        "Location" => {
            let country = node
                .child("LocationCountry")
                .and_then(|c| countries.get(c.attribute("CountryID")))
                .cloned()
                .unwrap_or_default();
            let parts: Vec<&str> = node
                .all("LocationPart")
                .flat_map(|p| p.all("LocationPartValue"))
                .map(|v| v.get("Value"))
                .collect();
            locations.insert(node.attribute("ID").to_owned(), (country, join(&parts)));
        }
        "IDRegDocument" => {
            let kind = values
                .get(&("IDRegDocType".to_owned(), node.attribute("IDRegDocTypeID").to_owned()))
                .cloned()
                .unwrap_or_default();
            let country = countries.get(node.attribute("IssuedBy-CountryID")).cloned().unwrap_or_default();
            documents.entry(node.attribute("IdentityID").to_owned()).or_default().push((
                kind,
                node.get("IDRegistrationNo").to_owned(),
                country,
            ));
        }
        "DistinctParty" => {
            let known = Known {
                values: &values,
                locations: &locations,
                documents: &documents,
                countries: &countries,
            };
            if let Some((profile, entity)) = known.party(&node) {
                profiles.insert(profile, parties.len());
                parties.push(entity);
            }
        }
        "SanctionsEntry" => {
            let profile = node.attribute("ProfileID");
            if let Some(entity) = profiles.get(profile).and_then(|&at| parties.get_mut(at)) {
                for measure in node.all("SanctionsMeasure") {
                    Entity::add_text(&mut entity.programs, measure.get("Comment"));
                }
            }
        }
        _ => {}
    })?;
    parties.into_iter().for_each(sink);
    Ok(published)
}

struct Known<'a> {
    values: &'a HashMap<(String, String), String>,
    countries: &'a HashMap<String, String>,
    locations: &'a HashMap<String, (String, String)>,
    documents: &'a HashMap<String, Vec<(String, String, String)>>,
}

impl Known<'_> {
    fn value(&self, set: &str, id: &str) -> &str {
        self.values.get(&(set.to_owned(), id.to_owned())).map_or("", String::as_str)
    }

    fn party(&self, node: &Node) -> Option<(String, Entity)> {
        let profile = node.child("Profile")?;
        let schema =
            match self.value("PartySubType", profile.attribute("PartySubTypeID")).to_lowercase().as_str() {
                "vessel" => Schema::Vessel,
                "aircraft" => Schema::Airplane,
                // Individuals and entities have the sub-type "Unknown"; the type of the name parts tells them apart.
                _ => Schema::LegalEntity,
            };
        let mut entity = Entity::new(format!("ofac:{}", node.attribute("FixedRef")), schema);
        let mut person = false;
        for identity in profile.all("Identity") {
            let mut part_types: HashMap<&str, &str> = HashMap::new();
            for group in identity
                .all("NamePartGroups")
                .flat_map(|n| n.all("MasterNamePartGroup"))
                .flat_map(|m| m.all("NamePartGroup"))
            {
                part_types.insert(
                    group.attribute("ID"),
                    self.value("NamePartType", group.attribute("NamePartTypeID")),
                );
            }
            for alias in identity.all("Alias") {
                let weak = alias.attribute("LowQuality") == "true";
                let alias_type = self.value("AliasType", alias.attribute("AliasTypeID"));
                let kind = match alias_type {
                    _ if weak => NameKind::Weak,
                    _ if alias.attribute("Primary") == "true" => NameKind::Primary,
                    "F.K.A." => NameKind::Former,
                    _ => NameKind::Alias,
                };
                for name in alias.all("DocumentedName") {
                    let mut parts: Vec<(u8, &str)> = Vec::new();
                    for value in name.all("DocumentedNamePart").flat_map(|p| p.all("NamePartValue")) {
                        let part = part_types
                            .get(value.attribute("NamePartGroupID"))
                            .copied()
                            .unwrap_or_default()
                            .to_lowercase();
                        let order = match part.as_str() {
                            "first name" => 0,
                            "middle name" => 1,
                            "patronymic" => 2,
                            "last name" | "matronymic" | "maiden name" => 3,
                            _ => 4,
                        };
                        person |= order < 4;
                        parts.push((order, value.text.trim()));
                    }
                    parts.sort_by_key(|p| p.0);
                    entity.add_name(&parts.iter().map(|p| p.1).collect::<Vec<_>>().join(" "), kind);
                }
            }
            for (kind, number, country) in self.documents.get(identity.attribute("ID")).into_iter().flatten()
            {
                entity.add_identifier(id_kind(kind), number, country);
            }
        }
        entity.names.sort_by_key(|n| n.kind != NameKind::Primary);
        if person && entity.schema == Schema::LegalEntity {
            entity.schema = Schema::Person;
        } else if entity.schema == Schema::LegalEntity {
            entity.schema = Schema::Organization;
        }
        for feature in profile.all("Feature") {
            let kind = self.value("FeatureType", feature.attribute("FeatureTypeID")).to_lowercase();
            for version in feature.all("FeatureVersion") {
                self.feature(&mut entity, &kind, version);
            }
        }
        entity.topics.push("sanction".to_owned());
        Some((profile.attribute("ID").to_owned(), entity))
    }

    fn feature(&self, entity: &mut Entity, kind: &str, version: &Node) {
        let details: Vec<&str> = version
            .all("VersionDetail")
            .map(|d| {
                if d.attribute("DetailReferenceID").is_empty() {
                    d.text.trim()
                } else {
                    self.value("DetailReference", d.attribute("DetailReferenceID"))
                }
            })
            .collect();
        let places: Vec<&(String, String)> = version
            .all("VersionLocation")
            .filter_map(|l| self.locations.get(l.attribute("LocationID")))
            .collect();
        match kind {
            "birthdate" => {
                for period in version.all("DatePeriod") {
                    let end = |side: &str, point: &str| {
                        period.child(side).and_then(|s| s.child(point)).and_then(date_point)
                    };
                    let from = end("Start", "From");
                    let to = end("End", "To").or_else(|| end("Start", "To"));
                    if let (Some(from), Some(to)) = (from, to.or(from)) {
                        entity.add_birth_range(DateRange { from: from.from, to: to.to.max(from.from) });
                    }
                }
            }
            "place of birth" => {
                details.iter().for_each(|t| Entity::add_text(&mut entity.birth_places, t));
                for (country, text) in places {
                    entity.add_country(CountryLink::Birth, country);
                    Entity::add_text(&mut entity.birth_places, text);
                }
            }
            "nationality country" | "citizenship country" => {
                places.iter().for_each(|p| entity.add_country(CountryLink::Nationality, &p.0))
            }
            "location" => {
                for (country, text) in places {
                    entity.add_country(CountryLink::Residence, country);
                    Entity::add_text(&mut entity.addresses, text);
                }
            }
            "gender" => details.iter().for_each(|t| gender(entity, t)),
            "title" => details.iter().for_each(|t| Entity::add_text(&mut entity.positions, t)),
            "website" => details.iter().for_each(|t| Entity::add_text(&mut entity.urls, t)),
            k if k.starts_with("digital currency") => {
                details.iter().for_each(|t| entity.add_identifier("crypto", t, ""))
            }
            k if k.contains("imo") || k.contains("vessel registration") => {
                details.iter().for_each(|t| entity.add_identifier("imo", t.trim_start_matches("IMO "), ""))
            }
            k if k.contains("bic") || k.contains("swift") => {
                details.iter().for_each(|t| entity.add_identifier("bic", t, ""))
            }
            _ => details.iter().for_each(|t| Entity::add_text(&mut entity.notes, &format!("{kind}: {t}"))),
        }
        let _ = self.countries;
    }
}

fn date_point(node: &Node) -> Option<DateRange> {
    let number = |name: &str| node.get(name).parse::<u32>().ok();
    Some(DateRange::day(number("Year")?, number("Month").unwrap_or(1), number("Day").unwrap_or(1)))
}
