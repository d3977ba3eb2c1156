//! `cargo xtask …`: set-up, tests, benchmarks and the demo, one file each.
//!
//! Every command does its own set-up, says what it does while it does it, can
//! be run again, and names what is missing and how to get it.

#![expect(clippy::print_stdout, reason = "benchmarks print their tables on standard output")]

mod bench;
mod demo;
mod deny;
mod setup;
mod shell;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask setup             install models and what the tests need
cargo xtask test [ARGS]       set up and run all tests, then check form, lints and licences;
                              ARGS go to the test runner
cargo xtask demo [--once]     set up, start the server and verify a specimen person end to end
cargo xtask bench [NAME] [--data DIR]
                              measure; without a name, list the benchmarks
cargo xtask openapi           write openapi/bonafide.json anew";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    if arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--help" || argument == "-h")
    {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let result = match arguments.first().map(String::as_str) {
        Some("setup") => setup::everything(),
        Some("test") => test::run(rest),
        Some("demo") => demo::run(rest),
        Some("bench") => bench::run(rest),
        Some("openapi") => setup::openapi(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
