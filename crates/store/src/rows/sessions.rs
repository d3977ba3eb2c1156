//! Sessions: one verification each. What is personal in them is sealed with the subject's key.

use crate::blobs::BlobId;
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::ids::{ApplicationId, SessionId, SubjectId, WorkflowId};
use crate::keys::SubjectKey;
use crate::secret::Pii;
use crate::tx::{Dialect, Tx};
use crate::value::{Row, Value};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::PoisonError;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT s.application_id, s.id, s.number, s.kind, s.service, s.subject_id, s.vendor_index, s.workflow_id, s.workflow_version, \
             s.status, s.features, s.language, s.country, s.document_type, s.sealed_details, s.sealed_state, s.sealed_decision, \
             s.last_event, s.version, s.created_at, s.updated_at, s.expires_at, s.decided_at, k.version, k.wrapped, s.token_hash \
             FROM sessions AS s JOIN subject_keys AS k ON k.application_id = s.application_id AND k.subject_id = s.subject_id ",
            $rest
        )
    };
}

statements! {
    INSERT = "INSERT INTO sessions (application_id, id, number, token_hash, kind, service, subject_id, vendor_index, workflow_id, \
        workflow_version, status, features, language, country, document_type, sealed_details, sealed_state, sealed_decision, last_event, \
        version, created_at, updated_at, expires_at, decided_at) VALUES \
        ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)";
    UPDATE = "UPDATE sessions SET status = $4, features = $5, language = $6, country = $7, document_type = $8, sealed_details = $9, \
        sealed_state = $10, sealed_decision = $11, last_event = $12, version = version + 1, updated_at = $13, expires_at = $14, \
        decided_at = $15, token_hash = $16 WHERE application_id = $1 AND id = $2 AND version = $3";
    FIND = select!("WHERE s.application_id = $1 AND s.id = $2");
    FIND_FOR_UPDATE = select!("WHERE s.application_id = $1 AND s.id = $2 FOR UPDATE");
    FIND_BY_NUMBER = select!("WHERE s.application_id = $1 AND s.number = $2");
    FIND_BY_TOKEN = select!("WHERE s.token_hash = $1");
    OF_SUBJECT = select!("WHERE s.application_id = $1 AND s.subject_id = $2 ORDER BY s.created_at, s.id");
    DUE = "SELECT application_id, id FROM sessions WHERE status = $1 AND expires_at <= $2 ORDER BY expires_at LIMIT $3";
    NEXT_NUMBER = "UPDATE applications SET last_session_number = last_session_number + 1 WHERE id = $1 RETURNING last_session_number";
    BLOBS = "SELECT blob FROM objects WHERE application_id = $1 AND session_id = $2";
    DELETE_DELIVERIES = "DELETE FROM webhook_deliveries WHERE application_id = $1 AND session_id = $2";
    DELETE_SESSION = "DELETE FROM sessions WHERE application_id = $1 AND id = $2";
    OTHERS_OF_SUBJECT = "SELECT COUNT(*) FROM sessions WHERE application_id = $1 AND subject_id = $2 AND id <> $3";
}

/// Tables with rows of a session, by `session_id`.
const SESSION_TABLES: &[&str] = &[
    "aml_alerts",
    "aml_watched",
    "face_templates",
    "traces",
    "events",
    "reviews",
    "consents",
    "checks",
    "objects",
];

/// Session numbers fetched from PostgreSQL's sequence at a time. A restart leaves at most this gap.
const NUMBERS_AHEAD: i64 = 32;

/// One verification.
#[derive(Debug, Clone)]
pub struct Session {
    /// Whose it is.
    pub application: ApplicationId,
    /// Its id.
    pub id: SessionId,
    /// Its number within the application, growing; see [`Sessions::next_number`].
    pub number: i64,
    /// SHA-256 of the token in its link.
    pub token_hash: [u8; 32],
    /// `user` or `business`.
    pub kind: String,
    /// For a standalone call the service it was (`FACE_MATCH`…); `None` for a workflow's session.
    pub service: Option<String>,
    /// Who is verified.
    pub subject: SubjectId,
    /// [`super::subjects::Subjects::vendor_index`] of the vendor's name.
    pub vendor_index: Option<[u8; 32]>,
    /// Which workflow, in which version.
    pub workflow: Option<(WorkflowId, i64)>,
    /// Status, as the API spells it.
    pub status: String,
    /// Features of the workflow (`ID_VERIFICATION`…).
    pub features: Vec<String>,
    /// Language of the hosted page.
    pub language: Option<String>,
    /// Issuing country of the document (alpha-3), for the list's filter.
    pub country: Option<String>,
    /// Type code of the document, for the list's filter.
    pub document_type: Option<String>,
    /// What the vendor gave: vendor_data, metadata, callback, contact and expected details, the link's token. Sealed.
    pub details: Pii<serde_json::Value>,
    /// Where the workflow stands. Sealed.
    pub state: Pii<serde_json::Value>,
    /// What came out. Sealed.
    pub decision: Option<Pii<serde_json::Value>>,
    /// Number of the last event; [`super::events::Events::append`] counts it up, [`Sessions::save`] writes it.
    pub last_event: i64,
    /// Changes at every write.
    pub version: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// When it was decided.
    pub decided_at: Option<Time>,
    /// The subject's key, for what else belongs to this session.
    pub key: SubjectKey,
}

/// Which sessions a list shows. All given conditions hold together.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// `user`, `business`; `None` for both.
    pub kind: Option<String>,
    /// Any of these statuses; empty for all.
    pub statuses: Vec<String>,
    /// Exactly this vendor's name.
    pub vendor_data: Option<String>,
    /// This person.
    pub subject: Option<SubjectId>,
    /// This workflow, any version.
    pub workflow: Option<WorkflowId>,
    /// Made at or after.
    pub from: Option<Time>,
    /// Made before.
    pub until: Option<Time>,
    /// Issuing country, alpha-3.
    pub country: Option<String>,
    /// Document type code.
    pub document_type: Option<String>,
    /// `Some(Some(name))`: standalone calls of one service; `Some(None)`: workflow sessions only.
    pub service: Option<Option<String>>,
    /// With this number.
    pub number: Option<i64>,
}

struct Raw {
    session: Plain,
    key_version: u32,
    wrapped: Vec<u8>,
    details: Vec<u8>,
    state: Vec<u8>,
    decision: Option<Vec<u8>>,
}

/// The plain columns.
struct Plain {
    application: ApplicationId,
    id: SessionId,
    number: i64,
    kind: String,
    service: Option<String>,
    subject: SubjectId,
    vendor_index: Option<[u8; 32]>,
    workflow: Option<(WorkflowId, i64)>,
    status: String,
    features: Vec<String>,
    language: Option<String>,
    country: Option<String>,
    document_type: Option<String>,
    last_event: i64,
    version: i64,
    created_at: Time,
    updated_at: Time,
    expires_at: Time,
    decided_at: Option<Time>,
    token_hash: [u8; 32],
}

fn raw(row: &Row<'_>) -> Result<Raw> {
    Ok(Raw {
        session: Plain {
            application: row.get(0)?,
            id: row.get(1)?,
            number: row.get(2)?,
            kind: row.get(3)?,
            service: row.get(4)?,
            subject: row.get(5)?,
            vendor_index: row.get(6)?,
            workflow: row.get::<Option<WorkflowId>>(7)?.zip(row.get(8)?),
            status: row.get(9)?,
            features: crate::json_list(row, 10)?,
            language: row.get(11)?,
            country: row.get(12)?,
            document_type: row.get(13)?,
            last_event: row.get(17)?,
            version: row.get(18)?,
            created_at: row.get(19)?,
            updated_at: row.get(20)?,
            expires_at: row.get(21)?,
            decided_at: row.get(22)?,
            token_hash: row.get(25)?,
        },
        details: row.get(14)?,
        state: row.get(15)?,
        decision: row.get(16)?,
        key_version: row.get(23)?,
        wrapped: row.get(24)?,
    })
}

fn open(tx: &mut Tx<'_>, raw: Raw) -> Result<Session> {
    let plain = raw.session;
    let key = tx.unwrap_subject_key(plain.application, plain.subject, raw.key_version, &raw.wrapped)?;
    let details = Pii(key.open_json(plain.id, "details", &raw.details)?);
    let state = Pii(key.open_json(plain.id, "state", &raw.state)?);
    let decision =
        raw.decision.map(|sealed| key.open_json(plain.id, "decision", &sealed).map(Pii)).transpose()?;
    Ok(Session {
        application: plain.application,
        id: plain.id,
        number: plain.number,
        token_hash: plain.token_hash,
        kind: plain.kind,
        service: plain.service,
        subject: plain.subject,
        vendor_index: plain.vendor_index,
        workflow: plain.workflow,
        status: plain.status,
        features: plain.features,
        language: plain.language,
        country: plain.country,
        document_type: plain.document_type,
        details,
        state,
        decision,
        last_event: plain.last_event,
        version: plain.version,
        created_at: plain.created_at,
        updated_at: plain.updated_at,
        expires_at: plain.expires_at,
        decided_at: plain.decided_at,
        key,
    })
}

repository! {
    /// Sessions of one application.
    Sessions, sessions
}

impl Sessions<'_, '_> {
    /// Draws the next number. Numbers grow; a failed transaction or (on PostgreSQL) a restart leaves a gap.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn next_number(&mut self) -> Result<i64> {
        if self.tx.dialect() == Dialect::Sqlite {
            return self.tx.query_one(NEXT_NUMBER, params![self.application], |row| row.get(0));
        }
        let numbers = &self.tx.shared.numbers;
        let take = |drawn: Vec<i64>| {
            let mut numbers = numbers.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting: &mut VecDeque<i64> = numbers.entry(self.application).or_default();
            waiting.extend(drawn);
            waiting.pop_front()
        };
        if let Some(number) = take(Vec::new()) {
            return Ok(number);
        }
        // What a sequence has given out stays given out, whatever becomes of this transaction.
        let sql = format!(
            "SELECT nextval('{}') FROM generate_series(1, {NUMBERS_AHEAD})",
            super::applications::sequence_name(self.application)
        );
        let drawn = self.tx.query(&sql, &[], |row| row.get(0))?;
        take(drawn).ok_or(Error::Column { index: 0 })
    }

    /// Inserts a session whose fields the caller has filled.
    ///
    /// # Errors
    /// [`Error::Conflict`] (on PostgreSQL at the commit) when id, number or token exist.
    pub fn insert(&mut self, session: &Session) -> Result<()> {
        let random = self.tx.random();
        let details = session.key.seal_json(random, session.id, "details", &session.details)?;
        let state = session.key.seal_json(random, session.id, "state", &session.state)?;
        let decision = seal_decision(self.tx, session)?;
        let (workflow, workflow_version) = session.workflow.unzip();
        self.tx.defer(
            INSERT,
            params![
                self.application,
                session.id,
                session.number,
                session.token_hash,
                session.kind,
                session.service,
                session.subject,
                session.vendor_index,
                workflow,
                workflow_version,
                session.status,
                crate::json_of(&session.features)?,
                session.language,
                session.country,
                session.document_type,
                details,
                state,
                decision,
                session.last_event,
                session.version,
                session.created_at,
                session.updated_at,
                session.expires_at,
                session.decided_at
            ],
        )
    }

    /// Writes a session, if nobody else did since it was read.
    ///
    /// # Errors
    /// [`Error::Stale`] when it was changed or deleted meanwhile.
    pub fn save(&mut self, session: &mut Session) -> Result<()> {
        let random = self.tx.random();
        let details = session.key.seal_json(random, session.id, "details", &session.details)?;
        let state = session.key.seal_json(random, session.id, "state", &session.state)?;
        let decision = seal_decision(self.tx, session)?;
        let now = self.tx.now();
        let changed = self.tx.execute(
            UPDATE,
            params![
                self.application,
                session.id,
                session.version,
                session.status,
                crate::json_of(&session.features)?,
                session.language,
                session.country,
                session.document_type,
                details,
                state,
                decision,
                session.last_event,
                now,
                session.expires_at,
                session.decided_at,
                session.token_hash
            ],
        )?;
        if changed != 1 {
            self.tx.break_off();
            return Err(Error::Stale);
        }
        session.version += 1;
        session.updated_at = now;
        Ok(())
    }

    /// Finds by id.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn find(&mut self, id: SessionId) -> Result<Option<Session>> {
        self.first(FIND, &id)
    }

    /// Finds by id and keeps others from changing it until the commit. Lock the session before anything else.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn find_for_update(&mut self, id: SessionId) -> Result<Option<Session>> {
        self.first(FIND_FOR_UPDATE, &id)
    }

    /// Finds by number.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn find_by_number(&mut self, number: i64) -> Result<Option<Session>> {
        self.first(FIND_BY_NUMBER, &number)
    }

    /// All sessions of one person, oldest first.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn of_subject(&mut self, subject: SubjectId) -> Result<Vec<Session>> {
        let found = self.tx.query(OF_SUBJECT, params![self.application, subject], raw)?;
        found.into_iter().map(|raw| open(self.tx, raw)).collect()
    }

    fn first(&mut self, sql: &str, by: &dyn crate::Bind) -> Result<Option<Session>> {
        let found = self.tx.query_opt(sql, params![self.application, by], raw)?;
        found.map(|raw| open(self.tx, raw)).transpose()
    }

    /// Newest first: how many there are in all, and one page of them.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn list(&mut self, filter: &Filter, limit: i64, offset: i64) -> Result<(i64, Vec<Session>)> {
        let vendor_index = match &filter.vendor_data {
            Some(vendor_data) => Some(self.tx.subjects(self.application).vendor_index(vendor_data)?),
            None => None,
        };
        let (condition, mut values) = condition(self.application, filter, vendor_index);
        let count = self.tx.query_one(
            &format!("SELECT COUNT(*) FROM sessions AS s WHERE {condition}"),
            &values,
            |row| row.get(0),
        )?;
        values.push(Value::Int(limit));
        values.push(Value::Int(offset));
        let sql = format!(
            "{}WHERE {condition} ORDER BY s.created_at DESC, s.id DESC LIMIT ${} OFFSET ${}",
            select!(""),
            values.len() - 1,
            values.len()
        );
        let found = self.tx.query(&sql, &values, raw)?;
        Ok((count, found.into_iter().map(|raw| open(self.tx, raw)).collect::<Result<_>>()?))
    }

    /// Deletes a session and all that hangs on it; a person without a vendor's name goes with their last session.
    /// Returns the blobs to delete after the commit; `None` when there is no such session.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn delete(&mut self, id: SessionId) -> Result<Option<Vec<BlobId>>> {
        let Some(session) = self.find_for_update(id)? else { return Ok(None) };
        let blobs = self.tx.query(BLOBS, params![self.application, id], |row| row.get(0))?;
        self.tx.execute(DELETE_DELIVERIES, params![self.application, id])?;
        for table in SESSION_TABLES {
            let sql = format!("DELETE FROM {table} WHERE application_id = $1 AND session_id = $2");
            self.tx.execute(&sql, params![self.application, id])?;
        }
        let others: i64 =
            self.tx.query_one(OTHERS_OF_SUBJECT, params![self.application, session.subject, id], |row| {
                row.get(0)
            })?;
        self.tx.execute(DELETE_SESSION, params![self.application, id])?;
        if others == 0 && session.vendor_index.is_none() {
            self.tx.subjects(self.application).erase(session.subject, "last session deleted")?;
        }
        Ok(Some(blobs))
    }
}

fn seal_decision(tx: &Tx<'_>, session: &Session) -> Result<Option<Vec<u8>>> {
    let decision = session.decision.as_ref();
    decision.map(|decision| session.key.seal_json(tx.random(), session.id, "decision", decision)).transpose()
}

/// The filter as SQL with its values; `$1` is the application.
fn condition(
    application: ApplicationId,
    filter: &Filter,
    vendor_index: Option<[u8; 32]>,
) -> (String, Vec<Value<'static>>) {
    let mut sql = "s.application_id = $1".to_owned();
    let mut values = vec![crate::Bind::bind(&application).into_owned()];
    let mut and = |column: &str, value: Value<'_>| {
        values.push(value.into_owned());
        // Writing to a String cannot fail.
        let _ = write!(sql, " AND {column} ${}", values.len());
    };
    let equal: [(&str, Option<Value<'_>>); 8] = [
        ("s.kind =", filter.kind.as_ref().map(crate::Bind::bind)),
        ("s.vendor_index =", vendor_index.as_ref().map(crate::Bind::bind)),
        ("s.subject_id =", filter.subject.as_ref().map(crate::Bind::bind)),
        ("s.workflow_id =", filter.workflow.as_ref().map(crate::Bind::bind)),
        ("s.country =", filter.country.as_ref().map(crate::Bind::bind)),
        ("s.document_type =", filter.document_type.as_ref().map(crate::Bind::bind)),
        ("s.service =", filter.service.as_ref().and_then(Option::as_ref).map(crate::Bind::bind)),
        ("s.number =", filter.number.as_ref().map(crate::Bind::bind)),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            and(column, value);
        }
    }
    if let Some(from) = filter.from {
        and("s.created_at >=", Value::Int(from.micros()));
    }
    if let Some(until) = filter.until {
        and("s.created_at <", Value::Int(until.micros()));
    }
    if !filter.statuses.is_empty() {
        let first = values.len() + 1;
        values.extend(filter.statuses.iter().map(|status| crate::Bind::bind(status).into_owned()));
        let places: Vec<String> = (first..=values.len()).map(|place| format!("${place}")).collect();
        let _ = write!(sql, " AND s.status IN ({})", places.join(", "));
    }
    if filter.service == Some(None) {
        sql.push_str(" AND s.service IS NULL");
    }
    (sql, values)
}

impl Tx<'_> {
    /// The session with this link token, of whichever application.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn session_by_token(&mut self, token: &str) -> Result<Option<Session>> {
        let found = self.query_opt(FIND_BY_TOKEN, params![crate::keys::sha256(token.as_bytes())], raw)?;
        found.map(|raw| open(self, raw)).transpose()
    }

    /// Sessions in a status whose time is over, oldest first, of all applications.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn sessions_due(&mut self, status: &str, limit: i64) -> Result<Vec<(ApplicationId, SessionId)>> {
        let now = self.now();
        self.query(DUE, params![status, now, limit], |row| Ok((row.get(0)?, row.get(1)?)))
    }
}
