//! A deliberately naive interpreter of graphs: every question is answered from the definition, again and again.

use workflow::{
    CheckState, FeatureStatus, SessionStatus,
    catalogue::{AnyOf, Ask, AskName, Catalogue, CheckShape},
    condition::{Condition, Known, Logic, Truth},
    facts::{FactName, Kind, Value},
    graph::{Ending, Graph, Node, NodeId},
    plan::{CannotRun, OpenAsk, Plan, Why},
    state::{CheckResult, Stage, State},
};

use crate::sample::Sample;

pub(crate) struct Reference<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) catalogue: &'a Sample,
    pub(crate) state: &'a State,
}

type Path<'a> = [&'a NodeId];

impl<'a> Reference<'a> {
    /// The plan, from the longest path that is known.
    pub(crate) fn plan(&self) -> Plan {
        if let Some(status) = self.state.decided {
            return Plan { decided: Some(status), ..Plan::default() };
        }
        let mut path: Vec<&NodeId> = Vec::new();
        let mut certain = true;
        let mut read: Vec<usize> = Vec::new();
        let mut next = Some(&self.graph.start_node);
        let mut ending = None;
        let mut broken = false;
        loop {
            let Some(id) = next.filter(|id| self.graph.nodes.contains_key(*id) && !path.contains(id)) else {
                broken = true;
                break;
            };
            path.push(id);
            let here = path.len() - 1;
            match &self.graph.nodes[id] {
                Node::Status { session_status } => {
                    ending = Some(*session_status);
                    break;
                }
                Node::Feature { .. }
                    if !self.finished(&path, here)
                        && self.shape(id).is_some_and(|shape| !shape.background) =>
                {
                    break;
                }
                node => match self.way(&path, node, &mut read, &mut certain) {
                    Way::Leads(to) => next = to,
                    Way::Waits => break,
                },
            }
        }
        let all = |upto: usize| (0..upto).all(|index| self.finished(&path, index));
        let mut plan = Plan { path: path.iter().map(|id| (*id).clone()).collect(), ..Plan::default() };
        for index in 0..path.len() {
            let id = path[index];
            match self.graph.nodes[id] {
                Node::Feature { .. } => {
                    let asks = self.asks(&path, index);
                    let attempt = match self.stage(id) {
                        Stage::Ended(_) => self.repeats(id).saturating_add(2),
                        _ => self.repeats(id).saturating_add(1),
                    };
                    plan.ask.extend(asks.into_iter().map(|ask| OpenAsk { node: id.clone(), ask, attempt }));
                    if self.runnable(&path, index) {
                        plan.run.push(id.clone());
                    }
                    if self.shape(id).is_some() && *self.stage(id) == Stage::Running {
                        plan.running.push(id.clone());
                    }
                    if let Node::Feature { feature, config, .. } = &self.graph.nodes[id]
                        && let Err(refused) = self.catalogue.check(feature, config)
                    {
                        plan.cannot_run.push(CannotRun { node: id.clone(), why: Why::Refused(refused) });
                    }
                    let missing = self.missing(&path, index);
                    if !missing.is_empty() {
                        plan.cannot_run.push(CannotRun { node: id.clone(), why: Why::Missing(missing) });
                    }
                }
                Node::Action { .. } | Node::Webhook { .. } => match self.stage(id) {
                    Stage::Open if all(index) => plan.act.push(id.clone()),
                    Stage::Running => plan.running.push(id.clone()),
                    _ => {}
                },
                Node::Branch { .. } | Node::Status { .. } => {}
            }
        }
        if (ending.is_some() || broken) && all(path.len()) {
            plan.decided = Some(match ending {
                None => SessionStatus::InReview,
                Some(ending) => self.end(&path, ending, &read, certain),
            });
        }
        plan
    }

    fn end(&self, path: &Path<'_>, ending: Ending, read: &[usize], certain: bool) -> SessionStatus {
        let checks: Vec<usize> = (0..path.len())
            .filter(|index| matches!(self.graph.nodes[path[*index]], Node::Feature { .. }))
            .collect();
        let status = |index: usize| match self.result(path, index) {
            Some(result) if result.status != FeatureStatus::NotFinished => result.status,
            _ => FeatureStatus::InReview,
        };
        let sound =
            |index: usize| self.result(path, index).is_some_and(|result| self.proves(path[index], result));
        match ending {
            Ending::Declined => return SessionStatus::Declined,
            Ending::InReview => return SessionStatus::InReview,
            Ending::ByChecks => {
                if checks.iter().any(|index| status(*index) == FeatureStatus::Declined) {
                    return SessionStatus::Declined;
                }
                if checks.iter().any(|index| status(*index) != FeatureStatus::Approved) {
                    return SessionStatus::InReview;
                }
            }
            Ending::Approved => {
                if checks
                    .iter()
                    .any(|index| status(*index) != FeatureStatus::Approved && !read.contains(index))
                {
                    return SessionStatus::InReview;
                }
            }
        }
        if checks.is_empty() || !certain || !checks.iter().all(|index| sound(*index)) {
            return SessionStatus::InReview;
        }
        SessionStatus::Approved
    }

    fn shape(&self, id: &NodeId) -> Option<&'a CheckShape> {
        match self.graph.nodes.get(id)? {
            Node::Feature { feature, .. } => self.catalogue.shape(feature),
            _ => None,
        }
    }

    fn stage(&self, id: &NodeId) -> &'a Stage {
        self.state.nodes.get(id).map_or(&Stage::Open, |progress| &progress.stage)
    }

    fn repeats(&self, id: &NodeId) -> u8 {
        self.state.nodes.get(id).map_or(0, |progress| progress.repeats)
    }

    fn answered(&self, id: &NodeId, ask: &AskName) -> bool {
        self.state.nodes.get(id).is_some_and(|progress| progress.answered.contains(ask))
    }

    /// The result that counts: the check ended and no capture is repeated.
    fn result(&self, path: &Path<'_>, index: usize) -> Option<&CheckResult> {
        self.shape(path[index])?;
        match &self.state.nodes.get(path[index])?.stage {
            Stage::Ended(result) if self.asks(path, index).is_empty() => Some(result),
            _ => None,
        }
    }

    fn finished(&self, path: &Path<'_>, index: usize) -> bool {
        let id = path[index];
        let stage = self.stage(id);
        match &self.graph.nodes[id] {
            Node::Branch { .. } | Node::Status { .. } => true,
            Node::Action { .. } | Node::Webhook { .. } => matches!(stage, Stage::Acted | Stage::Ended(_)),
            Node::Feature { .. } => {
                self.shape(id).is_none()
                    || *stage == Stage::Acted
                    || !self.missing(path, index).is_empty()
                    || self.result(path, index).is_some()
            }
        }
    }

    /// The needs of a check that waits and will never get them.
    fn missing(&self, path: &Path<'_>, index: usize) -> Vec<AnyOf> {
        let Some(shape) = self.shape(path[index]).filter(|_| *self.stage(path[index]) == Stage::Open) else {
            return Vec::new();
        };
        let is_missing =
            |group: &&AnyOf| !self.waits_for(path, index, group) && !self.has(path, index, group);
        shape.needs.iter().filter(is_missing).cloned().collect()
    }

    fn waits_for(&self, path: &Path<'_>, index: usize, group: &AnyOf) -> bool {
        (0..index).any(|before| {
            !self.finished(path, before)
                && self
                    .shape(path[before])
                    .is_some_and(|shape| group.0.iter().any(|fact| shape.supplies(fact)))
        })
    }

    fn has(&self, path: &Path<'_>, index: usize, group: &AnyOf) -> bool {
        group.0.iter().any(|fact| {
            let declared = self.catalogue.at_start().iter().any(|gives| gives.fact == *fact);
            let usable = |value: &Value| match value {
                Value::Number(number) => number.is_finite(),
                Value::Text(text) => !text.trim().is_empty(),
                _ => true,
            };
            (declared && self.state.start.get(fact).is_some_and(|fact| usable(&fact.value)))
                || (0..index).any(|before| {
                    self.shape(path[before]).is_some_and(|shape| shape.supplies(fact))
                        && matches!(self.says(path, before, fact), Said::Value(value) if usable(&value))
                })
        })
    }

    /// The asks that are open at a check.
    fn asks(&self, path: &Path<'_>, index: usize) -> Vec<Ask> {
        let id = path[index];
        let Some(shape) = self.shape(id) else { return Vec::new() };
        match self.stage(id) {
            Stage::Running | Stage::Acted => Vec::new(),
            Stage::Ended(result) => {
                let left = u16::from(self.repeats(id)) + 1 < u16::from(shape.attempts);
                shape.asks.iter().filter(|ask| left && result.repeat.contains(&ask.name)).cloned().collect()
            }
            Stage::Open if !self.missing(path, index).is_empty() => Vec::new(),
            Stage::Open => shape
                .asks
                .iter()
                .filter(|ask| !self.answered(id, &ask.name) && self.lender(path, index, ask).is_none())
                .cloned()
                .collect(),
        }
    }

    /// The nearest node before whose answer serves.
    fn lender(&self, path: &Path<'_>, index: usize, ask: &Ask) -> Option<usize> {
        if !ask.reuse || self.answered(path[index], &ask.name) {
            return None;
        }
        (0..index).rev().find(|before| {
            self.shape(path[*before])
                .is_some_and(|shape| shape.asks.iter().any(|other| other.name == ask.name))
                && (self.answered(path[*before], &ask.name)
                    || self.asks(path, *before).iter().any(|open| open.name == ask.name))
        })
    }

    fn runnable(&self, path: &Path<'_>, index: usize) -> bool {
        let id = path[index];
        let Some(shape) = self.shape(id) else { return false };
        *self.stage(id) == Stage::Open
            && self.missing(path, index).is_empty()
            && !shape.needs.iter().any(|group| self.waits_for(path, index, group))
            && self.asks(path, index).is_empty()
            && shape
                .asks
                .iter()
                .filter_map(|ask| self.lender(path, index, ask))
                .all(|lender| self.finished(path, lender))
    }

    /// Whether a result is worth anything.
    fn proves(&self, id: &NodeId, result: &CheckResult) -> bool {
        let broken = |value: &Value| matches!(value, Value::Number(number) if !number.is_finite());
        if result.ended != CheckState::Done || result.facts.values().any(|fact| broken(&fact.value)) {
            return false;
        }
        match result.status {
            FeatureStatus::NotFinished => false,
            FeatureStatus::InReview | FeatureStatus::Declined => true,
            FeatureStatus::Approved => self.shape(id).unwrap().gives.iter().all(|gives| {
                let value = result.facts.get(&gives.fact).map(|fact| &fact.value);
                gives.optional
                    || match (value, &gives.kind) {
                        (Some(Value::Text(text)), Kind::Text) => !text.trim().is_empty(),
                        (Some(Value::Number(_)), Kind::Number)
                        | (Some(Value::List(_)), Kind::List)
                        | (Some(Value::Present), Kind::Presence) => true,
                        (None, _) => false,
                        (other, kind) => panic!("the sample has no {kind:?} {other:?} that must be there"),
                    }
            }),
        }
    }

    /// What a check says of a fact it supplies.
    fn says(&self, path: &Path<'_>, index: usize, fact: &FactName) -> Said {
        if !self.finished(path, index) {
            return Said::NotYet;
        }
        let Some(result) = self.result(path, index).filter(|result| self.proves(path[index], result)) else {
            return Said::Never;
        };
        if self.shape(path[index]).is_some_and(|shape| shape.verdict == *fact) {
            return Said::Value(Value::Text(
                match result.status {
                    FeatureStatus::Declined => "Declined",
                    FeatureStatus::InReview => "In Review",
                    _ => "Approved",
                }
                .into(),
            ));
        }
        result.facts.get(fact).map_or(Said::Absent, |fact| Said::Value(fact.value.clone()))
    }

    fn way(&self, path: &Path<'_>, node: &'a Node, read: &mut Vec<usize>, certain: &mut bool) -> Way<'a> {
        for arm in node.arms() {
            let mut unknown = false;
            let mut later = false;
            let mut yes = 0;
            let mut no = 0;
            for rule in &arm.rules {
                let supplier = (0..path.len())
                    .rev()
                    .find(|index| self.shape(path[*index]).is_some_and(|shape| shape.supplies(&rule.field)));
                let (said, kind): (Said, Option<Kind>) = match supplier {
                    Some(index) => {
                        let shape = self.shape(path[index]).unwrap();
                        if shape.verdict == rule.field {
                            read.push(index);
                        }
                        let kind = shape.kind_of(&rule.field).map(|(kind, _)| kind.into_owned());
                        (self.says(path, index, &rule.field), kind)
                    }
                    None => {
                        let declared =
                            self.catalogue.at_start().iter().find(|gives| gives.fact == rule.field);
                        let value = self.state.start.get(&rule.field).map(|fact| fact.value.clone());
                        let said = value.map_or(Said::Absent, Said::Value);
                        (said, declared.map(|gives| gives.kind.clone()))
                    }
                };
                if said == Said::NotYet {
                    later = true;
                    unknown = true;
                    continue;
                }
                let known = match &said {
                    Said::Value(value) => Known::Value(value),
                    Said::Absent => Known::Absent,
                    Said::Never | Said::NotYet => Known::Unknown,
                };
                let truth = kind
                    .and_then(|kind| Condition::of(rule, &kind).ok())
                    .map_or(Truth::Unknown, |condition| {
                        condition.holds(known, |one, other| self.catalogue.similarity(one, other))
                    });
                match truth {
                    Truth::True => yes += 1,
                    Truth::False => no += 1,
                    Truth::Unknown => unknown = true,
                }
            }
            let (taken, passed) = match arm.logic {
                _ if arm.rules.is_empty() => (true, false),
                Logic::And => (yes == arm.rules.len(), no > 0),
                Logic::Or => (yes > 0, no == arm.rules.len()),
            };
            if taken {
                return Way::Leads(Some(&arm.goto));
            }
            if !passed && unknown {
                if later {
                    return Way::Waits;
                }
                *certain = false;
                break;
            }
        }
        let open = node.arms().iter().find(|arm| arm.rules.is_empty());
        Way::Leads(open.map(|arm| &arm.goto).or(node.next()))
    }
}

enum Way<'a> {
    Leads(Option<&'a NodeId>),
    Waits,
}

#[derive(PartialEq)]
enum Said {
    Value(Value),
    Absent,
    NotYet,
    Never,
}

/// Whether a graph is valid, found by walking every path of it.
pub(crate) fn is_valid(graph: &Graph, catalogue: &Sample) -> bool {
    if !graph.nodes.contains_key(&graph.start_node) {
        return false;
    }
    let mut reached = std::collections::BTreeSet::new();
    let mut paths = vec![vec![&graph.start_node]];
    while let Some(path) = paths.pop() {
        let here = path[path.len() - 1];
        let before: Vec<CheckShape> =
            path[..path.len() - 1].iter().filter_map(|id| shape(graph, catalogue, id)).collect();
        reached.insert(here);
        let node = &graph.nodes[here];
        if path[..path.len() - 1].contains(&here) || !node_is_valid(graph, catalogue, here, node, &before) {
            return false;
        }
        for next in node.exits() {
            if !graph.nodes.contains_key(next) {
                return false;
            }
            paths.push(path.iter().copied().chain([next]).collect());
        }
    }
    reached.len() == graph.nodes.len()
}

fn shape(graph: &Graph, catalogue: &Sample, id: &NodeId) -> Option<CheckShape> {
    match &graph.nodes[id] {
        Node::Feature { feature, config, .. } => {
            catalogue.check(feature, config).ok().map(|shape| shape.into_owned())
        }
        _ => None,
    }
}

fn node_is_valid(graph: &Graph, catalogue: &Sample, id: &NodeId, node: &Node, before: &[CheckShape]) -> bool {
    let start = |fact: &FactName| catalogue.at_start().iter().any(|gives| gives.fact == *fact);
    let mut seen = before.to_vec();
    match node {
        Node::Status { session_status } => {
            let approves = matches!(session_status, Ending::Approved | Ending::ByChecks);
            return !(approves && before.is_empty());
        }
        Node::Feature { .. } => {
            let Some(shape) = shape(graph, catalogue, id) else { return false };
            let given = |fact: &FactName| start(fact) || before.iter().any(|shape| shape.supplies(fact));
            if !shape.needs.iter().all(|group| group.0.iter().any(given)) {
                return false;
            }
            seen.push(shape);
        }
        _ => {}
    }
    let arms = node.arms();
    let opens = arms.iter().filter(|arm| arm.rules.is_empty()).count() + usize::from(node.next().is_some());
    let last_is_open = arms.iter().take(arms.len().saturating_sub(1)).all(|arm| !arm.rules.is_empty());
    if opens != 1 || !last_is_open {
        return false;
    }
    arms.iter().flat_map(|arm| &arm.rules).all(|rule| {
        let anywhere: Vec<CheckShape> =
            graph.nodes.keys().filter_map(|id| shape(graph, catalogue, id)).collect();
        let optional = start(&rule.field)
            || anywhere.iter().any(|shape| matches!(shape.kind_of(&rule.field), Some((_, true))));
        let given = start(&rule.field) || seen.iter().any(|shape| shape.supplies(&rule.field));
        let start_kind = catalogue.at_start().iter().find(|gives| gives.fact == rule.field);
        let fits = anywhere
            .iter()
            .filter_map(|shape| shape.kind_of(&rule.field).map(|(kind, _)| kind.into_owned()))
            .chain(start_kind.map(|gives| gives.kind.clone()))
            .all(|kind| Condition::of(rule, &kind).is_ok());
        fits && (given || (optional && stands_before(graph, catalogue, id, &rule.field)))
    })
}

/// Whether a check that supplies the fact stands on some way to the node, wherever that way begins.
fn stands_before(graph: &Graph, catalogue: &Sample, id: &NodeId, fact: &FactName) -> bool {
    let mut behind: Vec<&NodeId> = graph
        .nodes
        .keys()
        .filter(|id| shape(graph, catalogue, id).is_some_and(|shape| shape.supplies(fact)))
        .collect();
    let mut index = 0;
    while index < behind.len() {
        if let Some(node) = graph.nodes.get(behind[index]) {
            for next in node.exits() {
                if !behind.contains(&next) {
                    behind.push(next);
                }
            }
        }
        index += 1;
    }
    behind.contains(&id)
}
