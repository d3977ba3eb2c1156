//! Holds the readings against each other, and tells what they show.
//!
//! A difference between printed data, zone and barcode is only called one where both readings are sure: a
//! misread character is not a fraud. What is certain (a check digit, a past date) and what is measured (a
//! screen's pattern) are told apart by [`Signal::certain`] and [`Signal::measured`]. Each family has its file.

mod agreement;
mod codes;
mod dates;
mod missing;
mod numbers;
mod pixels;
mod rules;
mod sides;
mod specimens;
mod zone;

use std::collections::BTreeMap;

use evidence::Signal;

use crate::fields::Context;
use crate::findings::Findings;
use crate::record::Field;

/// What the checks see.
pub(crate) fn signals(
    findings: &Findings,
    fields: &BTreeMap<String, Field>,
    context: Context,
    specimens_allowed: bool,
) -> Vec<Signal> {
    let mut out = Vec::new();
    zone::zone_signals(findings, &mut out);
    agreement::agreement_signals(findings, context, &mut out);
    codes::code_signals(findings, &mut out);
    dates::date_signals(fields, context, &mut out);
    missing::missing_signals(findings, fields, &mut out);
    numbers::number_signals(findings, fields, context, &mut out);
    rules::rule_signals(findings, &mut out);
    pixels::pixel_signals(findings, &mut out);
    sides::side_signals(findings, &mut out);
    if !specimens_allowed {
        specimens::specimen_signals(findings, fields, &mut out);
    }
    out
}
