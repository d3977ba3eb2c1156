//! A workflow as a graph: nodes by id, and where the way leads after each.
//!
//! The shape is that of the workflow API: `{start_node, nodes: {id: {node_type, …}}}`. A check may stand under several
//! ids; everything that happens is kept by node id. What makes a graph valid stands in [`crate::validate`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    condition::{Logic, Rule},
    name::name,
};

/// Most nodes of a graph. The API names no limits; these are ours.
pub const MAX_NODES: usize = 500;
/// Most arms of a node.
pub const MAX_ARMS: usize = 50;
/// Most rules of an arm.
pub const MAX_RULES: usize = 50;
/// Most checks on one path: how deep a graph may be.
pub const MAX_DEPTH: usize = 100;
/// Longest node id in bytes.
pub const MAX_ID: usize = 100;

name! {
    /// Id of a node; appears as `node_id` in decisions.
    NodeId
}

name! {
    /// Name of a check, such as `OCR`. The engine knows none of them.
    CheckName
}

/// Settings of a node, as they came; the catalogue reads them.
pub type Settings = serde_json::Map<String, serde_json::Value>;

/// A workflow graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// Where every session begins.
    pub start_node: NodeId,
    /// The nodes.
    pub nodes: BTreeMap<NodeId, Node>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "node_type", deny_unknown_fields)]
pub enum Node {
    /// A check.
    Feature {
        /// Which one.
        feature: CheckName,
        /// Its settings.
        #[serde(default, skip_serializing_if = "Settings::is_empty")]
        config: Settings,
        /// The owner's name for the node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
        /// Where the way leads when their rules hold; the first that holds is taken.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        branches: Vec<Arm>,
        /// Where the way leads otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<NodeId>,
    },
    /// Something done on the server, once: a tag, an entry on a list.
    Action {
        /// Which one.
        action: String,
        /// Its settings.
        #[serde(default, skip_serializing_if = "Settings::is_empty")]
        config: Settings,
        /// Where the way leads afterwards.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<NodeId>,
    },
    /// A fork.
    Branch {
        /// The ways, the first that holds is taken. An arm without rules means "otherwise".
        branches: Vec<Arm>,
        /// Where the way leads otherwise; the same as a last arm without rules.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<NodeId>,
    },
    /// The end of a path.
    Status {
        /// How the session ends.
        session_status: Ending,
    },
    /// A message to the owner's server, once.
    Webhook {
        /// Its settings.
        #[serde(default, skip_serializing_if = "Settings::is_empty")]
        config: Settings,
        /// Where the way leads afterwards.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<NodeId>,
    },
}

/// One way out of a fork.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// The console's id of the arm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How the rules are joined.
    #[serde(default)]
    pub logic: Logic,
    /// The rules; none means "otherwise".
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Where the way leads.
    pub goto: NodeId,
}

/// How a path ends. [`crate::conclude`] says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ending {
    /// Approved, unless a check forbids it.
    Approved,
    /// Declined.
    Declined,
    /// A person must decide.
    #[serde(rename = "In Review")]
    InReview,
    /// As the checks of the path say.
    #[serde(rename = "Determine")]
    ByChecks,
}

impl Node {
    /// The ways out that have rules of their own, in order.
    pub fn arms(&self) -> &[Arm] {
        match self {
            Self::Feature { branches, .. } | Self::Branch { branches, .. } => branches,
            Self::Action { .. } | Self::Status { .. } | Self::Webhook { .. } => &[],
        }
    }

    /// The plain way out.
    pub fn next(&self) -> Option<&NodeId> {
        match self {
            Self::Feature { next, .. }
            | Self::Action { next, .. }
            | Self::Branch { next, .. }
            | Self::Webhook { next, .. } => next.as_ref(),
            Self::Status { .. } => None,
        }
    }

    /// The way that is taken when no rule holds, or when nobody can tell.
    pub fn otherwise(&self) -> Option<&NodeId> {
        self.arms().iter().find(|arm| arm.rules.is_empty()).map(|arm| &arm.goto).or(self.next())
    }

    /// Every node the way may lead to.
    pub fn exits(&self) -> impl Iterator<Item = &NodeId> {
        self.arms().iter().map(|arm| &arm.goto).chain(self.next())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_graph_of_the_api_comes_back_as_it_went() {
        let written = json!({
            "start_node": "document",
            "nodes": {
                "document": { "node_type": "feature", "feature": "OCR", "config": { "minimum_age": 18 },
                              "label": "Passport", "next": "fork" },
                "fork": { "node_type": "branch", "branches": [
                    { "id": "b1", "logic": "or", "goto": "no", "rules": [
                        { "field": "kyc.status", "operator": "equals", "value": "Declined" },
                        { "field": "kyc.full_name", "operator": "fuzzy_match", "value": "Jane Doe", "score": 70.0 } ] },
                    { "id": "else", "logic": "and", "rules": [], "goto": "tag" } ] },
                "tag": { "node_type": "action", "action": "add_tag", "config": { "tag": "seen" }, "next": "tell" },
                "tell": { "node_type": "webhook", "next": "end" },
                "no": { "node_type": "status", "session_status": "In Review" },
                "end": { "node_type": "status", "session_status": "Determine" }
            }
        });
        let graph: Graph = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&graph).unwrap(), written);
        assert_eq!(graph.nodes[&"fork".into()].otherwise(), Some(&"tag".into()));
        assert_eq!(graph.nodes[&"fork".into()].exits().count(), 2);
    }

    #[test]
    fn a_next_of_null_means_none_and_an_unknown_key_is_refused_by_name() {
        let node = json!({ "node_type": "webhook", "next": null });
        assert_eq!(serde_json::from_value::<Node>(node).unwrap().next(), None);
        for (node, key) in [
            (json!({ "node_type": "webhook", "nxt": "a" }), "nxt"),
            (json!({ "node_type": "status", "session_status": "Approved", "next": "a" }), "next"),
            (json!({ "node_type": "status", "session_status": "Perhaps" }), "Perhaps"),
            (json!({ "node_type": "branch", "branches": [{ "goto": "a", "ruls": [] }] }), "ruls"),
            (json!({ "node_type": "teleport" }), "teleport"),
        ] {
            let error = serde_json::from_value::<Node>(node).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
