//! T46: active liveness over HTTP. A drawn head that answers passes; a flat picture, a recording of another challenge,
//! and whoever replays, reorders or skips do not.

#[path = "../../../face/benches/faces/render.rs"]
mod render;

use std::{path::PathBuf, time::Instant};

use face::{
    Engine, Pose,
    active::{Move, Prompt, Task},
};
use serde_json::{Value, json};

use self::render::{Noise, Relief};
use crate::{
    flow::decided,
    server::{Answer, Key, Server, create_key, form, test_data},
};

const PLAIN: &str = "application/x-www-form-urlencoded";

/// The models of this machine, or `None` with a word on standard output.
pub(crate) fn models() -> Option<(PathBuf, Engine)> {
    let folder = inference::Models::default_dir();
    let engine = inference::Models::open(&folder).ok().and_then(|models| Engine::open(&models).ok());
    if engine.is_none() {
        eprintln!("skipped: no models");
    }
    Some((folder, engine?))
}

/// Pictures of different people, small.
pub(crate) fn people(count: usize) -> Option<Vec<imaging::RgbImage>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(test_data()?.join("documents/faces_london"))
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("neutral"))
        .collect();
    files.sort();
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).ok()?;
        Some(imaging::decode(&bytes, &imaging::Limits::default()).ok()?.pixels)
    };
    let people: Vec<_> = files.iter().take(count).filter_map(read).collect();
    (people.len() == count).then_some(people)
}

/// A workflow of liveness alone.
fn workflow(server: &Server, key: &Key, method: &str, attempts: u8) -> String {
    let config = json!({ "face_liveness_method": method, "face_liveness_max_attempts": attempts });
    let body = json!({ "workflow_label": method, "features": [{ "feature": "LIVENESS", "config": config }] });
    let made = server.post_json("/v3/workflows/", &key.text, &body);
    assert_eq!(made.status, 201, "{}", made.text);
    made.json()["uuid"].as_str().unwrap().to_owned()
}

/// A session whose person agreed: its id and its link.
fn begun(server: &Server, key: &Key, workflow: &str) -> (String, String) {
    let session = server.post_json("/v3/session/", &key.text, &json!({ "workflow_id": workflow })).json();
    let link = session["url"].as_str().unwrap().to_owned();
    assert_eq!(server.post(&format!("{link}/consent"), "", PLAIN, b"agree=true").status, 200);
    (session["session_id"].as_str().unwrap().to_owned(), link)
}

fn challenge(server: &Server, link: &str) -> Value {
    let given = server.post(&format!("{link}/challenge"), "", PLAIN, b"");
    assert_eq!(given.status, 200, "{}", given.text);
    given.json()
}

fn task(challenge: &Value) -> Task {
    serde_json::from_value(challenge.clone()).expect("a challenge holds its task")
}

/// The pose of somebody who answers the prompts.
fn pose(prompts: &[Prompt], at_ms: u64, noise: &mut Noise) -> Pose {
    let mut pose = Pose { yaw: 0.5 * noise.next(), pitch: 0.5 * noise.next(), roll: 0.0 };
    for prompt in prompts {
        let t = at_ms as f32 - prompt.at_ms as f32;
        let share = ((t - 300.0) / 300.0).clamp(0.0, 1.0).min(((1_350.0 - t) / 300.0).clamp(0.0, 1.0));
        match prompt.action {
            Move::Left => pose.yaw += 24.0 * share,
            Move::Right => pose.yaw -= 24.0 * share,
            Move::Up => pose.pitch -= 22.0 * share,
            Move::Down => pose.pitch += 22.0 * share,
        }
    }
    pose
}

/// One frame with its time.
type Frame = (u64, Vec<u8>);

/// Draws the whole recording of somebody in front of the page.
fn draw(relief: &Relief, task: &Task, duration_ms: u64, seed: u64) -> Vec<Frame> {
    let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut frames, mut at_ms) = (Vec::new(), 0);
    loop {
        let (prompts, light) = match task {
            Task::Active3d { prompts } => (prompts.as_slice(), [0.0; 3]),
            Task::Flashing { flashes } => {
                let lit = flashes.iter().rev().find(|flash| flash.at_ms + 70 <= at_ms);
                (&[][..], lit.map_or([0.0; 3], |f| f.rgb.map(|on| if on { 0.12 } else { 0.0 })))
            }
        };
        let picture = relief.draw(pose(prompts, at_ms, &mut noise), light, &mut noise);
        frames.push((at_ms, imaging::encode_jpeg(&picture, 92)));
        if at_ms >= duration_ms {
            return frames;
        }
        // A page's timers are never exact.
        at_ms += 165 + (frames.len() as u64 * 7) % 11;
    }
}

fn batch(server: &Server, link: &str, nonce: &str, index: usize, frames: &[Frame], last: bool) -> Answer {
    let times: Vec<String> = frames.iter().map(|(at, _)| at.to_string()).collect();
    let names: Vec<String> = (0..frames.len()).map(|i| format!("frame_{i}")).collect();
    let files: Vec<_> = names
        .iter()
        .zip(frames)
        .map(|(name, (_, jpeg))| (name.as_str(), "frame.jpg", jpeg.as_slice()))
        .collect();
    let (index, last) = (index.to_string(), last.to_string());
    let texts = [
        ("nonce", nonce),
        ("batch", index.as_str()),
        ("last", last.as_str()),
        ("times", &times.join(",")),
        ("camera", "Integrated Webcam"),
    ];
    let (kind, body) = form(&files, &texts);
    server.post(&format!("{link}/frames"), "", &kind, &body)
}

/// Sends a recording as the page does: no batch before its frames were taken.
fn send(server: &Server, link: &str, challenge: &Value, since: Instant, frames: &[Frame]) -> Value {
    let nonce = challenge["nonce"].as_str().unwrap();
    let batches: Vec<&[Frame]> = frames.chunks(12).collect();
    for (index, part) in batches.iter().enumerate() {
        while since.elapsed().as_millis() < u128::from(part.last().unwrap().0) {
            std::thread::yield_now();
        }
        let answer = batch(server, link, nonce, index, part, index + 1 == batches.len());
        assert_eq!(answer.status, 200, "batch {index}: {}", answer.text);
    }
    loop {
        let state = server.get(&format!("{link}/state"), "").json();
        if state["liveness"]["state"] != "judging" {
            return state;
        }
        std::thread::yield_now();
    }
}

/// A whole attempt: the challenge is given, answered by the relief, judged.
fn attempt(server: &Server, link: &str, relief: &Relief, seed: u64) -> Value {
    let challenge = challenge(server, link);
    let since = Instant::now();
    let duration = challenge["duration_ms"].as_u64().unwrap();
    let frames = draw(relief, &task(&challenge), duration, seed);
    send(server, link, &challenge, since, &frames)
}

fn decision(server: &Server, key: &Key, id: &str, link: &str) -> Value {
    let sent = server.post(&format!("{link}/submit"), "", PLAIN, b"");
    assert_eq!(sent.status, 200, "{}", sent.text);
    decided(server, id, &key.text)
}

fn risks(decision: &Value) -> Vec<String> {
    let warnings = decision["liveness_checks"][0]["warnings"].as_array().cloned().unwrap_or_default();
    warnings.iter().map(|warning| warning["risk"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn t46_a_head_that_answers_passes_and_a_picture_of_it_does_not() {
    let (Some((folder, engine)), Some(people)) = (models(), people(1)) else { return };
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start_with(data.path(), &[("BONAFIDE_MODELS", folder.to_str().unwrap())]);
    let picture = imaging::fit_within(&people[0], 288);
    let mesh = engine.faces(&picture).unwrap().remove(0).mesh;
    let (head, flat) = (Relief::new(&picture, &mesh, false), Relief::new(&picture, &mesh, true));

    for (method, wire) in [("active_3d", "ACTIVE_3D"), ("flashing", "FLASHING")] {
        let flow = workflow(&server, &key, method, 1);
        let (id, link) = begun(&server, &key, &flow);
        let state = attempt(&server, &link, &head, 11);
        assert_eq!(state["step"], "submit", "{state}");
        let live = decision(&server, &key, &id, &link);
        let check = &live["liveness_checks"][0];
        // The head is drawn, and the passive nets, which look at one frame beside the challenge, may take it for a
        // picture: then a person looks, and the challenge stays passed.
        let passive = check["passive"]["score"].as_f64().expect("nets are packaged");
        let status = if passive <= 70.0 { "In Review" } else { "Approved" };
        assert_eq!((&check["method"], &check["status"]), (&json!(wire), &json!(status)), "{check}");
        assert_eq!((&live["status"], &check["score"]), (&json!(status), &json!(100.0)));
        assert!(!risks(&live).contains(&"ACTIVE_LIVENESS_FAILED".to_owned()), "{live}");
        assert!(check["challenge"]["checks"].as_array().unwrap().len() >= 8, "every check is told");
        assert!(check["reference_image"].is_string());

        let (id, link) = begun(&server, &key, &flow);
        let state = attempt(&server, &link, &flat, 12);
        assert_eq!(state["step"], "submit", "the last attempt ends the step: {state}");
        let refused = decision(&server, &key, &id, &link);
        assert_eq!(refused["status"], "In Review");
        assert!(risks(&refused).contains(&"ACTIVE_LIVENESS_FAILED".to_owned()), "{refused}");
    }
}

#[test]
fn t46_a_replayed_recording_fails_and_frames_are_taken_once_in_order_and_for_one_session() {
    let (Some((folder, engine)), Some(people)) = (models(), people(1)) else { return };
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start_with(data.path(), &[("BONAFIDE_MODELS", folder.to_str().unwrap())]);
    let picture = imaging::fit_within(&people[0], 288);
    let mesh = engine.faces(&picture).unwrap().remove(0).mesh;
    let head = Relief::new(&picture, &mesh, false);
    let flow = workflow(&server, &key, "active_3d", 3);

    // A live recording of one challenge, offered for the next one.
    let (_, link) = begun(&server, &key, &flow);
    let first = challenge(&server, &link);
    let frames = draw(&head, &task(&first), first["duration_ms"].as_u64().unwrap(), 21);
    let second = challenge(&server, &link);
    let state = send(&server, &link, &second, Instant::now(), &frames);
    assert_eq!(
        (&state["step"], &state["liveness"]["state"]),
        (&json!("capture"), &json!("failed")),
        "{state}"
    );
    assert_eq!(state["liveness"]["attempts_left"], 1);

    // A recording that arrives before it can have been made.
    let third = challenge(&server, &link);
    let nonce = third["nonce"].as_str().unwrap();
    let answer = batch(&server, &link, first["nonce"].as_str().unwrap(), 0, &frames[..3], false);
    assert_eq!(answer.status, 409, "an old nonce: {}", answer.text);
    assert_eq!(batch(&server, &link, nonce, 1, &frames[..3], false).status, 409, "a batch is left out");
    assert_eq!(batch(&server, &link, nonce, 0, &frames[..3], false).status, 200);
    assert_eq!(batch(&server, &link, nonce, 0, &frames[..3], false).status, 409, "the same batch again");
    let (_, other) = begun(&server, &key, &flow);
    challenge(&server, &other);
    assert_eq!(batch(&server, &other, nonce, 0, &frames[..3], false).status, 409, "another session's nonce");
    let text = [(frames[0].0, b"no picture".to_vec())];
    assert_eq!(batch(&server, &link, nonce, 1, &text, false).status, 400);
    let early = batch(&server, &link, nonce, 1, &frames[frames.len() - 3..], true);
    assert_eq!(early.status, 200);
    loop {
        let state = server.get(&format!("{link}/state"), "").json();
        if state["liveness"]["state"] != "judging" {
            assert_ne!(state["liveness"]["state"], "ready", "{state}");
            break;
        }
        std::thread::yield_now();
    }
    let over = server.post(&format!("{link}/challenge"), "", PLAIN, b"");
    assert_eq!(over.status, 409, "no attempt is left: {}", over.text);
}

#[test]
fn t46_a_picture_handed_in_instead_of_the_challenge_goes_to_review() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    let flow = workflow(&server, &key, "ACTIVE_3D", 3);
    let session = server.post_json("/v3/session/", &key.text, &json!({ "workflow_id": flow })).json();
    let (id, link) = (session["session_id"].as_str().unwrap(), session["url"].as_str().unwrap());
    // T54: nothing of a face is taken before there is a consent.
    let jpeg = crate::server::grey_jpeg(120);
    let (kind, body) = form(&[("image", "me.jpg", &jpeg)], &[("how", "camera")]);
    assert_eq!(server.post(&format!("{link}/capture/selfie"), "", &kind, &body).status, 403);
    assert_eq!(server.post(&format!("{link}/challenge"), "", PLAIN, b"").status, 403);
    assert_eq!(batch(&server, link, "00", 0, &[(0, jpeg.clone())], false).status, 403);

    assert_eq!(server.post(&format!("{link}/consent"), "", PLAIN, b"agree=true").status, 200);
    let page = crate::tabs::Browser::new(&server).open(link);
    assert!(page.text.contains("capture/selfie"), "the alternative is a plain form of the page");
    assert_eq!(server.post(&format!("{link}/capture/selfie"), "", &kind, &body).status, 200);
    assert_eq!(server.post(&format!("{link}/challenge"), "", PLAIN, b"").status, 409, "the step is over");
    let refused = decision(&server, &key, id, link);
    assert_eq!(refused["status"], "In Review");
    assert_eq!(refused["liveness_checks"][0]["method"], "ACTIVE_3D");
    // An unknown method is refused when the workflow is made.
    let body =
        json!({ "features": [{ "feature": "LIVENESS", "config": { "face_liveness_method": "telepathy" } }] });
    assert_eq!(server.post_json("/v3/workflows/", &key.text, &body).status, 400);
}
