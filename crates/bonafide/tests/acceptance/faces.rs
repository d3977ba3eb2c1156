//! Faces over HTTP: search and lists behind their switch, consents behind theirs, and what withdrawing one ends.

use std::{path::Path, process::Command};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::{
    active::{models, people},
    flow::decided,
    server::{Answer, BONAFIDE, Server, agent, create_key, form, grey_jpeg, send},
};

fn set(data: &Path, args: &[&str]) {
    let mut command = Command::new(BONAFIDE);
    command.args(["application", "set"]).args(args).arg("--data").arg(data);
    let output = command.env("BONAFIDE_MODELS", data.join("no-models")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn check(server: &Server, key: &str, name: &str, picture: &[u8], texts: &[(&str, &str)]) -> Answer {
    let (kind, body) = form(&[("user_image", "me.jpg", picture)], texts);
    server.post(&format!("/v3/{name}/"), key, &kind, &body)
}

fn delete(server: &Server, key: &str, path: &str) -> u16 {
    send(agent().delete(server.url(path)).header("x-api-key", key).call()).status
}

#[test]
fn a_face_is_searched_only_with_a_purpose_found_at_once_and_never_after_it_is_erased() {
    let (Some((folder, _)), Some(people)) = (models(), people(3)) else { return };
    let pictures: Vec<Vec<u8>> =
        people.iter().map(|p| imaging::encode_jpeg(&imaging::fit_within(p, 700), 92)).collect();
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let mut server = Server::start_with(data.path(), &[("BONAFIDE_MODELS", folder.to_str().unwrap())]);
    let k = key.text.clone();
    let off = check(&server, &k, "face-search", &pictures[0], &[]);
    assert_eq!((off.status, &off.json()["code"]), (403, &json!("face_search_disabled")), "{}", off.text);
    assert_eq!(check(&server, &k, "passive-liveness", &pictures[0], &[]).status, 200);

    set(data.path(), &["--face-search", "finding double accounts"]);
    let search = |server: &Server, picture: &[u8], texts: &[(&str, &str)]| -> Value {
        let found = check(server, &k, "face-search", picture, texts);
        assert_eq!(found.status, 200, "{}", found.text);
        found.json()
    };
    let unsaved = ("save_api_request", "false");
    let none = search(&server, &pictures[0], &[unsaved]);
    assert_eq!(none["face_search"]["total_matches"], 0, "nothing was enrolled while the switch was off");
    // Enrolled by a saved search, found by the next one.
    let first = search(&server, &pictures[0], &[("vendor_data", "anna")]);
    let session = first["request_id"].as_str().unwrap().to_owned();
    let again = search(&server, &pictures[0], &[unsaved]);
    let found = &again["face_search"]["matches"][0];
    assert_eq!(again["face_search"]["total_matches"], 1, "{again}");
    assert_eq!((&found["session_id"], &found["vendor_data"]), (&json!(session), &json!("anna")));
    assert_eq!((&found["source"], &found["api_service"]), (&json!("session"), &json!("FACE_SEARCH")));
    assert!(found["similarity_percentage"].as_f64().unwrap() > 99.0);
    assert!(again["face_search"]["model"].is_string());
    assert_eq!(again["face_search"]["status"], "Approved");
    let other = search(&server, &pictures[1], &[unsaved]);
    assert!(
        other["face_search"]["matches"]
            .as_array()
            .unwrap()
            .iter()
            .all(|m| m["similarity_percentage"].as_f64().unwrap() < 60.0)
    );
    let filtered = search(&server, &pictures[1], &[unsaved, ("search_type", "blocklisted_or_approved")]);
    assert!(filtered["face_search"]["status"].is_string());
    assert_eq!(check(&server, &k, "face-search", &pictures[0], &[("search_type", "any")]).status, 400);
    assert_eq!(
        check(&server, &k, "face-search", &grey_jpeg(120), &[]).json(),
        json!({ "error": "No face detected in the image" })
    );

    // Blocked by its session: declined, and blocked ones come first.
    let blocked =
        server.post_json("/v3/blocklist/add/", &k, &json!({ "session_id": session, "blocklist_face": true }));
    assert_eq!(blocked.status, 200, "{}", blocked.text);
    let hit = search(&server, &pictures[0], &[unsaved]);
    assert_eq!(hit["face_search"]["status"], "Declined");
    assert_eq!(hit["face_search"]["matches"][0]["is_blocklisted"], true);
    assert_eq!(hit["face_search"]["total_matches"], 1, "the entry marks the session, it is not shown twice");
    assert_eq!(hit["face_search"]["warnings"][0]["risk"], "FACE_IN_BLOCKLIST");
    let live = check(&server, &k, "passive-liveness", &pictures[0], &[unsaved]).json();
    let risks: Vec<_> =
        live["liveness"]["warnings"].as_array().unwrap().iter().map(|w| w["risk"].clone()).collect();
    assert!(risks.contains(&json!("FACE_IN_BLOCKLIST")), "{live}");
    // The same person's own faces are no matches of a liveness check.
    let own =
        check(&server, &k, "passive-liveness", &pictures[0], &[unsaved, ("vendor_data", "anna")]).json();
    assert!(
        own["liveness"]["matches"].as_array().unwrap().iter().all(|m| m["source"] == "list_entry"),
        "{own}"
    );
    let unblocked = server.post_json(
        "/v3/blocklist/remove/",
        &k,
        &json!({ "session_id": session, "unblock_face": true }),
    );
    assert_eq!(unblocked.status, 200, "{}", unblocked.text);
    assert_eq!(search(&server, &pictures[0], &[unsaved])["face_search"]["status"], "Approved");

    // A picture on the blocklist, without any session.
    let lists = server.get("/v3/lists/", &k).json();
    let list = lists["results"][0]["list_id"].as_str().unwrap().to_owned();
    let image = base64::engine::general_purpose::STANDARD.encode(&pictures[2]);
    let path = format!("/v3/lists/{list}/entries/face-upload/");
    let entry = server.post_json(&path, &k, &json!({ "image": image, "display_label": "seen before" }));
    assert_eq!(entry.status, 201, "{}", entry.text);
    assert!(!entry.text.contains("\"template\""), "a template is never shown");
    let hit = search(&server, &pictures[2], &[unsaved]);
    assert_eq!(hit["face_search"]["matches"][0]["source"], "list_entry", "{hit}");
    assert_eq!(hit["face_search"]["status"], "Declined");
    // The index is rebuilt from the sealed templates.
    server.kill_and_restart();
    assert_eq!(search(&server, &pictures[2], &[unsaved])["face_search"]["status"], "Declined");
    assert_eq!(search(&server, &pictures[0], &[unsaved])["face_search"]["total_matches"], 1);
    // What an older recipe enrolled is embedded again from its picture in the background of a start.
    let file = data.path().join("bonafide.db");
    let sqlite = rusqlite::Connection::open(&file).unwrap();
    assert_eq!(sqlite.execute("UPDATE face_templates SET model = 'older/1'", ()).unwrap(), 1);
    server.kill_and_restart();
    let found =
        |server: &Server| search(server, &pictures[0], &[unsaved])["face_search"]["total_matches"] == 1;
    assert!((0..100).any(|_| found(&server)), "the older template was made anew");
    let entry = entry.json()["entry_id"].as_str().unwrap().to_owned();
    assert_eq!(delete(&server, &k, &format!("/v3/lists/{list}/entries/{entry}/")), 204);
    assert_eq!(search(&server, &pictures[2], &[unsaved])["face_search"]["total_matches"], 0);
    assert_eq!(delete(&server, &k, &format!("/v3/lists/{list}/")), 404, "the blocklist stays");

    // An erased face is not returned.
    assert_eq!(delete(&server, &k, &format!("/v3/session/{session}/delete/")), 204);
    assert_eq!(search(&server, &pictures[0], &[unsaved])["face_search"]["total_matches"], 0);
}

#[test]
fn t54_without_a_recorded_consent_nothing_of_a_face_is_done_and_withdrawing_it_ends_and_deletes() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    let k = &key.text;
    set(data.path(), &["--require-consent", "true"]);
    let face = grey_jpeg(130);
    let refused = |name: &str, texts: &[(&str, &str)]| {
        let pictures = [("user_image", "a.jpg", face.as_slice()), ("ref_image", "b.jpg", face.as_slice())];
        let count = if name == "face-match" { 2 } else { 1 };
        let (kind, body) = form(&pictures[..count], texts);
        let answer = server.post(&format!("/v3/{name}/"), k, &kind, &body);
        (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
    };
    let names = ["face-match", "passive-liveness", "age-estimation", "face-search"];
    for name in names {
        assert_eq!(refused(name, &[]), (403, "consent_required".to_owned()), "{name}");
        assert_eq!(refused(name, &[("vendor_data", "ben")]), (403, "consent_required".to_owned()), "{name}");
    }
    let body = json!({ "vendor_data": "ben", "text": "I agree that my face is compared.", "text_version": "2", "language": "en" });
    let given = server.post_json("/v3/consents/", k, &body);
    assert_eq!(given.status, 201, "{}", given.text);
    let hash: String =
        store::sha256(b"I agree that my face is compared.").iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(given.json()["text_sha256"], hash);
    assert_eq!(given.json()["language"], "en");
    for name in names {
        assert_ne!(refused(name, &[("vendor_data", "ben")]).1, "consent_required", "{name}");
        assert_eq!(refused(name, &[("vendor_data", "carl")]).1, "consent_required", "{name}");
    }
    assert_eq!(server.post_json("/v3/consents/", k, &json!({ "vendor_data": "ben" })).status, 400);

    // The same person's hosted session: its consent is recorded too, in the language shown, and withdrawing ends it.
    let new = json!({ "workflow_id": key.workflow, "vendor_data": "ben", "language": "de" });
    let session = server.post_json("/v3/session/", k, &new).json();
    let link = session["url"].as_str().unwrap();
    let plain = "application/x-www-form-urlencoded";
    assert_eq!(server.post(&format!("{link}/consent"), "", plain, b"agree=true").status, 200);
    let consents = server.get("/v3/consents/?vendor_data=ben", k).json();
    assert_eq!(consents["count"], 2);
    let languages: Vec<_> = consents["results"].as_array().unwrap().iter().map(|c| &c["language"]).collect();
    assert!(languages.contains(&&json!("en")) && languages.contains(&&json!("de")), "{languages:?}");
    let withdrawn = server.post_json("/v3/consents/withdraw/", k, &json!({ "vendor_data": "ben" }));
    assert_eq!(withdrawn.json(), json!({ "vendor_data": "ben", "withdrawn": 2 }));
    assert_eq!(refused("face-match", &[("vendor_data", "ben")]).1, "consent_required");
    let (kind, body) = form(&[("image", "front.jpg", &face)], &[]);
    assert_ne!(server.post(&format!("{link}/capture/front"), "", &kind, &body).status, 200, "it ended");
    let id = session["session_id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/v3/session/{id}/decision/"), k).json()["status"], "Abandoned");
    assert_eq!(
        server.post_json("/v3/consents/withdraw/", k, &json!({ "vendor_data": "nobody" })).status,
        404
    );

    // The person alone, on the page.
    let session = server.post_json("/v3/session/", k, &json!({ "workflow_id": key.workflow })).json();
    let link = session["url"].as_str().unwrap();
    assert_eq!(server.post(&format!("{link}/withdraw"), "", plain, b"").status, 409, "nothing to take back");
    assert_eq!(server.post(&format!("{link}/consent"), "", plain, b"agree=true").status, 200);
    assert_eq!(server.post(&format!("{link}/withdraw"), "", plain, b"").status, 200);
    assert_eq!(server.get(&format!("{link}/state"), "").json()["status"], "Abandoned");
}

#[test]
fn a_portrait_that_nothing_would_compare_or_that_is_no_picture_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    let start = |workflow: &str, portrait: &str| {
        server.post_json(
            "/v3/session/",
            &key.text,
            &json!({ "workflow_id": workflow, "portrait_image": portrait }),
        )
    };
    let picture = base64::engine::general_purpose::STANDARD.encode(grey_jpeg(90));
    assert_eq!(start(&key.workflow, &picture).status, 201);
    let text = base64::engine::general_purpose::STANDARD.encode("no picture");
    assert!(start(&key.workflow, &text).json()["portrait_image"].is_array());
    let only = server.post_json("/v3/workflows/", &key.text, &json!({ "features": ["OCR"] })).json();
    assert_eq!(start(only["uuid"].as_str().unwrap(), &picture).status, 400);
}

#[test]
fn a_returning_person_is_recognised_by_the_portrait_kept_of_them_and_nobody_else_is() {
    let (Some((folder, _)), Some(people)) = (models(), people(2)) else { return };
    let pictures: Vec<Vec<u8>> =
        people.iter().map(|p| imaging::encode_jpeg(&imaging::fit_within(p, 700), 92)).collect();
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start_with(data.path(), &[("BONAFIDE_MODELS", folder.to_str().unwrap())]);
    let plain = "application/x-www-form-urlencoded";
    let walk = |workflow: &str, person: &str, selfie: &[u8], document: bool| -> (String, Value) {
        let body = json!({ "workflow_id": workflow, "vendor_data": person });
        let session = server.post_json("/v3/session/", &key.text, &body).json();
        let link = session["url"].as_str().unwrap();
        let id = session["session_id"].as_str().unwrap().to_owned();
        let sent = |path: &str, kind: &str, body: &[u8]| {
            let answer = server.post(&format!("{link}/{path}"), "", kind, body);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        };
        sent("consent", plain, b"agree=true");
        if document {
            let (kind, body) = form(&[("image", "front.jpg", &grey_jpeg(120))], &[]);
            sent("capture/front", &kind, &body);
            sent("skip-back", plain, b"");
        }
        let (kind, body) = form(&[("image", "me.jpg", selfie)], &[]);
        sent("capture/selfie", &kind, &body);
        sent("submit", plain, b"");
        let decision = decided(&server, &id, &key.text);
        (id, decision)
    };
    let features = json!({ "features": ["LIVENESS", "FACE_MATCH"] });
    let made = server.post_json("/v3/workflows/", &key.text, &features).json();
    assert_eq!(made["workflow_type"], "biometric_authentication");
    let returning = made["uuid"].as_str().unwrap();
    let matched = |decision: &Value| decision["face_matches"][0].clone();

    // Nobody is kept yet: there is nothing to compare with, and that never ends approved.
    let (_, unknown) = walk(returning, "anna", &pictures[0], false);
    assert_eq!(matched(&unknown)["warnings"][0]["risk"], "NO_REFERENCE_IMAGE", "{unknown}");
    assert_ne!(unknown["status"], "Approved");
    // A session with a document that a reviewer approved keeps one.
    let (first, _) = walk(&key.workflow, "anna", &pictures[0], true);
    let approve = json!({ "new_status": "Approved", "comment": "seen in person" });
    let path = server.url(&format!("/v3/session/{first}/update-status/"));
    let request =
        agent().patch(path).header("x-api-key", &key.text).header("content-type", "application/json");
    let approved = send(request.send(approve.to_string().as_bytes()));
    assert_eq!(approved.status, 200, "{}", approved.text);
    let (_, same) = walk(returning, "anna", &pictures[0], false);
    assert!(matched(&same)["score"].as_f64().unwrap() > 99.0, "{same}");
    let (_, other) = walk(returning, "anna", &pictures[1], false);
    assert_eq!(matched(&other)["status"], "Declined", "{other}");
    let (_, stranger) = walk(returning, "ben", &pictures[0], false);
    assert_eq!(matched(&stranger)["warnings"][0]["risk"], "NO_REFERENCE_IMAGE", "{stranger}");
}

#[test]
fn an_age_is_answered_with_a_buffer_and_without_keeping_picture_age_or_template() {
    let (Some((folder, _)), Some(people)) = (models(), people(1)) else { return };
    let opened = inference::Models::open(&folder).ok();
    if opened.is_none_or(|models| face::age::AgeEstimator::open(&models).is_err()) {
        eprintln!("skipped: the age model is not installed (`bonafide models install faceres-age`)");
        return;
    }
    let picture = imaging::encode_jpeg(&imaging::fit_within(&people[0], 700), 92);
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start_with(data.path(), &[("BONAFIDE_MODELS", folder.to_str().unwrap())]);
    set(data.path(), &["--face-search", "finding double accounts"]);
    let estimated = |texts: &[(&str, &str)]| -> Value {
        let answer = check(&server, &key.text, "age-estimation", &picture, texts);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["age_estimation"].clone()
    };
    let sqlite = rusqlite::Connection::open(data.path().join("bonafide.db")).unwrap();
    let count = |table: &str| -> i64 {
        sqlite.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0)).unwrap()
    };

    let outcome = estimated(&[("outcome_only", "true"), ("age_estimation_decline_threshold", "1")]);
    // Without a liveness model the age still stands, but nobody is approved by it alone.
    let status = if outcome["score"].is_null() { "In Review" } else { "Approved" };
    assert_eq!((&outcome["outcome"], &outcome["status"]), (&json!("over"), &json!(status)), "{outcome}");
    for personal in ["age_estimation", "age_interval", "user_image"] {
        assert!(outcome[personal].is_null(), "{personal}: {outcome}");
    }
    assert_eq!((count("sessions"), count("objects"), count("face_templates")), (1, 0, 0));

    let full = estimated(&[("save_api_request", "false")]);
    let years = full["age_estimation"].as_f64().unwrap();
    let near = (years.round() as i32).to_string();
    let unsaved = ("save_api_request", "false");
    let doubt =
        [unsaved, ("age_estimation_decline_threshold", near.as_str()), ("age_estimation_buffer", "7")];
    let uncertain = estimated(&doubt);
    assert_eq!((&uncertain["outcome"], &uncertain["status"]), (&json!("uncertain"), &json!("In Review")));
    let under = estimated(&[unsaved, ("age_estimation_decline_threshold", "100")]);
    assert_eq!((&under["outcome"], &under["status"]), (&json!("under"), &json!("Declined")));
}
