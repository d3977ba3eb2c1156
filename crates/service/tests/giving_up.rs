//! Checks that cannot end go to review: nobody waits for ever, and nobody is approved by it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod walk;

use std::sync::Arc;

use service::{Service, sessions::Filter};
use store::TestClock;
use workflow::SessionStatus;

struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
    service: Service,
    key: String,
}

/// A service without models, and one person who handed everything in.
async fn submitted() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let (service, clock, key) = walk::service(folder.path()).await.unwrap();
    let token = walk::start(&service, &key).await.unwrap();
    walk::hand_in(&service, &token).await.unwrap();
    Bench { folder, clock, service, key }
}

/// The status of the one session, and what its checks say, as text.
async fn outcome(bench: &Bench) -> (String, String) {
    let access = bench.service.authenticate(&bench.key).await.unwrap().unwrap();
    let (_, rows) =
        bench.service.list(&access, &Filter { limit: 10, ..Filter::default() }, "").await.unwrap();
    let session: store::SessionId = rows[0]["session_id"].as_str().unwrap().parse().unwrap();
    let application = access.application;
    let checks =
        bench.service.store().read(move |tx| tx.checks(application).of_session(session)).await.unwrap();
    let said = checks.iter().map(|check| check.result.0.to_string()).collect();
    (rows[0]["status"].as_str().unwrap().to_owned(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_end_the_worker_are_left_to_a_person() {
    let bench = submitted().await;
    for attempt in 1..=3 {
        // A worker takes the job and is never heard of again.
        let jobs = bench.service.store().write(|tx| tx.lease_jobs("cpu", 1, 120)).await.unwrap();
        assert_eq!(jobs.len(), 1, "attempt {attempt}");
        bench.clock.advance_seconds(121);
    }
    assert_eq!(bench.service.run_ready().await.unwrap(), 1);
    let (status, said) = outcome(&bench).await;
    assert_eq!(status, SessionStatus::InReview.as_str());
    assert!(said.contains("the worker ended during every attempt"), "{said}");
    assert_eq!(bench.service.run_ready().await.unwrap(), 0, "nothing is left in the queue");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_do_not_open_are_left_to_a_person_after_three_attempts() {
    let bench = submitted().await;
    let files = files_below(&bench.folder.path().join("blobs"));
    assert_eq!(files.len(), 2, "front and selfie");
    for file in files {
        std::fs::write(file, b"not what was sealed").unwrap();
    }
    for attempt in 1..=3 {
        assert_eq!(outcome(&bench).await.0, SessionStatus::InProgress.as_str(), "attempt {attempt}");
        assert_eq!(bench.service.run_ready().await.unwrap(), 1, "attempt {attempt}");
        bench.clock.advance_seconds(301);
    }
    let (status, said) = outcome(&bench).await;
    assert_eq!(status, SessionStatus::InReview.as_str());
    assert!(said.contains("sealed value does not open"), "{said}");
    assert_eq!(bench.service.run_ready().await.unwrap(), 0, "nothing is left in the queue");
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            files.extend(files_below(&entry.path()))
        } else {
            files.push(entry.path())
        }
    }
    files
}
