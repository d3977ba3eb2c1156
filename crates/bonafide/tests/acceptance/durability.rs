//! Nothing acknowledged is lost: kills in the middle, the same request many times.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;

use crate::server::{Server, create_key, form, grey_jpeg};

/// A write that the server acknowledged.
enum Acknowledged {
    Session { id: String },
    Capture { id: String, link: String },
}

#[test]
fn t01_twenty_kills_lose_no_acknowledged_write() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let mut server = Server::start(data.path());
    let log: Mutex<Vec<Acknowledged>> = Mutex::default();
    for round in 0..20_u64 {
        let stop = AtomicBool::new(false);
        let base = server.base.clone();
        std::thread::scope(|scope| {
            for user in 0..4_u8 {
                let (log, stop, base, key) = (&log, &stop, &base, &key);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        if !walk(base, &key.text, &key.workflow, user, log) {
                            return;
                        }
                    }
                });
            }
            // The kill comes after some acknowledgements of this round, at a point that differs from round to round.
            let before = log.lock().unwrap().len();
            while log.lock().unwrap().len() < before + 3 + usize::try_from(round % 7).unwrap() {
                std::thread::yield_now();
            }
            server.kill_and_restart();
            stop.store(true, Ordering::Relaxed);
        });
    }
    let log = log.into_inner().unwrap();
    assert!(log.len() >= 60, "only {} writes were acknowledged", log.len());
    for write in &log {
        match write {
            Acknowledged::Session { id } => {
                let answer = server.get(&format!("/v3/session/{id}/decision/"), &key.text);
                assert_eq!(answer.status, 200, "session {id} is lost");
            }
            Acknowledged::Capture { id, link } => {
                let state = server.get(&format!("{}/state", link_on(&server.base, link)), "");
                assert_eq!(state.status, 200, "link of {id} is lost");
                assert_ne!(state.json()["capture"], "front", "the picture of {id} is lost");
            }
        }
    }
    let verified = std::process::Command::new(crate::server::BONAFIDE)
        .args(["audit", "verify", "--data"])
        .arg(data.path())
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// A link of an earlier process, on the present one's port.
fn link_on(base: &str, link: &str) -> String {
    link.split_once("/session/")
        .map_or_else(|| link.to_owned(), |(_, token)| format!("{base}/session/{token}"))
}

/// One person: session, consent, picture. Logs what was acknowledged; `false` when the server is gone.
fn walk(base: &str, key: &str, workflow: &str, user: u8, log: &Mutex<Vec<Acknowledged>>) -> bool {
    use crate::server::{agent, send};
    let body = json!({ "workflow_id": workflow, "metadata": { "user": user } }).to_string();
    let request = agent()
        .post(format!("{base}/v3/session/"))
        .header("x-api-key", key)
        .header("content-type", "application/json");
    let answer = send(request.send(body));
    if answer.status != 201 {
        return false;
    }
    let session = answer.json();
    let id = session["session_id"].as_str().unwrap_or_default().to_owned();
    let link = session["url"].as_str().unwrap_or_default().to_owned();
    log.lock().expect("no thread panics").push(Acknowledged::Session { id: id.clone() });
    let page = |path: &str, kind: &str, body: Vec<u8>| {
        let request = agent()
            .post(format!("{link}/{path}"))
            .header("accept", "application/json")
            .header("content-type", kind);
        send(request.send(body)).status
    };
    if page("consent", "application/x-www-form-urlencoded", b"agree=true".to_vec()) != 200 {
        return false;
    }
    let (kind, body) = form(&[("image", "front.jpg", &grey_jpeg(user))], &[]);
    if page("capture/front", &kind, body) != 200 {
        return false;
    }
    log.lock().expect("no thread panics").push(Acknowledged::Capture { id, link });
    true
}

#[test]
fn t10_sixty_four_equal_requests_make_one_session() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let mut server = Server::start(data.path());
    let ask = |base: &str, person: &str| {
        let body = json!({ "workflow_id": key.workflow, "vendor_data": person }).to_string();
        let request = crate::server::agent()
            .post(format!("{base}/v3/session/"))
            .header("x-api-key", &key.text)
            .header("idempotency-key", "once")
            .header("content-type", "application/json");
        crate::server::send(request.send(body))
    };
    let race = |base: &str| -> Vec<_> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..64).map(|_| scope.spawn(|| ask(base, "a"))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    };
    let base = server.base.clone();
    let answers = race(&base);
    server.kill_and_restart();
    let again = race(&server.base);
    let made: Vec<_> = answers.iter().chain(&again).filter(|answer| answer.status == 201).collect();
    assert!(again.iter().all(|answer| matches!(answer.status, 201 | 409)), "{again:?}");
    assert!(!made.is_empty());
    assert!(made.iter().all(|answer| answer.text == made[0].text), "the answers differ");
    let list = server.get("/v3/sessions/", &key.text).json();
    assert_eq!(list["count"], 1);
    assert_eq!(ask(&server.base, "b").status, 422);
}
