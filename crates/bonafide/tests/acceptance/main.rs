//! Acceptance tests of the whole program: the real binary, over HTTP, killed and fed with hostile input.
//!
//! Names begin with the number of the test in the quality bar (T01, T10 …).

mod abuse;
mod contract;
mod durability;
mod flow;
mod privacy;
mod server;
mod tenants;
