//! Brings a database to the newest schema, in one transaction a step.
//!
//! One text serves both engines; [`for_engine`] puts in the engine's names for
//! types. A step is never changed once released; the program refuses a database
//! that a newer one has written.

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::tx::Dialect;
use crate::value::Value;

const STEPS: &[(i64, &str)] = &[
    (1, include_str!("../migrations/0001.sql")),
    (2, include_str!("../migrations/0002.sql")),
    (3, include_str!("../migrations/0003.sql")),
];

const LEDGER: &str =
    "CREATE TABLE IF NOT EXISTS migrations (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)";
const PRESENT: &str = "SELECT COALESCE(MAX(version), 0) FROM migrations";
const APPLIED: &str = "INSERT INTO migrations (version, applied_at) VALUES ($1, $2)";

/// The newest version this program knows.
pub(crate) fn newest() -> i64 {
    STEPS.iter().map(|(version, _)| *version).max().unwrap_or(0)
}

/// The whole schema, for tests that look through it.
#[cfg(test)]
pub(crate) fn schema() -> String {
    STEPS.iter().map(|(_, text)| *text).collect()
}

/// Turns the neutral text into the engine's.
pub(crate) fn for_engine(text: &str, dialect: Dialect) -> String {
    let mut out = String::with_capacity(text.len());
    let mut skip = false;
    for line in text.lines() {
        match line.trim() {
            "-- @sqlite" => skip = dialect != Dialect::Sqlite,
            "-- @postgres" => skip = dialect != Dialect::Postgres,
            "-- @end" => skip = false,
            comment if comment.starts_with("--") => {}
            _ if skip => {}
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    let words: &[(&str, &str)] = match dialect {
        Dialect::Sqlite => &[(" BIGINT", " INTEGER"), (" DOUBLE", " REAL"), (" BOOLEAN", " INTEGER")],
        Dialect::Postgres => &[(" BLOB", " BYTEA"), (" DOUBLE", " DOUBLE PRECISION"), (") STRICT;", ");")],
    };
    words.iter().fold(out, |text, (neutral, own)| text.replace(neutral, own))
}

fn check(found: i64) -> Result<()> {
    if found > newest() { Err(Error::Newer { found, known: newest() }) } else { Ok(()) }
}

/// Migrates SQLite; returns the versions that were applied.
pub(crate) fn sqlite(connection: &rusqlite::Connection, now: Time) -> Result<Vec<i64>> {
    // Immediate: of two processes that start together, one waits here and then finds the work done.
    connection.execute_batch("BEGIN IMMEDIATE").map_err(crate::sqlite::error)?;
    let done = (|| {
        crate::sqlite::execute(connection, &for_engine(LEDGER, Dialect::Sqlite), &[])?;
        let present = crate::sqlite::query(connection, PRESENT, &[], &mut |row| row.get::<i64>(0))?;
        let present = present.first().copied().unwrap_or(0);
        check(present)?;
        let mut applied = Vec::new();
        for (version, text) in STEPS.iter().filter(|(version, _)| *version > present) {
            connection.execute_batch(&for_engine(text, Dialect::Sqlite)).map_err(crate::sqlite::error)?;
            crate::sqlite::execute(connection, APPLIED, params![*version, now])?;
            applied.push(*version);
        }
        Ok(applied)
    })();
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    connection.execute_batch(end).map_err(crate::sqlite::error)?;
    done
}

/// Migrates PostgreSQL; returns the versions that were applied.
pub(crate) fn postgres(session: &mut Session, now: Time) -> Result<Vec<i64>> {
    session.lock_migration()?;
    session.batch(LEDGER)?;
    let present = session.query(PRESENT, &[])?.first().map_or(0, |row| row.get::<_, i64>(0));
    check(present)?;
    let mut applied = Vec::new();
    for (version, text) in STEPS.iter().filter(|(version, _)| *version > present) {
        session.batch("BEGIN")?;
        let step = session
            .batch(&for_engine(text, Dialect::Postgres))
            .and_then(|()| session.execute(APPLIED, &[Value::Int(*version), Value::Int(now.micros())]))
            .and_then(|_| session.batch("COMMIT"));
        if let Err(failure) = step {
            drop(session.batch("ROLLBACK"));
            return Err(failure);
        }
        applied.push(*version);
    }
    Ok(applied)
}
