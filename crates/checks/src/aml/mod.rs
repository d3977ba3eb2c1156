//! Screens a person against watch-lists, and says what is known of them and a listed entry.
//!
//! [`Asked`] is what a screening is made from, [`Record`] what is kept of it so that it can be repeated byte for
//! byte. [`settings`] are the bands and weights, `memory` what was decided about a person and an entry. The lists
//! themselves belong to the installation ([`Lists`]). Without an index nobody is taken as clear: the answer is a review.

pub mod memory;
mod run;
pub mod settings;

use std::sync::{Arc, LazyLock};

use aml::{DateRange, Identifier, Query, Schema, Screener, didit, lists::ListVersion};
use evidence::{Signal, catalogue::Action};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::Tx;
use workflow::{CheckState, Definition, Feature, FeatureStatus, Finding, Node, judge};

pub use self::{
    memory::{RESCREEN, Remembered, version_name, versions_of},
    run::Screened,
    settings::Settings,
};
use crate::{About, Carried, Check, Env, Examined, Gathered, Input, Manifest, Ran, manifest};

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| manifest::read(include_str!("manifest.toml")));

/// The check.
pub struct Aml;

/// The watch-lists of an installation.
pub trait Lists: Send + Sync {
    /// The present index; `None` when no list was imported yet.
    ///
    /// # Errors
    /// Why it cannot be asked, in words.
    fn screener(&self) -> Result<Option<Arc<Screener>>, String>;
}

/// No lists at all: whoever is screened goes to review.
pub struct NoLists;

impl Lists for NoLists {
    fn screener(&self) -> Result<Option<Arc<Screener>>, String> {
        Ok(None)
    }
}

impl Check for Aml {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn docs(&self) -> &'static str {
        include_str!("docs.md")
    }

    /// What was decided about the person before.
    fn gather(&self, tx: &mut Tx<'_>, about: &About<'_>, _: &Definition) -> Result<Gathered, store::Error> {
        let memory = match about.session {
            Some(session) => memory::of_person(tx, about.application, &session.key)?,
            None => Vec::new(),
        };
        Ok(Gathered { carried: Carried::of(memory), ..Gathered::default() })
    }

    fn run(&self, env: &Env, input: &Input<'_>) -> Ran {
        run::run(env, input)
    }

    /// The bands of the settings decide what a match does; a node that asks for more keeps what it asks.
    fn complete(&self, _: &Env, examined: &Examined, node: &mut Node) {
        let screened = examined.ran(&node.id).and_then(|ran| ran.carried.get::<run::Screening>());
        if let Some(action) = screened.and_then(|screening| screening.action) {
            node.config.actions.insert(RISK.to_owned(), action);
        }
    }

    /// Remembers the hits and, where it was asked for, watches the person.
    fn settle(&self, tx: &mut Tx<'_>, about: &About<'_>, ran: &Ran) -> Result<(), store::Error> {
        match (ran.carried.get::<run::Screening>(), about.session) {
            (Some(screening), Some(session)) => screening.screened.settle(tx, session, &ran.block),
            _ => Ok(()),
        }
    }
}

/// The risk that a hit is.
const RISK: &str = "POSSIBLE_MATCH_FOUND";
/// What could not be screened.
const NOT_SCREENED: &str = "COULD_NOT_PERFORM_AML_SCREENING";
/// Said when adverse media were asked for.
const NO_MEDIA: &str = "adverse media were asked for, and no source of them is connected";
/// Said when there is nothing to screen against.
const NO_LIST: &str = "no watch-list is loaded; import one with `bonafide aml import`";

/// Who is screened.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// The name.
    pub full_name: String,
    /// Whether a company is meant.
    pub company: bool,
    /// Date of birth, where known.
    pub date_of_birth: Option<jiff::civil::Date>,
    /// ISO 3166-1 alpha-2, where known.
    pub nationality: Option<String>,
    /// Document number, where known.
    pub document_number: Option<String>,
}

/// What a screening is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The question for the index.
    pub query: Query,
    /// Bands and weights.
    pub settings: Settings,
    /// The person as the answer shows them.
    pub screened_data: Value,
}

impl Asked {
    /// The question about a person.
    pub fn new(person: &Person, settings: Settings) -> Self {
        let number = person.document_number.clone().map(|value| Identifier {
            kind: String::new(),
            value,
            country: String::new(),
        });
        let birth = person.date_of_birth.and_then(|date| {
            Some(DateRange::day(
                u32::try_from(date.year()).ok()?,
                u32::try_from(date.month()).ok()?,
                u32::try_from(date.day()).ok()?,
            ))
        });
        Self {
            query: Query {
                names: vec![person.full_name.clone()],
                schema: if person.company { Schema::Organization } else { Schema::Person },
                births: birth.into_iter().collect(),
                countries: person.nationality.iter().map(|code| code.to_lowercase()).collect(),
                identifiers: number.into_iter().collect(),
                ..Query::default()
            },
            settings,
            screened_data: json!({
                "full_name": person.full_name,
                "date_of_birth": person.date_of_birth.map(|date| date.to_string()),
                "nationality": person.nationality,
                "document_number": person.document_number,
            }),
        }
    }

    fn entity_type(&self) -> &'static str {
        if self.query.schema == Schema::Person { "person" } else { "company" }
    }

    /// The block of a screening that has not found anything yet.
    pub fn empty_block(&self) -> Value {
        json!({
            "total_hits": 0,
            "entity_type": self.entity_type(),
            "hits": [],
            "score": null,
            "status": "In Review",
            "screened_data": self.screened_data,
            "is_ongoing_monitoring_enabled": self.settings.monitoring,
            "next_ongoing_monitoring_bill_date": null,
            "warnings": [],
        })
    }

    /// The result: a function of the question, the index and what was decided before, and of nothing else.
    pub fn block(&self, screener: &Screener, memory: &[Remembered]) -> Value {
        let screening = screener.screen(&self.query, &self.settings.profile());
        let (hits, ..) = didit::hits(&screening, self.settings.thresholds);
        let mut block = self.empty_block();
        block["total_hits"] = json!(hits.len());
        block["hits"] = json!(hits);
        block["list_versions"] = json!(screening.list_versions);
        block["engine_version"] = json!(screening.engine_version);
        block["config_hash"] = json!(self.settings.hash());
        if self.settings.adverse_media {
            block["is_adverse_media_fetched"] = json!(false);
        }
        memory::apply(&mut block, memory);
        self.settle(&mut block);
        block
    }

    /// Score, status and warnings of a block, from its hits as they are judged now.
    pub fn settle(&self, block: &mut Value) {
        settle(block, &self.settings);
        let mut node = any_node();
        let finding = evidence_of(block, &mut node);
        block["warnings"] = json!(judge(&node, &finding).warnings);
    }
}

/// Score and status of a block, from its hits as they are judged now.
pub fn settle(block: &mut Value, settings: &Settings) {
    let hits = block["hits"].as_array().cloned().unwrap_or_default();
    let (score, status) = didit::standing(&hits, settings.thresholds);
    block["score"] = json!(score);
    // A check that was asked for and could not run does not end well.
    let status = if settings.adverse_media && status == "Approved" { "In Review" } else { status };
    block["status"] = json!(status);
}

/// A node with the settings of nobody.
pub fn any_node() -> Node {
    let node = Definition::of(&[Feature::Aml]).nodes.pop();
    node.unwrap_or(Node::new(Feature::Aml, Default::default()))
}

/// The evidence of a block that was settled. The bands of the settings decide what a match does, so the node's
/// action for it is set here; a node that asks for more keeps what it asks.
pub fn evidence_of(block: &Value, node: &mut Node) -> Finding {
    let mut finding = Finding::done(Feature::Aml);
    let hits = block["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
    let open = hits.iter().filter(|hit| hit["review_status"] != "False Positive").count();
    if open > 0 {
        let shows = json!({ "hits": open, "score": block["score"] });
        finding.signals.push(Signal::certain(RISK, "aml.screen/1", shows));
    }
    if block["is_adverse_media_fetched"] == false {
        finding.signals.push(Signal::certain(NOT_SCREENED, "aml.screen/1", json!({ "reason": NO_MEDIA })));
    }
    let action = match block["status"].as_str() {
        Some("Approved") => Action::NoAction,
        Some("Declined") => Action::Decline,
        _ => Action::Review,
    };
    let asked = node.config.actions.entry(RISK.to_owned()).or_insert(action);
    *asked = action.max(*asked);
    finding
}

/// The finding of a screening that gave no result.
fn not_screened(failed: Result<(), &str>) -> Finding {
    match failed {
        Err(reason) => Finding::failed(Feature::Aml, reason),
        Ok(()) => {
            Finding { state: CheckState::NotEvaluated(NO_LIST.to_owned()), ..Finding::done(Feature::Aml) }
        }
    }
}

/// What is kept of a screening, sealed with the person's key: enough to repeat it byte for byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The question.
    pub asked: Asked,
    /// What had been decided about this person before.
    pub memory: Vec<Remembered>,
    /// The lists it was asked of.
    pub list_versions: Vec<ListVersion>,
    /// The matcher.
    pub engine_version: String,
    /// SHA-256 of the block's bytes, hex.
    pub digest: String,
}

/// A screening's block with its record; without a record nothing was screened.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The result.
    pub block: Value,
    /// `None` where nothing was screened.
    pub record: Option<Record>,
    /// Why nothing was screened.
    pub finding: Option<Finding>,
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Fingerprint of a configuration, as results cite it: 32 hexadecimal digits.
pub fn fingerprint(configuration: &impl Serialize) -> String {
    hex(&store::sha256(&serde_json::to_vec(configuration).unwrap_or_default())[..16])
}

/// SHA-256 of a value's JSON.
pub fn digest(value: &Value) -> String {
    hex(&store::sha256(&serde_json::to_vec(value).unwrap_or_default()))
}

/// Screens against the present lists.
pub fn examine(lists: &dyn Lists, asked: Asked, memory: Vec<Remembered>) -> Outcome {
    let failed = |finding: Finding| {
        let mut block = asked.empty_block();
        block["warnings"] = json!(judge(&any_node(), &finding).warnings);
        Outcome { block, record: None, finding: Some(finding) }
    };
    match lists.screener() {
        Err(reason) => failed(not_screened(Err(&reason))),
        Ok(None) => failed(not_screened(Ok(()))),
        Ok(Some(screener)) => {
            let block = asked.block(&screener, &memory);
            let record = Record {
                list_versions: screener.manifest().lists.clone(),
                engine_version: aml::ENGINE_VERSION.to_owned(),
                digest: digest(&block),
                memory,
                asked,
            };
            Outcome { block, record: Some(record), finding: None }
        }
    }
}

/// The status of a block as the API's features have it.
pub fn feature_status(block: &Value) -> FeatureStatus {
    match block["status"].as_str() {
        Some("Approved") => FeatureStatus::Approved,
        Some("Declined") => FeatureStatus::Declined,
        _ => FeatureStatus::InReview,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        let person = Person {
            full_name: "Ana Ejemplo".to_owned(),
            date_of_birth: Some(jiff::civil::date(1974, 3, 1)),
            nationality: Some("ES".to_owned()),
            document_number: Some("X1".to_owned()),
            ..Person::default()
        };
        Asked::new(&person, Settings::default())
    }

    #[test]
    fn a_question_carries_all_that_is_known() {
        let query = asked().query;
        assert_eq!(query.countries, ["es"]);
        assert_eq!((query.births.len(), query.identifiers.len()), (1, 1));
    }

    #[test]
    fn without_lists_nobody_is_clear() {
        let outcome = examine(&NoLists, asked(), Vec::new());
        assert_eq!(feature_status(&outcome.block), FeatureStatus::InReview);
        assert_eq!(outcome.block["warnings"][0]["risk"], "COULD_NOT_PERFORM_AML_SCREENING");
    }

    #[test]
    fn adverse_media_that_cannot_be_asked_are_said_and_never_end_approved() {
        let settings = Settings { adverse_media: true, ..Settings::default() };
        let mut block = json!({ "hits": [], "is_adverse_media_fetched": false });
        settle(&mut block, &settings);
        assert_eq!(block["status"], "In Review");
        let mut node = any_node();
        let finding = evidence_of(&block, &mut node);
        assert_eq!(json!(judge(&node, &finding).warnings)[0]["risk"], NOT_SCREENED);
        settle(&mut block, &Settings::default());
        assert_eq!(block["status"], "Approved");
    }

    #[test]
    fn the_bands_decide_what_a_match_does_and_a_node_may_ask_for_more() {
        let hit = json!({ "review_status": "Unreviewed", "risk_score": 90.0 });
        let status = |approve: f64, review: f64, asks: Option<Action>| {
            let mut settings = Settings::default();
            settings.thresholds.approve = approve;
            settings.thresholds.review = review;
            let mut block = json!({ "hits": [hit] });
            settle(&mut block, &settings);
            let mut node = any_node();
            if let Some(action) = asks {
                node.config.actions.insert(RISK.to_owned(), action);
            }
            let finding = evidence_of(&block, &mut node);
            judge(&node, &finding).status
        };
        assert_eq!(status(80.0, 100.0, None), FeatureStatus::InReview);
        assert_eq!(status(80.0, 85.0, None), FeatureStatus::Declined);
        assert_eq!(status(95.0, 100.0, None), FeatureStatus::Approved);
        assert_eq!(status(95.0, 100.0, Some(Action::Review)), FeatureStatus::InReview);
        assert_eq!(status(80.0, 85.0, Some(Action::NoAction)), FeatureStatus::Declined);
    }
}
