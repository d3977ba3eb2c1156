//! Which graphs are valid, what the complaints say, and that the witness of a complaint is one.

use serde_json::json;
use workflow::{
    catalogue::Catalogue,
    graph::{Graph, Node, NodeId},
    validate::{Complaint, Problem, validate},
};

use crate::{
    random::{self, Random},
    reference,
    sample::Sample,
};

fn graph(start: &str, nodes: serde_json::Value) -> Graph {
    serde_json::from_value(json!({ "start_node": start, "nodes": nodes })).unwrap()
}

fn complaints(graph: &Graph) -> Vec<Complaint> {
    validate(graph, &Sample::new()).err().unwrap_or_default()
}

/// Complaints as `node: sentence (path)`.
fn texts(graph: &Graph) -> Vec<String> {
    let text = |complaint: &Complaint| {
        let node = complaint.node.as_ref().map_or("graph", NodeId::as_str).to_owned();
        let path: Vec<&str> = complaint.path.iter().map(NodeId::as_str).collect();
        let path = if path.is_empty() { String::new() } else { format!(" ({})", path.join(" > ")) };
        format!("{node}: {complaint}{path}")
    };
    complaints(graph).iter().map(text).collect()
}

fn end() -> serde_json::Value {
    json!({ "node_type": "status", "session_status": "Determine" })
}

fn check(feature: &str, next: &str) -> serde_json::Value {
    json!({ "node_type": "feature", "feature": feature, "next": next })
}

#[test]
fn a_graph_with_a_fork_and_a_check_that_stands_twice_is_valid() {
    let graph = graph(
        "one",
        json!({
            "one": check("DOCUMENT", "fork"),
            "fork": { "node_type": "branch", "next": "lists", "branches": [
                { "goto": "two", "rules": [{ "field": "document.status", "operator": "not_equals", "value": "Approved" }] } ] },
            "two": check("DOCUMENT", "lists"),
            "lists": check("LISTS", "end"),
            "end": end(),
        }),
    );
    assert_eq!(texts(&graph), [""; 0]);
}

#[test]
fn the_complaint_names_node_path_and_missing_fact() {
    let graph = graph(
        "fork",
        json!({
            "fork": { "node_type": "branch", "next": "selfie", "branches": [
                { "goto": "document", "rules": [{ "field": "owner.name", "operator": "is_not_empty" }] } ] },
            "document": check("DOCUMENT", "selfie"),
            "selfie": check("SELFIE", "lists"),
            "lists": check("LISTS", "age"),
            "age": check("AGE", "end"),
            "end": end(),
        }),
    );
    // The age needs a face or an identity: the selfie of every path gives a face.
    assert_eq!(
        texts(&graph),
        ["lists: the check needs identity, and nothing on this path gives it (fork > selfie > lists)"]
    );
}

#[test]
fn a_fact_that_only_another_way_gives_is_missing_at_the_fork_unless_it_is_optional() {
    let fork = |field: &str| {
        graph(
            "a",
            json!({
                "a": { "node_type": "branch", "next": "network", "branches": [
                    { "goto": "document", "rules": [{ "field": "owner.name", "operator": "is_empty" }] } ] },
                "document": check("DOCUMENT", "b"),
                "network": check("NETWORK", "b"),
                "b": { "node_type": "branch", "next": "end", "branches": [
                    { "goto": "end", "rules": [{ "field": field, "operator": "is_empty" }] } ] },
                "end": end(),
            }),
        )
    };
    assert_eq!(
        texts(&fork("country")),
        ["b: the field 'country' is not given on this path (a > network > b)"]
    );
    assert_eq!(texts(&fork("middle_name")), [""; 0]);
    assert_eq!(texts(&fork("contry")), ["b: nothing before this fork gives the field 'contry'"]);
}

#[test]
fn every_complaint_is_collected_not_only_the_first() {
    let graph = graph(
        "a",
        json!({
            "a": check("DOCUMENT", "b"),
            "b": { "node_type": "branch", "next": "d", "branches": [
                { "rules": [], "goto": "c" },
                { "goto": "nowhere", "rules": [
                    { "field": "age", "operator": "regex", "value": "1.*" },
                    { "field": "document.status", "operator": "equals", "value": "Aproved" } ] } ] },
            "c": { "node_type": "feature", "feature": "MIND_READING" },
            "d": { "node_type": "feature", "feature": "SELFIE", "config": { "trashold": 3 }, "next": "a" },
            "e": { "node_type": "action", "action": "explode", "next": "f" },
            "f": end(),
        }),
    );
    assert_eq!(
        texts(&graph),
        [
            "a: the way comes back to this node (a > b > d > a)",
            "b: the way leads to 'nowhere', which does not exist (a > b)",
            "b: arm 2 is never taken, because an arm before it has no rules",
            "b: next is never taken, because an arm has no rules",
            "b: the rule on 'age' cannot be used: regex cannot be used with a number",
            "b: the rule on 'document.status' cannot be used: the value must be one of: Approved, In Review, Declined",
            "c: there is no check 'MIND_READING'",
            "c: the way ends here without a status (a > b > c)",
            "d: there is no setting 'trashold'",
            "e: there is no action 'explode'",
            "e: no way leads to this node",
            "f: no way leads to this node",
        ]
    );
}

#[test]
fn a_graph_without_a_start_a_fork_without_otherwise_and_an_approval_without_a_check_are_refused() {
    assert_eq!(texts(&graph("a", json!({}))), ["graph: the start node 'a' does not exist"]);
    let unchecked = graph(
        "a",
        json!({
            "a": { "node_type": "branch", "branches": [
                { "goto": "b", "rules": [{ "field": "owner.name", "operator": "is_empty" }] } ] },
            "b": { "node_type": "status", "session_status": "Approved" },
        }),
    );
    assert_eq!(
        texts(&unchecked),
        [
            "a: a way is missing for the case that no rule holds: a last arm without rules, or next (a)",
            "b: this path can approve, and no check stands on it (a > b)",
        ]
    );
}

#[test]
fn the_limits_hold() {
    let chain = |count: usize| {
        workflow::linear::linear(
            (0..count).map(|index| (format!("n{index:04}").into(), "NETWORK".into(), Default::default())),
        )
    };
    assert_eq!(texts(&chain(100)), [""; 0]);
    assert_eq!(texts(&chain(101)), ["n0100: checks on a path: at most 100"]);
    assert_eq!(texts(&chain(501))[0], "graph: nodes: at most 500");
    let rule = json!({ "field": "document.status", "operator": "is_empty" });
    let arm = |rules: usize| json!({ "goto": "end", "rules": vec![rule.clone(); rules] });
    let wide = |arms: Vec<serde_json::Value>| {
        graph(
            "a",
            json!({
                "a": { "node_type": "feature", "feature": "DOCUMENT", "branches": arms, "next": "end" },
                "end": end(),
            }),
        )
    };
    assert_eq!(texts(&wide(vec![arm(50); 50])), [""; 0]);
    assert_eq!(texts(&wide(vec![arm(1); 51])), ["a: arms: at most 50"]);
    assert_eq!(texts(&wide(vec![arm(51)])), ["a: rules of an arm: at most 50"]);
}

#[test]
fn a_large_graph_with_more_paths_than_atoms_is_validated() {
    // 150 forks in a row: 2^150 paths.
    let mut nodes = serde_json::Map::new();
    for index in 0..150 {
        let fork = json!({ "node_type": "branch", "next": format!("b{index}"), "branches": [
            { "goto": format!("c{index}"), "rules": [{ "field": "owner.name", "operator": "is_empty" }] } ] });
        nodes.insert(format!("a{index}"), fork);
        for side in ["b", "c"] {
            let feature = if index == 0 { "SELFIE" } else { "NETWORK" };
            let node = if index % 10 == 0 {
                check(feature, &format!("a{}", index + 1))
            } else {
                json!({ "node_type": "webhook", "next": format!("a{}", index + 1) })
            };
            nodes.insert(format!("{side}{index}"), node);
        }
    }
    nodes.insert("a150".into(), check("LISTS", "end"));
    nodes.insert("end".into(), end());
    let found = complaints(&graph("a0", nodes.into()));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(matches!(found[0].problem, Problem::Missing(_)));
    assert_eq!(found[0].path.len(), 301);
}

/// Whether a path leads from the start along edges of the graph.
fn is_path(graph: &Graph, path: &[NodeId]) -> bool {
    path.first() == Some(&graph.start_node) && edges_exist(graph, path)
}

fn edges_exist(graph: &Graph, path: &[NodeId]) -> bool {
    path.windows(2).all(|pair| graph.nodes[&pair[0]].exits().any(|next| *next == pair[1]))
}

fn supplies(graph: &Graph, catalogue: &Sample, id: &NodeId, facts: &[workflow::facts::FactName]) -> bool {
    match &graph.nodes[id] {
        Node::Feature { feature, config, .. } => {
            catalogue.check(feature, config).is_ok_and(|shape| facts.iter().any(|fact| shape.supplies(fact)))
        }
        _ => false,
    }
}

#[test]
fn validation_agrees_with_walking_every_path_and_each_witness_lacks_what_the_complaint_says() {
    let catalogue = Sample::new();
    let (mut valid, mut refused, mut witnesses, mut circles) = (0, 0, 0, 0);
    for seed in 0..40_000_u64 {
        let mut random = Random(seed ^ 0xabcd_0000);
        let graph = random::graph(&mut random, seed % 2 == 0);
        let result = validate(&graph, &catalogue);
        assert_eq!(result.is_ok(), reference::is_valid(&graph, &catalogue), "{graph:#?}\n{result:#?}");
        let Err(found) = result else {
            valid += 1;
            continue;
        };
        refused += 1;
        for Complaint { node, path, problem } in found {
            let before = &path[..path.len().saturating_sub(1)];
            match problem {
                Problem::Missing(group) => {
                    assert!(is_path(&graph, &path) && path.last() == node.as_ref());
                    assert!(!before.iter().any(|id| supplies(&graph, &catalogue, id, &group.0)));
                    witnesses += 1;
                }
                Problem::FieldMissing(field) => {
                    assert!(is_path(&graph, &path) && path.last() == node.as_ref());
                    assert!(!path.iter().any(|id| supplies(
                        &graph,
                        &catalogue,
                        id,
                        std::slice::from_ref(&field)
                    )));
                    witnesses += 1;
                }
                Problem::NothingChecked => {
                    assert!(is_path(&graph, &path));
                    assert!(!path.iter().any(|id| matches!(graph.nodes[id], Node::Feature { .. })));
                    witnesses += 1;
                }
                Problem::Circle => {
                    assert!(path.len() > 1 && path.first() == path.last() && edges_exist(&graph, &path));
                    circles += 1;
                }
                _ => {}
            }
        }
    }
    println!("{valid} graphs valid, {refused} refused, {witnesses} witnesses, {circles} circles");
    assert!(valid > 1_000 && refused > 1_000 && witnesses > 1_000 && circles > 100);
}
