//! What a document of its kind must show and did not.

use std::collections::BTreeMap;

use evidence::Signal;
use serde_json::json;

use crate::findings::Findings;
use crate::record::{Field, IdentifiedBy, Side};

pub(super) fn missing_signals(findings: &Findings, fields: &BTreeMap<String, Field>, out: &mut Vec<Signal>) {
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
