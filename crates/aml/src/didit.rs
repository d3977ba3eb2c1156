//! Scores and shapes hits as Didit's `POST /v3/aml/` documents them.
//!
//! Two scores: *match* (name, date, country; is it this person?) and *risk* (country,
//! category, crime; how bad is it?). The status comes from the highest risk among
//! hits that are not false positives. One deliberate difference: a sanctions hit is
//! never below the approve threshold by arithmetic alone (a low-risk country would
//! otherwise average it away), so it is at least reviewed.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::dates::DateRelation;
use crate::facts::{self, Facts, IdentifierHash};
use crate::model::{CountryLink, Entity, NameKind};
use crate::profile::DiditWeights;
use crate::screen::{Hit, Query, Screening, best_birth};

/// Match score from which hits are listed at all.
pub const LISTED_FROM: u32 = 75;

/// Didit's breakdown of a match score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreBreakdown {
    /// 0..100.
    pub name_score: i32,
    /// As asked for.
    pub name_weight: u32,
    /// After what is missing is left out, in percent.
    pub name_weight_normalized: f64,
    /// Points of the total.
    pub name_contribution: f64,
    /// −100, 0, 50 or 100.
    pub dob_score: i32,
    /// As asked for.
    pub dob_weight: u32,
    /// In percent.
    pub dob_weight_normalized: f64,
    /// Points of the total.
    pub dob_contribution: f64,
    /// −50, 0 or 100.
    pub country_score: i32,
    /// As asked for.
    pub country_weight: u32,
    /// In percent.
    pub country_weight_normalized: f64,
    /// Points of the total.
    pub country_contribution: f64,
    /// `MATCH`, `NEUTRAL` or `HARD_MISMATCH`.
    pub document_number_match_type: String,
    /// In words.
    pub document_number_effect: String,
    /// 0..100.
    pub total_score: i32,
}

/// Thresholds of one request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Hits with a lower match score are false positives.
    pub match_score: f64,
    /// A lower risk is approved.
    pub approve: f64,
    /// A higher risk is declined.
    pub review: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { match_score: 93.0, approve: 80.0, review: 100.0 }
    }
}

fn two(x: f64) -> f64 {
    (x * 100.0).round() / 100.0
}

/// The match score of one entry; `ratio` is the share of the names' information that agrees.
pub(crate) fn score(query: &Query, entity: &Facts, ratio: f32, weights: DiditWeights) -> ScoreBreakdown {
    let name_score = (f64::from(ratio) * 100.0).round();
    let dob = best_birth(&query.births, &entity.births).map(|(_, _, relation)| match relation {
        DateRelation::SameDay | DateRelation::SameMonth | DateRelation::Within => 100.0,
        DateRelation::SameYear | DateRelation::OneOff | DateRelation::DayMonthSwapped => 50.0,
        DateRelation::NearYear | DateRelation::Different => -100.0,
    });
    let country = (!query.countries.is_empty() && !entity.countries.is_empty()).then(|| {
        let same = entity.countries.iter().any(|(_, c)| query.countries.iter().any(|q| facts::code(q) == *c));
        if same { 100.0 } else { -50.0 }
    });
    let present = |weight: u32, there: bool| if there { f64::from(weight) } else { 0.0 };
    let (wn, wd, wc) = (
        f64::from(weights.name),
        present(weights.birth, dob.is_some()),
        present(weights.country, country.is_some()),
    );
    let sum = if wn + wd + wc > 0.0 { wn + wd + wc } else { 1.0 };
    let part = |score: f64, weight: f64| score * weight / sum;
    let (n, d, c) = (part(name_score, wn), part(dob.unwrap_or(0.0), wd), part(country.unwrap_or(0.0), wc));
    let mut total = n + d + c;
    let (kind, effect) = document_number(query, entity);
    match kind {
        "MATCH" => total = 100.0,
        "HARD_MISMATCH" => total -= 50.0,
        _ => {}
    }
    let whole = |x: f64| x.round() as i32;
    ScoreBreakdown {
        name_score: whole(name_score),
        name_weight: weights.name,
        name_weight_normalized: two(wn * 100.0 / sum),
        name_contribution: two(n),
        dob_score: whole(dob.unwrap_or(0.0)),
        dob_weight: weights.birth,
        dob_weight_normalized: two(wd * 100.0 / sum),
        dob_contribution: two(d),
        country_score: whole(country.unwrap_or(0.0)),
        country_weight: weights.country,
        country_weight_normalized: two(wc * 100.0 / sum),
        country_contribution: two(c),
        document_number_match_type: kind.to_owned(),
        document_number_effect: effect.to_owned(),
        total_score: whole(total.clamp(0.0, 100.0)),
    }
}

fn document_number(query: &Query, entity: &Facts) -> (&'static str, &'static str) {
    if query.identifiers.is_empty() {
        return ("NEUTRAL", "No document number provided for screening");
    }
    if entity.identifiers.is_empty() {
        return ("NEUTRAL", "No document number available on the listed entity");
    }
    let own: Vec<IdentifierHash> = query.identifiers.iter().take(16).map(IdentifierHash::of).collect();
    if entity.identifiers.iter().any(|i| own.iter().any(|q| q.value == i.value)) {
        return ("MATCH", "Document number matches: score set to 100");
    }
    let unnamed = facts::kind_hash("");
    if own.iter().any(|q| {
        q.kind != unnamed && entity.identifiers.iter().any(|i| i.kind == q.kind && i.country == q.country)
    }) {
        return ("HARD_MISMATCH", "Document of the same type with another number: score reduced by 50");
    }
    ("NEUTRAL", "Document number cannot be compared with those listed")
}

/// One part of the risk view.
struct Risk {
    scores: Vec<(String, f64)>,
    weight: f64,
}

impl Risk {
    fn highest(&self) -> f64 {
        self.scores.iter().map(|s| s.1).fold(0.0, f64::max)
    }

    fn view(&self, sum: f64) -> Value {
        let highest = self.highest();
        let level = if highest >= 80.0 {
            "High"
        } else if highest >= 50.0 {
            "Medium"
        } else {
            "Low"
        };
        let share = if self.scores.is_empty() { 0.0 } else { self.weight / sum };
        let scores: serde_json::Map<String, Value> =
            self.scores.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
        json!({"score": two(highest * share), "weightage": self.weight, "risk_level": level, "risk_scores": scores})
    }
}

/// Risk score 0..100 and the risk view of an entry.
#[must_use]
pub fn risk(entity: &Entity) -> (f64, Value) {
    let mut categories: Vec<(String, f64)> = Vec::new();
    let mut crimes: Vec<(String, f64)> = Vec::new();
    for topic in &entity.topics {
        let (category, score) = match topic.as_str() {
            t if t.starts_with("sanction") => ("Sanctions", 100.0),
            "role.pep" | "gov.head" => ("PEP", 100.0),
            "role.rca" => ("PEP Level 4", 55.0),
            "role.judge" | "gov.state" | "gov.soe" => ("PEP Level 2", 80.0),
            "corp.insolvent" => ("Insolvency", 80.0),
            "media.adverse" => ("Adverse Media", 60.0),
            t if t.starts_with("crime")
                || t == "wanted"
                || t.starts_with("debarment")
                || t.starts_with("reg.")
                || t.starts_with("export.") =>
            {
                ("Warnings", 95.0)
            }
            _ => continue,
        };
        if !categories.iter().any(|c| c.0 == category) {
            categories.push((category.to_owned(), score));
        }
        let crime = match topic.as_str() {
            "crime.terror" | "crime.war" | "crime.traffick.human" => 100.0,
            "wanted" => 90.0,
            t if t.starts_with("crime") => 80.0,
            _ => continue,
        };
        crimes.push((topic.clone(), crime));
    }
    let mut countries: Vec<(String, f64)> = Vec::new();
    for (link, code) in &entity.countries {
        if *link != CountryLink::Residence && !countries.iter().any(|c| c.0 == *code) {
            countries.push((code.clone(), country_risk(code)));
        }
    }
    let sanctioned = categories.iter().any(|c| c.0 == "Sanctions");
    let parts = [
        Risk { scores: countries, weight: 30.0 },
        Risk { scores: categories, weight: 50.0 },
        Risk { scores: crimes, weight: 20.0 },
    ];
    let sum: f64 = parts.iter().filter(|p| !p.scores.is_empty()).map(|p| p.weight).sum::<f64>().max(1.0);
    let mut score = parts
        .iter()
        .map(|p| p.highest() * p.weight / sum)
        .filter(|s| s.is_finite())
        .sum::<f64>()
        .clamp(0.0, 100.0);
    if sanctioned {
        score = score.max(Thresholds::default().approve);
    }
    let view = json!({
        "countries": parts[0].view(sum), "categories": parts[1].view(sum), "crimes": parts[2].view(sum), "custom_list": {},
    });
    (score.ceil(), view)
}

fn country_risk(code: &str) -> f64 {
    let table = include_str!("../data/country_risk.csv");
    let find = |wanted: &str| {
        table.lines().filter(|l| !l.starts_with('#')).find_map(|l| {
            let mut columns = l.split(',');
            (columns.next() == Some(wanted)).then(|| columns.next().and_then(|s| s.parse().ok())).flatten()
        })
    };
    find(code).or_else(|| find("default")).unwrap_or(25.0)
}

/// One hit in Didit's shape.
#[must_use]
pub fn hit(hit: &Hit, thresholds: Thresholds) -> Value {
    let entity = &hit.entity;
    let (risk_score, risk_view) = risk(entity);
    let names = |kinds: &[NameKind]| -> Vec<&str> {
        entity.names.iter().filter(|n| kinds.contains(&n.kind)).map(|n| n.text.as_str()).collect()
    };
    let some = |list: Vec<String>| if list.is_empty() { Value::Null } else { json!(list) };
    let births: Vec<String> = entity.births.iter().map(ToString::to_string).collect();
    let countries = |link: CountryLink| -> Vec<String> {
        entity.countries.iter().filter(|(l, _)| *l == link).map(|(_, c)| c.clone()).collect()
    };
    let match_score = f64::from(hit.score).round();
    let status = if f64::from(hit.score) < thresholds.match_score { "False Positive" } else { "Unreviewed" };
    let list = entity.key.split(':').next().unwrap_or_default();
    let listing = json!({
        "list_name": list_title(list), "publisher": list_title(list), "source_url": entity.urls.first(),
        "description": entity.notes.first(), "matched_name": hit.matched_name, "pep_position": entity.positions.first().cloned().unwrap_or_default(),
        "date_of_birth": births.first(), "place_of_birth": entity.birth_places.first(), "aliases": names(&[NameKind::Alias, NameKind::Former]),
        "education": [], "other_sources": [],
    });
    let has = |prefix: &str| entity.topics.iter().any(|t| t.starts_with(prefix));
    let one = |there: bool| if there { json!([listing]) } else { json!([]) };
    let warning = !has("sanction") && !has("role.") || has("crime") || has("wanted");
    let mut datasets: Vec<&str> = Vec::new();
    for (prefix, name) in [
        ("sanction", "Sanctions"),
        ("role.pep", "PEP"),
        ("role.rca", "RCA"),
        ("crime", "Warnings"),
        ("wanted", "Warnings"),
        ("debarment", "Warnings"),
    ] {
        if has(prefix) && !datasets.contains(&name) {
            datasets.push(name);
        }
    }
    let when =
        |text: &str| crate::DateRange::parse(text).filter(|d| d.is_day()).map(|d| format!("{d}T00:00:00"));
    json!({
        "id": hit.key, "url": entity.urls.first(), "match": hit.score >= thresholds.match_score as f32, "score": two(match_score / 100.0),
        "match_score": match_score, "risk_score": risk_score, "target": Value::Null, "caption": entity.caption(), "datasets": datasets,
        "features": Value::Null, "rca_name": "", "first_seen": when(&entity.listed_on), "last_seen": Value::Null, "review_status": status,
        "properties": {
            "name": names(&[NameKind::Primary]), "alias": some(names(&[NameKind::Alias, NameKind::Former]).into_iter().map(str::to_owned).collect()),
            "weakAlias": some(names(&[NameKind::Weak]).into_iter().map(str::to_owned).collect()), "notes": some(entity.notes.clone()),
            "gender": if entity.gender.is_empty() { Value::Null } else { json!([entity.gender]) }, "birthDate": some(births.clone()),
            "birthPlace": some(entity.birth_places.clone()), "nationality": some(countries(CountryLink::Nationality)),
            "country": some(countries(CountryLink::Residence)), "position": some(entity.positions.clone()), "topics": some(entity.topics.clone()),
            "address": some(entity.addresses.clone()), "program": some(entity.programs.clone()),
        },
        "risk_view": risk_view, "score_breakdown": hit.didit, "pep_matches": one(has("role.")), "sanction_matches": one(has("sanction")),
        "warning_matches": one(warning), "adverse_media_matches": [], "adverse_media_details": Value::Null,
        "linked_entities": entity.linked.iter().map(|n| json!({"name": [n], "relation": [], "status": [], "details": [], "active": []})).collect::<Vec<_>>(),
        "additional_information": {"alignment": hit.alignment, "evidence": hit.evidence, "fingerprint": hit.fingerprint},
    })
}

fn list_title(list: &str) -> &str {
    match list {
        "ofac" => "OFAC Specially Designated Nationals and Consolidated Lists",
        "un" => "United Nations Security Council Consolidated List",
        "eu" => "EU Consolidated Financial Sanctions List",
        "uk" => "UK Sanctions List",
        "bis" => "BIS Denied Persons List",
        "csl" => "US Consolidated Screening List",
        other => other,
    }
}

/// Hits from the listing score on, and the standing they give: `(hits, score, status)`.
#[must_use]
pub fn hits(screening: &Screening, thresholds: Thresholds) -> (Vec<Value>, f64, &'static str) {
    let shaped: Vec<Value> =
        screening.hits.iter().filter(|h| h.score >= LISTED_FROM as f32).map(|h| hit(h, thresholds)).collect();
    let (score, status) = standing(&shaped, thresholds);
    (shaped, score, status)
}

/// The highest risk among hits that are not false positives, and the status it gives.
#[must_use]
pub fn standing(hits: &[Value], thresholds: Thresholds) -> (f64, &'static str) {
    let open = hits.iter().filter(|h| h["review_status"] != "False Positive");
    let score = open.filter_map(|h| h["risk_score"].as_f64()).fold(0.0, f64::max);
    let status = if score < thresholds.approve {
        "Approved"
    } else if score <= thresholds.review {
        "In Review"
    } else {
        "Declined"
    };
    (score, status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DateRange;
    use crate::model::Schema;

    fn entity() -> Entity {
        let mut e = Entity::new("ofac:1".into(), Schema::Person);
        e.add_name("Antonio Ejemplo", NameKind::Primary);
        e.add_birth("1974");
        e.topics.push("sanction".into());
        e
    }

    #[test]
    fn missing_country_leaves_its_weight_to_the_others_as_documented() {
        let query =
            Query { names: vec!["x".into()], births: vec![DateRange::day(1974, 3, 1)], ..Query::default() };
        let s = score(&query, &Facts::of(&entity()), 0.95, DiditWeights::default());
        assert!(
            (s.name_weight_normalized - 70.59).abs() < 0.01 && (s.dob_weight_normalized - 29.41).abs() < 0.01
        );
        assert_eq!((s.total_score, s.document_number_match_type.as_str()), (96, "NEUTRAL"));
    }

    #[test]
    fn an_equal_document_number_is_golden() {
        let mut e = entity();
        e.add_identifier("passport", "X 123-45", "ir");
        let id = crate::Identifier { kind: String::new(), value: "x12345".into(), country: String::new() };
        let query = Query { names: vec!["x".into()], identifiers: vec![id], ..Query::default() };
        assert_eq!(score(&query, &Facts::of(&e), 0.1, DiditWeights::default()).total_score, 100);
    }

    #[test]
    fn a_sanctions_hit_is_never_approved_by_a_harmless_country() {
        let mut e = entity();
        e.add_country(CountryLink::Nationality, "es");
        assert!(risk(&e).0 >= 80.0);
    }
}
