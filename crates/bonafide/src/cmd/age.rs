//! `bonafide age`: estimates age from a face, with its uncertainty.

use std::path::PathBuf;
use std::process::ExitCode;

use face::Engine;
use face::age::AgeEstimator;

/// Estimates age from faces.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Estimate the age of the most prominent face of each picture. Weak evidence: never the only gate.
    Estimate {
        /// Pictures.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Age the person has to have.
        #[arg(long, default_value_t = 18.0)]
        threshold: f64,
        /// Years of doubt to both sides of it ("Challenge 25" is 7).
        #[arg(long, default_value_t = 7.0)]
        buffer: f64,
        /// Print JSON, one line a picture.
        #[arg(long)]
        json: bool,
        /// Print only the answer to the threshold, no age.
        #[arg(long)]
        outcome_only: bool,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Command::Estimate { files, threshold, buffer, json, outcome_only } = &args.command;
    let models = super::face::models()?;
    let engine = Engine::open(&models)?;
    let estimator = AgeEstimator::open(&models)?;
    let mut failed = false;
    for file in files {
        let estimated = super::face::picture(file).and_then(|image| {
            let face = super::face::prominent(&engine, &image)?;
            Ok(face.map(|f| estimator.estimate(&image, &f)).transpose()?.flatten())
        });
        let (age, reason) = match estimated {
            Ok(age) => (age, "no_face"),
            Err(error) => {
                eprintln!("bonafide: {error:#}");
                failed = true;
                // Who reads the lines finds one for every file.
                (None, "unreadable")
            }
        };
        let answer = age.as_ref().map(|a| a.at_least(*threshold, *buffer));
        if *json {
            let mut line = serde_json::json!({
                "file": file, "at_least": answer, "threshold": threshold, "buffer": buffer,
                "method": age.as_ref().map(|a| a.method.as_str()),
            });
            if !outcome_only {
                line["age"] = serde_json::json!(age.as_ref().map(|a| a.years));
                line["low"] = serde_json::json!(age.as_ref().map(|a| a.low));
                line["high"] = serde_json::json!(age.as_ref().map(|a| a.high));
            }
            if age.is_none() {
                line["reason"] = reason.into();
            }
            super::print_json(&line)?;
        } else {
            let text = match (&age, outcome_only) {
                (None, _) => reason.replace('_', " "),
                (Some(_), true) => format!("{}", serde_json::to_value(answer)?),
                (Some(a), false) => format!("{:.0} years ({:.0} to {:.0})", a.years, a.low, a.high),
            };
            super::print_line(&format!("{text}  {}", file.display()))?;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
