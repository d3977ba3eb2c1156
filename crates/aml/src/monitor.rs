//! Carries list changes to the people who are watched.
//!
//! The stored customers have an index of their own, built like that of the lists. A
//! changed entry is looked up *in the customers*; those who may be meant are screened
//! the ordinary way, so an alert never differs from what a fresh screening would say.
//!
//! Everything here is a function of its input. An alert's id is a hash of whom, what
//! and which state of the entry, so delivering a delta twice (a crash in the middle)
//! gives the same ids and a store with a unique id neither loses nor doubles one.

use std::collections::HashSet;
use std::path::Path;

use names::analyse;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::index::{Builder, Index, IndexError};
use crate::lists::{Change, ChangeKind};
use crate::model::{CountryLink, Entity, NameKind};
use crate::profile::Profile;
use crate::score::ALERT_AT;
use crate::screen::{Query, Screener};
use crate::search::{Prepared, Scratch, search};

/// Names of one entry that are looked up among the customers.
const MAX_NAMES: usize = 64;
/// Customers one name of an entry may point to; more than this share a name too common to say anything.
const MAX_AFFECTED: usize = 40;

/// Raw name score from which a customer is screened against a changed entry.
const NET: f32 = ALERT_AT * 0.9;

/// Collects customers for their index.
#[derive(Default)]
pub struct CustomerBuilder {
    builder: Builder,
}

impl CustomerBuilder {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a customer under the caller's id.
    ///
    /// # Errors
    /// When the record cannot be written as JSON.
    pub fn add(&mut self, id: &str, customer: &Query) -> Result<(), serde_json::Error> {
        let mut entity = Entity::new(id.to_owned(), customer.schema);
        for name in &customer.names {
            entity.add_name(name, NameKind::Primary);
        }
        entity.births.clone_from(&customer.births);
        entity.countries = customer.countries.iter().map(|c| (CountryLink::Nationality, c.clone())).collect();
        entity.gender.clone_from(&customer.gender);
        entity.identifiers.clone_from(&customer.identifiers);
        self.builder.add(&entity)
    }

    /// Writes the index. The file holds personal data: it belongs where the caller keeps such.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(self, path: &Path) -> std::io::Result<()> {
        self.builder.write(path)
    }
}

/// The customers, searchable by what a list says.
#[derive(Debug)]
pub struct Customers {
    index: Index,
}

impl Customers {
    /// Opens a customer index.
    ///
    /// # Errors
    /// When it is missing or of another version.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        Ok(Self { index: Index::open(path)? })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.entities()
    }

    /// True when nobody is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A customer's own data by number.
    fn customer(&self, number: u32) -> Option<(String, Query)> {
        let entity = self.index.entity(number)?;
        let query = Query {
            names: entity.names.into_iter().map(|n| n.text).collect(),
            schema: entity.schema,
            births: entity.births,
            countries: entity.countries.into_iter().map(|c| c.1).collect(),
            gender: entity.gender,
            identifiers: entity.identifiers,
        };
        Some((entity.key, query))
    }

    /// The customers whom an entry may mean, by number: a wide net that the screening then narrows.
    fn affected(&self, entity: &Entity, profile: &Profile, scratch: &mut Scratch) -> Vec<u32> {
        let mut numbers: HashSet<u32> = HashSet::new();
        let mut asked: HashSet<String> = HashSet::new();
        for name in entity.names.iter().take(MAX_NAMES) {
            let name = analyse(&name.text, entity.schema.kind());
            let mut key: Vec<&str> = name.tokens.iter().map(|t| t.sound.as_str()).collect();
            key.sort_unstable();
            // Spellings of the same sound find the same people.
            if !asked.insert(key.join(" ")) {
                continue;
            }
            let prepared = Prepared::new(Some(&self.index), name);
            for found in
                search(&self.index, &prepared, entity.schema, &profile.weights, MAX_AFFECTED, NET, scratch)
            {
                if found.alignment.raw >= NET {
                    numbers.insert(found.entity);
                }
            }
        }
        for identifier in &entity.identifiers {
            numbers.extend(self.index.with_identifier(&identifier.normal()).iter().take(MAX_AFFECTED));
        }
        let mut numbers: Vec<u32> = numbers.into_iter().collect();
        numbers.sort_unstable();
        numbers
    }
}

/// What a person decided about a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is somebody else.
    #[serde(rename = "False Positive")]
    FalsePositive,
    /// It is this person.
    #[serde(rename = "Confirmed Match")]
    ConfirmedMatch,
    /// It cannot be told.
    #[serde(rename = "Inconclusive")]
    Inconclusive,
}

/// A decision remembered for one person and one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// Fingerprint of the entry when it was decided ([`Entity::fingerprint`], hex).
    pub fingerprint: String,
}

/// How a hit stands, given what was decided before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody decided yet.
    Open,
    /// Decided, and nothing that decides a match has changed since.
    Decided(Verdict),
    /// Decided, but the entry has materially changed: to be looked at again.
    Reopened,
}

/// How a hit stands. Remarks, addresses and programmes of an entry do not reopen it.
#[must_use]
pub fn standing(decision: Option<&Decision>, fingerprint: &str) -> Standing {
    match decision {
        None => Standing::Open,
        Some(d) if d.fingerprint == fingerprint => Standing::Decided(d.verdict),
        Some(_) => Standing::Reopened,
    }
}

/// What is already known of a person's hit on an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Fingerprint of the entry when the hit was last reported.
    pub fingerprint: String,
    /// The decision, if one was made.
    pub decision: Option<Decision>,
}

/// Where the hits of the watched people are kept.
pub trait Hits {
    /// What is known of a person's hit on an entry.
    fn known(&self, person: &str, entity: &str) -> Option<Known>;
    /// The people who have a hit on an entry.
    fn people(&self, entity: &str) -> Vec<String>;
}

/// Why a person is alerted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// The person now matches an entry.
    New,
    /// An entry that the person matched has materially changed.
    Changed,
    /// The person no longer matches: the entry is gone or no longer fits.
    Removed,
}

/// One alert of one person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Hash of person, entry, kind and the entry's fingerprint: the same alert always has the same id.
    pub id: String,
    /// The customer's id.
    pub person: String,
    /// The entry's key.
    pub entity: String,
    /// Why.
    pub kind: AlertKind,
    /// The entry's fingerprint now, or as it last was.
    pub fingerprint: String,
    /// Score of the hit now, 0 for a removed one.
    pub score: f32,
    /// True when a decision was made and must be looked at again.
    pub reopens: bool,
}

impl Alert {
    fn new(
        person: &str,
        entity: &str,
        kind: AlertKind,
        fingerprint: &str,
        score: f32,
        reopens: bool,
    ) -> Self {
        let digest = Sha256::digest(format!("{person}\n{entity}\n{kind:?}\n{fingerprint}").as_bytes());
        Self {
            id: hex::encode(&digest[..16]),
            person: person.to_owned(),
            entity: entity.to_owned(),
            kind,
            fingerprint: fingerprint.to_owned(),
            score,
            reopens,
        }
    }
}

/// The alerts that a delta of a list causes, in the order of the changes. `screener` holds the new version.
#[must_use]
pub fn alerts(
    changes: &[(Change, &Entity)],
    customers: &Customers,
    screener: &Screener,
    profile: &Profile,
    hits: &dyn Hits,
) -> Vec<Alert> {
    let (mut of_customers, mut of_lists) = (Scratch::remembering(), Scratch::remembering());
    let numbers = screener.index().numbers_of(&changes.iter().map(|(c, _)| c.key.as_str()).collect());
    let mut out = Vec::new();
    for (change, entity) in changes.iter().filter(|(c, _)| c.material) {
        let fingerprint = hex::encode(entity.fingerprint());
        let before = hits.people(&change.key);
        let mut still: HashSet<String> = HashSet::new();
        if change.kind != ChangeKind::Removed {
            for number in customers.affected(entity, profile, &mut of_customers) {
                let Some((person, query)) = customers.customer(number) else { continue };
                let hit = numbers
                    .get(&change.key)
                    .and_then(|&entry| screener.rank_entry(entry, &query, profile, &mut of_lists));
                let Some(hit) = hit else { continue };
                still.insert(person.clone());
                let known = hits.known(&person, &change.key);
                let (kind, reopens) = match &known {
                    None => (AlertKind::New, false),
                    // Already told of this state of the entry.
                    Some(known) if known.fingerprint == fingerprint => continue,
                    Some(known) => (
                        AlertKind::Changed,
                        standing(known.decision.as_ref(), &fingerprint) == Standing::Reopened,
                    ),
                };
                out.push(Alert::new(&person, &change.key, kind, &fingerprint, hit.score, reopens));
            }
        }
        for person in before.into_iter().filter(|p| !still.contains(p)) {
            out.push(Alert::new(&person, &change.key, AlertKind::Removed, &fingerprint, 0.0, false));
        }
    }
    out
}
