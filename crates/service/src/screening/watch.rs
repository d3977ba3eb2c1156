//! Carries list changes to the people who are watched.
//!
//! The worker looks whether a shard of watched people has come to the versions of the index in use; if not, a job
//! asks the index of the people themselves ([`super::people`]) whom the delta may mean and screens those, the
//! ordinary way, against what is known of them. Each person's alerts, the session, its events and the audit row are
//! in one transaction, with those of some others; the shard's watermark moves with the end of the job. A job that
//! died is done again from the start: an alert that is already written has a unique key and is passed over.
//!
//! Whoever is enrolled while a delta is at work has a number above the one the index saw, and is screened once more.

use std::sync::Arc;

use aml::{
    Screener,
    monitor::{self, AlertKind, Known, Seen},
};
use serde_json::{Value, json};
use store::{
    ApplicationId, Pii, SessionId, SubjectId,
    rows::jobs::{Job, NewJob},
};
use workflow::{Event, SessionStatus, transition};

use super::{Asked, Remembered, lists::versions_of, memory, review};
use crate::{
    Service,
    jobs::{self, JobError},
    pool::{PoolError, Work},
    sessions::{audit_session, details_of, status_of, tell_status},
};

/// Takes the changes of the lists through one shard.
pub(crate) const FOLLOW: &str = "aml.follow";
pub(crate) use checks::aml::RESCREEN;

/// How long a job is held on while it writes.
const LEASE_SECONDS: i64 = 120;
/// Waits between two looks at the lists in use.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(1);
/// Looks between two times that those who are no longer watched are forgotten: an hour.
const TIDY_EVERY_ROUNDS: u32 = 3_600;
/// Waits between two times that a job's lease is renewed while the people are read.
const RENEW_EVERY: std::time::Duration = std::time::Duration::from_secs(30);
/// People read at once.
const PAGE: usize = 100;
/// People written at once: their rows are locked until all are written.
const WRITTEN_AT_ONCE: usize = 20;

/// A list and the version of it that is in use; empty where the list is gone.
type ListAt = (String, String);

/// What became known of one person.
#[derive(Debug, Clone)]
struct News {
    session: SessionId,
    asked: Asked,
    /// The screening as it is now, without what was decided before.
    block: Value,
    alerts: Vec<(ListAt, monitor::Alert)>,
}

/// A watched person with what is known of them.
struct Case {
    session: SessionId,
    asked: Asked,
    known: Vec<Remembered>,
}

/// Reads a watched person; `None` when nobody is watched under this id any longer.
fn case_of(
    tx: &mut store::Tx<'_>,
    application: ApplicationId,
    subject: SubjectId,
) -> Result<Option<Case>, store::Error> {
    let Some(watched) = tx.screenings(application).watched_of(subject)?.pop() else { return Ok(None) };
    let Some(person) = tx.subjects(application).find(subject)? else { return Ok(None) };
    // The newest session carries the case.
    let asked = serde_json::from_value(watched.profile.0).map_err(store::Error::Json)?;
    let known = memory::of_person(tx, application, &person.key)?;
    Ok(Some(Case { session: watched.session, asked, known }))
}

/// What a fresh screening says of one person, against what is known.
fn news_of(case: Case, screener: &Screener) -> News {
    let Case { session, asked, known } = case;
    let versions = versions_of(&screener.manifest().lists);
    let at = |entity: &str| {
        let list = entity.split(':').next().unwrap_or_default().to_owned();
        // An alert is written once for each version; an entry whose key names no list has the versions of all.
        let version = versions.get(&list).cloned().unwrap_or_else(|| super::fingerprint(&versions));
        (list, version)
    };
    let block = asked.block(screener, &[]);
    let hits = block["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "a score of 0 to 100")]
    let seen: Vec<Seen<'_>> = hits
        .iter()
        .map(|hit| Seen {
            entity: hit["id"].as_str().unwrap_or_default(),
            fingerprint: memory::fingerprint_of(hit),
            score: hit["match_score"].as_f64().unwrap_or(0.0) as f32,
        })
        .collect();
    let known: Vec<_> = known
        .iter()
        .filter(|remembered| !remembered.gone)
        .map(|remembered| (remembered.entity.as_str(), &remembered.known))
        .collect();
    let profile = asked.settings.profile();
    let fits = |entity: &str| screener.fits(entity, &asked.query, &profile);
    let alerts = monitor::alerts(&known, &seen, seen.len() >= profile.limit, fits);
    let alerts = alerts.into_iter().map(|alert| (at(&alert.entity), alert)).collect();
    News { session, asked, block, alerts }
}

fn kind_name(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::New => "new",
        AlertKind::Changed => "changed",
        AlertKind::Removed => "removed",
    }
}

/// Whether an alert says what is already known: another job was here first.
fn is_known(alert: &monitor::Alert, memory: &[Remembered]) -> bool {
    let known = memory.iter().find(|remembered| remembered.entity == alert.entity && !remembered.gone);
    match alert.kind {
        AlertKind::Removed => known.is_none(),
        AlertKind::New | AlertKind::Changed => {
            known.is_some_and(|remembered| remembered.known.fingerprint == alert.fingerprint)
        }
    }
}

/// Writes what became known of a person: alerts, the session with its block and status, events, audit row.
fn write_news(tx: &mut store::Tx<'_>, application: ApplicationId, news: News) -> Result<(), store::Error> {
    let Some(mut session) = tx.sessions(application).find_for_update(news.session)? else { return Ok(()) };
    if !tx.screenings(application).is_watched(session.id)? {
        return Ok(());
    }
    let memory = memory::of_person(tx, application, &session.key)?;
    let mut told = Vec::new();
    for ((list, version), alert) in news.alerts.iter().filter(|(_, alert)| !is_known(alert, &memory)) {
        let kept = json!({
            "entity": alert.entity, "fingerprint": alert.fingerprint, "score": alert.score, "reopens": alert.reopens,
        });
        let kind = kind_name(alert.kind);
        if tx.screenings(application).alert(
            &session.key,
            (list, version),
            &alert.entity,
            kind,
            session.id,
            &kept,
        )? {
            told.push((list.clone(), version.clone(), alert.clone()));
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    for (_, _, alert) in told.iter().filter(|(_, _, alert)| alert.kind == AlertKind::Removed) {
        let decision = memory
            .iter()
            .find(|remembered| remembered.entity == alert.entity)
            .and_then(|remembered| remembered.known.decision.clone());
        if decision.is_some() {
            let known = Known { fingerprint: alert.fingerprint.clone(), decision };
            let gone = Remembered { entity: alert.entity.clone(), known, gone: true };
            memory::write(tx, application, &session.key, &gone)?;
        } else {
            tx.screenings(application).forget(session.subject, &alert.entity)?;
        }
    }
    let mut block = news.block;
    memory::apply(&mut block, &memory);
    let mut decision = session.decision.take().map(|decision| decision.0).unwrap_or_else(|| json!({}));
    let shown = decision["checks"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .find(|check| check["feature"] == "AML")
        .map(|check| &mut check["block"]);
    if let Some(shown) = shown {
        if !shown["node_id"].is_null() {
            block["node_id"] = shown["node_id"].clone();
        }
        review::resettle(&mut block, &news.asked.settings);
        shown.clone_from(&block);
    }
    memory::remember(tx, application, &session.key, &block)?;
    session.decision = Some(Pii(decision));

    // Only what is open now and was not before asks for another look.
    let open = |entity: &str| {
        block["hits"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|hit| hit["id"] == *entity && hit["review_status"] != "False Positive")
    };
    let asks = told.iter().any(|(_, _, alert)| alert.kind != AlertKind::Removed && open(&alert.entity));
    let worse = match block["status"].as_str() {
        Some("Declined") => Some(SessionStatus::Declined),
        Some("In Review") => Some(SessionStatus::InReview),
        _ => None,
    };
    if asks
        && let Some(to) = worse
        && let Ok(next) = transition(status_of(&session), Event::LearnedLater(to))
    {
        next.as_str().clone_into(&mut session.status);
        tell_status(tx, application, &mut session)?;
    }
    let details = details_of(&session)?;
    for (list, version, alert) in &told {
        let payload = json!({
            "session_id": session.id,
            "webhook_type": "activity.created",
            "activity_type": "AML_ONGOING_MATCH",
            "status": session.status,
            "vendor_data": details.vendor_data,
            "metadata": details.metadata,
            "alert": {
                "kind": kind_name(alert.kind), "hit_id": alert.entity, "match_score": alert.score,
                "reopened": alert.reopens && open(&alert.entity), "list": list, "list_version": version,
            },
        });
        tx.events(application).append(&mut session, "activity.created", &payload)?;
    }
    tx.sessions(application).save(&mut session)?;
    let counted = json!({ "alerts": told.len(), "status": session.status });
    audit_session(tx, application, "system", "aml.alert", session.id, Some(counted))?;
    Ok(())
}

impl Service {
    /// Looks after the lists until `stop` says so.
    pub(crate) async fn follow_until(self, mut stop: tokio::sync::watch::Receiver<bool>) {
        for round in 0_u32.. {
            if *stop.borrow() {
                return;
            }
            if round % TIDY_EVERY_ROUNDS == 0
                && let Err(error) = self.people.tidy(&self.store).await
            {
                tracing::warn!(error = %error, "the watched people could not be read");
            }
            if let Err(error) = self.follow_lists().await {
                tracing::warn!(error = %error, "watched people cannot be compared with the lists");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// Queues a job for every shard that has not come to the lists in use; says how many there are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn follow_lists(&self) -> Result<usize, store::Error> {
        let lists = Arc::clone(&self.lists);
        let screener = tokio::task::spawn_blocking(move || lists.screener()).await;
        let screener = match screener {
            Ok(Ok(Some(screener))) => screener,
            Ok(Ok(None)) => return Ok(0),
            Ok(Err(reason)) => {
                tracing::warn!(reason, "watch-lists cannot be opened");
                return Ok(0);
            }
            Err(error) => {
                tracing::warn!(error = %error, "watch-lists cannot be opened");
                return Ok(0);
            }
        };
        let target = versions_of(&screener.manifest().lists);
        let shards = self.store.read(|tx| tx.screening_shards()).await?;
        let behind: Vec<(ApplicationId, u8)> = shards
            .into_iter()
            .filter(|(_, shard)| shard.enrolled > 0 && shard.versions != target)
            .map(|(application, shard)| (application, shard.shard))
            .collect();
        let count = behind.len();
        if count > 0 {
            self.store
                .write(move |tx| {
                    for (application, shard) in behind {
                        let run_at = tx.now();
                        tx.enqueue(&NewJob {
                            application,
                            queue: jobs::QUEUE,
                            kind: FOLLOW,
                            payload: json!({ "shard": shard }),
                            unique_key: Some(&shard.to_string()),
                            run_at,
                        })?;
                    }
                    Ok::<_, store::Error>(())
                })
                .await?;
        }
        Ok(count)
    }

    fn screener_in_use(&self) -> Result<Arc<Screener>, JobError> {
        match self.lists.screener() {
            Ok(Some(screener)) => Ok(screener),
            Ok(None) => Err(JobError::Lists("no watch-list is loaded".to_owned())),
            Err(reason) => Err(JobError::Lists(reason)),
        }
    }

    async fn on_cores<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, JobError> {
        match self.pool.run(Work::Upkeep, compute).await {
            Ok(computed) => computed.map_err(JobError::Lists),
            Err(PoolError::Busy) => Err(JobError::Busy),
            Err(error) => Err(JobError::Lists(error.to_string())),
        }
    }

    /// Waits for something that may take long without losing the job to another worker.
    async fn holding<T>(
        &self,
        job: &Job,
        work: impl Future<Output = Result<T, JobError>>,
    ) -> Result<T, JobError> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(RENEW_EVERY) => {
                    let held = job.clone();
                    if !self.store.write(move |tx| tx.renew_job(&held, LEASE_SECONDS)).await? {
                        return Err(JobError::LeaseLost);
                    }
                }
            }
        }
    }

    /// Takes the changes of the lists through one shard.
    pub(crate) async fn follow_shard(&self, job: &Job) -> Result<(), JobError> {
        let application = job.application;
        let number = job.payload["shard"].as_u64().and_then(|shard| u8::try_from(shard).ok());
        let Some(number) = number else {
            let job = job.clone();
            self.store.write(move |tx| tx.bury_job(&job, "the shard is not named")).await?;
            return Ok(());
        };
        let screener = self.screener_in_use()?;
        let target = versions_of(&screener.manifest().lists);
        let shard = self
            .store
            .read(move |tx| {
                let shards = tx.screening_shards()?;
                Ok::<_, store::Error>(
                    shards.into_iter().find(|(of, shard)| *of == application && shard.shard == number),
                )
            })
            .await?;
        let Some((_, shard)) = shard else {
            let job = job.clone();
            self.store.write(move |tx| tx.complete_job(&job)).await?;
            return Ok(());
        };
        let versions = (&shard.versions, &target);
        let meant = self.people.meant(
            &self.store,
            &self.pool,
            &self.lists,
            &screener,
            versions,
            (application, number),
        );
        let (meant, seen) = self.holding(job, meant).await?;
        let meant: Vec<SubjectId> = meant.into_iter().collect();
        for page in meant.chunks(PAGE) {
            let page = page.to_vec();
            let cases = self
                .store
                .read(move |tx| {
                    let cases = page.into_iter().map(|subject| case_of(tx, application, subject));
                    cases.filter_map(Result::transpose).collect::<Result<Vec<Case>, store::Error>>()
                })
                .await?;
            let screener = Arc::clone(&screener);
            let news: Vec<News> = self
                .on_cores(move || Ok(cases.into_iter().map(|case| news_of(case, &screener)).collect()))
                .await?;
            let mut news = news.into_iter().filter(|news| !news.alerts.is_empty()).peekable();
            while news.peek().is_some() {
                let some: Vec<News> = news.by_ref().take(WRITTEN_AT_ONCE).collect();
                let held = job.clone();
                self.store
                    .write(move |tx| {
                        if !tx.renew_job(&held, LEASE_SECONDS)? {
                            return Err(JobError::LeaseLost);
                        }
                        for news in some {
                            write_news(tx, application, news)?;
                        }
                        Ok(())
                    })
                    .await?;
            }
        }
        let job = job.clone();
        self.store
            .write(move |tx| {
                let mut shard = tx.screenings(application).lock_shard(number)?;
                for late in tx.screenings(application).watched(number, seen, i64::MAX)? {
                    let once = format!("{} {}", late.subject, late.sequence);
                    let run_at = tx.now();
                    tx.enqueue(&NewJob {
                        application,
                        queue: jobs::QUEUE,
                        kind: RESCREEN,
                        payload: json!({ "subject": late.subject }),
                        unique_key: Some(&once),
                        run_at,
                    })?;
                }
                shard.versions = target;
                tx.screenings(application).save_shard(&shard)?;
                if tx.complete_job(&job)? { Ok(()) } else { Err(JobError::LeaseLost) }
            })
            .await
    }

    /// Screens one watched person again.
    pub(crate) async fn rescreen(&self, job: &Job) -> Result<(), JobError> {
        let application = job.application;
        let subject: Option<SubjectId> = job.payload["subject"].as_str().and_then(|text| text.parse().ok());
        let screener = self.screener_in_use()?;
        let found = match subject {
            None => None,
            Some(subject) => self.store.read(move |tx| case_of(tx, application, subject)).await?,
        };
        let news = match found {
            None => None,
            Some(case) => Some(self.on_cores(move || Ok(news_of(case, &screener))).await?),
        };
        let job = job.clone();
        self.store
            .write(move |tx| {
                if let Some(news) = news {
                    write_news(tx, application, news)?;
                }
                if tx.complete_job(&job)? { Ok(()) } else { Err(JobError::LeaseLost) }
            })
            .await
    }
}
