//! `GET /v1/chip/relay/` — the WebSocket on which a device carries commands to a chip (docs/chip-relay.md).
//!
//! The ticket comes in the first message, not in the address, which proxies log. What
//! is said is `emrtd::relay`'s business; here are only frames, sizes and silence.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    response::{IntoResponse, Response},
};
use service::chip::relay::{ClientMessage, Conversation, Said, ServerMessage};

use crate::{
    app::{App, ClientAddress},
    http::{failure::Failure, limit::Budget},
};

/// Largest message: the answers of a batch in base64, with room for JSON.
const MAX_MESSAGE_BYTES: usize = 768 * 1024;
/// Without a word from the device.
const SILENCE: Duration = Duration::from_secs(60);
/// Until the first message.
const GREETING: Duration = Duration::from_secs(10);

/// Upgrades to the conversation.
pub(crate) async fn handler(
    State(app): State<App>,
    client: ClientAddress,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    app.addresses.count(&client.0, Budget::HostedPage, app.now_s())?;
    Ok(upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| converse(app, socket))
        .into_response())
}

fn refused(code: &str) -> Said {
    Said { messages: vec![ServerMessage::Refused { code: code.to_owned() }], close: true }
}

async fn converse(app: App, mut socket: WebSocket) {
    let mut joined: Option<(Arc<Conversation>, u64)> = None;
    loop {
        let patience = if joined.is_some() { SILENCE } else { GREETING };
        let said = match tokio::time::timeout(patience, socket.recv()).await {
            Err(_) => refused("session_over"),
            Ok(None | Some(Err(_) | Ok(Message::Close(_)))) => break,
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Binary(_)))) => refused("malformed"),
            Ok(Some(Ok(Message::Text(text)))) => match serde_json::from_str::<ClientMessage>(&text) {
                Err(_) => refused("malformed"),
                Ok(message) => hear(&app, &mut joined, message).await,
            },
        };
        let mut broken = false;
        for message in &said.messages {
            let text = serde_json::to_string(message).unwrap_or_default();
            broken |= socket.send(Message::Text(text.into())).await.is_err();
        }
        if said.close || broken {
            let _ = socket.send(Message::Close(None::<CloseFrame>)).await;
            break;
        }
    }
    if let Some((conversation, connection)) = joined {
        app.service.chip_connection_lost(&conversation, connection);
    }
}

/// Takes one message; the hello finds the conversation.
async fn hear(app: &App, joined: &mut Option<(Arc<Conversation>, u64)>, message: ClientMessage) -> Said {
    if let ClientMessage::Hello { token, .. } = &message
        && joined.is_none()
    {
        let Some(conversation) = app.service.chip_conversation(token) else { return refused("wrong_token") };
        let connection = conversation.take_over();
        *joined = Some((conversation, connection));
    }
    match joined {
        Some((conversation, connection)) => {
            app.service.chip_message(conversation, *connection, message).await
        }
        None => refused("hello_expected"),
    }
}
