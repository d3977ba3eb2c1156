//! Single checks without a workflow: the same engine, judged under the settings of one request.
//!
//! A saved request is a session of its own kind (`service` names the check), so
//! that lists, decisions, erasure and retention treat it like any other.

use checks::{
    About, Capture, Carried, Check, Gathered, Input, Ran, Submission,
    facts::Facts,
    pictures::{Unreadable, decode_photo, jpeg},
};
use evidence::catalogue::Action;
use serde_json::{Value, json};
use store::{Pii, Session, SessionId};
use uuid::Uuid;
use workflow::{CheckState, Definition, Feature, FeatureStatus, Finding, NodeConfig, SessionStatus, judge};

use crate::{
    Service,
    access::Access,
    hosted::insert_object,
    pool::{PoolError, Work},
    screening::Screened,
    sessions::{Details, State, audit_session},
};

/// What every single check has.
#[derive(Debug, Clone, Default)]
pub struct Common {
    /// Whether pictures and result are kept.
    pub save: bool,
    /// The caller's own name for the person.
    pub vendor_data: Option<String>,
    /// Given back with the answer.
    pub metadata: Option<Value>,
}

/// A document to be read.
#[derive(Debug, Clone)]
pub struct IdVerification {
    /// Side with the portrait.
    pub front: Vec<u8>,
    /// The other side.
    pub back: Option<Vec<u8>>,
    /// Password of the front's PDF.
    pub front_password: Option<String>,
    /// Password of the back's PDF.
    pub back_password: Option<String>,
    /// Whether signs of screens, copies and manipulated portraits count.
    pub document_liveness: bool,
    /// Declines below this age.
    pub minimum_age: Option<u8>,
    /// Whether a missing date of expiry declines.
    pub decline_missing_expiry: bool,
    /// Whether a machine readable zone that does not hold declines.
    pub decline_invalid_mrz: bool,
    /// Whether data that contradict each other decline.
    pub decline_inconsistent: bool,
    /// The rest.
    pub common: Common,
}

/// Two faces to be compared.
#[derive(Debug, Clone)]
pub struct FaceMatch {
    /// Picture of the person.
    pub user: Vec<u8>,
    /// Picture to compare with.
    pub reference: Vec<u8>,
    /// A similarity at or below this declines.
    pub decline_threshold: f64,
    /// Whether turned pictures are tried.
    pub rotate: bool,
    /// The rest.
    pub common: Common,
}

/// A selfie to be judged.
#[derive(Debug, Clone)]
pub struct PassiveLiveness {
    /// Picture of the person.
    pub user: Vec<u8>,
    /// A score at or below this declines.
    pub decline_threshold: f64,
    /// Whether turned pictures are tried.
    pub rotate: bool,
    /// The rest.
    pub common: Common,
}

/// A selfie whose age is estimated.
#[derive(Debug, Clone)]
pub struct AgeEstimation {
    /// Picture of the person.
    pub user: Vec<u8>,
    /// A liveness score at or below this declines.
    pub liveness_decline_threshold: f64,
    /// An estimated age below this declines.
    pub minimum_age: u8,
    /// Years of doubt to both sides of it, within which a person decides ("Challenge 25" is 7).
    pub buffer: u8,
    /// Whether only the answer is given and kept: no picture, no age, no template.
    pub outcome_only: bool,
    /// Whether turned pictures are tried.
    pub rotate: bool,
    /// The rest.
    pub common: Common,
}

/// A result with the id of its request: a session's id when it was saved.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The request.
    pub request: Uuid,
    /// The result.
    pub block: Value,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    /// A picture cannot be used.
    #[error("{field}: {text}")]
    Picture {
        /// Name of the form's field.
        field: &'static str,
        /// What is wrong and what to do.
        text: String,
    },
    /// A PDF that does not open; the text is the API's.
    #[error("{0}")]
    Password(String),
    /// The picture shows no face to search for.
    #[error("no face was found")]
    NoFace,
    /// The application does not search faces.
    #[error("face search is switched off")]
    Disabled,
    /// The application requires a recorded consent, and there is none.
    #[error("there is no consent")]
    ConsentRequired,
    /// The picture shows no document.
    #[error("no document was recognised")]
    NoDocument,
    /// A model is missing; the text names the command that installs it.
    #[error("{0}")]
    NotInstalled(String),
    /// The queue is full.
    #[error("too many checks are waiting")]
    Busy,
    /// The check failed for a technical reason.
    #[error("the check could not run")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<PoolError> for StandaloneError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Busy => Self::Busy,
            broken => Self::Failed(broken.into()),
        }
    }
}

/// A picture that cannot be used, in the API's words.
pub(crate) fn unreadable(field: &'static str, error: &Unreadable) -> StandaloneError {
    use imaging::DecodeError;
    match error.cause() {
        DecodeError::Unavailable => StandaloneError::Busy,
        DecodeError::PasswordRequired | DecodeError::EncryptionUnsupported => StandaloneError::Password(
            "The PDF is encrypted. Please upload a decrypted PDF or a photo instead.".to_owned(),
        ),
        DecodeError::WrongPassword => StandaloneError::Password(
            "The PDF password is incorrect. Please provide the correct password.".to_owned(),
        ),
        _ => StandaloneError::Picture { field, text: error.message() },
    }
}

/// Decodes a picture of a person and finds the faces.
pub(crate) fn look_at(
    engines: &checks::Engines,
    field: &'static str,
    bytes: &[u8],
) -> Result<checks::faces::Look, StandaloneError> {
    let picture = decode_photo(bytes).map_err(|error| unreadable(field, &error))?;
    checks::faces::look_at(engines, &picture.pixels).map_err(|reason| StandaloneError::Failed(reason.into()))
}

/// The settings of one document check as those of a workflow's node.
fn document_settings(input: &IdVerification) -> NodeConfig {
    let mut config = NodeConfig { minimum_age: input.minimum_age, ..NodeConfig::default() };
    let mut set = |risks: &[&str], decline: bool| {
        let action = if decline { Action::Decline } else { Action::NoAction };
        for risk in risks {
            config.actions.insert((*risk).to_owned(), action);
        }
    };
    set(&["MRZ_VALIDATION_FAILED", "MRZ_NOT_DETECTED"], input.decline_invalid_mrz);
    let inconsistent =
        ["DATA_INCONSISTENT", "MRZ_AND_DATA_EXTRACTED_FROM_OCR_NOT_SAME", "DOCUMENT_SIDES_MISMATCH"];
    set(&inconsistent, input.decline_inconsistent);
    set(&["EXPIRATION_DATE_NOT_DETECTED"], input.decline_missing_expiry);
    let copies = ["SCREEN_CAPTURE_DETECTED", "PRINTED_COPY_DETECTED", "PORTRAIT_MANIPULATION_DETECTED"];
    set(&copies, input.document_liveness);
    config
}

fn one_node(feature: Feature, config: NodeConfig) -> Definition {
    let mut definition = Definition::of(&[feature]);
    for node in &mut definition.nodes {
        node.config = config.clone();
    }
    definition
}

/// Judges a finding under settings of its own and completes its block with the status, as single checks do.
pub(crate) fn judged_single(
    feature: Feature,
    config: NodeConfig,
    finding: &Finding,
    mut block: Value,
) -> (Value, &'static str) {
    let verdict = one_node(feature, config).nodes.first().map(|node| judge(node, finding));
    let approved = verdict.as_ref().is_some_and(|verdict| verdict.status == FeatureStatus::Approved);
    // Single checks know two statuses: what a person would have to look at is not approved.
    let status = if approved { "Approved" } else { "Declined" };
    block["status"] = json!(status);
    block["warnings"] = json!(verdict.map(|verdict| verdict.warnings));
    (block, status)
}

/// What is kept of a single check.
pub(crate) struct Kept {
    pub(crate) name: &'static str,
    pub(crate) feature: Feature,
    pub(crate) block: Value,
    pub(crate) status: &'static str,
    pub(crate) pictures: Vec<(&'static str, Vec<u8>)>,
    /// Issuing state of the document, where one was read.
    pub(crate) country: Option<String>,
    /// Type code of the document.
    pub(crate) document: Option<String>,
    /// What a screening leaves beside its block.
    pub(crate) screened: Option<Screened>,
    /// The check that ran, with what it leaves for later sessions.
    pub(crate) ran: Option<(&'static dyn Check, Ran)>,
}

impl Kept {
    /// A result with its pictures, and nothing beside it.
    pub(crate) fn of(
        name: &'static str,
        feature: Feature,
        block: Value,
        status: &'static str,
        pictures: Vec<(&'static str, Vec<u8>)>,
    ) -> Self {
        Self {
            name,
            feature,
            block,
            status,
            pictures,
            country: None,
            document: None,
            screened: None,
            ran: None,
        }
    }
}

/// A check asked for alone, whichever it is.
struct Request {
    /// Its name, as its manifest has it.
    name: &'static str,
    config: NodeConfig,
    submission: Submission,
    /// What the caller chose, of the check's own type.
    options: Carried,
    /// Whether neither pictures nor a template of the face are kept.
    outcome_only: bool,
    common: Common,
}

/// A single check on its way through the cores.
struct One {
    definition: Definition,
    submission: Submission,
    options: Carried,
    facts: Facts,
    gathered: Gathered,
}

impl One {
    fn input(&self) -> Option<Input<'_>> {
        Some(Input {
            definition: &self.definition,
            node: self.definition.nodes.first()?,
            submission: &self.submission,
            facts: &self.facts,
            gathered: &self.gathered,
            options: &self.options,
        })
    }
}

/// A file of a request: its capture, its bytes, the password of a PDF.
type File = (&'static str, Option<Vec<u8>>, Option<String>);

/// What was handed in with a request.
fn files(files: Vec<File>, rotate: bool) -> Submission {
    let mut submission = Submission::default();
    submission.upright_only = !rotate;
    for (name, bytes, password) in files {
        if let Some(bytes) = bytes {
            submission.add(name, bytes, password);
        }
    }
    submission
}

impl Service {
    /// Reads and judges a document.
    ///
    /// # Errors
    /// [`StandaloneError`].
    pub async fn id_verification(
        &self,
        access: &Access,
        input: IdVerification,
        public_url: &str,
    ) -> Result<Answer, StandaloneError> {
        let config = document_settings(&input);
        let front = ("front", Some(input.front), input.front_password);
        let back = ("back", input.back, input.back_password);
        let request = Request {
            name: "ID_VERIFICATION",
            config,
            submission: files(vec![front, back], true),
            options: Carried::default(),
            outcome_only: false,
            common: input.common,
        };
        self.single(access, request, public_url).await
    }

    /// Compares two faces.
    ///
    /// # Errors
    /// [`StandaloneError`].
    pub async fn face_match(&self, access: &Access, input: FaceMatch) -> Result<Answer, StandaloneError> {
        let selfie = ("selfie", Some(input.user), None);
        let portrait = ("portrait", Some(input.reference), None);
        let request = Request {
            name: "FACE_MATCH",
            config: NodeConfig { decline_threshold: Some(input.decline_threshold), ..NodeConfig::default() },
            submission: files(vec![selfie, portrait], input.rotate),
            options: Carried::default(),
            outcome_only: false,
            common: input.common,
        };
        self.single(access, request, "").await
    }

    /// Judges whether a selfie shows a live person.
    ///
    /// # Errors
    /// [`StandaloneError`].
    pub async fn passive_liveness(
        &self,
        access: &Access,
        input: PassiveLiveness,
        public_url: &str,
    ) -> Result<Answer, StandaloneError> {
        let request = Request {
            name: "PASSIVE_LIVENESS",
            config: NodeConfig { decline_threshold: Some(input.decline_threshold), ..NodeConfig::default() },
            submission: files(vec![("selfie", Some(input.user), None)], input.rotate),
            options: Carried::default(),
            outcome_only: false,
            common: input.common,
        };
        self.single(access, request, public_url).await
    }

    /// Estimates an age; passive liveness is judged with it.
    ///
    /// # Errors
    /// [`StandaloneError`].
    pub async fn age_estimation(
        &self,
        access: &Access,
        input: AgeEstimation,
    ) -> Result<Answer, StandaloneError> {
        let options = checks::age::Single {
            liveness_decline_threshold: input.liveness_decline_threshold,
            minimum_age: input.minimum_age,
            buffer: input.buffer,
            outcome_only: input.outcome_only,
        };
        let request = Request {
            name: "AGE_ESTIMATION",
            config: NodeConfig::default(),
            submission: files(vec![("selfie", Some(input.user), None)], input.rotate),
            options: Carried::of(options),
            outcome_only: input.outcome_only,
            common: input.common,
        };
        self.single(access, request, "").await
    }

    /// Runs one check alone and judges it, as its manifest says: the same way for every check.
    async fn single(
        &self,
        access: &Access,
        request: Request,
        public_url: &str,
    ) -> Result<Answer, StandaloneError> {
        let Request { name, mut config, submission, options, outcome_only, common } = request;
        let unknown = || StandaloneError::Failed(format!("there is no single check {name}").into());
        let check = checks::single(name).ok_or_else(unknown)?;
        let manifest = check.manifest();
        let single = manifest.single.as_ref().ok_or_else(unknown)?;
        let feature = checks::feature_of(check).ok_or_else(unknown)?;
        let settings = if single.needs_consent {
            self.consented(access, &common).await?
        } else {
            crate::face_search::Settings::default()
        };
        let required = self.engines.require(&manifest.cost.engines);
        required.map_err(|error| StandaloneError::NotInstalled(checks::chain(&error)))?;
        let application = access.application;
        let sandbox = self.store.read(move |tx| crate::setup::is_sandbox(tx, application)).await?;
        let subject = self.subject_of(access, &common).await?;
        for risk in &single.informs {
            // It is told; whether it matters, the caller knows.
            config.actions.insert(risk.clone(), Action::NoAction);
        }
        let one = One {
            definition: one_node(feature, config),
            submission,
            options,
            facts: Facts::default(),
            gathered: Gathered::default(),
        };
        let env = self.env(sandbox);
        let wants_template = settings.face_search.is_some() && single.enrols_face && !outcome_only;
        let on_cores = env.clone();
        // What is not kept is shown in the answer itself.
        let shows_inline = !single.pictures.is_empty() && !common.save;
        let (one, mut ran, template, inline) = self
            .pool
            .run(Work::Check, move || {
                for shown in &single.fields {
                    if let Some(capture) = one.submission.capture(&shown.shows) {
                        capture.picture().map_err(|error| unreadable(&shown.field, error))?;
                    }
                }
                let ran = match one.input() {
                    Some(input) => checks::round::run_one(&on_cores, &input),
                    None => Ran::failed(feature, "there is nothing to run"),
                };
                let look = || one.submission.selfie(&on_cores.engines).as_ref().ok();
                let template =
                    wants_template.then(|| checks::faces::template(&on_cores.engines, look()?)).flatten();
                let decoded = |(kind, capture): (&&'static str, &Capture)| {
                    Some(((*kind).to_owned(), inline_image(&jpeg(capture.picture().ok()?))))
                };
                let cut_out =
                    |(kind, jpeg): &(&'static str, Vec<u8>)| ((*kind).to_owned(), inline_image(jpeg));
                let inline: Vec<(String, String)> = if shows_inline {
                    let handed_in = one.submission.captures.iter().filter_map(decoded);
                    handed_in.chain(ran.pictures.iter().map(cut_out)).collect()
                } else {
                    Vec::new()
                };
                Ok::<_, StandaloneError>((one, ran, template, inline))
            })
            .await??;
        if let (CheckState::Failed(reason), false) = (&ran.finding.state, single.answers_failures) {
            return Err(StandaloneError::Failed(reason.clone().into()));
        }
        let refused = |signal: &evidence::Signal| signal.present() && single.refuses.contains(&signal.risk);
        if ran.finding.signals.iter().any(refused) {
            return Err(StandaloneError::NoDocument);
        }
        ran = self
            .store
            .read(move |tx| {
                let about = About { application, session: None, subject, sandbox };
                check.look_up(tx, &about, &mut ran)?;
                Ok::<_, store::Error>(ran)
            })
            .await?;
        if let Some(template) = template.as_ref().filter(|_| single.searches_faces) {
            // The person's own faces are no duplicates; without a name nobody's are left out.
            let kind = crate::face_search::SearchType::MostSimilar;
            let found = self.find_face(application, template.clone(), kind, subject).await?;
            ran.finding.signals.extend(found.signals(&template.model));
            ran.block["matches"] = json!(self.show(application, &found, public_url).await?);
        }
        let input = one.input().ok_or_else(unknown)?;
        let status = check.judge_single(&env, &input, &mut ran);
        let mut pictures: Vec<(&'static str, Vec<u8>)> = Vec::new();
        if !outcome_only {
            pictures.extend(one.submission.captures.into_iter().map(|(kind, capture)| (kind, capture.bytes)));
            pictures.append(&mut ran.pictures);
        }
        let mut block = ran.block.clone();
        let kept = Kept {
            country: ran.finding.country.clone(),
            document: ran.finding.document.clone(),
            ran: Some((check, ran)),
            ..Kept::of(&single.name, feature, block.clone(), status, pictures)
        };
        let request = if common.save { Some(self.keep(access, &common, sandbox, kept).await?) } else { None };
        if !single.pictures.is_empty() {
            let links = match request {
                Some(session) => self.picture_links(access, session, public_url).await?,
                None => inline,
            };
            for picture in &single.pictures {
                let link = links.iter().find(|(kind, _)| *kind == picture.shows).map(|(_, link)| link);
                block[picture.field.as_str()] = json!(link);
            }
        }
        if let (Some(session), Some(template)) = (request, &template) {
            self.enrol(application, session, template).await?;
        }
        Ok(Answer { request: request.map_or_else(Uuid::new_v4, |session| session.0), block })
    }

    /// The person whom the caller names, if known already.
    async fn subject_of(
        &self,
        access: &Access,
        common: &Common,
    ) -> Result<Option<store::SubjectId>, store::Error> {
        let (application, vendor_data) = (access.application, common.vendor_data.clone());
        let Some(vendor_data) = vendor_data else { return Ok(None) };
        self.store
            .read(move |tx| {
                Ok(tx.subjects(application).find_by_vendor("user", &vendor_data)?.map(|subject| subject.id))
            })
            .await
    }

    pub(crate) fn faces_ready(&self) -> Result<std::sync::Arc<crate::Engines>, StandaloneError> {
        let engines = self.engines.clone();
        engines.faces().map_err(|error| StandaloneError::NotInstalled(checks::chain(&error)))?;
        Ok(engines)
    }

    /// Keeps the result of a check when that is wanted, and answers with it.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call for each kind of check; a struct would only repeat the names"
    )]
    pub(crate) async fn answer_check(
        &self,
        access: &Access,
        common: &Common,
        name: &'static str,
        feature: Feature,
        block: Value,
        status: &'static str,
        pictures: Vec<(&'static str, Vec<u8>)>,
    ) -> Result<Answer, StandaloneError> {
        let kept = Kept::of(name, feature, block.clone(), status, pictures);
        self.answer(access, common, kept, block).await
    }

    pub(crate) async fn answer(
        &self,
        access: &Access,
        common: &Common,
        kept: Kept,
        block: Value,
    ) -> Result<Answer, StandaloneError> {
        if !common.save {
            return Ok(Answer { request: Uuid::new_v4(), block });
        }
        let application = access.application;
        let sandbox = self.store.read(move |tx| crate::setup::is_sandbox(tx, application)).await?;
        Ok(Answer { request: self.keep(access, common, sandbox, kept).await?.0, block })
    }

    /// Keeps a single check as a session of its own kind.
    async fn keep(
        &self,
        access: &Access,
        common: &Common,
        sandbox: bool,
        kept: Kept,
    ) -> Result<SessionId, StandaloneError> {
        let mut kept = kept;
        crate::face_search::without_others(&mut kept.block);
        let application = access.application;
        let vendor_data = common.vendor_data.clone();
        // The person's key first: pictures are sealed with it before their rows are written.
        let (subject, key, vendor_index) = self
            .store
            .write(move |tx| {
                Ok::<_, store::Error>(match vendor_data {
                    None => {
                        let (subject, key) = tx.subjects(application).create("user")?;
                        (subject, key, None)
                    }
                    Some(vendor_data) => {
                        let (subject, _) = tx.subjects(application).find_or_create("user", &vendor_data)?;
                        let index = tx.subjects(application).vendor_index(&vendor_data)?;
                        (subject.id, subject.key, Some(index))
                    }
                })
            })
            .await?;
        let mut written = Vec::new();
        for (kind, bytes) in &kept.pictures {
            written.push((*kind, self.write_object(&key, bytes).await?));
        }
        let blobs: Vec<_> = written.iter().map(|(_, object)| object.blob.clone()).collect();
        let access = access.clone();
        let common = common.clone();
        let saved = self
            .store
            .write(move |tx| {
                let now = tx.now();
                let mut token = [0; 32];
                tx.random().fill(&mut token);
                let id: SessionId = tx.new_id();
                let mut state = State::default();
                state.progress.submitted = true;
                state.progress.decided = true;
                for (kind, object) in &written {
                    state.objects.insert((*kind).to_owned(), object.id);
                }
                let details = Details {
                    vendor_data: common.vendor_data.clone(),
                    metadata: common.metadata.clone(),
                    ..Details::default()
                };
                let mut checks = json!({
                    "version": checks::round::STORED_VERSION,
                    "checks": [{ "feature": kept.feature, "block": kept.block }],
                });
                if let Some(screened) = &kept.screened {
                    checks["screening"] = screened.kept();
                }
                let session = Session {
                    application,
                    id,
                    number: tx.sessions(application).next_number()?,
                    // Nobody is given this token: a single check has no hosted page.
                    token_hash: store::sha256(&token),
                    kind: "user".to_owned(),
                    service: Some(kept.name.to_owned()),
                    subject,
                    vendor_index,
                    workflow: None,
                    status: SessionStatus::parse(kept.status)
                        .unwrap_or(SessionStatus::InReview)
                        .as_str()
                        .to_owned(),
                    features: vec![kept.feature.decision_name().to_owned()],
                    language: None,
                    country: kept.country,
                    document_type: kept.document,
                    details: Pii(serde_json::to_value(&details).map_err(store::Error::Json)?),
                    state: Pii(serde_json::to_value(&state).map_err(store::Error::Json)?),
                    decision: Some(Pii(checks)),
                    last_event: 0,
                    version: 1,
                    created_at: now,
                    updated_at: now,
                    expires_at: now,
                    decided_at: Some(now),
                    key: key.clone(),
                };
                tx.sessions(application).insert(&session)?;
                for (kind, object) in &written {
                    insert_object(tx, application, id, &key, kind, object)?;
                }
                if let Some(screened) = &kept.screened {
                    screened.settle(tx, &session, &kept.block)?;
                }
                if let Some((check, ran)) = &kept.ran {
                    let subject = Some(session.subject);
                    let about = About { application, session: Some(&session), subject, sandbox };
                    check.settle(tx, &about, ran)?;
                }
                audit_session(
                    tx,
                    application,
                    &access.actor(),
                    "check.run",
                    id,
                    Some(json!({ "check": kept.name })),
                )?;
                Ok::<_, store::Error>(id)
            })
            .await;
        match saved {
            Ok(id) => Ok(id),
            Err(error) => {
                self.store.delete_blobs(&blobs).await;
                Err(error.into())
            }
        }
    }

    /// Links to the pictures of a saved check.
    async fn picture_links(
        &self,
        access: &Access,
        session: SessionId,
        public_url: &str,
    ) -> Result<Vec<(String, String)>, store::Error> {
        let application = access.application;
        let public_url = public_url.to_owned();
        self.store
            .read(move |tx| {
                let objects = tx.objects(application).of_session(session)?;
                objects
                    .into_iter()
                    .map(|object| {
                        Ok((
                            object.kind.clone(),
                            crate::media::link(tx, application, object.id, &public_url)?,
                        ))
                    })
                    .collect()
            })
            .await
    }
}

/// A picture within the answer: base64.
fn inline_image(jpeg: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, jpeg)
}

#[cfg(test)]
mod tests {
    use evidence::Signal;

    use super::*;

    fn asked() -> IdVerification {
        IdVerification {
            front: Vec::new(),
            back: None,
            front_password: None,
            back_password: None,
            document_liveness: false,
            minimum_age: None,
            decline_missing_expiry: false,
            decline_invalid_mrz: false,
            decline_inconsistent: false,
            common: Common::default(),
        }
    }

    #[test]
    fn the_settings_of_a_document_check_decide() {
        let status = |asked: &IdVerification, risk: Option<&str>| {
            let mut finding = Finding { age: Some(30.0), ..Finding::done(Feature::Ocr) };
            finding.signals.extend(risk.map(|risk| Signal::certain(risk, "t/1", Value::Null)));
            judged_single(Feature::Ocr, document_settings(asked), &finding, json!({})).1
        };
        for (risk, strict) in [
            ("MRZ_VALIDATION_FAILED", IdVerification { decline_invalid_mrz: true, ..asked() }),
            ("DATA_INCONSISTENT", IdVerification { decline_inconsistent: true, ..asked() }),
            ("EXPIRATION_DATE_NOT_DETECTED", IdVerification { decline_missing_expiry: true, ..asked() }),
            ("SCREEN_CAPTURE_DETECTED", IdVerification { document_liveness: true, ..asked() }),
        ] {
            assert_eq!(status(&asked(), Some(risk)), "Approved", "{risk}");
            assert_eq!(status(&strict, Some(risk)), "Declined", "{risk}");
        }
        for (minimum_age, expected) in [(None, "Approved"), (Some(30), "Approved"), (Some(31), "Declined")] {
            assert_eq!(status(&IdVerification { minimum_age, ..asked() }, None), expected);
        }
    }
}
