//! `bonafide audit`: checks that the log of acts was not changed, and exports where it ends.
//!
//! `verify` ends with status 0 when the log is whole and 1 when it is not.
//! Without a checkpoint that was exported earlier (and kept elsewhere), rows cut
//! off its end cannot show; the output says whether one was used.

use anyhow::Context as _;
use std::path::PathBuf;
use std::process::ExitCode;
use store::audit::{CHECKPOINT_FORMAT, Checkpoint, Report};

/// The two things to do with the log.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Check every row; find any edit, deletion, reordering and (with a checkpoint) truncation.
    Verify {
        #[command(flatten)]
        place: Place,
        /// File that `audit checkpoint` wrote earlier.
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Export where the log ends, as JSON; keep it where the database's administrators cannot write.
    Checkpoint {
        #[command(flatten)]
        place: Place,
        /// File to write; standard output when absent.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Where the store is.
#[derive(clap::Args)]
struct Place {
    /// Folder of the server's data.
    #[arg(long, value_name = "DIR", env = "BONAFIDE_DATA", default_value = "bonafide-data")]
    data: PathBuf,
    /// URL of the database, when it is not in the folder.
    #[arg(long, value_name = "URL", env = "BONAFIDE_DATABASE")]
    database: Option<String>,
    /// File of the root key, when it is not in the folder.
    #[arg(long, value_name = "FILE", env = "BONAFIDE_ROOT_KEY_FILE")]
    root_key_file: Option<PathBuf>,
}

impl Place {
    async fn open(self) -> anyhow::Result<store::Store> {
        let mut config = store::Config::in_folder(self.data);
        config.database_url = self.database;
        config.root_key = store::RootKey::from_settings(self.root_key_file)?;
        config.make_missing = false;
        config.writers = 1;
        config.readers = 1;
        store::Store::open(config).await.context("the store cannot be opened")
    }
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        match args.command {
            Command::Verify { place, checkpoint, json } => {
                let checkpoint = checkpoint.map(read_checkpoint).transpose()?;
                let store = place.open().await?;
                let report = store.verify_audit(checkpoint).await.context("the log cannot be read")?;
                store.close().await;
                print(&report, json)?;
                Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Command::Checkpoint { place, out } => {
                let store = place.open().await?;
                let checkpoint = store.audit_checkpoint().await.context("the log cannot be read")?;
                store.close().await;
                match out {
                    Some(path) => fs_err::write(path, serde_json::to_string_pretty(&checkpoint)? + "\n")?,
                    None => super::print_json(&checkpoint)?,
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

fn read_checkpoint(path: PathBuf) -> anyhow::Result<Checkpoint> {
    let text = fs_err::read_to_string(&path)?;
    let checkpoint: Checkpoint =
        serde_json::from_str(&text).with_context(|| format!("{} is not a checkpoint", path.display()))?;
    anyhow::ensure!(
        checkpoint.format == CHECKPOINT_FORMAT,
        "{} has format {:?}; this program reads {CHECKPOINT_FORMAT:?}",
        path.display(),
        checkpoint.format
    );
    Ok(checkpoint)
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        return super::print_json(report);
    }
    for problem in &report.problems {
        super::print_line(&format!("strand {}, row {}: {}", problem.strand, problem.sequence, problem.kind))?;
    }
    let against =
        if report.checkpoint_used { "compared with the checkpoint" } else { "no checkpoint to compare with" };
    let verdict = if report.ok { "the log is whole" } else { "the log was changed" };
    super::print_line(&format!(
        "{verdict}: {} row(s) in {} strand(s), {against}",
        report.entries, report.strands
    ))
}
