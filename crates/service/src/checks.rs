//! The checks on pictures, joined: the one engine behind sessions, single checks and the command line.
//!
//! A pure function of bytes, settings and the day. It gives findings (for
//! `workflow::judge`) and the blocks of results that the API shows.

use std::collections::BTreeMap;

use evidence::Signal;
use imaging::{DecodeError, Limits, Picture, RgbImage, hash::Fingerprint};
use jiff::civil::Date;
use serde_json::{Value, json};
use workflow::{CheckState, Definition, Feature, Finding};

use crate::{
    age,
    engines::{Engines, chain},
    reuse::Shown,
};

mod document_block;
mod expected;
mod faces;
mod ghost;

pub use document_block::{block as document_block, code_of};
pub(crate) use expected::same_name;
pub use faces::face_threshold_defaults;
pub(crate) use faces::{
    Look, age as estimate_age, compare as compare_faces, compare_looks, entities, liveness, look, look_at,
    several_faces, template,
};
pub use ghost::PortraitSearch;

/// What a person handed in.
pub struct Submission {
    /// What is to be checked.
    pub definition: Definition,
    /// Side of the document with the portrait.
    pub front: Option<Vec<u8>>,
    /// The other side.
    pub back: Option<Vec<u8>>,
    /// Picture of the person.
    pub selfie: Option<Vec<u8>>,
    /// The judged liveness challenge, where one was answered.
    pub challenge: Option<crate::active::Outcome>,
    /// A picture of the person that the owner gave.
    pub portrait: Option<Vec<u8>>,
    /// What the caller knows about the person.
    pub expected: Option<Value>,
    /// The day on which the document is judged.
    pub today: Date,
    /// Passwords of PDFs: front, back.
    pub passwords: [Option<String>; 2],
    /// Whether published specimens are accepted (sandbox).
    pub specimens_allowed: bool,
}

/// What the checks gave.
#[derive(Debug, Clone, Default)]
pub struct Examined {
    findings: BTreeMap<Feature, Finding>,
    blocks: BTreeMap<Feature, Value>,
    /// Pictures cut out of what was handed in, by the name under which they are kept; JPEG.
    pub pictures: BTreeMap<&'static str, Vec<u8>>,
    /// Template of the selfie's face, where one could be made.
    pub template: Option<face::Template>,
    /// Issuing state of the document.
    pub country: Option<String>,
    /// Type code of the document.
    pub document_code: Option<String>,
    /// What the document showed, to be recognised in other sessions.
    pub(crate) shown: Option<Shown>,
}

impl Examined {
    /// The evidence of one feature.
    pub fn finding(&self, feature: Feature) -> Option<&Finding> {
        self.findings.get(&feature)
    }

    /// The result of one feature as the API shows it.
    pub fn block(&self, feature: Feature) -> Option<Value> {
        self.blocks.get(&feature).cloned()
    }

    /// Every check of a workflow, failed for one reason.
    pub(crate) fn failed(definition: &Definition, reason: &str) -> Self {
        let findings = definition
            .nodes
            .iter()
            .map(|node| (node.feature, Finding::failed(node.feature, reason)))
            .collect();
        Self { findings, ..Self::default() }
    }

    /// Adds what other sessions say about the document.
    pub(crate) fn add_reuse(&mut self, signals: Vec<Signal>) {
        if let Some(finding) = self.findings.get_mut(&Feature::Ocr) {
            finding.signals.extend(signals);
        }
    }

    /// Adds what a search among the enrolled faces saw to the liveness check.
    pub(crate) fn add_matches(&mut self, signals: Vec<Signal>, matches: Value) {
        let present = |feature: &Feature| self.findings.contains_key(feature);
        let Some(feature) = [Feature::Liveness, Feature::FaceMatch].into_iter().find(present) else { return };
        if let Some(finding) = self.findings.get_mut(&feature) {
            finding.signals.extend(signals);
        }
        if let Some(block) = self.blocks.get_mut(&feature) {
            block["matches"] = matches;
        }
    }

    pub(crate) fn add(&mut self, finding: Finding, block: Value) {
        self.blocks.insert(finding.feature, block);
        self.findings.insert(finding.feature, finding);
    }
}

/// Why bytes are no usable picture, in words for people.
#[derive(Debug)]
pub struct Unreadable(DecodeError);

impl Unreadable {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        self.0.code()
    }

    /// What is wrong and what to do.
    pub fn message(&self) -> String {
        let mut text = self.0.to_string();
        if let Some(first) = text.get(..1) {
            text = format!("{}{}", first.to_uppercase(), text.get(1..).unwrap_or_default());
        }
        format!("{text}. Please send a JPEG, PNG, WebP or TIFF picture.")
    }

    /// Whether nothing is wrong with the bytes: no decoder was free.
    pub(crate) fn is_busy(&self) -> bool {
        self.0 == DecodeError::Unavailable
    }

    /// The cause.
    pub fn cause(&self) -> &DecodeError {
        &self.0
    }
}

/// Decodes an upload of a document, in a process of its own. PDFs give their first page.
///
/// # Errors
/// [`Unreadable`].
pub fn decode(bytes: &[u8], password: Option<&str>) -> Result<Picture, Unreadable> {
    let limits = Limits { max_rendered_pages: 1, ..Limits::default() };
    let pages = decoder::decode_pages(bytes, &limits, password).map_err(Unreadable)?;
    pages.into_iter().next().ok_or(Unreadable(DecodeError::NoPixels))
}

/// Decodes a picture of a person, in a process of its own. A PDF is refused unopened: no camera makes one.
///
/// # Errors
/// [`Unreadable`].
pub fn decode_photo(bytes: &[u8]) -> Result<Picture, Unreadable> {
    match imaging::sniff(bytes) {
        Ok(imaging::Format::Pdf) => Err(Unreadable(DecodeError::PictureExpected)),
        _ => decode(bytes, None),
    }
}

/// A picture as it is shown: pixels only, without metadata.
pub(crate) fn jpeg(picture: &Picture) -> Vec<u8> {
    imaging::encode_jpeg(&picture.pixels, 90)
}

/// Media type of an upload, by its first bytes.
pub(crate) fn content_type(bytes: &[u8]) -> &'static str {
    match imaging::sniff(bytes) {
        Ok(imaging::Format::Png) => "image/png",
        Ok(imaging::Format::Webp) => "image/webp",
        Ok(imaging::Format::Tiff) => "image/tiff",
        Ok(imaging::Format::Pdf) => "application/pdf",
        _ => "image/jpeg",
    }
}

/// Runs every check of a workflow on what was handed in. What cannot run is a failed finding, never a missing one.
pub fn examine(engines: &Engines, submission: &Submission) -> Examined {
    let mut out = Examined::default();
    let definition = &submission.definition;
    let wants_selfie = [Feature::Liveness, Feature::FaceMatch, Feature::AgeEstimation]
        .into_iter()
        .any(|f| definition.has(f));
    // Document and selfie are looked at side by side: a single check takes half the time on two cores.
    let (document, selfie) = std::thread::scope(|scope| {
        let selfie = wants_selfie.then(|| scope.spawn(|| faces::look(engines, submission.selfie.as_deref())));
        let document = definition.has(Feature::Ocr).then(|| read_document(engines, submission));
        let selfie = selfie.map(|thread| {
            thread.join().unwrap_or_else(|_| Err("the look at the selfie broke off".to_owned()))
        });
        (document, selfie)
    });
    let portrait = match document {
        None => None,
        Some(Err(reason)) => {
            out.add(Finding::failed(Feature::Ocr, &reason), json!({}));
            None
        }
        Some(Ok(read)) => {
            out.country.clone_from(&read.finding.country);
            out.document_code.clone_from(&read.finding.document);
            out.shown = Some(read.shown);
            out.pictures
                .extend(read.portrait.as_ref().map(|image| ("portrait", imaging::encode_jpeg(image, 90))));
            out.add(read.finding, read.block);
            read.portrait
        }
    };
    if let Some(selfie) = selfie {
        if definition.has(Feature::Liveness) {
            let (finding, block) = match definition.active_liveness() {
                None => faces::liveness(engines, &selfie),
                Some(asked) => faces::active_liveness(engines, &selfie, asked, submission.challenge.as_ref()),
            };
            out.add(finding, block);
        }
        out.template = faces::template(engines, &selfie);
        if definition.has(Feature::FaceMatch) {
            let given = submission.portrait.as_deref();
            let (finding, block) = if definition.recognises_returning() {
                faces::recognise(engines, given, &selfie)
            } else {
                faces::compare(engines, portrait.as_ref(), given, &selfie)
            };
            out.add(finding, block);
        }
        if definition.has(Feature::AgeEstimation) {
            let (finding, block) = faces::age(engines, &selfie);
            out.add(finding, block);
        }
    }
    for node in &definition.nodes {
        // Features that this build cannot run (chip, screening of this session) fail, and so go to review.
        if out.finding(node.feature).is_none() {
            let mut finding = Finding::done(node.feature);
            finding.state =
                CheckState::NotEvaluated("this check is not part of the hosted flow yet".to_owned());
            out.add(finding, json!({}));
        }
    }
    out
}

/// A document that was read, or recognised as none.
pub(crate) struct ReadDocument {
    pub(crate) finding: Finding,
    pub(crate) block: Value,
    pub(crate) portrait: Option<RgbImage>,
    /// What other sessions may recognise it by.
    pub(crate) shown: Shown,
    /// Whether the picture shows a document at all.
    pub(crate) recognised: bool,
}

/// Reads and cross-checks the document of a submission.
pub(crate) fn read_document(engines: &Engines, submission: &Submission) -> Result<ReadDocument, String> {
    let open = |bytes: &[u8], password: &Option<String>| -> Result<Upload, String> {
        Upload::decode(bytes, password.as_deref()).map_err(|error| error.message())
    };
    let front = submission.front.as_deref().ok_or("no picture of the document")?;
    let front = open(front, &submission.passwords[0])?;
    let back = submission.back.as_deref().map(|back| open(back, &submission.passwords[1])).transpose()?;
    read_pictures(
        engines,
        &front,
        back.as_ref(),
        submission.expected.as_ref(),
        submission.today,
        submission.specimens_allowed,
    )
}

/// A file with its picture.
pub(crate) struct Upload {
    sha256: [u8; 32],
    picture: Picture,
}

impl Upload {
    /// Decodes a file.
    pub(crate) fn decode(bytes: &[u8], password: Option<&str>) -> Result<Self, Unreadable> {
        Ok(Self { sha256: store::sha256(bytes), picture: decode(bytes, password)? })
    }

    /// The picture as it is shown: re-encoded, without metadata.
    pub(crate) fn jpeg(&self) -> Vec<u8> {
        jpeg(&self.picture)
    }

    fn shown(&self, side: &'static str) -> (&'static str, [u8; 32], Fingerprint) {
        (side, self.sha256, Fingerprint::of(&self.picture.pixels))
    }
}

/// Reads and cross-checks a decoded document.
pub(crate) fn read_pictures(
    engines: &Engines,
    front: &Upload,
    back: Option<&Upload>,
    expected: Option<&Value>,
    today: Date,
    specimens_allowed: bool,
) -> Result<ReadDocument, String> {
    let reader = engines.reader().map_err(|error| chain(&error))?;
    let face_engine = engines.faces().map_err(|error| chain(&error))?;
    let search = PortraitSearch::new(&face_engine);
    let finder = |page: &RgbImage| search.find(page);
    let options = document::Options { today, portrait_finder: Some(&finder), specimens_allowed };
    let mut shown = Shown::default();
    shown.pictures.push(front.shown("front"));
    shown.pictures.extend(back.map(|back| back.shown("back")));
    let mut record = match reader.read(&front.picture, back.map(|back| &back.picture), &options) {
        Ok(record) => record,
        Err(document::ReadError::NotADocument) => {
            let mut finding = Finding::done(Feature::Ocr);
            let signal = Signal::certain("COULD_NOT_RECOGNIZE_DOCUMENT", "document.read/1", Value::Null);
            finding.signals.push(signal);
            return Ok(ReadDocument { finding, block: json!({}), portrait: None, shown, recognised: false });
        }
        Err(error) => return Err(chain(&error)),
    };
    if let Some(tesseract) = engines.tesseract() {
        tesseract.add_to(&mut record).map_err(|error| chain(&error))?;
    }
    if let Some(signers) = engines.seal_signers() {
        signers.check(&mut record);
    }
    let mut finding = Finding::done(Feature::Ocr);
    finding.signals.clone_from(&record.signals);
    if record.value("address").is_some() {
        // Addresses are given as they are printed: nothing here splits them yet.
        finding.signals.push(Signal::certain("UNPARSED_ADDRESS", "address.parts/1", Value::Null));
    }
    finding.signals.extend(search.ghost(&record.sides)?);
    if let Some(expected) = expected {
        finding.signals.extend(expected::signals(&record, expected));
    }
    for upload in [Some(front), back].into_iter().flatten() {
        if upload.picture.metadata.truncated {
            finding.signals.push(Signal::certain("IMAGE_TRUNCATED", "imaging.decode/1", Value::Null));
        }
    }
    finding.country.clone_from(&record.issuing_state);
    finding.document = code_of(record.document_type.as_deref()).map(str::to_owned);
    finding.age = record
        .value("date_of_birth")
        .and_then(age::parse_date)
        .map(|birth| f64::from(age::age_on(birth, today, age::LeapDayRule::March1)));
    let block = document_block(&record, today);
    shown.of_block(&block);
    Ok(ReadDocument { finding, block, portrait: record.portrait, shown, recognised: true })
}
