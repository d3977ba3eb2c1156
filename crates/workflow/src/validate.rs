//! Whether a graph is valid: on every path each check finds what it needs, and the path ends in a status.
//!
//! No path is walked twice: for each need the search goes from the start through all nodes but those that supply the
//! need, and every node it reaches that has the need lacks it on the way the search came. That way is the witness.
//! Time is the number of different needs times the number of edges.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    catalogue::{AnyOf, Catalogue, CheckShape, Refused},
    condition::{Condition, UnusableRule},
    facts::{FactName, Kind},
    graph::{Ending, Graph, MAX_ARMS, MAX_DEPTH, MAX_ID, MAX_NODES, MAX_RULES, Node, NodeId},
};

/// What is wrong with a graph, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Complaint {
    /// The node, where the problem has one.
    pub node: Option<NodeId>,
    /// A path from the start to the node that shows the problem; in a circle, the circle. Empty where none is needed.
    pub path: Vec<NodeId>,
    /// The problem.
    pub problem: Problem,
}

/// What can be wrong with a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The start is no node.
    #[error("the start node '{0}' does not exist")]
    NoStart(NodeId),
    /// An edge leads to no node.
    #[error("the way leads to '{0}', which does not exist")]
    NoSuchNode(NodeId),
    /// A way comes back to a node.
    #[error("the way comes back to this node")]
    Circle,
    /// No way leads to the node.
    #[error("no way leads to this node")]
    Unreachable,
    /// A path ends without a status.
    #[error("the way ends here without a status")]
    NoEnd,
    /// A fork has no way for the case that no rule holds.
    #[error("a way is missing for the case that no rule holds: a last arm without rules, or next")]
    NoOtherwise,
    /// A way that can never be taken.
    #[error("arm {0} is never taken, because an arm before it has no rules")]
    NeverTaken(usize),
    /// `next` beside an arm without rules.
    #[error("next is never taken, because an arm has no rules")]
    NextNeverTaken,
    /// Too much of something.
    #[error("{what}: at most {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// The catalogue refuses check, action or settings.
    #[error("{0}")]
    Refused(Refused),
    /// A check lacks a fact on the path.
    #[error("the check needs {0}, and nothing on this path gives it")]
    Missing(AnyOf),
    /// A rule names a fact that nothing in the graph gives.
    #[error("nothing before this fork gives the field '{0}'")]
    NoSuchField(FactName),
    /// A rule names a fact that is missing on the path.
    #[error("the field '{0}' is not given on this path")]
    FieldMissing(FactName),
    /// A rule does not fit its field.
    #[error("the rule on '{field}' cannot be used: {why}")]
    Rule {
        /// The field.
        field: FactName,
        /// Why.
        why: UnusableRule,
    },
    /// A path approves without any check.
    #[error("this path can approve, and no check stands on it")]
    NothingChecked,
}

/// Checks a graph.
///
/// # Errors
/// Every complaint, in the order of the nodes.
pub fn validate<C: Catalogue + ?Sized>(graph: &Graph, catalogue: &C) -> Result<(), Vec<Complaint>> {
    let mut complaints = Vec::new();
    if graph.nodes.len() > MAX_NODES {
        complaints.push(too_many(None, "nodes", MAX_NODES));
    }
    if !graph.nodes.contains_key(&graph.start_node) {
        let problem = Problem::NoStart(graph.start_node.clone());
        complaints.push(Complaint { node: None, path: Vec::new(), problem });
        return Err(complaints);
    }
    let mut shapes = BTreeMap::new();
    for (id, node) in &graph.nodes {
        let refused = match node {
            Node::Feature { feature, config, .. } => match catalogue.check(feature, config) {
                Ok(shape) => {
                    shapes.insert(id, shape.into_owned());
                    None
                }
                Err(refused) => Some(refused),
            },
            Node::Action { action, config, .. } => catalogue.action(action, config).err(),
            Node::Webhook { config, .. } => catalogue.webhook(config).err(),
            Node::Branch { .. } | Node::Status { .. } => None,
        };
        if let Some(refused) = refused {
            complaints.push(at(id, Problem::Refused(refused)));
        }
    }
    let view =
        View { graph, shapes, at_start: catalogue.at_start().iter().map(|gives| &gives.fact).collect() };
    let reached = view.reach(|_| false);
    view.check_edges(&reached, &mut complaints);
    view.check_circles(&reached, &mut complaints);
    view.check_needs(&mut complaints);
    view.check_rules(catalogue, &mut complaints);
    // One order for all, whichever search found them.
    complaints.sort_by(|one, other| one.node.cmp(&other.node));
    if complaints.is_empty() { Ok(()) } else { Err(complaints) }
}

fn at(node: &NodeId, problem: Problem) -> Complaint {
    Complaint { node: Some(node.clone()), path: Vec::new(), problem }
}

fn too_many(node: Option<&NodeId>, what: &'static str, most: usize) -> Complaint {
    Complaint { node: node.cloned(), path: Vec::new(), problem: Problem::TooMany { what, most } }
}

/// The graph with what the catalogue says of it.
struct View<'a> {
    graph: &'a Graph,
    shapes: BTreeMap<&'a NodeId, CheckShape>,
    at_start: BTreeSet<&'a FactName>,
}

/// The nodes that a search reached, each with the node it came from.
struct Reached<'a>(BTreeMap<&'a NodeId, Option<&'a NodeId>>);

impl Reached<'_> {
    /// The way from the start to a node.
    fn path(&self, node: &NodeId) -> Vec<NodeId> {
        let mut path: Vec<NodeId> =
            std::iter::successors(self.0.get_key_value(node).map(|(id, _)| *id), |id| self.0[*id])
                .cloned()
                .collect();
        path.reverse();
        path
    }

    fn complain(&self, node: &NodeId, problem: Problem) -> Complaint {
        Complaint { node: Some(node.clone()), path: self.path(node), problem }
    }
}

impl<'a> View<'a> {
    /// Goes from the start to every node, but not on behind those that stop it.
    fn reach(&self, stops: impl Fn(&NodeId) -> bool) -> Reached<'a> {
        let mut reached = BTreeMap::from([(&self.graph.start_node, None)]);
        let mut queue = VecDeque::from([&self.graph.start_node]);
        while let Some(id) = queue.pop_front() {
            let Some(node) = self.graph.nodes.get(id).filter(|_| !stops(id)) else { continue };
            for next in node.exits().filter(|next| self.graph.nodes.contains_key(*next)) {
                if !reached.contains_key(next) {
                    reached.insert(next, Some(id));
                    queue.push_back(next);
                }
            }
        }
        Reached(reached)
    }

    /// Every edge leads to a node, every way ends in a status, every node and arm can be reached.
    fn check_edges(&self, reached: &Reached<'_>, complaints: &mut Vec<Complaint>) {
        for (id, node) in &self.graph.nodes {
            if id.as_str().is_empty() || id.as_str().len() > MAX_ID {
                complaints.push(too_many(Some(id), "bytes of an id, which is not empty", MAX_ID));
            }
            if !reached.0.contains_key(id) {
                complaints.push(at(id, Problem::Unreachable));
            }
            for missing in node.exits().filter(|next| !self.graph.nodes.contains_key(*next)) {
                complaints.push(reached.complain(id, Problem::NoSuchNode(missing.clone())));
            }
            let arms = node.arms();
            if arms.len() > MAX_ARMS {
                complaints.push(too_many(Some(id), "arms", MAX_ARMS));
            }
            if arms.iter().any(|arm| arm.rules.len() > MAX_RULES) {
                complaints.push(too_many(Some(id), "rules of an arm", MAX_RULES));
            }
            let open = arms.iter().position(|arm| arm.rules.is_empty());
            if let Some(open) = open {
                for index in open + 1..arms.len() {
                    complaints.push(at(id, Problem::NeverTaken(index + 1)));
                }
                if node.next().is_some() {
                    complaints.push(at(id, Problem::NextNeverTaken));
                }
            }
            if !matches!(node, Node::Status { .. }) && node.otherwise().is_none() {
                let problem = if arms.is_empty() { Problem::NoEnd } else { Problem::NoOtherwise };
                complaints.push(reached.complain(id, problem));
            }
        }
    }

    /// No way comes back, and none is too deep. Nodes are taken away from the start on, once every way into them is
    /// gone; what stays lies on a circle or behind one.
    fn check_circles(&self, reached: &Reached<'_>, complaints: &mut Vec<Complaint>) {
        let mut ways_in: BTreeMap<&NodeId, usize> = reached.0.keys().map(|id| (*id, 0)).collect();
        for next in reached.0.keys().flat_map(|id| self.graph.nodes[*id].exits()) {
            if let Some(count) = ways_in.get_mut(next) {
                *count += 1;
            }
        }
        let mut depth: BTreeMap<&NodeId, usize> = BTreeMap::new();
        let mut free: Vec<&NodeId> =
            ways_in.iter().filter(|(_, count)| **count == 0).map(|(id, _)| *id).collect();
        let mut deepest = (0, None);
        while let Some(id) = free.pop() {
            ways_in.remove(id);
            let here = depth.get(id).copied().unwrap_or(0) + usize::from(self.shapes.contains_key(id));
            if here > deepest.0 {
                deepest = (here, Some(id));
            }
            for next in self.graph.nodes[id].exits() {
                let Some((next, count)) = self
                    .graph
                    .nodes
                    .get_key_value(next)
                    .and_then(|(next, _)| ways_in.get_mut(next).map(|count| (next, count)))
                else {
                    continue;
                };
                let below = depth.entry(next).or_insert(0);
                *below = here.max(*below);
                *count -= 1;
                if *count == 0 {
                    free.push(next);
                }
            }
        }
        if let (true, Some(id)) = (deepest.0 > MAX_DEPTH, deepest.1) {
            complaints.push(too_many(Some(id), "checks on a path", MAX_DEPTH));
        }
        // Each node that stays has a way in from another that stays: going backwards must come to a circle.
        let staying: BTreeSet<&NodeId> = ways_in.into_keys().collect();
        let mut before: BTreeMap<&NodeId, &NodeId> = BTreeMap::new();
        for id in &staying {
            for next in self.graph.nodes[*id].exits() {
                if let Some(next) = staying.get(next) {
                    before.entry(next).or_insert(id);
                }
            }
        }
        let mut seen: BTreeSet<&NodeId> = BTreeSet::new();
        for start in &staying {
            let mut way: Vec<&NodeId> = Vec::new();
            let mut here = Some(*start);
            while let Some(id) = here.filter(|id| seen.insert(*id)) {
                way.push(id);
                here = before.get(id).copied();
            }
            // Where the walk came upon itself there is a circle; upon an earlier walk, it was reported already.
            if let Some(from) = here.and_then(|id| way.iter().position(|seen| *seen == id)) {
                let mut circle: Vec<NodeId> = way[from..].iter().map(|id| (*id).clone()).collect();
                circle.reverse();
                // It begins where the way from the start enters it.
                let entry = (0..circle.len()).min_by_key(|index| reached.path(&circle[*index]).len());
                circle.rotate_left(entry.unwrap_or(0));
                let node = circle.first().cloned();
                circle.extend(node.clone());
                complaints.push(Complaint { node, path: circle, problem: Problem::Circle });
            }
        }
    }

    /// Whether a node supplies one of these facts.
    fn supplies(&self, node: &NodeId, group: &AnyOf) -> bool {
        self.shapes.get(node).is_some_and(|shape| group.0.iter().any(|fact| shape.supplies(fact)))
    }

    /// On every path each check finds its needs, and no path approves without a check.
    fn check_needs(&self, complaints: &mut Vec<Complaint>) {
        let mut needing: BTreeMap<&AnyOf, Vec<&NodeId>> = BTreeMap::new();
        for (id, shape) in &self.shapes {
            for group in &shape.needs {
                let nodes = needing.entry(group).or_default();
                if nodes.last() != Some(id) {
                    nodes.push(id);
                }
            }
        }
        for (group, nodes) in needing {
            if group.0.iter().any(|fact| self.at_start.contains(fact)) {
                continue;
            }
            let without = self.reach(|id| self.supplies(id, group));
            for id in nodes.into_iter().filter(|id| without.0.contains_key(id)) {
                complaints.push(without.complain(id, Problem::Missing(group.clone())));
            }
        }
        let unchecked = self.reach(|id| matches!(self.graph.nodes[id], Node::Feature { .. }));
        for id in unchecked.0.keys() {
            if let Node::Status { session_status: Ending::Approved | Ending::ByChecks } =
                self.graph.nodes[*id]
            {
                complaints.push(unchecked.complain(id, Problem::NothingChecked));
            }
        }
    }

    /// Every rule names a field that is there on every path, and fits its kind.
    fn check_rules<C: Catalogue + ?Sized>(&self, catalogue: &C, complaints: &mut Vec<Complaint>) {
        let mut naming: BTreeMap<&FactName, BTreeSet<&NodeId>> = BTreeMap::new();
        for (id, node) in &self.graph.nodes {
            for rule in node.arms().iter().flat_map(|arm| &arm.rules) {
                naming.entry(&rule.field).or_default().insert(id);
            }
        }
        for (field, nodes) in naming {
            let group = AnyOf(vec![field.clone()]);
            let mut kinds: Vec<Kind> = Vec::new();
            let mut optional = self.at_start.contains(field);
            for (kind, may_lack) in self.shapes.values().filter_map(|shape| shape.kind_of(field)) {
                optional |= may_lack;
                if !kinds.contains(kind.as_ref()) {
                    kinds.push(kind.into_owned());
                }
            }
            for gives in catalogue.at_start().iter().filter(|gives| gives.fact == *field) {
                if !kinds.contains(&gives.kind) {
                    kinds.push(gives.kind.clone());
                }
            }
            let without = self.reach(|id| self.supplies(id, &group));
            let behind = self.behind(|id| self.supplies(id, &group));
            for id in nodes {
                // A check's own arms see what it gives.
                let before =
                    self.at_start.contains(field) || behind.contains(id) || self.supplies(id, &group);
                if !before {
                    complaints.push(at(id, Problem::NoSuchField(field.clone())));
                } else if !optional && without.0.contains_key(id) && !self.supplies(id, &group) {
                    complaints.push(without.complain(id, Problem::FieldMissing(field.clone())));
                }
                for rule in self.graph.nodes[id].arms().iter().flat_map(|arm| &arm.rules) {
                    for kind in kinds.iter().filter(|_| rule.field == *field) {
                        if let Err(why) = Condition::of(rule, kind) {
                            complaints.push(at(id, Problem::Rule { field: field.clone(), why }));
                        }
                    }
                }
            }
        }
    }

    /// The nodes behind those of a sort.
    fn behind(&self, sort: impl Fn(&NodeId) -> bool) -> BTreeSet<&'a NodeId> {
        let mut behind = BTreeSet::new();
        let mut queue: Vec<&NodeId> = self.graph.nodes.keys().filter(|id| sort(id)).collect();
        while let Some(id) = queue.pop() {
            for next in self.graph.nodes.get(id).into_iter().flat_map(Node::exits) {
                if behind.insert(next) {
                    queue.push(next);
                }
            }
        }
        behind
    }
}
