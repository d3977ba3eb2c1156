//! Loads neural networks from one manifest and runs them behind one trait.
//!
//! [`Models`] is an opened folder of models: what `models/manifest.toml` names
//! and [`install`] put there, what an operator added, and our own nets, which
//! are part of the program. A net runs on ONNX Runtime when its library lies in
//! the folder, else on `rten`, which is compiled in. Nothing here touches the
//! network but [`install`], and that only through pip and npm; [`quiet`] says how
//! the runtime's library is kept from it.

mod backend;
pub mod convert;
pub mod install;
mod lanes;
mod manifest;
mod metadata;
mod models;
pub mod quiet;
pub mod recipe;

pub use backend::{Net, RunError, Runtime, Tensor};
pub use manifest::{Client, Conversion, Kind, Manifest, ManifestError, ModelEntry, Package, Part};
pub use metadata::onnx_metadata;
pub use models::{LoadError, Models, OpenError, Options, Presence};
