//! The risk catalogue: what each published code means and what follows by default.
//!
//! The facts are `data/risks.toml`. Codes are an open set: [`describe`] answers
//! for unknown codes too, with texts made from the code itself.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::{Deserialize, Serialize};

/// What a workflow does with a risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    /// Tell, but change nothing.
    NoAction,
    /// A person must look.
    Review,
    /// The check fails.
    Decline,
}

/// A risk as the catalogue describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    /// Published code.
    pub code: String,
    /// Feature it belongs to: `ID_VERIFICATION`, `LIVENESS`, `FACEMATCH`, `NFC`, `AML` …
    pub feature: String,
    /// Default action.
    pub action: Action,
    /// One line for a list.
    pub short: String,
    /// One sentence for a reviewer.
    pub long: String,
}

#[derive(Deserialize)]
struct File {
    risk: Vec<Risk>,
}

static CATALOGUE: LazyLock<BTreeMap<String, Risk>> = LazyLock::new(|| {
    let file: File =
        toml::from_str(include_str!("../data/risks.toml")).expect("the catalogue is tested to parse");
    file.risk.into_iter().map(|risk| (risk.code.clone(), risk)).collect()
});

/// Every risk of the catalogue, by code.
pub fn all() -> impl Iterator<Item = &'static Risk> {
    CATALOGUE.values()
}

/// The description of a code; one unknown here is described by its own name and goes to review.
pub fn describe(code: &str, feature: &str) -> Risk {
    CATALOGUE.get(code).cloned().unwrap_or_else(|| Risk {
        code: code.to_owned(),
        feature: feature.to_owned(),
        action: Action::Review,
        short: code.replace('_', " ").to_lowercase(),
        long: format!("The check reported {code}."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_texts_and_a_known_feature() {
        assert!(all().count() > 60);
        for risk in all() {
            assert!(!risk.short.is_empty() && risk.long.ends_with('.'), "{}", risk.code);
            assert!(
                ["ID_VERIFICATION", "LIVENESS", "FACEMATCH", "NFC", "AML"].contains(&risk.feature.as_str()),
                "{}",
                risk.code
            );
        }
    }

    #[test]
    fn unknown_codes_pass_through_and_go_to_review() {
        let risk = describe("SOMETHING_NEW", "AML");
        assert_eq!((risk.code.as_str(), risk.action), ("SOMETHING_NEW", Action::Review));
    }
}
