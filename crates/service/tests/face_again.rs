//! Faces on lists that another recipe enrolled are made anew from the picture they came from; those without one stay out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod walk;

use std::path::PathBuf;

use serde_json::{Value, json};
use service::face_again::Renewed;
use service::face_lists::{Described, Source};
use store::{ApplicationId, EntryId, Pii, rows::lists::ListedFace};
use workflow::Capture;

/// A picture with a face from the test data, where it and the models are at hand.
fn at_hand() -> Option<(PathBuf, Vec<u8>)> {
    let data = std::env::var_os("BONAFIDE_TESTDATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let Ok(picture) = std::fs::read(data.join("documents/faces_london/001_neutral.jpg")) else {
        eprintln!("skipped: no test data");
        return None;
    };
    let models = inference::Models::default_dir();
    if inference::Models::open(&models).ok().and_then(|m| face::Engine::open(&m).ok()).is_none() {
        eprintln!("skipped: no models");
        return None;
    }
    Some((models, picture))
}

async fn entry(store: &store::Store, application: ApplicationId, id: EntryId) -> ListedFace {
    let all = store.read(move |tx| tx.lists(application).faces(None, 10)).await.unwrap();
    all.into_iter().find(|entry| entry.id == id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_faces_of_an_older_recipe_are_made_anew_where_their_picture_is_kept() {
    let Some((models, picture)) = at_hand() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (service, _, key) = walk::service_with(folder.path(), &models).await.unwrap();
    let access = service.authenticate(&key).await.unwrap().unwrap();
    let (application, store) = (access.application, service.store());

    // One face from a session, whose selfie is kept; one from a picture, of which only the template is.
    let token = walk::start(&service, &key).await.unwrap();
    walk::until_selfie(&service, &token).await.unwrap();
    service.capture(&token, Capture::Selfie, picture.clone(), "upload").await.unwrap();
    let session = store.read(move |tx| tx.session_by_token(&token)).await.unwrap().unwrap().id;
    let list = service.face_blocklist(&access).await.unwrap();
    let mut ids = Vec::new();
    for source in [Source::Session(session), Source::Picture(picture)] {
        let described = Described { display_label: Some("seen before".to_owned()), ..Described::default() };
        let added = service.add_face(&access, list, source, described).await.unwrap();
        ids.push(added["entry_id"].as_str().unwrap().parse::<EntryId>().unwrap());
    }
    let fresh = entry(store, application, ids[0]).await.value;
    assert_eq!(service.renew_faces(application).await.unwrap(), Renewed::default(), "nothing is old yet");

    // As an older recipe would have left them.
    for &id in &ids {
        let listed = entry(store, application, id).await;
        let mut value: Value = listed.value.0.clone();
        value["model"] = json!("older/1");
        value["template"] = json!("AAAA");
        assert!(store.write(move |tx| tx.lists(application).rewrite(&listed, &value)).await.unwrap());
    }
    let counts = service.renew_faces(application).await.unwrap();
    assert_eq!(counts, Renewed { renewed: 1, left: 1 });
    let Pii(renewed) = entry(store, application, ids[0]).await.value;
    assert_eq!(renewed, fresh.0, "model and template are those of today, label and session as they were");
    let Pii(left) = entry(store, application, ids[1]).await.value;
    assert_eq!((&left["model"], &left["template"]), (&json!("older/1"), &json!("AAAA")), "not guessed at");

    // Once more: what was made anew is not touched again.
    assert_eq!(service.renew_faces(application).await.unwrap(), Renewed { renewed: 0, left: 1 });
}
