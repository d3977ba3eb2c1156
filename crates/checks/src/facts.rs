//! What checks tell each other: typed values, each with its source.
//!
//! A fact is what was seen, not how the API shows it. Who renames a field of an
//! answer cannot change what another check reads.

use std::collections::BTreeSet;

use imaging::RgbImage;
use serde::{Deserialize, Serialize};

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What is printed for people to read.
    Print,
    /// The machine readable zone.
    Zone,
    /// A barcode.
    Barcode,
    /// The chip, signed by its issuer.
    Chip,
    /// The person.
    Person,
    /// The owner of the session.
    Owner,
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

/// The kinds of facts, as manifests name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// [`Identity`].
    Identity,
    /// [`Portrait`].
    Portrait,
    /// [`Comparison`].
    Comparison,
    /// [`ChipProof`].
    ChipProof,
}

/// A text that was read.
pub type Text = Option<Sourced<String>>;

/// Who a document says that its holder is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The whole name.
    pub full_name: Text,
    /// Given names.
    pub first_name: Text,
    /// Family names.
    pub last_name: Text,
    /// ISO 8601; unknown parts are left off.
    pub date_of_birth: Text,
    /// ICAO alpha-3.
    pub nationality: Text,
    /// ICAO alpha-3.
    pub issuing_state: Text,
    /// Display name, such as `Passport`.
    pub document_type: Text,
    /// Number of the document.
    pub document_number: Text,
    /// ISO 8601.
    pub expiration_date: Text,
}

/// A text, trimmed; `None` where there is nothing in it.
pub fn plain(text: &Text) -> Option<&str> {
    text.as_ref().map(|text| text.value.trim()).filter(|text| !text.is_empty())
}

/// A picture of the holder.
#[derive(Debug, Clone)]
pub struct Portrait {
    /// Upright pixels.
    pub image: RgbImage,
    /// [`Source::Print`] or [`Source::Chip`].
    pub source: Source,
}

/// Which portrait the selfie was compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Where the portrait came from.
    pub with: Source,
}

/// What a chip proved: signed by a trusted issuer, no copy, and of the very document in the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChipProof;

/// Everything that the checks of a session told so far.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Who the holder is.
    pub identity: Option<Identity>,
    /// Pictures of the holder, in the order in which they were found.
    pub portraits: Vec<Portrait>,
    /// What the selfie was compared with.
    pub comparison: Option<Comparison>,
    /// Whether a chip proved the document.
    pub chip_proof: Option<ChipProof>,
}

impl Facts {
    /// Adds what another check told; what is known already stands.
    pub fn add(&mut self, more: Facts) {
        let Facts { identity, portraits, comparison, chip_proof } = more;
        self.identity = self.identity.take().or(identity);
        self.portraits.extend(portraits);
        self.comparison = self.comparison.or(comparison);
        self.chip_proof = self.chip_proof.or(chip_proof);
    }

    /// The portrait from one source.
    pub fn portrait(&self, source: Source) -> Option<&RgbImage> {
        self.portraits.iter().find(|portrait| portrait.source == source).map(|portrait| &portrait.image)
    }

    /// Which kinds are there.
    pub fn kinds(&self) -> BTreeSet<Fact> {
        let mut kinds = BTreeSet::new();
        kinds.extend(self.identity.as_ref().map(|_| Fact::Identity));
        kinds.extend(self.portraits.first().map(|_| Fact::Portrait));
        kinds.extend(self.comparison.map(|_| Fact::Comparison));
        kinds.extend(self.chip_proof.map(|_| Fact::ChipProof));
        kinds
    }
}
