//! Objects: what was uploaded or derived in a session. The bytes are a sealed blob; the row says what they are.

use crate::blobs::BlobId;
use crate::clock::Time;
use crate::error::Result;
use crate::ids::{ObjectId, SessionId, SubjectId};
use crate::keys::{SubjectKey, sha256};
use crate::secret::Pii;
use crate::tx::Tx;
use crate::value::Row;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT o.id, o.session_id, o.subject_id, o.node_id, o.kind, o.blob, o.content_type, o.size_bytes, o.sealed_details, \
             o.created_at, k.version, k.wrapped FROM objects AS o \
             JOIN subject_keys AS k ON k.application_id = o.application_id AND k.subject_id = o.subject_id ",
            $rest
        )
    };
}

statements! {
    INSERT = "INSERT INTO objects (application_id, id, session_id, subject_id, node_id, kind, blob, content_type, size_bytes, digest, \
        nonce_hash, sealed_details, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
        ON CONFLICT (application_id, session_id, nonce_hash) DO NOTHING";
    FIND = select!("WHERE o.application_id = $1 AND o.id = $2");
    OF_SESSION = select!("WHERE o.application_id = $1 AND o.session_id = $2 ORDER BY o.created_at, o.id");
    SAME_CONTENT = "SELECT session_id, id FROM objects WHERE application_id = $1 AND digest = $2 AND session_id <> $3 AND subject_id <> $4 \
        ORDER BY created_at LIMIT $5";
    DELETE = "DELETE FROM objects WHERE application_id = $1 AND id = $2 RETURNING blob";
    BLOB_IS_USED = "SELECT 1 FROM objects WHERE blob = $1";
}

/// One file of a session.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its id; the bytes are sealed under it as object and `blob` as column, see [`Object::open`].
    pub id: ObjectId,
    /// In which session.
    pub session: SessionId,
    /// About whom.
    pub subject: SubjectId,
    /// For which step of the workflow.
    pub node_id: Option<String>,
    /// `front`, `back`, `selfie`, `portrait`, …
    pub kind: String,
    /// Where the bytes are.
    pub blob: BlobId,
    /// Media type of the bytes.
    pub content_type: String,
    /// Size of the plain bytes.
    pub size_bytes: i64,
    /// More: sha256, capture metadata, the name the person's device gave. Sealed.
    pub details: Pii<serde_json::Value>,
    /// When it came.
    pub created_at: Time,
    /// The subject's key.
    pub key: SubjectKey,
}

impl Object {
    /// Opens the blob's bytes.
    ///
    /// # Errors
    /// [`crate::Error::Seal`].
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        self.key.open(self.id, "blob", sealed)
    }
}

/// A file whose blob was written already, about to get its row.
#[derive(Debug, Clone)]
pub struct NewObject<'a> {
    /// The id under which [`SubjectKey::seal`] sealed the blob (column `blob`).
    pub id: ObjectId,
    /// In which session.
    pub session: SessionId,
    /// For which step.
    pub node_id: Option<&'a str>,
    /// `front`, `back`, `selfie`…
    pub kind: &'a str,
    /// Where the bytes are.
    pub blob: &'a BlobId,
    /// Media type.
    pub content_type: &'a str,
    /// The plain bytes' size.
    pub size_bytes: i64,
    /// The plain bytes' SHA-256; kept as a blind index, to find the same picture in another session.
    pub sha256: [u8; 32],
    /// Given by the page for this one upload; a second upload with it is refused.
    pub nonce: Option<&'a str>,
    /// More, sealed.
    pub details: &'a serde_json::Value,
}

type Raw = (
    (ObjectId, SessionId, SubjectId, Option<String>, String, BlobId),
    (String, i64, Vec<u8>, Time, u32, Vec<u8>),
);

fn raw(row: &Row<'_>) -> Result<Raw> {
    Ok((
        (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?),
        (row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?, row.get(10)?, row.get(11)?),
    ))
}

repository! {
    /// Objects of one application.
    Objects, objects
}

impl Objects<'_, '_> {
    /// Inserts a file; `false` when its nonce was used before (then nothing is written: delete the blob).
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn insert(&mut self, object: &NewObject<'_>, key: &SubjectKey) -> Result<bool> {
        let details = key.seal_json(self.tx.random(), object.id, "details", object.details)?;
        let digest = self.tx.application_key(self.application)?.blind_index("object", &object.sha256);
        let nonce = object.nonce.map(|nonce| sha256(nonce.as_bytes()));
        let now = self.tx.now();
        let inserted = self.tx.execute(
            INSERT,
            params![
                self.application,
                object.id,
                object.session,
                key.subject(),
                object.node_id,
                object.kind,
                *object.blob,
                object.content_type,
                object.size_bytes,
                digest,
                nonce,
                details,
                now
            ],
        )?;
        Ok(inserted == 1)
    }

    fn open(&mut self, raw: Raw) -> Result<Object> {
        let (
            (id, session, subject, node_id, kind, blob),
            (content_type, size_bytes, details, created_at, version, wrapped),
        ) = raw;
        let key = self.tx.unwrap_subject_key(self.application, subject, version, &wrapped)?;
        let details = Pii(key.open_json(id, "details", &details)?);
        Ok(Object {
            id,
            session,
            subject,
            node_id,
            kind,
            blob,
            content_type,
            size_bytes,
            details,
            created_at,
            key,
        })
    }

    /// Finds by id.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn find(&mut self, id: ObjectId) -> Result<Option<Object>> {
        let found = self.tx.query_opt(FIND, params![self.application, id], raw)?;
        found.map(|raw| self.open(raw)).transpose()
    }

    /// All of a session, oldest first.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn of_session(&mut self, session: SessionId) -> Result<Vec<Object>> {
        let found = self.tx.query(OF_SESSION, params![self.application, session], raw)?;
        found.into_iter().map(|raw| self.open(raw)).collect()
    }

    /// Objects of other sessions and other persons with the same bytes, oldest first. A caller that has no session
    /// or person yet gives the nil id.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn same_content(
        &mut self,
        sha256: [u8; 32],
        session: SessionId,
        subject: SubjectId,
        limit: i64,
    ) -> Result<Vec<(SessionId, ObjectId)>> {
        let digest = self.tx.application_key(self.application)?.blind_index("object", &sha256);
        self.tx.query(SAME_CONTENT, params![self.application, digest, session, subject, limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// Deletes a file's row; returns the blob to delete after the commit.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn delete(&mut self, id: ObjectId) -> Result<Option<BlobId>> {
        self.tx.query_opt(DELETE, params![self.application, id], |row| row.get(0))
    }
}

impl Tx<'_> {
    /// Whether any row names a blob.
    pub(crate) fn blob_is_used(&mut self, blob: &BlobId) -> Result<bool> {
        Ok(self.query_opt(BLOB_IS_USED, params![*blob], |_| Ok(()))?.is_some())
    }
}
