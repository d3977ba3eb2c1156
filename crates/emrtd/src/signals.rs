//! What a chip report says to the workflow, as signals.

use crate::verify::{GroupStatus, Report, RevocationStatus, Verdict};
use evidence::Signal;

/// Method and version of the signals.
const METHOD: &str = "emrtd.verify/1";

/// The signals of a report; none for a genuine document whose chip is not suspected.
pub fn signals(report: &Report) -> Vec<Signal> {
    let mut out = Vec::new();
    let shows = || serde_json::json!({ "reasons": report.reasons, "warnings": report.warnings });
    if report.revocation == RevocationStatus::Revoked {
        out.push(Signal::certain("NFC_CERTIFICATE_REVOKED", METHOD, shows()));
    }
    match report.verdict {
        Verdict::Genuine => {}
        Verdict::Untrusted => out.push(Signal::certain("NFC_CHIP_NOT_VERIFIED", METHOD, shows())),
        Verdict::Refused => {
            let mismatched: Vec<u8> = report
                .dg_hashes
                .iter()
                .filter(|(_, status)| matches!(status, GroupStatus::Mismatch | GroupStatus::NotInSod))
                .map(|(number, _)| *number)
                .collect();
            let shows = serde_json::json!({ "reasons": report.reasons, "data_groups": mismatched });
            out.push(Signal::certain("NFC_CHIP_REFUSED", METHOD, shows));
        }
    }
    if report.clone_suspected {
        let shows = serde_json::json!({
            "active_authentication": report.active_authentication,
            "chip_authentication": report.chip_authentication,
        });
        out.push(Signal::certain("NFC_CLONE_SUSPECTED", METHOD, shows));
    }
    out
}
