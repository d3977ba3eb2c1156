//! What the engine must be told about checks: what each needs, gives and asks. The engine knows no check by name.
//!
//! The registry of checks implements [`Catalogue`]; tests build small ones.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    facts::{FactName, Kind},
    graph::{CheckName, Settings},
    name::name,
};

name! {
    /// Name of something a person is asked for: a picture, a form, a code.
    AskName
}

/// Answers the engine's questions about checks and actions.
pub trait Catalogue {
    /// The shape of a check with these settings.
    ///
    /// # Errors
    /// When there is no such check, or it refuses the settings.
    fn check(&self, name: &CheckName, settings: &Settings) -> Result<Cow<'_, CheckShape>, Refused>;

    /// Whether an action can be done with these settings.
    ///
    /// # Errors
    /// When there is no such action, or it refuses the settings.
    fn action(&self, name: &str, settings: &Settings) -> Result<(), Refused>;

    /// Whether a webhook can be sent with these settings.
    ///
    /// # Errors
    /// When it refuses the settings.
    fn webhook(&self, settings: &Settings) -> Result<(), Refused>;

    /// Facts that a session can have from the start, such as the details its owner expects.
    fn at_start(&self) -> &[Gives];

    /// How alike two texts are, 0 to 100, for `fuzzy_match`.
    fn similarity(&self, one: &str, other: &str) -> f64;
}

/// Why the catalogue refuses a name or settings: a sentence for the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// A check as the engine sees it, with the settings of one node applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckShape {
    /// Name of the fact that says how the check ended: `Approved`, `In Review` or `Declined`. The engine supplies it.
    pub verdict: FactName,
    /// What must be there before it can run: one fact of every group.
    pub needs: Vec<AnyOf>,
    /// The facts that it gives besides its verdict.
    pub gives: Vec<Gives>,
    /// What it asks the person for, in order.
    pub asks: Vec<Ask>,
    /// How often it runs at most, when its finding asks for captures again; 0 counts as 1.
    pub attempts: u8,
    /// Whether the person goes on to the next step while it waits or runs. A live challenge does not.
    pub background: bool,
}

impl CheckShape {
    /// Whether the check supplies a fact.
    pub fn supplies(&self, fact: &FactName) -> bool {
        self.verdict == *fact || self.gives.iter().any(|gives| gives.fact == *fact)
    }

    /// The kind of the fact that says how the check ended.
    pub fn verdict_kind() -> Kind {
        Kind::Choice(["Approved", "In Review", "Declined"].map(str::to_owned).to_vec())
    }

    /// The kind of a fact that the check supplies, and whether the check may leave it out.
    pub fn kind_of(&self, fact: &FactName) -> Option<(Cow<'_, Kind>, bool)> {
        if self.verdict == *fact {
            return Some((Cow::Owned(Self::verdict_kind()), false));
        }
        let gives = self.gives.iter().find(|gives| gives.fact == *fact)?;
        Some((Cow::Borrowed(&gives.kind), gives.optional))
    }
}

/// One of these facts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnyOf(pub Vec<FactName>);

impl std::fmt::Display for AnyOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, fact) in self.0.iter().enumerate() {
            write!(f, "{}{fact}", if index == 0 { "" } else { " or " })?;
        }
        Ok(())
    }
}

/// A fact that a check gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gives {
    /// Its name.
    pub fact: FactName,
    /// Its kind.
    pub kind: Kind,
    /// Whether a check that passes may leave it out, as a document may have no middle name. A check that passes
    /// without a fact that it must give proves nothing.
    pub optional: bool,
}

/// Something a person is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// What.
    pub name: AskName,
    /// Whether the person may say that there is none, such as the other side of a passport.
    pub may_skip: bool,
    /// Whether the answer to the same ask at the nearest node before serves as well.
    pub reuse: bool,
}
