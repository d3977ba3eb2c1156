//! `cargo xtask demo`: sets up and hands over to `bonafide demo`.

use std::process::Command;

use crate::{setup, shell};

/// Builds, installs the models, and starts the demo in `target/demo`.
///
/// It builds the profile that the tests use, in which the hot crates are optimised: so `demo` and `test` compile
/// everything once between them.
pub(crate) fn run(rest: &[String]) -> anyhow::Result<()> {
    setup::tools()?;
    let bonafide = setup::bonafide("dev")?;
    setup::models(&bonafide)?;
    shell::step("Starting the demo");
    shell::run(Command::new(bonafide).arg("demo").arg("--data").arg(shell::target().join("demo")).args(rest))
}
