//! Parses, checks and repairs machine readable zones after ICAO Doc 9303.
//!
//! DESIGN. The crate is pure: no I/O, no clock, no pictures. Formats are tables
//! ([`format`]); [`parse()`] reads what stands there and judges it;
//! repair and decoding search what most likely stood on the document,
//! given text or a recogniser's scores, and say which characters they changed,
//! why, and whether another reading explains the evidence about as well.

pub mod block;
pub mod check_digit;
mod confusion;
pub mod country;
pub mod date;
pub mod decode;
pub mod format;
pub mod parse;
pub mod repair;
mod solve;

pub use block::Block;
pub use date::{Meaning, MrzDate, Today};
pub use decode::{Reading, Step, decode, decode_as, greedy};
pub use format::{Format, Kind};
pub use parse::{CheckResult, DateField, Mrz, Names, ParseError, Sex, clean, parse, parse_as};
pub use repair::{Correction, Doubt, Repair, Why, repair};
pub use solve::{ALPHABET, Costs};
