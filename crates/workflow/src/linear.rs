//! A list of checks in order, as the simple workflow API has it, as a graph.

use crate::graph::{CheckName, Ending, Graph, Node, NodeId, Settings};

/// The graph that passes the checks in order and ends as they say.
pub fn linear(checks: impl IntoIterator<Item = (NodeId, CheckName, Settings)>) -> Graph {
    let checks: Vec<_> = checks.into_iter().collect();
    let mut end = "end".to_owned();
    while checks.iter().any(|(id, _, _)| id.as_str() == end) {
        end.push('_');
    }
    let mut next = NodeId::from(end);
    let status = Node::Status { session_status: Ending::ByChecks };
    let mut nodes = std::collections::BTreeMap::from([(next.clone(), status)]);
    for (id, feature, config) in checks.into_iter().rev() {
        let node = Node::Feature { feature, config, label: None, branches: Vec::new(), next: Some(next) };
        nodes.insert(id.clone(), node);
        next = id;
    }
    Graph { start_node: next, nodes }
}
