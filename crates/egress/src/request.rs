//! One call and its answer.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::{Target, TargetError};

/// One call.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) limits: Limits,
}

/// How long a call may take and how much its answer may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For resolving the name, connecting and the TLS handshake together.
    pub connect: Duration,
    /// For all of it, to the last byte of the answer.
    pub whole: Duration,
    /// Bytes of the answer's body, unpacked.
    pub answer_bytes: u64,
    /// What happens to a longer one.
    pub overflow: Overflow,
}

/// What happens to an answer that is longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The call failed.
    Refuse,
    /// The beginning is kept, the rest is not waited for. For answers of which the status counts.
    Cut,
}

/// A webhook's limits: 5 s to connect, 15 s in all, the first 64 KiB are kept.
impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(15),
            answer_bytes: 64 << 10,
            overflow: Overflow::Cut,
        }
    }
}

/// An answer, of whatever status.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status; a redirect is not followed.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, unpacked; empty where it was written elsewhere.
    pub body: Vec<u8>,
    /// Bytes of the body, unpacked.
    pub bytes: u64,
    /// The body was longer and [`Overflow::Cut`] was asked for.
    pub cut: bool,
}

/// Why a header is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a header's name, or one that only the client may set.
    #[error("a call cannot set the header {0}")]
    Name(String),
    /// Characters that would end the header.
    #[error("the value of the header {0} holds characters that a header cannot")]
    Value(String),
}

/// Headers that say how the call is carried; two opinions on them are how calls are smuggled.
const OWN: [HeaderName; 10] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::ACCEPT_ENCODING,
    header::PROXY_AUTHORIZATION,
];

impl Request {
    /// A call with a method and a body.
    pub fn new(method: Method, target: Target, body: impl Into<Bytes>) -> Self {
        Self { method, target, headers: HeaderMap::new(), body: body.into(), limits: Limits::default() }
    }

    /// A `GET`.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn get(url: &str) -> Result<Self, TargetError> {
        Ok(Self::new(Method::GET, Target::parse(url)?, Bytes::new()))
    }

    /// A `POST`.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn post(url: &str, body: impl Into<Bytes>) -> Result<Self, TargetError> {
        Ok(Self::new(Method::POST, Target::parse(url)?, body))
    }

    /// Sets a header.
    ///
    /// # Errors
    /// [`HeaderError`], for values that are not one line and for headers that the client sets itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        let known = HeaderName::from_bytes(name.as_bytes()).ok().filter(|known| !OWN.contains(known));
        let known = known.ok_or_else(|| HeaderError::Name(name.to_owned()))?;
        let value = HeaderValue::from_str(value).map_err(|_| HeaderError::Value(name.to_owned()))?;
        self.headers.insert(known, value);
        Ok(self)
    }

    /// Sets limits other than a webhook's.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where it goes.
    pub fn target(&self) -> &Target {
        &self.target
    }
}

/// Shows no headers and no body: they may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("body_bytes", &self.body.len())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Shows neither headers nor body, for the same reason.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.bytes)
            .field("cut", &self.cut)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// A header's text; `None` when it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_carries_the_call_or_ends_early_is_refused() {
        let request = || Request::get("https://example.com/").expect("plain");
        for name in ["Host", "content-length", "Transfer-Encoding", "connection", "expect", "a b", "", "x:y"]
        {
            assert!(matches!(request().header(name, "1"), Err(HeaderError::Name(_))), "{name}");
        }
        for value in ["a\r\nx: y", "a\nb", "\u{0}"] {
            assert!(matches!(request().header("x-note", value), Err(HeaderError::Value(_))), "{value:?}");
        }
        assert!(request().header("x-signature", "v1,abc").is_ok());
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let request =
            Request::post("https://example.com/secret?secret", b"secret".as_slice()).expect("plain");
        let request = request.header("x-secret", "secret").expect("a header");
        assert!(!format!("{request:?}").contains("secret"));
        let headers = request.headers.clone();
        let answer = Answer { status: 200, headers, body: b"secret".to_vec(), bytes: 6, cut: false };
        assert!(!format!("{answer:?}").contains("secret"));
    }
}
