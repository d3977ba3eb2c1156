//! Chips: the master lists with every exception, the manifest of real signed objects, the standard's transcripts and
//! the terminal against the simulator, the cost of passive authentication, a whole reading of a 20 KB face in round
//! trips, and the relay over a real WebSocket with 60 ms added to every message.

use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Runs the crate's measuring program and its tests, and shows the figures.
pub(crate) fn run(data: &Path) -> anyhow::Result<Value> {
    let output = cargo()
        .args(["run", "--quiet", "--release", "-p", "emrtd", "--example", "chip_figures", "--"])
        .arg(data)
        .output()
        .context("cargo cannot be run")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut figures: Value = serde_json::from_slice(&output.stdout).context("the figures are not JSON")?;
    let of = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let certificates = &figures["certificates"];
    eprintln!(
        "certificates {}: {} self-signed and verified, {} signed by another of the lists, {} by none of them, {} broken",
        certificates["all"],
        certificates["self_signed"],
        certificates["linked"],
        certificates["issuer_unknown"],
        certificates["broken"],
    );
    for exception in of(&certificates["exceptions"]).iter().filter(|e| e["standing"] != "linked") {
        eprintln!("  {}: {} issued by {}", exception["standing"], exception["subject"], exception["issuer"]);
    }
    for object in of(&figures["manifest"]["objects"]) {
        let right = match object["as_expected"].as_bool() {
            Some(true) => "as expected",
            Some(false) => "NOT AS EXPECTED",
            None => "no verdict given",
        };
        eprintln!("{} {:10} {right}: {}", object["id"], object["verdict"], object["reasons"]);
    }
    eprintln!("manifest {} of {} as expected", figures["manifest"]["right"], figures["manifest"]["of"]);
    for (kind, cost) in figures["passive_authentication"].as_object().into_iter().flatten() {
        eprintln!("{:8.2} ms CPU  {kind} (n {})", cost["cpu_ms"].as_f64().unwrap_or(0.0), cost["n"]);
    }
    for (kind, reading) in figures["reading_20_kb"].as_object().into_iter().flatten() {
        eprintln!(
            "{:3} round trips, {:4} commands, {:5} ms network at 60 ms, {:6.1} ms terminal  {kind}",
            reading["round_trips"],
            reading["commands"],
            reading["network_ms_at_60_ms"],
            reading["terminal_ms"].as_f64().unwrap_or(0.0),
        );
    }
    let tests = ["transcripts", "terminal", "passive", "traps"]
        .into_iter()
        .map(|name| Ok((name.to_owned(), tests(data, name)?)))
        .collect::<anyhow::Result<serde_json::Map<_, _>>>()?;
    for (name, result) in &tests {
        eprintln!("{name}: {result}");
    }
    figures["tests"] = Value::Object(tests);
    figures["relay"] = relay()?;
    eprintln!("relay: {}", figures["relay"]);
    Ok(figures)
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs one test file of the crate; a failing test fails the benchmark.
fn tests(data: &Path, name: &str) -> anyhow::Result<Value> {
    let output = cargo()
        .args(["test", "--quiet", "-p", "emrtd", "--test", name])
        .env("BONAFIDE_TESTDATA", data.canonicalize()?)
        .output()
        .context("cargo cannot be run")?;
    let said = String::from_utf8_lossy(&output.stdout);
    anyhow::ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let result = said.lines().rev().find(|line| line.starts_with("test result")).unwrap_or_default();
    Ok(json!(result))
}

/// Readings over a WebSocket to a server process of its own.
fn relay() -> anyhow::Result<Value> {
    let output = cargo()
        .args(["test", "--quiet", "-p", "bonafide", "--test", "acceptance", "--"])
        .args(["--ignored", "--exact", "chip::relay_figures", "--nocapture"])
        .output()
        .context("cargo cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{said}");
    let line =
        said.lines().find_map(|line| line.strip_prefix("FIGURES ")).context("no figures of the relay")?;
    Ok(serde_json::from_str(line)?)
}
