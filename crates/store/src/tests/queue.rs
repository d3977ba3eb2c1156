//! Each job ends once, whatever happens to workers.

use super::{Bench, on_both_engines};
use crate::rows::jobs::NewJob;
use crate::{ApplicationId, Error, Store};
use serde_json::json;
use std::collections::HashSet;

on_both_engines!(
    workers_that_race_share_the_jobs_without_overlap,
    a_lease_that_ran_out_makes_the_job_ready_and_its_holder_powerless,
    a_unique_job_is_queued_once,
    a_dead_job_stays_visible_and_can_be_revived,
    a_job_of_a_failed_transaction_does_not_exist,
);

async fn enqueue(store: &Store, application: ApplicationId, unique: Option<&'static str>) -> bool {
    store
        .write(move |tx| {
            let run_at = tx.now();
            let job = NewJob {
                application,
                queue: "cpu",
                kind: "test",
                payload: json!({ "n": 1 }),
                unique_key: unique,
                run_at,
            };
            tx.enqueue(&job)
        })
        .await
        .expect("queued")
        .is_some()
}

async fn workers_that_race_share_the_jobs_without_overlap(bench: Bench) {
    let id = bench.application().await.id;
    for _ in 0..60 {
        enqueue(&bench.store, id, None).await;
    }
    let workers = (0..8).map(|_| async {
        let mut taken = Vec::new();
        loop {
            let jobs = bench.store.write(|tx| tx.lease_jobs("cpu", 3, 60)).await.expect("lease");
            if jobs.is_empty() {
                return taken;
            }
            for job in jobs {
                taken.push(job.id);
                assert!(bench.store.write(move |tx| tx.complete_job(&job)).await.expect("complete"));
            }
        }
    });
    let taken: Vec<_> = futures_util::future::join_all(workers).await.concat();
    assert_eq!(taken.len(), 60);
    assert_eq!(taken.iter().collect::<HashSet<_>>().len(), 60);
}

async fn a_lease_that_ran_out_makes_the_job_ready_and_its_holder_powerless(bench: Bench) {
    let store = &bench.store;
    enqueue(store, bench.application().await.id, None).await;
    let first = store.write(|tx| tx.lease_jobs("cpu", 1, 60)).await.expect("lease").remove(0);
    let renewed = first.clone();
    bench.clock.advance_seconds(50);
    assert!(store.write(move |tx| tx.renew_job(&renewed, 60)).await.expect("renew"));
    bench.clock.advance_seconds(50);
    assert!(store.write(|tx| tx.lease_jobs("cpu", 1, 60)).await.expect("lease").is_empty());
    bench.clock.advance_seconds(11);
    let second = store.write(|tx| tx.lease_jobs("cpu", 1, 60)).await.expect("lease").remove(0);
    assert_eq!((second.id, second.attempts), (first.id, 2));
    for ended in [
        store
            .write({
                let job = first.clone();
                move |tx| tx.complete_job(&job)
            })
            .await,
        store
            .write({
                let job = first.clone();
                move |tx| tx.renew_job(&job, 60)
            })
            .await,
        store
            .write({
                let job = first.clone();
                move |tx| tx.retry_job(&job, super::START, "late")
            })
            .await,
        store
            .write({
                let job = first.clone();
                move |tx| tx.bury_job(&job, "late")
            })
            .await,
    ] {
        assert!(!ended.expect("answered"), "the first holder can do nothing any more");
    }
    assert!(store.write(move |tx| tx.complete_job(&second)).await.expect("complete"));
}

async fn a_unique_job_is_queued_once(bench: Bench) {
    let id = bench.application().await.id;
    assert!(enqueue(&bench.store, id, Some("session-1")).await);
    assert!(!enqueue(&bench.store, id, Some("session-1")).await);
    let job = bench.store.write(|tx| tx.lease_jobs("cpu", 1, 60)).await.expect("lease").remove(0);
    assert!(!enqueue(&bench.store, id, Some("session-1")).await, "it runs");
    bench.store.write(move |tx| tx.complete_job(&job)).await.expect("complete");
    assert!(enqueue(&bench.store, id, Some("session-1")).await);
}

async fn a_dead_job_stays_visible_and_can_be_revived(bench: Bench) {
    let id = bench.application().await.id;
    let store = &bench.store;
    enqueue(store, id, Some("u")).await;
    let job = store.write(|tx| tx.lease_jobs("cpu", 1, 60)).await.expect("lease").remove(0);
    let retried = job.clone();
    assert!(
        store
            .write(move |tx| {
                let at = tx.now();
                tx.retry_job(&retried, at, "first")
            })
            .await
            .expect("retry")
    );
    let job = store.write(|tx| tx.lease_jobs("cpu", 1, 60)).await.expect("lease").remove(0);
    assert_eq!(job.last_error.as_deref(), Some("first"));
    assert!(store.write(move |tx| tx.bury_job(&job, "gave up")).await.expect("bury"));
    bench.clock.advance_seconds(1000);
    assert!(store.write(|tx| tx.lease_jobs("cpu", 1, 60)).await.expect("lease").is_empty());
    let dead = store.read(move |tx| tx.dead_jobs(id, 10)).await.expect("dead");
    assert_eq!((dead.len(), dead[0].attempts, dead[0].last_error.as_deref()), (1, 2, Some("gave up")));
    assert_eq!(store.read(|tx| tx.count_jobs()).await.expect("count"), (vec![], 1));
    let job = dead[0].id;
    assert!(store.write(move |tx| tx.revive_job(id, job)).await.expect("revive"));
    assert_eq!(store.write(|tx| tx.lease_jobs("cpu", 1, 60)).await.expect("lease").len(), 1);
}

async fn a_job_of_a_failed_transaction_does_not_exist(bench: Bench) {
    let application = bench.application().await.id;
    let failed = bench
        .store
        .write(move |tx| {
            let run_at = tx.now();
            tx.enqueue(&NewJob {
                application,
                queue: "cpu",
                kind: "test",
                payload: json!({}),
                unique_key: None,
                run_at,
            })?;
            Err::<(), _>(Error::Stale)
        })
        .await;
    assert!(failed.is_err());
    assert!(bench.store.write(|tx| tx.lease_jobs("cpu", 1, 60)).await.expect("lease").is_empty());
}
