//! Screens one query: names first, then dates, countries, gender and identifiers in the same scale.

use std::path::Path;
use std::sync::Mutex;

use names::analyse;
use serde::{Deserialize, Serialize};

use crate::dates::{DateRange, DateRelation};
use crate::index::{Index, IndexError};
use crate::model::{CountryLink, Entity, Identifier, Schema};
use crate::score::{Room, Weights, align};
use crate::search::{Prepared, Scratch, search};

/// Who is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Query {
    /// Names; the best counts.
    pub names: Vec<String>,
    /// What is asked for.
    pub schema: Schema,
    /// Date of birth, if known.
    #[serde(default)]
    pub birth: Option<DateRange>,
    /// Countries, ISO alpha-2 lower case.
    #[serde(default)]
    pub countries: Vec<String>,
    /// `male`, `female` or empty.
    #[serde(default)]
    pub gender: String,
    /// Document and other numbers, crypto addresses.
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
}

/// One piece of evidence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// `name`, `birth`, `country`, `gender`, `identifier`.
    pub feature: String,
    /// What the query says.
    pub query: String,
    /// What the list says.
    pub listed: String,
    /// Weight in nats; positive speaks for the match.
    pub log_odds: f32,
}

/// One entry that may be the person.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The entry's key.
    pub key: String,
    /// 0..100.
    pub score: f32,
    /// Raw name score.
    pub raw: f32,
    /// The listed name that agrees best.
    pub name: String,
    /// The entry.
    pub entity: Entity,
    /// What speaks for and against.
    pub evidence: Vec<Evidence>,
}

/// The outcome of one query.
#[derive(Clone, Debug)]
pub struct Screening {
    /// Hits, best first.
    pub hits: Vec<Hit>,
}

/// An opened index, ready for queries from any thread.
#[derive(Debug)]
pub struct Screener {
    index: Index,
    weights: Weights,
    scratch: Mutex<Vec<Box<Scratch>>>,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

impl Screener {
    /// Opens the index in a folder.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(dir: &Path) -> Result<Self, IndexError> {
        Ok(Self { index: Index::open(&dir.join("index.bfaml"))?, weights: Weights::default(), scratch: Mutex::new(Vec::new()) })
    }

    /// With other weights, for fitting.
    pub fn set_weights(&mut self, weights: Weights) {
        self.weights = weights;
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Names only, raw scores: what fitting and tests look at.
    pub fn raw(&self, name: &str, schema: Schema, limit: usize) -> Vec<(u32, f32)> {
        let mut scratch = self.scratch.lock().ok().and_then(|mut s| s.pop()).unwrap_or_default();
        let prepared = Prepared::new(Some(&self.index), analyse(name, schema.kind()));
        let found = search(&self.index, &prepared, schema, &self.weights, limit, &mut scratch);
        if let Ok(mut pool) = self.scratch.lock() {
            pool.push(scratch);
        }
        found.into_iter().map(|f| (f.entity, f.alignment.raw)).collect()
    }
}

/// Score of two names held against each other.
#[derive(Clone, Debug)]
pub struct PairScore {
    /// Raw name score.
    pub raw: f32,
}

/// Compares two names without an index.
#[must_use]
pub fn compare_pair(query: &str, candidate: &str, schema: Schema, weights: &Weights) -> PairScore {
    let q = Prepared::new(None, analyse(query, schema.kind()));
    let c = Prepared::new(None, analyse(candidate, schema.kind()));
    let (q, c) = (q.weighed(), c.weighed());
    let mut room = Room::default();
    PairScore { raw: align(&q, &c, weights, &mut room, |i, j| names::compare(q[i].view, c[j].view)).raw }
}

#[expect(dead_code, reason = "wired in the next step")]
fn relation_weight(relation: DateRelation, _link: CountryLink) -> f32 {
    match relation {
        DateRelation::SameDay => 5.0,
        _ => 0.0,
    }
}
