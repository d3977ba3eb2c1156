//! Events: the outbox. An event is written in the transaction that causes it, and sent after the commit.

use crate::clock::Time;
use crate::error::Result;
use crate::ids::{ApplicationId, DeliveryId, EventId, SessionId, SubjectId};
use crate::rows::sessions::Session;
use crate::secret::Pii;
use crate::tx::Tx;
use crate::value::Row;

statements! {
    INSERT = "INSERT INTO events (application_id, id, session_id, subject_id, sequence, kind, sealed_payload, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    WAITING = "SELECT application_id, id, session_id, kind FROM events WHERE dispatched_at IS NULL ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED";
    DISPATCHED = "UPDATE events SET dispatched_at = $3 WHERE application_id = $1 AND id = $2";
    SUBSCRIBED = "SELECT id, subscribed_events FROM webhook_destinations WHERE application_id = $1 AND is_enabled = TRUE";
    FAN_OUT = "INSERT INTO webhook_deliveries (application_id, id, event_id, destination_id, session_id, kind, state, attempts, next_at, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, 'pending', 0, $7, $7) ON CONFLICT (application_id, event_id, destination_id) DO NOTHING";
    FIND = "SELECT id, session_id, subject_id, sequence, kind, sealed_payload, created_at FROM events WHERE application_id = $1 AND id = $2";
    OF_SESSION = "SELECT id, session_id, subject_id, sequence, kind, sealed_payload, created_at FROM events \
        WHERE application_id = $1 AND session_id = $2 ORDER BY sequence";
}

/// One event, as it was when it happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its id: the same in every attempt to deliver it.
    pub id: EventId,
    /// In which session.
    pub session: Option<SessionId>,
    /// Its place among the session's events, from 1.
    pub sequence: i64,
    /// `status.updated`, `data.updated`…
    pub kind: String,
    /// What is told. Sealed.
    pub payload: Pii<serde_json::Value>,
    /// When it happened.
    pub created_at: Time,
}

type Raw = (EventId, Option<SessionId>, Option<SubjectId>, i64, String, Vec<u8>, Time);

fn raw(row: &Row<'_>) -> Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}

repository! {
    /// Events of one application.
    Events, events
}

impl Events<'_, '_> {
    /// Adds an event of a session and counts up its `last_event`: insert or save the session in the same
    /// transaction, or the next event will collide.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] (on PostgreSQL at the commit) when the session was not saved after the last one.
    pub fn append(
        &mut self,
        session: &mut Session,
        kind: &str,
        payload: &serde_json::Value,
    ) -> Result<EventId> {
        let id: EventId = self.tx.new_id();
        let now = self.tx.now();
        let sealed = session.key.seal_json(self.tx.random(), id, "payload", payload)?;
        session.last_event += 1;
        let values =
            params![self.application, id, session.id, session.subject, session.last_event, kind, sealed, now];
        self.tx.defer(INSERT, values)?;
        self.tx.wake.events = true;
        Ok(id)
    }

    /// Adds an event that belongs to no session; `payload` holds no personal data beyond the application's own.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn append_for_application(&mut self, kind: &str, payload: &serde_json::Value) -> Result<EventId> {
        let id: EventId = self.tx.new_id();
        let now = self.tx.now();
        let by = self.tx.application_key(self.application)?;
        let plain = serde_json::to_vec(payload).map_err(crate::Error::Json)?;
        let sealed = by.seal(self.tx.random(), id, "payload", &plain)?;
        let (session, subject): (Option<SessionId>, Option<SubjectId>) = (None, None);
        self.tx.defer(INSERT, params![self.application, id, session, subject, 0_i64, kind, sealed, now])?;
        self.tx.wake.events = true;
        Ok(id)
    }

    fn open(&mut self, raw: Raw) -> Result<Event> {
        let (id, session, subject, sequence, kind, sealed, created_at) = raw;
        let payload = match subject {
            Some(subject) => {
                self.tx.subject_key(self.application, subject)?.open_json(id, "payload", &sealed)?
            }
            None => {
                let plain = self.tx.open_application_value(self.application, id, "payload", &sealed)?;
                serde_json::from_slice(&plain).map_err(crate::Error::Json)?
            }
        };
        Ok(Event { id, session, sequence, kind, payload: Pii(payload), created_at })
    }

    /// Finds by id.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn find(&mut self, id: EventId) -> Result<Option<Event>> {
        let found = self.tx.query_opt(FIND, params![self.application, id], raw)?;
        found.map(|raw| self.open(raw)).transpose()
    }

    /// All events of a session in order.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn of_session(&mut self, session: SessionId) -> Result<Vec<Event>> {
        let found = self.tx.query(OF_SESSION, params![self.application, session], raw)?;
        found.into_iter().map(|raw| self.open(raw)).collect()
    }
}

impl Tx<'_> {
    /// Turns up to `limit` new events into deliveries, one for each enabled destination that asked for their kind;
    /// returns how many events that were.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn dispatch_events(&mut self, limit: i64) -> Result<usize> {
        let waiting = self.query(WAITING, params![limit], |row| {
            Ok((
                row.get::<ApplicationId>(0)?,
                row.get::<EventId>(1)?,
                row.get::<Option<SessionId>>(2)?,
                row.get::<String>(3)?,
            ))
        })?;
        let now = self.now();
        for (application, event, session, kind) in &waiting {
            let destinations = self.query(SUBSCRIBED, params![*application], |row| {
                Ok((row.get::<crate::DestinationId>(0)?, crate::json_list::<String>(row, 1)?))
            })?;
            for (destination, subscribed) in destinations {
                if subscribed.contains(kind) {
                    let id: DeliveryId = self.new_id();
                    self.execute(
                        FAN_OUT,
                        params![*application, id, *event, destination, *session, kind, now],
                    )?;
                }
            }
            self.execute(DISPATCHED, params![*application, *event, now])?;
        }
        Ok(waiting.len())
    }
}
