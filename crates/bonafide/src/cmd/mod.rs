//! The commands, one file each, and the one way they print.

pub(crate) mod aamva;
pub(crate) mod age;
pub(crate) mod aml;
pub(crate) mod application;
pub(crate) mod audit;
pub(crate) mod barcode;
pub(crate) mod chip;
pub(crate) mod demo;
pub(crate) mod document;
pub(crate) mod face;
pub(crate) mod fetch;
pub(crate) mod idnumber;
pub(crate) mod key;
pub(crate) mod liveness;
pub(crate) mod models;
pub(crate) mod models_add;
pub(crate) mod mrz;
pub(crate) mod openapi;
pub(crate) mod serve;
pub(crate) mod specimen;
pub(crate) mod template;
pub(crate) mod verify;
pub(crate) mod version;

use std::io::Write;

/// Prints a value as one line of JSON on standard output.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print_line(&serde_json::to_string(value)?)
}

/// Prints one line on standard output; a closed pipe is an ordinary end, not a panic.
pub(crate) fn print_line(line: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}
