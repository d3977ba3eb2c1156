//! `bonafide version`: names this build.

use std::process::ExitCode;

/// Takes no arguments.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> anyhow::Result<ExitCode> {
    super::print_line(concat!("bonafide ", env!("CARGO_PKG_VERSION")))?;
    Ok(ExitCode::SUCCESS)
}
