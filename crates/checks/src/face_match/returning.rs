//! Finds the portrait with which a returning person is compared (workflow without a document).
//!
//! Only pictures of an approved session with a document count, the document's
//! portrait before the selfie: recognising by the picture of an earlier
//! recognition would let the reference drift away from the document.

use store::{Session, Tx, rows::objects::Object};
use workflow::{Feature, SessionStatus};

/// The kept portrait of a session's person, from the newest approved session with a document; `None` without one.
pub(super) fn kept_portrait(tx: &mut Tx<'_>, session: &Session) -> Result<Option<Object>, store::Error> {
    let application = session.application;
    let mut earlier = tx.sessions(application).of_subject(session.subject)?;
    earlier.retain(|other| {
        other.id != session.id
            && other.service.is_none()
            && other.status == SessionStatus::Approved.as_str()
            && other.features.iter().any(|name| name == Feature::Ocr.decision_name())
    });
    earlier.sort_by_key(|other| std::cmp::Reverse(other.decided_at));
    for other in earlier {
        let objects = tx.objects(application).of_session(other.id)?;
        for kind in ["portrait", "selfie"] {
            // A picture that was taken anew is the one that counts.
            if let Some(object) = objects.iter().filter(|object| object.kind == kind).max_by_key(|o| o.id) {
                return Ok(Some(object.clone()));
            }
        }
    }
    Ok(None)
}
