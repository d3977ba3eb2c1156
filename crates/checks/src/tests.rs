//! What holds for every check of the registry.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use evidence::{Signal, catalogue};
use proptest::prelude::*;
use serde_json::{Value, json};
use workflow::{CheckState, Definition, FeatureStatus, Finding, judge};

use super::*;

#[test]
fn every_name_is_found_in_each_of_its_spellings_and_stands_for_one_check() {
    let mut names = BTreeSet::new();
    for check in ALL {
        let manifest = check.manifest();
        assert!(names.insert(manifest.names.workflow.as_str()), "{} twice", manifest.names.workflow);
        for spelling in [&manifest.names.workflow, &manifest.names.list] {
            let found = by_name(spelling).unwrap().manifest();
            assert_eq!(found.names.workflow, manifest.names.workflow, "{spelling}");
        }
        let found = by_name(&manifest.names.decision).unwrap().manifest();
        assert_eq!(found.names.decision, manifest.names.decision);
    }
    let single: Vec<_> =
        ALL.iter().filter_map(|check| check.manifest().single.as_ref().map(|single| &single.name)).collect();
    assert_eq!(single.len(), single.iter().collect::<BTreeSet<_>>().len(), "single checks share a name");
    assert!(by_name("FORTUNE_TELLING").is_none());
}

#[test]
fn every_feature_of_a_workflow_has_its_check_with_the_names_of_the_api() {
    for feature in Feature::ALL {
        let manifest = of(feature).unwrap_or_else(|| panic!("{} has no check", feature.name())).manifest();
        assert_eq!(manifest.names.decision, feature.decision_name());
    }
}

#[test]
fn every_check_says_what_it_does_and_its_texts_have_the_same_keys_in_every_language() {
    for check in ALL {
        let name = &check.manifest().names.workflow;
        assert!(check.docs().starts_with("# ") && check.docs().lines().count() > 3, "{name} has no docs");
        let keys = |text: &str| {
            let mut keys = BTreeSet::new();
            paths("", &toml::from_str(text).unwrap(), &mut keys);
            keys
        };
        let texts = check.texts();
        for (language, text) in texts {
            assert_eq!(keys(text), keys(texts[0].1), "{name} in {language}");
        }
        // A section belongs to one check: the page would show the last one's otherwise.
        let sections = |check: &dyn Check| -> BTreeSet<String> {
            let table = check.texts().first().map(|(_, text)| toml::from_str::<toml::Table>(text).unwrap());
            table.into_iter().flatten().map(|(section, _)| section).collect()
        };
        for other in ALL.iter().filter(|other| other.manifest().names.workflow != *name) {
            assert!(sections(*check).is_disjoint(&sections(*other)), "{name} shares a section of its texts");
        }
    }
}

/// Every key below a table, with its way.
fn paths(way: &str, table: &toml::Table, found: &mut BTreeSet<String>) {
    for (key, value) in table {
        let way = format!("{way}.{key}");
        match value {
            toml::Value::Table(table) => paths(&way, table, found),
            _ => drop(found.insert(way)),
        }
    }
}

#[test]
fn every_risk_of_a_manifest_is_in_the_catalogue() {
    let known: BTreeSet<&str> = catalogue::all().map(|risk| risk.code.as_str()).collect();
    for check in ALL {
        let manifest = check.manifest();
        let mut seen = BTreeSet::new();
        for risk in manifest.risks.all() {
            assert!(known.contains(risk), "{} names {risk}", manifest.names.workflow);
            seen.insert(risk);
        }
        assert!(!seen.is_empty());
    }
}

#[test]
fn every_fact_that_a_check_uses_is_given_by_another_or_handed_in() {
    for check in ALL {
        let manifest = check.manifest();
        let given_by_another = |fact: &facts::Fact| {
            ALL.iter().any(|other| {
                other.manifest().names.workflow != manifest.names.workflow
                    && other.manifest().facts.gives.contains(fact)
            })
        };
        for fact in &manifest.facts.uses {
            assert!(given_by_another(fact), "nobody gives {fact:?} to {}", manifest.names.workflow);
        }
    }
}

/// Checks on a machine without models, with nothing handed in, or with bytes that are no picture.
#[test]
fn t23_a_check_without_its_models_or_its_input_is_never_approved() {
    decode_here();
    let models = tempfile::tempdir().unwrap();
    let env = Env {
        engines: Arc::new(Engines::open(models.path()).unwrap()),
        today: jiff::civil::date(2026, 1, 1),
        specimens_allowed: true,
        lists: Arc::new(crate::aml::NoLists),
    };
    for bytes in [None, Some(b"rubbish".to_vec()), Some(grey())] {
        for feature in Feature::ALL {
            let Some(check) = of(feature) else { continue };
            let asks = check.manifest().asks.iter().map(|name| (name.as_str(), bytes.clone()));
            let submission = Submission::of(asks);
            let definition = Definition::of(&[feature]);
            let examined = examine(&env, definition, &submission, &BTreeMap::new());
            let verdicts = examined.verdicts(&examined.completed(&env));
            assert_eq!(verdicts.len(), 1, "{}", feature.name());
            assert_ne!(verdicts[0].status, FeatureStatus::Approved, "{}", feature.name());
            for warning in &verdicts[0].warnings {
                let risks: Vec<_> = check.manifest().risks.all().collect();
                assert!(risks.contains(&warning.risk.as_str()), "{} raised {}", feature.name(), warning.risk);
            }
        }
    }
}

fn grey() -> Vec<u8> {
    imaging::encode_jpeg(&imaging::RgbImage::from_pixel(64, 64, [128; 3].into()), 80)
}

proptest! {
    /// T23: every check of the registry, replaced by a failure, by nothing or by a score that is no number.
    #[test]
    fn t23_what_could_not_run_is_never_approved(
        index in 0..Feature::ALL.len(),
        kind in 0..5_u8,
        reason in ".{0,20}",
        softened in any::<bool>(),
    ) {
        let feature = Feature::ALL[index];
        let Some(check) = of(feature) else { return Ok(()) };
        let mut definition = Definition::of(&[feature]);
        if softened {
            for risk in check.manifest().risks.all().chain(["X"]) {
                definition.nodes[0].config.actions.insert(risk.to_owned(), catalogue::Action::NoAction);
            }
        }
        let finding = match kind {
            0 => Finding::failed(feature, &reason),
            1 => Finding { state: CheckState::NotEvaluated(reason), ..Finding::done(feature) },
            2 => Finding {
                signals: vec![Signal::measured("X", f64::NAN, 0.5, "m/1", Value::Null)],
                ..Finding::done(feature)
            },
            3 if check.manifest().risks.low_score.is_some() => {
                Finding { score: Some(f64::NAN), ..Finding::done(feature) }
            }
            _ => Ran::failed(feature, &reason).finding,
        };
        prop_assert_ne!(judge(&definition.nodes[0], &finding).status, FeatureStatus::Approved);
    }
}

#[test]
fn t23_a_check_that_panics_is_a_failed_finding_and_touches_no_other() {
    let models = tempfile::tempdir().unwrap();
    let env = Env {
        engines: Arc::new(Engines::open(models.path()).unwrap()),
        today: jiff::civil::date(2026, 1, 1),
        specimens_allowed: true,
        lists: Arc::new(crate::aml::NoLists),
    };
    let definition = Definition::of(&[Feature::Ocr]);
    let node = &definition.nodes[0];
    let (submission, facts, gathered, options) =
        (Submission::default(), facts::Facts::default(), Gathered::default(), Carried::default());
    let input = Input {
        definition: &definition,
        node,
        submission: &submission,
        facts: &facts,
        gathered: &gathered,
        options: &options,
    };
    let ran = round::guarded(&Breaks, &env, &input);
    assert!(matches!(ran.finding.state, CheckState::Failed(_)));
    assert_ne!(judge(node, &ran.finding).status, FeatureStatus::Approved);
    assert_eq!(ran.block, json!({}));
}

/// A check that does not survive its input.
struct Breaks;

impl Check for Breaks {
    fn manifest(&self) -> &'static Manifest {
        document::Document.manifest()
    }

    fn docs(&self) -> &'static str {
        ""
    }

    fn run(&self, _: &Env, _: &Input<'_>) -> Ran {
        panic!("a test")
    }
}
