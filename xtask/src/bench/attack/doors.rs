//! Every door that takes a file from a stranger: how a file goes through it, and a look whether the API got a new one.

use std::{
    collections::BTreeMap, net::SocketAddr, path::Path, process::Command, sync::Mutex, time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{
    http::{Outcome, Part, Request},
    pack,
    seeds::{Format, Genuine},
};
use crate::shell;

/// How long a step may take that only prepares.
const PREPARING: Duration = Duration::from_secs(10);

/// How the file goes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As this field of a form; a genuine picture in the other, where it is needed.
    Form(Option<&'static str>),
    /// As base64 in a JSON body.
    Json,
    /// As the portrait in a chip's data group 2.
    ChipPortrait,
    /// As a picture on the hosted page.
    Capture(&'static str),
    /// As the frames of a liveness challenge.
    Frames,
}

/// A door.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) name: &'static str,
    /// As the OpenAPI document writes it; the hosted page's are not in it.
    path: &'static str,
    field: &'static str,
    way: Way,
}

const fn form(
    name: &'static str,
    path: &'static str,
    field: &'static str,
    beside: Option<&'static str>,
) -> Door {
    Door { name, path, field, way: Way::Form(beside) }
}

/// All doors.
pub(super) const DOORS: &[Door] = &[
    form("id-verification front", "/v3/id-verification/", "front_image", None),
    form("id-verification back", "/v3/id-verification/", "back_image", Some("front_image")),
    form("face-match user", "/v3/face-match/", "user_image", Some("ref_image")),
    form("face-match reference", "/v3/face-match/", "ref_image", Some("user_image")),
    form("passive-liveness", "/v3/passive-liveness/", "user_image", None),
    form("age-estimation", "/v3/age-estimation/", "user_image", None),
    form("face-search", "/v3/face-search/", "user_image", None),
    Door {
        name: "face list",
        path: "/v3/lists/{list_uuid}/entries/face-upload/",
        field: "image",
        way: Way::Json,
    },
    Door { name: "session portrait", path: "/v3/session/", field: "portrait_image", way: Way::Json },
    Door { name: "chip portrait", path: "/v3/nfc-verification/", field: "dg2", way: Way::ChipPortrait },
    form("chip dg1", "/v3/nfc-verification/", "dg1", Some("sod")),
    form("chip sod", "/v3/nfc-verification/", "sod", None),
    form("trust diff file", "/v1/chip/trust/diff/", "file", None),
    form("trust diff root", "/v1/chip/trust/diff/", "root", Some("file")),
    form("trust import file", "/v1/chip/trust/import/", "file", None),
    form("trust import root", "/v1/chip/trust/import/", "root", Some("file")),
    Door { name: "hosted front", path: HOSTED, field: "front", way: Way::Capture("front") },
    Door { name: "hosted back", path: HOSTED, field: "back", way: Way::Capture("back") },
    Door { name: "hosted selfie", path: HOSTED, field: "selfie", way: Way::Capture("selfie") },
    Door { name: "hosted frames", path: HOSTED, field: "frame_0", way: Way::Frames },
];

/// The hosted page, which the OpenAPI document leaves out.
const HOSTED: &str = "/session/{token}";

/// Fields of the OpenAPI document that take a file or picture and have no door here, and doors that the document lacks.
pub(super) fn unknown(openapi: &Value) -> Vec<String> {
    let mut wanted = Vec::new();
    for (path, methods) in openapi["paths"].as_object().into_iter().flatten() {
        for operation in methods.as_object().into_iter().flatten().map(|(_, operation)| operation) {
            for (media, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                if media.starts_with("image/")
                    || media == "application/octet-stream"
                    || media == "application/pdf"
                {
                    wanted.push((path.clone(), format!("the whole body ({media})")));
                }
                files_of(openapi, &content["schema"], 0, &mut |field: &str| {
                    wanted.push((path.clone(), field.to_owned()))
                });
            }
        }
    }
    let is_known =
        |path: &str, field: &str| DOORS.iter().any(|door| door.path == path && door.field == field);
    let mut complaints: Vec<String> = wanted
        .iter()
        .filter(|(path, field)| !is_known(path, field))
        .map(|(path, field)| format!("{path} takes a file as {field}, which the attack does not know"))
        .collect();
    for door in DOORS.iter().filter(|door| door.path != HOSTED) {
        if !wanted.iter().any(|(path, field)| path == door.path && field == door.field) {
            complaints
                .push(format!("{} has no field {} any more, which the attack uses", door.path, door.field));
        }
    }
    complaints.sort();
    complaints.dedup();
    complaints
}

/// Calls with the name of every field that takes a file, at any depth.
fn files_of(openapi: &Value, schema: &Value, depth: usize, found: &mut impl FnMut(&str)) {
    if depth > 6 {
        return;
    }
    let schema = match schema["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
        Some(pointer) => openapi.pointer(pointer).unwrap_or(&Value::Null),
        None => schema,
    };
    for list in ["allOf", "anyOf", "oneOf"] {
        for part in schema[list].as_array().into_iter().flatten() {
            files_of(openapi, part, depth + 1, found);
        }
    }
    if schema["items"].is_object() {
        files_of(openapi, &schema["items"], depth + 1, found);
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let is_text = field["type"] == "string"
            || field["type"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "string"));
        let says =
            |text: &str| field["description"].as_str().is_some_and(|described| described.contains(text));
        let pictured = ["image", "picture", "photo", "portrait", "selfie", "scan", "video"]
            .iter()
            .any(|word| name.contains(word))
            || says("base64");
        let is_file = matches!(field["format"].as_str(), Some("binary" | "byte"))
            || field["contentEncoding"] == "base64"
            || (is_text && field["format"].is_null() && pictured && !name.ends_with("_password"));
        if is_file {
            found(name);
        }
        files_of(openapi, field, depth + 1, found);
    }
}

/// An open session of the hosted page.
#[derive(Clone)]
struct Open {
    path: String,
    nonce: String,
}

/// What the doors need: a key, workflows, a list, genuine pictures, open sessions.
pub(super) struct Gate {
    key: String,
    document: String,
    selfie: String,
    challenge: String,
    list: String,
    genuine: Genuine,
    signed: Vec<u8>,
    sessions: Mutex<BTreeMap<&'static str, Open>>,
}

/// A key for a new data folder, with the search among faces switched on.
pub(super) fn key(binary: &Path, data: &Path) -> anyhow::Result<(String, String)> {
    let text = shell::output(Command::new(binary).args(["key", "create", "--json", "--data"]).arg(data))?;
    let made: Value = serde_json::from_str(&text)?;
    let field = |name: &str| made[name].as_str().map(str::to_owned).context("key create lacks a field");
    shell::run(
        Command::new(binary)
            .args(["application", "set", "--face-search", "attack bench", "--data"])
            .arg(data),
    )?;
    Ok((field("api_key")?, field("workflow_id")?))
}

impl Gate {
    /// Makes the workflows and the list that the doors need.
    pub(super) fn open(
        address: SocketAddr,
        (key, document): (String, String),
        genuine: Genuine,
        signed: Vec<u8>,
    ) -> anyhow::Result<Self> {
        let make = |path: &str, body: Value, field: &str| -> anyhow::Result<String> {
            let outcome = Request::json("POST", path, &body).with("x-api-key", &key).send(address, PREPARING);
            let answer = outcome.json();
            match answer[field].as_str() {
                Some(id) => Ok(id.to_owned()),
                None => bail!("POST {path} gave {} {answer}", outcome.name()),
            }
        };
        let workflow = |label: &str, features: Value| {
            make("/v3/workflows/", json!({ "workflow_label": label, "features": features }), "uuid")
        };
        let selfie = workflow("selfie", json!(["LIVENESS"]))?;
        let active = json!([{ "feature": "LIVENESS", "config": { "face_liveness_method": "ACTIVE_3D", "face_liveness_max_attempts": 10 } }]);
        let challenge = workflow("challenge", active)?;
        let list = make(
            "/v3/lists/",
            json!({ "name": "attacked", "list_type": "custom", "entry_type": "face" }),
            "uuid",
        )?;
        Ok(Self { key, document, selfie, challenge, list, genuine, signed, sessions: Mutex::default() })
    }

    /// What the honest client sends.
    pub(super) fn honest(&self) -> Request {
        let parts = [
            Part::file("user_image", "selfie.jpg", &self.genuine.selfie),
            Part::text("save_api_request", "false"),
        ];
        Request::form("/v3/passive-liveness/", &parts).with("x-api-key", &self.key)
    }

    /// Whether the hosted page takes files that no door knows.
    pub(super) fn unknown_captures(&self, address: SocketAddr) -> anyhow::Result<Vec<String>> {
        let open = self
            .session(address, &self.document)
            .map_err(|outcome| anyhow::anyhow!("no session: {}", outcome.name()))?;
        let state = Request::get(&format!("{}/state", open.path)).send(address, PREPARING).json();
        let limits = state["limits"].as_object().context("the hosted page's state names no limits")?;
        Ok(limits
            .keys()
            .filter(|side| !DOORS.iter().any(|door| door.path == HOSTED && door.field == *side))
            .map(|side| format!("the hosted page takes {side}, which the attack does not know"))
            .collect())
    }

    /// A session with its consent.
    fn session(&self, address: SocketAddr, workflow: &str) -> Result<Open, Outcome> {
        let made = Request::json("POST", "/v3/session/", &json!({ "workflow_id": workflow }))
            .with("x-api-key", &self.key)
            .send(address, PREPARING);
        let answer = made.json();
        let Some(path) =
            answer["url"].as_str().and_then(|url| url.find("/session/").map(|at| url[at..].to_owned()))
        else {
            return Err(made);
        };
        let agreed =
            hosted(Request { body: b"agree=true".to_vec(), ..Request::get(&format!("{path}/consent")) })
                .with("content-type", "application/x-www-form-urlencoded")
                .send(address, PREPARING);
        if agreed.status() != 200 {
            return Err(agreed);
        }
        Ok(Open { path, nonce: String::new() })
    }

    /// The open session of a door of the hosted page, brought to where the door takes a picture.
    fn opened(&self, address: SocketAddr, door: &Door) -> Result<Open, Outcome> {
        if let Ok(sessions) = self.sessions.lock()
            && let Some(open) = sessions.get(door.name)
        {
            return Ok(open.clone());
        }
        let mut open = match door.way {
            Way::Frames => self.session(address, &self.challenge)?,
            Way::Capture("selfie") => self.session(address, &self.selfie)?,
            _ => self.session(address, &self.document)?,
        };
        if door.way == Way::Capture("back") {
            let parts = [Part::file("image", "front.jpg", &self.genuine.front)];
            let taken = hosted(Request::form(&format!("{}/capture/front", open.path), &parts))
                .send(address, PREPARING);
            if taken.status() != 200 {
                return Err(taken);
            }
        }
        if door.way == Way::Frames {
            let given =
                hosted(Request { body: Vec::new(), ..Request::get(&format!("{}/challenge", open.path)) })
                    .with("content-type", "application/x-www-form-urlencoded")
                    .send(address, PREPARING);
            match given.json()["nonce"].as_str() {
                Some(nonce) => open.nonce = nonce.to_owned(),
                None => return Err(given),
            }
        }
        if let Ok(mut sessions) = self.sessions.lock() {
            sessions.insert(door.name, open.clone());
        }
        Ok(open)
    }

    fn request(
        &self,
        address: SocketAddr,
        door: &Door,
        bytes: &[u8],
        name: &str,
    ) -> Result<Request, Outcome> {
        let file = |field: &str| Part::file(field, name, bytes);
        let once = || Part::text("save_api_request", "false");
        Ok(match door.way {
            Way::Form(beside) => {
                let mut parts = vec![file(door.field)];
                if door.path.starts_with("/v3/") {
                    parts.push(once());
                }
                match beside {
                    Some("sod") => parts.push(Part::file("sod", "sod.bin", &self.signed)),
                    Some("front_image") => {
                        parts.push(Part::file("front_image", "front.jpg", &self.genuine.front))
                    }
                    Some("file") => parts.push(file("file")),
                    Some(other) => parts.push(Part::file(other, "selfie.jpg", &self.genuine.selfie)),
                    None => {}
                }
                Request::form(door.path, &parts).with("x-api-key", &self.key)
            }
            Way::ChipPortrait => {
                let group = chip_portrait(bytes);
                let parts = [
                    Part::file("dg2", "dg2.bin", &group),
                    Part::file("sod", "sod.bin", &self.signed),
                    once(),
                ];
                Request::form(door.path, &parts).with("x-api-key", &self.key)
            }
            Way::Json => {
                let path = door.path.replace("{list_uuid}", &self.list);
                let mut body = json!({ door.field: pack::base64(bytes) });
                if door.path == "/v3/session/" {
                    body["workflow_id"] = json!(self.document);
                }
                Request::json("POST", &path, &body).with("x-api-key", &self.key)
            }
            Way::Capture(side) => {
                let open = self.opened(address, door)?;
                hosted(Request::form(&format!("{}/capture/{side}", open.path), &[file("image")]))
            }
            Way::Frames => {
                let open = self.opened(address, door)?;
                let parts = [
                    Part::text("nonce", &open.nonce),
                    Part::text("batch", "0"),
                    Part::text("last", "false"),
                    Part::text("times", "0"),
                    file("frame_0"),
                ];
                hosted(Request::form(&format!("{}/frames", open.path), &parts))
            }
        })
    }

    /// What every door answers to a genuine picture: a door that is shut for those is not attacked by others.
    pub(super) fn genuine(&self, address: SocketAddr) -> BTreeMap<&'static str, Outcome> {
        let picture = |door: &Door| {
            if door.name.contains("front") || door.name.contains("back") {
                &self.genuine.front
            } else {
                &self.genuine.selfie
            }
        };
        DOORS
            .iter()
            .map(|door| (door.name, self.send(address, door, picture(door), 1, Duration::from_secs(60)).0))
            .collect()
    }

    /// Sends a file through a door. A session that is over or further on is replaced and the file sent again. The time is that
    /// of the file's own request.
    pub(super) fn send(
        &self,
        address: SocketAddr,
        door: &Door,
        bytes: &[u8],
        number: u64,
        patience: Duration,
    ) -> (Outcome, f64) {
        let name = file_name(door, bytes, number);
        for attempt in 0..3 {
            let request = match self.request(address, door, bytes, &name) {
                Ok(request) => request,
                Err(outcome) => return (outcome, 0.0),
            };
            let began = std::time::Instant::now();
            let outcome = request.send(address, patience);
            let took = began.elapsed().as_secs_f64() * 1e3;
            let over =
                matches!(outcome.status(), 403 | 404 | 409 | 410) && door.path == HOSTED && attempt < 2;
            if !over {
                return (outcome, took);
            }
            if let Ok(mut sessions) = self.sessions.lock() {
                sessions.remove(door.name);
            }
        }
        (Outcome::Broken, 0.0)
    }
}

/// A request of the hosted page by a program.
fn hosted(request: Request) -> Request {
    Request { method: "POST", ..request }.with("accept", "application/json")
}

/// A name that the door's look at extensions lets pass: the true one, another one, or none.
fn file_name(door: &Door, bytes: &[u8], number: u64) -> String {
    if door.path.contains("chip") || door.path.contains("nfc") {
        return "upload.bin".to_owned();
    }
    if matches!(door.way, Way::Frames) {
        return "frame.jpg".to_owned();
    }
    let extension = match Format::of(bytes) {
        Format::Jp2 | Format::Other => "",
        format => format.name(),
    };
    let takes_pdf = door.name.contains("front") || door.name.contains("back");
    match number % 4 {
        0 => "upload".to_owned(),
        1 => "upload.jpg".to_owned(),
        _ if extension.is_empty() || (extension == "pdf" && !takes_pdf) => "upload.png".to_owned(),
        _ => format!("upload.{extension}"),
    }
}

/// A picture as data group 2 holds it (ICAO 9303-10, ISO/IEC 19794-5), whatever it is.
fn chip_portrait(picture: &[u8]) -> Vec<u8> {
    fn tagged(tag: &[u8], content: &[u8]) -> Vec<u8> {
        let mut out = tag.to_vec();
        out.push(0x83);
        out.extend_from_slice(&(content.len() as u32).to_be_bytes()[1..]);
        out.extend_from_slice(content);
        out
    }
    let is_jpeg2000 = Format::of(picture) == Format::Jp2;
    let mut face = Vec::new();
    face.extend_from_slice(&(picture.len() as u32 + 32).to_be_bytes());
    // No feature points; sex, colours, features, expression and pose unspecified.
    face.extend_from_slice(&[0; 16]);
    // A full frontal image of 300 × 400 pixels.
    face.extend_from_slice(&[1, u8::from(is_jpeg2000), 1, 44, 1, 144, 1, 2, 0, 0, 0, 0]);
    face.extend_from_slice(picture);
    let mut record = b"FAC\x00010\x00".to_vec();
    record.extend_from_slice(&(face.len() as u32 + 14).to_be_bytes());
    record.extend_from_slice(&[0, 1]);
    record.extend_from_slice(&face);
    let mut template = tagged(&[0xa1], &[0x87, 2, 1, 1, 0x88, 2, 0, 8]);
    template.extend(tagged(&[0x5f, 0x2e], &record));
    let mut group = vec![2, 1, 1];
    group.extend(tagged(&[0x7f, 0x60], &template));
    tagged(&[0x75], &tagged(&[0x7f, 0x61], &group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openapi() -> Value {
        let text = std::fs::read_to_string(shell::root().join("openapi/bonafide.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_attack_knows_every_field_of_the_api_that_takes_a_file() {
        assert_eq!(unknown(&openapi()), Vec::<String>::new());
    }

    #[test]
    fn a_new_field_that_takes_a_file_is_noticed_in_forms_and_in_json() {
        let mut api = openapi();
        api["components"]["schemas"]["NewSession"]["properties"]["second_photo"] =
            json!({ "type": ["string", "null"] });
        api["components"]["schemas"]["FaceMatchForm"]["properties"]["anything"] =
            json!({ "type": "string", "format": "binary" });
        api["paths"]["/v9/new/"] = json!({ "put": { "requestBody": { "content": { "image/png": {} } } } });
        let found = unknown(&api);
        for part in ["second_photo", "/v3/face-match/ takes a file as anything", "/v9/new/"] {
            assert!(found.iter().any(|line| line.contains(part)), "{part} in {found:?}");
        }
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn a_door_that_the_api_closed_is_noticed() {
        let mut api = openapi();
        api["paths"].as_object_mut().unwrap().remove("/v3/face-match/");
        assert_eq!(unknown(&api).len(), 2);
    }

    #[test]
    fn a_chip_portrait_states_its_lengths() {
        let group = chip_portrait(&[0xff; 300]);
        assert_eq!(group[0], 0x75);
        let length = usize::from(group[2]) << 16 | usize::from(group[3]) << 8 | usize::from(group[4]);
        assert_eq!(length, group.len() - 5);
        let at = group.windows(4).position(|four| four == b"FAC\0").unwrap();
        let stated =
            u32::from_be_bytes([group[at + 8], group[at + 9], group[at + 10], group[at + 11]]) as usize;
        assert_eq!(stated, group.len() - at);
    }
}
