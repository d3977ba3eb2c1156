//! Screens a name against the watch-lists of this installation.
//!
//! The index lies in the data folder (`aml/index`), made by `bonafide aml
//! import --data DATA/aml`. It is opened again when an import has replaced it.
//! Without an index nobody is taken as clear: the answer is a review.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use aml::{
    DateRange, Identifier, Profile, Query, Schema, Screener,
    didit::{self, Thresholds},
    profile::DiditWeights,
};
use evidence::Signal;
use serde_json::json;
use workflow::{CheckState, Definition, Feature, Finding, judge};

use crate::{
    Service,
    access::Access,
    standalone::{Answer, Common, StandaloneError},
};

/// What is asked of a screening.
#[derive(Debug, Clone)]
pub struct Screen {
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
    /// Bands of the answer.
    pub thresholds: Thresholds,
    /// Weights of name, date of birth and country; they sum to 100.
    pub weights: [u32; 3],
    /// The rest.
    pub common: Common,
}

/// The opened index and the state of the file it was opened from.
type Opened = (std::time::SystemTime, Arc<Screener>);

/// The watch-lists of one installation.
pub(crate) struct WatchLists {
    folder: PathBuf,
    opened: Mutex<Option<Opened>>,
}

impl WatchLists {
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder, opened: Mutex::default() }
    }

    /// The present index; `None` when no list was imported yet.
    fn screener(&self) -> Result<Option<Arc<Screener>>, String> {
        let index: &Path = &self.folder;
        let Ok(modified) = std::fs::metadata(index.join(aml::INDEX_FILE)).and_then(|file| file.modified())
        else {
            return Ok(None);
        };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, screener)) = &*opened
            && *since == modified
        {
            return Ok(Some(Arc::clone(screener)));
        }
        let screener = Arc::new(Screener::open(index).map_err(|error| crate::engines::chain(&error))?);
        *opened = Some((modified, Arc::clone(&screener)));
        Ok(Some(screener))
    }
}

fn query_of(input: &Screen) -> Query {
    let number = input.document_number.clone().map(|value| Identifier {
        kind: String::new(),
        value,
        country: String::new(),
    });
    let birth = input.date_of_birth.and_then(|date| {
        Some(DateRange::day(
            u32::try_from(date.year()).ok()?,
            u32::try_from(date.month()).ok()?,
            u32::try_from(date.day()).ok()?,
        ))
    });
    Query {
        names: vec![input.full_name.clone()],
        schema: if input.company { Schema::Organization } else { Schema::Person },
        births: birth.into_iter().collect(),
        countries: input.nationality.iter().map(|code| code.to_lowercase()).collect(),
        identifiers: number.into_iter().collect(),
        ..Query::default()
    }
}

impl Service {
    /// Screens a name.
    ///
    /// # Errors
    /// [`StandaloneError`].
    pub async fn screen(&self, access: &Access, input: Screen) -> Result<Answer, StandaloneError> {
        let lists = Arc::clone(&self.lists);
        let common = input.common.clone();
        let (block, status) = self
            .pool
            .run(move || {
                let mut finding = Finding::done(Feature::Aml);
                let mut block = json!({
                    "total_hits": 0,
                    "entity_type": if input.company { "company" } else { "person" },
                    "hits": [],
                    "score": null,
                    "screened_data": {
                        "full_name": input.full_name,
                        "date_of_birth": input.date_of_birth,
                        "nationality": input.nationality,
                        "document_number": input.document_number,
                    },
                });
                let mut standing = "In Review";
                match lists.screener() {
                    Err(reason) => finding = Finding::failed(Feature::Aml, &reason),
                    Ok(None) => {
                        let reason = "no watch-list is loaded; import one with `bonafide aml import`";
                        finding.state = CheckState::NotEvaluated(reason.to_owned());
                    }
                    Ok(Some(screener)) => {
                        let [name, birth, country] = input.weights;
                        let profile = Profile {
                            didit: DiditWeights { name, birth, country },
                            ..Profile::named("didit").unwrap_or_default()
                        };
                        let screening = screener.screen(&query_of(&input), &profile);
                        let (hits, score, status) = didit::hits(&screening, input.thresholds);
                        standing = status;
                        if !hits.is_empty() {
                            let shows = json!({ "hits": hits.len(), "score": score });
                            finding.signals.push(Signal::certain(
                                "POSSIBLE_MATCH_FOUND",
                                "aml.screen/1",
                                shows,
                            ));
                        }
                        block["total_hits"] = json!(hits.len());
                        block["hits"] = json!(hits);
                        block["score"] = json!(score);
                        block["list_versions"] = json!(screening.list_versions);
                        block["engine_version"] = json!(screening.engine_version);
                        block["config_hash"] = json!(screening.config_hash);
                    }
                }
                let definition = Definition::of(&[Feature::Aml]);
                let warnings =
                    definition.nodes.first().map(|node| judge(node, &finding).warnings).unwrap_or_default();
                block["warnings"] = json!(warnings);
                block["status"] = json!(standing);
                (block, standing)
            })
            .await?;
        self.answer_check(access, &common, "AML", Feature::Aml, block, status, Vec::new()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_index_there_is_no_screener_and_nobody_is_clear() {
        let lists = WatchLists::in_folder(PathBuf::from("/nonexistent"));
        assert!(lists.screener().unwrap().is_none());
    }

    #[test]
    fn a_question_carries_all_that_is_known() {
        let input = Screen {
            full_name: "Ana Ejemplo".to_owned(),
            company: false,
            date_of_birth: Some(jiff::civil::date(1974, 3, 1)),
            nationality: Some("ES".to_owned()),
            document_number: Some("X1".to_owned()),
            thresholds: Thresholds::default(),
            weights: [60, 25, 15],
            common: Common::default(),
        };
        let query = query_of(&input);
        assert_eq!(query.countries, ["es"]);
        assert_eq!((query.births.len(), query.identifiers.len()), (1, 1));
    }
}
