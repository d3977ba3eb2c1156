//! `cargo xtask bench NAME`: every claim about accuracy or speed, as a command that anyone can run.
//!
//! Each benchmark prints a table and returns its figures, which go to
//! `target/bench/NAME.json`. Test material lies in `--data`, in
//! `BONAFIDE_TESTDATA`, or in `../shared/data`.

mod aml;
mod api;
mod attack;
mod barcodes;
mod chip;
mod decoder;
mod documents;
mod faces;
mod idnumber;
mod poses;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::shell::{root, target};

type Bench = fn(&Path) -> anyhow::Result<serde_json::Value>;

/// Every benchmark: its name, what it shows, how it runs.
const BENCHES: &[(&str, &str, Bench)] = &[
    ("aml", "names screened: recall, false alerts, speed, parity", aml::run),
    ("api", "the age check against the original program, durable creates, a full check", api::run),
    ("attack", "hostile files through every upload door of a running server", attack::with_defaults),
    ("barcodes", "barcodes read, North American licences parsed", barcodes::run),
    ("chip", "chips verified: trust lists, passive authentication, reading times", chip::run),
    ("decoder", "what decoding in a process of its own costs a picture", decoder::run),
    ("documents", "documents read: zones, fields, fraud signals, time per stage", documents::run),
    ("faces", "faces matched, searched, judged for liveness and age", faces::run),
    ("idnumber", "national numbers against python-stdnum", idnumber::run),
    ("poses", "documents turned, tilted, cut, on busy desks: zones read", poses::run),
];

/// Runs one benchmark by name.
pub(crate) fn run(rest: &[String]) -> anyhow::Result<()> {
    let (mut name, mut data, mut options) = (None, None, Vec::new());
    let mut arguments = rest.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--data" => data = Some(PathBuf::from(arguments.next().context("--data takes a folder")?)),
            other if name.is_none() && !other.starts_with('-') => name = Some(other),
            _ if name == Some("attack") => options.push(argument.clone()),
            other => bail!("unknown argument {other}"),
        }
    }
    let Some(name) = name else {
        for (name, shows, _) in BENCHES {
            eprintln!("{name:12} {shows}");
        }
        return Ok(());
    };
    let (_, _, bench) = BENCHES
        .iter()
        .find(|(known, _, _)| *known == name)
        .with_context(|| format!("there is no benchmark {name}; `cargo xtask bench` lists them"))?;
    let data = data
        .or_else(|| std::env::var_os("BONAFIDE_TESTDATA").map(PathBuf::from))
        .unwrap_or_else(|| root().join("../shared/data"));
    if !data.is_dir() {
        bail!("no test data at {}: name its folder with --data or BONAFIDE_TESTDATA", data.display());
    }
    let figures = if name == "attack" { attack::run(&data, &options)? } else { bench(&data)? };
    let file = target().join("bench").join(format!("{name}.json"));
    fs_err::create_dir_all(target().join("bench"))?;
    fs_err::write(&file, serde_json::to_vec_pretty(&figures)?)?;
    eprintln!("\nfigures written to {}", file.display());
    if name == "attack" { attack::verdict(&figures) } else { Ok(()) }
}
