//! `/session/{…}` and the forms below it.
//!
//! A session has two addresses. The link has its token: whoever knows it may act, and programs and framed pages use
//! it, because browsers keep cookies of framed pages back. A browser that opens the link as a page gets the session's
//! cookie and is sent on to the session's own path, which holds no secret (ASVS 14.2.1).
//!
//! A request names its session by its path and by the session's key, which stands in every form and in a header of
//! the script. [`Visitor`] found a session and may look at it; only an [`Actor`] may change it.

use std::{collections::HashMap, ops::Deref};

use axum::{
    Json,
    extract::{FromRequestParts, Path, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use serde_json::json;
use service::hosted::{CaptureError, Refused, View};
use workflow::Capture;

use super::{
    cookies::{self, AFTER_THE_END_S, Jar, Kept, MOST_KEPT, PathId},
    pages::{self, Language, Notice, Place, Stop},
};
use crate::{
    app::{App, ClientAddress},
    http::{
        body::read_small,
        failure::Failure,
        fields::Fields,
        form::{FileField, Form, PICTURES, PICTURES_AND_PDF},
        limit::Budget,
    },
};

/// Stood in the address of all sessions in earlier versions; pages of that time may still be open.
const RETIRED_PATH: &str = "-";
/// Field of a form that says which session it means.
pub(super) const KEY_FIELD: &str = "session_key";
/// Longest text of that field that is read.
pub(super) const KEY_LENGTH: usize = 64;
/// The same as a header, which the script sends.
const KEY_HEADER: &str = "x-session-key";

/// Most cookies that one answer takes back; the next link that is opened takes the rest.
const MOST_FORGOTTEN: usize = 64;

/// A person's session, found by its path, with the address prefix of its pages.
pub(crate) struct Visitor {
    view: View,
    token: String,
    /// What its forms must name.
    key: String,
    /// Whether the request named the session beyond any doubt already: by its token or by the header.
    is_named: bool,
    by_token: bool,
    base: String,
    wants_json: bool,
    language: Language,
}

/// A visitor whose request said which session it means, and means the one that it found.
pub(super) struct Actor(Visitor);

impl Actor {
    /// The session's token, with which the service acts.
    pub(super) fn token(&self) -> &str {
        &self.0.token
    }
}

impl Deref for Actor {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.0
    }
}

impl Visitor {
    /// Lets the visitor act when the key that a form gave is this session's; without one the header or the token in
    /// the path must have named it.
    pub(super) fn acting(self, app: &App, given: Option<&str>) -> Result<Actor, Box<Response>> {
        let is_named = given.map_or(self.is_named, |given| is_key(given, &self.key));
        if is_named { Ok(Actor(self)) } else { Err(Box::new(self.mixed(app))) }
    }

    /// The page of its session's present step.
    fn page(&self, app: &App, notice: &Notice) -> Response {
        let place = Place { base: &self.base, key: &self.key, language: self.language };
        app.pages.session(&self.view, &place, notice, &app.settings.frame_ancestors)
    }

    /// The answer to a form of another session: nothing is stored.
    fn mixed(&self, app: &App) -> Response {
        let stop = Stop::Mixed { application: &self.view.application, base: &self.base };
        app.pages.stop(&stop, self.wants_json, self.language, &app.settings.frame_ancestors)
    }
}

/// What the forms of a session name: known to whoever holds its token, told by nothing else.
fn key_of(token: &str) -> String {
    let hash = store::sha256(format!("bonafide session form\n{token}").as_bytes());
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Compares hashes, so that the time tells nothing about how much of it was right.
fn is_key(given: &str, key: &str) -> bool {
    store::sha256(given.as_bytes()) == store::sha256(key.as_bytes())
}

/// The session's key in the body of a plain form, or in a JSON body.
pub(super) fn key_in(body: &str) -> Option<String> {
    let field = body.split('&').find_map(|pair| pair.strip_prefix(KEY_FIELD)?.strip_prefix('='));
    field.map(str::to_owned).or_else(|| {
        let json = serde_json::from_str::<serde_json::Value>(body).ok()?;
        json[KEY_FIELD].as_str().map(str::to_owned)
    })
}

/// What `read` takes out of such a body beside the key; what it does not ask for is refused by name. The key is looked
/// at before, with [`key_in`].
pub(super) fn sent<T>(body: &str, read: impl FnOnce(&mut Fields) -> T) -> Result<T, Failure> {
    read_small(body, |fields| {
        let _ = fields.text(KEY_FIELD, KEY_LENGTH);
        read(fields)
    })
}

/// Or the page that says why there is nothing to see.
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
        let unknown = Language::of(None, &parts.headers);
        let stop = |stop: &Stop| app.pages.stop(stop, wants_json, unknown, &app.settings.frame_ancestors);
        if path == RETIRED_PATH {
            return Err(with_cookies(stop(&Stop::Moved), cookies::forget_retired(&parts.headers)));
        }
        let jar = jar(app);
        let own = PathId::parse(&path);
        let token = match &own {
            Some(id) => match jar.find(&parts.headers, id) {
                Some(kept) => kept.token,
                None => return Err(stop(&Stop::NoCookie)),
            },
            None => path.clone(),
        };
        let view = app.service.view(&token).await.map_err(|error| Failure::from(error).into_response())?;
        let Some(view) = view else {
            let forgotten = own.as_ref().and_then(|id| jar.forget(id));
            return Err(with_cookies(stop(&Stop::Lost), forgotten));
        };
        if own.as_ref().is_some_and(|id| *id != PathId::of(view.session)) {
            // The cookie has another session's token: the server never wrote that.
            return Err(stop(&Stop::NoCookie));
        }
        let language = Language::of(view.language.as_deref(), &parts.headers);
        let by_token = own.is_none();
        let mut visitor = Self {
            view,
            key: key_of(&token),
            token,
            is_named: by_token,
            by_token,
            base: format!("/session/{path}"),
            wants_json,
            language,
        };
        if let Some(given) = parts.headers.get(KEY_HEADER) {
            if !given.to_str().is_ok_and(|given| is_key(given, &visitor.key)) {
                return Err(visitor.mixed(app));
            }
            visitor.is_named = true;
        }
        Ok(visitor)
    }
}

fn jar(app: &App) -> Jar {
    Jar::of(&app.settings.public_url)
}

fn with_cookies(mut response: Response, cookies: impl IntoIterator<Item = header::HeaderValue>) -> Response {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Whether a page is shown within another one (Fetch Metadata, `Sec-Fetch-Dest`).
pub(super) fn is_framed(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-dest").is_some_and(|value| {
        ["iframe", "frame", "embed", "object", "fencedframe"].iter().any(|kind| value == kind)
    })
}

/// How long a browser keeps a session: to its end, and long enough to read its result.
fn life_s(app: &App, view: &View) -> i64 {
    let left = if view.status.is_open() { view.expires_at.seconds() - app.now_s() } else { 0 };
    left.max(AFTER_THE_END_S)
}

/// Gives a browser the session and leads it to the session's own path. `link` is the reusable link that started it.
pub(super) async fn enter(
    app: &App,
    headers: &HeaderMap,
    token: &str,
    view: &View,
    link: Option<String>,
) -> Response {
    let jar = jar(app);
    let id = PathId::of(view.session);
    let mut others = jar.kept(headers);
    others.retain(|kept| kept.id != id);
    // What lies beyond twice the bound is dropped unread: a request may bring any number.
    let unread = others.len().saturating_sub(2 * MOST_KEPT);
    let tokens = others.iter().skip(unread).map(|kept| kept.token.clone()).collect();
    let of_use = match app.service.of_use(tokens).await {
        Ok(of_use) => of_use,
        Err(error) => return Failure::from(error).into_response(),
    };
    let mut surplus = of_use.iter().filter(|of_use| **of_use).count().saturating_sub(MOST_KEPT - 1);
    let mut forgotten = Vec::new();
    for (kept, of_use) in others.iter().zip(std::iter::repeat_n(false, unread).chain(of_use)) {
        if !of_use || surplus > 0 {
            surplus -= usize::from(of_use);
            forgotten.extend(jar.forget(&kept.id));
        }
    }
    let path = id.path();
    let kept = Kept { id, token: token.to_owned(), link };
    let cookies = forgotten
        .into_iter()
        .take(MOST_FORGOTTEN)
        .chain(cookies::forget_retired(headers))
        .chain(jar.keep(&kept, life_s(app, view)));
    with_cookies(leads_to(&path), cookies)
}

/// 303 with what keeps the address that it comes from out of caches and of the next page's sight.
pub(super) fn leads_to(path: &str) -> Response {
    ([(header::CACHE_CONTROL, "no-store"), (header::REFERRER_POLICY, "no-referrer")], Redirect::to(path))
        .into_response()
}

/// The session that this browser began through a reusable link and in which nothing was agreed to yet: its path.
pub(super) async fn begun(
    app: &App,
    headers: &HeaderMap,
    mark: &str,
) -> Result<Option<String>, store::Error> {
    let newest = jar(app).kept(headers).into_iter().rev().find(|kept| kept.link.as_deref() == Some(mark));
    let Some(kept) = newest else { return Ok(None) };
    let view = app.service.view(&kept.token).await?;
    let is_fresh =
        view.is_some_and(|view| view.step == workflow::Step::Consent && PathId::of(view.session) == kept.id);
    Ok(is_fresh.then(|| kept.id.path()))
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

/// `GET /` — says what is running here.
pub(crate) async fn home(State(app): State<App>, headers: HeaderMap) -> Response {
    app.pages.home(Language::of(None, &headers), &app.settings.frame_ancestors)
}

/// `GET /session/{token}` — the page of the present step.
pub(crate) async fn page(State(app): State<App>, visitor: Visitor, headers: HeaderMap) -> Response {
    if visitor.by_token && !is_framed(&headers) {
        return enter(&app, &headers, &visitor.token, &visitor.view, None).await;
    }
    let page = visitor.page(&app, &Notice::default());
    // What is over stays for a while only.
    let over = !visitor.by_token && !visitor.view.status.is_open();
    let kept = over.then(|| jar(&app).find(&headers, &PathId::of(visitor.view.session))).flatten();
    with_cookies(page, kept.and_then(|kept| jar(&app).keep(&kept, AFTER_THE_END_S)))
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
pub(super) async fn done(app: &App, visitor: &Actor) -> Response {
    if !visitor.wants_json {
        return Redirect::to(&visitor.base).into_response();
    }
    match app.service.view(visitor.token()).await {
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
    let mut response = visitor.page(app, &notice);
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
    let visitor = match visitor.acting(&app, key_in(&body).as_deref()) {
        Ok(visitor) => visitor,
        Err(mixed) => return *mixed,
    };
    let agreed = match sent(&body, |fields| fields.boolean("agree")) {
        Ok(agreed) => agreed,
        Err(failure) => return failure.into_response(),
    };
    if agreed != Some(true) {
        let message = pages::must_agree(visitor.language);
        return refused(&app, &visitor, StatusCode::BAD_REQUEST, "consent_required", &message);
    }
    // The words that were shown, in the language in which they were.
    let text = pages::consent_text(&visitor.view, visitor.language);
    match app.service.consent(visitor.token(), visitor.language.code(), &text).await {
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
    let visitor = match visitor.acting(&app, form.text(KEY_FIELD)) {
        Ok(visitor) => visitor,
        Err(mixed) => return *mixed,
    };
    let how = form.read_fields(|fields| {
        let _ = fields.text(KEY_FIELD, KEY_LENGTH);
        fields.choice("how", &["camera", "upload"]).unwrap_or("upload")
    });
    let how = match how {
        Ok(how) => how,
        Err(failure) => return failure.into_response(),
    };
    let Some(image) = form.file("image") else {
        return Failure::field("image", "No file was submitted.").into_response();
    };
    match app.service.capture(visitor.token(), side, image.to_vec(), how).await {
        Ok(()) => done(&app, &visitor).await,
        Err(CaptureError::Picture { code, message }) => {
            refused(&app, &visitor, StatusCode::BAD_REQUEST, code, &message)
        }
        Err(CaptureError::Busy) => Failure::busy(2).into_response(),
        Err(CaptureError::Refused(error)) => not_now(&app, &visitor, error),
    }
}

/// `POST /session/{token}/skip-back` — the document has no other side.
pub(crate) async fn skip_back(State(app): State<App>, visitor: Visitor, body: String) -> Response {
    let visitor = match visitor.acting(&app, key_in(&body).as_deref()) {
        Ok(visitor) => visitor,
        Err(mixed) => return *mixed,
    };
    if let Err(failure) = sent(&body, |_| ()) {
        return failure.into_response();
    }
    match app.service.skip_back(visitor.token()).await {
        Ok(()) => done(&app, &visitor).await,
        Err(error) => not_now(&app, &visitor, error),
    }
}

/// `POST /session/{token}/withdraw` — takes the consent back: nothing further is done, the face is deleted.
pub(crate) async fn withdraw(State(app): State<App>, visitor: Visitor, body: String) -> Response {
    let visitor = match visitor.acting(&app, key_in(&body).as_deref()) {
        Ok(visitor) => visitor,
        Err(mixed) => return *mixed,
    };
    if let Err(failure) = sent(&body, |_| ()) {
        return failure.into_response();
    }
    match app.service.withdraw_in_session(visitor.token()).await {
        Ok(()) => done(&app, &visitor).await,
        Err(error) => not_now(&app, &visitor, error),
    }
}

/// `POST /session/{token}/submit` — hands everything in; the checks begin.
pub(crate) async fn submit(State(app): State<App>, visitor: Visitor, body: String) -> Response {
    let visitor = match visitor.acting(&app, key_in(&body).as_deref()) {
        Ok(visitor) => visitor,
        Err(mixed) => return *mixed,
    };
    if let Err(failure) = sent(&body, |_| ()) {
        return failure.into_response();
    }
    match app.service.submit(visitor.token()).await {
        Ok(()) => done(&app, &visitor).await,
        Err(error) => not_now(&app, &visitor, error),
    }
}
