//! Screening as a step of a session: from the identity that was read on the document to the block of the decision.

use evidence::catalogue::Action;
use serde_json::{Value, json};
use store::{Session, Tx};
use workflow::{Feature, Finding};

use super::{
    Asked, Outcome, Person, RISK, Record, Remembered, Settings, evidence_of, examine,
    memory::{enrol, remember},
};
use crate::{
    Carried, Env, Input, Ran,
    age::rule::parse_date,
    facts::{Identity, Text, plain},
};

/// A screening that is to be kept with its session.
#[derive(Debug, Clone)]
pub struct Screened {
    /// The question.
    pub asked: Asked,
    /// `None` when nothing could be screened.
    pub record: Option<Record>,
}

/// What the run leaves to the judgement and the settling.
pub(super) struct Screening {
    pub(super) screened: Screened,
    /// What the bands make of a match.
    pub(super) action: Option<Action>,
}

impl Screened {
    /// What the session's decision keeps beside the blocks that it shows.
    pub fn kept(&self) -> Value {
        json!({ "asked": self.asked, "record": self.record })
    }

    /// Remembers the hits and, where it was asked for, watches the person.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn settle(&self, tx: &mut Tx<'_>, session: &Session, block: &Value) -> Result<(), store::Error> {
        let application = session.application;
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
fn person_of(identity: &Identity) -> Option<Person> {
    let alpha2 = |text: &Text| plain(text).and_then(aml::country_code).map(str::to_uppercase);
    Some(Person {
        full_name: plain(&identity.full_name)?.to_owned(),
        company: false,
        date_of_birth: plain(&identity.date_of_birth).and_then(parse_date),
        nationality: alpha2(&identity.nationality).or_else(|| alpha2(&identity.issuing_state)),
        document_number: plain(&identity.document_number).map(str::to_owned),
    })
}

/// Screens the person whose identity was read.
pub(super) fn run(env: &Env, input: &Input<'_>) -> Ran {
    let settings = match Settings::of_node(&input.node.config) {
        Ok(settings) => settings,
        Err(reason) => return Ran::failed(Feature::Aml, &reason),
    };
    let Some(person) = input.facts.identity.as_ref().and_then(person_of) else {
        // Nobody is there to be watched.
        let nobody = Asked::new(&Person::default(), Settings { monitoring: false, ..settings });
        let finding = Finding::failed(Feature::Aml, "no name was read on the document");
        return Ran::of(finding, nobody.empty_block());
    };
    let asked = Asked::new(&person, settings);
    let memory = input.gathered.carried.get::<Vec<Remembered>>().cloned().unwrap_or_default();
    let Outcome { block, record, finding } = examine(env.lists.as_ref(), asked.clone(), memory);
    let mut node = input.node.clone();
    let (finding, action) = match finding {
        Some(finding) => (finding, None),
        None => {
            let finding = evidence_of(&block, &mut node);
            (finding, node.config.actions.get(RISK).copied())
        }
    };
    let screened = Screened { asked, record };
    Ran {
        beside: Some(("screening", screened.kept())),
        carried: Carried::of(Screening { screened, action }),
        ..Ran::of(finding, block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Source, Sourced};

    #[test]
    fn the_person_on_a_document_is_asked_for_with_an_alpha_2_country() {
        let text = |value: &str| Some(Sourced { value: value.to_owned(), source: Source::Zone });
        let identity = Identity {
            full_name: text("Ana Ejemplo"),
            date_of_birth: text("1974-03-01"),
            nationality: text("ESP"),
            document_number: text("X1"),
            issuing_state: text("UTO"),
            ..Identity::default()
        };
        let person = person_of(&identity).unwrap();
        assert_eq!(person.nationality.as_deref(), Some("ES"));
        assert_eq!(person.date_of_birth, Some(jiff::civil::date(1974, 3, 1)));
        assert!(person_of(&Identity { full_name: text(" "), ..Identity::default() }).is_none());
    }
}
