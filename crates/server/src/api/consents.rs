//! `/v3/consents/` — what people agreed to, for checks without a hosted page.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
use serde_json::json;
use service::consent::Given;
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        body::JsonObject,
        caller::{Caller, ReadSessions, WriteSessions},
        failure::Failure,
        fields::Fields,
        parts::QueryFields,
    },
};

/// A consent to record.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewConsent)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct Body {
    /// The caller's own name for the person.
    vendor_data: String,
    /// The text that the person agreed to, word for word: its SHA-256 is shown, the text itself is kept sealed.
    text: String,
    /// Version of the text, as its owner counts.
    text_version: String,
    /// Language of the text.
    language: String,
}

/// Records that a person agreed that their face is processed.
#[utoipa::path(post, path = "/v3/consents/", tag = "consents", request_body = Body,
    responses((status = 201, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn record(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    body: JsonObject,
) -> Result<Response, Failure> {
    let given = body.read(|fields| Given {
        vendor_data: fields.required_text("vendor_data", 1_000).unwrap_or_default(),
        text: fields.required_text("text", 20_000).unwrap_or_default(),
        text_version: fields.required_text("text_version", 100).unwrap_or_default(),
        language: fields.required_text("language", 20).unwrap_or_default(),
    })?;
    let consent = app.service.record_consent(&caller.access, given).await?;
    Ok(caller.answer((StatusCode::CREATED, Json(consent))))
}

/// A person's consents, given here or on the hosted page.
#[utoipa::path(get, path = "/v3/consents/", tag = "consents",
    params(("vendor_data" = String, Query, description = "The caller's own name for the person.")),
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn list(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    query: QueryFields,
) -> Result<Response, Failure> {
    let vendor_data = query.read(vendor_data)?;
    let consents =
        app.service.consents(&caller.access, &vendor_data).await?.ok_or_else(Failure::not_found)?;
    Ok(caller.answer(Json(json!({ "count": consents.len(), "results": consents }))))
}

fn vendor_data(fields: &mut Fields) -> String {
    fields.required_text("vendor_data", 1_000).unwrap_or_default()
}

/// Whose consent is taken back.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct Withdrawal {
    /// The caller's own name for the person.
    vendor_data: String,
}

/// Takes a person's consent back: open sessions end, face templates and pictures of the face are deleted.
#[utoipa::path(post, path = "/v3/consents/withdraw/", tag = "consents", request_body = Withdrawal,
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 404, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn withdraw(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    body: JsonObject,
) -> Result<Response, Failure> {
    let vendor_data = body.read(vendor_data)?;
    let withdrawn =
        app.service.withdraw_consent(&caller.access, &vendor_data).await?.ok_or_else(Failure::not_found)?;
    Ok(caller.answer(Json(json!({ "vendor_data": vendor_data, "withdrawn": withdrawn }))))
}
