//! Recognises a document that another person's session of the same application showed before.
//!
//! The same file, the same picture saved anew, the same document number: each
//! is found by keyed digests, so that the tables say nothing to who reads them.
//! A person's own earlier sessions are no reuse. All of it asks for a look;
//! none of it proves which of the two came by the document honestly. Sandboxes
//! show specimens over and over, so nothing is compared there.

use evidence::Signal;
use imaging::hash::Fingerprint;
use serde_json::json;
use store::{
    ApplicationId, Pii, Session, SessionId, SubjectId, SubjectKey, Tx,
    rows::{sessions::Filter, traces::NewTrace},
};
use workflow::SessionStatus;

use crate::checks::same_name;

/// Candidates that are compared for one picture.
const MOST_CANDIDATES: i64 = 64;
/// Earlier approved sessions of a person whose names are compared.
const MOST_EARLIER: i64 = 20;

/// What a document showed of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// SHA-256 of the file and fingerprint of its picture: front, back.
    pub(crate) pictures: Vec<(&'static str, [u8; 32], Fingerprint)>,
    /// Issuing state, type and number, where all three were read.
    pub(crate) number: Option<String>,
    /// Given and family names as read.
    pub(crate) names: Option<(String, String)>,
}

impl Shown {
    /// What the block of a read document tells.
    pub(crate) fn of_block(&mut self, block: &serde_json::Value) {
        let text = |name: &str| block[name].as_str().map(str::trim).filter(|text| !text.is_empty());
        if let (Some(state), Some(kind), Some(number)) =
            (text("issuing_state"), text("document_type"), text("document_number"))
        {
            let plain: String = number.chars().filter(char::is_ascii_alphanumeric).collect();
            self.number = Some(format!("{state}/{kind}/{}", plain.to_uppercase()));
        }
        if let (Some(first), Some(last)) = (text("first_name"), text("last_name")) {
            self.names = Some((first.to_owned(), last.to_owned()));
        }
    }

    fn traces(&self) -> Vec<NewTrace> {
        let pictures = self.pictures.iter().map(|(_, _, print)| picture_trace(print));
        let number = self.number.iter().map(|number| number_trace(number));
        pictures.chain(number).collect()
    }
}

fn picture_trace(print: &Fingerprint) -> NewTrace {
    NewTrace {
        kind: "document picture",
        parts: print.parts().map(|part| part.to_vec()).to_vec(),
        whole: Pii(print.to_bytes().to_vec()),
    }
}

fn number_trace(number: &str) -> NewTrace {
    NewTrace { kind: "document number", parts: vec![number.as_bytes().to_vec()], whole: Pii(Vec::new()) }
}

/// What earlier sessions of other persons showed already, and another name in the person's own.
pub(crate) fn signals(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    session: SessionId,
    subject: SubjectId,
    shown: &Shown,
) -> Result<Vec<Signal>, store::Error> {
    let mut signals = Vec::new();
    for (side, digest, print) in &shown.pictures {
        let same = tx.objects(application).same_content(*digest, session, subject, 1)?;
        if let Some((earlier, _)) = same.first() {
            let shows = json!({ "side": side, "match": "exact", "session_id": earlier });
            signals.push(Signal::certain("DUPLICATED_DOCUMENT_IMAGE", "image.same_file/1", shows));
            continue;
        }
        let trace = picture_trace(print);
        let candidates = tx.traces(application).find(&trace, session, subject, MOST_CANDIDATES)?;
        let nearest = candidates
            .iter()
            .filter_map(|found| {
                let other = Fingerprint::from_bytes(&found.whole)?;
                print.same_picture(&other).then(|| (print.distance(&other), found.session))
            })
            .min();
        if let Some((distance, earlier)) = nearest {
            let shows =
                json!({ "side": side, "match": "near", "differing_bits": distance, "session_id": earlier });
            signals.push(Signal::certain("DUPLICATED_DOCUMENT_IMAGE", "image.fingerprint/1", shows));
        }
    }
    signals.extend(crate::document_blocklist::signal(tx, application, shown)?);
    if let Some(number) = &shown.number {
        let found = tx.traces(application).find(&number_trace(number), session, subject, 1)?;
        if let Some(found) = found.first() {
            let shows = json!({ "same": "document_number", "session_id": found.session });
            signals.push(Signal::certain("POSSIBLE_DUPLICATED_USER", "document.same_number/1", shows));
        }
    }
    if let Some((first, last)) = &shown.names {
        let filter = Filter {
            subject: Some(subject),
            statuses: vec![SessionStatus::Approved.as_str().to_owned()],
            ..Filter::default()
        };
        let (_, earlier) = tx.sessions(application).list(&filter, MOST_EARLIER, 0)?;
        let other_name = |earlier: &Session| {
            let Some(decision) = &earlier.decision else { return false };
            let blocks = decision["checks"].as_array().into_iter().flatten();
            blocks.filter(|check| check["feature"] == json!(workflow::Feature::Ocr)).any(|check| {
                let read = |name: &str| check["block"][name].as_str().unwrap_or_default();
                let (given, family) = (read("first_name"), read("last_name"));
                let read_whole = !given.is_empty() && !family.is_empty();
                let same = same_name(first, given) && same_name(last, family);
                read_whole && !same
            })
        };
        if let Some(earlier) = earlier.iter().find(|earlier| earlier.id != session && other_name(earlier)) {
            let risk = "DOCUMENT_NAME_DIFFERENT_FROM_OTHER_APPROVED_DOCUMENTS";
            signals.push(Signal::certain(risk, "document.same_name/1", json!({ "session_id": earlier.id })));
        }
    }
    Ok(signals)
}

/// Keeps what a session's document showed, for later sessions to be compared with.
pub(crate) fn keep(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    session: SessionId,
    key: &SubjectKey,
    shown: &Shown,
) -> Result<(), store::Error> {
    tx.traces(application).forget(session)?;
    for trace in shown.traces() {
        tx.traces(application).keep(session, key, &trace)?;
    }
    Ok(())
}
