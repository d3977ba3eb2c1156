//! Screens people and organisations against watch-lists and explains every hit.
//!
//! [`import`] reads the publishers' formats, [`lists`] keeps versions of them,
//! [`index`] makes one searchable file, [`Screener`] answers queries, [`monitor`]
//! carries list changes to stored customers. Nothing here looks at the clock or the
//! network: times come from the caller.

mod countries;
mod dates;
pub mod didit;
mod facts;
pub mod import;
pub mod index;
pub mod lists;
mod model;
pub mod monitor;
pub mod ndjson;
pub mod ofac;
pub mod profile;
mod reach;
pub mod reconcile;
mod retrieve;
pub mod score;
mod screen;
mod search;
pub mod yente;

pub use countries::code as country_code;
pub use dates::{DateRange, DateRelation};
pub use model::{CountryLink, Entity, Identifier, ListedName, NameKind, Schema, normal_identifier};
pub use profile::{Method, Profile};
pub use screen::{
    AlignedTokens, ENGINE_VERSION, Evidence, Hit, INDEX_FILE, PairScore, Query, Ranked, Screener, Screening,
    compare_entries, compare_pair, name_log_odds,
};
