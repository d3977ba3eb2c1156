//! What is stored cannot be read without the key; what is read is written down.

use std::path::Path;

use serde_json::json;

use crate::server::{BONAFIDE, Server, create_key, form, grey_jpeg};

/// All bytes of all files below a folder.
fn contents(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap_or_default()));
        }
    }
    found
}

#[test]
fn t28_no_planted_value_stands_readable_in_the_data_folder() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start_with(data.path(), &[("BONAFIDE_LOG", "debug")]);
    let mut canaries = Vec::new();
    for index in 0..100 {
        let canary = |what: &str| format!("canary-{what}-{index:03}-zq");
        let mut values = ["vendor", "metadata", "first", "last", "mail"].map(canary);
        values[4].push_str("@example.org");
        let session = server.post_json(
            "/v3/session/",
            &key.text,
            &json!({
                "workflow_id": key.workflow,
                "vendor_data": values[0],
                "metadata": { "note": values[1] },
                "expected_details": { "first_name": values[2], "last_name": values[3] },
                "contact_details": { "email": values[4] },
            }),
        );
        assert_eq!(session.status, 201, "{}", session.text);
        let json = session.json();
        canaries.push(json["session_token"].as_str().unwrap().to_owned());
        canaries.extend(values);
        if index < 3 {
            let link = json["url"].as_str().unwrap();
            server.post(&format!("{link}/consent"), "", "application/x-www-form-urlencoded", b"agree=true");
            let picture = [grey_jpeg(100), b"canary-picture-zq".to_vec()].concat();
            let (kind, body) = form(&[("image", "front.jpg", &picture)], &[]);
            let taken = server.post(&format!("{link}/capture/front"), "", &kind, &body);
            assert_eq!(taken.status, 200, "{}", taken.text);
            canaries.push("canary-picture-zq".to_owned());
        }
    }
    canaries.push(key.text.clone());
    drop(server);
    let files = contents(data.path());
    assert!(files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 100_000);
    for (path, bytes) in &files {
        for canary in &canaries {
            let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{canary} stands in {}", path.display());
        }
    }
}

#[test]
fn t53_reads_and_changes_are_audited_and_an_edit_of_the_log_is_found() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    let session = server.post_json("/v3/session/", &key.text, &json!({ "workflow_id": key.workflow })).json();
    let id = session["session_id"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        assert_eq!(server.get(&format!("/v3/session/{id}/decision/"), &key.text).status, 200);
    }
    drop(server);
    let verify = || {
        std::process::Command::new(BONAFIDE)
            .args(["audit", "verify", "--data"])
            .arg(data.path())
            .output()
            .unwrap()
    };
    assert!(verify().status.success());
    // One byte of one row is changed behind the program's back.
    let file = data.path().join("bonafide.db");
    let sqlite = rusqlite::Connection::open(&file).unwrap();
    let count = |action: &str| -> i64 {
        sqlite
            .query_row(
                "SELECT count(*) FROM audit_log WHERE action = ?1 AND object = ?2",
                (action, format!("session:{id}")),
                |row| row.get(0),
            )
            .unwrap()
    };
    assert_eq!((count("session.create"), count("decision.read")), (1, 3));
    sqlite.execute_batch("DROP TRIGGER audit_log_keeps_rows").unwrap();
    sqlite.execute("UPDATE audit_log SET outcome = 'no' WHERE action = 'session.create'", ()).unwrap();
    drop(sqlite);
    let found = verify();
    assert!(!found.status.success(), "the edit was not found");
}
