//! The decision of a session as the API tells it: every list of results, with links to pictures.

use checks::Manifest;
use serde_json::{Map, Value, json};
use store::{ObjectId, Session, Tx};

use crate::{
    media, rfc3339,
    sessions::{details_of, heading, state_of},
    setup,
};

/// Lists of results in a decision, in the API's order. Those that no check fills stay null.
const LISTS: &[&str] = &[
    "id_verifications",
    "nfc_verifications",
    "liveness_checks",
    "face_matches",
    "poa_verifications",
    "phone_verifications",
    "email_verifications",
    "aml_screenings",
    "ip_analyses",
    "database_validations",
    "questionnaires",
];

/// The checks whose blocks stand in a list.
fn of_list(list: &str) -> impl Iterator<Item = &'static Manifest> {
    let manifests = checks::ALL.iter().map(|check| check.manifest());
    manifests.filter(move |manifest| manifest.decision.list.as_deref() == Some(list))
}

/// The decision of a session.
pub(crate) fn of_session(
    tx: &mut Tx<'_>,
    session: &Session,
    public_url: &str,
) -> Result<Value, store::Error> {
    let details = details_of(session)?;
    let objects = state_of(session)?.objects;
    let done = session
        .decision
        .as_ref()
        .and_then(|decision| decision.0["checks"].as_array().cloned())
        .unwrap_or_default();
    let mut out: Map<String, Value> = match heading(session, public_url)? {
        Value::Object(heading) => heading,
        _ => Map::new(),
    };
    let environment = if setup::is_sandbox(tx, session.application)? { "sandbox" } else { "live" };
    out.insert("environment".to_owned(), json!(environment));
    out.insert("workflow_id".to_owned(), json!(session.workflow.map(|(id, _)| id)));
    out.insert("workflow_version".to_owned(), json!(session.workflow.map(|(_, version)| version)));
    out.insert("features".to_owned(), json!(session.features));
    out.insert("metadata".to_owned(), json!(details.metadata));
    out.insert("expected_details".to_owned(), json!(details.expected_details));
    out.insert("contact_details".to_owned(), json!(details.contact_details));
    out.insert("callback".to_owned(), json!(details.callback));
    out.insert("expires_at".to_owned(), json!(rfc3339(session.expires_at)));
    for list in LISTS {
        let mut blocks = Vec::new();
        for manifest in of_list(list) {
            for check in done.iter().filter(|check| check["feature"] == *manifest.names.workflow) {
                let mut block = check["block"].clone();
                for picture in &manifest.decision.pictures {
                    // What was compared is shown: the chip's own portrait, where it took the printed one's place.
                    let capture = match &picture.from_chip {
                        Some(capture) if block["source"] == "chip" => capture,
                        _ => &picture.shows,
                    };
                    block[picture.field.as_str()] = match objects.get(capture) {
                        Some(object) => json!(self::picture(tx, session, *object, public_url)?),
                        None => Value::Null,
                    };
                }
                blocks.push(block);
            }
        }
        out.insert((*list).to_owned(), if blocks.is_empty() { Value::Null } else { json!(blocks) });
    }
    let reviews: Vec<Value> = tx
        .reviews(session.application)
        .of_session(session.id)?
        .into_iter()
        .map(|review| {
            json!({
                "user": review.reviewer,
                "new_status": review.new_status,
                "comment": review.comment.0,
                "created_at": rfc3339(review.created_at),
            })
        })
        .collect();
    out.insert("reviews".to_owned(), json!(reviews));
    Ok(Value::Object(out))
}

fn picture(
    tx: &mut Tx<'_>,
    session: &Session,
    object: ObjectId,
    public_url: &str,
) -> Result<String, store::Error> {
    media::link(tx, session.application, object, public_url)
}

/// A session as lists show it.
pub(crate) fn row(session: &Session, public_url: &str) -> Result<Value, store::Error> {
    let mut row = heading(session, public_url)?;
    let done = session.decision.as_ref().map(|decision| decision.0["checks"].clone()).unwrap_or_default();
    let decision = session.decision.as_ref();
    let holder =
        decision.and_then(|decision| checks::document::stored_identity(&decision.0)).unwrap_or_default();
    let value = |text: &checks::facts::Text| text.as_ref().map(|text| text.value.clone());
    row["portrait_image"] = Value::Null;
    row["document_type"] = json!(value(&holder.document_type));
    row["full_name"] = json!(value(&holder.full_name));
    row["country"] = json!(session.country);
    row["didit_internal_id"] = json!(session.subject);
    row["phone_number"] = Value::Null;
    row["email_address"] = Value::Null;
    row["additional_details"] = Value::Null;
    row["features"] = done
        .as_array()
        .into_iter()
        .flatten()
        .map(|check| json!({ "feature": list_name(&check["feature"]), "status": check["block"]["status"] }))
        .collect();
    Ok(row)
}

/// The spelling of lists; a feature that this program does not know keeps its name.
fn list_name(feature: &Value) -> Value {
    let check = feature.as_str().and_then(checks::by_name);
    check.map_or_else(|| feature.clone(), |check| json!(check.manifest().names.list))
}
