//! Single walks, told as sentences.

use serde_json::json;
use workflow::{
    CheckState, FeatureStatus, SessionStatus,
    facts::{Fact, Source, Value},
    graph::Graph,
    plan::{Plan, Why, plan},
    state::{CheckResult, Event, NotExpected, State},
    validate::validate,
};

use crate::sample::{Sample, result};

/// A session under way.
struct Session {
    graph: Graph,
    catalogue: Sample,
    state: State,
}

impl Session {
    fn on(start: &str, nodes: serde_json::Value) -> Self {
        let graph: Graph = serde_json::from_value(json!({ "start_node": start, "nodes": nodes })).unwrap();
        let session = Self { graph, catalogue: Sample::new(), state: State::default() };
        assert_eq!(validate(&session.graph, &session.catalogue), Ok(()));
        session
    }

    fn plan(&self) -> Plan {
        plan(&self.graph, &self.catalogue, &self.state)
    }

    fn asks(&self) -> Vec<String> {
        self.plan().ask.iter().map(|open| format!("{}.{}", open.node, open.ask.name)).collect()
    }

    fn runs(&self) -> Vec<String> {
        self.plan().run.iter().map(ToString::to_string).collect()
    }

    fn record(&mut self, event: Event) {
        let now = self.plan();
        self.state.record(&now, event.clone()).unwrap_or_else(|_| panic!("{event:?} does not fit {now:#?}"));
    }

    fn answer(&mut self, node: &str, ask: &str) {
        self.record(Event::Answered(node.into(), ask.into()));
    }

    fn start(&mut self, node: &str) {
        self.record(Event::Started(node.into()));
    }

    fn end(&mut self, node: &str, result: CheckResult) {
        if self.plan().run.contains(&node.into()) {
            self.start(node);
        }
        self.record(Event::Ended(node.into(), result));
    }

    fn document(&mut self, node: &str, result: CheckResult) {
        self.answer(node, "front");
        self.record(Event::Skipped(node.into(), "back".into()));
        self.end(node, result);
    }
}

fn check(feature: &str, next: &str) -> serde_json::Value {
    json!({ "node_type": "feature", "feature": feature, "next": next })
}

fn status(status: &str) -> serde_json::Value {
    json!({ "node_type": "status", "session_status": status })
}

fn passport() -> CheckResult {
    result(FeatureStatus::Approved, &[("identity", Value::Present), ("country", Value::Text("ESP".into()))])
}

/// A check that passed, with everything that it must give.
fn passed() -> CheckResult {
    let mut passed = passport();
    for (fact, value) in [
        ("face", Value::Present),
        ("similarity", Value::Number(90.0)),
        ("hits", Value::List(vec![])),
        ("risk", Value::Number(0.0)),
    ] {
        passed.facts.insert(fact.into(), Fact { value, source: Source::Estimate });
    }
    passed
}

fn kyc() -> Session {
    Session::on(
        "doc",
        json!({
            "doc": check("DOCUMENT", "live"), "live": check("SELFIE", "match"), "match": check("MATCH", "lists"),
            "lists": check("LISTS", "end"), "end": status("Determine"),
        }),
    )
}

#[test]
fn the_document_is_read_while_the_person_takes_the_selfie() {
    let mut session = kyc();
    assert_eq!(session.asks(), ["doc.front", "doc.back", "live.selfie"]);
    session.answer("doc", "front");
    assert_eq!(session.runs(), [""; 0]);
    session.record(Event::Skipped("doc".into(), "back".into()));
    assert_eq!(session.runs(), ["doc"]);
    session.start("doc");
    assert_eq!(session.asks(), ["live.selfie"]);
    session.answer("live", "selfie");
    // One selfie serves both; the match waits for the document and for a selfie that is not taken again.
    assert_eq!((session.asks(), session.runs()), (vec![], vec!["live".to_owned()]));
    session.end("doc", passport());
    assert_eq!(session.runs(), ["live", "lists"]);
    session.end("live", passed());
    assert_eq!(session.runs(), ["match", "lists"]);
    session.end("lists", passed());
    session.end("match", passed());
    assert_eq!(session.plan().decided, Some(SessionStatus::Approved));
}

#[test]
fn a_blurred_picture_is_asked_again_until_the_attempts_are_used_up() {
    let mut session = kyc();
    session.answer("doc", "front");
    session.answer("doc", "back");
    let blurred = || CheckResult {
        repeat: ["front".into()].into(),
        ..result(FeatureStatus::InReview, &[("identity", Value::Present)])
    };
    for attempt in 2..=3 {
        session.end("doc", blurred());
        // The other side is kept, the step that the person is at follows.
        assert_eq!(session.asks(), ["doc.front", "live.selfie"]);
        assert_eq!(session.plan().ask[0].attempt, attempt);
        assert_eq!(session.runs(), [""; 0]);
        session.answer("doc", "front");
        assert_eq!(session.runs(), ["doc"]);
    }
    session.end("doc", blurred());
    assert_eq!(session.asks(), ["live.selfie"]);
    assert_eq!(session.runs(), ["lists"]);
}

#[test]
fn when_both_sides_are_blurred_both_are_taken_again_before_the_check_runs() {
    let mut session = kyc();
    session.answer("doc", "front");
    session.answer("doc", "back");
    session.end(
        "doc",
        CheckResult {
            repeat: ["front".into(), "back".into()].into(),
            ..result(FeatureStatus::InReview, &[])
        },
    );
    assert_eq!(session.asks(), ["doc.front", "doc.back", "live.selfie"]);
    session.answer("doc", "back");
    assert_eq!((session.asks(), session.runs()), (vec!["doc.front".into(), "live.selfie".into()], vec![]));
    session.answer("doc", "front");
    assert_eq!(session.runs(), ["doc"]);
    assert_eq!(session.state.nodes[&"doc".into()].repeats, 1);
}

#[test]
fn a_live_challenge_holds_the_person_until_it_ended() {
    let mut session = Session::on(
        "live",
        json!({
            "live": check("LIVE", "doc"), "doc": check("DOCUMENT", "end"), "end": status("Determine"),
        }),
    );
    assert_eq!(session.asks(), ["live.challenge"]);
    session.answer("live", "challenge");
    session.start("live");
    assert_eq!(session.asks(), [""; 0]);
    session.end("live", passed());
    assert_eq!(session.asks(), ["doc.front", "doc.back"]);
}

#[test]
fn a_check_may_stand_twice_and_each_node_asks_for_itself() {
    let mut session = Session::on(
        "passport",
        json!({
            "passport": check("DOCUMENT", "licence"), "licence": check("DOCUMENT", "fork"),
            "fork": { "node_type": "branch", "next": "end", "branches": [
                { "goto": "no", "rules": [{ "field": "country", "operator": "equals", "value": "FRA" }] } ] },
            "end": status("Determine"), "no": status("Declined"),
        }),
    );
    assert_eq!(session.asks(), ["passport.front", "passport.back", "licence.front", "licence.back"]);
    session.document("passport", passport());
    let french = result(FeatureStatus::InReview, &[("country", Value::Text("FRA".into()))]);
    session.document("licence", french);
    // The fork sees the facts of the nearest node before it.
    assert_eq!(session.plan().decided, Some(SessionStatus::Declined));
}

fn adults_only(ending: &str) -> Session {
    Session::on(
        "doc",
        json!({
            "doc": check("DOCUMENT", "fork"),
            "fork": { "node_type": "branch", "branches": [
                { "goto": "no", "rules": [{ "field": "age", "operator": "less_than", "value": 18 }] },
                { "goto": "yes", "rules": [] } ] },
            "no": status("Declined"), "yes": status(ending),
        }),
    )
}

#[test]
fn a_fork_waits_for_its_fact_and_then_follows_it() {
    for (age, ending) in [(17.0, SessionStatus::Declined), (18.0, SessionStatus::Approved)] {
        let mut session = adults_only("Determine");
        assert_eq!(session.plan().path, ["doc".into(), "fork".into()]);
        let mut read = passport();
        read.facts.extend(result(FeatureStatus::Approved, &[("age", Value::Number(age))]).facts);
        session.document("doc", read);
        assert_eq!(session.plan().decided, Some(ending), "{age}");
    }
}

#[test]
fn a_fork_that_cannot_know_its_fact_goes_on_otherwise_and_never_approves() {
    for ending in ["Determine", "Approved"] {
        for age in [None, Some(f64::NAN)] {
            let mut session = adults_only(ending);
            let mut read = passport();
            if let Some(age) = age {
                read.facts.extend(result(FeatureStatus::Approved, &[("age", Value::Number(age))]).facts);
            }
            session.document("doc", read);
            assert_eq!(session.plan().path.last(), Some(&"yes".into()));
            assert_eq!(session.plan().decided, Some(SessionStatus::InReview));
        }
    }
}

#[test]
fn a_check_whose_needs_never_come_is_not_asked_for_and_goes_to_review() {
    let mut session = kyc();
    let broken = CheckResult { ended: CheckState::Failed("time-out".into()), ..passport() };
    session.document("doc", broken);
    let now = session.plan();
    let cannot: Vec<(&str, bool)> = now
        .cannot_run
        .iter()
        .map(|cannot| (cannot.node.as_str(), matches!(cannot.why, Why::Missing(_))))
        .collect();
    assert_eq!(cannot, [("match", true), ("lists", true)]);
    session.answer("live", "selfie");
    session.end("live", passed());
    assert_eq!(session.plan().decided, Some(SessionStatus::InReview));
}

#[test]
fn a_check_that_needs_a_selfie_asks_itself_when_the_one_before_never_does() {
    let mut session = Session::on(
        "doc",
        json!({
            "doc": check("DOCUMENT", "live"), "live": check("LIVE", "match"), "match": check("MATCH", "age"),
            "age": check("AGE", "end"), "end": status("Determine"),
        }),
    );
    session.document("doc", result(FeatureStatus::Declined, &[]));
    session.answer("live", "challenge");
    session.end("live", passed());
    // The match has nothing to compare with, so the age asks for the selfie.
    assert_eq!(session.asks(), ["age.selfie"]);
}

#[test]
fn an_action_is_done_once_after_everything_before_it_and_the_decision_waits_for_it() {
    let mut session = Session::on(
        "doc",
        json!({
            "doc": check("DOCUMENT", "tag"),
            "tag": { "node_type": "action", "action": "tag", "next": "tell" },
            "tell": { "node_type": "webhook", "next": "live" },
            "live": check("SELFIE", "end"), "end": status("Determine"),
        }),
    );
    assert_eq!(session.asks(), ["doc.front", "doc.back", "live.selfie"]);
    assert_eq!(session.plan().act, [""; 0].map(Into::into));
    session.answer("live", "selfie");
    session.end("live", passed());
    session.document("doc", passport());
    for node in ["tag", "tell"] {
        assert_eq!(session.plan().act, [node.into()]);
        assert_eq!(session.plan().decided, None);
        session.record(Event::Acted(node.into()));
    }
    assert_eq!(session.plan().decided, Some(SessionStatus::Approved));
}

#[test]
fn an_approval_by_the_owner_overrules_only_the_verdict_that_a_fork_looked_at() {
    let ending = |field: &str, value: &str| {
        let mut session = Session::on(
            "doc",
            json!({
                "doc": check("DOCUMENT", "fork"),
                "fork": { "node_type": "branch", "next": "no", "branches": [
                    { "goto": "yes", "rules": [{ "field": field, "operator": "equals", "value": value }] } ] },
                "yes": status("Approved"), "no": status("Declined"),
            }),
        );
        session.document("doc", CheckResult { status: FeatureStatus::InReview, ..passport() });
        session.plan().decided
    };
    assert_eq!(ending("document.status", "In Review"), Some(SessionStatus::Approved));
    assert_eq!(ending("country", "ESP"), Some(SessionStatus::InReview));
}

#[test]
fn a_decided_session_takes_nothing_any_more() {
    let mut session = adults_only("Determine");
    session.document("doc", result(FeatureStatus::Declined, &[("age", Value::Number(30.0))]));
    session.record(Event::Decided(SessionStatus::Declined));
    let now = session.plan();
    assert_eq!(now, Plan { decided: Some(SessionStatus::Declined), ..Plan::default() });
    for event in [
        Event::Decided(SessionStatus::Approved),
        Event::Decided(SessionStatus::Declined),
        Event::Answered("doc".into(), "front".into()),
        Event::Started("doc".into()),
    ] {
        let before = session.state.clone();
        assert_eq!(session.state.record(&now, event), Err(NotExpected));
        assert_eq!(session.state, before);
    }
}

#[test]
fn a_broken_graph_ends_in_review_and_a_check_that_left_the_registry_never_approves() {
    let broken = |start: &str, nodes: serde_json::Value| {
        let graph: Graph = serde_json::from_value(json!({ "start_node": start, "nodes": nodes })).unwrap();
        plan(&graph, &Sample::new(), &State::default()).decided
    };
    assert_eq!(broken("a", json!({})), Some(SessionStatus::InReview));
    let turn = json!({ "a": { "node_type": "branch", "branches": [], "next": "a" } });
    assert_eq!(broken("a", turn), Some(SessionStatus::InReview));
    for ending in ["Approved", "Determine"] {
        let gone = json!({ "a": check("GONE", "b"), "b": status(ending) });
        assert_eq!(broken("a", gone), Some(SessionStatus::InReview));
    }
}

#[test]
fn a_check_that_fails_times_out_gives_nan_or_nothing_is_never_approved() {
    let nan = || {
        let value = Value::Number(f64::NAN);
        let mut broken = passed();
        broken.facts.insert("extra".into(), Fact { value, source: Source::Estimate });
        broken
    };
    let broken: [fn(CheckResult) -> CheckResult; 4] = [
        |result| CheckResult { ended: CheckState::Failed("time-out".into()), ..result },
        |result| CheckResult { ended: CheckState::NotEvaluated("no model".into()), ..result },
        |result| CheckResult { status: FeatureStatus::NotFinished, ..result },
        |result| CheckResult { facts: Default::default(), ..result },
    ];
    for ending in ["Determine", "Approved"] {
        for node in ["none", "doc", "live", "match", "lists"] {
            for case in 0..=broken.len() {
                let mut session = kyc();
                session.graph.nodes.insert("end".into(), serde_json::from_value(status(ending)).unwrap());
                let result = |id: &str| match broken.get(case) {
                    _ if id != node => passed(),
                    Some(broken) => broken(passed()),
                    None => nan(),
                };
                loop {
                    let now = session.plan();
                    if let Some(open) = now.ask.first() {
                        session.record(Event::Answered(open.node.clone(), open.ask.name.clone()));
                    } else if let Some(id) = now.run.first() {
                        session.end(id.as_str(), result(id.as_str()));
                    } else {
                        let wanted =
                            if node == "none" { SessionStatus::Approved } else { SessionStatus::InReview };
                        assert_eq!(now.decided, Some(wanted), "{ending} {node} {case}");
                        break;
                    }
                }
            }
        }
    }
}
