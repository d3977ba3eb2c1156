//! What a transaction promises.

use super::{Bench, create_session, on_both_engines};
use crate::{Error, Store};

on_both_engines!(
    every_named_statement_is_accepted_by_the_engine,
    an_error_undoes_the_writes_of_its_closure_alone,
    a_panic_undoes_the_writes_of_its_closure_alone,
    a_failed_statement_breaks_the_transaction_even_when_it_is_ignored,
    many_transactions_at_once_are_all_there,
    a_read_transaction_cannot_write,
    a_store_opens_again_and_has_made_nothing_new,
    a_wrong_root_key_is_refused,
    the_newer_schema_of_a_newer_program_is_refused,
    an_unconfirmed_insert_of_an_existing_row_is_a_conflict,
);

async fn every_named_statement_is_accepted_by_the_engine(bench: Bench) {
    let statements = crate::rows::all_statements();
    assert!(statements.len() > 80, "{}", statements.len());
    bench
        .store
        .write(move |tx| {
            for sql in statements {
                if let Err(failure) = tx.prepare(sql) {
                    panic!("{sql}: {failure} {:?}", std::error::Error::source(&failure));
                }
            }
            Ok::<_, Error>(())
        })
        .await
        .expect("all prepare");
}

async fn sum(store: &Store) -> i64 {
    store.read(|tx| tx.count_of("n", 60)).await.expect("count")
}

async fn an_error_undoes_the_writes_of_its_closure_alone(bench: Bench) {
    let store = &bench.store;
    let writes = (0..20).map(|n| {
        store.write(move |tx| {
            tx.count_up("n", 60, 1)?;
            if n % 2 == 0 { Err(Error::Stale) } else { Ok(()) }
        })
    });
    let done = futures_util::future::join_all(writes).await;
    assert_eq!(done.iter().filter(|result| result.is_ok()).count(), 10);
    assert_eq!(sum(store).await, 10);
}

async fn a_panic_undoes_the_writes_of_its_closure_alone(bench: Bench) {
    let store = &bench.store;
    let bad = store.write(|tx| -> Result<(), Error> {
        tx.count_up("n", 60, 5)?;
        panic!("a defect in a closure");
    });
    let good = store.write(|tx| tx.count_up("n", 60, 1));
    let (bad, good) = tokio::join!(bad, good);
    assert!(matches!(bad, Err(Error::Panicked)));
    good.expect("the neighbour commits");
    assert_eq!(sum(store).await, 1);
}

async fn a_failed_statement_breaks_the_transaction_even_when_it_is_ignored(bench: Bench) {
    let result = bench
        .store
        .write(|tx| {
            tx.count_up("n", 60, 1)?;
            let twice = "INSERT INTO counters (name, window_start, count, expires_at) VALUES ($1, 0, 0, 0)";
            tx.execute(twice, params!["same"])?;
            assert!(tx.execute(twice, params!["same"]).expect_err("exists").is_conflict());
            assert!(matches!(tx.count_up("n", 60, 1), Err(Error::Broken)));
            Ok::<_, Error>(())
        })
        .await;
    assert!(matches!(result, Err(Error::Broken)), "{result:?}");
    assert_eq!(sum(&bench.store).await, 0);
}

async fn many_transactions_at_once_are_all_there(bench: Bench) {
    let application = bench.application().await;
    let store = &bench.store;
    let creates = (0..200).map(|_| {
        let application = application.clone();
        store.write(move |tx| create_session(tx, &application).map(|session| session.number))
    });
    let mut numbers = Vec::new();
    for result in futures_util::future::join_all(creates).await {
        numbers.push(result.expect("created"));
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 200, "numbers are unique");
    let id = application.id;
    let (count, page) = store
        .read(move |tx| tx.sessions(id).list(&crate::rows::sessions::Filter::default(), 50, 0))
        .await
        .expect("list");
    assert_eq!((count, page.len()), (200, 50));
    let report = store.verify_audit(None).await.expect("verify");
    assert!(report.ok, "{report:?}");
    assert_eq!(report.entries, 200);
}

async fn a_read_transaction_cannot_write(bench: Bench) {
    let result = bench.store.read(|tx| tx.count_up("n", 60, 1)).await;
    assert!(matches!(result, Err(Error::Statement(_) | Error::Unavailable(_))), "{result:?}");
    let audited =
        bench.store.read(|tx| tx.audit(&crate::audit::Entry { actor: "x", ..Default::default() })).await;
    assert!(audited.is_err());
}

async fn a_store_opens_again_and_has_made_nothing_new(bench: Bench) {
    assert!(bench.store.created().len() >= 2, "{:?}", bench.store.created());
    for entry in fs_err::read_dir(&bench.config.data_dir).expect("folder") {
        let entry = entry.expect("entry");
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&entry.metadata().expect("metadata").permissions());
        assert!(entry.path().is_dir() || mode & 0o077 == 0, "{} has mode {mode:o}", entry.path().display());
    }
    let application = bench.application().await;
    bench.store.close().await;
    assert!(matches!(bench.store.read(|tx| tx.applications()).await, Err(Error::Closed)));
    let again = Store::open(bench.config.clone()).await.expect("opens again");
    assert!(again.created().is_empty(), "{:?}", again.created());
    let found = again.read(|tx| tx.applications()).await.expect("applications");
    assert_eq!(found, vec![application]);
    again.close().await;
}

async fn a_wrong_root_key_is_refused(bench: Bench) {
    bench.store.close().await;
    let key_file = bench.config.data_dir.join("root.key");
    fs_err::rename(&key_file, bench.folder.path().join("kept")).expect("moved");
    let missing = Store::open(bench.config.clone()).await;
    assert!(matches!(missing, Err(Error::RootKey(_))), "{missing:?}");
    let mut config = bench.config.clone();
    config.root_key = crate::RootKey::Given(crate::Key::from_hex(&"ab".repeat(32)).expect("key"));
    let wrong = Store::open(config).await;
    assert!(matches!(wrong, Err(Error::RootKey(_))), "{wrong:?}");
    fs_err::copy(bench.folder.path().join("kept"), &key_file).expect("copied back");
    fs_err::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("mode");
    let open_to_all = Store::open(bench.config.clone()).await;
    assert!(matches!(open_to_all, Err(Error::RootKey(_))), "{open_to_all:?}");
}

async fn the_newer_schema_of_a_newer_program_is_refused(bench: Bench) {
    bench
        .store
        .write(|tx| tx.execute("INSERT INTO migrations (version, applied_at) VALUES (9999, 0)", &[]))
        .await
        .expect("written");
    bench.store.close().await;
    let newer = Store::open(bench.config.clone()).await;
    assert!(matches!(newer, Err(Error::Newer { found: 9999, .. })), "{newer:?}");
}

async fn an_unconfirmed_insert_of_an_existing_row_is_a_conflict(bench: Bench) {
    let application = bench.application().await;
    let id = application.id;
    let session = bench.store.write(move |tx| create_session(tx, &application)).await.expect("created");
    // A deferred insert of PostgreSQL fails at the commit, and the caller hears of it.
    let again = bench.store.write(move |tx| tx.sessions(id).insert(&session)).await;
    assert!(again.expect_err("exists").is_conflict());
}
