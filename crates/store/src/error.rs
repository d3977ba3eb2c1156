//! Names what can go wrong in the store, from the view of the service above it.

/// The cause of an error, whatever the engine or library behind it.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// What the store was doing when it failed. The cause is in `source()`; no text holds personal data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database cannot be reached or is being restarted. Answer 503 and try again.
    #[error("database is unavailable")]
    Unavailable(#[source] Source),
    /// The disk is full. Answer 507 or 503; reads still work.
    #[error("storage is full")]
    Full(#[source] Source),
    /// Another transaction was in the way (deadlock, lock timeout). Answer 503 and try again.
    #[error("database is busy")]
    Busy(#[source] Source),
    /// A unique key exists already. `constraint` names it as the engine does.
    #[error("row exists already ({constraint})")]
    Conflict {
        /// The violated constraint, as the engine names it.
        constraint: String,
    },
    /// The row changed since it was read; nothing was written.
    #[error("row was changed by another transaction")]
    Stale,
    /// A statement failed for another reason: a defect.
    #[error("statement failed")]
    Statement(#[source] Source),
    /// A statement of this transaction failed before; the transaction writes nothing.
    #[error("transaction was already broken by a failed statement")]
    Broken,
    /// The commit was not confirmed. What was written may or may not stand.
    #[error("transaction was not confirmed")]
    Commit(#[source] Source),
    /// A column held something its type does not allow.
    #[error("column {index} holds an unexpected value")]
    Column {
        /// Position in the select list, from 0.
        index: usize,
    },
    /// A sealed value does not open: it was changed, moved to another row, or its key is wrong.
    #[error("sealed value does not open")]
    Seal,
    /// The subject's key was destroyed by an erasure, or never existed.
    #[error("subject has no key")]
    NoSubjectKey,
    /// The root key is missing, malformed, readable by others, or not the one this database was made with.
    #[error("root key: {0}")]
    RootKey(String),
    /// A value does not encode to, or decode from, the JSON its column holds.
    #[error("stored document is malformed")]
    Json(#[source] serde_json::Error),
    /// A blob could not be written or read.
    #[error("blob store failed")]
    Blob(#[source] Source),
    /// Files of the data folder could not be made or read.
    #[error("data folder: {0}")]
    Folder(String, #[source] Source),
    /// The settings name something the store does not have.
    #[error("configuration: {0}")]
    Config(String),
    /// The database was written by a newer program.
    #[error("database has schema version {found}, this program knows up to {known}")]
    Newer {
        /// Version in the database.
        found: i64,
        /// Newest version this program has.
        known: i64,
    },
    /// A closure panicked; its writes were rolled back.
    #[error("transaction panicked")]
    Panicked,
    /// The queue in front of the database is full. Answer 503 and try again.
    #[error("too many transactions are waiting")]
    Overloaded,
    /// The store was closed.
    #[error("store is closed")]
    Closed,
    /// A fail point that a test has set.
    #[error("injected failure at {0}")]
    Injected(&'static str),
}

impl Error {
    /// Whether the same request may work in a moment (answer 503 with `Retry-After`).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_)
                | Self::Full(_)
                | Self::Busy(_)
                | Self::Commit(_)
                | Self::Overloaded
                | Self::Closed
        )
    }

    /// Whether a unique key was violated.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

/// The store's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
