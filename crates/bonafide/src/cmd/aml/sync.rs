//! Fetches lists from their publishers into a data folder.
//!
//! What is fetched is written to a folder of its own, read and judged there, and only then takes the place of
//! the version in use; a source that fails leaves its last good version and does not stop the others. Addresses
//! come from a data file, but where they lead is the publisher's answer: every connection is made to an address
//! that was resolved and checked here, redirects are followed one by one, and none may lead into a private network.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aml::import::Format;
use aml::lists::ListStore;
use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use ureq::http::{Uri, header};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

/// The sources that come with the program.
const DEFAULT: &str = include_str!("../../../../aml/data/sources.toml");
/// Redirects followed for one file.
const MAX_REDIRECTS: usize = 5;

/// A data file of sources.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sources {
    #[serde(default)]
    source: Vec<Source>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    list: String,
    format: String,
    #[serde(default = "default_max_mb")]
    max_mb: u64,
    #[serde(default)]
    allow_private: bool,
    files: Vec<SourceFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceFile {
    name: String,
    url: String,
}

fn default_max_mb() -> u64 {
    256
}

/// What a publisher said of a file when it was last taken, for asking whether there is a newer one.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// What became of one source.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub(super) enum Outcome {
    /// A new version is in use.
    Taken {
        /// Entries of the new version.
        entities: u64,
        /// What changed.
        changes: usize,
    },
    /// The publisher has nothing newer.
    Unchanged,
    /// The version in use stays in use.
    Failed {
        /// Why.
        error: String,
    },
}

impl Sources {
    /// Reads a data file, or the one that comes with the program.
    pub(super) fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let text = match path {
            Some(path) => fs_err::read_to_string(path)?,
            None => DEFAULT.to_owned(),
        };
        let sources: Self = toml::from_str(&text).context("reading the sources")?;
        for source in &sources.source {
            ensure!(
                Format::parse(&source.format).is_some(),
                "source {}: no format {}",
                source.list,
                source.format
            );
            ensure!(!source.files.is_empty(), "source {} names no file", source.list);
            for file in &source.files {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
                ensure!(
                    !file.name.is_empty() && !file.name.starts_with('.') && file.name.chars().all(plain),
                    "source {}: a file is named with letters, digits, dots, hyphens",
                    source.list
                );
            }
        }
        Ok(sources)
    }

    /// Fetches every source, or those named.
    pub(super) fn sync(
        &self,
        data: &Path,
        only: &[String],
        now: u64,
    ) -> anyhow::Result<Vec<(String, Outcome)>> {
        for name in only {
            ensure!(self.source.iter().any(|s| s.list == *name), "no source is called {name}");
        }
        let store = ListStore::new(data);
        let mut out = Vec::new();
        for source in self.source.iter().filter(|s| only.is_empty() || only.contains(&s.list)) {
            let outcome = source.sync(data, &store, now).unwrap_or_else(|error| {
                let error = format!("{error:#}");
                // Where even the note cannot be written the outcome still says it.
                let _ = store.refused(&source.list, &error);
                Outcome::Failed { error }
            });
            out.push((source.list.clone(), outcome));
        }
        Ok(out)
    }
}

impl Source {
    fn sync(&self, data: &Path, store: &ListStore, now: u64) -> anyhow::Result<Outcome> {
        let format = Format::parse(&self.format).context("no such format")?;
        let kept = data.join("sources").join(&self.list);
        let coming = data.join("sources").join(format!("{}.coming", self.list));
        if coming.exists() {
            fs_err::remove_dir_all(&coming)?;
        }
        fs_err::create_dir_all(&coming)?;
        // Only what was read and is in use counts as seen; without a version in use everything is fetched.
        let known: BTreeMap<String, Seen> = match store.current(&self.list) {
            Ok(_) => fs_err::read(kept.join("seen.json"))
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or_default(),
            Err(_) => BTreeMap::new(),
        };
        let mut seen = BTreeMap::new();
        let mut newer = false;
        for file in &self.files {
            let (old, new) = (kept.join(&file.name), coming.join(&file.name));
            let before = known.get(&file.name).filter(|s| s.url == file.url && old.exists());
            match self.fetch(file, before, &new).with_context(|| format!("fetching {}", file.name))? {
                Some(now_seen) => {
                    newer = true;
                    seen.insert(file.name.clone(), now_seen);
                }
                None => {
                    fs_err::copy(&old, &new)?;
                    seen.insert(file.name.clone(), before.cloned().unwrap_or_default());
                }
            }
        }
        if !newer {
            fs_err::remove_dir_all(&coming)?;
            store.checked(&self.list, now)?;
            return Ok(Outcome::Unchanged);
        }
        let place = match self.files.as_slice() {
            [one] => coming.join(&one.name),
            _ => coming.clone(),
        };
        let (version, changes) = store
            .import(&self.list, format, &place, now, false)
            .context("the last good version stays in use")?;
        fs_err::write(coming.join("seen.json"), serde_json::to_vec_pretty(&seen)?)?;
        if kept.exists() {
            fs_err::remove_dir_all(&kept)?;
        }
        fs_err::rename(&coming, &kept)?;
        Ok(Outcome::Taken { entities: version.entities, changes: changes.len() })
    }

    /// Fetches one file; `None` when the publisher says that it has not changed.
    fn fetch(&self, file: &SourceFile, before: Option<&Seen>, to: &Path) -> anyhow::Result<Option<Seen>> {
        let mut uri: Uri = file.url.parse().context("not an address")?;
        for hop in 0..=MAX_REDIRECTS {
            // The operator may name a mirror inside; nobody else may lead there.
            let private = self.allow_private && hop == 0;
            let secure = uri.scheme_str() == Some("https");
            ensure!(
                secure || (private && uri.scheme_str() == Some("http")),
                "only https addresses are fetched"
            );
            let mut request = agent(private).get(&uri);
            if let Some(etag) = before.and_then(|s| s.etag.as_deref()) {
                request = request.header(header::IF_NONE_MATCH, etag);
            } else if let Some(date) = before.and_then(|s| s.last_modified.as_deref()) {
                request = request.header(header::IF_MODIFIED_SINCE, date);
            }
            let mut response = request.call()?;
            let text = |name| {
                response
                    .headers()
                    .get(name)
                    .and_then(|v: &header::HeaderValue| v.to_str().ok())
                    .map(str::to_owned)
            };
            let (etag, last_modified, location) =
                (text(header::ETAG), text(header::LAST_MODIFIED), text(header::LOCATION));
            match response.status().as_u16() {
                200 => {
                    let limit = self.max_mb.saturating_mul(1 << 20);
                    save(response.body_mut().as_reader(), limit, to)?;
                    return Ok(Some(Seen { url: file.url.clone(), etag, last_modified }));
                }
                304 if before.is_some() => return Ok(None),
                301 | 302 | 303 | 307 | 308 => {
                    uri = follow(&uri, location.as_deref().context("a redirect without an address")?)?;
                }
                status => bail!("the publisher answered {status}"),
            }
        }
        bail!("more than {MAX_REDIRECTS} redirects")
    }
}

/// The address that a redirect leads to.
fn follow(from: &Uri, location: &str) -> anyhow::Result<Uri> {
    let text = if location.starts_with("https://") || location.starts_with("http://") {
        location.to_owned()
    } else if location.starts_with('/') && !location.starts_with("//") {
        let authority = from.authority().context("an address without a host")?;
        format!("{}://{authority}{location}", from.scheme_str().unwrap_or("https"))
    } else {
        bail!("a redirect to an address of another kind")
    };
    text.parse().context("a redirect to what is no address")
}

/// Writes what comes, up to a limit; a longer file is refused, not cut.
fn save(from: impl std::io::Read, limit: u64, to: &Path) -> anyhow::Result<()> {
    let mut file = fs_err::File::create(to)?;
    let written = std::io::copy(&mut from.take(limit.saturating_add(1)), &mut file)?;
    ensure!(written <= limit, "the file has more than the {} MB allowed", limit >> 20);
    file.flush()?;
    file.sync_all()?;
    Ok(())
}

/// A client that follows no redirect, uses no proxy and connects only where it may.
fn agent(private: bool) -> ureq::Agent {
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build();
    let config = ureq::Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_recv_body(Some(Duration::from_secs(600)))
        .user_agent(concat!("bonafide/", env!("CARGO_PKG_VERSION")))
        .build();
    ureq::Agent::with_parts(
        config,
        DefaultConnector::default(),
        Checked { private, inner: DefaultResolver::default() },
    )
}

/// Resolves names and refuses addresses that are not on the public internet.
#[derive(Debug)]
struct Checked {
    private: bool,
    inner: DefaultResolver,
}

impl Resolver for Checked {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        if self.private || found.iter().all(|address| is_public(address.ip())) {
            return Ok(found);
        }
        Err(ureq::Error::Io(std::io::Error::new(
            std::io::ErrorKind::PermissionDenied,
            "the address lies in a private network",
        )))
    }
}

/// True for addresses of the public internet (IANA special-purpose registries, RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let special = a == 0
        || v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_documentation()
        || a >= 240
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18);
    !special
}

/// Global unicast is 2000::/3; of it Teredo, ORCHID, documentation and 6to4 (which wraps an IPv4 address) are left out.
fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [first, second, ..] = v6.segments();
    first & 0xe000 == 0x2000 && !(first == 0x2001 && (second < 0x0200 || second == 0x0db8)) && first != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;

    /// Serves the answers in turn, each to one connection, and says what was asked.
    fn publisher(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let thread = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (stream, _) = listener.accept().expect("connection");
                let mut reader = BufReader::new(stream);
                let mut head = String::new();
                while reader.read_line(&mut head).expect("line") > 2 {}
                asked.push(head.to_ascii_lowercase());
                reader.get_mut().write_all(answer.as_bytes()).expect("answer");
            }
            asked
        });
        (url, thread)
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn sources(url: &str, more: &str) -> Sources {
        toml::from_str(&format!(
            "[[source]]\nlist = \"own\"\nformat = \"csv\"\n{more}\nfiles = [{{ name = \"own.csv\", url = \"{url}/own.csv\" }}]"
        ))
        .expect("sources")
    }

    const TWO: &str = "id,name\n1,Jan Example\n2,Ana Example\n";
    const ONE: &str = "id,name\n1,Jan Example\n";

    fn only(done: anyhow::Result<Vec<(String, Outcome)>>) -> Outcome {
        done.expect("ran").pop().expect("one source").1
    }

    #[test]
    fn the_sources_that_come_with_the_program_are_valid_and_public() {
        let sources = Sources::read(None).expect("valid");
        assert!(sources.source.len() >= 4);
        for source in &sources.source {
            assert!(!source.allow_private && source.files.iter().all(|f| f.url.starts_with("https://")));
        }
    }

    #[test]
    fn a_list_is_taken_then_unchanged_then_a_shrunken_version_is_refused() {
        let data = tempfile::tempdir().expect("folder");
        let (url, thread) = publisher(vec![
            answer("200 OK", "ETag: \"a\"\r\n", TWO),
            answer("304 Not Modified", "", ""),
            answer("200 OK", "ETag: \"b\"\r\n", ONE),
            answer("500 Internal Server Error", "", ""),
        ]);
        let sources = sources(&url, "allow_private = true");
        assert_eq!(only(sources.sync(data.path(), &[], 1_000)), Outcome::Taken { entities: 2, changes: 2 });
        assert_eq!(only(sources.sync(data.path(), &[], 900_000)), Outcome::Unchanged);
        let store = ListStore::new(data.path());
        assert!(!store.status(900_001).expect("status")[0].stale, "asked a second ago");
        assert!(
            matches!(only(sources.sync(data.path(), &[], 900_002)), Outcome::Failed { error } if error.contains("refused"))
        );
        assert!(
            matches!(only(sources.sync(data.path(), &[], 900_003)), Outcome::Failed { error } if error.contains("500"))
        );
        let status = &store.status(900_000 + 4 * 86_400).expect("status")[0];
        assert_eq!((status.current.entities, status.stale), (2, true));
        assert!(status.refused.is_some());
        let asked = thread.join().expect("publisher");
        assert!(!asked[0].contains("if-none-match"));
        // The refused version is asked for again: only what is in use counts as seen.
        assert!(asked[1..].iter().all(|a| a.contains("if-none-match: \"a\"")));
    }

    #[test]
    fn a_redirect_into_a_private_network_is_refused() {
        let data = tempfile::tempdir().expect("folder");
        for target in [
            "https://127.0.0.1:1/x",
            "https://[::1]:1/x",
            "https://169.254.169.254/x",
            "http://example.org/x",
        ] {
            let (url, thread) = publisher(vec![answer("302 Found", &format!("Location: {target}\r\n"), "")]);
            let outcome = only(sources(&url, "allow_private = true").sync(data.path(), &[], 1));
            assert!(
                matches!(&outcome, Outcome::Failed { error } if error.contains("private") || error.contains("https")),
                "{target}: {outcome:?}"
            );
            thread.join().expect("publisher");
        }
    }

    #[test]
    fn a_private_address_needs_the_operators_word_and_a_file_has_a_limit() {
        let data = tempfile::tempdir().expect("folder");
        let named = sources("https://localhost:1", "").sync(data.path(), &[], 1);
        assert!(matches!(only(named), Outcome::Failed { error } if error.contains("private")));
        let long = "x".repeat((1 << 20) + 1);
        let (url, thread) = publisher(vec![answer("200 OK", "", &long)]);
        let outcome = only(sources(&url, "allow_private = true\nmax_mb = 1").sync(data.path(), &[], 1));
        assert!(matches!(outcome, Outcome::Failed { error } if error.contains("more than")));
        let _ = thread.join();
    }

    #[test]
    fn special_addresses_are_not_public() {
        for private in [
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "192.168.1.1",
            "198.18.0.1",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::",
            "2001::1",
            "64:ff9b::a00:1",
            "255.255.255.255",
            "224.0.0.1",
        ] {
            assert!(!is_public(private.parse().expect("address")), "{private}");
        }
        for public in ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().expect("address")), "{public}");
        }
    }
}
