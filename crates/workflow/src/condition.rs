//! Conditions of branches: one rule looks at one fact, and the answer is true, false or unknown.
//!
//! Kleene's three-valued logic. A comparison with a fact that is missing is *unknown*, never false, so that
//! `not_equals` does not hold of what nobody knows. Only `is_empty` and `is_not_empty` speak about absence, and only
//! when the check that gives the fact ran to its end: the facts of a failed check are unknown to every operator.
//! `and` is the least of its rules and `or` the greatest, in the order false, unknown, true.
//!
//! Texts are compared without case and surrounding space, as people write values by hand in a console. A pattern is
//! taken as it is and may match anywhere in the text.

use std::cmp::Ordering;

use jiff::civil::Date;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::facts::{FactName, Kind, Value};

/// Longest text and longest pattern in a rule, in bytes.
pub const MAX_TEXT: usize = 1_000;
/// Most values of `in` and `not_in`.
pub const MAX_VALUES: usize = 500;
/// Similarity from which `fuzzy_match` holds when the rule gives none; the API leaves it open.
pub const DEFAULT_SIMILARITY: f64 = 80.0;
/// A compiled pattern may take this many bytes.
const MAX_PATTERN_SIZE: usize = 1 << 20;

/// An answer that may be unknown. Ordered so that the least is `and` and the greatest is `or`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Truth {
    /// It does not hold.
    False,
    /// Nobody can tell.
    Unknown,
    /// It holds.
    True,
}

impl Truth {
    /// The opposite; the opposite of unknown is unknown.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// How a rule compares, named as in the workflow API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// The fact is the value.
    Equals,
    /// The fact is another value.
    NotEquals,
    /// The fact is above the value.
    GreaterThan,
    /// The fact is the value or above it.
    GreaterThanOrEquals,
    /// The fact is below the value.
    LessThan,
    /// The fact is the value or below it.
    LessThanOrEquals,
    /// The text has the value in it, or the list has the value among its texts.
    Contains,
    /// The opposite of `contains`.
    NotContains,
    /// The fact is one of the values.
    In,
    /// The fact is none of the values.
    NotIn,
    /// The fact is absent, blank, or a list without texts.
    IsEmpty,
    /// The opposite of `is_empty`.
    IsNotEmpty,
    /// The text matches the pattern.
    Regex,
    /// The text is as similar to the value as `score` says, 0 to 100.
    FuzzyMatch,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 14] = [
        Self::Equals,
        Self::NotEquals,
        Self::GreaterThan,
        Self::GreaterThanOrEquals,
        Self::LessThan,
        Self::LessThanOrEquals,
        Self::Contains,
        Self::NotContains,
        Self::In,
        Self::NotIn,
        Self::IsEmpty,
        Self::IsNotEmpty,
        Self::Regex,
        Self::FuzzyMatch,
    ];

    /// Spelling in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equals => "equals",
            Self::NotEquals => "not_equals",
            Self::GreaterThan => "greater_than",
            Self::GreaterThanOrEquals => "greater_than_or_equals",
            Self::LessThan => "less_than",
            Self::LessThanOrEquals => "less_than_or_equals",
            Self::Contains => "contains",
            Self::NotContains => "not_contains",
            Self::In => "in",
            Self::NotIn => "not_in",
            Self::IsEmpty => "is_empty",
            Self::IsNotEmpty => "is_not_empty",
            Self::Regex => "regex",
            Self::FuzzyMatch => "fuzzy_match",
        }
    }

    /// Whether the operator makes sense for a kind of fact.
    pub fn fits(self, kind: &Kind) -> bool {
        match self {
            Self::IsEmpty | Self::IsNotEmpty => true,
            Self::Equals | Self::NotEquals => !matches!(kind, Kind::List | Kind::Presence),
            Self::In | Self::NotIn => {
                matches!(kind, Kind::Text | Kind::Choice(_) | Kind::Number | Kind::Date)
            }
            Self::GreaterThan | Self::GreaterThanOrEquals | Self::LessThan | Self::LessThanOrEquals => {
                matches!(kind, Kind::Number | Kind::Date)
            }
            Self::Contains | Self::NotContains => matches!(kind, Kind::Text | Kind::List),
            Self::Regex | Self::FuzzyMatch => matches!(kind, Kind::Text),
        }
    }
}

/// How the rules of an arm are joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Logic {
    /// All rules must hold.
    #[default]
    And,
    /// One rule must hold.
    Or,
}

impl Logic {
    /// Joins the answers of rules. Without rules the answer is true: that is how an arm says "otherwise".
    pub fn join(self, answers: impl IntoIterator<Item = Truth>) -> Truth {
        let answers = answers.into_iter();
        match self {
            Self::And => answers.min(),
            Self::Or => answers.max(),
        }
        .unwrap_or(Truth::True)
    }
}

/// One rule, as the API writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The fact it looks at.
    pub field: FactName,
    /// How it compares.
    pub operator: Operator,
    /// What it compares with; read according to the kind of the fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// Similarity from which `fuzzy_match` holds, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// Why a rule cannot be used with the kind of its fact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableRule {
    /// The operator makes no sense for the kind.
    #[error("{operator} cannot be used with {kind}")]
    Operator {
        /// The operator.
        operator: &'static str,
        /// The kind.
        kind: &'static str,
    },
    /// The value cannot be read as the kind wants it.
    #[error("the value must be {0}")]
    Value(String),
    /// The operator takes none.
    #[error("{0} takes no value")]
    NoValue(&'static str),
    /// A list is empty or too long.
    #[error("the value must be a list of 1 to {MAX_VALUES} values")]
    Values,
    /// The text is too long.
    #[error("the value is longer than {MAX_TEXT} bytes")]
    Long,
    /// The pattern is broken or too large.
    #[error("the pattern cannot be used: {0}")]
    Pattern(String),
    /// The score is no similarity.
    #[error("score must be a number from 0 to 100 and belongs to fuzzy_match only")]
    Score,
}

/// What is known of a fact at a place of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Known<'a> {
    /// Its value.
    Value(&'a Value),
    /// The check that gives it ran to its end and gave none.
    Absent,
    /// Nobody can tell: the check did not run yet, could not run, or stands on no node of the path.
    Unknown,
}

/// A rule that was read for the kind of its fact.
#[derive(Debug, Clone)]
pub struct Condition {
    kind: Kind,
    test: Test,
    negated: bool,
}

#[derive(Debug, Clone)]
enum Test {
    Equals(Value),
    Order(&'static [Ordering], Value),
    Contains(String),
    In(Vec<Value>),
    Empty,
    Regex(Regex),
    Similar(String, f64),
}

impl Condition {
    /// Reads a rule for the kind of its fact.
    ///
    /// # Errors
    /// When operator, value or score do not fit the kind.
    pub fn of(rule: &Rule, kind: &Kind) -> Result<Self, UnusableRule> {
        use Operator as O;
        let operator = rule.operator;
        if !operator.fits(kind) {
            return Err(UnusableRule::Operator { operator: operator.as_str(), kind: kind.name() });
        }
        if rule.score.is_some_and(|score| operator != O::FuzzyMatch || !(0.0..=100.0).contains(&score)) {
            return Err(UnusableRule::Score);
        }
        let given = rule.value.as_ref().unwrap_or(&serde_json::Value::Null);
        let value = || read(given, kind);
        // A text of a list is compared like any text.
        let text = || match read(given, &Kind::Text)? {
            Value::Text(text) => Ok(text),
            _ => Err(UnusableRule::Value("text".to_owned())),
        };
        let test = match operator {
            O::Equals | O::NotEquals => Test::Equals(value()?),
            O::GreaterThan => Test::Order(&[Ordering::Greater], value()?),
            O::GreaterThanOrEquals => Test::Order(&[Ordering::Greater, Ordering::Equal], value()?),
            O::LessThan => Test::Order(&[Ordering::Less], value()?),
            O::LessThanOrEquals => Test::Order(&[Ordering::Less, Ordering::Equal], value()?),
            O::Contains | O::NotContains => Test::Contains(text()?),
            O::In | O::NotIn => {
                let values = given.as_array().ok_or(UnusableRule::Values)?;
                if values.is_empty() || values.len() > MAX_VALUES {
                    return Err(UnusableRule::Values);
                }
                Test::In(values.iter().map(|value| read(value, kind)).collect::<Result<_, _>>()?)
            }
            O::IsEmpty | O::IsNotEmpty => {
                // Forms send an empty text for an operator without a value.
                if !(given.is_null() || given.as_str() == Some("")) {
                    return Err(UnusableRule::NoValue(operator.as_str()));
                }
                Test::Empty
            }
            O::Regex => {
                let pattern = given.as_str().ok_or_else(|| UnusableRule::Value("a pattern".to_owned()))?;
                if pattern.is_empty() || pattern.len() > MAX_TEXT {
                    return Err(if pattern.is_empty() {
                        UnusableRule::Value("a pattern".to_owned())
                    } else {
                        UnusableRule::Long
                    });
                }
                let regex = RegexBuilder::new(pattern).size_limit(MAX_PATTERN_SIZE).build();
                Test::Regex(regex.map_err(|error| UnusableRule::Pattern(error.to_string()))?)
            }
            O::FuzzyMatch => Test::Similar(text()?, rule.score.unwrap_or(DEFAULT_SIMILARITY)),
        };
        let negated = matches!(operator, O::NotEquals | O::NotContains | O::NotIn | O::IsNotEmpty);
        Ok(Self { kind: kind.clone(), test, negated })
    }

    /// Whether the condition holds. `similarity` says how alike two texts are, 0 to 100.
    pub fn holds(&self, known: Known<'_>, similarity: impl Fn(&str, &str) -> f64) -> Truth {
        let known = match known {
            Known::Value(value) if value.is_unsound() => Known::Unknown,
            Known::Value(value) if value.is_blank() => Known::Absent,
            Known::Value(value) if !value.is(&self.kind) => Known::Unknown,
            other => other,
        };
        let answer = match known {
            Known::Unknown => Truth::Unknown,
            Known::Absent if matches!(self.test, Test::Empty) => Truth::True,
            Known::Absent => Truth::Unknown,
            Known::Value(value) => self.test.answer(value, similarity),
        };
        if self.negated { answer.negated() } else { answer }
    }
}

impl Test {
    /// The answer for a value that is there.
    fn answer(&self, value: &Value, similarity: impl Fn(&str, &str) -> f64) -> Truth {
        match (self, value) {
            (Self::Equals(other), value) => (order(value, other) == Some(Ordering::Equal)).into(),
            (Self::Order(wanted, other), value) => match order(value, other) {
                Some(ordering) => wanted.contains(&ordering).into(),
                None => Truth::Unknown,
            },
            (Self::Contains(part), Value::Text(text)) => folded(text).contains(part).into(),
            (Self::Contains(part), Value::List(texts)) => {
                texts.iter().any(|text| folded(text) == *part).into()
            }
            (Self::In(others), value) => {
                others.iter().any(|other| order(value, other) == Some(Ordering::Equal)).into()
            }
            (Self::Empty, Value::List(texts)) => texts.is_empty().into(),
            (Self::Empty, _) => Truth::False,
            (Self::Regex(pattern), Value::Text(text)) => pattern.is_match(text).into(),
            (Self::Similar(other, least), Value::Text(text)) => {
                let score = similarity(&folded(text), other);
                if score.is_finite() { (score >= *least).into() } else { Truth::Unknown }
            }
            _ => Truth::Unknown,
        }
    }
}

/// Text as it is compared.
fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}

/// The order of two values of one kind; the value of the rule is folded already.
fn order(value: &Value, other: &Value) -> Option<Ordering> {
    match (value, other) {
        (Value::Text(a), Value::Text(b)) => Some(folded(a).as_str().cmp(b.as_str())),
        (Value::Number(a), Value::Number(b)) => a.partial_cmp(b),
        (Value::Truth(a), Value::Truth(b)) => Some(a.cmp(b)),
        (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Reads the value of a rule. Numbers, dates and truths may come as text, as forms send them.
fn read(given: &serde_json::Value, kind: &Kind) -> Result<Value, UnusableRule> {
    let wrong = || {
        UnusableRule::Value(match kind {
            Kind::Choice(choices) => format!("one of: {}", choices.join(", ")),
            Kind::Date => "a date, YYYY-MM-DD".to_owned(),
            other => other.name().to_owned(),
        })
    };
    let text = given.as_str().map(str::trim);
    if text.is_some_and(|text| text.len() > MAX_TEXT) {
        return Err(UnusableRule::Long);
    }
    let value = match kind {
        Kind::Text => text.filter(|text| !text.is_empty()).map(|text| Value::Text(folded(text))),
        Kind::Choice(choices) => text
            .filter(|text| choices.iter().any(|choice| choice.eq_ignore_ascii_case(text)))
            .map(|text| Value::Text(folded(text))),
        Kind::Number => given
            .as_f64()
            .or_else(|| text?.parse().ok())
            .filter(|number| number.is_finite())
            .map(Value::Number),
        Kind::Truth => given.as_bool().or_else(|| text?.parse().ok()).map(Value::Truth),
        Kind::Date => text.and_then(|text| text.parse::<Date>().ok()).map(Value::Date),
        Kind::List | Kind::Presence => None,
    };
    value.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rule(operator: Operator, value: serde_json::Value) -> Rule {
        Rule { field: "f".into(), operator, value: (!value.is_null()).then_some(value), score: None }
    }

    fn ask(operator: Operator, value: serde_json::Value, kind: &Kind, known: Known<'_>) -> Truth {
        Condition::of(&rule(operator, value), kind).unwrap().holds(known, |a, b| {
            if a == b {
                100.0
            } else if a.chars().next() == b.chars().next() {
                85.0
            } else {
                0.0
            }
        })
    }

    fn choice() -> Kind {
        Kind::Choice(vec!["Approved".into(), "Declined".into()])
    }

    #[test]
    fn each_operator_answers_yes_and_no() {
        use Operator as O;
        let text = |text: &str| Value::Text(text.into());
        let date = |text: &str| Value::Date(text.parse().unwrap());
        let list = Value::List(vec!["PEP".into(), "Sanction".into()]);
        let table: Vec<(O, serde_json::Value, Kind, Value, Value)> = vec![
            (O::Equals, json!("esp"), Kind::Text, text(" ESP "), text("FRA")),
            (O::Equals, json!(18), Kind::Number, Value::Number(18.0), Value::Number(17.9)),
            (O::Equals, json!("true"), Kind::Truth, Value::Truth(true), Value::Truth(false)),
            (O::Equals, json!("approved"), choice(), text("Approved"), text("Declined")),
            (O::NotEquals, json!("ESP"), Kind::Text, text("FRA"), text("esp")),
            (O::GreaterThan, json!(18), Kind::Number, Value::Number(18.1), Value::Number(18.0)),
            (O::GreaterThanOrEquals, json!("18"), Kind::Number, Value::Number(18.0), Value::Number(17.0)),
            (O::LessThan, json!("2000-01-01"), Kind::Date, date("1999-12-31"), date("2000-01-01")),
            (O::LessThanOrEquals, json!(5), Kind::Number, Value::Number(5.0), Value::Number(5.1)),
            (O::Contains, json!("street"), Kind::Text, text("High Street 1"), text("High Road 1")),
            (O::Contains, json!("pep"), Kind::List, list.clone(), Value::List(vec![])),
            (O::NotContains, json!("PEP"), Kind::List, Value::List(vec!["pepper".into()]), list.clone()),
            (O::In, json!(["ESP", "FRA"]), Kind::Text, text("fra"), text("DEU")),
            (O::NotIn, json!([1, 2]), Kind::Number, Value::Number(3.0), Value::Number(2.0)),
            (O::IsEmpty, json!(""), Kind::List, Value::List(vec![]), list.clone()),
            (O::IsEmpty, json!(null), Kind::Text, text("  "), text("x")),
            (O::IsNotEmpty, json!(null), Kind::Number, Value::Number(0.0), Value::Number(0.0)),
            (O::Regex, json!("^[A-Z]{2}[0-9]+$"), Kind::Text, text("AB12"), text("ab12")),
            (O::FuzzyMatch, json!("Peter"), Kind::Text, text("Petra"), text("Anna")),
        ];
        let seen: std::collections::BTreeSet<_> = table.iter().map(|row| row.0).collect();
        assert_eq!(seen.len(), Operator::ALL.len(), "every operator is in the table");
        for (operator, value, kind, yes, no) in table {
            assert_eq!(
                ask(operator, value.clone(), &kind, Known::Value(&yes)),
                Truth::True,
                "{operator:?} {yes:?}"
            );
            if operator != O::IsNotEmpty {
                assert_eq!(
                    ask(operator, value, &kind, Known::Value(&no)),
                    Truth::False,
                    "{operator:?} {no:?}"
                );
            }
        }
    }

    #[test]
    fn a_missing_fact_makes_every_comparison_unknown_and_its_opposite_too() {
        for (operator, value) in [
            (Operator::Equals, json!("x")),
            (Operator::NotEquals, json!("x")),
            (Operator::Contains, json!("x")),
            (Operator::NotContains, json!("x")),
            (Operator::In, json!(["x"])),
            (Operator::NotIn, json!(["x"])),
            (Operator::Regex, json!("x")),
            (Operator::FuzzyMatch, json!("x")),
        ] {
            for known in [Known::Absent, Known::Unknown, Known::Value(&Value::Text(" ".into()))] {
                assert_eq!(ask(operator, value.clone(), &Kind::Text, known), Truth::Unknown, "{operator:?}");
            }
        }
    }

    #[test]
    fn only_a_check_that_ran_to_its_end_proves_absence() {
        assert_eq!(ask(Operator::IsEmpty, json!(null), &Kind::Text, Known::Absent), Truth::True);
        assert_eq!(ask(Operator::IsNotEmpty, json!(null), &Kind::Text, Known::Absent), Truth::False);
        assert_eq!(ask(Operator::IsEmpty, json!(null), &Kind::Text, Known::Unknown), Truth::Unknown);
        assert_eq!(ask(Operator::IsNotEmpty, json!(null), &Kind::Text, Known::Unknown), Truth::Unknown);
    }

    #[test]
    fn a_number_that_is_none_and_a_value_of_another_kind_are_unknown_to_every_operator() {
        for operator in Operator::ALL.into_iter().filter(|operator| operator.fits(&Kind::Number)) {
            let value = match operator {
                Operator::In | Operator::NotIn => json!([1]),
                Operator::IsEmpty | Operator::IsNotEmpty => json!(null),
                _ => json!(1),
            };
            for wrong in [Value::Number(f64::NAN), Value::Number(f64::INFINITY), Value::Truth(true)] {
                let answer = ask(operator, value.clone(), &Kind::Number, Known::Value(&wrong));
                assert_eq!(answer, Truth::Unknown, "{operator:?} {wrong:?}");
            }
        }
        let alike = Condition::of(&rule(Operator::FuzzyMatch, json!("x")), &Kind::Text).unwrap();
        assert_eq!(alike.holds(Known::Value(&Value::Text("x".into())), |_, _| f64::NAN), Truth::Unknown);
    }

    #[test]
    fn a_rule_that_does_not_fit_its_fact_is_refused_with_the_reason() {
        let reason = |rule: &Rule, kind: &Kind| Condition::of(rule, kind).unwrap_err().to_string();
        let of = |operator, value| rule(operator, value);
        use Operator as O;
        assert_eq!(
            reason(&of(O::GreaterThan, json!("a")), &Kind::Text),
            "greater_than cannot be used with text"
        );
        assert_eq!(reason(&of(O::Equals, json!("a")), &Kind::Number), "the value must be a number");
        assert_eq!(reason(&of(O::Equals, json!("NaN")), &Kind::Number), "the value must be a number");
        assert_eq!(
            reason(&of(O::Equals, json!("aproved")), &choice()),
            "the value must be one of: Approved, Declined"
        );
        assert_eq!(
            reason(&of(O::LessThan, json!("1.1.2000")), &Kind::Date),
            "the value must be a date, YYYY-MM-DD"
        );
        assert_eq!(reason(&of(O::In, json!([])), &Kind::Text), "the value must be a list of 1 to 500 values");
        assert_eq!(reason(&of(O::IsEmpty, json!("x")), &Kind::Text), "is_empty takes no value");
        assert_eq!(
            reason(&of(O::Equals, json!("x".repeat(1001))), &Kind::Text),
            "the value is longer than 1000 bytes"
        );
        assert!(reason(&of(O::Regex, json!("(")), &Kind::Text).starts_with("the pattern cannot be used"));
        assert!(
            reason(&of(O::Regex, json!("(a{1000}){1000}")), &Kind::Text)
                .starts_with("the pattern cannot be used")
        );
        let scored = |operator, score| Rule { score: Some(score), ..rule(operator, json!("x")) };
        for (operator, score) in [(O::Equals, 50.0), (O::FuzzyMatch, 101.0), (O::FuzzyMatch, f64::NAN)] {
            assert_eq!(
                Condition::of(&scored(operator, score), &Kind::Text).unwrap_err(),
                UnusableRule::Score
            );
        }
    }

    #[test]
    fn operators_are_spelled_as_in_the_api() {
        for operator in Operator::ALL {
            assert_eq!(serde_json::to_value(operator).unwrap(), json!(operator.as_str()));
        }
        assert!(serde_json::from_value::<Operator>(json!("sounds_like")).is_err());
    }

    proptest! {
        #[test]
        fn what_is_learned_later_never_turns_an_answer_around(
            early in prop::collection::vec(prop::sample::select(vec![Truth::False, Truth::Unknown, Truth::True]), 0..6),
            learned in prop::collection::vec(any::<bool>(), 6),
        ) {
            let later: Vec<Truth> = early.iter().zip(&learned).map(|(answer, learned)| match answer {
                Truth::Unknown => Truth::from(*learned),
                known => *known,
            }).collect();
            for logic in [Logic::And, Logic::Or] {
                let before = logic.join(early.iter().copied());
                prop_assert!(before == Truth::Unknown || before == logic.join(later.iter().copied()));
            }
        }
    }
}
