//! T34: hostile files through every door for uploads.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::server::{Server, create_key, form, test_data};

/// Memory the server may hold at its peak, without models.
const PEAK_MIB: u64 = 600;

/// Every hostile file, PDFs among them.
pub(crate) fn hostile_files(data: &Path) -> Vec<PathBuf> {
    let folder = data.join("hostile-uploads");
    let mut files: Vec<_> = [folder.clone(), folder.join("pdf")]
        .into_iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind != "md"))
        .collect();
    files.sort();
    assert!(files.len() >= 20);
    files
}

#[test]
fn t34_every_hostile_file_is_answered_and_the_server_lives_on() {
    let Some(data) = test_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path(), &[]);
    let server = Server::start(folder.path());
    let session = server.post_json("/v3/session/", &key.text, &json!({ "workflow_id": key.workflow })).json();
    let link = session["url"].as_str().unwrap();
    assert_eq!(
        server
            .post(&format!("{link}/consent"), "", "application/x-www-form-urlencoded", b"agree=true")
            .status,
        200
    );
    for file in hostile_files(&data) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&file).unwrap();
        // What is a plain picture at its beginning is taken, and only ever shown re-encoded; everything else is refused.
        let harmless = name.starts_with("ok_") || name.starts_with("poly_jpg");
        let (kind, body) = form(&[("image", "upload.jpg", &bytes)], &[]);
        let hosted = server.post(&format!("{link}/capture/front"), "", &kind, &body);
        assert!(
            if harmless { matches!(hosted.status, 200 | 400) } else { matches!(hosted.status, 400 | 413) },
            "{name} on the hosted page: {} {}",
            hosted.status,
            hosted.text
        );
        for (path, field) in
            [("/v3/id-verification/", "front_image"), ("/v3/passive-liveness/", "user_image")]
        {
            let (kind, body) = form(&[(field, "upload.jpg", &bytes)], &[]);
            let answer = server.post(path, &key.text, &kind, &body);
            assert!(
                matches!(answer.status, 400 | 413 | 503) || harmless && answer.status == 200,
                "{name} at {path}: {} {}",
                answer.status,
                answer.text
            );
        }
    }
    assert_eq!(server.get("/system/healthcheck", "").status, 200);
    let peak = server.peak_memory_mib();
    assert!(peak < PEAK_MIB, "the server held {peak} MiB");
}

#[test]
fn bodies_that_are_too_large_or_of_a_wrong_kind_are_refused_in_the_shape_of_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let key = create_key(folder.path(), &[]);
    let server = Server::start(folder.path());
    let large = vec![0_u8; 11 << 20];
    let (kind, body) = form(&[("front_image", "a.jpg", &large)], &[]);
    let answer = server.post("/v3/id-verification/", &key.text, &kind, &body);
    assert_eq!(answer.json(), json!({ "front_image": ["File size should not exceed 10 MB"] }));
    let (kind, body) = form(&[("front_image", "a.txt", b"x")], &[]);
    let answer = server.post("/v3/id-verification/", &key.text, &kind, &body);
    assert_eq!(
        answer.json(),
        json!({ "front_image": ["File extension “txt” is not allowed. Allowed extensions are: tiff, jpg, jpeg, png, webp, pdf."] })
    );
    let (kind, body) = form(&[], &[("invalid_mrz_action", "REVIEW")]);
    let answer = server.post("/v3/id-verification/", &key.text, &kind, &body);
    assert_eq!(answer.json(), json!({ "front_image": ["No file was submitted."] }));
    let answer = server.post("/v3/session/", &key.text, "text/plain", b"{}");
    assert_eq!(answer.status, 415);
    let answer = server.post("/v3/session/", &key.text, "application/json", b"[]");
    assert_eq!(
        (answer.status, answer.json()["code"].as_str().map(str::to_owned)),
        (400, Some("invalid_body".to_owned()))
    );
    let deep = format!("{{\"workflow_id\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(server.post("/v3/session/", &key.text, "application/json", deep.as_bytes()).status, 400);
    let answer = server.post_json("/v3/session/", &key.text, &json!({}));
    assert_eq!(answer.json(), json!({ "workflow_id": ["This field is required."] }));
    let answer = server.post_json("/v3/session/", &key.text, &json!({ "workflow_id": "nonsense" }));
    assert_eq!(answer.json(), json!({ "workflow_id": "Invalid workflow_id." }));
}
