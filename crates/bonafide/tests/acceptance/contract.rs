//! T43: the OpenAPI document is current, and a fuzzer that knows it finds no server error.

use std::{path::Path, process::Command};

use crate::server::{BONAFIDE, Server, create_key};

#[test]
fn the_committed_openapi_document_is_current() {
    let output = Command::new(BONAFIDE).arg("openapi").output().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/bonafide.json");
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        committed.trim() == String::from_utf8_lossy(&output.stdout).trim(),
        "openapi/bonafide.json is not what this program serves; run `cargo xtask openapi` and commit the result"
    );
}

#[test]
fn operations_of_different_rooms_document_different_bodies() {
    let output = Command::new(BONAFIDE).arg("openapi").output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut owners = std::collections::BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
            for body in content.values() {
                let Some(name) = body["schema"]["$ref"].as_str() else { continue };
                // Structs of one name hide each other in the document; neighbours may share one on purpose.
                let path = path.trim_end_matches('/');
                let (room, last) = path.rsplit_once('/').unwrap_or_default();
                // One thing of a kind and all of the kind are one resource.
                let resource = if last.starts_with('{') { room } else { path }.to_owned();
                if let Some((other, its)) =
                    owners.insert(name.to_owned(), (room.to_owned(), resource.clone()))
                {
                    let are_neighbours = other == room && room != "/v3";
                    assert!(are_neighbours || its == resource, "{method} {path} shares {name}");
                }
            }
        }
    }
    assert!(!owners.is_empty());
}

#[test]
fn every_operation_has_an_id_of_its_own() {
    let output = Command::new(BONAFIDE).arg("openapi").output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            assert!(!id.is_empty() && seen.insert(id.to_owned()), "{method} {path}: {id:?}");
        }
    }
}

#[test]
fn t43_no_request_that_follows_or_breaks_the_document_meets_a_server_error() {
    let Some(python) = std::env::var_os("BONAFIDE_CONTRACT_PYTHON") else {
        eprintln!(
            "skipped: `cargo xtask test` installs schemathesis and names it in BONAFIDE_CONTRACT_PYTHON"
        );
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    // 500 stands in no operation's list of answers, so conformance finds every one; 503 (a model that is not
    // installed, a full queue) is a documented answer.
    let output = Command::new(python)
        .args([
            "-m",
            "schemathesis.cli",
            "run",
            "--checks",
            "status_code_conformance,content_type_conformance",
        ])
        .args(["--max-examples", "15", "--seed", "1", "--exclude-path-regex", "^/media/"])
        .args(["--header", &format!("x-api-key: {}", key.text)])
        .arg(server.url("/openapi.json"))
        .current_dir(data.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.get("/system/healthcheck", "").status, 200);
}
