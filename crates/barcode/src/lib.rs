//! Reads the barcodes of identity documents and the payloads within them.
//!
//! [`read`] finds and decodes barcodes in a grey picture; the decoder library is `rxing`, the finding, straightening
//! and retrying are ours. [`aamva`] reads the payload of North American licences, [`vds`] ICAO's visible digital
//! seals, [`national`] the payloads of other countries' cards. Everything here takes bytes and returns values: no
//! I/O, no clock. A payload without a signature proves nothing by itself.

pub mod aamva;
mod locate;
pub mod national;
mod pixels;
mod read;
pub mod vds;

pub use pixels::{Corner, GrayView};
pub use read::{Barcode, Format, Options, read, read_document_back};
