//! What a session does next: a pure and total function of graph, catalogue and state.
//!
//! [`plan`] walks the path from the start as far as it is known. A check that waits or runs in the background lets the
//! walk go on, so that a document is read while the person takes the selfie; a fork waits until its facts are known.
//! A check runs once the person handed in what it asks and every node before it that supplies one of its needs
//! ended, so the outcome does not depend on who was faster. The facts of a name are those of the nearest node before.
//!
//! Call it after every event; [`State::record`] takes only events that the plan expects.

use std::{borrow::Cow, collections::BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    FeatureStatus, SessionStatus,
    catalogue::{AnyOf, Ask, AskName, Catalogue, CheckShape, Refused},
    conclude::{Standing, conclude},
    condition::{Condition, Known, Rule, Truth},
    facts::{FactName, Kind, Value},
    graph::{Graph, Node, NodeId},
    state::{Stage, State},
};

/// What a session does next. Unless it is decided, one of `ask`, `run`, `running` and `act` has an entry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What the person is asked, in the order of the path; the first is shown.
    pub ask: Vec<OpenAsk>,
    /// Checks that can start now.
    pub run: Vec<NodeId>,
    /// Checks that run.
    pub running: Vec<NodeId>,
    /// Actions to do and webhooks to send, once each.
    pub act: Vec<NodeId>,
    /// Checks that will never run, and why. They count as not evaluated.
    pub cannot_run: Vec<CannotRun>,
    /// The path, as far as it is known.
    pub path: Vec<NodeId>,
    /// How the session ends.
    pub decided: Option<SessionStatus>,
}

/// Something the person is asked now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAsk {
    /// The node that asks.
    pub node: NodeId,
    /// What it asks.
    pub ask: Ask,
    /// Which attempt at the node this is, from 1.
    pub attempt: u8,
}

/// A check that will never run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CannotRun {
    /// The node.
    pub node: NodeId,
    /// Why.
    pub why: Why,
}

/// Why a check will never run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Every node that could supply these ended without.
    Missing(Vec<AnyOf>),
    /// The catalogue refuses the check or its settings.
    Refused(Refused),
}

impl Plan {
    /// The open ask of a node, if there is one.
    pub fn asks(&self, node: &NodeId, ask: &AskName) -> Option<&OpenAsk> {
        self.ask.iter().find(|open| open.node == *node && open.ask.name == *ask)
    }

    /// Whether nothing would ever happen again. No valid graph comes here.
    pub fn is_stuck(&self) -> bool {
        self.decided.is_none()
            && self.ask.is_empty()
            && self.run.is_empty()
            && self.running.is_empty()
            && self.act.is_empty()
    }
}

/// Plans the next steps of a session. Never panics and always ends, whatever the graph and the state hold: what makes
/// no sense ends in review.
pub fn plan<C: Catalogue + ?Sized>(graph: &Graph, catalogue: &C, state: &State) -> Plan {
    if let Some(status) = state.decided {
        return Plan { decided: Some(status), ..Plan::default() };
    }
    let mut walk = Walk {
        catalogue,
        state,
        stops: Vec::new(),
        read: BTreeSet::new(),
        certain: true,
        plan: Plan::default(),
    };
    let mut seen = BTreeSet::new();
    let mut here = Some(&graph.start_node);
    let decided = loop {
        // A way that leads nowhere or in a circle is a broken graph: a person must look.
        let Some((id, node)) =
            here.filter(|id| seen.insert(*id)).and_then(|id| graph.nodes.get_key_value(id))
        else {
            break Some(SessionStatus::InReview);
        };
        walk.plan.path.push(id.clone());
        let shown = match node {
            Node::Feature { feature, config, .. } => walk.check(id, catalogue.check(feature, config)),
            Node::Action { .. } | Node::Webhook { .. } => walk.act(id),
            Node::Branch { .. } => true,
            Node::Status { session_status } => {
                let checks: Vec<Standing> = walk.standings().collect();
                break Some(conclude(*session_status, &checks, walk.certain));
            }
        };
        if !shown {
            break None;
        }
        match walk.exit(node) {
            Exit::To(next) => here = next,
            Exit::Wait => break None,
        }
    };
    walk.plan.decided = decided.filter(|_| walk.stops.iter().all(|stop| stop.ended));
    walk.plan
}

/// One node of the path that was passed: a check, an action or a webhook.
struct Stop<'a> {
    id: &'a NodeId,
    /// Of a check; `None` for what is only done, and for a check that the catalogue refuses.
    shape: Option<Cow<'a, CheckShape>>,
    /// Whether the stop is a check, known to the catalogue or not.
    is_check: bool,
    /// Nothing more will happen here.
    ended: bool,
    /// The verdict as a fact, where the check ended soundly.
    verdict: Option<Value>,
    status: FeatureStatus,
    /// The asks whose answers lie at this node.
    lends: Vec<AskName>,
}

struct Walk<'a, C: ?Sized> {
    catalogue: &'a C,
    state: &'a State,
    stops: Vec<Stop<'a>>,
    /// Stops whose verdict a fork looked at.
    read: BTreeSet<usize>,
    /// Every fork so far knew its way.
    certain: bool,
    plan: Plan,
}

enum Exit<'a> {
    To(Option<&'a NodeId>),
    Wait,
}

/// What the path before a place says of a fact.
enum Search<'a> {
    Found(Known<'a>, Cow<'a, Kind>),
    Pending,
    Nowhere,
}

impl<'a, C: Catalogue + ?Sized> Walk<'a, C> {
    /// Passes an action or a webhook, which waits for everything before it. The person goes on meanwhile.
    fn act(&mut self, id: &'a NodeId) -> bool {
        let ready = self.stops.iter().all(|stop| stop.ended);
        let ended = match self.state.nodes.get(id).map(|progress| &progress.stage) {
            Some(Stage::Acted | Stage::Ended(_)) => true,
            Some(Stage::Running) => {
                self.plan.running.push(id.clone());
                false
            }
            Some(Stage::Open) | None => {
                if ready {
                    self.plan.act.push(id.clone());
                }
                false
            }
        };
        self.stops.push(Stop {
            id,
            shape: None,
            is_check: false,
            ended,
            verdict: None,
            status: FeatureStatus::NotFinished,
            lends: Vec::new(),
        });
        true
    }

    /// Passes a check; whether the walk goes on behind it.
    fn check(&mut self, id: &'a NodeId, shape: Result<Cow<'a, CheckShape>, Refused>) -> bool {
        let progress = self.state.nodes.get(id);
        let answered = |ask: &AskName| progress.is_some_and(|progress| progress.answered.contains(ask));
        let repeats = progress.map_or(0, |progress| progress.repeats);
        let mut stop = Stop {
            id,
            shape: None,
            is_check: true,
            ended: true,
            verdict: None,
            status: FeatureStatus::InReview,
            lends: Vec::new(),
        };
        let shape = match shape {
            Ok(shape) => shape,
            Err(refused) => {
                self.plan.cannot_run.push(CannotRun { node: id.clone(), why: Why::Refused(refused) });
                self.stops.push(stop);
                return true;
            }
        };
        // An ask is this node's own unless the same ask of a node before serves.
        let lenders: Vec<Option<usize>> = shape
            .asks
            .iter()
            .map(|ask| self.lender(&ask.name).filter(|_| ask.reuse && !answered(&ask.name)))
            .collect();
        let attempt = repeats.saturating_add(1);
        match progress.map(|progress| &progress.stage) {
            Some(Stage::Ended(result)) => {
                let again = shape.asks.iter().filter(|ask| result.repeat.contains(&ask.name));
                let again: Vec<Ask> = again.filter(|_| attempt < shape.attempts).cloned().collect();
                stop.ended = again.is_empty();
                if stop.ended && result.status != FeatureStatus::NotFinished {
                    stop.status = result.status;
                    stop.verdict = verdict(result.status).filter(|_| result.is_sound(&shape));
                }
                self.ask(id, again, attempt.saturating_add(1));
            }
            // A check is never only "done": somebody else wrote this state, so it proves nothing and never runs.
            Some(Stage::Acted) => {}
            Some(Stage::Running) => {
                self.plan.running.push(id.clone());
                stop.ended = false;
            }
            Some(Stage::Open) | None => {
                let needs: Vec<Need> = shape.needs.iter().map(|group| self.need(group)).collect();
                if needs.contains(&Need::Missing) {
                    let missing = shape.needs.iter().zip(&needs).filter(|(_, need)| **need == Need::Missing);
                    let missing = missing.map(|(group, _)| group.clone()).collect();
                    self.plan.cannot_run.push(CannotRun { node: id.clone(), why: Why::Missing(missing) });
                } else {
                    let own = shape.asks.iter().zip(&lenders).filter(|(_, lender)| lender.is_none());
                    let open: Vec<Ask> =
                        own.map(|(ask, _)| ask).filter(|ask| !answered(&ask.name)).cloned().collect();
                    let lent = lenders.iter().flatten().all(|lender| self.stops[*lender].ended);
                    if open.is_empty() && lent && !needs.contains(&Need::Pending) {
                        self.plan.run.push(id.clone());
                    }
                    self.ask(id, open, attempt);
                    stop.ended = false;
                }
            }
        }
        if !stop.ended {
            stop.status = FeatureStatus::NotFinished;
        }
        // What was handed in here or is being asked here serves the nodes behind.
        let here = shape.asks.iter().map(|ask| &ask.name);
        stop.lends = here.filter(|ask| answered(ask) || self.plan.asks(id, ask).is_some()).cloned().collect();
        let goes_on = stop.ended || shape.background;
        stop.shape = Some(shape);
        self.stops.push(stop);
        goes_on
    }

    /// Adds open asks of a node.
    fn ask(&mut self, node: &NodeId, asks: Vec<Ask>, attempt: u8) {
        self.plan.ask.extend(asks.into_iter().map(|ask| OpenAsk { node: node.clone(), ask, attempt }));
    }

    /// The nearest stop where the answer to an ask lies or will lie.
    fn lender(&self, ask: &AskName) -> Option<usize> {
        self.stops.iter().rposition(|stop| stop.lends.contains(ask))
    }

    /// Whether a need is met, will perhaps be met, or will never be.
    fn need(&self, group: &AnyOf) -> Need {
        let mut met = group.0.iter().any(|fact| {
            let declared = self.catalogue.at_start().iter().any(|gives| gives.fact == *fact);
            declared && self.state.start.get(fact).is_some_and(|fact| is_there(&fact.value))
        });
        for stop in &self.stops {
            let Some(shape) = &stop.shape else { continue };
            for fact in group.0.iter().filter(|fact| shape.supplies(fact)) {
                if !stop.ended {
                    return Need::Pending;
                }
                met |= matches!(self.known(stop, fact), Known::Value(value) if is_there(value));
            }
        }
        if met { Need::Met } else { Need::Missing }
    }

    /// What a stop that ended says of a fact that its check supplies.
    fn known<'s>(&self, stop: &'s Stop<'a>, fact: &FactName) -> Known<'s>
    where
        'a: 's,
    {
        let Some(verdict) = &stop.verdict else { return Known::Unknown };
        if stop.shape.as_ref().is_some_and(|shape| shape.verdict == *fact) {
            return Known::Value(verdict);
        }
        match self.state.nodes.get(stop.id).map(|progress| &progress.stage) {
            Some(Stage::Ended(result)) => {
                result.facts.get(fact).map_or(Known::Absent, |fact| Known::Value(&fact.value))
            }
            _ => Known::Unknown,
        }
    }

    /// Looks a fact up: at the nearest stop that supplies it, then among the facts of the start.
    fn search(&self, fact: &FactName) -> Search<'_> {
        for stop in self.stops.iter().rev() {
            let Some((kind, _)) = stop.shape.as_ref().and_then(|shape| shape.kind_of(fact)) else { continue };
            return if stop.ended { Search::Found(self.known(stop, fact), kind) } else { Search::Pending };
        }
        match self.catalogue.at_start().iter().find(|gives| gives.fact == *fact) {
            Some(gives) => {
                let known =
                    self.state.start.get(fact).map_or(Known::Absent, |fact| Known::Value(&fact.value));
                Search::Found(known, Cow::Borrowed(&gives.kind))
            }
            None => Search::Nowhere,
        }
    }

    /// The answer of a rule, and whether it may still become known.
    fn answer(&self, rule: &Rule) -> (Truth, bool) {
        match self.search(&rule.field) {
            Search::Pending => (Truth::Unknown, true),
            Search::Nowhere => (Truth::Unknown, false),
            Search::Found(known, kind) => match Condition::of(rule, &kind) {
                Ok(condition) => {
                    (condition.holds(known, |one, other| self.catalogue.similarity(one, other)), false)
                }
                Err(_) => (Truth::Unknown, false),
            },
        }
    }

    /// Where the way leads behind a node.
    fn exit(&mut self, node: &'a Node) -> Exit<'a> {
        for arm in node.arms() {
            let answers: Vec<(Truth, bool)> = arm.rules.iter().map(|rule| self.answer(rule)).collect();
            for rule in &arm.rules {
                let of_rule =
                    |stop: &Stop<'_>| stop.shape.as_ref().is_some_and(|shape| shape.supplies(&rule.field));
                if let Some(index) = self.stops.iter().rposition(of_rule)
                    && self.stops[index].shape.as_ref().is_some_and(|shape| shape.verdict == rule.field)
                {
                    self.read.insert(index);
                }
            }
            match arm.logic.join(answers.iter().map(|(truth, _)| *truth)) {
                Truth::True => return Exit::To(Some(&arm.goto)),
                Truth::False => {}
                Truth::Unknown if answers.iter().any(|(_, pending)| *pending) => return Exit::Wait,
                Truth::Unknown => {
                    self.certain = false;
                    break;
                }
            }
        }
        Exit::To(node.otherwise())
    }

    /// The checks of the path, as the decision sees them.
    fn standings(&self) -> impl Iterator<Item = Standing> {
        self.stops.iter().enumerate().filter(|(_, stop)| stop.is_check).map(|(index, stop)| Standing {
            status: stop.status,
            sound: stop.verdict.is_some(),
            read: self.read.contains(&index),
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Met,
    Pending,
    Missing,
}

/// Whether a value can be used: numbers that are none and blank texts cannot.
fn is_there(value: &Value) -> bool {
    !value.is_unsound() && !value.is_blank()
}

/// A verdict as a fact.
fn verdict(status: FeatureStatus) -> Option<Value> {
    let text = match status {
        FeatureStatus::NotFinished => return None,
        FeatureStatus::Approved => "Approved",
        FeatureStatus::InReview => "In Review",
        FeatureStatus::Declined => "Declined",
    };
    Some(Value::Text(text.to_owned()))
}
