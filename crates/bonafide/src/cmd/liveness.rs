//! `bonafide liveness`: does a picture show a live face?

use std::path::PathBuf;
use std::process::ExitCode;

use face::{Engine, Passive, PassiveLiveness};

/// Judges pictures by passive liveness.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Score pictures: 0 (attack) to 100 (live). Without a liveness model nothing is evaluated and nothing passes.
    Score {
        /// Pictures.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print JSON, one line a picture.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Command::Score { files, json } = &args.command;
    let models = super::face::models()?;
    let liveness = PassiveLiveness::open(&models)?;
    // Without a liveness model the face models are not needed for the answer either.
    let engine = if liveness.is_available() { Some(Engine::open(&models)?) } else { None };
    let mut failed = false;
    for file in files {
        let judged = match &engine {
            // A file that is no picture is an error with and without a model.
            None => super::face::picture(file).map(|_| Passive::NotEvaluated { reason: "no_model" }),
            Some(engine) => super::face::picture(file).and_then(|image| {
                Ok(match super::face::prominent(engine, &image)? {
                    Some(face) => liveness.evaluate(&image, &face),
                    None => Passive::NotEvaluated { reason: "no_face" },
                })
            }),
        };
        let passive = match judged {
            Ok(passive) => passive,
            Err(error) => {
                eprintln!("bonafide: {error:#}");
                failed = true;
                // Who reads the lines finds one for every file.
                Passive::NotEvaluated { reason: "unreadable" }
            }
        };
        let (method, reason) = match &passive {
            Passive::Evaluated { method, .. } => (method.as_str(), None),
            Passive::NotEvaluated { reason } => ("not_evaluated", Some(*reason)),
        };
        if *json {
            let mut line = serde_json::json!({ "file": file, "score": passive.score(), "method": method });
            if let Some(reason) = reason {
                line["reason"] = reason.into();
            }
            super::print_json(&line)?;
        } else {
            let score = passive.score().map_or("not evaluated".to_owned(), |s| format!("{s:.1}"));
            super::print_line(&format!("{score}  {}", file.display()))?;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
