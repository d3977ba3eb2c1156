//! Decides from signals and settings what a session must do next and how it ends.
//!
//! Everything here is a pure function of its input: no I/O, no clock, no
//! randomness. `service` collects findings, asks [`judge`] and [`decide`], and
//! stores the answer. The rule that holds everywhere: a check that failed, was
//! not evaluated or gave a score that is not a number never ends as `Approved`.
//!
//! Two engines stand side by side until `service` moves: the straight line of [`Definition`], and the graph of
//! [`graph`], [`mod@validate`], [`mod@plan`] and [`mod@conclude`], which knows no check by name (`docs/design/engine.md`).

pub mod catalogue;
pub mod conclude;
pub mod condition;
pub mod facts;
pub mod graph;
pub mod linear;
pub mod plan;
pub mod state;
pub mod validate;

mod decide;
mod definition;
mod judge;
mod name;
mod nearest;
pub mod settings;
mod status;
mod step;

pub use decide::decide;
pub use definition::{AmlConfig, Definition, Feature, InvalidDefinition, LivenessMethod, Node, NodeConfig};
pub use judge::{CheckState, Finding, Verdict, Warning, judge};
pub use nearest::nearest;
pub use settings::DocumentsAllowed;
pub use status::{Event, FeatureStatus, NotAllowed, SessionStatus, transition};
pub use step::{Capture, Progress, Step, next_step};
