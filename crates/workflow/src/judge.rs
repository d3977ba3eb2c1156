//! Turns the evidence of one check and the settings of its node into warnings and a status.

use std::collections::BTreeMap;

use evidence::{
    Signal,
    catalogue::{self, Action},
};
use serde::{Deserialize, Serialize};

use crate::{Feature, FeatureStatus, Node};

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "reason")]
pub enum CheckState {
    /// It ran to its end.
    Done,
    /// It could not run: a technical failure or a time-out.
    Failed(String),
    /// Nothing could judge the input, such as a model that is not installed.
    NotEvaluated(String),
}

/// The evidence of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which check.
    pub feature: Feature,
    /// How it ended.
    pub state: CheckState,
    /// What it saw.
    #[serde(default)]
    pub signals: Vec<Signal>,
    /// Its score, 0 to 100, where the check gives one (similarity, liveness).
    #[serde(default)]
    pub score: Option<f64>,
    /// Age in full years, as read or estimated.
    #[serde(default)]
    pub age: Option<f64>,
    /// Issuing state of the document (ISO 3166-1 alpha-3 or ICAO code).
    #[serde(default)]
    pub country: Option<String>,
    /// Document type code (`P`, `ID`, `DL`, `RP` …).
    #[serde(default)]
    pub document: Option<String>,
}

impl Finding {
    /// A finding of a check that ran, with nothing in it yet.
    pub fn done(feature: Feature) -> Self {
        Self {
            feature,
            state: CheckState::Done,
            signals: Vec::new(),
            score: None,
            age: None,
            country: None,
            document: None,
        }
    }

    /// A finding of a check that could not run.
    pub fn failed(feature: Feature, reason: &str) -> Self {
        Self { state: CheckState::Failed(reason.to_owned()), ..Self::done(feature) }
    }
}

/// A warning as decisions show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// Risk code.
    pub risk: String,
    /// Feature in its decision spelling.
    pub feature: String,
    /// What in the input shows it.
    pub additional_data: Option<serde_json::Value>,
    /// `error` declines, `warning` asks for review, `information` changes nothing.
    pub log_type: String,
    /// One line.
    pub short_description: String,
    /// One sentence.
    pub long_description: String,
    /// The node that gave it.
    pub node_id: String,
}

/// What follows from the evidence of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The node.
    pub node_id: String,
    /// The feature.
    pub feature: Feature,
    /// The status.
    pub status: FeatureStatus,
    /// Every present risk, the gravest first.
    pub warnings: Vec<Warning>,
}

/// The code given when a feature's score lies under its thresholds.
fn low_score_code(feature: Feature) -> Option<&'static str> {
    match feature {
        Feature::Liveness => Some("LOW_LIVENESS_SCORE"),
        Feature::FaceMatch => Some("LOW_FACE_MATCH_SIMILARITY"),
        Feature::Ocr | Feature::Nfc | Feature::Aml | Feature::AgeEstimation => None,
    }
}

/// Judges the evidence of one check under the settings of its node.
pub fn judge(node: &Node, finding: &Finding) -> Verdict {
    let mut risks: BTreeMap<String, (Action, serde_json::Value)> = BTreeMap::new();
    let feature = node.feature;
    let default_action = |code: &str| {
        node.config
            .action_of(code)
            .unwrap_or_else(|| catalogue::describe(code, feature.decision_name()).action)
    };
    let mut add = |code: &str, action: Action, shows: serde_json::Value| {
        let entry = risks.entry(code.to_owned()).or_insert((action, shows));
        entry.0 = entry.0.max(action);
    };

    for signal in finding.signals.iter().filter(|signal| signal.present()) {
        // A score that is no number is present but proves nothing: a person looks, whatever the settings say.
        let action = if signal.score.is_nan() { Action::Review } else { default_action(&signal.risk) };
        add(&signal.risk, action, signal.shows.clone());
    }

    // What was not judged is never approved; the settings may ask for more than a look.
    let unjudged = |code: &str| node.config.action_of(code).unwrap_or(Action::Review).max(Action::Review);
    match &finding.state {
        CheckState::Done => {}
        CheckState::Failed(reason) => {
            let code = feature.could_not_run();
            add(code, unjudged(code), serde_json::json!({ "reason": reason }));
        }
        CheckState::NotEvaluated(reason) => {
            let code =
                if feature == Feature::Liveness { "LIVENESS_NOT_EVALUATED" } else { feature.could_not_run() };
            add(code, unjudged(code), serde_json::json!({ "reason": reason }));
        }
    }

    if !node.config.unread.is_empty() {
        let settings: Vec<&String> = node.config.unread.keys().collect();
        add("WORKFLOW_SETTING_NOT_APPLIED", Action::Review, serde_json::json!({ "settings": settings }));
    }

    if let Some(code) = low_score_code(feature)
        && finding.state == CheckState::Done
    {
        let explained =
            finding.signals.iter().any(|signal| signal.present() && explains_a_missing_score(&signal.risk));
        let decline = node.config.decline_threshold;
        let review = node.config.review_threshold;
        match finding.score.filter(|score| score.is_finite()) {
            None if explained => {
                // The settings may soften the warning, but nothing was compared: never approved.
                for signal in finding.signals.iter().filter(|signal| explains_a_missing_score(&signal.risk)) {
                    add(&signal.risk, Action::Review, signal.shows.clone());
                }
            }
            None => {
                let code = feature.could_not_run();
                add(code, unjudged(code), serde_json::json!({ "reason": "no score" }));
            }
            Some(score) => {
                let shows = serde_json::json!({ "score": score });
                if decline.is_some_and(|threshold| score <= threshold) {
                    add(code, Action::Decline, shows);
                } else if review.is_some_and(|threshold| score <= threshold) {
                    add(code, Action::Review, shows);
                } else if decline.is_none() && review.is_none() {
                    add(
                        feature.could_not_run(),
                        Action::Review,
                        serde_json::json!({ "reason": "no thresholds" }),
                    );
                }
            }
        }
    }

    if finding.state == CheckState::Done {
        if let Some(minimum) = node.config.minimum_age {
            let code = if feature == Feature::Ocr { "MINIMUM_AGE_NOT_MET" } else { "AGE_BELOW_MINIMUM" };
            match finding.age.filter(|age| age.is_finite()) {
                Some(age) if age < f64::from(minimum) => {
                    let action = node.config.action_of(code).unwrap_or(Action::Decline);
                    add(code, action, serde_json::json!({ "minimum_age": minimum }));
                }
                Some(_) => {}
                None if feature == Feature::Ocr => {
                    add("DATE_OF_BIRTH_NOT_DETECTED", Action::Review, serde_json::Value::Null);
                }
                None => add("AGE_NOT_DETECTED", Action::Review, serde_json::Value::Null),
            }
        }
        let accepted = |list: &[String], value: &Option<String>| {
            list.is_empty() || value.as_ref().is_some_and(|value| list.iter().any(|entry| entry == value))
        };
        if feature == Feature::Ocr
            && !(accepted(&node.config.accepted_countries, &finding.country)
                && accepted(&node.config.accepted_documents, &finding.document)
                && node
                    .config
                    .documents_allowed
                    .accepts(finding.country.as_deref(), finding.document.as_deref()))
        {
            add(
                "DOCUMENT_NOT_SUPPORTED_FOR_APPLICATION",
                default_action("DOCUMENT_NOT_SUPPORTED_FOR_APPLICATION"),
                serde_json::json!({ "country": finding.country, "document": finding.document }),
            );
        }
    }

    let worst = risks.values().map(|(action, _)| *action).max().unwrap_or(Action::NoAction);
    let status = match worst {
        Action::Decline => FeatureStatus::Declined,
        Action::Review => FeatureStatus::InReview,
        // Evidence of another feature can never approve this one.
        Action::NoAction if finding.feature != feature => FeatureStatus::InReview,
        Action::NoAction => FeatureStatus::Approved,
    };
    let mut warnings: Vec<(Action, Warning)> = risks
        .into_iter()
        .map(|(code, (action, shows))| {
            let risk = catalogue::describe(&code, feature.decision_name());
            let warning = Warning {
                risk: code,
                feature: feature.decision_name().to_owned(),
                additional_data: (!shows.is_null()).then_some(shows),
                log_type: match action {
                    Action::Decline => "error",
                    Action::Review => "warning",
                    Action::NoAction => "information",
                }
                .to_owned(),
                short_description: risk.short,
                long_description: risk.long,
                node_id: node.id.clone(),
            };
            (action, warning)
        })
        .collect();
    warnings.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.risk.cmp(&b.1.risk)));
    Verdict {
        node_id: node.id.clone(),
        feature,
        status,
        warnings: warnings.into_iter().map(|(_, warning)| warning).collect(),
    }
}

/// Whether a risk says by itself why there is no score.
fn explains_a_missing_score(risk: &str) -> bool {
    matches!(
        risk,
        "NO_FACE_DETECTED"
            | "NO_REFERENCE_IMAGE"
            | "ACTIVE_LIVENESS_FAILED"
            | "ACTIVE_LIVENESS_NOT_PERFORMED"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::{Definition, NodeConfig};

    fn node(feature: Feature, config: NodeConfig) -> Node {
        Node { id: "n".into(), ..Node::new(feature, config) }
    }

    fn matching() -> Node {
        node(
            Feature::FaceMatch,
            NodeConfig {
                decline_threshold: Some(50.0),
                review_threshold: Some(70.0),
                ..NodeConfig::default()
            },
        )
    }

    fn scored(score: f64) -> Finding {
        Finding { score: Some(score), ..Finding::done(Feature::FaceMatch) }
    }

    #[test]
    fn a_score_is_judged_by_its_bands() {
        assert_eq!(judge(&matching(), &scored(49.0)).status, FeatureStatus::Declined);
        assert_eq!(judge(&matching(), &scored(50.0)).status, FeatureStatus::Declined);
        assert_eq!(judge(&matching(), &scored(60.0)).status, FeatureStatus::InReview);
        assert_eq!(judge(&matching(), &scored(70.1)).status, FeatureStatus::Approved);
    }

    #[test]
    fn a_heuristic_goes_to_review_and_a_setting_can_decline_it() {
        let signal = Signal::measured("SCREEN_CAPTURE_DETECTED", 0.9, 0.5, "fft/1", Value::Null);
        let finding = Finding { signals: vec![signal], ..Finding::done(Feature::Ocr) };
        let verdict = judge(&node(Feature::Ocr, NodeConfig::default()), &finding);
        assert_eq!(verdict.status, FeatureStatus::InReview);
        assert_eq!(verdict.warnings[0].log_type, "warning");
        let strict = NodeConfig {
            actions: [("SCREEN_CAPTURE_DETECTED".to_owned(), Action::Decline)].into(),
            ..NodeConfig::default()
        };
        assert_eq!(judge(&node(Feature::Ocr, strict), &finding).status, FeatureStatus::Declined);
    }

    #[test]
    fn a_person_below_the_minimum_age_is_declined() {
        let config = NodeConfig { minimum_age: Some(18), ..NodeConfig::default() };
        let finding = Finding { age: Some(17.0), ..Finding::done(Feature::Ocr) };
        assert_eq!(judge(&node(Feature::Ocr, config), &finding).status, FeatureStatus::Declined);
    }

    #[test]
    fn a_document_from_elsewhere_is_not_accepted() {
        let config = NodeConfig { accepted_countries: vec!["UTO".into()], ..NodeConfig::default() };
        let verdict = judge(&node(Feature::Ocr, config), &Finding::done(Feature::Ocr));
        assert_eq!(verdict.warnings[0].risk, "DOCUMENT_NOT_SUPPORTED_FOR_APPLICATION");
        assert_eq!(verdict.status, FeatureStatus::Declined);
    }

    fn configured(feature: Feature, config: Value) -> Node {
        let (config, complaints) = crate::settings::read(feature, config.as_object().unwrap());
        assert!(complaints.is_empty(), "{complaints:?}");
        node(feature, config)
    }

    #[test]
    fn a_document_that_the_policy_does_not_list_is_declined_and_the_listed_one_approved() {
        let node = configured(
            Feature::Ocr,
            serde_json::json!({ "documents_allowed": { "ESP": { "P": { "enabled": 1 } } } }),
        );
        let of = |country: &str, document: &str| Finding {
            country: Some(country.to_owned()),
            document: Some(document.to_owned()),
            ..Finding::done(Feature::Ocr)
        };
        assert_eq!(judge(&node, &of("ESP", "P")).status, FeatureStatus::Approved);
        for finding in [of("UTO", "P"), of("ESP", "ID"), Finding::done(Feature::Ocr)] {
            assert_eq!(judge(&node, &finding).status, FeatureStatus::Declined);
        }
    }

    #[test]
    fn the_published_thresholds_decide() {
        for (feature, prefix) in [(Feature::FaceMatch, "face_match"), (Feature::Liveness, "face_liveness")] {
            let node =
                configured(feature, serde_json::json!({ format!("{prefix}_score_decline_threshold"): 100 }));
            let scored = |score| Finding { score: Some(score), ..Finding::done(feature) };
            assert_eq!(judge(&node, &scored(100.0)).status, FeatureStatus::Declined);
            let node = configured(
                feature,
                serde_json::json!({ format!("{prefix}_score_decline_threshold"): 10, format!("{prefix}_score_review_threshold"): 90 }),
            );
            assert_eq!(judge(&node, &scored(50.0)).status, FeatureStatus::InReview);
            assert_eq!(judge(&node, &scored(95.0)).status, FeatureStatus::Approved);
        }
    }

    #[test]
    fn every_action_setting_decides_over_its_risk() {
        for (feature, setting, risk) in [
            (Feature::Ocr, "duplicated_user_action", "POSSIBLE_DUPLICATED_USER"),
            (Feature::Ocr, "expected_details_mismatch_action", "FULL_NAME_MISMATCH_WITH_PROVIDED"),
            (Feature::Ocr, "expiration_date_not_detected_action", "EXPIRATION_DATE_NOT_DETECTED"),
            (Feature::Ocr, "inconsistent_data_action", "DATA_INCONSISTENT"),
            (Feature::Ocr, "invalid_mrz_action", "MRZ_VALIDATION_FAILED"),
            (Feature::Ocr, "invalid_code_action", "BARCODE_VALIDATION_FAILED"),
            (Feature::Ocr, "unparsed_address_action", "UNPARSED_ADDRESS"),
            (
                Feature::Ocr,
                "document_or_personal_number_format_mismatch_action",
                "DOCUMENT_NUMBER_FORMAT_MISMATCH",
            ),
            (Feature::Ocr, "document_without_portrait_action", "PORTRAIT_IMAGE_NOT_DETECTED"),
            (Feature::Ocr, "image_quality_too_low_action", "POOR_DOCUMENT_QUALITY"),
            (Feature::Nfc, "skip_nfc_action", "SKIPPED_NFC_VALIDATION"),
            (Feature::Nfc, "unverified_chip_action", "NFC_CHIP_NOT_VERIFIED"),
            (Feature::Liveness, "face_liveness_multiple_faces_action", "MULTIPLE_FACES_DETECTED"),
            (Feature::Liveness, "face_liveness_possible_duplicated_face_action", "POSSIBLE_DUPLICATED_FACE"),
            (Feature::FaceMatch, "face_match_not_computed_action", "NO_REFERENCE_IMAGE"),
        ] {
            let finding = Finding {
                signals: vec![Signal::certain(risk, "t/1", Value::Null)],
                score: Some(100.0),
                ..Finding::done(feature)
            };
            for (action, status) in [
                ("NO_ACTION", FeatureStatus::Approved),
                ("REVIEW", FeatureStatus::InReview),
                ("DECLINE", FeatureStatus::Declined),
            ] {
                if setting == "face_match_not_computed_action" && action == "NO_ACTION" {
                    continue;
                }
                let mut config = serde_json::json!({ setting: action });
                if matches!(feature, Feature::Liveness | Feature::FaceMatch) {
                    config["decline_threshold"] = 50.into();
                }
                assert_eq!(
                    judge(&configured(feature, config), &finding).status,
                    status,
                    "{setting} {action}"
                );
            }
        }
    }

    #[test]
    fn the_action_of_the_minimum_age_decides_over_it() {
        let finding = Finding { age: Some(17.0), ..Finding::done(Feature::Ocr) };
        let node = configured(
            Feature::Ocr,
            serde_json::json!({ "minimum_age": 18, "minimum_age_action": "REVIEW" }),
        );
        assert_eq!(judge(&node, &finding).status, FeatureStatus::InReview);
        let estimated = Finding { age: Some(17.0), ..Finding::done(Feature::AgeEstimation) };
        for setting in ["minimum_age", "minimum_age_threshold", "age_estimation_decline_threshold"] {
            let node = configured(Feature::AgeEstimation, serde_json::json!({ setting: 18 }));
            assert_eq!(judge(&node, &estimated).status, FeatureStatus::Declined, "{setting}");
        }
    }

    #[test]
    fn a_stored_setting_that_nothing_acts_on_sends_the_session_to_a_person() {
        let stored = serde_json::json!({ "id": "n", "feature": "OCR", "config": { "of_tomorrow": true } });
        let node: Node = serde_json::from_value(stored).unwrap();
        let verdict = judge(&node, &Finding::done(Feature::Ocr));
        assert_eq!(verdict.status, FeatureStatus::InReview);
        assert_eq!(verdict.warnings[0].risk, "WORKFLOW_SETTING_NOT_APPLIED");
        assert_eq!(
            verdict.warnings[0].additional_data,
            Some(serde_json::json!({ "settings": ["of_tomorrow"] }))
        );
    }

    #[test]
    fn a_face_that_is_missing_is_said_once() {
        let finding = Finding {
            signals: vec![Signal::certain("NO_REFERENCE_IMAGE", "face/1", Value::Null)],
            ..Finding::done(Feature::FaceMatch)
        };
        let verdict = judge(&matching(), &finding);
        assert_eq!(verdict.warnings.len(), 1);
        assert_eq!(verdict.status, FeatureStatus::Declined);
    }

    proptest! {
        /// T23: every check, replaced by an error, nothing, or a score that is no number, never ends as approved.
        #[test]
        fn what_could_not_run_is_never_approved(
            index in 0..Feature::ALL.len(),
            kind in 0..4_u8,
            reason in ".{0,20}",
            no_action in any::<bool>(),
        ) {
            let feature = Feature::ALL[index];
            let mut definition = Definition::of(&[feature]);
            if no_action {
                let actions = &mut definition.nodes[0].config.actions;
                actions.insert(feature.could_not_run().to_owned(), Action::NoAction);
                actions.insert("X".to_owned(), Action::NoAction);
                actions.insert("LIVENESS_NOT_EVALUATED".to_owned(), Action::NoAction);
            }
            let finding = match kind {
                0 => Finding::failed(feature, &reason),
                1 => Finding { state: CheckState::NotEvaluated(reason), ..Finding::done(feature) },
                2 => Finding {
                    signals: vec![Signal::measured("X", f64::NAN, 0.5, "m/1", Value::Null)],
                    ..Finding::done(feature)
                },
                _ => Finding::done(Feature::ALL[(index + 1) % Feature::ALL.len()]),
            };
            let verdict = judge(&definition.nodes[0], &finding);
            prop_assert_ne!(verdict.status, FeatureStatus::Approved);
        }

        #[test]
        fn a_match_without_a_finite_score_is_never_approved(score in prop_oneof![Just(None), Just(Some(f64::NAN)), Just(Some(f64::INFINITY))]) {
            let finding = Finding { score, ..Finding::done(Feature::FaceMatch) };
            prop_assert_ne!(judge(&matching(), &finding).status, FeatureStatus::Approved);
        }
    }
}
