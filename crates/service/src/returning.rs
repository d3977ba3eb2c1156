//! Finds the portrait with which a returning person is compared (workflow without a document).
//!
//! Only pictures of an approved session with a document count, the document's
//! portrait before the selfie: recognising by the picture of an earlier
//! recognition would let the reference drift away from the document.

use store::{ApplicationId, Session, Tx, rows::objects::Object};
use workflow::{Feature, SessionStatus};

use crate::sessions::state_of;

/// The kept portrait of a session's person, from the newest approved session with a document; `None` without one.
pub(crate) fn kept_portrait(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    session: &Session,
) -> Result<Option<Object>, store::Error> {
    let mut earlier = tx.sessions(application).of_subject(session.subject)?;
    earlier.retain(|other| {
        other.id != session.id
            && other.service.is_none()
            && other.status == SessionStatus::Approved.as_str()
            && other.features.iter().any(|name| name == Feature::Ocr.decision_name())
    });
    earlier.sort_by_key(|other| std::cmp::Reverse(other.decided_at));
    for other in earlier {
        let objects = state_of(&other)?.objects;
        for kind in ["portrait", "selfie"] {
            if let Some(id) = objects.get(kind)
                && let Some(object) = tx.objects(application).find(*id)?
            {
                return Ok(Some(object));
            }
        }
    }
    Ok(None)
}
