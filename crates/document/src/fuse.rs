//! Joins what was read into fields, each from its best source and confirmed by the others.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::agree::{self, Agreement};
use crate::dates::{self, PartialDate, Role};
use crate::fields::{self, Context, Value};
use crate::findings::{Findings, SideReading, place};
use crate::fold::squeeze;
use crate::mrz_zone::Decoded;
use crate::record::{Field, Mrz, Side, Source};
use crate::template::DocumentKind;

/// Name of an MRZ format as templates and records write it.
pub(crate) fn format_name(format: mrz::Format) -> &'static str {
    format.name()
}

/// Kind of document by the code of its MRZ (ICAO Doc 9303-4/5/6/7 §4.2.2), refined by the printed title.
pub(crate) fn kind_of_code(mrz: &mrz::Mrz, title: Option<DocumentKind>) -> DocumentKind {
    let code = mrz.document_code.as_str();
    match code.chars().next() {
        Some('P') => DocumentKind::Passport,
        Some('V') => DocumentKind::Visa,
        Some('D') => DocumentKind::DriverLicense,
        // Regulation (EC) 1030/2002 asks residence permits for an `A`, `C` or `I` code of the state's choice: AR, IR, IT…
        _ if matches!(code, "AR" | "IR" | "RP" | "IT" | "CR" | "RT" | "C1" | "C2" | "AP") => {
            DocumentKind::ResidencePermit
        }
        _ => match title {
            Some(kind @ (DocumentKind::ResidencePermit | DocumentKind::WorkPermit)) => kind,
            _ => DocumentKind::IdCard,
        },
    }
}

/// Whether the sides carry the marks of a card beside its title: a portrait-sized page of several lines.
pub(crate) fn looks_like_card(sides: &[SideReading]) -> bool {
    sides.iter().any(|s| {
        let (w, h) = (s.page.image.width() as f32, s.page.image.height() as f32);
        let aspect = w.max(h) / w.min(h).max(1.0);
        s.lines.len() >= 4 && (1.25..1.8).contains(&aspect)
    })
}

/// The MRZ part of the record.
pub(crate) fn mrz_record(side: Side, decoded: &Decoded) -> Mrz {
    let mrz = &decoded.mrz;
    Mrz {
        format: format_name(mrz.format).to_owned(),
        lines: mrz.lines.clone(),
        valid: decoded.valid,
        corrections: decoded.corrections.clone(),
        ambiguous: decoded.ambiguous,
        raw: decoded.strips.iter().map(|s| s.text.clone()).collect(),
        confidence: decoded.least,
        side,
        block: serde_json::to_value(mrz.block()).unwrap_or_default(),
    }
}

/// One value as the zone gives it, with whether the digit that covers it holds.
pub(crate) fn mrz_values(decoded: &Decoded) -> BTreeMap<&'static str, (String, bool)> {
    let mrz = &decoded.mrz;
    let holds = |kind: mrz::Kind| mrz.checks.iter().find(|c| c.of == Some(kind)).is_none_or(|c| c.holds);
    let composite = mrz.checks.iter().find(|c| c.of.is_none()).is_none_or(|c| c.holds);
    let mut out = BTreeMap::new();
    let mut put = |name: &'static str, value: String, proved: bool| {
        if !value.is_empty() {
            out.insert(name, (value, proved));
        }
    };
    put("last_name", mrz.names.surname.clone(), true);
    put("first_name", mrz.names.given_names.clone(), true);
    put("document_number", mrz.document_number.clone(), holds(mrz::Kind::DocumentNumber));
    let date = |d: &Option<mrz::DateField>| {
        let d = d.as_ref()?.date?;
        let year = i16::try_from(d.year?).ok()?;
        Some(PartialDate { year, month: d.month, day: d.month.and(d.day) }.to_string())
    };
    put("date_of_birth", date(&mrz.birth_date).unwrap_or_default(), holds(mrz::Kind::BirthDate));
    put("expiration_date", date(&mrz.expiry_date).unwrap_or_default(), holds(mrz::Kind::ExpiryDate));
    let sex = match mrz.sex {
        Some(mrz::Sex::Male) => "M",
        Some(mrz::Sex::Female) => "F",
        Some(mrz::Sex::Unspecified) => "X",
        None => "",
    };
    put("gender", sex.to_owned(), true);
    put("nationality", mrz.nationality_alpha3().to_owned(), composite);
    put("issuing_state", mrz.issuing_state_alpha3().to_owned(), true);
    let personal = if mrz.optional.is_empty() { &mrz.optional2 } else { &mrz.optional };
    if personal.chars().filter(char::is_ascii_digit).count() >= 4
        && matches!(mrz.format.name(), "TD1" | "TD2" | "TD3")
    {
        put("personal_number", personal.trim_matches('<').to_owned(), composite);
    }
    out
}

/// How two normalised values of a field stand to each other.
pub(crate) fn compare(name: &str, a: &str, b: &str) -> Agreement {
    match name {
        "last_name" | "first_name" | "full_name" => agree::names(a, b),
        "date_of_birth" | "expiration_date" | "date_of_issue" => {
            match (PartialDate::from_str(a), PartialDate::from_str(b)) {
                (Ok(x), Ok(y)) if x.agrees(&y) => Agreement::Same,
                _ => Agreement::Different,
            }
        }
        "gender" | "issuing_state" => {
            if a == b {
                Agreement::Same
            } else {
                Agreement::Different
            }
        }
        "nationality" => {
            // Printed nationalities are adjectives, names or codes: only codes can be compared.
            if squeeze(a) == squeeze(b) {
                Agreement::Same
            } else if a.len() == 3
                && b.len() == 3
                && a.chars().all(|c| c.is_ascii_uppercase())
                && mrz::country::find(a).is_some()
            {
                Agreement::Different
            } else {
                Agreement::Close
            }
        }
        _ => agree::numbers(a, b),
    }
}

/// The printed form of a value that another source gives, wherever on the page it stands.
pub(crate) struct Printed {
    pub(crate) value: String,
    pub(crate) confidence: f32,
    pub(crate) side: Side,
    pub(crate) region: Option<[f32; 4]>,
}

pub(crate) fn find_printed(
    findings: &Findings,
    name: &str,
    value: &str,
    context: Context,
) -> Option<Printed> {
    let mut best: Option<Printed> = None;
    for s in findings.sides {
        for line in &s.lines {
            let text = line.text();
            let confidence =
                line.glyphs.iter().filter(|g| g.ch.is_alphanumeric()).map(|g| g.p).fold(1.0, f32::min);
            let hit = match name {
                "last_name" | "first_name" => {
                    if agree::names(&text, value) == Agreement::Same {
                        Some(agree::part_that_agrees(text.trim(), value).to_owned())
                    } else {
                        by_alternatives(line, value)
                    }
                }
                "date_of_birth" | "expiration_date" => {
                    let role = if name == "expiration_date" { Role::Expiry } else { Role::Past };
                    let wanted = PartialDate::from_str(value).ok()?;
                    dates::all(&text, role, context.order, context.today)
                        .into_iter()
                        .any(|d| d.agrees(&wanted))
                        .then(|| value.to_owned())
                }
                "document_number" | "personal_number" => {
                    (value.len() >= 5 && squeeze(&text).contains(&squeeze(value))).then(|| value.to_owned())
                }
                _ => None,
            };
            if let Some(value) = hit
                && best.as_ref().is_none_or(|b| confidence > b.confidence)
            {
                best = Some(Printed {
                    value,
                    confidence,
                    side: s.side,
                    region: place(findings.sides, s.side, &line.quad),
                });
            }
        }
    }
    best
}

/// A printed name as one other reading of one of its letters gives it, when that is an admissible form of `value`:
/// the zone's `SOEREN` tells the ø from the o that the recogniser preferred.
fn by_alternatives(line: &crate::text::Line, value: &str) -> Option<String> {
    if agree::names(&line.text(), value) != Agreement::Close {
        return None;
    }
    let rank = line.glyphs.first().map_or(0, |g| g.or.len());
    (0..rank).find_map(|rank| {
        (0..line.glyphs.len()).find_map(|i| {
            let other = *line.glyphs.get(i)?.or.get(rank)?;
            if other == '\0' {
                return None;
            }
            let text: String =
                line.glyphs.iter().enumerate().map(|(k, g)| if k == i { other } else { g.ch }).collect();
            (agree::names(&text, value) == Agreement::Same).then(|| text.trim().to_owned())
        })
    })
}

/// Printed values by label: the front's first.
pub(crate) fn labelled<'a>(findings: &'a Findings, name: &str) -> Option<(Side, &'a Value)> {
    findings.values.iter().find_map(|(side, values)| values.get(name).map(|v| (*side, v)))
}

/// The fields of the record, each from its best source and confirmed by the others.
pub(crate) fn fields(findings: &Findings, context: Context) -> BTreeMap<String, Field> {
    let mut out: BTreeMap<String, Field> = BTreeMap::new();
    let zone = findings.mrz.map(|(side, d)| (side, d, mrz_values(d)));
    let mut names: Vec<&str> = findings
        .values
        .iter()
        .flat_map(|(_, v)| v.keys().map(String::as_str))
        .filter(|n| !n.starts_with('_'))
        .collect();
    if let Some((_, _, values)) = &zone {
        names.extend(values.keys());
    }
    if let Some(payload) = findings.payload {
        names.extend(payload.values.keys());
    }
    names.sort_unstable();
    names.dedup();
    for name in names {
        let printed = labelled(findings, name);
        let machine: Option<(Source, String, f32)> =
            match (&zone, findings.payload.and_then(|a| a.values.get(name))) {
                (Some((_, d, values)), _) if values.get(name).is_some_and(|(_, proved)| *proved) => {
                    let confidence = d.strips.iter().map(|s| s.confidence).fold(1.0, f32::min);
                    values.get(name).map(|(v, _)| (Source::Mrz, v.clone(), confidence))
                }
                (_, Some(value)) => Some((Source::Barcode, value.clone(), 1.0)),
                (Some((_, d, values)), None) if printed.is_none() => values.get(name).map(|(v, _)| {
                    (Source::Mrz, v.clone(), 0.4 * d.strips.iter().map(|s| s.confidence).fold(1.0, f32::min))
                }),
                _ => None,
            };
        let field = match (machine, printed) {
            (None, None) => continue,
            (None, Some((side, value))) => Field {
                value: value.value.clone(),
                source: Source::Viz,
                confidence: value.confidence,
                region: place(findings.sides, side, &value.quad),
                side: Some(side),
                confirmed_by: Vec::new(),
            },
            (Some((source, value, confidence)), printed) => {
                let elsewhere = find_printed(findings, name, &value, context);
                let by_label = printed.filter(|(_, v)| compare(name, &v.value, &value) == Agreement::Same);
                let mut field =
                    Field { value, source, confidence, region: None, side: None, confirmed_by: Vec::new() };
                let is_name = matches!(name, "last_name" | "first_name");
                if let Some((side, v)) = by_label {
                    field.region = place(findings.sides, side, &v.quad);
                    field.side = Some(side);
                    field.confirmed_by.push(Source::Viz);
                    if is_name && source == Source::Mrz {
                        // The zone transliterates; the printed form is the name.
                        field = Field {
                            value: agree::part_that_agrees(&v.value, &field.value).to_owned(),
                            source: Source::Viz,
                            confidence: v.confidence.max(confidence),
                            confirmed_by: vec![Source::Mrz],
                            ..field
                        };
                    }
                } else if let Some(printed) = elsewhere {
                    field.region = printed.region;
                    field.side = Some(printed.side);
                    field.confirmed_by.push(Source::Viz);
                    if is_name && source == Source::Mrz {
                        field = Field {
                            value: printed.value,
                            source: Source::Viz,
                            confidence: printed.confidence.max(confidence),
                            confirmed_by: vec![Source::Mrz],
                            ..field
                        };
                    }
                }
                field
            }
        };
        out.insert(name.to_owned(), field);
    }
    unlabelled_number(findings, &mut out);
    unlabelled_issue(findings, context, &mut out);
    if !out.contains_key("full_name") {
        let parts: Vec<&Field> = ["first_name", "last_name"].iter().filter_map(|n| out.get(*n)).collect();
        if let Some(first) = parts.first() {
            let value = parts.iter().map(|f| f.value.as_str()).collect::<Vec<_>>().join(" ");
            let confidence = parts.iter().map(|f| f.confidence).fold(1.0, f32::min);
            let source = if parts.len() == 1 { first.source } else { Source::Derived };
            out.insert(
                "full_name".to_owned(),
                Field { value, source, confidence, region: None, side: None, confirmed_by: Vec::new() },
            );
        }
    }
    if let (Some(state), None) = (findings.state, out.get("issuing_state")) {
        out.insert(
            "issuing_state".to_owned(),
            Field {
                value: state.to_owned(),
                source: Source::Derived,
                confidence: 1.0,
                region: None,
                side: None,
                confirmed_by: Vec::new(),
            },
        );
    }
    out
}

/// EU residence permits and many cards print the number without a label, beside the title: the one line of the page
/// that is nothing but a document number.
fn unlabelled_number(findings: &Findings, out: &mut BTreeMap<String, Field>) {
    if out.contains_key("document_number") || findings.payload.is_some() {
        return;
    }
    let mut hits = Vec::new();
    for s in findings.sides {
        for line in &s.lines {
            let text = line.text();
            let bare = text.replace(' ', "");
            let digits = bare.chars().filter(char::is_ascii_digit).count();
            let capitals = bare.chars().filter(char::is_ascii_uppercase).count();
            let horizontal = line.quad[1].x - line.quad[0].x > line.height();
            if (7..=12).contains(&bare.len())
                && digits >= 2
                && capitals >= 1
                && digits + capitals == bare.len()
                && horizontal
                && text.split(' ').count() <= 2
            {
                hits.push((s.side, line, bare));
            }
        }
    }
    hits.dedup_by(|a, b| a.2 == b.2);
    if let [(side, line, value)] = &hits[..] {
        let confidence = 0.9 * line.glyphs.iter().filter(|g| g.ch != ' ').map(|g| g.p).fold(1.0, f32::min);
        out.insert(
            "document_number".to_owned(),
            Field {
                value: value.clone(),
                source: Source::Viz,
                confidence,
                region: place(findings.sides, *side, &line.quad),
                side: Some(*side),
                confirmed_by: Vec::new(),
            },
        );
    }
}

/// Days by which a validity of whole years may be off: many states let it end a day before, some at the week's end.
const VALIDITY_SLACK_DAYS: i32 = 8;

/// The date of issue where its label was not legible: the one printed date, beside birth and expiry, from which the
/// document is valid for whole years.
fn unlabelled_issue(findings: &Findings, context: Context, out: &mut BTreeMap<String, Field>) {
    let known = |name: &str| out.get(name).and_then(|f| PartialDate::from_str(&f.value).ok());
    let (Some(birth), Some(expiry), None) =
        (known("date_of_birth"), known("expiration_date"), known("date_of_issue"))
    else {
        return;
    };
    let mut found: Vec<(PartialDate, f32, Side, Option<[f32; 4]>)> = Vec::new();
    for s in findings.sides {
        for line in fields::joined_digits(&s.lines) {
            let sure = line.glyphs.iter().filter(|g| g.ch.is_alphanumeric()).map(|g| g.p).fold(1.0, f32::min);
            for date in dates::all(&line.text(), Role::Past, context.order, context.today) {
                let new = !date.agrees(&birth) && !date.agrees(&expiry) && found.iter().all(|f| f.0 != date);
                if new && is_issue(date, birth, expiry, context.today) {
                    found.push((date, sure, s.side, place(findings.sides, s.side, &line.quad)));
                }
            }
        }
    }
    if let [(date, sure, side, region)] = found[..] {
        let field = Field {
            value: date.to_string(),
            source: Source::Viz,
            confidence: 0.9 * sure,
            region,
            side: Some(side),
            confirmed_by: Vec::new(),
        };
        out.insert("date_of_issue".to_owned(), field);
    }
}

/// Whether a document of a holder born then can be issued on this day and valid for whole years.
fn is_issue(date: PartialDate, birth: PartialDate, expiry: PartialDate, today: jiff::civil::Date) -> bool {
    if date.month.is_none() || date.day.is_none() || expiry.day.is_none() {
        return false;
    }
    let (day, end) = (date.earliest(), expiry.latest());
    let years = (1..=20).any(|years| {
        use jiff::ToSpan as _;
        day.checked_add(years.years()).is_ok_and(|same_day| {
            same_day.until(end).is_ok_and(|span| span.get_days().abs() <= VALIDITY_SLACK_DAYS)
        })
    });
    day > birth.latest() && day <= today && years
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_issue_is_whole_years_before_the_end() {
        let date = |text: &str| PartialDate::from_str(text).expect("a date");
        let is = |day: &str| {
            is_issue(date(day), date("1971-03-07"), date("2011-07-25"), jiff::civil::date(2026, 11, 23))
        };
        assert!(is("2006-07-26") && is("2006-07-25") && is("2001-07-23"));
        assert!(!is("2006-03-01") && !is("1970-07-25") && !is("2011-07-24") && !is("2006"));
    }

    #[test]
    fn dates_agree_when_unknown_parts_are_left_aside() {
        assert_eq!(compare("date_of_birth", "1960", "1960-05-01"), Agreement::Same);
        assert_eq!(compare("date_of_birth", "1961", "1960-05-01"), Agreement::Different);
        assert_eq!(compare("nationality", "UTOPIAN", "UTO"), Agreement::Close);
    }
}
