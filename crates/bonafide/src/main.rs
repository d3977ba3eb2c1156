//! The one binary: every command outsiders use, one file each under `cmd/`.
//!
//! Commands print their result on standard output (JSON with `--json`) and
//! errors on standard error with a non-zero exit status.

mod cmd;

use clap::{Parser, Subcommand};

/// Identity verification on your own machine.
#[derive(Parser)]
#[command(name = "bonafide", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One variant a file in `cmd/`, in the order of their help.
#[derive(Subcommand)]
enum Command {
    /// Show the version of this build.
    Version(cmd::version::Args),
}

fn main() -> std::process::ExitCode {
    let result = match Cli::parse().command {
        Command::Version(args) => cmd::version::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bonafide: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
