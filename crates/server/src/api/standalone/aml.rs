//! `POST /v3/aml/` — screens a name against the watch-lists.

use axum::{Json, extract::State, response::Response};
use serde::Deserialize;
use service::screening::Asked;
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        body::JsonObject,
        caller::{Caller, WriteSessions},
        failure::Failure,
    },
};

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[schema(as = Screening)]
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
    /// Whether adverse media are asked for. No source of them can be connected here: with `true` the answer has
    /// `is_adverse_media_fetched` false and a warning, and is at best a review.
    #[schema(default = false)]
    include_adverse_media: Option<bool>,
    /// Whether the person is watched from now on: list changes that concern them are told, and reopen the case.
    /// Only for a saved request.
    #[schema(default = false)]
    include_ongoing_monitoring: Option<bool>,
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
    body: JsonObject,
) -> Result<Response, Failure> {
    let (person, settings, common) = body.read(|fields| {
        let (person, mut settings) = crate::api::aml::question(fields);
        settings.monitoring = fields.boolean("include_ongoing_monitoring").unwrap_or(false);
        (person, settings, super::common(fields))
    })?;
    crate::api::aml::settled(&settings)?;
    if settings.monitoring && !common.save {
        let text = "Ongoing monitoring can only be enabled when the API request is saved.";
        return Err(Failure::field("error", text));
    }
    let asked = Asked::new(&person, settings);
    let result = app.service.screen(&caller.access, asked, common.clone()).await.map_err(super::failure)?;
    let body = super::envelope(result.request, "aml", result.block, &common, app.timestamp());
    Ok(caller.answer(Json(body)))
}
