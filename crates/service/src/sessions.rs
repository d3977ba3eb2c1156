//! Sessions as their owner sees them: started, listed, read, decided by hand, erased.

use base64::Engine;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{
    ApplicationId, Pii, Session, SessionId, Time, Tx, WorkflowId, audit,
    rows::{idempotency::Begin, sessions},
};
use workflow::{Event, Feature, NotAllowed, Progress, SessionStatus, transition};

use crate::{Service, access::Access, decision, idempotency, pool::Work, rfc3339};

/// Seconds after which a claimed idempotency key that never finished is free again.
const IN_FLIGHT_SECONDS: i64 = 60;

/// What a caller gives to start a session.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The workflow it follows.
    pub workflow: WorkflowId,
    /// The caller's own name for the person.
    pub vendor_data: Option<String>,
    /// Where the person is sent afterwards.
    pub callback: Option<String>,
    /// `initiator`, `completer` or `both`.
    pub callback_method: String,
    /// Given back with the decision.
    pub metadata: Option<Value>,
    /// Language of the hosted page.
    pub language: Option<String>,
    /// How the person can be reached.
    pub contact_details: Option<Value>,
    /// What the caller knows about the person.
    pub expected_details: Option<Value>,
    /// A picture of the person.
    pub portrait: Option<Vec<u8>>,
}

/// What the owner gave; sealed in the session's row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Details {
    pub(crate) vendor_data: Option<String>,
    pub(crate) callback: Option<String>,
    pub(crate) callback_method: String,
    pub(crate) metadata: Option<Value>,
    pub(crate) contact_details: Option<Value>,
    pub(crate) expected_details: Option<Value>,
    /// A picture of the person that the owner gave: a small JPEG, base64.
    pub(crate) portrait: Option<String>,
    /// The link's token, so that the link can be shown again.
    pub(crate) token: String,
}

impl Details {
    pub(crate) fn portrait_bytes(&self) -> Option<Vec<u8>> {
        base64::engine::general_purpose::STANDARD.decode(self.portrait.as_deref()?).ok()
    }
}

/// Where the person stands; sealed in the session's row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) progress: Progress,
    /// The newest object of each capture, by its name.
    pub(crate) objects: std::collections::BTreeMap<String, store::ObjectId>,
    /// How each capture came: `camera` or `upload`.
    pub(crate) how: std::collections::BTreeMap<String, String>,
    /// The liveness challenge.
    pub(crate) active: crate::active::Active,
}

/// A session that was started, or given again.
#[derive(Debug, Clone)]
pub struct Started {
    /// Its id.
    pub session: SessionId,
    /// Its number within the application.
    pub number: i64,
    /// The credential of its link.
    pub token: String,
    /// Its status.
    pub status: SessionStatus,
    /// Version of its workflow.
    pub workflow_version: i64,
}

/// The answer to a start: made now, or the kept one of the same request.
#[derive(Debug)]
pub enum StartAnswer {
    /// Made by this request.
    Made(Vec<u8>),
    /// Kept from the first request with this idempotency key.
    Replayed {
        /// Its status code.
        status: u16,
        /// Its body.
        body: Vec<u8>,
    },
}

/// Why no session was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The application has no such workflow, or it has no published version.
    #[error("unknown workflow")]
    UnknownWorkflow,
    /// The owner blocked this person.
    #[error("person is blocked")]
    Blocked,
    /// The picture of the person is none, or the workflow has no face match that would use it.
    #[error("portrait image cannot be used")]
    Portrait(&'static str),
    /// The workflow reads no document, so nothing would be compared with what the caller knows.
    #[error("expected details cannot be compared")]
    Expected(&'static str),
    /// The first request with this idempotency key is still at work.
    #[error("idempotency key is in use")]
    KeyInUse,
    /// The idempotency key was used for another body.
    #[error("idempotency key was used for another request")]
    KeyReused,
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Why a status was not set.
#[derive(Debug, thiserror::Error)]
pub enum SetStatusError {
    /// No such session.
    #[error("no such session")]
    NotFound,
    /// The status does not allow it.
    #[error(transparent)]
    NotAllowed(NotAllowed),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Which sessions a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this status.
    pub status: Option<SessionStatus>,
    /// Only this person.
    pub vendor_data: Option<String>,
    /// Only this workflow.
    pub workflow: Option<WorkflowId>,
    /// Only this kind: `user` or `business`; both without it.
    pub kind: Option<String>,
    /// Only documents of this issuing state (alpha-3).
    pub country: Option<String>,
    /// Only documents of this type code.
    pub document_type: Option<String>,
    /// Only the single checks of this name (`FACE_MATCH` …).
    pub service: Option<String>,
    /// Only this person.
    pub subject: Option<store::SubjectId>,
    /// Started on or after this day (UTC).
    pub from: Option<Date>,
    /// Started on or before this day (UTC).
    pub to: Option<Date>,
    /// Rows of a page.
    pub limit: i64,
    /// Rows to pass over.
    pub offset: i64,
}

/// The status a row holds. One that this program does not know is treated as in review: nothing moves by itself.
pub(crate) fn status_of(session: &Session) -> SessionStatus {
    SessionStatus::parse(&session.status).unwrap_or(SessionStatus::InReview)
}

/// 256 random bits, URL-safe.
fn new_token(random: &dyn store::Random) -> String {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn details_of(session: &Session) -> Result<Details, store::Error> {
    serde_json::from_value(session.details.0.clone()).map_err(store::Error::Json)
}

pub(crate) fn state_of(session: &Session) -> Result<State, store::Error> {
    serde_json::from_value(session.state.0.clone()).map_err(store::Error::Json)
}

/// Appends `status.updated` with what webhooks tell of a status: never more than the owner knows already.
pub(crate) fn tell_status(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    session: &mut Session,
) -> Result<(), store::Error> {
    let details = details_of(session)?;
    let payload = json!({
        "session_id": session.id,
        "status": session.status,
        "webhook_type": "status.updated",
        "workflow_id": session.workflow.map(|(id, _)| id),
        "workflow_version": session.workflow.map(|(_, version)| version),
        "vendor_data": details.vendor_data,
        "metadata": details.metadata,
    });
    tx.events(application).append(session, "status.updated", &payload).map(|_| ())
}

pub(crate) fn audit_session(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    actor: &str,
    action: &str,
    session: SessionId,
    details: Option<Value>,
) -> Result<(), store::Error> {
    tx.audit(&audit::Entry {
        application: Some(application),
        actor,
        action,
        object: &format!("session:{session}"),
        outcome: "ok",
        details,
        ..audit::Entry::default()
    })
}

fn insert_session(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    actor: &str,
    new: &NewSession,
) -> Result<(Started, store::SubjectId), StartError> {
    let row = tx.workflows(application).published(new.workflow)?.ok_or(StartError::UnknownWorkflow)?;
    let definition = crate::workflows::read(&row)?;
    if new.expected_details.is_some() && !definition.has(Feature::Ocr) {
        return Err(StartError::Expected(
            "This workflow reads no document that could be compared. Send no expected_details, or use a workflow with OCR.",
        ));
    }
    if new.portrait.is_some() && !definition.has(Feature::FaceMatch) {
        return Err(StartError::Portrait(
            "This workflow compares no faces. Send no portrait_image, or use a workflow with FACE_MATCH.",
        ));
    }
    let (subject, key, vendor_index) = match &new.vendor_data {
        None => {
            let (subject, key) = tx.subjects(application).create("user")?;
            (subject, key, None)
        }
        Some(vendor_data) => {
            let (subject, _) = tx.subjects(application).find_or_create("user", vendor_data)?;
            if subject.status == "BLOCKED" {
                return Err(StartError::Blocked);
            }
            if let Some(open) = reuse(tx, application, subject.id, &row.id, row.version, new)? {
                return Ok((open, subject.id));
            }
            let index = tx.subjects(application).vendor_index(vendor_data)?;
            (subject.id, subject.key, Some(index))
        }
    };
    let token = new_token(tx.random());
    let now = tx.now();
    let details = Details {
        vendor_data: new.vendor_data.clone(),
        callback: new.callback.clone(),
        callback_method: new.callback_method.clone(),
        metadata: new.metadata.clone(),
        contact_details: new.contact_details.clone(),
        expected_details: new.expected_details.clone(),
        portrait: new.portrait.as_ref().map(|jpeg| base64::engine::general_purpose::STANDARD.encode(jpeg)),
        token: token.clone(),
    };
    let mut session = Session {
        application,
        id: tx.new_id(),
        number: tx.sessions(application).next_number()?,
        token_hash: store::sha256(token.as_bytes()),
        kind: "user".to_owned(),
        service: None,
        subject,
        vendor_index,
        workflow: Some((row.id, row.version)),
        status: SessionStatus::NotStarted.as_str().to_owned(),
        features: definition.nodes.iter().map(|node| node.feature.decision_name().to_owned()).collect(),
        language: new.language.clone(),
        country: None,
        document_type: None,
        details: Pii(serde_json::to_value(&details).map_err(store::Error::Json)?),
        state: Pii(serde_json::to_value(State::default()).map_err(store::Error::Json)?),
        decision: None,
        last_event: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        expires_at: now.plus_seconds(i64::from(definition.session_expiration_s)),
        decided_at: None,
        key,
    };
    tell_status(tx, application, &mut session)?;
    tx.sessions(application).insert(&session)?;
    audit_session(tx, application, actor, "session.create", session.id, None)?;
    let started = Started {
        session: session.id,
        number: session.number,
        token,
        status: SessionStatus::NotStarted,
        workflow_version: row.version,
    };
    Ok((started, subject))
}

/// An unfinished session of the same person on the same version of the workflow, with what the caller gives now: its
/// callback and metadata always, the rest where the request has it.
fn reuse(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    subject: store::SubjectId,
    workflow: &WorkflowId,
    version: i64,
    new: &NewSession,
) -> Result<Option<Started>, store::Error> {
    let now = tx.now();
    let open = tx.sessions(application).of_subject(subject)?.into_iter().rev().find(|session| {
        status_of(session).is_open()
            && session.expires_at > now
            && session.workflow == Some((*workflow, version))
    });
    let Some(mut session) = open else { return Ok(None) };
    let mut details = details_of(&session)?;
    details.callback.clone_from(&new.callback);
    details.callback_method.clone_from(&new.callback_method);
    details.metadata.clone_from(&new.metadata);
    if new.contact_details.is_some() {
        details.contact_details.clone_from(&new.contact_details);
    }
    if new.expected_details.is_some() {
        details.expected_details.clone_from(&new.expected_details);
    }
    if new.language.is_some() {
        session.language.clone_from(&new.language);
    }
    if let Some(jpeg) = &new.portrait {
        details.portrait = Some(base64::engine::general_purpose::STANDARD.encode(jpeg));
    }
    let started = Started {
        session: session.id,
        number: session.number,
        token: details.token.clone(),
        status: status_of(&session),
        workflow_version: version,
    };
    session.details = Pii(serde_json::to_value(&details).map_err(store::Error::Json)?);
    tx.sessions(application).save(&mut session)?;
    Ok(Some(started))
}

/// The workflow in use behind a reusable link, with its owner.
fn linked(tx: &mut Tx<'_>, link: &str) -> Result<Option<(ApplicationId, WorkflowId)>, store::Error> {
    Ok(tx
        .workflow_by_link(link)?
        .filter(|(_, workflow)| !workflow.is_archived)
        .map(|(application, workflow)| (application, workflow.id)))
}

impl Service {
    /// Starts a session. `render` makes the answer, which an idempotency key keeps in the same transaction.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        &self,
        access: &Access,
        new: NewSession,
        key: Option<idempotency::Key>,
        render: impl Fn(&Started) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<StartAnswer, StartError> {
        let access = access.clone();
        let mut new = new;
        if let Some(bytes) = new.portrait.take() {
            // Kept small and without metadata: it lies in the session's sealed row.
            let small = self.pool.run(Work::Picture, move || {
                let picture = checks::pictures::decode_photo(&bytes).ok()?;
                Some(imaging::encode_jpeg(&imaging::fit_within(&picture.pixels, 640), 92))
            });
            let small = small.await.ok().flatten();
            new.portrait = Some(small.ok_or(StartError::Portrait("Upload a valid image, base64 encoded."))?);
        }
        self.store
            .write(move |tx| {
                if let Some(key) = &key {
                    let begun = tx.idempotency(access.application).begin(
                        key.route,
                        &key.text,
                        &key.request,
                        IN_FLIGHT_SECONDS,
                    )?;
                    match begun {
                        Begin::New => {}
                        Begin::InFlight => return Err(StartError::KeyInUse),
                        Begin::Mismatch => return Err(StartError::KeyReused),
                        Begin::Replay { status, body } => return Ok(StartAnswer::Replayed { status, body }),
                    }
                }
                let (started, subject) = insert_session(tx, access.application, &access.actor(), &new)?;
                let body = render(&started);
                if let Some(key) = &key {
                    tx.idempotency(access.application).finish(
                        key.route,
                        &key.text,
                        201,
                        &body,
                        Some(subject),
                    )?;
                }
                Ok(StartAnswer::Made(body))
            })
            .await
    }

    /// Who asks behind a workflow's reusable link (`/u/…`); `None` for a link that leads nowhere.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn link_owner(&self, link: &str) -> Result<Option<String>, store::Error> {
        let link = link.to_owned();
        self.store
            .read(move |tx| {
                let Some((application, _)) = linked(tx, &link)? else { return Ok(None) };
                Ok(tx.application(application)?.map(|owner| owner.name))
            })
            .await
    }

    /// Starts a session for whoever opened a workflow's reusable link and gives its token. The link is no
    /// credential: each start is a person of its own.
    ///
    /// # Errors
    /// [`StartError::UnknownWorkflow`] when the link leads nowhere; the store.
    pub async fn start_from_link(&self, link: &str) -> Result<String, StartError> {
        let link = link.to_owned();
        self.store
            .write(move |tx| {
                let (application, workflow) = linked(tx, &link)?.ok_or(StartError::UnknownWorkflow)?;
                let new = NewSession {
                    workflow,
                    vendor_data: None,
                    callback: None,
                    callback_method: "initiator".to_owned(),
                    metadata: None,
                    language: None,
                    contact_details: None,
                    expected_details: None,
                    portrait: None,
                };
                let (started, _) = insert_session(tx, application, &format!("link:{workflow}"), &new)?;
                Ok(started.token)
            })
            .await
    }

    /// Everything known about a session, with links to its pictures; `None` when there is no such session.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn decision(
        &self,
        access: &Access,
        id: SessionId,
        public_url: &str,
    ) -> Result<Option<Value>, store::Error> {
        let access = access.clone();
        let public_url = public_url.to_owned();
        // Reading a decision is reading personal data: it is audited, so this is a writing transaction.
        self.store
            .write(move |tx| {
                let Some(session) = tx.sessions(access.application).find(id)? else { return Ok(None) };
                audit_session(tx, access.application, &access.actor(), "decision.read", id, None)?;
                decision::of_session(tx, &session, &public_url).map(Some)
            })
            .await
    }

    /// One page of sessions, newest first, and how many there are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list(
        &self,
        access: &Access,
        filter: &Filter,
        public_url: &str,
    ) -> Result<(i64, Vec<Value>), store::Error> {
        let application = access.application;
        let day = |date: Date| {
            date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| Time(zoned.timestamp().as_microsecond()))
        };
        let rows = sessions::Filter {
            kind: filter.kind.clone(),
            statuses: filter.status.map(|status| status.as_str().to_owned()).into_iter().collect(),
            vendor_data: filter.vendor_data.clone(),
            workflow: filter.workflow,
            country: filter.country.clone(),
            document_type: filter.document_type.clone(),
            service: filter.service.clone().map(Some),
            subject: filter.subject,
            from: filter.from.and_then(day),
            until: filter.to.and_then(|date| date.tomorrow().ok()).and_then(day),
            ..sessions::Filter::default()
        };
        let (limit, offset) = (filter.limit, filter.offset);
        let public_url = public_url.to_owned();
        self.store
            .read(move |tx| {
                let (count, found) = tx.sessions(application).list(&rows, limit, offset)?;
                let shown = found
                    .iter()
                    .map(|session| decision::row(session, &public_url))
                    .collect::<Result<_, _>>()?;
                Ok((count, shown))
            })
            .await
    }

    /// Records a decision taken by hand.
    ///
    /// # Errors
    /// [`SetStatusError`].
    pub async fn set_status(
        &self,
        access: &Access,
        id: SessionId,
        status: SessionStatus,
        comment: &str,
    ) -> Result<(), SetStatusError> {
        let access = access.clone();
        let comment = comment.to_owned();
        self.store
            .write(move |tx| {
                let application = access.application;
                let mut session =
                    tx.sessions(application).find_for_update(id)?.ok_or(SetStatusError::NotFound)?;
                let before = status_of(&session);
                let next =
                    transition(before, Event::SetByOperator(status)).map_err(SetStatusError::NotAllowed)?;
                next.as_str().clone_into(&mut session.status);
                if next == SessionStatus::Resubmitted {
                    let mut state = state_of(&session)?;
                    state.progress = Progress { consented: state.progress.consented, ..Progress::default() };
                    state.objects.clear();
                    state.active = crate::active::Active::default();
                    session.state = Pii(serde_json::to_value(&state).map_err(store::Error::Json)?);
                    session.decision = None;
                    session.expires_at = tx.now().plus_seconds(604_800);
                }
                tell_status(tx, application, &mut session)?;
                tx.sessions(application).save(&mut session)?;
                tx.reviews(application).add(
                    id,
                    &session.key,
                    &access.actor(),
                    Some(next.as_str()),
                    &comment,
                )?;
                let change = json!({ "from": before.as_str(), "to": next.as_str() });
                audit_session(tx, application, &access.actor(), "session.set_status", id, Some(change))?;
                Ok(())
            })
            .await
    }

    /// Erases a session: its rows in one transaction, then its files; `false` when there is no such session.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn erase_session(&self, access: &Access, id: SessionId) -> Result<bool, store::Error> {
        let access = access.clone();
        let blobs = self
            .store
            .write(move |tx| {
                let blobs = tx.sessions(access.application).delete(id)?;
                if blobs.is_some() {
                    audit_session(tx, access.application, &access.actor(), "session.erase", id, None)?;
                }
                Ok::<_, store::Error>(blobs)
            })
            .await?;
        let Some(blobs) = blobs else { return Ok(false) };
        // The key is gone with the rows: a file that stays behind for the sweep cannot be read.
        self.store.delete_blobs(&blobs).await;
        Ok(true)
    }
}

/// What a session's owner sees of it in a list and in its decision.
pub(crate) fn heading(session: &Session, public_url: &str) -> Result<Value, store::Error> {
    let details = details_of(session)?;
    Ok(json!({
        "session_id": session.id,
        "session_kind": session.kind,
        "session_number": session.number,
        "session_url": format!("{}/session/{}", public_url.trim_end_matches('/'), details.token),
        "status": session.status,
        "vendor_data": details.vendor_data,
        "created_at": rfc3339(session.created_at),
    }))
}
