//! The server under attack: started, watched through `/proc`, restarted when it died.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use super::http::{Outcome, Request};
use crate::shell;

/// How often memory is looked at.
const EVERY: Duration = Duration::from_millis(20);

/// A process by its id and the time it started, which together are used once.
type Identity = (u32, u64);

/// What the watch saw, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// Largest resident set of the server process (`VmHWM`).
    pub(super) server: u64,
    /// Largest sum over the server and all its descendants at one look. Shared pages count in each.
    pub(super) all: u64,
    /// Most descendants at one look.
    pub(super) children: u64,
}

#[derive(Default)]
struct Seen {
    memory: Memory,
    descendants: BTreeSet<Identity>,
}

/// A running server and the thread that watches it.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    watch: Option<JoinHandle<()>>,
}

/// How a server's life ended.
pub(super) struct End {
    pub(super) how: String,
    pub(super) memory: Memory,
    /// Ids of descendants that outlived it.
    pub(super) left: Vec<u32>,
}

/// What is needed to start one.
#[derive(Clone)]
pub(super) struct Starter {
    pub(super) binary: PathBuf,
    pub(super) data: PathBuf,
    /// The watch ends the server above this many bytes, so that the machine lives on.
    pub(super) limit: u64,
    /// Where its standard error goes.
    pub(super) log: PathBuf,
}

impl Starter {
    pub(super) fn start(&self) -> anyhow::Result<Server> {
        // The limit of open files that an ordinary shell gives, whatever this machine's is; the server may raise it.
        let mut command = if shell::has("prlimit") {
            let mut command = Command::new("prlimit");
            command.arg("--nofile=1024:").arg(&self.binary);
            command
        } else {
            Command::new(&self.binary)
        };
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--rate-limit-scale", "0", "--data"])
            .arg(&self.data)
            .env("BONAFIDE_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start {}", self.binary.display()))?;
        let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let mut address = None;
        for line in lines.by_ref() {
            if let Some(rest) = line?.strip_prefix("serving on http://") {
                address = rest.split_whitespace().next().and_then(|text| text.parse().ok());
                break;
            }
        }
        let Some(address) = address else {
            let _ = child.kill();
            let _ = child.wait();
            bail!("the server ended before it listened");
        };
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = std::io::Write::write_all(&mut log, format!("{line}\n").as_bytes());
            }
        });
        let (seen, over, stop) =
            (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let watch = {
            let (pid, limit) = (child.id(), self.limit);
            let (seen, over, stop) = (Arc::clone(&seen), Arc::clone(&over), Arc::clone(&stop));
            std::thread::spawn(move || watch(pid, limit, &seen, &over, &stop))
        };
        let server = Server { child, address, seen, over, stop, watch: Some(watch) };
        server.wait_until_ready()?;
        Ok(server)
    }
}

impl Server {
    /// Waits until health is answered.
    fn wait_until_ready(&self) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            if let Outcome::Answered(200, _) =
                Request::get("/healthz").send(self.address, Duration::from_secs(2))
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the server does not answer /healthz")
    }

    /// How the process ended, when it did.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        if self.over.load(Ordering::Relaxed) {
            return Some("ended by the bench: over its memory".to_owned());
        }
        Some(match (status.signal(), status.code()) {
            (Some(6), _) => "abort (signal 6)".to_owned(),
            (Some(11), _) => "segmentation fault (signal 11)".to_owned(),
            (Some(signal), _) => format!("signal {signal}"),
            (None, code) => format!("exit {}", code.unwrap_or_default()),
        })
    }

    pub(super) fn memory(&self) -> Memory {
        self.seen.lock().map(|seen| seen.memory).unwrap_or_default()
    }

    /// Resident bytes now: of the process, and of it and its descendants.
    pub(super) fn resident(&self) -> (u64, u64) {
        let own = status(self.child.id()).resident;
        let others: u64 = descendants(self.child.id()).iter().map(|pid| status(*pid).resident).sum();
        (own, own + others)
    }

    /// The soft limit of open files that the server runs under.
    pub(super) fn open_files_limit(&self) -> u64 {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap_or_default();
        limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }

    /// Kills it at once.
    pub(super) fn kill(mut self) -> End {
        let _ = self.child.kill();
        self.finish("killed by the bench")
    }

    /// Asks it to stop, waits, and kills it if it does not.
    pub(super) fn stop(mut self) -> End {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return self.finish("stopped");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        self.finish("did not stop within 20 s")
    }

    /// Collects what is known of a server that ended.
    pub(super) fn finish(&mut self, how: &str) -> End {
        let _ = self.child.wait();
        self.stop.store(true, Ordering::Relaxed);
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
        let (memory, descendants) = self
            .seen
            .lock()
            .map(|seen| (seen.memory, seen.descendants.iter().copied().collect::<Vec<_>>()))
            .unwrap_or_default();
        // Children see that their parent went and end by themselves; they get a moment for it.
        let alive = |(pid, started): &Identity| {
            let status = status(*pid);
            status.started == *started && status.state != 'Z' && status.state != '\0'
        };
        let until = Instant::now() + Duration::from_secs(3);
        while descendants.iter().any(alive) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        let left: Vec<u32> = descendants.iter().filter(|one| alive(one)).map(|(pid, _)| *pid).collect();
        End { how: how.to_owned(), memory, left }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watch(pid: u32, limit: u64, seen: &Mutex<Seen>, over: &AtomicBool, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let own = status(pid);
        let below = descendants(pid);
        let mut all = own.resident;
        if let Ok(mut seen) = seen.lock() {
            for child in &below {
                let status = status(*child);
                all += status.resident;
                if status.started > 0 {
                    seen.descendants.insert((*child, status.started));
                }
            }
            let memory = &mut seen.memory;
            memory.server = memory.server.max(own.peak).max(own.resident);
            memory.all = memory.all.max(all);
            memory.children = memory.children.max(below.len() as u64);
        }
        if all > limit && !over.swap(true, Ordering::Relaxed) {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        std::thread::sleep(EVERY);
    }
}

struct Status {
    state: char,
    started: u64,
    resident: u64,
    peak: u64,
}

/// What `/proc` tells of a process; zeros when it is gone.
fn status(pid: u32) -> Status {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let bytes = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
            .unwrap_or(0)
            * 1024
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    Status {
        state: fields.first().and_then(|text| text.chars().next()).unwrap_or('\0'),
        started: fields.get(19).and_then(|text| text.parse().ok()).unwrap_or(0),
        resident: bytes("VmRSS:"),
        peak: bytes("VmHWM:"),
    }
}

/// Children, their children, and so on.
fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace().filter_map(|text| text.parse().ok()) {
                if !found.contains(&child) {
                    found.push(child);
                    open.push(child);
                }
            }
        }
    }
    found
}

/// An honest client: one request at a fixed pace, timed from when it was due.
pub(super) struct Honest {
    stop: Arc<AtomicBool>,
    client: Option<JoinHandle<Times>>,
}

/// What the honest client met.
#[derive(Default)]
pub(super) struct Times {
    pub(super) ms: Vec<f64>,
    /// Not answered with 200.
    pub(super) failed: u64,
}

impl Times {
    pub(super) fn at(&self, share: f64) -> f64 {
        let mut sorted = self.ms.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
            .get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "n": self.ms.len(), "failed": self.failed,
            "p50_ms": self.at(0.5), "p99_ms": self.at(0.99), "slowest_ms": self.at(1.0),
        })
    }
}

/// Where the server is now, for clients that outlive one: changed at each restart.
pub(super) struct Place {
    address: Mutex<SocketAddr>,
    generation: AtomicU64,
}

impl Place {
    pub(super) fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self { address: Mutex::new(address), generation: AtomicU64::new(0) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address.lock().map(|address| *address).unwrap_or_else(|poisoned| *poisoned.into_inner())
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub(super) fn moved(&self, address: SocketAddr) {
        if let Ok(mut place) = self.address.lock() {
            *place = address;
        }
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

impl Honest {
    pub(super) fn start(place: &Arc<Place>, request: Request, pace: Duration) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let client = {
            let (place, stop) = (Arc::clone(place), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut times = Times::default();
                let mut due = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    let outcome = request.send(place.address(), Duration::from_secs(20));
                    if outcome.status() == 200 {
                        // From when it was due: requests that wait behind a slow one were slow as well.
                        times.ms.push(due.elapsed().as_secs_f64() * 1e3);
                    } else {
                        times.failed += 1;
                        due = Instant::now();
                    }
                    due += pace;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
                times
            })
        };
        Self { stop, client: Some(client) }
    }

    pub(super) fn end(mut self) -> Times {
        self.stop.store(true, Ordering::Relaxed);
        self.client.take().and_then(|client| client.join().ok()).unwrap_or_default()
    }
}

impl Drop for Honest {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Makes a folder anew.
pub(super) fn fresh(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs_err::remove_dir_all(folder)?;
    }
    fs_err::create_dir_all(folder)?;
    Ok(())
}
