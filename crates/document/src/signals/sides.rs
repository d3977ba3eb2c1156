//! The two sides of a card: one missing, or of another document.

use evidence::Signal;
use serde_json::json;

use crate::agree::Agreement;
use crate::findings::{Findings, SURE};
use crate::fuse::{compare, mrz_values};
use crate::record::Side;

pub(super) fn side_signals(findings: &Findings, out: &mut Vec<Signal>) {
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
