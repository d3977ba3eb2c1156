//! Acknowledged is durable: processes are killed, and every write and sync is made to fail once.

use super::{Bench, create_session};
use crate::rows::objects::NewObject;
use crate::{Config, Error, Store};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const CHILD: &str = "BONAFIDE_STORE_TEST_CHILD";

/// Body of the child process: creates sessions as fast as it can and prints the id of each acknowledged one.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    runtime.block_on(async {
        let store = Store::open(Config::in_folder(folder)).await.expect("store");
        let application = match store.read(|tx| tx.applications()).await.expect("read").into_iter().next() {
            Some(application) => application,
            None => store
                .write(|tx| tx.create_application("Test", "live", serde_json::json!({})))
                .await
                .expect("application"),
        };
        let writers = (0..16).map(|_| {
            let (store, application) = (store.clone(), application.clone());
            tokio::spawn(async move {
                loop {
                    let application = application.clone();
                    let created =
                        store.write(move |tx| create_session(tx, &application)).await.expect("created");
                    // One write per line, so that a kill leaves no half of one in the pipe.
                    println!("acknowledged {}", created.id);
                }
            })
        });
        futures_util::future::join_all(writers).await;
    });
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("data");
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--exact",
                "tests::crash::child_that_writes_until_it_is_killed",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CHILD, &data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("child");
        let lines = BufReader::new(child.stdout.take().expect("pipe")).lines();
        let mut seen = 0;
        for line in lines {
            let Ok(line) = line else { break };
            // The harness prints without a newline before the first line.
            if let Some((_, id)) = line.split_once("acknowledged ") {
                acknowledged.push(id.to_owned());
                seen += 1;
            }
            // Not at a round number, and then read on what was acknowledged until the kill took hold.
            if seen == 150 + 37 * round {
                child.kill().expect("SIGKILL");
            }
        }
        child.wait().expect("ended");
        assert!(seen >= 150, "the child wrote {seen}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let store = Store::open(Config::in_folder(&data)).await.expect("opens after kills");
        let application = store.read(|tx| tx.applications()).await.expect("read").remove(0).id;
        let missing = store
            .read(move |tx| {
                let mut missing = Vec::new();
                for id in acknowledged {
                    let Ok(session) = id.parse() else { continue };
                    match tx.sessions(application).find(session)? {
                        Some(session) => assert_eq!(tx.events(application).of_session(session.id)?.len(), 1),
                        None => missing.push(id),
                    }
                }
                Ok::<_, Error>(missing)
            })
            .await
            .expect("all open");
        assert!(missing.is_empty(), "lost: {missing:?}");
        let report = store.verify_audit(None).await.expect("verify");
        assert!(report.ok, "{:?}", report.problems);
        let check: String = store
            .read(|tx| tx.query_one("PRAGMA integrity_check", &[], |row| row.get(0)))
            .await
            .expect("integrity check");
        assert_eq!(check, "ok");
        store.close().await;
    });
}

/// What one request does: a file, then rows, event, job and audit row together.
async fn scenario(bench: &Bench, application: &crate::Application) -> Result<crate::SessionId, Error> {
    let id = application.id;
    let owner = application.clone();
    let session = bench.store.write(move |tx| create_session(tx, &owner)).await?;
    let (object, blob) = bench.store.put_blob(&session.key, b"picture".to_vec()).await?;
    let (session_id, removed) = bench
        .store
        .write(move |tx| {
            let new = NewObject {
                id: object,
                session: session.id,
                node_id: None,
                kind: "front",
                blob: &blob,
                content_type: "image/png",
                size_bytes: 7,
                sha256: [1; 32],
                nonce: None,
                details: &serde_json::json!({}),
            };
            let mut session = tx.sessions(id).find_for_update(session.id)?.ok_or(Error::Stale)?;
            tx.objects(id).insert(&new, &session.key)?;
            session.status = "In Progress".to_owned();
            tx.events(id).append(&mut session, "status.updated", &serde_json::json!({}))?;
            tx.sessions(id).save(&mut session)?;
            tx.audit(&crate::audit::Entry {
                actor: "t",
                action: "upload",
                object: "o",
                ..Default::default()
            })?;
            Ok::<_, Error>((session.id, blob))
        })
        .await?;
    bench.store.blobs().delete(&removed).await?;
    Ok(session_id)
}

/// Either the state before or the state after, never half of one.
async fn assert_whole(bench: &Bench, application: &crate::Application) {
    let id = application.id;
    bench
        .store
        .read(move |tx| {
            for session in tx.sessions(id).list(&crate::rows::sessions::Filter::default(), 1000, 0)?.1 {
                let events = tx.events(id).of_session(session.id)?;
                let objects = tx.objects(id).of_session(session.id)?;
                let expected = match session.status.as_str() {
                    "Not Started" => (1, 0),
                    _ => (2, 1),
                };
                assert_eq!(
                    (events.len(), objects.len()),
                    expected,
                    "session {} {}",
                    session.id,
                    session.status
                );
                assert_eq!(session.last_event, i64::try_from(events.len()).unwrap_or(0));
            }
            Ok::<_, Error>(())
        })
        .await
        .expect("all rows open");
    assert!(bench.store.verify_audit(None).await.expect("verify").ok);
}

const FAILING_CHILD: &str = "BONAFIDE_STORE_TEST_FAIL";

/// Body of a process of its own, because fail points are set for a whole process.
#[test]
fn child_in_which_every_point_fails_once() {
    let on = match std::env::var(FAILING_CHILD).as_deref() {
        Ok("sqlite") => super::On::Sqlite,
        Ok("postgres") => super::On::Postgres,
        _ => return,
    };
    super::run(on, |bench| async move {
        let application = bench.application().await;
        let mut reached = std::collections::BTreeSet::new();
        let mut nth = 0;
        loop {
            nth += 1;
            crate::fail::arm(nth);
            let result = scenario(&bench, &application).await;
            reached.extend(crate::fail::reached());
            let failed = crate::fail::disarm();
            assert_eq!(result.is_err(), failed, "failure {nth} is reported: {result:?}");
            assert_whole(&bench, &application).await;
            if !failed {
                break;
            }
            assert!(nth < 500, "ends");
        }
        let missed: Vec<_> = crate::fail::POINTS.iter().filter(|point| !reached.contains(*point)).collect();
        assert!(missed.is_empty(), "fail points never reached: {missed:?}");
        // Files without a row are orphans, and orphans can be collected.
        let report = bench.store.collect_orphans(std::time::Duration::ZERO).await.expect("collected");
        let again = bench.store.collect_orphans(std::time::Duration::ZERO).await.expect("collected");
        assert!(
            report.orphans + report.incoming > 0 && again.orphans + again.incoming == 0,
            "{report:?} {again:?}"
        );
        println!("each of {} passages failed once", nth - 1);
    });
}

fn fail_every_point(engine: &str) {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "tests::crash::child_in_which_every_point_fails_once", "--nocapture"])
        .env(FAILING_CHILD, engine)
        .output()
        .expect("child");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{out}{}", String::from_utf8_lossy(&output.stderr));
    assert!(out.contains("failed once") || out.contains("skipped"), "{out}");
}

#[test]
fn every_write_sync_rename_commit_and_sealing_may_fail_once_on_sqlite() {
    fail_every_point("sqlite");
}

#[test]
fn every_write_sync_rename_commit_and_sealing_may_fail_once_on_postgres() {
    fail_every_point("postgres");
}
