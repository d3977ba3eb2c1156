//! What time does by itself: sessions run out, kept answers and counters are swept, files without a row go.
//!
//! Every worker does it; each change is a transaction of its own that looks at
//! the row again, so that two workers do nothing twice and a person who acts
//! at the last moment is not cut off by a stale look.

use std::time::Duration;

use store::{ApplicationId, SessionId};
use workflow::{Event, SessionStatus, transition};

use crate::{
    Service,
    sessions::{audit_session, state_of, status_of, tell_status},
};

/// How often sessions and kept answers are looked at.
const EVERY: Duration = Duration::from_secs(60);
/// Rounds between two looks through the files (a day), and the round of the first one.
const FILES_EVERY_ROUNDS: u32 = 1_440;
const FILES_FIRST_ROUND: u32 = 60;
/// Files without a row stay this long: an upload in progress has its file before its row.
const FILES_AGE: Duration = Duration::from_secs(86_400);
/// Sessions ended in one round and status; the next round goes on.
const MOST_SESSIONS: i64 = 500;

/// What one round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions that ran out.
    pub sessions: u64,
    /// Answers kept for idempotency keys whose day is over.
    pub answers: u64,
    /// Windows of counters that are over.
    pub counters: u64,
}

impl Service {
    /// Keeps house until `stop` says so.
    pub(crate) async fn keep_house_until(self, mut stop: tokio::sync::watch::Receiver<bool>) {
        for round in 0_u32.. {
            if *stop.borrow() {
                return;
            }
            if let Err(error) = self.keep_house().await {
                tracing::warn!(error = %error, "house was not kept");
            }
            if round % FILES_EVERY_ROUNDS == FILES_FIRST_ROUND {
                match self.store.collect_orphans(FILES_AGE).await {
                    Ok(report) if report.orphans + report.incoming > 0 => {
                        tracing::info!(
                            orphans = report.orphans,
                            incoming = report.incoming,
                            "files without a row removed"
                        );
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(error = %error, "files were not looked through"),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// Ends what ran out and sweeps what is over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn keep_house(&self) -> Result<Swept, store::Error> {
        let mut swept = Swept::default();
        for status in [SessionStatus::NotStarted, SessionStatus::InProgress, SessionStatus::Resubmitted] {
            let due = self.store.read(move |tx| tx.sessions_due(status.as_str(), MOST_SESSIONS)).await?;
            for (application, session) in due {
                if self.end_session(application, session).await? {
                    swept.sessions += 1;
                }
            }
        }
        swept.answers = self.store.write(|tx| tx.sweep_idempotency()).await?;
        swept.counters = self.store.write(|tx| tx.sweep_counters()).await?;
        Ok(swept)
    }

    /// Ends one session that ran out; `false` when it is decided, extended or handed in meanwhile.
    async fn end_session(&self, application: ApplicationId, id: SessionId) -> Result<bool, store::Error> {
        let ended = self
            .store
            .write(move |tx| {
                let Some(mut session) = tx.sessions(application).find_for_update(id)? else {
                    return Ok(false);
                };
                if session.expires_at > tx.now() || state_of(&session)?.progress.submitted {
                    return Ok(false);
                }
                let Ok(next) = transition(status_of(&session), Event::TimedOut) else { return Ok(false) };
                next.as_str().clone_into(&mut session.status);
                tell_status(tx, application, &mut session)?;
                tx.sessions(application).save(&mut session)?;
                audit_session(tx, application, "system", "session.time_out", id, None)?;
                Ok::<_, store::Error>(true)
            })
            .await;
        match ended {
            // Another worker was faster.
            Err(store::Error::Stale) => Ok(false),
            other => other,
        }
    }
}
