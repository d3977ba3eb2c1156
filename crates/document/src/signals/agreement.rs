//! Printed data, zone and barcode against each other.

use std::collections::BTreeMap;
use std::str::FromStr;

use evidence::Signal;
use serde_json::json;

use crate::agree::Agreement;
use crate::dates::{self, PartialDate, Role};
use crate::fields::Context;
use crate::findings::{Findings, SURE, place};
use crate::fuse::{Printed, compare, find_printed, labelled, mrz_values};

pub(super) fn agreement_signals(findings: &Findings, context: Context, out: &mut Vec<Signal>) {
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
