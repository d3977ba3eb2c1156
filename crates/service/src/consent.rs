//! Consents to the use of a face: recorded by the owner, asked for by single checks, taken back by the person.
//!
//! On the hosted page consent is a step that nothing passes by; here are the
//! single checks, whose caller shows the text and keeps the person's answer
//! with us (GDPR Art. 7(1): the controller shall be able to demonstrate it).
//! Taking it back ends what is under way and deletes what was derived (Art. 7(3), 17(1)(b)).

use serde_json::json;
use store::{
    ApplicationId, BlobId, ConsentId, Pii, SessionId, SubjectId, Tx, audit, rows::consents::Consent,
};
use workflow::{Event, SessionStatus, transition};

use crate::{
    Service,
    access::Access,
    face_search::Settings,
    hosted::Refused,
    rfc3339,
    sessions::{audit_session, state_of, status_of, tell_status},
    standalone::{Common, StandaloneError},
};

/// To what a person consents.
const PURPOSE: &str = "biometrics";

/// A consent that the owner records.
#[derive(Debug, Clone)]
pub struct Given {
    /// The owner's name for the person.
    pub vendor_data: String,
    /// The text that the person agreed to.
    pub text: String,
    /// Its version, as its owner counts.
    pub text_version: String,
    /// Its language.
    pub language: String,
}

/// A consent as the API shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Shown {
    /// Its id.
    pub consent_id: ConsentId,
    /// In which session it was given; `None` when the owner recorded it.
    pub session_id: Option<SessionId>,
    /// To what.
    pub purpose: String,
    /// Version of the text.
    pub text_version: String,
    /// SHA-256 of the text, hexadecimal.
    pub text_sha256: String,
    /// Language of the text.
    pub language: String,
    /// When it was given.
    pub given_at: String,
    /// When it was taken back.
    pub withdrawn_at: Option<String>,
}

pub(crate) fn shown(consent: Consent, subject: SubjectId) -> Shown {
    Shown {
        consent_id: consent.id,
        session_id: (consent.session.0 != subject.0).then_some(consent.session),
        purpose: consent.purpose,
        text_version: consent.text_version,
        text_sha256: consent.text_sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        language: consent.language,
        given_at: rfc3339(consent.given_at),
        withdrawn_at: consent.withdrawn_at.map(rfc3339),
    }
}

impl Service {
    /// The application's settings for faces, once it is certain that this check may run: where a consent is required,
    /// the person must be named and have given one.
    pub(crate) async fn consented(
        &self,
        access: &Access,
        common: &Common,
    ) -> Result<Settings, StandaloneError> {
        let settings = self.face_settings(access.application).await?;
        if !settings.require_consent {
            return Ok(settings);
        }
        let application = access.application;
        let vendor_data = common.vendor_data.clone().ok_or(StandaloneError::ConsentRequired)?;
        let given = self
            .store
            .read(move |tx| {
                let Some(subject) = tx.subjects(application).find_by_vendor("user", &vendor_data)? else {
                    return Ok(false);
                };
                let consents = tx.consents(application).of_subject(subject.id)?;
                Ok::<_, store::Error>(
                    consents.iter().any(|c| c.purpose == PURPOSE && c.withdrawn_at.is_none()),
                )
            })
            .await?;
        if given { Ok(settings) } else { Err(StandaloneError::ConsentRequired) }
    }

    /// Records that a person agreed, outside a session.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn record_consent(&self, access: &Access, given: Given) -> Result<Shown, store::Error> {
        let access = access.clone();
        self.store
            .write(move |tx| {
                let application = access.application;
                let (subject, _) = tx.subjects(application).find_or_create("user", &given.vendor_data)?;
                let consent = Consent {
                    id: tx.new_id(),
                    session: SessionId(subject.id.0),
                    purpose: PURPOSE.to_owned(),
                    text_version: given.text_version,
                    text_sha256: store::sha256(given.text.as_bytes()),
                    language: given.language,
                    given_at: tx.now(),
                    withdrawn_at: None,
                };
                // The words themselves are kept with the proof.
                tx.consents(application).give(&consent, &subject.key, &json!({ "text": given.text }))?;
                audit_subject(tx, &access, "consent.record", subject.id)?;
                Ok(shown(consent, subject.id))
            })
            .await
    }

    /// A person's consents, given here or on the hosted page; `None` when nobody has that name.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn consents(
        &self,
        access: &Access,
        vendor_data: &str,
    ) -> Result<Option<Vec<Shown>>, store::Error> {
        let (application, vendor_data) = (access.application, vendor_data.to_owned());
        self.store
            .read(move |tx| {
                let Some(subject) = tx.subjects(application).find_by_vendor("user", &vendor_data)? else {
                    return Ok(None);
                };
                let consents = tx.consents(application).of_subject(subject.id)?;
                Ok(Some(consents.into_iter().map(|consent| shown(consent, subject.id)).collect()))
            })
            .await
    }

    /// Takes a person's consent back: ends open sessions, deletes face templates and pictures of the face; how many
    /// consents that ended, `None` when nobody has that name.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn withdraw_consent(
        &self,
        access: &Access,
        vendor_data: &str,
    ) -> Result<Option<u64>, store::Error> {
        let access = access.clone();
        let vendor_data = vendor_data.to_owned();
        let ended = self
            .store
            .write(move |tx| {
                let application = access.application;
                let Some(subject) = tx.subjects(application).find_by_vendor("user", &vendor_data)? else {
                    return Ok(None);
                };
                let withdrawn = tx.consents(application).withdraw_of_subject(subject.id, PURPOSE)?;
                tx.faces(application).delete_of_subject(subject.id)?;
                let mut blobs = Vec::new();
                for session in tx.sessions(application).of_subject(subject.id)? {
                    blobs.extend(forget_face(tx, application, session.id, &access.actor())?);
                }
                audit_subject(tx, &access, "consent.withdraw", subject.id)?;
                Ok::<_, store::Error>(Some((withdrawn, blobs)))
            })
            .await?;
        let Some((withdrawn, blobs)) = ended else { return Ok(None) };
        self.store.delete_blobs(&blobs).await;
        Ok(Some(withdrawn))
    }

    /// The person takes the consent back on the hosted page.
    ///
    /// # Errors
    /// [`Refused::NotNow`] when there is nothing to take back.
    pub async fn withdraw_in_session(&self, token: &str) -> Result<(), Refused> {
        let token = token.to_owned();
        let blobs = self
            .store
            .write(move |tx| {
                let found = tx.session_by_token(&token)?.ok_or(Refused::NotNow)?;
                let (application, id) = (found.application, found.id);
                tx.sessions(application).find_for_update(id)?.ok_or(Refused::NotNow)?;
                if tx.consents(application).withdraw(id, PURPOSE)? == 0 {
                    return Err(Refused::NotNow);
                }
                tx.faces(application).delete_of_session(id)?;
                let blobs = forget_face(tx, application, id, &format!("session:{id}"))?;
                audit_session(tx, application, &format!("session:{id}"), "consent.withdraw", id, None)?;
                Ok(blobs)
            })
            .await?;
        self.store.delete_blobs(&blobs).await;
        Ok(())
    }
}

fn audit_subject(
    tx: &mut Tx<'_>,
    access: &Access,
    action: &str,
    subject: SubjectId,
) -> Result<(), store::Error> {
    tx.audit(&audit::Entry {
        application: Some(access.application),
        actor: &access.actor(),
        action,
        object: &format!("subject:{subject}"),
        outcome: "ok",
        ..audit::Entry::default()
    })
}

/// Deletes what a session holds of the face and ends it where it is still open; the blobs are to be deleted.
fn forget_face(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    id: SessionId,
    actor: &str,
) -> Result<Vec<BlobId>, store::Error> {
    let Some(mut session) = tx.sessions(application).find_for_update(id)? else { return Ok(Vec::new()) };
    let mut blobs = Vec::new();
    for object in tx.objects(application).of_session(id)? {
        if ["selfie", "portrait", "frames"].contains(&object.kind.as_str()) {
            blobs.extend(tx.objects(application).delete(object.id)?);
        }
    }
    let mut state = state_of(&session)?;
    state.objects.retain(|kind, _| !["selfie", "portrait"].contains(&kind.as_str()));
    state.active = crate::active::Active::default();
    state.progress.consented = false;
    let before = status_of(&session);
    if before.is_open() {
        // Not begun is over as well: nobody may go on without a consent.
        let next = transition(before, Event::TimedOut).unwrap_or(SessionStatus::Abandoned);
        next.as_str().clone_into(&mut session.status);
        tell_status(tx, application, &mut session)?;
        audit_session(tx, application, actor, "session.end", id, None)?;
    }
    session.state = Pii(serde_json::to_value(&state).map_err(store::Error::Json)?);
    tx.sessions(application).save(&mut session)?;
    Ok(blobs)
}
