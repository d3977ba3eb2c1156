//! Lists of values (block-lists, allow-lists): found by blind index, shown by opening the seal.

use crate::clock::Time;
use crate::error::Result;
use crate::ids::{EntryId, ListId, SubjectId};
use crate::secret::Pii;
use crate::value::Row;

statements! {
    INSERT = "INSERT INTO lists (application_id, id, name, list_type, entry_type, is_system, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    LIST = "SELECT id, name, list_type, entry_type, is_system, created_at FROM lists WHERE application_id = $1 ORDER BY created_at, id";
    FIND = "SELECT id, name, list_type, entry_type, is_system, created_at FROM lists WHERE application_id = $1 AND id = $2";
    DELETE = "DELETE FROM lists WHERE application_id = $1 AND id = $2 AND is_system = FALSE";
    DELETE_ENTRIES = "DELETE FROM list_entries WHERE application_id = $1 AND list_id = $2";
    INSERT_ENTRY = "INSERT INTO list_entries (application_id, id, list_id, subject_id, value_index, sealed_value, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    ENTRIES = "SELECT id, subject_id, sealed_value, created_at FROM list_entries WHERE application_id = $1 AND list_id = $2 \
        ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4";
    MATCHES = "SELECT l.id, l.list_type, e.id FROM list_entries AS e JOIN lists AS l ON l.application_id = e.application_id AND l.id = e.list_id \
        WHERE e.application_id = $1 AND l.entry_type = $2 AND e.value_index = $3";
    FACES = "SELECT e.id, e.list_id, l.list_type, e.subject_id, e.sealed_value FROM list_entries AS e \
        JOIN lists AS l ON l.application_id = e.application_id AND l.id = e.list_id \
        WHERE e.application_id = $1 AND l.entry_type = 'face' AND e.id > $2 ORDER BY e.id LIMIT $3";
    FACE = "SELECT e.id, e.list_id, l.list_type, e.subject_id, e.sealed_value FROM list_entries AS e \
        JOIN lists AS l ON l.application_id = e.application_id AND l.id = e.list_id \
        WHERE e.application_id = $1 AND l.entry_type = 'face' AND e.id = $2";
    REWRITE_ENTRY = "UPDATE list_entries SET sealed_value = $4 WHERE application_id = $1 AND list_id = $2 AND id = $3";
    DELETE_ENTRY = "DELETE FROM list_entries WHERE application_id = $1 AND list_id = $2 AND id = $3";
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its id.
    pub id: ListId,
    /// What its owner calls it.
    pub name: String,
    /// `blocklist`, `allowlist`, `custom`.
    pub list_type: String,
    /// What it lists: `document`, `phone`, `email`, `face`…
    pub entry_type: String,
    /// Whether it came with the application and cannot be deleted.
    pub is_system: bool,
    /// When it was made.
    pub created_at: Time,
}

/// An entry.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// From whom it came, if from a session.
    pub subject: Option<SubjectId>,
    /// Value, label, comment, metadata: JSON. Sealed.
    pub value: Pii<serde_json::Value>,
    /// When it was added.
    pub created_at: Time,
}

/// An entry of a list of faces, with what its list means.
#[derive(Debug, Clone)]
pub struct ListedFace {
    /// The entry.
    pub id: EntryId,
    /// Its list.
    pub list: ListId,
    /// `blocklist`, `allowlist`, `custom`.
    pub list_type: String,
    /// From whom it came, if from a session.
    pub subject: Option<SubjectId>,
    /// Template, label, comment, reference: JSON. Sealed.
    pub value: Pii<serde_json::Value>,
}

type RawFace = (EntryId, ListId, String, Option<SubjectId>, Vec<u8>);

fn raw_face(row: &Row<'_>) -> Result<RawFace> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn row(row: &Row<'_>) -> Result<List> {
    Ok(List {
        id: row.get(0)?,
        name: row.get(1)?,
        list_type: row.get(2)?,
        entry_type: row.get(3)?,
        is_system: row.get(4)?,
        created_at: row.get(5)?,
    })
}

repository! {
    /// Lists of one application.
    Lists, lists
}

impl Lists<'_, '_> {
    /// Makes a list.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn create(&mut self, name: &str, list_type: &str, entry_type: &str, is_system: bool) -> Result<List> {
        let id: ListId = self.tx.new_id();
        let now = self.tx.now();
        self.tx
            .execute(INSERT, params![self.application, id, name, list_type, entry_type, is_system, now])?;
        Ok(List {
            id,
            name: name.to_owned(),
            list_type: list_type.to_owned(),
            entry_type: entry_type.to_owned(),
            is_system,
            created_at: now,
        })
    }

    /// All lists.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn list(&mut self) -> Result<Vec<List>> {
        self.tx.query(LIST, params![self.application], row)
    }

    /// One list.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn find(&mut self, id: ListId) -> Result<Option<List>> {
        self.tx.query_opt(FIND, params![self.application, id], row)
    }

    /// Deletes a list with its entries; `false` when there is none or it belongs to the system.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn delete(&mut self, id: ListId) -> Result<bool> {
        let deleted = self.tx.execute(DELETE, params![self.application, id])? == 1;
        if deleted {
            self.tx.execute(DELETE_ENTRIES, params![self.application, id])?;
        }
        Ok(deleted)
    }

    /// Adds an entry: `normal` is the normal form that look-ups use, `value` is what is shown.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn add(
        &mut self,
        list: &List,
        normal: Option<&str>,
        value: &serde_json::Value,
        subject: Option<SubjectId>,
    ) -> Result<EntryId> {
        let id: EntryId = self.tx.new_id();
        let by = self.tx.application_key(self.application)?;
        let index =
            normal.map(|normal| by.blind_index(&format!("list {}", list.entry_type), normal.as_bytes()));
        let plain = serde_json::to_vec(value).map_err(crate::Error::Json)?;
        let sealed = match subject {
            Some(subject) => {
                self.tx.subject_key(self.application, subject)?.seal(self.tx.random(), id, "value", &plain)?
            }
            None => by.seal(self.tx.random(), id, "value", &plain)?,
        };
        let now = self.tx.now();
        self.tx.execute(INSERT_ENTRY, params![self.application, id, list.id, subject, index, sealed, now])?;
        Ok(id)
    }

    /// Lists and entries that hold a value; `normal` in the normal form that was added.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn matches(&mut self, entry_type: &str, normal: &str) -> Result<Vec<(ListId, String, EntryId)>> {
        let by = self.tx.application_key(self.application)?;
        let index = by.blind_index(&format!("list {entry_type}"), normal.as_bytes());
        self.tx.query(MATCHES, params![self.application, entry_type, index], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
    }

    /// Entries of all lists of faces in the order of their ids, after `after`; start with `None`.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn faces(&mut self, after: Option<EntryId>, limit: i64) -> Result<Vec<ListedFace>> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let found = self.tx.query(FACES, params![self.application, after, limit], raw_face)?;
        found.into_iter().map(|raw| self.open_face(raw)).collect()
    }

    /// One entry of a list of faces; `None` once it is removed.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn face(&mut self, id: EntryId) -> Result<Option<ListedFace>> {
        let found = self.tx.query_opt(FACE, params![self.application, id], raw_face)?;
        found.map(|raw| self.open_face(raw)).transpose()
    }

    fn open_face(&mut self, (id, list, list_type, subject, sealed): RawFace) -> Result<ListedFace> {
        let plain = match subject {
            Some(subject) => self.tx.subject_key(self.application, subject)?.open(id, "value", &sealed)?,
            None => self.tx.open_application_value(self.application, id, "value", &sealed)?,
        };
        let value = Pii(serde_json::from_slice(&plain).map_err(crate::Error::Json)?);
        Ok(ListedFace { id, list, list_type, subject, value })
    }

    /// Entries of a list, newest first.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn entries(&mut self, list: ListId, limit: i64, offset: i64) -> Result<Vec<Entry>> {
        let found = self.tx.query(ENTRIES, params![self.application, list, limit, offset], |row| {
            Ok((
                row.get::<EntryId>(0)?,
                row.get::<Option<SubjectId>>(1)?,
                row.get::<Vec<u8>>(2)?,
                row.get::<Time>(3)?,
            ))
        })?;
        let mut entries = Vec::with_capacity(found.len());
        for (id, subject, sealed, created_at) in found {
            let plain = match subject {
                Some(subject) => {
                    self.tx.subject_key(self.application, subject)?.open(id, "value", &sealed)?
                }
                None => self.tx.open_application_value(self.application, id, "value", &sealed)?,
            };
            let value = Pii(serde_json::from_slice(&plain).map_err(crate::Error::Json)?);
            entries.push(Entry { id, subject, value, created_at });
        }
        Ok(entries)
    }

    /// Writes another value into an entry of a list of faces; `false` when it is gone.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn rewrite(&mut self, entry: &ListedFace, value: &serde_json::Value) -> Result<bool> {
        let plain = serde_json::to_vec(value).map_err(crate::Error::Json)?;
        let sealed = match entry.subject {
            Some(subject) => self.tx.subject_key(self.application, subject)?.seal(
                self.tx.random(),
                entry.id,
                "value",
                &plain,
            )?,
            None => {
                let by = self.tx.application_key(self.application)?;
                by.seal(self.tx.random(), entry.id, "value", &plain)?
            }
        };
        Ok(self.tx.execute(REWRITE_ENTRY, params![self.application, entry.list, entry.id, sealed])? == 1)
    }

    /// Removes an entry; `false` when there is none.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn remove(&mut self, list: ListId, entry: EntryId) -> Result<bool> {
        Ok(self.tx.execute(DELETE_ENTRY, params![self.application, list, entry])? == 1)
    }
}
