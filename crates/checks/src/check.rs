//! What a check is: its manifest, and the three steps that fit one durable job.
//!
//! [`Check::gather`] reads from the store within a transaction, [`Check::run`]
//! computes without one, [`Check::look_up`] and [`Check::settle`] stand within
//! the transaction that also holds the decision. A check that cannot run says so in its finding; it
//! never leaves its finding out.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use imaging::{Picture, RgbImage};
use jiff::civil::Date;
use serde_json::{Value, json};
use store::{ApplicationId, Session, SessionId, SubjectId, Tx, rows::objects::Object};
use workflow::{Definition, Feature, FeatureStatus, Finding, Node, NodeConfig, judge};

use crate::{
    Engines, Examined, Manifest,
    aml::Lists,
    faces::Look,
    facts::Facts,
    liveness::Outcome,
    manifest::Thresholds,
    pictures::{Unreadable, decode, decode_photo},
};

/// One check.
pub trait Check: Sync {
    /// What its folder states about it.
    fn manifest(&self) -> &'static Manifest;

    /// What it checks and how, for the operator: Markdown.
    fn docs(&self) -> &'static str;

    /// What the person reads on the hosted page when it asks for something, as TOML, by language; sections are named
    /// after captures. Nothing where another check asks for the same captures.
    fn texts(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Reads what the run needs from the store.
    ///
    /// # Errors
    /// When the store does not answer.
    fn gather(
        &self,
        _tx: &mut Tx<'_>,
        _about: &About<'_>,
        _definition: &Definition,
    ) -> Result<Gathered, store::Error> {
        Ok(Gathered::default())
    }

    /// Judges the input: computes on the cores, without a transaction.
    fn run(&self, env: &Env, input: &Input<'_>) -> Ran;

    /// Completes the settings under which the finding is judged: what the owner left open, and what the facts of other
    /// checks change.
    fn complete(&self, _env: &Env, _examined: &Examined, _node: &mut Node) {}

    /// Adds what only the store can tell; reads and writes nothing else.
    ///
    /// # Errors
    /// When the store does not answer.
    fn look_up(&self, _tx: &mut Tx<'_>, _about: &About<'_>, _ran: &mut Ran) -> Result<(), store::Error> {
        Ok(())
    }

    /// Writes what later sessions need, in the transaction that holds the decision.
    ///
    /// # Errors
    /// When the store does not answer.
    fn settle(&self, _tx: &mut Tx<'_>, _about: &About<'_>, _ran: &Ran) -> Result<(), store::Error> {
        Ok(())
    }

    /// Judges the finding of a single check and completes its block: status, warnings, thresholds. Single checks know
    /// two statuses, because nobody is there to look: what a person would have to look at is not approved.
    fn judge_single(&self, _env: &Env, input: &Input<'_>, ran: &mut Ran) -> &'static str {
        let config = &input.node.config;
        let verdict = judge(input.node, &ran.finding);
        let status = if verdict.status == FeatureStatus::Approved { "Approved" } else { "Declined" };
        if self.manifest().decision.tells_thresholds {
            ran.block["thresholds"] = thresholds_told(config);
        }
        ran.block["status"] = json!(status);
        ran.block["warnings"] = json!(verdict.warnings);
        status
    }
}

/// Says under which thresholds a score was judged.
pub fn thresholds_told(config: &NodeConfig) -> Value {
    json!({ "decline": config.decline_threshold, "review": config.review_threshold })
}

/// Whose session it is that is checked.
pub struct About<'a> {
    /// The application.
    pub application: ApplicationId,
    /// The session; `None` for a single check that is not kept.
    pub session: Option<&'a Session>,
    /// The person, where known.
    pub subject: Option<SubjectId>,
    /// Whether the application is one to try things in.
    pub sandbox: bool,
}

impl About<'_> {
    /// The session, or an id that none has.
    pub(crate) fn session_or_none(&self) -> SessionId {
        self.session.map_or(SessionId(uuid_of_nobody()), |session| session.id)
    }

    /// The person, or an id that nobody has.
    pub(crate) fn subject_or_none(&self) -> SubjectId {
        self.subject.unwrap_or(SubjectId(uuid_of_nobody()))
    }
}

fn uuid_of_nobody() -> uuid::Uuid {
    uuid::Uuid::nil()
}

/// What every check may use.
#[derive(Clone)]
pub struct Env {
    /// Readers and nets.
    pub engines: Arc<Engines>,
    /// The day on which documents and ages are judged.
    pub today: Date,
    /// Whether published specimens are accepted (sandbox).
    pub specimens_allowed: bool,
    /// The watch-lists.
    pub lists: Arc<dyn Lists>,
}

/// Something that one step of a check leaves to its next step, and that nobody else reads.
#[derive(Default)]
pub struct Carried(Option<Box<dyn Any + Send + Sync>>);

impl Carried {
    /// Carries a value.
    pub fn of(value: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(value)))
    }

    /// The value, where it is of this type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.as_deref()?.downcast_ref()
    }
}

/// What a check read from the store.
#[derive(Default)]
pub struct Gathered {
    /// Stored pictures that the run needs opened, by the name under which it looks for them.
    pub objects: Vec<(&'static str, Object)>,
    /// Their bytes, once they are opened.
    pub opened: BTreeMap<&'static str, Vec<u8>>,
    /// What else was read.
    pub carried: Carried,
}

/// A file that was handed in; decoded once, whoever asks first.
pub struct Capture {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The password of a PDF.
    password: Option<String>,
    /// Whether it is a picture of a person: no PDF.
    of_person: bool,
    picture: OnceLock<Result<Picture, Unreadable>>,
}

impl Capture {
    /// Its picture.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn picture(&self) -> Result<&Picture, &Unreadable> {
        let open = || {
            if self.of_person {
                decode_photo(&self.bytes)
            } else {
                decode(&self.bytes, self.password.as_deref())
            }
        };
        self.picture.get_or_init(open).as_ref()
    }
}

/// Captures that show a person.
const OF_PERSON: [&str; 2] = ["selfie", "portrait"];

/// What a person and the owner of their session handed in.
#[derive(Default)]
pub struct Submission {
    /// Files by the name of their capture: `front`, `back`, `selfie`, `chip`; `portrait` is the owner's picture of the
    /// person.
    pub captures: BTreeMap<&'static str, Capture>,
    /// The judged liveness challenge, where one was answered.
    pub challenge: Option<Outcome>,
    /// What the owner knows about the person.
    pub expected: Option<Value>,
    /// Whether faces lying on their side are left out.
    pub upright_only: bool,
    /// The selfie, looked at once for all checks.
    selfie: OnceLock<Result<Look, String>>,
}

impl Submission {
    /// A submission of these files; what was not handed in is left out.
    pub fn of(files: impl IntoIterator<Item = (&'static str, Option<Vec<u8>>)>) -> Self {
        let mut submission = Self::default();
        for (name, bytes) in files {
            if let Some(bytes) = bytes {
                submission.add(name, bytes, None);
            }
        }
        submission
    }

    /// Adds a file under the name of its capture, with its password where it is a PDF that needs one.
    pub fn add(&mut self, name: &'static str, bytes: Vec<u8>, password: Option<String>) {
        let of_person = OF_PERSON.contains(&name);
        let capture = Capture { bytes, password, of_person, picture: OnceLock::new() };
        self.captures.insert(name, capture);
    }

    /// A capture.
    pub fn capture(&self, name: &str) -> Option<&Capture> {
        self.captures.get(name)
    }

    /// The selfie with the faces in it; found once, whoever asks first.
    pub fn selfie(&self, engines: &Engines) -> &Result<Look, String> {
        self.selfie.get_or_init(|| {
            let capture = self.capture("selfie").ok_or("no picture of the person")?;
            let picture = capture.picture().map_err(Unreadable::message)?;
            self.look_at(engines, &picture.pixels)
        })
    }

    /// The faces of a picture, turned ones only where they count.
    pub(crate) fn look_at(&self, engines: &Engines, pixels: &RgbImage) -> Result<Look, String> {
        let mut look = crate::faces::look_at(engines, pixels)?;
        look.keep_upright(!self.upright_only);
        Ok(look)
    }
}

/// What one run of a check works on.
pub struct Input<'a> {
    /// The workflow.
    pub definition: &'a Definition,
    /// The node with its settings.
    pub node: &'a Node,
    /// What was handed in.
    pub submission: &'a Submission,
    /// What the checks before it gave.
    pub facts: &'a Facts,
    /// What the check read from the store.
    pub gathered: &'a Gathered,
    /// What the caller of a single check chose, of the check's own type.
    pub options: &'a Carried,
}

/// What a check gave.
pub struct Ran {
    /// The evidence.
    pub finding: Finding,
    /// The result as decisions show it, without status and warnings.
    pub block: Value,
    /// Facts for the checks after it.
    pub facts: Facts,
    /// Pictures cut out of what was handed in, by the name under which they are kept; JPEG.
    pub pictures: Vec<(&'static str, Vec<u8>)>,
    /// What the session's decision keeps beside the blocks that it shows, under this name.
    pub beside: Option<(&'static str, Value)>,
    /// For [`Check::settle`].
    pub carried: Carried,
}

impl Ran {
    /// A run that gave evidence and a block.
    pub fn of(finding: Finding, block: Value) -> Self {
        Self {
            finding,
            block,
            facts: Facts::default(),
            pictures: Vec::new(),
            beside: None,
            carried: Carried::default(),
        }
    }

    /// A run that could not come to an end.
    pub fn failed(feature: Feature, reason: &str) -> Self {
        Self::of(Finding::failed(feature, reason), json!({}))
    }
}

/// Fills thresholds that the owner left open; the review threshold never lies under the one that declines.
pub(crate) fn complete_thresholds(node: &mut Node, defaults: Option<Thresholds>) {
    if let Some(Thresholds { decline, review: approve }) = defaults {
        let review = node.config.review_threshold;
        let decline = *node.config.decline_threshold.get_or_insert(decline.min(review.unwrap_or(100.0)));
        node.config.review_threshold.get_or_insert(approve.max(decline));
    }
}
