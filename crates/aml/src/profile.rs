//! How a screening weighs and what it reports: the profiles.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::score::Weights;

/// Which rules score a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Log-odds over names, dates, countries, gender and identifiers.
    Default,
    /// Didit's weighted mean of name, date and country.
    Didit,
    /// OFAC's own tool: the name alone.
    Ofac,
    /// Only names that agree letter for letter or by the dictionary.
    Strict,
}

/// Didit's weights: of the name, the date of birth and the country; they sum to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiditWeights {
    /// Of the name.
    pub name: u32,
    /// Of the date of birth.
    pub birth: u32,
    /// Of the country.
    pub country: u32,
}

impl Default for DiditWeights {
    fn default() -> Self {
        Self { name: 60, birth: 25, country: 15 }
    }
}

/// A profile. Two screenings with equal profiles, lists and engine give equal results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Which rules score.
    pub method: Method,
    /// Least score, 0..100, that is reported.
    pub threshold: f32,
    /// Most hits reported.
    pub limit: usize,
    /// Whether dates, countries, gender and identifiers count.
    pub name_only: bool,
    /// Weights of the name matcher.
    pub weights: Weights,
    /// Didit's weights, for that method.
    #[serde(default)]
    pub didit: DiditWeights,
    /// Keys of entries that are never reported: decided false positives.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Only entries of these lists (what stands before the colon of their keys); empty for all.
    #[serde(default)]
    pub lists: Vec<String>,
    /// Only entries with one of these topics; empty for all.
    #[serde(default)]
    pub topics: Vec<String>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            method: Method::Default,
            threshold: 50.0,
            limit: 10,
            name_only: false,
            weights: Weights::default(),
            didit: DiditWeights::default(),
            exclude: Vec::new(),
            lists: Vec::new(),
            topics: Vec::new(),
        }
    }
}

impl Profile {
    /// The profile of this name: `default`, `didit`, `ofac`, `strict`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let with = |method, threshold| Some(Self { method, threshold, ..Self::default() });
        match name {
            "default" => with(Method::Default, 50.0),
            "didit" => with(Method::Didit, 75.0),
            "ofac" => with(Method::Ofac, 85.0),
            "strict" => with(Method::Strict, 50.0),
            _ => None,
        }
    }

    /// A fingerprint of everything in the profile, lower-case hex.
    #[must_use]
    pub fn hash(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        hex::encode(&Sha256::digest(json)[..16])
    }
}
