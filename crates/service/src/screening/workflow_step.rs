//! Screening as a step of a session: from what was read on the document to the block of the decision.

use serde_json::{Value, json};
use store::{ApplicationId, Session, SessionId, Tx};
use workflow::{Definition, Feature, Finding};

use super::{Asked, Outcome, Person, Record, Settings, enrol, evidence_of, examine, memory, remember};
use crate::{
    Service,
    checks::Examined,
    jobs::JobError,
    pool::{PoolError, Work},
};

/// A screening that is to be kept with its session.
#[derive(Debug, Clone)]
pub(crate) struct Screened {
    pub(crate) asked: Asked,
    /// `None` when nothing could be screened.
    pub(crate) record: Option<Record>,
}

impl Screened {
    /// What the session's decision keeps beside the blocks that it shows.
    pub(crate) fn kept(&self) -> Value {
        json!({ "asked": self.asked, "record": self.record })
    }

    /// Remembers the hits and, where it was asked for, watches the person.
    pub(crate) fn settle(
        &self,
        tx: &mut Tx<'_>,
        application: ApplicationId,
        session: &Session,
        block: &Value,
    ) -> Result<(), store::Error> {
        let lists = self.record.as_ref().map(|record| record.list_versions.as_slice()).unwrap_or_default();
        if self.record.is_some() {
            remember(tx, application, &session.key, block)?;
        }
        if self.asked.settings.monitoring {
            // Whoever could not be screened is compared with everything as soon as there is a list.
            enrol(tx, application, session, &self.asked, lists)?;
        }
        Ok(())
    }
}

/// Who stands on the document.
fn person_of(document: &Value) -> Option<Person> {
    let text = |field: &str| document[field].as_str().map(str::trim).filter(|text| !text.is_empty());
    let alpha2 = |field: &str| text(field).and_then(aml::country_code).map(str::to_uppercase);
    Some(Person {
        full_name: text("full_name")?.to_owned(),
        company: false,
        date_of_birth: text("date_of_birth").and_then(crate::age::parse_date),
        nationality: alpha2("nationality").or_else(|| alpha2("issuing_state")),
        document_number: text("document_number").map(str::to_owned),
    })
}

impl Service {
    /// Screens the person of a session when the workflow says so: adds the finding and the block, and sets the
    /// node's action to what the bands say. `None` when there is nothing to keep.
    pub(crate) async fn screen_session(
        &self,
        application: ApplicationId,
        id: SessionId,
        definition: &mut Definition,
        examined: &mut Examined,
    ) -> Result<Option<Screened>, JobError> {
        let Some(node) = definition.nodes.iter_mut().find(|node| node.feature == Feature::Aml) else {
            return Ok(None);
        };
        let settings = match Settings::of_node(&node.config) {
            Ok(settings) => settings,
            Err(reason) => {
                examined.add(Finding::failed(Feature::Aml, &reason), json!({}));
                return Ok(None);
            }
        };
        let person = examined.block(Feature::Ocr).as_ref().and_then(person_of);
        let Some(person) = person else {
            let finding = Finding::failed(Feature::Aml, "no name was read on the document");
            // Nobody is there to be watched.
            let nobody = Asked::new(&Person::default(), Settings { monitoring: false, ..settings });
            examined.add(finding, nobody.empty_block());
            return Ok(None);
        };
        let memory = self
            .store
            .read(move |tx| match tx.sessions(application).find(id)? {
                Some(session) => memory::of_person(tx, application, &session.key),
                None => Ok(Vec::new()),
            })
            .await?;
        let asked = Asked::new(&person, settings);
        let lists = std::sync::Arc::clone(&self.lists);
        let question = asked.clone();
        let outcome = match self.pool.run(Work::Search, move || examine(&lists, question, memory)).await {
            Ok(outcome) => outcome,
            Err(PoolError::Busy) => return Err(JobError::Busy),
            Err(error @ (PoolError::Panicked(_) | PoolError::TooLong(_))) => Outcome {
                block: asked.empty_block(),
                record: None,
                finding: Some(Finding::failed(Feature::Aml, &error.to_string())),
            },
        };
        let finding = outcome.finding.unwrap_or_else(|| evidence_of(&outcome.block, node));
        examined.add(finding, outcome.block);
        Ok(Some(Screened { asked, record: outcome.record }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_person_on_a_document_is_asked_for_with_an_alpha_2_country() {
        let document = json!({
            "full_name": "Ana Ejemplo", "date_of_birth": "1974-03-01", "nationality": "ESP",
            "document_number": "X1", "issuing_state": "UTO",
        });
        let person = person_of(&document).unwrap();
        assert_eq!(person.nationality.as_deref(), Some("ES"));
        assert_eq!(person.date_of_birth, Some(jiff::civil::date(1974, 3, 1)));
        assert!(person_of(&json!({ "full_name": " " })).is_none());
    }
}
