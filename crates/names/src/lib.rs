//! Compares names of people and organisations across scripts and spellings.
//!
//! [`analyse`] cuts a name into tokens and finds for each its romanised form, its
//! sound, its consonants and the groups of equivalent parts it belongs to;
//! [`compare`] holds two tokens against each other. How much an agreement is worth
//! depends on how common the token is and is the caller's to weigh (crate `aml`).
//!
//! ```
//! use names::{Kind, analyse, compare};
//! let a = analyse("Ayman al-Zawahiri", Kind::Person);
//! let b = analyse("أيمن الظواهري", Kind::Person);
//! assert!(compare(a.tokens[2].view(), b.tokens[2].view()).is_some());
//! ```

mod analyse;
pub mod icao;
mod latin;
mod lexicon;
mod likeness;
mod script;
mod sound;

pub use analyse::{Kind, MAX_CHARS, MAX_TOKENS, Name, Role, Token, analyse};
pub use latin::latin;
pub use lexicon::{hash, preload};
pub use likeness::{Agreement, Likeness, TokenView, compare, opens, readings};
pub use script::Script;
pub use sound::{skeleton, sound};
