//! T30: every operation of the OpenAPI document against callers who must not get through.
//!
//! The operations come from the document itself: a new one without a place in
//! this matrix fails the test.

use std::process::Command;

use serde_json::{Value, json};

use crate::server::{Answer, BONAFIDE, Server, agent, create_key, send};

/// Operations that need no key, on purpose.
const PUBLIC: &[&str] = &[
    "POST /verify-age",
    "GET /system/healthcheck",
    "GET /system/ready",
    "GET /media/{token}",
    "GET /healthz",
    "GET /readyz",
];

fn call(server: &Server, method: &str, path: &str, key: Option<&str>) -> Answer {
    let url = server.url(path);
    let key = key.unwrap_or_default();
    let agent = agent();
    let json = "application/json";
    match method {
        "GET" => send(agent.get(url).header("x-api-key", key).call()),
        "DELETE" => send(agent.delete(url).header("x-api-key", key).call()),
        "PATCH" => send(agent.patch(url).header("x-api-key", key).header("content-type", json).send("{}")),
        _ => send(agent.post(url).header("x-api-key", key).header("content-type", json).send("{}")),
    }
}

#[test]
fn t30_nobody_gets_through_without_the_right_key_and_other_tenants_ids_do_not_exist() {
    let output = Command::new(BONAFIDE).arg("openapi").output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let data = tempfile::tempdir().unwrap();
    let owner = create_key(data.path(), &[]);
    let revoked = create_key(data.path(), &[]);
    let reader = create_key(data.path(), &["read:sessions"]);
    let deleter = create_key(data.path(), &["delete:sessions"]);
    let done = Command::new(BONAFIDE)
        .args(["key", "revoke", &revoked.id, "--data"])
        .arg(data.path())
        .output()
        .unwrap();
    assert!(done.status.success());
    let server = Server::start(data.path());
    let session =
        server.post_json("/v3/session/", &owner.text, &json!({ "workflow_id": owner.workflow })).json();
    let own = session["session_id"].as_str().unwrap();
    let new_list = json!({ "name": "friends", "list_type": "allowlist", "entry_type": "face" });
    let list = server.post_json("/v3/lists/", &owner.text, &new_list).json();
    let list = list["list_id"].as_str().unwrap();
    let stranger = stranger_key(data.path());

    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, _) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            let name = format!("{method} {path}");
            if PUBLIC.contains(&name.as_str()) {
                continue;
            }
            seen += 1;
            let own_id = if path.contains("settings_uuid") { owner.workflow.as_str() } else { own };
            let address = path
                .replace("{session_id}", own_id)
                .replace("{settings_uuid}", own_id)
                .replace("{list_uuid}", list)
                .replace("{entry_uuid}", UNKNOWN)
                .replace("{dataset}", "default")
                .replace("{what}", "entity")
                .replace("{list_id}", "ofac")
                .replace("{entity_id}", "ofac:1");
            assert!(!address.contains('{'), "{name}: this test does not know a parameter of it");
            for (who, key) in [
                ("nobody", None),
                ("a wrong key", Some("bf_live_wrong")),
                ("a revoked key", Some(revoked.text.as_str())),
            ] {
                let answer = call(&server, &method, &address, key);
                assert_eq!(answer.status, 403, "{name} by {who}: {}", answer.text);
                assert_eq!(
                    answer.json()["detail"],
                    "You do not have permission to perform this action.",
                    "{name}"
                );
            }
            // A key that may only read may not change, and one that may only erase may do nothing else.
            if method != "GET" {
                assert_eq!(
                    call(&server, &method, &address, Some(&reader.text)).status,
                    403,
                    "{name} by a reader"
                );
            }
            if method != "DELETE" || path.contains("workflows") {
                assert_eq!(
                    call(&server, &method, &address, Some(&deleter.text)).status,
                    403,
                    "{name} by an eraser"
                );
            }
            // Another tenant's id answers like one that does not exist.
            if ["{session_id}", "{settings_uuid}", "{list_uuid}"].iter().any(|id| path.contains(id)) {
                let nowhere = path
                    .replace("{session_id}", UNKNOWN)
                    .replace("{settings_uuid}", UNKNOWN)
                    .replace("{list_uuid}", UNKNOWN)
                    .replace("{entry_uuid}", UNKNOWN);
                let (theirs, unknown) = (
                    call(&server, &method, &address, Some(&stranger)),
                    call(&server, &method, &nowhere, Some(&stranger)),
                );
                assert_eq!(theirs, unknown, "{name} tells a stranger that the id exists");
                assert!(matches!(theirs.status, 400 | 404), "{name} by a stranger: {}", theirs.status);
            }
        }
    }
    assert!(seen >= 12, "only {seen} operations were tried");
    // Lists of another tenant are empty, and nothing was erased by any of this.
    assert_eq!(server.get("/v3/sessions/", &stranger).json()["count"], 0);
    assert_eq!(server.get(&format!("/v3/session/{own}/decision/"), &owner.text).status, 200);
}

const UNKNOWN: &str = "11111111-2222-4333-8444-555555555555";

/// A key of a second application in the same store.
pub(crate) fn stranger_key(data: &std::path::Path) -> String {
    let output = Command::new(BONAFIDE)
        .args(["key", "create", "--new-application", "Stranger", "--json", "--data"])
        .arg(data)
        .env("BONAFIDE_MODELS", data.join("no-models"))
        .output()
        .expect("bonafide starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).expect("key create prints JSON");
    json["api_key"].as_str().unwrap_or_default().to_owned()
}
