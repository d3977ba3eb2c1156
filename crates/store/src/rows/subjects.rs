//! Subjects: the people (or companies) an application verifies. Each owns a key; erasing the key erases the person.

use crate::blobs::BlobId;
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::ids::{SessionId, SubjectId};
use crate::keys::SubjectKey;
use crate::secret::Pii;
use crate::value::Row;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT s.id, s.kind, s.status, s.sealed_profile, s.legal_hold, s.version, s.created_at, s.updated_at, k.version, k.wrapped \
             FROM subjects AS s JOIN subject_keys AS k ON k.application_id = s.application_id AND k.subject_id = s.id ",
            $rest
        )
    };
}

statements! {
    INSERT = "INSERT INTO subjects (application_id, id, kind, vendor_index, status, sealed_profile, version, created_at, updated_at) \
        VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7) ON CONFLICT (application_id, kind, vendor_index) DO NOTHING";
    FIND = select!("WHERE s.application_id = $1 AND s.id = $2");
    FIND_BY_VENDOR = select!("WHERE s.application_id = $1 AND s.kind = $2 AND s.vendor_index = $3");
    LIST = select!("WHERE s.application_id = $1 AND s.kind = $2 AND s.vendor_index IS NOT NULL ORDER BY s.created_at DESC, s.id DESC LIMIT $3 OFFSET $4");
    COUNT = "SELECT COUNT(*) FROM subjects WHERE application_id = $1 AND kind = $2 AND vendor_index IS NOT NULL";
    UPDATE = "UPDATE subjects SET status = $4, sealed_profile = $5, legal_hold = $6, version = version + 1, updated_at = $7 \
        WHERE application_id = $1 AND id = $2 AND version = $3";
    LEGAL_HOLD = "SELECT legal_hold FROM subjects WHERE application_id = $1 AND id = $2 FOR UPDATE";
    BLOBS = "SELECT blob FROM objects WHERE application_id = $1 AND subject_id = $2";
    SESSIONS = "SELECT id FROM sessions WHERE application_id = $1 AND subject_id = $2";
    TOMBSTONE = "INSERT INTO erasures (application_id, subject_id, reason, erased_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (application_id, subject_id) DO NOTHING";
    IS_ERASED = "SELECT erased_at FROM erasures WHERE application_id = $1 AND subject_id = $2";
    DELETE_DELIVERIES = "DELETE FROM webhook_deliveries WHERE application_id = $1 AND event_id IN \
        (SELECT id FROM events WHERE application_id = $1 AND subject_id = $2)";
    DELETE_SUBJECT = "DELETE FROM subjects WHERE application_id = $1 AND id = $2";
}

/// Tables with rows of a person, by `subject_id`. A test counts that an erasure leaves none.
pub(crate) const PERSONAL_TABLES: &[&str] = &[
    "aml_alerts",
    "aml_hits",
    "aml_watched",
    "list_entries",
    "face_templates",
    "traces",
    "events",
    "idempotency",
    "reviews",
    "consents",
    "checks",
    "objects",
    "sessions",
];

/// A person or company.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its id.
    pub id: SubjectId,
    /// `user` or `business`.
    pub kind: String,
    /// `ACTIVE`, `FLAGGED`, `BLOCKED`.
    pub status: String,
    /// What is known about them, with `vendor_data`; JSON, sealed at rest.
    pub profile: Pii<serde_json::Value>,
    /// Why they may not be erased, if so.
    pub legal_hold: Option<String>,
    /// Changes at every write.
    pub version: i64,
    /// When they first came.
    pub created_at: Time,
    /// When they last changed.
    pub updated_at: Time,
    /// Their key.
    pub key: SubjectKey,
}

/// What an erasure removed, and what the caller still has to: the blobs.
#[derive(Debug, Clone, Default)]
pub struct Erased {
    /// Files to delete now that no row names them.
    pub blobs: Vec<BlobId>,
    /// Sessions that are gone.
    pub sessions: Vec<SessionId>,
    /// Rows deleted, keys included.
    pub rows: u64,
}

/// Whether a person could be erased.
#[derive(Debug, Clone)]
pub enum Erasure {
    /// Done with the commit of this transaction.
    Done(Erased),
    /// A legal hold forbids it, for this reason.
    Held(String),
    /// There is no such person.
    Unknown,
}

type Raw = (SubjectId, String, String, Option<Vec<u8>>, Option<String>, i64, Time, Time, u32, Vec<u8>);

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
        row.get(8)?,
        row.get(9)?,
    ))
}

repository! {
    /// Subjects of one application.
    Subjects, subjects
}

impl Subjects<'_, '_> {
    fn open(&mut self, raw: Raw) -> Result<Subject> {
        let (id, kind, status, profile, legal_hold, version, created_at, updated_at, key_version, wrapped) =
            raw;
        let key = self.tx.unwrap_subject_key(self.application, id, key_version, &wrapped)?;
        let profile = profile.map(|sealed| key.open_json(id, "profile", &sealed)).transpose()?;
        let profile = Pii(profile.unwrap_or(serde_json::Value::Null));
        Ok(Subject { id, kind, status, profile, legal_hold, version, created_at, updated_at, key })
    }

    /// A person without a name of the vendor's: every session has its own.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn create(&mut self, kind: &str) -> Result<(SubjectId, SubjectKey)> {
        let id: SubjectId = self.tx.new_id();
        let now = self.tx.now();
        let none: Option<Vec<u8>> = None;
        self.tx.defer(INSERT, params![self.application, id, kind, none, "ACTIVE", none, now])?;
        Ok((id, self.tx.create_subject_key(self.application, id)?))
    }

    /// The person whom the vendor calls `vendor_data`, made when new; the flag says whether they are.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn find_or_create(&mut self, kind: &str, vendor_data: &str) -> Result<(Subject, bool)> {
        if let Some(found) = self.find_by_vendor(kind, vendor_data)? {
            return Ok((found, false));
        }
        let id: SubjectId = self.tx.new_id();
        let now = self.tx.now();
        let index = self.vendor_index(vendor_data)?;
        let none: Option<Vec<u8>> = None;
        // Two that come at once: one inserts, the other waits for its commit, inserts nothing, and finds.
        if self.tx.execute(INSERT, params![self.application, id, kind, index, "ACTIVE", none, now])? == 0 {
            let found = self.find_by_vendor(kind, vendor_data)?.ok_or(Error::Stale)?;
            return Ok((found, false));
        }
        let key = self.tx.create_subject_key(self.application, id)?;
        let mut subject = Subject {
            id,
            kind: kind.to_owned(),
            status: "ACTIVE".to_owned(),
            profile: Pii(serde_json::json!({ "vendor_data": vendor_data })),
            legal_hold: None,
            version: 1,
            created_at: now,
            updated_at: now,
            key,
        };
        self.save(&mut subject)?;
        Ok((subject, true))
    }

    /// The blind index of a vendor's name for a person, as subjects and sessions hold it.
    ///
    /// # Errors
    /// As [`crate::Tx::application_key`].
    pub fn vendor_index(&mut self, vendor_data: &str) -> Result<[u8; 32]> {
        Ok(self.tx.application_key(self.application)?.blind_index("vendor_data", vendor_data.as_bytes()))
    }

    /// Finds by id.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn find(&mut self, id: SubjectId) -> Result<Option<Subject>> {
        let found = self.tx.query_opt(FIND, params![self.application, id], raw)?;
        found.map(|raw| self.open(raw)).transpose()
    }

    /// Finds by the vendor's name.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn find_by_vendor(&mut self, kind: &str, vendor_data: &str) -> Result<Option<Subject>> {
        let index = self.vendor_index(vendor_data)?;
        let found = self.tx.query_opt(FIND_BY_VENDOR, params![self.application, kind, index], raw)?;
        found.map(|raw| self.open(raw)).transpose()
    }

    /// Those with a vendor's name, newest first, and how many there are.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn list(&mut self, kind: &str, limit: i64, offset: i64) -> Result<(i64, Vec<Subject>)> {
        let count = self.tx.query_one(COUNT, params![self.application, kind], |row| row.get(0))?;
        let found = self.tx.query(LIST, params![self.application, kind, limit, offset], raw)?;
        Ok((count, found.into_iter().map(|raw| self.open(raw)).collect::<Result<_>>()?))
    }

    /// Writes status, profile and hold, if nobody else did since `subject` was read.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn save(&mut self, subject: &mut Subject) -> Result<()> {
        let now = self.tx.now();
        let profile = subject.key.seal_json(self.tx.random(), subject.id, "profile", &subject.profile)?;
        let changed = self.tx.execute(
            UPDATE,
            params![
                self.application,
                subject.id,
                subject.version,
                subject.status,
                profile,
                subject.legal_hold,
                now
            ],
        )?;
        if changed != 1 {
            return Err(Error::Stale);
        }
        subject.version += 1;
        subject.updated_at = now;
        Ok(())
    }

    /// Erases a person: key, rows, and (by the caller, after the commit) blobs. Only a random id and a date stay.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn erase(&mut self, id: SubjectId, reason: &str) -> Result<Erasure> {
        let held = self
            .tx
            .query_opt(LEGAL_HOLD, params![self.application, id], |row| row.get::<Option<String>>(0))?;
        match held {
            None => return Ok(Erasure::Unknown),
            Some(Some(reason)) => return Ok(Erasure::Held(reason)),
            Some(None) => {}
        }
        let mut erased = Erased {
            blobs: self.tx.query(BLOBS, params![self.application, id], |row| row.get(0))?,
            sessions: self.tx.query(SESSIONS, params![self.application, id], |row| row.get(0))?,
            rows: self.tx.delete_subject_keys(self.application, id)?,
        };
        erased.rows += self.tx.execute(DELETE_DELIVERIES, params![self.application, id])?;
        for table in PERSONAL_TABLES {
            let sql = format!("DELETE FROM {table} WHERE application_id = $1 AND subject_id = $2");
            erased.rows += self.tx.execute(&sql, params![self.application, id])?;
        }
        erased.rows += self.tx.execute(DELETE_SUBJECT, params![self.application, id])?;
        let now = self.tx.now();
        self.tx.execute(TOMBSTONE, params![self.application, id, reason, now])?;
        Ok(Erasure::Done(erased))
    }

    /// When a person was erased.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn erased_at(&mut self, id: SubjectId) -> Result<Option<Time>> {
        self.tx.query_opt(IS_ERASED, params![self.application, id], |row| row.get(0))
    }
}
