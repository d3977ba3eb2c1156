//! `bench attack`: thousands of hostile files through every upload door of one running server, while an honest client is served.
//!
//! The files are mutations of genuine and hostile seeds, and kinds generated here, one
//! for each way we know to make a decoder take memory, time or its process. A seed decides
//! them all. A server that dies or hangs is restarted and the attack goes on, so that an
//! older binary can be measured by the same script (`--versus`). docs/measurements/attack.md
//! says what is reported.

mod dice;
mod doors;
mod flood;
mod http;
mod jbig2;
mod jp2;
mod jpeg;
mod kinds;
mod mutate;
mod pack;
mod pdf;
mod png;
mod seeds;
mod server;
mod tiff;
mod webp;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use self::{
    doors::{DOORS, Door, Gate},
    http::{Outcome, Request},
    kinds::{KINDS, Sample},
    seeds::{Format, Seed},
    server::{Honest, Memory, Place, Server, Starter},
};
use crate::{setup, shell};

/// An answer later than this breaks the rule.
const LATEST_MS: f64 = 2_000.0;

/// What the command line says.
struct Options {
    files: u64,
    seed: u64,
    attackers: usize,
    /// Through every door, or each through one in turn.
    every_door: bool,
    binary: Option<PathBuf>,
    versus: Option<PathBuf>,
    patience: Duration,
    limit_mib: u64,
    confirm: usize,
    flood: bool,
    only: Option<String>,
    allow_shut: bool,
}

const USAGE: &str = "\
options of `bench attack`:
  --files N         how many files [10000]
  --seed N          decides every file [1]
  --attackers N     how many send at once [2]
  --every-door      send each file through every door, not each through one in turn
  --only TEXT       only kinds whose name contains this
  --binary PATH     the server to attack [a release build of this tree]
  --versus PATH     another one, under the same script
  --patience S      seconds after which an answer is given up and the server restarted [10]
  --limit-mib N     end the server above this memory, so that the machine lives on [8192]
  --confirm N       send at most this many offending files again, each alone [60]
  --no-flood        leave the idle connections, slow headers and stalled relays out
  --allow-shut      doors that answer a genuine picture with 5xx (no model for age) are no failure";

impl Options {
    fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let mut options = Self {
            files: 10_000,
            seed: 1,
            attackers: 2,
            every_door: false,
            binary: None,
            versus: None,
            patience: Duration::from_secs(10),
            limit_mib: 8_192,
            confirm: 60,
            flood: true,
            only: None,
            allow_shut: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} takes a value"));
            match argument.as_str() {
                "--files" => options.files = value()?.parse()?,
                "--seed" => options.seed = value()?.parse()?,
                "--attackers" => options.attackers = value()?.parse::<usize>()?.max(1),
                "--every-door" => options.every_door = true,
                "--binary" => options.binary = Some(value()?.into()),
                "--versus" => options.versus = Some(value()?.into()),
                "--patience" => options.patience = Duration::from_secs(value()?.parse::<u64>()?.max(3)),
                "--limit-mib" => options.limit_mib = value()?.parse()?,
                "--confirm" => options.confirm = value()?.parse()?,
                "--no-flood" => options.flood = false,
                "--allow-shut" => options.allow_shut = true,
                "--only" => options.only = Some(value()?.clone()),
                other => bail!("unknown argument {other}\n{USAGE}"),
            }
        }
        Ok(options)
    }
}

/// Runs with the defaults.
pub(super) fn with_defaults(data: &Path) -> anyhow::Result<Value> {
    run(data, &[])
}

/// Attacks, and reports. The figures hold `broken`: what [`verdict`] fails on.
pub(super) fn run(data: &Path, arguments: &[String]) -> anyhow::Result<Value> {
    let options = Options::read(arguments)?;
    let binary = match &options.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => setup::program()?,
    };
    let mut servers = vec![("this", binary)];
    if let Some(versus) = &options.versus {
        servers.push(("versus", std::path::absolute(versus)?));
    }
    let mut figures = serde_json::Map::new();
    let mut broken = Vec::new();
    for (label, binary) in servers {
        shell::step(&format!("Attacking {} ({label})", binary.display()));
        let result = attack(&binary, label, data, &options)?;
        if label == "this" {
            broken = broken_rules(&result, options.allow_shut);
        }
        figures.insert(label.to_owned(), result);
    }
    figures.insert("broken".to_owned(), json!(broken));
    let figures = Value::Object(figures);
    print_table(&figures);
    Ok(figures)
}

/// Fails when the attacked server broke a rule.
pub(super) fn verdict(figures: &Value) -> anyhow::Result<()> {
    let broken: Vec<&str> =
        figures["broken"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !broken.is_empty() {
        bail!("the attacked server broke its rules: {}", broken.join("; "));
    }
    Ok(())
}

/// The rules that a result breaks, in words.
fn broken_rules(result: &Value, allow_shut: bool) -> Vec<String> {
    let mut broken = Vec::new();
    let mut rule = |count: &Value, text: &str| {
        // A figure that is missing breaks the rule as well.
        if count.as_u64() != Some(0) {
            broken.push(format!("{count} {text}"));
        }
    };
    rule(&result["deaths"], "deaths");
    rule(&result["restarts_after_silence"], "restarts after silence");
    rule(&result["answers_5xx"], "answers of 5xx");
    rule(&result["answers_over_2s"], "answers over 2 s");
    rule(&result["lost"], "files without an answer");
    rule(&result["left_processes"], "processes left behind");
    rule(&result["stops_that_failed"], "servers that could not be stopped in good order");
    for complaint in result["unknown_doors"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        broken.push(complaint.to_owned());
    }
    for (door, answer) in result["shut_doors"].as_object().into_iter().flatten().filter(|_| !allow_shut) {
        broken.push(format!("{door} is shut: {answer} to a genuine picture (--allow-shut lets it pass)"));
    }
    if result["flood"]["broken"] == true {
        broken.push(
            "idle, slow or stalled connections kept others from being served, or memory grew over 64 MiB"
                .into(),
        );
    }
    broken
}

/// One file through one door.
#[derive(Debug, Clone)]
struct Offence {
    number: u64,
    kind: String,
    from: String,
    door: &'static str,
    what: String,
    ms: f64,
}

#[derive(Default)]
struct Tally {
    statuses: BTreeMap<String, u64>,
    by_format: BTreeMap<&'static str, BTreeMap<String, u64>>,
    by_door: BTreeMap<&'static str, BTreeMap<String, u64>>,
    times: Vec<f64>,
    answers_5xx: u64,
    over: u64,
    lost: u64,
    offences: Vec<Offence>,
    slowest: Option<Offence>,
}

/// The running server, and what became of those before it.
struct Stage {
    starter: Starter,
    server: Option<Server>,
    deaths: Vec<Value>,
    silences: u64,
    memory: Memory,
    left: Vec<u32>,
    /// What each attacker has under way.
    under_way: Vec<Option<(u64, &'static str)>>,
    /// Set when a server cannot be started any more.
    failed: Option<String>,
}

impl Stage {
    fn account(&mut self, memory: Memory, left: Vec<u32>) {
        self.memory.server = self.memory.server.max(memory.server);
        self.memory.all = self.memory.all.max(memory.all);
        self.memory.children = self.memory.children.max(memory.children);
        self.left.extend(left);
    }

    /// Starts the next server.
    fn restart(&mut self, place: &Place) {
        match self.starter.start() {
            Ok(server) => {
                place.moved(server.address);
                self.server = Some(server);
            }
            Err(error) => self.failed = Some(format!("{error:#}")),
        }
    }

    /// Looks whether the server died; if so, notes who was there and starts another.
    fn after_break(&mut self, place: &Place) -> bool {
        let Some(server) = &mut self.server else { return false };
        // The connection breaks a little before the process is gone.
        let until = Instant::now() + Duration::from_millis(1_500);
        let mut how = server.ended();
        while how.is_none() && Instant::now() < until {
            if Request::get("/healthz").send(server.address, Duration::from_millis(300)).status() == 200 {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
            how = server.ended();
        }
        let Some(how) = how else { return false };
        let end = server.finish(&how);
        let suspects: Vec<Value> = self
            .under_way
            .iter()
            .flatten()
            .map(|(number, door)| json!({ "number": number, "door": door }))
            .collect();
        self.deaths.push(json!({ "how": end.how, "memory": end.memory.all, "suspects": suspects }));
        self.account(end.memory, end.left);
        self.server = None;
        self.restart(place);
        true
    }

    /// Ends a server that keeps a request waiting, so that the next files meet an idle one.
    fn after_silence(&mut self, place: &Place, generation: u64) {
        if place.generation() != generation {
            return;
        }
        if let Some(server) = self.server.take() {
            self.silences += 1;
            let end = server.kill();
            self.account(end.memory, end.left);
        }
        self.restart(place);
    }
}

/// The door of a file: kinds meet doors in turn, so that every kind meets every door.
fn door_of(number: u64) -> usize {
    let (turn, kinds) = if number % 3 == 2 {
        ((number / 3) as usize, Format::ALL.len())
    } else {
        ((number / 3 * 2 + number % 3) as usize, KINDS.len())
    };
    (turn / kinds + turn % kinds) % DOORS.len()
}

/// Attacks one binary.
fn attack(binary: &Path, label: &str, data: &Path, options: &Options) -> anyhow::Result<Value> {
    let kept = shell::target().join("bench/attack").join(label);
    server::fresh(&kept)?;
    let work = std::env::temp_dir().join(format!("bonafide-attack-{}-{label}", std::process::id()));
    server::fresh(&work)?;
    let result = attack_in(binary, &work, &kept, data, options);
    // Pictures of people that do not exist; still, nothing stays behind.
    let _ = fs_err::remove_dir_all(&work);
    result
}

fn attack_in(
    binary: &Path,
    work: &Path,
    kept: &Path,
    data: &Path,
    options: &Options,
) -> anyhow::Result<Value> {
    let openapi: Value =
        serde_json::from_str(&shell::output(std::process::Command::new(binary).arg("openapi"))?)?;
    let mut unknown = doors::unknown(&openapi);
    let (seeds, genuine) = seeds::load(binary, data, work)?;
    let signed = fs_err::read(data.join("emrtd/sod/0b68d17835c7.efsod"))
        .context("no signed object in the test data")?;
    let starter = Starter {
        binary: binary.to_owned(),
        data: work.join("data"),
        limit: options.limit_mib << 20,
        log: kept.join("server.log"),
    };
    let access = doors::key(binary, &starter.data)?;
    let server = starter.start()?;
    let place = Place::new(server.address);
    let gate = Gate::open(server.address, access, genuine, signed)?;
    unknown.extend(gate.unknown_captures(server.address)?);

    shell::step("An honest client on an idle server");
    // The first pictures load the nets.
    for _ in 0..3 {
        let warm = gate.honest().send(place.address(), Duration::from_secs(60));
        if warm.status() != 200 {
            bail!("the honest picture was answered with {}: {}", warm.name(), warm.json());
        }
    }
    let genuine = gate.genuine(place.address());
    let shut: BTreeMap<&str, String> = genuine
        .iter()
        .filter(|(_, outcome)| outcome.status() >= 500 || outcome.status() == 0)
        .map(|(door, outcome)| (*door, format!("{} {}", outcome.name(), outcome.json())))
        .collect();
    for (door, answer) in &shut {
        eprintln!("    shut: {door}: {answer}");
    }
    let both = |seconds: u64| {
        let pictures = Honest::start(&place, gate.honest(), Duration::from_millis(500));
        let health = Honest::start(&place, Request::get("/healthz"), Duration::from_millis(50));
        std::thread::sleep(Duration::from_secs(seconds));
        (pictures.end(), health.end())
    };
    let (idle_pictures, idle_health) = both(15);
    let idle_memory = server.resident();

    shell::step(&format!(
        "{} files from seed {}, {} attackers",
        options.files, options.seed, options.attackers
    ));
    let stage = Mutex::new(Stage {
        starter,
        server: Some(server),
        deaths: Vec::new(),
        silences: 0,
        memory: Memory::default(),
        left: Vec::new(),
        under_way: vec![None; options.attackers],
        failed: None,
    });
    let tally = Mutex::new(Tally::default());
    let began = Instant::now();
    let pictures = Honest::start(&place, gate.honest(), Duration::from_millis(500));
    let health = Honest::start(&place, Request::get("/healthz"), Duration::from_millis(50));
    let (next, sent) = (AtomicU64::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for attacker in 0..options.attackers {
            let (stage, tally, place, gate, seeds, shut) = (&stage, &tally, &place, &gate, &seeds, &shut);
            let (next, sent) = (&next, &sent);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= options.files {
                        break;
                    }
                    let sample = kinds::sample(options.seed, number, seeds);
                    if options.only.as_ref().is_some_and(|only| !sample.kind.contains(only.as_str())) {
                        continue;
                    }
                    let doors = if options.every_door {
                        0..DOORS.len()
                    } else {
                        door_of(number)..door_of(number) + 1
                    };
                    for door in &DOORS[doors] {
                        if locked(stage).failed.is_some() {
                            return;
                        }
                        let may_be_5xx = shut.contains_key(door.name);
                        one(
                            attacker,
                            number,
                            &sample,
                            door,
                            may_be_5xx,
                            stage,
                            tally,
                            place,
                            gate,
                            options.patience,
                        );
                    }
                    let count = sent.fetch_add(1, Ordering::Relaxed) + 1;
                    if count.is_multiple_of(250) {
                        eprintln!(
                            "    {count} files, {} deaths, {:.0} s",
                            locked(stage).deaths.len(),
                            began.elapsed().as_secs_f64()
                        );
                    }
                }
            });
        }
    });
    let took = began.elapsed().as_secs_f64();
    let (pictures, health) = (pictures.end(), health.end());
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut stage = stage.into_inner().unwrap_or_else(PoisonError::into_inner);

    keep(kept, &tally, options, &seeds)?;
    // What the attack itself took, before anything is sent again.
    if let Some(server) = &stage.server {
        let memory = server.memory();
        stage.account(memory, Vec::new());
    }
    let peak = stage.memory;
    shell::step("Offending files once more, each alone");
    let confirmed = confirm(&mut stage, &place, &gate, &tally, &seeds, options)?;

    let mut flood_figures = Value::Null;
    let mut stops = Vec::new();
    if let Some(mut server) = stage.server.take() {
        let end = match server.ended() {
            Some(how) => server.finish(&how),
            None => server.stop(),
        };
        stops.push(end.how);
        stage.left.extend(end.left);
    }
    if options.flood {
        shell::step("1,050 idle connections, 200 slow headers, 100 stalled relays");
        let mut server = stage.starter.start()?;
        for _ in 0..3 {
            let _ = gate.honest().send(server.address, Duration::from_secs(60));
        }
        flood_figures = flood::run(&mut server, &gate.honest())?;
        let end = server.stop();
        stops.push(end.how);
        stage.left.extend(end.left);
    }

    tally.times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let times = &tally.times;
        times
            .get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    Ok(json!({
        "binary_bytes": fs_err::metadata(binary)?.len(),
        "seed": options.seed, "files": options.files, "files_sent": sent.into_inner(), "attackers": options.attackers,
        "every_door": options.every_door, "kinds": KINDS.len(), "seeds": seeds.len(), "doors": DOORS.len(), "seconds": took,
        "server_could_not_start_again": stage.failed,
        "deaths": stage.deaths.len(), "each_death": stage.deaths, "restarts_after_silence": stage.silences,
        "answers": tally.times.len(), "answers_by_status": tally.statuses,
        "answers_by_format": tally.by_format, "answers_by_door": tally.by_door,
        "answers_5xx": tally.answers_5xx, "answers_over_2s": tally.over, "lost": tally.lost,
        "answer_p50_ms": at(0.5), "answer_p99_ms": at(0.99), "slowest": tally.slowest.as_ref().map(shown),
        "offences": tally.offences.iter().map(shown).collect::<Vec<_>>(),
        "offences_alone": confirmed,
        "unknown_doors": unknown, "shut_doors": shut,
        "genuine_by_door": genuine.iter().map(|(door, outcome)| (*door, outcome.name())).collect::<BTreeMap<_, _>>(),
        "idle_memory": { "server": idle_memory.0, "all": idle_memory.1 },
        "peak_memory": { "server": peak.server, "all": peak.all, "most_children": peak.children },
        "left_processes": stage.left.len(),
        "stops_that_failed": stops.iter().filter(|how| *how != "stopped").count(), "stops": stops,
        "honest_idle": { "picture": idle_pictures.json(), "health": idle_health.json() },
        "honest_attacked": { "picture": pictures.json(), "health": health.json() },
        "flood": flood_figures,
    }))
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shown(offence: &Offence) -> Value {
    json!({
        "number": offence.number, "kind": offence.kind, "from": offence.from, "door": offence.door,
        "what": offence.what, "ms": offence.ms.round(),
    })
}

/// Sends one file through one door and writes down what became of it.
#[expect(clippy::too_many_arguments, reason = "one call site; a struct would only repeat the names")]
fn one(
    attacker: usize,
    number: u64,
    sample: &Sample,
    door: &'static Door,
    may_be_5xx: bool,
    stage: &Mutex<Stage>,
    tally: &Mutex<Tally>,
    place: &Arc<Place>,
    gate: &Gate,
    patience: Duration,
) {
    locked(stage).under_way[attacker] = Some((number, door.name));
    let generation = place.generation();
    let (outcome, ms) = gate.send(place.address(), door, &sample.bytes, number, patience);
    let mut what = None;
    match &outcome {
        Outcome::Answered(status, _) => {
            if *status >= 500 && !may_be_5xx {
                what = Some(format!("answer {status}"));
            } else if ms > LATEST_MS {
                what = Some("over 2 s".to_owned());
            }
        }
        Outcome::Broken => {
            let mut stage = locked(stage);
            let died = place.generation() == generation && stage.after_break(place);
            let restarted = place.generation() != generation;
            let text = if died {
                "server died"
            } else if restarted {
                "lost with the server"
            } else {
                "connection broken"
            };
            what = Some(text.to_owned());
        }
        Outcome::Silent => {
            locked(stage).after_silence(place, generation);
            what = Some(format!("silent for {} s", patience.as_secs()));
        }
    }
    locked(stage).under_way[attacker] = None;
    let mut tally = locked(tally);
    let name = outcome.name();
    *tally.statuses.entry(name.clone()).or_default() += 1;
    *tally.by_format.entry(Format::of(&sample.bytes).name()).or_default().entry(name.clone()).or_default() +=
        1;
    *tally.by_door.entry(door.name).or_default().entry(name).or_default() += 1;
    if let Outcome::Answered(status, _) = &outcome {
        tally.times.push(ms);
        tally.answers_5xx += u64::from(*status >= 500 && !may_be_5xx);
        tally.over += u64::from(ms > LATEST_MS);
    } else {
        tally.lost += 1;
        tally.over += u64::from(outcome == Outcome::Silent);
    }
    let offence = Offence {
        number,
        kind: sample.kind.clone(),
        from: sample.from.clone(),
        door: door.name,
        what: what.clone().unwrap_or_default(),
        ms,
    };
    if tally.slowest.as_ref().is_none_or(|slowest| slowest.ms < ms) {
        tally.slowest = Some(offence.clone());
    }
    if what.is_some() {
        tally.offences.push(offence);
    }
}

/// Keeps the file of every offence, and the slowest.
fn keep(folder: &Path, tally: &Tally, options: &Options, seeds: &[Seed]) -> anyhow::Result<()> {
    for offence in tally.offences.iter().chain(&tally.slowest) {
        let sample = kinds::sample(options.seed, offence.number, seeds);
        let extension = Format::of(&sample.bytes).name();
        fs_err::write(
            folder.join(format!("{}-{}.{extension}", offence.number, offence.kind)),
            &sample.bytes,
        )?;
    }
    Ok(())
}

/// Sends each offending file again to a server that does nothing else: whose fault was it?
fn confirm(
    stage: &mut Stage,
    place: &Arc<Place>,
    gate: &Gate,
    tally: &Tally,
    seeds: &[Seed],
    options: &Options,
) -> anyhow::Result<Vec<Value>> {
    let (deaths, silences) = (stage.deaths.len(), stage.silences);
    let mut seen = std::collections::BTreeSet::new();
    let mut confirmed = Vec::new();
    for offence in &tally.offences {
        if !seen.insert((offence.number, offence.door))
            || confirmed.len() >= options.confirm
            || stage.failed.is_some()
        {
            continue;
        }
        let Some(door) = DOORS.iter().find(|door| door.name == offence.door) else { continue };
        let sample = kinds::sample(options.seed, offence.number, seeds);
        let before = stage.server.as_ref().map(Server::resident).unwrap_or_default();
        let generation = place.generation();
        let (outcome, ms) = gate.send(place.address(), door, &sample.bytes, offence.number, options.patience);
        let after = stage.server.as_ref().map(Server::memory).unwrap_or_default();
        let alone = match outcome {
            Outcome::Answered(status, _) if status < 500 && ms <= LATEST_MS => format!("answer {status}"),
            Outcome::Answered(status, _) if status >= 500 => format!("answer {status}"),
            Outcome::Answered(..) => "over 2 s".to_owned(),
            Outcome::Broken if stage.after_break(place) => "server died".to_owned(),
            Outcome::Broken => "connection broken".to_owned(),
            Outcome::Silent => {
                stage.after_silence(place, generation);
                format!("silent for {} s", options.patience.as_secs())
            }
        };
        let mut row = shown(offence);
        row["alone"] = json!(alone);
        row["alone_ms"] = json!(ms.round());
        row["memory_before"] = json!(before.1);
        row["peak_memory_so_far"] = json!(after.all);
        row["bytes"] = json!(sample.bytes.len());
        confirmed.push(row);
    }
    // What the confirmation did counts for itself, not for the attack.
    stage.deaths.truncate(deaths);
    stage.silences = silences;
    Ok(confirmed)
}

fn print_table(figures: &Value) {
    let labels: Vec<&str> =
        ["this", "versus"].into_iter().filter(|label| figures[*label].is_object()).collect();
    let mebibytes = |value: &Value| {
        value.as_f64().map_or("-".to_owned(), |bytes| format!("{:.0} MiB", bytes / 1_048_576.0))
    };
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::Number(number) if number.is_f64() => format!("{:.1}", number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    };
    let times = |value: &Value| format!("{} / {} ms", text(&value["p50_ms"]), text(&value["p99_ms"]));
    type Cell<'a> = Box<dyn Fn(&Value) -> String + 'a>;
    let rows: Vec<(&str, Cell<'_>)> = vec![
        ("files sent", Box::new(|r| text(&r["files_sent"]))),
        ("seconds", Box::new(|r| text(&r["seconds"]))),
        ("deaths of the server", Box::new(|r| text(&r["deaths"]))),
        ("restarts after silence", Box::new(|r| text(&r["restarts_after_silence"]))),
        ("answers of 5xx", Box::new(|r| text(&r["answers_5xx"]))),
        ("answers over 2 s", Box::new(|r| text(&r["answers_over_2s"]))),
        ("files without an answer", Box::new(|r| text(&r["lost"]))),
        (
            "answers: p50 / p99",
            Box::new(|r| format!("{} / {} ms", text(&r["answer_p50_ms"]), text(&r["answer_p99_ms"]))),
        ),
        ("slowest answer", Box::new(|r| format!("{} ms", text(&r["slowest"]["ms"])))),
        ("idle memory, with children", Box::new(|r| mebibytes(&r["idle_memory"]["all"]))),
        ("peak memory of the server", Box::new(|r| mebibytes(&r["peak_memory"]["server"]))),
        ("peak memory with children", Box::new(|r| mebibytes(&r["peak_memory"]["all"]))),
        ("processes left behind", Box::new(|r| text(&r["left_processes"]))),
        ("honest picture, idle: p50 / p99", Box::new(|r| times(&r["honest_idle"]["picture"]))),
        ("honest picture, attacked: p50 / p99", Box::new(|r| times(&r["honest_attacked"]["picture"]))),
        ("honest pictures failed", Box::new(|r| text(&r["honest_attacked"]["picture"]["failed"]))),
        ("health, idle: p50 / p99", Box::new(|r| times(&r["honest_idle"]["health"]))),
        ("health, attacked: p50 / p99", Box::new(|r| times(&r["honest_attacked"]["health"]))),
        ("health checks failed", Box::new(|r| text(&r["honest_attacked"]["health"]["failed"]))),
        ("crowd: memory growth", Box::new(|r| mebibytes(&r["flood"]["memory_growth"]))),
        ("crowd: picture p50 / p99", Box::new(|r| times(&r["flood"]["with"]["picture"]))),
        ("crowd: health p50 / p99", Box::new(|r| times(&r["flood"]["with"]["health"]))),
        ("crowd: health checks failed", Box::new(|r| text(&r["flood"]["with"]["health"]["failed"]))),
    ];
    println!("\n| | {} |", labels.join(" | "));
    println!("|---|{}", "---|".repeat(labels.len()));
    for (name, cell) in rows {
        let cells: Vec<String> = labels.iter().map(|label| cell(&figures[*label])).collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
    for label in labels {
        println!("\nanswers of {label} by status: {}", figures[label]["answers_by_status"]);
    }
    for line in figures["broken"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        println!("broken: {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generated_kind_meets_every_door_within_ten_thousand_files() {
        let mut met = std::collections::BTreeSet::new();
        for number in (0..10_000).filter(|number| number % 3 != 2) {
            let turn = (number / 3 * 2 + number % 3) as usize;
            met.insert((turn % KINDS.len(), door_of(number)));
        }
        assert_eq!(met.len(), KINDS.len() * DOORS.len());
    }

    #[test]
    fn a_missing_figure_breaks_the_rule_as_a_bad_one_does() {
        let good = json!({
            "deaths": 0, "restarts_after_silence": 0, "answers_5xx": 0, "answers_over_2s": 0, "lost": 0,
            "left_processes": 0, "stops_that_failed": 0, "unknown_doors": [], "flood": { "broken": false },
        });
        assert!(broken_rules(&good, false).is_empty());
        assert_eq!(broken_rules(&json!({}), false).len(), 7);
        for (name, value) in [
            ("deaths", json!(1)),
            ("lost", json!(2)),
            ("unknown_doors", json!(["x"])),
            ("shut_doors", json!({ "a": "503" })),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            assert_eq!(broken_rules(&bad, false).len(), 1, "{name}");
        }
        assert!(verdict(&json!({ "broken": [] })).is_ok());
        assert!(verdict(&json!({ "broken": ["1 deaths"] })).is_err());
    }

    #[test]
    fn options_that_are_unknown_or_lack_a_value_are_refused() {
        let read =
            |words: &[&str]| Options::read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            read(&["--files", "5", "--every-door"]).map(|o| (o.files, o.every_door)).unwrap(),
            (5, true)
        );
        for bad in [&["--file", "5"][..], &["--files"], &["--seed", "x"]] {
            assert!(read(bad).is_err());
        }
    }
}
