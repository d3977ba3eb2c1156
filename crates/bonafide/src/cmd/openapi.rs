//! `bonafide openapi`: prints the OpenAPI document of the HTTP API.

use std::process::ExitCode;

/// Takes no arguments.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> anyhow::Result<ExitCode> {
    super::print_line(server::openapi().trim_end())?;
    Ok(ExitCode::SUCCESS)
}
