//! Finds, aligns, judges and compares faces; searches, liveness and age.
//!
//! [`Engine`] is a models folder opened for faces: picture → [`Face`]s →
//! [`Template`]s → [`Similarity`]. A score is calibrated ([`Calibration`]): a
//! threshold on it means an error rate. Everything here is a function of
//! pixels; nothing is stored, and a result that could not be computed is an
//! absence or an error, never a pass.

pub mod active;
pub mod age;
mod align;
mod detect;
mod embed;
mod engine;
pub mod index;
mod mesh;
pub mod passive;
mod pixels;
pub mod quality;
pub mod score;
pub mod signals;

pub use align::{Jitter, Template as Frame};
pub use embed::{Effort, EmbedderSpec, Metric, Template};
pub use engine::{Band, Engine, Face, FaceError, Similarity, calibration_file};
pub use index::{ExactIndex, FaceIndex};
pub use mesh::{Mesh, Pose};
pub use passive::{Passive, PassiveLiveness};
pub use quality::Quality;
pub use score::Calibration;
