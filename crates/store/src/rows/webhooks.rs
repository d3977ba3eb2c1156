//! Webhook destinations and deliveries: one row for each event and destination, kept until it is delivered or given up.

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::ids::{ApplicationId, DeliveryId, DestinationId, EventId, SessionId};
use crate::rows::events::Event;
use crate::secret::Secret;
use crate::tx::Tx;
use crate::value::Row;

macro_rules! destination {
    () => {
        "id, label, url, payload_version, is_enabled, subscribed_events, sealed_secret, sealed_previous_secret, \
         previous_secret_until, failing_since, created_at, updated_at"
    };
}

macro_rules! delivery {
    () => {
        "id, event_id, destination_id, session_id, kind, state, attempts, next_at, response_status, response_ms, last_error, \
         created_at, finished_at"
    };
}

statements! {
    INSERT = "INSERT INTO webhook_destinations (application_id, id, label, url, payload_version, is_enabled, subscribed_events, \
        sealed_secret, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT (application_id, url) DO NOTHING";
    UPDATE = "UPDATE webhook_destinations SET label = $3, url = $4, payload_version = $5, is_enabled = $6, subscribed_events = $7, \
        sealed_secret = $8, sealed_previous_secret = $9, previous_secret_until = $10, failing_since = $11, updated_at = $12 \
        WHERE application_id = $1 AND id = $2";
    FIND = concat!("SELECT ", destination!(), " FROM webhook_destinations WHERE application_id = $1 AND id = $2");
    LIST = concat!("SELECT ", destination!(), " FROM webhook_destinations WHERE application_id = $1 ORDER BY created_at, id");
    DELETE = "DELETE FROM webhook_destinations WHERE application_id = $1 AND id = $2";
    DELETE_DELIVERIES = "DELETE FROM webhook_deliveries WHERE application_id = $1 AND destination_id = $2";
    LEASE = concat!("WITH ready (ready_id) AS MATERIALIZED \
        (SELECT id FROM webhook_deliveries WHERE finished_at IS NULL AND next_at <= $1 ORDER BY next_at LIMIT $4 FOR UPDATE SKIP LOCKED) \
        UPDATE webhook_deliveries SET next_at = $2, lease_token = $3, attempts = attempts + 1 FROM ready WHERE id = ready_id \
        RETURNING application_id, ", delivery!());
    FINISH = "UPDATE webhook_deliveries SET state = $4, finished_at = $5, next_at = $6, lease_token = NULL, response_status = $7, \
        response_ms = $8, last_error = $9 WHERE application_id = $1 AND id = $2 AND lease_token = $3";
    RELEASE = "UPDATE webhook_deliveries SET next_at = $4, lease_token = NULL, attempts = attempts - 1 \
        WHERE application_id = $1 AND id = $2 AND lease_token = $3";
    REPLAY = "UPDATE webhook_deliveries SET state = 'pending', finished_at = NULL, next_at = $3, attempts = 0 \
        WHERE application_id = $1 AND id = $2 AND finished_at IS NOT NULL";
    FIND_DELIVERY = concat!("SELECT ", delivery!(), " FROM webhook_deliveries WHERE application_id = $1 AND id = $2");
    LIST_DELIVERIES = concat!("SELECT ", delivery!(), " FROM webhook_deliveries WHERE application_id = $1 AND destination_id = $2 \
        ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4");
    NEXT_AT = "SELECT MIN(next_at) FROM webhook_deliveries WHERE finished_at IS NULL";
    SUMMARY = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN state IN ('failed', 'dead') THEN 1 ELSE 0 END), 0), MIN(response_ms), \
        CAST(AVG(response_ms) AS BIGINT), MAX(response_ms), MAX(finished_at) FROM webhook_deliveries \
        WHERE application_id = $1 AND destination_id = $2";
    FAILING = "UPDATE webhook_destinations SET failing_since = $3 WHERE application_id = $1 AND id = $2 AND failing_since IS NULL";
    HEALTHY = "UPDATE webhook_destinations SET failing_since = NULL WHERE application_id = $1 AND id = $2 AND failing_since IS NOT NULL";
    DISABLE = "UPDATE webhook_destinations SET is_enabled = FALSE, updated_at = $3 WHERE application_id = $1 AND id = $2";
}

/// Where events are sent.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its id.
    pub id: DestinationId,
    /// What its owner calls it.
    pub label: String,
    /// Where to.
    pub url: String,
    /// Shape of the body: `v1`, `v2`, `v3`.
    pub payload_version: String,
    /// Whether it gets anything.
    pub is_enabled: bool,
    /// Kinds of events it gets.
    pub subscribed_events: Vec<String>,
    /// Key of the signature, as text. Sealed.
    pub secret: Secret<String>,
    /// The key before, while receivers change over.
    pub previous_secret: Option<Secret<String>>,
    /// Until when the key before signs too.
    pub previous_secret_until: Option<Time>,
    /// Since when no delivery has worked.
    pub failing_since: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// One event on its way to one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// Which event.
    pub event: EventId,
    /// Where to.
    pub destination: DestinationId,
    /// Of which session.
    pub session: Option<SessionId>,
    /// The event's kind.
    pub kind: String,
    /// `pending`, `failed` (will be tried again), `delivered`, `dead`.
    pub state: String,
    /// How often it was tried, this time included.
    pub attempts: i64,
    /// When it is tried next.
    pub next_at: Time,
    /// Status code of the last answer.
    pub response_status: Option<i64>,
    /// How long the last answer took.
    pub response_ms: Option<i64>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the event was dispatched.
    pub created_at: Time,
    /// When it was delivered or given up.
    pub finished_at: Option<Time>,
}

/// A delivery in a worker's hands, with all it needs.
#[derive(Debug, Clone)]
pub struct LeasedDelivery {
    /// For whom.
    pub application: ApplicationId,
    /// The delivery.
    pub delivery: Delivery,
    /// The event; `None` when it was erased meanwhile.
    pub event: Option<Event>,
    /// The destination; `None` when it was deleted meanwhile.
    pub destination: Option<Destination>,
    lease: String,
}

/// How an attempt went.
#[derive(Debug, Clone)]
pub enum Outcome<'a> {
    /// A 2xx came.
    Delivered {
        /// Its status code.
        status: u16,
        /// How long it took.
        ms: i64,
    },
    /// It did not work; try again at `at`.
    Retry {
        /// When.
        at: Time,
        /// Status code, if an answer came.
        status: Option<u16>,
        /// How long it took.
        ms: i64,
        /// Why, without personal data.
        error: &'a str,
    },
    /// It will not be tried again (until someone replays it).
    Dead {
        /// Status code, if an answer came.
        status: Option<u16>,
        /// How long it took.
        ms: i64,
        /// Why, without personal data.
        error: &'a str,
    },
}

/// Counts over a destination's deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// All of them.
    pub total: i64,
    /// Failed at last or for good.
    pub failed: i64,
    /// Quickest answer.
    pub min_ms: Option<i64>,
    /// Mean answer.
    pub mean_ms: Option<i64>,
    /// Slowest answer.
    pub max_ms: Option<i64>,
    /// When the last one ended.
    pub last_at: Option<Time>,
}

type Raw = (
    (DestinationId, String, String, String, bool, Vec<String>),
    (Vec<u8>, Option<Vec<u8>>, Option<Time>, Option<Time>, Time, Time),
);

fn raw(row: &Row<'_>) -> Result<Raw> {
    Ok((
        (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, crate::json_list(row, 5)?),
        (row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?, row.get(10)?, row.get(11)?),
    ))
}

fn delivery(row: &Row<'_>, first: usize) -> Result<Delivery> {
    Ok(Delivery {
        id: row.get(first)?,
        event: row.get(first + 1)?,
        destination: row.get(first + 2)?,
        session: row.get(first + 3)?,
        kind: row.get(first + 4)?,
        state: row.get(first + 5)?,
        attempts: row.get(first + 6)?,
        next_at: row.get(first + 7)?,
        response_status: row.get(first + 8)?,
        response_ms: row.get(first + 9)?,
        last_error: row.get(first + 10)?,
        created_at: row.get(first + 11)?,
        finished_at: row.get(first + 12)?,
    })
}

repository! {
    /// Webhook destinations and deliveries of one application.
    Webhooks, webhooks
}

impl Webhooks<'_, '_> {
    fn open(&mut self, raw: Raw) -> Result<Destination> {
        let (
            (id, label, url, payload_version, is_enabled, subscribed_events),
            (secret, previous, previous_secret_until, failing_since, created_at, updated_at),
        ) = raw;
        let secret = self.open_secret(id, &secret)?;
        let previous_secret = previous.map(|sealed| self.open_secret(id, &sealed)).transpose()?;
        Ok(Destination {
            id,
            label,
            url,
            payload_version,
            is_enabled,
            subscribed_events,
            secret,
            previous_secret,
            previous_secret_until,
            failing_since,
            created_at,
            updated_at,
        })
    }

    fn open_secret(&mut self, id: DestinationId, sealed: &[u8]) -> Result<Secret<String>> {
        let plain = self.tx.open_application_value(self.application, id, "secret", sealed)?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| Error::Seal)
    }

    fn seal_secret(&mut self, id: DestinationId, secret: &Secret<String>) -> Result<Vec<u8>> {
        let by = self.tx.application_key(self.application)?;
        by.seal(self.tx.random(), id, "secret", secret.expose().as_bytes())
    }

    /// Inserts a destination; `false` when the application has one with this URL.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn insert(&mut self, destination: &Destination) -> Result<bool> {
        let secret = self.seal_secret(destination.id, &destination.secret)?;
        let now = self.tx.now();
        let inserted = self.tx.execute(
            INSERT,
            params![
                self.application,
                destination.id,
                destination.label,
                destination.url,
                destination.payload_version,
                destination.is_enabled,
                crate::json_of(&destination.subscribed_events)?,
                secret,
                now
            ],
        )?;
        Ok(inserted == 1)
    }

    /// Writes a destination.
    ///
    /// # Errors
    /// [`Error::Stale`] when there is none; [`Error::Conflict`] when another has the URL.
    pub fn update(&mut self, destination: &Destination) -> Result<()> {
        let secret = self.seal_secret(destination.id, &destination.secret)?;
        let previous = match &destination.previous_secret {
            Some(previous) => Some(self.seal_secret(destination.id, previous)?),
            None => None,
        };
        let now = self.tx.now();
        let changed = self.tx.execute(
            UPDATE,
            params![
                self.application,
                destination.id,
                destination.label,
                destination.url,
                destination.payload_version,
                destination.is_enabled,
                crate::json_of(&destination.subscribed_events)?,
                secret,
                previous,
                destination.previous_secret_until,
                destination.failing_since,
                now
            ],
        )?;
        if changed == 1 { Ok(()) } else { Err(Error::Stale) }
    }

    /// Finds by id.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn find(&mut self, id: DestinationId) -> Result<Option<Destination>> {
        let found = self.tx.query_opt(FIND, params![self.application, id], raw)?;
        found.map(|raw| self.open(raw)).transpose()
    }

    /// All, oldest first.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn list(&mut self) -> Result<Vec<Destination>> {
        let found = self.tx.query(LIST, params![self.application], raw)?;
        found.into_iter().map(|raw| self.open(raw)).collect()
    }

    /// Deletes a destination with its deliveries; `false` when there is none.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn delete(&mut self, id: DestinationId) -> Result<bool> {
        self.tx.execute(DELETE_DELIVERIES, params![self.application, id])?;
        Ok(self.tx.execute(DELETE, params![self.application, id])? == 1)
    }

    /// Switches a destination off after long failure.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn disable(&mut self, id: DestinationId) -> Result<()> {
        let now = self.tx.now();
        self.tx.execute(DISABLE, params![self.application, id, now]).map(|_| ())
    }

    /// Deliveries to a destination, newest first.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn deliveries(
        &mut self,
        destination: DestinationId,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<Delivery>> {
        self.tx.query(LIST_DELIVERIES, params![self.application, destination, limit, offset], |row| {
            delivery(row, 0)
        })
    }

    /// One delivery.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn find_delivery(&mut self, id: DeliveryId) -> Result<Option<Delivery>> {
        self.tx.query_opt(FIND_DELIVERY, params![self.application, id], |row| delivery(row, 0))
    }

    /// Sends a finished delivery once more; `false` when there is none that is finished.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn replay(&mut self, id: DeliveryId) -> Result<bool> {
        let now = self.tx.now();
        self.tx.wake.events = true;
        Ok(self.tx.execute(REPLAY, params![self.application, id, now])? == 1)
    }

    /// Counts over a destination's deliveries.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn summary(&mut self, destination: DestinationId) -> Result<Summary> {
        self.tx.query_one(SUMMARY, params![self.application, destination], |row| {
            Ok(Summary {
                total: row.get(0)?,
                failed: row.get(1)?,
                min_ms: row.get(2)?,
                mean_ms: row.get(3)?,
                max_ms: row.get(4)?,
                last_at: row.get(5)?,
            })
        })
    }
}

impl Tx<'_> {
    /// Leases up to `limit` deliveries that are due, of all applications, longest waiting first.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn lease_deliveries(&mut self, limit: i64, lease_seconds: i64) -> Result<Vec<LeasedDelivery>> {
        let now = self.now();
        let mut token = [0; 16];
        self.random().fill(&mut token);
        let lease = hex::encode(token);
        let leased =
            self.query(LEASE, params![now, now.plus_seconds(lease_seconds), lease, limit], |row| {
                Ok((row.get::<ApplicationId>(0)?, delivery(row, 1)?))
            })?;
        let mut full = Vec::with_capacity(leased.len());
        for (application, delivery) in leased {
            let event = self.events(application).find(delivery.event)?;
            let destination = self.webhooks(application).find(delivery.destination)?;
            full.push(LeasedDelivery { application, delivery, event, destination, lease: lease.clone() });
        }
        Ok(full)
    }

    /// Records how an attempt went; `false` when the lease was lost. Keeps the destination's `failing_since`.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn finish_delivery(&mut self, leased: &LeasedDelivery, outcome: &Outcome<'_>) -> Result<bool> {
        let now = self.now();
        let (state, finished, next, status, ms, error) = match outcome {
            Outcome::Delivered { status, ms } => ("delivered", Some(now), now, Some(*status), *ms, None),
            Outcome::Retry { at, status, ms, error } => ("failed", None, *at, *status, *ms, Some(*error)),
            Outcome::Dead { status, ms, error } => ("dead", Some(now), now, *status, *ms, Some(*error)),
        };
        let (application, id) = (leased.application, leased.delivery.id);
        let changed = self.execute(
            FINISH,
            params![application, id, leased.lease, state, finished, next, status, ms, error],
        )?;
        let destination = leased.delivery.destination;
        if matches!(outcome, Outcome::Delivered { .. }) {
            self.execute(HEALTHY, params![application, destination])?;
        } else {
            self.execute(FAILING, params![application, destination, now])?;
        }
        Ok(changed == 1)
    }

    /// Puts a leased delivery back untried (its destination is busy, or the worker stops).
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn release_delivery(&mut self, leased: &LeasedDelivery, at: Time) -> Result<bool> {
        Ok(self.execute(RELEASE, params![leased.application, leased.delivery.id, leased.lease, at])? == 1)
    }

    /// When the next delivery is due, for the worker's sleep.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub fn next_delivery_at(&mut self) -> Result<Option<Time>> {
        self.query_one(NEXT_AT, params![], |row| row.get(0))
    }
}
