//! Acceptance tests of the whole program: the real binary, over HTTP, killed and fed with hostile input.
//!
//! Names begin with the number of the test in the quality bar (T01, T10 …).

mod abuse;
mod active;
mod chip;
mod contract;
mod durability;
mod faces;
mod flow;
mod privacy;
mod screening;
mod server;
mod tenants;
