//! Holds the checks: one folder each, and one line each in [`ALL`].
//!
//! A check states in its `manifest.toml` how it is called, what it asks for,
//! which facts it needs and gives, and which risks it may raise. Checks know
//! nothing of each other: they exchange typed [`facts`], never the blocks that
//! the API shows. [`round`] runs the checks of a workflow, each as soon as its
//! facts are there. Nothing here knows HTTP.

pub mod age;
pub mod aml;
mod check;
pub mod chip;
pub mod document;
mod engines;
pub mod face_match;
pub mod faces;
pub mod facts;
pub mod liveness;
mod manifest;
pub mod pictures;
pub mod round;

use workflow::Feature;

pub use crate::{
    check::{About, Capture, Carried, Check, Env, Gathered, Input, Ran, Submission, thresholds_told},
    engines::{Engines, EnginesError, chain},
    manifest::{Manifest, Picture, Single},
    round::{Examined, examine},
};

/// Every check, in the order of the documentation.
pub const ALL: &[&dyn Check] = &[
    &document::Document,
    &chip::Chip,
    &liveness::Liveness,
    &face_match::FaceMatch,
    &aml::Aml,
    &age::AgeEstimation,
];

/// The check of a name, in the spelling of workflows, of decisions or of lists.
pub fn by_name(name: &str) -> Option<&'static dyn Check> {
    let spelt = |of: fn(&Manifest) -> &str| ALL.iter().copied().find(|check| of(check.manifest()) == name);
    spelt(|manifest| &manifest.names.workflow)
        .or_else(|| spelt(|manifest| &manifest.names.list))
        .or_else(|| spelt(|manifest| &manifest.names.decision))
}

/// The check that is asked for alone under a name.
pub fn single(name: &str) -> Option<&'static dyn Check> {
    ALL.iter()
        .copied()
        .find(|check| check.manifest().single.as_ref().is_some_and(|single| single.name == name))
}

/// The feature of workflows that a check is.
pub fn feature_of(check: &dyn Check) -> Option<Feature> {
    Feature::ALL.into_iter().find(|feature| feature.name() == check.manifest().names.workflow)
}

/// The check behind a feature of a workflow.
pub fn of(feature: Feature) -> Option<&'static dyn Check> {
    ALL.iter().copied().find(|check| check.manifest().names.workflow == feature.name())
}

#[cfg(test)]
mod tests;

/// A test of this crate has no program that could be started as a decoder.
#[cfg(test)]
fn decode_here() {
    decoder::use_this_process();
}
