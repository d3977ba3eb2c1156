//! `bench poses`: whether a document is read however it lies before the camera.
//!
//! `poses.py` draws the genuine pages of `filled_docs` and the conformant specimens in seven poses on drawn
//! backgrounds, with a fixed seed; the zone must be read whole. Drawn photos: the camera, the light and the desks are
//! models, and say how the reader bears a pose, not how it does in the field.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::documents::{Table, peers, read};
use crate::setup;
use crate::shell::run as shell;

pub(crate) fn run(data: &Path) -> anyhow::Result<Value> {
    let bonafide = setup::program()?;
    let venv = peers()?;
    let script = venv.join("poses.py");
    fs_err::write(&script, include_str!("poses.py"))?;
    let photos = venv.join("poses");
    if photos.is_dir() {
        fs_err::remove_dir_all(&photos)?;
    }
    shell(Command::new(venv.join("bin/python")).arg(script).args([&data.join("documents"), &photos]))?;
    let cases: BTreeMap<String, Value> = serde_json::from_slice(&fs_err::read(photos.join("cases.json"))?)?;

    let seen = read(&bonafide, &photos)?;
    let mut exact: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    let mut wrong_valid = 0;
    for (file, case) in &cases {
        let record = seen.lines.get(file).unwrap_or(&Value::Null);
        let right = record["mrz"]["lines"] == case["mrz"];
        if !right && record["mrz"]["valid"] == true {
            wrong_valid += 1;
            println!("  {file}: read as valid and wrong: {}", record["mrz"]["lines"]);
        } else if !right {
            println!("  {file}: {}", if record["mrz"].is_null() { "no zone" } else { "misread, not valid" });
        }
        let of = |key: &str| case[key].as_str().unwrap_or_default();
        let count = exact.entry((of("pose"), of("set"))).or_default();
        count.0 += usize::from(right);
        count.1 += 1;
    }
    let mut table = Table::default();
    for ((pose, set), (right, n)) in exact {
        table.count(&format!("{set} {pose}: whole MRZ exact"), right, n);
    }
    table.count("no wrong reading called valid", cases.len() - wrong_valid, cases.len());
    let cpu_ms = seen.cpu_s * 1e3 / seen.lines.len().max(1) as f64;
    println!("\n{cpu_ms:.0} CPU ms a picture\n");
    table.print();
    Ok(json!({ "rates": table.rows, "cpu_ms_per_picture": cpu_ms }))
}
