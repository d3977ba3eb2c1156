//! The machine readable zone by itself: missing, or not as the standard has it.

use evidence::Signal;
use serde_json::json;

use crate::findings::{Findings, must_carry_mrz};
use crate::record::{IdentifiedBy, Side};

pub(super) fn zone_signals(findings: &Findings, out: &mut Vec<Signal>) {
    let Some((side, decoded)) = findings.mrz else {
        let template_side = |s: Side| {
            findings
                .template
                .is_some_and(|t| if s == Side::Front { t.sides.front.mrz } else { t.sides.back.mrz })
        };
        let required = findings.sides.iter().any(|s| template_side(s.side))
            || (findings.template.is_none()
                && findings.identified_by == IdentifiedBy::Unknown
                && findings.title.is_some_and(must_carry_mrz));
        if required {
            out.push(Signal::certain("MRZ_NOT_DETECTED", "mrz.located/1", json!({ "kind": findings.kind })));
        }
        return;
    };
    let mrz = &decoded.mrz;
    if let Some(uneven) = crate::typography::unevenness(decoded) {
        let threshold = 0.5;
        out.push(Signal::measured(
            "MRZ_TYPOGRAPHY_MISMATCH",
            f64::from((uneven / (2.0 * crate::typography::UNEVEN)).min(1.0)),
            threshold,
            "mrz.even_pitch/1",
            json!({ "side": side, "uneven": uneven }),
        ));
    }
    if decoded.cut {
        let shows = json!({ "side": side, "remedy": "show_whole_document", "zone": "ends_at_edge" });
        out.push(Signal::certain("DOCUMENT_NOT_FULLY_VISIBLE", "mrz.whole/1", shows));
    }
    if !mrz.valid() {
        let sure = decoded.strips.iter().map(|s| s.confidence).fold(1.0, f32::min);
        let whole = decoded.strips.iter().zip(&mrz.lines).all(|(s, line)| s.text.len() == line.len());
        // The digits of a zone that was hardly legible, or not read whole, prove nothing: the picture is at fault.
        if whole && sure >= LEGIBLE {
            out.push(Signal::measured(
                "MRZ_VALIDATION_FAILED",
                f64::from(sure),
                f64::from(LEGIBLE),
                "mrz.check_digits/1",
                json!({ "side": side, "errors": mrz.errors }),
            ));
        } else {
            out.push(Signal::certain(
                "POOR_DOCUMENT_QUALITY",
                "mrz.legible/1",
                json!({ "side": side, "remedy": "hold_still", "zone": "not_legible" }),
            ));
        }
    }
}

/// Mean probability of a line's characters from which what its digits say counts.
const LEGIBLE: f32 = 0.6;
