//! What the tables keep and find.

use super::{Bench, create_session, new_session, on_both_engines};
use crate::rows::idempotency::Begin;
use crate::rows::objects::NewObject;
use crate::rows::sessions::Filter;
use crate::rows::traces::NewTrace;
use crate::rows::webhooks::{Destination, Outcome};
use crate::{Error, Pii, Secret, Time, Workflow};
use serde_json::json;

on_both_engines!(
    a_session_reads_back_as_it_was_written,
    another_application_finds_nothing,
    a_session_changed_by_another_is_stale,
    sessions_are_filtered_by_every_condition,
    a_vendor_name_is_one_person_however_many_ask_at_once,
    an_upload_nonce_works_once,
    the_same_picture_is_found_in_other_sessions,
    a_trace_is_found_by_any_part_by_other_persons_of_the_same_application_until_it_is_erased,
    an_api_key_works_until_it_is_revoked,
    the_published_version_of_a_workflow_is_the_one_in_use,
    an_idempotency_key_has_one_effect,
    idempotent_requests_that_race_get_equal_answers,
    events_reach_subscribed_destinations_once,
    checks_consents_reviews_and_faces_read_back,
    list_values_are_found_by_their_normal_form,
    counters_count_within_their_window,
    an_alert_is_written_once_and_goes_with_its_person,
);

async fn a_session_reads_back_as_it_was_written(bench: Bench) {
    let application = bench.application().await;
    let id = application.id;
    let owner = application.clone();
    let written = bench.store.write(move |tx| create_session(tx, &owner)).await.expect("created");
    let session = written.id;
    bench.clock.advance_seconds(5);
    bench
        .store
        .write(move |tx| {
            let mut session = tx.sessions(id).find_for_update(session)?.ok_or(Error::Stale)?;
            session.status = "Approved".to_owned();
            session.decision = Some(Pii(json!({ "status": "Approved" })));
            tx.events(id).append(&mut session, "status.updated", &json!({ "status": "Approved" }))?;
            tx.sessions(id).save(&mut session)
        })
        .await
        .expect("saved");
    let (found, events) = bench
        .store
        .read(move |tx| {
            let found = tx.sessions(id).find(session)?;
            Ok::<_, Error>((found, tx.events(id).of_session(session)?))
        })
        .await
        .expect("read");
    let found = found.expect("is there");
    assert_eq!(found.details, written.details);
    assert_eq!(found.state, written.state);
    assert_eq!(found.number, written.number);
    assert_eq!((found.version, found.last_event, found.status.as_str()), (2, 2, "Approved"));
    assert_eq!(found.updated_at.seconds() - found.created_at.seconds(), 5);
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2]);
    assert!(!format!("{found:?}").contains("canary"), "Debug shows nothing personal");
    let by_token =
        bench.store.read(move |tx| tx.session_by_token(&session.to_string())).await.expect("by token");
    assert_eq!(by_token.expect("found").id, session);
}

async fn another_application_finds_nothing(bench: Bench) {
    let (application, other) = (bench.application().await, bench.application().await.id);
    let owner = application.clone();
    let session = bench.store.write(move |tx| create_session(tx, &owner)).await.expect("created").id;
    let nothing = bench
        .store
        .write(move |tx| {
            let found = tx.sessions(other).find(session)?.is_some();
            let deleted = tx.sessions(other).delete(session)?.is_some();
            let (count, _) = tx.sessions(other).list(&Filter::default(), 10, 0)?;
            Ok::<_, Error>((found, deleted, count))
        })
        .await
        .expect("read");
    assert_eq!(nothing, (false, false, 0));
}

async fn a_session_changed_by_another_is_stale(bench: Bench) {
    let application = bench.application().await;
    let id = application.id;
    let mut mine = bench.store.write(move |tx| create_session(tx, &application)).await.expect("created");
    let mut theirs = mine.clone();
    bench.store.write(move |tx| tx.sessions(id).save(&mut theirs)).await.expect("first writer");
    let second = bench.store.write(move |tx| tx.sessions(id).save(&mut mine)).await;
    assert!(matches!(second, Err(Error::Stale)));
}

async fn sessions_are_filtered_by_every_condition(bench: Bench) {
    let application = bench.application().await;
    let id = application.id;
    let wanted = bench
        .store
        .write(move |tx| {
            for _ in 0..3 {
                create_session(tx, &application)?;
            }
            let (subject, _) = tx.subjects(id).find_or_create("user", "anna@example.com")?;
            let mut session = new_session(tx, &application, subject.id, subject.key)?;
            session.vendor_index = Some(tx.subjects(id).vendor_index("anna@example.com")?);
            session.status = "In Review".to_owned();
            session.country = Some("UTO".to_owned());
            session.document_type = Some("P".to_owned());
            session.service = Some("FACE_MATCH".to_owned());
            session.workflow = Some((tx.new_id(), 2));
            tx.sessions(id).insert(&session)?;
            Ok::<_, Error>(session)
        })
        .await
        .expect("created");
    let one = Filter {
        kind: Some("user".to_owned()),
        statuses: vec!["Approved".to_owned(), "In Review".to_owned()],
        vendor_data: Some("anna@example.com".to_owned()),
        subject: Some(wanted.subject),
        workflow: wanted.workflow.map(|(workflow, _)| workflow),
        from: Some(wanted.created_at),
        until: Some(Time(wanted.created_at.0 + 1)),
        country: Some("UTO".to_owned()),
        document_type: Some("P".to_owned()),
        service: Some(Some("FACE_MATCH".to_owned())),
        number: Some(wanted.number),
    };
    let none = Filter { country: Some("XXX".to_owned()), ..one.clone() };
    let plain = Filter { service: Some(None), ..Filter::default() };
    let counts = bench
        .store
        .read(move |tx| {
            let mut counts = Vec::new();
            for filter in [&one, &none, &plain, &Filter::default()] {
                let (count, page) = tx.sessions(id).list(filter, 10, 0)?;
                assert_eq!(count, page.len() as i64);
                counts.push(count);
            }
            Ok::<_, Error>(counts)
        })
        .await
        .expect("list");
    assert_eq!(counts, [1, 0, 3, 4]);
}

async fn a_vendor_name_is_one_person_however_many_ask_at_once(bench: Bench) {
    let id = bench.application().await.id;
    let store = &bench.store;
    let asks = (0..32).map(|_| store.write(move |tx| tx.subjects(id).find_or_create("user", "anna")));
    let mut people = Vec::new();
    let mut new = 0;
    for result in futures_util::future::join_all(asks).await {
        let (subject, is_new) = result.expect("subject");
        people.push(subject.id);
        new += usize::from(is_new);
    }
    people.dedup();
    assert_eq!((people.len(), new), (1, 1));
    let (count, list) = store.read(move |tx| tx.subjects(id).list("user", 10, 0)).await.expect("list");
    assert_eq!((count, list[0].profile["vendor_data"].as_str()), (1, Some("anna")));
}

async fn an_upload_nonce_works_once(bench: Bench) {
    let application = bench.application().await;
    let id = application.id;
    let session = bench.store.write(move |tx| create_session(tx, &application)).await.expect("created");
    let mut results = Vec::new();
    for _ in 0..2 {
        let (object, blob) = bench.store.put_blob(&session.key, b"picture".to_vec()).await.expect("blob");
        let session = session.clone();
        let details = json!({ "sha256": "x" });
        let inserted = bench
            .store
            .write(move |tx| {
                let object = NewObject {
                    id: object,
                    session: session.id,
                    node_id: Some("ocr"),
                    kind: "front",
                    blob: &blob,
                    content_type: "image/jpeg",
                    size_bytes: 7,
                    sha256: crate::sha256(b"picture"),
                    nonce: Some("nonce-1"),
                    details: &details,
                };
                tx.objects(id).insert(&object, &session.key)
            })
            .await
            .expect("insert");
        results.push(inserted);
    }
    assert_eq!(results, [true, false]);
    let objects = bench.store.read(move |tx| tx.objects(id).of_session(session.id)).await.expect("objects");
    assert_eq!(objects.len(), 1);
    let bytes = bench.store.get_blob(&objects[0]).await.expect("blob").expect("is there");
    assert_eq!(bytes, b"picture");
    // The second blob has no row: an orphan.
    let report = bench.store.collect_orphans(std::time::Duration::ZERO).await.expect("collected");
    assert_eq!((report.blobs, report.orphans), (2, 1));
    assert!(bench.store.get_blob(&objects[0]).await.expect("blob").is_some());
}

async fn the_same_picture_is_found_in_other_sessions(bench: Bench) {
    let application = bench.application().await;
    let id = application.id;
    let blobs = [bench.store.random(), bench.store.random()].map(|random| crate::BlobId::generate(&*random));
    let (first, found) = bench
        .store
        .write(move |tx| {
            let mut sessions = Vec::new();
            for blob in &blobs {
                let session = create_session(tx, &application)?;
                let object = NewObject {
                    id: tx.new_id(),
                    session: session.id,
                    node_id: None,
                    kind: "selfie",
                    blob,
                    content_type: "image/png",
                    size_bytes: 1,
                    sha256: [9; 32],
                    nonce: None,
                    details: &json!({}),
                };
                assert!(tx.objects(id).insert(&object, &session.key)?);
                sessions.push((session.id, session.subject));
            }
            let [first, second] = [sessions[0], sessions[1]];
            let found = tx.objects(id).same_content([9; 32], second.0, second.1, 5)?;
            // A person's own pictures are no reuse.
            assert!(tx.objects(id).same_content([9; 32], second.0, first.1, 5)?.is_empty());
            Ok::<_, Error>((first.0, found))
        })
        .await
        .expect("found");
    assert_eq!(found.iter().map(|(session, _)| *session).collect::<Vec<_>>(), [first]);
}

async fn a_trace_is_found_by_any_part_by_other_persons_of_the_same_application_until_it_is_erased(
    bench: Bench,
) {
    let [application, stranger] = [bench.application().await, bench.application().await];
    let (id, foreign) = (application.id, stranger.id);
    let trace = |parts: [u8; 8], whole: u8| NewTrace {
        kind: "picture",
        parts: parts.map(|part| vec![part]).to_vec(),
        whole: Pii(vec![whole]),
    };
    let (seen, found) = bench
        .store
        .write(move |tx| {
            let session = create_session(tx, &application)?;
            let mine = trace([1, 2, 3, 4, 5, 6, 7, 8], 42);
            tx.traces(id).keep(session.id, &session.key, &mine)?;
            tx.traces(id).keep(session.id, &session.key, &mine)?;
            let other = create_session(tx, &application)?;
            let alike = trace([0, 0, 0, 4, 0, 0, 0, 0], 0);
            let found = tx.traces(id).find(&alike, other.id, other.subject, 5)?;
            // Not to the person, nor when a part stands in another place, nor as another kind, nor elsewhere.
            assert!(tx.traces(id).find(&alike, other.id, session.subject, 5)?.is_empty());
            let moved = trace([4, 0, 0, 0, 0, 0, 0, 0], 0);
            assert!(tx.traces(id).find(&moved, other.id, other.subject, 5)?.is_empty());
            let renamed = NewTrace { kind: "number", ..alike.clone() };
            assert!(tx.traces(id).find(&renamed, other.id, other.subject, 5)?.is_empty());
            assert!(tx.traces(foreign).find(&alike, other.id, other.subject, 5)?.is_empty());
            tx.sessions(id).delete(session.id)?;
            assert!(tx.traces(id).find(&alike, other.id, other.subject, 5)?.is_empty());
            Ok::<_, Error>((session.id, found))
        })
        .await
        .expect("found");
    assert_eq!(found.iter().map(|f| (f.session, f.whole.0.clone())).collect::<Vec<_>>(), [(seen, vec![42])]);
}

async fn an_api_key_works_until_it_is_revoked(bench: Bench) {
    let id = bench.application().await.id;
    let (key, token) = bench
        .store
        .write(move |tx| tx.api_keys(id).create("CI", &["read:sessions".to_owned()], true))
        .await
        .expect("created");
    let token = token.into_inner();
    let text = token.clone();
    let found = bench.store.read(move |tx| tx.api_key_by_token(&text)).await.expect("read").expect("found");
    assert_eq!(
        (found.id, found.scopes.as_slice(), found.revoked_at),
        (key.id, &["read:sessions".to_owned()][..], None)
    );
    bench.store.write(move |tx| tx.api_keys(id).touch(key.id)).await.expect("touched");
    assert!(bench.store.write(move |tx| tx.api_keys(id).revoke(key.id)).await.expect("revoked"));
    assert!(!bench.store.write(move |tx| tx.api_keys(id).revoke(key.id)).await.expect("again"));
    let found = bench.store.read(move |tx| tx.api_key_by_token(&token)).await.expect("read").expect("found");
    assert!(found.revoked_at.is_some() && found.last_used_at.is_some());
}

async fn the_published_version_of_a_workflow_is_the_one_in_use(bench: Bench) {
    let id = bench.application().await.id;
    let (published, newest, default, linked) = bench
        .store
        .write(move |tx| {
            let workflow = Workflow {
                id: tx.new_id(),
                version: 1,
                label: "KYC".to_owned(),
                kind: "kyc".to_owned(),
                status: "published".to_owned(),
                is_default: true,
                is_archived: false,
                link_token: "link".to_owned(),
                settings: json!({ "features": [] }),
                created_by: "system".to_owned(),
                created_at: tx.now(),
                updated_at: tx.now(),
            };
            tx.workflows(id).insert(&workflow)?;
            let draft =
                Workflow { version: 2, status: "draft".to_owned(), is_default: false, ..workflow.clone() };
            tx.workflows(id).insert(&draft)?;
            let other = Workflow { id: tx.new_id(), link_token: "other".to_owned(), ..workflow.clone() };
            tx.workflows(id).insert(&other)?;
            assert_eq!(tx.workflows(id).list()?.len(), 2);
            assert_eq!(tx.workflows(id).versions(workflow.id)?.len(), 2);
            let default = tx.workflows(id).default()?.map(|workflow| workflow.id) == Some(other.id);
            Ok::<_, Error>((
                tx.workflows(id).published(workflow.id)?.map(|workflow| workflow.version),
                tx.workflows(id).newest(workflow.id)?.map(|workflow| workflow.version),
                default,
                tx.workflow_by_link("link")?.map(|(owner, workflow)| (owner == id, workflow.version)),
            ))
        })
        .await
        .expect("workflows");
    assert_eq!((published, newest, default, linked), (Some(1), Some(2), true, Some((true, 1))));
}

async fn an_idempotency_key_has_one_effect(bench: Bench) {
    let id = bench.application().await.id;
    let begin = async |key: &'static str, body: &'static [u8]| {
        bench
            .store
            .write(move |tx| tx.idempotency(id).begin("POST /v3/session/", key, body, 60))
            .await
            .expect("begin")
    };
    assert_eq!(begin("a", b"1").await, Begin::New);
    assert_eq!(begin("a", b"1").await, Begin::InFlight);
    assert_eq!(begin("a", b"2").await, Begin::Mismatch);
    bench.clock.advance_seconds(61);
    assert_eq!(begin("a", b"1").await, Begin::New, "the worker that began it has died");
    bench
        .store
        .write(move |tx| tx.idempotency(id).finish("POST /v3/session/", "a", 201, b"answer", None))
        .await
        .expect("finish");
    assert_eq!(begin("a", b"1").await, Begin::Replay { status: 201, body: b"answer".to_vec() });
    assert_eq!(begin("a", b"2").await, Begin::Mismatch);
    bench.clock.advance_seconds(24 * 3600 + 1);
    assert_eq!(begin("a", b"2").await, Begin::New, "a day later the key is free");
    bench.store.write(move |tx| tx.idempotency(id).abandon("POST /v3/session/", "a")).await.expect("abandon");
    assert_eq!(begin("a", b"3").await, Begin::New);
}

async fn idempotent_requests_that_race_get_equal_answers(bench: Bench) {
    let application = bench.application().await;
    let id = application.id;
    let store = &bench.store;
    let requests = (0..64).map(|_| {
        let application = application.clone();
        store.write(move |tx| match tx.idempotency(id).begin("POST /v3/session/", "key", b"body", 60)? {
            Begin::New => {
                let session = create_session(tx, &application)?;
                let body = session.id.to_string().into_bytes();
                tx.idempotency(id).finish("POST /v3/session/", "key", 201, &body, Some(session.subject))?;
                Ok::<_, Error>(Some(body))
            }
            Begin::Replay { body, .. } => Ok(Some(body)),
            Begin::InFlight => Ok(None),
            Begin::Mismatch => panic!("the body is the same"),
        })
    });
    let mut answers: Vec<Vec<u8>> = Vec::new();
    for result in futures_util::future::join_all(requests).await {
        answers.extend(result.expect("answer"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "all answers are equal");
    let (count, _) =
        store.read(move |tx| tx.sessions(id).list(&Filter::default(), 1, 0)).await.expect("list");
    assert_eq!(count, 1);
}

async fn events_reach_subscribed_destinations_once(bench: Bench) {
    let application = bench.application().await;
    let id = application.id;
    let store = &bench.store;
    let destination = |tx: &crate::Tx<'_>, url: &str, events: &[&str]| Destination {
        id: tx.new_id(),
        label: "x".to_owned(),
        url: url.to_owned(),
        payload_version: "v3".to_owned(),
        is_enabled: true,
        subscribed_events: events.iter().map(|kind| (*kind).to_owned()).collect(),
        secret: Secret::new("s3cret".to_owned()),
        previous_secret: None,
        previous_secret_until: None,
        failing_since: None,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    let wanted = store
        .write(move |tx| {
            let wanted = destination(tx, "https://a.example/", &["status.updated"]);
            let other = destination(tx, "https://b.example/", &["data.updated"]);
            assert!(tx.webhooks(id).insert(&wanted)?);
            assert!(tx.webhooks(id).insert(&other)?);
            let same = destination(tx, "https://b.example/", &[]);
            assert!(!tx.webhooks(id).insert(&same)?, "one per URL");
            create_session(tx, &application)?;
            Ok::<_, Error>(wanted.id)
        })
        .await
        .expect("written");
    assert_eq!(store.write(|tx| tx.dispatch_events(100)).await.expect("dispatch"), 1);
    assert_eq!(store.write(|tx| tx.dispatch_events(100)).await.expect("dispatch"), 0);
    let leased = store.write(|tx| tx.lease_deliveries(10, 30)).await.expect("lease");
    assert_eq!(leased.len(), 1);
    assert!(store.write(|tx| tx.lease_deliveries(10, 30)).await.expect("lease").is_empty(), "leased already");
    let first = leased[0].clone();
    let event = first.event.clone().expect("event");
    assert_eq!(event.payload["name"], "canary-payload");
    assert_eq!(first.destination.as_ref().expect("destination").secret.expose(), "s3cret");
    let leased = first.clone();
    assert!(
        store
            .write(move |tx| {
                let at = tx.now().plus_seconds(5);
                tx.finish_delivery(
                    &leased,
                    &Outcome::Retry { at, status: Some(500), ms: 12, error: "status 500" },
                )
            })
            .await
            .expect("retry")
    );
    assert!(
        store
            .read(move |tx| tx.webhooks(id).find(wanted))
            .await
            .expect("find")
            .expect("there")
            .failing_since
            .is_some()
    );
    assert_eq!(
        store.read(|tx| tx.next_delivery_at()).await.expect("next"),
        Some(super::START.plus_seconds(5))
    );
    bench.clock.advance_seconds(6);
    let again = store.write(|tx| tx.lease_deliveries(10, 30)).await.expect("lease").remove(0);
    assert_eq!((again.delivery.attempts, again.event.as_ref().map(|event| event.id)), (2, Some(event.id)));
    assert!(
        !store
            .write(move |tx| tx.finish_delivery(&first, &Outcome::Delivered { status: 200, ms: 1 }))
            .await
            .expect("late"),
        "the first lease is over"
    );
    assert!(
        store
            .write(move |tx| tx.finish_delivery(&again, &Outcome::Delivered { status: 204, ms: 3 }))
            .await
            .expect("delivered")
    );
    let (summary, list) = store
        .read(move |tx| {
            Ok::<_, Error>((tx.webhooks(id).summary(wanted)?, tx.webhooks(id).deliveries(wanted, 10, 0)?))
        })
        .await
        .expect("summary");
    assert_eq!((summary.total, summary.failed, summary.mean_ms), (1, 0, Some(3)));
    assert_eq!((list[0].state.as_str(), list[0].response_status), ("delivered", Some(204)));
    let delivery = list[0].id;
    assert!(store.write(move |tx| tx.webhooks(id).replay(delivery)).await.expect("replay"));
    assert_eq!(store.write(|tx| tx.lease_deliveries(10, 30)).await.expect("lease").len(), 1);
}

async fn checks_consents_reviews_and_faces_read_back(bench: Bench) {
    use crate::rows::checks::Check;
    use crate::rows::consents::Consent;
    let application = bench.application().await;
    let id = application.id;
    bench
        .store
        .write(move |tx| {
            let session = create_session(tx, &application)?;
            let mut check = Check {
                id: tx.new_id(),
                session: session.id,
                subject: session.subject,
                node_id: "ocr".to_owned(),
                feature: "ID_VERIFICATION".to_owned(),
                attempt: 1,
                status: "Approved".to_owned(),
                risks: vec!["DOCUMENT_EXPIRED".to_owned()],
                result: Pii(json!({ "name": "Anna" })),
                created_at: tx.now(),
                updated_at: tx.now(),
            };
            tx.checks(id).insert(&check, &session.key)?;
            check.status = "Declined".to_owned();
            tx.checks(id).update(&check, &session.key)?;
            let found = tx.checks(id).of_session(session.id)?;
            assert_eq!((found[0].status.as_str(), &found[0].result), ("Declined", &check.result));
            let consent = Consent {
                id: tx.new_id(),
                session: session.id,
                purpose: "biometrics".to_owned(),
                text_version: "1".to_owned(),
                text_sha256: [1; 32],
                language: "de".to_owned(),
                given_at: tx.now(),
                withdrawn_at: None,
            };
            tx.consents(id).give(&consent, &session.key, &json!({ "ip": "192.0.2.1" }))?;
            assert_eq!(tx.consents(id).of_session(session.id)?, vec![consent]);
            assert_eq!(tx.consents(id).withdraw(session.id, "biometrics")?, 1);
            assert!(tx.consents(id).of_session(session.id)?[0].withdrawn_at.is_some());
            tx.reviews(id).add(session.id, &session.key, "user:1", Some("Approved"), "looks right")?;
            assert_eq!(*tx.reviews(id).of_session(session.id)?[0].comment, "looks right");
            tx.faces(id).enrol(Some(session.id), &session.key, "dlib/1", &[0.5, -1.25])?;
            let page = tx.faces(id).page("dlib/1", None, 10)?;
            assert_eq!(*page[0].embedding, vec![0.5, -1.25]);
            assert!(tx.faces(id).page("dlib/1", Some(page[0].id), 10)?.is_empty());
            Ok::<_, Error>(())
        })
        .await
        .expect("all read back");
}

async fn list_values_are_found_by_their_normal_form(bench: Bench) {
    let id = bench.application().await.id;
    bench
        .store
        .write(move |tx| {
            let list = tx.lists(id).create("Blocked documents", "blocklist", "document", true)?;
            let entry = tx.lists(id).add(&list, Some("L898902C3"), &json!({ "value": "L898902C3" }), None)?;
            assert_eq!(
                tx.lists(id).matches("document", "L898902C3")?,
                vec![(list.id, "blocklist".to_owned(), entry)]
            );
            assert!(tx.lists(id).matches("document", "L898902C4")?.is_empty());
            assert!(tx.lists(id).matches("phone", "L898902C3")?.is_empty());
            assert_eq!(tx.lists(id).entries(list.id, 10, 0)?[0].value["value"], "L898902C3");
            assert!(!tx.lists(id).delete(list.id)?, "a system list stays");
            assert!(tx.lists(id).remove(list.id, entry)?);
            assert!(tx.lists(id).matches("document", "L898902C3")?.is_empty());
            Ok::<_, Error>(())
        })
        .await
        .expect("list");
}

async fn counters_count_within_their_window(bench: Bench) {
    let add = async || bench.store.write(|tx| tx.count_up("otp:1", 60, 1)).await.expect("count");
    assert_eq!((add().await, add().await), (1, 2));
    bench.clock.advance_seconds(60);
    assert_eq!(add().await, 1);
    bench.clock.advance_seconds(300);
    assert_eq!(bench.store.write(|tx| tx.sweep_counters()).await.expect("swept"), 2);
}

async fn an_alert_is_written_once_and_goes_with_its_person(bench: Bench) {
    let application = bench.application().await;
    let (id, other) = (application.id, bench.application().await.id);
    let session = bench.store.write(move |tx| create_session(tx, &application)).await.expect("created");
    let (subject, key) = (session.subject, session.key.clone());
    let number = crate::rows::screening::shard_of(subject);
    let (first, second) = bench
        .store
        .write(move |tx| {
            let mut shard = tx.screenings(id).lock_shard(number)?;
            assert_eq!((shard.enrolled, shard.versions.len()), (0, 0));
            tx.screenings(id).watch(&mut shard, &key, session.id, &json!({ "name": "canary" }))?;
            shard.versions.insert("ofac".to_owned(), "1".to_owned());
            tx.screenings(id).save_shard(&shard)?;
            tx.screenings(id).remember(&key, "ofac:1", &json!({ "n": 1 }))?;
            tx.screenings(id).remember(&key, "ofac:1", &json!({ "n": 2 }))?;
            let alert = |tx: &mut crate::Tx<'_>| {
                tx.screenings(id).alert(&key, ("ofac", "2"), "ofac:1", "new", session.id, &json!({}))
            };
            Ok::<_, Error>((alert(tx)?, alert(tx)?))
        })
        .await
        .expect("written");
    assert_eq!((first, second), (true, false));
    let store = bench.store.clone();
    let read = |application| screening_rows(store.clone(), application, subject, number);
    assert_eq!(read(id).await, (1, vec![json!({ "n": 2 })], 1));
    assert_eq!(read(other).await, (0, vec![], 0));
    let shards = store.read(|tx| tx.screening_shards()).await.expect("read");
    assert_eq!((shards.len(), shards[0].1.enrolled), (1, 1));
    store.write(move |tx| tx.subjects(id).erase(subject, "request")).await.expect("erased");
    let left = store.read(move |tx| tx.screenings(id).watched(number, 0, 10)).await.expect("read");
    assert!(left.is_empty());
}

/// Watched people, what is known of them, and alerts of one person.
async fn screening_rows(
    store: crate::Store,
    application: crate::ApplicationId,
    subject: crate::SubjectId,
    number: u8,
) -> (usize, Vec<serde_json::Value>, usize) {
    store
        .read(move |tx| {
            let watched = tx.screenings(application).watched(number, 0, 10)?.len();
            assert_eq!(tx.screenings(application).watched(number, 1, 10)?.len(), 0);
            assert_eq!(
                tx.screenings(application).count_up_to(number, 1)?,
                i64::try_from(watched).expect("few")
            );
            assert_eq!(tx.screenings(application).sequences_up_to(number, 1)?.len(), watched);
            assert_eq!(tx.screenings(application).count_up_to(number, 0)?, 0);
            let known = tx.screenings(application).known_in_shard(number, Time::from_seconds(0))?;
            let later = tx.now().plus_seconds(1);
            assert_eq!(tx.screenings(application).known_in_shard(number, later)?.len(), 0);
            let alerts = match tx.subjects(application).find(subject)? {
                Some(subject) => tx.screenings(application).alerts_of(&subject.key)?.len(),
                None => 0,
            };
            Ok::<_, Error>((watched, known.into_iter().map(|(_, known)| known.0).collect(), alerts))
        })
        .await
        .expect("read")
}
