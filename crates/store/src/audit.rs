//! Chains every act into a log that shows any later change.
//!
//! # Design
//! A row's `hash` is HMAC-SHA256 under a key of the hierarchy over the row before it and its own columns, so an
//! edit, a deletion inside, an insertion or a reordering shows without anything but the log and the key; cutting
//! off the end shows against a checkpoint that was exported earlier. The chain has *strands*: SQLite has one,
//! PostgreSQL one for each writing connection, because a single chain would let only one transaction commit at a
//! time. A strand is extended inside the transaction it records: when the row cannot be written, nothing is.
//!
//! Rows name actors and objects by id and hold no personal data, so they outlive erasures.

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::fail;
use crate::ids::ApplicationId;
use crate::tx::Tx;
use crate::value::Row;
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

statements! {
    INSERT = "INSERT INTO audit_log (strand, sequence, at, application_id, actor, action, object, outcome, request_id, details, hash) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    LAST = "SELECT sequence, hash FROM audit_log WHERE strand = $1 ORDER BY sequence DESC LIMIT 1";
    STRANDS = "SELECT strand, MAX(sequence) FROM audit_log GROUP BY strand ORDER BY strand";
    PAGE = "SELECT sequence, at, application_id, actor, action, object, outcome, request_id, details, hash FROM audit_log \
        WHERE strand = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
    OF_OBJECT = "SELECT at, actor, action, object, outcome, request_id, details, strand, sequence FROM audit_log \
        WHERE application_id = $1 AND object = $2 ORDER BY at, strand, sequence LIMIT $3";
    OF_APPLICATION = "SELECT at, actor, action, object, outcome, request_id, details, strand, sequence FROM audit_log \
        WHERE application_id = $1 AND at < $2 ORDER BY at DESC, strand DESC, sequence DESC LIMIT $3";
}

/// Rows read at once by [`verify`].
const PAGE_ROWS: i64 = 10_000;

/// One act, as the service reports it.
#[derive(Debug, Clone, Default)]
pub struct Entry<'a> {
    /// Tenant; `None` for acts on the installation itself.
    pub application: Option<ApplicationId>,
    /// Who: `key:<uuid>`, `user:<uuid>`, `session:<uuid>`, `system`.
    pub actor: &'a str,
    /// What was done, such as `session.create`, `image.read`.
    pub action: &'a str,
    /// To what: `session:<uuid>`, `object:<uuid>`.
    pub object: &'a str,
    /// `ok`, `refused`, `failed`.
    pub outcome: &'a str,
    /// The request it was part of.
    pub request: Option<&'a str>,
    /// More, as JSON; never personal data.
    pub details: Option<serde_json::Value>,
}

/// One act, read back.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// When.
    pub at: Time,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub object: String,
    /// With what outcome.
    pub outcome: String,
    /// In which request.
    pub request: Option<String>,
    /// More.
    pub details: Option<serde_json::Value>,
    /// Which strand of the chain.
    pub strand: i64,
    /// Position in the strand, from 1.
    pub sequence: i64,
}

/// Where a strand ends: the last row's number and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    strand: i64,
    sequence: i64,
    /// `None` before the first row.
    hash: Option<[u8; 32]>,
}

impl Head {
    pub(crate) fn from_row(strand: i64, row: Option<&tokio_postgres::Row>) -> Result<Self> {
        let Some(row) = row else { return Ok(Self { strand, sequence: 0, hash: None }) };
        let hash: &[u8] = row.try_get(1).map_err(|_| Error::Column { index: 1 })?;
        Ok(Self {
            strand,
            sequence: row.try_get(0).map_err(|_| Error::Column { index: 0 })?,
            hash: Some(hash.try_into().map_err(|_| Error::Column { index: 1 })?),
        })
    }

    /// SQLite's one strand, read at each commit because another process may have added to it.
    pub(crate) fn load_sqlite(connection: &rusqlite::Connection) -> Result<Self> {
        let rows = crate::sqlite::query(connection, LAST, params![0_i64], &mut |row: &Row<'_>| {
            Ok(Self { strand: 0, sequence: row.get(0)?, hash: Some(row.get(1)?) })
        })?;
        Ok(rows.into_iter().next().unwrap_or(Self { strand: 0, sequence: 0, hash: None }))
    }
}

/// The columns that a hash covers.
struct Covered<'a> {
    strand: i64,
    sequence: i64,
    at: Time,
    application: Option<String>,
    actor: &'a str,
    action: &'a str,
    object: &'a str,
    outcome: &'a str,
    request: Option<&'a str>,
    details: Option<&'a str>,
}

impl Covered<'_> {
    fn hash(&self, key: &hmac::Key, previous: Option<&[u8; 32]>) -> [u8; 32] {
        let mut context = hmac::Context::with_key(key);
        context.update(previous.map_or(&b"bonafide audit strand"[..], |hash| &hash[..]));
        for number in [self.strand, self.sequence, self.at.micros()] {
            context.update(&number.to_be_bytes());
        }
        let texts = [
            self.application.as_deref(),
            Some(self.actor),
            Some(self.action),
            Some(self.object),
            Some(self.outcome),
            self.request,
            self.details,
        ];
        for text in texts {
            // Absent and empty differ; lengths keep neighbours apart.
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            context.update(&length.to_be_bytes());
            context.update(text.unwrap_or_default().as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        bytes
    }
}

impl Tx<'_> {
    /// Writes one act into the log, as part of this transaction. When it cannot be written, the transaction fails.
    ///
    /// # Errors
    /// As [`Tx::defer`]; [`Error::Statement`] in a read transaction.
    pub fn audit(&mut self, entry: &Entry<'_>) -> Result<()> {
        let written = fail::hit("audit.append").and_then(|()| self.append(entry));
        if written.is_err() {
            self.break_off();
        }
        written
    }

    fn append(&mut self, entry: &Entry<'_>) -> Result<()> {
        let shared = self.shared;
        let head = self
            .head
            .clone()
            .ok_or_else(|| Error::Statement("a read transaction cannot write to the audit log".into()))?;
        let details = entry.details.as_ref().map(ToString::to_string);
        let covered = Covered {
            strand: head.strand,
            sequence: head.sequence + 1,
            at: self.now(),
            application: entry.application.map(|id| id.to_string()),
            actor: entry.actor,
            action: entry.action,
            object: entry.object,
            outcome: if entry.outcome.is_empty() { "ok" } else { entry.outcome },
            request: entry.request,
            details: details.as_deref(),
        };
        let hash = covered.hash(&shared.keyring.audit()?.mac_key(), head.hash.as_ref());
        self.defer(
            INSERT,
            params![
                covered.strand,
                covered.sequence,
                covered.at,
                entry.application,
                covered.actor,
                covered.action,
                covered.object,
                covered.outcome,
                covered.request,
                covered.details,
                hash
            ],
        )?;
        self.head = Some(Head { strand: covered.strand, sequence: covered.sequence, hash: Some(hash) });
        Ok(())
    }

    /// The acts on one object, oldest first.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn audit_of_object(
        &mut self,
        application: ApplicationId,
        object: &str,
        limit: i64,
    ) -> Result<Vec<Record>> {
        self.query(OF_OBJECT, params![application, object, limit], record)
    }

    /// The acts of one application before a time, newest first.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn audit_of_application(
        &mut self,
        application: ApplicationId,
        before: Time,
        limit: i64,
    ) -> Result<Vec<Record>> {
        self.query(OF_APPLICATION, params![application, before, limit], record)
    }
}

fn record(row: &Row<'_>) -> Result<Record> {
    Ok(Record {
        at: row.get(0)?,
        actor: row.get(1)?,
        action: row.get(2)?,
        object: row.get(3)?,
        outcome: row.get(4)?,
        request: row.get(5)?,
        details: row.get(6)?,
        strand: row.get(7)?,
        sequence: row.get(8)?,
    })
}

/// Where all strands end, to be kept where the database's administrators cannot change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// `bonafide-audit-checkpoint/1`.
    pub format: String,
    /// When it was taken, microseconds since 1970.
    pub at: Time,
    /// The last row of every strand.
    pub strands: Vec<StrandEnd>,
}

/// The last row of a strand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrandEnd {
    /// Which strand.
    pub strand: i64,
    /// The row's number, from 1.
    pub sequence: i64,
    /// Its hash, hexadecimal.
    pub hash: String,
}

/// The value of [`Checkpoint::format`].
pub const CHECKPOINT_FORMAT: &str = "bonafide-audit-checkpoint/1";

/// Something that is wrong with the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// In which strand.
    pub strand: i64,
    /// At which row.
    pub sequence: i64,
    /// `changed`: the row or its place does not fit its hash. `missing`: rows before this one were removed.
    /// `truncated`: the strand ends before the checkpoint. `checkpoint_differs`: the row is not the one that
    /// the checkpoint saw.
    pub kind: &'static str,
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// Rows checked.
    pub entries: u64,
    /// Strands checked.
    pub strands: u64,
    /// Whether ends could be compared with a checkpoint; without one, a cut-off end cannot show.
    pub checkpoint_used: bool,
    /// What is wrong, at most 1,000 findings.
    pub problems: Vec<Problem>,
}

/// Takes a checkpoint.
///
/// # Errors
/// As [`Tx::query`].
pub fn checkpoint(tx: &mut Tx<'_>) -> Result<Checkpoint> {
    let strands = tx.query(STRANDS, params![], |row| row.get::<i64>(0))?;
    let mut ends = Vec::with_capacity(strands.len());
    for strand in strands {
        let end = tx.query_opt(LAST, params![strand], |row| {
            Ok(StrandEnd { strand, sequence: row.get(0)?, hash: hex::encode(row.get::<[u8; 32]>(1)?) })
        })?;
        ends.extend(end);
    }
    Ok(Checkpoint { format: CHECKPOINT_FORMAT.to_owned(), at: tx.now(), strands: ends })
}

/// Checks every row of every strand, and the ends against a checkpoint when there is one.
///
/// # Errors
/// As [`Tx::query`]; findings are no errors.
pub fn verify(tx: &mut Tx<'_>, checkpoint: Option<&Checkpoint>) -> Result<Report> {
    let key = tx.shared.keyring.audit()?.mac_key();
    let mut strands = tx.query(STRANDS, params![], |row| row.get::<i64>(0))?;
    let expected = checkpoint.map(|checkpoint| checkpoint.strands.as_slice()).unwrap_or_default();
    strands.extend(expected.iter().map(|end| end.strand));
    strands.sort_unstable();
    strands.dedup();
    let mut report = Report {
        ok: true,
        entries: 0,
        strands: strands.len() as u64,
        checkpoint_used: checkpoint.is_some(),
        problems: Vec::new(),
    };
    for strand in strands {
        let expected = expected.iter().find(|end| end.strand == strand);
        verify_strand(tx, &key, strand, expected, &mut report)?;
    }
    report.ok = report.problems.is_empty();
    report.problems.truncate(1000);
    Ok(report)
}

fn verify_strand(
    tx: &mut Tx<'_>,
    key: &hmac::Key,
    strand: i64,
    expected: Option<&StrandEnd>,
    report: &mut Report,
) -> Result<()> {
    let mut last = 0;
    let mut previous: Option<[u8; 32]> = None;
    let mut problems = Vec::new();
    loop {
        let mut seen = 0;
        let after = last;
        tx.query(PAGE, params![strand, after, PAGE_ROWS], |row| {
            seen += 1;
            let sequence: i64 = row.get(0)?;
            // A column of the wrong type is a change too, not a reason to stop.
            let hash = check_row(row, key, strand, sequence, previous.as_ref());
            let gap = sequence != last + 1;
            if gap {
                problems.push(Problem { strand, sequence, kind: "missing" });
            } else if !hash.is_some_and(|(_, fits)| fits) {
                problems.push(Problem { strand, sequence, kind: "changed" });
            }
            if let Some(end) = expected
                && end.sequence == sequence
                && hash.is_none_or(|(hash, _)| hex::encode(hash) != end.hash)
            {
                problems.push(Problem { strand, sequence, kind: "checkpoint_differs" });
            }
            previous = hash.map(|(hash, _)| hash);
            last = sequence;
            Ok(())
        })?;
        report.entries += seen;
        if seen < PAGE_ROWS.unsigned_abs() {
            break;
        }
    }
    if let Some(end) = expected
        && last < end.sequence
    {
        problems.push(Problem { strand, sequence: last, kind: "truncated" });
    }
    report.problems.extend(problems);
    Ok(())
}

/// The stored hash, and whether the row fits it; `None` when a column cannot be read.
fn check_row(
    row: &Row<'_>,
    key: &hmac::Key,
    strand: i64,
    sequence: i64,
    previous: Option<&[u8; 32]>,
) -> Option<([u8; 32], bool)> {
    let stored: [u8; 32] = row.get(9).ok()?;
    let computed = (|| {
        let at: Time = row.get(1).ok()?;
        let application: Option<String> = row.get(2).ok()?;
        let (actor, action, object, outcome): (String, String, String, String) =
            (row.get(3).ok()?, row.get(4).ok()?, row.get(5).ok()?, row.get(6).ok()?);
        let (request, details): (Option<String>, Option<String>) = (row.get(7).ok()?, row.get(8).ok()?);
        let covered = Covered {
            strand,
            sequence,
            at,
            application,
            actor: &actor,
            action: &action,
            object: &object,
            outcome: &outcome,
            request: request.as_deref(),
            details: details.as_deref(),
        };
        Some(covered.hash(key, previous))
    })();
    Some((stored, computed == Some(stored)))
}
