//! Joins what was read into fields, and holds the readings against each other: fields and signals.
//!
//! A difference between printed data, zone and barcode is only called one where both readings are sure: a
//! misread character is not a fraud. What is certain (a check digit, a past date) and what is measured (a
//! screen's pattern) are told apart by [`Signal::certain`] and [`Signal::measured`].

use std::collections::BTreeMap;
use std::str::FromStr;

use evidence::Signal;
use serde_json::json;

use crate::agree::{self, Agreement};
use crate::codes::{self, Payload};
use crate::dates::{self, PartialDate, Role};
use crate::fields::{self, Context, Value};
use crate::fold::{fold, squeeze};
use crate::mrz_zone::Decoded;
use crate::page::Page;
use crate::reader::{SideReading, must_carry_mrz, place};
use crate::record::{Field, IdentifiedBy, Mrz, Quality, Side, Source};
use crate::template::{DocumentKind, Operator, Template};

/// Everything that was read from one document.
pub(crate) struct Findings<'a> {
    pub(crate) identified_by: IdentifiedBy,
    pub(crate) kind: Option<&'a str>,
    pub(crate) title: Option<DocumentKind>,
    pub(crate) state: Option<&'a str>,
    pub(crate) template: Option<&'a Template>,
    pub(crate) sides: &'a [SideReading],
    pub(crate) values: &'a [(Side, BTreeMap<String, Value>)],
    pub(crate) mrz: Option<(Side, &'a Decoded)>,
    pub(crate) payload: Option<&'a Payload>,
    pub(crate) portrait_sought: bool,
    pub(crate) portrait_found: bool,
}

/// Confidence from which a printed value that disagrees counts against the document.
const SURE: f32 = 0.80;

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

/// How good the picture is. Focus is the Laplacian's variance on a page at most 1000 pixels wide: photos of
/// filled_docs gave 133–440, the same under a blur of σ = 5 pixels 3–7, scans of specimens 350–600 pixels wide 25 and more.
pub(crate) fn quality(page: &Page) -> Quality {
    let image = if page.image.width() > 1000 {
        imaging::resize(&page.image, 1000, (page.image.height() * 1000 / page.image.width()).max(1))
    } else {
        page.image.clone()
    };
    let measured = imaging::quality::measure(&imaging::grey(&image));
    let scale =
        |v: f32, low: f32, high: f32| ((v.max(1e-3) / low).ln() / (high / low).ln()).clamp(0.0, 1.0) * 100.0;
    let focus_score = scale(measured.focus, BLURRED / 4.0, 250.0);
    let (brightness_issue, brightness_score) = match measured.brightness {
        b if b < 60.0 => ("too_dark", b / 60.0 * 60.0),
        b if b > 235.0 => ("too_bright", (255.0 - b) / 20.0 * 60.0),
        b => ("ok", 100.0 - (b - 150.0).abs() / 90.0 * 40.0),
    };
    let resolution_score = scale(page.image.width().max(page.image.height()) as f32, 250.0, 1000.0);
    let mut remedy = Vec::new();
    if measured.focus < BLURRED {
        remedy.push("hold_still");
    }
    if measured.glare_share > GLARE {
        remedy.push("tilt_away_from_light");
    }
    if brightness_issue == "too_dark" {
        remedy.push("more_light");
    } else if brightness_issue == "too_bright" {
        remedy.push("less_light");
    }
    if page.inside == Some(false) {
        remedy.push("show_whole_document");
    }
    if page.image.width().max(page.image.height()) < 500 {
        remedy.push("move_closer");
    }
    let round = |v: f32| (v.clamp(0.0, 100.0) * 10.0).round() / 10.0;
    Quality {
        focus_score: round(focus_score),
        brightness_score: round(brightness_score),
        brightness_issue,
        resolution_score: round(resolution_score),
        glare_share: (measured.glare_share * 1e4).round() / 1e4,
        is_document_fully_visible: page.inside,
        overall_score: round(0.45 * focus_score + 0.30 * brightness_score + 0.25 * resolution_score),
        remedy,
    }
}

/// Laplacian variance below which a page is blurred: the middle (geometric) between the sharpest blurred and the least sharp photo measured.
const BLURRED: f32 = 16.0;
/// Share of saturated spots from which light hides part of a page: filled_docs with a glare 0.074–0.092, others up to
/// 0.059 (white paper); little lies between, so this asks for another photo and accuses nobody.
const GLARE: f32 = 0.065;

/// One value as the zone gives it, with whether the digit that covers it holds.
fn mrz_values(decoded: &Decoded) -> BTreeMap<&'static str, (String, bool)> {
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
fn compare(name: &str, a: &str, b: &str) -> Agreement {
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
struct Printed {
    value: String,
    confidence: f32,
    side: Side,
    region: Option<[f32; 4]>,
}

fn find_printed(findings: &Findings, name: &str, value: &str, context: Context) -> Option<Printed> {
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
fn labelled<'a>(findings: &'a Findings, name: &str) -> Option<(Side, &'a Value)> {
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

/// What the checks see.
pub(crate) fn signals(
    findings: &Findings,
    fields: &BTreeMap<String, Field>,
    context: Context,
    specimens_allowed: bool,
) -> Vec<Signal> {
    let mut out = Vec::new();
    zone_signals(findings, &mut out);
    agreement_signals(findings, context, &mut out);
    codes::signals(findings, &mut out);
    date_signals(fields, context, &mut out);
    missing_signals(findings, fields, &mut out);
    number_signals(findings, fields, context, &mut out);
    rule_signals(findings, &mut out);
    pixel_signals(findings, &mut out);
    side_signals(findings, &mut out);
    if !specimens_allowed {
        specimen_signals(findings, fields, &mut out);
    }
    out
}

fn zone_signals(findings: &Findings, out: &mut Vec<Signal>) {
    let Some((side, decoded)) = findings.mrz else {
        let template_side = |s: Side| {
            findings
                .template
                .is_some_and(|t| if s == Side::Front { t.sides.front.mrz } else { t.sides.back.mrz })
        };
        let required = findings.sides.iter().any(|s| template_side(s.side))
            || (findings.template.is_none()
                && findings.identified_by == IdentifiedBy::Unknown
                && findings.title.is_some_and(must_carry_mrz));
        if required {
            out.push(Signal::certain("MRZ_NOT_DETECTED", "mrz.located/1", json!({ "kind": findings.kind })));
        }
        return;
    };
    let mrz = &decoded.mrz;
    if let Some(uneven) = crate::typography::unevenness(decoded) {
        let threshold = 0.5;
        out.push(Signal::measured(
            "MRZ_TYPOGRAPHY_MISMATCH",
            f64::from((uneven / (2.0 * crate::typography::UNEVEN)).min(1.0)),
            threshold,
            "mrz.even_pitch/1",
            json!({ "side": side, "uneven": uneven }),
        ));
    }
    if decoded.cut {
        let shows = json!({ "side": side, "remedy": "show_whole_document", "zone": "ends_at_edge" });
        out.push(Signal::certain("DOCUMENT_NOT_FULLY_VISIBLE", "mrz.whole/1", shows));
    }
    if !mrz.valid() {
        let sure = decoded.strips.iter().map(|s| s.confidence).fold(1.0, f32::min);
        let whole = decoded.strips.iter().zip(&mrz.lines).all(|(s, line)| s.text.len() == line.len());
        // The digits of a zone that was hardly legible, or not read whole, prove nothing: the picture is at fault.
        if whole && sure >= LEGIBLE {
            out.push(Signal::measured(
                "MRZ_VALIDATION_FAILED",
                f64::from(sure),
                f64::from(LEGIBLE),
                "mrz.check_digits/1",
                json!({ "side": side, "errors": mrz.errors }),
            ));
        } else {
            out.push(Signal::certain(
                "POOR_DOCUMENT_QUALITY",
                "mrz.legible/1",
                json!({ "side": side, "remedy": "hold_still", "zone": "not_legible" }),
            ));
        }
    }
}

fn agreement_signals(findings: &Findings, context: Context, out: &mut Vec<Signal>) {
    let zone = findings.mrz.map(|(_, d)| mrz_values(d));
    let mut differ = Vec::new();
    let mut least: f64 = 0.0;
    if let Some(zone) = &zone {
        for name in [
            "date_of_birth",
            "expiration_date",
            "document_number",
            "gender",
            "nationality",
            "last_name",
            "first_name",
        ] {
            let Some((value, true)) = zone.get(name) else { continue };
            let Some((side, printed)) = labelled(findings, name) else { continue };
            if compare(name, &printed.value, value) != Agreement::Different {
                continue;
            }
            // The same value stands elsewhere, so the label was tied to the wrong line: but a date that is printed
            // for another purpose does not explain a changed one.
            let elsewhere = find_printed(findings, name, value, context);
            let claimed = |p: &Printed| {
                findings.values.iter().any(|(s, values)| {
                    values.iter().any(|(other, v)| {
                        other != name && *s == p.side && place(findings.sides, *s, &v.quad) == p.region
                    })
                })
            };
            if elsewhere.as_ref().is_some_and(|p| !claimed(p)) {
                continue;
            }
            if name == "gender" && value == "X"
                || name == "document_number" && printed.value.len() + 3 < value.len()
            {
                continue;
            }
            let weight = if matches!(name, "last_name" | "first_name" | "nationality") { 0.9 } else { 1.0 };
            least = least.max(f64::from(printed.confidence) * weight);
            differ.push(json!({ "field": name, "side": side, "confidence": printed.confidence }));
        }
        if let Some((value, true)) = zone.get("date_of_birth")
            && labelled(findings, "date_of_birth").is_none()
            && let Some(confidence) = unlabelled_birth_date_differs(findings, value, zone, context)
        {
            least = least.max(f64::from(confidence));
            differ.push(json!({ "field": "date_of_birth", "confidence": confidence, "labelled": false }));
        }
    }
    if !differ.is_empty() {
        out.push(Signal::measured(
            "MRZ_AND_DATA_EXTRACTED_FROM_OCR_NOT_SAME",
            least,
            f64::from(SURE),
            "agreement.viz_mrz/1",
            json!({ "differ": differ }),
        ));
    }
    if let (Some(zone), Some(payload), Some((_, decoded))) = (&zone, findings.payload, findings.mrz) {
        // Numbers are left out: what a state calls the number of a card in one is not always what it does in the other.
        let differ: Vec<&str> = ["date_of_birth", "gender", "last_name"]
            .into_iter()
            .filter(|name| match (zone.get(name), payload.values.get(name)) {
                (Some((value, true)), Some(coded)) => compare(name, coded, value) == Agreement::Different,
                _ => false,
            })
            .collect();
        if !differ.is_empty() {
            out.push(Signal::measured(
                "DATA_INCONSISTENT",
                f64::from(decoded.strips.iter().map(|s| s.confidence).fold(1.0, f32::min)),
                f64::from(SURE),
                "agreement.mrz_barcode/1",
                json!({ "differ": differ }),
            ));
        }
    }
    if let Some(payload) = findings.payload {
        let mut differ = Vec::new();
        let mut most: f64 = 0.0;
        for (name, value) in &payload.values {
            if !matches!(
                *name,
                "date_of_birth"
                    | "expiration_date"
                    | "document_number"
                    | "last_name"
                    | "first_name"
                    | "gender"
            ) {
                continue;
            }
            let Some((side, printed)) = labelled(findings, name) else { continue };
            if compare(name, &printed.value, value) == Agreement::Different
                && find_printed(findings, name, value, context).is_none()
            {
                most = most.max(f64::from(printed.confidence));
                differ.push(json!({ "field": name, "side": side, "confidence": printed.confidence }));
            }
        }
        if !differ.is_empty() {
            out.push(Signal::measured(
                "DATA_INCONSISTENT",
                most,
                f64::from(SURE),
                "agreement.viz_barcode/1",
                json!({ "differ": differ }),
            ));
        }
    }
}

/// On documents without labels: the zone's birth date is printed nowhere, and one printed date can only be a birth date.
fn unlabelled_birth_date_differs(
    findings: &Findings,
    value: &str,
    zone: &BTreeMap<&'static str, (String, bool)>,
    context: Context,
) -> Option<f32> {
    let birth = PartialDate::from_str(value).ok()?;
    let expiry = zone.get("expiration_date").and_then(|(v, _)| PartialDate::from_str(v).ok())?;
    let mut other: Vec<(PartialDate, f32)> = Vec::new();
    for s in findings.sides {
        for line in &s.lines {
            let sure = line.glyphs.iter().filter(|g| g.ch.is_ascii_digit()).map(|g| g.p).fold(1.0, f32::min);
            for date in dates::all(&line.text(), Role::Past, context.order, context.today) {
                if date.agrees(&birth) {
                    return None;
                }
                other.push((date, sure));
            }
        }
    }
    // No document is valid for more than 11 years and the time of its making, so an older date is no date of issue.
    other.retain(|(d, _)| d.year <= expiry.year - 13 && d.month.is_some() && d.day.is_some());
    other.dedup_by_key(|(d, _)| *d);
    match other[..] {
        [(_, sure)] => Some(sure),
        _ => None,
    }
}

fn date_signals(fields: &BTreeMap<String, Field>, context: Context, out: &mut Vec<Signal>) {
    let today = context.today;
    let date =
        |name: &str| fields.get(name).and_then(|f| PartialDate::from_str(&f.value).ok().map(|d| (d, f)));
    let (birth, issue, expiry) = (date("date_of_birth"), date("date_of_issue"), date("expiration_date"));
    if let Some((d, f)) = expiry
        && d.latest() < today
    {
        out.push(Signal::measured(
            "DOCUMENT_EXPIRED",
            f64::from(f.confidence.max(0.5)),
            0.5,
            "dates.expiry/1",
            json!({ "source": f.source }),
        ));
    }
    let mut impossible: Vec<&str> = Vec::new();
    let mut sure: f64 = 0.0;
    let mut note = |what: &'static str, fields: &[&Field]| {
        impossible.push(what);
        sure = sure.max(f64::from(fields.iter().map(|f| f.confidence).fold(1.0, f32::min)));
    };
    if let Some((d, f)) = birth {
        if d.earliest() > today {
            note("birth_in_the_future", &[f]);
        }
        if i32::from(today.year()) - i32::from(d.year) > 125 {
            note("age_above_125", &[f]);
        }
    }
    if let Some((d, f)) = issue
        && d.earliest() > today
    {
        note("issue_in_the_future", &[f]);
    }
    if let (Some((b, fb)), Some((i, fi))) = (birth, issue)
        && b.earliest() > i.latest()
    {
        note("birth_after_issue", &[fb, fi]);
    }
    if let (Some((i, fi)), Some((e, fe))) = (issue, expiry)
        && i.earliest() > e.latest()
    {
        note("issue_after_expiry", &[fi, fe]);
    }
    if !impossible.is_empty() {
        out.push(Signal::measured(
            "INVALID_DATE",
            sure,
            f64::from(SURE),
            "dates.plausible/1",
            json!({ "found": impossible }),
        ));
    }
}

fn missing_signals(findings: &Findings, fields: &BTreeMap<String, Field>, out: &mut Vec<Signal>) {
    let has = |names: &[&str]| names.iter().any(|n| fields.contains_key(*n));
    for (risk, names) in [
        ("NAME_NOT_DETECTED", &["last_name", "first_name", "full_name"][..]),
        ("DATE_OF_BIRTH_NOT_DETECTED", &["date_of_birth"][..]),
        ("EXPIRATION_DATE_NOT_DETECTED", &["expiration_date"][..]),
        ("DOCUMENT_NUMBER_NOT_DETECTED", &["document_number", "personal_number"][..]),
    ] {
        if !has(names) {
            out.push(Signal::certain(risk, "fields.present/1", serde_json::Value::Null));
        }
    }
    if findings.identified_by == IdentifiedBy::Unknown {
        out.push(Signal::certain(
            "COULD_NOT_DETECT_DOCUMENT_TYPE",
            "identification/1",
            json!({ "title": findings.kind }),
        ));
    }
    if findings.portrait_sought && !findings.portrait_found {
        out.push(Signal::certain("PORTRAIT_IMAGE_NOT_DETECTED", "portrait.found/1", serde_json::Value::Null));
    }
    if let Some(template) = findings.template
        && template.sides.back.required
        && findings.sides.len() == 1
        && findings.mrz.is_none_or(|_| !template.sides.back.mrz)
    {
        out.push(Signal::certain(
            "DOCUMENT_BACK_SIDE_MISSING",
            "sides.complete/1",
            json!({ "template": template.id }),
        ));
    }
    if let Some(kind) = findings.template.and_then(|t| t.sides.back.barcode.as_ref())
        && findings.sides.iter().any(|s| s.side == Side::Back)
        && findings.sides.iter().all(|s| s.barcodes.is_empty())
    {
        let risk = if kind == "QR_CODE" { "QR_NOT_DETECTED" } else { "BARCODE_NOT_DETECTED" };
        out.push(Signal::certain(risk, "barcode.read/1", json!({ "kind": kind })));
    }
}

/// National numbers: form and digits, and the birth date and sex they hold.
fn number_signals(
    findings: &Findings,
    fields: &BTreeMap<String, Field>,
    context: Context,
    out: &mut Vec<Signal>,
) {
    let Some(state) = findings.state else { return };
    let Some(alpha2) = mrz::country::find(state).and_then(|c| c.alpha2.as_deref()) else { return };
    if let Some(template) = findings.template {
        for rule in template.fields.iter().filter(|r| r.check.is_some()) {
            let (Some(kind), Some(field)) = (&rule.check, fields.get(&rule.name)) else { continue };
            if let Ok(verdict) = idnumber::check(kind, &field.value)
                && !verdict.valid
            {
                let risk = if rule.name == "document_number" {
                    "DOCUMENT_NUMBER_FORMAT_MISMATCH"
                } else {
                    "PERSONAL_NUMBER_FORMAT_MISMATCH"
                };
                out.push(Signal::measured(
                    risk,
                    f64::from(field.confidence),
                    f64::from(SURE),
                    "idnumber/1",
                    json!({ "kind": kind, "field": rule.name, "reason": verdict.reason }),
                ));
            }
        }
    }
    for name in ["personal_number", "document_number"] {
        let Some(number) = fields.get(name) else { continue };
        for kind in idnumber::kinds().filter(|k| k.personal && k.country.eq_ignore_ascii_case(alpha2)) {
            let Ok(verdict) = idnumber::check(kind.id, &number.value) else { continue };
            if !verdict.valid {
                continue;
            }
            // Only a number that holds a date is telling: a bare check digit fits one number in ten or eleven by chance.
            let Some(held) = verdict.birth_date else { continue };
            let mut differ = Vec::new();
            if let Some(birth) =
                fields.get("date_of_birth").and_then(|f| PartialDate::from_str(&f.value).ok())
            {
                let day_month = held.month == birth.month && held.day == birth.day;
                let year = held.year.is_none_or(|y| i32::from(y) == i32::from(birth.year));
                if birth.month.is_some() && birth.day.is_some() && !(day_month && year) {
                    differ.push("date_of_birth");
                }
            }
            if let (Some(sex), Some(field)) = (verdict.sex, fields.get("gender")) {
                let letter = match sex {
                    idnumber::Sex::Male => "M",
                    idnumber::Sex::Female => "F",
                    idnumber::Sex::Other => "X",
                };
                if field.value != letter && field.value != "X" {
                    differ.push("gender");
                }
            }
            if !differ.is_empty() {
                let sure = f64::from(
                    number.confidence.min(fields.get("date_of_birth").map_or(1.0, |f| f.confidence)),
                );
                out.push(Signal::measured(
                    "DATA_INCONSISTENT",
                    sure,
                    f64::from(SURE),
                    "idnumber.holder/1",
                    json!({ "kind": kind.id, "differ": differ }),
                ));
            }
            break;
        }
    }
    let _ = context;
}

/// The template's own rules.
fn rule_signals(findings: &Findings, out: &mut Vec<Signal>) {
    let Some(template) = findings.template else { return };
    for rule in &template.rules {
        let (Some((left, a)), Some((right, b))) =
            (operand(findings, &rule.left), operand(findings, &rule.right))
        else {
            continue;
        };
        let date = |v: &str| PartialDate::from_str(v).ok();
        let holds = match rule.op {
            Operator::Eq => agree::numbers(&left, &right) != Agreement::Different,
            Operator::NameEq => agree::names(&left, &right) != Agreement::Different,
            Operator::DateEq => date(&left).zip(date(&right)).is_none_or(|(x, y)| x.agrees(&y)),
            Operator::Contains => squeeze(&left).contains(&squeeze(&right)),
            Operator::Before => date(&left).zip(date(&right)).is_none_or(|(x, y)| x.earliest() < y.latest()),
            Operator::After => date(&left).zip(date(&right)).is_none_or(|(x, y)| x.latest() > y.earliest()),
        };
        if !holds {
            out.push(Signal::measured(
                &rule.on_fail,
                f64::from(a.min(b)),
                f64::from(SURE),
                "template.rule/1",
                json!({ "template": template.id, "rule": rule.id }),
            ));
        }
    }
}

/// `mrz.optional_data`, `viz.document_number`, `barcode.last_name` or a quoted literal, with its confidence.
fn operand(findings: &Findings, text: &str) -> Option<(String, f32)> {
    if let Some(literal) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        return Some((literal.to_owned(), 1.0));
    }
    let (source, name) = text.split_once('.')?;
    match source {
        "mrz" => {
            let (_, decoded) = findings.mrz?;
            let sure = decoded.strips.iter().map(|s| s.confidence).fold(1.0, f32::min);
            match name {
                "optional_data" => Some((decoded.mrz.optional.clone(), sure)).filter(|(v, _)| !v.is_empty()),
                "optional_data_2" => {
                    Some((decoded.mrz.optional2.clone(), sure)).filter(|(v, _)| !v.is_empty())
                }
                _ => mrz_values(decoded).get(name).map(|(v, _)| (v.clone(), sure)),
            }
        }
        "viz" => labelled(findings, name).map(|(_, v)| (v.value.clone(), v.confidence)),
        "barcode" => findings.payload?.values.get(name).map(|v| (v.clone(), 1.0)),
        _ => None,
    }
}

/// Mean probability of a line's characters from which what its digits say counts.
const LEGIBLE: f32 = 0.6;
/// Chroma at which a page counts as grey.
const GREY: f32 = 6.0;
/// Share of colours out of step from which a picture shows a screen. Measured on filled_docs: the 4 simulated screens
/// 1.41–1.87, 49 other pictures (photos, blurred, copied, specimens) 0.00–0.44; the threshold is the geometric middle.
/// The screens are simulated: nothing is known of real ones.
pub(crate) const FRINGES: f32 = 0.8;

fn pixel_signals(findings: &Findings, out: &mut Vec<Signal>) {
    for s in findings.sides {
        let grey_score = f64::from(1.0 - (s.chroma / (2.0 * GREY)).min(1.0));
        if s.chroma < 2.0 * GREY {
            out.push(Signal::measured(
                "PRINTED_COPY_DETECTED",
                grey_score,
                0.5,
                "pixel.chroma/1",
                json!({ "side": s.side, "chroma": s.chroma }),
            ));
        }
        if let Some(share) = s.fringes {
            let score = f64::from((share / (2.0 * FRINGES)).min(1.0));
            out.push(Signal::measured(
                "SCREEN_CAPTURE_DETECTED",
                score,
                0.5,
                "pixel.colour_fringes/1",
                json!({ "side": s.side, "share": share }),
            ));
        }
        for (remedy, risk) in [
            ("hold_still", "POOR_DOCUMENT_QUALITY"),
            ("tilt_away_from_light", "GLARE_ON_DOCUMENT"),
            ("show_whole_document", "DOCUMENT_NOT_FULLY_VISIBLE"),
        ] {
            if s.quality.remedy.contains(&remedy) {
                out.push(Signal::certain(risk, "quality/1", json!({ "side": s.side, "remedy": remedy })));
            }
        }
    }
    out.retain(Signal::present);
}

fn side_signals(findings: &Findings, out: &mut Vec<Signal>) {
    let [front, back] = findings.sides else { return };
    let mut why = Vec::new();
    let mut sure: f64 = 0.0;
    let near = imaging::hash::distance(
        imaging::hash::perceptual(&front.page.image),
        imaging::hash::perceptual(&back.page.image),
    );
    if near <= 4 {
        why.push("same_picture");
        sure = 1.0;
    }
    let of = |side: Side, name: &str| {
        findings.values.iter().find(|(s, _)| *s == side).and_then(|(_, v)| v.get(name))
    };
    for name in ["document_number", "date_of_birth", "last_name"] {
        if let (Some(a), Some(b)) = (of(Side::Front, name), of(Side::Back, name))
            && compare(name, &a.value, &b.value) == Agreement::Different
        {
            why.push(if name == "last_name" {
                "names_differ"
            } else if name == "date_of_birth" {
                "birth_dates_differ"
            } else {
                "numbers_differ"
            });
            sure = sure.max(f64::from(a.confidence.min(b.confidence)));
        }
    }
    if let (Some(a), Some(b)) = (&front.mrz, &back.mrz)
        && a.valid
        && b.valid
        && a.mrz.document_number != b.mrz.document_number
    {
        why.push("zones_differ");
        sure = 1.0;
    }
    // The zone of one side against the print of the other: two fields that differ are another person's card.
    if let Some((zone_side, decoded)) = findings.mrz {
        let other = if zone_side == Side::Front { Side::Back } else { Side::Front };
        let zone = mrz_values(decoded);
        let differing: Vec<f32> = ["document_number", "date_of_birth", "last_name", "expiration_date"]
            .iter()
            .filter_map(|name| {
                let (value, proved) = zone.get(name)?;
                let printed = of(other, name)?;
                (*proved && compare(name, &printed.value, value) == Agreement::Different)
                    .then_some(printed.confidence)
            })
            .collect();
        if differing.len() >= 2 {
            why.push("zone_and_print_differ");
            sure = sure.max(f64::from(differing.iter().copied().fold(1.0, f32::min)));
        }
    }
    if !why.is_empty() {
        out.push(Signal::measured(
            "DOCUMENT_SIDES_MISMATCH",
            sure,
            f64::from(SURE),
            "sides.agree/1",
            json!({ "why": why }),
        ));
    }
}

/// Names, numbers and words of public specimens (`data/specimens.toml`).
fn specimen_signals(findings: &Findings, fields: &BTreeMap<String, Field>, out: &mut Vec<Signal>) {
    let known = specimens();
    let mut shows = Vec::new();
    for name in ["last_name", "first_name"] {
        if let Some(f) = fields.get(name)
            && known.names.iter().any(|n| fold(n) == fold(&f.value))
        {
            shows.push(json!({ "field": name }));
        }
    }
    if let Some(f) = fields.get("document_number")
        && known.numbers.iter().any(|n| squeeze(n) == squeeze(&f.value))
    {
        shows.push(json!({ "field": "document_number" }));
    }
    if findings.state == Some("UTO") {
        shows.push(json!({ "field": "issuing_state" }));
    }
    for s in findings.sides {
        let stamped = s
            .lines
            .iter()
            .any(|l| fold(&l.text()).split(' ').any(|w| known.words.iter().any(|k| fold(k) == w)));
        if stamped {
            shows.push(json!({ "side": s.side, "word": true }));
        }
    }
    if !shows.is_empty() {
        out.push(Signal::certain(
            "PUBLIC_DOCUMENT_IMAGE_DETECTED",
            "specimen.known/1",
            json!({ "shows": shows }),
        ));
    }
}

#[derive(serde::Deserialize)]
struct Specimens {
    words: Vec<String>,
    names: Vec<String>,
    numbers: Vec<String>,
}

fn specimens() -> &'static Specimens {
    static KNOWN: std::sync::OnceLock<Specimens> = std::sync::OnceLock::new();
    KNOWN.get_or_init(|| {
        toml::from_str(include_str!("../data/specimens.toml"))
            .expect("the table is part of the crate and tested")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specimen_table_is_read() {
        assert!(specimens().words.iter().any(|w| w == "SPECIMEN"));
    }

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
