//! Random graphs, states and outcomes from a seed.

use serde_json::json;
use workflow::{
    CheckState, FeatureStatus, SessionStatus,
    condition::{Logic, Operator, Rule},
    facts::{Fact, Source, Value},
    graph::{Arm, Ending, Graph, Node, NodeId},
    state::{CheckResult, Progress, Stage, State},
};

use crate::sample::CHECKS;

/// SplitMix64: small, even, and the same on every machine.
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const STATUSES: [FeatureStatus; 4] =
    [FeatureStatus::Approved, FeatureStatus::InReview, FeatureStatus::Declined, FeatureStatus::NotFinished];

fn id(index: usize) -> NodeId {
    format!("n{index}").into()
}

fn rule(random: &mut Random, wild: bool) -> Rule {
    let text = |field: &str, operator, value| Rule {
        field: field.into(),
        operator,
        value: Some(value),
        score: None,
    };
    let mut rule = match random.below(9) {
        0 => text("document.status", Operator::Equals, json!("Approved")),
        1 => text("selfie.status", Operator::NotEquals, json!("Declined")),
        2 => text("country", Operator::In, json!(["ESP", "FRA"])),
        3 => text("age", Operator::LessThan, json!(18)),
        4 => text("risk", Operator::GreaterThanOrEquals, json!(50)),
        5 => text("hits", Operator::Contains, json!("pep")),
        6 => Rule { value: None, ..text("middle_name", Operator::IsEmpty, json!("")) },
        7 => text("owner.name", Operator::FuzzyMatch, json!("Jane")),
        _ => text("match.status", Operator::Equals, json!("In Review")),
    };
    if wild && random.percent(10) {
        rule.operator = *random.pick(&Operator::ALL);
    }
    if wild && random.percent(5) {
        rule.field = "nothing.gives_this".into();
    }
    rule
}

/// A random graph. A tidy one leads forward and ends in statuses, so that many are valid; a wild one may hold anything.
pub(crate) fn graph(random: &mut Random, wild: bool) -> Graph {
    let count = 2 + random.below(7);
    let mut nodes = std::collections::BTreeMap::new();
    for index in 0..count {
        let mut to = |random: &mut Random| {
            if wild && random.percent(8) {
                return id(random.below(count + 1));
            }
            // Mostly the next node, so that paths are long.
            let ahead = if random.percent(70) { 0 } else { random.below(count - index) };
            id((index + 1 + ahead).min(count - 1).max(index + usize::from(index + 1 < count)))
        };
        let fork = |random: &mut Random, to: &mut dyn FnMut(&mut Random) -> NodeId| {
            (0..1 + random.below(2))
                .map(|_| Arm {
                    id: None,
                    logic: if random.percent(50) { Logic::And } else { Logic::Or },
                    rules: (0..usize::from(!(wild && random.percent(10))) * (1 + random.below(2)))
                        .map(|_| rule(random, wild))
                        .collect(),
                    goto: to(random),
                })
                .collect::<Vec<_>>()
        };
        let last = index + 1 == count || (index > 1 && random.percent(8));
        let node = match random.below(10) {
            _ if last && !(wild && random.percent(10)) => Node::Status {
                session_status: *random.pick(&[
                    Ending::Approved,
                    Ending::Declined,
                    Ending::InReview,
                    Ending::ByChecks,
                    Ending::ByChecks,
                ]),
            },
            0 => Node::Action { action: "tag".into(), config: Default::default(), next: Some(to(random)) },
            1 => Node::Webhook { config: Default::default(), next: Some(to(random)) },
            2 | 3 => Node::Branch {
                branches: fork(random, &mut to),
                next: (!(wild && random.percent(10))).then(|| to(random)),
            },
            _ => Node::Feature {
                feature: if wild && random.percent(4) {
                    "NO_SUCH_CHECK".into()
                } else {
                    // The document stands first often, because others need it.
                    (*if index == 0 { &CHECKS[0] } else { random.pick(&CHECKS) }).into()
                },
                config: Default::default(),
                label: None,
                branches: if random.percent(10) { fork(random, &mut to) } else { Vec::new() },
                next: (!(wild && random.percent(4))).then(|| to(random)),
            },
        };
        nodes.insert(id(index), node);
    }
    Graph { start_node: id(if wild { random.below(count + 1) } else { 0 }), nodes }
}

/// How a check ends; the facts may be of any check, present, missing, of another kind or no number.
pub(crate) fn outcome(random: &mut Random) -> CheckResult {
    let ended = match random.below(12) {
        0 => CheckState::Failed("broke".into()),
        1 => CheckState::NotEvaluated("no model".into()),
        _ => CheckState::Done,
    };
    // Approved often, so that approval happens at all.
    let status = if random.percent(55) { FeatureStatus::Approved } else { *random.pick(&STATUSES) };
    let mut result = CheckResult { ended, ..CheckResult::done(status) };
    let values: [(&str, &[Value]); 8] = [
        ("identity", &[Value::Present]),
        ("face", &[Value::Present]),
        ("country", &[Value::Text("ESP".into()), Value::Text("deu".into()), Value::Text(" ".into())]),
        ("age", &[Value::Number(17.0), Value::Number(30.0), Value::Number(44.0), Value::Truth(true)]),
        ("risk", &[Value::Number(10.0), Value::Number(90.0)]),
        ("hits", &[Value::List(vec![]), Value::List(vec!["PEP".into()])]),
        ("middle_name", &[Value::Text("Lee".into())]),
        ("similarity", &[Value::Number(88.0)]),
    ];
    for (name, choices) in values {
        if random.percent(93) {
            let value =
                if random.percent(1) { Value::Number(f64::NAN) } else { random.pick(choices).clone() };
            result.facts.insert(name.into(), Fact { value, source: Source::Print });
        }
    }
    for ask in ["front", "back", "selfie", "challenge"] {
        if random.percent(12) {
            result.repeat.insert(ask.into());
        }
    }
    result
}

/// A state that no session could have come to.
pub(crate) fn state(random: &mut Random, graph: &Graph) -> State {
    let mut state = State { start: outcome(random).facts, ..State::default() };
    if random.percent(3) {
        state.decided = Some(*random.pick(&SessionStatus::ALL));
    }
    for id in graph.nodes.keys().cloned().chain([NodeId::from("elsewhere")]) {
        if random.percent(20) {
            continue;
        }
        let progress = Progress {
            repeats: *random.pick(&[0, 0, 0, 1, 2, u8::MAX]),
            answered: ["front", "back", "selfie", "challenge"]
                .into_iter()
                .filter(|_| random.percent(60))
                .map(Into::into)
                .collect(),
            stage: match random.below(10) {
                0 | 1 => Stage::Open,
                2 => Stage::Running,
                3 => Stage::Acted,
                _ => Stage::Ended(outcome(random)),
            },
        };
        state.nodes.insert(id, progress);
    }
    state
}
