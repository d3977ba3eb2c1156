//! Face templates: enrolled embeddings, sealed; a search opens them into memory.

use crate::clock::Time;
use crate::error::Result;
use crate::ids::{SessionId, SubjectId, TemplateId};
use crate::keys::SubjectKey;
use crate::secret::Pii;

statements! {
    INSERT = "INSERT INTO face_templates (application_id, id, session_id, subject_id, model, sealed_template, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    PAGE = "SELECT f.id, f.session_id, f.subject_id, f.sealed_template, f.created_at, k.version, k.wrapped FROM face_templates AS f \
        JOIN subject_keys AS k ON k.application_id = f.application_id AND k.subject_id = f.subject_id \
        WHERE f.application_id = $1 AND f.model = $2 AND f.id > $3 ORDER BY f.id LIMIT $4";
    OF_OTHERS = "SELECT id, session_id FROM face_templates WHERE application_id = $1 AND model <> $2 AND id > $3 ORDER BY id LIMIT $4";
    SESSION_OF = "SELECT session_id, subject_id FROM face_templates WHERE application_id = $1 AND id = $2";
    DELETE_ALL = "DELETE FROM face_templates WHERE application_id = $1";
    DELETE_OF_SUBJECT = "DELETE FROM face_templates WHERE application_id = $1 AND subject_id = $2";
    DELETE_OF_SESSION = "DELETE FROM face_templates WHERE application_id = $1 AND session_id = $2";
}

/// An enrolled face.
#[derive(Debug, Clone)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// From which session.
    pub session: Option<SessionId>,
    /// Whose face.
    pub subject: SubjectId,
    /// The embedding. Sealed.
    pub embedding: Pii<Vec<f32>>,
    /// When it was enrolled.
    pub created_at: Time,
}

repository! {
    /// Face templates of one application.
    Faces, faces
}

impl Faces<'_, '_> {
    /// Enrols a face; `model` names the embedder and its version, for only equal ones compare.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn enrol(
        &mut self,
        session: Option<SessionId>,
        key: &SubjectKey,
        model: &str,
        embedding: &[f32],
    ) -> Result<TemplateId> {
        let id: TemplateId = self.tx.new_id();
        let plain: Vec<u8> = embedding.iter().flat_map(|value| value.to_le_bytes()).collect();
        let sealed = key.seal(self.tx.random(), id, "template", &plain)?;
        let now = self.tx.now();
        self.tx.execute(INSERT, params![self.application, id, session, key.subject(), model, sealed, now])?;
        Ok(id)
    }

    /// Templates of a model in the order of their ids, after `after`; start with `None`.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn page(&mut self, model: &str, after: Option<TemplateId>, limit: i64) -> Result<Vec<Template>> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let found = self.tx.query(PAGE, params![self.application, model, after, limit], |row| {
            Ok((
                row.get::<TemplateId>(0)?,
                row.get::<Option<SessionId>>(1)?,
                row.get::<SubjectId>(2)?,
                row.get::<Vec<u8>>(3)?,
                row.get::<Time>(4)?,
                row.get::<u32>(5)?,
                row.get::<Vec<u8>>(6)?,
            ))
        })?;
        let mut templates = Vec::with_capacity(found.len());
        for (id, session, subject, sealed, created_at, version, wrapped) in found {
            let key = self.tx.unwrap_subject_key(self.application, subject, version, &wrapped)?;
            let plain = key.open(id, "template", &sealed)?;
            let embedding =
                plain.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect::<Vec<f32>>();
            templates.push(Template { id, session, subject, embedding: Pii(embedding), created_at });
        }
        Ok(templates)
    }

    /// Templates of any other model, with the session they came from, in the order of their ids, after `after`.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn of_other_models(
        &mut self,
        model: &str,
        after: Option<TemplateId>,
        limit: i64,
    ) -> Result<Vec<(TemplateId, Option<SessionId>)>> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        self.tx.query(OF_OTHERS, params![self.application, model, after, limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// The session and person of an enrolled face; `None` once it is erased.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn session_of(&mut self, id: TemplateId) -> Result<Option<(Option<SessionId>, SubjectId)>> {
        self.tx.query_opt(SESSION_OF, params![self.application, id], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Removes every enrolled face of the application.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn delete_all(&mut self) -> Result<u64> {
        self.tx.execute(DELETE_ALL, params![self.application])
    }

    /// Removes every face of a person.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn delete_of_subject(&mut self, subject: SubjectId) -> Result<u64> {
        self.tx.execute(DELETE_OF_SUBJECT, params![self.application, subject])
    }

    /// Removes what a session enrolled.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn delete_of_session(&mut self, session: SessionId) -> Result<u64> {
        self.tx.execute(DELETE_OF_SESSION, params![self.application, session])
    }
}
