//! Names, numbers and words of public specimens (`data/specimens.toml`).

use std::collections::BTreeMap;

use evidence::Signal;
use serde_json::json;

use crate::findings::Findings;
use crate::fold::{fold, squeeze};
use crate::record::Field;

/// Names, numbers and words of public specimens (`data/specimens.toml`).
pub(super) fn specimen_signals(findings: &Findings, fields: &BTreeMap<String, Field>, out: &mut Vec<Signal>) {
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
        toml::from_str(include_str!("../../data/specimens.toml"))
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
}
