//! What a workflow consists of: features in order, each with its settings.

use std::collections::BTreeMap;

use evidence::catalogue::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::DocumentsAllowed;

/// A check a workflow can contain, named as in the workflow API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Feature {
    /// Reading and judging an identity document.
    Ocr,
    /// Verifying the chip of the document.
    Nfc,
    /// Judging whether a live person is in front of the camera.
    Liveness,
    /// Comparing the selfie with the document's portrait.
    FaceMatch,
    /// Screening the person against watch-lists.
    Aml,
    /// Estimating the age from the selfie.
    AgeEstimation,
}

impl Feature {
    /// Every feature, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Ocr, Self::Nfc, Self::Liveness, Self::FaceMatch, Self::Aml, Self::AgeEstimation];

    /// Name in the workflow API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ocr => "OCR",
            Self::Nfc => "NFC",
            Self::Liveness => "LIVENESS",
            Self::FaceMatch => "FACE_MATCH",
            Self::Aml => "AML",
            Self::AgeEstimation => "AGE_ESTIMATION",
        }
    }

    /// Name in decisions and warnings.
    pub fn decision_name(self) -> &'static str {
        match self {
            Self::Ocr => "ID_VERIFICATION",
            Self::Nfc => "NFC",
            Self::Liveness | Self::AgeEstimation => "LIVENESS",
            Self::FaceMatch => "FACEMATCH",
            Self::Aml => "AML",
        }
    }

    /// One of these must stand before this one, because it supplies its input. A face that is matched without a
    /// document is a returning person's: it is compared with the portrait kept of them.
    fn needs(self) -> &'static [Self] {
        match self {
            Self::FaceMatch => &[Self::Ocr, Self::Liveness],
            Self::Nfc | Self::Aml => &[Self::Ocr],
            Self::Ocr | Self::Liveness | Self::AgeEstimation => &[],
        }
    }

    /// The code of the warning given when the check could not run.
    pub(crate) fn could_not_run(self) -> &'static str {
        match self {
            Self::Ocr => "COULD_NOT_PERFORM_ID_VERIFICATION",
            Self::Nfc => "NFC_CHIP_NOT_VERIFIED",
            Self::Liveness | Self::AgeEstimation => "COULD_NOT_PERFORM_LIVENESS",
            Self::FaceMatch => "COULD_NOT_PERFORM_FACE_MATCH",
            Self::Aml => "COULD_NOT_PERFORM_AML_SCREENING",
        }
    }
}

/// How liveness is judged, named as in the workflow API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LivenessMethod {
    /// From one picture.
    #[default]
    #[serde(rename = "passive", alias = "PASSIVE")]
    Passive,
    /// The person turns the head as the page asks.
    #[serde(rename = "active_3d", alias = "ACTIVE_3D")]
    Active3d,
    /// The page lights the face with colours.
    #[serde(rename = "flashing", alias = "FLASHING")]
    Flashing,
}

/// Settings of one node, as [`crate::settings`] reads them. Scores and thresholds are 0 to 100, as in the API.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NodeConfig {
    /// A score at or below this declines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decline_threshold: Option<f64>,
    /// A score at or below this, and above the decline threshold, goes to review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review_threshold: Option<f64>,
    /// Minimum age in full years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_age: Option<u8>,
    /// Accepted issuing states (ISO 3166-1 alpha-3); empty accepts all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted_countries: Vec<String>,
    /// Accepted document type codes (`P`, `ID`, `DL`, `RP` …); empty accepts all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted_documents: Vec<String>,
    /// How liveness is judged; passive without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub face_liveness_method: Option<LivenessMethod>,
    /// How often a person may try an active challenge: 1 to 10; 3 without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub face_liveness_max_attempts: Option<u8>,
    /// What to do with single risks, instead of the catalogue's default.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub actions: BTreeMap<String, Action>,
    /// Accepted document types by issuing state, beside the two lists above; empty accepts all.
    #[serde(skip_serializing_if = "DocumentsAllowed::is_empty")]
    pub documents_allowed: DocumentsAllowed,
    /// Whether the age is restricted: only ever together with `minimum_age`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_age_restrictions_enabled: Option<bool>,
    /// How a screening is scored.
    #[serde(flatten)]
    pub aml: AmlConfig,
    /// What to do with kinds of risks, by the setting's name (`duplicated_user_action` …).
    #[serde(flatten)]
    pub policies: BTreeMap<String, Action>,
    /// Settings that stand in the database and that this program cannot act on: whoever saved them expects more than is
    /// checked, so a person looks at every session.
    #[serde(flatten)]
    pub unread: BTreeMap<String, Value>,
}

/// How a screening is scored; what is open has the documented default.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AmlConfig {
    /// A risk below this is approved.
    #[serde(rename = "aml_score_approve_threshold", skip_serializing_if = "Option::is_none")]
    pub approve_threshold: Option<f64>,
    /// A risk above this is declined.
    #[serde(rename = "aml_score_review_threshold", skip_serializing_if = "Option::is_none")]
    pub review_threshold: Option<f64>,
    /// Hits with a lower match score are false positives.
    #[serde(rename = "aml_match_score_threshold", skip_serializing_if = "Option::is_none")]
    pub match_score_threshold: Option<u32>,
    /// Weight of the name.
    #[serde(rename = "aml_name_weight", skip_serializing_if = "Option::is_none")]
    pub name_weight: Option<u32>,
    /// Weight of the date of birth.
    #[serde(rename = "aml_dob_weight", skip_serializing_if = "Option::is_none")]
    pub dob_weight: Option<u32>,
    /// Weight of the country.
    #[serde(rename = "aml_country_weight", skip_serializing_if = "Option::is_none")]
    pub country_weight: Option<u32>,
    /// Whether the person is watched from now on.
    #[serde(rename = "include_ongoing_monitoring", skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<bool>,
    /// Whether adverse media are asked for.
    #[serde(rename = "include_adverse_media", skip_serializing_if = "Option::is_none")]
    pub adverse_media: Option<bool>,
}

/// One feature at its place in a workflow. Read from a database; what callers send goes through [`crate::settings::read`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredNode")]
pub struct Node {
    /// Unique within the workflow; appears as `node_id` in decisions.
    pub id: String,
    /// The check.
    pub feature: Feature,
    /// What its owner calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its settings.
    pub config: NodeConfig,
}

impl Node {
    /// A node of a feature with the id that it has where a workflow names none.
    pub fn new(feature: Feature, config: NodeConfig) -> Self {
        Self { id: format!("feature_{}", feature.name().to_lowercase()), feature, label: None, config }
    }
}

#[derive(Deserialize)]
struct StoredNode {
    id: String,
    feature: Feature,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    config: Map<String, Value>,
}

impl From<StoredNode> for Node {
    fn from(stored: StoredNode) -> Self {
        let config = NodeConfig::stored(stored.feature, &stored.config);
        Self { id: stored.id, feature: stored.feature, label: stored.label, config }
    }
}

/// A workflow: what is checked, and how its sessions behave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The checks, in order.
    pub nodes: Vec<Node>,
    /// Seconds until an unfinished session expires: 3,600 to 2,419,200.
    pub session_expiration_s: u32,
    /// How many times a person may repeat a failed capture: 0 to 10.
    pub max_retry_attempts: u8,
}

/// Why a definition cannot be used; the texts are those of the workflow API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDefinition {
    /// Nothing to check.
    #[error("At least one feature is required.")]
    Empty,
    /// A feature lacks the one it takes its input from.
    #[error("Feature '{feature}' must appear after one of: {needs}.")]
    Order {
        /// The feature.
        feature: &'static str,
        /// What must stand before it.
        needs: String,
    },
    /// The same feature or node id twice.
    #[error("Feature '{0}' appears more than once.")]
    Twice(String),
    /// A number outside its range.
    #[error("{field}: Ensure this value is between {min} and {max}.")]
    Range {
        /// The setting.
        field: &'static str,
        /// Smallest value.
        min: u32,
        /// Largest value.
        max: u32,
    },
    /// Review below decline, or a threshold that is no score.
    #[error(
        "Feature '{0}': thresholds must be between 0 and 100, the review threshold not below the decline threshold."
    )]
    Thresholds(&'static str),
    /// An age restriction without an age, or an age that is not to restrict.
    #[error(
        "Feature '{0}': is_age_restrictions_enabled is true exactly when minimum_age is set. Change one of them."
    )]
    Age(&'static str),
}

impl Definition {
    /// A workflow of the given features with their default settings.
    pub fn of(features: &[Feature]) -> Self {
        Self {
            nodes: features.iter().map(|feature| Node::new(*feature, NodeConfig::default())).collect(),
            session_expiration_s: 604_800,
            max_retry_attempts: 3,
        }
    }

    /// The node of a feature, where the workflow has one.
    pub fn node(&self, feature: Feature) -> Option<&Node> {
        self.nodes.iter().find(|node| node.feature == feature)
    }

    /// Whether the workflow contains a feature.
    pub fn has(&self, feature: Feature) -> bool {
        self.node(feature).is_some()
    }

    /// Whether a returning person is recognised by their kept portrait, without a document.
    pub fn recognises_returning(&self) -> bool {
        self.has(Feature::FaceMatch) && !self.has(Feature::Ocr)
    }

    /// Settings of the database that this program cannot act on, each with its node.
    pub fn unread(&self) -> Vec<String> {
        let of = |node: &Node| -> Vec<String> {
            node.config.unread.keys().map(|setting| format!("{}.{setting}", node.id)).collect()
        };
        self.nodes.iter().flat_map(of).collect()
    }

    /// What shall follow when a document was shown by another person before, where the workflow says it.
    pub fn of_duplicated_users(&self) -> Option<Action> {
        self.node(Feature::Ocr)?.config.policies.get("duplicated_user_action").copied()
    }

    /// Whether the workflow counts on a search for the person's face among the known ones.
    pub fn counts_on_face_search(&self) -> bool {
        let node = self.node(Feature::Liveness);
        node.and_then(|node| node.config.policies.get("face_liveness_possible_duplicated_face_action"))
            .is_some_and(|action| *action != Action::NoAction)
    }

    /// The active challenge that the workflow asks for, if any.
    pub fn active_liveness(&self) -> Option<LivenessMethod> {
        let method = self.node(Feature::Liveness)?.config.face_liveness_method?;
        (method != LivenessMethod::Passive).then_some(method)
    }

    /// How often a person may try an active challenge.
    pub fn liveness_attempts(&self) -> u8 {
        self.node(Feature::Liveness).and_then(|node| node.config.face_liveness_max_attempts).unwrap_or(3)
    }

    /// Checks order, uniqueness and ranges.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), InvalidDefinition> {
        if self.nodes.is_empty() {
            return Err(InvalidDefinition::Empty);
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let before = self.nodes.get(..index).unwrap_or_default();
            if before.iter().any(|other| other.feature == node.feature || other.id == node.id) {
                return Err(InvalidDefinition::Twice(node.feature.name().to_owned()));
            }
            let needs = node.feature.needs();
            let stands = |feature: &Feature| before.iter().any(|other| other.feature == *feature);
            // A document, where there is one, comes first.
            let late = needs.contains(&Feature::Ocr) && self.has(Feature::Ocr) && !stands(&Feature::Ocr);
            if !needs.is_empty() && (late || !needs.iter().any(stands)) {
                let needs = if late { &[Feature::Ocr] } else { needs };
                return Err(InvalidDefinition::Order {
                    feature: node.feature.name(),
                    needs: needs.iter().map(|feature| feature.name()).collect::<Vec<_>>().join(", "),
                });
            }
            if node.config.face_liveness_max_attempts.is_some_and(|attempts| !(1..=10).contains(&attempts)) {
                return Err(InvalidDefinition::Range {
                    field: "face_liveness_max_attempts",
                    min: 1,
                    max: 10,
                });
            }
            if node
                .config
                .is_age_restrictions_enabled
                .is_some_and(|on| on != node.config.minimum_age.is_some())
            {
                return Err(InvalidDefinition::Age(node.feature.name()));
            }
            let (decline, review) = (node.config.decline_threshold, node.config.review_threshold);
            let is_score = |value: f64| (0.0..=100.0).contains(&value);
            if !decline.is_none_or(is_score)
                || !review.is_none_or(is_score)
                || matches!((decline, review), (Some(decline), Some(review)) if review < decline)
            {
                return Err(InvalidDefinition::Thresholds(node.feature.name()));
            }
        }
        if !(3_600..=2_419_200).contains(&self.session_expiration_s) {
            return Err(InvalidDefinition::Range {
                field: "session_expiration_time",
                min: 3_600,
                max: 2_419_200,
            });
        }
        if self.max_retry_attempts > 10 {
            return Err(InvalidDefinition::Range { field: "max_retry_attempts", min: 0, max: 10 });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_kyc_workflow_is_valid() {
        assert_eq!(Definition::of(&[Feature::Ocr, Feature::Liveness, Feature::FaceMatch]).validate(), Ok(()));
    }

    #[test]
    fn face_match_before_the_document_is_refused() {
        let error = Definition::of(&[Feature::FaceMatch, Feature::Ocr]).validate().unwrap_err();
        assert_eq!(error.to_string(), "Feature 'FACE_MATCH' must appear after one of: OCR.");
    }

    #[test]
    fn a_returning_person_is_matched_without_a_document_but_after_liveness() {
        let returning = Definition::of(&[Feature::Liveness, Feature::FaceMatch]);
        assert_eq!(returning.validate(), Ok(()));
        assert!(returning.recognises_returning());
        assert!(!Definition::of(&[Feature::Ocr, Feature::FaceMatch]).recognises_returning());
        let alone = Definition::of(&[Feature::FaceMatch]).validate().unwrap_err();
        assert_eq!(alone.to_string(), "Feature 'FACE_MATCH' must appear after one of: OCR, LIVENESS.");
        let late = Definition::of(&[Feature::Liveness, Feature::FaceMatch, Feature::Ocr]).validate();
        assert_eq!(late.unwrap_err().to_string(), "Feature 'FACE_MATCH' must appear after one of: OCR.");
    }

    #[test]
    fn the_liveness_method_is_read_in_both_spellings_and_nothing_else() {
        for (text, method) in [
            ("passive", None),
            ("active_3d", Some(LivenessMethod::Active3d)),
            ("ACTIVE_3D", Some(LivenessMethod::Active3d)),
            ("flashing", Some(LivenessMethod::Flashing)),
        ] {
            let mut definition = Definition::of(&[Feature::Liveness]);
            let config = serde_json::json!({ "face_liveness_method": text });
            let (config, complaints) = crate::settings::read(Feature::Liveness, config.as_object().unwrap());
            definition.nodes[0].config = config;
            assert!(complaints.is_empty());
            assert_eq!(definition.active_liveness(), method);
        }
        let unknown = serde_json::json!({ "face_liveness_method": "mind_reading" });
        assert_eq!(crate::settings::read(Feature::Liveness, unknown.as_object().unwrap()).1.len(), 1);
    }

    #[test]
    fn a_stored_definition_with_settings_of_another_time_loads_and_keeps_them_aside() {
        let stored = serde_json::json!({
            "nodes": [
                { "id": "feature_ocr", "feature": "OCR", "config": {
                    "documents_allowed": { "ESP": { "P": { "enabled": 1 } } },
                    "duplicated_user_action": 7, "of_tomorrow": { "a": [1] }, "minimum_age": 18,
                } },
                { "id": "feature_liveness", "feature": "LIVENESS" },
            ],
            "session_expiration_s": 604_800, "max_retry_attempts": 3,
        });
        let definition: Definition = serde_json::from_value(stored).unwrap();
        assert_eq!(definition.unread(), ["feature_ocr.duplicated_user_action", "feature_ocr.of_tomorrow"]);
        let config = &definition.nodes[0].config;
        assert_eq!(config.minimum_age, Some(18));
        assert!(!config.documents_allowed.accepts(Some("UTO"), Some("P")));
        // Saved again, nothing of it is lost.
        let again: Definition = serde_json::from_value(serde_json::to_value(&definition).unwrap()).unwrap();
        assert_eq!(again, definition);
    }

    #[test]
    fn an_age_restriction_and_an_age_come_together() {
        let of = |config: Value| {
            let (config, complaints) = crate::settings::read(Feature::Ocr, config.as_object().unwrap());
            assert!(complaints.is_empty());
            Definition { nodes: vec![Node::new(Feature::Ocr, config)], ..Definition::of(&[]) }.validate()
        };
        for good in [
            serde_json::json!({ "is_age_restrictions_enabled": true, "minimum_age": 18 }),
            serde_json::json!({ "is_age_restrictions_enabled": false }),
            serde_json::json!({ "minimum_age": 18 }),
        ] {
            assert_eq!(of(good), Ok(()));
        }
        for bad in [
            serde_json::json!({ "is_age_restrictions_enabled": true }),
            serde_json::json!({ "is_age_restrictions_enabled": false, "minimum_age": 18 }),
        ] {
            assert_eq!(of(bad), Err(InvalidDefinition::Age("OCR")));
        }
    }

    #[test]
    fn an_empty_workflow_is_refused() {
        assert_eq!(
            Definition::of(&[]).validate().unwrap_err().to_string(),
            "At least one feature is required."
        );
    }

    #[test]
    fn a_review_threshold_below_the_decline_threshold_is_refused() {
        let mut definition = Definition::of(&[Feature::Liveness]);
        definition.nodes[0].config.decline_threshold = Some(60.0);
        definition.nodes[0].config.review_threshold = Some(50.0);
        assert!(definition.validate().is_err());
        definition.nodes[0].config.review_threshold = Some(f64::NAN);
        assert!(definition.validate().is_err());
    }
}
