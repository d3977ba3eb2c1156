//! The worker: takes queued checks, runs them on the cores, writes their outcome in one transaction.
//!
//! A job carries only ids. Its outcome, the decision, the event, the audit row
//! and the end of the job are one transaction, so a worker that dies leaves a
//! job that another one does again from the start. A check that cannot end in
//! three attempts (its worker dies of it, its pictures do not open) goes to
//! review, never to an approval; what a disturbance of database or files kept
//! from ending is tried until it ends.

use std::{collections::BTreeMap, time::Duration};

use checks::{About, Examined, Gathered, Submission};
use serde_json::{Value, json};
use store::{ApplicationId, Pii, SessionId, SubjectId, rows::checks::Check, rows::jobs::Job};
use workflow::{Event, Finding, SessionStatus, decide, transition};

use crate::{
    Service, face_search,
    hosted::insert_object,
    pool::{PoolError, Work},
    screening::watch,
    sessions::{audit_session, details_of, state_of, status_of, tell_status},
    setup::is_sandbox,
    workflows,
};

/// The queue of checks that compute.
pub(crate) const QUEUE: &str = "cpu";
/// Checks everything that a session's person handed in.
pub(crate) const CHECK_SESSION: &str = "session.check";
/// How long a worker may hold a job before another one takes it.
const LEASE_SECONDS: i64 = 120;
/// Files that a person hands in, by the name of their capture.
const HANDED_IN: [&str; 4] = ["front", "back", "selfie", crate::chip::relay::OBJECT];
/// The owner's picture of the person, as a capture.
const PORTRAIT: &str = "portrait";
/// Attempts after which a check that cannot end is left to a person.
const ATTEMPTS: i64 = 3;
/// Waits before each further attempt, in seconds.
const RETRIES_S: [i64; 2] = [2, 30];

/// Why a job did not end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error("the lease was lost")]
    LeaseLost,
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the cores are busy")]
    Busy,
    #[error("{0}")]
    Lists(String),
}

impl JobError {
    /// Whether the same attempt may succeed later without anybody's help.
    fn may_pass(&self) -> bool {
        match self {
            Self::LeaseLost | Self::Busy | Self::Lists(_) => true,
            Self::Store(error) => {
                error.is_transient() || matches!(error, store::Error::Blob(_) | store::Error::Stale)
            }
        }
    }
}

/// A session with what was handed in, and what its checks read from the store.
struct Loaded {
    submission: Submission,
    definition: workflow::Definition,
    gathered: BTreeMap<String, Gathered>,
    subject: SubjectId,
    sandbox: bool,
    /// Whether the application searches faces among those it knows.
    searches_faces: bool,
}

impl Service {
    /// Works until `stop` says so; then ends what is in hand.
    pub async fn work_until(self, mut stop: tokio::sync::watch::Receiver<bool>) {
        let following = tokio::spawn(self.clone().follow_until(stop.clone()));
        let keeping_house = tokio::spawn(self.clone().keep_house_until(stop.clone()));
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let mut running = tokio::task::JoinSet::new();
        while !*stop.borrow() {
            while running.try_join_next().is_some() {}
            let free = i64::try_from(cores.saturating_sub(running.len())).unwrap_or(1);
            let leased = if free == 0 {
                Ok(Vec::new())
            } else {
                self.store.write(move |tx| tx.lease_jobs(QUEUE, free, LEASE_SECONDS)).await
            };
            match leased {
                Ok(jobs) if !jobs.is_empty() => {
                    for job in jobs {
                        let service = self.clone();
                        running.spawn(async move { service.run_job(job).await });
                    }
                    continue;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(error = %error, "jobs cannot be leased"),
            }
            tokio::select! {
                () = self.store.wait_for_jobs(Duration::from_secs(2)) => {}
                _ = running.join_next(), if !running.is_empty() => {}
                _ = stop.changed() => {}
            }
        }
        while running.join_next().await.is_some() {}
        let _ = following.await;
        let _ = keeping_house.await;
    }

    /// Runs every job that is ready now, one after the other; says how many there were. What [`Service::work_until`]
    /// does all the time, done once.
    ///
    /// # Errors
    /// When no job can be leased.
    pub async fn run_ready(&self) -> Result<usize, store::Error> {
        let mut count = 0;
        loop {
            let jobs = self.store.write(|tx| tx.lease_jobs(QUEUE, 16, LEASE_SECONDS)).await?;
            if jobs.is_empty() {
                return Ok(count);
            }
            for job in jobs {
                count += 1;
                self.run_job(job).await;
            }
        }
    }

    async fn run_job(&self, job: Job) {
        let outcome = match job.kind.as_str() {
            CHECK_SESSION => match ended_every_worker(&job) {
                Some(reason) => self.give_up(&job, reason).await,
                None => match self.check_session(&job).await {
                    Err(error) if is_hopeless(&job, &error) => self.give_up(&job, &error.to_string()).await,
                    outcome => outcome,
                },
            },
            watch::FOLLOW => self.follow_shard(&job).await,
            watch::RESCREEN => self.rescreen(&job).await,
            crate::active::JUDGE => self.judge_challenge(&job).await,
            _ => {
                let job = job.clone();
                self.store
                    .write(move |tx| tx.bury_job(&job, "unknown kind of job"))
                    .await
                    .map(|_| ())
                    .map_err(JobError::from)
            }
        };
        if let Err(error) = outcome {
            tracing::warn!(job.id = %job.id, error = %error, attempt = job.attempts, "job did not end");
            let wait = usize::try_from(job.attempts - 1).ok().and_then(|index| RETRIES_S.get(index)).copied();
            let text = error.to_string();
            let put_back = self.store.write(move |tx| {
                let at = tx.now().plus_seconds(wait.unwrap_or(300));
                tx.retry_job(&job, at, &text)
            });
            if let Err(error) = put_back.await {
                tracing::warn!(error = %error, "job is left to its lease");
            }
        }
    }

    /// Ends a session's checks as failed for one reason: a person must look.
    async fn give_up(&self, job: &Job, reason: &str) -> Result<(), JobError> {
        let application = job.application;
        let id = session_of(job);
        let found = match id {
            None => None,
            Some(id) => {
                self.store
                    .read(move |tx| {
                        let Some(session) = tx.sessions(application).find(id)? else { return Ok(None) };
                        workflows::definition_of(tx, application, session.workflow)
                    })
                    .await?
            }
        };
        let (Some(id), Some(definition)) = (id, found) else {
            let job = job.clone();
            self.store.write(move |tx| tx.complete_job(&job)).await?;
            return Ok(());
        };
        let examined = Examined::failed(definition, reason);
        self.conclude(job.clone(), application, id, examined, None).await
    }

    /// Runs every check of a session's workflow and decides it.
    async fn check_session(&self, job: &Job) -> Result<(), JobError> {
        let application = job.application;
        let session = session_of(job);
        let loaded = match session {
            Some(session) => self.load_submission(application, session).await?,
            None => None,
        };
        let (Some(session), Some(loaded)) = (session, loaded) else {
            // Erased or decided meanwhile: there is nothing left to do.
            let job = job.clone();
            self.store.write(move |tx| tx.complete_job(&job)).await?;
            return Ok(());
        };
        let Loaded { submission, definition, gathered, subject, sandbox, searches_faces } = loaded;
        let unproven = definition.clone();
        let env = self.env(sandbox);
        let computed = self
            .pool
            .run(Work::Check, move || {
                let examined = checks::examine(&env, definition, &submission, &gathered);
                let searched = searches_faces && examined.asks("selfie");
                let look = || submission.selfie(&env.engines).as_ref().ok();
                let template = searched.then(|| checks::faces::template(&env.engines, look()?)).flatten();
                (examined, template)
            })
            .await;
        let (mut examined, template) = match computed {
            Ok(computed) => computed,
            Err(PoolError::Busy) => return Err(JobError::Busy),
            // What panics on these pictures, or takes too long, will do so again: a person must look.
            Err(error @ (PoolError::Panicked(_) | PoolError::TooLong(_))) => {
                (Examined::failed(unproven, &error.to_string()), None)
            }
        };
        if !searches_faces && examined.definition().counts_on_face_search() {
            face_search::say_switched_off(&mut examined);
        }
        if let Some(template) = &template {
            self.search_session(application, subject, template, &mut examined).await?;
        }
        self.conclude(job.clone(), application, session, examined, template).await
    }

    async fn load_submission(
        &self,
        application: ApplicationId,
        id: SessionId,
    ) -> Result<Option<Loaded>, JobError> {
        let found = self
            .store
            .read(move |tx| {
                let Some(session) = tx.sessions(application).find(id)? else { return Ok(None) };
                let state = state_of(&session)?;
                if status_of(&session) != SessionStatus::InProgress || !state.progress.submitted {
                    return Ok(None);
                }
                let definition = workflows::definition_of(tx, application, session.workflow)?;
                let details = details_of(&session)?;
                let mut objects = Vec::new();
                for kind in HANDED_IN {
                    if let Some(object) = state.objects.get(kind)
                        && let Some(object) = tx.objects(application).find(*object)?
                    {
                        objects.push((kind, object));
                    }
                }
                let Some(definition) = definition else { return Ok(None) };
                let owner = tx.application(application)?;
                let sandbox = owner.as_ref().is_some_and(|owner| owner.environment == "sandbox");
                let settings = owner.as_ref().map(face_search::Settings::of).unwrap_or_default();
                let subject = session.subject;
                let about = About { application, session: Some(&session), subject: Some(subject), sandbox };
                let gathered = checks::round::gather(tx, &about, &definition)?;
                let mut submission = Submission::of([(PORTRAIT, details.portrait_bytes())]);
                submission.challenge = state.active.outcome;
                submission.expected = details.expected_details;
                let searches_faces = settings.face_search.is_some();
                let loaded = Loaded { submission, definition, gathered, subject, sandbox, searches_faces };
                Ok::<_, store::Error>(Some((loaded, objects)))
            })
            .await?;
        let Some((mut loaded, objects)) = found else { return Ok(None) };
        for (kind, object) in objects {
            let bytes = self.store.get_blob(&object).await?.ok_or(store::Error::Seal)?;
            loaded.submission.add(kind, bytes, None);
        }
        for gathered in loaded.gathered.values_mut() {
            for (name, object) in &gathered.objects {
                if let Some(bytes) = self.store.get_blob(object).await? {
                    gathered.opened.insert(name, bytes);
                }
            }
        }
        Ok(Some(loaded))
    }

    /// Writes the outcome of the checks: results, pictures cut out, decision, event, audit, end of the job.
    async fn conclude(
        &self,
        job: Job,
        application: ApplicationId,
        id: SessionId,
        mut examined: Examined,
        template: Option<face::Template>,
    ) -> Result<(), JobError> {
        let key = self
            .store
            .read(move |tx| {
                Ok::<_, store::Error>(tx.sessions(application).find(id)?.map(|session| session.key))
            })
            .await?;
        let Some(key) = key else {
            self.store.write(move |tx| tx.complete_job(&job)).await?;
            return Ok(());
        };
        let mut pictures = Vec::new();
        for (kind, jpeg) in examined.all().flat_map(|ran| &ran.pictures) {
            pictures.push((*kind, self.write_object(&key, jpeg).await?));
        }
        // The settings do not depend on what the store adds: they are completed before it is locked.
        let definition = examined.completed(&self.env(false));
        self.store
            .write(move |tx| {
                let Some(mut session) = tx.sessions(application).find_for_update(id)? else {
                    return tx.complete_job(&job).map(|_| ()).map_err(JobError::from);
                };
                let mut state = state_of(&session)?;
                if status_of(&session) != SessionStatus::InProgress || !state.progress.submitted {
                    return tx.complete_job(&job).map(|_| ()).map_err(JobError::from);
                }
                if let Some(template) = &template {
                    crate::face_search::enrol_in(tx, application, id, &session.key, template)?;
                }
                for (kind, picture) in &pictures {
                    insert_object(tx, application, id, &session.key, kind, picture)?;
                    state.objects.insert((*kind).to_owned(), picture.id);
                }
                let sandbox = is_sandbox(tx, application)?;
                let subject = Some(session.subject);
                examined.settle(tx, &About { application, session: Some(&session), subject, sandbox })?;
                let verdicts = examined.verdicts(&definition);
                let attempt = tx
                    .checks(application)
                    .of_session(id)?
                    .iter()
                    .map(|check| check.attempt)
                    .max()
                    .unwrap_or(0)
                    + 1;
                for verdict in &verdicts {
                    let check = Check {
                        id: tx.new_id(),
                        session: id,
                        subject: session.subject,
                        node_id: verdict.node_id.clone(),
                        feature: verdict.feature.decision_name().to_owned(),
                        attempt,
                        status: serde_json::to_value(verdict.status)
                            .ok()
                            .and_then(|value| value.as_str().map(str::to_owned))
                            .unwrap_or_default(),
                        risks: verdict.warnings.iter().map(|warning| warning.risk.clone()).collect(),
                        result: Pii(json!({
                            "finding": examined.ran(&verdict.node_id).map(|ran| &ran.finding),
                            "warnings": verdict.warnings,
                        })),
                        created_at: tx.now(),
                        updated_at: tx.now(),
                    };
                    tx.checks(application).insert(&check, &session.key)?;
                }
                let status = match decide(&definition, &verdicts) {
                    // Every check ran or failed; a node without a finding is one that nobody could run.
                    SessionStatus::InProgress => SessionStatus::InReview,
                    decided => decided,
                };
                let next = transition(SessionStatus::InProgress, Event::Decided(status))
                    .unwrap_or(SessionStatus::InReview);
                next.as_str().clone_into(&mut session.status);
                state.progress.decided = true;
                session.state = Pii(serde_json::to_value(&state).map_err(store::Error::Json)?);
                session.decision = Some(Pii(decision_of(&definition, &examined, &verdicts)));
                let finding = |of: fn(&Finding) -> &Option<String>| {
                    examined.all().find_map(|ran| of(&ran.finding).clone())
                };
                session.country = finding(|finding| &finding.country);
                session.document_type = finding(|finding| &finding.document);
                session.decided_at = Some(tx.now());
                tell_status(tx, application, &mut session)?;
                tx.sessions(application).save(&mut session)?;
                audit_session(
                    tx,
                    application,
                    "system",
                    "session.decide",
                    id,
                    Some(json!({ "status": next.as_str() })),
                )?;
                if tx.complete_job(&job)? { Ok(()) } else { Err(JobError::LeaseLost) }
            })
            .await
    }
}

/// Why a job is not begun once more: no attempt came as far as a report, so its input ends the worker itself.
pub(crate) fn ended_every_worker(job: &Job) -> Option<&'static str> {
    (job.attempts > ATTEMPTS && job.last_error.is_none()).then_some("the worker ended during every attempt")
}

/// Whether a further attempt would end like this one, and enough of them were made.
pub(crate) fn is_hopeless(job: &Job, error: &JobError) -> bool {
    job.attempts >= ATTEMPTS && !error.may_pass()
}

/// The session whose checks a job runs.
fn session_of(job: &Job) -> Option<SessionId> {
    job.payload["session"].as_str().and_then(|text| text.parse().ok())
}

/// What is kept of the checks for the decision: blocks by node, with their status and warnings.
fn decision_of(
    definition: &workflow::Definition,
    examined: &Examined,
    verdicts: &[workflow::Verdict],
) -> Value {
    let mut decision = json!({ "version": checks::round::STORED_VERSION });
    let mut blocks = Vec::new();
    for verdict in verdicts {
        let ran = examined.ran(&verdict.node_id);
        let mut block = ran.map_or_else(|| json!({}), |ran| ran.block.clone());
        block["node_id"] = json!(verdict.node_id);
        block["status"] = json!(verdict.status);
        block["warnings"] = json!(verdict.warnings);
        let node = definition.nodes.iter().find(|node| node.id == verdict.node_id);
        let tells =
            checks::of(verdict.feature).is_some_and(|check| check.manifest().decision.tells_thresholds);
        if let Some(node) = node.filter(|_| tells) {
            block["thresholds"] = checks::thresholds_told(&node.config);
        }
        blocks.push(json!({ "feature": verdict.feature, "block": block }));
        if let Some((name, value)) = ran.and_then(|ran| ran.beside.as_ref()) {
            decision[*name] = value.clone();
        }
    }
    decision["checks"] = json!(blocks);
    decision
}
