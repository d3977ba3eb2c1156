//! Counters in fixed windows, for limits that must survive a restart (codes tried, captures, searches).

use crate::clock::Time;
use crate::error::Result;
use crate::tx::Tx;

statements! {
    ADD = "INSERT INTO counters (name, window_start, count, expires_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (name, window_start) DO UPDATE SET count = counters.count + $3 RETURNING count";
    FIND = "SELECT count FROM counters WHERE name = $1 AND window_start = $2";
    SWEEP = "DELETE FROM counters WHERE expires_at <= $1";
}

fn window(now: Time, seconds: i64) -> i64 {
    now.seconds().div_euclid(seconds.max(1)) * seconds.max(1)
}

impl Tx<'_> {
    /// Adds to a counter's present window; returns what it stands at. Names hold ids or hashes, no personal data.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn count_up(&mut self, name: &str, window_seconds: i64, add: i64) -> Result<i64> {
        let start = window(self.now(), window_seconds);
        let expires = Time::from_seconds(start.saturating_add(window_seconds.saturating_mul(2)));
        self.query_one(ADD, params![name, start, add, expires], |row| row.get(0))
    }

    /// What a counter's present window stands at.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn count_of(&mut self, name: &str, window_seconds: i64) -> Result<i64> {
        let start = window(self.now(), window_seconds);
        Ok(self.query_opt(FIND, params![name, start], |row| row.get(0))?.unwrap_or(0))
    }

    /// Deletes windows that are over.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn sweep_counters(&mut self) -> Result<u64> {
        let now = self.now();
        self.execute(SWEEP, params![now])
    }
}
