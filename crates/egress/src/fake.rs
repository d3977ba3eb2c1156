//! Stands in for the network in tests: gives prepared answers and keeps what was asked.

use std::{
    collections::VecDeque,
    io::Write,
    sync::{Mutex, PoisonError},
};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Answer, Boxed, Error, Http, Request};

/// Answers calls in the order of its answers; a call beyond them fails as if nothing listened.
#[derive(Default)]
pub struct Fake {
    answers: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<Seen>>,
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// Headers that the caller set.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Fake {
    /// One that knows no answer yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an answer.
    ///
    /// # Panics
    /// On headers that are none: only tests write them.
    pub fn answer(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let read = |(name, value): &(&str, &str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            (name, HeaderValue::from_str(value).expect("a header's value"))
        };
        let answer = Answer {
            status,
            headers: headers.iter().map(read).collect(),
            body: body.to_vec(),
            bytes: body.len() as u64,
            cut: false,
        };
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push_back(answer);
    }

    /// The calls so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Http for Fake {
    fn fetch<'a>(
        &'a self,
        request: Request,
        into: &'a mut (dyn Write + Send),
    ) -> Boxed<'a, Result<Answer, Error>> {
        let host = request.target.authority();
        let next = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(Seen {
            method: request.method.to_string(),
            url: format!("{}{}", request.target.origin(), request.target.path()),
            headers: request.headers,
            body: request.body.to_vec(),
        });
        Box::pin(async move {
            let mut answer = next.ok_or_else(|| Error::Connect {
                host: host.clone(),
                source: std::io::ErrorKind::ConnectionRefused.into(),
            })?;
            into.write_all(&answer.body).map_err(|source| Error::Write { host, source })?;
            answer.body.clear();
            Ok(answer)
        })
    }
}
