//! What is known of a person and a listed entry: that it was reported, and what was decided about it.
//!
//! A decision holds until the entry materially changes; then the hit is open again and the earlier decision is
//! shown beside it. All of it is sealed with the person's key.

use std::collections::BTreeMap;

use aml::{
    lists::ListVersion,
    monitor::{Known, Standing, Verdict, standing},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{ApplicationId, Session, SubjectKey, Tx, rows::jobs::NewJob, rows::screening::shard_of};

use super::Asked;

/// The kind of job that screens one watched person anew.
pub const RESCREEN: &str = "aml.rescreen";
/// The queue of checks that compute.
const QUEUE: &str = "cpu";
/// Characters of a version's hash that name it.
const VERSION_LENGTH: usize = 16;

/// The name of a version: the first characters of its hash.
pub fn version_name(version: &ListVersion) -> String {
    version.sha256.chars().take(VERSION_LENGTH).collect()
}

/// Version of each list of an index.
pub fn versions_of(lists: &[ListVersion]) -> BTreeMap<String, String> {
    lists.iter().map(|list| (list.list.clone(), version_name(list))).collect()
}

/// What is known of one person and one entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// The entry.
    pub entity: String,
    /// What was reported and decided.
    pub known: Known,
    /// Whether the entry left its list, or no longer resembles the person. What was decided stays known.
    #[serde(default)]
    pub gone: bool,
}

/// The API's name of a verdict.
pub fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::FalsePositive => "False Positive",
        Verdict::ConfirmedMatch => "Confirmed Match",
        Verdict::Inconclusive => "Inconclusive",
    }
}

/// The fingerprint of the entry behind a hit of a block.
pub fn fingerprint_of(hit: &Value) -> &str {
    hit["additional_information"]["fingerprint"].as_str().unwrap_or_default()
}

/// Puts earlier decisions into the hits of a block.
pub fn apply(block: &mut Value, memory: &[Remembered]) {
    for hit in block["hits"].as_array_mut().into_iter().flatten() {
        let id = hit["id"].as_str().unwrap_or_default();
        let Some(remembered) = memory.iter().find(|remembered| remembered.entity == id) else { continue };
        match standing(remembered.known.decision.as_ref(), fingerprint_of(hit)) {
            Standing::Open => {}
            Standing::Decided(verdict) => hit["review_status"] = json!(verdict_name(verdict)),
            Standing::Reopened => {
                let before =
                    remembered.known.decision.as_ref().map(|decision| verdict_name(decision.verdict));
                hit["additional_information"]["previous_review_status"] = json!(before);
            }
        }
    }
}

/// Reads what is known of a person.
///
/// # Errors
/// When the store does not answer.
pub fn of_person(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    key: &SubjectKey,
) -> Result<Vec<Remembered>, store::Error> {
    let known = tx.screenings(application).known(key)?;
    known.into_iter().map(|known| serde_json::from_value(known.0).map_err(store::Error::Json)).collect()
}

/// Writes what a block's hits are, keeping what was decided about them.
///
/// # Errors
/// When the store does not answer.
pub fn remember(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    key: &SubjectKey,
    block: &Value,
) -> Result<(), store::Error> {
    let before = of_person(tx, application, key)?;
    for hit in block["hits"].as_array().into_iter().flatten() {
        let entity = hit["id"].as_str().unwrap_or_default().to_owned();
        let decision = before
            .iter()
            .find(|remembered| remembered.entity == entity)
            .and_then(|remembered| remembered.known.decision.clone());
        let known = Known { fingerprint: fingerprint_of(hit).to_owned(), decision };
        write(tx, application, key, &Remembered { entity, known, gone: false })?;
    }
    Ok(())
}

/// Writes what is known of a person and an entry.
///
/// # Errors
/// When the store does not answer.
pub fn write(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    key: &SubjectKey,
    remembered: &Remembered,
) -> Result<(), store::Error> {
    let value = serde_json::to_value(remembered).map_err(store::Error::Json)?;
    tx.screenings(application).remember(key, &remembered.entity, &value)
}

/// Watches the person of a session from now on. Where the lists they were screened against are not those that
/// their shard has come to, they are screened once more, so that no change falls between the two.
///
/// # Errors
/// When the store does not answer.
pub fn enrol(
    tx: &mut Tx<'_>,
    application: ApplicationId,
    session: &Session,
    asked: &Asked,
    lists: &[ListVersion],
) -> Result<(), store::Error> {
    let screened = versions_of(lists);
    let mut shard = tx.screenings(application).lock_shard(shard_of(session.subject))?;
    let profile = serde_json::to_value(asked).map_err(store::Error::Json)?;
    let first = shard.enrolled == 0;
    tx.screenings(application).watch(&mut shard, &session.key, session.id, &profile)?;
    if first {
        shard.versions = screened;
    } else if shard.versions != screened {
        let once = format!("{} {}", session.subject, shard.enrolled);
        tx.enqueue(&NewJob {
            application,
            queue: QUEUE,
            kind: RESCREEN,
            payload: json!({ "subject": session.subject }),
            unique_key: Some(&once),
            run_at: tx.now(),
        })?;
    }
    tx.screenings(application).save_shard(&shard)
}

#[cfg(test)]
mod tests {
    use aml::monitor::Decision;

    use super::*;

    fn block(fingerprint: &str) -> Value {
        json!({ "hits": [{
            "id": "ofac:1", "review_status": "Unreviewed",
            "additional_information": { "fingerprint": fingerprint },
        }] })
    }

    #[test]
    fn a_decision_holds_until_the_entry_changes_and_is_then_shown_beside_the_open_hit() {
        let decision = Decision { verdict: Verdict::FalsePositive, fingerprint: "a".to_owned() };
        let memory = [Remembered {
            entity: "ofac:1".to_owned(),
            known: Known { fingerprint: "a".to_owned(), decision: Some(decision) },
            gone: false,
        }];
        let mut same = block("a");
        apply(&mut same, &memory);
        assert_eq!(same["hits"][0]["review_status"], "False Positive");
        let mut changed = block("b");
        apply(&mut changed, &memory);
        assert_eq!(changed["hits"][0]["review_status"], "Unreviewed");
        assert_eq!(changed["hits"][0]["additional_information"]["previous_review_status"], "False Positive");
    }
}
