//! Jobs: work to do after a commit, on the same database, so that a job is there exactly when its cause is.
//!
//! A worker leases jobs; a lease that runs out (the worker died) makes the job ready again. Only the holder of
//! the current lease can end a job, so each lease ends it at most once. Payloads are ids, never personal data.

use crate::clock::Time;
use crate::error::Result;
use crate::ids::{ApplicationId, JobId};
use crate::tx::Tx;
use crate::value::Row;

statements! {
    INSERT = "INSERT INTO jobs (application_id, id, queue, kind, payload, unique_key, run_at, attempts, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8) ON CONFLICT (application_id, kind, unique_key) DO NOTHING";
    LEASE = "WITH ready (ready_id) AS MATERIALIZED \
        (SELECT id FROM jobs WHERE queue = $1 AND run_at <= $2 AND dead_at IS NULL ORDER BY run_at LIMIT $5 FOR UPDATE SKIP LOCKED) \
        UPDATE jobs SET run_at = $3, lease_token = $4, attempts = attempts + 1 FROM ready WHERE id = ready_id \
        RETURNING application_id, id, queue, kind, payload, attempts, created_at, last_error";
    RENEW = "UPDATE jobs SET run_at = $3 WHERE id = $1 AND lease_token = $2";
    COMPLETE = "DELETE FROM jobs WHERE id = $1 AND lease_token = $2";
    RETRY = "UPDATE jobs SET run_at = $3, lease_token = NULL, last_error = $4 WHERE id = $1 AND lease_token = $2";
    BURY = "UPDATE jobs SET dead_at = $3, lease_token = NULL, last_error = $4, unique_key = NULL WHERE id = $1 AND lease_token = $2";
    NEXT_AT = "SELECT MIN(run_at) FROM jobs WHERE queue = $1 AND dead_at IS NULL";
    DEAD = "SELECT id, queue, kind, payload, attempts, last_error, dead_at, created_at FROM jobs \
        WHERE application_id = $1 AND dead_at IS NOT NULL ORDER BY dead_at DESC LIMIT $2";
    REVIVE = "UPDATE jobs SET dead_at = NULL, run_at = $3, attempts = 0 WHERE application_id = $1 AND id = $2 AND dead_at IS NOT NULL";
    COUNT = "SELECT queue, COUNT(*) FROM jobs WHERE dead_at IS NULL GROUP BY queue ORDER BY queue";
    COUNT_DEAD = "SELECT COUNT(*) FROM jobs WHERE dead_at IS NOT NULL";
}

/// A job to be queued.
#[derive(Debug, Clone)]
pub struct NewJob<'a> {
    /// For whom.
    pub application: ApplicationId,
    /// Which workers take it: `cpu`, `io`…
    pub queue: &'a str,
    /// What to do: `document.read`…
    pub kind: &'a str,
    /// Ids, as JSON.
    pub payload: serde_json::Value,
    /// While a job of this kind and key waits or runs, no second one is queued.
    pub unique_key: Option<&'a str>,
    /// Not before.
    pub run_at: Time,
}

/// A job in a worker's hands.
#[derive(Debug, Clone)]
pub struct Job {
    /// For whom.
    pub application: ApplicationId,
    /// Its id.
    pub id: JobId,
    /// Its queue.
    pub queue: String,
    /// What to do.
    pub kind: String,
    /// Ids, as JSON.
    pub payload: serde_json::Value,
    /// Which attempt this is, from 1.
    pub attempts: i64,
    /// When it was queued.
    pub created_at: Time,
    /// Why the attempt before failed.
    pub last_error: Option<String>,
    lease: String,
}

/// A job that nobody tries any more.
#[derive(Debug, Clone)]
pub struct DeadJob {
    /// Its id.
    pub id: JobId,
    /// Its queue.
    pub queue: String,
    /// What it was to do.
    pub kind: String,
    /// Ids, as JSON.
    pub payload: serde_json::Value,
    /// How often it was tried.
    pub attempts: i64,
    /// Why it failed.
    pub last_error: Option<String>,
    /// When it was given up.
    pub dead_at: Time,
    /// When it was queued.
    pub created_at: Time,
}

impl Tx<'_> {
    /// Queues a job; workers are woken after the commit. `None` when one with its unique key waits or runs already.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn enqueue(&mut self, job: &NewJob<'_>) -> Result<Option<JobId>> {
        let id: JobId = self.new_id();
        let now = self.now();
        let values =
            params![job.application, id, job.queue, job.kind, job.payload, job.unique_key, job.run_at, now];
        self.wake.jobs = true;
        if job.unique_key.is_none() {
            self.defer(INSERT, values)?;
            return Ok(Some(id));
        }
        Ok((self.execute(INSERT, values)? == 1).then_some(id))
    }

    /// Leases up to `limit` ready jobs of a queue, longest waiting first.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn lease_jobs(&mut self, queue: &str, limit: i64, lease_seconds: i64) -> Result<Vec<Job>> {
        let now = self.now();
        let mut token = [0; 16];
        self.random().fill(&mut token);
        let lease = hex::encode(token);
        self.query(
            LEASE,
            params![queue, now, now.plus_seconds(lease_seconds), lease, limit],
            |row: &Row<'_>| {
                Ok(Job {
                    application: row.get(0)?,
                    id: row.get(1)?,
                    queue: row.get(2)?,
                    kind: row.get(3)?,
                    payload: row.get(4)?,
                    attempts: row.get(5)?,
                    created_at: row.get(6)?,
                    last_error: row.get(7)?,
                    lease: lease.clone(),
                })
            },
        )
    }

    /// Keeps a job for longer; `false` when the lease is lost: stop working on it.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn renew_job(&mut self, job: &Job, lease_seconds: i64) -> Result<bool> {
        let until = self.now().plus_seconds(lease_seconds);
        Ok(self.execute(RENEW, params![job.id, job.lease, until])? == 1)
    }

    /// Ends a job that is done, in the transaction with its effects. `false` when the lease is lost: then return an
    /// error, so that nothing is written twice.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn complete_job(&mut self, job: &Job) -> Result<bool> {
        Ok(self.execute(COMPLETE, params![job.id, job.lease])? == 1)
    }

    /// Puts a job back for later; `error` without personal data.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn retry_job(&mut self, job: &Job, at: Time, error: &str) -> Result<bool> {
        Ok(self.execute(RETRY, params![job.id, job.lease, at, error])? == 1)
    }

    /// Gives a job up: it stays visible until someone revives it.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn bury_job(&mut self, job: &Job, error: &str) -> Result<bool> {
        let now = self.now();
        Ok(self.execute(BURY, params![job.id, job.lease, now, error])? == 1)
    }

    /// When the next job of a queue is ready (also the end of a lease), for the worker's sleep.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn next_job_at(&mut self, queue: &str) -> Result<Option<Time>> {
        self.query_one(NEXT_AT, params![queue], |row| row.get(0))
    }

    /// Dead jobs of an application, newest first.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn dead_jobs(&mut self, application: ApplicationId, limit: i64) -> Result<Vec<DeadJob>> {
        self.query(DEAD, params![application, limit], |row| {
            Ok(DeadJob {
                id: row.get(0)?,
                queue: row.get(1)?,
                kind: row.get(2)?,
                payload: row.get(3)?,
                attempts: row.get(4)?,
                last_error: row.get(5)?,
                dead_at: row.get(6)?,
                created_at: row.get(7)?,
            })
        })
    }

    /// Tries a dead job again; `false` when there is none.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn revive_job(&mut self, application: ApplicationId, id: JobId) -> Result<bool> {
        let now = self.now();
        self.wake.jobs = true;
        Ok(self.execute(REVIVE, params![application, id, now])? == 1)
    }

    /// Waiting jobs by queue, and dead ones, for metrics.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn count_jobs(&mut self) -> Result<(Vec<(String, i64)>, i64)> {
        let waiting = self.query(COUNT, params![], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let dead = self.query_one(COUNT_DEAD, params![], |row| row.get(0))?;
        Ok((waiting, dead))
    }
}
