//! Chips: the master lists, the manifest of real signed objects, the cost of passive authentication by type of
//! document, and a whole reading of a 20 KB face in round trips at 60 ms.

use anyhow::Context as _;
use std::path::Path;
use std::process::Command;

/// Runs the crate's own measuring program in a release build and shows its figures.
pub(crate) fn run(data: &Path) -> anyhow::Result<serde_json::Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--release", "-p", "emrtd", "--example", "chip_figures", "--"])
        .arg(data)
        .output()
        .context("cargo cannot be run")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("the figures are not JSON")?;
    eprintln!("certificates {}\nmanifest     {}", figures["certificates"], figures["manifest"]);
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
    Ok(figures)
}
