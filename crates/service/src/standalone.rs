//! Single checks without a workflow: the same engine, judged under the settings of one request.
//!
//! A saved request is a session of its own kind (`service` names the check), so
//! that lists, decisions, erasure and retention treat it like any other.

use evidence::catalogue::Action;
use face::age::Answer as AtLeast;
use serde_json::{Value, json};
use store::{Pii, Session, SessionId};
use uuid::Uuid;
use workflow::{
    Definition, Feature, FeatureStatus, Finding, Node, NodeConfig, SessionStatus, Verdict, judge,
};

use crate::{
    Service,
    access::Access,
    checks::{self, Unreadable},
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
    engines: &crate::Engines,
    field: &'static str,
    bytes: &[u8],
) -> Result<checks::Look, StandaloneError> {
    let picture = checks::decode_photo(bytes).map_err(|error| unreadable(field, &error))?;
    checks::look_at(engines, picture.pixels).map_err(|reason| StandaloneError::Failed(reason.into()))
}

/// Leaves out turned faces unless the caller wants turned pictures tried.
fn upright(look: Result<checks::Look, String>, turned_too: bool) -> Result<checks::Look, String> {
    let mut look = look?;
    look.keep_upright(turned_too);
    Ok(look)
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

/// Single checks know two statuses: what a person would have to look at is not approved.
fn two_valued(status: FeatureStatus) -> &'static str {
    if status == FeatureStatus::Approved { "Approved" } else { "Declined" }
}

fn finish(mut block: Value, verdict: &Verdict, status: &str) -> Value {
    block["status"] = json!(status);
    block["warnings"] = json!(verdict.warnings);
    block
}

/// Says under which thresholds a score was judged.
fn with_thresholds(mut block: Value, config: &NodeConfig) -> Value {
    block["thresholds"] = json!({ "decline": config.decline_threshold, "review": config.review_threshold });
    block
}

/// Judges a finding under one node's settings and completes its block.
fn judged(definition: &Definition, finding: &Finding, block: Value) -> (Value, Vec<Verdict>) {
    let verdict = match definition.nodes.first() {
        Some(node) => judge(node, finding),
        None => {
            judge(&Node { id: String::new(), ..Node::new(finding.feature, NodeConfig::default()) }, finding)
        }
    };
    let status = two_valued(verdict.status);
    (finish(block, &verdict, status), vec![verdict])
}

/// Judges a finding under settings of its own and completes its block with the status, as single checks do.
pub(crate) fn judged_single(
    feature: Feature,
    config: NodeConfig,
    finding: &Finding,
    block: Value,
) -> (Value, &'static str) {
    let (block, verdicts) = judged(&one_node(feature, config), finding, block);
    (block, verdicts.first().map_or("Declined", |verdict| two_valued(verdict.status)))
}

/// What is kept of a single check.
pub(crate) struct Kept {
    pub(crate) name: &'static str,
    pub(crate) feature: Feature,
    pub(crate) block: Value,
    pub(crate) status: &'static str,
    pub(crate) pictures: Vec<(&'static str, Vec<u8>)>,
    /// What a screening leaves beside its block.
    pub(crate) screened: Option<Screened>,
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
        let engines = self.engines.clone();
        engines.reader().map_err(|error| StandaloneError::NotInstalled(crate::engines::chain(&error)))?;
        let today = crate::date_of(self.now());
        let application = access.application;
        let sandbox = self.store.read(move |tx| crate::setup::is_sandbox(tx, application)).await?;
        let common = input.common.clone();
        let pictures: Vec<(&'static str, Vec<u8>)> =
            [Some(("front", input.front.clone())), input.back.clone().map(|back| ("back", back))]
                .into_iter()
                .flatten()
                .collect();
        let subject = self.subject_of(access, &common).await?;
        let mut config = document_settings(&input);
        let save = common.save;
        let (read, mut inline) = self
            .pool
            .run(Work::Check, move || {
                let front = checks::Upload::decode(&input.front, input.front_password.as_deref())
                    .map_err(|error| unreadable("front_image", &error))?;
                let back = match &input.back {
                    Some(bytes) => Some(
                        checks::Upload::decode(bytes, input.back_password.as_deref())
                            .map_err(|error| unreadable("back_image", &error))?,
                    ),
                    None => None,
                };
                let read = checks::read_pictures(&engines, &front, back.as_ref(), None, today, sandbox)
                    .map_err(|reason| StandaloneError::Failed(reason.into()))?;
                if !read.recognised {
                    return Err(StandaloneError::NoDocument);
                }
                // What is not kept is shown in the answer itself.
                let inline = [
                    (!save).then_some(("front", &front)),
                    back.as_ref().filter(|_| !save).map(|back| ("back", back)),
                ];
                let inline: Vec<_> =
                    inline.into_iter().flatten().map(|(kind, upload)| (kind, upload.jpeg())).collect();
                Ok((read, inline))
            })
            .await??;
        let mut finding = read.finding;
        if !sandbox {
            let shown = read.shown.clone();
            let signals = self
                .store
                .read(move |tx| {
                    let nobody = store::SubjectId(Uuid::nil());
                    let session = SessionId(Uuid::nil());
                    crate::reuse::signals(tx, application, session, subject.unwrap_or(nobody), &shown)
                })
                .await?;
            finding.signals.extend(signals);
            // That a picture is known is told; whether it matters, the caller knows.
            config.actions.insert("DUPLICATED_DOCUMENT_IMAGE".to_owned(), Action::NoAction);
        }
        let (block, status) = judged_single(Feature::Ocr, config, &finding, read.block);
        let portrait = read.portrait.as_ref().map(|image| imaging::encode_jpeg(image, 90));
        let mut pictures = pictures;
        inline.extend(portrait.iter().map(|portrait| ("portrait", portrait.clone())));
        pictures.extend(portrait.map(|portrait| ("portrait", portrait)));
        let kept = Kept {
            name: "ID_VERIFICATION",
            feature: Feature::Ocr,
            block: block.clone(),
            status,
            pictures,
            screened: None,
        };
        let mut block = block;
        let request = if common.save { Some(self.keep(access, &common, kept).await?) } else { None };
        if let (Some(id), false) = (request, sandbox) {
            let shown = read.shown;
            self.store
                .write(move |tx| {
                    let Some(session) = tx.sessions(application).find(id)? else { return Ok(()) };
                    crate::reuse::keep(tx, application, id, &session.key, &shown)
                })
                .await?;
        }
        let links = match request {
            Some(session) => self.picture_links(access, session, public_url).await?,
            None => inline.iter().map(|(kind, bytes)| ((*kind).to_owned(), inline_image(bytes))).collect(),
        };
        for (kind, field) in
            [("front", "front_image"), ("back", "back_image"), ("portrait", "portrait_image")]
        {
            block[field] = json!(links.iter().find(|(name, _)| name == kind).map(|(_, link)| link));
        }
        Ok(Answer { request: request.map_or_else(Uuid::new_v4, |session| session.0), block })
    }

    /// Compares two faces.
    ///
    /// # Errors
    /// [`StandaloneError`].
    pub async fn face_match(&self, access: &Access, input: FaceMatch) -> Result<Answer, StandaloneError> {
        self.consented(access, &input.common).await?;
        let engines = self.faces_ready()?;
        let common = input.common.clone();
        let pictures = vec![("selfie", input.user.clone()), ("portrait", input.reference.clone())];
        let (block, status) = self
            .pool
            .run(Work::Check, move || {
                let look = |field: &'static str, bytes: &[u8]| {
                    let mut look = look_at(&engines, field, bytes)?;
                    look.keep_upright(input.rotate);
                    Ok::<_, StandaloneError>(look)
                };
                let (user, reference) =
                    (look("user_image", &input.user)?, look("ref_image", &input.reference)?);
                let (finding, block) = checks::compare_looks(&engines, &user, Some(&reference));
                let config =
                    NodeConfig { decline_threshold: Some(input.decline_threshold), ..NodeConfig::default() };
                let block = with_thresholds(block, &config);
                let (block, verdicts) = judged(&one_node(Feature::FaceMatch, config), &finding, block);
                Ok::<_, StandaloneError>((
                    block,
                    verdicts.first().map_or("Declined", |v| two_valued(v.status)),
                ))
            })
            .await??;
        let kept = Kept {
            name: "FACE_MATCH",
            feature: Feature::FaceMatch,
            block: block.clone(),
            status,
            pictures,
            screened: None,
        };
        self.answer(access, &common, kept, block).await
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
        let settings = self.consented(access, &input.common).await?;
        let engines = self.faces_ready()?;
        let common = input.common.clone();
        let pictures = vec![("selfie", input.user.clone())];
        let decline_threshold = input.decline_threshold;
        let (finding, block, template) = self
            .pool
            .run(Work::Check, move || {
                let picture =
                    checks::decode_photo(&input.user).map_err(|error| unreadable("user_image", &error))?;
                let look = upright(checks::look_at(&engines, picture.pixels), input.rotate);
                let (finding, block) = checks::liveness(&engines, &look);
                Ok::<_, StandaloneError>((finding, block, checks::template(&engines, &look)))
            })
            .await??;
        let (mut finding, mut block) = (finding, block);
        let template = template.filter(|_| settings.face_search.is_some());
        if let Some(template) = &template {
            // The person's own faces are no duplicates; without a name nobody's are left out.
            let own = self.subject_of(access, &common).await?;
            let kind = crate::face_search::SearchType::MostSimilar;
            let found = self.find_face(access.application, template.clone(), kind, own).await?;
            finding.signals.extend(found.signals(&template.model));
            block["matches"] = json!(self.show(access.application, &found, public_url).await?);
        }
        let mut config = NodeConfig { decline_threshold: Some(decline_threshold), ..NodeConfig::default() };
        // That a face is known is told; whether it matters, the caller knows.
        for risk in ["DUPLICATED_FACE", "POSSIBLE_DUPLICATED_FACE"] {
            config.actions.insert(risk.to_owned(), Action::NoAction);
        }
        let block = with_thresholds(block, &config);
        let (block, status) = judged_single(Feature::Liveness, config, &finding, block);
        let kept = Kept {
            name: "PASSIVE_LIVENESS",
            feature: Feature::Liveness,
            block: block.clone(),
            status,
            pictures,
            screened: None,
        };
        let answer = self.answer(access, &common, kept, block).await?;
        self.enrol_saved(access, &common, &answer, template).await?;
        Ok(answer)
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

    /// Enrols the face of a saved check.
    async fn enrol_saved(
        &self,
        access: &Access,
        common: &Common,
        answer: &Answer,
        template: Option<face::Template>,
    ) -> Result<(), store::Error> {
        match template {
            Some(template) if common.save => {
                self.enrol(access.application, SessionId(answer.request), &template).await
            }
            _ => Ok(()),
        }
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
        let settings = self.consented(access, &input.common).await?;
        let engines = self.faces_ready()?;
        let missing = "the age model is not installed: it is opt-in, install it with `bonafide models install faceres-age`";
        match engines.ages() {
            Ok(ages) if ages.is_some() => {}
            Ok(_) => return Err(StandaloneError::NotInstalled(missing.to_owned())),
            Err(error) => return Err(StandaloneError::Failed(Box::new(error))),
        }
        let common = input.common.clone();
        let pictures = if input.outcome_only { Vec::new() } else { vec![("selfie", input.user.clone())] };
        let (block, status, template) = self
            .pool
            .run(Work::Check, move || {
                let picture =
                    checks::decode_photo(&input.user).map_err(|error| unreadable("user_image", &error))?;
                let look = upright(checks::look_at(&engines, picture.pixels), input.rotate);
                let (live, live_block) = checks::liveness(&engines, &look);
                let (aged, mut block) = checks::estimate_age(&engines, &look);
                let live_config = NodeConfig {
                    decline_threshold: Some(input.liveness_decline_threshold),
                    // Without a liveness model the age still stands: what was not judged is said, not declined.
                    ..NodeConfig::default()
                };
                let (_, live_verdicts) = judged(&one_node(Feature::Liveness, live_config), &live, json!({}));
                let (minimum, doubt) = (f64::from(input.minimum_age), f64::from(input.buffer));
                let outcome = aged.age.map(|years| AtLeast::of(years, minimum, doubt));
                let uncertain = outcome == Some(AtLeast::Uncertain);
                let age_config = NodeConfig {
                    minimum_age: (!uncertain).then_some(input.minimum_age),
                    ..NodeConfig::default()
                };
                let (_, age_verdicts) =
                    judged(&one_node(Feature::AgeEstimation, age_config), &aged, json!({}));
                let warnings: Vec<_> =
                    age_verdicts.iter().chain(&live_verdicts).flat_map(|v| v.warnings.clone()).collect();
                let verdicts = || age_verdicts.iter().chain(&live_verdicts).map(|verdict| verdict.status);
                let status = if verdicts().any(|status| status == FeatureStatus::Declined) {
                    "Declined"
                } else if uncertain || verdicts().any(|status| status != FeatureStatus::Approved) {
                    // Too close to tell, or liveness was not judged: whoever asked decides, by a document.
                    "In Review"
                } else {
                    "Approved"
                };
                block["score"] = live_block["score"].clone();
                block["status"] = json!(status);
                block["outcome"] = json!(outcome);
                block["warnings"] = json!(warnings);
                block["thresholds"] = json!({
                    "minimum_age": input.minimum_age,
                    "buffer": input.buffer,
                    "liveness_decline": input.liveness_decline_threshold,
                });
                let template = checks::template(&engines, &look).filter(|_| !input.outcome_only);
                if input.outcome_only {
                    for personal in
                        ["age_estimation", "age_interval", "user_image", "face_quality", "face_luminance"]
                    {
                        block[personal] = Value::Null;
                    }
                }
                Ok::<_, StandaloneError>((block, status, template))
            })
            .await??;
        let kept = Kept {
            name: "AGE_ESTIMATION",
            feature: Feature::AgeEstimation,
            block: block.clone(),
            status,
            pictures,
            screened: None,
        };
        let answer = self.answer(access, &common, kept, block).await?;
        let template = template.filter(|_| settings.face_search.is_some());
        self.enrol_saved(access, &common, &answer, template).await?;
        Ok(answer)
    }

    pub(crate) fn faces_ready(&self) -> Result<std::sync::Arc<crate::Engines>, StandaloneError> {
        let engines = self.engines.clone();
        engines.faces().map_err(|error| StandaloneError::NotInstalled(crate::engines::chain(&error)))?;
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
        let kept = Kept { name, feature, block: block.clone(), status, pictures, screened: None };
        self.answer(access, common, kept, block).await
    }

    pub(crate) async fn answer(
        &self,
        access: &Access,
        common: &Common,
        kept: Kept,
        block: Value,
    ) -> Result<Answer, StandaloneError> {
        let request = if common.save { self.keep(access, common, kept).await?.0 } else { Uuid::new_v4() };
        Ok(Answer { request, block })
    }

    /// Keeps a single check as a session of its own kind.
    async fn keep(&self, access: &Access, common: &Common, kept: Kept) -> Result<SessionId, StandaloneError> {
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
                let mut checks = json!({ "checks": [{ "feature": kept.feature, "block": kept.block }] });
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
                    country: kept.block["issuing_state"].as_str().map(str::to_owned),
                    document_type: checks::code_of(kept.block["document_type"].as_str()).map(str::to_owned),
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
                    screened.settle(tx, application, &session, &kept.block)?;
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
