//! Verifies the chip of electronic travel documents after ICAO Doc 9303 parts 10 to 12.

pub mod active;
pub mod agreement;
pub mod apdu;
pub mod bac;
pub mod ber;
pub mod chip_auth;
pub mod cipher;
pub mod cms;
pub mod country;
pub mod curve;
pub mod dh;
pub mod hash;
pub mod key;
pub mod lds;
pub mod messaging;
pub mod name;
pub mod pace;
pub mod relay;
pub mod rsa;
pub mod signals;
pub mod simulator;
pub mod terminal;
pub mod time;
pub mod trust;
pub mod verify;
pub mod x509;

pub use verify::{Input, Report, verify};
