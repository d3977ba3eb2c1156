//! Fetches lists from their publishers into a data folder.
//!
//! What is fetched is written to a folder of its own, read and judged there, and only then takes the place of
//! the version in use; a source that fails leaves its last good version and does not stop the others. Addresses
//! come from a data file, but where they lead is the publisher's answer: each connection, each redirect too, goes
//! through the one outgoing client (`egress`), which lets none lead into a private network.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use aml::import::Format;
use aml::lists::ListStore;
use anyhow::{Context, bail, ensure};
use egress::{Entry, Target};
use serde::{Deserialize, Serialize};

use crate::cmd::fetch::Fetcher;

/// The sources that come with the program.
const DEFAULT: &str = include_str!("../../../../aml/data/sources.toml");

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
                Target::parse(&file.url)
                    .with_context(|| format!("source {}: the address of {}", source.list, file.name))?;
                ensure!(
                    !file.name.is_empty() && !file.name.starts_with('.') && file.name.chars().all(plain),
                    "source {}: a file is named with letters, digits, dots, hyphens",
                    source.list
                );
            }
        }
        Ok(sources)
    }

    /// Fetches every source, or those named; `allowed` is what the operator allows beside the public internet.
    pub(super) fn sync(
        &self,
        data: &Path,
        only: &[String],
        now: u64,
        allowed: &[Entry],
    ) -> anyhow::Result<Vec<(String, Outcome)>> {
        for name in only {
            ensure!(self.source.iter().any(|s| s.list == *name), "no source is called {name}");
        }
        let store = ListStore::new(data);
        let mut out = Vec::new();
        for source in self.source.iter().filter(|s| only.is_empty() || only.contains(&s.list)) {
            let outcome = source.sync(data, &store, now, allowed).unwrap_or_else(|error| {
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
    fn sync(&self, data: &Path, store: &ListStore, now: u64, allowed: &[Entry]) -> anyhow::Result<Outcome> {
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
            match self
                .fetch(file, before, &new, allowed)
                .with_context(|| format!("fetching {}", file.name))?
            {
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
    fn fetch(
        &self,
        file: &SourceFile,
        before: Option<&Seen>,
        to: &Path,
        allowed: &[Entry],
    ) -> anyhow::Result<Option<Seen>> {
        let target = Target::parse(&file.url)?;
        let mut allowed = allowed.to_vec();
        // The operator may name a mirror inside; nobody else may lead elsewhere there.
        if self.allow_private {
            allowed.push(Entry::of(&target));
        }
        let asked = match before {
            Some(Seen { etag: Some(etag), .. }) => Some(("if-none-match", etag.as_str())),
            Some(Seen { last_modified: Some(date), .. }) => Some(("if-modified-since", date.as_str())),
            _ => None,
        };
        let limit = self.max_mb.saturating_mul(1 << 20);
        let begin = || Ok(fs_err::File::create(to)?);
        let (answer, mut written) = Fetcher::new(allowed)?.get(&target, asked.as_slice(), limit, begin)?;
        match answer.status {
            200 => {
                written.flush()?;
                written.sync_all()?;
                let text = |name| answer.header(name).map(str::to_owned);
                let (etag, last_modified) = (text("etag"), text("last-modified"));
                Ok(Some(Seen { url: file.url.clone(), etag, last_modified }))
            }
            304 if before.is_some() => Ok(None),
            status => bail!("the publisher answered {status}"),
        }
    }
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
        assert_eq!(
            only(sources.sync(data.path(), &[], 1_000, &[])),
            Outcome::Taken { entities: 2, changes: 2 }
        );
        assert_eq!(only(sources.sync(data.path(), &[], 900_000, &[])), Outcome::Unchanged);
        let store = ListStore::new(data.path());
        assert!(!store.status(900_001).expect("status")[0].stale, "asked a second ago");
        assert!(
            matches!(only(sources.sync(data.path(), &[], 900_002, &[])), Outcome::Failed { error } if error.contains("refused"))
        );
        assert!(
            matches!(only(sources.sync(data.path(), &[], 900_003, &[])), Outcome::Failed { error } if error.contains("500"))
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
            let outcome = only(sources(&url, "allow_private = true").sync(data.path(), &[], 1, &[]));
            assert!(
                matches!(&outcome, Outcome::Failed { error } if error.contains("not public") || error.contains("https")),
                "{target}: {outcome:?}"
            );
            thread.join().expect("publisher");
        }
    }

    #[test]
    fn a_private_address_needs_the_operators_word_and_a_file_has_a_limit() {
        let data = tempfile::tempdir().expect("folder");
        for (url, why) in [
            ("https://localhost", "private network"),
            ("https://127.0.0.1", "not public"),
            ("http://127.0.0.1:1", "not public"),
            ("https://example.org:8443", "port"),
        ] {
            let named = only(sources(url, "").sync(data.path(), &[], 1, &[]));
            assert!(matches!(&named, Outcome::Failed { error } if error.contains(why)), "{url}: {named:?}");
        }
        // His word is a line in the data file, or an entry.
        let (url, thread) = publisher(vec![answer("200 OK", "", TWO)]);
        let entry = url.parse::<Entry>().expect("an entry");
        let taken = sources(&url, "").sync(data.path(), &[], 1, &[entry]);
        assert!(matches!(only(taken), Outcome::Taken { entities: 2, .. }));
        thread.join().expect("publisher");
        let long = "x".repeat((1 << 20) + 1);
        let (url, thread) = publisher(vec![answer("200 OK", "", &long)]);
        let outcome = only(sources(&url, "allow_private = true\nmax_mb = 1").sync(data.path(), &[], 1, &[]));
        assert!(matches!(outcome, Outcome::Failed { error } if error.contains("more than")));
        let _ = thread.join();
    }
}
