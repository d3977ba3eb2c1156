//! Chips over a real WebSocket: the relay, what the decision then says, and whose chips are trusted.

use std::net::TcpStream;

use emrtd::{
    relay::{Bytes, ClientMessage, ServerMessage},
    simulator::{Chip, Fault, Issuer, Recipe, carry, seeded},
};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::{
    flow::decided,
    server::{Answer, Key, Server, agent, create_key, form, grey_jpeg, send},
};

/// An app with a document at its radio.
struct Device {
    socket: WebSocket<TcpStream>,
    ticket: String,
    round_trips: usize,
    commands: usize,
    /// Added to every message, as a mobile network would.
    delay: std::time::Duration,
}

impl Device {
    fn connect(server: &Server, ticket: &str) -> Self {
        let address = server.base.trim_start_matches("http://");
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("is a socket");
        let url = format!("ws://{address}/v1/chip/relay/");
        let (socket, _) = tungstenite::client(url, stream).expect("the server upgrades");
        Self {
            socket,
            ticket: ticket.to_owned(),
            round_trips: 0,
            commands: 0,
            delay: std::time::Duration::ZERO,
        }
    }

    fn say(&mut self, message: &ClientMessage) {
        let text = serde_json::to_string(message).expect("serialises");
        self.socket.send(Message::text(text)).expect("is sent");
    }

    /// What the server says next; `None` when it closed.
    fn hear(&mut self) -> Option<ServerMessage> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                _ => return None,
            }
        }
    }

    fn hello(&mut self) -> Option<ServerMessage> {
        let token = self.ticket.clone();
        self.say(&ClientMessage::Hello {
            version: 1,
            token,
            platform: "test".to_owned(),
            max_command_bytes: None,
        });
        self.hear()
    }

    fn answer(&mut self, chip: &mut Chip, seq: u64, commands: &[Bytes]) {
        let commands: Vec<Vec<u8>> = commands.iter().map(|command| command.0.clone()).collect();
        let responses = carry(chip, &commands).into_iter().map(Bytes).collect();
        self.round_trips += 1;
        self.commands += commands.len();
        self.wait();
        self.say(&ClientMessage::Responses { seq, responses });
    }

    /// Stands for the network in the measurement; tests have no delay.
    fn wait(&self) {
        if !self.delay.is_zero() {
            std::thread::sleep(self.delay);
        }
    }

    /// Carries until the server says that it is over.
    fn carry_all(&mut self, chip: &mut Chip) -> Option<ServerMessage> {
        self.say(&ClientMessage::ChipFound);
        loop {
            match self.hear() {
                Some(ServerMessage::Commands { seq, commands, .. }) => self.answer(chip, seq, &commands),
                other => return other,
            }
        }
    }
}

fn issuer() -> Issuer {
    Issuer::european("UT", &mut seeded(1)).expect("issues")
}

fn chip(recipe: &Recipe, seed: u64) -> Chip {
    recipe.issue(&issuer(), Box::new(seeded(seed))).expect("issues")
}

/// A workflow of document and chip.
fn workflow(server: &Server, key: &Key) -> String {
    let body = json!({ "workflow_label": "chip", "features": [{ "feature": "OCR" }, { "feature": "NFC" }] });
    let answer = server.post_json("/v3/workflows/", &key.text, &body);
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["uuid"].as_str().expect("has an id").to_owned()
}

/// A session whose person has agreed: id and token.
fn agreed(server: &Server, key: &Key, workflow: &str) -> (String, String) {
    let session = server.post_json("/v3/session/", &key.text, &json!({ "workflow_id": workflow })).json();
    let token = session["session_token"].as_str().expect("has a token").to_owned();
    let path = format!("/session/{token}/consent");
    let answer = server.post(&path, "", "application/x-www-form-urlencoded", b"agree=true");
    assert_eq!(answer.status, 200, "{}", answer.text);
    (session["session_id"].as_str().expect("has an id").to_owned(), token)
}

fn ask_ticket(server: &Server, token: &str, body: &Value) -> Answer {
    let request = agent()
        .post(server.url("/v1/chip/relay/"))
        .header("session-token", token)
        .header("content-type", "application/json");
    send(request.send(body.to_string()))
}

/// What is printed on the simulated passport.
fn printed() -> Value {
    json!({ "document_number": "L898902C3", "date_of_birth": "1974-08-12", "expiration_date": "2012-04-15" })
}

fn ticket(server: &Server, token: &str) -> String {
    let answer = ask_ticket(server, token, &printed());
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert!(answer.json()["url"].as_str().is_some_and(|url| url.starts_with("ws")));
    answer.json()["ticket"].as_str().expect("has one").to_owned()
}

fn trust(server: &Server, key: &Key, csca: &[u8], vouch: &str) -> Answer {
    let (kind, body) = form(&[("file", "csca.cer", csca)], &[("vouch", vouch), ("name", "utopia")]);
    server.post("/v1/chip/trust/import/", &key.text, &kind, &body)
}

/// Hands the document's pictures in and waits for the decision.
fn finish(server: &Server, key: &Key, id: &str, token: &str) -> Value {
    let (kind, body) = form(&[("image", "front.jpg", &grey_jpeg(120))], &[]);
    let answer = server.post(&format!("/session/{token}/capture/front"), "", &kind, &body);
    assert_eq!(answer.status, 200, "{}", answer.text);
    for step in ["skip-back", "submit"] {
        let answer =
            server.post(&format!("/session/{token}/{step}"), "", "application/x-www-form-urlencoded", b"");
        assert_eq!(answer.status, 200, "{step}: {}", answer.text);
    }
    decided(server, id, &key.text)
}

#[test]
fn a_chip_read_through_the_relay_stands_in_the_decision_with_its_whole_report() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    assert_eq!(trust(&server, &key, &issuer().csca, "true").status, 201);
    let workflow = workflow(&server, &key);
    let (id, token) = agreed(&server, &key, &workflow);
    let mut device = Device::connect(&server, &ticket(&server, &token));
    assert!(matches!(device.hello(), Some(ServerMessage::Ready { .. })));
    assert!(matches!(device.carry_all(&mut chip(&Recipe::passport(3_000), 2)), Some(ServerMessage::Done)));
    // the ticket was for one chip
    let mut again = Device::connect(&server, &device.ticket);
    assert!(matches!(again.hello(), Some(ServerMessage::Refused { code }) if code == "wrong_token"));
    let decision = finish(&server, &key, &id, &token);
    let block = &decision["nfc_verifications"][0];
    let report = &block["report"];
    assert_eq!(report["verdict"], "genuine", "{report}");
    assert_eq!(report["sod_signature"], "valid");
    assert_eq!(report["chain"], "trusted");
    assert_eq!(report["revocation"], "not_checked");
    assert_eq!(report["dg_hashes"]["1"], "match");
    assert_eq!(report["chip_authentication"], "valid");
    assert_eq!(report["active_authentication"], "not_supported");
    assert_eq!(report["clone_suspected"], false);
    assert_eq!(block["chip_data"]["document_number"], "L898902C3");
    assert_eq!(block["chip_data"]["birth_date"], "1974-08-12");
    assert_eq!(block["access"], "PACE-GM");
    assert!(block["certificate_summary"].is_object());
    // Nothing was read on the grey picture, so the chip is not known to be this document's: never approved.
    assert_eq!(block["status"], "In Review", "{block}");
    assert_eq!(decision["status"], "In Review");
}

#[test]
fn a_copied_chip_is_declined_and_a_skipped_one_reviewed_with_its_reason() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    assert_eq!(trust(&server, &key, &issuer().csca, "true").status, 201);
    let workflow = workflow(&server, &key);
    let (id, token) = agreed(&server, &key, &workflow);
    let mut device = Device::connect(&server, &ticket(&server, &token));
    device.hello();
    let copy = Recipe { fault: Fault::Clone, ..Recipe::passport(1_000) };
    assert!(matches!(device.carry_all(&mut chip(&copy, 3)), Some(ServerMessage::Done)));
    let decision = finish(&server, &key, &id, &token);
    assert_eq!(decision["nfc_verifications"][0]["report"]["clone_suspected"], true);
    assert_eq!(decision["status"], "Declined");

    let (id, token) = agreed(&server, &key, &workflow);
    let decision = finish(&server, &key, &id, &token);
    let block = &decision["nfc_verifications"][0];
    assert_eq!(block["status"], "In Review");
    assert!(block["skip_reason"].is_string());
    assert_eq!(block["warnings"][0]["risk"], "SKIPPED_NFC_VALIDATION");
    // handed in: too late for a chip
    assert_eq!(ask_ticket(&server, &token, &printed()).json()["code"], "chip_not_now");
}

#[test]
fn a_lost_connection_goes_on_where_it_was_and_strangers_get_nowhere() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    let workflow = workflow(&server, &key);
    let (_, token) = agreed(&server, &key, &workflow);
    assert_eq!(ask_ticket(&server, "nobody", &printed()).status, 403);
    assert_eq!(ask_ticket(&server, &token, &json!({})).status, 400);
    assert_eq!(ask_ticket(&server, &token, &json!({ "card_access_number": "12x456" })).status, 400);
    // a workflow without NFC, and a person who has not agreed
    let (_, other) = agreed(&server, &key, &key.workflow);
    assert_eq!(ask_ticket(&server, &other, &printed()).status, 409);
    let fresh = server.post_json("/v3/session/", &key.text, &json!({ "workflow_id": workflow })).json();
    let answer = ask_ticket(&server, fresh["session_token"].as_str().unwrap(), &printed());
    assert_eq!(answer.json()["code"], "consent_required");

    let ticket = ticket(&server, &token);
    let mut stranger = Device::connect(&server, "guess");
    assert!(matches!(stranger.hello(), Some(ServerMessage::Refused { code }) if code == "wrong_token"));
    let mut silent = Device::connect(&server, &ticket);
    silent.say(&ClientMessage::ChipFound);
    assert!(matches!(silent.hear(), Some(ServerMessage::Refused { code }) if code == "hello_expected"));
    let mut rude = Device::connect(&server, &ticket);
    rude.socket.send(Message::text("{\"type\":\"what\"}")).unwrap();
    assert!(matches!(rude.hear(), Some(ServerMessage::Refused { code }) if code == "malformed"));
    let mut huge = Device::connect(&server, &ticket);
    let _ = huge.socket.send(Message::text("x".repeat(2 << 20)));
    assert!(huge.hear().is_none(), "a message past the limit ends the connection");

    let mut chip = chip(&Recipe::passport(3_000), 4);
    let mut device = Device::connect(&server, &ticket);
    device.hello();
    device.say(&ClientMessage::ChipFound);
    let mut said = device.hear();
    let mut drops = 0;
    while let Some(ServerMessage::Commands { seq, commands, .. }) = said.take() {
        if drops < 3 {
            // gone before the answer: another connection gets the same batch again
            let mut next = Device::connect(&server, &ticket);
            assert!(matches!(next.hello(), Some(ServerMessage::Ready { .. })));
            assert!(matches!(next.hear(), Some(ServerMessage::Commands { seq: again, .. }) if again == seq));
            // the old connection has lost its say
            device.say(&ClientMessage::ChipLost);
            assert!(
                matches!(device.hear(), Some(ServerMessage::Refused { code }) if code == "connected_elsewhere")
            );
            device = next;
            drops += 1;
        }
        device.answer(&mut chip, seq, &commands);
        said = device.hear();
        if matches!(said, Some(ServerMessage::Done)) {
            return;
        }
    }
    panic!("the reading did not end: {said:?}");
}

#[test]
fn trust_is_imported_on_record_compared_first_and_never_silently_or_for_others() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let narrow = create_key(data.path(), &["write:sessions"]);
    let server = Server::start(data.path());
    let csca = issuer().csca;
    assert_eq!(trust(&server, &narrow, &csca, "true").status, 403);
    let answer = trust(&server, &key, &csca, "false");
    assert_eq!((answer.status, answer.json()["vouch"].is_array()), (400, true), "{}", answer.text);
    assert_eq!(trust(&server, &key, b"rubbish", "true").status, 400);
    let (kind, body) = form(&[("file", "csca.cer", &csca)], &[]);
    let seen = server.post("/v1/chip/trust/diff/", &key.text, &kind, &body).json();
    assert_eq!(seen["added"].as_array().map(Vec::len), Some(1), "{seen}");
    let count =
        |key: &str| server.get("/v1/chip/trust/", key).json()["certificates"].as_array().map(Vec::len);
    assert_eq!(count(&key.text), Some(0), "looking changes nothing");
    assert_eq!(trust(&server, &key, &csca, "true").status, 201);
    assert_eq!(count(&key.text), Some(1));
    let listed = server.get("/v1/chip/trust/", &key.text).json();
    assert_eq!(listed["imports"][0]["source"], "utopia");
    assert_eq!(listed["imports"][0]["authority"], "operator");
    // another application does not trust it
    let stranger = crate::tenants::stranger_key(data.path());
    assert_eq!(count(&stranger), Some(0));
    let sql = "SELECT count(*) FROM audit_log WHERE action = 'chip.trust.import'";
    assert_eq!(crate::screening::count(data.path(), sql), 1);
}

/// Figures, not a test: `cargo xtask bench chip` runs it and reads the line that begins with `FIGURES`.
#[test]
#[ignore = "measures; run by cargo xtask bench chip"]
fn relay_figures() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    assert_eq!(trust(&server, &key, &issuer().csca, "true").status, 201);
    let workflow = workflow(&server, &key);
    let read = |seed: u64| {
        let (_, token) = agreed(&server, &key, &workflow);
        let mut chip = chip(&Recipe::passport(20_000), seed);
        let ticket = ticket(&server, &token);
        let started = std::time::Instant::now();
        let mut device = Device::connect(&server, &ticket);
        device.delay = std::time::Duration::from_millis(60);
        let ready = matches!(device.hello(), Some(ServerMessage::Ready { .. }));
        let done = ready && matches!(device.carry_all(&mut chip), Some(ServerMessage::Done));
        (done, started.elapsed().as_millis(), device.round_trips, device.commands)
    };
    let mut alone: Vec<_> = (0..5).map(|seed| read(100 + seed)).collect();
    alone.sort_by_key(|(_, ms, ..)| *ms);
    let started = std::time::Instant::now();
    let mut together: Vec<_> = std::thread::scope(|scope| {
        let readings: Vec<_> = (0..100).map(|seed| scope.spawn(move || read(seed))).collect();
        readings.into_iter().filter_map(|reading| reading.join().ok()).collect()
    });
    let all_ms = started.elapsed().as_millis();
    together.sort_by_key(|(_, ms, ..)| *ms);
    let done = |readings: &[(bool, u128, usize, usize)]| readings.iter().filter(|(done, ..)| *done).count();
    let figures = json!({
        "delay_ms_per_message": 60, "face_bytes": 20_000,
        "alone": { "n": alone.len(), "done": done(&alone), "median_ms": alone[2].1, "round_trips": alone[2].2, "commands": alone[2].3 },
        "together": {
            "n": together.len(), "done": done(&together), "all_ms": all_ms,
            "median_ms": together.get(together.len() / 2).map(|r| r.1), "slowest_ms": together.last().map(|r| r.1),
        },
    });
    eprintln!("FIGURES {figures}");
}
