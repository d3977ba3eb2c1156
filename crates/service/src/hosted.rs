//! What the person does on the hosted page: consent, captures, submission.
//!
//! Each act is one transaction on the locked session: what does not fit the
//! session's present step is refused, so two open tabs cannot disagree.

use serde_json::json;
use store::{
    ApplicationId, BlobId, ObjectId, Pii, Session, SessionId, SubjectKey, Time, Tx, rows::consents::Consent,
    rows::jobs::NewJob, rows::objects::NewObject,
};
use workflow::{Capture, Definition, Event, Feature, SessionStatus, Step, next_step, transition};

use crate::{
    Service,
    active::ActiveView,
    face_search::Settings,
    jobs,
    pool::{PoolError, Work},
    sessions::{State, audit_session, details_of, state_of, status_of, tell_status},
    workflows,
};

/// Version of the consent text, recorded with each consent.
const CONSENT_VERSION: &str = "1";

/// What a page needs to know of a session.
#[derive(Debug, Clone)]
pub struct View {
    /// The session.
    pub session: SessionId,
    /// Its status.
    pub status: SessionStatus,
    /// What the person must do next.
    pub step: Step,
    /// When it ends by itself.
    pub expires_at: Time,
    /// Who asks.
    pub application: String,
    /// The language that whoever started the session chose for its pages.
    pub language: Option<String>,
    /// Whether a document is asked for.
    pub wants_document: bool,
    /// Whether a selfie is asked for.
    pub wants_selfie: bool,
    /// The active liveness challenge, where the selfie is taken by one.
    pub liveness: Option<ActiveView>,
    /// For what the face is also compared with faces that the application knows, when it does so.
    pub face_search: Option<String>,
    /// Whether the person may take the consent back here.
    pub can_withdraw: bool,
    /// Where the person goes when it is over, with the result added.
    pub callback: Option<String>,
}

/// Why an act of the person was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The session is at another step, decided or over.
    #[error("the step is not open")]
    NotNow,
    /// Nobody agreed yet, or the consent was withdrawn.
    #[error("there is no consent")]
    NoConsent,
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Why a picture was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// It is no picture that can be used; the message is for the person.
    #[error("{code}")]
    Picture {
        /// Stable code.
        code: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// Too many pictures are being decoded.
    #[error("too many pictures are being decoded")]
    Busy,
    /// The session.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<store::Error> for CaptureError {
    fn from(error: store::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// A session of a person, with what its step depends on.
pub(crate) struct Open {
    pub(crate) session: Session,
    pub(crate) state: State,
    pub(crate) definition: Definition,
}

/// Finds and locks the session behind a token, if the person may still act in it.
pub(crate) fn open(tx: &mut Tx<'_>, token: &str) -> Result<Open, Refused> {
    let found = tx.session_by_token(token)?.ok_or(Refused::NotNow)?;
    let session = tx.sessions(found.application).find_for_update(found.id)?.ok_or(Refused::NotNow)?;
    opened(tx, session)
}

/// The same without the lock, for looking before something is read or decoded.
pub(crate) fn look(tx: &mut Tx<'_>, token: &str) -> Result<Open, Refused> {
    let session = tx.session_by_token(token)?.ok_or(Refused::NotNow)?;
    opened(tx, session)
}

fn opened(tx: &mut Tx<'_>, session: Session) -> Result<Open, Refused> {
    if !status_of(&session).is_open() || session.expires_at <= tx.now() {
        return Err(Refused::NotNow);
    }
    let state = state_of(&session)?;
    let definition =
        workflows::definition_of(tx, session.application, session.workflow)?.ok_or(Refused::NotNow)?;
    Ok(Open { session, state, definition })
}

/// Saves what an act changed; the first act begins the session.
pub(crate) fn save(tx: &mut Tx<'_>, mut open: Open, action: &str) -> Result<(), Refused> {
    let application = open.session.application;
    let before = status_of(&open.session);
    let next = transition(before, Event::Begun).map_err(|_| Refused::NotNow)?;
    if next != before {
        next.as_str().clone_into(&mut open.session.status);
        tell_status(tx, application, &mut open.session)?;
    }
    open.session.state = Pii(serde_json::to_value(&open.state).map_err(store::Error::Json)?);
    tx.sessions(application).save(&mut open.session)?;
    let actor = format!("session:{}", open.session.id);
    audit_session(tx, application, &actor, action, open.session.id, None)?;
    Ok(())
}

impl Service {
    /// What the page of a token shows; `None` for a token that is nobody's.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn view(&self, token: &str) -> Result<Option<View>, store::Error> {
        let token = token.to_owned();
        self.store
            .read(move |tx| {
                let Some(session) = tx.session_by_token(&token)? else { return Ok(None) };
                let application = session.application;
                let Some(owner) = tx.application(application)? else { return Ok(None) };
                let Some(definition) = workflows::definition_of(tx, application, session.workflow)? else {
                    return Ok(None);
                };
                let details = details_of(&session)?;
                let mut status = status_of(&session);
                let state = state_of(&session)?;
                // Before the next round of housekeeping writes it; what was handed in is decided all the same.
                if status.is_open() && session.expires_at <= tx.now() && !state.progress.submitted {
                    status = transition(status, Event::TimedOut).unwrap_or(status);
                }
                let step =
                    if status.is_open() { next_step(&definition, &state.progress) } else { Step::Result };
                let liveness = state.active.view(&definition, &state).filter(|_| status.is_open());
                let settings = Settings::of(&owner);
                let callback = details.callback.map(|callback| {
                    let separator = if callback.contains('?') { '&' } else { '?' };
                    let status = status.as_str().replace(' ', "%20");
                    format!("{callback}{separator}verificationSessionId={}&status={status}", session.id)
                });
                Ok(Some(View {
                    session: session.id,
                    status,
                    step,
                    expires_at: session.expires_at,
                    liveness,
                    face_search: settings.face_search,
                    can_withdraw: state.progress.consented && status != SessionStatus::Abandoned,
                    application: owner.name,
                    language: session.language.clone(),
                    wants_document: definition.has(Feature::Ocr),
                    wants_selfie: [Feature::Liveness, Feature::FaceMatch, Feature::AgeEstimation]
                        .into_iter()
                        .any(|feature| definition.has(feature)),
                    callback,
                }))
            })
            .await
    }

    /// Of each token, whether a browser still has a use for it: its session goes on, or was changed within the hour.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of_use(&self, tokens: Vec<String>) -> Result<Vec<bool>, store::Error> {
        self.store
            .read(move |tx| {
                let hour_ago = tx.now().plus_seconds(-3600);
                tokens
                    .iter()
                    .map(|token| {
                        let session = tx.session_by_token(token)?;
                        Ok(session.is_some_and(|session| {
                            let goes_on = status_of(&session).is_open() && session.expires_at > tx.now();
                            goes_on || session.updated_at > hour_ago
                        }))
                    })
                    .collect()
            })
            .await
    }

    /// Records that the person agrees to the shown text.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn consent(&self, token: &str, language: &str, text: &str) -> Result<(), Refused> {
        let (token, language, text) = (token.to_owned(), language.to_owned(), text.to_owned());
        self.store
            .write(move |tx| {
                let mut open = open(tx, &token)?;
                if next_step(&open.definition, &open.state.progress) != Step::Consent {
                    return Err(Refused::NotNow);
                }
                let consent = Consent {
                    id: tx.new_id(),
                    session: open.session.id,
                    purpose: "biometrics".to_owned(),
                    text_version: CONSENT_VERSION.to_owned(),
                    text_sha256: store::sha256(text.as_bytes()),
                    language,
                    given_at: tx.now(),
                    withdrawn_at: None,
                };
                let application = open.session.application;
                tx.consents(application).give(&consent, &open.session.key, &json!({}))?;
                open.state.progress.consented = true;
                save(tx, open, "session.consent")
            })
            .await
    }

    /// Takes a picture: decoded to see that it is one, sealed, written, and only then acknowledged.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub async fn capture(
        &self,
        token: &str,
        side: Capture,
        bytes: Vec<u8>,
        how: &str,
    ) -> Result<(), CaptureError> {
        let (application, key) = self.may_capture(token, side).await?;
        let decoding = move || {
            let decoded = match side {
                Capture::Selfie => checks::pictures::decode_photo(&bytes),
                _ => checks::pictures::decode(&bytes, None),
            };
            (decoded.map(|_| ()), bytes)
        };
        let pictures = self.pool.run(Work::Picture, decoding).await.map_err(|error| match error {
            PoolError::Busy => CaptureError::Busy,
            PoolError::Panicked(_) | PoolError::TooLong(_) => CaptureError::Picture {
                code: "picture_unreadable",
                message: "This file could not be read. Please take the picture again.".to_owned(),
            },
        })?;
        let (decoded, bytes) = pictures;
        match decoded {
            Ok(()) => {}
            Err(error) if error.is_busy() => return Err(CaptureError::Busy),
            Err(error) => {
                return Err(CaptureError::Picture { code: error.code(), message: error.message() });
            }
        }
        let object = self.write_object(&key, &bytes).await?;
        let token = token.to_owned();
        let how = how.to_owned();
        let blob = object.blob.clone();
        let written: Result<Vec<BlobId>, Refused> = self
            .store
            .write(move |tx| {
                let mut open = open(tx, &token)?;
                if !takes(&open.state, &open.definition, side) {
                    return Err(Refused::NotNow);
                }
                insert_object(tx, application, open.session.id, &open.session.key, side.as_str(), &object)?;
                open.state.objects.insert(side.as_str().to_owned(), object.id);
                open.state.how.insert(side.as_str().to_owned(), how);
                let mut unused = Vec::new();
                if side == Capture::Selfie {
                    // A picture handed in takes the place of the challenge; what that had shown belongs to other pixels.
                    open.state.active.outcome = None;
                    for frames in open.state.active.drop_running() {
                        unused.extend(tx.objects(application).delete(frames)?);
                    }
                }
                open.state.progress.captured.insert(side);
                save(tx, open, "session.capture")?;
                Ok(unused)
            })
            .await;
        match written {
            Ok(unused) => {
                self.store.delete_blobs(&unused).await;
                Ok(())
            }
            Err(error) => {
                // The row was not written: the file belongs to nobody.
                self.store.delete_blobs(&[blob]).await;
                Err(error.into())
            }
        }
    }

    async fn may_capture(&self, token: &str, side: Capture) -> Result<(ApplicationId, SubjectKey), Refused> {
        let token = token.to_owned();
        self.store
            .read(move |tx| {
                let session = tx.session_by_token(&token)?.ok_or(Refused::NotNow)?;
                let definition = workflows::definition_of(tx, session.application, session.workflow)?
                    .ok_or(Refused::NotNow)?;
                if status_of(&session).is_open() && !state_of(&session)?.progress.consented {
                    return Err(Refused::NoConsent);
                }
                let fits = status_of(&session).is_open()
                    && session.expires_at > tx.now()
                    && takes(&state_of(&session)?, &definition, side);
                if fits { Ok((session.application, session.key)) } else { Err(Refused::NotNow) }
            })
            .await
    }

    /// The person says that the document has no other side.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn skip_back(&self, token: &str) -> Result<(), Refused> {
        let token = token.to_owned();
        self.store
            .write(move |tx| {
                let mut open = open(tx, &token)?;
                if next_step(&open.definition, &open.state.progress) != Step::Capture(Capture::Back) {
                    return Err(Refused::NotNow);
                }
                open.state.progress.back_skipped = true;
                save(tx, open, "session.skip_back")
            })
            .await
    }

    /// Everything is handed in: the checks are queued in the same transaction.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn submit(&self, token: &str) -> Result<(), Refused> {
        let token = token.to_owned();
        self.store
            .write(move |tx| {
                let mut open = open(tx, &token)?;
                if next_step(&open.definition, &open.state.progress) != Step::Submit {
                    return Err(Refused::NotNow);
                }
                open.state.progress.submitted = true;
                let key = open.session.id.to_string();
                tx.enqueue(&NewJob {
                    application: open.session.application,
                    queue: jobs::QUEUE,
                    kind: jobs::CHECK_SESSION,
                    payload: json!({ "session": open.session.id }),
                    unique_key: Some(&key),
                    run_at: tx.now(),
                })?;
                save(tx, open, "session.submit")
            })
            .await
    }

    /// Seals bytes and writes them to the blob store.
    pub(crate) async fn write_object(&self, key: &SubjectKey, bytes: &[u8]) -> Result<Written, store::Error> {
        let (id, blob) = self.store.put_blob(key, bytes.to_vec()).await?;
        let size_bytes = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let content_type = checks::pictures::content_type(bytes);
        Ok(Written { id, blob, sha256: store::sha256(bytes), size_bytes, content_type })
    }
}

/// A file that lies in the blob store and has no row yet.
pub(crate) struct Written {
    pub(crate) id: ObjectId,
    pub(crate) blob: BlobId,
    pub(crate) sha256: [u8; 32],
    pub(crate) size_bytes: i64,
    pub(crate) content_type: &'static str,
}

/// Gives a written file its row.
pub(crate) fn insert_object(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    session: SessionId,
    key: &SubjectKey,
    kind: &str,
    written: &Written,
) -> Result<(), store::Error> {
    let details = json!({});
    let new = NewObject {
        id: written.id,
        session,
        node_id: None,
        kind,
        blob: &written.blob,
        content_type: written.content_type,
        size_bytes: written.size_bytes,
        sha256: written.sha256,
        nonce: None,
        details: &details,
    };
    tx.objects(application).insert(&new, key).map(|_| ())
}

/// Whether a picture of this side can be taken now: the next one, or one taken before that is made anew.
pub(crate) fn takes(state: &State, definition: &Definition, side: Capture) -> bool {
    let progress = &state.progress;
    progress.consented
        && !progress.submitted
        && (progress.captured.contains(&side) || next_step(definition, progress) == Step::Capture(side))
}
