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
use crate::facts::{self, Facts, IdentifierHash};
use crate::index::{Index, IndexError, NameId};
use crate::lists::{ListVersion, Manifest};
use crate::model::{CountryLink, Entity, Identifier, NameKind, Schema};
use crate::profile::{Method, Profile};
use crate::score::{Alignment, Pairing, Room, Weights, align};
use crate::search::{Found, Prepared, Scratch, search, weigh_names};
use crate::{didit, ofac};

/// Version of the matcher: results are comparable and can be replayed only within one.
pub const ENGINE_VERSION: &str = "aml-4";

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

/// One entry that may be the person, with its score and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// Its number in this index; means nothing outside it.
    #[serde(skip)]
    pub number: u32,
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
    /// Didit's breakdown, with that method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub didit: Option<didit::ScoreBreakdown>,
}

/// A reported entry with its record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// Score and explanation.
    #[serde(flatten)]
    pub ranked: Ranked,
    /// Fingerprint of what decides a match, lower-case hex (see [`Entity::fingerprint`]).
    pub fingerprint: String,
    /// The entry.
    pub entity: Entity,
}

impl std::ops::Deref for Hit {
    type Target = Ranked;
    fn deref(&self) -> &Ranked {
        &self.ranked
    }
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
    scratch: Mutex<Vec<Scratch>>,
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
            search(&self.index, &prepared, schema, weights, limit, NAME_BAR, scratch)
                .into_iter()
                .map(|f| (f.entity, f.alignment.raw))
                .collect()
        })
    }

    /// Screens a query: ranks, and fetches the records of what is reported.
    #[must_use]
    pub fn screen(&self, query: &Query, profile: &Profile) -> Screening {
        let mut hits = Vec::new();
        for ranked in self.rank(query, profile) {
            let Some(entity) = self.index.entity(ranked.number) else { continue };
            if !profile.topics.is_empty() && !profile.topics.iter().any(|t| entity.topics.contains(t)) {
                continue;
            }
            hits.push(Hit { ranked, fingerprint: hex::encode(entity.fingerprint()), entity });
            if hits.len() >= profile.limit {
                break;
            }
        }
        Screening {
            hits,
            list_versions: self.manifest.lists.clone(),
            engine_version: ENGINE_VERSION.to_owned(),
            config_hash: profile.hash(),
        }
    }

    /// Scores, with the whole explanation, without fetching the records: what bulk screening needs.
    #[must_use]
    pub fn rank(&self, query: &Query, profile: &Profile) -> Vec<Ranked> {
        self.scratch(|scratch| self.ranked(query, profile, scratch))
    }

    /// Whether an entry, by its key, is a hit of a query, be it among the best or not.
    #[must_use]
    pub fn fits(&self, key: &str, query: &Query, profile: &Profile) -> bool {
        self.index.numbers_of(&std::iter::once(key).collect()).get(key).is_some_and(|&number| {
            self.scratch(|scratch| self.rank_entry(number, query, profile, scratch)).is_some()
        })
    }

    /// What [`Self::rank`] would say of one entry, whatever else is listed; `number` is the entry's in the index.
    pub(crate) fn rank_entry(
        &self,
        number: u32,
        query: &Query,
        profile: &Profile,
        scratch: &mut Scratch,
    ) -> Option<Ranked> {
        let facts = self.index.facts(number);
        let mut best: Option<Ranked> = None;
        let mut keep = |ranked: Option<Ranked>| {
            if let Some(r) = ranked
                && best.as_ref().is_none_or(|b| r.score > b.score)
            {
                best = Some(r);
            }
        };
        for own in query.names.iter().take(MAX_QUERY_NAMES) {
            let prepared = Prepared::new(Some(&self.index), analyse(own, query.schema.kind()));
            let names = self.index.names_of(number).filter(|&n| query.schema.can_be(self.index.schema_of(n)));
            let Some(found) = weigh_names(&self.index, &prepared, names, &profile.weights, scratch) else {
                continue;
            };
            let alignment = || aligned(&prepared, &self.index, found.name, &found.pairings);
            let matched = Matched {
                number,
                key: self.index.key(number),
                name: self.index.name_text(found.name),
                kind: self.index.kind_of(found.name),
                pair: PairScore::of(&found.alignment),
            };
            keep(judge(query, own, profile, &facts, matched, alignment));
        }
        let shared = |i: &Identifier| self.index.with_identifier(&i.normal()).contains(&number);
        if !profile.name_only && query.identifiers.iter().take(16).any(shared) {
            let name = self.index.caption(number);
            let own = query.names.first().map_or("", String::as_str);
            let pair = compare_pair(own, name, query.schema, &profile.weights);
            let matched =
                Matched { number, key: self.index.key(number), name, kind: NameKind::Primary, pair };
            keep(judge(query, own, profile, &facts, matched, Vec::new));
        }
        best
    }

    fn ranked(&self, query: &Query, profile: &Profile, scratch: &mut Scratch) -> Vec<Ranked> {
        let mut best: Vec<(usize, Found)> = Vec::new();
        let mut prepared: Vec<Prepared> = Vec::new();
        // Evidence other than the name may lift a name from further down.
        let name_alone = profile.name_only
            || (query.births.is_empty() && query.countries.is_empty() && query.gender.is_empty());
        let bar = if name_alone && profile.method == Method::Default { NAME_BAR } else { REST_BAR };
        let most = profile.limit.clamp(1, 500);
        let most = if profile.topics.is_empty() { most } else { most * 4 };
        let wanted = if name_alone && profile.method == Method::Default { most } else { most.max(30) };
        for (which, name) in query.names.iter().take(MAX_QUERY_NAMES).enumerate() {
            let own = Prepared::new(Some(&self.index), analyse(name, query.schema.kind()));
            for found in search(&self.index, &own, query.schema, &profile.weights, wanted, bar, scratch) {
                match best.iter_mut().find(|c| c.1.entity == found.entity) {
                    Some(known) if known.1.alignment.raw >= found.alignment.raw => {}
                    Some(known) => *known = (which, found),
                    None => best.push((which, found)),
                }
            }
            prepared.push(own);
        }
        let mut ranked: Vec<Ranked> = Vec::with_capacity(best.len());
        for (which, found) in best {
            let pairings = &found.pairings;
            let alignment = || {
                prepared.get(which).map(|p| aligned(p, &self.index, found.name, pairings)).unwrap_or_default()
            };
            let matched = Matched {
                number: found.entity,
                key: self.index.key(found.entity),
                name: self.index.name_text(found.name),
                kind: self.index.kind_of(found.name),
                pair: PairScore::of(&found.alignment),
            };
            let own = query.names.get(which).map_or("", String::as_str);
            ranked.extend(judge(query, own, profile, &self.index.facts(found.entity), matched, alignment));
        }
        // A number in common brings an entry in whatever its name.
        for identifier in query.identifiers.iter().filter(|_| !profile.name_only).take(16) {
            for &number in self.index.with_identifier(&identifier.normal()).iter().take(32) {
                if ranked.iter().any(|h| h.number == number) {
                    continue;
                }
                let name = self.index.caption(number);
                let own = query.names.first().map_or("", String::as_str);
                let pair = compare_pair(own, name, query.schema, &profile.weights);
                let matched =
                    Matched { number, key: self.index.key(number), name, kind: NameKind::Primary, pair };
                ranked.extend(judge(query, own, profile, &self.index.facts(number), matched, Vec::new));
            }
        }
        ranked.sort_by(|a, b| {
            b.score
                .total_cmp(&a.score)
                .then_with(|| b.name_score.total_cmp(&a.name_score))
                .then_with(|| a.key.cmp(&b.key))
        });
        ranked.truncate(most);
        ranked
    }
}

/// Raw name score below which a name alone scores under 5 of 100 and need not be found.
const NAME_BAR: f32 = 0.25;
/// The same where dates, countries and numbers may lift a name.
const REST_BAR: f32 = 0.05;

/// What the index says of a candidate.
struct Matched<'a> {
    number: u32,
    key: &'a str,
    name: &'a str,
    kind: NameKind,
    pair: PairScore,
}

fn aligned(query: &Prepared, index: &Index, name: NameId, pairings: &[Pairing]) -> Vec<AlignedTokens> {
    let ids = index.tokens_of(name);
    let span = |(start, count): (u8, u8)| usize::from(start)..usize::from(start) + usize::from(count);
    pairings
        .iter()
        .map(|p| AlignedTokens {
            query: query
                .name
                .tokens
                .get(span(p.query))
                .unwrap_or_default()
                .iter()
                .map(|t| t.text.as_str())
                .collect::<Vec<_>>()
                .join(" "),
            listed: ids
                .get(span(p.listed))
                .unwrap_or_default()
                .iter()
                .map(|&id| index.token(id).view.latin)
                .collect::<Vec<_>>()
                .join(" "),
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

/// Weighs everything but the name and makes the result, or nothing where the profile leaves it out.
fn judge(
    query: &Query,
    own: &str,
    profile: &Profile,
    facts: &Facts,
    matched: Matched<'_>,
    alignment: impl Fn() -> Vec<AlignedTokens>,
) -> Option<Ranked> {
    let list = matched.key.split(':').next().unwrap_or_default();
    if profile.exclude.iter().any(|k| k == matched.key)
        || (!profile.lists.is_empty() && !profile.lists.iter().any(|l| l == list))
    {
        return None;
    }
    let name = name_log_odds(matched.pair.raw);
    let rest = if profile.name_only { Vec::new() } else { weigh_rest(query, facts) };
    let weighed = || probability(std::iter::once(name).chain(rest.iter().map(|e| e.log_odds)));
    let mut breakdown = None;
    let score = match profile.method {
        Method::Default => weighed(),
        Method::Strict => {
            let same = |a: &AlignedTokens| matches!(a.likeness.as_str(), "exact" | "group");
            if !alignment().iter().all(same) {
                return None;
            }
            weighed()
        }
        Method::Ofac => ofac::score(own, matched.name) as f32,
        Method::Didit => {
            let found = didit::score(query, facts, matched.pair.ratio, profile.didit);
            let score = found.total_score as f32;
            breakdown = Some(found);
            score
        }
    };
    (score >= profile.threshold).then(|| {
        let name = Evidence {
            feature: "name".to_owned(),
            query: own.to_owned(),
            listed: matched.name.to_owned(),
            relation: "aligned".to_owned(),
            log_odds: name,
        };
        Ranked {
            number: matched.number,
            key: matched.key.to_owned(),
            score,
            name_score: matched.pair.raw,
            matched_name: matched.name.to_owned(),
            matched_name_kind: matched.kind,
            alignment: alignment(),
            evidence: std::iter::once(name).chain(rest).collect(),
            didit: breakdown,
        }
    })
}

/// What a raw name score says, in nats. Fitted on the labelled queries; see `data/README.md`.
#[must_use]
pub fn name_log_odds(raw: f32) -> f32 {
    const SLOPE: f32 = 16.0;
    (raw - crate::score::ALERT_AT) * SLOPE
}

/// 0..100 of a sum of log-odds.
fn probability(log_odds: impl Iterator<Item = f32>) -> f32 {
    let sum: f64 = log_odds.map(f64::from).sum();
    (100.0 / (1.0 + (-sum).exp())) as f32
}

/// Dates, countries, gender and identifiers.
pub(crate) fn weigh_rest(query: &Query, facts: &Facts) -> Vec<Evidence> {
    let mut out = Vec::new();
    let mut add = |feature: &str, query: String, listed: String, relation: &str, log_odds: f32| {
        out.push(Evidence {
            feature: feature.to_owned(),
            query,
            listed,
            relation: relation.to_owned(),
            log_odds,
        });
    };
    if let Some((own, listed, relation)) = best_birth(&query.births, &facts.births) {
        add(
            "birth",
            own.to_string(),
            listed.to_string(),
            relation_name(relation),
            birth_log_odds(own, listed, relation),
        );
    }
    if let Some((text, relation, weight)) = countries(query, facts) {
        add("country", query.countries.join(" "), text, relation, weight);
    }
    let gender = facts::gender_code(&query.gender);
    if gender != 0 && facts.gender != 0 && query.schema == Schema::Person {
        let same = gender == facts.gender;
        let listed = if facts.gender == b'f' { "female" } else { "male" };
        add(
            "gender",
            query.gender.clone(),
            listed.to_owned(),
            if same { "same" } else { "different" },
            if same { 0.3 } else { -3.0 },
        );
    }
    let unnamed = facts::kind_hash("");
    for own in query.identifiers.iter().take(16) {
        let hash = IdentifierHash::of(own);
        if facts.identifiers.iter().any(|i| i.value == hash.value) {
            add("identifier", own.value.clone(), own.value.clone(), "same", 14.0);
        } else if facts.identifiers.iter().any(|i| {
            hash.kind != unnamed && i.kind == hash.kind && i.country == hash.country && i.country != [0, 0]
        }) {
            add("identifier", own.value.clone(), String::new(), "different", -1.5);
        }
    }
    out
}

pub(crate) fn best_birth(
    own: &[DateRange],
    listed: &[DateRange],
) -> Option<(DateRange, DateRange, DateRelation)> {
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

fn countries(query: &Query, facts: &Facts) -> Option<(String, &'static str, f32)> {
    if query.countries.is_empty() || facts.countries.is_empty() {
        return None;
    }
    let text = |codes: &mut dyn Iterator<Item = [u8; 2]>| -> String {
        codes.map(|c| String::from_utf8_lossy(&c).into_owned()).collect::<Vec<_>>().join(" ")
    };
    let shared = facts.countries.iter().filter(|(_, c)| query.countries.iter().any(|q| facts::code(q) == *c));
    if let Some((link, code)) = shared.min_by_key(|(link, _)| *link) {
        let weight = match link {
            CountryLink::Nationality | CountryLink::Registration | CountryLink::Unspecified => 1.2,
            CountryLink::Birth | CountryLink::Residence => 0.7,
        };
        return Some((text(&mut std::iter::once(*code)), "same", weight));
    }
    let mut nationality =
        facts.countries.iter().filter(|(l, _)| *l == CountryLink::Nationality).map(|(_, c)| *c).peekable();
    if nationality.peek().is_none() {
        return Some((text(&mut facts.countries.iter().map(|(_, c)| *c)), "other", -0.5));
    }
    Some((text(&mut nationality), "different", -1.5))
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
    PairScore::of(&align(&q, &c, weights, &mut room, |i, j| {
        names::compare(q[i].view, c[j].view).map(|a| (a, f32::MAX))
    }))
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
    let (own, listed) =
        (query.names.first().map_or("", String::as_str), candidate.names.first().map_or("", String::as_str));
    if profile.method == Method::Ofac {
        return ofac::score(own, listed) as f32;
    }
    let raw = compare_pair(own, listed, query.schema, &profile.weights).raw;
    let mut evidence = vec![Evidence {
        feature: "name".to_owned(),
        query: String::new(),
        listed: String::new(),
        relation: String::new(),
        log_odds: name_log_odds(raw),
    }];
    if !profile.name_only {
        evidence.extend(weigh_rest(query, &Facts::of(&entity)));
    }
    if raw <= 0.0 { 0.0 } else { probability(evidence.iter().map(|e| e.log_odds)) }
}
