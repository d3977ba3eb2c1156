//! Active liveness of a session: a challenge given once, its frames taken in batches, judged by the worker.
//!
//! The protocol and its checks are `face::active`; here is what makes a
//! challenge single-use: it belongs to one session, a new one replaces it, each
//! batch has its number and is taken once, and the time at which a batch
//! arrives is held against the time its frames claim. Frames are deleted once
//! they are judged; the report and one frame (the selfie) stay. What could not
//! be judged, and whoever hands in a picture instead, goes to review.

use std::sync::LazyLock;

pub use checks::liveness::Outcome;
use checks::{Engines, chain};
use face::active::{Challenge, Observation, Report, Task};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{
    BlobId, ObjectId, SessionId,
    rows::{
        jobs::{Job, NewJob},
        objects::NewObject,
    },
};
use workflow::{Capture, LivenessMethod};

use crate::{
    Service,
    hosted::{self, CaptureError, Refused, insert_object},
    jobs::{self, JobError},
    pool::{PoolError, Work},
    sessions::{State, audit_session, state_of},
    workflows,
};

/// Judges a recorded challenge.
pub(crate) const JUDGE: &str = "session.active";
/// Most frames of one batch.
pub const MAX_BATCH_FRAMES: usize = 12;
/// Most frames of one challenge: ten a second for its longest duration.
const MAX_FRAMES: usize = 180;
/// Sides of a frame, in pixels.
const FRAME_SIDES: std::ops::RangeInclusive<u32> = 160..=1_920;
/// How long after its last frame a batch may arrive, in milliseconds: a slow line, not a studio.
const LATE_MS: u64 = 20_000;
/// Clocks of page and server may differ by this much over one challenge, in milliseconds.
const CLOCK_SLACK_MS: u64 = 250;

/// Where a session stands with its challenge; sealed in its row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Active {
    /// Challenges given so far.
    pub(crate) attempts: u8,
    /// The challenge that is open or being judged.
    running: Option<Running>,
    /// The last judgement.
    pub(crate) outcome: Option<Outcome>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Running {
    challenge: Challenge,
    /// Microseconds since 1970.
    issued_at: i64,
    camera: String,
    batches: Vec<Batch>,
    judging: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Batch {
    object: ObjectId,
    at_ms: Vec<u64>,
    /// Since the challenge was given.
    arrived_ms: u64,
}

/// What the page needs to know of the challenge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActiveView {
    /// What the workflow asks for: `ACTIVE_3D` or `FLASHING`.
    pub method: &'static str,
    /// `ready`, `judging`, `failed` or `exhausted`.
    pub state: &'static str,
    /// How often it may still be tried.
    pub attempts_left: u8,
    /// What went wrong the last time, as far as the person can mend it.
    pub problems: Vec<String>,
}

/// A challenge as the page gets it.
#[derive(Debug, Clone, Serialize)]
pub struct Given {
    /// Sent with every batch: 16 hexadecimal digits.
    pub nonce: String,
    /// `ACTIVE_3D` with `prompts` or `FLASHING` with `flashes`.
    #[serde(flatten)]
    pub task: Task,
    /// Length of the recording.
    pub duration_ms: u64,
    /// Milliseconds from one frame to the next.
    pub frame_every_ms: u64,
    /// Most frames of a batch.
    pub batch_frames: usize,
}

/// Frames of a challenge, as the page uploads them.
pub struct FrameBatch {
    /// Of the challenge.
    pub nonce: String,
    /// Which batch this is, from 0.
    pub index: usize,
    /// Whether it is the last.
    pub last: bool,
    /// When each frame was taken, in milliseconds from the start.
    pub at_ms: Vec<u64>,
    /// The frames: pictures.
    pub frames: Vec<Vec<u8>>,
    /// The camera's label, as the browser tells it.
    pub camera: String,
}

fn name_of(task: &Task) -> &'static str {
    match task {
        Task::Active3d { .. } => "ACTIVE_3D",
        Task::Flashing { .. } => "FLASHING",
    }
}

fn method_name(method: LivenessMethod) -> &'static str {
    if method == LivenessMethod::Flashing { "FLASHING" } else { "ACTIVE_3D" }
}

/// Problems that the person can do something about; the rest is told as `other`, so that an attacker learns little.
const TOLD: [&str; 7] = ["frames", "gap_ms", "duration_ms", "faces", "order", "chroma", "clock"];

impl Active {
    /// What the page shows of it; `None` when the workflow asks for no challenge or the selfie is there.
    pub(crate) fn view(&self, definition: &workflow::Definition, state: &State) -> Option<ActiveView> {
        let method = definition.active_liveness()?;
        if state.progress.captured.contains(&Capture::Selfie) {
            return None;
        }
        let left = definition.liveness_attempts().saturating_sub(self.attempts);
        let problems: std::collections::BTreeSet<String> = self
            .outcome
            .iter()
            .flat_map(Outcome::failed)
            .map(|name| if TOLD.contains(&name.as_str()) { name } else { "other".to_owned() })
            .collect();
        let judging = self.running.as_ref().is_some_and(|running| running.judging);
        Some(ActiveView {
            method: method_name(method),
            state: match (judging, &self.outcome) {
                (true, _) => "judging",
                _ if left == 0 => "exhausted",
                (_, Some(_)) => "failed",
                (_, None) => "ready",
            },
            attempts_left: left,
            problems: problems.into_iter().collect(),
        })
    }

    /// Takes the open challenge away; the objects of its frames are to be deleted.
    pub(crate) fn drop_running(&mut self) -> Vec<ObjectId> {
        self.running
            .take()
            .map(|running| running.batches.iter().map(|batch| batch.object).collect())
            .unwrap_or_default()
    }
}

/// A batch that cannot be taken; the text is for whoever writes a client.
fn faulty(code: &'static str, message: &str) -> CaptureError {
    CaptureError::Picture { code, message: message.to_owned() }
}

impl Service {
    /// Gives a new challenge; the one before, and its frames, count no more. `kind` chooses the other kind, because
    /// each is the accessible alternative of the other.
    ///
    /// # Errors
    /// [`CaptureError`]: `Refused` when this session asks for none now or no attempt is left.
    pub async fn begin_challenge(
        &self,
        token: &str,
        kind: Option<LivenessMethod>,
    ) -> Result<Given, CaptureError> {
        let token = token.to_owned();
        let (given, blobs) = self
            .store
            .write(move |tx| {
                let mut open = hosted::open(tx, &token)?;
                if !open.state.progress.consented {
                    return Err(Refused::NoConsent);
                }
                let asked = open.definition.active_liveness().ok_or(Refused::NotNow)?;
                let view = open.state.active.view(&open.definition, &open.state).ok_or(Refused::NotNow)?;
                if view.attempts_left == 0
                    || view.state == "judging"
                    || !hosted::takes(&open.state, &open.definition, Capture::Selfie)
                {
                    return Err(Refused::NotNow);
                }
                let mut seed = [0; 8];
                tx.random().fill(&mut seed);
                let seed = u64::from_le_bytes(seed);
                let kind = kind.filter(|kind| *kind != LivenessMethod::Passive).unwrap_or(asked);
                let challenge = match kind {
                    LivenessMethod::Flashing => Challenge::flashing(seed),
                    _ => Challenge::active_3d(seed),
                };
                let mut blobs = Vec::new();
                for object in open.state.active.drop_running() {
                    blobs.extend(tx.objects(open.session.application).delete(object)?);
                }
                open.state.active.attempts += 1;
                open.state.active.running = Some(Running {
                    challenge: challenge.clone(),
                    issued_at: tx.now().micros(),
                    camera: String::new(),
                    batches: Vec::new(),
                    judging: false,
                });
                hosted::save(tx, open, "session.challenge")?;
                let given = Given {
                    nonce: format!("{:016x}", challenge.nonce),
                    task: challenge.task,
                    duration_ms: challenge.duration_ms,
                    frame_every_ms: 170,
                    batch_frames: MAX_BATCH_FRAMES,
                };
                Ok((given, blobs))
            })
            .await?;
        self.store.delete_blobs(&blobs).await;
        Ok(given)
    }

    /// Takes a batch of frames: decoded to see that they are pictures, sealed, written, and only then acknowledged.
    /// With the last batch the recording goes to the worker.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub async fn take_frames(&self, token: &str, batch: FrameBatch) -> Result<(), CaptureError> {
        if batch.frames.is_empty()
            || batch.frames.len() > MAX_BATCH_FRAMES
            || batch.frames.len() != batch.at_ms.len()
        {
            return Err(faulty("frames_count", "A batch holds 1 to 12 frames, each with its time."));
        }
        let (nonce, index, times) = (batch.nonce.clone(), batch.index, batch.at_ms.clone());
        let key = {
            let token = token.to_owned();
            self.store
                .read(move |tx| {
                    let open = hosted::look(tx, &token)?;
                    if !open.state.progress.consented {
                        return Err(Refused::NoConsent);
                    }
                    expects(&open.state.active, &nonce, index, &times)?;
                    Ok(open.session.key)
                })
                .await?
        };
        let frames = batch.frames;
        let decoded = self.pool.run(Work::Picture, move || {
            for bytes in &frames {
                match checks::pictures::decode_photo(bytes) {
                    Ok(picture)
                        if FRAME_SIDES.contains(&picture.pixels.width())
                            && FRAME_SIDES.contains(&picture.pixels.height()) => {}
                    Err(error) if error.is_busy() => return Err(PoolError::Busy),
                    _ => return Ok(None),
                }
            }
            Ok(Some(pack(&frames)))
        });
        let packed = match decoded.await.and_then(|decoded| decoded) {
            Ok(Some(packed)) => packed,
            Ok(None) | Err(PoolError::Panicked(_) | PoolError::TooLong(_)) => {
                return Err(faulty(
                    "frame_unreadable",
                    "A frame is no picture of 160 to 1920 pixels a side.",
                ));
            }
            Err(PoolError::Busy) => return Err(CaptureError::Busy),
        };
        let mut object = self.write_object(&key, &packed).await?;
        object.content_type = "application/octet-stream";
        let blob = object.blob.clone();
        let token = token.to_owned();
        let (nonce, last, camera, at_ms) = (batch.nonce, batch.last, batch.camera, batch.at_ms);
        let written = self
            .store
            .write(move |tx| {
                let mut open = hosted::open(tx, &token)?;
                expects(&open.state.active, &nonce, index, &at_ms)?;
                let application = open.session.application;
                let single_use = format!("{nonce}:{index}");
                let details = json!({});
                let new = NewObject {
                    id: object.id,
                    session: open.session.id,
                    node_id: None,
                    kind: "frames",
                    blob: &object.blob,
                    content_type: object.content_type,
                    size_bytes: object.size_bytes,
                    sha256: object.sha256,
                    nonce: Some(&single_use),
                    details: &details,
                };
                if !tx.objects(application).insert(&new, &open.session.key)? {
                    return Err(Refused::NotNow);
                }
                let now = tx.now();
                let session = open.session.id;
                if let Some(running) = &mut open.state.active.running {
                    let arrived_ms = u64::try_from((now.micros() - running.issued_at) / 1_000).unwrap_or(0);
                    running.batches.push(Batch { object: object.id, at_ms, arrived_ms });
                    running.camera = camera;
                    running.judging = last;
                }
                if last {
                    tx.enqueue(&NewJob {
                        application,
                        queue: jobs::QUEUE,
                        kind: JUDGE,
                        payload: json!({ "session": session, "nonce": nonce }),
                        unique_key: Some(&nonce),
                        run_at: now,
                    })?;
                }
                hosted::save(tx, open, "session.frames")
            })
            .await;
        if let Err(error) = written {
            self.store.delete_blobs(&[blob]).await;
            return Err(error.into());
        }
        Ok(())
    }

    /// Judges the frames of a recorded challenge.
    async fn judge_frames(
        &self,
        running: &Running,
        objects: &[store::rows::objects::Object],
    ) -> Result<Judged, JobError> {
        let mut packs = Vec::new();
        for object in objects {
            packs.push(self.store.get_blob(object).await?.ok_or(store::Error::Seal)?);
        }
        let engines = self.engines.clone();
        let recorded = running.clone();
        match self.pool.run(Work::Check, move || judge(&engines, &recorded, &packs)).await {
            Ok(judged) => Ok(judged),
            Err(PoolError::Busy) => Err(JobError::Busy),
            Err(error @ (PoolError::Panicked(_) | PoolError::TooLong(_))) => {
                Ok(Judged { outcome: could_not_run(&running.challenge, &error.to_string()), selfie: None })
            }
        }
    }

    /// Judges a recorded challenge and writes the outcome; the frames are deleted.
    pub(crate) async fn judge_challenge(&self, job: &Job) -> Result<(), JobError> {
        let application = job.application;
        let id: Option<SessionId> = job.payload["session"].as_str().and_then(|text| text.parse().ok());
        let nonce = job.payload["nonce"].as_str().unwrap_or_default().to_owned();
        let found = match id {
            None => None,
            Some(id) => {
                let nonce = nonce.clone();
                self.store
                    .read(move |tx| {
                        let Some(session) = tx.sessions(application).find(id)? else { return Ok(None) };
                        let running =
                            state_of(&session)?.active.running.filter(|r| r.judging && is_of(r, &nonce));
                        let Some(running) = running else { return Ok(None) };
                        let mut objects = Vec::new();
                        for batch in &running.batches {
                            objects.extend(tx.objects(application).find(batch.object)?);
                        }
                        Ok::<_, store::Error>(Some((session.key, running, objects)))
                    })
                    .await?
            }
        };
        let (Some(id), Some((key, running, objects))) = (id, found) else {
            let job = job.clone();
            self.store.write(move |tx| tx.complete_job(&job)).await?;
            return Ok(());
        };
        let judged = match jobs::ended_every_worker(job) {
            Some(reason) => Err(reason.to_owned()),
            None => match self.judge_frames(&running, &objects).await {
                Err(error) if jobs::is_hopeless(job, &error) => Err(error.to_string()),
                judged => Ok(judged?),
            },
        };
        let judged = judged.unwrap_or_else(|reason| Judged {
            outcome: could_not_run(&running.challenge, &reason),
            selfie: None,
        });
        let selfie = match &judged.selfie {
            Some(jpeg) => Some(self.write_object(&key, jpeg).await?),
            None => None,
        };
        let unused = selfie.as_ref().map(|written| written.blob.clone());
        let job = job.clone();
        let blobs = self
            .store
            .write(move |tx| {
                let complete = |tx: &mut store::Tx<'_>| {
                    if tx.complete_job(&job)? { Ok(()) } else { Err(JobError::LeaseLost) }
                };
                let found = tx.sessions(application).find_for_update(id)?;
                let Some(mut session) = found else {
                    complete(tx)?;
                    return Ok(unused.into_iter().collect::<Vec<BlobId>>());
                };
                let mut state = state_of(&session)?;
                let current = state.active.running.as_ref().is_some_and(|r| r.judging && is_of(r, &nonce));
                let definition = workflows::definition_of(tx, application, session.workflow)?;
                let Some(definition) = definition.filter(|_| current) else {
                    complete(tx)?;
                    return Ok(unused.into_iter().collect());
                };
                let mut blobs = Vec::new();
                for object in state.active.drop_running() {
                    blobs.extend(tx.objects(application).delete(object)?);
                }
                let outcome = judged.outcome;
                let is_last = outcome.passed
                    || outcome.could_not_run.is_some()
                    || state.active.attempts >= definition.liveness_attempts();
                audit_session(
                    tx,
                    application,
                    "system",
                    "session.challenge_judged",
                    id,
                    Some(json!({ "passed": outcome.passed })),
                )?;
                state.active.outcome = Some(outcome);
                match (&selfie, is_last) {
                    (Some(selfie), true) => {
                        insert_object(tx, application, id, &session.key, "selfie", selfie)?;
                        state.objects.insert("selfie".to_owned(), selfie.id);
                        state.how.insert("selfie".to_owned(), "challenge".to_owned());
                        state.progress.captured.insert(Capture::Selfie);
                    }
                    _ => blobs.extend(unused),
                }
                session.state = store::Pii(serde_json::to_value(&state).map_err(store::Error::Json)?);
                tx.sessions(application).save(&mut session)?;
                complete(tx)?;
                Ok::<_, JobError>(blobs)
            })
            .await?;
        self.store.delete_blobs(&blobs).await;
        Ok(())
    }
}

/// Whether a batch is the one that comes next.
fn expects(active: &Active, nonce: &str, index: usize, times: &[u64]) -> Result<(), Refused> {
    let running = active.running.as_ref().filter(|running| !running.judging && is_of(running, nonce));
    let running = running.ok_or(Refused::NotNow)?;
    let frames: usize = running.batches.iter().map(|batch| batch.at_ms.len()).sum();
    if running.batches.len() != index || frames + times.len() > MAX_FRAMES {
        return Err(Refused::NotNow);
    }
    Ok(())
}

fn is_of(running: &Running, nonce: &str) -> bool {
    format!("{:016x}", running.challenge.nonce) == nonce
}

/// Frames one after the other, each behind its length.
fn pack(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(frames.iter().map(|frame| frame.len() + 4).sum());
    for frame in frames {
        out.extend(u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(frame);
    }
    out
}

fn unpack(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let Some((frame, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
        frames.push(frame);
        bytes = rest;
    }
    frames
}

struct Judged {
    outcome: Outcome,
    /// The frame that shows the person best, JPEG.
    selfie: Option<Vec<u8>>,
}

fn could_not_run(challenge: &Challenge, reason: &str) -> Outcome {
    Outcome {
        method: name_of(&challenge.task).to_owned(),
        passed: false,
        could_not_run: Some(reason.to_owned()),
        report: Value::Null,
        injected: Vec::new(),
    }
}

/// Looks at every frame and judges the sequence.
fn judge(engines: &Engines, running: &Running, packs: &[Vec<u8>]) -> Judged {
    let challenge = &running.challenge;
    let times: Vec<u64> = running.batches.iter().flat_map(|batch| batch.at_ms.iter().copied()).collect();
    let frames: Vec<&[u8]> = packs.iter().flat_map(|bytes| unpack(bytes)).collect();
    let first = || frames.first().map(|bytes| bytes.to_vec());
    let engine = match engines.faces() {
        Ok(engine) => engine,
        Err(error) => {
            return Judged { outcome: could_not_run(challenge, &chain(&error)), selfie: first() };
        }
    };
    let mut seen: Vec<Observation> = Vec::new();
    // The best selfie: frontal, and of a face that was found.
    let mut best: Option<(f32, &[u8])> = None;
    for (bytes, at_ms) in frames.iter().zip(&times) {
        let Ok(picture) = checks::pictures::decode_photo(bytes) else { continue };
        match face::active::observe(&engine, &picture.pixels, challenge.nonce, *at_ms) {
            Ok(Some(observation)) => {
                let turned = observation.pose.yaw.hypot(observation.pose.pitch);
                if best.is_none_or(|(least, _)| turned < least) {
                    best = Some((turned, bytes));
                }
                seen.push(observation);
            }
            Ok(None) => {}
            Err(error) => {
                return Judged { outcome: could_not_run(challenge, &chain(&error)), selfie: first() };
            }
        }
    }
    let report = face::active::verify(challenge, &seen);
    let clock = clock_error_ms(running);
    let mut passed = report.passed() && clock <= LATE_MS;
    let injected = injected(&report, &running.camera, &times);
    passed = passed && injected.is_empty();
    let mut report = serde_json::to_value(&report).unwrap_or_default();
    if let Some(checks) = report["checks"].as_array_mut() {
        checks.push(
            json!({ "name": "clock", "value": clock, "threshold": LATE_MS, "passed": clock <= LATE_MS }),
        );
    }
    Judged {
        outcome: Outcome {
            method: name_of(&challenge.task).to_owned(),
            passed,
            could_not_run: None,
            report,
            injected,
        },
        selfie: best.map(|(_, bytes)| bytes.to_vec()),
    }
}

/// How much later than its frames claim a batch arrived, in milliseconds; one that came before its frames were taken is
/// infinitely wrong.
fn clock_error_ms(running: &Running) -> u64 {
    running
        .batches
        .iter()
        .map(|batch| {
            let taken = batch.at_ms.last().copied().unwrap_or(0);
            if batch.arrived_ms + CLOCK_SLACK_MS < taken {
                u64::MAX
            } else {
                batch.arrived_ms.saturating_sub(taken)
            }
        })
        .max()
        .unwrap_or(u64::MAX)
}

#[derive(Deserialize)]
struct VirtualCameras {
    words: Vec<String>,
}

static VIRTUAL_CAMERAS: LazyLock<VirtualCameras> = LazyLock::new(|| {
    toml::from_str(include_str!("../data/virtual_cameras.toml")).expect("the list is tested to parse")
});

/// Marks of a recording that did not come from a camera (CEN/TS 18099: the method of injection).
fn injected(report: &Report, camera: &str, times: &[u64]) -> Vec<String> {
    let mut marks = Vec::new();
    let camera = camera.to_lowercase();
    if VIRTUAL_CAMERAS.words.iter().any(|word| camera.contains(word)) {
        marks.push("virtual_camera".to_owned());
    }
    if report.failed().any(|check| check.name == "repeated_frames") {
        marks.push("repeated_frames".to_owned());
    }
    // A page's timers are never exact to the millisecond over dozens of frames.
    let gaps: std::collections::BTreeSet<u64> = times.windows(2).map(|w| w[1].saturating_sub(w[0])).collect();
    if times.len() >= 20 && gaps.len() == 1 {
        marks.push("no_timing_jitter".to_owned());
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(batches: Vec<Batch>) -> Running {
        Running {
            challenge: Challenge::active_3d(7),
            issued_at: 0,
            camera: String::new(),
            batches,
            judging: false,
        }
    }

    #[test]
    fn frames_are_unpacked_as_they_were_packed_and_cut_bytes_give_less() {
        let frames = vec![b"one".to_vec(), Vec::new(), b"three".to_vec()];
        let packed = pack(&frames);
        assert_eq!(unpack(&packed), frames);
        assert_eq!(unpack(&packed[..packed.len() - 1]).len(), 2);
        assert!(unpack(b"\xff\xff\xff\xffx").is_empty());
    }

    #[test]
    fn only_the_next_batch_of_the_open_challenge_is_taken() {
        let mut active = Active { running: Some(running(Vec::new())), ..Active::default() };
        let nonce = format!("{:016x}", Challenge::active_3d(7).nonce);
        assert!(expects(&active, &nonce, 0, &[0, 170]).is_ok());
        assert!(expects(&active, &nonce, 1, &[0]).is_err(), "a batch was left out");
        assert!(expects(&active, "0000000000000000", 0, &[0]).is_err(), "another challenge's nonce");
        active.running.as_mut().unwrap().judging = true;
        assert!(expects(&active, &nonce, 0, &[0]).is_err(), "the recording was handed in");
    }

    #[test]
    fn a_recording_that_arrives_before_it_can_have_been_made_is_wrong() {
        let batch = |taken, arrived_ms| Batch {
            object: store::ObjectId(uuid::Uuid::nil()),
            at_ms: vec![taken],
            arrived_ms,
        };
        assert!(clock_error_ms(&running(vec![batch(1_000, 1_200), batch(2_000, 2_300)])) <= LATE_MS);
        assert_eq!(clock_error_ms(&running(vec![batch(9_000, 400)])), u64::MAX);
        assert!(clock_error_ms(&running(vec![batch(1_000, 60_000)])) > LATE_MS);
        assert_eq!(clock_error_ms(&running(Vec::new())), u64::MAX);
    }

    #[test]
    fn marks_of_an_injected_recording_are_named() {
        let report = Report { checks: Vec::new(), method: "m/1" };
        let even: Vec<u64> = (0..30).map(|i| i * 170).collect();
        let uneven: Vec<u64> = (0..30).map(|i| i * 170 + i % 3).collect();
        assert_eq!(injected(&report, "OBS Virtual Camera", &uneven), ["virtual_camera"]);
        assert_eq!(injected(&report, "FaceTime HD Camera", &even), ["no_timing_jitter"]);
        assert!(injected(&report, "FaceTime HD Camera", &uneven).is_empty());
    }
}
