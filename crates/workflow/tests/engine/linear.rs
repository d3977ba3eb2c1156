//! Today's linear workflows on the graph engine: the same asks in the same order, and the same decision.

use std::{borrow::Cow, collections::BTreeMap};

use workflow::{
    Capture, Definition, Feature, FeatureStatus, SessionStatus, Step, Verdict,
    catalogue::{AnyOf, Ask, Catalogue, CheckShape, Gives, Refused},
    conclude::{Standing, conclude},
    decide,
    facts::{Fact, FactName, Kind, Source, Value},
    graph::{CheckName, Ending, Graph, Settings},
    linear::linear,
    next_step,
    plan::plan,
    state::{CheckResult, Event, State},
    validate::validate,
};

const STATUSES: [FeatureStatus; 3] =
    [FeatureStatus::Approved, FeatureStatus::InReview, FeatureStatus::Declined];

/// Today's checks, as the engine sees them.
struct Today(BTreeMap<CheckName, CheckShape>);

impl Today {
    fn new() -> Self {
        let one_of = |facts: &[&str]| AnyOf(facts.iter().map(|fact| FactName::from(*fact)).collect());
        let shape = |feature: Feature| {
            let document = matches!(feature, Feature::Ocr);
            let selfie = matches!(feature, Feature::Liveness | Feature::FaceMatch | Feature::AgeEstimation);
            let ask = |name: &str, may_skip, reuse| Ask { name: name.into(), may_skip, reuse };
            CheckShape {
                verdict: format!("{}.status", feature.name().to_lowercase()).into(),
                needs: match feature {
                    Feature::FaceMatch => vec![one_of(&["document", "live_face"])],
                    Feature::Nfc | Feature::Aml => vec![one_of(&["document"])],
                    Feature::Ocr | Feature::Liveness | Feature::AgeEstimation => Vec::new(),
                },
                gives: match feature {
                    Feature::Ocr => {
                        vec![Gives { fact: "document".into(), kind: Kind::Presence, optional: false }]
                    }
                    Feature::Liveness => {
                        vec![Gives { fact: "live_face".into(), kind: Kind::Presence, optional: false }]
                    }
                    _ => Vec::new(),
                },
                asks: if document {
                    vec![ask("front", false, false), ask("back", true, false)]
                } else if selfie {
                    vec![ask("selfie", false, true)]
                } else {
                    Vec::new()
                },
                attempts: 1,
                background: true,
            }
        };
        Self(Feature::ALL.iter().map(|feature| (feature.name().into(), shape(*feature))).collect())
    }
}

impl Catalogue for Today {
    fn check(&self, name: &CheckName, _: &Settings) -> Result<Cow<'_, CheckShape>, Refused> {
        self.0.get(name).map(Cow::Borrowed).ok_or_else(|| Refused("unknown".into()))
    }
    fn action(&self, _: &str, _: &Settings) -> Result<(), Refused> {
        Ok(())
    }
    fn webhook(&self, _: &Settings) -> Result<(), Refused> {
        Ok(())
    }
    fn at_start(&self) -> &[Gives] {
        &[]
    }
    fn similarity(&self, _: &str, _: &str) -> f64 {
        0.0
    }
}

fn graph_of(definition: &Definition) -> Graph {
    linear(
        definition
            .nodes
            .iter()
            .map(|node| (node.id.as_str().into(), node.feature.name().into(), Settings::new())),
    )
}

/// Every order of every set of features.
fn orders() -> Vec<Vec<Feature>> {
    let mut orders: Vec<Vec<Feature>> = vec![Vec::new()];
    let mut index = 0;
    while index < orders.len() {
        for feature in Feature::ALL {
            if !orders[index].contains(&feature) {
                let longer = orders[index].iter().copied().chain([feature]).collect();
                orders.push(longer);
            }
        }
        index += 1;
    }
    orders.split_off(1)
}

fn is_in_the_order_of_the_documentation(features: &[Feature]) -> bool {
    features.is_sorted()
}

/// What today's engine asks, one after another.
fn asked_today(definition: &Definition, skip_back: bool) -> Vec<Capture> {
    let mut progress = workflow::Progress { consented: true, ..Default::default() };
    let mut asked = Vec::new();
    while let Step::Capture(capture) = next_step(definition, &progress) {
        asked.push(capture);
        if capture == Capture::Back && skip_back {
            progress.back_skipped = true;
        } else {
            progress.captured.insert(capture);
        }
    }
    assert_eq!(next_step(definition, &progress), Step::Submit);
    asked
}

/// Walks the graph; `eager` runs checks as soon as it can, otherwise the person is always first.
fn walk(
    graph: &Graph,
    catalogue: &Today,
    statuses: &BTreeMap<&str, FeatureStatus>,
    skip_back: bool,
    eager: bool,
) -> (Vec<Capture>, SessionStatus) {
    let mut state = State::default();
    let mut asked = Vec::new();
    loop {
        let now = plan(graph, catalogue, &state);
        let ask = now.ask.first().map(|open| {
            let (node, ask) = (open.node.clone(), open.ask.name.clone());
            if open.ask.may_skip && skip_back {
                Event::Skipped(node, ask)
            } else {
                Event::Answered(node, ask)
            }
        });
        let ran = now.running.first().map(|id| {
            let mut result = CheckResult::done(statuses[id.as_str()]);
            for fact in ["document", "live_face"] {
                result.facts.insert(fact.into(), Fact { value: Value::Present, source: Source::Print });
            }
            Event::Ended(id.clone(), result)
        });
        let run = ran.or_else(|| now.run.first().cloned().map(Event::Started));
        let event = if eager { run.or(ask) } else { ask.or(run) };
        if let Some(Event::Answered(_, ask) | Event::Skipped(_, ask)) = &event {
            asked.push(Capture::parse(ask.as_str()).unwrap());
        }
        match event {
            Some(event) => state.record(&now, event).unwrap(),
            None => return (asked, now.decided.expect("a linear workflow is never stuck")),
        }
    }
}

fn verdicts(definition: &Definition, statuses: &[FeatureStatus]) -> Vec<Verdict> {
    let nodes = definition.nodes.iter().zip(statuses);
    nodes
        .map(|(node, status)| Verdict {
            node_id: node.id.clone(),
            feature: node.feature,
            status: *status,
            warnings: Vec::new(),
        })
        .collect()
}

#[test]
fn every_set_of_features_in_every_state_is_decided_as_today() {
    let mut compared = 0;
    for features in orders().into_iter().filter(|features| is_in_the_order_of_the_documentation(features)) {
        let definition = Definition::of(&features);
        for code in 0..4_usize.pow(features.len() as u32) {
            let status = |index: u32| match code / 4_usize.pow(index) % 4 {
                0 => FeatureStatus::NotFinished,
                other => STATUSES[other - 1],
            };
            let statuses: Vec<FeatureStatus> = (0..features.len() as u32).map(status).collect();
            let standings: Vec<Standing> = statuses
                .iter()
                .map(|status| Standing { status: *status, sound: true, read: false })
                .collect();
            let today = decide(&definition, &verdicts(&definition, &statuses));
            assert_eq!(conclude(Ending::ByChecks, &standings, true), today, "{features:?} {statuses:?}");
            compared += 1;
        }
    }
    assert_eq!(compared, 5_usize.pow(6) - 1);
}

#[test]
fn every_workflow_that_is_valid_today_walks_the_graph_with_the_same_asks_and_decision() {
    let catalogue = Today::new();
    let (mut walked, mut same_order) = (0, 0);
    for features in orders() {
        let definition = Definition::of(&features);
        let graph = graph_of(&definition);
        let today = definition.validate();
        let late_document = features.contains(&Feature::FaceMatch)
            && features.iter().position(|feature| *feature == Feature::Ocr)
                > features.iter().position(|feature| *feature == Feature::FaceMatch);
        // Today a document, where there is one, must stand before the face match; the graph takes the order as it is.
        assert_eq!(
            validate(&graph, &catalogue).is_ok(),
            today.is_ok()
                || late_document && {
                    let without: Vec<Feature> =
                        features.iter().copied().filter(|feature| *feature != Feature::Ocr).collect();
                    let before: Vec<Feature> =
                        features.iter().copied().take_while(|feature| *feature != Feature::Ocr).collect();
                    Definition::of(&before).validate().is_ok() && without.contains(&Feature::FaceMatch)
                },
            "{features:?}"
        );
        if today.is_err() {
            continue;
        }
        let in_order = is_in_the_order_of_the_documentation(&features);
        let combinations = 3_usize.pow(features.len() as u32);
        // All combinations of verdicts in the usual order, some of them in the others.
        for code in (0..combinations).step_by(if in_order { 1 } else { 1 + combinations / 7 }) {
            let statuses: Vec<FeatureStatus> =
                (0..features.len() as u32).map(|index| STATUSES[code / 3_usize.pow(index) % 3]).collect();
            let by_id: BTreeMap<&str, FeatureStatus> =
                definition.nodes.iter().map(|node| node.id.as_str()).zip(statuses.iter().copied()).collect();
            let skip_back = code % 2 == 1;
            let mut before = asked_today(&definition, skip_back);
            let decided = decide(&definition, &verdicts(&definition, &statuses));
            for eager in [false, true] {
                let (mut asked, got) = walk(&graph, &catalogue, &by_id, skip_back, eager);
                assert_eq!(got, decided, "{features:?} {statuses:?}");
                if in_order {
                    same_order += 1;
                } else {
                    // The graph asks in the order of its path; today's engine asks for the document first.
                    before.sort();
                    asked.sort();
                }
                assert_eq!(asked, before, "{features:?}");
                walked += 1;
            }
        }
    }
    println!("{walked} sessions walked, {same_order} of them in the same order of asks");
    assert!(same_order > 2_000);
}
