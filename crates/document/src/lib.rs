//! Reads identity documents: photo to upright card, text, fields, cross-checks and signals.
//!
//! [`Reader::read`] takes the pictures of one document and gives one [`Record`]: what it is, what it says and
//! where each value was read, and what the checks saw. It decides nothing. Identification goes from the
//! strongest evidence to the weakest: MRZ, barcode, text anchors of a [`Template`]; what none of them names is
//! an unknown document, whose labelled fields are read all the same.
//!
//! The way through the crate: `locate` (corners) → `page` (upright page, text boxes) → `mrz_zone`, `text`
//! (reading) → `fields`, `template` (values) → `fuse` (the record) → `signals`, `pixel` (what it shows) → `reader` (all of it in order).

mod agree;
mod codes;
pub mod dates;
mod effort;
mod fields;
mod findings;
mod fold;
mod fuse;
mod geometry;
mod labels;
mod locate;
mod mrz_zone;
mod page;
mod pixel;
mod quality;
mod reader;
mod record;
mod seals;
mod signals;
pub mod template;
mod template_fields;
mod templates;
mod tesseract;
mod text;
mod titles;
mod typography;

pub use reader::{Options, PortraitFinder, ReadError, Reader};
pub use record::{Barcode, Field, IdentifiedBy, Mrz, Quality, Record, Side, Source, Upright};
pub use seals::{Seal, SealSignature, SealSigners, SealSignersError};
pub use template::{Catalogue, Template};
pub use tesseract::{NativeLine, Tesseract, TesseractError};
