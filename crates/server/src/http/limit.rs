//! Counts requests per caller in windows of 60 seconds.
//!
//! The published limits: 600 reads, 300 writes, 600 new sessions a minute and
//! key. Every limited answer carries `X-RateLimit-Limit`, `-Remaining` and
//! `-Reset` (Unix seconds); a refusal carries `Retry-After` too. The counters
//! live in this process: several nodes allow as many times the limit.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use axum::{http::HeaderValue, response::Response};

use super::failure::Failure;

/// Length of a window, in seconds.
const WINDOW_S: i64 = 60;
/// Most callers remembered at once; the oldest windows go first.
const MAX_CALLERS: usize = 100_000;

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Budget {
    Read,
    Write,
    CreateSession,
    VerifyAge,
    HostedPage,
    Unilink,
    /// One person of a batch.
    Screening,
}

impl Budget {
    /// Requests a window.
    pub(crate) fn per_minute(self) -> u32 {
        match self {
            Self::Read | Self::CreateSession | Self::HostedPage => 600,
            Self::Write => 300,
            Self::VerifyAge => 6_000,
            Self::Unilink => 60,
            Self::Screening => 60_000,
        }
    }

    fn refusal(self) -> String {
        let subject = match self {
            Self::Read => "GET request",
            Self::Write => "Write request",
            Self::CreateSession | Self::Unilink => "Session creation",
            Self::VerifyAge | Self::HostedPage => "Request",
            Self::Screening => "Screening",
        };
        format!(
            "{subject} rate limit exceeded. You can make up to {} requests per minute.",
            self.per_minute()
        )
    }
}

/// Where a caller stands within the present window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    limit: u32,
    remaining: u32,
    reset_s: i64,
}

impl Standing {
    /// Writes the three headers.
    pub(crate) fn write(self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert("x-ratelimit-limit", HeaderValue::from(self.limit));
        headers.insert("x-ratelimit-remaining", HeaderValue::from(self.remaining));
        headers.insert("x-ratelimit-reset", HeaderValue::from(self.reset_s));
    }
}

/// Counters of callers of one kind (key, address, session).
pub(crate) struct Limiter<Caller> {
    scale: f64,
    windows: Mutex<HashMap<(Caller, Budget), (i64, u32)>>,
}

impl<Caller: Hash + Eq + Clone> Limiter<Caller> {
    /// A limiter; `scale` multiplies every published limit (operators with their own machine may raise it), 0 switches it off.
    pub(crate) fn new(scale: f64) -> Self {
        Self { scale, windows: Mutex::new(HashMap::new()) }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// 429 when the window is used up.
    pub(crate) fn count(
        &self,
        caller: &Caller,
        budget: Budget,
        now_s: i64,
    ) -> Result<Option<Standing>, Failure> {
        if self.scale <= 0.0 {
            return Ok(None);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive limit, saturating"
        )]
        let limit = (f64::from(budget.per_minute()) * self.scale).ceil() as u32;
        let start = now_s - now_s.rem_euclid(WINDOW_S);
        let reset_s = start + WINDOW_S;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= MAX_CALLERS {
            windows.retain(|_, (window, _)| *window == start);
        }
        let entry = windows.entry((caller.clone(), budget)).or_insert((start, 0));
        if entry.0 != start {
            *entry = (start, 0);
        }
        if entry.1 >= limit {
            let wait = u64::try_from(reset_s - now_s).unwrap_or(1).max(1);
            return Err(Failure::throttled(&budget.refusal(), wait));
        }
        entry.1 += 1;
        Ok(Some(Standing { limit, remaining: limit - entry.1, reset_s }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_and_a_new_one_begins() {
        let limiter = Limiter::new(0.01);
        for remaining in (0..3).rev() {
            let standing = limiter.count(&"key", Budget::Write, 120).unwrap().unwrap();
            assert_eq!(standing, Standing { limit: 3, remaining, reset_s: 180 });
        }
        assert!(limiter.count(&"key", Budget::Write, 179).is_err());
        assert!(limiter.count(&"other", Budget::Write, 179).is_ok());
        assert!(limiter.count(&"key", Budget::Read, 179).is_ok());
        assert!(limiter.count(&"key", Budget::Write, 180).is_ok());
    }
}
