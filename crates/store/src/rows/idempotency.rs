//! Idempotency keys: the same request with the same key has its effect once and gets the same answer.
//!
//! For quick work, call [`Idempotency::begin`], do the work and [`Idempotency::finish`] in one transaction: the key
//! is then there exactly when the effect is. For slow work begin in a transaction of its own; until it is finished
//! others see [`Begin::InFlight`], and an unfinished key is free again after `in_flight_seconds`.

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::ids::SubjectId;
use crate::keys::sha256;
use crate::tx::Tx;

statements! {
    INSERT = "INSERT INTO idempotency (application_id, route, key_hash, request_hash, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (application_id, route, key_hash) DO NOTHING";
    FIND = "SELECT request_hash, status, sealed_response FROM idempotency WHERE application_id = $1 AND route = $2 AND key_hash = $3";
    FINISH = "UPDATE idempotency SET status = $4, sealed_response = $5, subject_id = $6, expires_at = $7 \
        WHERE application_id = $1 AND route = $2 AND key_hash = $3";
    FREE = "DELETE FROM idempotency WHERE application_id = $1 AND route = $2 AND key_hash = $3 AND expires_at <= $4";
    ABANDON = "DELETE FROM idempotency WHERE application_id = $1 AND route = $2 AND key_hash = $3 AND status IS NULL";
    SWEEP = "DELETE FROM idempotency WHERE expires_at <= $1";
}

/// Seconds for which an answer is kept.
pub const KEPT_SECONDS: i64 = 24 * 60 * 60;

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// It is new: do the work.
    New,
    /// Another request with it is at work: 409 with `Retry-After`.
    InFlight,
    /// The work was done: send this again.
    Replay {
        /// Status code of the answer.
        status: u16,
        /// Its body.
        body: Vec<u8>,
    },
    /// It was used for another request: 422.
    Mismatch,
}

repository! {
    /// Idempotency keys of one application.
    Idempotency, idempotency
}

impl Idempotency<'_, '_> {
    /// Claims a key for a request, whose method, path and body `request` are.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn begin(&mut self, route: &str, key: &str, request: &[u8], in_flight_seconds: i64) -> Result<Begin> {
        let key_hash = sha256(key.as_bytes());
        let request_hash = self.request_hash(request)?;
        let now = self.tx.now();
        self.tx.execute(FREE, params![self.application, route, key_hash, now])?;
        let until = now.plus_seconds(in_flight_seconds);
        // On PostgreSQL this waits for a transaction that has just claimed the same key.
        if self.tx.execute(INSERT, params![self.application, route, key_hash, request_hash, now, until])? == 1
        {
            return Ok(Begin::New);
        }
        let found = self.tx.query_opt(FIND, params![self.application, route, key_hash], |row| {
            Ok((row.get::<[u8; 32]>(0)?, row.get::<Option<u16>>(1)?, row.get::<Option<Vec<u8>>>(2)?))
        })?;
        match found {
            None => Ok(Begin::InFlight),
            Some((hash, _, _)) if hash != request_hash => Ok(Begin::Mismatch),
            Some((_, Some(status), Some(sealed))) => {
                let body = self.tx.open_application_value(
                    self.application,
                    hex::encode(key_hash),
                    "response",
                    &sealed,
                )?;
                Ok(Begin::Replay { status, body })
            }
            Some(_) => Ok(Begin::InFlight),
        }
    }

    /// Keyed, so that a guess of a personal body cannot be tested against the table.
    fn request_hash(&mut self, request: &[u8]) -> Result<[u8; 32]> {
        Ok(self.tx.application_key(self.application)?.blind_index("idempotency", request))
    }

    /// Keeps the answer for a day. `subject` lets an erasure remove it.
    ///
    /// # Errors
    /// [`Error::Stale`] when the key was not begun or is free again.
    pub fn finish(
        &mut self,
        route: &str,
        key: &str,
        status: u16,
        body: &[u8],
        subject: Option<SubjectId>,
    ) -> Result<()> {
        let key_hash = sha256(key.as_bytes());
        let by = self.tx.application_key(self.application)?;
        let sealed = by.seal(self.tx.random(), hex::encode(key_hash), "response", body)?;
        let until: Time = self.tx.now().plus_seconds(KEPT_SECONDS);
        let changed = self
            .tx
            .execute(FINISH, params![self.application, route, key_hash, status, sealed, subject, until])?;
        if changed == 1 { Ok(()) } else { Err(Error::Stale) }
    }

    /// Frees a key whose work failed, so that the request may be tried again.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn abandon(&mut self, route: &str, key: &str) -> Result<()> {
        self.tx.execute(ABANDON, params![self.application, route, sha256(key.as_bytes())]).map(|_| ())
    }
}

impl Tx<'_> {
    /// Deletes keys whose time is over; returns how many.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn sweep_idempotency(&mut self) -> Result<u64> {
        let now = self.now();
        self.execute(SWEEP, params![now])
    }
}
