//! Draws fictitious identity documents together with their truth.
//!
//! Everything here is a pure function of its input and a seed: the same [`Spec`]
//! gives the same pixels on every machine (ChaCha generator, fonts that lie in
//! this crate, no system fonts). The issuing state is *Utopia*, `UTO`, which
//! ICAO Doc 9303 part 3 section 5 reserves for specimens, and every document
//! says SPECIMEN, so that nothing drawn here can pass for a real one.
//!
//! [`draw`] makes the flat document, [`photograph`] a picture of it as a phone
//! would take it (and as a fraudster would: from a screen, as a photocopy),
//! [`selfie`] a second view of the person on it.

mod card;
mod chance;
mod guilloche;
mod holder;
mod mrz;
mod portrait;
mod scene;
mod svg;

pub use card::{DrawError, Fault, Kind, Spec, Specimen, Truth, draw};
pub use holder::Holder;
pub use portrait::{Portrait, selfie};
pub use scene::{Degradation, Scene, photograph};
