//! Reads and cross-checks the pictures of one document.

use document::{Options, ReadError, Record};
use evidence::Signal;
use imaging::{Picture, RgbImage, hash::Fingerprint};
use serde_json::{Value, json};
use workflow::{Feature, Finding};

use super::{
    block::{self, Block, code_of},
    expected,
    ghost::PortraitSearch,
    reuse::Shown,
};
use crate::{
    Carried, Env, Input, Ran, Submission, chain,
    facts::{Facts, Identity, Portrait, Source, Sourced, Text},
    pictures::Unreadable,
};

/// Reads the document of a submission.
pub(super) fn run(env: &Env, input: &Input<'_>) -> Ran {
    let asked_about = input.node.config.policies.contains_key("duplicated_user_action");
    read(env, input.submission, asked_about).unwrap_or_else(|reason| Ran::failed(Feature::Ocr, &reason))
}

/// A side with its picture.
struct Side<'a> {
    name: &'static str,
    bytes: &'a [u8],
    picture: &'a Picture,
}

impl Side<'_> {
    /// What it is recognised by when it is shown again: SHA-256 of the file and fingerprint of its picture.
    fn marks(&self) -> (&'static str, [u8; 32], Fingerprint) {
        (self.name, store::sha256(self.bytes), Fingerprint::of(&self.picture.pixels))
    }
}

/// Reads and cross-checks the document.
fn read(env: &Env, submission: &Submission, asked_about: bool) -> Result<Ran, String> {
    let side = |name: &'static str| -> Result<Option<Side<'_>>, String> {
        let Some(capture) = submission.capture(name) else { return Ok(None) };
        let picture = capture.picture().map_err(Unreadable::message)?;
        Ok(Some(Side { name, bytes: &capture.bytes, picture }))
    };
    let front = side("front")?.ok_or("no picture of the document")?;
    let back = side("back")?;
    let sides = || [Some(&front), back.as_ref()].into_iter().flatten();
    let engines = &env.engines;
    let reader = engines.reader().map_err(|error| chain(&error))?;
    let face_engine = engines.faces().map_err(|error| chain(&error))?;
    let search = PortraitSearch::new(&face_engine);
    let finder = |page: &RgbImage| search.find(page);
    let options = Options {
        today: env.today,
        portrait_finder: Some(&finder),
        specimens_allowed: env.specimens_allowed,
    };
    let pictures = sides().map(Side::marks).collect();
    let mut shown = Shown { pictures, asked_about, ..Shown::default() };
    let mut finding = Finding::done(Feature::Ocr);
    let mut record = match reader.read(front.picture, back.as_ref().map(|back| back.picture), &options) {
        Ok(record) => record,
        Err(ReadError::NotADocument) => {
            let signal = Signal::certain("COULD_NOT_RECOGNIZE_DOCUMENT", "document.read/1", Value::Null);
            finding.signals.push(signal);
            return Ok(Ran { carried: Carried::of(shown), ..Ran::of(finding, json!({})) });
        }
        Err(error) => return Err(chain(&error)),
    };
    if let Some(tesseract) = engines.tesseract() {
        tesseract.add_to(&mut record).map_err(|error| chain(&error))?;
    }
    if let Some(signers) = engines.seal_signers() {
        signers.check(&mut record);
    }
    finding.signals.clone_from(&record.signals);
    if record.value("address").is_some() {
        // Addresses are given as they are printed: nothing here splits them yet.
        finding.signals.push(Signal::certain("UNPARSED_ADDRESS", "address.parts/1", Value::Null));
    }
    finding.signals.extend(search.ghost(&record.sides)?);
    if let Some(expected) = &submission.expected {
        finding.signals.extend(expected::signals(&record, expected));
    }
    for side in sides() {
        if side.picture.metadata.truncated {
            finding.signals.push(Signal::certain("IMAGE_TRUNCATED", "imaging.decode/1", Value::Null));
        }
    }
    finding.country.clone_from(&record.issuing_state);
    finding.document = code_of(record.document_type.as_deref()).map(str::to_owned);
    finding.age = block::age(&record, env.today).map(f64::from);
    let block = serde_json::to_value(Block::of(&record, env.today)).map_err(|error| chain(&error))?;
    let identity = identity_of(&record);
    shown.identity = identity.clone();
    let portraits: Vec<Portrait> =
        record.portrait.into_iter().map(|image| Portrait { image, source: Source::Print }).collect();
    let cut_out = portraits.first().map(|portrait| ("portrait", imaging::encode_jpeg(&portrait.image, 90)));
    Ok(Ran {
        facts: Facts { identity: Some(identity), portraits, ..Facts::default() },
        pictures: cut_out.into_iter().collect(),
        carried: Carried::of(shown),
        ..Ran::of(finding, block)
    })
}

/// Who the document says that its holder is, each value with the part of the document that it was read on.
fn identity_of(record: &Record) -> Identity {
    let sourced = |value: Option<&str>, source: Source| -> Text {
        value.map(|value| Sourced { value: value.to_owned(), source })
    };
    let text = |name: &str| {
        let source = record.fields.get(name).map_or(Source::Print, |field| match field.source {
            document::Source::Mrz => Source::Zone,
            document::Source::Barcode => Source::Barcode,
            document::Source::Viz | document::Source::Derived => Source::Print,
        });
        sourced(record.value(name), source)
    };
    let full_name = block::full_name(record);
    Identity {
        full_name: text("full_name").or_else(|| sourced(full_name.as_deref(), Source::Print)),
        first_name: text("first_name"),
        last_name: text("last_name"),
        date_of_birth: text("date_of_birth"),
        nationality: text("nationality"),
        issuing_state: sourced(record.issuing_state.as_deref(), Source::Print),
        document_type: sourced(record.document_type.as_deref(), Source::Print),
        document_number: text("document_number"),
        expiration_date: text("expiration_date"),
    }
}
