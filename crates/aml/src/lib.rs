//! Screens people and organisations against watch-lists and explains every hit.

mod countries;
mod dates;
pub mod import;
pub mod index;
mod model;
pub mod score;
mod screen;
mod search;

pub use countries::code as country_code;
pub use dates::{DateRange, DateRelation};
pub use model::{CountryLink, Entity, Identifier, ListedName, NameKind, Schema, normal_identifier};
pub use screen::{Evidence, Hit, PairScore, Query, Screener, Screening, compare_pair};
