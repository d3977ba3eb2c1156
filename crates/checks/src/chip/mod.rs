//! Verifies the files of a document's chip: passive authentication, and what DG1 says.
//!
//! A chip is read through the relay while the person is on the page; what was
//! read and judged there is stored ([`Kept`]). Here it becomes evidence, held
//! against the identity that was read on the document.

mod block;
mod run;

use std::sync::LazyLock;

pub use self::{
    block::{Block, Groups, pictures, shown},
    run::Kept,
};
use crate::{Check, Env, Input, Manifest, Ran, manifest};

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| manifest::read(include_str!("manifest.toml")));

/// The check.
pub struct Chip;

impl Check for Chip {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn docs(&self) -> &'static str {
        include_str!("docs.md")
    }

    fn run(&self, env: &Env, input: &Input<'_>) -> Ran {
        run::run(env, input)
    }
}
