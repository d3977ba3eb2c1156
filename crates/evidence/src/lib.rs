//! Names what a check saw: signals, their risk codes and the catalogue of texts.
//!
//! A check never returns a verdict. It returns [`Signal`]s; the `workflow`
//! crate turns signals and settings into warnings and a status. Risk codes
//! follow the published vocabulary (`data/risks.toml`), an open set: a code that is
//! not in the catalogue passes through unchanged.

pub mod catalogue;

use serde::{Deserialize, Serialize};

/// One thing a check saw in its input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Risk code, such as `DOCUMENT_EXPIRED`.
    pub risk: String,
    /// How strongly the input shows it, 0 to 1; 1 means certain.
    pub score: f64,
    /// The score from which the method calls it present.
    pub threshold: f64,
    /// What in the input shows it: fields, regions, measured values. Never images.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub shows: serde_json::Value,
    /// Name and version of the method, such as `mrz.check_digits/1`.
    pub method: String,
}

impl Signal {
    /// A signal that is certain: a fact such as a failed check digit, not a measurement.
    pub fn certain(risk: &str, method: &str, shows: serde_json::Value) -> Self {
        Self { risk: risk.to_owned(), score: 1.0, threshold: 1.0, shows, method: method.to_owned() }
    }

    /// A measured signal: `score` and the `threshold` from which it counts, both 0 to 1.
    pub fn measured(risk: &str, score: f64, threshold: f64, method: &str, shows: serde_json::Value) -> Self {
        Self { risk: risk.to_owned(), score, threshold, shows, method: method.to_owned() }
    }

    /// Whether the input shows the risk. A score that is not a number counts as present: fail closed.
    pub fn present(&self) -> bool {
        self.score.is_nan() || self.score >= self.threshold
    }
}
