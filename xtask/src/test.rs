//! `cargo xtask test`: sets up and runs every test.

use crate::{
    deny, setup,
    shell::{cargo, has, run as start, step},
};

/// Formatting and lints of every crate.
fn lints() -> anyhow::Result<()> {
    step("Checking the form of the code");
    start(cargo().args(["fmt", "--all", "--check"]))?;
    start(cargo().args(["clippy", "--locked", "--workspace", "--all-targets"]))
}

/// Runs everything; further arguments go to the test runner.
fn tests(rest: &[String]) -> anyhow::Result<()> {
    step("Running the tests");
    let moto = setup::python("s3", &["moto[server]==5.2.1"])?;
    let contract = setup::python("contract", &["schemathesis"])?;
    let mut command = cargo();
    if has("cargo-nextest") {
        command.args(["nextest", "run", "--locked", "--workspace", "--no-fail-fast"]);
    } else {
        command.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
    }
    start(
        command
            .args(rest)
            .env("BONAFIDE_REQUIRE_POSTGRES", "1")
            .env("BONAFIDE_MOTO_SERVER", moto.with_file_name("moto_server"))
            .env("BONAFIDE_CONTRACT_PYTHON", contract),
    )
}

/// The whole of it.
pub(crate) fn run(rest: &[String]) -> anyhow::Result<()> {
    setup::everything()?;
    tests(rest)?;
    lints()?;
    deny::check()
}
