//! Estimates the age of the person on a selfie, and holds the age rule for dates of birth ([`rule`]).

pub mod rule;
mod single;

use std::sync::LazyLock;

use serde::Serialize;
use workflow::{CheckState, Feature, Finding};

pub use self::single::Single;
use crate::{
    Carried, Check, Engines, Env, Input, Manifest, Ran, chain,
    faces::{Look, SelfieBlock, common_signals},
    manifest,
};

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| manifest::read(include_str!("manifest.toml")));

/// The check.
pub struct AgeEstimation;

impl Check for AgeEstimation {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn docs(&self) -> &'static str {
        include_str!("docs.md")
    }

    fn run(&self, env: &Env, input: &Input<'_>) -> Ran {
        let (finding, block) = estimate(&env.engines, input.submission.selfie(&env.engines));
        let mut ran = match serde_json::to_value(block) {
            Ok(block) => Ran::of(finding, block),
            Err(error) => Ran::failed(Feature::AgeEstimation, &chain(&error)),
        };
        if input.options.get::<Single>().is_some() {
            // Asked alone, an estimate is worth nothing without knowing that a live person was there.
            let live = crate::liveness::passive(&env.engines, input.submission.selfie(&env.engines));
            ran.carried = Carried::of(live);
        }
        ran
    }

    fn judge_single(&self, _: &Env, input: &Input<'_>, ran: &mut Ran) -> &'static str {
        single::judge_single(input, ran)
    }
}

/// The block of an estimate, without status and warnings.
#[derive(Debug, Serialize)]
struct Block {
    #[serde(flatten)]
    selfie: SelfieBlock,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_interval: Option<[f64; 2]>,
}

fn estimate(engines: &Engines, look: &Result<Look, String>) -> (Finding, Block) {
    let block = |look| Block { selfie: SelfieBlock::of(look), age_interval: None };
    let look = match look {
        Ok(look) => look,
        Err(reason) => return (Finding::failed(Feature::AgeEstimation, reason), block(None)),
    };
    let mut finding = Finding::done(Feature::AgeEstimation);
    finding.signals = common_signals(look);
    let mut block = block(Some(look));
    let Some(face) = look.main() else { return (finding, block) };
    let ages = match engines.ages() {
        Ok(ages) => ages,
        Err(error) => return (Finding::failed(Feature::AgeEstimation, &chain(&error)), block),
    };
    match ages.as_ref().as_ref().map(|ages| ages.estimate(&look.image, face)) {
        None => {
            let reason = "the age model is not installed; it is opt-in";
            finding.state = CheckState::NotEvaluated(reason.to_owned());
        }
        Some(Ok(None)) => {}
        Some(Ok(Some(age))) => {
            finding.age = Some(age.years);
            block.selfie.age_estimation = Some(age.years);
            block.age_interval = Some([age.low, age.high]);
            block.selfie.model = Some(age.method);
        }
        Some(Err(error)) => finding = Finding::failed(Feature::AgeEstimation, &chain(&error)),
    }
    (finding, block)
}
