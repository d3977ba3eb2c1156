//! Judges whether a live person is in front of the camera, from one picture or from a challenge.
//!
//! The challenge itself is given and recorded elsewhere (`face::active` is its
//! protocol); here its judged outcome becomes evidence beside the selfie that
//! came out of it.

mod run;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use workflow::{LivenessMethod, Node};

pub(crate) use self::run::passive;
use crate::{Check, Env, Examined, Input, Manifest, Ran, manifest};

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| manifest::read(include_str!("manifest.toml")));

/// The check.
pub struct Liveness;

/// What a judged challenge says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// `ACTIVE_3D` or `FLASHING`.
    pub method: String,
    /// Whether every check passed.
    pub passed: bool,
    /// Why it could not be judged, for the operator.
    pub could_not_run: Option<String>,
    /// Every check with its value and threshold, and the version of the method.
    pub report: Value,
    /// Marks of an injected recording.
    pub injected: Vec<String>,
}

impl Outcome {
    /// Names of the checks that failed.
    pub fn failed(&self) -> Vec<String> {
        let checks = self.report["checks"].as_array().into_iter().flatten();
        checks.filter(|c| c["passed"] != true).filter_map(|c| c["name"].as_str().map(str::to_owned)).collect()
    }
}

impl Check for Liveness {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn docs(&self) -> &'static str {
        include_str!("docs.md")
    }

    fn texts(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("en", include_str!("texts/en.toml")),
            ("de", include_str!("texts/de.toml")),
            ("es", include_str!("texts/es.toml")),
            ("fr", include_str!("texts/fr.toml")),
        ]
    }

    fn run(&self, env: &Env, input: &Input<'_>) -> Ran {
        let look = input.submission.selfie(&env.engines);
        let method = input.node.config.face_liveness_method;
        match method.filter(|method| *method != LivenessMethod::Passive) {
            None => passive(&env.engines, look),
            Some(asked) => run::active(&env.engines, look, asked, input.submission.challenge.as_ref()),
        }
    }

    fn complete(&self, _: &Env, _: &Examined, node: &mut Node) {
        crate::check::complete_thresholds(node, self.manifest().thresholds);
    }
}
