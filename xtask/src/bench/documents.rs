//! `bench documents`: what the document reader gets right on the test pictures, and what it costs.
//!
//! One run of `bonafide document read --batch` over each set with the day fixed, so that no document expires under
//! the bench. Truth stands beside the pictures. Intervals are Wilson's, 95 %. Then the same pictures go through
//! `rapidocr` and `PassportEye` (PyPI, installed into a virtual environment under `target/`), one program after the
//! other on all cores, ours with the loading of its nets; `peers.py` says how their output is scored. `BONAFIDE_BENCH_PEERS=0` leaves them out.
//! What the signals on pictures tell is measured on drawn documents by the bench of crate `service`, which this runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::setup;
use crate::shell::{cargo, output, root, run as shell, target};

/// The day all documents are judged on: filled_docs were issued in 2022 and run to 2032.
const TODAY: &str = "2026-11-23";
/// Risks that accuse a document (rather than ask for a better picture or say what is missing).
const ACCUSING: [&str; 7] = [
    "MRZ_VALIDATION_FAILED",
    "MRZ_AND_DATA_EXTRACTED_FROM_OCR_NOT_SAME",
    "DATA_INCONSISTENT",
    "SCREEN_CAPTURE_DETECTED",
    "PRINTED_COPY_DETECTED",
    "INVALID_DATE",
    "DOCUMENT_SIDES_MISMATCH",
];
/// Name in the truth, name in the record.
const FIELDS: [(&str, &str); 7] = [
    ("family_name", "last_name"),
    ("given_name", "first_name"),
    ("sex", "gender"),
    ("date_of_birth", "date_of_birth"),
    ("date_of_expiry", "expiration_date"),
    ("document_number", "document_number"),
    ("issuing_state", "issuing_state"),
];

pub(crate) fn run(data: &Path) -> anyhow::Result<Value> {
    let binary = setup::program()?;
    let documents = data.join("documents");
    let mut table = Table::default();

    let specimens = read(&binary, &documents.join("mrz_specimens"))?;
    let truth: BTreeMap<String, Value> =
        serde_json::from_slice(&fs_err::read(documents.join("mrz_specimens/ground_truth.json"))?)?;
    specimen_rates(&specimens, &truth, &mut table);

    let blank = read(&binary, &documents.join("docxpand_blank"))?;
    table.count(
        "docxpand_blank: no MRZ reported valid",
        blank.lines.values().filter(|r| r["mrz"]["valid"] != true).count(),
        blank.lines.len(),
    );

    let filled = read(&binary, &documents.join("filled_docs"))?;
    let truth: BTreeMap<String, Value> =
        serde_json::from_slice(&fs_err::read(documents.join("filled_docs/ground_truth.json"))?)?;
    filled_rates(&filled, &truth, &mut table);

    let cards = read(&binary, &documents.join("aamva_card_photos"))?;
    table.count(
        "aamva_card_photos: identified by barcode",
        cards.lines.values().filter(|r| r["identified_by"] == "barcode").count(),
        cards.lines.len(),
    );

    evenness_rate(&[&specimens, &filled], &mut table);
    drawn_rates(data, &mut table)?;

    let mut stages: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for run in [&specimens, &filled] {
        for record in run.lines.values() {
            for (stage, ms) in record["cpu_ms"].as_object().into_iter().flatten() {
                stages.entry(stage.clone()).or_default().push(ms.as_f64().unwrap_or(0.0));
            }
        }
    }
    println!("\n{:24} {:>9} {:>9} {:>9}", "CPU ms by stage", "median", "p90", "mean");
    let mut medians = serde_json::Map::new();
    for (stage, values) in &mut stages {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values.get((values.len() as f64 * share) as usize).copied().unwrap_or(0.0);
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        println!("{stage:24} {:>9.0} {:>9.0} {mean:>9.0}", at(0.5), at(0.9));
        medians.insert(stage.clone(), json!({ "median_ms": at(0.5), "p90_ms": at(0.9), "mean_ms": mean }));
    }
    let cpu = (specimens.cpu_s + filled.cpu_s) / (specimens.lines.len() + filled.lines.len()).max(1) as f64;
    println!("{:24} {:>9} {:>9} {:>9.0}", "whole process", "", "", cpu * 1000.0);
    let peers = if std::env::var_os("BONAFIDE_BENCH_PEERS").is_some_and(|v| v == "0") {
        Value::Null
    } else {
        side_by_side(&binary, &documents, &mut table)?
    };
    println!();
    table.print();
    Ok(json!({ "rates": table.rows, "stages": medians, "cpu_ms_per_picture": cpu * 1000.0, "peers": peers }))
}

/// One batch: records by file, and the time it took, loading the nets included.
pub(super) struct Run {
    pub(super) lines: BTreeMap<String, Value>,
    pub(super) cpu_s: f64,
    wall_s: f64,
}

pub(super) fn read(binary: &Path, folder: &Path) -> anyhow::Result<Run> {
    // The shell's `times` gives the processor time of its children.
    let script = "\"$0\" document read --batch \"$1\" --json --allow-specimens --today \"$2\"; times >&2";
    let started = std::time::Instant::now();
    let done = Command::new("bash").arg("-c").arg(script).arg(binary).arg(folder).arg(TODAY).output()?;
    let wall_s = started.elapsed().as_secs_f64();
    let text = String::from_utf8(done.stdout).context("the batch printed something that is no UTF-8")?;
    let mut lines = BTreeMap::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).context("the batch printed a line that is no JSON")?;
        lines.insert(value["file"].as_str().unwrap_or_default().to_owned(), value);
    }
    anyhow::ensure!(
        !lines.is_empty(),
        "the batch over {} printed nothing: {}",
        folder.display(),
        String::from_utf8_lossy(&done.stderr)
    );
    let errors = String::from_utf8_lossy(&done.stderr);
    let seconds = |t: &str| {
        let (m, s) = t.trim_end_matches('s').split_once('m').unwrap_or(("0", "0"));
        m.parse::<f64>().unwrap_or(0.0) * 60.0 + s.replace(',', ".").parse::<f64>().unwrap_or(0.0)
    };
    let cpu_s = errors.lines().last().map(|l| l.split_whitespace().map(seconds).sum()).unwrap_or(0.0);
    Ok(Run { lines, cpu_s, wall_s })
}

/// Rates with their n and interval.
#[derive(Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Value>,
}

impl Table {
    pub(super) fn count(&mut self, what: &str, right: usize, n: usize) {
        let (low, high) = interval(right, n);
        self.rows.push(json!({ "what": what, "right": right, "n": n, "interval_95": [low, high] }));
    }

    pub(super) fn print(&self) {
        println!("{:58} {:>9}  {:>17}", "rate", "right/n", "95 % interval");
        for row in &self.rows {
            let number = |v: &Value| v.as_f64().unwrap_or(0.0) * 100.0;
            println!(
                "{:58} {:>9}  {:>7.1} – {:>5.1} %",
                row["what"].as_str().unwrap_or_default(),
                format!("{}/{}", row["right"], row["n"]),
                number(&row["interval_95"][0]),
                number(&row["interval_95"][1])
            );
        }
    }
}

fn specimen_rates(run: &Run, truth: &BTreeMap<String, Value>, table: &mut Table) {
    let (mut right, mut n, mut wrong_valid, mut country) = (0, 0, 0, 0);
    for (file, expected) in truth {
        let Some(record) = run.lines.get(file) else { continue };
        let exact = record["mrz"]["lines"] == expected["mrz"];
        if record["mrz"]["valid"] == true && !exact {
            wrong_valid += 1;
            println!("  {file}: read as valid and wrong: {}", record["mrz"]["lines"]);
        }
        if expected["all_check_digits_valid"] == true {
            n += 1;
            right += usize::from(exact);
            let issuer = expected["mrz"][0]
                .as_str()
                .and_then(|l| l.get(2..5))
                .unwrap_or_default()
                .trim_matches('<')
                .to_owned();
            country += usize::from(record["mrz"]["block"]["country"].as_str() == Some(issuer.as_str()));
            if !exact {
                println!("  {file}: {} read as {}", expected["mrz"], record["mrz"]["lines"]);
            }
        }
    }
    table.count("mrz_specimens: whole MRZ exact (conformant)", right, n);
    table.count("mrz_specimens: issuing state right", country, n);
    table.count("mrz_specimens: no wrong reading called valid", truth.len() - wrong_valid, truth.len());
}

fn filled_rates(run: &Run, truth: &BTreeMap<String, Value>, table: &mut Table) {
    let mut fields = (0, 0);
    let mut zones: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut flagged: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut quiet = (0, 0);
    for (file, expected) in truth {
        let Some(record) = run.lines.get(file) else { continue };
        let kind = expected["kind"].as_str().unwrap_or_default();
        let risks: Vec<&str> =
            record["signals"].as_array().into_iter().flatten().filter_map(|s| s["risk"].as_str()).collect();
        if expected["mrz_on_this_side"] == true {
            let zone = zones.entry(kind).or_default();
            zone.0 += usize::from(record["mrz"]["lines"] == expected["mrz"]);
            zone.1 += 1;
        }
        if kind == "genuine_photo" {
            quiet.0 += usize::from(!risks.iter().any(|r| ACCUSING.contains(r)));
            quiet.1 += 1;
            for (name, ours) in FIELDS {
                // The code of the issuer is printed in the zone only on these residence permits.
                if expected["mrz_on_this_side"] == false && name == "issuing_state" {
                    continue;
                }
                // The back of these permits prints the name only in the zone, transliterated.
                let zone_name = expected["side"] == "back" && name.ends_with("_name");
                let right = if zone_name {
                    zone_holds(&expected["mrz"], record["fields"][ours]["value"].as_str())
                } else {
                    record["fields"][ours]["value"] == expected["fields"][name]
                };
                fields.1 += 1;
                if right {
                    fields.0 += 1;
                } else {
                    println!(
                        "  {file}: {name} {} read as {}",
                        expected["fields"][name], record["fields"][ours]["value"]
                    );
                }
            }
        }
        let wanted = match kind {
            "mrz_check_digit_wrong" => "MRZ_VALIDATION_FAILED",
            "viz_dob_differs_from_mrz" => "MRZ_AND_DATA_EXTRACTED_FROM_OCR_NOT_SAME",
            "photocopy" => "PRINTED_COPY_DETECTED",
            "screen_recapture" => "SCREEN_CAPTURE_DETECTED",
            "blurred" => "POOR_DOCUMENT_QUALITY",
            "glare" => "GLARE_ON_DOCUMENT",
            _ => continue,
        };
        let count = flagged.entry(kind).or_default();
        count.0 += usize::from(risks.contains(&wanted));
        count.1 += 1;
    }
    table.count("filled_docs genuine: fields exact", fields.0, fields.1);
    table.count("filled_docs genuine: no accusing signal", quiet.0, quiet.1);
    for (kind, (right, n)) in zones {
        table.count(&format!("filled_docs {kind}: whole MRZ exact"), right, n);
    }
    for (kind, (right, n)) in flagged {
        table.count(&format!("filled_docs {kind}: flagged"), right, n);
    }
}

/// How many zones that were read are not called unevenly set: no picture of these sets has such a zone.
fn evenness_rate(runs: &[&Run], table: &mut Table) {
    let records =
        || runs.iter().flat_map(|run| run.lines.values()).filter(|record| record["mrz"].is_object());
    let accused = |record: &&Value| {
        record["signals"].as_array().into_iter().flatten().any(|s| s["risk"] == "MRZ_TYPOGRAPHY_MISMATCH")
    };
    let n = records().count();
    table.count(
        "zones of specimens and filled_docs: not called uneven",
        n - records().filter(accused).count(),
        n,
    );
}

/// Reuse, ghost portraits and evenness on drawn documents: the bench of crate `service`.
fn drawn_rates(data: &Path, table: &mut Table) -> anyhow::Result<()> {
    let out = target().join("bench/documents-drawn.json");
    fs_err::create_dir_all(target().join("bench"))?;
    let bench = ["bench", "--quiet", "-p", "service", "--bench", "documents", "--", "--data"];
    shell(cargo().args(bench).arg(fs_err::canonicalize(data)?).arg("--out").arg(&out))?;
    let rates: Vec<Value> = serde_json::from_slice(&fs_err::read(&out)?)?;
    for rate in &rates {
        let number = |name: &str| rate[name].as_u64().unwrap_or_default() as usize;
        table.count(rate["what"].as_str().unwrap_or_default(), number("right"), number("n"));
    }
    Ok(())
}

/// Whether a name stands in the zone's last line.
fn zone_holds(zone: &Value, name: Option<&str>) -> bool {
    let line = zone.as_array().and_then(|lines| lines.last()).and_then(Value::as_str).unwrap_or_default();
    name.is_some_and(|n| !n.is_empty() && format!("<{line}<").contains(&format!("<{}<", n.replace(' ', "<"))))
}

/// Wilson's score interval, 95 %.
fn interval(right: usize, n: usize) -> (f64, f64) {
    let (n, z) = (n.max(1) as f64, 1.96_f64);
    let p = right as f64 / n;
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// The virtual environment of the peers, installed where it is not yet.
pub(super) fn peers() -> anyhow::Result<PathBuf> {
    let venv = target().join("peers");
    if !venv.join("installed").is_file() {
        shell(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        shell(Command::new(venv.join("bin/pip")).args(["install", "-q"]).args(PEERS))?;
        fs_err::write(venv.join("installed"), PEERS.join("\n"))?;
    }
    Ok(venv)
}

/// Ours, `rapidocr` and `PassportEye` on the same pictures: those of `filled_docs` that are genuine and the specimens
/// whose zone is conformant.
fn side_by_side(binary: &Path, documents: &Path, table: &mut Table) -> anyhow::Result<Value> {
    // Without it PassportEye reads no picture, and says so in the table.
    if let Err(missing) = setup::tesseract() {
        eprintln!("{missing:#}");
    }
    let venv = peers()?;
    let python = venv.join("bin/python");
    let (folder, cases) = cases(documents, &venv.join("pictures"))?;
    fs_err::write(venv.join("cases.json"), serde_json::to_vec(&cases)?)?;
    fs_err::write(venv.join("peers.py"), include_str!("peers.py"))?;

    let ours = read(binary, &folder)?;
    let (mut zones, mut fields) = ((0, 0), (0, 0));
    let mut pixels: BTreeMap<&str, f64> = BTreeMap::new();
    for (file, case) in cases.as_object().into_iter().flatten() {
        let record = &ours.lines[file];
        if case["mrz"].is_array() {
            zones.0 += usize::from(record["mrz"]["lines"] == case["mrz"]);
            zones.1 += 1;
        }
        for (name, value) in case["fields"].as_object().into_iter().flatten() {
            let read = record["fields"][name]["value"].as_str();
            let right = if case["names_in_zone_only"] == true && name.ends_with("_name") {
                zone_holds(&case["mrz"], read)
            } else {
                read == value.as_str()
            };
            fields.0 += usize::from(right);
            fields.1 += 1;
        }
        for (net, _) in NETS {
            *pixels.entry(net).or_default() += record["net_pixels"][net].as_f64().unwrap_or(0.0);
        }
    }
    let n = ours.lines.len().max(1) as f64;
    let mut rows = serde_json::Map::new();
    rows.insert(
        "bonafide".to_owned(),
        json!({ "mrz": zones, "fields": fields, "wall_ms": ours.wall_s * 1e3 / n, "cpu_ms": ours.cpu_s * 1e3 / n }),
    );
    let models = std::env::var_os("BONAFIDE_MODELS").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".local/share/bonafide/models"),
        PathBuf::from,
    );
    // PassportEye reads with the `tesseract` program of the system; without it every picture counts as not read.
    let printed = output(Command::new(&python).arg(venv.join("peers.py")).args([
        &folder,
        &venv.join("cases.json"),
        &root().join("models/mrz-lines.onnx"),
        &models,
    ]))?;
    let value: Value = serde_json::from_str(printed.lines().last().unwrap_or_default())
        .context("the peers' script printed no JSON")?;
    for (name, row) in value["peers"].as_object().into_iter().flatten() {
        rows.insert(name.clone(), row.clone());
    }
    println!(
        "\n{:24} {:>10} {:>12} {:>14} {:>13} {:>11}",
        "same pictures", "MRZ exact", "fields exact", "wall ms/pict.", "CPU ms/pict.", "throughput"
    );
    let wall = ours.wall_s * 1e3 / n;
    for (name, row) in &rows {
        let pair = |v: &Value| (v[0].as_u64().unwrap_or(0) as usize, v[1].as_u64().unwrap_or(0) as usize);
        let ((mr, mn), (fr, fn_)) = (pair(&row["mrz"]), pair(&row["fields"]));
        table.count(&format!("{name}: whole MRZ exact, same pictures"), mr, mn);
        table.count(&format!("{name}: fields exact, same pictures"), fr, fn_);
        let ms = row["wall_ms"].as_f64().unwrap_or(0.0);
        println!(
            "{name:24} {:>10} {:>12} {ms:>14.0} {:>13.0} {:>10.2}x",
            format!("{mr}/{mn}"),
            format!("{fr}/{fn_}"),
            row["cpu_ms"].as_f64().unwrap_or(0.0),
            wall / ms.max(1e-6)
        );
    }

    // What the arithmetic alone would cost on one core of this machine.
    let peak = value["peak_gflops"].as_f64().unwrap_or(0.0);
    println!("\none core multiplies matrices at {peak:.0} GFLOP/s (measured); by net, a picture:");
    let mut bounds = serde_json::Map::new();
    let mut least: BTreeMap<&str, f64> = BTreeMap::new();
    for (net, stage) in NETS {
        let per_pixel = value["flops_per_pixel"][net].as_f64().unwrap_or(0.0);
        let gflop = pixels.get(net).copied().unwrap_or(0.0) / n * per_pixel / 1e9;
        let bound_ms = gflop / peak.max(1e-9) * 1e3;
        println!("{net:24} {gflop:>8.2} GFLOP  at least {bound_ms:>6.0} CPU ms");
        bounds.insert(net.to_owned(), json!({ "gflop": gflop, "bound_ms": bound_ms }));
        *least.entry(stage).or_default() += bound_ms;
    }
    let mut spent: BTreeMap<&str, f64> = BTreeMap::new();
    for record in ours.lines.values() {
        for (stage, ms) in record["cpu_ms"].as_object().into_iter().flatten() {
            *spent.entry(stage).or_default() += ms.as_f64().unwrap_or(0.0) / n;
        }
    }
    println!("\n{:24} {:>14} {:>20}", "by stage, a picture", "CPU ms spent", "least, by its nets");
    for (stage, ms) in &spent {
        println!("{stage:24} {ms:>14.0} {:>20.0}", least.get(stage).copied().unwrap_or(0.0));
    }
    Ok(json!({ "same_pictures": rows, "peak_gflops": peak, "bounds": bounds, "versions": value["versions"] }))
}

/// Links the pictures into one folder, and says what is to be read on each, in the record's terms.
fn cases(documents: &Path, folder: &Path) -> anyhow::Result<(PathBuf, Value)> {
    if folder.is_dir() {
        fs_err::remove_dir_all(folder)?;
    }
    fs_err::create_dir_all(folder)?;
    let mut cases = serde_json::Map::new();
    for set in ["filled_docs", "mrz_specimens"] {
        let truth: BTreeMap<String, Value> =
            serde_json::from_slice(&fs_err::read(documents.join(set).join("ground_truth.json"))?)?;
        for (file, expected) in truth {
            let genuine = expected["kind"] == "genuine_photo";
            if !genuine && expected["all_check_digits_valid"] != true {
                continue;
            }
            let zone = expected["mrz_on_this_side"] != false;
            let mut fields = serde_json::Map::new();
            for (name, ours) in
                FIELDS.iter().filter(|(name, _)| genuine && (zone || *name != "issuing_state"))
            {
                fields.insert((*ours).to_owned(), expected["fields"][name].clone());
            }
            let link = format!("{set}__{}", file.replace('/', "__"));
            let picture = fs_err::canonicalize(documents.join(set).join(&file))?;
            fs_err::copy(picture, folder.join(&link))?;
            cases.insert(
                link,
                json!({
                    "mrz": if zone { expected["mrz"].clone() } else { Value::Null },
                    "fields": fields,
                    "names_in_zone_only": expected["side"] == "back",
                }),
            );
        }
    }
    Ok((folder.to_owned(), Value::Object(cases)))
}

/// Nets that read, as the manifest names them, and the stage in which each works.
const NETS: [(&str, &str); 5] = [
    ("ppocr-v6-det", "text_detection"),
    ("ppocr-v6-det-tiny", "text_detection"),
    ("ppocr-v6-rec", "text_recognition"),
    ("ppocr-v6-rec-tiny", "text_recognition"),
    ("mrz-lines", "mrz"),
];
/// What the comparison installs; `onnx` counts the nets' operations.
const PEERS: [&str; 4] = ["rapidocr==3.10.0", "onnxruntime==1.32.0", "PassportEye==2.2.2", "onnx"];
