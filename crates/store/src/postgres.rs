//! PostgreSQL: a pool of connections, one thread each; the server groups their commits.
//!
//! Transactions run at READ COMMITTED: rows that a decision depends on are
//! locked (`FOR UPDATE`, session first) or changed by compare-and-set, and
//! uniqueness is the table's. `BEGIN`, deferred statements and `COMMIT` travel
//! together with their neighbours, so that a session is created in a few round
//! trips. Each writing connection owns one strand of the audit log for as long
//! as it holds that strand's advisory lock, so appending needs no shared row.

use crate::audit::Head;
use crate::error::{Error, Result};
use crate::fail;
use crate::queue::Queue;
use crate::tx::{Engine, Shared, Tx};
use crate::value::{Value, ValueRef};
use futures_util::future::join_all;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};
use tokio_postgres::{Client, NoTls, Row, Statement};

/// First half of the advisory lock keys; the second is the strand, or [`MIGRATION`].
const LOCKS: i32 = 0x626f_6e61;
const MIGRATION: i32 = -1;
/// Most strands, thus most writing connections of all processes together.
const MOST_STRANDS: i32 = 1000;
/// Deferred statements that travel together at most.
const MOST_PENDING: usize = 24;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One connection and what is known about it.
pub(crate) struct Session {
    runtime: tokio::runtime::Runtime,
    client: Client,
    statements: HashMap<String, Statement>,
    pending: Vec<Pending>,
    /// Whether `BEGIN` was sent.
    begun: bool,
    write: bool,
}

enum Pending {
    Begin,
    Statement(Statement, Vec<Value<'static>>),
}

/// What a statement of the pipeline answered.
enum Answer {
    Rows(Vec<Row>),
    Count(u64),
}

/// What the last statement of the pipeline is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Rows,
    Count,
}

type Step<'a> = Pin<Box<dyn Future<Output = Result<Answer, tokio_postgres::Error>> + 'a>>;

impl Session {
    pub(crate) fn connect(url: &str, write: bool) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::Unavailable(Box::new(source)))?;
        let mut config: tokio_postgres::Config =
            url.parse().map_err(|_| Error::Config("database URL is malformed".to_owned()))?;
        config.connect_timeout(CONNECT_TIMEOUT).keepalives(true).application_name("bonafide");
        let client = runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(async move {
                if let Err(failure) = connection.await {
                    tracing::warn!(error = %failure, "connection to the database ended");
                }
            });
            client
                .batch_execute(
                    // Durable commits even where the server's default is weaker; no statement or lock waits for ever.
                    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
                     SET lock_timeout = '10s'; SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s';
                     SET client_min_messages = warning; SET TIME ZONE 'UTC'",
                )
                .await?;
            Ok(client)
        });
        let client = client.map_err(error)?;
        Ok(Self { runtime, client, statements: HashMap::new(), pending: Vec::new(), begun: false, write })
    }

    /// Takes a free strand of the audit log and returns where it ends.
    fn take_strand(&mut self) -> Result<Head> {
        for strand in 0..MOST_STRANDS {
            let got = self.plain_query("SELECT pg_try_advisory_lock($1, $2)", &[&LOCKS, &strand])?;
            if got.first().is_some_and(|row| row.get(0)) {
                let rows = self.plain_query(crate::audit::LAST, &[&Value::Int(i64::from(strand))])?;
                return Head::from_row(i64::from(strand), rows.first());
            }
        }
        Err(Error::Config(format!("more than {MOST_STRANDS} connections write to this database")))
    }

    fn plain_query(&mut self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.runtime.block_on(self.client.query(sql, params)).map_err(error)
    }

    /// Runs statements outside of any transaction, for the migration.
    pub(crate) fn batch(&mut self, sql: &str) -> Result<()> {
        self.runtime.block_on(self.client.batch_execute(sql)).map_err(error)
    }

    /// Waits until no other process migrates; the lock goes with the connection.
    pub(crate) fn lock_migration(&mut self) -> Result<()> {
        self.plain_query("SELECT pg_advisory_lock($1, $2)", &[&LOCKS, &MIGRATION]).map(|_| ())
    }

    fn begin(&mut self) {
        self.pending.clear();
        self.pending.push(Pending::Begin);
        self.begun = false;
    }

    pub(crate) fn prepare(&mut self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        // Filters make many texts; the cache must not grow with them.
        if self.statements.len() >= 500 {
            self.statements.clear();
        }
        let statement = self.runtime.block_on(self.client.prepare(sql)).map_err(error)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Sends what is pending, then `last`, then perhaps the commit, in one go; answers what `last` did.
    fn flush(&mut self, last: Option<(&Statement, &[Value<'_>], Ask)>, commit: bool) -> Result<Answer> {
        let pending = std::mem::take(&mut self.pending);
        let (client, write) = (&self.client, self.write);
        self.begun = true;
        let outcome = self.runtime.block_on(async {
            let mut steps: Vec<Step<'_>> = Vec::with_capacity(pending.len() + 2);
            for step in &pending {
                steps.push(match step {
                    Pending::Begin => simple(
                        client,
                        if write { "BEGIN" } else { "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" },
                    ),
                    Pending::Statement(statement, values) => prepared(client, statement, values, Ask::Count),
                });
            }
            if let Some((statement, values, ask)) = last {
                steps.push(prepared(client, statement, values, ask));
            }
            if commit {
                steps.push(simple(client, "COMMIT"));
            }
            // Polled in order, so sent in order: that is the pipeline. The first error is the cause; those after it
            // only say that the transaction is broken.
            let mut answer = Answer::Count(0);
            for step in join_all(steps).await {
                answer = step?;
            }
            Ok(answer)
        });
        outcome.map_err(error)
    }

    pub(crate) fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>> {
        let statement = self.prepare(sql)?;
        match self.flush(Some((&statement, params, Ask::Rows)), false)? {
            Answer::Rows(rows) => Ok(rows),
            Answer::Count(_) => Ok(Vec::new()),
        }
    }

    pub(crate) fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64> {
        let statement = self.prepare(sql)?;
        match self.flush(Some((&statement, params, Ask::Count)), false)? {
            Answer::Count(count) => Ok(count),
            Answer::Rows(rows) => Ok(rows.len() as u64),
        }
    }

    pub(crate) fn defer(&mut self, sql: &str, params: &[Value<'_>]) -> Result<()> {
        let statement = self.prepare(sql)?;
        let values = params.iter().cloned().map(Value::into_owned).collect();
        self.pending.push(Pending::Statement(statement, values));
        if self.pending.len() >= MOST_PENDING { self.flush(None, false).map(|_| ()) } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<()> {
        fail::hit("database.commit")?;
        if !self.begun && self.pending.len() <= 1 {
            // Nothing but `BEGIN`, and that was not sent.
            self.pending.clear();
            return Ok(());
        }
        // Deferred statements answer before the commit does: when one failed, the server has rolled back.
        match self.flush(None, true) {
            Err(Error::Unavailable(source)) => Err(Error::Commit(source)),
            other => other.map(|_| ()),
        }
    }

    fn roll_back(&mut self) {
        self.pending.clear();
        if std::mem::take(&mut self.begun) {
            drop(self.runtime.block_on(self.client.batch_execute("ROLLBACK")));
        }
    }

    fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

fn simple<'a>(client: &'a Client, sql: &'static str) -> Step<'a> {
    Box::pin(async move { client.batch_execute(sql).await.map(|()| Answer::Count(0)) })
}

fn prepared<'a>(client: &'a Client, statement: &'a Statement, values: &'a [Value<'_>], ask: Ask) -> Step<'a> {
    Box::pin(async move {
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        match ask {
            Ask::Rows => client.query(statement, &values).await.map(Answer::Rows),
            Ask::Count => client.execute(statement, &values).await.map(Answer::Count),
        }
    })
}

/// Body of a connection's thread, for writing (with a strand) or reading.
pub(crate) fn run_loop(url: &str, write: bool, queue: &Queue, shared: &Arc<Shared>) {
    let mut open: Option<(Session, Option<Head>)> = None;
    while let Some(calls) = queue.take(1) {
        for mut call in calls {
            if open.as_ref().is_none_or(|(session, _)| session.is_closed()) {
                open = None;
                match connect(url, write) {
                    Ok(connection) => open = Some(connection),
                    Err(failure) => {
                        call.finish(Err(failure));
                        continue;
                    }
                }
            }
            let Some((session, head)) = open.as_mut() else { continue };
            if let Err(failure) = fail::hit("database.begin") {
                call.finish(Err(failure));
                continue;
            }
            session.begin();
            let mut tx = Tx::new(Engine::Postgres(session), shared, head.clone());
            let keep = call.run(&mut tx);
            let (new_head, wake) = (tx.head.take(), tx.wake);
            if !write {
                call.finish(Ok(()));
                session.roll_back();
                continue;
            }
            if !keep {
                session.roll_back();
                call.finish(Ok(()));
                continue;
            }
            match session.commit() {
                Ok(()) => {
                    *head = new_head;
                    wake.send(shared);
                    call.finish(Ok(()));
                }
                Err(failure) => {
                    session.roll_back();
                    if matches!(failure, Error::Commit(_)) {
                        open = None;
                    }
                    call.finish(Err(failure));
                }
            }
        }
    }
}

fn connect(url: &str, write: bool) -> Result<(Session, Option<Head>)> {
    let mut session = Session::connect(url, write)?;
    let head = if write { Some(session.take_strand()?) } else { None };
    Ok((session, head))
}

/// Error code and constraint decide the kind; the text of the server stays in `source()`.
pub(crate) fn error(failure: tokio_postgres::Error) -> Error {
    let Some(answer) = failure.as_db_error() else {
        let of_connection = failure.is_closed()
            || std::error::Error::source(&failure).is_some_and(|source| source.is::<std::io::Error>())
            || failure.to_string().starts_with("error connecting")
            || failure.to_string().contains("timeout");
        return if of_connection {
            Error::Unavailable(Box::new(failure))
        } else {
            Error::Statement(Box::new(failure))
        };
    };
    match answer.code().code() {
        "23505" => Error::Conflict { constraint: answer.constraint().unwrap_or("unique").to_owned() },
        "40001" | "40P01" | "55P03" => Error::Busy(Box::new(failure)),
        "53100" => Error::Full(Box::new(failure)),
        code if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") => {
            Error::Unavailable(Box::new(failure))
        }
        _ => Error::Statement(Box::new(failure)),
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, crate::error::Source> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(value) => match *kind {
                Type::INT4 => i32::try_from(*value)?.to_sql(kind, out),
                Type::INT2 => i16::try_from(*value)?.to_sql(kind, out),
                Type::INT8 => value.to_sql(kind, out),
                _ => Err(format!("an integer cannot be bound as {kind}").into()),
            },
            Value::Real(value) if *kind == Type::FLOAT8 => value.to_sql(kind, out),
            Value::Bool(value) if *kind == Type::BOOL => value.to_sql(kind, out),
            Value::Text(text) if *kind == Type::TEXT || *kind == Type::VARCHAR => {
                text.as_ref().to_sql(kind, out)
            }
            Value::Blob(bytes) if *kind == Type::BYTEA => bytes.as_ref().to_sql(kind, out),
            _ => Err(format!("value cannot be bound as {kind}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, crate::error::Source> {
        self.to_sql(kind, out)
    }
}

/// A column of any of the six kinds.
pub(crate) struct Cell<'a>(pub(crate) ValueRef<'a>);

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, crate::error::Source> {
        Ok(Self(match *kind {
            Type::INT8 => ValueRef::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => ValueRef::Int(i64::from(i32::from_sql(kind, raw)?)),
            Type::FLOAT8 => ValueRef::Real(f64::from_sql(kind, raw)?),
            Type::BOOL => ValueRef::Bool(bool::from_sql(kind, raw)?),
            Type::BYTEA => ValueRef::Blob(raw),
            Type::TEXT | Type::VARCHAR => ValueRef::Text(std::str::from_utf8(raw)?),
            _ => return Err(format!("columns of type {kind} are not used").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, crate::error::Source> {
        Ok(Self(ValueRef::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
