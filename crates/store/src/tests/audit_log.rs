//! Any later change to the log shows.

use super::{Bench, on_both_engines};
use crate::audit::{Checkpoint, Entry, Report};
use crate::{Dialect, Error, Store};

on_both_engines!(
    an_untouched_log_verifies_and_cannot_be_changed_by_statements,
    every_kind_of_change_is_found,
    an_act_that_cannot_be_logged_does_not_happen,
);

async fn acts(bench: &Bench, count: usize) {
    for n in 0..count {
        bench
            .store
            .write(move |tx| {
                tx.audit(&Entry {
                    actor: "key:1",
                    action: "session.read",
                    object: &format!("session:{n}"),
                    request: Some("r"),
                    details: (n % 2 == 0).then(|| serde_json::json!({ "n": n })),
                    ..Default::default()
                })
            })
            .await
            .expect("logged");
    }
}

async fn an_untouched_log_verifies_and_cannot_be_changed_by_statements(bench: Bench) {
    acts(&bench, 20).await;
    let checkpoint = bench.store.audit_checkpoint().await.expect("checkpoint");
    acts(&bench, 5).await;
    let report = bench.store.verify_audit(Some(checkpoint)).await.expect("verify");
    assert!(report.ok && report.checkpoint_used, "{report:?}");
    assert_eq!(report.entries, 25);
    for sql in ["DELETE FROM audit_log", "UPDATE audit_log SET actor = 'x'"] {
        assert!(bench.store.write(move |tx| tx.execute(sql, &[])).await.is_err(), "{sql}");
    }
}

/// Takes the guards off, as an administrator of the database could, and changes the log.
async fn tamper(store: &Store, sql: &'static str) {
    let dialect = store.dialect();
    store
        .write(move |tx| {
            if dialect == Dialect::Sqlite {
                tx.execute("DROP TRIGGER IF EXISTS audit_log_keeps_rows", &[])?;
                tx.execute("DROP TRIGGER IF EXISTS audit_log_keeps_all", &[])?;
            } else {
                tx.execute("ALTER TABLE audit_log DISABLE TRIGGER ALL", &[])?;
            }
            tx.execute(sql, &[])
        })
        .await
        .expect("tampered");
}

async fn verify(store: &Store, checkpoint: &Checkpoint) -> Report {
    store.verify_audit(Some(checkpoint.clone())).await.expect("verify")
}

fn kinds(report: &Report) -> Vec<&'static str> {
    let mut kinds: Vec<_> = report.problems.iter().map(|problem| problem.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

async fn every_kind_of_change_is_found(bench: Bench) {
    let store = &bench.store;
    // One connection, so that the rows are in one strand.
    store
        .write(|tx| {
            for n in 0..30 {
                tx.audit(&Entry { actor: "a", action: "b", object: &n.to_string(), ..Default::default() })?;
            }
            Ok::<_, Error>(())
        })
        .await
        .expect("logged");
    let checkpoint = store.audit_checkpoint().await.expect("checkpoint");
    assert!(verify(store, &checkpoint).await.ok);
    let columns = [
        (
            "UPDATE audit_log SET at = at + 1 WHERE sequence = 5",
            "UPDATE audit_log SET at = at - 1 WHERE sequence = 5",
        ),
        (
            "UPDATE audit_log SET actor = 'c' WHERE sequence = 5",
            "UPDATE audit_log SET actor = 'a' WHERE sequence = 5",
        ),
        (
            "UPDATE audit_log SET action = 'c' WHERE sequence = 5",
            "UPDATE audit_log SET action = 'b' WHERE sequence = 5",
        ),
        (
            "UPDATE audit_log SET outcome = 'no' WHERE sequence = 5",
            "UPDATE audit_log SET outcome = 'ok' WHERE sequence = 5",
        ),
        (
            "UPDATE audit_log SET details = '' WHERE sequence = 5",
            "UPDATE audit_log SET details = NULL WHERE sequence = 5",
        ),
        (
            "UPDATE audit_log SET request_id = '' WHERE sequence = 5",
            "UPDATE audit_log SET request_id = NULL WHERE sequence = 5",
        ),
        (
            "UPDATE audit_log SET application_id = '' WHERE sequence = 5",
            "UPDATE audit_log SET application_id = NULL WHERE sequence = 5",
        ),
    ];
    for (change, undo) in columns {
        tamper(store, change).await;
        let report = verify(store, &checkpoint).await;
        assert_eq!(kinds(&report), ["changed"], "{change}");
        assert_eq!(report.problems[0].sequence, 5);
        tamper(store, undo).await;
        assert!(verify(store, &checkpoint).await.ok, "{undo}");
    }
    // Reorder: two rows change places.
    tamper(store, "UPDATE audit_log SET sequence = 1000 - sequence WHERE sequence IN (10, 11)").await;
    tamper(store, "UPDATE audit_log SET sequence = CASE sequence WHEN 990 THEN 11 ELSE 10 END WHERE sequence IN (990, 989)").await;
    assert_eq!(kinds(&verify(store, &checkpoint).await), ["changed"]);
    tamper(store, "UPDATE audit_log SET sequence = 1000 - sequence WHERE sequence IN (10, 11)").await;
    tamper(store, "UPDATE audit_log SET sequence = CASE sequence WHEN 990 THEN 11 ELSE 10 END WHERE sequence IN (990, 989)").await;
    assert!(verify(store, &checkpoint).await.ok);
    // Delete inside.
    tamper(store, "DELETE FROM audit_log WHERE sequence = 20").await;
    assert_eq!(kinds(&verify(store, &checkpoint).await), ["missing"]);
    // Cut off the end: only the checkpoint knows.
    tamper(store, "DELETE FROM audit_log WHERE sequence > 18").await;
    assert!(store.verify_audit(None).await.expect("verify").ok);
    let report = verify(store, &checkpoint).await;
    assert_eq!(kinds(&report), ["truncated"], "{report:?}");
    // Cut off and grown again to the same length, by someone who has the program: the checkpoint knows.
    tamper(store, "DELETE FROM audit_log").await;
    assert_eq!(kinds(&verify(store, &checkpoint).await), ["truncated"]);
}

async fn an_act_that_cannot_be_logged_does_not_happen(bench: Bench) {
    let dialect = bench.store.dialect();
    bench
        .store
        .write(move |tx| {
            let sql = if dialect == Dialect::Sqlite {
                "CREATE TRIGGER no_more BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'no'); END"
            } else {
                "CREATE TRIGGER no_more BEFORE INSERT ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_grows()"
            };
            tx.execute(sql, &[])
        })
        .await
        .expect("log refuses from now on");
    let result = bench
        .store
        .write(|tx| {
            tx.count_up("n", 60, 1)?;
            // Even a caller that ignores the error writes nothing.
            drop(tx.audit(&Entry { actor: "a", action: "b", object: "c", ..Default::default() }));
            Ok::<_, Error>(())
        })
        .await;
    assert!(result.is_err());
    assert_eq!(bench.store.read(|tx| tx.count_of("n", 60)).await.expect("count"), 0);
}
