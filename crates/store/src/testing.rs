//! Runs a PostgreSQL of its own, from Debian's binaries, for tests and benches.
//!
//! The server lives in a temporary folder, belongs to an ordinary user (as root:
//! `postgres` or `nobody`), listens on a socket in that folder only, and is
//! stopped and removed when this process ends, however it ends: a shell waits
//! for the end of a pipe that this process holds.

use crate::error::{Error, Result};
use crate::postgres::Session;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Makes the database, starts the server, tells its folder, waits for the end of input, stops and removes all.
const SCRIPT: &str = r#"
set -e
folder=$(mktemp -d "${TMPDIR:-/tmp}/bonafide-postgres.XXXXXX")
trap '"$1/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
trap '' INT
"$1/initdb" -D "$folder/data" -A trust -U bonafide -E UTF8 --no-locale --no-sync >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; exit 1; }
"$1/pg_ctl" -D "$folder/data" -w -l "$folder/log" -o "-k $folder -c listen_addresses= -c max_connections=200 -c shared_buffers=128MB -c fsync=$2" start >/dev/null || { cat "$folder/log" >&2; exit 1; }
echo "$folder"
cat >/dev/null
"#;

/// A server of our own.
#[derive(Debug)]
pub struct PostgresServer {
    // Its standard input is the pipe whose end stops the server.
    child: Child,
    folder: String,
}

static DATABASES: AtomicU32 = AtomicU32::new(0);

impl PostgresServer {
    /// Starts a server; `Ok(None)` when Debian's PostgreSQL is not installed and `BONAFIDE_REQUIRE_POSTGRES` is not
    /// 1. With `durable` false the server does not sync, which tests of logic do not need.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it is installed (or required) and does not start.
    pub fn start(durable: bool) -> Result<Option<Self>> {
        let unavailable = |text: String| Error::Unavailable(text.into());
        let Some(binaries) = binaries() else {
            return if std::env::var_os("BONAFIDE_REQUIRE_POSTGRES").is_some_and(|value| value == "1") {
                Err(unavailable("PostgreSQL is required but not in /usr/lib/postgresql".to_owned()))
            } else {
                Ok(None)
            };
        };
        let mut command = as_ordinary_user();
        command.args(["sh", "-c", SCRIPT, "sh"]).arg(binaries).arg(if durable { "on" } else { "off" });
        let mut child = command
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| unavailable(source.to_string()))?;
        let mut folder = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut folder).map_err(|source| unavailable(source.to_string()))?;
        }
        let folder = folder.trim().to_owned();
        if folder.is_empty() {
            return Err(unavailable("PostgreSQL did not start (see standard error)".to_owned()));
        }
        Ok(Some(Self { child, folder }))
    }

    /// The one server of this process, without syncs; `None` when there is none to run.
    ///
    /// # Panics
    /// When PostgreSQL is installed and does not start: a test must not pass then.
    pub fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
        SERVER.get_or_init(|| Self::start(false).expect("an installed PostgreSQL starts")).as_ref()
    }

    /// URL of a database of this name.
    fn url(&self, database: &str) -> String {
        format!("postgres://bonafide@{}/{database}", self.folder.replace('/', "%2F"))
    }

    /// Makes a new empty database and returns its URL.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the server has gone.
    pub fn new_database(&self) -> Result<String> {
        let name = format!("test_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::SeqCst));
        let (admin, url) = (self.url("postgres"), self.url(&name));
        // On a thread of its own, because the caller may be inside an async runtime.
        std::thread::spawn(move || {
            Session::connect(&admin, true)?.batch(&format!("CREATE DATABASE {name} TEMPLATE template0"))
        })
        .join()
        .map_err(|_| Error::Panicked)??;
        Ok(url)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// The newest installed version's programs.
fn binaries() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|path| path.join("initdb").exists())
        .collect();
    found.sort();
    found.pop()
}

/// PostgreSQL refuses to run as root.
fn as_ordinary_user() -> Command {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|metadata| {
        use std::os::unix::fs::MetadataExt;
        metadata.uid() == 0
    });
    if !is_root {
        return Command::new("env");
    }
    let has_user = std::fs::read_to_string("/etc/passwd")
        .is_ok_and(|text| text.lines().any(|line| line.starts_with("postgres:")));
    let mut command = Command::new("setpriv");
    command.args(if has_user {
        ["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
    } else {
        ["--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    });
    command
}
