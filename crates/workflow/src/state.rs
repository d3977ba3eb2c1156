//! What happened in a session so far, kept by node id; the engine reads nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    CheckState, FeatureStatus, SessionStatus,
    catalogue::{AskName, CheckShape, Gives},
    facts::Facts,
    graph::NodeId,
    plan::Plan,
};

/// A session as the engine sees it. It may hold anything: [`crate::plan::plan`] is total.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// Facts known from the start.
    pub start: Facts,
    /// What happened at each node.
    pub nodes: BTreeMap<NodeId, Progress>,
    /// How the session ended; final.
    pub decided: Option<SessionStatus>,
}

/// What happened at one node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Progress {
    /// How often captures were repeated.
    pub repeats: u8,
    /// What the person handed in or said there is none of.
    pub answered: BTreeSet<AskName>,
    /// How far the node is.
    pub stage: Stage,
}

/// How far a node is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing ran yet.
    #[default]
    Open,
    /// The check runs.
    Running,
    /// The check ended.
    Ended(CheckResult),
    /// The action was done or the webhook handed to its queue.
    Acted,
}

/// How a check ended at one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// Whether it ran to its end.
    pub ended: CheckState,
    /// Its verdict.
    pub status: FeatureStatus,
    /// The facts it gives.
    #[serde(default)]
    pub facts: Facts,
    /// Captures that should be taken again, such as a picture out of focus.
    #[serde(default)]
    pub repeat: BTreeSet<AskName>,
}

impl CheckResult {
    /// A check that ran to its end.
    pub fn done(status: FeatureStatus) -> Self {
        Self { ended: CheckState::Done, status, facts: Facts::new(), repeat: BTreeSet::new() }
    }

    /// Whether anything can be concluded from it. A check that failed, was not evaluated, gave no verdict or a number
    /// that is none proves nothing, and neither does a check that passed without the facts its shape promises: its
    /// facts are unknown and its path is never approved.
    pub fn is_sound(&self, shape: &CheckShape) -> bool {
        let keeps = |promised: &Gives| {
            let given = self.facts.get(&promised.fact).map(|fact| &fact.value);
            promised.optional || given.is_some_and(|value| !value.is_blank() && value.is(&promised.kind))
        };
        self.ended == CheckState::Done
            && self.status != FeatureStatus::NotFinished
            && !self.facts.values().any(|fact| fact.value.is_unsound())
            && (self.status != FeatureStatus::Approved || shape.gives.iter().all(keeps))
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The person handed in what was asked.
    Answered(NodeId, AskName),
    /// The person said that there is none of it.
    Skipped(NodeId, AskName),
    /// A check was started.
    Started(NodeId),
    /// A check ended.
    Ended(NodeId, CheckResult),
    /// An action was done or a webhook handed to its queue.
    Acted(NodeId),
    /// The decision of the plan was recorded.
    Decided(SessionStatus),
}

/// The plan does not expect the event, so nothing was recorded: a repeated, late or invented one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the plan of the session does not expect this event")]
pub struct NotExpected;

impl State {
    /// Records an event that the plan of this very state expects. Nothing is asked, run or done twice, because each
    /// event takes its cause out of the next plan.
    ///
    /// # Errors
    /// When the plan does not expect the event; the state is unchanged.
    pub fn record(&mut self, plan: &Plan, event: Event) -> Result<(), NotExpected> {
        let expected = self.decided.is_none()
            && match &event {
                Event::Answered(node, ask) => plan.asks(node, ask).is_some(),
                Event::Skipped(node, ask) => plan.asks(node, ask).is_some_and(|open| open.ask.may_skip),
                Event::Started(node) => plan.run.contains(node),
                Event::Ended(node, _) => plan.running.contains(node),
                Event::Acted(node) => plan.act.contains(node),
                Event::Decided(status) => plan.decided == Some(*status),
            };
        if !expected {
            return Err(NotExpected);
        }
        match event {
            Event::Answered(node, ask) | Event::Skipped(node, ask) => {
                let progress = self.nodes.entry(node).or_default();
                if let Stage::Ended(result) = std::mem::take(&mut progress.stage) {
                    // The first capture of another attempt: the others that failed are asked again with it.
                    progress.repeats = progress.repeats.saturating_add(1);
                    progress.answered.retain(|answered| !result.repeat.contains(answered));
                }
                progress.answered.insert(ask);
            }
            Event::Started(node) => self.nodes.entry(node).or_default().stage = Stage::Running,
            Event::Ended(node, result) => self.nodes.entry(node).or_default().stage = Stage::Ended(result),
            Event::Acted(node) => self.nodes.entry(node).or_default().stage = Stage::Acted,
            Event::Decided(status) => self.decided = Some(status),
        }
        Ok(())
    }
}
