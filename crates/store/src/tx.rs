//! The transaction: one set of methods over both engines.
//!
//! Statements are written once. `$1`, `$2`… are parameters on both engines;
//! `FOR UPDATE [SKIP LOCKED]` is taken out for SQLite, whose one writer needs
//! no row locks. After a failed statement the transaction is broken: it writes
//! nothing, whatever the closure returns. (PostgreSQL works so; SQLite is made
//! to, so that code tested on one holds on the other.) Where a conflict is
//! expected, write `ON CONFLICT … DO NOTHING` and look at the count.

use crate::audit::Head;
use crate::clock::{Random, Time};
use crate::error::{Error, Result};
use crate::fail;
use crate::keys::Keyring;
use crate::value::{Row, RowOf, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// What all transactions of a store share.
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn crate::Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) keyring: Keyring,
    pub(crate) jobs: tokio::sync::Notify,
    pub(crate) events: tokio::sync::Notify,
    /// Session numbers drawn ahead from PostgreSQL's sequences, per application.
    pub(crate) numbers:
        std::sync::Mutex<std::collections::HashMap<crate::ApplicationId, std::collections::VecDeque<i64>>>,
}

/// Which engine a transaction runs on, for the few statements that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite: one writer at a time.
    Sqlite,
    /// PostgreSQL: many writers, row locks.
    Postgres,
}

pub(crate) enum Engine<'c> {
    Sqlite(&'c rusqlite::Connection),
    Postgres(&'c mut crate::postgres::Session),
}

/// An open transaction. Everything a closure does through it is committed together, or not at all.
pub struct Tx<'c> {
    pub(crate) engine: Engine<'c>,
    pub(crate) shared: &'c Shared,
    /// End of this connection's audit strand; `None` in read transactions.
    pub(crate) head: Option<Head>,
    pub(crate) wake: Wake,
    now: Time,
    broken: bool,
}

/// Who is to be woken after the commit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wake {
    pub(crate) jobs: bool,
    pub(crate) events: bool,
}

impl Wake {
    pub(crate) fn merge(&mut self, other: Self) {
        self.jobs |= other.jobs;
        self.events |= other.events;
    }

    pub(crate) fn send(self, shared: &Shared) {
        for (wanted, waiters) in [(self.jobs, &shared.jobs), (self.events, &shared.events)] {
            if wanted {
                // All who wait, and the one who looked before the commit and is about to wait.
                waiters.notify_waiters();
                waiters.notify_one();
            }
        }
    }
}

impl<'c> Tx<'c> {
    pub(crate) fn new(engine: Engine<'c>, shared: &'c Shared, head: Option<Head>) -> Self {
        Self { engine, shared, head, wake: Wake::default(), now: shared.clock.now(), broken: false }
    }

    /// The transaction's time: the same at every call.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The store's source of randomness.
    #[must_use]
    pub fn random(&self) -> &'c dyn Random {
        &*self.shared.random
    }

    /// A new id of any kind: `let id: SessionId = tx.new_id();`
    #[must_use]
    pub fn new_id<I: From<uuid::Uuid>>(&self) -> I {
        I::from(crate::ids::new_uuid(self.now, self.random()))
    }

    /// Which engine this is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.engine {
            Engine::Sqlite(_) => Dialect::Sqlite,
            Engine::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Whether a statement has failed, so that nothing will be committed.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Makes sure that nothing of this transaction is committed.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
    }

    /// Runs a statement; returns how many rows it changed.
    ///
    /// # Errors
    /// As [`Error`] says; any error breaks the transaction.
    pub fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64> {
        self.guard(|tx| {
            fail::hit("database.execute")?;
            match &mut tx.engine {
                Engine::Sqlite(connection) => crate::sqlite::execute(connection, sql, params),
                Engine::Postgres(session) => session.execute(sql, params),
            }
        })
    }

    /// Runs a statement whose outcome is not needed before the commit. PostgreSQL gets it together
    /// with the next query or the commit, in one round trip; an error shows there. SQLite runs it at once.
    ///
    /// # Errors
    /// As [`Error`] says; any error breaks the transaction.
    pub fn defer(&mut self, sql: &str, params: &[Value<'_>]) -> Result<()> {
        self.guard(|tx| {
            fail::hit("database.execute")?;
            match &mut tx.engine {
                Engine::Sqlite(connection) => crate::sqlite::execute(connection, sql, params).map(|_| ()),
                Engine::Postgres(session) => session.defer(sql, params),
            }
        })
    }

    /// Runs a query and maps every row.
    ///
    /// # Errors
    /// As [`Error`] says; any error, also of `map`, breaks the transaction.
    pub fn query<T>(
        &mut self,
        sql: &str,
        params: &[Value<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.guard(|tx| match &mut tx.engine {
            Engine::Sqlite(connection) => crate::sqlite::query(connection, sql, params, &mut map),
            Engine::Postgres(session) => {
                session.query(sql, params)?.iter().map(|row| map(&Row(RowOf::Postgres(row)))).collect()
            }
        })
    }

    /// Runs a query of at most one row; `None` when there is none. Further rows are ignored.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn query_opt<T>(
        &mut self,
        sql: &str,
        params: &[Value<'_>],
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.query(sql, params, map)?.into_iter().next())
    }

    /// Runs a query of exactly one row, such as a count.
    ///
    /// # Errors
    /// As [`Tx::query`]; [`Error::Column`] when there is no row.
    pub fn query_one<T>(
        &mut self,
        sql: &str,
        params: &[Value<'_>],
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.query_opt(sql, params, map)?.ok_or(Error::Column { index: 0 })
    }

    /// Prepares a statement without running it, for the test over all statements.
    ///
    /// # Errors
    /// [`Error::Statement`] when the engine refuses it.
    pub fn prepare(&mut self, sql: &str) -> Result<()> {
        match &mut self.engine {
            Engine::Sqlite(connection) => {
                connection.prepare(&without_row_locks(sql)).map(|_| ()).map_err(crate::sqlite::error)
            }
            Engine::Postgres(session) => session.prepare(sql).map(|_| ()),
        }
    }

    fn guard<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.broken {
            return Err(Error::Broken);
        }
        let result = run(self);
        self.broken = result.is_err();
        result
    }
}

/// SQLite has no row locks: its writers exclude each other.
pub(crate) fn without_row_locks(sql: &str) -> Cow<'_, str> {
    if sql.contains(" FOR UPDATE") {
        Cow::Owned(sql.replace(" FOR UPDATE SKIP LOCKED", "").replace(" FOR UPDATE", ""))
    } else {
        Cow::Borrowed(sql)
    }
}
