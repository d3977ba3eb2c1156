//! Consents: what a person agreed to, in which words and language, and when they took it back.

use crate::clock::Time;
use crate::error::Result;
use crate::ids::{ConsentId, SessionId, SubjectId};
use crate::keys::SubjectKey;
use crate::value::Row;

macro_rules! columns {
    () => {
        "id, session_id, purpose, text_version, text_sha256, language, given_at, withdrawn_at"
    };
}

statements! {
    INSERT = "INSERT INTO consents (application_id, id, session_id, subject_id, purpose, text_version, text_sha256, language, \
        sealed_evidence, given_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    OF_SESSION = concat!("SELECT ", columns!(), " FROM consents WHERE application_id = $1 AND session_id = $2 ORDER BY given_at, id");
    OF_SUBJECT = concat!("SELECT ", columns!(), " FROM consents WHERE application_id = $1 AND subject_id = $2 ORDER BY given_at, id");
    WITHDRAW_OF_SUBJECT = "UPDATE consents SET withdrawn_at = $4 WHERE application_id = $1 AND subject_id = $2 AND purpose = $3 AND withdrawn_at IS NULL";
    WITHDRAW = "UPDATE consents SET withdrawn_at = $4 WHERE application_id = $1 AND session_id = $2 AND purpose = $3 AND withdrawn_at IS NULL";
}

/// One consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Its id.
    pub id: ConsentId,
    /// In which session; for one that the owner recorded outside a session, the person's own id stands here.
    pub session: SessionId,
    /// To what: `biometrics`, `processing`…
    pub purpose: String,
    /// Version of the text that was shown.
    pub text_version: String,
    /// SHA-256 of the text that was shown.
    pub text_sha256: [u8; 32],
    /// Its language.
    pub language: String,
    /// When it was given; [`Consents::give`] sets it.
    pub given_at: Time,
    /// When it was withdrawn.
    pub withdrawn_at: Option<Time>,
}

fn row(row: &Row<'_>) -> Result<Consent> {
    Ok(Consent {
        id: row.get(0)?,
        session: row.get(1)?,
        purpose: row.get(2)?,
        text_version: row.get(3)?,
        text_sha256: row.get(4)?,
        language: row.get(5)?,
        given_at: row.get(6)?,
        withdrawn_at: row.get(7)?,
    })
}

repository! {
    /// Consents of one application.
    Consents, consents
}

impl Consents<'_, '_> {
    /// Records a consent; `evidence` (address, device) is sealed.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn give(&mut self, consent: &Consent, key: &SubjectKey, evidence: &serde_json::Value) -> Result<()> {
        let evidence = key.seal_json(self.tx.random(), consent.id, "evidence", evidence)?;
        let now = self.tx.now();
        self.tx
            .execute(
                INSERT,
                params![
                    self.application,
                    consent.id,
                    consent.session,
                    key.subject(),
                    consent.purpose,
                    consent.text_version,
                    consent.text_sha256,
                    consent.language,
                    evidence,
                    now
                ],
            )
            .map(|_| ())
    }

    /// All of a session.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn of_session(&mut self, session: SessionId) -> Result<Vec<Consent>> {
        self.tx.query(OF_SESSION, params![self.application, session], row)
    }

    /// All of a person.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn of_subject(&mut self, subject: SubjectId) -> Result<Vec<Consent>> {
        self.tx.query(OF_SUBJECT, params![self.application, subject], row)
    }

    /// Withdraws all of a person; returns how many consents that ended.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn withdraw_of_subject(&mut self, subject: SubjectId, purpose: &str) -> Result<u64> {
        let now = self.tx.now();
        self.tx.execute(WITHDRAW_OF_SUBJECT, params![self.application, subject, purpose, now])
    }

    /// Withdraws; returns how many consents that ended.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn withdraw(&mut self, session: SessionId, purpose: &str) -> Result<u64> {
        let now = self.tx.now();
        self.tx.execute(WITHDRAW, params![self.application, session, purpose, now])
    }
}
