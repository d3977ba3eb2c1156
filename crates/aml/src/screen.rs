//! Screens one query: names first, then dates, countries, gender and identifiers on the same scale.
//!
//! The default score is 100 × the logistic of a sum of log-odds, so it is strictly
//! monotone in every piece of evidence and has no plateau. 50 is where one in a
//! hundred applicants who are on no list would be alerted by name alone on lists of
//! the size of OFAC and UN together.

use std::path::Path;
use std::sync::Mutex;

use names::{Likeness, analyse};
use serde::{Deserialize, Serialize};

use crate::dates::{DateRange, DateRelation};
use crate::index::{Index, IndexError, NameId};
use crate::lists::{ListVersion, Manifest};
use crate::model::{CountryLink, Entity, Identifier, NameKind, Schema};
use crate::profile::{Method, Profile};
use crate::score::{Alignment, Pairing, Room, Weights, align};
use crate::search::{Found, Prepared, Scratch, explain, search};
use crate::{didit, ofac};

/// Version of the matcher: results are comparable and can be replayed only within one.
pub const ENGINE_VERSION: &str = "aml-1";

/// Name of the index file in its folder.
pub const INDEX_FILE: &str = "index.bfaml";

/// Most names of one query that are looked at.
const MAX_QUERY_NAMES: usize = 8;

/// Who is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// Names; the best counts.
    pub names: Vec<String>,
    /// What is asked for.
    #[serde(default)]
    pub schema: Schema,
    /// Dates of birth, if known.
    #[serde(default)]
    pub births: Vec<DateRange>,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// `name`, `birth`, `country`, `gender`, `identifier`.
    pub feature: String,
    /// What the query says.
    pub query: String,
    /// What the list says.
    pub listed: String,
    /// How they relate: `exact`, `same_day`, `within`, `different` …
    pub relation: String,
    /// Weight in nats; positive speaks for the match.
    pub log_odds: f32,
}

/// Two tokens, or groups of tokens, that were held to be the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlignedTokens {
    /// Of the query.
    pub query: String,
    /// Of the listed name.
    pub listed: String,
    /// `exact`, `group`, `sound`, `consonants`, `spelling`, `initial`.
    pub likeness: String,
    /// 0..1.
    pub similarity: f32,
    /// Information that agrees, in nats: rarer says more.
    pub information: f32,
}

/// One entry that may be the person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The entry's key.
    pub key: String,
    /// 0..100.
    pub score: f32,
    /// Raw name score, 0..1.
    pub name_score: f32,
    /// The listed name that agrees best.
    pub matched_name: String,
    /// How sure the list is of that name.
    pub matched_name_kind: NameKind,
    /// Which tokens answer which.
    pub alignment: Vec<AlignedTokens>,
    /// What speaks for and against.
    pub evidence: Vec<Evidence>,
    /// Fingerprint of what decides a match, lower-case hex (see [`Entity::fingerprint`]).
    pub fingerprint: String,
    /// The entry.
    pub entity: Entity,
    /// Didit's breakdown, with that method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub didit: Option<didit::ScoreBreakdown>,
}

/// The outcome of one query, with everything needed to replay it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Screening {
    /// Hits, best first.
    pub hits: Vec<Hit>,
    /// The lists that were searched.
    pub list_versions: Vec<ListVersion>,
    /// Version of the matcher.
    pub engine_version: String,
    /// Fingerprint of the profile.
    pub config_hash: String,
}

/// An opened index, ready for queries from any thread.
pub struct Screener {
    index: Index,
    manifest: Manifest,
    scratch: Mutex<Vec<Box<Scratch>>>,
}

impl std::fmt::Debug for Screener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screener").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Screener {
    /// Opens the index in a folder (as `bonafide aml index` writes it).
    ///
    /// # Errors
    /// When there is none or it is of another version.
    pub fn open(dir: &Path) -> Result<Self, IndexError> {
        let index = Index::open(&dir.join(INDEX_FILE))?;
        let manifest = Manifest::read(dir).unwrap_or_default();
        names::preload();
        Ok(Self { index, manifest, scratch: Mutex::new(Vec::new()) })
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The lists in it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut scratch = self.scratch.lock().ok().and_then(|mut pool| pool.pop()).unwrap_or_default();
        let out = work(&mut scratch);
        if let Ok(mut pool) = self.scratch.lock()
            && pool.len() < 64
        {
            pool.push(scratch);
        }
        out
    }

    /// Names only, raw scores by entity number: what fitting and tests look at.
    #[must_use]
    pub fn raw(&self, name: &str, schema: Schema, weights: &Weights, limit: usize) -> Vec<(u32, f32)> {
        self.scratch(|scratch| {
            let prepared = Prepared::new(Some(&self.index), analyse(name, schema.kind()));
            search(&self.index, &prepared, schema, weights, limit, scratch).into_iter().map(|f| (f.entity, f.alignment.raw)).collect()
        })
    }

    /// Keys and scores of the best hits, without explanation or records: the fastest way to ask.
    #[must_use]
    pub fn screen(&self, query: &Query, profile: &Profile) -> Screening {
        Screening {
            hits: self.scratch(|scratch| self.hits(query, profile, scratch)),
            list_versions: self.manifest.lists.clone(),
            engine_version: ENGINE_VERSION.to_owned(),
            config_hash: profile.hash(),
        }
    }

    fn hits(&self, query: &Query, profile: &Profile, scratch: &mut Scratch) -> Vec<Hit> {
        let mut best: Vec<Candidate> = Vec::new();
        let wanted = profile.limit.clamp(1, 500).max(20);
        let mut all_prepared = Vec::new();
        for (which, name) in query.names.iter().take(MAX_QUERY_NAMES).enumerate() {
            let prepared = Prepared::new(Some(&self.index), analyse(name, query.schema.kind()));
            for found in search(&self.index, &prepared, query.schema, &profile.weights, wanted, scratch) {
                let pairings = explain(&self.index, found.name, &prepared, &profile.weights, scratch);
                let candidate = Candidate { which, found, pairings };
                match best.iter_mut().find(|c| c.found.entity == candidate.found.entity) {
                    Some(known) if known.found.alignment.raw >= candidate.found.alignment.raw => {}
                    Some(known) => *known = candidate,
                    None => best.push(candidate),
                }
            }
            all_prepared.push(prepared);
        }
        let mut hits: Vec<Hit> = Vec::with_capacity(best.len());
        for candidate in best {
            if let Some(entity) = self.index.entity(candidate.found.entity) {
                let name = self.index.name_text(candidate.found.name).to_owned();
                let kind = self.index.kind_of(candidate.found.name);
                let alignment = aligned(&all_prepared[candidate.which], &self.index, candidate.found.name, &candidate.pairings);
                let query_name = &query.names[candidate.which];
                hits.extend(judge(query, query_name, profile, entity, name, kind, PairScore::of(&candidate.found.alignment), alignment));
            }
        }
        // A number in common brings an entry in whatever its name.
        for identifier in query.identifiers.iter().filter(|_| !profile.name_only).take(16) {
            for &number in self.index.with_identifier(&identifier.normal()).iter().take(32) {
                let Some(entity) = self.index.entity(number) else { continue };
                if hits.iter().any(|h| h.key == entity.key) {
                    continue;
                }
                let name = entity.caption().to_owned();
                let query_name = query.names.first().map_or("", String::as_str);
                let pair = compare_pair(query_name, &name, query.schema, &profile.weights);
                hits.extend(judge(query, query_name, profile, entity, name, NameKind::Primary, pair, Vec::new()));
            }
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.key.cmp(&b.key)));
        hits.truncate(profile.limit.clamp(1, 500));
        hits
    }
}

struct Candidate {
    which: usize,
    found: Found,
    pairings: Vec<Pairing>,
}

fn aligned(query: &Prepared, index: &Index, name: NameId, pairings: &[Pairing]) -> Vec<AlignedTokens> {
    let ids = index.tokens_of(name);
    let span = |(start, count): (u8, u8)| usize::from(start)..usize::from(start) + usize::from(count);
    pairings
        .iter()
        .map(|p| AlignedTokens {
            query: query.name.tokens.get(span(p.query)).unwrap_or_default().iter().map(|t| t.text.as_str()).collect::<Vec<_>>().join(" "),
            listed: ids.get(span(p.listed)).unwrap_or_default().iter().map(|&id| index.token(id).view.latin).collect::<Vec<_>>().join(" "),
            likeness: likeness_name(p.agreement.likeness).to_owned(),
            similarity: p.agreement.similarity,
            information: p.won,
        })
        .collect()
}

fn likeness_name(likeness: Likeness) -> &'static str {
    match likeness {
        Likeness::Exact => "exact",
        Likeness::Group => "group",
        Likeness::Sound => "sound",
        Likeness::Consonants => "consonants",
        Likeness::Spelling => "spelling",
        Likeness::Initial => "initial",
    }
}

/// Weighs everything but the name and makes the hit, or nothing where the profile leaves it out.
#[expect(clippy::too_many_arguments, reason = "the parts of one hit, gathered at one place")]
fn judge(
    query: &Query,
    query_name: &str,
    profile: &Profile,
    entity: Entity,
    matched_name: String,
    matched_name_kind: NameKind,
    pair: PairScore,
    alignment: Vec<AlignedTokens>,
) -> Option<Hit> {
    let raw = pair.raw;
    let list = entity.key.split(':').next().unwrap_or_default();
    if profile.exclude.contains(&entity.key)
        || (!profile.lists.is_empty() && !profile.lists.iter().any(|l| l == list))
        || (!profile.topics.is_empty() && !profile.topics.iter().any(|t| entity.topics.contains(t)))
    {
        return None;
    }
    let mut evidence = vec![Evidence {
        feature: "name".to_owned(),
        query: query_name.to_owned(),
        listed: matched_name.clone(),
        relation: "aligned".to_owned(),
        log_odds: name_log_odds(raw),
    }];
    if !profile.name_only {
        evidence.extend(weigh_rest(query, &entity));
    }
    let mut breakdown = None;
    let score = match profile.method {
        Method::Default => probability(&evidence),
        Method::Strict => {
            let same = |a: &AlignedTokens| matches!(a.likeness.as_str(), "exact" | "group");
            if !alignment.is_empty() && !alignment.iter().all(same) {
                return None;
            }
            probability(&evidence)
        }
        Method::Ofac => ofac::score(query_name, &matched_name) as f32,
        Method::Didit => {
            let found = didit::score(query, &entity, pair.ratio, profile.didit);
            let score = found.total_score as f32;
            breakdown = Some(found);
            score
        }
    };
    (score >= profile.threshold).then(|| Hit {
        key: entity.key.clone(),
        score,
        name_score: raw,
        matched_name,
        matched_name_kind,
        alignment,
        evidence,
        fingerprint: hex::encode(entity.fingerprint()),
        entity,
        didit: breakdown,
    })
}

/// What a raw name score says, in nats. Fitted on the labelled queries; see `data/README.md`.
#[must_use]
pub fn name_log_odds(raw: f32) -> f32 {
    const SLOPE: f32 = 16.0;
    (raw - crate::score::ALERT_AT) * SLOPE
}

/// 0..100 of a sum of log-odds.
fn probability(evidence: &[Evidence]) -> f32 {
    let sum: f64 = evidence.iter().map(|e| f64::from(e.log_odds)).sum();
    (100.0 / (1.0 + (-sum).exp())) as f32
}

/// Dates, countries, gender and identifiers.
pub(crate) fn weigh_rest(query: &Query, entity: &Entity) -> Vec<Evidence> {
    let mut out = Vec::new();
    let mut add = |feature: &str, query: String, listed: String, relation: &str, log_odds: f32| {
        out.push(Evidence { feature: feature.to_owned(), query, listed, relation: relation.to_owned(), log_odds });
    };
    if let Some((own, listed, relation)) = best_birth(&query.births, &entity.births) {
        add("birth", own.to_string(), listed.to_string(), relation_name(relation), birth_log_odds(own, listed, relation));
    }
    if let Some((text, relation, weight)) = countries(query, entity) {
        add("country", query.countries.join(" "), text, relation, weight);
    }
    if !query.gender.is_empty() && !entity.gender.is_empty() && query.schema == Schema::Person {
        let same = query.gender.eq_ignore_ascii_case(&entity.gender);
        add("gender", query.gender.clone(), entity.gender.clone(), if same { "same" } else { "different" }, if same { 0.3 } else { -3.0 });
    }
    for own in query.identifiers.iter().take(16) {
        let normal = own.normal();
        if let Some(same) = entity.identifiers.iter().find(|i| i.normal() == normal) {
            add("identifier", own.value.clone(), same.value.clone(), "same", 14.0);
        } else if let Some(other) = entity.identifiers.iter().find(|i| !own.kind.is_empty() && i.kind == own.kind && i.country == own.country && !i.country.is_empty()) {
            add("identifier", own.value.clone(), other.value.clone(), "different", -1.5);
        }
    }
    out
}

pub(crate) fn best_birth(own: &[DateRange], listed: &[DateRange]) -> Option<(DateRange, DateRange, DateRelation)> {
    let pairs = own.iter().flat_map(|a| listed.iter().map(move |b| (*a, *b, a.relation(*b))));
    pairs.min_by(|a, b| a.2.cmp(&b.2).then(a.1.cmp(&b.1)))
}

fn relation_name(relation: DateRelation) -> &'static str {
    match relation {
        DateRelation::SameDay => "same_day",
        DateRelation::DayMonthSwapped => "day_month_swapped",
        DateRelation::OneOff => "one_off",
        DateRelation::SameMonth => "same_month",
        DateRelation::Within => "within",
        DateRelation::SameYear => "same_year",
        DateRelation::NearYear => "near_year",
        DateRelation::Different => "different",
    }
}

/// A random adult shares the year with one in fifty and the day with one in eighteen thousand; lists err
/// often enough that neither agreement nor contradiction is worth all of that.
fn birth_log_odds(own: DateRange, listed: DateRange, relation: DateRelation) -> f32 {
    let years = |r: DateRange| {
        let (a, b) = r.year_span();
        (b.saturating_sub(a) + 1) as f32
    };
    match relation {
        DateRelation::SameDay => 6.0,
        DateRelation::SameMonth => 4.0,
        DateRelation::DayMonthSwapped => 3.0,
        DateRelation::OneOff => 2.0,
        DateRelation::Within => (50.0 / years(own).max(years(listed))).ln().clamp(0.3, 3.0),
        DateRelation::SameYear => 0.3,
        DateRelation::NearYear => -1.0,
        DateRelation::Different => -5.0,
    }
}

fn countries(query: &Query, entity: &Entity) -> Option<(String, &'static str, f32)> {
    if query.countries.is_empty() || entity.countries.is_empty() {
        return None;
    }
    let shared = entity.countries.iter().filter(|(_, c)| query.countries.iter().any(|q| q.eq_ignore_ascii_case(c)));
    let text = |all: Vec<&str>| all.join(" ");
    let mut best: Option<&(CountryLink, String)> = None;
    for entry in shared {
        if best.is_none_or(|b| entry.0 < b.0) {
            best = Some(entry);
        }
    }
    if let Some((link, code)) = best {
        let weight = match link {
            CountryLink::Nationality | CountryLink::Registration | CountryLink::Unspecified => 1.2,
            CountryLink::Birth | CountryLink::Residence => 0.7,
        };
        return Some((code.clone(), "same", weight));
    }
    let nationality: Vec<&str> = entity.countries.iter().filter(|(l, _)| *l == CountryLink::Nationality).map(|(_, c)| c.as_str()).collect();
    if nationality.is_empty() {
        let all = entity.countries.iter().map(|(_, c)| c.as_str()).collect();
        return Some((text(all), "other", -0.5));
    }
    Some((text(nationality), "different", -1.5))
}

/// Score of two names held against each other.
#[derive(Clone, Copy, Debug)]
pub struct PairScore {
    /// Raw name score, 0..1.
    pub raw: f32,
    /// Share of the information that agrees, 0..1.
    pub ratio: f32,
}

impl PairScore {
    fn of(alignment: &Alignment) -> Self {
        Self { raw: alignment.raw, ratio: alignment.ratio }
    }
}

/// Compares two names without an index, with what the tables know of how common their parts are.
#[must_use]
pub fn compare_pair(query: &str, candidate: &str, schema: Schema, weights: &Weights) -> PairScore {
    let q = Prepared::new(None, analyse(query, schema.kind()));
    let c = Prepared::new(None, analyse(candidate, schema.kind()));
    let (q, c) = (q.weighed(), c.weighed());
    let mut room = Room::default();
    PairScore::of(&align(&q, &c, weights, &mut room, |i, j| names::compare(q[i].view, c[j].view)))
}

/// Compares two whole entries given by name, date and country: 0..100.
#[must_use]
pub fn compare_entries(query: &Query, candidate: &Query, profile: &Profile) -> f32 {
    let mut entity = Entity::new(String::new(), candidate.schema);
    for name in &candidate.names {
        entity.add_name(name, NameKind::Primary);
    }
    entity.births.clone_from(&candidate.births);
    for country in &candidate.countries {
        entity.add_country(CountryLink::Unspecified, country);
    }
    let (own, listed) = (query.names.first().map_or("", String::as_str), candidate.names.first().map_or("", String::as_str));
    if profile.method == Method::Ofac {
        return ofac::score(own, listed) as f32;
    }
    let raw = compare_pair(own, listed, query.schema, &profile.weights).raw;
    let mut evidence = vec![Evidence { feature: "name".to_owned(), query: String::new(), listed: String::new(), relation: String::new(), log_odds: name_log_odds(raw) }];
    if !profile.name_only {
        evidence.extend(weigh_rest(query, &entity));
    }
    if raw <= 0.0 { 0.0 } else { probability(&evidence) }
}
