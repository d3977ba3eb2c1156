//! `GET /v1/chip/relay/` — the WebSocket on which a device carries commands to a chip (docs/chip-relay.md).
//!
//! The ticket comes in the first message, not in the address, which proxies log. What
//! is said is `emrtd::relay`'s business; here are only frames, sizes and silence.

use std::{future::pending, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    response::{IntoResponse, Response},
};
use service::chip::relay::{ClientMessage, Conversation, Said, ServerMessage};
use tokio::time::{Instant, timeout, timeout_at};

use super::sockets::Place;
use crate::{
    app::{App, ClientAddress},
    connections::Connection,
    http::{failure::Failure, limit::Budget},
};

/// Largest message: the answers of a batch in base64, with room for JSON.
const MAX_MESSAGE_BYTES: usize = 768 * 1024;
/// Bytes that a device may send before it has shown its ticket; a hello has a few hundred.
const GREETING_BYTES: i64 = 8 * 1024;
/// What is read in one go. The default of the library is eight times as much for every connection.
const READ_BYTES: usize = 16 * 1024;
/// Without a word from the device.
const SILENCE: Duration = Duration::from_secs(60);
/// A whole connection: a conversation lasts five minutes at most (`emrtd::relay::Limits`).
const TOTAL: Duration = Duration::from_secs(330);
/// Until the device has taken a message.
const SENDING: Duration = Duration::from_secs(20);

/// Upgrades to the conversation.
pub(crate) async fn handler(
    State(app): State<App>,
    client: ClientAddress,
    connection: Option<Extension<Arc<Connection>>>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    app.addresses.count(&client.0, Budget::HostedPage, app.now_s())?;
    let place = app.relays.admit(client.0).ok_or_else(|| Failure::busy(10))?;
    let connection = connection.map(|Extension(connection)| connection);
    if let Some(connection) = &connection {
        connection.may_read(GREETING_BYTES);
    }
    Ok(upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(READ_BYTES)
        .on_upgrade(move |socket| converse(Device { app, place, connection, joined: None }, socket))
        .into_response())
}

fn refused(code: &str) -> Said {
    Said { messages: vec![ServerMessage::Refused { code: code.to_owned() }], close: true }
}

/// The device at the other end.
struct Device {
    app: App,
    place: Place,
    connection: Option<Arc<Connection>>,
    joined: Option<(Arc<Conversation>, u64)>,
}

async fn converse(mut device: Device, mut socket: WebSocket) {
    let end = Instant::now() + TOTAL;
    // A hello has the time of a request's head.
    let mut patience = end.min(Instant::now() + device.app.connections.limits.head);
    loop {
        let heard = tokio::select! {
            heard = timeout_at(patience, socket.recv()) => heard,
            () = device.place.ended() => break,
            () = device.taken_over() => {
                let _ = send(&mut socket, &refused("connected_elsewhere")).await;
                break;
            }
        };
        let said = match heard {
            Err(_) => refused("session_over"),
            Ok(None | Some(Err(_) | Ok(Message::Close(_)))) => break,
            // A ping is not a word: it does not lengthen the patience.
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Binary(_)))) => refused("malformed"),
            Ok(Some(Ok(Message::Text(text)))) => match serde_json::from_str::<ClientMessage>(&text) {
                Err(_) => refused("malformed"),
                Ok(message) => device.hear(message).await,
            },
        };
        if send(&mut socket, &said).await.is_err() || said.close {
            break;
        }
        patience = end.min(Instant::now() + SILENCE);
    }
    if let Some((conversation, connection)) = device.joined {
        device.app.service.chip_connection_lost(&conversation, connection);
    }
}

/// Sends what there is to say, and the close after the last word.
async fn send(socket: &mut WebSocket, said: &Said) -> Result<(), ()> {
    let sending = async {
        for message in &said.messages {
            let text = serde_json::to_string(message).unwrap_or_default();
            socket.send(Message::Text(text.into())).await?;
        }
        if said.close {
            socket.send(Message::Close(None::<CloseFrame>)).await?;
        }
        Ok::<(), axum::Error>(())
    };
    match timeout(SENDING, sending).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(()),
    }
}

impl Device {
    /// Resolves when a newer connection carries on with the conversation.
    async fn taken_over(&self) {
        match &self.joined {
            Some((conversation, connection)) => conversation.taken_over(*connection).await,
            None => pending().await,
        }
    }

    /// Takes one message; the hello finds the conversation.
    async fn hear(&mut self, message: ClientMessage) -> Said {
        if let ClientMessage::Hello { token, .. } = &message
            && self.joined.is_none()
        {
            let Some(conversation) = self.app.service.chip_conversation(token) else {
                return refused("wrong_token");
            };
            let number = conversation.take_over();
            self.joined = Some((conversation, number));
            self.place.greeted();
            if let Some(connection) = &self.connection {
                connection.may_read(i64::MAX);
            }
        }
        match &self.joined {
            Some((conversation, number)) => {
                self.app.service.chip_message(conversation, *number, message).await
            }
            None => refused("hello_expected"),
        }
    }
}
