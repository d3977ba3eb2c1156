//! Checks: what each run of a check found. Signals may quote a document, so the result is sealed; risk codes are not.

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::ids::{CheckId, SessionId, SubjectId};
use crate::keys::SubjectKey;
use crate::secret::Pii;
use crate::value::Row;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.session_id, c.subject_id, c.node_id, c.feature, c.attempt, c.status, c.risks, c.sealed_result, \
             c.created_at, c.updated_at, k.version, k.wrapped FROM checks AS c \
             JOIN subject_keys AS k ON k.application_id = c.application_id AND k.subject_id = c.subject_id ",
            $rest
        )
    };
}

statements! {
    INSERT = "INSERT INTO checks (application_id, id, session_id, subject_id, node_id, feature, attempt, status, risks, sealed_result, \
        created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)";
    UPDATE = "UPDATE checks SET status = $3, risks = $4, sealed_result = $5, updated_at = $6 WHERE application_id = $1 AND id = $2";
    FIND = select!("WHERE c.application_id = $1 AND c.id = $2");
    OF_SESSION = select!("WHERE c.application_id = $1 AND c.session_id = $2 ORDER BY c.created_at, c.id");
}

/// One run of one check.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its id.
    pub id: CheckId,
    /// In which session.
    pub session: SessionId,
    /// About whom.
    pub subject: SubjectId,
    /// For which node of the workflow.
    pub node_id: String,
    /// `ID_VERIFICATION`, `FACE_MATCH`…
    pub feature: String,
    /// Which attempt, from 1.
    pub attempt: i64,
    /// Status, as the API spells it.
    pub status: String,
    /// Risk codes, for filters.
    pub risks: Vec<String>,
    /// Signals and fields, JSON. Sealed.
    pub result: Pii<serde_json::Value>,
    /// When it ran.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

type Raw = (
    (CheckId, SessionId, SubjectId, String, String, i64, String),
    (Vec<String>, Vec<u8>, Time, Time, u32, Vec<u8>),
);

fn raw(row: &Row<'_>) -> Result<Raw> {
    Ok((
        (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?),
        (crate::json_list(row, 7)?, row.get(8)?, row.get(9)?, row.get(10)?, row.get(11)?, row.get(12)?),
    ))
}

repository! {
    /// Checks of one application.
    Checks, checks
}

impl Checks<'_, '_> {
    /// Inserts a run.
    ///
    /// # Errors
    /// [`Error::Conflict`] when this attempt of this node is there already: another worker was quicker.
    pub fn insert(&mut self, check: &Check, key: &SubjectKey) -> Result<()> {
        let result = key.seal_json(self.tx.random(), check.id, "result", &check.result)?;
        let now = self.tx.now();
        self.tx
            .execute(
                INSERT,
                params![
                    self.application,
                    check.id,
                    check.session,
                    key.subject(),
                    check.node_id,
                    check.feature,
                    check.attempt,
                    check.status,
                    crate::json_of(&check.risks)?,
                    result,
                    now
                ],
            )
            .map(|_| ())
    }

    /// Writes status, risks and result (a reviewer's correction).
    ///
    /// # Errors
    /// [`Error::Stale`] when there is no such check.
    pub fn update(&mut self, check: &Check, key: &SubjectKey) -> Result<()> {
        let result = key.seal_json(self.tx.random(), check.id, "result", &check.result)?;
        let now = self.tx.now();
        let risks = crate::json_of(&check.risks)?;
        let changed =
            self.tx.execute(UPDATE, params![self.application, check.id, check.status, risks, result, now])?;
        if changed == 1 { Ok(()) } else { Err(Error::Stale) }
    }

    fn open(&mut self, raw: Raw) -> Result<Check> {
        let (
            (id, session, subject, node_id, feature, attempt, status),
            (risks, sealed, created_at, updated_at, version, wrapped),
        ) = raw;
        let key = self.tx.unwrap_subject_key(self.application, subject, version, &wrapped)?;
        let result = Pii(key.open_json(id, "result", &sealed)?);
        Ok(Check {
            id,
            session,
            subject,
            node_id,
            feature,
            attempt,
            status,
            risks,
            result,
            created_at,
            updated_at,
        })
    }

    /// Finds by id.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn find(&mut self, id: CheckId) -> Result<Option<Check>> {
        let found = self.tx.query_opt(FIND, params![self.application, id], raw)?;
        found.map(|raw| self.open(raw)).transpose()
    }

    /// All of a session, oldest first.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn of_session(&mut self, session: SessionId) -> Result<Vec<Check>> {
        let found = self.tx.query(OF_SESSION, params![self.application, session], raw)?;
        found.into_iter().map(|raw| self.open(raw)).collect()
    }
}
