//! Nothing of an erased person stays, and nothing personal is ever readable in the files.

use super::{Bench, create_session, on_both_engines};
use crate::rows::checks::Check;
use crate::rows::subjects::{Erasure, PERSONAL_TABLES};
use crate::{Error, Pii};
use serde_json::json;

on_both_engines!(
    an_erased_person_leaves_a_tombstone_and_nothing_else,
    a_legal_hold_stops_an_erasure,
    deleting_the_last_session_of_a_nameless_person_erases_them,
);

/// Tables of the schema that have a column.
fn tables_with(column: &str) -> Vec<String> {
    let schema = crate::migrate::schema();
    schema
        .split("CREATE TABLE ")
        .skip(1)
        .filter_map(|table| table.split_once(" ("))
        .filter(|(_, body)| {
            let body = body.split_once(") STRICT;").map_or("", |(columns, _)| columns);
            body.lines().any(|line| line.trim().starts_with(&format!("{column} ")))
        })
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[test]
fn every_table_with_a_subject_is_part_of_an_erasure() {
    let mut known: Vec<_> = PERSONAL_TABLES.to_vec();
    known.extend(["subject_keys", "erasures"]);
    let mut tables = tables_with("subject_id");
    assert!(tables.len() > 8, "{tables:?}");
    tables.retain(|table| !known.contains(&table.as_str()));
    assert!(tables.is_empty(), "not erased: {tables:?}");
}

async fn an_erased_person_leaves_a_tombstone_and_nothing_else(bench: Bench) {
    let application = bench.application().await;
    let id = application.id;
    let session = bench
        .store
        .write(move |tx| {
            let session = create_session(tx, &application)?;
            let check = Check {
                id: tx.new_id(),
                session: session.id,
                subject: session.subject,
                node_id: "ocr".to_owned(),
                feature: "ID_VERIFICATION".to_owned(),
                attempt: 1,
                status: "Approved".to_owned(),
                risks: vec![],
                result: Pii(json!({})),
                created_at: tx.now(),
                updated_at: tx.now(),
            };
            tx.checks(id).insert(&check, &session.key)?;
            tx.reviews(id).add(session.id, &session.key, "user:1", None, "note")?;
            tx.faces(id).enrol(Some(session.id), &session.key, "m", &[1.0])?;
            let list = tx.lists(id).create("l", "custom", "face", false)?;
            tx.lists(id).add(&list, None, &json!({}), Some(session.subject))?;
            tx.dispatch_events(10)?;
            Ok::<_, Error>(session)
        })
        .await
        .expect("written");
    let subject = session.subject;
    let erasure =
        bench.store.write(move |tx| tx.subjects(id).erase(subject, "request")).await.expect("erased");
    let Erasure::Done(erased) = erasure else { panic!("{erasure:?}") };
    assert_eq!(erased.sessions, [session.id]);
    let left = bench
        .store
        .read(move |tx| {
            let mut left = Vec::new();
            for table in tables_with("subject_id") {
                let sql = format!("SELECT COUNT(*) FROM {table} WHERE subject_id = $1");
                let count: i64 = tx.query_one(&sql, params![subject], |row| row.get(0))?;
                if count > 0 {
                    left.push(table);
                }
            }
            assert!(matches!(tx.subject_key(id, subject), Err(Error::NoSubjectKey)));
            Ok::<_, Error>(left)
        })
        .await;
    // The failed look-up of the key is no failed statement: the count stands.
    assert_eq!(left.expect("counted"), ["erasures"]);
    assert!(bench.store.read(move |tx| tx.subjects(id).erased_at(subject)).await.expect("read").is_some());
    assert!(matches!(
        bench.store.write(move |tx| tx.subjects(id).erase(subject, "again")).await,
        Ok(Erasure::Unknown)
    ));
    bench.store.scrub().await.expect("scrubbed");
}

async fn a_legal_hold_stops_an_erasure(bench: Bench) {
    let id = bench.application().await.id;
    let held = bench
        .store
        .write(move |tx| {
            let (mut subject, _) = tx.subjects(id).find_or_create("user", "anna")?;
            subject.legal_hold = Some("case 7".to_owned());
            tx.subjects(id).save(&mut subject)?;
            tx.subjects(id).erase(subject.id, "request")
        })
        .await
        .expect("asked");
    assert!(matches!(held, Erasure::Held(reason) if reason == "case 7"));
    assert!(
        bench
            .store
            .read(move |tx| tx.subjects(id).find_by_vendor("user", "anna"))
            .await
            .expect("read")
            .is_some()
    );
}

async fn deleting_the_last_session_of_a_nameless_person_erases_them(bench: Bench) {
    let application = bench.application().await;
    let id = application.id;
    let session = bench.store.write(move |tx| create_session(tx, &application)).await.expect("created");
    let (session, subject) = (session.id, session.subject);
    assert!(bench.store.write(move |tx| tx.sessions(id).delete(session)).await.expect("deleted").is_some());
    assert!(bench.store.write(move |tx| tx.sessions(id).delete(session)).await.expect("again").is_none());
    assert!(bench.store.read(move |tx| tx.subjects(id).erased_at(subject)).await.expect("read").is_some());
}

#[test]
fn no_planted_name_is_readable_in_any_file_of_the_data_folder() {
    super::run(super::On::Sqlite, |bench| async move {
        let application = bench.application().await;
        let id = application.id;
        let store = bench.store.clone();
        for n in 0..50 {
            let application = application.clone();
            let key = store
                .write(move |tx| {
                    let (mut subject, _) = tx.subjects(id).find_or_create("user", &format!("canary-{n}"))?;
                    subject.profile =
                        Pii(json!({ "vendor_data": format!("canary-{n}"), "name": format!("canary-{n}") }));
                    tx.subjects(id).save(&mut subject)?;
                    let mut session = super::new_session(tx, &application, subject.id, subject.key.clone())?;
                    session.decision = Some(Pii(json!({ "name": "canary-name" })));
                    tx.sessions(id).insert(&session)?;
                    let list = tx.lists(id).create("blocked", "blocklist", "phone", false)?;
                    tx.lists(id).add(&list, Some("canary-phone"), &json!("canary-phone"), None)?;
                    tx.idempotency(id).begin("r", &format!("canary-key-{n}"), b"canary-body", 60)?;
                    tx.idempotency(id).finish(
                        "r",
                        &format!("canary-key-{n}"),
                        200,
                        b"canary-answer",
                        None,
                    )?;
                    Ok::<_, Error>(subject.key)
                })
                .await
                .expect("written");
            store.put_blob(&key, b"canary-picture".repeat(100)).await.expect("blob");
        }
        let mut files = 0;
        let mut folders = vec![bench.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder).expect("folder") {
                let path = entry.expect("entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files += 1;
                    let bytes = fs_err::read(&path).expect("file");
                    assert!(!bytes.windows(6).any(|window| window == b"canary"), "{}", path.display());
                }
            }
        }
        assert!(files > 50, "{files} files");
    });
}
