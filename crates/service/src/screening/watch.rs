//! Carries list changes to the people who are watched.
//!
//! The worker looks whether a shard of watched people has come to the versions of the index in use; if not, a job
//! takes the delta through an index of the people themselves (in memory only: it holds personal data) and screens
//! those who may be meant, the ordinary way. Each person's alerts, the session, its events and the audit row are
//! one transaction; the shard's watermark moves with the end of the job. A job that died is done again from the
//! start: an alert that is already written has a unique key and is passed over.
//!
//! Whoever is enrolled while a delta is at work has a number above the one the job saw, and is screened once more.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use aml::{
    Entity, Screener,
    lists::Change,
    monitor::{self, AlertKind, CustomerBuilder, Customers, Hits, Known, Standing, standing},
};
use serde_json::{Value, json};
use store::{
    ApplicationId, Pii, SessionId, SubjectId,
    rows::{
        jobs::{Job, NewJob},
        screening::Watched,
    },
};
use workflow::{Event, SessionStatus, transition};

use super::{
    Asked, Remembered,
    lists::{Delta, WatchLists, versions_of},
    memory, review,
};
use crate::{
    Service,
    jobs::{self, JobError},
    pool::PoolError,
    sessions::{audit_session, details_of, status_of, tell_status},
};

/// Takes the changes of the lists through one shard.
pub(crate) const FOLLOW: &str = "aml.follow";
/// Screens one watched person again.
pub(crate) const RESCREEN: &str = "aml.rescreen";
/// How long a job is held on while it writes.
const LEASE_SECONDS: i64 = 120;
/// Waits between two looks at the lists in use.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

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

/// What is known of the watched people of a shard, as the monitor asks for it.
#[derive(Default)]
struct KnownHits {
    known: HashMap<(String, String), Known>,
    people: HashMap<String, Vec<String>>,
}

impl KnownHits {
    fn of(remembered: Vec<(SubjectId, Remembered)>) -> Self {
        let mut hits = Self::default();
        for (subject, remembered) in remembered.into_iter().filter(|(_, remembered)| !remembered.gone) {
            let subject = subject.to_string();
            hits.people.entry(remembered.entity.clone()).or_default().push(subject.clone());
            hits.known.insert((subject, remembered.entity), remembered.known);
        }
        hits
    }
}

impl Hits for KnownHits {
    fn known(&self, person: &str, entity: &str) -> Option<Known> {
        self.known.get(&(person.to_owned(), entity.to_owned())).cloned()
    }

    fn people(&self, entity: &str) -> Vec<String> {
        self.people.get(entity).cloned().unwrap_or_default()
    }
}

/// An index of the people in memory: what is personal is never written to a disk unsealed.
fn index_of(people: &[(String, &Asked)]) -> Result<Customers, String> {
    use std::os::fd::AsRawFd;
    let failed = |error: &dyn std::error::Error| format!("indexing the watched people: {error}");
    let mut builder = CustomerBuilder::new();
    for (subject, asked) in people {
        builder.add(subject, &asked.query).map_err(|error| failed(&error))?;
    }
    let memory = rustix::fs::memfd_create("watched", rustix::fs::MemfdFlags::CLOEXEC)
        .map_err(|error| failed(&error))?;
    let path = std::path::PathBuf::from(format!("/proc/self/fd/{}", memory.as_raw_fd()));
    builder.write(&path).map_err(|error| failed(&error))?;
    // The map keeps the memory after the descriptor is closed.
    Customers::open(&path).map_err(|error| failed(&error))
}

/// The newest watched session of each person: it carries the case.
fn newest(watched: Vec<Watched>) -> Result<BTreeMap<SubjectId, (SessionId, Asked)>, store::Error> {
    watched
        .into_iter()
        .map(|watched| {
            let asked = serde_json::from_value(watched.profile.0).map_err(store::Error::Json)?;
            Ok((watched.subject, (watched.session, asked)))
        })
        .collect()
}

/// Everything that the deltas say about the people of a shard.
fn news_of(
    deltas: &[(ListAt, Arc<Delta>)],
    people: &BTreeMap<SubjectId, (SessionId, Asked)>,
    known: &KnownHits,
    screener: &Screener,
) -> Result<Vec<News>, String> {
    let by_text: HashMap<String, (SessionId, &Asked)> =
        people.iter().map(|(subject, (session, asked))| (subject.to_string(), (*session, asked))).collect();
    // One index for each set of settings: the weights decide who is a hit.
    let mut groups: HashMap<String, Vec<(String, &Asked)>> = HashMap::new();
    for (subject, (_, asked)) in people {
        groups.entry(asked.settings.profile().hash()).or_default().push((subject.to_string(), asked));
    }
    let mut alerts: BTreeMap<String, Vec<(ListAt, monitor::Alert)>> = BTreeMap::new();
    for group in groups.values() {
        let Some((_, first)) = group.first() else { continue };
        let profile = first.settings.profile();
        let customers = index_of(group)?;
        let members: HashSet<&str> = group.iter().map(|(subject, _)| subject.as_str()).collect();
        for (at, delta) in deltas {
            let changes: Vec<(Change, &Entity)> =
                delta.iter().map(|(change, entity)| (change.clone(), entity)).collect();
            for alert in monitor::alerts(&changes, &customers, screener, &profile, known) {
                // The hits known are those of the whole shard; a person of another group has their own turn.
                if members.contains(alert.person.as_str()) {
                    alerts.entry(alert.person.clone()).or_default().push((at.clone(), alert));
                }
            }
        }
    }
    Ok(alerts
        .into_iter()
        .filter_map(|(person, alerts)| {
            let (session, asked) = by_text.get(&person)?;
            let block = asked.block(screener, &[]);
            Some(News { session: *session, asked: (*asked).clone(), block, alerts })
        })
        .collect())
}

/// What a fresh screening says of one person, against what is known.
fn news_of_one(
    session: SessionId,
    asked: Asked,
    subject: SubjectId,
    known: &[Remembered],
    screener: &Screener,
) -> News {
    let versions = versions_of(&screener.manifest().lists);
    let at = |entity: &str| {
        let list = entity.split(':').next().unwrap_or_default().to_owned();
        let version = versions.get(&list).cloned().unwrap_or_default();
        (list, version)
    };
    let block = asked.block(screener, &[]);
    let person = subject.to_string();
    let alert = |entity: &str, kind: AlertKind, fingerprint: &str, score: f32, reopens: bool| {
        let alert = monitor::Alert {
            id: String::new(),
            person: person.clone(),
            entity: entity.to_owned(),
            kind,
            fingerprint: fingerprint.to_owned(),
            score,
            reopens,
        };
        (at(entity), alert)
    };
    let mut alerts = Vec::new();
    let hits = block["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
    for hit in hits {
        let entity = hit["id"].as_str().unwrap_or_default();
        let fingerprint = memory::fingerprint_of(hit);
        #[expect(clippy::cast_possible_truncation, reason = "a score of 0 to 100")]
        let score = hit["match_score"].as_f64().unwrap_or(0.0) as f32;
        match known.iter().find(|known| known.entity == entity && !known.gone) {
            None => alerts.push(alert(entity, AlertKind::New, fingerprint, score, false)),
            Some(known) if known.known.fingerprint == fingerprint => {}
            Some(known) => {
                let reopens = standing(known.known.decision.as_ref(), fingerprint) == Standing::Reopened;
                alerts.push(alert(entity, AlertKind::Changed, fingerprint, score, reopens));
            }
        }
    }
    for known in known.iter().filter(|known| !known.gone) {
        if !hits.iter().any(|hit| hit["id"] == *known.entity) {
            alerts.push(alert(&known.entity, AlertKind::Removed, &known.known.fingerprint, 0.0, false));
        }
    }
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
/// Says how many alerts were new.
fn write_news(tx: &mut store::Tx<'_>, application: ApplicationId, news: News) -> Result<usize, store::Error> {
    let Some(mut session) = tx.sessions(application).find_for_update(news.session)? else { return Ok(0) };
    if !tx.screenings(application).is_watched(session.id)? {
        return Ok(0);
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
        return Ok(0);
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
    Ok(told.len())
}

/// The lists whose versions differ, with what changed.
fn deltas_of(
    lists: &WatchLists,
    from: &BTreeMap<String, String>,
    to: &BTreeMap<String, String>,
) -> Result<Vec<(ListAt, Arc<Delta>)>, String> {
    let mut names: Vec<&String> = from.keys().chain(to.keys()).collect();
    names.sort();
    names.dedup();
    let mut deltas = Vec::new();
    for name in names {
        let (old, new) = (from.get(name), to.get(name));
        if old != new {
            let delta = lists.delta(name, old.map(String::as_str), new.map(String::as_str))?;
            deltas.push(((name.clone(), new.cloned().unwrap_or_default()), delta));
        }
    }
    Ok(deltas)
}

impl Service {
    /// Looks after the lists until `stop` says so.
    pub(crate) async fn follow_until(self, mut stop: tokio::sync::watch::Receiver<bool>) {
        while !*stop.borrow() {
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
        match self.pool.run(compute).await {
            Ok(computed) => computed.map_err(JobError::Lists),
            Err(PoolError::Busy) => Err(JobError::Busy),
            Err(PoolError::Panicked(reason)) => Err(JobError::Lists(reason)),
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
        let (shard, people, known) = self
            .store
            .read(move |tx| {
                let shards = tx.screening_shards()?;
                let shard =
                    shards.into_iter().find(|(of, shard)| *of == application && shard.shard == number);
                let people = newest(tx.screenings(application).watched(number, 0)?)?;
                let mut known = Vec::new();
                for (subject, remembered) in tx.screenings(application).known_in_shard(number)? {
                    if people.contains_key(&subject) {
                        let remembered = serde_json::from_value(remembered.0).map_err(store::Error::Json)?;
                        known.push((subject, remembered));
                    }
                }
                Ok::<_, store::Error>((shard.map(|(_, shard)| shard), people, known))
            })
            .await?;
        let Some(shard) = shard else {
            let job = job.clone();
            self.store.write(move |tx| tx.complete_job(&job)).await?;
            return Ok(());
        };
        let (lists, from, to) = (Arc::clone(&self.lists), shard.versions.clone(), target.clone());
        let news = self
            .on_cores(move || {
                let deltas = deltas_of(&lists, &from, &to)?;
                news_of(&deltas, &people, &KnownHits::of(known), &screener)
            })
            .await?;
        for news in news {
            let held = job.clone();
            self.store
                .write(move |tx| {
                    if !tx.renew_job(&held, LEASE_SECONDS)? {
                        return Err(JobError::LeaseLost);
                    }
                    Ok(write_news(tx, application, news)?)
                })
                .await?;
        }
        let (job, seen) = (job.clone(), shard.enrolled);
        self.store
            .write(move |tx| {
                let mut shard = tx.screenings(application).lock_shard(number)?;
                for late in tx.screenings(application).watched(number, seen)? {
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
            Some(subject) => {
                self.store
                    .read(move |tx| {
                        let Some(person) = tx.subjects(application).find(subject)? else { return Ok(None) };
                        let watched = newest(tx.screenings(application).watched_of(subject)?)?;
                        let known = memory::of_person(tx, application, &person.key)?;
                        Ok::<_, store::Error>(
                            watched
                                .into_values()
                                .next()
                                .map(|(session, asked)| (session, asked, subject, known)),
                        )
                    })
                    .await?
            }
        };
        let news = match found {
            None => None,
            Some((session, asked, subject, known)) => Some(
                self.on_cores(move || Ok(news_of_one(session, asked, subject, &known, &screener))).await?,
            ),
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
