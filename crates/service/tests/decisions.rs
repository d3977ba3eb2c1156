//! What sessions and single checks of specimen people answer, word for word: moving code must not move a decision.
//!
//! Needs the installed models. Ids, links, pictures and measured numbers are left out of the snapshots: they differ from
//! run to run, or from one inference runtime to the other.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod walk;

use std::path::PathBuf;

use serde_json::{Value, json};
use service::{
    Service,
    access::Access,
    sessions::{NewSession, StartAnswer},
    standalone::{Common, FaceMatch, IdVerification, PassiveLiveness, StandaloneError},
    workflows::Saved,
};
use specimen::{Fault, Kind, Portrait, Scene, Spec};
use workflow::{Capture, Definition, Feature};

/// The day of the test clock.
const TODAY: jiff::civil::Date = jiff::civil::date(2026, 1, 1);

struct People {
    models: PathBuf,
    holder: Portrait,
    other: Portrait,
}

/// The people of the demonstration, where the models are installed.
fn people() -> Option<People> {
    let folder = inference::Models::default_dir();
    let models = inference::Models::open(&folder).ok()?;
    let portrait = |name: &str| {
        let bytes = std::fs::read(models.path(name)?).ok()?;
        let pixels = imaging::decode(&bytes, &imaging::Limits::default()).ok()?.pixels;
        let face = models.entry(name)?.parameters.get("face")?.as_array()?;
        let face: Vec<f32> = face.iter().filter_map(|v| v.as_integer().map(|v| v as f32)).collect();
        Some(Portrait::with_face(pixels, <[f32; 4]>::try_from(face).ok()?))
    };
    let people = portrait("portrait-astronaut").zip(portrait("portrait-other"));
    let ready = face::Engine::open(&models).is_ok() && document::Reader::open(&models).is_ok();
    let Some((holder, other)) = people.filter(|_| ready) else {
        assert!(std::env::var_os("CI").is_none(), "the models are not installed");
        eprintln!("skipped: the models are not installed; `cargo xtask test` installs them");
        return None;
    };
    Some(People { models: folder, holder, other })
}

fn passport(people: &People, seed: u64, fault: Option<Fault>) -> Vec<u8> {
    let spec = Spec { fault, ..Spec::new(Kind::Passport, seed, people.holder.clone(), TODAY) };
    let card = specimen::draw(&spec).unwrap();
    let (photo, _) = specimen::photograph(&card.front, &Scene::new(seed));
    imaging::encode_jpeg(&photo, 92)
}

fn selfie(portrait: &Portrait) -> Vec<u8> {
    imaging::encode_jpeg(&specimen::selfie(portrait, 1), 92)
}

/// Leaves out what differs between two runs.
fn redacted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), redacted(value))).collect(),
        Value::Array(items) => items.iter().map(redacted).collect(),
        // Measured: a runtime's rounding moves the last digits.
        Value::Number(number) if number.is_f64() => json!("[number]"),
        Value::String(text) if text.parse::<uuid::Uuid>().is_ok() => json!("[id]"),
        Value::String(text) if text.contains("://") => json!("[link]"),
        Value::String(text) if text.len() > 400 => json!("[long text]"),
        other => other.clone(),
    }
}

/// What a session gave: the decision, and its row in the list.
async fn decided(
    service: &Service,
    access: &Access,
    features: &[Feature],
    pictures: [(Capture, Option<Vec<u8>>); 3],
    expected_details: Option<Value>,
) -> Value {
    let definition = Definition::of(features);
    let saved = Saved { label: "test".to_owned(), is_default: false, definition };
    let workflow = service.create_workflow(access, saved).await.unwrap().id;
    let new = NewSession {
        workflow,
        vendor_data: None,
        callback: None,
        callback_method: "initiator".to_owned(),
        metadata: Some(json!({ "kept": "as it came" })),
        language: None,
        contact_details: None,
        expected_details,
        portrait: None,
    };
    let StartAnswer::Made(answer) = service
        .start(access, new, None, |started| format!("{} {}", started.session, started.token).into_bytes())
        .await
        .unwrap()
    else {
        panic!("a new session was not made")
    };
    let answer = String::from_utf8(answer).unwrap();
    let (session, token) = answer.split_once(' ').unwrap();
    service.consent(token, "en", "text").await.unwrap();
    for (side, picture) in pictures {
        match (side, picture) {
            (side, Some(bytes)) => service.capture(token, side, bytes, "upload").await.unwrap(),
            (Capture::Back, None) if features.contains(&Feature::Ocr) => {
                service.skip_back(token).await.unwrap();
            }
            _ => {}
        }
    }
    service.submit(token).await.unwrap();
    service.run_ready().await.unwrap();
    let session: store::SessionId = session.parse().unwrap();
    let decision = service.decision(access, session, "http://test").await.unwrap().unwrap();
    // All sessions begin at one moment of the test's clock, so the newest is not known by its place.
    let filter = service::sessions::Filter { limit: 200, ..Default::default() };
    let (_, rows) = service.list(access, &filter, "http://test").await.unwrap();
    let row = rows.iter().find(|row| row["session_id"] == json!(session)).unwrap();
    let application = access.application;
    let mut checks =
        service.store().read(move |tx| tx.checks(application).of_session(session)).await.unwrap();
    checks.sort_by(|a, b| a.node_id.cmp(&b.node_id));
    let checks: Vec<Value> = checks
        .iter()
        .map(|check| json!({ "node": check.node_id, "feature": check.feature, "status": check.status, "risks": check.risks, "result": check.result.0 }))
        .collect();
    redacted(&json!({ "decision": decision, "row": row, "kept": checks }))
}

const KYC: [Feature; 3] = [Feature::Ocr, Feature::Liveness, Feature::FaceMatch];

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_specimen_people_are_decided_as_before() {
    let Some(people) = people() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (service, _, key) = walk::service_with(folder.path(), &people.models).await.unwrap();
    let access = service.authenticate(&key).await.unwrap().unwrap();
    let by = |front: Option<Vec<u8>>, selfie: Option<Vec<u8>>| {
        [(Capture::Front, front), (Capture::Back, None), (Capture::Selfie, selfie)]
    };
    let own = selfie(&people.holder);

    let genuine = by(Some(passport(&people, 1, None)), Some(own.clone()));
    insta::assert_json_snapshot!("genuine", decided(&service, &access, &KYC, genuine, None).await);
    let stranger = by(Some(passport(&people, 2, None)), Some(selfie(&people.other)));
    insta::assert_json_snapshot!("stranger", decided(&service, &access, &KYC, stranger, None).await);
    let expired = by(Some(passport(&people, 3, Some(Fault::Expired))), Some(own.clone()));
    let expected = json!({ "first_name": "NOBODY", "gender": "X", "country": "ZZZ" });
    insta::assert_json_snapshot!("expired", decided(&service, &access, &KYC, expired, Some(expected)).await);
    // Neither a chip nor a list is there: those checks go to review, the others stand.
    let everything = by(Some(passport(&people, 4, None)), Some(own.clone()));
    insta::assert_json_snapshot!(
        "everything",
        decided(&service, &access, &Feature::ALL, everything, None).await
    );
    let grey = imaging::encode_jpeg(&imaging::RgbImage::from_pixel(320, 240, [90; 3].into()), 80);
    let nothing = by(Some(grey.clone()), Some(grey.clone()));
    insta::assert_json_snapshot!("nothing", decided(&service, &access, &Feature::ALL, nothing, None).await);
    let returning = by(None, Some(own));
    let features = [Feature::Liveness, Feature::FaceMatch];
    insta::assert_json_snapshot!("returning", decided(&service, &access, &features, returning, None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_models_is_decided_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _, key) = walk::service(folder.path()).await.unwrap();
    let access = service.authenticate(&key).await.unwrap().unwrap();
    let grey = imaging::encode_jpeg(&imaging::RgbImage::from_pixel(320, 240, [90; 3].into()), 80);
    let pictures = [
        (Capture::Front, Some(grey.clone())),
        (Capture::Back, Some(grey.clone())),
        (Capture::Selfie, Some(grey)),
    ];
    let decision = decided(&service, &access, &Feature::ALL, pictures, None).await;
    // The reason names the folder of the models.
    let text = decision.to_string().replace(&folder.path().display().to_string(), "[folder]");
    let decision: Value = serde_json::from_str(&text).unwrap();
    insta::assert_json_snapshot!("without_models", decision);
}

#[tokio::test(flavor = "multi_thread")]
async fn single_checks_of_specimen_people_answer_as_before() {
    let Some(people) = people() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (service, _, key) = walk::service_with(folder.path(), &people.models).await.unwrap();
    let access = service.authenticate(&key).await.unwrap().unwrap();
    let document = |front: Vec<u8>, save: bool| IdVerification {
        front,
        back: None,
        front_password: None,
        back_password: None,
        document_liveness: true,
        minimum_age: Some(99),
        decline_missing_expiry: true,
        decline_invalid_mrz: true,
        decline_inconsistent: true,
        common: Common { save, ..Common::default() },
    };
    for (name, save) in [("single_document", false), ("single_document_saved", true)] {
        let input = document(passport(&people, 1, None), save);
        let answer = service.id_verification(&access, input, "http://test").await.unwrap();
        insta::assert_json_snapshot!(name, redacted(&answer.block));
    }
    let grey = imaging::encode_jpeg(&imaging::RgbImage::from_pixel(320, 240, [90; 3].into()), 80);
    let refused = service.id_verification(&access, document(grey.clone(), false), "").await;
    assert!(matches!(refused, Err(StandaloneError::NoDocument)), "{refused:?}");
    let broken = service.id_verification(&access, document(b"rubbish".to_vec(), false), "").await;
    assert!(matches!(broken, Err(StandaloneError::Picture { field: "front_image", .. })), "{broken:?}");

    for (name, reference) in [("single_match", &people.holder), ("single_mismatch", &people.other)] {
        let input = FaceMatch {
            user: selfie(&people.holder),
            reference: selfie(reference),
            decline_threshold: 30.0,
            rotate: false,
            common: Common { save: true, ..Common::default() },
        };
        let answer = service.face_match(&access, input).await.unwrap();
        insta::assert_json_snapshot!(name, redacted(&answer.block));
    }
    for (name, picture) in [("single_liveness", selfie(&people.holder)), ("single_liveness_of_nobody", grey)]
    {
        let input = PassiveLiveness {
            user: picture,
            decline_threshold: 30.0,
            rotate: false,
            common: Common::default(),
        };
        let answer = service.passive_liveness(&access, input, "http://test").await.unwrap();
        insta::assert_json_snapshot!(name, redacted(&answer.block));
    }
}
