//! `bonafide idnumber check` — checks national identity numbers.

use anyhow::Context as _;
use std::io::BufRead as _;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Check a number, or with --batch every `KIND<TAB>NUMBER` line of standard input.
    Check {
        /// Kind, such as `es.dni`.
        #[arg(required_unless_present = "batch")]
        kind: Option<String>,
        /// The number as written.
        #[arg(required_unless_present = "batch", allow_hyphen_values = true)]
        number: Option<String>,
        /// Read lines of kind, tab and number from standard input; one line of JSON for each.
        #[arg(long, conflicts_with_all = ["kind", "number"])]
        batch: bool,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// List every kind.
    Kinds,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<std::process::ExitCode> {
    match &args.action {
        Action::Kinds => {
            for kind in idnumber::kinds() {
                super::print_json(&kind)?;
            }
            Ok(std::process::ExitCode::SUCCESS)
        }
        Action::Check { batch: true, .. } => {
            for line in std::io::stdin().lock().lines() {
                let line = line?;
                let Some((kind, number)) = line.split_once('\t') else {
                    super::print_json(&serde_json::json!({ "error": "line is not KIND<TAB>NUMBER" }))?;
                    continue;
                };
                super::print_json(&check(kind, number).unwrap_or_else(
                    |error| serde_json::json!({ "kind": kind, "number": number, "error": error.to_string() }),
                ))?;
            }
            Ok(std::process::ExitCode::SUCCESS)
        }
        Action::Check { kind, number, json, .. } => {
            let kind = kind.as_deref().context("a kind is needed")?;
            let verdict = check(kind, number.as_deref().context("a number is needed")?)?;
            let valid = verdict["valid"] == true;
            if *json {
                super::print_json(&verdict)?;
            } else {
                let reason = verdict["reason"].as_str().unwrap_or("");
                super::print_line(&format!(
                    "{}{}{reason}",
                    if valid { "valid" } else { "not valid" },
                    if valid { "" } else { ": " }
                ))?;
            }
            Ok(std::process::ExitCode::SUCCESS)
        }
    }
}

fn check(kind: &str, number: &str) -> anyhow::Result<serde_json::Value> {
    let verdict = idnumber::check_on(kind, number, today())?;
    Ok(serde_json::json!({
        "kind": kind,
        "number": number,
        "valid": verdict.valid,
        "normalized": verdict.normalized,
        "birth_date": verdict.birth_date,
        "sex": verdict.sex,
        "reason": verdict.reason,
    }))
}

/// The day as this machine has it: the command line is the edge where time comes in.
#[expect(clippy::disallowed_methods, reason = "the command line is the edge where time comes in")]
fn today() -> idnumber::PartialDate {
    let date = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let part = |value: i8| u8::try_from(value).unwrap_or(1);
    idnumber::PartialDate::new(
        u16::try_from(date.year()).unwrap_or(1970),
        part(date.month()),
        part(date.day()),
    )
    .unwrap_or(idnumber::PartialDate { year: None, year_of_century: 0, month: None, day: None })
}
