//! Documents over HTTP: a picture that another person's session showed is recognised, and only then.

use serde_json::{Value, json};

use crate::{
    active::{models, people},
    flow::decided,
    server::{Server, agent, create_key, form, send},
    tenants::stranger_key,
};

const PLAIN: &str = "application/x-www-form-urlencoded";

/// A photographed passport of Utopia, as JPEG.
fn passport(seed: u64, portrait: &imaging::RgbImage) -> Vec<u8> {
    let portrait = specimen::Portrait::new(portrait.clone());
    let mut spec =
        specimen::Spec::new(specimen::Kind::Passport, seed, portrait, jiff::civil::date(2026, 1, 1));
    spec.pixels_per_mm = 8.0;
    let flat = specimen::draw(&spec).unwrap().front;
    let scene = specimen::Scene::new(seed);
    imaging::encode_jpeg(&specimen::photograph(&flat, &scene).0, 92)
}

/// The same picture, smaller and saved anew.
fn saved_anew(jpeg: &[u8]) -> Vec<u8> {
    let picture = imaging::decode(jpeg, &imaging::Limits::default()).unwrap().pixels;
    imaging::encode_jpeg(&imaging::resize(&picture, picture.width() * 2 / 3, picture.height() * 2 / 3), 70)
}

/// The warnings of a session in which a person hands in the picture.
fn session(server: &Server, key: &str, workflow: &str, person: &str, picture: &[u8]) -> (String, Value) {
    let body = json!({ "workflow_id": workflow, "vendor_data": person });
    let made = server.post_json("/v3/session/", key, &body).json();
    let link = made["url"].as_str().unwrap();
    assert_eq!(server.post(&format!("{link}/consent"), "", PLAIN, b"agree=true").status, 200);
    let (kind, body) = form(&[("image", "picture.jpg", picture)], &[]);
    assert_eq!(server.post(&format!("{link}/capture/front"), "", &kind, &body).status, 200);
    server.post(&format!("{link}/skip-back"), "", PLAIN, b"");
    assert_eq!(server.post(&format!("{link}/submit"), "", PLAIN, b"").status, 200);
    let id = made["session_id"].as_str().unwrap().to_owned();
    let decision = decided(server, &id, key);
    (id, decision["id_verifications"][0].clone())
}

/// A warning of a block.
fn warning<'a>(block: &'a Value, risk: &str) -> Option<&'a Value> {
    block["warnings"].as_array()?.iter().find(|warning| warning["risk"] == risk)
}

const REUSED: &str = "DUPLICATED_DOCUMENT_IMAGE";

#[test]
fn a_document_picture_of_another_person_is_recognised_saved_anew_too_until_it_is_erased() {
    let (Some((folder, _)), Some(people)) = (models(), people(2)) else { return };
    let data = tempfile::tempdir().unwrap();
    // A live application: sandboxes show specimens over and over, and compare nothing.
    let key = stranger_key(data.path());
    let other_tenant = stranger_key(data.path());
    let server = Server::start_with(data.path(), &[("BONAFIDE_MODELS", folder.to_str().unwrap())]);
    let features = json!({ "workflow_label": "document", "features": [{ "feature": "OCR" }] });
    let made = server.post_json("/v3/workflows/", &key, &features).json();
    let workflow = made["uuid"].as_str().unwrap();
    let check_as = |key: &str, picture: &[u8], texts: &[(&str, &str)]| {
        let (kind, body) = form(&[("front_image", "front.jpg", picture)], texts);
        let answer = server.post("/v3/id-verification/", key, &kind, &body);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["id_verification"].clone()
    };
    let check = |picture: &[u8], texts: &[(&str, &str)]| check_as(&key, picture, texts);
    let (first, second) = (passport(1, &people[0]), passport(2, &people[1]));

    let (anna, block) = session(&server, &key, workflow, "anna", &first);
    assert!(warning(&block, REUSED).is_none(), "{block}");
    let (berta, block) = session(&server, &key, workflow, "berta", &first);
    let reused = warning(&block, REUSED).unwrap_or_else(|| panic!("{block}"));
    assert_eq!(
        (&reused["log_type"], &reused["additional_data"]["match"]),
        (&json!("warning"), &json!("exact"))
    );
    assert_eq!(reused["additional_data"]["session_id"], json!(anna));
    let known = warning(&block, "POSSIBLE_DUPLICATED_USER").unwrap_or_else(|| panic!("{block}"));
    assert_eq!(known["log_type"], "information");

    // Saved anew by a third person: near. Told, not judged, in a single check.
    let unsaved = ("save_api_request", "false");
    let copy = check(&saved_anew(&first), &[unsaved, ("vendor_data", "carl")]);
    let near = warning(&copy, REUSED).unwrap_or_else(|| panic!("{copy}"));
    assert_eq!(
        (&near["log_type"], &near["additional_data"]["match"]),
        (&json!("information"), &json!("near"))
    );
    // Another person's document of the same kind is another picture.
    let other = check(&second, &[unsaved]);
    assert!(
        warning(&other, REUSED).is_none() && warning(&other, "POSSIBLE_DUPLICATED_USER").is_none(),
        "{other}"
    );

    // On the blocklist it is declined, whoever shows it and in whatever picture; other documents and tenants are not.
    const BLOCKED: &str = "ID_DOCUMENT_IN_BLOCKLIST";
    let list = |path: &str, field: &str, id: &str| {
        server.post_json(path, &key, &json!({ "session_id": id, field: true }))
    };
    let added = list("/v3/blocklist/add/", "blocklist_document", &anna);
    assert_eq!(added.status, 200, "{}", added.text);
    let again = list("/v3/blocklist/add/", "blocklist_document", &anna);
    assert_eq!(again.json()["document_entry"]["entry_id"], added.json()["document_entry"]["entry_id"]);
    let hit = check(&saved_anew(&first), &[unsaved]);
    assert_eq!(warning(&hit, BLOCKED).map(|w| &w["log_type"]), Some(&json!("error")), "{hit}");
    assert_eq!(hit["status"], "Declined");
    assert!(warning(&check(&second, &[unsaved]), BLOCKED).is_none());
    assert!(warning(&check_as(&other_tenant, &first, &[unsaved]), BLOCKED).is_none());
    let shown = server.get("/v3/blocklist/?item_type=document", &key);
    assert_eq!(shown.json()["results"].as_array().map(Vec::len), Some(1), "{}", shown.text);
    let number = block["document_number"].as_str().unwrap();
    assert!(!shown.text.contains(number), "the number stands nowhere in the list");
    assert_eq!(list("/v3/blocklist/remove/", "unblock_document", &anna).status, 200);
    assert_eq!(list("/v3/blocklist/remove/", "unblock_document", &anna).status, 404);
    assert!(warning(&check(&first, &[unsaved]), BLOCKED).is_none());
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert_eq!(list("/v3/blocklist/add/", "blocklist_document", nobody).status, 404);
    assert_eq!(list("/v3/blocklist/add/", "blocklist_phone", &anna).status, 400);

    // Another application knows nothing of it.
    let elsewhere = check_as(&other_tenant, &first, &[unsaved]);
    assert!(warning(&elsewhere, REUSED).is_none(), "{elsewhere}");

    // The person's own pictures are no reuse, and of erased sessions nothing is left.
    let erase = |id: &str| {
        let path = server.url(&format!("/v3/session/{id}/delete/"));
        assert_eq!(send(agent().delete(path).header("x-api-key", &key).call()).status, 204);
    };
    erase(&berta);
    let own = check(&first, &[unsaved, ("vendor_data", "anna")]);
    assert!(warning(&own, REUSED).is_none(), "{own}");
    erase(&anna);
    let after = check(&saved_anew(&first), &[unsaved]);
    assert!(
        warning(&after, REUSED).is_none() && warning(&after, "POSSIBLE_DUPLICATED_USER").is_none(),
        "{after}"
    );
}

#[test]
fn a_heic_picture_is_refused_with_what_to_send_instead() {
    let Some((folder, _)) = models() else { return };
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start_with(data.path(), &[("BONAFIDE_MODELS", folder.to_str().unwrap())]);
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    for (name, says) in [("a.jpg", "HEIC files are not supported"), ("a.heic", "is not allowed")] {
        let (kind, body) = form(&[("front_image", name, heic)], &[]);
        let answer = server.post("/v3/id-verification/", &key.text, &kind, &body);
        assert_eq!(answer.status, 400, "{}", answer.text);
        let text = answer.json()["front_image"][0].as_str().unwrap().to_owned();
        assert!(text.contains(says) && text.to_lowercase().contains("jpeg"), "{text}");
    }
}
