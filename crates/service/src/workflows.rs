//! Workflows of an application: made, changed, taken out of use; sessions keep the version they began with.

use store::{Tx, Workflow, WorkflowId, audit};
use workflow::Definition;

use crate::{Service, access::Access, rfc3339};

/// What a caller wants a workflow to be.
#[derive(Debug, Clone)]
pub struct Saved {
    /// What its owner calls it.
    pub label: String,
    /// Whether it is the application's default.
    pub is_default: bool,
    /// What is checked; valid.
    pub definition: Definition,
}

/// A workflow as it stands.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its id.
    pub id: WorkflowId,
    /// Its newest version.
    pub version: i64,
    /// What its owner calls it.
    pub label: String,
    /// Whether it is the application's default.
    pub is_default: bool,
    /// Public name in its reusable link; not a credential.
    pub link_token: String,
    /// What is checked.
    pub definition: Definition,
    /// When it was last changed.
    pub updated_at: String,
}

/// The definition of a row. What stands in it from another time and is not acted on is told to the operator.
pub(crate) fn read(row: &Workflow) -> Result<Definition, store::Error> {
    let definition: Definition = serde_json::from_value(row.settings.clone()).map_err(store::Error::Json)?;
    let unread = definition.unread();
    if !unread.is_empty() {
        tracing::warn!(
            workflow.id = %row.id, workflow.version = row.version, settings = %unread.join(", "),
            "workflow has settings that this version does not act on; its sessions go to review until it is saved without them"
        );
    }
    Ok(definition)
}

fn stored(row: Workflow) -> Result<Stored, store::Error> {
    Ok(Stored {
        definition: read(&row)?,
        id: row.id,
        version: row.version,
        label: row.label,
        is_default: row.is_default,
        link_token: row.link_token,
        updated_at: rfc3339(row.updated_at),
    })
}

/// Reads the definition that a session follows.
pub(crate) fn definition_of(
    tx: &mut Tx<'_>,
    application: store::ApplicationId,
    workflow: Option<(WorkflowId, i64)>,
) -> Result<Option<Definition>, store::Error> {
    let Some((id, version)) = workflow else { return Ok(None) };
    match tx.workflows(application).find(id, version)? {
        Some(row) => read(&row).map(Some),
        None => Ok(None),
    }
}

/// 22 characters that name a workflow in its reusable link.
pub(crate) fn new_link_token(random: &dyn store::Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes)
}

/// Writes a new version of a workflow, with its audit row.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    application: store::ApplicationId,
    actor: &str,
    before: Option<&Workflow>,
    saved: Saved,
) -> Result<Stored, store::Error> {
    let row = Workflow {
        id: before.map_or_else(|| tx.new_id(), |row| row.id),
        version: before.map_or(1, |row| row.version + 1),
        label: saved.label,
        kind: "kyc".to_owned(),
        status: "published".to_owned(),
        is_default: saved.is_default,
        is_archived: false,
        link_token: before.map_or_else(|| new_link_token(tx.random()), |row| row.link_token.clone()),
        settings: serde_json::to_value(&saved.definition).map_err(store::Error::Json)?,
        created_by: actor.to_owned(),
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    tx.workflows(application).insert(&row)?;
    tx.audit(&audit::Entry {
        application: Some(application),
        actor,
        action: if before.is_some() { "workflow.update" } else { "workflow.create" },
        object: &format!("workflow:{}", row.id),
        outcome: "ok",
        ..audit::Entry::default()
    })?;
    stored(row)
}

impl Service {
    /// All workflows in use.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn workflows(&self, access: &Access) -> Result<Vec<Stored>, store::Error> {
        let application = access.application;
        self.store
            .read(move |tx| {
                let rows = tx.workflows(application).list()?;
                rows.into_iter().filter(|row| !row.is_archived).map(stored).collect()
            })
            .await
    }

    /// One workflow in use.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn workflow(&self, access: &Access, id: WorkflowId) -> Result<Option<Stored>, store::Error> {
        let application = access.application;
        self.store
            .read(move |tx| {
                tx.workflows(application).newest(id)?.filter(|row| !row.is_archived).map(stored).transpose()
            })
            .await
    }

    /// Makes a workflow.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn create_workflow(&self, access: &Access, saved: Saved) -> Result<Stored, store::Error> {
        let access = access.clone();
        self.store.write(move |tx| insert(tx, access.application, &access.actor(), None, saved)).await
    }

    /// Adds a version to a workflow; `None` when there is no such workflow.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn update_workflow(
        &self,
        access: &Access,
        id: WorkflowId,
        saved: Saved,
    ) -> Result<Option<Stored>, store::Error> {
        let access = access.clone();
        self.store
            .write(move |tx| {
                let before = tx.workflows(access.application).newest(id)?.filter(|row| !row.is_archived);
                before
                    .map(|before| insert(tx, access.application, &access.actor(), Some(&before), saved))
                    .transpose()
            })
            .await
    }

    /// Takes a workflow out of use; `false` when there is no such workflow.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn archive_workflow(&self, access: &Access, id: WorkflowId) -> Result<bool, store::Error> {
        let access = access.clone();
        self.store
            .write(move |tx| {
                let rows = tx.workflows(access.application).versions(id)?;
                if rows.iter().all(|row| row.is_archived) {
                    return Ok(false);
                }
                for mut row in rows {
                    row.is_archived = true;
                    row.is_default = false;
                    tx.workflows(access.application).update(&row)?;
                }
                tx.audit(&audit::Entry {
                    application: Some(access.application),
                    actor: &access.actor(),
                    action: "workflow.archive",
                    object: &format!("workflow:{id}"),
                    outcome: "ok",
                    ..audit::Entry::default()
                })?;
                Ok(true)
            })
            .await
    }
}
