//! Holds the use cases: start a session, take a submission, run checks, decide, erase.
//!
//! It owns the transactions and knows no HTTP. Rules without I/O stand in
//! `workflow`; rows and blobs in `store`; the checks themselves in `checks`.
//! Every change is one transaction with its event and its audit row.

pub mod access;
pub mod active;
pub mod chip;
pub mod consent;
mod decision;
mod document_blocklist;
pub mod face_again;
pub mod face_lists;
pub mod face_search;
pub mod hosted;
mod housekeeping;
pub mod idempotency;
mod jobs;
mod media;
mod pool;
pub mod screening;
pub mod sessions;
pub mod setup;
pub mod standalone;
pub mod workflows;

use std::sync::Arc;

use store::{Store, Time};

pub use checks::{Engines, EnginesError, age::rule as age};

pub use crate::{housekeeping::Swept, pool::Load};

/// All use cases, over one store and one set of engines. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub(crate) store: Store,
    pub(crate) engines: Arc<Engines>,
    pub(crate) pool: pool::CpuPool,
    pub(crate) lists: Arc<screening::WatchLists>,
    pub(crate) people: Arc<screening::WatchedPeople>,
    pub(crate) trust: Arc<chip::trust::TrustFiles>,
    pub(crate) conversations: Arc<chip::relay::Conversations>,
    pub(crate) galleries: Arc<face_search::Galleries>,
    keys: Arc<access::KeyCache>,
}

impl Service {
    /// A service over an opened store; `engines` may lack models, then checks that need them say so. Facts that the
    /// operator imports lie in `data_dir`: watch-lists in `aml`, trusted chip issuers in `chip`.
    pub fn new(store: Store, engines: Engines, data_dir: &std::path::Path) -> Self {
        Self {
            store,
            engines: Arc::new(engines),
            pool: pool::CpuPool::of_this_machine(),
            lists: Arc::new(screening::WatchLists::in_folder(data_dir.join("aml"))),
            people: Arc::default(),
            trust: Arc::new(chip::trust::TrustFiles::in_folder(data_dir.join("chip"))),
            conversations: Arc::default(),
            galleries: Arc::default(),
            keys: Arc::default(),
        }
    }

    /// The present moment, by the store's clock.
    pub fn now(&self) -> Time {
        self.store.clock().now()
    }

    /// The store, for commands of the operator.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The engines behind the checks.
    pub fn engines(&self) -> &Arc<Engines> {
        &self.engines
    }

    /// What checks may use now.
    pub(crate) fn env(&self, sandbox: bool) -> checks::Env {
        checks::Env {
            engines: Arc::clone(&self.engines),
            today: date_of(self.now()),
            specimens_allowed: sandbox,
            lists: self.lists.clone(),
        }
    }

    /// How busy the cores are.
    pub fn load(&self) -> Load {
        self.pool.load()
    }

    /// Whether the database answers.
    pub async fn is_ready(&self) -> bool {
        self.store.read(|tx| tx.applications().map(|_| ())).await.is_ok()
    }
}

/// RFC 3339 in UTC, for answers.
pub(crate) fn rfc3339(time: Time) -> String {
    jiff::Timestamp::from_microsecond(time.micros()).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// The civil date in UTC.
pub(crate) fn date_of(time: Time) -> jiff::civil::Date {
    let timestamp = jiff::Timestamp::from_microsecond(time.micros()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    timestamp.to_zoned(jiff::tz::TimeZone::UTC).date()
}
