//! Carries list changes to the people who are watched.
//!
//! The watched people have an index of their own, built like that of the lists, in memory
//! only. It is added to: newcomers get an index of their own, and small ones are joined into
//! larger ones, so that a list change costs what changed and not how many are watched. A
//! changed entry is looked up *among the people* ([`People::meant`]); what is to be told of
//! those who are meant says a fresh screening against what is known ([`alerts`]), so an alert
//! never differs from what the ordinary way would say, and telling twice says the same.

use std::collections::HashSet;
use std::sync::Arc;

use names::analyse;
use serde::{Deserialize, Serialize};

use crate::index::{Builder, Index};
use crate::lists::{Change, ChangeKind};
use crate::model::{CountryLink, Entity, NameKind};
use crate::profile::Profile;
use crate::score::ALERT_AT;
use crate::screen::{Query, Screener};
use crate::search::{Prepared, Scratch, reaching};

/// Names of one entry that are looked up among the people.
const MAX_NAMES: usize = 64;
/// People one name or number of an entry may point to. Of a million generated people 500 changed entries mean 6,641 pairs;
/// looking further than 40 people only where half of these may be meant would pass over 760 of them.
const MAX_MEANT: usize = 1_000;

/// Raw name score from which a person is screened against a changed entry.
const NET: f32 = ALERT_AT * 0.9;

/// People who are to be watched, with what the caller knows them by.
pub struct Newcomers<M> {
    builder: Builder,
    members: Vec<M>,
}

impl<M> Default for Newcomers<M> {
    fn default() -> Self {
        Self { builder: Builder::new(), members: Vec::new() }
    }
}

impl<M> Newcomers<M> {
    /// Adds a person.
    ///
    /// # Errors
    /// When the record cannot be written as JSON.
    pub fn add(&mut self, member: M, person: &Query) -> Result<(), serde_json::Error> {
        let mut entity = Entity::new(String::new(), person.schema);
        for name in &person.names {
            entity.add_name(name, NameKind::Primary);
        }
        entity.births.clone_from(&person.births);
        entity.countries = person.countries.iter().map(|c| (CountryLink::Nationality, c.clone())).collect();
        entity.gender.clone_from(&person.gender);
        entity.identifiers.clone_from(&person.identifiers);
        self.builder.add(&entity)?;
        self.members.push(member);
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True when nobody was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// Some of the people with their index; never changed once made.
struct Segment<M> {
    index: Index,
    members: Vec<M>,
}

impl<M> Segment<M> {
    fn of(newcomers: Newcomers<M>) -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self { index: newcomers.builder.in_memory()?, members: newcomers.members }))
    }

    /// A person's own data by number.
    fn person(&self, number: u32) -> Option<(&M, Query)> {
        let entity = self.index.entity(number)?;
        let query = Query {
            names: entity.names.into_iter().map(|n| n.text).collect(),
            schema: entity.schema,
            births: entity.births,
            countries: entity.countries.into_iter().map(|c| c.1).collect(),
            gender: entity.gender,
            identifiers: entity.identifiers,
        };
        Some((self.members.get(number as usize)?, query))
    }

    fn people(&self) -> impl Iterator<Item = (&M, Query)> {
        (0..u32::try_from(self.members.len()).unwrap_or(u32::MAX)).filter_map(|number| self.person(number))
    }

    /// Those whom an entry may mean, by number: a wide net that the screening then narrows.
    fn near(&self, entity: &Entity, profile: &Profile, scratch: &mut Scratch) -> Vec<u32> {
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
            let (schema, weights) = (entity.schema, &profile.weights);
            numbers.extend(reaching(&self.index, &prepared, schema, weights, MAX_MEANT, NET, scratch));
        }
        for identifier in &entity.identifiers {
            numbers.extend(self.index.with_identifier(&identifier.normal()).iter().take(MAX_MEANT));
        }
        let mut numbers: Vec<u32> = numbers.into_iter().collect();
        numbers.sort_unstable();
        numbers
    }
}

/// The people who are watched, searchable by what a list says. A clone shares their indexes and costs nothing.
pub struct People<M> {
    /// The first is the largest; each is at least twice as large as the next.
    segments: Vec<Arc<Segment<M>>>,
}

impl<M> Default for People<M> {
    fn default() -> Self {
        Self { segments: Vec::new() }
    }
}

impl<M> Clone for People<M> {
    fn clone(&self) -> Self {
        Self { segments: self.segments.clone() }
    }
}

impl<M: Clone> People<M> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segments.iter().map(|s| s.members.len()).sum()
    }

    /// True when nobody is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Adds people.
    ///
    /// # Errors
    /// When there is no memory for their index.
    pub fn add(&mut self, newcomers: Newcomers<M>) -> std::io::Result<()> {
        if newcomers.is_empty() {
            return Ok(());
        }
        self.segments.push(Segment::of(newcomers)?);
        // So a person is indexed again only when their number doubles.
        while let [.., larger, smaller] = self.segments.as_slice()
            && larger.members.len() < 2 * smaller.members.len()
        {
            let mut joined = Newcomers::default();
            for (member, query) in larger.people().chain(smaller.people()) {
                joined.add(member.clone(), &query).map_err(std::io::Error::other)?;
            }
            let joined = Segment::of(joined)?;
            self.segments.truncate(self.segments.len() - 2);
            self.segments.push(joined);
        }
        Ok(())
    }

    /// Forgets everyone who is not to be kept.
    ///
    /// # Errors
    /// When there is no memory for the index of the others; then nobody is forgotten.
    pub fn retain(&mut self, keep: impl Fn(&M) -> bool) -> std::io::Result<()> {
        let mut left = Self::default();
        for segment in &self.segments {
            if segment.members.iter().all(&keep) {
                left.segments.push(Arc::clone(segment));
                continue;
            }
            let mut kept = Newcomers::default();
            for (member, query) in segment.people().filter(|(member, _)| keep(member)) {
                kept.add(member.clone(), &query).map_err(std::io::Error::other)?;
            }
            left.add(kept)?;
        }
        *self = left;
        Ok(())
    }

    /// Who now matches a changed entry: pairs of the change's place and the person, in the order of the changes.
    /// `screener` holds the new version; `profile` says how a person is screened.
    pub fn meant<'p>(
        &self,
        changes: &[(Change, &Entity)],
        screener: &Screener,
        profile: impl Fn(&M) -> &'p Profile,
    ) -> Vec<(usize, M)> {
        let net = Profile::default();
        let mut of_people: Vec<Scratch> = self.segments.iter().map(|_| Scratch::remembering()).collect();
        let mut of_lists = Scratch::remembering();
        let numbers = screener.index().numbers_of(&changes.iter().map(|(c, _)| c.key.as_str()).collect());
        let mut out = Vec::new();
        for (at, (change, entity)) in changes.iter().enumerate() {
            let Some(&number) = numbers.get(&change.key) else { continue };
            if !change.material || change.kind == ChangeKind::Removed {
                continue;
            }
            for (segment, scratch) in self.segments.iter().zip(&mut of_people) {
                for near in segment.near(entity, &net, scratch) {
                    if let Some((member, query)) = segment.person(near)
                        && screener.rank_entry(number, &query, profile(member), &mut of_lists).is_some()
                    {
                        out.push((at, member.clone()));
                    }
                }
            }
        }
        out
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

/// One hit of a fresh screening.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen<'a> {
    /// The entry's key.
    pub entity: &'a str,
    /// Its fingerprint.
    pub fingerprint: &'a str,
    /// The score.
    pub score: f32,
}

/// What a person is to be told: the hits of a fresh screening against those that are known, by key. A known one that
/// the screening does not show is gone, unless the screening shows as many as it may (`full`) and `fits` knows better.
pub fn alerts(
    known: &[(&str, &Known)],
    seen: &[Seen<'_>],
    full: bool,
    fits: impl Fn(&str) -> bool,
) -> Vec<Alert> {
    let mut out = Vec::new();
    for hit in seen {
        let (kind, reopens) = match known.iter().find(|(entity, _)| *entity == hit.entity) {
            None => (AlertKind::New, false),
            // Told already of this state of the entry.
            Some((_, known)) if known.fingerprint == hit.fingerprint => continue,
            Some((_, known)) => {
                (AlertKind::Changed, standing(known.decision.as_ref(), hit.fingerprint) == Standing::Reopened)
            }
        };
        let (entity, fingerprint) = (hit.entity.to_owned(), hit.fingerprint.to_owned());
        out.push(Alert { entity, kind, fingerprint, score: hit.score, reopens });
    }
    for (entity, known) in known {
        if seen.iter().any(|hit| hit.entity == *entity) || (full && fits(entity)) {
            continue;
        }
        out.push(Alert {
            entity: (*entity).to_owned(),
            kind: AlertKind::Removed,
            fingerprint: known.fingerprint.clone(),
            score: 0.0,
            reopens: false,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{INDEX_FILE, Schema, lists::diff};

    /// A listed person for every number; some resemble each other.
    fn name(number: usize) -> String {
        const FIRST: [&str; 9] =
            ["Anna", "Amaurot", "Raphael", "Muhammad", "Sergei", "Ana", "Mohamed", "Sergey", "Wilhelmina"];
        const LAST: [&str; 11] = [
            "Hythlodaeus",
            "Zapoletes",
            "Petrov",
            "Petroff",
            "Okonkwo",
            "Al-Rashid",
            "Nephelokokkygia",
            "Sapoletes",
            "Quorx",
            "van der Meer",
            "Okonkwo-Petrov",
        ];
        format!("{} {}", FIRST[number % FIRST.len()], LAST[number / FIRST.len() % LAST.len()])
    }

    fn query(number: usize) -> Query {
        Query { names: vec![name(number)], schema: Schema::Person, ..Query::default() }
    }

    /// A screener of listed people, with the changes that brought them.
    fn listed(numbers: &[usize]) -> (Screener, Vec<Entity>) {
        let folder = tempfile::tempdir().unwrap();
        let mut entities = Vec::new();
        let mut builder = Builder::new();
        for (at, &number) in numbers.iter().enumerate() {
            let mut entity = Entity::new(format!("own:{at}"), Schema::Person);
            entity.add_name(&name(number), NameKind::Primary);
            builder.add(&entity).unwrap();
            entities.push(entity);
        }
        builder.write(&folder.path().join(INDEX_FILE)).unwrap();
        (Screener::open(folder.path()).unwrap(), entities)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// However people came and went, a list change means those whom it would mean had all been indexed at once,
        /// and those are the people whom a screening finds.
        #[test]
        fn people_who_came_and_went_one_by_one_are_found_as_if_indexed_at_once(
            steps in prop::collection::vec((0usize..99, 1usize..6, any::<bool>()), 1..24),
            changed in prop::collection::vec(0usize..99, 1..5),
        ) {
            let (screener, entities) = listed(&changed);
            let changes = diff(&[], &entities);
            let profile = Profile::default();
            let mut present: BTreeSet<usize> = BTreeSet::new();
            let mut people = People::default();
            for (first, count, leaves) in steps {
                if leaves {
                    present.retain(|n| n % 7 != first % 7);
                    people.retain(|n: &usize| n % 7 != first % 7).unwrap();
                    continue;
                }
                let mut newcomers = Newcomers::default();
                for number in (first..first + count).filter(|n| present.insert(*n)) {
                    newcomers.add(number, &query(number)).unwrap();
                }
                people.add(newcomers).unwrap();
            }
            let mut all = Newcomers::default();
            present.iter().for_each(|n| all.add(*n, &query(*n)).unwrap());
            let mut at_once = People::default();
            at_once.add(all).unwrap();
            prop_assert_eq!(people.len(), present.len());
            let meant = |people: &People<usize>| -> BTreeSet<(usize, usize)> {
                people.meant(&changes, &screener, |_| &profile).into_iter().collect()
            };
            let found = meant(&people);
            prop_assert_eq!(&found, &meant(&at_once));
            let screened: BTreeSet<(usize, usize)> = present
                .iter()
                .flat_map(|&n| screener.rank(&query(n), &profile).into_iter().map(move |r| (r.number as usize, n)))
                .collect();
            prop_assert_eq!(&found, &screened);
        }
    }

    #[test]
    fn a_hit_is_told_when_new_changed_or_gone_and_not_twice() {
        let known = |fingerprint: &str, verdict: Option<Verdict>| Known {
            fingerprint: fingerprint.to_owned(),
            decision: verdict.map(|verdict| Decision { verdict, fingerprint: fingerprint.to_owned() }),
        };
        let (same, changed, gone) =
            (known("a", None), known("b", Some(Verdict::FalsePositive)), known("c", None));
        let known = [("l:same", &same), ("l:changed", &changed), ("l:gone", &gone)];
        let seen = [("l:same", "a"), ("l:changed", "b2"), ("l:new", "n")].map(|(entity, fingerprint)| Seen {
            entity,
            fingerprint,
            score: 90.0,
        });
        let told = |full: bool, fits: bool| -> Vec<(String, AlertKind, bool)> {
            alerts(&known, &seen, full, |_| fits).into_iter().map(|a| (a.entity, a.kind, a.reopens)).collect()
        };
        let first = vec![
            ("l:changed".to_owned(), AlertKind::Changed, true),
            ("l:new".to_owned(), AlertKind::New, false),
            ("l:gone".to_owned(), AlertKind::Removed, false),
        ];
        assert_eq!(told(false, true), first);
        // What a full answer crowded out is not gone.
        assert_eq!(told(true, true), first[..2]);
        assert_eq!(told(true, false), first);
    }
}
