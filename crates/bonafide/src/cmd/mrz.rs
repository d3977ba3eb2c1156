//! `bonafide mrz parse|repair`: machine readable zones from standard input.
//!
//! One document a line, its lines joined by `|`; one JSON object a line comes
//! out, with the same keys from both commands.

use std::io::BufRead;
use std::process::ExitCode;

use serde::Serialize;

/// What to do with the zones.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Read the fields as they stand and prove every check digit.
    Parse(Output),
    /// Find what most likely stood on the document, and tell every change.
    Repair(Output),
}

#[derive(clap::Args)]
struct Output {
    /// Print JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// One document's answer.
#[derive(Serialize)]
struct Answer {
    lines: Vec<String>,
    valid: bool,
    corrections: Vec<mrz::Correction>,
    ambiguous: bool,
    /// How probable the reading is among all that satisfy the rules (`repair` only).
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    format: Option<mrz::Format>,
    /// The `mrz` object of the API; `null` when the text is no zone.
    fields: Option<mrz::Block>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<mrz::CheckResult>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    doubts: Vec<mrz::Doubt>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alternatives: Vec<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (repair, output) = match &args.action {
        Action::Parse(output) => (false, output),
        Action::Repair(output) => (true, output),
    };
    let today = today();
    let mut all_valid = true;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = answer(&line, repair, today);
        all_valid &= answer.valid;
        if output.json {
            super::print_json(&answer)?;
        } else {
            print_text(&answer)?;
        }
    }
    // With --json the answer is in the output; a script that reads the status alone learns whether all hold.
    Ok(if all_valid || output.json { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::disallowed_methods, reason = "the command line is the edge where time comes in")]
fn today() -> mrz::Today {
    let now = jiff::Zoned::now().date();
    mrz::Today::new(now.year().unsigned_abs(), now.month().unsigned_abs(), now.day().unsigned_abs())
}

fn answer(line: &str, repair: bool, today: mrz::Today) -> Answer {
    let read: Vec<String> = line.split('|').map(mrz::clean).filter(|l| !l.is_empty()).collect();
    if repair {
        let outcome = mrz::repair(&read, today);
        let parsed = outcome.parsed(today);
        return Answer {
            fields: parsed.as_ref().map(mrz::Mrz::block),
            checks: parsed.map(|m| m.checks).unwrap_or_default(),
            error: outcome.format.is_none().then(|| "no machine readable zone".to_owned()),
            lines: outcome.lines,
            valid: outcome.valid,
            corrections: outcome.corrections,
            ambiguous: outcome.ambiguous,
            confidence: Some(outcome.confidence),
            format: outcome.format,
            doubts: outcome.doubts,
            alternatives: outcome.alternatives,
        };
    }
    let mut answer = Answer {
        lines: read,
        valid: false,
        corrections: Vec::new(),
        ambiguous: false,
        confidence: None,
        format: None,
        fields: None,
        checks: Vec::new(),
        doubts: Vec::new(),
        alternatives: Vec::new(),
        error: None,
    };
    match mrz::parse(&answer.lines, today) {
        Ok(mrz) => {
            answer.valid = mrz.valid();
            answer.format = Some(mrz.format);
            answer.fields = Some(mrz.block());
            answer.checks = mrz.checks;
        }
        Err(error) => answer.error = Some(error.to_string()),
    }
    answer
}

fn print_text(answer: &Answer) -> anyhow::Result<()> {
    for line in &answer.lines {
        super::print_line(line)?;
    }
    let verdict = match (answer.valid, answer.ambiguous) {
        (true, false) => "valid",
        (true, true) => "valid, but ambiguous",
        (false, _) => "not valid",
    };
    super::print_line(&format!("{}: {verdict}", answer.format.map_or("unknown format", mrz::Format::name)))?;
    for c in &answer.corrections {
        super::print_line(&format!(
            "  line {} position {}: {:?} -> {:?} ({:?})",
            c.line + 1,
            c.pos + 1,
            c.from,
            c.to,
            c.why
        ))?;
    }
    for error in answer.fields.iter().flat_map(|f| &f.errors) {
        super::print_line(&format!("  wrong: {error}"))?;
    }
    for warning in answer.fields.iter().flat_map(|f| &f.warnings) {
        super::print_line(&format!("  note: {warning}"))?;
    }
    if let Some(error) = &answer.error {
        super::print_line(&format!("  {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::answer;

    const TODAY: mrz::Today = mrz::Today::new(2026, 11, 23);
    const GOOD: &str =
        "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<|L898902C36UTO7408122F1204159ZE184226B<<<<<10";

    #[test]
    fn parse_reports_and_never_changes() {
        let good = answer(GOOD, false, TODAY);
        assert!(good.valid && good.corrections.is_empty());
        let bad = answer(&GOOD.replace("7408122", "74O8122"), false, TODAY);
        assert!(!bad.valid && bad.lines[1].contains("74O8122"));
        assert!(answer("HELLO|WORLD", false, TODAY).error.is_some());
    }

    #[test]
    fn repair_tells_its_change() {
        let mended = answer(&GOOD.replace("7408122", "74O8122"), true, TODAY);
        assert!(mended.valid);
        assert_eq!(mended.lines.join("|"), GOOD);
        assert_eq!(mended.corrections.len(), 1);
    }
}
