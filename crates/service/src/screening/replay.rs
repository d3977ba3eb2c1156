//! Repeats an earlier screening on the list versions it was made with: the same bytes, or a reason why not.

use serde_json::Value;
use store::SessionId;

use aml::lists::ListVersion;

use super::{Asked, NotRepeatable, Record, digest, review::screened_of};
use crate::{
    Service,
    access::Access,
    pool::{PoolError, Work},
    sessions::audit_session,
};

/// A screening that was repeated.
#[derive(Debug, Clone)]
pub struct Repeated {
    /// The block, byte for byte what was answered then.
    pub block: Value,
    /// Whether its digest is the one that was kept; `None` when none was.
    pub identical: Option<bool>,
}

/// Why nothing was repeated.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// No such session, or it was not screened.
    #[error("no such screening")]
    NotFound,
    /// It cannot be repeated here.
    #[error(transparent)]
    NotRepeatable(#[from] NotRepeatable),
    /// The queue is full.
    #[error("too many checks are waiting")]
    Busy,
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Service {
    /// Repeats the screening of a saved request or session.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub async fn replay_session(&self, access: &Access, id: SessionId) -> Result<Repeated, ReplayError> {
        let access = access.clone();
        let record = self
            .store
            .write(move |tx| {
                let Some(session) = tx.sessions(access.application).find(id)? else { return Ok(None) };
                audit_session(tx, access.application, &access.actor(), "aml.replay", id, None)?;
                let decision = session.decision.map(|decision| decision.0).unwrap_or_default();
                Ok::<_, store::Error>(screened_of(&decision).and_then(|screened| screened.record))
            })
            .await?;
        self.repeat(record.ok_or(ReplayError::NotFound)?).await
    }

    /// Repeats a question on the given list versions.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub async fn replay_question(
        &self,
        asked: Asked,
        engine_version: String,
        list_versions: Vec<ListVersion>,
    ) -> Result<Repeated, ReplayError> {
        let record =
            Record { asked, memory: Vec::new(), list_versions, engine_version, digest: String::new() };
        self.repeat(record).await
    }

    async fn repeat(&self, record: Record) -> Result<Repeated, ReplayError> {
        let lists = std::sync::Arc::clone(&self.lists);
        let repeated = self
            .pool
            .run(Work::Search, move || {
                let screener = lists.screener_of(&record.engine_version, &record.list_versions)?;
                let block = record.asked.block(&screener, &record.memory);
                let identical = (!record.digest.is_empty()).then(|| digest(&block) == record.digest);
                Ok::<_, NotRepeatable>(Repeated { block, identical })
            })
            .await;
        match repeated {
            Ok(repeated) => Ok(repeated?),
            Err(PoolError::Busy) => Err(ReplayError::Busy),
            Err(broken) => Err(NotRepeatable::Io(std::io::Error::other(broken)).into()),
        }
    }
}
