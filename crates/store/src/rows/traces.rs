//! Traces: keyed digests of what a session's document showed, by which another person's session recognises it.
//!
//! A look-up never opens more than it must: equal digests name the candidates,
//! and only their sealed traces are opened to be compared.

use crate::error::Result;
use crate::ids::{SessionId, SubjectId};
use crate::keys::SubjectKey;
use crate::secret::Pii;

/// Digests that one look-up compares with.
pub const PARTS: usize = 8;

statements! {
    INSERT = "INSERT INTO traces (application_id, trace_index, session_id, subject_id, sealed_trace, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (application_id, trace_index, session_id) DO NOTHING";
    FIND = "SELECT t.session_id, t.subject_id, t.sealed_trace, k.version, k.wrapped, COUNT(*) AS parts FROM traces AS t \
        JOIN subject_keys AS k ON k.application_id = t.application_id AND k.subject_id = t.subject_id \
        WHERE t.application_id = $1 AND t.session_id <> $2 AND t.subject_id <> $3 \
        AND t.trace_index IN ($4, $5, $6, $7, $8, $9, $10, $11) \
        GROUP BY t.session_id, t.subject_id, t.sealed_trace, k.version, k.wrapped \
        ORDER BY parts DESC, t.session_id LIMIT $12";
    FORGET = "DELETE FROM traces WHERE application_id = $1 AND session_id = $2";
}

/// Something a document showed.
#[derive(Debug, Clone)]
pub struct NewTrace {
    /// What kind of thing: equal parts of different kinds are not equal.
    pub kind: &'static str,
    /// What is looked up by equality: up to [`PARTS`] parts, any of which makes a candidate.
    pub parts: Vec<Vec<u8>>,
    /// What candidates are compared by. Sealed.
    pub whole: Pii<Vec<u8>>,
}

/// A candidate from another person's session.
#[derive(Debug, Clone)]
pub struct Found {
    /// In which session it was seen.
    pub session: SessionId,
    /// Whose.
    pub subject: SubjectId,
    /// What it is compared by.
    pub whole: Pii<Vec<u8>>,
}

repository! {
    /// Traces of one application.
    Traces, traces
}

impl Traces<'_, '_> {
    /// Keeps what a session showed.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn keep(&mut self, session: SessionId, key: &SubjectKey, trace: &NewTrace) -> Result<()> {
        let sealed = key.seal(self.tx.random(), session, "trace", &trace.whole)?;
        let now = self.tx.now();
        for digest in self.digests(trace)? {
            self.tx
                .execute(INSERT, params![self.application, digest, session, key.subject(), sealed, now])?;
        }
        Ok(())
    }

    /// Forgets what a session showed before, so that what it shows now takes its place.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn forget(&mut self, session: SessionId) -> Result<u64> {
        self.tx.execute(FORGET, params![self.application, session])
    }

    /// Candidates of other sessions and other persons, those with most equal parts first. A caller that has no
    /// session or person yet gives the nil id.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn find(
        &mut self,
        trace: &NewTrace,
        session: SessionId,
        subject: SubjectId,
        limit: i64,
    ) -> Result<Vec<Found>> {
        let digests = self.digests(trace)?;
        let Some(first) = digests.first() else { return Ok(Vec::new()) };
        // The statement has a fixed number of places: places left over repeat the first digest.
        let at = |n: usize| digests.get(n).unwrap_or(first);
        let found = self.tx.query(
            FIND,
            params![
                self.application,
                session,
                subject,
                *at(0),
                *at(1),
                *at(2),
                *at(3),
                *at(4),
                *at(5),
                *at(6),
                *at(7),
                limit
            ],
            |row| {
                Ok((
                    row.get::<SessionId>(0)?,
                    row.get::<SubjectId>(1)?,
                    row.get::<Vec<u8>>(2)?,
                    row.get::<u32>(3)?,
                    row.get::<Vec<u8>>(4)?,
                ))
            },
        )?;
        let mut candidates = Vec::with_capacity(found.len());
        for (session, subject, sealed, version, wrapped) in found {
            let key = self.tx.unwrap_subject_key(self.application, subject, version, &wrapped)?;
            let whole = Pii(key.open(session, "trace", &sealed)?);
            candidates.push(Found { session, subject, whole });
        }
        Ok(candidates)
    }

    fn digests(&mut self, trace: &NewTrace) -> Result<Vec<[u8; 32]>> {
        let key = self.tx.application_key(self.application)?;
        let digest = |(at, part): (usize, &Vec<u8>)| {
            let mut value = Vec::with_capacity(part.len() + 1);
            value.push(u8::try_from(at).unwrap_or(u8::MAX));
            value.extend_from_slice(part);
            key.blind_index(trace.kind, &value)
        };
        Ok(trace.parts.iter().take(PARTS).enumerate().map(digest).collect())
    }
}
