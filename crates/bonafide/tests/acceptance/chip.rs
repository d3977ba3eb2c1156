//! Chips over a real WebSocket: the relay, what the decision then says, and whose chips are trusted.

use std::net::TcpStream;

use emrtd::{
    relay::{Bytes, ClientMessage, ServerMessage},
    simulator::{Chip, Fault, Issuer, Recipe, carry, seeded},
};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::{
    active::models,
    flow::decided,
    server::{Answer, BONAFIDE, Key, Server, agent, create_key, form, grey_jpeg, send, test_data},
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
    finish_with(server, key, id, token, None)
}

/// The same with a selfie.
fn finish_with(server: &Server, key: &Key, id: &str, token: &str, selfie: Option<&[u8]>) -> Value {
    let capture = |side: &str, picture: &[u8]| {
        let (kind, body) = form(&[("image", "picture.jpg", picture)], &[]);
        let answer = server.post(&format!("/session/{token}/capture/{side}"), "", &kind, &body);
        assert_eq!(answer.status, 200, "{side}: {}", answer.text);
    };
    let step = |name: &str| {
        let answer =
            server.post(&format!("/session/{token}/{name}"), "", "application/x-www-form-urlencoded", b"");
        assert_eq!(answer.status, 200, "{name}: {}", answer.text);
    };
    capture("front", &grey_jpeg(120));
    step("skip-back");
    if let Some(selfie) = selfie {
        capture("selfie", selfie);
    }
    step("submit");
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
            // the old connection has lost its say, and hears so at once
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

/// Runs `bonafide chip …`: whether it succeeded, what it printed as JSON lines, and what it complained about.
fn command(args: &[&str]) -> (bool, Vec<Value>, String) {
    let output = std::process::Command::new(BONAFIDE).arg("chip").args(args).output().expect("starts");
    let text = String::from_utf8(output.stdout).expect("is text");
    let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!complaint.contains("panicked"), "{args:?}: {complaint}");
    (output.status.success(), lines, complaint)
}

#[test]
fn the_chip_commands_judge_import_compare_and_show_as_their_help_says() {
    let Some(data) = test_data().map(|data| data.join("emrtd")) else { return };
    let home = tempfile::tempdir().unwrap();
    let path = |relative: &str| data.join(relative).to_str().unwrap().to_owned();
    let (german, dutch) =
        (path("masterlist/DE_ML_2026-05-28-08-28-45.ml"), path("masterlist/NL_ML_2026-07-22.ml"));
    let lists = ["--trust", &german, "--trust", &dutch, "--json"];
    let verify = |file: &str, more: &[&str]| {
        let (good, lines, complaint) = command(&[&["verify", "--sod", file], more].concat());
        assert!(good, "{complaint}");
        lines.into_iter().next().expect("a report")
    };
    let (sod, cms) = (path("sod/01c04a6e50ec.efsod"), path("sod/01c04a6e50ec.cms"));
    for file in [&sod, &cms] {
        let report = verify(file, &lists);
        assert_eq!(report["verdict"], "genuine", "{report}");
        assert_eq!((&report["sod_signature"], &report["chain"]), (&json!("valid"), &json!("trusted")));
        assert_eq!((&report["reasons"], &report["dg_hashes"]["1"]), (&json!([]), &json!("not_supplied")));
    }
    let (chip, tampered) = (path("lds/bsi2008/EF_SOD.bin"), home.path().join("tampered"));
    let groups: Vec<String> = [1, 2, 14]
        .iter()
        .map(|n| format!("{n}={}", path(&format!("lds/bsi2008/Datagroup{n}.bin"))))
        .collect();
    let dg: Vec<&str> = groups.iter().flat_map(|pair| ["--dg", pair.as_str()]).collect();
    let report = verify(&chip, &[dg.as_slice(), &lists].concat());
    assert_eq!((&report["verdict"], &report["dg_hashes"]["2"]), (&json!("untrusted"), &json!("match")));
    let mut bytes = std::fs::read(path("lds/bsi2008/Datagroup1.bin")).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&tampered, bytes).unwrap();
    let pair = format!("1={}", tampered.to_str().unwrap());
    let report = verify(&chip, &[["--dg", pair.as_str()].as_slice(), &lists].concat());
    assert_eq!((&report["verdict"], &report["dg_hashes"]["1"]), (&json!("refused"), &json!("mismatch")));
    assert!(report["reasons"].to_string().contains("dg1_hash_mismatch"));

    // the store: import, list, diff; a master list's signer against a root
    let store = home.path().join("trust.json");
    let store = store.to_str().unwrap();
    let root = path("masterlist/DE_ROOT_CA_CSCA07.cer");
    let import = |file: &str, root: &str| {
        command(&["trust", "import", file, "--root", root, "--store", store, "--json"])
    };
    let (good, lines, _) = import(&german, &root);
    assert!(good);
    assert_eq!((&lines[0]["certificates"], &lines[0]["added"]), (&json!(588), &json!(588)));
    assert_eq!(lines[0]["authority"], "root");
    assert!(!import(&dutch, &root).0, "the Dutch list's signer does not hang on the German root");
    assert_eq!(import(&german, &root).1[0]["added"], 0);
    let (_, lines, _) = command(&["trust", "list", "--store", store, "--json"]);
    assert_eq!(lines[0]["certificates"].as_array().map(Vec::len), Some(588));
    assert_eq!(lines[0]["imports"].as_array().map(Vec::len), Some(2));
    let (_, lines, _) = command(&["trust", "diff", store, &dutch, "--json"]);
    let count = |what: &str| lines[0][what].as_array().map(Vec::len);
    assert_eq!(
        (count("added"), lines[0]["unchanged"].as_u64()),
        (Some(39), Some(372)),
        "{:?}",
        count("removed")
    );
    assert_eq!(verify(&sod, &["--store", store, "--json"])["verdict"], "genuine");
    let nothing = home.path().join("nothing.json");
    assert_eq!(verify(&sod, &["--store", nothing.to_str().unwrap(), "--json"])["verdict"], "untrusted");

    // every kind of file
    let kinds = [
        ("EF.COM", "60145f0104303130365f36063034303030305c026175"),
        ("DG7", "67090201015f4303ffd8ff"),
        ("DG11", "6b125c025f0f5f0f0b534d4954483c3c4a4f484e"),
        ("DG12", "6c0f5c025f265f26083230313730393035"),
        ("DG13", "6d03010203"),
        ("DG16", "700e020101a1095f5101415f52023132"),
        ("EF.CardAccess", "31143012060a04007f0007020204020202010202010d"),
        ("DG14", "6e1631143012060a04007f0007020204020202010202010d"),
    ];
    let show = |file: &str| command(&["show", file, "--json"]);
    for (kind, text) in kinds {
        let file = home.path().join("file");
        let bytes: Vec<u8> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        std::fs::write(&file, bytes).unwrap();
        let (good, lines, complaint) = show(file.to_str().unwrap());
        assert!(good, "{kind}: {complaint}");
        assert_eq!(lines[0]["file"], kind);
    }
    for (kind, file) in [
        ("DG1", "lds/bsi2008/Datagroup1.bin"),
        ("DG2", "lds/bsi2008/Datagroup2.bin"),
        ("DG15", "lds/bsi2008/Datagroup15.bin"),
        ("EF.SOD", "lds/bsi2008/EF_SOD.bin"),
        ("certificate", "masterlist/NL_ROOT_CA.cer"),
        ("CSCA master list", "masterlist/NL_ML_2026-07-22.ml"),
    ] {
        assert_eq!(show(&path(file)).1[0]["file"], kind);
    }

    // what is no such file: a word and a failure, or a verdict where a verdict was asked for
    let empty = home.path().join("empty");
    std::fs::write(&empty, b"").unwrap();
    let folder = home.path().to_str().unwrap();
    let mut bad = vec!["/no/such/file", folder];
    if cfg!(unix) {
        bad.push("/dev/zero");
    }
    for file in bad {
        for args in [
            vec!["show", file, "--json"],
            vec!["verify", "--sod", file, "--trust", &german, "--json"],
            vec!["verify", "--sod", &sod, "--trust", file, "--json"],
            vec!["trust", "import", file, "--store", store],
            vec!["trust", "list", file],
            vec!["trust", "diff", file, store],
        ] {
            let (good, _, complaint) = command(&args);
            assert!(!good && complaint.starts_with("bonafide: "), "{args:?}: {complaint}");
        }
    }
    let empty = empty.to_str().unwrap();
    assert!(!show(empty).0);
    assert_eq!(verify(empty, &lists)["reasons"][0], "sod_malformed: data ends inside an element");
    for wrong in ["17=x", "0=x", "x", "1=/no/such/file"] {
        let (good, _, complaint) = command(&["verify", "--sod", &sod, "--dg", wrong, "--trust", &german]);
        assert!(!good && complaint.starts_with("bonafide: "), "{complaint}");
    }
}

/// What the decision says of a selfie beside a chip with this portrait.
fn matched(server: &Server, key: &Key, workflow: &str, portrait: &[u8], selfie: &[u8]) -> Value {
    let (id, token) = agreed(server, key, workflow);
    let mut device = Device::connect(server, &ticket(server, &token));
    device.hello();
    let recipe = Recipe { face: portrait.to_vec(), ..Recipe::passport(0) };
    assert!(matches!(device.carry_all(&mut chip(&recipe, 5)), Some(ServerMessage::Done)));
    let decision = finish_with(server, key, &id, &token, Some(selfie));
    let (nfc, matched) = (&decision["nfc_verifications"][0], &decision["face_matches"][0]);
    let picture = |link: &Value| {
        let path = link.as_str().and_then(|link| link.find("/media/").map(|at| link[at..].to_owned()));
        let answer = server.get(&path.unwrap_or_default(), "");
        assert_eq!(answer.status, 200, "{link}");
        answer.text
    };
    let portrait = picture(&nfc["portrait_image"]);
    if matched["source"] == "chip" {
        assert_eq!(picture(&matched["source_image"]), portrait, "what was compared is shown");
    }
    matched.clone()
}

#[test]
fn the_portrait_that_the_chip_holds_is_compared_with_the_selfie_as_jpeg_and_as_jpeg_2000() {
    let (Some((folder, _)), Some(data)) = (models(), test_data()) else { return };
    let london = data.join("documents/faces_london");
    let specimen = data.join("emrtd/lds/bsi2008/Datagroup2.bin");
    let read = |name: &str| std::fs::read(london.join(name)).ok();
    let (Some(one), Some(one_smiles), Some(two), Ok(group)) =
        (read("001_neutral.jpg"), read("001_smiling.jpg"), read("002_smiling.jpg"), std::fs::read(&specimen))
    else {
        eprintln!("skipped: no test data");
        return;
    };
    let small = |bytes: &[u8]| {
        let pixels = imaging::decode(bytes, &imaging::Limits::default()).expect("is a picture").pixels;
        imaging::encode_jpeg(&imaging::fit_within(&pixels, 640), 90)
    };
    let folder_text = folder.to_str().unwrap();
    let home = tempfile::tempdir().unwrap();
    let key = create_key(home.path(), &[]);
    let server = Server::start_with(home.path(), &[("BONAFIDE_MODELS", folder_text)]);
    assert_eq!(trust(&server, &key, &issuer().csca, "true").status, 201);
    let features =
        [json!({ "feature": "OCR" }), json!({ "feature": "NFC" }), json!({ "feature": "FACE_MATCH" })];
    let body = json!({ "workflow_label": "chip and face", "features": features });
    let made = server.post_json("/v3/workflows/", &key.text, &body);
    assert_eq!(made.status, 201, "{}", made.text);
    let workflow = made.json()["uuid"].as_str().unwrap().to_owned();

    // JPEG: another picture of the same person, and another person
    let portrait = small(&one);
    let genuine = matched(&server, &key, &workflow, &portrait, &small(&one_smiles));
    assert_eq!((&genuine["source"], &genuine["status"]), (&json!("chip"), &json!("Approved")), "{genuine}");
    let impostor = matched(&server, &key, &workflow, &portrait, &small(&two));
    assert_eq!(
        (&impostor["source"], &impostor["status"]),
        (&json!("chip"), &json!("Declined")),
        "{impostor}"
    );
    assert!(genuine["score"].as_f64() > impostor["score"].as_f64());

    // JPEG 2000: the federal specimen of 2008, against its own picture handled once more, and a stranger
    let faces = emrtd::lds::face::parse(&group).expect("is read");
    let pixels = faces[0].decode_jpeg2000().expect("is JPEG 2000");
    let picture = imaging::RgbImage::from_raw(pixels.width, pixels.height, pixels.rgb).expect("fits");
    let again = imaging::encode_jpeg(&imaging::fit_within(&picture, 380), 60);
    let genuine = matched(&server, &key, &workflow, &faces[0].bytes, &again);
    assert_eq!((&genuine["source"], &genuine["status"]), (&json!("chip"), &json!("Approved")), "{genuine}");
    let impostor = matched(&server, &key, &workflow, &faces[0].bytes, &small(&two));
    assert_eq!(
        (&impostor["source"], &impostor["status"]),
        (&json!("chip"), &json!("Declined")),
        "{impostor}"
    );

    // a portrait that shows nobody is compared with nobody: never approved on it
    let nobody = matched(&server, &key, &workflow, &grey_jpeg(120), &small(&one));
    assert_ne!(nobody["status"], "Approved", "{nobody}");
}

#[test]
fn a_chip_read_again_leaves_nothing_of_the_reading_before() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    let workflow = workflow(&server, &key);
    let (_, token) = agreed(&server, &key, &workflow);
    let files = || {
        let mut found = Vec::new();
        let mut folders = vec![data.path().join("blobs")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("is there").flatten() {
                if entry.path().is_dir() { folders.push(entry.path()) } else { found.push(entry.path()) }
            }
        }
        found.sort();
        found
    };
    let before = files();
    let read = |seed: u64| {
        let mut device = Device::connect(&server, &ticket(&server, &token));
        device.hello();
        let mut chip = chip(&Recipe::passport(3_000), seed);
        assert!(matches!(device.carry_all(&mut chip), Some(ServerMessage::Done)));
    };
    read(2);
    let first = files();
    assert_eq!(first.len(), before.len() + 1);
    read(3);
    let second = files();
    // the old file goes right after the new row is kept
    assert_eq!(second.len(), first.len(), "{second:?}");
    assert_ne!(second, first);
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
