//! Screening: people who are watched, what is known of a person and a listed entry, alerts, and watermarks.
//!
//! Watched people are spread over [`SHARDS`] shards by their id; a shard's row is its watermark: the list
//! versions that everyone in it was compared with. Enrolling counts the row up and holds its lock, so whoever
//! moves the watermark sees who came meanwhile. An alert's index is unique: the same alert is written once.

use std::collections::BTreeMap;

use crate::clock::Time;
use crate::error::Result;
use crate::ids::{ApplicationId, SessionId, SubjectId};
use crate::keys::SubjectKey;
use crate::secret::Pii;
use crate::tx::Tx;
use crate::value::Row;

/// Shards of the watched people of an application.
pub const SHARDS: u8 = 16;

statements! {
    WATCH = "INSERT INTO aml_watched (application_id, session_id, subject_id, shard, sequence, sealed_profile, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    UNWATCH = "DELETE FROM aml_watched WHERE application_id = $1 AND session_id = $2";
    IS_WATCHED = "SELECT sequence FROM aml_watched WHERE application_id = $1 AND session_id = $2";
    WATCHED = "SELECT w.session_id, w.subject_id, w.sequence, w.sealed_profile, k.version, k.wrapped FROM aml_watched AS w \
        JOIN subject_keys AS k ON k.application_id = w.application_id AND k.subject_id = w.subject_id \
        WHERE w.application_id = $1 AND w.shard = $2 AND w.sequence > $3 ORDER BY w.sequence LIMIT $4";
    SEQUENCES = "SELECT sequence FROM aml_watched WHERE application_id = $1 AND shard = $2 AND sequence <= $3";
    COUNT_SEQUENCES = "SELECT COUNT(*) FROM aml_watched WHERE application_id = $1 AND shard = $2 AND sequence <= $3";
    WATCHED_OF = "SELECT w.session_id, w.subject_id, w.sequence, w.sealed_profile, k.version, k.wrapped FROM aml_watched AS w \
        JOIN subject_keys AS k ON k.application_id = w.application_id AND k.subject_id = w.subject_id \
        WHERE w.application_id = $1 AND w.subject_id = $2 ORDER BY w.sequence";
    COUNT_ALERTS = "SELECT COUNT(*) FROM aml_alerts WHERE application_id = $1";
    COUNT_WATCHED = "SELECT COUNT(*) FROM aml_watched WHERE application_id = $1";
    ADD_SHARD = "INSERT INTO aml_shards (application_id, shard, enrolled, versions, updated_at) VALUES ($1, $2, 0, '{}', $3) \
        ON CONFLICT (application_id, shard) DO NOTHING";
    LOCK_SHARD = "SELECT shard, enrolled, versions FROM aml_shards WHERE application_id = $1 AND shard = $2 FOR UPDATE";
    SAVE_SHARD = "UPDATE aml_shards SET enrolled = $3, versions = $4, updated_at = $5 WHERE application_id = $1 AND shard = $2";
    ALL_SHARDS = "SELECT application_id, shard, enrolled, versions FROM aml_shards ORDER BY application_id, shard";
    REMEMBER = "INSERT INTO aml_hits (application_id, subject_id, entity_index, shard, sealed_known, updated_at) VALUES ($1, $2, $3, $4, $5, $6) \
        ON CONFLICT (application_id, subject_id, entity_index) DO UPDATE SET sealed_known = excluded.sealed_known, updated_at = excluded.updated_at";
    FORGET = "DELETE FROM aml_hits WHERE application_id = $1 AND subject_id = $2 AND entity_index = $3";
    HITS_OF = "SELECT entity_index, sealed_known FROM aml_hits WHERE application_id = $1 AND subject_id = $2 ORDER BY entity_index";
    HITS_OF_SHARD = "SELECT h.subject_id, h.entity_index, h.sealed_known, k.version, k.wrapped FROM aml_hits AS h \
        JOIN subject_keys AS k ON k.application_id = h.application_id AND k.subject_id = h.subject_id \
        WHERE h.application_id = $1 AND h.shard = $2 AND h.updated_at >= $3 AND EXISTS \
        (SELECT 1 FROM aml_watched AS w WHERE w.application_id = h.application_id AND w.subject_id = h.subject_id)";
    ALERT = "INSERT INTO aml_alerts (application_id, alert_index, session_id, subject_id, kind, list, version, sealed_alert, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (application_id, alert_index) DO NOTHING";
    ALERTS_OF = "SELECT alert_index, session_id, kind, list, version, sealed_alert, created_at FROM aml_alerts \
        WHERE application_id = $1 AND subject_id = $2 ORDER BY created_at, alert_index";
}

/// A person who is watched, by the session that carries the case.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The session.
    pub session: SessionId,
    /// The person.
    pub subject: SubjectId,
    /// Their place in the shard, growing.
    pub sequence: i64,
    /// Query and settings of the screening. Sealed.
    pub profile: Pii<serde_json::Value>,
}

/// How far one shard has followed the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its number, below [`SHARDS`].
    pub shard: u8,
    /// How many people were ever enrolled in it: the last [`Watched::sequence`].
    pub enrolled: i64,
    /// Version of each list that everyone in it was compared with.
    pub versions: BTreeMap<String, String>,
}

/// An alert as it was written.
#[derive(Debug, Clone)]
pub struct Alert {
    /// The session that carries the case.
    pub session: SessionId,
    /// `new`, `changed` or `removed`.
    pub kind: String,
    /// Which list.
    pub list: String,
    /// The version that caused it.
    pub version: String,
    /// Entry, fingerprint, score. Sealed.
    pub alert: Pii<serde_json::Value>,
    /// When it was written.
    pub created_at: Time,
}

/// The shard of a person.
#[must_use]
pub fn shard_of(subject: SubjectId) -> u8 {
    // The last bytes of a version 7 UUID are random.
    subject.0.as_bytes().last().copied().unwrap_or(0) % SHARDS
}

fn shard(row: &Row<'_>, first: usize) -> Result<Shard> {
    let versions: String = row.get(first + 2)?;
    Ok(Shard {
        shard: row.get(first)?,
        enrolled: row.get(first + 1)?,
        versions: serde_json::from_str(&versions).map_err(crate::Error::Json)?,
    })
}

type RawWatched = (SessionId, SubjectId, i64, Vec<u8>, u32, Vec<u8>);

fn raw_watched(row: &Row<'_>) -> Result<RawWatched> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

repository! {
    /// Screening rows of one application.
    Screenings, screenings
}

impl Screenings<'_, '_> {
    fn entity_index(&mut self, subject: SubjectId, entity: &str) -> Result<[u8; 32]> {
        let by = self.tx.application_key(self.application)?;
        Ok(by.blind_index("aml entity", format!("{subject} {entity}").as_bytes()))
    }

    /// The watermark of a shard, made when there is none, and locked until the commit.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn lock_shard(&mut self, number: u8) -> Result<Shard> {
        let now = self.tx.now();
        self.tx.execute(ADD_SHARD, params![self.application, number, now])?;
        self.tx.query_one(LOCK_SHARD, params![self.application, number], |row| shard(row, 0))
    }

    /// Writes a watermark that is locked.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn save_shard(&mut self, shard: &Shard) -> Result<()> {
        let now = self.tx.now();
        let versions = crate::json_of(&shard.versions)?;
        self.tx
            .execute(SAVE_SHARD, params![self.application, shard.shard, shard.enrolled, versions, now])
            .map(|_| ())
    }

    /// Enrols the person of a session under the next number of a locked shard; the caller saves the shard.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn watch(
        &mut self,
        shard: &mut Shard,
        key: &SubjectKey,
        session: SessionId,
        profile: &serde_json::Value,
    ) -> Result<()> {
        self.unwatch(session)?;
        shard.enrolled += 1;
        let sealed = key.seal_json(self.tx.random(), session, "aml profile", profile)?;
        let now = self.tx.now();
        self.tx
            .execute(
                WATCH,
                params![self.application, session, key.subject(), shard.shard, shard.enrolled, sealed, now],
            )
            .map(|_| ())
    }

    /// Ends the watch over a session's person; `false` when there was none.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn unwatch(&mut self, session: SessionId) -> Result<bool> {
        Ok(self.tx.execute(UNWATCH, params![self.application, session])? == 1)
    }

    /// Whether a session's person is watched.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn is_watched(&mut self, session: SessionId) -> Result<bool> {
        let found: Option<i64> =
            self.tx.query_opt(IS_WATCHED, params![self.application, session], |row| row.get(0))?;
        Ok(found.is_some())
    }

    /// How many sessions' people are watched.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn count_watched(&mut self) -> Result<i64> {
        self.tx.query_one(COUNT_WATCHED, params![self.application], |row| row.get(0))
    }

    /// How many alerts were written.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn count_alerts(&mut self) -> Result<i64> {
        self.tx.query_one(COUNT_ALERTS, params![self.application], |row| row.get(0))
    }

    fn open_watched(&mut self, raw: Vec<RawWatched>) -> Result<Vec<Watched>> {
        raw.into_iter()
            .map(|(session, subject, sequence, sealed, version, wrapped)| {
                let key = self.tx.unwrap_subject_key(self.application, subject, version, &wrapped)?;
                let profile = Pii(key.open_json(session, "aml profile", &sealed)?);
                Ok(Watched { session, subject, sequence, profile })
            })
            .collect()
    }

    /// The first `most` of a shard who came after `after`, in the order of their coming.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn watched(&mut self, shard: u8, after: i64, most: i64) -> Result<Vec<Watched>> {
        let raw = self.tx.query(WATCHED, params![self.application, shard, after, most], raw_watched)?;
        self.open_watched(raw)
    }

    /// How many of those who came to a shard up to `last` are still watched.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn count_up_to(&mut self, shard: u8, last: i64) -> Result<i64> {
        self.tx.query_one(COUNT_SEQUENCES, params![self.application, shard, last], |row| row.get(0))
    }

    /// The numbers of those who came to a shard up to `last` and are still watched.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn sequences_up_to(&mut self, shard: u8, last: i64) -> Result<Vec<i64>> {
        self.tx.query(SEQUENCES, params![self.application, shard, last], |row| row.get(0))
    }

    /// The watched sessions of one person, in the order of their coming.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn watched_of(&mut self, subject: SubjectId) -> Result<Vec<Watched>> {
        let raw = self.tx.query(WATCHED_OF, params![self.application, subject], raw_watched)?;
        self.open_watched(raw)
    }

    /// Writes what is known of a person and an entry.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn remember(&mut self, key: &SubjectKey, entity: &str, known: &serde_json::Value) -> Result<()> {
        let subject = key.subject();
        let index = self.entity_index(subject, entity)?;
        let sealed = key.seal_json(self.tx.random(), hex::encode(index), "aml known", known)?;
        let now = self.tx.now();
        self.tx
            .execute(REMEMBER, params![self.application, subject, index, shard_of(subject), sealed, now])
            .map(|_| ())
    }

    /// Takes out what is known of a person and an entry.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn forget(&mut self, subject: SubjectId, entity: &str) -> Result<()> {
        let index = self.entity_index(subject, entity)?;
        self.tx.execute(FORGET, params![self.application, subject, index]).map(|_| ())
    }

    /// What is known of a person.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn known(&mut self, key: &SubjectKey) -> Result<Vec<Pii<serde_json::Value>>> {
        let found = self.tx.query(HITS_OF, params![self.application, key.subject()], |row| {
            Ok((row.get::<[u8; 32]>(0)?, row.get::<Vec<u8>>(1)?))
        })?;
        found
            .into_iter()
            .map(|(index, sealed)| key.open_json(hex::encode(index), "aml known", &sealed).map(Pii))
            .collect()
    }

    /// What was written since some time of those in a shard who are watched.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn known_in_shard(
        &mut self,
        shard: u8,
        since: Time,
    ) -> Result<Vec<(SubjectId, Pii<serde_json::Value>)>> {
        let found = self.tx.query(HITS_OF_SHARD, params![self.application, shard, since], |row| {
            Ok((
                row.get::<SubjectId>(0)?,
                row.get::<[u8; 32]>(1)?,
                row.get::<Vec<u8>>(2)?,
                row.get::<u32>(3)?,
                row.get::<Vec<u8>>(4)?,
            ))
        })?;
        found
            .into_iter()
            .map(|(subject, index, sealed, version, wrapped)| {
                let key = self.tx.unwrap_subject_key(self.application, subject, version, &wrapped)?;
                Ok((subject, Pii(key.open_json(hex::encode(index), "aml known", &sealed)?)))
            })
            .collect()
    }

    /// Writes an alert; `false` when this one is written already: then nothing is to be told again.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn alert(
        &mut self,
        key: &SubjectKey,
        (list, version): (&str, &str),
        entity: &str,
        kind: &str,
        session: SessionId,
        alert: &serde_json::Value,
    ) -> Result<bool> {
        let subject = key.subject();
        let by = self.tx.application_key(self.application)?;
        let name = format!("{subject} {entity} {kind} {list} {version}");
        let index = by.blind_index("aml alert", name.as_bytes());
        let sealed = key.seal_json(self.tx.random(), hex::encode(index), "aml alert", alert)?;
        let now = self.tx.now();
        let values = params![self.application, index, session, subject, kind, list, version, sealed, now];
        Ok(self.tx.execute(ALERT, values)? == 1)
    }

    /// The alerts of a person, oldest first.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn alerts_of(&mut self, key: &SubjectKey) -> Result<Vec<Alert>> {
        let found = self.tx.query(ALERTS_OF, params![self.application, key.subject()], |row| {
            Ok((
                row.get::<[u8; 32]>(0)?,
                row.get::<SessionId>(1)?,
                row.get::<String>(2)?,
                row.get::<String>(3)?,
                row.get::<String>(4)?,
                row.get::<Vec<u8>>(5)?,
                row.get::<Time>(6)?,
            ))
        })?;
        found
            .into_iter()
            .map(|(index, session, kind, list, version, sealed, created_at)| {
                let alert = Pii(key.open_json(hex::encode(index), "aml alert", &sealed)?);
                Ok(Alert { session, kind, list, version, alert, created_at })
            })
            .collect()
    }
}

impl Tx<'_> {
    /// The watermarks of all applications.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn screening_shards(&mut self) -> Result<Vec<(ApplicationId, Shard)>> {
        self.query(ALL_SHARDS, params![], |row| Ok((row.get(0)?, shard(row, 1)?)))
    }
}
