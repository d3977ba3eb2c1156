//! Reviews: what a person of the vendor's noted or decided about a session.

use crate::clock::Time;
use crate::error::Result;
use crate::ids::{ReviewId, SessionId, SubjectId};
use crate::keys::SubjectKey;
use crate::secret::Pii;
use crate::value::Row;

statements! {
    INSERT = "INSERT INTO reviews (application_id, id, session_id, subject_id, reviewer, new_status, sealed_comment, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    OF_SESSION = "SELECT r.id, r.subject_id, r.reviewer, r.new_status, r.sealed_comment, r.created_at, k.version, k.wrapped \
        FROM reviews AS r JOIN subject_keys AS k ON k.application_id = r.application_id AND k.subject_id = r.subject_id \
        WHERE r.application_id = $1 AND r.session_id = $2 ORDER BY r.created_at, r.id";
}

/// One note or decision.
#[derive(Debug, Clone)]
pub struct Review {
    /// Its id.
    pub id: ReviewId,
    /// Who wrote it.
    pub reviewer: String,
    /// The status it set, if any.
    pub new_status: Option<String>,
    /// The words. Sealed.
    pub comment: Pii<String>,
    /// When.
    pub created_at: Time,
}

type Raw = (ReviewId, SubjectId, String, Option<String>, Vec<u8>, Time, u32, Vec<u8>);

fn raw(row: &Row<'_>) -> Result<Raw> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
        row.get(7)?,
    ))
}

repository! {
    /// Reviews of one application.
    Reviews, reviews
}

impl Reviews<'_, '_> {
    /// Adds one; returns it as stored.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn add(
        &mut self,
        session: SessionId,
        key: &SubjectKey,
        reviewer: &str,
        new_status: Option<&str>,
        comment: &str,
    ) -> Result<Review> {
        let id: ReviewId = self.tx.new_id();
        let now = self.tx.now();
        let sealed = key.seal(self.tx.random(), id, "comment", comment.as_bytes())?;
        self.tx.execute(
            INSERT,
            params![self.application, id, session, key.subject(), reviewer, new_status, sealed, now],
        )?;
        Ok(Review {
            id,
            reviewer: reviewer.to_owned(),
            new_status: new_status.map(str::to_owned),
            comment: Pii(comment.to_owned()),
            created_at: now,
        })
    }

    /// All of a session, oldest first.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn of_session(&mut self, session: SessionId) -> Result<Vec<Review>> {
        let found = self.tx.query(OF_SESSION, params![self.application, session], raw)?;
        let mut reviews = Vec::with_capacity(found.len());
        for (id, subject, reviewer, new_status, sealed, created_at, version, wrapped) in found {
            let key = self.tx.unwrap_subject_key(self.application, subject, version, &wrapped)?;
            let comment =
                String::from_utf8(key.open(id, "comment", &sealed)?).map_err(|_| crate::Error::Seal)?;
            reviews.push(Review { id, reviewer, new_status, comment: Pii(comment), created_at });
        }
        Ok(reviews)
    }
}
