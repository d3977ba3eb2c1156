//! The cookies that let a browser into its sessions: one a session, named after the session's own path.
//!
//! A cookie is looked up only under the name that the path of a request asks for, so two sessions of one browser never
//! meet. Over HTTPS its name begins with `__Host-` (RFC 6265bis §4.1.3.2): no other host and no unencrypted page can
//! set it. Forms carry the session's key besides (`routes::Visitor::acting`), so `SameSite=Lax` is enough; it lets the
//! cookie through when a person comes from an e-mail or from another company's page.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, header};
use store::SessionId;

/// Most sessions that one browser keeps open: about 1.5 KB of cookies. The oldest go first.
pub(super) const MOST_KEPT: usize = 12;
/// How long a browser keeps a session that is over, so that its result can still be read.
pub(super) const AFTER_THE_END_S: i64 = 3600;

/// The one cookie of all sessions that earlier versions set.
const RETIRED: &str = "bonafide_session";
const PREFIX: &str = "s-";
const DIGITS: usize = 20;

/// What stands for a session in the path of its pages and in the name of its cookie. It opens nothing by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathId(String);

impl PathId {
    /// The one of a session.
    pub(super) fn of(session: SessionId) -> Self {
        let hash = store::sha256(format!("bonafide session path\n{session}").as_bytes());
        let digits: String = hash.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{PREFIX}{digits}"))
    }

    /// Reads one; tokens are longer and never look like it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() == DIGITS && digits.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    /// Where the session's pages are.
    pub(super) fn path(&self) -> String {
        format!("/session/{self}")
    }
}

impl fmt::Display for PathId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A session that the browser keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) id: PathId,
    pub(super) token: String,
    /// Mark of the reusable link that started it, if one did.
    pub(super) link: Option<String>,
}

/// The mark of a reusable link in the cookie of a session that it started.
pub(super) fn link_mark(link: &str) -> String {
    let hash = store::sha256(format!("bonafide reusable link\n{link}").as_bytes());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// How cookies are written under a public address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jar {
    https: bool,
}

impl Jar {
    pub(super) fn of(public_url: &str) -> Self {
        Self { https: public_url.starts_with("https://") }
    }

    fn prefix(self) -> &'static str {
        if self.https { "__Host-bonafide-" } else { "bonafide-" }
    }

    /// The sessions that a request brings, oldest first, as browsers send cookies of one path (RFC 6265 §5.4).
    pub(super) fn kept(self, headers: &HeaderMap) -> Vec<Kept> {
        let mut all: Vec<Kept> = Vec::new();
        for (name, value) in pairs(headers) {
            let Some(id) = name.strip_prefix(self.prefix()).and_then(PathId::parse) else { continue };
            let (token, link) = match value.split_once('.') {
                Some((token, link)) => (token, Some(link.to_owned())),
                None => (value, None),
            };
            if !all.iter().any(|known| known.id == id) {
                all.push(Kept { id, token: token.to_owned(), link });
            }
        }
        all
    }

    /// The session of a path, if the request brings it.
    pub(super) fn find(self, headers: &HeaderMap, id: &PathId) -> Option<Kept> {
        self.kept(headers).into_iter().find(|kept| kept.id == *id)
    }

    /// Gives the browser a session for so many seconds.
    pub(super) fn keep(self, kept: &Kept, life_s: i64) -> Option<HeaderValue> {
        let link = kept.link.as_ref().map(|mark| format!(".{mark}")).unwrap_or_default();
        self.write(&kept.id, &format!("{}{link}", kept.token), life_s)
    }

    /// Takes a session from the browser.
    pub(super) fn forget(self, id: &PathId) -> Option<HeaderValue> {
        self.write(id, "", 0)
    }

    fn write(self, id: &PathId, value: &str, life_s: i64) -> Option<HeaderValue> {
        let secure = if self.https { "; Secure" } else { "" };
        let text = format!(
            "{}{id}={value}; Path=/; Max-Age={life_s}; HttpOnly; SameSite=Lax{secure}",
            self.prefix()
        );
        HeaderValue::from_str(&text).ok()
    }
}

/// Takes the cookie of an earlier version from a browser that still sends it.
pub(super) fn forget_retired(headers: &HeaderMap) -> Option<HeaderValue> {
    pairs(headers).any(|(name, _)| name == RETIRED).then(|| {
        HeaderValue::from_static("bonafide_session=; Path=/session/; Max-Age=0; HttpOnly; SameSite=Lax")
    })
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> PathId {
        PathId::parse(&format!("s-{}", digit.to_string().repeat(DIGITS))).expect("an id")
    }

    fn headers(cookies: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookies).expect("a header"))])
    }

    #[test]
    fn a_path_reads_as_an_id_or_as_a_token_and_never_as_both() {
        assert!(PathId::parse("s-0123456789abcdef0123").is_some());
        for other in
            ["", "-", "s-", "s-0123456789ABCDEF0123", "s-0123456789abcdef012", "s-0123456789abcdef01234"]
        {
            assert_eq!(PathId::parse(other), None, "{other}");
        }
        // A token is 32 bytes in base64: 43 characters.
        assert_eq!(PathId::parse(&format!("s-{}", "a".repeat(41))), None);
    }

    #[test]
    fn a_cookie_is_tied_to_the_host_and_to_encryption_where_the_address_is_https() {
        let kept = Kept { id: id('a'), token: "tok".to_owned(), link: None };
        assert_eq!(
            Jar::of("https://verify.example").keep(&kept, 60).expect("a header"),
            "__Host-bonafide-s-aaaaaaaaaaaaaaaaaaaa=tok; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            Jar::of("http://127.0.0.1:8080").keep(&kept, 60).expect("a header"),
            "bonafide-s-aaaaaaaaaaaaaaaaaaaa=tok; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"
        );
        assert!(Jar::of("https://verify.example").forget(&kept.id).is_some_and(|value| {
            value.to_str().is_ok_and(|text| text.contains("=; Path=/; Max-Age=0") && text.contains("Secure"))
        }));
    }

    #[test]
    fn a_cookie_is_found_under_the_name_of_its_path_only() {
        let jar = Jar::of("http://127.0.0.1");
        let headers = headers(&format!(
            "x=1; bonafide-{}=one; bonafide-{}=two.mark; bonafide-bad=three",
            id('a'),
            id('b')
        ));
        assert_eq!(jar.find(&headers, &id('a')).map(|kept| kept.token).as_deref(), Some("one"));
        let second = jar.find(&headers, &id('b')).expect("the second");
        assert_eq!((second.token.as_str(), second.link.as_deref()), ("two", Some("mark")));
        assert_eq!(jar.find(&headers, &id('c')), None);
        assert_eq!(jar.kept(&headers).len(), 2);
        // A page that was not encrypted cannot plant a cookie for one that is.
        assert_eq!(Jar::of("https://verify.example").find(&headers, &id('a')), None);
    }

    #[test]
    fn the_cookie_of_an_earlier_version_is_taken_back_where_it_is_sent() {
        assert!(forget_retired(&headers("bonafide_session=tok")).is_some());
        assert!(forget_retired(&headers("a=b")).is_none());
    }
}
