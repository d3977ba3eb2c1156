//! The blocklist of documents: issuer, type and number of a session's document, which no later session may show.
//!
//! What is kept is a keyed digest, found by equality; the number itself stands nowhere in the list. An entry is sealed
//! with the key of the person whose session it came from: erasing them removes it, as with faces.

use checks::document::ENTRY_TYPE;
use serde_json::{Value, json};
use store::{
    ApplicationId, ListId, SessionId, Tx,
    rows::lists::{Entry, List},
};

use crate::{
    Service,
    access::Access,
    face_lists::{ListError, audit_list, entry_json},
};

/// Name of the list that every application has.
const NAME: &str = "Document blocklist";
/// Entries that one page of a search looks at.
const PAGE: i64 = 500;

fn blocklist(tx: &mut Tx<'_>, application: ApplicationId) -> Result<List, store::Error> {
    let known = tx.lists(application).list()?;
    match known.into_iter().find(|l| l.list_type == "blocklist" && l.entry_type == ENTRY_TYPE) {
        Some(list) => Ok(list),
        None => tx.lists(application).create(NAME, "blocklist", ENTRY_TYPE, true),
    }
}

/// Issuer, type and number of the document that a decided session read.
fn number_of(decision: Option<&store::Pii<Value>>) -> Option<String> {
    checks::document::number_of(&checks::document::stored_identity(decision?)?)
}

impl Service {
    /// Puts the document of a session on the blocklist; a second time changes nothing.
    ///
    /// # Errors
    /// [`ListError::NotFound`] without such a session, [`ListError::NoDocument`] when it read no document with issuer,
    /// type and number.
    pub async fn block_document(&self, access: &Access, session: SessionId) -> Result<Value, ListError> {
        let access = access.clone();
        self.store
            .write(move |tx| {
                let application = access.application;
                let Some(found) = tx.sessions(application).find(session)? else {
                    return Err(ListError::NotFound);
                };
                let number = number_of(found.decision.as_ref()).ok_or(ListError::NoDocument)?;
                let list = blocklist(tx, application)?;
                let listed = tx.lists(application).matches(ENTRY_TYPE, &number)?;
                if let Some((_, _, entry)) = listed.into_iter().find(|(held_by, ..)| *held_by == list.id) {
                    return Ok(json!({ "entry_id": entry, "uuid": entry, "reference_session_id": session }));
                }
                let value = json!({ "reference_session_id": session });
                let id = tx.lists(application).add(&list, Some(&number), &value, Some(found.subject))?;
                audit_list(tx, &access, "list.add", list.id)?;
                let entry = Entry {
                    id,
                    subject: Some(found.subject),
                    value: store::Pii(value),
                    created_at: tx.now(),
                };
                Ok(entry_json(&entry))
            })
            .await
    }

    /// Takes the document of a session off the blocklist; how many entries went.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn unblock_document(&self, access: &Access, session: SessionId) -> Result<u64, store::Error> {
        let access = access.clone();
        self.store
            .write(move |tx| {
                let application = access.application;
                let list = blocklist(tx, application)?;
                let decision = tx.sessions(application).find(session)?.and_then(|found| found.decision);
                let mut removed = 0;
                // Another session may have listed the same document.
                if let Some(number) = number_of(decision.as_ref()) {
                    for (held_by, _, entry) in tx.lists(application).matches(ENTRY_TYPE, &number)? {
                        if held_by == list.id {
                            removed += u64::from(tx.lists(application).remove(list.id, entry)?);
                        }
                    }
                }
                let mut offset = 0;
                loop {
                    let page = tx.lists(application).entries(list.id, PAGE, offset)?;
                    let of_session =
                        page.iter().filter(|e| e.value["reference_session_id"] == json!(session));
                    let of_session: Vec<_> = of_session.map(|e| e.id).collect();
                    for entry in &of_session {
                        removed += u64::from(tx.lists(application).remove(list.id, *entry)?);
                    }
                    if page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                        break;
                    }
                    offset += PAGE - i64::try_from(of_session.len()).unwrap_or(0);
                }
                if removed > 0 {
                    audit_list(tx, &access, "list.remove", list.id)?;
                }
                Ok(removed)
            })
            .await
    }

    /// The blocklist of documents and its newest entries.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn blocked_documents(
        &self,
        access: &Access,
        limit: i64,
    ) -> Result<(ListId, Vec<Value>), store::Error> {
        let application = access.application;
        self.store
            .write(move |tx| {
                let list = blocklist(tx, application)?;
                let entries = tx.lists(application).entries(list.id, limit, 0)?;
                Ok((list.id, entries.iter().map(entry_json).collect()))
            })
            .await
    }
}
