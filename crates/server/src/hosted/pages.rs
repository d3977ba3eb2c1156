//! Renders the hosted pages from `assets/page.html` and the texts of a language.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use minijinja::{Environment, context};
use serde_json::{Value, json};
use service::hosted::View;
use workflow::{Capture, SessionStatus, Step};

const CSS: &str = include_str!("../../assets/verify.css");
const JS: &str = concat!(include_str!("../../assets/verify.js"), include_str!("../../assets/challenge.js"));

/// Names of the static files: they carry a hash, so browsers may keep them for ever.
static ASSETS: LazyLock<(String, String)> = LazyLock::new(|| {
    let name = |text: &str, kind: &str| {
        let hash = store::sha256(text.as_bytes());
        let short: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("verify.{short}.{kind}")
    };
    (name(CSS, "css"), name(JS, "js"))
});

/// Texts of the hosted pages, by language: English first, which stands in for languages that are missing.
const LANGUAGES: [(&str, &str); 4] = [
    ("en", include_str!("../../texts/en.toml")),
    ("de", include_str!("../../texts/de.toml")),
    ("es", include_str!("../../texts/es.toml")),
    ("fr", include_str!("../../texts/fr.toml")),
];

/// The page's own texts with those of the checks, whose sections are named after what they ask for.
static TEXTS: LazyLock<[(&str, Value); 4]> = LazyLock::new(|| {
    LANGUAGES.map(|(code, text)| {
        let parse = |text: &str| toml::from_str::<Value>(text).expect("the texts are tested to parse");
        let mut texts = parse(text);
        let of_checks = checks::ALL.iter().flat_map(|check| check.texts());
        for &(_, asked) in of_checks.filter(|(language, _)| *language == code) {
            if let (Value::Object(texts), Value::Object(asked)) = (&mut texts, parse(asked)) {
                texts.extend(asked);
            }
        }
        (code, texts)
    })
});

/// A language that the pages speak, as its ISO 639-1 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Language(usize);

impl Language {
    /// The one chosen for the session where the pages speak it, else the one the browser gives most weight
    /// (`Accept-Language`, RFC 9110 §12.5.4), else English.
    pub(crate) fn of(chosen: Option<&str>, headers: &HeaderMap) -> Self {
        let known = |wanted: &str| {
            // "de-AT" is read as "de".
            let code = wanted.split(['-', ';']).next().unwrap_or_default().trim().to_ascii_lowercase();
            LANGUAGES.iter().position(|(known, _)| *known == code).map(Self)
        };
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let weight = |range: &&str| -> f32 {
            let given = range.split(';').find_map(|part| part.trim().strip_prefix("q="));
            given.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0))
        };
        let mut ranges: Vec<&str> = accepted.into_iter().flat_map(|list| list.split(',')).collect();
        ranges.retain(|range| weight(range) > 0.0);
        ranges.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
        chosen.into_iter().chain(ranges).find_map(known).unwrap_or(Self(0))
    }

    pub(crate) fn code(self) -> &'static str {
        TEXTS[self.0].0
    }

    fn texts(self) -> &'static Value {
        &TEXTS[self.0].1
    }
}

/// The compiled page.
pub(crate) struct Pages {
    environment: Environment<'static>,
}

/// What a page shows besides the session's state.
#[derive(Default)]
pub(crate) struct Notice {
    /// What went wrong with the last form, for the person.
    pub(crate) error: Option<String>,
}

/// Where a session's pages are for one visitor.
pub(super) struct Place<'a> {
    /// Prefix of the addresses of its forms.
    pub(super) base: &'a str,
    /// What its forms name the session by.
    pub(super) key: &'a str,
    /// In which language it is shown.
    pub(super) language: Language,
}

/// Why a request gets no session.
pub(super) enum Stop<'a> {
    /// The link leads nowhere.
    Lost,
    /// The browser did not send the session's cookie.
    NoCookie,
    /// What was sent means another session than its address.
    Mixed {
        /// Who asks in the session of the address.
        application: &'a str,
        /// Its pages.
        base: &'a str,
    },
    /// The page is of an earlier version, in which all sessions had one address.
    Moved,
}

impl Stop<'_> {
    fn status(&self) -> StatusCode {
        match self {
            Self::Lost => StatusCode::NOT_FOUND,
            Self::NoCookie | Self::Mixed { .. } => StatusCode::FORBIDDEN,
            Self::Moved => StatusCode::GONE,
        }
    }

    /// The page, which is also the part of the texts.
    fn step(&self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::NoCookie => "no_cookie",
            Self::Mixed { .. } => "mixed",
            Self::Moved => "moved",
        }
    }

    /// Stable code for programs.
    fn code(&self) -> &'static str {
        match self {
            Self::Lost => "not_found",
            Self::NoCookie => "cookie_required",
            Self::Mixed { .. } => "wrong_session",
            Self::Moved => "page_outdated",
        }
    }
}

impl Pages {
    pub(crate) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::Html);
        environment
            .add_template("page", include_str!("../../assets/page.html"))
            .expect("the page is tested to compile");
        Self { environment }
    }

    /// The page of a session's present step.
    pub(super) fn session(
        &self,
        view: &View,
        place: &Place<'_>,
        notice: &Notice,
        frame_ancestors: &str,
    ) -> Response {
        let Place { base, key, language } = *place;
        let texts = language.texts();
        let (step, capture, heading) = match view.step {
            Step::Consent => ("consent", "", texts["consent"]["heading"].clone()),
            Step::Capture(capture) => {
                ("capture", capture.as_str(), texts[capture.as_str()]["heading"].clone())
            }
            Step::Submit => ("submit", "", texts["submit"]["heading"].clone()),
            Step::Waiting => ("waiting", "", texts["waiting"]["heading"].clone()),
            Step::Result => {
                ("result", "", texts["result"][format!("{}_heading", outcome(view.status))].clone())
            }
        };
        let steps = steps(view);
        let number = steps.iter().position(|known| *known == view.step).map(|index| index + 1);
        let html = self.environment.get_template("page").and_then(|page| {
            page.render(context! {
                language => language.code(),
                text => texts,
                texts_json => minijinja::Value::from_safe_string(script_json(&texts["capture"])),
                challenge_json => minijinja::Value::from_safe_string(script_json(&challenge_texts(texts))),
                liveness => view.liveness.as_ref().filter(|_| capture == "selfie"),
                face_search => view.face_search.as_deref().unwrap_or_default(),
                can_withdraw => view.can_withdraw,
                application => view.application,
                base,
                key,
                step,
                capture,
                heading,
                status => view.status.as_str(),
                session_id => view.session.to_string(),
                number => number.unwrap_or(steps.len()).to_string(),
                total => steps.len().to_string(),
                wants_document => view.wants_document,
                wants_selfie => view.wants_selfie,
                outcome => outcome(view.status),
                callback => view.callback.as_deref().unwrap_or_default(),
                error => notice.error,
                assets => json!({ "css": ASSETS.0, "js": ASSETS.1 }),
            })
        });
        page(StatusCode::OK, html, frame_ancestors)
    }

    /// The page of a reusable link: its button starts a session.
    pub(crate) fn start(
        &self,
        application: &str,
        link: &str,
        language: Language,
        frame_ancestors: &str,
    ) -> Response {
        self.plain(StatusCode::OK, "start", application, &format!("/u/{link}"), language, frame_ancestors)
    }

    /// The page for a link that leads nowhere.
    pub(crate) fn lost(&self, language: Language, frame_ancestors: &str) -> Response {
        self.plain(StatusCode::NOT_FOUND, "lost", "", "", language, frame_ancestors)
    }

    /// Why a request gets no session: a page for a person, JSON for a program.
    pub(super) fn stop(
        &self,
        stop: &Stop<'_>,
        wants_json: bool,
        language: Language,
        frame_ancestors: &str,
    ) -> Response {
        let (application, base) = match stop {
            Stop::Mixed { application, base } => (*application, *base),
            _ => ("", ""),
        };
        if !wants_json {
            return self.plain(stop.status(), stop.step(), application, base, language, frame_ancestors);
        }
        if matches!(stop, Stop::Lost) {
            return crate::http::failure::Failure::not_found().into_response();
        }
        // The script shows the message to the person.
        let message = &language.texts()[stop.step()]["text"];
        (stop.status(), axum::Json(json!({ "message": message, "code": stop.code() }))).into_response()
    }

    /// The page at `/`, for whoever wonders what is running here.
    pub(crate) fn home(&self, language: Language, frame_ancestors: &str) -> Response {
        self.plain(StatusCode::OK, "home", "", "", language, frame_ancestors)
    }

    /// A page that belongs to no session.
    fn plain(
        &self,
        status: StatusCode,
        step: &str,
        application: &str,
        base: &str,
        language: Language,
        frame_ancestors: &str,
    ) -> Response {
        let texts = language.texts();
        let html = self.environment.get_template("page").and_then(|page| {
            page.render(context! {
                language => language.code(),
                text => texts,
                step,
                heading => texts[step]["heading"],
                application,
                base,
                assets => json!({ "css": ASSETS.0, "js": ASSETS.1 }),
            })
        });
        page(status, html, frame_ancestors)
    }
}

/// The sentence for a form that was sent without agreeing.
pub(crate) fn must_agree(language: Language) -> String {
    language.texts()["consent"]["must_agree"].as_str().unwrap_or_default().to_owned()
}

/// The consent text as it is shown, for its record.
pub(crate) fn consent_text(view: &View, language: Language) -> String {
    let texts = language.texts();
    let search = view.face_search.is_some().then_some("search");
    ["why", "retention"]
        .into_iter()
        .chain(search)
        .chain(["agree"])
        .filter_map(|part| texts["consent"][part].as_str())
        .collect::<Vec<_>>()
        .join("\n")
        .replace("{application}", &view.application)
        .replace("{purpose}", view.face_search.as_deref().unwrap_or_default())
}

fn outcome(status: SessionStatus) -> &'static str {
    match status {
        SessionStatus::Approved => "approved",
        SessionStatus::Declined => "declined",
        SessionStatus::Expired | SessionStatus::Abandoned | SessionStatus::KycExpired => "expired",
        _ => "in_review",
    }
}

/// The steps that this session walks through, for "step n of m".
fn steps(view: &View) -> Vec<Step> {
    let mut steps = vec![Step::Consent];
    if view.wants_document {
        steps.extend([Step::Capture(Capture::Front), Step::Capture(Capture::Back)]);
    }
    if view.wants_selfie {
        steps.push(Step::Capture(Capture::Selfie));
    }
    steps.extend([Step::Submit, Step::Waiting, Step::Result]);
    steps
}

/// What the script of the challenge says: its own words, and those about cameras that it shares with the captures.
fn challenge_texts(texts: &Value) -> Value {
    let mut own = texts["challenge"].clone();
    for shared in ["denied", "not_found", "in_use", "insecure"] {
        own[shared] = texts["capture"][shared].clone();
    }
    own
}

/// JSON that cannot end the script element it stands in.
fn script_json(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn page(status: StatusCode, html: Result<String, minijinja::Error>, frame_ancestors: &str) -> Response {
    let html = match html {
        Ok(html) => html,
        Err(error) => return crate::http::failure::Failure::internal(&error).into_response(),
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob: mediastream:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {frame_ancestors}"
    );
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        "permissions-policy",
        HeaderValue::from_static("camera=(self), microphone=(), geolocation=()"),
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// `GET /static/{name}` — the stylesheet and the script, under names that change with their content.
pub(crate) async fn asset(axum::extract::Path(name): axum::extract::Path<String>) -> Response {
    let (kind, text) = if name == ASSETS.0 {
        ("text/css; charset=utf-8", CSS)
    } else if name == ASSETS.1 {
        ("text/javascript; charset=utf-8", JS)
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], text)
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path of every text, with the places that are filled in.
    fn texts_of(value: &Value, path: &str, out: &mut Vec<(String, Vec<String>)>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(k, v)| texts_of(v, &format!("{path}.{k}"), out)),
            text => {
                let text = text.as_str().expect("a text");
                assert!(!text.trim().is_empty(), "{path}");
                let mut places: Vec<String> = text
                    .split('{')
                    .skip(1)
                    .filter_map(|p| p.split_once('}'))
                    .map(|(p, _)| p.to_owned())
                    .collect();
                places.sort();
                places.dedup();
                out.push((path.to_owned(), places));
            }
        }
    }

    #[test]
    fn every_language_says_everything_with_the_same_places() {
        let all = TEXTS.each_ref().map(|(code, texts)| {
            let mut out = Vec::new();
            texts_of(texts, "", &mut out);
            (*code, out)
        });
        for (code, texts) in &all[1..] {
            assert_eq!(*texts, all[0].1, "{code}");
        }
    }

    #[test]
    fn the_chosen_language_goes_before_the_browsers_and_unknown_ones_are_english() {
        let accept = |value: &'static str| {
            HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, HeaderValue::from_static(value))])
        };
        let of = |chosen, headers| Language::of(chosen, &headers).code();
        assert_eq!(of(None, HeaderMap::new()), "en");
        assert_eq!(of(Some("de"), accept("fr, en;q=0.5")), "de");
        assert_eq!(of(None, accept("fr-CA;q=0.9, en;q=0.5")), "fr");
        assert_eq!(of(None, accept("fr;q=0.2, de;q=0.8, ja")), "de");
        assert_eq!(of(None, accept("fr;q=0, es;q=0.1")), "es");
        assert_eq!(of(Some("ja"), accept("es-419,es;q=0.9")), "es");
        assert_eq!(of(Some("ja"), accept("ja, *;q=0.1")), "en");
        assert_eq!(of(None, accept(",;=, -")), "en");
    }
}
