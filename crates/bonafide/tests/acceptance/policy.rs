//! Every key of every request is acted on or refused by name: no policy is accepted and then ignored.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde_json::{Map, Value, json};

use crate::{
    active::{models, people},
    flow::decided,
    server::{Answer, BONAFIDE, Key, Server, agent, create_key, form, grey_jpeg, send},
    tabs::Browser,
};

const PLAIN: &str = "application/x-www-form-urlencoded";
/// No letter of it stands at its place in a key, so that it makes no other key.
const NOBODYS: &str = "zzz_nobodys_key";

fn patch(server: &Server, key: &str, path: &str, body: &Value) -> Answer {
    let request =
        agent().patch(server.url(path)).header("x-api-key", key).header("content-type", "application/json");
    send(request.send(body.to_string()))
}

fn workflow(server: &Server, key: &str, body: &Value) -> String {
    let made = server.post_json("/v3/workflows/", key, body);
    assert_eq!(made.status, 201, "{body}: {}", made.text);
    made.json()["uuid"].as_str().unwrap().to_owned()
}

/// A documented key with a value and what is expected of it.
struct Documented {
    operation: String,
    key: String,
    value: Value,
    /// The test that shows that it acts; `None` for one that is refused.
    acted: Option<String>,
}

fn documented() -> Vec<Documented> {
    let table: toml::Table = toml::from_str(include_str!("documented_keys.toml")).unwrap();
    let text =
        |entry: &toml::Value, name: &str| entry.get(name).and_then(toml::Value::as_str).map(str::to_owned);
    table["key"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let acted = text(entry, "acted");
            assert_eq!(acted.is_none(), entry.get("refused").is_some(), "{entry}");
            Documented {
                operation: text(entry, "operation").unwrap(),
                key: text(entry, "key").unwrap(),
                value: serde_json::to_value(&entry["value"]).unwrap(),
                acted,
            }
        })
        .collect()
}

/// The server with what the requests need.
struct Place {
    server: Server,
    key: Key,
    session: String,
}

impl Place {
    fn new(data: &Path) -> Self {
        let key = create_key(data, &[]);
        let server = Server::start(data);
        let new = json!({ "workflow_id": key.workflow });
        let session = server.post_json("/v3/session/", &key.text, &new).json();
        Self { server, session: session["session_id"].as_str().unwrap().to_owned(), key }
    }

    /// Sends a request of an operation with one key in its place; gives the answer and how the key is called in it.
    fn ask(&self, operation: &str, key: &str, value: &Value) -> (Answer, String) {
        let (server, credential) = (&self.server, self.key.text.as_str());
        let key = key.split('#').next().unwrap_or_default();
        let last = key.rsplit('.').next().unwrap_or_default().to_owned();
        let session = |rest: &str| format!("/v3/session/{}/{rest}", self.session);
        let answer = match operation {
            "POST /v3/session/" => {
                let mut body = json!({ "workflow_id": self.key.workflow });
                put(&mut body, key, self.filled(value));
                server.post_json("/v3/session/", credential, &body)
            }
            "POST /v3/workflows/" => {
                server.post_json("/v3/workflows/", credential, &workflow_body(key, value))
            }
            "PATCH /v3/workflows/{settings_uuid}/" => {
                let path = format!("/v3/workflows/{}/", self.key.workflow);
                patch(server, credential, &path, &workflow_body(key, value))
            }
            "POST /v3/workflows/ (older body)" => {
                let mut body = json!({ "is_liveness_enabled": true, "is_face_match_enabled": true, "is_aml_enabled": true });
                body[key] = value.clone();
                server.post_json("/v3/workflows/", credential, &body)
            }
            "PATCH /v3/session/{sessionId}/update-status/" => {
                let mut body = json!({ "new_status": "Declined" });
                body[key] = value.clone();
                patch(server, credential, &session("update-status/"), &body)
            }
            "PATCH /v3/session/{sessionId}/update-aml-hit-status/" => {
                let mut body = json!({ "hit_id": "x", "review_status": "Inconclusive" });
                body[key] = value.clone();
                patch(server, credential, &session("update-aml-hit-status/"), &body)
            }
            "POST /v3/aml/" => {
                let mut body = json!({ "full_name": "Ana Ejemplo" });
                body[key] = value.clone();
                server.post_json("/v3/aml/", credential, &body)
            }
            _ => match operation.split_once(' ').unwrap() {
                ("GET", path) => {
                    let path = path.replace("{sessionId}", &self.session);
                    server.get(&format!("{path}?{key}={}", value.as_str().unwrap()), credential)
                }
                (_, path) => {
                    let picture = grey_jpeg(90);
                    let names: &[&str] = match path {
                        "/v3/id-verification/" => &["front_image", "back_image"],
                        "/v3/face-match/" => &["user_image", "ref_image"],
                        _ => &["user_image"],
                    };
                    let files: Vec<_> =
                        names.iter().map(|name| (*name, "a.jpg", picture.as_slice())).collect();
                    let (kind, body) = form(&files, &[(key, value.as_str().unwrap())]);
                    server.post(path, credential, &kind, &body)
                }
            },
        };
        (answer, last)
    }

    fn filled(&self, value: &Value) -> Value {
        match value.as_str() {
            Some("$workflow") => json!(self.key.workflow),
            Some("$portrait") => json!(base64(&grey_jpeg(90))),
            _ => value.clone(),
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// Puts a value at a path of objects.
fn put(body: &mut Value, path: &str, value: Value) {
    match path.split_once('.') {
        None => body[path] = value,
        Some((first, rest)) => {
            if !body[first].is_object() {
                body[first] = json!({});
            }
            put(&mut body[first], rest, value);
        }
    }
}

/// `features.OCR.minimum_age` is a setting of OCR in a workflow in which OCR may stand; others are keys beside.
fn workflow_body(key: &str, value: &Value) -> Value {
    let mut path = key.split('.');
    let (first, feature, setting) = (path.next(), path.next(), path.next());
    let (Some("features"), Some(feature), Some(setting)) = (first, feature, setting) else {
        let mut body = json!({ "features": ["OCR", "LIVENESS"] });
        body[key] = value.clone();
        return body;
    };
    let mut node = match setting {
        "label" => json!({ "feature": feature, "label": value }),
        _ => json!({ "feature": feature, "config": { setting: value } }),
    };
    if setting == "minimum_age_action" {
        node["config"]["minimum_age"] = 18.into();
    }
    let mut features = vec![node];
    if matches!(feature, "NFC" | "FACE_MATCH" | "AML") {
        features.insert(0, json!("OCR"));
    }
    json!({ "features": features })
}

/// Whether an answer refuses a request because of a key, and says which.
fn names(answer: &Answer, key: &str) -> bool {
    answer.status == 400 && answer.text.contains(key)
}

/// Names of all tests of the workspace.
fn tests_of(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            tests_of(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let after = text.split("#[test]").skip(1);
            found.extend(after.filter_map(|rest| {
                let (_, rest) = rest.split_once("fn ")?;
                rest.split_once('(').map(|(name, _)| name.to_owned())
            }));
        }
    }
}

#[test]
fn every_documented_key_is_acted_on_or_refused_by_name() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    let mut tests = Vec::new();
    tests_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut tests);
    let mut wrong = Vec::new();
    for entry in documented() {
        let mut operations = vec![entry.operation.clone()];
        if entry.operation == "POST /v3/workflows/" {
            operations.push("PATCH /v3/workflows/{settings_uuid}/".to_owned());
        }
        for operation in operations {
            let (answer, name) = place.ask(&operation, &entry.key, &entry.value);
            let named = names(&answer, &name);
            if named == entry.acted.is_some() || answer.status >= 500 && answer.status != 503 {
                wrong.push(format!("{operation} {}: {} {}", entry.key, answer.status, answer.text));
            }
        }
        if let Some(test) = &entry.acted
            && !tests.contains(test)
        {
            wrong.push(format!("{}: there is no test {test}", entry.key));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_key_with_one_wrong_letter_is_refused_and_the_right_one_named() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    let mut wrong = Vec::new();
    let entries = documented();
    // A label stands beside the settings, and what follows `#` is a second value of a key.
    let told = |entry: &&Documented| {
        entry.acted.is_some() && !entry.key.contains('#') && !entry.key.ends_with(".label")
    };
    for entry in entries.iter().filter(told) {
        let key = entry.key.split('#').next().unwrap_or_default();
        let name = key.rsplit('.').next().unwrap_or_default();
        // One place of each is enough: the unit tests change every letter.
        let place_of = name.len() / 2;
        let mut misspelt = name.to_owned();
        misspelt.replace_range(
            place_of..=place_of,
            if misspelt.as_bytes()[place_of] == b'q' { "w" } else { "q" },
        );
        let path = format!("{}{misspelt}", &key[..key.len() - name.len()]);
        let (answer, _) = place.ask(&entry.operation, &path, &entry.value);
        if !(names(&answer, &misspelt) && answer.text.contains(&format!("'{name}'"))) {
            wrong.push(format!("{} {path}: {} {}", entry.operation, answer.status, answer.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Properties of a schema of the document.
fn properties(document: &Value, schema: &Value) -> Vec<String> {
    let schema = match schema["$ref"].as_str() {
        Some(name) => &document["components"]["schemas"][name.rsplit('/').next().unwrap_or_default()],
        None => schema,
    };
    schema["properties"].as_object().into_iter().flat_map(Map::keys).cloned().collect()
}

#[test]
fn every_operation_refuses_a_key_and_a_parameter_that_nobody_declared_and_takes_what_the_document_says() {
    let output = Command::new(BONAFIDE).arg("openapi").output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    let (server, key) = (&place.server, place.key.text.as_str());
    let (mut wrong, mut bodies) = (Vec::new(), 0);
    for (path, operations) in document["paths"].as_object().unwrap() {
        let filled = path
            .replace("{settings_uuid}", &place.key.workflow)
            .replace("{session_id}", &place.session)
            .replace("{dataset}", "default")
            .replace("{what}", "entity");
        let filled: String = filled
            .split('/')
            .map(|part| if part.starts_with('{') { "00000000-0000-4000-8000-000000000000" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for (method, operation) in operations.as_object().unwrap() {
            let address = server.url(&format!("{filled}?{NOBODYS}=1"));
            let answer = match method.as_str() {
                "get" => send(agent().get(address).header("x-api-key", key).call()),
                "delete" => send(agent().delete(address).header("x-api-key", key).call()),
                "patch" => patch(server, key, &address, &json!({})),
                _ => server.post_json(&address, key, &json!({})),
            };
            // The age check, which has no parameters at all, says so in its own words.
            if !names(&answer, NOBODYS) {
                wrong.push(format!("{method} {path}?: {} {}", answer.status, answer.text));
            }
            let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
            for (kind, media) in content {
                let declared = properties(&document, &media["schema"]);
                let (answer, takes) = match kind.as_str() {
                    "application/json" => {
                        let answer = if method == "patch" {
                            patch(server, key, &filled, &json!({ NOBODYS: 1 }))
                        } else {
                            let request = agent()
                                .post(server.url(&filled))
                                .header("x-api-key", key)
                                .header("content-type", "application/json");
                            send(request.send(json!({ NOBODYS: 1 }).to_string()))
                        };
                        (answer, true)
                    }
                    "multipart/form-data" => {
                        let small = grey_jpeg(90);
                        let files: Vec<_> =
                            ["front_image", "back_image", "user_image", "ref_image", "sod", "file"]
                                .iter()
                                .filter(|name| declared.contains(&(**name).to_owned()))
                                .map(|name| {
                                    (
                                        *name,
                                        if *name == "sod" || *name == "file" { "a.der" } else { "a.jpg" },
                                        small.as_slice(),
                                    )
                                })
                                .collect();
                        let (kind, body) = form(&files, &[(NOBODYS, "1")]);
                        (server.post(&filled, key, &kind, &body), true)
                    }
                    "application/x-www-form-urlencoded" => (
                        server.post(&filled, key, kind, format!("queries={{}}&{NOBODYS}=1").as_bytes()),
                        false,
                    ),
                    // A line of many has its own answer.
                    _ => {
                        let body = json!({ "full_name": "Ana Ejemplo", NOBODYS: 1 }).to_string();
                        let answer = server.post(&filled, key, "application/x-ndjson", body.as_bytes());
                        (
                            Answer {
                                status: if answer.status == 200 { 400 } else { answer.status },
                                ..answer
                            },
                            false,
                        )
                    }
                };
                // These look for what the path names, or for the person's token, before they look at the body.
                let hidden = answer.status == 404 || answer.status == 403 && path == "/v1/chip/relay/";
                if !hidden && !names(&answer, NOBODYS) {
                    wrong.push(format!("{method} {path} {kind}: {} {}", answer.status, answer.text));
                }
                let said = answer
                    .text
                    .split("This operation takes: ")
                    .nth(1)
                    .and_then(|rest| rest.split('.').next());
                if let Some(said) = said.filter(|_| takes && !declared.is_empty()) {
                    bodies += 1;
                    let mut said: Vec<&str> = said.split(", ").collect();
                    let mut declared: Vec<&str> = declared.iter().map(String::as_str).collect();
                    // Described by the first of them.
                    if path == "/v3/nfc-verification/" {
                        said.retain(|name| !name.starts_with("dg"));
                        declared.retain(|name| !name.starts_with("dg"));
                    }
                    said.sort_unstable();
                    declared.sort_unstable();
                    if said != declared {
                        wrong.push(format!("{method} {path} reads {said:?} and documents {declared:?}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(bodies > 15, "only {bodies} bodies were compared");
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    let (server, key) = (&place.server, place.key.text.as_str());
    let twice = r#"{"full_name":"A","aml_score_review_threshold":10,"aml_score_review_threshold":100}"#;
    let answer = server.post("/v3/aml/", key, "application/json", twice.as_bytes());
    assert!(names(&answer, "aml_score_review_threshold"), "{}", answer.text);
    let answer = server.get("/v3/sessions/?status=Approved&status=Declined", key);
    assert!(names(&answer, "status"), "{}", answer.text);
    let picture = grey_jpeg(90);
    let texts = [("face_match_score_decline_threshold", "100"), ("face_match_score_decline_threshold", "0")];
    let files = [("user_image", "a.jpg", picture.as_slice()), ("ref_image", "b.jpg", picture.as_slice())];
    let (kind, body) = form(&files, &texts);
    let answer = server.post("/v3/face-match/", key, &kind, &body);
    assert!(names(&answer, "face_match_score_decline_threshold"), "{}", answer.text);
    let (kind, body) = form(&[files[0], files[1], ("user_image", "c.jpg", picture.as_slice())], &[]);
    let answer = server.post("/v3/face-match/", key, &kind, &body);
    assert!(names(&answer, "user_image"), "{}", answer.text);
}

#[test]
fn values_out_of_range_are_refused_by_name_and_never_bent() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    for (operation, key, value) in [
        (
            "POST /v3/workflows/",
            "features.OCR.documents_allowed",
            json!({ "Spain": { "P": { "enabled": 1 } } }),
        ),
        (
            "POST /v3/workflows/",
            "features.OCR.documents_allowed",
            json!({ "ESP": { "PASSPORT": { "enabled": 1 } } }),
        ),
        ("POST /v3/workflows/", "features.FACE_MATCH.face_match_score_decline_threshold", json!(101)),
        ("POST /v3/workflows/", "features.FACE_MATCH.face_match_score_decline_threshold", json!("50")),
        ("POST /v3/workflows/", "features.LIVENESS.face_liveness_method", json!("telepathy")),
        ("POST /v3/workflows/", "features.OCR.duplicated_user_action", json!("SOMETIMES")),
        ("POST /v3/workflows/", "features.OCR.minimum_age", json!(0)),
        ("POST /v3/workflows/", "features.AML.aml_name_weight", json!(1.5)),
        ("POST /v3/workflows/", "session_expiration_time", json!("7200")),
        ("POST /v3/workflows/", "is_default", json!("true")),
        ("POST /v3/workflows/", "workflow_label", json!(7)),
        ("POST /v3/session/", "expected_details.nationality", json!("Spanish")),
        ("POST /v3/session/", "expected_details.expected_document_types", json!(["PASSPORT"])),
        ("POST /v3/session/", "expected_details.gender", json!("X")),
        ("POST /v3/session/", "contact_details.email", json!("nobody")),
        ("POST /v3/session/", "language", json!("xx")),
        ("POST /v3/session/", "callback_method", json!("anybody")),
        ("POST /v3/aml/", "nationality", json!("XX")),
        ("POST /v3/aml/", "save_api_request", json!("false")),
        ("POST /v3/aml/", "aml_score_review_threshold", json!(-1)),
        ("GET /v3/sessions/", "country", json!("Spain")),
        ("GET /v3/sessions/", "document_type", json!("PASSPORT")),
        ("GET /v3/sessions/", "session_kind", json!("person")),
        ("GET /v3/sessions/", "status", json!("Fine")),
    ] {
        let (answer, name) = place.ask(operation, key, &value);
        assert!(names(&answer, &name), "{operation} {key}={value}: {} {}", answer.status, answer.text);
    }
}

#[test]
fn an_email_is_never_promised() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    let path = format!("/v3/session/{}/update-status/", place.session);
    let ask = |body: Value| patch(&place.server, &place.key.text, &path, &body);
    let answer = ask(json!({ "new_status": "Declined", "send_email": true }));
    assert_eq!(
        (answer.status, answer.json()),
        (400, json!({ "email_address": ["Email address is required when send_email is true."] }))
    );
    let answer =
        ask(json!({ "new_status": "Declined", "send_email": true, "email_address": "a@example.org" }));
    assert!(names(&answer, "send_email"), "{}", answer.text);
    // Switched off it asks for nothing: the refusal is about the status of a session that has not begun.
    let answer = ask(
        json!({ "new_status": "Declined", "send_email": false, "email_address": "a@example.org", "email_language": "en" }),
    );
    assert_eq!(answer.json()["code"], "wrong_status", "{}", answer.text);
}

#[test]
fn what_is_sent_with_a_session_is_kept_given_back_and_found_again() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    let (server, key) = (&place.server, place.key.text.as_str());
    let new = json!({
        "workflow_id": place.key.workflow, "vendor_data": "someone", "callback": "https://example.org/back",
        "metadata": { "a": [1] }, "language": "de",
        "contact_details": { "email": "a@example.org", "phone": "+34612345678", "send_notification_emails": false },
        "expected_details": { "first_name": "Anna", "gender": null },
    });
    let made = server.post_json("/v3/session/", key, &new);
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    let decision =
        server.get(&format!("/v3/session/{}/decision/", made["session_id"].as_str().unwrap()), key).json();
    for field in ["vendor_data", "callback", "metadata", "contact_details", "expected_details", "workflow_id"]
    {
        assert_eq!(decision[field], new[field], "{field}");
    }
    let page = Browser::new(server).open(made["url"].as_str().unwrap());
    assert!(page.text.contains("lang=\"de\""), "{}", page.text);
    // The same person once more: what is sent now holds.
    let again = json!({
        "workflow_id": place.key.workflow, "vendor_data": "someone", "language": "fr",
        "contact_details": { "phone": "+34600000000" }, "expected_details": { "first_name": "Berta" },
    });
    let answer = server.post_json("/v3/session/", key, &again).json();
    assert_eq!(answer["session_id"], made["session_id"]);
    let decision =
        server.get(&format!("/v3/session/{}/decision/", made["session_id"].as_str().unwrap()), key).json();
    for field in ["contact_details", "expected_details"] {
        assert_eq!(decision[field], again[field], "{field}");
    }
    let page = Browser::new(server).open(made["url"].as_str().unwrap());
    assert!(page.text.contains("lang=\"fr\""), "{}", page.text);
    // Where nothing could be compared, nothing is promised.
    let faces = workflow(server, key, &json!({ "features": ["LIVENESS"] }));
    let body = json!({ "workflow_id": faces, "expected_details": { "first_name": "Anna" } });
    let answer = server.post_json("/v3/session/", key, &body);
    assert!(names(&answer, "expected_details"), "{}", answer.text);
}

#[test]
fn the_person_is_led_on_to_the_callback_whatever_the_method() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    let (server, key) = (&place.server, place.key.text.as_str());
    let documents = workflow(server, key, &json!({ "features": ["OCR"] }));
    for method in ["initiator", "completer", "both"] {
        let new = json!({ "workflow_id": documents, "callback": "https://example.org/back", "callback_method": method });
        let made = server.post_json("/v3/session/", key, &new).json();
        let (id, link) = (made["session_id"].as_str().unwrap(), made["url"].as_str().unwrap());
        let decision = walk(server, key, id, link, &grey_jpeg(90), None);
        assert_eq!(decision["status"], "In Review");
        let page = Browser::new(server).open(link).text.replace("&#x2f;", "/");
        assert!(page.contains("https://example.org/back?"), "{method}: {page}");
    }
}

/// A person walks through a session: document, and a selfie where one is asked for.
fn walk(server: &Server, key: &str, id: &str, link: &str, document: &[u8], selfie: Option<&[u8]>) -> Value {
    assert_eq!(server.post(&format!("{link}/consent"), "", PLAIN, b"agree=true").status, 200);
    let capture = |side: &str, picture: &[u8]| {
        let (kind, body) = form(&[("image", "picture.jpg", picture)], &[]);
        let answer = server.post(&format!("{link}/capture/{side}"), "", &kind, &body);
        assert_eq!(answer.status, 200, "{side}: {}", answer.text);
    };
    capture("front", document);
    server.post(&format!("{link}/skip-back"), "", PLAIN, b"");
    if let Some(selfie) = selfie {
        capture("selfie", selfie);
    }
    assert_eq!(server.post(&format!("{link}/submit"), "", PLAIN, b"").status, 200);
    decided(server, id, key)
}

#[test]
fn every_filter_of_the_list_filters() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    let (server, key) = (&place.server, place.key.text.as_str());
    let new = json!({ "workflow_id": place.key.workflow, "vendor_data": "anna" });
    server.post_json("/v3/session/", key, &new);
    server.post_json("/v3/aml/", key, &json!({ "full_name": "Ana Ejemplo", "vendor_data": "ana" }));
    let count = |query: &str| {
        let answer = server.get(&format!("/v3/sessions/?{query}"), key);
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        answer.json()["count"].as_u64().unwrap()
    };
    let person =
        server.get("/v3/sessions/?vendor_data=anna", key).json()["results"][0]["didit_internal_id"].clone();
    let today = server.get("/v3/sessions/", key).json()["results"][0]["created_at"].as_str().unwrap()[..10]
        .to_owned();
    for (query, expected) in [
        ("", 3),
        ("session_kind=user", 3),
        ("session_kind=all", 3),
        ("session_kind=business", 0),
        ("vendor_data=anna", 1),
        ("vendor_data=nobody", 0),
        ("status=Not%20Started", 2),
        ("status=Approved", 0),
        ("country=ESP", 0),
        ("document_type=DL", 0),
        ("api_service=AML", 1),
        ("api_service=FACE_MATCH", 0),
        (&format!("didit_internal_id={}", person.as_str().unwrap()), 1),
        ("didit_internal_id=00000000-0000-4000-8000-000000000000", 0),
        (&format!("workflow_id={}", place.key.workflow), 2),
        ("workflow_id=00000000-0000-4000-8000-000000000000", 0),
        (&format!("date_from={today}"), 3),
        ("date_from=2999-01-01", 0),
        ("date_to=2020-01-01", 0),
    ] {
        assert_eq!(count(query), expected, "{query}");
    }
    let page = server.get("/v3/sessions/?limit=1&offset=1&session_kind=user", key).json();
    assert_eq!((page["count"].as_u64(), page["results"].as_array().map(Vec::len)), (Some(3), Some(1)));
    let next = page["next"].as_str().unwrap();
    assert!(next.contains("offset=2") && next.contains("session_kind=user"), "{next}");
}

#[test]
fn the_list_of_workflows_has_pages() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    let (server, key) = (&place.server, place.key.text.as_str());
    workflow(server, key, &json!({ "features": ["OCR"] }));
    let ids = |query: &str| {
        let rows = server.get(&format!("/v3/workflows/{query}"), key).json();
        rows["results"].as_array().unwrap().iter().map(|row| row["uuid"].clone()).collect::<Vec<_>>()
    };
    let all = ids("");
    assert_eq!(all.len(), 2);
    assert_eq!(ids("?limit=1"), all[..1]);
    assert_eq!(ids("?limit=1&offset=1"), all[1..]);
}

#[test]
fn every_key_of_a_workflow_shows_in_it() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    let (server, key) = (&place.server, place.key.text.as_str());
    let body = json!({
        "workflow_label": "A name", "is_default": true, "status": "published", "is_desktop_allowed": true,
        "session_expiration_time": 7_200, "face_liveness_max_attempts": 2, "max_retry_attempts": 0,
        "features": [
            { "feature": "OCR", "label": "Papers", "config": { "documents_allowed": { "ESP": { "P": { "enabled": 1 } } } } },
            { "feature": "LIVENESS" },
            { "feature": "FACE_MATCH", "config": { "face_match_score_decline_threshold": 55 } },
        ],
    });
    let id = workflow(server, key, &body);
    let shown = server.get(&format!("/v3/workflows/{id}/"), key).json();
    assert_eq!(shown["workflow_label"], "A name");
    assert_eq!((&shown["is_default"], &shown["status"]), (&json!(true), &json!("published")));
    assert_eq!(shown["session_expiration_time"], 7_200);
    assert_eq!((&shown["max_retry_attempts"], &shown["retry_window_days"]), (&json!(0), &Value::Null));
    let features = &shown["features"];
    assert_eq!(features[0]["label"], "Papers");
    assert_eq!(features[0]["config"], body["features"][0]["config"]);
    assert_eq!(features[1]["config"], json!({ "face_liveness_max_attempts": 2 }));
    assert_eq!(features[2]["config"], json!({ "face_match_score_decline_threshold": 55.0 }));
    // There is one default.
    assert_eq!(
        server.get(&format!("/v3/workflows/{}/", place.key.workflow), key).json()["is_default"],
        false
    );
    // What is read can be sent back.
    let back = patch(server, key, &format!("/v3/workflows/{id}/"), &json!({ "features": features }));
    assert_eq!(back.status, 200, "{}", back.text);
    assert_eq!(back.json()["features"], *features);
    // The session lives as long as was said.
    let session = server.post_json("/v3/session/", key, &json!({ "workflow_id": id })).json();
    let session =
        server.get(&format!("/v3/session/{}/decision/", session["session_id"].as_str().unwrap()), key).json();
    let at = |field: &str| session[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    assert_eq!(at("expires_at") - at("created_at"), 7_200);
}

#[test]
fn the_older_body_of_a_workflow_puts_checks_in_and_out() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    let (server, key) = (&place.server, place.key.text.as_str());
    let features = |id: &str| {
        let shown = server.get(&format!("/v3/workflows/{id}/"), key).json();
        let nodes = shown["features"].as_array().unwrap().clone();
        nodes
            .into_iter()
            .map(|node| (node["feature"].as_str().unwrap().to_owned(), node["config"].clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let id = workflow(
        server,
        key,
        &json!({
            "workflow_label": "older", "workflow_type": "kyc", "is_liveness_enabled": true, "is_face_match_enabled": true,
            "is_nfc_enabled": true, "is_age_estimation_enabled": true, "is_phone_verification_enabled": false,
            "face_liveness_method": "active_3d", "face_liveness_score_decline_threshold": 50,
            "face_match_score_decline_threshold": 45, "face_match_score_review_threshold": 70,
            "documents_allowed": { "ESP": { "P": { "enabled": 1 } } }, "duplicated_user_action": "review",
        }),
    );
    let made = features(&id);
    assert_eq!(made.keys().collect::<Vec<_>>(), ["AGE_ESTIMATION", "FACE_MATCH", "LIVENESS", "NFC", "OCR"]);
    assert_eq!(made["OCR"]["documents_allowed"], json!({ "ESP": { "P": { "enabled": 1 } } }));
    assert_eq!(made["OCR"]["duplicated_user_action"], "REVIEW");
    assert_eq!(
        made["LIVENESS"],
        json!({ "face_liveness_method": "active_3d", "face_liveness_score_decline_threshold": 50.0 })
    );
    assert_eq!(
        made["FACE_MATCH"],
        json!({ "face_match_score_decline_threshold": 45.0, "face_match_score_review_threshold": 70.0 })
    );
    // Screening is put in, with its threshold, and the rest stays; then it is taken out.
    let path = format!("/v3/workflows/{id}/");
    let on = patch(server, key, &path, &json!({ "is_aml_enabled": true, "aml_decline_threshold": 90 }));
    assert_eq!(on.status, 200, "{}", on.text);
    let with = features(&id);
    assert_eq!(with["AML"], json!({ "aml_score_review_threshold": 90.0 }));
    assert_eq!(with["FACE_MATCH"], made["FACE_MATCH"]);
    assert_eq!(
        patch(server, key, &path, &json!({ "is_aml_enabled": false, "is_ocr_enabled": true })).status,
        200
    );
    assert_eq!(features(&id), made);
    // A setting of a check that is not there is refused.
    let answer = patch(server, key, &path, &json!({ "aml_decline_threshold": 90 }));
    assert!(names(&answer, "aml_decline_threshold"), "{}", answer.text);
    // A face alone, and nothing at all.
    let again = workflow(server, key, &json!({ "workflow_type": "biometric_authentication" }));
    assert_eq!(features(&again).keys().collect::<Vec<_>>(), ["FACE_MATCH", "LIVENESS"]);
    let empty = server.post_json("/v3/workflows/", key, &json!({}));
    assert_eq!(empty.json(), json!({ "features": ["At least one feature is required."] }));
}

#[test]
fn a_single_check_is_kept_only_when_wanted_and_gives_back_what_was_sent() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::new(data.path());
    let (server, key) = (&place.server, place.key.text.as_str());
    let count = || server.get("/v3/sessions/?api_service=AML", key).json()["count"].clone();
    for (save, kept) in [(false, 0), (true, 1)] {
        let body = json!({ "full_name": "Ana", "save_api_request": save, "vendor_data": "ana", "metadata": { "a": 1 } });
        let answer = server.post_json("/v3/aml/", key, &body).json();
        assert_eq!((&answer["vendor_data"], &answer["metadata"]), (&body["vendor_data"], &body["metadata"]));
        assert_eq!(count(), kept);
    }
}

#[test]
fn a_stored_policy_that_nothing_acts_on_ends_in_review_and_is_named() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    // As a program of another time may have written it.
    let database = crate::screening::database(data.path());
    let settings = json!({
        "nodes": [{ "id": "feature_ocr", "feature": "OCR", "config": { "of_tomorrow": { "a": 1 }, "minimum_age": "old" } }],
        "session_expiration_s": 604_800, "max_retry_attempts": 3,
    });
    database.execute("UPDATE workflows SET settings = ?1", [settings.to_string()]).unwrap();
    drop(database);
    let server = Server::start(data.path());
    let shown = server.get(&format!("/v3/workflows/{}/", key.workflow), &key.text);
    assert_eq!(shown.status, 200, "{}", shown.text);
    assert_eq!(shown.json()["features"][0]["config"], settings["nodes"][0]["config"]);
    let made = server.post_json("/v3/session/", &key.text, &json!({ "workflow_id": key.workflow })).json();
    let (id, link) = (made["session_id"].as_str().unwrap(), made["url"].as_str().unwrap());
    let decision = walk(&server, &key.text, id, link, &grey_jpeg(90), None);
    assert_eq!(decision["status"], "In Review");
    let warnings = decision["id_verifications"][0]["warnings"].as_array().unwrap();
    let warning = warnings.iter().find(|warning| warning["risk"] == "WORKFLOW_SETTING_NOT_APPLIED");
    let warning = warning.unwrap_or_else(|| panic!("{decision}"));
    assert_eq!(warning["additional_data"]["settings"], json!(["minimum_age", "of_tomorrow"]));
}

/// A photographed document of Utopia, as JPEG.
fn photographed(portrait: &imaging::RgbImage) -> Vec<u8> {
    let portrait = specimen::Portrait::new(portrait.clone());
    let mut spec = specimen::Spec::new(specimen::Kind::Passport, 5, portrait, jiff::civil::date(2026, 1, 1));
    spec.pixels_per_mm = 8.0;
    let flat = specimen::draw(&spec).unwrap().front;
    imaging::encode_jpeg(&specimen::photograph(&flat, &specimen::Scene::new(5)).0, 92)
}

fn risks(block: &Value) -> Vec<String> {
    let warnings = block["warnings"].as_array().into_iter().flatten();
    warnings.filter_map(|warning| warning["risk"].as_str().map(str::to_owned)).collect()
}

#[test]
fn every_policy_that_is_sent_decides_over_a_person_who_would_pass_without_it() {
    let (Some((folder, _)), Some(people)) = (models(), people(2)) else { return };
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]).text;
    let server = Server::start_with(data.path(), &[("BONAFIDE_MODELS", folder.to_str().unwrap())]);
    let passport = photographed(&people[0]);
    let selfie = imaging::encode_jpeg(&people[0], 92);
    let run = |person: &str, workflow: &str, expected: Value| {
        let mut new = json!({ "workflow_id": workflow, "vendor_data": person });
        new["expected_details"] = expected;
        let made = server.post_json("/v3/session/", &key, &new);
        assert_eq!(made.status, 201, "{}", made.text);
        let made = made.json();
        let (id, link) = (made["session_id"].as_str().unwrap(), made["url"].as_str().unwrap());
        walk(&server, &key, id, link, &passport, Some(&selfie))
    };
    let made = |ocr: Value, face: Value| {
        let features =
            json!([{ "feature": "OCR", "config": ocr }, { "feature": "FACE_MATCH", "config": face }]);
        workflow(&server, &key, &json!({ "features": features }))
    };
    let plain = run("anna", &made(json!({}), json!({})), Value::Null);
    assert_eq!(plain["status"], "Approved", "{plain}");

    // A policy of Spain does not take a passport of Utopia; one of Utopia does.
    let spain = made(json!({ "documents_allowed": { "ESP": { "P": { "enabled": 1 } } } }), json!({}));
    let decision = run("anna", &spain, Value::Null);
    assert_eq!(decision["status"], "Declined", "{decision}");
    assert!(
        risks(&decision["id_verifications"][0])
            .contains(&"DOCUMENT_NOT_SUPPORTED_FOR_APPLICATION".to_owned())
    );
    let utopia = made(json!({ "documents_allowed": { "UTO": { "P": { "enabled": 1 } } } }), json!({}));
    assert_eq!(run("anna", &utopia, Value::Null)["status"], "Approved");

    // Nobody is like themselves to 100.
    let strict = made(json!({}), json!({ "face_match_score_decline_threshold": 100 }));
    let decision = run("anna", &strict, Value::Null);
    assert_eq!(decision["status"], "Declined", "{decision}");
    assert_eq!(decision["face_matches"][0]["thresholds"]["decline"], 100.0);
    assert_eq!(risks(&decision["face_matches"][0]), ["LOW_FACE_MATCH_SIMILARITY"]);

    // The same document under another name, in a sandbox too, when the workflow asks.
    let duplicates = made(json!({ "duplicated_user_action": "DECLINE" }), json!({}));
    assert_eq!(run("berta", &duplicates, Value::Null)["status"], "Approved");
    assert_eq!(
        run("berta", &duplicates, Value::Null)["status"],
        "Approved",
        "their own document is no duplicate"
    );
    let decision = run("carl", &duplicates, Value::Null);
    assert_eq!(decision["status"], "Declined", "{decision}");
    assert_eq!(risks(&decision["id_verifications"][0]), ["POSSIBLE_DUPLICATED_USER"]);

    // A driving licence was expected.
    let any = made(json!({}), json!({}));
    let decision = run("dora", &any, json!({ "expected_document_types": ["DL"] }));
    assert_eq!(decision["status"], "Declined", "{decision}");
    let decision = run("dora", &any, json!({ "expected_document_types": ["DL", "P"] }));
    assert_eq!(decision["status"], "Approved", "{decision}");
}

#[test]
fn every_expected_detail_is_held_against_the_document() {
    let (Some((folder, _)), Some(people)) = (models(), people(1)) else { return };
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]).text;
    let server = Server::start_with(data.path(), &[("BONAFIDE_MODELS", folder.to_str().unwrap())]);
    let documents = workflow(&server, &key, &json!({ "features": ["OCR"] }));
    let strict = workflow(
        &server,
        &key,
        &json!({ "features": [{ "feature": "OCR", "config": { "expected_details_mismatch_action": "DECLINE" } }] }),
    );
    let picture = photographed(&people[0]);
    let run = |workflow: &str, expected: &Value| {
        let new = json!({ "workflow_id": workflow, "expected_details": expected });
        let made = server.post_json("/v3/session/", &key, &new);
        assert_eq!(made.status, 201, "{}", made.text);
        let made = made.json();
        walk(
            &server,
            &key,
            made["session_id"].as_str().unwrap(),
            made["url"].as_str().unwrap(),
            &picture,
            None,
        )
    };
    let read = run(&documents, &json!({}))["id_verifications"][0].clone();
    let other_gender = if read["gender"] == "F" { "M" } else { "F" };
    for (detail, value, risk) in [
        ("first_name", json!("Zygmunt"), "FULL_NAME_MISMATCH_WITH_PROVIDED"),
        ("last_name", json!("Zyx"), "FULL_NAME_MISMATCH_WITH_PROVIDED"),
        ("date_of_birth", json!("1901-01-01"), "DOB_MISMATCH_WITH_PROVIDED"),
        ("gender", json!(other_gender), "GENDER_MISMATCH_WITH_PROVIDED"),
        ("nationality", json!("ESP"), "NATIONALITY_MISMATCH_WITH_PROVIDED"),
        ("country", json!("ESP"), "COUNTRY_MISMATCH_WITH_PROVIDED"),
        ("id_country", json!("ESP"), "DOCUMENT_COUNTRY_MISMATCH"),
        ("identification_number", json!("ZZ999"), "IDENTIFICATION_NUMBER_MISMATCH_WITH_PROVIDED"),
        ("expected_document_types", json!(["DL"]), "DOCUMENT_NOT_SUPPORTED_FOR_APPLICATION"),
    ] {
        let decision = run(&documents, &json!({ detail: value }));
        assert_ne!(decision["status"], "Approved", "{detail}");
        assert!(risks(&decision["id_verifications"][0]).contains(&risk.to_owned()), "{detail}: {decision}");
    }
    let decision = run(&strict, &json!({ "last_name": "Zyx" }));
    assert_eq!(decision["status"], "Declined", "{decision}");
    // What is right is no difference.
    let right = json!({ "first_name": read["first_name"], "date_of_birth": read["date_of_birth"], "expected_document_types": ["P"] });
    assert_eq!(run(&documents, &right)["status"], "Approved");
}

#[test]
fn the_settings_of_a_face_check_decide() {
    let (Some((folder, _)), Some(people)) = (models(), people(1)) else { return };
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]).text;
    let server = Server::start_with(data.path(), &[("BONAFIDE_MODELS", folder.to_str().unwrap())]);
    let (upright, turned) = (&people[0], imaging::rotate90(&people[0], 1));
    let (upright, turned) = (imaging::encode_jpeg(upright, 92), imaging::encode_jpeg(&turned, 92));
    let check = |name: &str, picture: &[u8], texts: &[(&str, &str)]| {
        let mut files = vec![("user_image", "a.jpg", picture)];
        if name == "face-match" {
            files.push(("ref_image", "b.jpg", picture));
        }
        let (kind, body) = form(&files, texts);
        let answer = server.post(&format!("/v3/{name}/"), &key, &kind, &body);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text);
        let block = if name == "face-match" { "face_match" } else { "liveness" };
        answer.json()[block].clone()
    };
    for (name, threshold, low) in [
        ("face-match", "face_match_score_decline_threshold", "LOW_FACE_MATCH_SIMILARITY"),
        ("passive-liveness", "face_liveness_score_decline_threshold", "LOW_LIVENESS_SCORE"),
    ] {
        let declined = check(name, &upright, &[(threshold, "100")]);
        assert_eq!(
            (&declined["status"], &declined["thresholds"]["decline"]),
            (&json!("Declined"), &json!(100.0))
        );
        let open = check(name, &upright, &[(threshold, "0")]);
        assert_eq!(open["thresholds"]["decline"], 0.0);
        if declined["score"].is_number() {
            assert!(risks(&declined).contains(&low.to_owned()), "{declined}");
            assert!(!risks(&open).contains(&low.to_owned()), "{open}");
        }
        let missing = |block: &Value| {
            risks(block).iter().any(|risk| risk == "NO_FACE_DETECTED" || risk == "NO_REFERENCE_IMAGE")
        };
        let on_its_side = check(name, &turned, &[]);
        assert!(missing(&on_its_side), "{name}: a face on its side is none: {on_its_side}");
        assert!(
            !missing(&check(name, &turned, &[("rotate_image", "true")])),
            "{name}: it is when it is turned"
        );
    }
}
