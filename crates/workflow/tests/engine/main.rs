//! The graph engine from outside: what it asks, runs and decides, and that it follows a naive reference model.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod linear;
mod model;
mod random;
mod reference;
mod sample;
mod validity;
mod walks;
