//! The decision of a session as the API tells it: every list of results, with links to pictures.

use serde_json::{Map, Value, json};
use store::{ObjectId, Session, Tx};

use crate::{
    media, rfc3339,
    sessions::{details_of, heading, state_of},
    setup,
};

/// Lists of results in a decision, with the feature that fills each; the rest of the API's lists stay null here.
const LISTS: &[(&str, &str)] = &[
    ("id_verifications", "OCR"),
    ("nfc_verifications", "NFC"),
    ("liveness_checks", "LIVENESS"),
    ("face_matches", "FACE_MATCH"),
    ("poa_verifications", ""),
    ("phone_verifications", ""),
    ("email_verifications", ""),
    ("aml_screenings", "AML"),
    ("ip_analyses", ""),
    ("database_validations", ""),
    ("questionnaires", ""),
];

/// The field of a block that shows a picture, and the capture it shows.
const PICTURES: &[(&str, &str, &str)] = &[
    ("id_verifications", "front_image", "front"),
    ("id_verifications", "full_front_image", "front"),
    ("id_verifications", "back_image", "back"),
    ("id_verifications", "full_back_image", "back"),
    ("id_verifications", "portrait_image", "portrait"),
    ("nfc_verifications", "portrait_image", "chip_portrait"),
    ("nfc_verifications", "signature_image", "chip_signature"),
    ("liveness_checks", "reference_image", "selfie"),
    ("face_matches", "source_image", "portrait"),
    ("face_matches", "target_image", "selfie"),
];

/// The decision of a session.
pub(crate) fn of_session(
    tx: &mut Tx<'_>,
    session: &Session,
    public_url: &str,
) -> Result<Value, store::Error> {
    let details = details_of(session)?;
    let objects = state_of(session)?.objects;
    let checks = session
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
    for (list, feature) in LISTS {
        let mut blocks: Vec<Value> = checks
            .iter()
            .filter(|check| check["feature"] == **feature)
            .map(|check| check["block"].clone())
            .collect();
        for block in &mut blocks {
            for (_, field, capture) in PICTURES.iter().filter(|(of, _, _)| of == list) {
                // What was compared is shown: the chip's own portrait, where it took the printed one's place.
                let capture = match *capture {
                    "portrait" if block["source"] == "chip" => "chip_portrait",
                    capture => capture,
                };
                block[*field] = match objects.get(capture) {
                    Some(object) => json!(picture(tx, session, *object, public_url)?),
                    None => Value::Null,
                };
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
    let checks = session.decision.as_ref().map(|decision| decision.0["checks"].clone()).unwrap_or_default();
    let of = |feature: &str| {
        checks
            .as_array()
            .into_iter()
            .flatten()
            .find(|check| check["feature"] == feature)
            .map(|check| &check["block"])
    };
    let document = of("OCR").cloned().unwrap_or_default();
    row["portrait_image"] = Value::Null;
    row["document_type"] = document["document_type"].clone();
    row["full_name"] = document["full_name"].clone();
    row["country"] = json!(session.country);
    row["didit_internal_id"] = json!(session.subject);
    row["phone_number"] = Value::Null;
    row["email_address"] = Value::Null;
    row["additional_details"] = Value::Null;
    row["features"] = checks
        .as_array()
        .into_iter()
        .flatten()
        .map(|check| json!({ "feature": list_name(&check["feature"]), "status": check["block"]["status"] }))
        .collect();
    Ok(row)
}

/// Lists spell two features differently from workflows.
fn list_name(feature: &Value) -> Value {
    match feature.as_str() {
        Some("OCR") => json!("ID_VERIFICATION"),
        _ => feature.clone(),
    }
}
