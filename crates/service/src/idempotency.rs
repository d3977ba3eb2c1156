//! The same request twice has one effect: keys of callers, claimed in the transaction of the effect.

/// An idempotency key of one request.
#[derive(Debug, Clone)]
pub struct Key {
    pub(crate) route: &'static str,
    pub(crate) text: String,
    pub(crate) request: Vec<u8>,
}

impl Key {
    /// A key for a request: its route, the caller's text, and the bytes that must be the same.
    pub fn new(route: &'static str, text: &str, request: &[u8]) -> Self {
        Self { route, text: text.to_owned(), request: request.to_vec() }
    }
}
