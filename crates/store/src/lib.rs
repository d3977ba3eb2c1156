//! Keeps rows, blobs, keys, jobs, events and the audit log on SQLite or PostgreSQL.
//!
//! ```no_run
//! # async fn example() -> Result<(), store::Error> {
//! let store = store::Store::open(store::Config::in_folder("data")).await?;
//! let name = store
//!     .write(|tx| {
//!         let application = tx.create_application("Example", "live", serde_json::json!({}))?;
//!         tx.audit(&store::audit::Entry { actor: "system", action: "application.create", object: "…", ..Default::default() })?;
//!         Ok::<_, store::Error>(application.name)
//!     })
//!     .await?; // here the commit is on the disk
//! # Ok(()) }
//! ```
//!
//! A transaction is a closure that runs on a database thread. On SQLite all closures that wait share one commit
//! (see [`sqlite`](Dialect::Sqlite)); on PostgreSQL each has its own, and the server groups them. The closure's
//! error, a panic, or any failed statement undoes its writes alone. Both engines run the same statements.
//!
//! Where to look next: [`Tx`] for what a transaction can do, [`keys`] for how personal data is sealed, [`audit`] for
//! the log, [`rows`] for the tables.

#[macro_use]
mod macros;
#[macro_use]
mod value;
pub mod audit;
mod blobs;
mod clock;
mod error;
pub mod fail;
mod ids;
pub mod keys;
mod migrate;
mod postgres;
mod queue;
pub mod rows;
mod secret;
mod sqlite;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tx;

#[cfg(test)]
mod tests;

pub use blobs::{BlobId, Blobs};
pub use clock::{Clock, Random, SeededRandom, SystemClock, SystemRandom, TestClock, Time};
pub use error::{Error, Result, Source};
pub use ids::{
    ApiKeyId, ApplicationId, CheckId, ConsentId, DeliveryId, DestinationId, EntryId, EventId, JobId, ListId,
    ObjectId, ReviewId, SessionId, SubjectId, TemplateId, WorkflowId,
};
pub use keys::{ApplicationKey, Key, SubjectKey, sha256};
pub use rows::api_keys::ApiKey;
pub use rows::applications::Application;
pub use rows::sessions::Session;
pub use rows::subjects::Subject;
pub use rows::workflows::Workflow;
pub use secret::{Pii, Secret};
pub use store::{Config, GarbageReport, Health, RootKey, Store};
pub use tx::{Dialect, Tx};
pub use value::{Bind, FromColumn, Row, Value, ValueRef};

/// A TEXT column that holds a JSON list.
pub(crate) fn json_list<T: serde::de::DeserializeOwned>(row: &Row<'_>, index: usize) -> Result<Vec<T>> {
    let text: String = row.get(index)?;
    serde_json::from_str(&text).map_err(Error::Json)
}

/// JSON for a TEXT column.
pub(crate) fn json_of(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::Json)
}
