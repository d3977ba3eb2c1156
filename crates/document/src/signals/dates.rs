//! Dates: past, impossible, or in the wrong order.

use std::collections::BTreeMap;
use std::str::FromStr;

use evidence::Signal;
use serde_json::json;

use crate::dates::PartialDate;
use crate::fields::Context;
use crate::findings::SURE;
use crate::record::Field;

pub(super) fn date_signals(fields: &BTreeMap<String, Field>, context: Context, out: &mut Vec<Signal>) {
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
