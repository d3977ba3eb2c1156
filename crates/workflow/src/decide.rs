//! The decision on a session: the worst of its verdicts, and only a complete set can approve.

use crate::{Definition, FeatureStatus, SessionStatus, Verdict};

/// Decides a session from the verdicts so far.
///
/// Declined outweighs review, review outweighs approval; a node without a
/// verdict leaves the session in progress unless another one declined it.
pub fn decide(definition: &Definition, verdicts: &[Verdict]) -> SessionStatus {
    let status_of = |id: &str| verdicts.iter().rev().find(|verdict| verdict.node_id == id).map(|v| v.status);
    let statuses: Vec<FeatureStatus> = definition
        .nodes
        .iter()
        .map(|node| status_of(&node.id).unwrap_or(FeatureStatus::NotFinished))
        .collect();
    if statuses.contains(&FeatureStatus::Declined) {
        SessionStatus::Declined
    } else if statuses.contains(&FeatureStatus::NotFinished) || statuses.is_empty() {
        SessionStatus::InProgress
    } else if statuses.contains(&FeatureStatus::InReview) {
        SessionStatus::InReview
    } else {
        SessionStatus::Approved
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Feature;

    fn any_feature_status() -> impl Strategy<Value = FeatureStatus> {
        prop::sample::select(vec![
            FeatureStatus::NotFinished,
            FeatureStatus::Approved,
            FeatureStatus::InReview,
            FeatureStatus::Declined,
        ])
    }

    proptest! {
        #[test]
        fn only_a_complete_set_of_passed_checks_approves(statuses in prop::collection::vec(any_feature_status(), 3), given in 0..4_usize) {
            let definition = Definition::of(&[Feature::Ocr, Feature::Liveness, Feature::FaceMatch]);
            let verdicts: Vec<Verdict> = definition.nodes.iter().zip(&statuses).take(given).map(|(node, status)| Verdict {
                node_id: node.id.clone(), feature: node.feature, status: *status, warnings: Vec::new(),
            }).collect();
            let decided = decide(&definition, &verdicts);
            let complete = given >= 3 && statuses.iter().all(|status| *status == FeatureStatus::Approved);
            prop_assert_eq!(decided == SessionStatus::Approved, complete);
            prop_assert_eq!(decided == SessionStatus::Declined, verdicts.iter().any(|v| v.status == FeatureStatus::Declined));
        }
    }
}
