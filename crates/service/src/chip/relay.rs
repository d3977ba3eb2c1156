//! Chips read through a person's device: tickets, conversations, and where their result goes.
//!
//! A ticket is bound to one session (its token asks for it) and opens one conversation
//! (`emrtd::relay`), which survives a lost connection until it is over. The reading is judged and
//! stored with the session before the device hears that it is done; what
//! it means is decided with the other checks (`checks::chip`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use base64::Engine as _;
pub use emrtd::relay::{ClientMessage, ServerMessage, VERSION};
use emrtd::{
    bac::Password,
    relay::{EntropyFactory, Limits, Relay, Reply},
    terminal::{Reading, Settings},
    time::Time,
};
use jiff::civil::Date;
use store::{ApplicationId, BlobId, SessionId};
use tokio::sync::watch;
use workflow::Feature;

use crate::{
    Service,
    hosted::{Refused, insert_object, look, open, save},
};
use checks::chip::Kept;

/// Conversations of one application at once.
const MAX_PER_APPLICATION: usize = 256;
/// Conversations of all applications at once.
const MAX_IN_ALL: usize = 1024;
/// Name of the reading among a session's objects.
pub(crate) const OBJECT: &str = "chip";

/// What opens the chip: printed on the document.
#[derive(Debug, Clone)]
pub enum Opens {
    /// Document number, birth and expiry date of the machine readable zone.
    Zone {
        /// Without fillers.
        document_number: String,
        /// Of the holder.
        date_of_birth: Date,
        /// Of the document.
        date_of_expiry: Date,
    },
    /// The card access number.
    CardAccessNumber(String),
}

impl Opens {
    fn password(&self) -> Password {
        // two-digit years, as the zone has them
        let short =
            |date: &Date| format!("{:02}{:02}{:02}", date.year().rem_euclid(100), date.month(), date.day());
        match self {
            Self::Zone { document_number, date_of_birth, date_of_expiry } => {
                Password::from_mrz(document_number, &short(date_of_birth), &short(date_of_expiry))
            }
            Self::CardAccessNumber(digits) => Password::Can(digits.clone()),
        }
    }
}

/// A ticket for one conversation.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Said in the device's hello.
    pub text: String,
    /// How long a conversation may be silent, the time until hello included.
    pub idle_ms: u64,
}

/// Why there is no ticket.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// No such session, it is over, or its workflow has no chip.
    #[error("the session reads no chip now")]
    NotNow,
    /// The person has not agreed yet.
    #[error("there is no consent")]
    NoConsent,
    /// Too many chips are being read.
    #[error("too many chips are being read")]
    Busy,
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<Refused> for TicketError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoConsent => Self::NoConsent,
            Refused::Store(error) => Self::Store(error),
            _ => Self::NotNow,
        }
    }
}

/// One chip being read.
pub struct Conversation {
    application: ApplicationId,
    session: SessionId,
    /// The credential of the session: what it may no longer do, the conversation may not either.
    token: String,
    relay: Mutex<Relay>,
    /// Number of the connection that has the say.
    connection: watch::Sender<u64>,
}

impl Conversation {
    /// A new connection takes over; the one before may be a dead one that nobody noticed yet.
    pub fn take_over(&self) -> u64 {
        let mut number = 0;
        self.connection.send_modify(|connection| {
            *connection += 1;
            number = *connection;
        });
        number
    }

    /// Resolves when another connection has the say.
    pub async fn taken_over(&self, connection: u64) {
        let mut newest = self.connection.subscribe();
        // The sender lives as long as this conversation does.
        let _ = newest.wait_for(|newest| *newest != connection).await;
    }

    fn has_say(&self, connection: u64) -> bool {
        *self.connection.borrow() == connection
    }

    fn relay(&self) -> std::sync::MutexGuard<'_, Relay> {
        self.relay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection sends, and whether it ends.
#[derive(Debug, Default)]
pub struct Said {
    /// In this order.
    pub messages: Vec<ServerMessage>,
    /// The connection is over.
    pub close: bool,
}

/// Conversations by ticket.
#[derive(Default)]
pub(crate) struct Conversations(Mutex<HashMap<String, Arc<Conversation>>>);

impl Conversations {
    fn find(&self, ticket: &str) -> Option<Arc<Conversation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(ticket).cloned()
    }

    fn end(&self, ended: &Arc<Conversation>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, conversation| !Arc::ptr_eq(conversation, ended));
    }

    /// Takes a conversation in. An older one of the same session ends: a ticket is good for one chip.
    fn begin(&self, ticket: String, new: Conversation, now_ms: u64) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, known| {
            // one at work right now is not over
            let over = known.relay.try_lock().is_ok_and(|relay| relay.is_over(now_ms));
            !over && (known.application, known.session) != (new.application, new.session)
        });
        let of_application = all.values().filter(|known| known.application == new.application).count();
        if all.len() >= MAX_IN_ALL || of_application >= MAX_PER_APPLICATION {
            return false;
        }
        all.insert(ticket, Arc::new(new));
        true
    }
}

impl Service {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.now().micros() / 1000).unwrap_or(0)
    }

    fn random_text(&self) -> String {
        let mut bytes = [0; 32];
        self.store.random().fill(&mut bytes);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens a conversation for the session behind `token`.
    ///
    /// # Errors
    /// [`TicketError`].
    pub async fn chip_ticket(&self, token: &str, opens: Opens) -> Result<Ticket, TicketError> {
        let asked = token.to_owned();
        let (application, session) = self
            .store
            .read(move |tx| {
                let open = look(tx, &asked)?;
                if !open.definition.has(Feature::Nfc) || open.state.progress.submitted {
                    return Err(Refused::NotNow);
                }
                if !open.state.progress.consented {
                    return Err(Refused::NoConsent);
                }
                Ok((open.session.application, open.session.id))
            })
            .await?;
        let ticket = self.random_text();
        let mut challenge = [0; 8];
        self.store.random().fill(&mut challenge);
        let random = self.store.random();
        let entropy: EntropyFactory = Box::new(move || {
            let random = Arc::clone(&random);
            Box::new(move |bytes: &mut [u8]| random.fill(bytes))
        });
        let settings = Settings { challenge: Some(challenge), ..Settings::default() };
        let limits = Limits::default();
        let (idle_ms, now_ms) = (limits.idle_ms, self.now_ms());
        let relay = Relay::new(ticket.clone(), opens.password(), settings, limits, entropy, now_ms);
        let conversation = Conversation {
            application,
            session,
            token: token.to_owned(),
            relay: Mutex::new(relay),
            connection: watch::Sender::new(0),
        };
        if self.conversations.begin(ticket.clone(), conversation, now_ms) {
            Ok(Ticket { text: ticket, idle_ms })
        } else {
            Err(TicketError::Busy)
        }
    }

    /// The conversation of a ticket; `None` when it is over or never was.
    pub fn chip_conversation(&self, ticket: &str) -> Option<Arc<Conversation>> {
        self.conversations.find(ticket)
    }

    /// Takes one message of a device.
    pub async fn chip_message(
        &self,
        conversation: &Arc<Conversation>,
        connection: u64,
        message: ClientMessage,
    ) -> Said {
        let closed = |code: &str| Said {
            messages: vec![ServerMessage::Refused { code: code.to_owned() }],
            close: true,
        };
        if !conversation.has_say(connection) {
            return closed("connected_elsewhere");
        }
        let (at_work, now_ms) = (Arc::clone(conversation), self.now_ms());
        // Opening a chip costs milliseconds of elliptic curves: not on a thread that serves connections.
        let reply: Reply =
            match tokio::task::spawn_blocking(move || at_work.relay().on_message(message, now_ms)).await {
                Ok(reply) => reply,
                Err(_) => return closed("internal"),
            };
        let mut said = Said { messages: reply.send, close: reply.close };
        if let Some(reading) = reply.reading {
            self.conversations.end(conversation);
            if let Err(error) = self.keep_reading(conversation, *reading).await {
                tracing::warn!(session.id = %conversation.session, error = %error, "reading was not kept");
                let failed = ServerMessage::Failed { code: "not_kept".to_owned(), retry: false };
                said = Said { messages: vec![failed], close: true };
            }
        } else if conversation.relay().is_over(now_ms) {
            self.conversations.end(conversation);
        }
        said
    }

    /// The connection was lost; the conversation waits for the next one.
    pub fn chip_connection_lost(&self, conversation: &Arc<Conversation>, connection: u64) {
        if conversation.has_say(connection) {
            conversation.relay().on_disconnect();
        }
    }

    /// Judges a reading and stores it with its session.
    async fn keep_reading(
        &self,
        conversation: &Arc<Conversation>,
        reading: Reading,
    ) -> Result<(), KeepError> {
        let (trust, application) = (Arc::clone(&self.trust), conversation.application);
        let now = self.now();
        // Waits for a core instead of the pool's queue: the chip was read, and reading it again costs the person more.
        let kept = tokio::task::spawn_blocking(move || {
            let trust = trust.of(application)?;
            let report = reading.judge(&trust, Some(Time(now.seconds())));
            serde_json::to_vec(&Kept::of(report, reading)).map_err(|error| error.to_string())
        })
        .await
        .map_err(|error| KeepError::Failed(error.to_string()))?
        .map_err(KeepError::Failed)?;
        let token = conversation.token.clone();
        let key = self.store.read(move |tx| look(tx, &token).map(|open| open.session.key)).await?;
        let mut written = self.write_object(&key, &kept).await?;
        written.content_type = "application/json";
        let blob = written.blob.clone();
        let token = conversation.token.clone();
        let stored: Result<Option<BlobId>, Refused> = self
            .store
            .write(move |tx| {
                let mut open = open(tx, &token)?;
                if open.state.progress.submitted || !open.state.progress.consented {
                    return Err(Refused::NotNow);
                }
                let (session, key) = (open.session.id, open.session.key.clone());
                insert_object(tx, application, session, &key, OBJECT, &written)?;
                // What was read before is somebody's passport, too: its file goes with its row.
                let before = match open.state.objects.insert(OBJECT.to_owned(), written.id) {
                    Some(before) => tx.objects(application).delete(before)?,
                    None => None,
                };
                save(tx, open, "session.chip")?;
                Ok(before)
            })
            .await;
        match stored {
            Ok(before) => {
                self.store.delete_blobs(&Vec::from_iter(before)).await;
                Ok(())
            }
            Err(error) => {
                self.store.delete_blobs(&[blob]).await;
                Err(error.into())
            }
        }
    }
}

/// Why a reading was not kept.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Store(#[from] store::Error),
}
