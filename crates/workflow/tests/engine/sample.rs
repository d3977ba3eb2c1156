//! A small catalogue of made-up checks with every property the engine knows.

use std::{borrow::Cow, collections::BTreeMap};

use workflow::{
    FeatureStatus,
    catalogue::{AnyOf, Ask, Catalogue, CheckShape, Gives, Refused},
    facts::{Fact, FactName, Facts, Kind, Source, Value},
    graph::{CheckName, Settings},
    state::CheckResult,
};

pub(crate) struct Sample {
    checks: BTreeMap<CheckName, CheckShape>,
    at_start: Vec<Gives>,
}

pub(crate) const CHECKS: [&str; 7] = ["DOCUMENT", "SELFIE", "LIVE", "MATCH", "LISTS", "AGE", "NETWORK"];

fn gives(fact: &str, kind: Kind, optional: bool) -> Gives {
    Gives { fact: fact.into(), kind, optional }
}

fn ask(name: &str, may_skip: bool, reuse: bool) -> Ask {
    Ask { name: name.into(), may_skip, reuse }
}

fn any_of(facts: &[&str]) -> AnyOf {
    AnyOf(facts.iter().map(|fact| FactName::from(*fact)).collect())
}

impl Sample {
    pub(crate) fn new() -> Self {
        let shape = |verdict: &str| CheckShape {
            verdict: verdict.into(),
            needs: Vec::new(),
            gives: Vec::new(),
            asks: Vec::new(),
            attempts: 1,
            background: true,
        };
        let age = || gives("age", Kind::Number, true);
        let checks = [
            CheckShape {
                gives: vec![
                    gives("identity", Kind::Presence, false),
                    gives("country", Kind::Text, false),
                    gives("middle_name", Kind::Text, true),
                    age(),
                ],
                asks: vec![ask("front", false, false), ask("back", true, false)],
                attempts: 3,
                ..shape("document.status")
            },
            CheckShape {
                gives: vec![gives("face", Kind::Presence, false)],
                asks: vec![ask("selfie", false, false)],
                attempts: 2,
                ..shape("selfie.status")
            },
            CheckShape {
                gives: vec![gives("face", Kind::Presence, false)],
                asks: vec![ask("challenge", false, false)],
                attempts: 2,
                background: false,
                ..shape("live.status")
            },
            CheckShape {
                needs: vec![any_of(&["identity", "kept_portrait"])],
                gives: vec![gives("similarity", Kind::Number, false)],
                asks: vec![ask("selfie", false, true)],
                attempts: 2,
                ..shape("match.status")
            },
            CheckShape {
                needs: vec![any_of(&["identity"])],
                gives: vec![gives("hits", Kind::List, false), gives("risk", Kind::Number, false)],
                ..shape("lists.status")
            },
            CheckShape {
                needs: vec![any_of(&["face", "identity"])],
                gives: vec![age()],
                asks: vec![ask("selfie", false, true)],
                ..shape("age.status")
            },
            shape("network.status"),
        ];
        Self {
            checks: CHECKS.iter().map(|name| CheckName::from(*name)).zip(checks).collect(),
            at_start: vec![
                gives("kept_portrait", Kind::Presence, true),
                gives("owner.name", Kind::Text, true),
            ],
        }
    }
}

impl Sample {
    pub(crate) fn shape(&self, name: &CheckName) -> Option<&CheckShape> {
        self.checks.get(name)
    }
}

impl Catalogue for Sample {
    fn check(&self, name: &CheckName, settings: &Settings) -> Result<Cow<'_, CheckShape>, Refused> {
        let shape = self.checks.get(name).ok_or_else(|| Refused(format!("there is no check '{name}'")))?;
        match settings.keys().next() {
            Some(key) => Err(Refused(format!("there is no setting '{key}'"))),
            None => Ok(Cow::Borrowed(shape)),
        }
    }

    fn action(&self, name: &str, _: &Settings) -> Result<(), Refused> {
        if name == "tag" { Ok(()) } else { Err(Refused(format!("there is no action '{name}'"))) }
    }

    fn webhook(&self, _: &Settings) -> Result<(), Refused> {
        Ok(())
    }

    fn at_start(&self) -> &[Gives] {
        &self.at_start
    }

    fn similarity(&self, one: &str, other: &str) -> f64 {
        if one == other { 100.0 } else { 10.0 }
    }
}

/// A result with facts.
pub(crate) fn result(status: FeatureStatus, facts: &[(&str, Value)]) -> CheckResult {
    let facts: Facts = facts
        .iter()
        .map(|(name, value)| (FactName::from(*name), Fact { value: value.clone(), source: Source::Print }))
        .collect();
    CheckResult { facts, ..CheckResult::done(status) }
}
