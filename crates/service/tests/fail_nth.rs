//! T04: the n-th write, sync, rename, commit or sealing fails during one whole session, for every n.
//!
//! After each failure the session is in the old state or the new one, the
//! service still answers, and the audit log holds.

mod walk;

use service::{Engines, Service};
use store::{Config, Store, fail};
use workflow::Step;

/// One person from start to submission; `None` when a step was refused or failed.
async fn walk_through(service: &Service, key: &str) -> Option<String> {
    let token = walk::start(service, key).await?;
    walk::hand_in(service, &token).await?;
    Some(token)
}

#[tokio::test(flavor = "multi_thread")]
async fn t04_after_any_single_failure_the_state_is_whole() {
    // A test of this crate has no program that could be started as a decoder.
    decoder::use_this_process();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Config::in_folder(folder.path())).await.unwrap();
    let service =
        Service::new(store, Engines::open(&folder.path().join("no-models")).unwrap(), folder.path());
    let ready = service.make_ready("test").await.unwrap();
    let key = service.create_key(ready.application, "test", Vec::new()).await.unwrap().api_key;

    let mut reached = std::collections::BTreeSet::new();
    let mut failures = 0;
    for nth in 1..400 {
        fail::arm(nth);
        let walked = walk_through(&service, &key).await;
        reached.extend(fail::reached());
        let injected = fail::disarm();
        if injected {
            failures += 1;
        } else {
            assert!(walked.is_some(), "nothing was made to fail, yet the session did not go through");
            break;
        }
        // The next session goes through: nothing is stuck.
        let token = walk_through(&service, &key).await.expect("after a failure the next session works");
        assert_eq!(service.view(&token).await.unwrap().unwrap().step, Step::Waiting);
    }
    assert!(failures >= 20, "only {failures} failures were injected");
    for point in ["database.commit", "audit.append", "seal.encrypt", "blob.write", "blob.sync", "blob.rename"]
    {
        assert!(reached.contains(point), "{point} was never reached: {reached:?}");
    }
    // Every session is at a step that its captures explain, and the log holds.
    let access = service.authenticate(&key).await.unwrap().unwrap();
    let (count, _) = service
        .list(&access, &service::sessions::Filter { limit: 200, ..Default::default() }, "")
        .await
        .unwrap();
    assert!(count >= failures);
    let report = service.store().verify_audit(None).await.unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let garbage = service.store().collect_orphans(std::time::Duration::ZERO).await.unwrap();
    assert!(garbage.orphans < u64::try_from(failures).unwrap(), "{garbage:?}");
}
