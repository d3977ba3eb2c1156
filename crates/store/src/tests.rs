//! The one suite, run on both engines.

mod audit_log;
mod crash;
mod erasure;
mod keys;
mod queue;
mod rows;
mod s3;
mod transactions;

use crate::testing::PostgresServer;
use crate::{
    Application, Config, Pii, Result, SeededRandom, Session, SessionId, Store, SubjectId, SubjectKey,
    TestClock, Time, Tx,
};
use std::future::Future;
use std::sync::Arc;

/// 2026-01-01T00:00:00Z.
const START: Time = Time::from_seconds(1_767_225_600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// A store of a test's own.
pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) config: Config,
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    /// An application, with its keys.
    pub(crate) async fn application(&self) -> Application {
        self.store
            .write(|tx| tx.create_application("Test", "live", serde_json::json!({})))
            .await
            .expect("application")
    }
}

/// Runs a test on an engine; without PostgreSQL, says so and returns.
pub(crate) fn run<F: Future<Output = ()>>(on: On, test: impl FnOnce(Bench) -> F) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let clock = Arc::new(TestClock::at(START));
    let mut config = Config::in_folder(folder.path().join("data"));
    config.clock = Arc::clone(&clock) as _;
    config.random = Arc::new(SeededRandom::new(7));
    config.writers = 4;
    config.readers = 2;
    if on == On::Postgres {
        let Some(server) = PostgresServer::shared() else {
            println!("skipped: no postgresql");
            return;
        };
        config.database_url = Some(server.new_database().expect("database"));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    runtime.block_on(async {
        let store = Store::open(config.clone()).await.expect("store");
        let open = store.clone();
        test(Bench { store, clock, config, folder }).await;
        open.close().await;
    });
}

/// Instantiates tests on both engines.
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $test() { crate::tests::run(crate::tests::On::Sqlite, super::$test); })+
        }
        mod on_postgres {
            $(#[test] fn $test() { crate::tests::run(crate::tests::On::Postgres, super::$test); })+
        }
    };
}
pub(crate) use on_both_engines;

/// A session with everything set that a row needs.
pub(crate) fn new_session(
    tx: &mut Tx<'_>,
    application: &Application,
    subject: SubjectId,
    key: SubjectKey,
) -> Result<Session> {
    let id: SessionId = tx.new_id();
    let number = tx.sessions(application.id).next_number()?;
    let now = tx.now();
    Ok(Session {
        application: application.id,
        id,
        number,
        token_hash: crate::sha256(id.to_string().as_bytes()),
        kind: "user".to_owned(),
        service: None,
        subject,
        vendor_index: None,
        workflow: None,
        status: "Not Started".to_owned(),
        features: vec!["ID_VERIFICATION".to_owned()],
        language: Some("en".to_owned()),
        country: None,
        document_type: None,
        details: Pii(serde_json::json!({ "vendor_data": "canary-vendor", "metadata": { "n": 1 } })),
        state: Pii(serde_json::json!({ "step": 0 })),
        decision: None,
        last_event: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        expires_at: now.plus_seconds(604_800),
        decided_at: None,
        key,
    })
}

/// What a `POST /v3/session/` does: subject, session, event and audit row in one transaction.
pub(crate) fn create_session(tx: &mut Tx<'_>, application: &Application) -> Result<Session> {
    let (subject, key) = tx.subjects(application.id).create("user")?;
    let mut session = new_session(tx, application, subject, key)?;
    let payload = serde_json::json!({ "status": session.status, "name": "canary-payload" });
    tx.events(application.id).append(&mut session, "status.updated", &payload)?;
    tx.sessions(application.id).insert(&session)?;
    tx.audit(&crate::audit::Entry {
        application: Some(application.id),
        actor: "key:test",
        action: "session.create",
        object: &format!("session:{}", session.id),
        ..Default::default()
    })?;
    Ok(session)
}
