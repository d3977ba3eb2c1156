//! `cargo xtask demo`: sets up and hands over to `bonafide demo`.

use std::process::Command;

use crate::{setup, shell};

/// Builds for speed, installs the models, and starts the demo in `target/demo`.
pub(crate) fn run(rest: &[String]) -> anyhow::Result<()> {
    setup::tools()?;
    let bonafide = setup::program()?;
    shell::step("Starting the demo");
    shell::run(Command::new(bonafide).arg("demo").arg("--data").arg(shell::target().join("demo")).args(rest))
}
