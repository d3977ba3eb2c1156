//! What a proven chip changes about how a document's picture is judged.
//!
//! The issuer's signature and the chip's own key say more about a document than any
//! look at a picture of it, so heuristics on the picture then inform instead of
//! asking for review. What the owner set for a risk stands.

use evidence::catalogue::Action;

use workflow::Node;

/// Risks that judge the picture of a document, not what it says.
const JUDGE_THE_PICTURE: [&str; 7] = [
    "SCREEN_CAPTURE_DETECTED",
    "PRINTED_COPY_DETECTED",
    "PORTRAIT_MANIPULATION_DETECTED",
    "MRZ_TYPOGRAPHY_MISMATCH",
    "PUBLIC_DOCUMENT_IMAGE_DETECTED",
    "DOCUMENT_NOT_FULLY_VISIBLE",
    "POOR_DOCUMENT_QUALITY",
];

/// Softens what only a picture says, for a session whose chip was proven: signed by a trusted issuer, no copy, and of
/// the very document in the picture. The caller answers for these three.
pub(super) fn soften(node: &mut Node) {
    for risk in JUDGE_THE_PICTURE {
        if node.config.action_of(risk).is_none() {
            node.config.actions.insert(risk.to_owned(), Action::NoAction);
        }
    }
}

#[cfg(test)]
mod tests {
    use evidence::Signal;
    use serde_json::Value;

    use workflow::{Definition, Feature, FeatureStatus, Finding, judge};

    use super::*;

    fn with_proven_chip(mut definition: Definition) -> Definition {
        soften(&mut definition.nodes[0]);
        definition
    }

    fn judged(definition: &Definition, risk: &str, score: f64) -> (FeatureStatus, String) {
        let mut finding = Finding::done(Feature::Ocr);
        finding.signals.push(Signal::measured(risk, score, 0.5, "test/1", Value::Null));
        let verdict = judge(&definition.nodes[0], &finding);
        (verdict.status, verdict.warnings[0].log_type.clone())
    }

    #[test]
    fn a_proven_chip_outranks_what_a_picture_looks_like_but_hides_nothing() {
        let plain = Definition::of(&[Feature::Ocr, Feature::Nfc]);
        let proven = with_proven_chip(plain.clone());
        for risk in JUDGE_THE_PICTURE {
            assert_ne!(judged(&plain, risk, 0.9).0, FeatureStatus::Approved, "{risk}");
            assert_eq!(
                judged(&proven, risk, 0.9),
                (FeatureStatus::Approved, "information".to_owned()),
                "{risk}"
            );
            // a score that is no number still goes to a person
            assert_eq!(judged(&proven, risk, f64::NAN).0, FeatureStatus::InReview, "{risk}");
        }
    }

    #[test]
    fn a_proven_chip_outranks_neither_the_data_nor_the_owners_settings() {
        let mut strict = Definition::of(&[Feature::Ocr, Feature::Nfc]);
        strict.nodes[0].config.actions.insert("PRINTED_COPY_DETECTED".to_owned(), Action::Decline);
        let proven = with_proven_chip(strict);
        assert_eq!(judged(&proven, "PRINTED_COPY_DETECTED", 0.9).0, FeatureStatus::Declined);
        assert_ne!(judged(&proven, "DOCUMENT_EXPIRED", 1.0).0, FeatureStatus::Approved);
        assert_ne!(judged(&proven, "MRZ_VALIDATION_FAILED", 1.0).0, FeatureStatus::Approved);
    }
}
