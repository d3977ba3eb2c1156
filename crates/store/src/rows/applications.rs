//! Applications: the tenants. Everything else belongs to one.

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::ids::ApplicationId;
use crate::tx::{Dialect, Tx};
use crate::value::Row;

statements! {
    INSERT = "INSERT INTO applications (id, name, environment, settings, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)";
    FIND = "SELECT id, name, environment, settings, created_at, updated_at FROM applications WHERE id = $1";
    LIST = "SELECT id, name, environment, settings, created_at, updated_at FROM applications ORDER BY created_at, id";
    UPDATE = "UPDATE applications SET name = $2, settings = $3, updated_at = $4 WHERE id = $1";
}

/// A tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// What its owner calls it.
    pub name: String,
    /// `live` or `sandbox`.
    pub environment: String,
    /// Settings, as JSON.
    pub settings: serde_json::Value,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

fn row(row: &Row<'_>) -> Result<Application> {
    Ok(Application {
        id: row.get(0)?,
        name: row.get(1)?,
        environment: row.get(2)?,
        settings: row.get(3)?,
        created_at: row.get(4)?,
        updated_at: row.get(5)?,
    })
}

/// The PostgreSQL sequence that numbers an application's sessions.
pub(crate) fn sequence_name(application: ApplicationId) -> String {
    format!("session_numbers_{}", application.0.simple())
}

impl Tx<'_> {
    /// Makes an application with its keys; `environment` is `live` or `sandbox`.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn create_application(
        &mut self,
        name: &str,
        environment: &str,
        settings: serde_json::Value,
    ) -> Result<Application> {
        let id: ApplicationId = self.new_id();
        let now = self.now();
        self.execute(INSERT, params![id, name, environment, settings, now])?;
        self.create_application_key(id)?;
        if self.dialect() == Dialect::Postgres {
            self.execute(&format!("CREATE SEQUENCE {}", sequence_name(id)), &[])?;
        }
        Ok(Application {
            id,
            name: name.to_owned(),
            environment: environment.to_owned(),
            settings,
            created_at: now,
            updated_at: now,
        })
    }

    /// Finds an application.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn application(&mut self, id: ApplicationId) -> Result<Option<Application>> {
        self.query_opt(FIND, params![id], row)
    }

    /// All applications, oldest first.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn applications(&mut self) -> Result<Vec<Application>> {
        self.query(LIST, params![], row)
    }

    /// Writes name and settings.
    ///
    /// # Errors
    /// [`Error::Stale`] when there is no such application.
    pub fn update_application(&mut self, application: &Application) -> Result<()> {
        let now = self.now();
        let changed =
            self.execute(UPDATE, params![application.id, application.name, application.settings, now])?;
        if changed == 1 { Ok(()) } else { Err(Error::Stale) }
    }
}
