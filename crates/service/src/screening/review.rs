//! Verdicts about single hits: set in the decision, remembered for the person and the entry.
//!
//! Score and status of the screening follow the hits. The session's own status moves by itself only towards
//! caution (a confirmed match in an approved session); approving stays with `update-status`.

use aml::monitor::{Decision, Known, Verdict};
use serde_json::{Value, json};
use store::{Pii, SessionId};
use workflow::{Event, SessionStatus, transition};

use super::{Remembered, Screened, any_node, evidence_of, memory, settings::Settings, settle};
use crate::{
    Service,
    access::Access,
    sessions::{audit_session, details_of, status_of, tell_status},
};

/// The verdicts of the API.
pub const REVIEW_STATUSES: &[&str] = &["Unreviewed", "Confirmed Match", "False Positive", "Inconclusive"];

/// A verdict about a hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitUpdate {
    /// The hit.
    pub hit: String,
    /// One of [`REVIEW_STATUSES`].
    pub status: &'static str,
}

/// Why no verdict was recorded.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// No such session.
    #[error("no such session")]
    NotFound,
    /// It was not screened, or not by this node.
    #[error("the session has no screening")]
    NoScreening,
    /// Hits that the screening does not have.
    #[error("no such hits")]
    UnknownHits(Vec<String>),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn verdict_of(status: &str) -> Option<Verdict> {
    match status {
        "False Positive" => Some(Verdict::FalsePositive),
        "Confirmed Match" => Some(Verdict::ConfirmedMatch),
        "Inconclusive" => Some(Verdict::Inconclusive),
        _ => None,
    }
}

/// The settings that a session's screening had.
pub(crate) fn settings_of(decision: &Value) -> Settings {
    serde_json::from_value(decision["screening"]["asked"]["settings"].clone()).unwrap_or_default()
}

/// Score, status and warnings of a screening's block after its hits changed.
pub(crate) fn resettle(block: &mut Value, settings: &Settings) {
    settle(block, settings);
    let mut node = any_node();
    if let Some(id) = block["node_id"].as_str() {
        id.clone_into(&mut node.id);
    }
    let finding = evidence_of(block, &mut node);
    block["warnings"] = json!(workflow::judge(&node, &finding).warnings);
}

impl Service {
    /// Records verdicts about hits: all of them or none. Returns the screening as it stands then.
    ///
    /// # Errors
    /// [`ReviewError`].
    pub async fn review_hits(
        &self,
        access: &Access,
        id: SessionId,
        node: Option<String>,
        updates: Vec<HitUpdate>,
    ) -> Result<Value, ReviewError> {
        let access = access.clone();
        self.store
            .write(move |tx| {
                let application = access.application;
                let mut session =
                    tx.sessions(application).find_for_update(id)?.ok_or(ReviewError::NotFound)?;
                let mut decision =
                    session.decision.take().map(|decision| decision.0).unwrap_or_default();
                let settings = settings_of(&decision);
                let check = decision["checks"]
                    .as_array_mut()
                    .into_iter()
                    .flatten()
                    .find(|check| {
                        check["feature"] == "AML"
                            && node.as_ref().is_none_or(|node| {
                                check["block"]["node_id"].is_null() || check["block"]["node_id"] == **node
                            })
                    })
                    .ok_or(ReviewError::NoScreening)?;
                let block = &mut check["block"];
                let hits = block["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
                let unknown: Vec<String> = updates
                    .iter()
                    .filter(|update| !hits.iter().any(|hit| hit["id"] == *update.hit))
                    .map(|update| update.hit.clone())
                    .collect();
                if !unknown.is_empty() {
                    return Err(ReviewError::UnknownHits(unknown));
                }
                for update in &updates {
                    for hit in block["hits"].as_array_mut().into_iter().flatten() {
                        if hit["id"] != *update.hit {
                            continue;
                        }
                        hit["review_status"] = json!(update.status);
                        let fingerprint = memory::fingerprint_of(hit).to_owned();
                        let decision = verdict_of(update.status)
                            .map(|verdict| Decision { verdict, fingerprint: fingerprint.clone() });
                        let known = Known { fingerprint, decision };
                        let remembered =
                            Remembered { entity: update.hit.clone(), known, gone: false };
                        memory::write(tx, application, &session.key, &remembered)?;
                    }
                }
                resettle(block, &settings);
                let after = block.clone();
                session.decision = Some(Pii(decision));
                let confirmed = updates.iter().any(|update| update.status == "Confirmed Match");
                let worse = match after["status"].as_str() {
                    Some("Declined") => Some(SessionStatus::Declined),
                    Some("In Review") => Some(SessionStatus::InReview),
                    _ => None,
                };
                if let Some(to) = worse.filter(|_| confirmed)
                    && let Ok(next) = transition(status_of(&session), Event::LearnedLater(to))
                {
                    next.as_str().clone_into(&mut session.status);
                    tell_status(tx, application, &mut session)?;
                }
                let details = details_of(&session)?;
                let told = json!({
                    "session_id": id,
                    "webhook_type": "activity.created",
                    "activity_type": "AML_HIT_STATUS_UPDATED",
                    "status": session.status,
                    "vendor_data": details.vendor_data,
                    "hits": updates.iter().map(|update| json!({ "hit_id": update.hit, "review_status": update.status })).collect::<Vec<_>>(),
                });
                tx.events(application).append(&mut session, "activity.created", &told)?;
                tx.sessions(application).save(&mut session)?;
                let counted = json!({ "hits": updates.len() });
                audit_session(tx, application, &access.actor(), "aml.review_hits", id, Some(counted))?;
                Ok(after)
            })
            .await
    }
}

/// What a kept decision says of its screening.
pub(crate) fn screened_of(decision: &Value) -> Option<Screened> {
    let screening = &decision["screening"];
    Some(Screened {
        asked: serde_json::from_value(screening["asked"].clone()).ok()?,
        record: serde_json::from_value(screening["record"].clone()).ok()?,
    })
}
