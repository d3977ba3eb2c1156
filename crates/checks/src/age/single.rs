//! The single check: an estimate judged together with passive liveness, against a minimum age with years of doubt.

use face::age::Answer as AtLeast;
use serde_json::{Value, json};
use workflow::{Definition, Feature, FeatureStatus, NodeConfig, Verdict, judge};

use crate::{Input, Ran};

/// What the caller chose.
#[derive(Debug, Clone, Copy)]
pub struct Single {
    /// A liveness score at or below this declines.
    pub liveness_decline_threshold: f64,
    /// An estimated age below this declines.
    pub minimum_age: u8,
    /// Years of doubt to both sides of it, within which a person decides ("Challenge 25" is 7).
    pub buffer: u8,
    /// Whether only the answer is given and kept: no picture, no age, no template.
    pub outcome_only: bool,
}

/// Fields of the block that say more of the person than the answer.
const PERSONAL: [&str; 5] =
    ["age_estimation", "age_interval", "user_image", "face_quality", "face_luminance"];

fn verdict(feature: Feature, config: NodeConfig, finding: &workflow::Finding) -> Option<Verdict> {
    let mut node = Definition::of(&[feature]).nodes.pop()?;
    node.config = config;
    Some(judge(&node, finding))
}

pub(super) fn judge_single(input: &Input<'_>, ran: &mut Ran) -> &'static str {
    let Some(chosen) = input.options.get::<Single>() else { return "Declined" };
    let outcome = ran
        .finding
        .age
        .map(|years| AtLeast::of(years, f64::from(chosen.minimum_age), f64::from(chosen.buffer)));
    let uncertain = outcome == Some(AtLeast::Uncertain);
    let minimum_age = (!uncertain).then_some(chosen.minimum_age);
    let age_config = NodeConfig { minimum_age, ..NodeConfig::default() };
    // Without a liveness model the age still stands: what was not judged is said, not declined.
    let live_config =
        NodeConfig { decline_threshold: Some(chosen.liveness_decline_threshold), ..NodeConfig::default() };
    let failed = Ran::failed(Feature::Liveness, "liveness was not judged");
    let live = ran.carried.get::<Ran>().unwrap_or(&failed);
    let verdicts = [
        verdict(Feature::AgeEstimation, age_config, &ran.finding),
        verdict(Feature::Liveness, live_config, &live.finding),
    ];
    let statuses: Vec<FeatureStatus> = verdicts.iter().flatten().map(|verdict| verdict.status).collect();
    let status = if statuses.contains(&FeatureStatus::Declined) {
        "Declined"
    } else if uncertain || statuses.iter().any(|status| *status != FeatureStatus::Approved) {
        // Too close to tell, or liveness was not judged: whoever asked decides, by a document.
        "In Review"
    } else {
        "Approved"
    };
    let warnings: Vec<_> = verdicts.iter().flatten().flat_map(|verdict| &verdict.warnings).collect();
    let (warnings, score) = (json!(warnings), live.block["score"].clone());
    ran.block["score"] = score;
    ran.block["status"] = json!(status);
    ran.block["outcome"] = json!(outcome);
    ran.block["warnings"] = warnings;
    ran.block["thresholds"] = json!({
        "minimum_age": chosen.minimum_age,
        "buffer": chosen.buffer,
        "liveness_decline": chosen.liveness_decline_threshold,
    });
    if chosen.outcome_only {
        for field in PERSONAL {
            ran.block[field] = Value::Null;
        }
    }
    status
}
