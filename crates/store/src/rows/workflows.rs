//! Workflows, each with its versions. A published version is never changed; drafts are.

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::ids::WorkflowId;
use crate::value::Row;

macro_rules! columns {
    () => {
        "id, version, label, kind, status, is_default, is_archived, link_token, settings, created_by, created_at, updated_at"
    };
}

statements! {
    INSERT = "INSERT INTO workflows (application_id, id, version, label, kind, status, is_default, is_archived, link_token, settings, \
        created_by, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)";
    UPDATE = "UPDATE workflows SET label = $4, kind = $5, status = $6, is_default = $7, is_archived = $8, settings = $9, updated_at = $10 \
        WHERE application_id = $1 AND id = $2 AND version = $3";
    FIND = concat!("SELECT ", columns!(), " FROM workflows WHERE application_id = $1 AND id = $2 AND version = $3");
    FIND_NEWEST = concat!("SELECT ", columns!(), " FROM workflows WHERE application_id = $1 AND id = $2 ORDER BY version DESC LIMIT 1");
    FIND_PUBLISHED = concat!("SELECT ", columns!(), " FROM workflows WHERE application_id = $1 AND id = $2 AND status = 'published' \
        AND is_archived = FALSE ORDER BY version DESC LIMIT 1");
    FIND_DEFAULT = concat!("SELECT ", columns!(), " FROM workflows WHERE application_id = $1 AND is_default = TRUE AND status = 'published' \
        AND is_archived = FALSE ORDER BY version DESC LIMIT 1");
    LIST = concat!("SELECT ", columns!(), " FROM workflows AS w WHERE application_id = $1 AND version = \
        (SELECT MAX(v.version) FROM workflows AS v WHERE v.application_id = $1 AND v.id = w.id) ORDER BY created_at, id");
    VERSIONS = concat!("SELECT ", columns!(), " FROM workflows WHERE application_id = $1 AND id = $2 ORDER BY version");
    CLEAR_DEFAULT = "UPDATE workflows SET is_default = FALSE WHERE application_id = $1 AND is_default = TRUE AND id <> $2";
    DELETE = "DELETE FROM workflows WHERE application_id = $1 AND id = $2";
    BY_LINK = concat!("SELECT application_id, ", columns!(), " FROM workflows WHERE link_token = $1 AND status = 'published' \
        AND is_archived = FALSE ORDER BY version DESC LIMIT 1");
}

/// One version of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    /// The workflow.
    pub id: WorkflowId,
    /// Its version, from 1.
    pub version: i64,
    /// What its owner calls it.
    pub label: String,
    /// `kyc`, `adaptive_age_verification`…
    pub kind: String,
    /// `draft` or `published`.
    pub status: String,
    /// Whether sessions without a workflow use it.
    pub is_default: bool,
    /// Whether it takes no more sessions.
    pub is_archived: bool,
    /// Public name in its reusable link; not a credential.
    pub link_token: String,
    /// The definition, as JSON.
    pub settings: serde_json::Value,
    /// Who made this version.
    pub created_by: String,
    /// When it was made; [`Workflows::insert`] sets it.
    pub created_at: Time,
    /// When it was last changed; writes set it.
    pub updated_at: Time,
}

fn row_from(row: &Row<'_>, first: usize) -> Result<Workflow> {
    Ok(Workflow {
        id: row.get(first)?,
        version: row.get(first + 1)?,
        label: row.get(first + 2)?,
        kind: row.get(first + 3)?,
        status: row.get(first + 4)?,
        is_default: row.get(first + 5)?,
        is_archived: row.get(first + 6)?,
        link_token: row.get(first + 7)?,
        settings: row.get(first + 8)?,
        created_by: row.get(first + 9)?,
        created_at: row.get(first + 10)?,
        updated_at: row.get(first + 11)?,
    })
}

fn row(row: &Row<'_>) -> Result<Workflow> {
    row_from(row, 0)
}

repository! {
    /// Workflows of one application.
    Workflows, workflows
}

impl Workflows<'_, '_> {
    /// Inserts one version. When it is the default, no other workflow stays so.
    ///
    /// # Errors
    /// [`Error::Conflict`] when this version exists.
    pub fn insert(&mut self, workflow: &Workflow) -> Result<()> {
        let now = self.tx.now();
        if workflow.is_default {
            self.tx.execute(CLEAR_DEFAULT, params![self.application, workflow.id])?;
        }
        self.tx
            .execute(
                INSERT,
                params![
                    self.application,
                    workflow.id,
                    workflow.version,
                    workflow.label,
                    workflow.kind,
                    workflow.status,
                    workflow.is_default,
                    workflow.is_archived,
                    workflow.link_token,
                    workflow.settings,
                    workflow.created_by,
                    now
                ],
            )
            .map(|_| ())
    }

    /// Writes one version in place.
    ///
    /// # Errors
    /// [`Error::Stale`] when there is no such version.
    pub fn update(&mut self, workflow: &Workflow) -> Result<()> {
        let now = self.tx.now();
        if workflow.is_default {
            self.tx.execute(CLEAR_DEFAULT, params![self.application, workflow.id])?;
        }
        let changed = self.tx.execute(
            UPDATE,
            params![
                self.application,
                workflow.id,
                workflow.version,
                workflow.label,
                workflow.kind,
                workflow.status,
                workflow.is_default,
                workflow.is_archived,
                workflow.settings,
                now
            ],
        )?;
        if changed == 1 { Ok(()) } else { Err(Error::Stale) }
    }

    /// One version.
    ///
    /// # Errors
    /// As [`crate::Tx::query`], like all below.
    pub fn find(&mut self, id: WorkflowId, version: i64) -> Result<Option<Workflow>> {
        self.tx.query_opt(FIND, params![self.application, id, version], row)
    }

    /// The newest version, draft or published.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn newest(&mut self, id: WorkflowId) -> Result<Option<Workflow>> {
        self.tx.query_opt(FIND_NEWEST, params![self.application, id], row)
    }

    /// The newest published version, which new sessions use; `None` for an archived workflow.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn published(&mut self, id: WorkflowId) -> Result<Option<Workflow>> {
        self.tx.query_opt(FIND_PUBLISHED, params![self.application, id], row)
    }

    /// The default workflow's newest published version.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn default(&mut self) -> Result<Option<Workflow>> {
        self.tx.query_opt(FIND_DEFAULT, params![self.application], row)
    }

    /// The newest version of every workflow.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn list(&mut self) -> Result<Vec<Workflow>> {
        self.tx.query(LIST, params![self.application], row)
    }

    /// All versions of one workflow.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn versions(&mut self, id: WorkflowId) -> Result<Vec<Workflow>> {
        self.tx.query(VERSIONS, params![self.application, id], row)
    }

    /// Deletes a workflow with all versions; `false` when there is none.
    ///
    /// # Errors
    /// As [`crate::Tx::execute`].
    pub fn delete(&mut self, id: WorkflowId) -> Result<bool> {
        Ok(self.tx.execute(DELETE, params![self.application, id])? > 0)
    }
}

impl crate::Tx<'_> {
    /// The published workflow behind a reusable link, with its owner.
    ///
    /// # Errors
    /// As [`crate::Tx::query`].
    pub fn workflow_by_link(&mut self, link_token: &str) -> Result<Option<(crate::ApplicationId, Workflow)>> {
        self.query_opt(BY_LINK, params![link_token], |row| Ok((row.get(0)?, row_from(row, 1)?)))
    }
}
