//! Several links in one browser: what a page sends lands in the session of that page, and nowhere else.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    flow::decided,
    screening::count,
    server::{Key, Server, agent, create_key, form, grey_jpeg, send},
    tenants::stranger_key,
};

const PLAIN: &str = "application/x-www-form-urlencoded";

/// The content type and the body of a form that names its session by a key, or not.
type Body<'a> = &'a dyn Fn(Option<&str>) -> (String, Vec<u8>);

/// A browser: it keeps cookies, follows redirects and remembers every address that it was at.
pub(crate) struct Browser<'a> {
    server: &'a Server,
    /// Name and value, oldest first, as browsers send them.
    cookies: Vec<(String, String)>,
    refuses_cookies: bool,
    headers: Vec<(&'static str, String)>,
    /// Addresses, redirects included.
    seen: Vec<String>,
}

/// What a browser shows.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) path: String,
    pub(crate) text: String,
    /// Cookies as the answers wrote them, redirects included.
    set: Vec<String>,
}

impl Page {
    /// What the page's forms name their session by.
    pub(crate) fn key(&self) -> String {
        let (_, rest) = self.text.split_once("name=\"session_key\" value=\"").expect("a form with a key");
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    fn says(&self, heading: &str) -> bool {
        self.text.contains(&format!("<h1>{heading}</h1>"))
    }
}

impl<'a> Browser<'a> {
    pub(crate) fn new(server: &'a Server) -> Self {
        let headers = Vec::new();
        Self { server, cookies: Vec::new(), refuses_cookies: false, headers, seen: Vec::new() }
    }

    pub(crate) fn open(&mut self, url: &str) -> Page {
        self.go("GET", url, "", &[], &[])
    }

    /// Sends a form of a page: the rest of its address, its content type, its body.
    fn send(&mut self, page: &Page, door: &str, kind: &str, body: &[u8]) -> Page {
        self.go("POST", &format!("{}/{door}", page.path), kind, body, &[])
    }

    /// A plain form as the page has it.
    fn press(&mut self, page: &Page, door: &str, fields: &str) -> Page {
        let body = format!("session_key={}&{fields}", page.key());
        self.send(page, door, PLAIN, body.as_bytes())
    }

    /// The form for a picture, without a script.
    fn upload(&mut self, page: &Page, side: &str, picture: &[u8]) -> Page {
        let (kind, body) = form(&[("image", "picture.jpg", picture)], &[("session_key", &page.key())]);
        self.send(page, &format!("capture/{side}"), &kind, &body)
    }

    fn go(&mut self, method: &str, url: &str, kind: &str, body: &[u8], more: &[(&str, &str)]) -> Page {
        let (mut method, mut path) = (method, path_of(url));
        let mut set = Vec::new();
        for _ in 0..5 {
            self.seen.push(path.clone());
            let mut request = ureq::http::Request::builder()
                .method(method)
                .uri(self.server.url(&path))
                .header("cookie", self.jar())
                .header("content-type", kind);
            for (name, value) in
                self.headers.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied())
            {
                request = request.header(name, value);
            }
            let sent = if method == "GET" { Vec::new() } else { body.to_vec() };
            let mut answer = agent().run(request.body(sent).unwrap()).unwrap();
            for cookie in answer.headers().get_all("set-cookie") {
                self.take(cookie.to_str().unwrap());
                set.push(cookie.to_str().unwrap().to_owned());
            }
            let status = answer.status().as_u16();
            if let Some(next) = answer.headers().get("location").filter(|_| status == 303) {
                assert_eq!(answer.headers()["cache-control"], "no-store");
                (method, path) = ("GET", path_of(next.to_str().unwrap()));
                continue;
            }
            if path.starts_with("/session/") {
                assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
                assert_eq!(answer.headers()["referrer-policy"], "no-referrer", "{path}");
            }
            let text = answer.body_mut().read_to_string().unwrap();
            return Page { status, path, text, set };
        }
        panic!("{path} leads round in a circle");
    }

    fn jar(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn take(&mut self, cookie: &str) {
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        if cookie.contains("Max-Age=0") {
            self.cookies.retain(|(known, _)| known != name);
        } else if !self.refuses_cookies {
            self.plant(name, value);
        }
    }

    fn plant(&mut self, name: &str, value: &str) {
        match self.cookies.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.cookies.push((name.to_owned(), value.to_owned())),
        }
    }
}

fn path_of(url: &str) -> String {
    match url.split_once("://") {
        Some((_, rest)) => rest[rest.find('/').unwrap_or(rest.len())..].to_owned(),
        None => url.to_owned(),
    }
}

/// A session as its owner made it.
struct Made {
    id: String,
    token: String,
    url: String,
}

fn start(server: &Server, key: &str, workflow: &str) -> Made {
    let session = server.post_json("/v3/session/", key, &json!({ "workflow_id": workflow })).json();
    let text = |name: &str| session[name].as_str().unwrap().to_owned();
    Made { id: text("session_id"), token: text("session_token"), url: text("url") }
}

/// What a session waits for, as its owner's programs see it.
fn state(server: &Server, made: &Made) -> Value {
    server.get(&format!("/session/{}/state", made.token), "").json()
}

/// Two companies with a session each.
fn two(data: &Path) -> (Server, Key, String, [Made; 2]) {
    let key = create_key(data, &[]);
    let stranger = stranger_key(data);
    let server = Server::start(data);
    let workflows = server.get("/v3/workflows/", &stranger).json();
    let theirs = workflows["results"][0]["workflow_id"].as_str().unwrap().to_owned();
    let made = [start(&server, &key.text, &key.workflow), start(&server, &stranger, &theirs)];
    (server, key, stranger, made)
}

/// The mean shade of a picture that a decision links to.
fn shade(server: &Server, link: &Value) -> u8 {
    let mut answer = agent().get(server.url(&path_of(link.as_str().unwrap()))).call().unwrap();
    let bytes = answer.body_mut().read_to_vec().unwrap();
    let pixels = imaging::decode(&bytes, &imaging::Limits::default()).unwrap().pixels;
    pixels.get_pixel(pixels.width() / 2, pixels.height() / 2).0[0]
}

#[test]
fn two_companies_in_two_tabs_each_get_what_their_own_page_sent() {
    let data = tempfile::tempdir().unwrap();
    let (server, key, stranger, [ours, theirs]) = two(data.path());
    let mut browser = Browser::new(&server);
    let (mut one, mut two) = (browser.open(&ours.url), browser.open(&theirs.url));
    assert_eq!((one.status, two.status), (200, 200));
    assert_ne!(one.path, two.path);
    assert_ne!(one.key(), two.key());
    // The first tab acts after the second was opened: that is where everything once went to the second.
    one = browser.press(&one, "consent", "agree=true");
    assert_eq!(state(&server, &ours)["capture"], "front");
    assert_eq!(state(&server, &theirs)["step"], "consent");
    two = browser.press(&two, "consent", "agree=true");
    two = browser.upload(&two, "front", &grey_jpeg(200));
    assert!(two.says("Back of your document"));
    one = browser.upload(&one, "front", &grey_jpeg(60));
    assert!(one.says("Back of your document"));
    one = browser.press(&one, "skip-back", "");
    assert_eq!(state(&server, &theirs)["capture"], "back");
    two = browser.press(&two, "skip-back", "");
    one = browser.upload(&one, "selfie", &grey_jpeg(90));
    assert_eq!(state(&server, &theirs)["capture"], "selfie");
    two = browser.upload(&two, "selfie", &grey_jpeg(220));
    two = browser.press(&two, "submit", "");
    assert_eq!(state(&server, &ours)["step"], "submit");
    one = browser.press(&one, "submit", "");
    assert_eq!((one.status, two.status), (200, 200));

    for (made, key, front, selfie) in [(&ours, &key.text, 60, 90), (&theirs, &stranger, 200, 220)] {
        let decision = decided(&server, &made.id, key);
        let face = &decision["liveness_checks"][0]["reference_image"];
        assert!(shade(&server, &decision["id_verifications"][0]["front_image"]).abs_diff(front) < 4);
        assert!(shade(&server, face).abs_diff(selfie) < 4, "{decision}");
    }
    let per_session =
        "SELECT count(*) FROM (SELECT session_id FROM objects GROUP BY session_id HAVING count(*) >= 2)";
    assert_eq!(count(data.path(), per_session), 2);
    // The token was in no address but the first of each, and in no page.
    for token in [&ours.token, &theirs.token] {
        assert_eq!(browser.seen.iter().filter(|path| path.contains(token.as_str())).count(), 1);
        assert!(![&one, &two].iter().any(|page| page.text.contains(token.as_str())));
    }
}

#[test]
fn a_form_of_another_session_is_refused_at_every_door_and_nothing_is_stored() {
    let data = tempfile::tempdir().unwrap();
    let (server, key, _, [ours, theirs]) = two(data.path());
    let third = start(&server, &key.text, &key.workflow);
    let mut browser = Browser::new(&server);
    let (one, two) = (browser.open(&ours.url), browser.open(&theirs.url));
    let fresh = browser.open(&third.url);
    let one = browser.press(&one, "consent", "agree=true");
    let two = browser.press(&two, "consent", "agree=true");
    let rows = || {
        ["objects", "consents", "audit_log", "jobs"]
            .map(|table| count(data.path(), &format!("SELECT count(*) FROM {table}")))
    };
    let (before, states) = (rows(), [&ours, &theirs, &third].map(|made| state(&server, made)));

    let jpeg = grey_jpeg(120);
    let frame = ("frame_0", "frame.jpg", jpeg.as_slice());
    let texts = [("nonce", "00"), ("batch", "0"), ("times", "0"), ("last", "false"), ("camera", "")];
    // Every door, with a body that names no session, and the same with a given key.
    let doors: [(&str, Body<'_>); 7] = [
        ("consent", &|key| plain(key, "agree=true")),
        ("skip-back", &|key| plain(key, "")),
        ("submit", &|key| plain(key, "")),
        ("withdraw", &|key| plain(key, "")),
        ("challenge", &|key| plain(key, "kind=FLASHING")),
        ("capture/front", &|key| {
            let named: Vec<_> = key.map(|key| ("session_key", key)).into_iter().collect();
            form(&[("image", "a.jpg", &jpeg)], &named)
        }),
        ("frames", &|key| {
            let named = key.map(|key| ("session_key", key)).into_iter().chain(texts).collect::<Vec<_>>();
            form(&[frame], &named)
        }),
    ];
    let refused = |page: &Page, code: &str, heading: &str, what: &str| {
        assert_eq!(page.status, 403, "{what}: {}", page.text);
        assert!(
            page.text.contains(&format!("\"code\":\"{code}\"")) || page.says(heading),
            "{what}: {}",
            page.text
        );
    };
    let (foreign, own) = (one.key(), two.key());
    for (door, body) in doors {
        let target = if door == "consent" { &fresh } else { &two };
        let path = format!("{}/{door}", target.path);
        // The key of the first tab, or none, at the path of the second; the browser has all cookies.
        for given in [Some(foreign.as_str()), None, Some("")] {
            let (kind, bytes) = body(given);
            let page = browser.go("POST", &path, &kind, &bytes, &[]);
            refused(&page, "wrong_session", "This form was not taken", door);
        }
        let (kind, bytes) = body(None);
        let page = browser.go("POST", &path, &kind, &bytes, &[("x-session-key", &foreign)]);
        refused(&page, "wrong_session", "This form was not taken", door);
        // A right header does not make a wrong field right.
        let (kind, bytes) = body(Some(&foreign));
        let header = target.key();
        let page = browser.go("POST", &path, &kind, &bytes, &[("x-session-key", &header)]);
        refused(&page, "wrong_session", "This form was not taken", door);
        // A browser with the cookie of the first session only, and one that gives the first token the second's name.
        let mut other = Browser::new(&server);
        other.open(&ours.url);
        let (kind, bytes) = body(Some(&own));
        let page = other.go("POST", &path, &kind, &bytes, &[]);
        refused(&page, "cookie_required", "Please open your link again", door);
        let name = format!("bonafide-{}", target.path.trim_start_matches("/session/"));
        other.plant(&name, &ours.token);
        let (kind, bytes) = body(Some(&foreign));
        let page = other.go("POST", &path, &kind, &bytes, &[]);
        refused(&page, "cookie_required", "Please open your link again", door);
        // The link's own address acts for whoever knows the token, but not with the key of another session.
        let (kind, bytes) = body(Some(&foreign));
        let token = if door == "consent" { &third.token } else { &theirs.token };
        let page = Browser::new(&server).go("POST", &format!("/session/{token}/{door}"), &kind, &bytes, &[]);
        refused(&page, "wrong_session", "This form was not taken", door);
    }
    let asked = browser.go("GET", &format!("{}/state", two.path), "", &[], &[("x-session-key", &foreign)]);
    refused(&asked, "wrong_session", "", "polling");
    assert_eq!(rows(), before, "nothing was written");
    assert_eq!([&ours, &theirs, &third].map(|made| state(&server, made)), states);

    // The same doors are open to the page's own forms, and to its script's header.
    let page = browser.upload(&two, "front", &jpeg);
    assert!(page.says("Back of your document"), "{}", page.text);
    let page = browser.go("POST", &format!("{}/skip-back", two.path), PLAIN, b"", &[("x-session-key", &own)]);
    assert!(page.says("A picture of your face"), "{}", page.text);
    assert_eq!(state(&server, &ours)["capture"], "front");
}

fn plain(key: Option<&str>, fields: &str) -> (String, Vec<u8>) {
    let named = key.map(|key| format!("session_key={key}&")).unwrap_or_default();
    (PLAIN.to_owned(), format!("{named}{fields}").into_bytes())
}

#[test]
fn the_cookie_belongs_to_one_session_and_says_so_over_http_and_https() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let written = |server: &Server| {
        let made = start(server, &key.text, &key.workflow);
        let page = Browser::new(server).open(&made.url);
        assert_eq!(page.set.len(), 1, "{:?}", page.set);
        let cookie = page.set[0].clone();
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        assert!(name.ends_with(page.path.trim_start_matches("/session/")), "{cookie} at {}", page.path);
        assert!(!page.path.contains(&made.token) && value.starts_with(&made.token));
        let mut parts: Vec<&str> = cookie.split("; ").skip(1).collect();
        parts.sort_unstable();
        let life =
            parts.iter().find_map(|part| part.strip_prefix("Max-Age=")).unwrap().parse::<u64>().unwrap();
        assert!((3600..=7 * 24 * 3600).contains(&life), "a week is the session's end: {cookie}");
        parts.retain(|part| !part.starts_with("Max-Age"));
        (name.to_owned(), parts.join("; "))
    };
    let server = Server::start(data.path());
    let (name, parts) = written(&server);
    assert!(name.starts_with("bonafide-s-"), "{name}");
    assert_eq!(parts, "HttpOnly; Path=/; SameSite=Lax");
    drop(server);

    // Behind a proxy that speaks HTTPS.
    let mut server = Server::start_with(data.path(), &[("BONAFIDE_PUBLIC_URL", "https://verify.example")]);
    server.base = format!("http://127.0.0.1:{}", server.listening_port());
    let (name, parts) = written(&server);
    assert!(name.starts_with("__Host-bonafide-s-"), "{name}");
    assert_eq!(parts, "HttpOnly; Path=/; SameSite=Lax; Secure");
}

#[test]
fn a_browser_that_refuses_cookies_is_told_what_to_do_in_its_language() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    let made = start(&server, &key.text, &key.workflow);
    for (language, heading) in [
        ("en", "Please open your link again"),
        ("de", "Bitte öffnen Sie Ihren Link noch einmal"),
        ("es", "Abra su enlace otra vez"),
        ("fr", "Rouvrez votre lien"),
    ] {
        let mut browser = Browser::new(&server);
        browser.refuses_cookies = true;
        browser.headers.push(("accept-language", language.to_owned()));
        let page = browser.open(&made.url);
        assert_eq!(page.status, 403);
        assert!(page.says(heading) && page.text.to_lowercase().contains("cookies"), "{}", page.text);
        assert!(!page.path.contains(&made.token));
        let sent = browser.go("POST", &format!("{}/consent", page.path), PLAIN, b"agree=true", &[]);
        assert_eq!(sent.status, 403);
        assert!(sent.says(heading), "{}", sent.text);
    }
    assert_eq!(state(&server, &made)["step"], "consent");
}

#[test]
fn a_page_of_the_address_that_all_sessions_shared_is_told_so_and_stores_nothing() {
    let data = tempfile::tempdir().unwrap();
    let (server, _, _, [ours, theirs]) = two(data.path());
    let mut browser = Browser::new(&server);
    browser.open(&ours.url);
    for (method, path) in [("POST", "/session/-/consent"), ("GET", "/session/-")] {
        browser.plant("bonafide_session", &theirs.token);
        let page = browser.go(method, path, PLAIN, b"agree=true", &[]);
        assert_eq!(page.status, 410);
        assert!(page.text.contains("before the server was renewed"), "{}", page.text);
        assert_eq!(browser.cookies.len(), 1, "the old cookie is taken back");
    }
    for made in [&ours, &theirs] {
        assert_eq!(state(&server, made)["step"], "consent");
    }
}

#[test]
fn a_framed_page_works_without_cookies_and_names_its_session() {
    let data = tempfile::tempdir().unwrap();
    let (server, _, _, [ours, theirs]) = two(data.path());
    let mut frame = Browser::new(&server);
    frame.refuses_cookies = true;
    frame.headers.push(("sec-fetch-dest", "iframe".to_owned()));
    let (one, two) = (frame.open(&ours.url), frame.open(&theirs.url));
    assert!(one.says("Before you start") && one.set.is_empty());
    let page = frame.press(&one, "consent", "agree=true");
    assert!(page.says("Front of your document"), "{}", page.text);
    let body = format!("session_key={}&agree=true", one.key());
    assert_eq!(frame.send(&two, "consent", PLAIN, body.as_bytes()).status, 403);
    assert_eq!(state(&server, &theirs)["step"], "consent");
}

#[test]
fn a_browser_that_opens_many_links_keeps_a_dozen_and_loses_those_of_sessions_that_are_gone() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    let mut browser = Browser::new(&server);
    let opened: Vec<(Made, Page)> = (0..30)
        .map(|_| {
            let made = start(&server, &key.text, &key.workflow);
            let page = browser.open(&made.url);
            assert_eq!(page.status, 200);
            (made, page)
        })
        .collect();
    assert_eq!(browser.cookies.len(), 12);
    let size: usize = browser.cookies.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
    assert!(size < 2048, "{size} bytes of cookies");

    // An erased session's page says so, and its cookie goes; others' cookies of erased sessions go at the next link.
    let held = &opened[18..];
    for (name, (_, page)) in browser.cookies.iter().map(|(name, _)| name).zip(held) {
        assert!(name.ends_with(page.path.trim_start_matches("/session/")), "the oldest went first");
    }
    let gone = &held[9..];
    for (made, _) in gone {
        let path = server.url(&format!("/v3/session/{}/delete/", made.id));
        assert_eq!(send(agent().delete(path).header("x-api-key", &key.text).call()).status, 204);
    }
    let page = browser.open(&gone[0].1.path);
    assert_eq!(page.status, 404);
    assert_eq!(browser.cookies.len(), 11);
    browser.open(&held[0].0.url);
    assert_eq!(browser.cookies.len(), 9);
}

#[test]
fn a_reusable_link_gives_the_session_again_until_somebody_agreed_in_it() {
    let data = tempfile::tempdir().unwrap();
    let key = create_key(data.path(), &[]);
    let server = Server::start(data.path());
    let workflow = server.get(&format!("/v3/workflows/{}/", key.workflow), &key.text).json();
    let link = path_of(workflow["workflow_url"].as_str().unwrap());
    let sessions = || server.get("/v3/sessions/", &key.text).json()["count"].clone();
    let mut browser = Browser::new(&server);
    let first = browser.go("POST", &link, PLAIN, b"", &[]);
    let again = browser.go("POST", &link, PLAIN, b"", &[]);
    assert!(first.says("Before you start") && first.path == again.path);
    assert_eq!(sessions(), 1);
    // The token was in no address at all.
    let token = browser.cookies[0].1.split('.').next().unwrap().to_owned();
    assert!(!browser.seen.iter().any(|path| path.contains(&token)));
    browser.press(&first, "consent", "agree=true");
    let next = browser.go("POST", &link, PLAIN, b"", &[]);
    assert!(next.says("Before you start") && next.path != first.path, "the next person is another one");
    assert_eq!(sessions(), 2);
}
