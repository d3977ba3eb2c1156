//! Holds the use cases: start a session, take a submission, run checks, decide, erase.
//!
//! It owns the transactions and knows no HTTP. Rules without I/O stand in
//! `workflow` and in [`age`]; rows and blobs in `store`.

pub mod age;
