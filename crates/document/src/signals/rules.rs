//! The template's own rules.

use std::str::FromStr;

use evidence::Signal;
use serde_json::json;

use crate::agree::{self, Agreement};
use crate::dates::PartialDate;
use crate::findings::{Findings, SURE};
use crate::fold::squeeze;
use crate::fuse::{labelled, mrz_values};
use crate::template::Operator;

/// The template's own rules.
pub(super) fn rule_signals(findings: &Findings, out: &mut Vec<Signal>) {
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
