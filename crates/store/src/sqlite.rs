//! SQLite: one writer thread whose commits many transactions share, and a few readers.
//!
//! The writer takes all closures that wait, runs each in a savepoint, commits
//! once with `synchronous=FULL`, and only then answers. One sync of the disk
//! (3 to 4 ms) so carries up to [`MOST_TOGETHER`] transactions.

use crate::audit::Head;
use crate::error::{Error, Result};
use crate::fail;
use crate::queue::{Call, Queue};
use crate::tx::{Engine, Shared, Tx, Wake, without_row_locks};
use crate::value::{Row, RowOf, Value};
use rusqlite::ffi;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Most transactions in one commit.
const MOST_TOGETHER: usize = 256;

/// How long another process (a command beside the server) may hold the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);

pub(crate) fn open_writer(path: &Path) -> Result<Connection> {
    make_private_file(path)?;
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(error)?;
    // The journal mode answers with a row; what it says must be "wal".
    let mode: String =
        connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0)).map_err(error)?;
    if mode != "wal" {
        return Err(Error::Config(format!(
            "database folder does not allow a write-ahead log (journal mode is {mode})"
        )));
    }
    connection
        .execute_batch(
            // FULL: a commit is on the disk before it is answered. secure_delete: an erased row leaves no bytes in its page.
            "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY;
             PRAGMA cache_size=-32768; PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=67108864; PRAGMA trusted_schema=OFF;",
        )
        .map_err(error)?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// Makes the database file, when it is missing, readable by its owner only; its log takes over the mode.
fn make_private_file(path: &Path) -> Result<()> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use fs_err::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    match options.open(path) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::Folder("database cannot be made".to_owned(), Box::new(source)))
        }
        _ => Ok(()),
    }
}

pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(error)?;
    connection
        .execute_batch(
            "PRAGMA query_only=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16384; PRAGMA trusted_schema=OFF;",
        )
        .map_err(error)?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// Body of the writer thread.
pub(crate) fn write_loop(connection: &Connection, queue: &Queue, shared: &Arc<Shared>) {
    let mut fenced = false;
    while let Some(calls) = queue.take(MOST_TOGETHER) {
        if fenced {
            for call in calls {
                call.finish(Err(Error::Unavailable(
                    "a sync to the disk failed earlier; restart after checking it".into(),
                )));
            }
            continue;
        }
        fenced = !write_together(connection, calls, shared);
    }
    // Best effort on the way out: a small log makes the next start quick.
    drop(connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
}

/// Runs closures in one transaction; `false` when a sync failed, after which no write may be trusted.
fn write_together(connection: &Connection, calls: Vec<Box<dyn Call>>, shared: &Shared) -> bool {
    let begun = fail::hit("database.begin")
        .and_then(|()| run(connection, "BEGIN IMMEDIATE"))
        .and_then(|()| Head::load_sqlite(connection));
    let mut head = match begun {
        Ok(head) => head,
        Err(failure) => {
            roll_back(connection);
            finish_all(calls, failure);
            return true;
        }
    };
    let mut done = Vec::with_capacity(calls.len());
    let mut wake = Wake::default();
    let mut lost = None;
    for mut call in calls {
        if lost.is_some() {
            // The engine ended the whole transaction under an earlier closure (disk full, I/O error).
            done.push(call);
            continue;
        }
        if let Err(failure) = run(connection, "SAVEPOINT closure") {
            lost = Some(failure);
            done.push(call);
            continue;
        }
        let mut tx = Tx::new(Engine::Sqlite(connection), shared, Some(head.clone()));
        let keep = call.run(&mut tx);
        let (new_head, new_wake) = (tx.head.take(), tx.wake);
        let ended = if keep {
            run(connection, "RELEASE closure")
        } else {
            run(connection, "ROLLBACK TO closure").and_then(|()| run(connection, "RELEASE closure"))
        };
        if keep {
            head = new_head.unwrap_or(head);
            wake.merge(new_wake);
        }
        if connection.is_autocommit() || ended.is_err() {
            lost =
                Some(ended.err().unwrap_or_else(|| Error::Full("the engine gave up the transaction".into())));
        }
        done.push(call);
    }
    if let Some(failure) = lost {
        roll_back(connection);
        finish_all(done, failure);
        return true;
    }
    let committed =
        fail::hit("database.commit").and_then(|()| connection.execute_batch("COMMIT").map_err(commit_error));
    match committed {
        Ok(()) => {
            wake.send(shared);
            for call in done {
                call.finish(Ok(()));
            }
            true
        }
        Err(failure) => {
            roll_back(connection);
            let sync_failed = matches!(failure, Error::Commit(_));
            if sync_failed {
                tracing::error!(
                    "a commit failed to reach the disk; no more writes are taken until a restart"
                );
            }
            finish_all(done, failure);
            !sync_failed
        }
    }
}

/// Body of a reader thread.
pub(crate) fn read_loop(connection: &Connection, queue: &Queue, shared: &Arc<Shared>) {
    while let Some(calls) = queue.take(1) {
        for mut call in calls {
            match run(connection, "BEGIN DEFERRED") {
                Ok(()) => {
                    let mut tx = Tx::new(Engine::Sqlite(connection), shared, None);
                    call.run(&mut tx);
                    roll_back(connection);
                    call.finish(Ok(()));
                }
                Err(failure) => call.finish(Err(failure)),
            }
        }
    }
}

fn finish_all(calls: Vec<Box<dyn Call>>, failure: Error) {
    for call in calls {
        call.finish(Err(same_kind(&failure)));
    }
}

/// Errors are not `Clone`: every caller gets one of the same kind, with the cause as text.
fn same_kind(failure: &Error) -> Error {
    let cause = std::error::Error::source(failure).map_or_else(|| failure.to_string(), ToString::to_string);
    match failure {
        Error::Full(_) => Error::Full(cause.into()),
        Error::Busy(_) => Error::Busy(cause.into()),
        Error::Commit(_) => Error::Commit(cause.into()),
        Error::Injected(name) => Error::Injected(name),
        _ => Error::Unavailable(cause.into()),
    }
}

fn roll_back(connection: &Connection) {
    if !connection.is_autocommit() {
        drop(connection.execute_batch("ROLLBACK"));
    }
}

fn run(connection: &Connection, sql: &'static str) -> Result<()> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.raw_execute())
        .map(|_| ())
        .map_err(error)
}

fn bind(statement: &mut rusqlite::CachedStatement<'_>, params: &[Value<'_>]) -> Result<()> {
    for index in 1..=statement.parameter_count() {
        // SQLite numbers `$2` by its place in the text; its name says which parameter is meant.
        let number = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$'))
            .and_then(|digits| digits.parse::<usize>().ok());
        let value = number
            .and_then(|number| params.get(number.checked_sub(1)?))
            .ok_or_else(|| Error::Statement("a parameter is missing".into()))?;
        let value = match value {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Bool(value) => ValueRef::Integer(i64::from(*value)),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        };
        statement.raw_bind_parameter(index, ToSqlOutput::Borrowed(value)).map_err(error)?;
    }
    Ok(())
}

pub(crate) fn execute(connection: &Connection, sql: &str, params: &[Value<'_>]) -> Result<u64> {
    let mut statement = connection.prepare_cached(&without_row_locks(sql)).map_err(error)?;
    bind(&mut statement, params)?;
    statement.raw_execute().map(|changed| changed as u64).map_err(error)
}

pub(crate) fn query<T>(
    connection: &Connection,
    sql: &str,
    params: &[Value<'_>],
    map: &mut impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(&without_row_locks(sql)).map_err(error)?;
    bind(&mut statement, params)?;
    let mut rows = statement.raw_query();
    let mut mapped = Vec::new();
    while let Some(row) = rows.next().map_err(error)? {
        mapped.push(map(&Row(RowOf::Sqlite(row)))?);
    }
    Ok(mapped)
}

fn commit_error(failure: rusqlite::Error) -> Error {
    match error(failure) {
        Error::Unavailable(source) | Error::Statement(source) => Error::Commit(source),
        other => other,
    }
}

pub(crate) fn error(failure: rusqlite::Error) -> Error {
    let rusqlite::Error::SqliteFailure(code, message) = &failure else {
        return Error::Statement(Box::new(failure));
    };
    match code.extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
            let text = message.as_deref().unwrap_or_default();
            Error::Conflict { constraint: text.rsplit(": ").next().unwrap_or_default().to_owned() }
        }
        extended => match extended & 0xff {
            ffi::SQLITE_FULL => Error::Full(Box::new(failure)),
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Error::Busy(Box::new(failure)),
            ffi::SQLITE_IOERR
            | ffi::SQLITE_CANTOPEN
            | ffi::SQLITE_READONLY
            | ffi::SQLITE_CORRUPT
            | ffi::SQLITE_NOTADB => Error::Unavailable(Box::new(failure)),
            _ => Error::Statement(Box::new(failure)),
        },
    }
}
