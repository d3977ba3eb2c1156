//! Acceptance tests of the whole program: the real binary, over HTTP, killed and fed with hostile input.
//!
//! Names begin with the number of the test in the quality bar (T01, T10 …).

#![expect(
    clippy::unwrap_used,
    reason = "what a test does not find where it looks has failed the test, in its helpers too"
)]

mod abuse;
mod active;
mod chip;
mod contract;
mod decoders;
mod documents;
mod durability;
mod faces;
mod flow;
mod limits;
mod policy;
mod privacy;
mod quiet;
mod screening;
mod server;
mod tabs;
mod tenants;
