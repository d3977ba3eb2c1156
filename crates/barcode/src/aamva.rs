//! Reads the payload of North American driving licences and identity cards (AAMVA DL/ID Card Design Standard, annex D).
//!
//! Issuers get headers wrong, editors strip control characters, scanners put others in their place. So elements are
//! found by their three-letter ids, whatever the header says, and every departure from the standard is a
//! [`Warning`]: the caller judges. Versions 1 (2000) to 11 (2025).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A payload has at most this many bytes (PDF417 holds 1850 characters of text).
const LONGEST: usize = 16 * 1024;

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Year, 1880 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a payload says. Absent, `NONE` and `unavl` are all `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Aamva {
    /// The header, as far as it could be read.
    pub header: Header,
    /// `driver_license`, `id_card` or `enhanced_license`, from the subfile that holds the person.
    pub document_type: &'static str,
    /// `DAQ` (version 1 also `DBJ`).
    pub document_number: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Middle names, joined by spaces.
    pub middle_names: Option<String>,
    /// `JR`, `III` …
    pub name_suffix: Option<String>,
    /// `T`, `N` or `U` for family, first and middle names: truncated, not, unknown.
    pub truncated: [Option<char>; 3],
    /// Birth date.
    pub birth_date: Option<Date>,
    /// Date of issue.
    pub issue_date: Option<Date>,
    /// Date of expiry.
    pub expiry_date: Option<Date>,
    /// `M`, `F` or `X`.
    pub sex: Option<&'static str>,
    /// Height in centimetres, rounded.
    pub height_cm: Option<u16>,
    /// Weight in kilograms, rounded.
    pub weight_kg: Option<u16>,
    /// Colour of the eyes as a word.
    pub eye_colour: Option<&'static str>,
    /// Colour of the hair as a word.
    pub hair_colour: Option<&'static str>,
    /// Street lines, city, state, postal code.
    pub address: Address,
    /// Three-letter country code of the issuer (`USA`, `CAN`).
    pub country: Option<String>,
    /// Two-letter code of the issuing state or province.
    pub jurisdiction: Option<String>,
    /// Vehicle classes.
    pub vehicle_class: Option<String>,
    /// Restriction codes.
    pub restrictions: Option<String>,
    /// Endorsement codes.
    pub endorsements: Option<String>,
    /// The number of this very card.
    pub document_discriminator: Option<String>,
    /// REAL ID: `F` compliant, `N` not (the older `M` and `P` also occur).
    pub compliance_type: Option<String>,
    /// Whether the person's stay is limited.
    pub limited_duration: Option<bool>,
    /// Organ donor.
    pub organ_donor: Option<bool>,
    /// Veteran.
    pub veteran: Option<bool>,
    /// The person is under 18, 19 and 21 until these days.
    pub under_until: [Option<Date>; 3],
    /// Every element under its name: unknown ids under the id.
    pub elements: BTreeMap<String, String>,
    /// What departs from the standard or contradicts itself.
    pub warnings: Vec<Warning>,
}

/// The header of a payload.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Header {
    /// `ANSI ` or `AAMVA`.
    pub file_type: Option<String>,
    /// Issuer identification number.
    pub iin: Option<String>,
    /// The issuer's name, when the number is known.
    pub issuer: Option<String>,
    /// Version of the standard.
    pub version: Option<u8>,
    /// The issuer's own version.
    pub jurisdiction_version: Option<u8>,
    /// How many subfiles it announces.
    pub entries: Option<u8>,
    /// The subfiles announced.
    pub subfiles: Vec<Subfile>,
}

/// One subfile as the header announces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subfile {
    /// `DL`, `ID`, `EN` or `Z?`.
    pub kind: String,
    /// Bytes from the start of the payload.
    pub offset: u16,
    /// Bytes.
    pub length: u16,
}

/// An address as printed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Address {
    /// Street line.
    pub street: Option<String>,
    /// Second street line.
    pub street_2: Option<String>,
    /// City.
    pub city: Option<String>,
    /// State or province.
    pub state: Option<String>,
    /// Postal code without its filling; American nine-digit codes with their dash.
    pub postal_code: Option<String>,
}

/// A departure from the standard or a contradiction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Which.
    pub code: &'static str,
    /// What was seen.
    pub detail: String,
}

/// Why bytes are no AAMVA payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AamvaError {
    /// More bytes than a barcode can hold.
    #[error("payload is longer than a barcode can hold")]
    TooLong,
    /// Neither header nor elements of a person.
    #[error("payload has neither the header nor the elements of a licence")]
    NotAamva,
}

#[derive(Deserialize)]
struct Tables {
    issuers: BTreeMap<String, Issuer>,
    elements: BTreeMap<String, String>,
    versions: BTreeMap<String, u16>,
    eyes: BTreeMap<String, String>,
    hair: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Issuer {
    code: String,
    country: String,
    name: String,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        toml::from_str(include_str!("../data/aamva.toml")).expect("a test reads the embedded table")
    })
}

/// Whether bytes look like such a payload, cheaply: for choosing a parser.
pub fn looks_like(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(64)).unwrap_or_default();
    contains(head, b"ANSI ") || contains(head, b"AAMVA")
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window.eq_ignore_ascii_case(what))
}

/// Reads a payload.
///
/// # Errors
/// [`AamvaError`] when the bytes are too many or hold no licence.
pub fn parse(bytes: &[u8]) -> Result<Aamva, AamvaError> {
    if bytes.len() > LONGEST {
        return Err(AamvaError::TooLong);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    };
    let mut out = Aamva::default();
    let text = respelled(text, &mut out.warnings);
    let body = header(&text, &mut out);
    let raw = elements(body, &out.header, &mut out.warnings);
    let person =
        ["DAQ", "DBB", "DCS", "DAA", "DBA", "DAC", "DCT"].iter().filter(|id| raw.contains_key(**id)).count();
    if person < 2 {
        return Err(AamvaError::NotAamva);
    }
    fill(&mut out, &raw, &text);
    Ok(out)
}

/// Undoes what programs between the reader and us do to a payload: control characters written out, all letters made small.
fn respelled(text: String, warnings: &mut Vec<Warning>) -> String {
    const WRITTEN: [(&str, [&str; 4]); 4] = [
        ("\n", ["\\n", "\\x0A", "<LF>", "[LF]"]),
        ("\r", ["\\r", "\\x0D", "<CR>", "[CR]"]),
        ("\u{1e}", ["\\x1E", "\\u001E", "<RS>", "[RS]"]),
        ("\u{1d}", ["\\x1D", "\\u001D", "<GS>", "[GS]"]),
    ];
    let mut text = text;
    if !text.trim_end().contains(['\n', '\r', '\u{1e}'])
        && (0..4).any(|form| {
            WRITTEN.iter().take(2).any(|(_, forms)| forms.get(form).is_some_and(|f| text.contains(f)))
        })
    {
        for (control, forms) in WRITTEN {
            for form in forms {
                text = text.replace(form, control).replace(&form.to_lowercase(), control);
            }
        }
        warn(warnings, "control_characters_written_out", "separators stand as text");
    }
    let ids = |text: &str| {
        ["DAQ", "DBA", "DBB", "DCS", "DAA", "DAG", "DAJ"].iter().filter(|id| text.contains(**id)).count()
    };
    if ids(&text) < 2 && ids(&text.to_ascii_uppercase()) >= 4 {
        text = text.to_ascii_uppercase();
        warn(warnings, "lower_case", "all letters are small");
    }
    text
}

fn warn(warnings: &mut Vec<Warning>, code: &'static str, detail: impl Into<String>) {
    warnings.push(Warning { code, detail: detail.into() });
}

/// Reads the header and returns what follows it.
fn header<'a>(text: &'a str, out: &mut Aamva) -> &'a str {
    let found = ["ANSI ", "AAMVA"].iter().filter_map(|kind| text.find(kind).map(|at| (at, *kind))).min();
    let Some((at, kind)) = found.filter(|(at, _)| *at < 64) else {
        warn(&mut out.warnings, "header_missing", "neither ANSI nor AAMVA stands at the start");
        // The list of subfiles may have survived it; the first element stands on its line.
        let lead = |c: char| c == '@' || c.is_whitespace() || c.is_control() || c.is_ascii_digit();
        return subfiles(text.trim_start_matches(lead), out);
    };
    let lead = text.get(..at).unwrap_or_default();
    if lead != "@\n\x1e\r" {
        warn(&mut out.warnings, "header_lead", format!("{:?} instead of @ LF RS CR", lead));
    }
    out.header.file_type = Some(kind.to_owned());
    let mut rest = text.get(at + kind.len()..).unwrap_or_default();
    let mut digits = |count: usize| -> Option<&'a str> {
        let piece = rest.get(..count).filter(|piece| piece.bytes().all(|b| b.is_ascii_digit()))?;
        rest = rest.get(count..).unwrap_or_default();
        Some(piece)
    };
    let iin = digits(6);
    let version = iin.and_then(|_| digits(2)).and_then(|piece| piece.parse().ok());
    out.header.iin = iin.map(str::to_owned);
    out.header.version = version;
    if version.is_some_and(|version: u8| version >= 2) {
        out.header.jurisdiction_version = digits(2).and_then(|piece| piece.parse().ok());
    }
    out.header.entries = digits(2).and_then(|piece| piece.parse().ok());
    if out.header.iin.is_none() || version.is_none() || out.header.entries.is_none() {
        warn(&mut out.warnings, "header_damaged", "issuer, version or number of subfiles cannot be read");
    }
    let rest = subfiles(rest, out);
    if out.header.entries.is_some_and(|entries| usize::from(entries) != out.header.subfiles.len()) {
        warn(
            &mut out.warnings,
            "header_entries",
            format!("{:?} announced, {} found", out.header.entries, out.header.subfiles.len()),
        );
    }
    rest
}

/// Reads the list of subfiles and returns what follows it.
fn subfiles<'a>(text: &'a str, out: &mut Aamva) -> &'a str {
    let mut rest = text;
    // Two characters, four digits, four digits: as many as there are, whatever was announced.
    while let Some(entry) = rest.get(..10) {
        let (kind, numbers) = entry.split_at_checked(2).unwrap_or_default();
        if !kind.bytes().all(|b| b.is_ascii_alphanumeric()) || !numbers.bytes().all(|b| b.is_ascii_digit()) {
            break;
        }
        let number = |piece: Option<&str>| piece.and_then(|piece| piece.parse().ok()).unwrap_or(0);
        out.header.subfiles.push(Subfile {
            kind: kind.to_owned(),
            offset: number(numbers.get(..4)),
            length: number(numbers.get(4..)),
        });
        rest = rest.get(10..).unwrap_or_default();
        if out.header.subfiles.len() > 12 {
            break;
        }
    }
    rest
}

fn is_id(piece: &str) -> bool {
    let b = piece.as_bytes();
    matches!(b, [first, second, third] if (*first == b'Z' && second.is_ascii_uppercase() && third.is_ascii_alphanumeric()))
        || tables().elements.contains_key(piece)
}

/// Splits the body into elements. The first value of an id that is not empty stays.
fn elements(body: &str, header: &Header, warnings: &mut Vec<Warning>) -> BTreeMap<String, String> {
    let separators = body.chars().filter(|c| matches!(c, '\n' | '\r')).count();
    let pipes = body.matches('|').count();
    let mut found = BTreeMap::new();
    let mut put = |id: &str, value: &str| {
        let value = value.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        let slot = found.entry(id.to_owned()).or_insert_with(String::new);
        if slot.is_empty() {
            *slot = value.to_owned();
        }
    };
    let kinds: Vec<&str> =
        header.subfiles.iter().map(|subfile| subfile.kind.as_str()).chain(["DL", "ID", "EN"]).collect();
    let strip = |line: &'_ str| -> usize {
        // A subfile begins with its own type, at times twice.
        let mut at = 0;
        for _ in 0..2 {
            let rest = line.get(at..).unwrap_or_default();
            let known = rest.get(..3).is_some_and(|id| tables().elements.contains_key(id));
            let own = kinds.iter().any(|kind| rest.starts_with(kind)) || rest.get(..2) == rest.get(2..4);
            if !known
                && own
                && rest.get(2..5).is_some_and(|id| is_id(id) || kinds.contains(&id.get(..2).unwrap_or("")))
            {
                at += 2;
            }
        }
        at
    };
    if separators.max(pipes) < 4 {
        warn(warnings, "separators_missing", format!("{separators} line ends"));
        run_together(body.get(strip(body)..).unwrap_or(body), &mut put);
        return found;
    }
    let piped = pipes > separators;
    if piped {
        warn(warnings, "separators_replaced", "vertical bars instead of line ends");
    }
    let mut strange = 0;
    for line in
        body.split(|c: char| matches!(c, '\n' | '\r' | '\x1e' | '\x1c' | '\x1d') || (piped && c == '|'))
    {
        let line = line.trim_start();
        let line = line.get(strip(line)..).unwrap_or(line);
        match line.split_at_checked(3) {
            Some((id, value)) if is_id(id) => put(id, value),
            _ if line.trim().len() > 2 => strange += 1,
            _ => {}
        }
    }
    if strange > 0 {
        warn(warnings, "lines_unread", format!("{strange} lines begin with no element"));
    }
    found
}

/// Elements without any separator: an id counts where the element before it can be complete.
fn run_together(body: &str, put: &mut impl FnMut(&str, &str)) {
    // Lengths that the standard fixes; elsewhere an id met for the first time ends the value.
    let fixed = |id: &str| match id {
        "DBA" | "DBB" | "DBD" | "DDB" | "DDC" | "DDH" | "DDI" | "DDJ" | "DBL" => 8,
        "DBC" | "DDE" | "DDF" | "DDG" | "DDA" | "DDD" | "DDK" | "DDL" | "DCE" => 1,
        "DAJ" => 2,
        "DCG" | "DAY" | "DAZ" => 3,
        _ => 0,
    };
    let mut seen: Vec<&str> = Vec::new();
    let (mut id, mut from): (Option<&str>, usize) = (None, 0);
    for (at, _) in body.char_indices() {
        let Some(next) = body.get(at..at + 3) else { continue };
        let open = id.is_none_or(|id| at >= from + fixed(id));
        if at < from
            || !open
            || seen.contains(&next)
            || !next.starts_with('D')
            || !tables().elements.contains_key(next)
        {
            continue;
        }
        if let (Some(id), Some(value)) = (id, body.get(from..at)) {
            put(id, value);
        }
        seen.push(next);
        id = Some(next);
        from = at + 3;
    }
    if let (Some(id), Some(value)) = (id, body.get(from..)) {
        // What follows may be a jurisdiction's subfile: ZF then ZFA.
        let end = value
            .char_indices()
            .find(|(at, _)| {
                value.get(*at..at + 1) == Some("Z")
                    && value.get(*at..at + 2).is_some()
                    && value.get(*at..at + 2) == value.get(at + 2..at + 4)
            })
            .map_or(value.len(), |(at, _)| at);
        put(id, value.get(..end).unwrap_or(value));
        let mut rest = value.get(end..).unwrap_or_default();
        let kind = rest.get(..2).unwrap_or_default().to_owned();
        rest = rest.get(2..).unwrap_or_default();
        for piece in rest.split(kind.as_str()).filter(|piece| !piece.is_empty() && !kind.is_empty()).take(26)
        {
            if let Some((last, value)) = piece.split_at_checked(1) {
                put(&format!("{kind}{last}"), value);
            }
        }
    }
}

fn known(value: Option<&String>) -> Option<String> {
    let value = value?.trim();
    let absent = value.is_empty()
        || matches!(value.to_ascii_uppercase().as_str(), "NONE" | "UNAVL" | "UNAVAIL" | "N/A");
    (!absent).then(|| value.to_owned())
}

fn fill(out: &mut Aamva, raw: &BTreeMap<String, String>, text: &str) {
    let tables = tables();
    let get = |ids: &[&str]| ids.iter().find_map(|id| known(raw.get(*id)));
    let version = out.header.version.unwrap_or(0);
    let issuer = out.header.iin.as_ref().and_then(|iin| tables.issuers.get(iin));
    if let (Some(iin), None) = (&out.header.iin, issuer) {
        warn(&mut out.warnings, "issuer_unknown", iin.clone());
    }
    out.header.issuer = issuer.map(|issuer| issuer.name.clone());
    let kinds: Vec<&str> = out.header.subfiles.iter().map(|subfile| subfile.kind.as_str()).collect();
    out.document_type = if kinds.contains(&"EN") {
        "enhanced_license"
    } else if kinds.contains(&"ID") {
        "id_card"
    } else {
        "driver_license"
    };
    out.document_number = get(&["DAQ", "DBJ"]);
    names(out, raw);
    out.truncated = ["DDE", "DDF", "DDG"].map(|id| raw.get(id).and_then(|value| value.chars().next()));
    out.country = get(&["DCG"]).or_else(|| issuer.map(|issuer| issuer.country.clone()));
    out.jurisdiction = issuer.map(|issuer| issuer.code.clone()).or_else(|| get(&["DAJ"]));
    let canada =
        out.country.as_deref() == Some("CAN") || issuer.is_some_and(|issuer| issuer.country == "CAN");
    let year_first = canada || version == 1;
    let mut swapped = Vec::new();
    let mut bad = Vec::new();
    let mut date = |id: &'static str| {
        let value = known(raw.get(id))?;
        if value.chars().all(|c| c == '0' || !c.is_ascii_digit()) {
            return None;
        }
        match (day(&value, year_first), day(&value, !year_first)) {
            (Some(date), _) => Some(date),
            (None, Some(date)) => {
                swapped.push(id);
                Some(date)
            }
            (None, None) => {
                bad.push(id);
                None
            }
        }
    };
    out.birth_date = date("DBB");
    out.issue_date = date("DBD");
    out.expiry_date = date("DBA");
    out.under_until = [date("DDH"), date("DDI"), date("DDJ")];
    if !swapped.is_empty() {
        warn(
            &mut out.warnings,
            "date_order",
            format!("{} not in the order of this version and country", swapped.join(" ")),
        );
    }
    if !bad.is_empty() {
        warn(&mut out.warnings, "date_impossible", bad.join(" "));
    }
    out.sex = match get(&["DBC"]).as_deref().map(str::to_ascii_uppercase).as_deref() {
        Some("1" | "M") => Some("M"),
        Some("2" | "F") => Some("F"),
        Some("9" | "X") => Some("X"),
        _ => None,
    };
    out.height_cm =
        get(&["DAU"]).and_then(|value| height(&value)).or_else(|| get(&["DAV"])?.trim().parse().ok());
    out.weight_kg = get(&["DAX"])
        .and_then(|value| value.trim().parse().ok())
        .or_else(|| Some((get(&["DAW"])?.trim().parse::<f32>().ok()? * 0.453_592_37).round() as u16));
    let colour = |id: &str, table: &'static BTreeMap<String, String>| {
        let value = known(raw.get(id))?.to_ascii_uppercase();
        table.get(&value).map(String::as_str)
    };
    out.eye_colour = colour("DAY", &tables.eyes);
    out.hair_colour = colour("DAZ", &tables.hair);
    out.address = Address {
        street: get(&["DAG", "DAL"]),
        street_2: get(&["DAH", "DAM"]),
        city: get(&["DAI", "DAN"]),
        state: get(&["DAJ", "DAO"]),
        postal_code: get(&["DAK", "DAP"]).map(|value| postal_code(&value)),
    };
    out.vehicle_class = get(&["DCA", "DAR"]);
    out.restrictions = get(&["DCB", "DAS"]);
    out.endorsements = get(&["DCD", "DAT"]);
    out.document_discriminator = get(&["DCF"]);
    out.compliance_type = get(&["DDA"]);
    let flag = |ids: &[&str]| match get(ids).as_deref() {
        Some("1" | "Y") => Some(true),
        Some("0" | "N") => Some(false),
        _ => None,
    };
    out.limited_duration = flag(&["DDD"]);
    out.organ_donor = flag(&["DDK", "DBH"]);
    out.veteran = flag(&["DDL"]);
    out.elements = raw
        .iter()
        .map(|(id, value)| (tables.elements.get(id).unwrap_or(id).clone(), value.clone()))
        .collect();
    judge(out, raw, text, issuer);
}

fn names(out: &mut Aamva, raw: &BTreeMap<String, String>) {
    let get = |id: &str| known(raw.get(id));
    let clean = |piece: &str| {
        let piece = piece.trim();
        (!piece.is_empty() && piece != "NONE").then(|| piece.to_owned())
    };
    out.family_name = get("DCS").or_else(|| get("DAB"));
    out.first_name = get("DAC");
    out.middle_names = get("DAD").map(|value| value.replace(',', " "));
    out.name_suffix = get("DCU").or_else(|| get("DAE"));
    if let (None, Some(given)) = (&out.first_name, get("DCT")) {
        // Given names in one element, parted by commas or spaces.
        let mut pieces = given.split([',', ' ']).filter(|piece| !piece.is_empty());
        out.first_name = pieces.next().and_then(clean);
        out.middle_names = clean(&pieces.collect::<Vec<_>>().join(" "));
    }
    if let (None, Some(full)) = (&out.family_name, get("DAA")) {
        if full.contains(',') {
            let mut pieces = full.split(',').map(clean);
            out.family_name = pieces.next().flatten();
            let first = pieces.next().flatten();
            // "LAST,FIRST MIDDLE": the middle name may stand with the first.
            let next = pieces.next().flatten();
            match (first, next) {
                (Some(first), None) if first.contains(' ') => {
                    let (head, tail) = first.split_once(' ').unwrap_or((first.as_str(), ""));
                    out.first_name = clean(head);
                    out.middle_names = clean(tail);
                }
                (first, next) => {
                    out.first_name = first;
                    out.middle_names = next;
                }
            }
            out.name_suffix = out.name_suffix.take().or_else(|| pieces.next().flatten());
        } else {
            // Pennsylvania writes "FIRST MIDDLE … LAST" with spaces.
            let pieces: Vec<&str> = full.split_whitespace().collect();
            if let [first, middle @ .., last] = pieces.as_slice() {
                out.first_name = clean(first);
                out.middle_names = clean(&middle.join(" "));
                out.family_name = clean(last);
            } else {
                out.family_name = clean(&full);
            }
        }
    }
}

/// Eight digits as a day, the year first or last; a year before 1880 or after 2999 is no year (9999 stands for "never").
fn day(value: &str, year_first: bool) -> Option<Date> {
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    if digits.len() != 8 {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<u16>().ok();
    let (year, month, day) = if year_first {
        (number(0, 4)?, number(4, 6)?, number(6, 8)?)
    } else {
        (number(4, 8)?, number(0, 2)?, number(2, 4)?)
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u16::from(leap),
        _ => 0,
    };
    let real = (1880..=2999).contains(&year) || year == 9999;
    (real && day >= 1 && day <= length).then_some(Date { year, month: month as u8, day: day as u8 })
}

/// `068 in`, `175 cm`, `5'-04"`, or feet and inches run together (`509`).
fn height(value: &str) -> Option<u16> {
    let lower = value.to_ascii_lowercase();
    let numbers: Vec<f32> = lower
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|piece| piece.parse::<u16>().ok())
        .map(f32::from)
        .collect();
    let inches = |inches: f32| (inches * 2.54).round() as u16;
    match numbers.as_slice() {
        [cm] if lower.contains("cm") => Some(*cm as u16),
        [total] if lower.contains("in") => Some(inches(*total)),
        [feet, rest] if *feet < 9.0 && *rest < 12.0 => Some(inches(feet * 12.0 + rest)),
        [run] if *run >= 300.0 && run % 100.0 < 12.0 => {
            Some(inches((run / 100.0).floor() * 12.0 + run % 100.0))
        }
        [total] if (36.0..=96.0).contains(total) => Some(inches(*total)),
        [cm] if (97.0..=250.0).contains(cm) => Some(*cm as u16),
        _ => None,
    }
}

fn postal_code(value: &str) -> String {
    let value = value.trim();
    if value.len() == 9 && value.bytes().all(|b| b.is_ascii_digit()) {
        let (five, four) = value.split_at(5);
        return if four == "0000" { five.to_owned() } else { format!("{five}-{four}") };
    }
    value.to_owned()
}

/// Contradictions within the payload.
fn judge(out: &mut Aamva, raw: &BTreeMap<String, String>, text: &str, issuer: Option<&Issuer>) {
    let mut warnings = std::mem::take(&mut out.warnings);
    let version = out.header.version.unwrap_or(0);
    // Offsets count bytes of the payload; a subfile that does not begin where it is announced is misplaced.
    let misplaced: Vec<&str> = out
        .header
        .subfiles
        .iter()
        .filter(|subfile| {
            let from = usize::from(subfile.offset);
            text.get(from..).is_none_or(|rest| !rest.starts_with(subfile.kind.as_str()))
                || from + usize::from(subfile.length) > text.len() + 2
        })
        .map(|subfile| subfile.kind.as_str())
        .collect();
    if !misplaced.is_empty() {
        warn(&mut warnings, "header_offsets", misplaced.join(" "));
    }
    if let (Some(issuer), Some(state)) = (issuer, &out.address.state)
        && issuer.code != "DS"
        && *state != issuer.code
    {
        warn(&mut warnings, "issuer_is_not_state", format!("issuer {} address {state}", issuer.code));
    }
    if let (Some(issuer), Some(country)) = (issuer, raw.get("DCG").filter(|country| !country.is_empty()))
        && issuer.country != *country
    {
        warn(&mut warnings, "issuer_is_not_country", format!("issuer {} country {country}", issuer.country));
    }
    if let (Some(birth), Some(issue)) = (out.birth_date, out.issue_date)
        && issue.year < birth.year + 5
    {
        warn(&mut warnings, "issued_before_birth", format!("born {birth} issued {issue}"));
    }
    if let (Some(issue), Some(expiry)) = (out.issue_date, out.expiry_date)
        && expiry <= issue
    {
        warn(&mut warnings, "expires_before_issue", format!("issued {issue} expires {expiry}"));
    }
    let appeared = tables().versions.get(&version.to_string());
    match (appeared, out.header.version) {
        (Some(year), _) => {
            if let Some(issue) = out.issue_date.filter(|issue| issue.year < *year) {
                warn(
                    &mut warnings,
                    "older_than_its_version",
                    format!("version {version} of {year}, issued {issue}"),
                );
            }
        }
        (None, Some(version)) => warn(&mut warnings, "version_unknown", version.to_string()),
        (None, None) => {}
    }
    let mut wanted = vec![("DAQ", out.document_number.is_some()), ("DBB", out.birth_date.is_some())];
    wanted.push(("DBA", out.expiry_date.is_some() || raw.contains_key("DBA")));
    wanted.push(("DBD", out.issue_date.is_some()));
    wanted.push(("name", out.family_name.is_some()));
    wanted.push(("DAG", out.address.street.is_some()));
    if version >= 2 {
        wanted.push(("DCF", out.document_discriminator.is_some() || raw.contains_key("DCF")));
    }
    let missing: Vec<&str> = wanted.iter().filter(|(_, present)| !present).map(|(id, _)| *id).collect();
    if !missing.is_empty() {
        warn(&mut warnings, "mandatory_missing", missing.join(" "));
    }
    out.warnings = warnings;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "@\n\x1e\rANSI 636014080102DL00410205ZC02460012DLDAQI1234562\nDCSCARDHOLDER\nDDEN\nDACIMA\nDDFN\n\
        DADANNE\nDDGN\nDBD08312023\nDBB08311977\nDBA08312028\nDBC2\nDAU065 in\nDAYBRO\nDAG2570 24TH STREET\nDAISACRAMENTO\n\
        DAJCA\nDAK958180000  \nDCF08/31/2023NNNAN\nDCGUSA\nDDAF\nDDK1\n\rZCZCABRN\n\r";

    #[test]
    fn a_californian_licence_reads_with_month_first_dates() {
        let licence = parse(GOOD.as_bytes()).expect("a licence");
        assert_eq!(licence.birth_date.map(|d| d.to_string()).as_deref(), Some("1977-08-31"));
        assert_eq!(licence.expiry_date.map(|d| d.to_string()).as_deref(), Some("2028-08-31"));
        assert_eq!(licence.family_name.as_deref(), Some("CARDHOLDER"));
        assert_eq!(
            (licence.sex, licence.height_cm, licence.eye_colour),
            (Some("F"), Some(165), Some("brown"))
        );
        assert_eq!(licence.address.postal_code.as_deref(), Some("95818"));
        assert_eq!(licence.header.issuer.as_deref(), Some("California"));
        assert_eq!(licence.elements.get("ZCA").map(String::as_str), Some("BRN"));
    }

    #[test]
    fn what_programs_do_to_a_payload_is_undone() {
        let good = parse(GOOD.as_bytes()).expect("a licence");
        let written = GOOD.replace('\n', "\\n").replace('\r', "\\r").replace('\u{1e}', "\\x1e");
        let marked = GOOD.replace('\n', "<LF>").replace('\r', "<CR>").replace('\u{1e}', "<RS>");
        for text in [written, marked, GOOD.to_ascii_lowercase(), GOOD.replace('\n', "\r\n")] {
            let read = parse(text.as_bytes()).expect("a licence");
            assert_eq!(read.birth_date, good.birth_date, "{text}");
            assert_eq!(read.expiry_date, good.expiry_date, "{text}");
            assert_eq!(read.document_number, good.document_number, "{text}");
            assert_eq!((&read.family_name, read.sex), (&good.family_name, good.sex), "{text}");
        }
        assert!(looks_like(GOOD.to_ascii_lowercase().as_bytes()));
    }

    #[test]
    fn what_is_left_of_a_lost_header_hides_no_element() {
        let whole = parse(GOOD.as_bytes()).expect("a licence");
        for lost in
            ["@\n\x1e\rANSI ", "@\n\x1e\rANSI 636014080102", "@\n\x1e\rANSI 636014080102DL00410205ZC02460012"]
        {
            let rest = GOOD.strip_prefix(lost).expect("the payload begins so");
            let licence = parse(rest.as_bytes()).expect("a licence");
            assert_eq!(licence.document_number, whole.document_number, "without {lost:?}");
            assert_eq!(licence.family_name, whole.family_name);
            assert!(licence.warnings.iter().any(|warning| warning.code == "header_missing"));
        }
    }

    #[test]
    fn a_canadian_licence_reads_with_year_first_dates() {
        let text = GOOD
            .replace("636014", "636012")
            .replace("DCGUSA", "DCGCAN")
            .replace("DBB08311977", "DBB19770831");
        let licence = parse(text.as_bytes()).expect("a licence");
        assert_eq!(licence.birth_date.map(|d| d.to_string()).as_deref(), Some("1977-08-31"));
        // The other dates were left in American order: read, and said so.
        assert_eq!(licence.issue_date.map(|d| d.to_string()).as_deref(), Some("2023-08-31"));
        assert!(licence.warnings.iter().any(|warning| warning.code == "date_order"));
    }

    #[test]
    fn junk_before_and_pipes_between_do_not_hide_the_elements() {
        let text = format!("\u{feff}  {}", GOOD.replace('\n', "|").replace("@|\x1e\r", "@|"));
        let licence = parse(text.as_bytes()).expect("a licence");
        assert_eq!(licence.document_number.as_deref(), Some("I1234562"));
        assert!(licence.warnings.iter().any(|warning| warning.code == "separators_replaced"));
    }

    #[test]
    fn elements_without_any_separator_are_found() {
        let text: String = GOOD.chars().filter(|c| !c.is_control()).collect();
        let licence = parse(text.as_bytes()).expect("a licence");
        assert_eq!(licence.family_name.as_deref(), Some("CARDHOLDER"));
        assert_eq!(licence.birth_date.map(|d| d.to_string()).as_deref(), Some("1977-08-31"));
        assert_eq!(licence.address.city.as_deref(), Some("SACRAMENTO"));
    }

    #[test]
    fn a_full_name_of_version_one_is_parted() {
        let text = "@\n\x1e\rAAMVA6360030101DL00290192DLDAQK-1\nDAAJOHNSON,JACK,QUIN,3RD\nDAG1 ROAD\nDBA20261101\nDBB19701101\nDBC1\nDAU509\n";
        let licence = parse(text.as_bytes()).expect("a licence");
        assert_eq!(licence.family_name.as_deref(), Some("JOHNSON"));
        assert_eq!(licence.middle_names.as_deref(), Some("QUIN"));
        assert_eq!(licence.name_suffix.as_deref(), Some("3RD"));
        assert_eq!((licence.birth_date.map(|d| d.year), licence.height_cm), (Some(1970), Some(175)));
    }

    #[test]
    fn other_texts_are_refused() {
        assert_eq!(parse(b"https://example.org"), Err(AamvaError::NotAamva));
        assert_eq!(parse(&[b'A'; 20_000]), Err(AamvaError::TooLong));
    }

    fn data(path: &str) -> Option<String> {
        let root = std::env::var("BONAFIDE_TESTDATA")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned());
        let text = std::fs::read_to_string(format!("{root}/{path}")).ok();
        if text.is_none() {
            eprintln!("skipped: no test data");
        }
        text
    }

    #[test]
    fn every_synthetic_payload_gives_back_its_elements() {
        let Some(text) = data("aamva/synthetic_payloads_dev.json") else { return };
        let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a list");
        for case in cases {
            let payload = case["payload"].as_str().expect("a payload");
            let licence = parse(payload.as_bytes()).unwrap_or_else(|error| panic!("{error}: {payload}"));
            assert_eq!(licence.header.version.map(u64::from), case["version"].as_u64(), "{payload}");
            for (id, wanted) in case["elements"].as_object().expect("elements") {
                let name = tables().elements.get(id).unwrap_or(id);
                assert_eq!(
                    licence.elements.get(name).map(String::as_str),
                    wanted.as_str().map(str::trim),
                    "{id} {payload}"
                );
            }
            assert!(
                licence.birth_date.is_some() && licence.expiry_date.is_some() && licence.issue_date.is_some()
            );
            assert!(
                !licence.warnings.iter().any(|w| matches!(w.code, "date_order" | "mandatory_missing")),
                "{licence:?}"
            );
        }
    }

    #[test]
    fn every_peer_payload_parses_with_a_birth_date() {
        let Some(text) = data("aamva/peer_payloads_dev.json") else { return };
        let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a list");
        for case in cases.iter().filter(|case| case["kind"] == "pdf417") {
            let payload = case["payload"].as_str().expect("a payload");
            let licence = parse(payload.as_bytes()).unwrap_or_else(|error| panic!("{error}: {payload}"));
            assert!(licence.birth_date.is_some(), "{payload:?} {licence:?}");
            assert!(licence.family_name.is_some(), "{payload:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_damage_makes_it_panic(at in 0_usize..300, to in any::<char>(), cut in 0_usize..400) {
            let mut text: Vec<char> = GOOD.chars().collect();
            if let Some(slot) = text.get_mut(at) { *slot = to; }
            let text: String = text.into_iter().skip(cut / 8).take(cut).collect();
            let _ = parse(text.as_bytes());
        }
    }
}
