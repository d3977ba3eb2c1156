//! What every operation shares: who calls, how bodies are read, how errors look, how much is allowed.

pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod failure;
pub(crate) mod fields;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod limit;
pub(crate) mod metrics;
pub(crate) mod parts;
pub(crate) mod queries;
pub(crate) mod upload;
