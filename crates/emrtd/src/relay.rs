//! The conversation between the server's terminal and the device that holds the document to its radio.
//!
//! Transport-independent: the server puts [`ServerMessage`] and [`ClientMessage`] on a WebSocket as
//! JSON text (`docs/chip-relay.md`), and calls [`Relay::on_message`] with the time. A conversation is
//! bound to one verification session by an unguessable token; it survives a lost connection (the
//! device says hello again and gets the outstanding batch anew) and a lost chip (reading starts again),
//! within limits on time, messages and attempts.

use crate::bac::Password;
use crate::cipher::{Entropy, equal};
use crate::terminal::{Failure, Reading, Settings, Step, Terminal};
use base64::Engine as _;

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// Bytes, as base64 in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

impl<'de> serde::Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        bytes.map(Bytes).map_err(|_| serde::de::Error::custom("not base64"))
    }
}

/// What the device says.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// First on every connection.
    Hello {
        /// Protocol version.
        version: u32,
        /// The token that binds the conversation to its verification session.
        token: String,
        /// Such as `android` or `ios`; for the record.
        #[serde(default)]
        platform: String,
        /// Most bytes one command may have; 261 or absent means short length only.
        #[serde(default)]
        max_command_bytes: Option<u32>,
    },
    /// The chip is in the field.
    ChipFound,
    /// The chip has left the field; its session is gone.
    ChipLost,
    /// Answers to the batch with this number.
    Responses {
        /// The batch's number.
        seq: u64,
        /// One for each command, up to and including the first that does not end in 9000.
        responses: Vec<Bytes>,
    },
    /// The person gave up.
    Cancel,
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The conversation is open; hold the document to the device.
    Ready {
        /// Protocol version.
        version: u32,
        /// Milliseconds without a message after which the server closes.
        idle_ms: u64,
    },
    /// Send these to the chip in order; stop after the first answer that does not end in 9000.
    Commands {
        /// The batch's number, counting up from 1.
        seq: u64,
        /// The commands.
        commands: Vec<Bytes>,
        /// Share of the document read so far, 0 to 1; for the progress bar.
        progress: f32,
    },
    /// Everything is read. What it says stays on the server.
    Done,
    /// Reading failed; with `retry` the person may hold the document to the device again.
    Failed {
        /// Why, such as `access_denied`.
        code: String,
        /// Whether another attempt makes sense.
        retry: bool,
    },
    /// The message is not accepted; the connection is over.
    Refused {
        /// Why, such as `wrong_token`.
        code: String,
    },
}

/// What a conversation may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Without a message.
    pub idle_ms: u64,
    /// In all.
    pub total_ms: u64,
    /// Times a chip may be lost and found.
    pub attempts: u32,
    /// Messages from the device.
    pub messages: u32,
    /// Bytes of one message's answers.
    pub message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { idle_ms: 60_000, total_ms: 300_000, attempts: 8, messages: 2_000, message_bytes: 512 * 1024 }
    }
}

/// What the server does after a message.
#[derive(Debug, Default)]
pub struct Reply {
    /// Sent to the device.
    pub send: Vec<ServerMessage>,
    /// The finished reading, once.
    pub reading: Option<Box<Reading>>,
    /// The connection is closed after sending.
    pub close: bool,
}

/// Makes the randomness of one attempt.
pub type EntropyFactory = Box<dyn FnMut() -> Box<dyn Entropy + Send> + Send>;

/// One conversation.
pub struct Relay {
    token: String,
    password: Password,
    settings: Settings,
    limits: Limits,
    entropy: EntropyFactory,
    terminal: Option<Terminal>,
    outstanding: Option<ServerMessage>,
    seq: u64,
    attempts: u32,
    messages: u32,
    started_ms: u64,
    last_ms: u64,
    greeted: bool,
    over: bool,
}

impl Relay {
    /// A conversation for the chip that `password` opens. `token` must be unguessable and used once; `now_ms` is any
    /// clock that only goes forward.
    pub fn new(
        token: String,
        password: Password,
        settings: Settings,
        limits: Limits,
        entropy: EntropyFactory,
        now_ms: u64,
    ) -> Self {
        Self {
            token,
            password,
            settings,
            limits,
            entropy,
            terminal: None,
            outstanding: None,
            seq: 0,
            attempts: 0,
            messages: 0,
            started_ms: now_ms,
            last_ms: now_ms,
            greeted: false,
            over: false,
        }
    }

    /// Whether the conversation has ended, by result, refusal or time.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.over
            || now_ms.saturating_sub(self.last_ms) > self.limits.idle_ms
            || now_ms.saturating_sub(self.started_ms) > self.limits.total_ms
    }

    /// The connection was lost: the next one must say hello again.
    pub fn on_disconnect(&mut self) {
        self.greeted = false;
    }

    /// Takes one message from the device.
    pub fn on_message(&mut self, message: ClientMessage, now_ms: u64) -> Reply {
        if self.is_over(now_ms) {
            return self.refuse("session_over");
        }
        self.messages += 1;
        if self.messages > self.limits.messages {
            return self.refuse("too_many_messages");
        }
        if let ClientMessage::Hello { version, token, max_command_bytes, .. } = &message {
            // An unknown caller does not keep the conversation alive, nor end it.
            if !equal(token.as_bytes(), self.token.as_bytes()) {
                return Reply { send: vec![refused("wrong_token")], close: true, ..Reply::default() };
            }
            if *version != VERSION {
                return Reply { send: vec![refused("unsupported_version")], close: true, ..Reply::default() };
            }
            self.last_ms = now_ms;
            self.greeted = true;
            // Room for header, length fields and the secure messaging around a command's answer.
            let room = usize::try_from(max_command_bytes.unwrap_or(0)).unwrap_or(0).saturating_sub(64);
            self.settings.block = room.clamp(223, 4096);
            let mut send = vec![ServerMessage::Ready { version: VERSION, idle_ms: self.limits.idle_ms }];
            send.extend(self.outstanding.clone());
            return Reply { send, ..Reply::default() };
        }
        if !self.greeted {
            return Reply { send: vec![refused("hello_expected")], close: true, ..Reply::default() };
        }
        self.last_ms = now_ms;
        match message {
            ClientMessage::ChipFound => {
                self.attempts += 1;
                if self.attempts > self.limits.attempts {
                    return self.refuse("too_many_attempts");
                }
                let mut terminal =
                    Terminal::new(self.password.clone(), self.settings.clone(), (self.entropy)());
                let step = terminal.start();
                self.terminal = Some(terminal);
                self.reply(step)
            }
            ClientMessage::ChipLost => {
                self.terminal = None;
                self.outstanding = None;
                Reply { send: vec![failed("chip_lost", true)], ..Reply::default() }
            }
            ClientMessage::Responses { seq, responses } => {
                let size: usize = responses.iter().map(|r| r.0.len()).sum();
                if size > self.limits.message_bytes {
                    return self.refuse("message_too_large");
                }
                // Answers sent twice after a reconnection, or of an attempt that is over, are not an error.
                if seq != self.seq || self.outstanding.is_none() {
                    return Reply::default();
                }
                let Some(terminal) = &mut self.terminal else { return Reply::default() };
                self.outstanding = None;
                let responses: Vec<Vec<u8>> = responses.into_iter().map(|r| r.0).collect();
                let step = terminal.on_responses(&responses);
                self.reply(step)
            }
            ClientMessage::Cancel => {
                self.over = true;
                Reply { send: vec![failed("cancelled", false)], close: true, ..Reply::default() }
            }
            ClientMessage::Hello { .. } => Reply::default(),
        }
    }

    fn reply(&mut self, step: Step) -> Reply {
        match step {
            Step::Send(commands) => {
                self.seq += 1;
                let (read, total) = self.terminal.as_ref().map_or((0, 0), Terminal::progress);
                let progress = if total == 0 { 0.0 } else { read as f32 / total as f32 };
                let commands = commands.into_iter().map(Bytes).collect();
                let message = ServerMessage::Commands { seq: self.seq, commands, progress };
                self.outstanding = Some(message.clone());
                Reply { send: vec![message], ..Reply::default() }
            }
            Step::Done(reading) => {
                self.over = true;
                self.terminal = None;
                Reply { send: vec![ServerMessage::Done], reading: Some(reading), close: true }
            }
            Step::Failed(failure) => {
                self.terminal = None;
                // A wrong password stays wrong; everything else may have been the radio.
                let retry = !matches!(failure, Failure::AccessDenied | Failure::NoAccess);
                self.over = !retry;
                let code = serde_json::to_value(&failure).ok().and_then(|v| v.as_str().map(str::to_owned));
                Reply {
                    send: vec![failed(&code.unwrap_or_default(), retry)],
                    close: !retry,
                    ..Reply::default()
                }
            }
        }
    }

    fn refuse(&mut self, code: &str) -> Reply {
        self.over = true;
        Reply { send: vec![refused(code)], close: true, ..Reply::default() }
    }
}

fn refused(code: &str) -> ServerMessage {
    ServerMessage::Refused { code: code.to_owned() }
}

fn failed(code: &str, retry: bool) -> ServerMessage {
    ServerMessage::Failed { code: code.to_owned(), retry }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{Chip, Issuer, Recipe, carry, seeded};

    fn relay(recipe: &Recipe) -> Relay {
        let mut count = 0;
        let entropy: EntropyFactory = Box::new(move || {
            count += 1;
            Box::new(seeded(count))
        });
        let password = recipe.password().expect("has one");
        Relay::new("secret".to_owned(), password, Settings::default(), Limits::default(), entropy, 0)
    }

    fn hello(token: &str) -> ClientMessage {
        ClientMessage::Hello {
            version: VERSION,
            token: token.to_owned(),
            platform: "test".to_owned(),
            max_command_bytes: None,
        }
    }

    fn chip(recipe: &Recipe) -> Chip {
        let issuer = Issuer::european("UT", &mut seeded(1)).expect("issues");
        recipe.issue(&issuer, Box::new(seeded(2))).expect("issues")
    }

    fn answer(chip: &mut Chip, message: &ServerMessage) -> ClientMessage {
        let ServerMessage::Commands { seq, commands, .. } = message else { panic!("{message:?}") };
        let commands: Vec<Vec<u8>> = commands.iter().map(|c| c.0.clone()).collect();
        ClientMessage::Responses {
            seq: *seq,
            responses: carry(chip, &commands).into_iter().map(Bytes).collect(),
        }
    }

    /// Everything goes through JSON, as on the wire.
    fn wire<T: serde::Serialize + serde::de::DeserializeOwned>(message: &T) -> T {
        serde_json::from_str(&serde_json::to_string(message).expect("writes")).expect("reads")
    }

    #[test]
    fn a_document_is_read_over_a_connection_that_drops_and_comes_back() {
        let recipe = Recipe::passport(5_000);
        let (mut relay, mut chip) = (relay(&recipe), chip(&recipe));
        assert!(matches!(relay.on_message(hello("secret"), 0).send[..], [ServerMessage::Ready { .. }]));
        let mut reply = relay.on_message(ClientMessage::ChipFound, 1);
        let mut rounds = 0;
        while reply.reading.is_none() {
            let message = wire(&reply.send[0]);
            let responses = answer(&mut chip, &message);
            if rounds % 3 == 1 {
                // the connection drops after the chip answered, before the server heard it
                relay.on_disconnect();
                let again = relay.on_message(hello("secret"), 2);
                assert_eq!(wire(&again.send[1]), message);
            }
            reply = relay.on_message(wire(&responses), 3);
            // sent twice: the second time nothing happens
            assert!(relay.on_message(responses, 3).reading.is_none());
            rounds += 1;
        }
        assert!(reply.close);
        assert_eq!(reply.send, [ServerMessage::Done]);
        assert!(relay.is_over(4));
    }

    #[test]
    fn a_chip_that_is_lost_and_found_is_read_from_the_start() {
        let recipe = Recipe::passport(2_000);
        let mut relay = relay(&recipe);
        relay.on_message(hello("secret"), 0);
        let mut first = chip(&recipe);
        let reply = relay.on_message(ClientMessage::ChipFound, 0);
        let late = answer(&mut first, &reply.send[0]);
        assert!(matches!(
            relay.on_message(ClientMessage::ChipLost, 1).send[..],
            [ServerMessage::Failed { retry: true, .. }]
        ));
        assert!(relay.on_message(late, 1).send.is_empty());
        let mut second = chip(&recipe);
        let mut reply = relay.on_message(ClientMessage::ChipFound, 2);
        while reply.reading.is_none() {
            reply = relay.on_message(answer(&mut second, &reply.send[0]), 2);
        }
    }

    #[test]
    fn without_the_token_or_after_the_time_nothing_is_said() {
        let recipe = Recipe::passport(2_000);
        let mut relay = relay(&recipe);
        assert_eq!(relay.on_message(ClientMessage::ChipFound, 0).send, [refused("hello_expected")]);
        assert_eq!(relay.on_message(hello("guess"), 0).send, [refused("wrong_token")]);
        assert!(!relay.is_over(0));
        relay.on_message(hello("secret"), 0);
        assert_eq!(relay.on_message(ClientMessage::ChipFound, 60_001).send, [refused("session_over")]);
    }

    #[test]
    fn attempts_and_sizes_are_bounded() {
        let recipe = Recipe::passport(2_000);
        let mut relay = relay(&recipe);
        relay.on_message(hello("secret"), 0);
        for _ in 0..8 {
            assert!(!relay.on_message(ClientMessage::ChipFound, 0).close);
        }
        assert_eq!(relay.on_message(ClientMessage::ChipFound, 0).send, [refused("too_many_attempts")]);
    }
}
