//! `/session/{token}` and the forms below it.
//!
//! A browser that opens the link as a page gets a cookie and is sent on to
//! `/session/-`, so that the token does not stay in its history (ASVS 14.2.1).
//! Frames and programs use the token address itself: browsers keep cookies of
//! framed pages back.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{FromRequestParts, Path, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use serde_json::json;
use service::hosted::{CaptureError, Refused, View};
use workflow::Capture;

use super::pages::{self, Language, Notice};
use crate::{
    app::{App, ClientAddress},
    http::{
        failure::Failure,
        form::{FileField, Form, PICTURES, PICTURES_AND_PDF},
        limit::Budget,
    },
};

/// Stands in the address where the token is in the cookie.
const FROM_COOKIE: &str = "-";
const COOKIE: &str = "bonafide_session";

/// A person's session, found by its token, with the address prefix of its pages.
pub(crate) struct Visitor {
    view: View,
    pub(super) token: String,
    base: String,
    wants_json: bool,
    language: Language,
}

/// Or the answer for the link that leads nowhere.
impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(parts, app).await;
        if let Err(failure) = app.addresses.count(&address, Budget::HostedPage, app.now_s()) {
            return Err(failure.into_response());
        }
        let Path(mut path) = Path::<HashMap<String, String>>::from_request_parts(parts, app)
            .await
            .map_err(IntoResponse::into_response)?;
        let path = path.remove("token").unwrap_or_default();
        let wants_json = accepts_json(&parts.headers);
        let token = if path == FROM_COOKIE { cookie(&parts.headers) } else { Some(path.clone()) };
        let view = match &token {
            Some(token) => {
                app.service.view(token).await.map_err(|error| Failure::from(error).into_response())?
            }
            None => None,
        };
        match (view, token) {
            (Some(view), Some(token)) => {
                let language = Language::of(view.language.as_deref(), &parts.headers);
                Ok(Self { view, token, base: format!("/session/{path}"), wants_json, language })
            }
            _ if wants_json => Err(Failure::not_found().into_response()),
            _ => Err(app.pages.lost(Language::of(None, &parts.headers), &app.settings.frame_ancestors)),
        }
    }
}

/// A visitor that is a program, whatever it says it accepts: it is answered in JSON.
pub(crate) struct Program(pub(super) Visitor);

impl FromRequestParts<App> for Program {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        parts.headers.insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
        Visitor::from_request_parts(parts, app).await.map(Self)
    }
}

fn accepts_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("application/json"))
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, token)| token.to_owned())
}

/// `GET /` — says what is running here.
pub(crate) async fn home(State(app): State<App>, headers: HeaderMap) -> Response {
    app.pages.home(Language::of(None, &headers), &app.settings.frame_ancestors)
}

/// `GET /session/{token}` — the page of the present step.
pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Response {
    let is_top_page = headers.get("sec-fetch-dest").is_some_and(|value| value == "document");
    if is_top_page && token != FROM_COOKIE {
        let secure = if app.settings.public_url.starts_with("https://") { "; Secure" } else { "" };
        let cookie = format!("{COOKIE}={}; Path=/session/; HttpOnly; SameSite=Lax{secure}", visitor.token);
        return (
            [
                (header::SET_COOKIE, cookie),
                (header::CACHE_CONTROL, "no-store".to_owned()),
                (header::REFERRER_POLICY, "no-referrer".to_owned()),
            ],
            Redirect::to(&format!("/session/{FROM_COOKIE}")),
        )
            .into_response();
    }
    let ancestors = &app.settings.frame_ancestors;
    app.pages.session(&visitor.view, &visitor.base, &Notice::default(), visitor.language, ancestors)
}

fn state_json(view: &View) -> serde_json::Value {
    let mut state = serde_json::to_value(view.step).unwrap_or_default();
    state["session_id"] = json!(view.session);
    state["status"] = json!(view.status);
    state["application"] = json!(view.application);
    state["limits"] = json!({
        "front": { "max_megabytes": 10, "extensions": PICTURES_AND_PDF },
        "back": { "max_megabytes": 10, "extensions": PICTURES_AND_PDF },
        "selfie": { "max_megabytes": 10, "extensions": PICTURES },
    });
    state["liveness"] = json!(view.liveness);
    state["callback"] = json!(view.callback);
    state
}

/// `GET /session/{token}/state` — the next step as data.
pub(crate) async fn state(Program(visitor): Program) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(state_json(&visitor.view))).into_response()
}

/// After a form: the new state for programs, the page for browsers.
pub(super) async fn done(app: &App, visitor: &Visitor) -> Response {
    if !visitor.wants_json {
        return Redirect::to(&visitor.base).into_response();
    }
    match app.service.view(&visitor.token).await {
        Ok(Some(view)) => Json(state_json(&view)).into_response(),
        Ok(None) => Failure::not_found().into_response(),
        Err(error) => Failure::from(error).into_response(),
    }
}

/// What the person is told when a form was not taken.
pub(super) fn refused(
    app: &App,
    visitor: &Visitor,
    status: StatusCode,
    code: &str,
    message: &str,
) -> Response {
    if visitor.wants_json {
        return (status, Json(json!({ "message": message, "code": code }))).into_response();
    }
    let notice = Notice { error: Some(message.to_owned()) };
    let ancestors = &app.settings.frame_ancestors;
    let mut response = app.pages.session(&visitor.view, &visitor.base, &notice, visitor.language, ancestors);
    *response.status_mut() = status;
    response
}

pub(super) fn not_now(app: &App, visitor: &Visitor, refused_because: Refused) -> Response {
    match refused_because {
        Refused::NotNow => {
            if visitor.wants_json {
                refused(
                    app,
                    visitor,
                    StatusCode::CONFLICT,
                    "not_now",
                    "This step is not open now. Reload the page.",
                )
            } else {
                Redirect::to(&visitor.base).into_response()
            }
        }
        Refused::NoConsent => refused(
            app,
            visitor,
            StatusCode::FORBIDDEN,
            "consent_required",
            "Nothing is taken before you agreed. Reload the page.",
        ),
        Refused::Store(error) => Failure::from(error).into_response(),
    }
}

/// `POST /session/{token}/consent` — records that the person agrees.
pub(crate) async fn consent(State(app): State<App>, visitor: Visitor, body: String) -> Response {
    let agreed = body.split('&').any(|pair| pair == "agree=true" || pair == "agree=on")
        || serde_json::from_str::<serde_json::Value>(&body).is_ok_and(|value| value["agree"] == json!(true));
    if !agreed {
        let message = pages::must_agree(visitor.language);
        return refused(&app, &visitor, StatusCode::BAD_REQUEST, "consent_required", &message);
    }
    // The words that were shown, in the language in which they were.
    let text = pages::consent_text(&visitor.view, visitor.language);
    match app.service.consent(&visitor.token, visitor.language.code(), &text).await {
        Ok(()) => done(&app, &visitor).await,
        Err(error) => not_now(&app, &visitor, error),
    }
}

const DOCUMENT: &[FileField] =
    &[FileField { name: "image", required: true, max_megabytes: 10, extensions: PICTURES_AND_PDF }];
const SELFIE: &[FileField] =
    &[FileField { name: "image", required: true, max_megabytes: 10, extensions: PICTURES }];

/// `POST /session/{token}/capture/{side}` — takes a picture.
pub(crate) async fn capture(
    State(app): State<App>,
    visitor: Visitor,
    Path((_, side)): Path<(String, String)>,
    request: Request,
) -> Response {
    let Some(side) = Capture::parse(&side) else {
        return Failure::not_found().into_response();
    };
    let mut form = match Form::read(request, if side == Capture::Selfie { SELFIE } else { DOCUMENT }).await {
        Ok(form) => form,
        Err(failure) if visitor.wants_json => return failure.into_response(),
        Err(_) => {
            let message = "That file could not be taken. Choose a JPEG, PNG, WebP or TIFF picture (or a PDF of the document) of at most 10 MB.";
            return refused(&app, &visitor, StatusCode::BAD_REQUEST, "file_not_taken", message);
        }
    };
    let how = form.fields.text("how", 20).unwrap_or_else(|| "upload".to_owned());
    let Some(image) = form.file("image") else {
        return Failure::field("image", "No file was submitted.").into_response();
    };
    match app.service.capture(&visitor.token, side, image.to_vec(), &how).await {
        Ok(()) => done(&app, &visitor).await,
        Err(CaptureError::Picture { code, message }) => {
            refused(&app, &visitor, StatusCode::BAD_REQUEST, code, &message)
        }
        Err(CaptureError::Busy) => Failure::busy(2).into_response(),
        Err(CaptureError::Refused(error)) => not_now(&app, &visitor, error),
    }
}

/// `POST /session/{token}/skip-back` — the document has no other side.
pub(crate) async fn skip_back(State(app): State<App>, visitor: Visitor) -> Response {
    match app.service.skip_back(&visitor.token).await {
        Ok(()) => done(&app, &visitor).await,
        Err(error) => not_now(&app, &visitor, error),
    }
}

/// `POST /session/{token}/withdraw` — takes the consent back: nothing further is done, the face is deleted.
pub(crate) async fn withdraw(State(app): State<App>, visitor: Visitor) -> Response {
    match app.service.withdraw_in_session(&visitor.token).await {
        Ok(()) => done(&app, &visitor).await,
        Err(error) => not_now(&app, &visitor, error),
    }
}

/// `POST /session/{token}/submit` — hands everything in; the checks begin.
pub(crate) async fn submit(State(app): State<App>, visitor: Visitor) -> Response {
    match app.service.submit(&visitor.token).await {
        Ok(()) => done(&app, &visitor).await,
        Err(error) => not_now(&app, &visitor, error),
    }
}
