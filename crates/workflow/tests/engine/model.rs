//! T20: random graphs, random events and impossible states against the naive reference model.

use std::collections::{BTreeMap, BTreeSet};

use workflow::{
    FeatureStatus, SessionStatus,
    graph::{Ending, Graph, Node, NodeId},
    plan::{Plan, plan},
    state::{CheckResult, Event, Stage, State},
    validate::validate,
};

use crate::{
    random::{self, Random},
    reference::Reference,
    sample::Sample,
};

/// Operations of the whole test: an event offered to the engine or a state planned, each compared with the model.
const OPERATIONS: u64 = 1_000_000;
/// More events than any session of these graphs can have.
const LONGEST: usize = 400;

/// What happened at a node does not depend on when: the same attempt always ends the same.
struct Outcomes(u64);

impl Outcomes {
    fn of(&self, node: &NodeId, attempt: u8) -> CheckResult {
        let mut seed = self.0 ^ u64::from(attempt) << 56;
        for byte in node.as_str().bytes() {
            seed = Random(seed ^ u64::from(byte)).next();
        }
        random::outcome(&mut Random(seed))
    }

    fn skips(&self, node: &NodeId) -> bool {
        self.of(node, u8::MAX).status == FeatureStatus::Approved
    }
}

/// Every event that the plan expects, with the outcome fixed.
fn expected(plan: &Plan, state: &State, outcomes: &Outcomes) -> Vec<Event> {
    let mut events = Vec::new();
    for open in &plan.ask {
        let (node, ask) = (open.node.clone(), open.ask.name.clone());
        events.push(if open.ask.may_skip && outcomes.skips(&node) {
            Event::Skipped(node, ask)
        } else {
            Event::Answered(node, ask)
        });
    }
    events.extend(plan.run.iter().cloned().map(Event::Started));
    for node in &plan.running {
        let repeats = state.nodes.get(node).map_or(0, |progress| progress.repeats);
        events.push(Event::Ended(node.clone(), outcomes.of(node, repeats)));
    }
    events.extend(plan.act.iter().cloned().map(Event::Acted));
    events.extend(plan.decided.map(Event::Decided));
    events
}

/// An event that may or may not fit.
fn any_event(random: &mut Random, graph: &Graph) -> Event {
    let ids: Vec<&NodeId> = graph.nodes.keys().collect();
    let node = (*random.pick(&ids)).clone();
    let ask = (*random.pick(&["front", "back", "selfie", "challenge"])).into();
    match random.below(6) {
        0 => Event::Answered(node, ask),
        1 => Event::Skipped(node, ask),
        2 => Event::Started(node),
        3 => Event::Ended(node, random::outcome(random)),
        4 => Event::Acted(node),
        _ => Event::Decided(*random.pick(&SessionStatus::ALL)),
    }
}

/// What must hold of every plan, whatever graph and state.
fn holds_always(graph: &Graph, catalogue: &Sample, state: &State, plan: &Plan) {
    if state.decided.is_some() {
        assert_eq!(plan.decided, state.decided);
    }
    if plan.decided.is_some() {
        assert!(plan.ask.is_empty() && plan.run.is_empty() && plan.running.is_empty() && plan.act.is_empty());
    }
    for id in plan.run.iter().chain(&plan.act) {
        let stage = state.nodes.get(id).map(|progress| &progress.stage);
        assert!(matches!(stage, None | Some(Stage::Open)), "{id} would run twice");
    }
    for open in &plan.ask {
        let Some(progress) = state.nodes.get(&open.node) else { continue };
        let repeated =
            matches!(&progress.stage, Stage::Ended(result) if result.repeat.contains(&open.ask.name));
        assert!(repeated || !progress.answered.contains(&open.ask.name), "{open:?} is asked twice");
    }
    if plan.decided == Some(SessionStatus::Approved) && state.decided.is_none() {
        approval_is_earned(graph, catalogue, state, plan);
    }
}

/// Every check of the path ran to its end with sound numbers and passed, or the owner's fork overruled it.
fn approval_is_earned(graph: &Graph, catalogue: &Sample, state: &State, plan: &Plan) {
    let mut checks = 0;
    let last = plan.path.last().map(|id| &graph.nodes[id]);
    let overrules = matches!(last, Some(Node::Status { session_status: Ending::Approved }));
    for id in plan.path.iter().filter(|id| matches!(graph.nodes[*id], Node::Feature { .. })) {
        checks += 1;
        let Some(Stage::Ended(result)) = state.nodes.get(id).map(|progress| &progress.stage) else {
            panic!("approved although {id} is unfinished");
        };
        let Node::Feature { feature, .. } = &graph.nodes[id] else { continue };
        let shape = catalogue.shape(feature).expect("approved with an unknown check");
        assert!(result.is_sound(shape), "approved although {id} proves nothing");
        assert!(overrules || result.status == FeatureStatus::Approved, "approved although {id} did not pass");
    }
    assert!(checks > 0, "approved without any check");
}

/// Plans and compares with the model.
fn planned(graph: &Graph, catalogue: &Sample, state: &State) -> Plan {
    let got = plan(graph, catalogue, state);
    let wanted = Reference { graph, catalogue, state }.plan();
    assert_eq!(got, wanted, "\n{graph:#?}\n{state:#?}");
    holds_always(graph, catalogue, state, &got);
    got
}

#[derive(Default)]
struct Counts {
    operations: u64,
    sessions: u64,
    valid: u64,
    approved: u64,
    declined: u64,
    review: u64,
    refused: u64,
    impossible: u64,
}

impl Counts {
    fn and(&self, other: &Self) -> Self {
        Self {
            operations: self.operations + other.operations,
            sessions: self.sessions + other.sessions,
            valid: self.valid + other.valid,
            approved: self.approved + other.approved,
            declined: self.declined + other.declined,
            review: self.review + other.review,
            refused: self.refused + other.refused,
            impossible: self.impossible + other.impossible,
        }
    }
}

/// Walks one session to its end in a random order; the events offered beside the plan must be refused.
fn walk(
    random: &mut Random,
    graph: &Graph,
    catalogue: &Sample,
    outcomes: &Outcomes,
    counts: &mut Counts,
) -> State {
    let valid = validate(graph, catalogue).is_ok();
    counts.valid += u64::from(valid);
    counts.sessions += 1;
    let mut state = State { start: outcomes.of(&"start".into(), 0).facts, ..State::default() };
    if outcomes.skips(&"portrait".into()) {
        state.start.insert(
            "kept_portrait".into(),
            workflow::facts::Fact {
                value: workflow::facts::Value::Present,
                source: workflow::facts::Source::List,
            },
        );
    }
    let mut runs: BTreeSet<(NodeId, u8)> = BTreeSet::new();
    let mut acts: BTreeSet<NodeId> = BTreeSet::new();
    let mut now = planned(graph, catalogue, &state);
    for step in 0.. {
        assert!(step < LONGEST, "the session does not end\n{graph:#?}");
        counts.operations += 1;
        let events = expected(&now, &state, outcomes);
        if valid {
            assert!(state.decided.is_some() || !now.is_stuck(), "stuck\n{graph:#?}\n{state:#?}");
        }
        if random.percent(10) {
            let event = any_event(random, graph);
            let fits = match &event {
                // A skip and an answer are both expected of an ask that may be skipped, and any outcome of a check.
                Event::Answered(node, ask) => now.asks(node, ask).is_some(),
                Event::Skipped(node, ask) => now.asks(node, ask).is_some_and(|open| open.ask.may_skip),
                Event::Ended(node, _) => now.running.contains(node),
                other => events.contains(other),
            } && state.decided.is_none();
            let mut tried = state.clone();
            assert_eq!(tried.record(&now, event).is_ok(), fits);
            if !fits {
                assert_eq!(text(&tried), text(&state), "a refused event changed the state");
                counts.refused += 1;
            }
            continue;
        }
        if state.decided.is_some() || events.is_empty() {
            break;
        }
        let event = events[random.below(events.len())].clone();
        match &event {
            Event::Started(node) => {
                let repeats = state.nodes.get(node).map_or(0, |progress| progress.repeats);
                assert!(runs.insert((node.clone(), repeats)), "{node} ran twice");
            }
            Event::Acted(node) => assert!(acts.insert(node.clone()), "{node} acted twice"),
            _ => {}
        }
        let finished_before = finished(&state, &now);
        state.record(&now, event).expect("the plan expects its own events");
        let later = planned(graph, catalogue, &state);
        if later.decided.is_none() || state.decided.is_none() {
            // What is known later never takes back what is finished.
            for id in finished_before {
                assert!(!later.run.contains(&id) && !later.act.contains(&id), "{id} was finished");
            }
            assert!(later.path.starts_with(&now.path), "the path was changed\n{graph:#?}");
        }
        now = later;
    }
    match state.decided {
        Some(SessionStatus::Approved) => counts.approved += 1,
        Some(SessionStatus::Declined) => counts.declined += 1,
        Some(SessionStatus::InReview) => counts.review += 1,
        other => assert!(other.is_none() && !valid, "a session ended as {other:?}"),
    }
    state
}

fn text(state: &State) -> String {
    serde_json::to_string(state).unwrap()
}

/// Nodes that ended or acted, and whose captures are not asked again.
fn finished(state: &State, plan: &Plan) -> Vec<NodeId> {
    let asked: BTreeSet<&NodeId> = plan.ask.iter().map(|open| &open.node).collect();
    let done = state.nodes.iter().filter(|(id, progress)| {
        matches!(progress.stage, Stage::Ended(_) | Stage::Acted) && !asked.contains(id)
    });
    done.map(|(id, _)| id.clone()).collect()
}

#[test]
fn a_million_random_operations_follow_the_reference_model() {
    // Two halves side by side: even and odd seeds.
    let half = |first: u64| {
        let catalogue = Sample::new();
        let mut counts = Counts::default();
        for round in 0.. {
            if counts.operations + counts.impossible >= OPERATIONS / 2 {
                break;
            }
            let mut random = Random(first + 2 * round);
            let graph = random::graph(&mut random, round % 2 == 0);
            let outcomes = Outcomes(random.next());
            walk(&mut random, &graph, &catalogue, &outcomes, &mut counts);
            for _ in 0..15 {
                let state = random::state(&mut random, &graph);
                planned(&graph, &catalogue, &state);
                counts.impossible += 1;
            }
        }
        counts
    };
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        (half(0), other.join().unwrap())
    });
    let counts = one.and(&other);
    assert!(counts.operations + counts.impossible >= OPERATIONS);
    println!(
        "{} operations: {} events and plans of {} sessions ({} on valid graphs; {} approved, {} declined, {} in review; \
         {} events refused), {} impossible states",
        counts.operations + counts.impossible,
        counts.operations,
        counts.sessions,
        counts.valid,
        counts.approved,
        counts.declined,
        counts.review,
        counts.refused,
        counts.impossible,
    );
    // A test that never reaches an ending would prove nothing.
    for reached in [counts.valid, counts.approved, counts.declined, counts.review, counts.refused] {
        assert!(reached > 1_000, "{reached}");
    }
}

#[test]
fn a_session_ends_the_same_whoever_was_faster() {
    let catalogue = Sample::new();
    let mut endings: BTreeMap<Option<SessionStatus>, u64> = BTreeMap::new();
    for seed in 0..6_000_u64 {
        let mut random = Random(seed.wrapping_mul(77));
        let graph = random::graph(&mut random, seed % 4 == 0);
        let outcomes = Outcomes(random.next());
        let mut counts = Counts::default();
        let one = walk(&mut random, &graph, &catalogue, &outcomes, &mut counts);
        let other = walk(&mut random, &graph, &catalogue, &outcomes, &mut counts);
        // Only what the person was asked in vain may differ: a selfie for a check that could not run after all.
        let essence = |state: &State| {
            let path = plan(&graph, &catalogue, &State { decided: None, ..state.clone() }).path;
            let stages = path.iter().map(|id| state.nodes.get(id).map(|progress| &progress.stage));
            serde_json::to_string(&(state.decided, &path, stages.collect::<Vec<_>>())).unwrap()
        };
        assert_eq!(
            essence(&one).replace("\"open\"", "null"),
            essence(&other).replace("\"open\"", "null"),
            "{graph:#?}"
        );
        // What was stored comes back and plans the same.
        let stored: State = serde_json::from_str(&text(&one)).unwrap();
        assert_eq!(plan(&graph, &catalogue, &stored), plan(&graph, &catalogue, &one));
        *endings.entry(one.decided).or_default() += 1;
    }
    assert!(endings.len() >= 3, "{endings:?}");
}
