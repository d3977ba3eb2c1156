//! The logical data structure: the files of a travel document chip (ICAO 9303-10).

pub mod dg1;
pub mod security_infos;
pub mod sod;
