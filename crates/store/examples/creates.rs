//! Measures durable session creates a second: subject with key, session, event and audit row in one commit.
//!
//! `cargo run --release -p store --features testing --example creates [SECONDS]` prints one JSON object a line,
//! for both engines at 1, 16 and 64 clients. PostgreSQL runs in a folder of its own, with its syncs on.
//! A second argument is a number of audit rows to write first; the time to verify all of them is printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::{Application, Config, Error, Pii, Result, Session, SessionId, Store, Tx};

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5.0);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = tempfile::tempdir()?;
    runtime.block_on(measure("sqlite", Config::in_folder(folder.path().join("sqlite")), seconds))?;
    let server = store::testing::PostgresServer::start(true)?;
    match &server {
        Some(server) => {
            let mut config = Config::in_folder(folder.path().join("postgres"));
            config.database_url = Some(server.new_database()?);
            runtime.block_on(measure("postgres", config, seconds))?;
        }
        None => eprintln!("skipped: no postgresql"),
    }
    Ok(())
}

async fn measure(engine: &str, config: Config, seconds: f64) -> Result<()> {
    let store = Store::open(config).await?;
    let application = store.write(|tx| tx.create_application("bench", "live", serde_json::json!({}))).await?;
    for clients in [1_usize, 16, 64] {
        let (created, micros) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let cpu = cpu_seconds();
        let started = Instant::now();
        let tasks: Vec<_> = (0..clients)
            .map(|_| {
                let (store, application) = (store.clone(), application.clone());
                let (created, micros) = (Arc::clone(&created), Arc::clone(&micros));
                tokio::spawn(async move {
                    while started.elapsed() < Duration::from_secs_f64(seconds) {
                        let application = application.clone();
                        let asked = Instant::now();
                        store.write(move |tx| create(tx, &application)).await?;
                        created.fetch_add(1, Ordering::Relaxed);
                        micros.fetch_add(
                            u64::try_from(asked.elapsed().as_micros()).unwrap_or(0),
                            Ordering::Relaxed,
                        );
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.map_err(|source| Error::Unavailable(Box::new(source)))??;
        }
        let (count, elapsed) = (created.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
        eprintln!(
            "{}",
            serde_json::json!({
                "engine": engine,
                "clients": clients,
                "creates": count,
                "per_second": (count as f64 / elapsed).round(),
                "mean_ms": micros.load(Ordering::Relaxed) as f64 / count as f64 / 1000.0,
                "own_cpu_us_each": (cpu_seconds() - cpu) * 1e6 / count as f64,
            })
        );
    }
    let rows: u64 = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    for chunk in 0..rows.div_ceil(10_000) {
        store
            .write(move |tx| {
                for row in 0..10_000 {
                    let object = format!("session:{chunk}-{row}");
                    tx.audit(&store::audit::Entry {
                        actor: "key:bench",
                        action: "fill",
                        object: &object,
                        ..Default::default()
                    })?;
                }
                Ok::<_, Error>(())
            })
            .await?;
    }
    let started = Instant::now();
    let report = store.verify_audit(None).await?;
    eprintln!(
        "{}",
        serde_json::json!({
            "engine": engine,
            "audit_rows": report.entries,
            "audit_whole": report.ok,
            "verify_seconds": started.elapsed().as_secs_f64(),
        })
    );
    store.close().await;
    Ok(())
}

/// CPU time of this process so far, user and system.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn create(tx: &mut Tx<'_>, application: &Application) -> Result<SessionId> {
    let (subject, key) = tx.subjects(application.id).create("user")?;
    let id: SessionId = tx.new_id();
    let number = tx.sessions(application.id).next_number()?;
    let now = tx.now();
    let mut token = [0; 32];
    tx.random().fill(&mut token);
    let mut session = Session {
        application: application.id,
        id,
        number,
        token_hash: store::sha256(&token),
        kind: "user".to_owned(),
        service: None,
        subject,
        vendor_index: None,
        workflow: None,
        status: "Not Started".to_owned(),
        features: vec!["ID_VERIFICATION".to_owned(), "LIVENESS".to_owned(), "FACE_MATCH".to_owned()],
        language: Some("en".to_owned()),
        country: None,
        document_type: None,
        details: Pii(
            serde_json::json!({ "callback": "https://example.com/done", "metadata": { "plan": "basic" } }),
        ),
        state: Pii(serde_json::json!({ "step": "consent" })),
        decision: None,
        last_event: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        expires_at: now.plus_seconds(604_800),
        decided_at: None,
        key,
    };
    let payload =
        serde_json::json!({ "session_id": id, "status": "Not Started", "webhook_type": "status.updated" });
    tx.events(application.id).append(&mut session, "status.updated", &payload)?;
    tx.sessions(application.id).insert(&session)?;
    tx.audit(&store::audit::Entry {
        application: Some(application.id),
        actor: "key:bench",
        action: "session.create",
        object: &format!("session:{id}"),
        ..Default::default()
    })?;
    Ok(id)
}
