//! `bonafide aml`: indexes watch-lists, screens against them, and keeps their versions.

mod bundle;
mod sync;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use aml::import::Format;
use aml::lists::{ListStore, diff, index_lists};
use aml::{DateRange, Profile, Query, Schema, Screener, compare_entries, country_code};
use anyhow::{Context, bail};

/// Indexes watch-lists, screens against them, and keeps their versions.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Build an index from list files.
    Index {
        /// A list: its format and its file or folder.
        #[arg(long = "list", value_name = "FORMAT=PATH", required = true)]
        lists: Vec<String>,
        /// Folder for the index.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Screen every row of a CSV file (qid, schema, query_name, dob, country).
    Screen {
        #[command(flatten)]
        place: Place,
        /// Queries.
        #[arg(long, value_name = "CSV")]
        queries: PathBuf,
        /// Hits (qid, rank, entity_id, score).
        #[arg(long, value_name = "CSV")]
        out: PathBuf,
        /// Most hits of one query.
        #[arg(long, default_value_t = 10)]
        limit: usize,
        /// Leave dates and countries out.
        #[arg(long)]
        name_only: bool,
        /// Rules: default, didit, ofac or strict.
        #[arg(long, default_value = "default")]
        profile: String,
        /// Least score that is written.
        #[arg(long, default_value_t = 0.0)]
        threshold: f32,
        /// Also write one JSON object a query, with the explanation of each hit.
        #[arg(long, value_name = "NDJSON")]
        explain: Option<PathBuf>,
    },
    /// Score pairs of names of a CSV file; the output has the same columns and `score`.
    Compare {
        /// Pairs.
        #[arg(long, value_name = "CSV")]
        pairs: PathBuf,
        /// The same rows with a score.
        #[arg(long, value_name = "CSV")]
        out: PathBuf,
        /// Rules: default, didit, ofac or strict.
        #[arg(long, default_value = "default")]
        profile: String,
    },
    /// Take a new version of a list into a data folder and rebuild its index.
    Import {
        /// Folder that keeps the lists.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// A list: its format and its file or folder.
        #[arg(long = "list", value_name = "FORMAT=PATH", required = true)]
        lists: Vec<String>,
        /// Keep the list under this name instead of its publisher's.
        #[arg(long)]
        name: Option<String>,
        /// Take it even if it lost more entries than is allowed.
        #[arg(long)]
        force: bool,
    },
    /// Fetch the lists from their publishers into a data folder and rebuild its index. A source that fails leaves its
    /// last good version in use and makes the exit status 1; a stale list makes it 3.
    Sync {
        /// Folder that keeps the lists.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Data file of sources [default: OFAC, UN, EU and UK at their publishers].
        #[arg(long, value_name = "TOML")]
        sources: Option<PathBuf>,
        /// Only these lists.
        #[arg(long = "list", value_name = "NAME")]
        lists: Vec<String>,
        /// Days after which a list is stale.
        #[arg(long, default_value_t = 3)]
        stale_days: u64,
        #[command(flatten)]
        egress: super::fetch::EgressArgs,
    },
    /// Carry lists to a machine without a network, signed.
    Bundle {
        #[command(subcommand)]
        command: BundleCommand,
    },
    /// Show the lists of a data folder, their age and versions.
    Lists {
        /// Folder that keeps the lists.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Print JSON on standard output.
        #[arg(long)]
        json: bool,
        /// Days after which a list is stale; a stale list makes the exit status 3.
        #[arg(long, default_value_t = 3)]
        stale_days: u64,
    },
    /// Show what changed between two versions of a list, one JSON object a line.
    Diff {
        /// Folder that keeps the lists.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Name of the list.
        #[arg(long)]
        list: String,
        /// Older version [default: the one before the version in use].
        #[arg(long)]
        from: Option<String>,
        /// Newer version [default: the one in use].
        #[arg(long)]
        to: Option<String>,
    },
}

#[derive(clap::Subcommand)]
enum BundleCommand {
    /// Make a signing key; prints the public key that importers need.
    Key {
        /// Where the private key is written.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign the lists of a data folder into one file.
    Create {
        /// Folder that keeps the lists.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Private key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The bundle.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take the lists of a bundle and rebuild the index.
    Import {
        /// The bundle.
        #[arg(long, value_name = "FILE")]
        bundle: PathBuf,
        /// Public key of whoever signed it, in hex.
        #[arg(long, value_name = "HEX")]
        public_key: String,
        /// Folder that keeps the lists.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Take it even if a list lost more entries than is allowed, or a newer bundle was taken.
        #[arg(long)]
        force: bool,
    },
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// Folder of an index.
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
    /// Folder that keeps the lists; its index is used.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Place {
    fn dir(&self) -> PathBuf {
        match (&self.index, &self.data) {
            (Some(index), _) => index.clone(),
            (None, Some(data)) => data.join("index"),
            (None, None) => PathBuf::new(),
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Index { lists, out } => {
            let lists = lists.iter().map(|l| parse_list(l)).collect::<anyhow::Result<Vec<_>>>()?;
            let start = std::time::Instant::now();
            let manifest = index_lists(&lists, out, now())?;
            for list in &manifest.lists {
                eprintln!(
                    "{}: {} entities, {} names, {} skipped",
                    list.list, list.entities, list.names, list.skipped
                );
            }
            eprintln!("indexed in {:.2} s", start.elapsed().as_secs_f64());
            Ok(ExitCode::SUCCESS)
        }
        Command::Screen { place, queries, out, limit, name_only, profile, threshold, explain } => {
            let mut profile = named(profile)?;
            profile.limit = (*limit).clamp(1, 500);
            profile.threshold = *threshold;
            profile.name_only = *name_only;
            screen(&place.dir(), queries, out, &profile, explain.as_deref())
        }
        Command::Compare { pairs, out, profile } => compare(pairs, out, &named(profile)?),
        Command::Import { data, lists, name, force } => import(data, lists, name.as_deref(), *force),
        Command::Sync { data, sources, lists, stale_days, egress } => {
            fetch(data, sources.as_deref(), lists, *stale_days, &egress.allow)
        }
        Command::Bundle { command } => carry(command),
        Command::Lists { data, json, stale_days } => show_lists(data, *json, *stale_days),
        Command::Diff { data, list, from, to } => show_diff(data, list, from.as_deref(), to.as_deref()),
    }
}

fn named(profile: &str) -> anyhow::Result<Profile> {
    Profile::named(profile)
        .with_context(|| format!("no profile {profile}; there are default, didit, ofac and strict"))
}

fn parse_list(text: &str) -> anyhow::Result<(Format, PathBuf)> {
    let (format, path) = text.split_once('=').context("a list is given as FORMAT=PATH")?;
    let known = || Format::ALL.map(Format::name).join(", ");
    Ok((
        Format::parse(format).with_context(|| format!("no format {format}; there are {}", known()))?,
        path.into(),
    ))
}

/// Seconds since 1970.
fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the command is the edge where the clock comes in")]
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Time this thread spent on a core: queries share the machine with others.
fn core_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A CSV file read by the names of its columns.
struct Table {
    reader: csv::Reader<fs_err::File>,
    headers: csv::StringRecord,
}

impl Table {
    fn open(path: &Path, required: &[&str]) -> anyhow::Result<Self> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(fs_err::File::open(path)?);
        let headers = reader.headers().with_context(|| format!("reading {}", path.display()))?.clone();
        for column in required {
            if !headers.iter().any(|h| h.trim_start_matches('\u{feff}') == *column) {
                bail!("{} has no column {column}", path.display());
            }
        }
        Ok(Self { reader, headers })
    }

    fn column(&self, name: &str) -> usize {
        self.headers.iter().position(|h| h.trim_start_matches('\u{feff}') == name).unwrap_or(usize::MAX)
    }
}

fn query(schema: &str, name: &str, birth: &str, country: &str) -> Query {
    Query {
        names: vec![name.to_owned()],
        schema: Schema::parse(schema),
        births: DateRange::parse(birth).into_iter().collect(),
        countries: country.split([';', ' ', ',']).filter_map(country_code).map(str::to_owned).collect(),
        ..Query::default()
    }
}

fn screen(
    index: &Path,
    queries: &Path,
    out: &Path,
    profile: &Profile,
    explain: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let screener = Screener::open(index)?;
    let mut table = Table::open(queries, &["qid", "query_name"])?;
    let [qid, schema, name, dob, country] =
        ["qid", "schema", "query_name", "dob", "country"].map(|c| table.column(c));
    let mut writer = csv::Writer::from_writer(fs_err::File::create(out)?);
    writer.write_record(["qid", "rank", "entity_id", "score"])?;
    let mut explanations =
        explain.map(|path| fs_err::File::create(path).map(std::io::BufWriter::new)).transpose()?;
    let mut times: Vec<Duration> = Vec::new();
    for row in table.reader.records() {
        let row = row?;
        let get = |i: usize| row.get(i).unwrap_or_default();
        let query = query(get(schema), get(name), get(dob), get(country));
        let start = core_time();
        let ranked = screener.rank(&query, profile);
        times.push(core_time().saturating_sub(start));
        for (rank, hit) in (1..).zip(ranked.iter().take(profile.limit)) {
            writer.write_record([
                get(qid),
                &i32::to_string(&rank),
                &hit.key,
                &format!("{:.6}", hit.score),
            ])?;
        }
        if let Some(file) = &mut explanations {
            serde_json::to_writer(&mut *file, &serde_json::json!({"qid": get(qid), "hits": ranked}))?;
            file.write_all(b"\n")?;
        }
    }
    writer.flush()?;
    times.sort_unstable();
    let at = |share: f64| {
        times
            .get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    let total: Duration = times.iter().sum();
    eprintln!(
        "{} queries, {:.0} queries/s of one core (CPU time), p50 {:.3} ms, p99 {:.3} ms",
        times.len(),
        times.len() as f64 / total.as_secs_f64().max(1e-9),
        at(0.5).as_secs_f64() * 1e3,
        at(0.99).as_secs_f64() * 1e3,
    );
    Ok(ExitCode::SUCCESS)
}

fn compare(pairs: &Path, out: &Path, profile: &Profile) -> anyhow::Result<ExitCode> {
    let mut table = Table::open(pairs, &["query_name", "candidate_name"])?;
    let columns = [
        "schema",
        "query_name",
        "query_dob",
        "query_country",
        "candidate_name",
        "candidate_dob",
        "candidate_country",
    ];
    let [schema, q, qd, qc, c, cd, cc] = columns.map(|c| table.column(c));
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(fs_err::File::create(out)?);
    let mut headers = table.headers.clone();
    headers.push_field("score");
    writer.write_record(&headers)?;
    for row in table.reader.records() {
        let mut row = row?;
        let get = |i: usize| row.get(i).unwrap_or_default();
        let own = query(get(schema), get(q), get(qd), get(qc));
        let other = query(get(schema), get(c), get(cd), get(cc));
        let score = compare_entries(&own, &other, profile);
        row.push_field(&format!("{score:.6}"));
        writer.write_record(&row)?;
    }
    writer.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn import(data: &Path, lists: &[String], name: Option<&str>, force: bool) -> anyhow::Result<ExitCode> {
    let store = ListStore::new(data);
    for list in lists {
        let (format, path) = parse_list(list)?;
        let name = name.unwrap_or(format.prefix());
        let (version, changes) = store
            .import(name, format, &path, now(), force)
            .with_context(|| format!("list {name} stays at its last good version"))?;
        let material = changes.iter().filter(|c| c.material).count();
        super::print_json(
            &serde_json::json!({"version": version, "changes": changes.len(), "material_changes": material}),
        )?;
    }
    store.build(&data.join("index"))?;
    Ok(ExitCode::SUCCESS)
}

fn fetch(
    data: &Path,
    sources: Option<&Path>,
    only: &[String],
    stale_days: u64,
    allowed: &[egress::Entry],
) -> anyhow::Result<ExitCode> {
    let outcomes = sync::Sources::read(sources)?.sync(data, only, now(), allowed)?;
    for (list, outcome) in &outcomes {
        super::print_json(&serde_json::json!({"list": list, "result": outcome}))?;
    }
    let mut store = ListStore::new(data);
    store.stale_after_s = stale_days * 86_400;
    if outcomes.iter().any(|(_, o)| matches!(o, sync::Outcome::Taken { .. })) {
        store.build(&data.join("index"))?;
    }
    if outcomes.iter().any(|(_, o)| matches!(o, sync::Outcome::Failed { .. })) {
        return Ok(ExitCode::FAILURE);
    }
    let stale = store.status(now())?.iter().any(|l| l.stale);
    Ok(if stale { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

fn carry(command: &BundleCommand) -> anyhow::Result<ExitCode> {
    match command {
        BundleCommand::Key { out } => {
            super::print_json(&serde_json::json!({"public_key": bundle::keygen(out)?}))?;
        }
        BundleCommand::Create { data, key, out } => {
            let lists = bundle::create(data, key, out, now())?;
            super::print_json(&serde_json::json!({"lists": lists}))?;
        }
        BundleCommand::Import { bundle, public_key, data, force } => {
            let taken = bundle::import(bundle, public_key, data, now(), *force)?;
            ListStore::new(data).build(&data.join("index"))?;
            super::print_json(&serde_json::json!({"taken": taken}))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show_lists(data: &Path, json: bool, stale_days: u64) -> anyhow::Result<ExitCode> {
    let mut store = ListStore::new(data);
    store.stale_after_s = stale_days * 86_400;
    let lists = store.status(now())?;
    for list in &lists {
        if json {
            super::print_json(list)?;
            continue;
        }
        let state = if list.stale { "STALE" } else { "fresh" };
        let current = &list.current;
        super::print_line(&format!(
            "{:16} {:8} entities {:8} names  {:>4} h old  {state}  {}{}",
            current.list,
            current.entities,
            current.names,
            list.age_s / 3600,
            &current.sha256[..16],
            list.refused.as_ref().map(|r| format!("  last import refused: {r}")).unwrap_or_default(),
        ))?;
    }
    Ok(if lists.iter().any(|l| l.stale) { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

fn show_diff(data: &Path, list: &str, from: Option<&str>, to: Option<&str>) -> anyhow::Result<ExitCode> {
    let store = ListStore::new(data);
    let status = store.status(now())?;
    let found = status
        .iter()
        .find(|s| s.current.list == list)
        .with_context(|| format!("no list {list} is stored"))?;
    let to = to.unwrap_or(&found.current.sha256[..16]);
    let before = found.versions.iter().skip_while(|v| *v != to).nth(1).map(String::as_str);
    let from = from.or(before).context("there is no earlier version to compare with")?;
    let (old, new) = (store.entities_of(list, from)?, store.entities_of(list, to)?);
    for (change, entity) in diff(&old, &new) {
        super::print_json(&serde_json::json!({"change": change, "caption": entity.caption()}))?;
    }
    Ok(ExitCode::SUCCESS)
}
