//! Time passes: what ran out ends with its event, what was handed in does not, and what is over is swept.

#![expect(clippy::unwrap_used, reason = "what the test's helpers do not find has failed the test")]

mod walk;

use service::{Service, Swept, sessions::Filter};

async fn statuses(service: &Service, key: &str) -> Vec<String> {
    let access = service.authenticate(key).await.unwrap().unwrap();
    let (_, rows) = service.list(&access, &Filter { limit: 10, ..Filter::default() }, "").await.unwrap();
    // Newest first.
    rows.iter().rev().map(|row| row["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_by_themselves_when_their_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (service, clock, key) = walk::service(folder.path()).await.unwrap();

    walk::start(&service, &key).await.unwrap();
    clock.advance_seconds(1);
    let begun = walk::start(&service, &key).await.unwrap();
    service.consent(&begun, "en", "text").await.unwrap();
    clock.advance_seconds(1);
    let submitted = walk::start(&service, &key).await.unwrap();
    walk::hand_in(&service, &submitted).await.unwrap();
    service.store().write(|tx| tx.count_up("test", 60, 1).map(|_| ())).await.unwrap();

    assert_eq!(service.keep_house().await.unwrap(), Swept::default(), "nothing is over yet");
    clock.advance_seconds(366 * 86_400);
    let swept = service.keep_house().await.unwrap();
    assert_eq!(swept, Swept { sessions: 2, answers: 0, counters: 1 });
    assert_eq!(statuses(&service, &key).await, ["Expired", "Abandoned", "In Progress"]);
    assert_eq!(service.keep_house().await.unwrap(), Swept::default(), "nothing is done twice");

    let access = service.authenticate(&key).await.unwrap().unwrap();
    let id: store::SessionId = {
        let (_, rows) = service.list(&access, &Filter { limit: 10, ..Filter::default() }, "").await.unwrap();
        rows[2]["session_id"].as_str().unwrap().parse().unwrap()
    };
    let application = access.application;
    let events = service.store().read(move |tx| tx.events(application).of_session(id)).await.unwrap();
    let last = events.last().unwrap();
    assert_eq!(last.payload.0["status"], "Expired", "the owner is told");
    assert!(service.consent(&begun, "en", "text").await.is_err(), "an ended session takes nothing more");
    assert_eq!(service.run_ready().await.unwrap(), 1, "what was handed in in time is decided");
    assert_eq!(statuses(&service, &key).await[2], "In Review");
    let report = service.store().verify_audit(None).await.unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}
