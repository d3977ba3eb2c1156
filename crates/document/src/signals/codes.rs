//! Barcodes and seals: faults of payloads, damaged seals, and seals that say something else than the zone.

use evidence::Signal;
use serde_json::json;

use crate::findings::Findings;
use crate::fold::look_alike;

/// Faults of an AAMVA payload that a genuine issuer does not make; damaged headers are common on genuine cards.
const TELLING_FAULTS: [&str; 5] = [
    "date_impossible",
    "expires_before_issue",
    "issued_before_birth",
    "issuer_is_not_country",
    "issuer_is_not_state",
];

pub(super) fn code_signals(findings: &Findings, out: &mut Vec<Signal>) {
    payload_signals(findings, out);
    seal_signals(findings, out);
}

fn payload_signals(findings: &Findings, out: &mut Vec<Signal>) {
    let Some(payload) = findings.payload else { return };
    let found: Vec<&String> =
        payload.faults.iter().filter(|f| TELLING_FAULTS.contains(&f.as_str())).collect();
    if !found.is_empty() {
        out.push(Signal::certain(
            "BARCODE_VALIDATION_FAILED",
            "aamva.structure/1",
            json!({ "faults": found }),
        ));
    }
}

fn seal_signals(findings: &Findings, out: &mut Vec<Signal>) {
    for code in findings.sides.iter().flat_map(|s| &s.barcodes) {
        let Some(seal) = &code.seal else { continue };
        if seal.damaged {
            let risk =
                if code.kind == "QR_CODE" { "QR_VALIDATION_FAILED" } else { "BARCODE_VALIDATION_FAILED" };
            out.push(Signal::certain(risk, "seal.structure/1", json!({ "side": code.side })));
        }
        // A zone that its own check digits confirm, and a seal that error correction has confirmed.
        if let (Some(sealed), Some((_, zone))) = (seal.fields.get("mrz"), findings.mrz)
            && zone.valid
            && !same_zone(sealed, &zone.mrz.lines)
        {
            out.push(Signal::certain(
                "DATA_INCONSISTENT",
                "agreement.seal_mrz/1",
                json!({ "side": code.side, "seal": seal.document_type }),
            ));
        }
    }
}

/// Whether a seal holds the zone's lines, as many of them as it has; filling at the end does not count.
fn same_zone(sealed: &str, lines: &[String]) -> bool {
    let plain = |text: &str| look_alike(&text.replace('<', ""));
    let sealed: Vec<String> = sealed.lines().map(plain).filter(|line| !line.is_empty()).collect();
    // A zone of another length is another format, which a seal need not follow line by line.
    let whole = |lines: &[String]| lines.concat();
    let zone: Vec<String> = lines.iter().map(|line| plain(line)).collect();
    sealed.is_empty()
        || sealed.iter().zip(&zone).all(|(a, b)| a == b)
        || whole(&zone).starts_with(&whole(&sealed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_says_what_the_zone_says_or_does_not() {
        let zone = ["ARUTOD23145890<1233<<<<<<<<<<<".to_owned(), "7408122F1204159UTO<<<<<<<<<<<6".to_owned()];
        assert!(same_zone("ARUTOD23145890<1233<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6", &zone));
        assert!(same_zone("", &zone));
        assert!(!same_zone("ARUTOD23145891<1233<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6", &zone));
    }
}
