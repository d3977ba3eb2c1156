//! What checks tell each other and what branches look at: named, typed values, each with its source.
//!
//! The engine knows a fact by its name, its [`Kind`] and whether it is there. The rich structs (an identity, a
//! portrait) belong to the checks, which project them into these. Facts lie at the node that gave them
//! ([`crate::state::CheckResult`]); a check that stands twice gives its facts twice.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::name::name;

name! {
    /// Name of a fact, such as `kyc.age` or `document.portrait`.
    FactName
}

/// Facts by their name.
pub type Facts = BTreeMap<FactName, Fact>;

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// What is known.
    pub value: Value,
    /// Where it was read.
    pub source: Source,
}

/// Where a value was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The printed text of a document.
    Print,
    /// The machine readable zone.
    Zone,
    /// A barcode on the document.
    Barcode,
    /// The chip.
    Chip,
    /// The person: a form, a picture, a code that was typed.
    Person,
    /// The owner of the workflow: details that were given when the session was made.
    Owner,
    /// A list: sanctions, known faces, a register.
    List,
    /// An estimate of a model.
    Estimate,
}

/// The value of a fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", content = "value")]
pub enum Value {
    /// Text; blank text counts as absent.
    Text(String),
    /// A number. One that is not finite is stored as `null`, comes back as NaN, and nothing can be concluded from it.
    Number(#[serde(with = "finite_or_null")] f64),
    /// Yes or no.
    Truth(bool),
    /// A calendar date.
    Date(Date),
    /// Several texts.
    List(Vec<String>),
    /// Something that a condition cannot look into, such as a picture: it is there.
    Present,
}

impl Value {
    /// Whether the value is of a kind.
    pub fn is(&self, kind: &Kind) -> bool {
        match (self, kind) {
            (Self::Text(text), Kind::Choice(choices)) => {
                choices.iter().any(|choice| choice.eq_ignore_ascii_case(text.trim()))
            }
            (Self::Text(_), Kind::Text)
            | (Self::Number(_), Kind::Number)
            | (Self::Truth(_), Kind::Truth)
            | (Self::Date(_), Kind::Date)
            | (Self::List(_), Kind::List)
            | (Self::Present, Kind::Presence) => true,
            _ => false,
        }
    }

    /// Whether it is text without anything in it, which counts as absent.
    pub fn is_blank(&self) -> bool {
        matches!(self, Self::Text(text) if text.trim().is_empty())
    }

    /// Whether a number is none: NaN or infinite.
    pub fn is_unsound(&self) -> bool {
        matches!(self, Self::Number(number) if !number.is_finite())
    }
}

/// What values a fact has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "choices")]
pub enum Kind {
    /// Any text.
    Text,
    /// A finite number.
    Number,
    /// Yes or no.
    Truth,
    /// A calendar date.
    Date,
    /// One of these texts.
    Choice(Vec<String>),
    /// Several texts.
    List,
    /// Only whether it is there.
    Presence,
}

impl Kind {
    /// Name for complaints.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "a number",
            Self::Truth => "true or false",
            Self::Date => "a date",
            Self::Choice(_) => "one of several texts",
            Self::List => "a list of texts",
            Self::Presence => "only present or absent",
        }
    }
}

/// JSON has no NaN: a number that is not finite is written as `null` and read back as NaN.
mod finite_or_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        number.is_finite().then_some(*number).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_from_json_as_it_went() {
        for value in [
            Value::Text("Zoë".into()),
            Value::Number(17.5),
            Value::Truth(false),
            Value::Date(Date::constant(2004, 2, 29)),
            Value::List(vec!["a".into(), "b".into()]),
            Value::Present,
        ] {
            let fact = Fact { value, source: Source::Chip };
            let json = serde_json::to_string(&fact).unwrap();
            assert_eq!(serde_json::from_str::<Fact>(&json).unwrap(), fact, "{json}");
        }
    }

    #[test]
    fn a_number_that_is_none_survives_storage_and_stays_unsound() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let json = serde_json::to_string(&Value::Number(number)).unwrap();
            assert!(serde_json::from_str::<Value>(&json).unwrap().is_unsound(), "{json}");
        }
    }
}
