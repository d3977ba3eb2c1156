//! `/v1/chip/…` — reading chips through a person's device, and what chips are verified against.

pub(crate) mod relay;
pub(crate) mod sockets;
pub(crate) mod ticket;
pub(crate) mod trust;
