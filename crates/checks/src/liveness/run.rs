//! The two ways to judge liveness: one picture, or a challenge with the picture that came out of it.

use evidence::Signal;
use serde::Serialize;
use serde_json::{Value, json};
use workflow::{CheckState, Feature, Finding, LivenessMethod};

use super::{MANIFEST, Outcome};
use crate::{
    Engines, Ran, chain,
    faces::{Look, SelfieBlock, common_signals},
};

/// The block of a liveness check, without status and warnings.
#[derive(Debug, Serialize)]
struct Block {
    #[serde(flatten)]
    selfie: SelfieBlock,
    /// The judged challenge; null where it was asked for and not performed.
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<Value>,
    /// The passive judgement beside a challenge.
    #[serde(skip_serializing_if = "Option::is_none")]
    passive: Option<Passive>,
}

#[derive(Debug, Serialize)]
struct Passive {
    score: f64,
    model: String,
}

impl Block {
    fn of(look: Option<&Look>) -> Self {
        Self { selfie: SelfieBlock::of(look), challenge: None, passive: None }
    }
}

fn ran((finding, block): (Finding, Block)) -> Ran {
    match serde_json::to_value(block) {
        Ok(block) => Ran::of(finding, block),
        Err(error) => Ran::failed(Feature::Liveness, &chain(&error)),
    }
}

/// Passive liveness of a selfie.
pub(crate) fn passive(engines: &Engines, look: &Result<Look, String>) -> Ran {
    ran(match look {
        Ok(look) => judged(engines, look),
        Err(reason) => (Finding::failed(Feature::Liveness, reason), Block::of(None)),
    })
}

fn judged(engines: &Engines, look: &Look) -> (Finding, Block) {
    let mut finding = Finding::done(Feature::Liveness);
    finding.signals = common_signals(look);
    let mut block = Block::of(Some(look));
    let Some(face) = look.main() else { return (finding, block) };
    let passive = match engines.passive() {
        Ok(passive) => passive,
        Err(error) => return (Finding::failed(Feature::Liveness, &chain(&error)), block),
    };
    match passive.evaluate(&look.image, face) {
        face::Passive::Evaluated { score, method } => {
            finding.score = Some(score);
            block.selfie.score = Some(score);
            block.selfie.model = Some(method);
        }
        face::Passive::NotEvaluated { reason: "no_model" } => {
            finding.state = CheckState::NotEvaluated("no liveness model is installed".to_owned());
        }
        face::Passive::NotEvaluated { reason } => finding = Finding::failed(Feature::Liveness, reason),
    }
    (finding, block)
}

/// Active liveness: the judged challenge, with the selfie that came out of it. A picture handed in instead is not live.
pub(super) fn active(
    engines: &Engines,
    look: &Result<Look, String>,
    asked: LivenessMethod,
    outcome: Option<&Outcome>,
) -> Ran {
    let method = outcome
        .map_or(if asked == LivenessMethod::Flashing { "FLASHING" } else { "ACTIVE_3D" }, |outcome| {
            outcome.method.as_str()
        });
    let look = match look {
        Ok(look) => look,
        Err(reason) => {
            let mut block = Block::of(None);
            method.clone_into(&mut block.selfie.method);
            return ran((Finding::failed(Feature::Liveness, reason), block));
        }
    };
    // The passive judgement of the same picture is further evidence: it can send to review, it never approves.
    let (passive, mut block) = judged(engines, look);
    let mut finding = Finding::done(Feature::Liveness);
    finding.signals = common_signals(look);
    let model = block.selfie.model.take().unwrap_or_default();
    if let (Some(score), Some(bands)) = (passive.score, MANIFEST.thresholds) {
        let threshold = 1.0 - bands.review / 100.0;
        let shows = json!({ "passive_score": score });
        let (risk, unlike) = ("LOW_LIVENESS_SCORE", 1.0 - score / 100.0);
        finding.signals.push(Signal::measured(risk, unlike, threshold, &model, shows));
        block.passive = Some(Passive { score, model });
    }
    method.clone_into(&mut block.selfie.method);
    block.selfie.score = None;
    block.selfie.model = Some(face::active::METHOD.to_owned());
    block.challenge = Some(json!(outcome.map(|outcome| &outcome.report)));
    let signal = |risk: &str, shows: Value| Signal::certain(risk, face::active::METHOD, shows);
    match outcome {
        None => finding.signals.push(signal("ACTIVE_LIVENESS_NOT_PERFORMED", json!({ "asked": method }))),
        Some(outcome) => {
            if let Some(reason) = &outcome.could_not_run {
                return ran((Finding::failed(Feature::Liveness, reason), block));
            }
            if !outcome.injected.is_empty() {
                let shows = json!({ "marks": outcome.injected });
                finding.signals.push(signal("INJECTED_CAPTURE_SUSPECTED", shows));
            }
            if outcome.passed {
                finding.score = Some(100.0);
                block.selfie.score = Some(100.0);
            } else {
                let shows = json!({ "challenge": outcome.report });
                finding.signals.push(signal("ACTIVE_LIVENESS_FAILED", shows));
            }
        }
    }
    ran((finding, block))
}
