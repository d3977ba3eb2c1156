//! `bench api`: the age check against the original program, durable session creates on both engines, a full check.
//!
//! The original is a few lines of Flask, rewritten here from its documented
//! behaviour, under gunicorn with keep-alive. Both servers run at the same time and
//! take turns under the same load generator, so the ratio holds when the machine's speed drifts.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::{setup, shell};

/// Documented behaviour of the original: three answers and two refusals.
const ORIGINAL: &str = r#"
from datetime import datetime
from flask import Flask, jsonify, request

app = Flask(__name__)

@app.route("/verify-age", methods=["POST"])
def verify_age():
    data = request.get_json()
    if "date_of_birth" not in data:
        return jsonify({"error": "Date of birth is required"}), 400
    try:
        born = datetime.strptime(data["date_of_birth"], "%Y-%m-%d")
    except ValueError:
        return jsonify({"error": "Invalid date format. Use YYYY-MM-DD"}), 400
    today = datetime.today()
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    verified = age >= 18
    message = "Age verified successfully" if verified else "User is under 18 years old"
    return jsonify({"date_of_birth": data["date_of_birth"], "age": age, "is_verified": verified, "message": message})
"#;

/// Seconds of each measured turn.
const TURN_S: f64 = 3.0;
/// Turns of each side.
const TURNS: usize = 3;

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts our server in a data folder; gives its address.
fn start(bonafide: &Path, data: &Path, extra: &[&str]) -> anyhow::Result<(Running, String)> {
    let mut child = Command::new(bonafide)
        .args(["serve", "--listen", "127.0.0.1:0", "--rate-limit-scale", "0", "--data"])
        .arg(data)
        .args(extra)
        .env("BONAFIDE_LOG", "warn")
        .stderr(Stdio::piped())
        .spawn()
        .context("could not start the server")?;
    let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
    for line in lines.by_ref() {
        if let Some(rest) = line?.strip_prefix("serving on http://") {
            let address = rest.split_whitespace().next().unwrap_or_default().to_owned();
            std::thread::spawn(move || lines.for_each(drop));
            return Ok((Running(child), address));
        }
    }
    bail!("the server ended before it listened")
}

/// What a load gave.
#[derive(Clone, Copy, Default)]
struct Load {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    errors: usize,
}

/// Clients that each send one request after the other over kept connections.
fn load(
    address: &str,
    request: &(impl Fn(usize) -> Vec<u8> + Sync),
    clients: usize,
    seconds: f64,
    expect: &str,
) -> Load {
    let stop = AtomicBool::new(false);
    let times: Mutex<(Vec<f64>, usize)> = Mutex::default();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for client in 0..clients {
            let (stop, times) = (&stop, &times);
            scope.spawn(move || {
                let (mut own, mut errors, mut count) = (Vec::new(), 0, client << 32);
                let mut connection: Option<TcpStream> = None;
                while !stop.load(Ordering::Relaxed) {
                    let bytes = request(count);
                    count += 1;
                    let began = Instant::now();
                    match exchange(address, &mut connection, &bytes) {
                        Ok(status) if status.contains(expect) => {
                            own.push(began.elapsed().as_secs_f64() * 1e3)
                        }
                        _ => {
                            errors += 1;
                            connection = None;
                        }
                    }
                }
                if let Ok(mut all) = times.lock() {
                    all.0.extend(own);
                    all.1 += errors;
                }
            });
        }
        std::thread::sleep(Duration::from_secs_f64(seconds));
        stop.store(true, Ordering::Relaxed);
    });
    let took = started.elapsed().as_secs_f64();
    let (mut all, errors) = times.into_inner().unwrap_or_default();
    all.sort_by(f64::total_cmp);
    let at = |share: f64| {
        all.get(((all.len() as f64 * share) as usize).min(all.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    Load { per_second: all.len() as f64 / took, p50_ms: at(0.5), p99_ms: at(0.99), errors }
}

/// Sends one request and reads one answer; gives its status line.
fn exchange(address: &str, connection: &mut Option<TcpStream>, request: &[u8]) -> std::io::Result<String> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream
        }
    };
    stream.write_all(request)?;
    let mut buffer = Vec::with_capacity(1024);
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        let text = String::from_utf8_lossy(&buffer).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_ascii_lowercase();
        let length: usize = lower
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(0);
        if body.len() >= length {
            if !lower.contains("connection: close") {
                *connection = Some(stream);
            }
            return Ok(head.lines().next().unwrap_or_default().to_owned());
        }
    }
}

fn post(path: &str, host: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nx-api-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The age check, side by side.
fn age(bonafide: &Path, folder: &Path) -> anyhow::Result<Value> {
    let python = setup::python("flask", &["flask==3.1.3", "gunicorn"])?;
    let app = folder.join("original.py");
    fs_err::write(&app, ORIGINAL)?;
    let port = free_port()?;
    let original = format!("127.0.0.1:{port}");
    let _gunicorn = Running(
        Command::new(python)
            .args([
                "-m",
                "gunicorn",
                "--workers",
                "2",
                "--worker-class",
                "gthread",
                "--threads",
                "4",
                "--keep-alive",
                "60",
            ])
            .args(["--log-level", "error", "--bind", &original, "original:app"])
            .current_dir(folder)
            .spawn()?,
    );
    let data = folder.join("age");
    let (_server, ours) = start(bonafide, &data, &[])?;
    wait_for(&original)?;
    let body = r#"{"date_of_birth": "1990-05-07"}"#;
    let mut rows = Vec::new();
    eprintln!("\nage check, requests/s (median of {TURNS} turns of {TURN_S} s, taken in turn)");
    eprintln!(
        "{:>8}{:>12}{:>12}{:>8}{:>14}{:>14}",
        "clients", "original", "bonafide", "ratio", "original p99", "bonafide p99"
    );
    for clients in [1, 16, 64] {
        let (mut theirs, mut own, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut their_p99, mut own_p99) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let a = load(&original, &|_| post("/verify-age", &original, "", body), clients, TURN_S, " 200 ");
            let b = load(&ours, &|_| post("/verify-age", &ours, "", body), clients, TURN_S, " 200 ");
            if b.errors > 0 {
                bail!("{} requests failed on our side", b.errors);
            }
            theirs.push(a.per_second);
            own.push(b.per_second);
            ratios.push(b.per_second / a.per_second.max(1.0));
            their_p99.push(a.p99_ms);
            own_p99.push(b.p99_ms);
        }
        let row = [
            median(&mut theirs),
            median(&mut own),
            median(&mut ratios),
            median(&mut their_p99),
            median(&mut own_p99),
        ];
        let [a, b, ratio, a99, b99] = row;
        eprintln!("{clients:>8}{a:>12.0}{b:>12.0}{ratio:>8.1}{a99:>11.1} ms{b99:>11.1} ms");
        rows.push(json!({ "clients": clients, "original_per_s": a, "bonafide_per_s": b, "ratio": ratio, "original_p99_ms": a99, "bonafide_p99_ms": b99 }));
    }
    Ok(json!(rows))
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_for(address: &str) -> anyhow::Result<()> {
    for _ in 0..200 {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("nothing listens on {address}")
}

/// Makes a key; gives it with the default workflow.
fn key(bonafide: &Path, data: &Path, extra: &[&str]) -> anyhow::Result<(String, String)> {
    let text = shell::output(
        Command::new(bonafide).args(["key", "create", "--json", "--data"]).arg(data).args(extra),
    )?;
    let json: Value = serde_json::from_str(&text)?;
    let field = |name: &str| json[name].as_str().map(str::to_owned).context("key create lacks a field");
    Ok((field("api_key")?, field("workflow_id")?))
}

/// Durable creates of sessions, each with its event and audit row, on one engine.
fn creates(bonafide: &Path, data: &Path, engine: &str, extra: &[&str]) -> anyhow::Result<Value> {
    let (key, workflow) = key(bonafide, data, extra)?;
    let (_server, address) = start(bonafide, data, extra)?;
    let body = json!({ "workflow_id": workflow }).to_string();
    let mut rows = Vec::new();
    eprintln!("\ndurable session creates on {engine}");
    eprintln!("{:>8}{:>12}{:>12}{:>12}", "clients", "per second", "p50", "p99");
    for clients in [1, 16, 64] {
        let _ = load(&address, &|_| post("/v3/session/", &address, &key, &body), clients, 1.0, " 201 ");
        let load =
            load(&address, &|_| post("/v3/session/", &address, &key, &body), clients, TURN_S * 2.0, " 201 ");
        if load.errors > 0 {
            bail!("{} creates failed", load.errors);
        }
        eprintln!("{clients:>8}{:>12.0}{:>9.1} ms{:>9.1} ms", load.per_second, load.p50_ms, load.p99_ms);
        rows.push(json!({ "clients": clients, "per_s": load.per_second, "p50_ms": load.p50_ms, "p99_ms": load.p99_ms }));
    }
    Ok(json!(rows))
}

/// A PostgreSQL server of this benchmark's own.
struct Postgres {
    bin: PathBuf,
    data: PathBuf,
    url: String,
}

impl Postgres {
    fn start(folder: &Path) -> anyhow::Result<Option<Self>> {
        let bin = fs_err::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().join("bin"))
            .find(|bin| bin.join("initdb").exists());
        let Some(bin) = bin else { return Ok(None) };
        let home = folder.join("postgres");
        fs_err::create_dir_all(&home)?;
        let data = home.join("data");
        shell::run(Command::new("chmod").args(["-R", "a+rwX"]).arg(&home))?;
        if is_root() {
            shell::run(Command::new("chown").arg("-R").arg("postgres").arg(&home))?;
        }
        let port = free_port()?;
        shell::run(as_user(&bin.join("initdb")).args(["--auth=trust", "--username=bench", "-D"]).arg(&data))?;
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=120"
        );
        shell::run(
            as_user(&bin.join("pg_ctl"))
                .arg("-D")
                .arg(&data)
                .arg("-l")
                .arg(home.join("log"))
                .args(["-w", "-o", &options, "start"]),
        )?;
        Ok(Some(Self { bin, data, url: format!("postgres://bench@127.0.0.1:{port}/postgres") }))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = shell::run(as_user(&self.bin.join("pg_ctl")).arg("-D").arg(&self.data).args([
            "-m",
            "immediate",
            "stop",
        ]));
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.starts_with(b"0"))
}

/// PostgreSQL refuses to run as root.
fn as_user(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// Full checks (front, back, selfie) of specimen people through the command line: wall and CPU seconds.
fn full_check(bonafide: &Path, folder: &Path) -> anyhow::Result<Value> {
    let people = folder.join("people");
    for seed in 0..8 {
        shell::run(
            Command::new(bonafide)
                .args([
                    "specimen",
                    "id-card",
                    "--seed",
                    &seed.to_string(),
                    "--degrade",
                    "photo",
                    "--selfie",
                    "--out",
                ])
                .arg(people.join(seed.to_string())),
        )?;
    }
    let data = folder.join("full");
    let (key, _) = key(bonafide, &data, &[])?;
    let (server, address) = start(bonafide, &data, &[])?;
    let mut times = Vec::new();
    let cpu_before = cpu_seconds(server.0.id());
    let mut checks = 0.0;
    for round in 0..2 {
        for seed in 0..8 {
            let folder = people.join(seed.to_string());
            let took = session(&address, &key, &folder)?;
            // The first round warms the nets.
            if round == 1 {
                times.push(took);
            }
            checks += 1.0;
        }
    }
    let cpu = (cpu_seconds(server.0.id()) - cpu_before) / checks;
    let p50 = median(&mut times);
    let p95 = times.last().copied().unwrap_or(0.0);
    eprintln!(
        "\nfull check (front + back + selfie), n = {}: p50 {p50:.2} s, slowest {p95:.2} s, {cpu:.2} CPU seconds each",
        times.len()
    );
    Ok(json!({ "n": times.len(), "p50_s": p50, "slowest_s": p95, "cpu_s": cpu }))
}

/// Seconds of processor time that a process has used.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// One person from the submission to the decision, in seconds.
fn session(address: &str, key: &str, folder: &Path) -> anyhow::Result<f64> {
    let base = format!("http://{address}");
    let curl = |arguments: &[&str]| -> anyhow::Result<Value> {
        let text = shell_quiet(Command::new("curl").args(["-s", "--fail-with-body"]).args(arguments))?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    };
    let header = format!("x-api-key: {key}");
    let workflows = curl(&["-H", &header, &format!("{base}/v3/workflows/")])?;
    let workflow = workflows["results"][0]["workflow_id"].as_str().context("no workflow")?.to_owned();
    let body = json!({ "workflow_id": workflow }).to_string();
    let started = curl(&[
        "-H",
        &header,
        "-H",
        "content-type: application/json",
        "-d",
        &body,
        &format!("{base}/v3/session/"),
    ])?;
    let (id, link) =
        (started["session_id"].as_str().unwrap_or_default(), started["url"].as_str().unwrap_or_default());
    let json = "accept: application/json";
    curl(&["-H", json, "-d", "agree=true", &format!("{link}/consent")])?;
    for (side, file) in [("front", "front.jpg"), ("back", "back.jpg"), ("selfie", "selfie.jpg")] {
        let image = format!("image=@{}", folder.join(file).display());
        curl(&["-H", json, "-F", &image, &format!("{link}/capture/{side}")])?;
    }
    let began = Instant::now();
    curl(&["-H", json, "-d", "", &format!("{link}/submit")])?;
    loop {
        let decision = curl(&["-H", &header, &format!("{base}/v3/session/{id}/decision/")])?;
        if decision["status"] != "In Progress" {
            return Ok(began.elapsed().as_secs_f64());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn shell_quiet(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().context("could not start curl (Debian: apt-get install curl)")?;
    if !output.status.success() {
        bail!("curl ended with {}: {}", output.status, String::from_utf8_lossy(&output.stdout));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs all parts.
pub(crate) fn run(_data: &Path) -> anyhow::Result<Value> {
    let bonafide = setup::program()?;
    let folder = shell::target().join("bench/api-work");
    if folder.exists() {
        fs_err::remove_dir_all(&folder)?;
    }
    fs_err::create_dir_all(&folder)?;
    let age = age(&bonafide, &folder)?;
    let sqlite = creates(&bonafide, &folder.join("sqlite"), "SQLite", &[])?;
    let postgres = match Postgres::start(&folder)? {
        None => json!("skipped: no PostgreSQL"),
        Some(postgres) => {
            creates(&bonafide, &folder.join("pg"), "PostgreSQL", &["--database", &postgres.url])?
        }
    };
    let full = full_check(&bonafide, &folder)?;
    Ok(
        json!({ "age_check": age, "creates_sqlite": sqlite, "creates_postgresql": postgres, "full_check": full }),
    )
}
