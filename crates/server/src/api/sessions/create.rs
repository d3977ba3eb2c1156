//! `POST /v3/session/` — starts a verification session and gives its link.
//!
//! An unfinished session of the same `vendor_data` on the same workflow is
//! given again instead of a new one. With an `Idempotency-Key` header the same
//! request gives the same answer for 24 hours; the same key with another body
//! is refused with 422, one whose first request still runs with 409.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use base64::Engine;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{
    idempotency::Key,
    sessions::{NewSession, StartAnswer, StartError},
};
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        body::{JsonObject, printable},
        caller::{Caller, WriteSessions},
        failure::Failure,
        fields::Fields,
    },
};

/// Languages of the hosted page that callers may name.
pub(super) const LANGUAGES: &[&str] = &[
    "en", "ar", "bg", "bn", "bs", "ca", "cnr", "cs", "da", "de", "el", "es", "et", "fa", "fi", "fr", "he",
    "hi", "hr", "hu", "hy", "id", "it", "ja", "ka", "kk", "ko", "ky", "lt", "lv", "mk", "mn", "ms", "nl",
    "no", "pl", "pt-BR", "pt", "ro", "ru", "sk", "sl", "so", "sq", "sr", "sv", "th", "tr", "uk", "uz", "vi",
    "zh-CN", "zh-TW", "zh",
];
/// Largest portrait a caller may send along.
const PORTRAIT_MAX_BYTES: usize = 2 * 1024 * 1024;

const COMPANIES: &str = "companies are not verified here; leave it out.";

/// Documented fields that this server does not act on.
const UNSUPPORTED: &[(&str, &str)] = &[
    (
        "sandbox_scenario",
        "a sandbox runs the real checks; hand in a specimen that shows the case (`bonafide specimen`).",
    ),
    ("biometric_consent", "consent is asked for on the page; leave it out."),
    ("tags", "use metadata."),
    ("user_state", "leave it out."),
    ("sign", "documents are not signed here; leave it out."),
];

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewSession)]
#[expect(
    dead_code,
    reason = "documents the body; fields are read one by one so that all complaints come together"
)]
pub(crate) struct Request {
    /// The workflow that the session follows.
    workflow_id: uuid::Uuid,
    /// The caller's own name for the person.
    vendor_data: Option<String>,
    /// Where the person is sent afterwards; `verificationSessionId` and `status` are added.
    callback: Option<String>,
    /// Which device leads the person on to `callback`. Every device that shows the result does so, whatever is chosen.
    #[schema(default = "initiator")]
    callback_method: Option<String>,
    /// Any JSON; given back with the decision.
    metadata: Option<Value>,
    /// Language of the hosted page.
    language: Option<String>,
    /// How the person can be reached: kept with the session and shown with its decision.
    contact_details: Option<ContactDetails>,
    /// What the caller already knows about the person; differences become warnings.
    expected_details: Option<ExpectedDetails>,
    /// A picture of the person, base64, at most 2 MB: the selfie is compared with it as well as with the document.
    portrait_image: Option<String>,
}

/// How the person can be reached. No messages are sent.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct ContactDetails {
    /// E-mail address.
    email: Option<String>,
    /// Phone number.
    phone: Option<String>,
}

/// What is held against the document.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct ExpectedDetails {
    /// Given names.
    first_name: Option<String>,
    /// Family names.
    last_name: Option<String>,
    /// YYYY-MM-DD.
    date_of_birth: Option<String>,
    /// `M` or `F`.
    gender: Option<String>,
    /// ISO 3166-1 alpha-3.
    nationality: Option<String>,
    /// Issuing state, ISO 3166-1 alpha-3.
    country: Option<String>,
    /// Issuing state, ISO 3166-1 alpha-3, with a warning of its own.
    id_country: Option<String>,
    /// Number of the person or of the document.
    identification_number: Option<String>,
    /// `P`, `ID`, `DL`, `RP` …: a document of another type is not accepted.
    expected_document_types: Option<Vec<String>>,
}

/// The new session.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedSession)]
pub(crate) struct Answer {
    session_id: uuid::Uuid,
    session_kind: String,
    session_number: i64,
    /// The credential of the link; shown only here.
    session_token: String,
    /// The hosted link for the person.
    url: String,
    vendor_data: Option<String>,
    metadata: Option<Value>,
    status: String,
    callback: Option<String>,
    workflow_id: uuid::Uuid,
    workflow_version: i64,
}

/// Starts a verification session and gives its link.
#[utoipa::path(post, path = "/v3/session/", tag = "sessions", request_body = Request,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request give the same answer for 24 hours.")),
    responses(
    (status = 201, body = Answer),
    (status = 400, body = FieldErrors),
    (status = 403, body = Detail),
    (status = 409, body = Detail, description = "The first request with this idempotency key is still running."),
    (status = 415, body = Detail),
    (status = 422, body = Detail, description = "The idempotency key was used with another body."),
    (status = 429, body = Detail),
))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<Response, Failure> {
    let idempotency = match headers.get("idempotency-key") {
        None => None,
        Some(value) => {
            let text =
                value.to_str().ok().filter(|text| (1..=255).contains(&text.len())).ok_or_else(|| {
                    Failure::detail(
                        StatusCode::BAD_REQUEST,
                        "invalid_idempotency_key",
                        "Idempotency-Key must be 1 to 255 visible ASCII characters.",
                    )
                })?;
            let request = serde_json::to_vec(body.as_sent()).unwrap_or_default();
            Some(Key::new("POST /v3/session/", text, &request))
        }
    };
    let request = read(body)?;
    let answer = start(&app, &caller, request, idempotency).await?;
    Ok(caller.answer(answer))
}

fn read(body: JsonObject) -> Result<NewSession, Failure> {
    let (workflow, new) = body.read(read_fields)?;
    let workflow = workflow
        .as_deref()
        .and_then(|text| uuid::Uuid::try_parse(text).ok())
        .ok_or_else(|| Failure::bare_field("workflow_id", "Invalid workflow_id."))?;
    Ok(NewSession { workflow: workflow.into(), ..new })
}

/// Everything but the workflow's id, whose form is complained about in words of its own.
fn read_fields(fields: &mut Fields) -> (Option<String>, NewSession) {
    let workflow = fields.required_text("workflow_id", 100);
    let vendor_data = fields.text("vendor_data", 1_000);
    let callback = fields.text("callback", 2_000).filter(|text| !text.is_empty());
    if let Some(callback) = &callback
        && !is_callback(callback)
    {
        fields.complain("callback", "Enter a valid URL.");
    }
    let callback_method =
        fields.choice("callback_method", &["initiator", "completer", "both"]).unwrap_or("initiator");
    let metadata = fields.any("metadata");
    if metadata.as_ref().is_some_and(|value| value.to_string().len() > 64 * 1024) {
        fields.complain("metadata", "Ensure this field has no more than 65536 bytes of JSON.");
    }
    let language = fields.choice("language", LANGUAGES);
    let contact_details = fields.nested("contact_details", read_contact_details);
    let expected_details = fields.nested("expected_details", read_expected_details);
    let portrait = fields.text("portrait_image", 4 * 1024 * 1024).and_then(|text| {
        let encoded = text.rsplit_once("base64,").map_or(text.as_str(), |(_, encoded)| encoded);
        match base64::engine::general_purpose::STANDARD.decode(encoded.trim()) {
            Ok(bytes) if bytes.len() > PORTRAIT_MAX_BYTES => {
                fields.complain("portrait_image", "Image size exceeds 2MB.");
                None
            }
            Ok(bytes) => Some(bytes),
            Err(_) => {
                fields.complain("portrait_image", "Upload a valid image, base64 encoded.");
                None
            }
        }
    });
    for (name, advice) in UNSUPPORTED {
        fields.unsupported(name, advice);
    }
    let new = NewSession {
        workflow: uuid::Uuid::nil().into(),
        vendor_data: vendor_data.filter(|text| !text.is_empty()),
        callback,
        callback_method: callback_method.to_owned(),
        metadata,
        language: language.map(str::to_owned),
        contact_details: contact_details.map(|(details, ())| Value::Object(details)),
        // Details of nobody are none.
        expected_details: expected_details.filter(|(_, any)| *any).map(|(details, _)| Value::Object(details)),
        portrait,
    };
    (workflow, new)
}

/// How the person can be reached: kept with the session and shown with its decision.
fn read_contact_details(fields: &mut Fields) {
    let _ = fields.email("email");
    let _ = fields.text("phone", 30).filter(|text| !text.is_empty()).map(|phone| {
        let digits = phone.strip_prefix('+').unwrap_or(&phone);
        if !(5..=20).contains(&digits.len())
            || !digits.bytes().all(|b| b.is_ascii_digit() || b" -()".contains(&b))
        {
            fields.complain("phone", "Enter a valid phone number, such as +34612345678.");
        }
    });
    let no_mail = "it sends no e-mail; leave it out.";
    fields.unsupported("send_notification_emails", no_mail);
    fields.unsupported("email_lang", no_mail);
}

/// What the caller knows; every one is held against the document. Whether there is any.
fn read_expected_details(fields: &mut Fields) -> bool {
    let mut any = false;
    for name in ["first_name", "last_name", "identification_number"] {
        any |= fields.text(name, 255).is_some_and(|text| !text.is_empty());
    }
    any |= fields.date("date_of_birth").is_some();
    any |= fields.choice("gender", &["M", "F"]).is_some();
    for name in ["nationality", "country", "id_country"] {
        any |= fields.country(name).is_some();
    }
    let types = fields.texts("expected_document_types", 20);
    for code in types.iter().flatten() {
        if !workflow::settings::DOCUMENT_TYPES.contains(&code.as_str()) {
            fields.complain(
                "expected_document_types",
                &format!("\"{}\" is not a valid choice.", printable(code)),
            );
        }
    }
    any |= types.is_some_and(|types| !types.is_empty());
    let addresses = "addresses are not compared; leave it out.";
    for (name, advice) in [
        ("poa_country", addresses),
        ("address", addresses),
        ("ip_address", "addresses of devices are not compared; leave it out."),
        ("company_name", COMPANIES),
        ("registry_country", COMPANIES),
        ("registration_number", COMPANIES),
    ] {
        fields.unsupported(name, advice);
    }
    any
}

/// `https://…`, `http://…` or an app's own scheme; never one that a browser executes.
fn is_callback(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let well_formed = !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let executes =
        ["javascript", "data", "vbscript", "blob", "file"].iter().any(|bad| scheme.eq_ignore_ascii_case(bad));
    well_formed
        && !executes
        && rest.starts_with("//")
        && !text.bytes().any(|byte| byte <= b' ' || byte == 0x7f)
}

async fn start(
    app: &App,
    caller: &Caller<WriteSessions>,
    request: NewSession,
    key: Option<Key>,
) -> Result<Response, Failure> {
    let echo = (request.vendor_data.clone(), request.metadata.clone(), request.callback.clone());
    let public_url = app.settings.public_url.clone();
    let workflow_id = request.workflow;
    let render = move |started: &service::sessions::Started| {
        serde_json::to_vec(&Answer {
            session_id: started.session.0,
            session_kind: "user".to_owned(),
            session_number: started.number,
            session_token: started.token.clone(),
            url: super::link(&public_url, &started.token),
            vendor_data: echo.0.clone(),
            metadata: echo.1.clone(),
            status: started.status.as_str().to_owned(),
            callback: echo.2.clone(),
            workflow_id: workflow_id.0,
            workflow_version: started.workflow_version,
        })
        .unwrap_or_default()
    };
    let json = ("content-type", "application/json");
    match app.service.start(&caller.access, request, key, render).await {
        Ok(StartAnswer::Made(body)) => Ok((StatusCode::CREATED, [json], body).into_response()),
        Ok(StartAnswer::Replayed { status, body }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::CREATED);
            Ok((status, [json, ("idempotent-replayed", "true")], body).into_response())
        }
        Err(StartError::KeyInUse) => Err(Failure::detail(
            StatusCode::CONFLICT,
            "idempotency_key_in_use",
            "A request with this Idempotency-Key is still running. Try again in a moment.",
        )),
        Err(StartError::KeyReused) => Err(Failure::detail(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "This Idempotency-Key was used with a different request body.",
        )),
        Err(StartError::Expected(text)) => Err(Failure::field("expected_details", text)),
        Err(StartError::Portrait(text)) => Err(Failure::field("portrait_image", text)),
        Err(StartError::UnknownWorkflow) => Err(Failure::bare_field("workflow_id", "Invalid workflow_id.")),
        Err(StartError::Blocked) => Err(Failure::bare_field(
            "vendor_data",
            "This user or business has been blocked and cannot create new verification sessions.",
        )),
        Err(StartError::Store(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_that_a_browser_would_execute_is_refused() {
        for good in ["https://example.org/back?x=1", "myapp://done", "http://localhost:3000/"] {
            assert!(is_callback(good), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "javascript://x",
            "data:text/html,x",
            "//example.org",
            "https://a b",
            "x",
            "JavaScript://%0aalert(1)",
        ] {
            assert!(!is_callback(bad), "{bad}");
        }
    }
}
