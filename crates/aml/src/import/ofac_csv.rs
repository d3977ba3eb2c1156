//! OFAC's legacy CSV folder: `sdn.csv`, `alt.csv`, `add.csv`, `sdn_comments.csv`, or the `cons_*` set.
//!
//! No header; `-0-` is null; a final 0x1A byte may follow. Key: `ent_num`. What is not
//! a column of its own stands in the remarks, separated by semicolons, and is read here.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{ImportError, open, text_of};
use crate::model::{CountryLink, Entity, NameKind, Schema};

/// Rows of the additional files, by entry number.
type Rows = HashMap<String, Vec<Vec<String>>>;

pub(super) fn import(folder: &Path, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    let find = |names: &[&str]| -> Option<PathBuf> {
        let entries = fs_err::read_dir(folder).ok()?;
        let files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        names.iter().find_map(|name| {
            files
                .iter()
                .find(|f| f.file_name().is_some_and(|n| n.to_string_lossy().eq_ignore_ascii_case(name)))
                .cloned()
        })
    };
    let alt = rows_by_entry(find(&["alt.csv", "cons_alt.csv"]))?;
    let add = rows_by_entry(find(&["add.csv", "cons_add.csv"]))?;
    let comments = rows_by_entry(find(&["sdn_comments.csv", "cons_comments.csv"]))?;
    let Some(primary) = find(&["sdn.csv", "cons_prim.csv"]) else {
        // OFAC's alias file alone still names entries: enough for a delta of aliases.
        if alt.is_empty() {
            let source = std::io::Error::new(
                std::io::ErrorKind::NotFound,
                "neither sdn.csv nor cons_prim.csv nor alt.csv",
            );
            return Err(ImportError::Read { path: folder.to_owned(), source });
        }
        return Ok(aliases_only(alt, &add, sink));
    };
    for_each_row(&primary, 4, &mut |row| {
        let get = |i: usize| row.get(i).map_or("", |s| null(s));
        if get(0).is_empty() || get(1).is_empty() {
            return;
        }
        let schema = match get(2).to_ascii_lowercase().as_str() {
            "individual" => Schema::Person,
            "vessel" => Schema::Vessel,
            "aircraft" => Schema::Airplane,
            _ => Schema::Organization,
        };
        let mut entity = Entity::new(format!("ofac:{}", get(0)), schema);
        entity.add_name(get(1), NameKind::Primary);
        for program in get(3).split(']') {
            Entity::add_text(&mut entity.programs, program.trim_matches(['[', ' ', ';']));
        }
        Entity::add_text(&mut entity.positions, get(4));
        entity.add_identifier("call-sign", get(5), "");
        entity.add_country(CountryLink::Registration, get(9));
        additions(&mut entity, row.first().map_or("", String::as_str), &alt, &add);
        let mut text = get(11).to_owned();
        for more in comments.get(get(0)).into_iter().flatten() {
            // The overflow continues where the remarks were cut, in the middle of a word.
            text.push_str(more.get(1).map_or("", |s| null(s)));
        }
        remarks(&mut entity, &text);
        entity.topics.push("sanction".to_owned());
        sink(entity);
    })?;
    Ok(String::new())
}

fn aliases_only(alt: Rows, add: &Rows, sink: &mut dyn FnMut(Entity)) -> String {
    let mut keys: Vec<String> = alt.keys().cloned().collect();
    keys.sort_by_key(|k| k.parse::<u64>().unwrap_or(u64::MAX));
    for key in keys {
        let comma = alt.get(&key).into_iter().flatten().any(|r| r.get(3).is_some_and(|n| n.contains(", ")));
        let mut entity = Entity::new(
            format!("ofac:{key}"),
            if comma { Schema::LegalEntity } else { Schema::Organization },
        );
        additions(&mut entity, &key, &alt, add);
        entity.topics.push("sanction".to_owned());
        sink(entity);
    }
    String::new()
}

fn additions(entity: &mut Entity, key: &str, alt: &Rows, add: &Rows) {
    for row in alt.get(key).into_iter().flatten() {
        let kind = if row.get(2).is_some_and(|t| t.trim().eq_ignore_ascii_case("fka")) {
            NameKind::Former
        } else {
            NameKind::Alias
        };
        let weak = row.get(4).is_some_and(|r| r.to_ascii_lowercase().contains("weak"));
        entity.add_name(row.get(3).map_or("", |s| null(s)), if weak { NameKind::Weak } else { kind });
    }
    for row in add.get(key).into_iter().flatten() {
        let part = |i: usize| row.get(i).map_or("", |s| null(s));
        entity.add_country(CountryLink::Residence, part(4));
        let text =
            [part(2), part(3), part(4)].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(", ");
        Entity::add_text(&mut entity.addresses, &text);
    }
}

fn null(text: &str) -> &str {
    let text = text.trim();
    if text.starts_with("-0-") { "" } else { text }
}

fn remarks(entity: &mut Entity, text: &str) {
    for part in text.split(';') {
        let part = part.trim().trim_end_matches('.');
        let part = part.strip_prefix("alt. ").unwrap_or(part);
        let after = |prefix: &str| part.strip_prefix(prefix).map(str::trim);
        if let Some(date) = after("DOB ").or_else(|| after("Organization Established Date ")) {
            entity.add_birth(date);
        } else if let Some(place) = after("POB ") {
            Entity::add_text(&mut entity.birth_places, place);
            if let Some(country) = place.rsplit(',').next() {
                entity.add_country(CountryLink::Birth, country);
            }
        } else if let Some(country) = after("nationality ").or_else(|| after("citizen ")) {
            entity.add_country(CountryLink::Nationality, country);
        } else if let Some(gender) = after("Gender ") {
            gender.to_lowercase().clone_into(&mut entity.gender);
        } else if let Some(name) = after("a.k.a. ").or_else(|| after("f.k.a. ")) {
            let name = name.trim_matches(['\'', '"', '‘', '’']);
            entity.add_name(name, NameKind::Weak);
        } else if let Some(name) = after("Linked To: ") {
            Entity::add_text(&mut entity.linked, name);
        } else if let Some(rest) = after("Digital Currency Address - ") {
            if let Some((_, address)) = rest.split_once(' ') {
                entity.add_identifier("crypto", address, "");
            }
        } else if let Some(url) = after("Website ") {
            Entity::add_text(&mut entity.urls, url);
        } else if !number(entity, part) {
            Entity::add_text(&mut entity.notes, part);
        }
    }
}

/// Reads "Passport A123 (Iran)", "National ID No. 7 (Cuba)", "Vessel Registration Identification IMO 123".
fn number(entity: &mut Entity, part: &str) -> bool {
    const KINDS: [(&str, &str); 22] = [
        ("Passport ", "passport"),
        ("Diplomatic Passport ", "passport"),
        ("Stateless Person Passport ", "passport"),
        ("National ID No. ", "national-id"),
        ("Identification Number ", "national-id"),
        ("Cedula No. ", "national-id"),
        ("C.U.R.P. ", "national-id"),
        ("C.U.I.T. ", "national-id"),
        ("D.N.I. ", "national-id"),
        ("Birth Certificate Number ", "national-id"),
        ("Tax ID No. ", "tax-id"),
        ("NIT # ", "tax-id"),
        ("R.F.C. ", "tax-id"),
        ("RUC # ", "tax-id"),
        ("SSN ", "tax-id"),
        ("Registration ID ", "registration"),
        ("Registration Number ", "registration"),
        ("Vessel Registration Identification IMO ", "imo"),
        ("MMSI ", "mmsi"),
        ("SWIFT/BIC ", "bic"),
        ("Legal Entity Number ", "lei"),
        ("Driver's License No. ", "driving-licence"),
    ];
    for (prefix, kind) in KINDS {
        let Some(rest) = part.strip_prefix(prefix) else { continue };
        let (value, country) = match rest.rsplit_once('(') {
            Some((value, country)) => (value.trim(), country.trim_end_matches(')')),
            None => (rest.trim(), ""),
        };
        let value =
            value.split(" issued ").next().unwrap_or(value).split(" expires ").next().unwrap_or(value);
        entity.add_identifier(kind, value, country);
        return true;
    }
    false
}

fn rows_by_entry(path: Option<PathBuf>) -> Result<Rows, ImportError> {
    let mut rows = Rows::new();
    if let Some(path) = path {
        for_each_row(&path, 2, &mut |row| {
            if let Some(key) = row.first() {
                rows.entry(key.trim().to_owned()).or_default().push(row);
            }
        })?;
    }
    Ok(rows)
}

/// Calls `sink` for each row that has a numeric key; refuses a file where no row has one.
fn for_each_row(path: &Path, least: usize, sink: &mut dyn FnMut(Vec<String>)) -> Result<(), ImportError> {
    let bad = |reason: String| ImportError::Malformed { path: path.to_owned(), format: "ofac-csv", reason };
    let input = open(path)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(input.take(super::MAX_FILE_BYTES));
    let mut record = csv::ByteRecord::new();
    let (mut good, mut wrong) = (0u64, 0u64);
    while reader.read_byte_record(&mut record).map_err(|e| bad(e.to_string()))? {
        let numeric =
            record.get(0).is_some_and(|k| !k.is_empty() && k.trim_ascii().iter().all(u8::is_ascii_digit));
        if !numeric || record.len() < least {
            wrong += u64::from(record.get(0) != Some(b"\x1a"));
            continue;
        }
        good += 1;
        sink(record.iter().take(16).map(text_of).collect());
    }
    if good == 0 || wrong > good / 10 + 1 {
        return Err(bad(format!("{wrong} of {} rows have no entry number", good + wrong)));
    }
    Ok(())
}
