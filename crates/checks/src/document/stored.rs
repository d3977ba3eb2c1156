//! Reads back what an earlier session's document said: the one place that reads stored blocks of this check.

use serde_json::Value;

use crate::{
    Check as _,
    facts::{Identity, Source, Sourced, Text},
};

/// Who stands on the document of a stored decision; `None` where it read none.
pub fn identity(decision: &Value) -> Option<Identity> {
    let name = &super::Document.manifest().names.workflow;
    let checks = decision["checks"].as_array()?;
    let block = &checks.iter().find(|check| check["feature"] == **name)?["block"];
    // Which part of the document a value stood on does not matter to whoever asks about an earlier session.
    let text = |field: &str| -> Text {
        let value = block[field].as_str()?.to_owned();
        Some(Sourced { value, source: Source::Print })
    };
    Some(Identity {
        full_name: text("full_name"),
        first_name: text("first_name"),
        last_name: text("last_name"),
        date_of_birth: text("date_of_birth"),
        nationality: text("nationality"),
        issuing_state: text("issuing_state"),
        document_type: text("document_type"),
        document_number: text("document_number"),
        expiration_date: text("expiration_date"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{document::number_of, facts::plain};

    #[test]
    fn the_person_of_an_earlier_session_is_read_from_its_decision() {
        let block = json!({ "first_name": "ANA", "last_name": null, "document_number": "X-1",
            "document_type": "Passport", "issuing_state": "UTO" });
        let decision =
            json!({ "checks": [{ "feature": "AML", "block": {} }, { "feature": "OCR", "block": block }] });
        let read = identity(&decision).unwrap();
        assert_eq!(plain(&read.first_name), Some("ANA"));
        assert_eq!(read.last_name, None);
        assert_eq!(number_of(&read).as_deref(), Some("UTO/Passport/X1"));
        assert_eq!(identity(&json!({ "checks": [] })), None);
    }
}
