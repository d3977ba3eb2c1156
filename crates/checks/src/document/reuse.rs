//! Recognises a document that another person's session of the same application showed before.
//!
//! The same file, the same picture saved anew, the same document number: each
//! is found by keyed digests, so that the tables say nothing to who reads them.
//! A person's own earlier sessions are no reuse. All of it asks for a look;
//! none of it proves which of the two came by the document honestly. Sandboxes
//! show specimens over and over: there only what the workflow asks about counts.

use evidence::Signal;
use imaging::hash::Fingerprint;
use serde_json::json;
use store::{
    Pii, Session, Tx,
    rows::{sessions::Filter, traces::NewTrace},
};
use workflow::SessionStatus;

use super::{blocklist, expected::same_name, stored};
use crate::{
    About,
    facts::{Identity, plain},
};

/// Candidates that are compared for one picture.
const MOST_CANDIDATES: i64 = 64;
/// Earlier approved sessions of a person whose names are compared.
const MOST_EARLIER: i64 = 20;

/// What a document showed of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    /// SHA-256 of the file and fingerprint of its picture: front, back.
    pub(super) pictures: Vec<(&'static str, [u8; 32], Fingerprint)>,
    /// What was read.
    pub(super) identity: Identity,
    /// Whether the workflow says what shall follow when another person showed the document.
    pub(super) asked_about: bool,
}

/// Issuing state, type and number in one text, where all three were read.
pub fn number_of(identity: &Identity) -> Option<String> {
    let (state, kind) = (plain(&identity.issuing_state)?, plain(&identity.document_type)?);
    let number = plain(&identity.document_number)?;
    let bare: String = number.chars().filter(char::is_ascii_alphanumeric).collect();
    Some(format!("{state}/{kind}/{}", bare.to_uppercase()))
}

/// Given and family names, where both were read.
fn names_of(identity: &Identity) -> Option<(&str, &str)> {
    Some((plain(&identity.first_name)?, plain(&identity.last_name)?))
}

impl Shown {
    fn traces(&self) -> Vec<NewTrace> {
        let pictures = self.pictures.iter().map(|(_, _, print)| picture_trace(print));
        let number = number_of(&self.identity);
        pictures.chain(number.iter().map(|number| number_trace(number))).collect()
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

impl Shown {
    /// Whether it is compared with what other sessions showed.
    pub(super) fn counts(&self, about: &About<'_>) -> bool {
        !about.sandbox || self.asked_about
    }
}

/// What earlier sessions of other persons showed already, and another name in the person's own.
pub(super) fn signals(
    tx: &mut Tx<'_>,
    about: &About<'_>,
    shown: &Shown,
) -> Result<Vec<Signal>, store::Error> {
    let application = about.application;
    let (session, subject) = (about.session_or_none(), about.subject_or_none());
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
    if let Some(number) = number_of(&shown.identity) {
        signals.extend(blocklist::signal(tx, application, &number)?);
        let found = tx.traces(application).find(&number_trace(&number), session, subject, 1)?;
        if let Some(found) = found.first() {
            let shows = json!({ "same": "document_number", "session_id": found.session });
            signals.push(Signal::certain("POSSIBLE_DUPLICATED_USER", "document.same_number/1", shows));
        }
    }
    if let Some((first, last)) = names_of(&shown.identity) {
        let filter = Filter {
            subject: Some(subject),
            statuses: vec![SessionStatus::Approved.as_str().to_owned()],
            ..Filter::default()
        };
        let (_, earlier) = tx.sessions(application).list(&filter, MOST_EARLIER, 0)?;
        let other_name = |earlier: &Session| {
            let identity = earlier.decision.as_ref().and_then(|decision| stored::identity(&decision.0));
            let identity = identity.unwrap_or_default();
            names_of(&identity)
                .is_some_and(|(given, family)| !(same_name(first, given) && same_name(last, family)))
        };
        if let Some(earlier) = earlier.iter().find(|earlier| earlier.id != session && other_name(earlier)) {
            let risk = "DOCUMENT_NAME_DIFFERENT_FROM_OTHER_APPROVED_DOCUMENTS";
            signals.push(Signal::certain(risk, "document.same_name/1", json!({ "session_id": earlier.id })));
        }
    }
    if about.sandbox {
        signals.retain(|signal| signal.risk == "POSSIBLE_DUPLICATED_USER");
    }
    Ok(signals)
}

/// Keeps what a session's document showed, for later sessions to be compared with.
pub(super) fn keep(tx: &mut Tx<'_>, session: &Session, shown: &Shown) -> Result<(), store::Error> {
    tx.traces(session.application).forget(session.id)?;
    for trace in shown.traces() {
        tx.traces(session.application).keep(session.id, &session.key, &trace)?;
    }
    Ok(())
}
