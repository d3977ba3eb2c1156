//! What the pixels show: copies, screens, blur, glare.

use evidence::Signal;
use serde_json::json;

use crate::findings::Findings;
use crate::pixel::FRINGES;

/// Chroma at which a page counts as grey.
const GREY: f32 = 6.0;

pub(super) fn pixel_signals(findings: &Findings, out: &mut Vec<Signal>) {
    for s in findings.sides {
        let grey_score = f64::from(1.0 - (s.chroma / (2.0 * GREY)).min(1.0));
        if s.chroma < 2.0 * GREY {
            out.push(Signal::measured(
                "PRINTED_COPY_DETECTED",
                grey_score,
                0.5,
                "pixel.chroma/1",
                json!({ "side": s.side, "chroma": s.chroma }),
            ));
        }
        if let Some(share) = s.fringes {
            let score = f64::from((share / (2.0 * FRINGES)).min(1.0));
            out.push(Signal::measured(
                "SCREEN_CAPTURE_DETECTED",
                score,
                0.5,
                "pixel.colour_fringes/1",
                json!({ "side": s.side, "share": share }),
            ));
        }
        for (remedy, risk) in [
            ("hold_still", "POOR_DOCUMENT_QUALITY"),
            ("tilt_away_from_light", "GLARE_ON_DOCUMENT"),
            ("show_whole_document", "DOCUMENT_NOT_FULLY_VISIBLE"),
        ] {
            if s.quality.remedy.contains(&remedy) {
                out.push(Signal::certain(risk, "quality/1", json!({ "side": s.side, "remedy": remedy })));
            }
        }
    }
    out.retain(Signal::present);
}
