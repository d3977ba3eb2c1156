//! Compares what was read with what the caller knows about the person.

use document::Record;
use evidence::Signal;
use serde_json::{Value, json};

const METHOD: &str = "expected_details/1";

/// One signal for each detail that differs. What was not read is no difference; the reading itself signals that.
pub(super) fn signals(record: &Record, expected: &Value) -> Vec<Signal> {
    let text = |name: &str| expected[name].as_str().map(str::trim).filter(|text| !text.is_empty());
    let mut out = Vec::new();
    let mut differs =
        |risk: &str, field: &str| out.push(Signal::certain(risk, METHOD, json!({ "field": field })));

    let exact = [
        ("date_of_birth", "date_of_birth", "DOB_MISMATCH_WITH_PROVIDED"),
        ("gender", "gender", "GENDER_MISMATCH_WITH_PROVIDED"),
        ("nationality", "nationality", "NATIONALITY_MISMATCH_WITH_PROVIDED"),
    ];
    for (given, field, risk) in exact {
        if let (Some(given), Some(read)) = (text(given), record.value(field))
            && !given.eq_ignore_ascii_case(read)
        {
            differs(risk, field);
        }
    }
    // Both are held against the issuer; each has a documented warning of its own.
    let countries =
        [("country", "COUNTRY_MISMATCH_WITH_PROVIDED"), ("id_country", "DOCUMENT_COUNTRY_MISMATCH")];
    for (given, risk) in countries {
        if let (Some(given), Some(read)) = (text(given), record.issuing_state.as_deref())
            && !given.eq_ignore_ascii_case(read)
        {
            differs(risk, "issuing_state");
        }
    }
    if let Some(given) = text("identification_number") {
        let plain = |text: &str| -> String {
            text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase()
        };
        let read: Vec<String> = ["personal_number", "document_number"]
            .iter()
            .filter_map(|field| record.value(field))
            .map(plain)
            .collect();
        if !read.is_empty() && !read.contains(&plain(given)) {
            differs("IDENTIFICATION_NUMBER_MISMATCH_WITH_PROVIDED", "personal_number");
        }
    }
    let names =
        [(text("first_name"), record.value("first_name")), (text("last_name"), record.value("last_name"))];
    if names
        .iter()
        .any(|(given, read)| matches!((given, read), (Some(given), Some(read)) if !same_name(given, read)))
    {
        differs("FULL_NAME_MISMATCH_WITH_PROVIDED", "full_name");
    }
    out.extend(unexpected_type(record.document_type.as_deref(), expected));
    out
}

/// Whether the document is of none of the types that are expected. One whose type was not read is of none.
fn unexpected_type(document_type: Option<&str>, expected: &Value) -> Option<Signal> {
    let types = expected["expected_document_types"].as_array().filter(|types| !types.is_empty())?;
    let read = super::code_of(document_type);
    let expected = types.iter().filter_map(Value::as_str).any(|code| Some(code) == read);
    let shows = json!({ "field": "document_type", "expected": types, "read": read });
    (!expected).then(|| Signal::certain("DOCUMENT_NOT_SUPPORTED_FOR_APPLICATION", METHOD, shows))
}

/// Whether one name may be the other: every token of the shorter one stands in the longer one, in any order,
/// script or transliteration; more given names are allowed.
pub(super) fn same_name(given: &str, read: &str) -> bool {
    let (a, b) = (names::analyse(given, names::Kind::Person), names::analyse(read, names::Kind::Person));
    let (fewer, more) = if a.tokens.len() <= b.tokens.len() { (&a, &b) } else { (&b, &a) };
    let stands_in_more = |token: &names::Token| {
        more.tokens.iter().any(|other| {
            names::compare(token.view(), other.view()).is_some_and(|found| found.similarity >= 0.9)
        })
    };
    !fewer.tokens.is_empty() && fewer.tokens.iter().all(stands_in_more)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{same_name, unexpected_type};

    #[test]
    fn a_document_of_another_type_than_expected_is_not_accepted_nor_is_one_whose_type_was_not_read() {
        let expected = json!({ "expected_document_types": ["DL", "ID"] });
        assert_eq!(unexpected_type(Some("Identity Card"), &expected), None);
        for other in [Some("Passport"), None] {
            let signal = unexpected_type(other, &expected).unwrap();
            assert_eq!(signal.risk, "DOCUMENT_NOT_SUPPORTED_FOR_APPLICATION");
        }
        assert_eq!(unexpected_type(None, &json!({})), None);
    }

    #[test]
    fn order_script_and_further_given_names_make_no_difference_but_another_name_does() {
        assert!(same_name("Anna Maria", "ANNA"));
        assert!(same_name("Jürgen", "JUERGEN"));
        assert!(!same_name("Anna", "BERTA"));
        assert!(!same_name("", "ANNA"));
    }
}
