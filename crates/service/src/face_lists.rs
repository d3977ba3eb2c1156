//! Lists of faces: who must not get in, and who is known to be fine.
//!
//! An entry is a template, made from a picture or from a session's selfie,
//! sealed with the person's key where there is a person: erasing them removes it.
//! Searches find entries at once ([`crate::face_search`]). Every application has
//! one blocklist of faces, made when it is first needed.

use serde_json::{Value, json};
use store::{
    ApplicationId, EntryId, ListId, SessionId, Tx, audit,
    rows::lists::{Entry, List},
};

use crate::{
    Service,
    access::Access,
    face_search::{entry_template, template_of},
    pool::Work,
    rfc3339,
    sessions::state_of,
    standalone::{StandaloneError, look_at},
};

/// What is listed here.
const ENTRY_TYPE: &str = "face";
/// Name of the list that every application has.
const BLOCKLIST_NAME: &str = "Face blocklist";

/// What the owner says about an entry.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// How it is shown.
    pub display_label: Option<String>,
    /// Why it is there.
    pub comment: Option<String>,
    /// Anything.
    pub metadata: Option<Value>,
}

/// From what an entry is made.
#[derive(Debug, Clone)]
pub enum Source {
    /// A picture.
    Picture(Vec<u8>),
    /// The selfie of a session.
    Session(SessionId),
}

/// Why an entry was not made.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// No such list, entry or session.
    #[error("no such list, entry or session")]
    NotFound,
    /// The session has no picture of a face.
    #[error("the session has no picture of a face")]
    NoSelfie,
    /// The session read no document that could be recognised again.
    #[error("the session has no document with issuer, type and number")]
    NoDocument,
    /// The check on the picture.
    #[error(transparent)]
    Picture(#[from] StandaloneError),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn list_json(list: &List) -> Value {
    json!({
        "list_id": list.id, "uuid": list.id, "name": list.name, "list_type": list.list_type,
        "entry_type": list.entry_type, "is_system": list.is_system, "created_at": rfc3339(list.created_at),
    })
}

pub(crate) fn entry_json(entry: &Entry) -> Value {
    json!({
        "entry_id": entry.id, "uuid": entry.id,
        "reference_session_id": entry.value["reference_session_id"],
        "display_label": entry.value["display_label"],
        "comment": entry.value["comment"],
        "metadata": entry.value["metadata"],
        "model": entry.value["model"],
        "created_at": rfc3339(entry.created_at),
    })
}

pub(crate) fn audit_list(
    tx: &mut Tx<'_>,
    access: &Access,
    action: &str,
    list: ListId,
) -> Result<(), store::Error> {
    tx.audit(&audit::Entry {
        application: Some(access.application),
        actor: &access.actor(),
        action,
        object: &format!("list:{list}"),
        outcome: "ok",
        ..audit::Entry::default()
    })
}

/// The blocklist of faces of an application.
fn blocklist(tx: &mut Tx<'_>, application: ApplicationId) -> Result<List, store::Error> {
    let existing = tx
        .lists(application)
        .list()?
        .into_iter()
        .find(|l| l.list_type == "blocklist" && l.entry_type == ENTRY_TYPE);
    match existing {
        Some(list) => Ok(list),
        None => tx.lists(application).create(BLOCKLIST_NAME, "blocklist", ENTRY_TYPE, true),
    }
}

impl Service {
    /// All lists of faces.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn face_lists(&self, access: &Access) -> Result<Vec<Value>, store::Error> {
        let application = access.application;
        self.store
            .write(move |tx| {
                blocklist(tx, application)?;
                let lists = tx.lists(application).list()?;
                Ok(lists.iter().filter(|list| list.entry_type == ENTRY_TYPE).map(list_json).collect())
            })
            .await
    }

    /// The blocklist of faces: its id.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn face_blocklist(&self, access: &Access) -> Result<ListId, store::Error> {
        let application = access.application;
        self.store.write(move |tx| Ok(blocklist(tx, application)?.id)).await
    }

    /// One list of faces.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn face_list(&self, access: &Access, id: ListId) -> Result<Option<Value>, store::Error> {
        let application = access.application;
        self.store
            .read(move |tx| {
                let list = tx.lists(application).find(id)?.filter(|list| list.entry_type == ENTRY_TYPE);
                Ok(list.as_ref().map(list_json))
            })
            .await
    }

    /// Makes a list of faces: `allowlist` or `custom`.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn create_face_list(
        &self,
        access: &Access,
        name: &str,
        list_type: &str,
    ) -> Result<Value, store::Error> {
        let (access, name, list_type) = (access.clone(), name.to_owned(), list_type.to_owned());
        self.store
            .write(move |tx| {
                let list = tx.lists(access.application).create(&name, &list_type, ENTRY_TYPE, false)?;
                audit_list(tx, &access, "list.create", list.id)?;
                Ok(list_json(&list))
            })
            .await
    }

    /// Deletes a list with its entries; `false` when there is none or it came with the application.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn delete_face_list(&self, access: &Access, id: ListId) -> Result<bool, store::Error> {
        let access = access.clone();
        self.store
            .write(move |tx| {
                let deleted = tx.lists(access.application).delete(id)?;
                if deleted {
                    audit_list(tx, &access, "list.delete", id)?;
                }
                Ok(deleted)
            })
            .await
    }

    /// Entries of a list, newest first; `None` when there is no such list.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn face_entries(
        &self,
        access: &Access,
        list: ListId,
        limit: i64,
        offset: i64,
    ) -> Result<Option<Vec<Value>>, store::Error> {
        let application = access.application;
        self.store
            .read(move |tx| {
                if tx.lists(application).find(list)?.is_none() {
                    return Ok(None);
                }
                let entries = tx.lists(application).entries(list, limit, offset)?;
                Ok(Some(entries.iter().map(entry_json).collect()))
            })
            .await
    }

    /// Adds a face to a list.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn add_face(
        &self,
        access: &Access,
        list: ListId,
        source: Source,
        described: Described,
    ) -> Result<Value, ListError> {
        let application = access.application;
        let engines = self.faces_ready()?;
        let (bytes, reference, field) = match source {
            Source::Picture(bytes) => (bytes, None, "image"),
            Source::Session(id) => {
                let found = self
                    .store
                    .read(move |tx| {
                        let Some(session) = tx.sessions(application).find(id)? else { return Ok(None) };
                        let selfie = match state_of(&session)?.objects.get("selfie") {
                            Some(object) => tx.objects(application).find(*object)?,
                            None => None,
                        };
                        Ok::<_, store::Error>(Some((session.subject, selfie)))
                    })
                    .await?;
                let (subject, selfie) = found.ok_or(ListError::NotFound)?;
                let selfie = selfie.ok_or(ListError::NoSelfie)?;
                let bytes = self.store.get_blob(&selfie).await?.ok_or(ListError::NoSelfie)?;
                (bytes, Some((id, subject)), "reference_session_id")
            }
        };
        let template = self
            .pool
            .run(Work::Check, move || {
                let look = look_at(&engines, field, &bytes)?;
                let engine = engines.faces().map_err(|error| StandaloneError::Failed(Box::new(error)))?;
                template_of(&engine, &look)?.ok_or(StandaloneError::NoFace)
            })
            .await
            .map_err(StandaloneError::from)??;
        let access = access.clone();
        self.store
            .write(move |tx| {
                let Some(list) = tx.lists(application).find(list)? else { return Err(ListError::NotFound) };
                let value = json!({
                    "reference_session_id": reference.map(|(session, _)| session),
                    "display_label": described.display_label,
                    "comment": described.comment,
                    "metadata": described.metadata,
                    "model": template.model,
                    "template": entry_template(&template),
                });
                let subject = reference.map(|(_, subject)| subject);
                let id = tx.lists(application).add(&list, None, &value, subject)?;
                audit_list(tx, &access, "list.add", list.id)?;
                let entry = Entry { id, subject, value: store::Pii(value), created_at: tx.now() };
                Ok(entry_json(&entry))
            })
            .await
    }

    /// Removes an entry; `false` when there is none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn remove_face(
        &self,
        access: &Access,
        list: ListId,
        entry: EntryId,
    ) -> Result<bool, store::Error> {
        let access = access.clone();
        self.store
            .write(move |tx| {
                let removed = tx.lists(access.application).remove(list, entry)?;
                if removed {
                    audit_list(tx, &access, "list.remove", list)?;
                }
                Ok(removed)
            })
            .await
    }

    /// Removes the blocklist's entries that were made from a session; how many.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn unblock_face(&self, access: &Access, session: SessionId) -> Result<u64, store::Error> {
        let access = access.clone();
        self.store
            .write(move |tx| {
                let list = blocklist(tx, access.application)?;
                let mut removed = 0;
                let mut after = None;
                loop {
                    let page = tx.lists(access.application).faces(after, 500)?;
                    let Some(last) = page.last() else { break };
                    after = Some(last.id);
                    for entry in page.iter().filter(|entry| entry.list == list.id) {
                        if entry.value["reference_session_id"] == json!(session) {
                            removed += u64::from(tx.lists(access.application).remove(list.id, entry.id)?);
                        }
                    }
                }
                if removed > 0 {
                    audit_list(tx, &access, "list.remove", list.id)?;
                }
                Ok(removed)
            })
            .await
    }
}
