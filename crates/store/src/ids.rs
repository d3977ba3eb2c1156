//! Gives every kind of row its own id type, so that two kinds can never be swapped.
//!
//! All are UUIDs and print as such, because the HTTP API that we speak has bare
//! UUIDs. New ones are version 7: their first 48 bits are the time, which keeps
//! index pages together. They are names, never credentials.

use crate::value::{Bind, FromColumn, Value, ValueRef};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(out)
            }
        }
        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
        impl Bind for $name {
            fn bind(&self) -> Value<'_> {
                self.0.bind()
            }
        }
        impl FromColumn for $name {
            fn from_column(value: ValueRef<'_>) -> Option<Self> {
                Uuid::from_column(value).map(Self)
            }
        }
    )+};
}

ids! {
    /// A tenant: everything below belongs to one.
    ApplicationId,
    /// An API key's public name (not the key).
    ApiKeyId,
    /// A workflow, over all its versions.
    WorkflowId,
    /// A person or company whom an application wants verified; owns a key.
    SubjectId,
    /// One verification.
    SessionId,
    /// One uploaded or derived file.
    ObjectId,
    /// One run of one check.
    CheckId,
    /// One consent.
    ConsentId,
    /// One job.
    JobId,
    /// One outgoing event.
    EventId,
    /// A webhook destination.
    DestinationId,
    /// One event on its way to one destination.
    DeliveryId,
    /// A list of values or faces.
    ListId,
    /// An entry of a list.
    EntryId,
    /// An enrolled face.
    TemplateId,
    /// A reviewer's note.
    ReviewId,
}

/// A version 7 UUID from a time and random bytes.
pub(crate) fn new_uuid(now: crate::Time, random: &dyn crate::Random) -> Uuid {
    let mut bytes = [0u8; 10];
    random.fill(&mut bytes);
    let millis = u64::try_from(now.micros() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}
