//! Sessions that an earlier program stored are read, listed, decided and found as it left them.
//!
//! The database of `fixtures/baseline` was made by the program before checks had folders of their own: one decided
//! session with every check, one that is open, one kept screening. Its person, pictures and keys are made up.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{io::Read as _, path::Path, sync::Arc};

use serde_json::{Value, json};
use service::{Engines, Service, sessions::Filter};
use store::{Config, Store, TestClock, Time};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/baseline");

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The service over a copy of the earlier database, on the day after it was written.
async fn yesterday(folder: &Path) -> (Service, Value) {
    let fixture = Path::new(FIXTURE);
    copy(&fixture.join("blobs"), &folder.join("blobs"));
    let key = folder.join("root.key");
    std::fs::copy(fixture.join("root.key"), &key).unwrap();
    // A checkout may be read by others; a root key must not be.
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    decoder::use_this_process();
    let mut database = Vec::new();
    let packed = std::fs::File::open(fixture.join("bonafide.db.gz")).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut database).unwrap();
    std::fs::write(folder.join("bonafide.db"), database).unwrap();
    let mut config = Config::in_folder(folder);
    // 1 December 2026.
    config.clock = Arc::new(TestClock::at(Time::from_seconds(1_796_083_200))) as _;
    let store = Store::open(config).await.unwrap();
    let engines = Engines::open(&folder.join("no-models")).unwrap();
    let answers = std::fs::read(fixture.join("answers.json")).unwrap();
    (Service::new(store, engines, folder), serde_json::from_slice(&answers).unwrap())
}

/// Links carry the address of a server and a time.
fn without_links(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), without_links(value))).collect()
        }
        Value::Array(items) => items.iter().map(without_links).collect(),
        Value::String(text) if text.contains("://") => json!("[link]"),
        other => other.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_of_an_earlier_program_is_told_as_that_program_told_it() {
    let folder = tempfile::tempdir().unwrap();
    let (service, answers) = yesterday(folder.path()).await;
    let facts = &answers["facts"];
    let access = service.authenticate(facts["api_key"].as_str().unwrap()).await.unwrap().unwrap();
    let decided = facts["decided"].as_str().unwrap().parse().unwrap();
    let decision = service.decision(&access, decided, "http://test").await.unwrap().unwrap();
    assert_eq!(without_links(&decision), without_links(&answers["decision"]));
    let (_, rows) =
        service.list(&access, &Filter { limit: 10, ..Filter::default() }, "http://test").await.unwrap();
    assert_eq!(without_links(&json!(rows)), without_links(&answers["rows"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_an_earlier_program_left_open_goes_on_to_its_decision() {
    let folder = tempfile::tempdir().unwrap();
    let (service, answers) = yesterday(folder.path()).await;
    let facts = &answers["facts"];
    let access = service.authenticate(facts["api_key"].as_str().unwrap()).await.unwrap().unwrap();
    service.submit(facts["open_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(service.run_ready().await.unwrap(), 1);
    let open = facts["open"].as_str().unwrap().parse().unwrap();
    let decision = service.decision(&access, open, "http://test").await.unwrap().unwrap();
    assert_eq!(decision["status"], "In Review");
    assert_eq!(decision["id_verifications"][0]["warnings"][0]["risk"], "COULD_NOT_PERFORM_ID_VERIFICATION");
}
