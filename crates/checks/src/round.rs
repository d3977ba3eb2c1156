//! Runs the checks of a workflow: side by side where they can, each as soon as the facts it uses are there.
//!
//! A panic of one check is its failed finding and touches no other. What cannot
//! run is a failed finding, never a missing one.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use store::Tx;
use workflow::{Definition, Feature, Node, Verdict, judge};

use crate::{
    About, Carried, Check, Env, Gathered, Input, Ran, Submission,
    facts::{Fact, Facts},
    of,
};

/// Version of the results that a decision keeps. Those without one are of version 1: there a feature stood once in a
/// workflow. Since 2 every block belongs to the node that its `node_id` names. Readers take both.
pub const STORED_VERSION: u32 = 2;

/// What the checks of a workflow gave, by node.
pub struct Examined {
    definition: Definition,
    ran: BTreeMap<String, Ran>,
    /// What they told each other.
    pub facts: Facts,
}

impl Examined {
    /// Nothing yet.
    pub fn new(definition: Definition) -> Self {
        Self { definition, ran: BTreeMap::new(), facts: Facts::default() }
    }

    /// Every check of a workflow, failed for one reason.
    pub fn failed(definition: Definition, reason: &str) -> Self {
        let ran = definition
            .nodes
            .iter()
            .map(|node| (node.id.clone(), Ran::failed(node.feature, reason)))
            .collect();
        Self { ran, ..Self::new(definition) }
    }

    /// What a node's check gave.
    pub fn ran(&self, node: &str) -> Option<&Ran> {
        self.ran.get(node)
    }

    /// The same, to add to it.
    pub fn ran_mut(&mut self, node: &str) -> Option<&mut Ran> {
        self.ran.get_mut(node)
    }

    /// What the first node of a feature gave.
    pub fn of(&self, feature: Feature) -> Option<&Ran> {
        self.ran(&self.definition.node(feature)?.id)
    }

    /// The workflow whose checks these are.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Every run, in the order of the workflow.
    pub fn all(&self) -> impl Iterator<Item = &Ran> {
        self.definition.nodes.iter().filter_map(|node| self.ran.get(&node.id))
    }

    /// Whether some check of the workflow may give a fact, whether or not it did.
    pub fn may_give(&self, fact: Fact) -> bool {
        may_give(&self.definition, fact)
    }

    /// Whether some check of the workflow asks for a capture.
    pub fn asks(&self, capture: &str) -> bool {
        let asks = |node: &Node| {
            of(node.feature).is_some_and(|check| check.manifest().asks.iter().any(|name| name == capture))
        };
        self.definition.nodes.iter().any(asks)
    }

    /// Adds what a node's check gave.
    pub fn add(&mut self, node: &str, mut ran: Ran) {
        self.facts.add(std::mem::take(&mut ran.facts));
        self.ran.insert(node.to_owned(), ran);
    }

    /// The workflow with the settings under which the findings are judged.
    pub fn completed(&self, env: &Env) -> Definition {
        let mut definition = self.definition.clone();
        for node in &mut definition.nodes {
            if let Some(check) = of(node.feature) {
                check.complete(env, self, node);
            }
        }
        definition
    }

    /// What follows from the evidence, under completed settings.
    pub fn verdicts(&self, completed: &Definition) -> Vec<Verdict> {
        let judged = |node: &Node| self.ran(&node.id).map(|ran| judge(node, &ran.finding));
        completed.nodes.iter().filter_map(judged).collect()
    }

    /// Lets every check add what only the store can tell, and write what it keeps.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn settle(&mut self, tx: &mut Tx<'_>, about: &About<'_>) -> Result<(), store::Error> {
        for node in &self.definition.nodes {
            if let (Some(check), Some(ran)) = (of(node.feature), self.ran.get_mut(&node.id)) {
                check.look_up(tx, about, ran)?;
                check.settle(tx, about, ran)?;
            }
        }
        Ok(())
    }
}

/// Reads what the checks of a workflow need from the store, by node.
///
/// # Errors
/// When the store does not answer.
pub fn gather(
    tx: &mut Tx<'_>,
    about: &About<'_>,
    definition: &Definition,
) -> Result<BTreeMap<String, Gathered>, store::Error> {
    let mut gathered = BTreeMap::new();
    for node in &definition.nodes {
        if let Some(check) = of(node.feature) {
            gathered.insert(node.id.clone(), check.gather(tx, about, definition)?);
        }
    }
    Ok(gathered)
}

/// Runs every check of a workflow on what was handed in.
pub fn examine(
    env: &Env,
    definition: Definition,
    submission: &Submission,
    gathered: &BTreeMap<String, Gathered>,
) -> Examined {
    let (nothing, options) = (Gathered::default(), Carried::default());
    let mut out = Examined::new(definition.clone());
    let definition = &definition;
    let mut waiting: Vec<&Node> = definition.nodes.iter().collect();
    while !waiting.is_empty() {
        let (mut now, mut later): (Vec<_>, Vec<_>) =
            waiting.iter().copied().partition(|node| !waits(node, &waiting));
        if now.is_empty() {
            // Checks that wait for each other run in the order of the workflow, each with what there is.
            now = vec![later.remove(0)];
        }
        let ran: Vec<(&Node, Ran)> = {
            let facts = &out.facts;
            let run = |node: &Node| {
                let gathered = gathered.get(&node.id).unwrap_or(&nothing);
                run_one(env, &Input { definition, node, submission, facts, gathered, options: &options })
            };
            let Some((first, others)) = now.split_first() else { break };
            let run = &run;
            std::thread::scope(|scope| {
                let spawned = others.iter().copied().map(|node| (node, scope.spawn(move || run(node))));
                let threads: Vec<_> = spawned.collect();
                let mut ran = vec![(*first, run(first))];
                ran.extend(threads.into_iter().map(|(node, thread)| {
                    (node, thread.join().unwrap_or_else(|_| Ran::failed(node.feature, BROKE_OFF)))
                }));
                ran
            })
        };
        for (node, ran) in ran {
            out.add(&node.id, ran);
        }
        waiting = later;
    }
    out
}

/// Where it happened stands in the log; the panic's text itself could hold data of a person.
const BROKE_OFF: &str = "the check broke off; see the log";

/// Runs a check; what it does not survive is a failed finding.
pub fn run_one(env: &Env, input: &Input<'_>) -> Ran {
    let feature = input.node.feature;
    let Some(check) = of(feature) else {
        return Ran::failed(feature, "this program has no such check");
    };
    guarded(check, env, input)
}

pub(crate) fn guarded(check: &dyn Check, env: &Env, input: &Input<'_>) -> Ran {
    catch_unwind(AssertUnwindSafe(|| check.run(env, input)))
        .unwrap_or_else(|_| Ran::failed(input.node.feature, BROKE_OFF))
}

/// Whether some check of a workflow may give a fact.
pub fn may_give(definition: &Definition, fact: Fact) -> bool {
    definition.nodes.iter().any(|node| gives(node).contains(&fact))
}

fn gives(node: &Node) -> &'static [Fact] {
    match of(node.feature) {
        Some(check) => &check.manifest().facts.gives,
        None => &[],
    }
}

/// Whether a check that has not run yet may give something that this one uses.
fn waits(node: &Node, waiting: &[&Node]) -> bool {
    let Some(check) = of(node.feature) else { return false };
    let uses: BTreeSet<Fact> = check.manifest().facts.uses.iter().copied().collect();
    waiting
        .iter()
        .filter(|other| other.id != node.id)
        .any(|other| gives(other).iter().any(|fact| uses.contains(fact)))
}
