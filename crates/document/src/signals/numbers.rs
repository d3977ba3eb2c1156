//! National numbers: form and digits, and the birth date and sex they hold.

use std::collections::BTreeMap;
use std::str::FromStr;

use evidence::Signal;
use serde_json::json;

use crate::dates::PartialDate;
use crate::fields::Context;
use crate::findings::{Findings, SURE};
use crate::record::Field;

/// National numbers: form and digits, and the birth date and sex they hold.
pub(super) fn number_signals(
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
