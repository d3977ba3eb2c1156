//! `POST /v3/aml/` — screens a name against the watch-lists.

use aml::didit::Thresholds;
use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
use service::screening::Screen;
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        body::JsonObject,
        caller::{Caller, WriteSessions},
        failure::Failure,
        fields::Fields,
    },
};

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "documents the body; fields are read one by one so that all complaints come together"
)]
pub(crate) struct Request {
    /// Name of the person or company.
    full_name: String,
    /// `person` or `company`.
    #[schema(default = "person")]
    entity_type: Option<String>,
    /// YYYY-MM-DD.
    date_of_birth: Option<String>,
    /// ISO 3166-1 alpha-2.
    nationality: Option<String>,
    /// Number of a document; an equal number on a list is decisive.
    document_number: Option<String>,
    /// A risk below this is approved, 0 to 100.
    #[schema(default = 80)]
    aml_score_approve_threshold: Option<f64>,
    /// A risk above this is declined, 0 to 100.
    #[schema(default = 100)]
    aml_score_review_threshold: Option<f64>,
    /// Weight of the name; the three weights sum to 100.
    #[schema(default = 60)]
    aml_name_weight: Option<i32>,
    /// Weight of the date of birth.
    #[schema(default = 25)]
    aml_dob_weight: Option<i32>,
    /// Weight of the country.
    #[schema(default = 15)]
    aml_country_weight: Option<i32>,
    /// Hits with a lower match score are false positives, 0 to 100.
    #[schema(default = 93)]
    aml_match_score_threshold: Option<i32>,
    /// Whether the result is kept.
    #[schema(default = true)]
    save_api_request: Option<bool>,
    /// The caller's own name for the person.
    vendor_data: Option<String>,
    /// Given back with the answer.
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Screens a name against the watch-lists; with no list loaded the answer is a review, never a pass.
#[utoipa::path(post, path = "/v3/aml/", tag = "checks", request_body = Request, responses(
    (status = 200, body = Object),
    (status = 400, body = FieldErrors),
    (status = 403, body = Detail),
    (status = 415, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "The queue is full; `Retry-After` says when to come back."),
))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    JsonObject(body): JsonObject,
) -> Result<Response, Failure> {
    let mut fields = Fields::new(body);
    let full_name = fields.required_text("full_name", 500).unwrap_or_default();
    let company = fields.choice("entity_type", &["person", "company"]) == Some("company");
    let nationality = fields.text("nationality", 10).filter(|code| !code.is_empty());
    if nationality.as_deref().is_some_and(|code| mrz::country::find_alpha2(&code.to_uppercase()).is_none()) {
        fields.complain("nationality", "Invalid ISO 3166-1 alpha-2 country code.");
    }
    let date_of_birth = fields.date("date_of_birth");
    let document_number = fields.text("document_number", 100).filter(|number| !number.is_empty());
    let approve = fields.number("aml_score_approve_threshold", 0.0, 100.0).unwrap_or(80.0);
    let review = fields.number("aml_score_review_threshold", 0.0, 100.0).unwrap_or(100.0);
    let mut weight = |field: &str, default: u32| {
        fields.integer(field, 0, 100).and_then(|weight| u32::try_from(weight).ok()).unwrap_or(default)
    };
    let weights =
        [weight("aml_name_weight", 60), weight("aml_dob_weight", 25), weight("aml_country_weight", 15)];
    let match_score = fields.integer("aml_match_score_threshold", 0, 100).unwrap_or(93);
    let monitoring = fields.boolean("include_ongoing_monitoring").unwrap_or(false);
    let common = super::common(&mut fields);
    fields.finish()?;
    let sum: u32 = weights.iter().sum();
    if sum != 100 {
        let [name, dob, country] = weights;
        return Err(Failure::field(
            "error",
            &format!(
                "AML weights must sum to 100. Current sum: {sum} (name: {name}, dob: {dob}, country: {country})"
            ),
        ));
    }
    if approve > review {
        let text =
            format!("Approve threshold ({approve:.1}) cannot be greater than review threshold ({review:.1})");
        return Err(Failure::field("error", &text));
    }
    if monitoring {
        return Err(Failure::detail(
            StatusCode::BAD_REQUEST,
            "monitoring_not_available",
            "Ongoing monitoring of stored people is not part of this version.",
        ));
    }
    let input = Screen {
        full_name,
        company,
        date_of_birth,
        nationality,
        document_number,
        thresholds: Thresholds { match_score: f64::from(match_score), approve, review },
        weights,
        common,
    };
    let common = input.common.clone();
    let result = app.service.screen(&caller.access, input).await.map_err(super::failure)?;
    let body = super::envelope(result.request, "aml", result.block, &common, app.timestamp());
    Ok(caller.answer(Json(body)))
}
