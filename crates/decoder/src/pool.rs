//! The parent's side: children kept warm, one picture each at a time, ended when they pass their budget.
//!
//! One thread of the pool's own starts every child and lives as long as the
//! pool: Linux ends a child with the thread that started it. A child that died,
//! was ended, or has grown is replaced at once.

use std::{
    io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::process::CommandExt as _,
    },
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use imaging::{DecodeError, Limits, Picture, RgbImage};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    framing::{Ask, Hello, Kind, PROTOCOL, Received, Source, header, read_header, receive},
    served::{ARGUMENT, append},
};

/// Most pictures of one child: what a hostile one left behind does not stay for ever.
const MOST_PICTURES: u32 = 1_000;
/// Resident memory in bytes above which a child without work is replaced.
const MOST_IDLE_BYTES: u64 = 96 << 20;
/// Longest wait for a child, all of them being busy or starting.
const WAIT: Duration = Duration::from_secs(10);
/// Longest that a child may take to start.
const START: Duration = Duration::from_secs(20);
/// Wait after a start that failed.
const AGAIN: Duration = Duration::from_millis(500);
/// How often a child at work is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes that a pipe holds, so that a picture takes few turns between the two processes. Linux's most for everybody.
const PIPE: usize = 1 << 20;

/// What a picture may cost.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Processor time of the child.
    pub cpu: Duration,
    /// Time on the clock: only a safeguard, because a busy machine makes an honest picture wait.
    pub wall: Duration,
}

impl Default for Budget {
    /// 1 s and 6 s. The costliest pictures within the default limits took 0.4 s, those of 12 megapixels 0.06 to 0.4 s
    /// (`docs/measurements/decoder.md`).
    fn default() -> Self {
        Self { cpu: Duration::from_secs(1), wall: Duration::from_secs(6) }
    }
}

/// What is started as a child.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<String>,
}

impl Program {
    /// The running program itself, also after its file was replaced by a newer one. Its `main` must call
    /// [`crate::serve`] when [`ARGUMENT`] comes first.
    ///
    /// # Errors
    /// Where the system does not tell which program this is.
    pub fn this() -> io::Result<Self> {
        let path = if cfg!(target_os = "linux") {
            // Leads to the file that runs, not to whatever has its name now.
            PathBuf::from("/proc/self/exe")
        } else {
            std::env::current_exe()?
        };
        Ok(Self::new(path, &[ARGUMENT]))
    }

    /// Another program, for tests.
    pub fn new(path: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        Self { path: path.into(), arguments: arguments.iter().map(|text| (*text).to_owned()).collect() }
    }
}

/// Why a child gave no answer.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("it took more processor time than a picture may")]
    Cpu,
    #[error("it took longer than a picture may")]
    Wall,
    #[error("it ended or gave an answer that is none")]
    Ended(#[source] io::Error),
}

/// Children that decode.
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    program: Program,
    wanted: usize,
    budget: Budget,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Child>,
    /// Idle and at work.
    alive: usize,
    closing: bool,
    /// What was logged once.
    told: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts children until there are enough, as long as the pool lives.
    fn keep(&self) {
        let mut state = self.state();
        while !state.closing {
            if state.alive >= self.wanted {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(state);
            let started = Child::start(&self.program);
            state = self.state();
            match started {
                Ok((child, hello)) => {
                    if !hello.missing.is_empty() && !state.told {
                        state.told = true;
                        let missing = hello.missing.join("; ");
                        tracing::warn!(
                            missing,
                            "pictures are decoded with fewer bounds than this program knows"
                        );
                    }
                    state.alive += 1;
                    state.idle.push(child);
                    self.changed.notify_all();
                }
                Err(error) => {
                    tracing::error!(error = %error, "a process that decodes pictures could not be started");
                    let waited = self.changed.wait_timeout(state, AGAIN);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
    }

    fn take(&self) -> Option<Child> {
        let until = Instant::now() + WAIT;
        let mut state = self.state();
        loop {
            while let Some(mut child) = state.idle.pop() {
                if child.is_alive() {
                    return Some(child);
                }
                state.alive -= 1;
                self.changed.notify_all();
            }
            let left = until.saturating_duration_since(Instant::now());
            if state.closing || left.is_zero() {
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn give_back(&self, child: Option<Child>) {
        let mut state = self.state();
        match child {
            Some(child) => state.idle.push(child),
            None => state.alive -= 1,
        }
        self.changed.notify_all();
    }
}

impl Pool {
    /// Starts so many children, and keeps as many.
    pub fn start(program: Program, children: usize, budget: Budget) -> Self {
        let shared = Arc::new(Shared {
            program,
            wanted: children.max(1),
            budget,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let keeper = Arc::clone(&shared);
        let started = std::thread::Builder::new().name("decoders".to_owned()).spawn(move || keeper.keep());
        if let Err(error) = started {
            tracing::error!(error = %error, "no thread for the processes that decode pictures");
        }
        Self { shared }
    }

    /// As [`crate::decode_pages`].
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode_pages(
        &self,
        bytes: &[u8],
        limits: &Limits,
        password: Option<&str>,
    ) -> Result<Vec<Picture>, DecodeError> {
        // What needs no decoder is told without one.
        if bytes.len() > limits.max_bytes {
            return Err(DecodeError::TooManyBytes { bytes: bytes.len(), max: limits.max_bytes });
        }
        let format = imaging::sniff(bytes)?;
        let pages = self.ask(Kind::Pages, bytes, limits, password)?;
        let sha256 = crate::sha256(bytes);
        Ok(pages.into_iter().map(|(pixels, metadata)| Picture { pixels, format, sha256, metadata }).collect())
    }

    /// As [`crate::decode_jpeg2000`].
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode_jpeg2000(&self, bytes: &[u8], limits: &Limits) -> Result<RgbImage, DecodeError> {
        if bytes.len() > limits.max_bytes {
            return Err(DecodeError::TooManyBytes { bytes: bytes.len(), max: limits.max_bytes });
        }
        let pages = self.ask(Kind::Jpeg2000, bytes, limits, None)?;
        pages.into_iter().next().map(|(pixels, _)| pixels).ok_or(DecodeError::NoPixels)
    }

    fn ask(&self, kind: Kind, bytes: &[u8], limits: &Limits, password: Option<&str>) -> Received {
        let ask = Ask {
            kind,
            limits: limits.clone(),
            password: password.map(str::to_owned),
            size_bytes: bytes.len(),
        };
        let Some(mut child) = self.shared.take() else {
            tracing::error!("no process that decodes pictures is free");
            return Err(DecodeError::Unavailable);
        };
        let answer = child.exchange(&ask, bytes, self.shared.budget);
        let keep = answer.is_ok() && !child.has_grown();
        let pid = child.id();
        self.shared.give_back(keep.then_some(child));
        answer.unwrap_or_else(|error| {
            let cause = match &error {
                Broken::Ended(cause) => cause.to_string(),
                Broken::Cpu | Broken::Wall => String::new(),
            };
            tracing::warn!(error = %error, cause, process.id = pid, "a process that decoded a picture was ended");
            Err(DecodeError::NotDecodable {
                what: match error {
                    Broken::Cpu | Broken::Wall => "it took too long".into(),
                    Broken::Ended(_) => "it took too much memory or broke the decoder".into(),
                },
            })
        })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.state().closing = true;
        self.shared.changed.notify_all();
    }
}

/// A child; dropping it ends it.
struct Child {
    process: std::process::Child,
    pictures: u32,
}

impl Child {
    fn start(program: &Program) -> io::Result<(Self, Hello)> {
        let mut command = Command::new(&program.path);
        command
            .arg0("bonafide")
            .args(&program.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = Self { process: command.spawn()?, pictures: 0 };
        for pipe in child.pipes().into_iter().flatten() {
            rustix::io::ioctl_fionbio(pipe, true)?;
            #[cfg(target_os = "linux")]
            // A smaller pipe is only slower.
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE);
        }
        let budget = Budget { cpu: START, wall: START };
        let mut watched = Watched::new(&mut child, budget);
        let hello: Hello = read_header(&mut watched)?;
        if hello.protocol != PROTOCOL {
            return Err(io::Error::other("another version of this program was started"));
        }
        Ok((child, hello))
    }

    fn id(&self) -> u32 {
        self.process.id()
    }

    fn pipes(&self) -> [Option<BorrowedFd<'_>>; 2] {
        [
            self.process.stdin.as_ref().map(|pipe| pipe.as_fd()),
            self.process.stdout.as_ref().map(|pipe| pipe.as_fd()),
        ]
    }

    fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Whether it should make room for a fresh one.
    fn has_grown(&self) -> bool {
        self.pictures >= MOST_PICTURES || resident(self.id()).is_some_and(|bytes| bytes > MOST_IDLE_BYTES)
    }

    fn exchange(&mut self, ask: &Ask, bytes: &[u8], budget: Budget) -> Result<Received, Broken> {
        self.pictures += 1;
        let mut watched = Watched::new(self, budget);
        let answer = header(ask)
            .and_then(|header| watched.write_all(&header))
            .and_then(|()| watched.write_all(bytes))
            .and_then(|()| receive(&mut watched, &ask.limits));
        answer.map_err(|error| watched.spent.take().unwrap_or(Broken::Ended(error)))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A child's pipes under a budget.
struct Watched<'a> {
    child: &'a mut Child,
    budget: Budget,
    started: Instant,
    cpu_before: Option<Duration>,
    looked: Instant,
    spent: Option<Broken>,
}

impl<'a> Watched<'a> {
    fn new(child: &'a mut Child, budget: Budget) -> Self {
        let now = Instant::now();
        let cpu_before = processor_time(child.id());
        Self { child, budget, started: now, cpu_before, looked: now, spent: None }
    }

    /// An error once the budget is spent.
    fn look(&mut self) -> io::Result<()> {
        if self.looked.elapsed() < LOOK {
            return Ok(());
        }
        self.looked = Instant::now();
        let cpu =
            self.cpu_before.and_then(|before| Some(processor_time(self.child.id())?.saturating_sub(before)));
        if cpu.is_some_and(|cpu| cpu > self.budget.cpu) {
            self.spent = Some(Broken::Cpu);
        } else if self.started.elapsed() > self.budget.wall {
            self.spent = Some(Broken::Wall);
        } else {
            return Ok(());
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Waits until the pipe is ready or the budget is spent.
    fn wait(&mut self, writing: bool) -> io::Result<()> {
        let look = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
        let [stdin, stdout] = self.child.pipes();
        let (pipe, ready) = if writing { (stdin, PollFlags::OUT) } else { (stdout, PollFlags::IN) };
        let pipe = pipe.ok_or(io::ErrorKind::BrokenPipe)?;
        match poll(&mut [PollFd::new(&pipe, ready)], Some(&look)) {
            Ok(_) | Err(Errno::INTR) => self.look(),
            Err(error) => Err(error.into()),
        }
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let [stdin, _] = self.child.pipes();
            match rustix::io::write(stdin.ok_or(io::ErrorKind::BrokenPipe)?, bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(Errno::AGAIN | Errno::INTR) => self.wait(true)?,
                Err(error) => return Err(error.into()),
            }
            self.look()?;
        }
        Ok(())
    }
}

impl Source for Watched<'_> {
    fn read_some(&mut self, out: &mut Vec<u8>, most: usize) -> io::Result<()> {
        loop {
            let [_, stdout] = self.child.pipes();
            match append(stdout.ok_or(io::ErrorKind::BrokenPipe)?, out, most) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => return self.look(),
                Err(Errno::AGAIN | Errno::INTR) => self.wait(false)?,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Processor time of a process, own and for it in the kernel; `None` where the system does not tell.
fn processor_time(pid: u32) -> Option<Duration> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything; what follows its closing parenthesis are numbers (proc(5): 14 is utime, 15 stime).
    let fields = line.get(line.rfind(')')? + 2..)?;
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    let second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis(ticks * 1_000 / second))
}

/// Memory of a process in bytes; `None` where the system does not tell.
fn resident(pid: u32) -> Option<u64> {
    let sizes = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = sizes.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: &[u8] = &[0xFF, 0xD8, 0xFF, 0xE0];

    fn quick() -> Budget {
        Budget { cpu: Duration::from_millis(300), wall: Duration::from_millis(600) }
    }

    /// A child in shell: says a proper hello, then does something else than a child should.
    fn pool(then: &str) -> Pool {
        let hello = r#"{"protocol":1,"missing":[]}"#;
        let script = format!("printf '\\{:03o}\\0\\0\\0%s' '{hello}'; {then}", hello.len());
        Pool::start(Program::new("/bin/sh", &["-c", &script]), 1, quick())
    }

    fn refused(pool: &Pool) -> DecodeError {
        pool.decode_pages(PICTURE, &Limits::default(), None).expect_err("nothing can be decoded")
    }

    #[test]
    fn a_child_that_says_something_else_than_it_should_refuses_its_picture_and_is_replaced() {
        for then in ["exit 0", "printf nonsense", "exec head -c 99999 /dev/urandom", "exec cat", "kill -9 $$"]
        {
            let pool = pool(&format!("head -c 4 >/dev/null; {then}"));
            for _ in 0..2 {
                assert_eq!(refused(&pool).code(), "image_not_decodable", "{then}");
            }
        }
    }

    #[test]
    fn a_child_that_never_ends_is_ended_at_its_budget() {
        // One that waits passes its time on the clock, one that computes its processor time.
        for then in ["exec sleep 1000", "while :; do :; done"] {
            let pool = pool(then);
            let error = refused(&pool);
            assert_eq!(error.code(), "image_not_decodable", "{then}");
            assert!(error.to_string().contains("too long"), "{error}");
        }
    }

    #[test]
    fn what_needs_no_decoder_is_told_without_one() {
        let pool = Pool::start(Program::new("/nonexistent", &[]), 1, quick());
        let told =
            |bytes: &[u8]| pool.decode_pages(bytes, &Limits::default(), None).expect_err("is refused").code();
        assert_eq!(told(b""), "image_empty");
        assert_eq!(told(b"GIF89a"), "image_format_unsupported");
        assert_eq!(told(&vec![0; 21 << 20]), "image_too_many_bytes");
    }

    #[test]
    fn without_being_told_how_nothing_is_decoded() {
        assert_eq!(
            crate::decode(PICTURE, &Limits::default()).expect_err("fails closed"),
            DecodeError::Unavailable
        );
    }

    #[test]
    fn processor_time_and_memory_of_a_process_are_read() {
        if cfg!(target_os = "linux") {
            let own = std::process::id();
            assert!(processor_time(own).is_some() && resident(own).is_some_and(|bytes| bytes > 1 << 20));
        }
    }
}
