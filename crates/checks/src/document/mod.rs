//! Reads an identity document and judges whether it is genuine and whose it is.
//!
//! The reading itself is the crate `document`. Here it is joined with what the
//! owner expects (`expected`), with the second portrait on the page (`ghost`),
//! and with what other sessions showed (`reuse`, `blocklist`).

mod block;
mod blocklist;
mod expected;
mod ghost;
mod proven;
mod reuse;
mod run;
mod stored;

use std::sync::LazyLock;

use store::Tx;
use workflow::Node;

pub use self::{
    block::{Block, code_of},
    blocklist::ENTRY_TYPE,
    ghost::PortraitSearch,
    reuse::number_of,
    stored::identity as stored_identity,
};
use crate::{
    About, Check, Env, Examined, Input, Manifest, Ran,
    facts::{Fact, Source},
    manifest,
};

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| manifest::read(include_str!("manifest.toml")));

/// The check.
pub struct Document;

impl Check for Document {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn docs(&self) -> &'static str {
        include_str!("docs.md")
    }

    fn texts(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("en", include_str!("texts/en.toml")),
            ("de", include_str!("texts/de.toml")),
            ("es", include_str!("texts/es.toml")),
            ("fr", include_str!("texts/fr.toml")),
        ]
    }

    fn run(&self, env: &Env, input: &Input<'_>) -> Ran {
        run::run(env, input)
    }

    /// The issuer's signature and the chip's own key say more about a document than any look at a picture of it. Where
    /// faces are compared, that holds only with the chip's own portrait compared: else the printed one could be
    /// anybody's.
    fn complete(&self, _: &Env, examined: &Examined, node: &mut Node) {
        let facts = &examined.facts;
        let portrait_seen = !examined.may_give(Fact::Comparison)
            || facts.comparison.is_some_and(|comparison| comparison.with == Source::Chip);
        if facts.chip_proof.is_some() && portrait_seen {
            proven::soften(node);
        }
    }

    /// What other sessions showed.
    fn look_up(&self, tx: &mut Tx<'_>, about: &About<'_>, ran: &mut Ran) -> Result<(), store::Error> {
        if let Some(shown) = ran.carried.get::<reuse::Shown>().filter(|shown| shown.counts(about)) {
            ran.finding.signals.extend(reuse::signals(tx, about, shown)?);
        }
        Ok(())
    }

    fn settle(&self, tx: &mut Tx<'_>, about: &About<'_>, ran: &Ran) -> Result<(), store::Error> {
        match (ran.carried.get::<reuse::Shown>().filter(|shown| shown.counts(about)), about.session) {
            (Some(shown), Some(session)) => reuse::keep(tx, session, shown),
            _ => Ok(()),
        }
    }
}
