//! Lists that come as tables with a header: EU and UK CSV, BIS, US CSL, OpenSanctions simple, the operator's own.
//!
//! Columns are found by name, never by position; a file without the columns that
//! carry key and name is refused.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::path::Path;

use super::{Format, ImportError, MAX_FILE_BYTES, open};
use crate::dates::DateRange;
use crate::model::{CountryLink, Entity, NameKind, Schema};

/// One row, read by column name.
struct Row<'a> {
    columns: &'a HashMap<String, usize>,
    fields: &'a csv::StringRecord,
}

impl<'a> Row<'a> {
    /// The trimmed value of the first of these columns that is not empty.
    fn get(&self, names: &[&str]) -> &'a str {
        let found = names
            .iter()
            .filter_map(|n| self.columns.get(*n))
            .filter_map(|&i| self.fields.get(i))
            .map(str::trim);
        found.into_iter().find(|v| !v.is_empty()).unwrap_or_default()
    }

    /// The values of a column that holds several.
    fn many(&self, names: &[&str], separators: &'static [char]) -> impl Iterator<Item = &'a str> {
        self.get(names).split(separators).map(|v| v.trim().trim_matches('"').trim()).filter(|v| !v.is_empty())
    }
}

fn plain(header: &str) -> String {
    header
        .trim_start_matches('\u{feff}')
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Calls `sink` for each row after checking that all `required` columns are there.
fn rows(
    path: &Path,
    format: Format,
    delimiter: u8,
    skip_lines: usize,
    required: &[&str],
    sink: &mut dyn FnMut(Row<'_>),
) -> Result<(), ImportError> {
    let bad =
        |reason: String| ImportError::Malformed { path: path.to_owned(), format: format.name(), reason };
    let mut input = open(path)?.take(MAX_FILE_BYTES);
    for _ in 0..skip_lines {
        let mut line = Vec::new();
        (&mut input)
            .take(1 << 16)
            .read_until(b'\n', &mut line)
            .map_err(|source| ImportError::Read { path: path.to_owned(), source })?;
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(input);
    let mut record = csv::ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(|e| bad(e.to_string()))? && !reader.has_headers() {
        return Err(bad("the file is empty".to_owned()));
    }
    let header = reader.byte_headers().map_err(|e| bad(e.to_string()))?.clone();
    let mut columns = HashMap::new();
    for (i, name) in header.iter().enumerate().take(400) {
        columns.entry(plain(&super::text_of(name))).or_insert(i);
    }
    for name in required {
        if !columns.contains_key(*name) {
            return Err(bad(format!("column {name} is missing")));
        }
    }
    let mut more = !record.is_empty();
    while more {
        let fields: csv::StringRecord = record.iter().map(super::text_of).collect();
        sink(Row { columns: &columns, fields: &fields });
        more = reader.read_byte_record(&mut record).map_err(|e| bad(e.to_string()))?;
    }
    Ok(())
}

/// Gathers rows of one entity that stand together.
struct Gather<'s> {
    current: Option<Entity>,
    sink: &'s mut dyn FnMut(Entity),
}

impl<'s> Gather<'s> {
    fn new(sink: &'s mut dyn FnMut(Entity)) -> Self {
        Self { current: None, sink }
    }

    fn entity(&mut self, key: String, schema: Schema) -> &mut Entity {
        if self.current.as_ref().is_some_and(|e| e.key != key) {
            self.flush();
        }
        self.current.get_or_insert_with(|| Entity::new(key, schema))
    }

    fn flush(&mut self) {
        if let Some(entity) = self.current.take() {
            (self.sink)(entity);
        }
    }
}

/// EU FSF CSV 1.1: `;`, one row per sub-record, grouped by `Entity_LogicalId`.
pub(super) fn eu_csv(path: &Path, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    let mut gather = Gather::new(sink);
    let mut published = String::new();
    rows(path, Format::EuCsv, b';', 0, &["entitylogicalid", "namealiaswholename"], &mut |row| {
        if published.is_empty() {
            row.get(&["filegenerationdate"]).clone_into(&mut published);
        }
        let key = row.get(&["entityeureferencenumber", "entitylogicalid"]);
        if key.is_empty() {
            return;
        }
        let schema = if row
            .get(&["entitysubjecttype", "entitysubjecttypeclassificationcode"])
            .to_lowercase()
            .starts_with('p')
        {
            Schema::Person
        } else {
            Schema::Organization
        };
        let entity = gather.entity(format!("eu:{key}"), schema);
        let strong = !row.get(&["namealiasstrong"]).eq_ignore_ascii_case("false");
        let kind = if !strong {
            NameKind::Weak
        } else if entity.names.is_empty() {
            NameKind::Primary
        } else {
            NameKind::Alias
        };
        entity.add_name(row.get(&["namealiaswholename"]), kind);
        Entity::add_text(&mut entity.positions, row.get(&["namealiasfunction"]));
        gender(entity, row.get(&["namealiasgender"]));
        entity.add_birth(row.get(&["birthdatebirthdate", "birthdateyear"]));
        Entity::add_text(&mut entity.birth_places, row.get(&["birthdateplace", "birthdatecity"]));
        entity.add_country(CountryLink::Birth, row.get(&["birthdatecountryiso2code"]));
        entity.add_country(CountryLink::Nationality, row.get(&["citizenshipcountryiso2code"]));
        entity.add_country(CountryLink::Residence, row.get(&["addresscountryiso2code"]));
        let address = ["addressstreet", "addresszipcode", "addresscity", "addresscountrydescription"]
            .map(|c| row.get(&[c]));
        Entity::add_text(&mut entity.addresses, &join(&address));
        entity.add_identifier(
            id_kind(row.get(&["identificationtypecode", "identificationtypedescription"])),
            row.get(&["identificationnumber", "identificationlatinnumber"]),
            row.get(&["identificationcountryiso2code"]),
        );
        Entity::add_text(&mut entity.programs, row.get(&["entityregulationprogramme"]));
        Entity::add_text(&mut entity.notes, row.get(&["entityremark"]));
        Entity::add_text(&mut entity.urls, row.get(&["entityregulationpublicationurl"]));
        row.get(&["entitydesignationdate"]).clone_into(&mut entity.listed_on);
        Entity::add_text(&mut entity.topics, "sanction");
    })?;
    gather.flush();
    Ok(published)
}

/// The UK Sanctions List as CSV: a date line, a header, several rows per `Unique ID`.
pub(super) fn uk_csv(path: &Path, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    // Rows of one entity need not stand together.
    let mut order: Vec<String> = Vec::new();
    let mut entities: HashMap<String, Entity> = HashMap::new();
    let mut published = String::new();
    let mut first = String::new();
    open(path)?
        .take(4096)
        .read_line(&mut first)
        .map_err(|source| ImportError::Read { path: path.to_owned(), source })?;
    let dated = !plain(&first).contains("uniqueid");
    if dated {
        first.split([',', ':']).next_back().unwrap_or_default().trim().clone_into(&mut published);
    }
    rows(path, Format::UkCsv, b',', usize::from(dated), &["uniqueid", "name6"], &mut |row| {
        let key = row.get(&["uniqueid"]);
        if key.is_empty() {
            return;
        }
        let schema = match row.get(&["designationtype"]).to_lowercase().as_str() {
            "individual" => Schema::Person,
            "ship" => Schema::Vessel,
            _ => Schema::Organization,
        };
        if !entities.contains_key(key) {
            order.push(key.to_owned());
        }
        let entity =
            entities.entry(key.to_owned()).or_insert_with(|| Entity::new(format!("uk:{key}"), schema));
        let name =
            join_with(&["name1", "name2", "name3", "name4", "name5", "name6"].map(|c| row.get(&[c])), " ");
        let kind = match (
            row.get(&["nametype"]).to_lowercase().as_str(),
            row.get(&["aliasstrength"]).to_lowercase().as_str(),
        ) {
            (_, strength) if strength.contains("low") => NameKind::Weak,
            ("primary name", _) => NameKind::Primary,
            _ => NameKind::Alias,
        };
        entity.add_name(&name, kind);
        entity.add_name(row.get(&["namenonlatinscript"]), NameKind::Alias);
        for birth in row.many(&["dob"], &[';', '|']) {
            entity.add_birth(birth);
        }
        for country in row.many(&["nationalityies", "nationality"], &[';', '|']) {
            entity.add_country(CountryLink::Nationality, country);
        }
        entity.add_country(CountryLink::Birth, row.get(&["countryofbirth"]));
        Entity::add_text(&mut entity.birth_places, row.get(&["townofbirth"]));
        entity.add_country(CountryLink::Residence, row.get(&["addresscountry", "country"]));
        let lines = [
            "addressline1",
            "addressline2",
            "addressline3",
            "addressline4",
            "addressline5",
            "addressline6",
            "addresspostalcode",
            "addresscountry",
        ]
        .map(|c| row.get(&[c]));
        Entity::add_text(&mut entity.addresses, &join(&lines));
        gender(entity, row.get(&["gender"]));
        entity.add_identifier("passport", row.get(&["passportnumber"]), "");
        entity.add_identifier("national-id", row.get(&["nationalidentifiernumber"]), "");
        entity.add_identifier(
            "registration",
            row.get(&["businessregistrationnumbers", "businessregistrationnumber"]),
            "",
        );
        entity.add_identifier("imo", row.get(&["imonumber"]), "");
        entity.add_country(
            CountryLink::Registration,
            row.get(&["currentbelievedflagofship", "currentbelievedflag"]),
        );
        Entity::add_text(&mut entity.positions, row.get(&["position"]));
        Entity::add_text(&mut entity.programs, row.get(&["regimename"]));
        Entity::add_text(&mut entity.notes, row.get(&["ukstatementofreasons", "otherinformation"]));
        row.get(&["datedesignated"]).clone_into(&mut entity.listed_on);
        Entity::add_text(&mut entity.topics, "sanction");
    })?;
    for key in order {
        if let Some(mut entity) = entities.remove(&key) {
            entity.names.sort_by_key(|n| n.kind != NameKind::Primary);
            sink(entity);
        }
    }
    Ok(published)
}

/// The US Denied Persons List: tab-separated; the list has no key, so name and order make one.
pub(super) fn bis(path: &Path, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    rows(path, Format::BisDpl, b'\t', 0, &["name", "effectivedate"], &mut |row| {
        let name = row.get(&["name"]);
        let order = format!("{name}|{}|{}", row.get(&["effectivedate"]), row.get(&["frcitation"]));
        let mut entity = Entity::new(format!("bis:{:016x}", names::hash(&order)), Schema::LegalEntity);
        entity.add_name(name, NameKind::Primary);
        entity.add_country(CountryLink::Residence, row.get(&["country"]));
        let address = ["streetaddress", "city", "state", "postalcode", "country"].map(|c| row.get(&[c]));
        Entity::add_text(&mut entity.addresses, &join(&address));
        Entity::add_text(&mut entity.notes, row.get(&["action"]));
        Entity::add_text(&mut entity.notes, row.get(&["frcitation"]));
        row.get(&["effectivedate"]).clone_into(&mut entity.listed_on);
        entity.topics.push("debarment".to_owned());
        entity.topics.push("export.control".to_owned());
        sink(entity);
    })?;
    Ok(String::new())
}

/// The US Consolidated Screening List as CSV.
pub(super) fn csl(path: &Path, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    rows(path, Format::UsCsl, b',', 0, &["source", "name"], &mut |row| {
        let source = row.get(&["source"]);
        let name = row.get(&["name"]);
        let key = row.get(&["id", "entitynumber"]);
        let key = if key.is_empty() {
            format!("{:016x}", names::hash(&format!("{source}|{name}|{}", row.get(&["startdate"]))))
        } else {
            key.to_owned()
        };
        let schema = match row.get(&["type"]).to_lowercase().as_str() {
            "individual" => Schema::Person,
            "entity" => Schema::Organization,
            "vessel" => Schema::Vessel,
            "aircraft" => Schema::Airplane,
            _ => Schema::LegalEntity,
        };
        let mut entity = Entity::new(format!("csl:{key}"), schema);
        entity.add_name(name, NameKind::Primary);
        for alias in row.many(&["altnames"], &[';']) {
            entity.add_name(alias, NameKind::Alias);
        }
        for birth in row.many(&["datesofbirth"], &[';']) {
            entity.add_birth(birth);
        }
        for country in row.many(&["citizenships"], &[';']).chain(row.many(&["nationalities"], &[';'])) {
            entity.add_country(CountryLink::Nationality, country);
        }
        for place in row.many(&["placesofbirth"], &[';']) {
            Entity::add_text(&mut entity.birth_places, place);
            entity.add_country(CountryLink::Birth, place.rsplit(',').next().unwrap_or_default());
        }
        for address in row.many(&["addresses"], &[';']) {
            Entity::add_text(&mut entity.addresses, address);
            entity.add_country(CountryLink::Residence, address.rsplit(',').next().unwrap_or_default());
        }
        for id in row.many(&["ids"], &[';']) {
            // "Passport, A1234, IR": kind, number, country.
            let mut parts = id.split(',').map(str::trim);
            let (kind, value, country) = (
                parts.next().unwrap_or_default(),
                parts.next().unwrap_or_default(),
                parts.next().unwrap_or_default(),
            );
            entity.add_identifier(id_kind(kind), value, country);
        }
        for program in row.many(&["programs"], &[';']) {
            Entity::add_text(&mut entity.programs, program);
        }
        Entity::add_text(&mut entity.programs, source);
        Entity::add_text(&mut entity.positions, row.get(&["title"]));
        Entity::add_text(&mut entity.notes, row.get(&["remarks"]));
        Entity::add_text(&mut entity.urls, row.get(&["sourcelisturl"]));
        row.get(&["startdate"]).clone_into(&mut entity.listed_on);
        let topic = if source.contains("Treasury") { "sanction" } else { "export.control" };
        entity.topics.push(topic.to_owned());
        sink(entity);
    })?;
    Ok(String::new())
}

/// OpenSanctions `targets.simple.csv`: read by header, several values separated by `;`.
pub(super) fn simple(path: &Path, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    let mut published = String::new();
    rows(path, Format::OsSimple, b',', 0, &["id", "schema", "name"], &mut |row| {
        let mut entity = Entity::new(format!("os:{}", row.get(&["id"])), Schema::parse(row.get(&["schema"])));
        entity.add_name(row.get(&["name"]), NameKind::Primary);
        for alias in row.many(&["aliases"], &[';']) {
            entity.add_name(alias, NameKind::Alias);
        }
        for birth in row.many(&["birthdate"], &[';']) {
            entity.add_birth(birth);
        }
        for country in row.many(&["countries"], &[';']) {
            entity.add_country(CountryLink::Unspecified, country);
        }
        for address in row.many(&["addresses"], &[';']) {
            Entity::add_text(&mut entity.addresses, address);
        }
        for id in row.many(&["identifiers"], &[';']) {
            entity.add_identifier(
                if id.starts_with("IMO") { "imo" } else { "other" },
                id.trim_start_matches("IMO"),
                "",
            );
        }
        for sanction in row.many(&["sanctions"], &[';']) {
            Entity::add_text(&mut entity.notes, sanction);
        }
        for program in row.many(&["programids"], &[';']) {
            Entity::add_text(&mut entity.programs, program);
        }
        let dataset = row.get(&["dataset"]);
        Entity::add_text(&mut entity.programs, dataset);
        row.get(&["firstseen"]).clone_into(&mut entity.listed_on);
        // This export has no topics; its data sets of politicians say so in their names.
        let lower = dataset.to_lowercase();
        let pep = lower.contains("pep")
            || lower.contains("politic")
            || lower.contains("congress")
            || lower.contains("parliament");
        entity.topics.push(if pep { "role.pep" } else { "sanction" }.to_owned());
        if row.get(&["lastseen"]) > published.as_str() {
            row.get(&["lastseen"]).clone_into(&mut published);
        }
        sink(entity);
    })?;
    Ok(published)
}

/// The operator's own list: `id, schema, name` and, if present, `aliases, birth_date, countries, gender, identifiers, topics, notes`.
pub(super) fn operator(path: &Path, sink: &mut dyn FnMut(Entity)) -> Result<String, ImportError> {
    rows(path, Format::Csv, b',', 0, &["id", "name"], &mut |row| {
        let schema =
            Some(row.get(&["schema"])).filter(|s| !s.is_empty()).map_or(Schema::LegalEntity, Schema::parse);
        let mut entity = Entity::new(format!("csv:{}", row.get(&["id"])), schema);
        entity.add_name(row.get(&["name"]), NameKind::Primary);
        for alias in row.many(&["aliases", "alias"], &[';', '|']) {
            entity.add_name(alias, NameKind::Alias);
        }
        for birth in row.many(&["birthdate", "dob"], &[';', '|']) {
            entity.add_birth(birth);
        }
        for country in row.many(&["countries", "country", "nationality"], &[';', '|']) {
            entity.add_country(CountryLink::Unspecified, country);
        }
        gender(&mut entity, row.get(&["gender"]));
        for id in row.many(&["identifiers", "documentnumber"], &[';', '|']) {
            let (kind, value) = id.split_once(':').unwrap_or(("other", id));
            entity.add_identifier(kind, value, "");
        }
        for topic in row.many(&["topics"], &[';', '|']) {
            Entity::add_text(&mut entity.topics, topic);
        }
        Entity::add_text(&mut entity.notes, row.get(&["notes"]));
        if entity.topics.is_empty() {
            entity.topics.push("poi".to_owned());
        }
        sink(entity);
    })?;
    Ok(String::new())
}

pub(super) fn gender(entity: &mut Entity, text: &str) {
    match text.trim().to_lowercase().as_str() {
        "m" | "male" => "male".clone_into(&mut entity.gender),
        "f" | "female" => "female".clone_into(&mut entity.gender),
        _ => {}
    }
}

pub(super) fn join(parts: &[&str]) -> String {
    join_with(parts, ", ")
}

fn join_with(parts: &[&str], with: &str) -> String {
    parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join(with)
}

/// The kind of an identifier from what a list calls it.
pub(super) fn id_kind(text: &str) -> &'static str {
    let text = text.to_lowercase();
    let has = |w: &str| text.contains(w);
    match () {
        () if has("passport") => "passport",
        () if has("imo") => "imo",
        () if has("mmsi") => "mmsi",
        () if has("digital currency") || has("crypto") || has("wallet") => "crypto",
        () if has("swift") || has("bic") => "bic",
        () if has("tax") || has("inn") || has("fiscal") || has("vat") => "tax-id",
        () if has("regist") || has("ogrn") => "registration",
        () if has("driv") => "driving-licence",
        () if has("national") || has("id") || has("cedula") || has("identification") => "national-id",
        () => "other",
    }
}

/// Years or days of an EU birth date with its parts.
pub(super) fn eu_birth(date: &str, year: &str, from: &str, to: &str, circa: bool) -> Option<DateRange> {
    if let (Some(a), Some(b)) = (DateRange::parse(from), DateRange::parse(to)) {
        return Some(DateRange { from: a.from, to: b.to.max(a.to) });
    }
    let text = if date.is_empty() { year } else { date };
    if circa { DateRange::parse(&format!("circa {text}")) } else { DateRange::parse(text) }
}
