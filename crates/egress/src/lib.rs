//! Makes every outgoing HTTP call of the program: list downloads today, webhooks and providers when they come.
//!
//! Where a call may go is decided here and nowhere else. An address is read once, strictly ([`Target`]); its name is
//! resolved once; every address of the answer is judged ([`Policy`]); and the connection is made to an address that
//! was judged, so that a name which answers differently the second time changes nothing. Nothing is followed, nothing
//! is kept open, the answer has a deadline and a cap (of what it unpacks to), and each call leaves one log row without
//! path, query, body or secrets.
//!
//! Callers take [`Http`]; [`Client`] is the real one, [`Fake`] answers in tests. What an operator sets, and the table
//! of refused addresses, are in `docs/network.md`.
//!
//! ```
//! # async fn call(http: &dyn egress::Http) -> Result<(), Box<dyn std::error::Error>> {
//! let request = egress::Request::post("https://hooks.example.com/verified", b"{}".as_slice())?
//!     .header("content-type", "application/json")?;
//! let answer = http.send(request).await?;
//! assert_eq!(answer.status, 200);
//! # Ok(()) }
//! ```

mod client;
mod fake;
mod guard;
mod request;
mod target;

pub use http::{HeaderMap, Method};

pub use client::{Client, Error, Resolve, SystemResolver};
pub use fake::{Fake, Seen};
pub use guard::{Entry, EntryError, Policy, Refusal, is_public};
pub use request::{Answer, HeaderError, Limits, Overflow, Request};
pub use target::{Host, Target, TargetError};

use std::{future::Future, io::Write, pin::Pin};

/// A future that can be held by a caller which does not know its type.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whoever makes HTTP calls.
pub trait Http: Send + Sync {
    /// Makes one call and writes the body of its answer into `into`; [`Answer::body`] stays empty.
    ///
    /// An answer of any status is an answer, a redirect too. After an error `into` may hold the beginning of a body.
    fn fetch<'a>(
        &'a self,
        request: Request,
        into: &'a mut (dyn Write + Send),
    ) -> Boxed<'a, Result<Answer, Error>>;

    /// Makes one call and keeps the body of its answer in memory.
    fn send(&self, request: Request) -> Boxed<'_, Result<Answer, Error>> {
        Box::pin(async move {
            let mut body = Vec::new();
            let answer = self.fetch(request, &mut body).await?;
            Ok(Answer { body, ..answer })
        })
    }
}
