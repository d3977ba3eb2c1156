//! Compares the selfie with the portrait of the document, of its chip, or with the one kept of a returning person.

mod returning;
mod run;

use std::sync::LazyLock;

use store::Tx;
use workflow::{Definition, Node};

use crate::{
    About, Check, Env, Examined, Gathered, Input, Manifest, Ran,
    facts::Fact,
    manifest::{self, Thresholds},
    round::may_give,
};

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| manifest::read(include_str!("manifest.toml")));

/// Name under which the portrait kept of a returning person is looked for.
const KEPT: &str = "kept_portrait";

/// The check.
pub struct FaceMatch;

impl Check for FaceMatch {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn docs(&self) -> &'static str {
        include_str!("docs.md")
    }

    fn gather(
        &self,
        tx: &mut Tx<'_>,
        about: &About<'_>,
        definition: &Definition,
    ) -> Result<Gathered, store::Error> {
        let kept = match about.session.filter(|_| !may_give(definition, Fact::Portrait)) {
            Some(session) => returning::kept_portrait(tx, session)?,
            None => None,
        };
        Ok(Gathered {
            objects: kept.into_iter().map(|object| (KEPT, object)).collect(),
            ..Gathered::default()
        })
    }

    fn run(&self, env: &Env, input: &Input<'_>) -> Ran {
        run::run(&env.engines, input)
    }

    /// Without thresholds of the owner those hold that were measured for the models in use.
    fn complete(&self, env: &Env, _: &Examined, node: &mut Node) {
        let measured = env.engines.faces().ok().map(|engine| Thresholds {
            decline: engine.calibration().decline_below,
            review: engine.calibration().approve_from,
        });
        crate::check::complete_thresholds(node, measured);
    }
}
