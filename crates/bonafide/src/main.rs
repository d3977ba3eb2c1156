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
    /// Serve the API and the hosted pages, and work on queued checks.
    Serve(cmd::serve::Args),
    /// Start the server and watch a specimen person and five frauds being verified.
    Demo(cmd::demo::Args),
    /// Check local pictures of a document and a person, without a server.
    Verify(cmd::verify::Args),
    /// Make, list and revoke API keys.
    Key(cmd::key::Args),
    /// Show applications and say what they may do with faces.
    Application(cmd::application::Args),
    /// Print the OpenAPI document of the HTTP API.
    Openapi(cmd::openapi::Args),
    /// Index watch-lists, screen against them, keep their versions.
    Aml(cmd::aml::Args),
    /// Read the payload of a North American licence.
    Aamva(cmd::aamva::Args),
    /// Check the log of acts, and export where it ends.
    Audit(cmd::audit::Args),
    /// Read the barcodes of pictures.
    Barcode(cmd::barcode::Args),
    /// Verify what was read from a document's chip, and keep what it is verified against.
    Chip(cmd::chip::Args),
    /// List, install and verify the nets that checks run on.
    Models(cmd::models::Args),
    /// Parse and repair machine readable zones.
    Mrz(cmd::mrz::Args),
    /// Check national identity numbers.
    Idnumber(cmd::idnumber::Args),
    /// Compare faces, score lists of pairs, search a folder, calibrate an embedder.
    Face(cmd::face::Args),
    /// Judge pictures by passive liveness.
    Liveness(cmd::liveness::Args),
    /// Estimate age from faces.
    Age(cmd::age::Args),
    /// Read identity documents.
    Document(cmd::document::Args),
    /// Draw fictitious documents of Utopia with their truth.
    Specimen(cmd::specimen::Args),
    /// Check a document template, and what it finds on pictures.
    Template(cmd::template::Args),
    /// Show the version of this build.
    Version(cmd::version::Args),
}

fn main() -> std::process::ExitCode {
    // Before anything is opened, read or started: the process that decodes pictures must have nothing to lose.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == decoder::ARGUMENT) {
        return decoder::serve(arguments.next().as_deref().and_then(std::ffi::OsStr::to_str));
    }
    if let Err(error) = inference::quiet::restart() {
        eprintln!(
            "warning: ONNX Runtime is not used, its reports to its maker cannot be switched off: {error}"
        );
    }
    match decoder::Program::this() {
        Ok(program) => decoder::use_program(program),
        // No picture is decoded then; every other command works.
        Err(error) => eprintln!("warning: pictures cannot be decoded: {error}"),
    }
    let result = match Cli::parse().command {
        Command::Serve(args) => cmd::serve::run(&args),
        Command::Demo(args) => cmd::demo::run(&args),
        Command::Verify(args) => cmd::verify::run(&args),
        Command::Key(args) => cmd::key::run(&args),
        Command::Application(args) => cmd::application::run(&args),
        Command::Openapi(args) => cmd::openapi::run(&args),
        Command::Aml(args) => cmd::aml::run(&args),
        Command::Aamva(args) => cmd::aamva::run(&args),
        Command::Audit(args) => cmd::audit::run(args),
        Command::Barcode(args) => cmd::barcode::run(&args),
        Command::Chip(args) => cmd::chip::run(&args),
        Command::Models(args) => cmd::models::run(&args),
        Command::Mrz(args) => cmd::mrz::run(&args),
        Command::Idnumber(args) => cmd::idnumber::run(&args),
        Command::Face(args) => cmd::face::run(&args),
        Command::Liveness(args) => cmd::liveness::run(&args),
        Command::Age(args) => cmd::age::run(&args),
        Command::Document(args) => cmd::document::run(&args),
        Command::Specimen(args) => cmd::specimen::run(&args),
        Command::Template(args) => cmd::template::run(&args),
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
