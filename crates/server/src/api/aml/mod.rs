//! Screening beside `POST /v3/aml/`: many people at once, the lists, replays, and yente's API.

pub(crate) mod batch;
pub(crate) mod lists;
pub(crate) mod reconcile;
pub(crate) mod replay;
pub(crate) mod yente;

use axum::http::StatusCode;
use service::screening::{Person, Settings, status::ListsError};

use crate::http::{failure::Failure, fields::Fields};

/// Reads who is screened and how, as `POST /v3/aml/` documents the fields; [`settled`] looks at the settings together.
pub(crate) fn question(fields: &mut Fields) -> (Person, Settings) {
    let full_name = fields.required_text("full_name", 500).unwrap_or_default();
    let company = fields.choice("entity_type", &["person", "company"]) == Some("company");
    let nationality = fields.text("nationality", 10).filter(|code| !code.is_empty());
    if nationality.as_deref().is_some_and(|code| mrz::country::find_alpha2(&code.to_uppercase()).is_none()) {
        fields.complain("nationality", "Invalid ISO 3166-1 alpha-2 country code.");
    }
    let person = Person {
        full_name,
        company,
        date_of_birth: fields.date("date_of_birth"),
        nationality,
        document_number: fields.text("document_number", 100).filter(|number| !number.is_empty()),
    };
    let mut settings = Settings::default();
    let bands = &mut settings.thresholds;
    bands.approve = fields.number("aml_score_approve_threshold", 0.0, 100.0).unwrap_or(bands.approve);
    bands.review = fields.number("aml_score_review_threshold", 0.0, 100.0).unwrap_or(bands.review);
    let mut whole = |field: &str, default: u32| {
        fields.integer(field, 0, 100).and_then(|weight| u32::try_from(weight).ok()).unwrap_or(default)
    };
    bands.match_score = f64::from(whole("aml_match_score_threshold", 93));
    settings.weights.name = whole("aml_name_weight", settings.weights.name);
    settings.weights.birth = whole("aml_dob_weight", settings.weights.birth);
    settings.weights.country = whole("aml_country_weight", settings.weights.country);
    settings.adverse_media = fields.boolean("include_adverse_media").unwrap_or(false);
    (person, settings)
}

/// Refuses settings that do not go together.
pub(crate) fn settled(settings: &Settings) -> Result<(), Failure> {
    settings.check().map_err(|text| Failure::field("error", &text))
}

/// What is answered when the lists cannot be asked.
pub(crate) fn lists_failure(error: &ListsError) -> Failure {
    match error {
        ListsError::NotFound => Failure::not_found(),
        ListsError::Busy => Failure::busy(2),
        ListsError::Damaged(_) => Failure::internal(error),
        ListsError::Index(reason) => {
            tracing::error!(reason, "watch-lists cannot be opened");
            no_lists()
        }
    }
}

/// What the lists had to say of what was asked for, else why there is no answer; `missing` where it is in no list.
pub(crate) fn found<T>(
    answered: Result<Option<Option<T>>, ListsError>,
    missing: impl FnOnce() -> Failure,
) -> Result<T, Failure> {
    answered.map_err(|error| lists_failure(&error))?.ok_or_else(no_lists)?.ok_or_else(missing)
}

/// Nothing can be screened against.
pub(crate) fn no_lists() -> Failure {
    Failure::detail(
        StatusCode::SERVICE_UNAVAILABLE,
        "no_lists",
        "No watch-list is loaded. The operator imports one with `bonafide aml import`.",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_of_a_screening_reaches_it() {
        let body = json!({
            "full_name": "Utopia Trading", "entity_type": "company", "date_of_birth": "1974-03-01", "nationality": "ES",
            "document_number": "X1", "aml_score_approve_threshold": 10, "aml_score_review_threshold": 90,
            "aml_match_score_threshold": 80, "aml_name_weight": 50, "aml_dob_weight": 30, "aml_country_weight": 20,
            "include_adverse_media": true,
        });
        let read = Fields::read(body.as_object().cloned().unwrap(), question);
        let (person, settings) = read.map_err(Failure::into_body).unwrap();
        assert_eq!((person.full_name.as_str(), person.company), ("Utopia Trading", true));
        assert_eq!(person.date_of_birth, Some(jiff::civil::date(1974, 3, 1)));
        assert_eq!(
            (person.nationality.as_deref(), person.document_number.as_deref()),
            (Some("ES"), Some("X1"))
        );
        let bands = &settings.thresholds;
        assert_eq!((bands.approve, bands.review, bands.match_score), (10.0, 90.0, 80.0));
        assert_eq!((settings.weights.name, settings.weights.birth, settings.weights.country), (50, 30, 20));
        assert!(settings.adverse_media);
    }
}
