//! `bench documents`: what the document reader gets right on the test pictures, and what it costs.
//!
//! One run of `bonafide document read --batch` over each set with the day fixed, so that no document expires under
//! the bench. Truth stands beside the pictures. Intervals are Wilson's, 95 %. `BONAFIDE_BENCH_PEERS=1` also installs
//! `rapidocr` and `PassportEye` (PyPI) into a virtual environment under `target/` and runs them on the same pictures.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::shell::{cargo, output, run as shell, target};

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
    shell(cargo().args(["build", "--release", "-p", "bonafide"]))?;
    let binary = target().join("release/bonafide");
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
    table.print();

    let mut stages: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for run in [&specimens, &filled] {
        for record in run.lines.values() {
            let mut whole = 0.0;
            for (stage, ms) in record["timing_ms"].as_object().into_iter().flatten() {
                whole += ms.as_f64().unwrap_or(0.0);
                stages.entry(stage.clone()).or_default().push(ms.as_f64().unwrap_or(0.0));
            }
            stages.entry("all".to_owned()).or_default().push(whole);
        }
    }
    println!("\n{:24} {:>9} {:>9}", "stage (wall)", "median ms", "p90 ms");
    let mut medians = serde_json::Map::new();
    for (stage, values) in &mut stages {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values.get((values.len() as f64 * share) as usize).copied().unwrap_or(0.0);
        println!("{stage:24} {:>9.0} {:>9.0}", at(0.5), at(0.9));
        medians.insert(stage.clone(), json!({ "median_ms": at(0.5), "p90_ms": at(0.9) }));
    }
    let cpu = (specimens.cpu_s + filled.cpu_s) / (specimens.lines.len() + filled.lines.len()).max(1) as f64;
    println!("{:24} {:>9.0}", "CPU ms per picture", cpu * 1000.0);
    let peers =
        if std::env::var_os("BONAFIDE_BENCH_PEERS").is_some() { peers(&documents)? } else { Value::Null };
    Ok(json!({ "rates": table.rows, "stages": medians, "cpu_ms_per_picture": cpu * 1000.0, "peers": peers }))
}

/// One batch: records by file, and the processor time it took.
struct Run {
    lines: BTreeMap<String, Value>,
    cpu_s: f64,
}

fn read(binary: &Path, folder: &Path) -> anyhow::Result<Run> {
    // The shell's `times` gives the processor time of its children.
    let script = "\"$0\" document read --batch \"$1\" --json --allow-specimens --today \"$2\"; times >&2";
    let done = Command::new("bash").arg("-c").arg(script).arg(binary).arg(folder).arg(TODAY).output()?;
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
    Ok(Run { lines, cpu_s })
}

/// Rates with their n and interval.
#[derive(Default)]
struct Table {
    rows: Vec<Value>,
}

impl Table {
    fn count(&mut self, what: &str, right: usize, n: usize) {
        let (low, high) = interval(right, n);
        self.rows.push(json!({ "what": what, "right": right, "n": n, "interval_95": [low, high] }));
    }

    fn print(&self) {
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

/// `rapidocr` and `PassportEye` on the same pictures: whole MRZ exact, and processor seconds a picture.
fn peers(documents: &Path) -> anyhow::Result<Value> {
    let venv = target().join("peers");
    if !venv.join("bin/python").is_file() {
        shell(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        shell(Command::new(venv.join("bin/pip")).args([
            "install",
            "-q",
            "rapidocr==3.10.0",
            "onnxruntime",
            "PassportEye",
        ]))?;
    }
    let script = target().join("peers/run.py");
    fs_err::write(&script, PEERS)?;
    let printed = output(Command::new(venv.join("bin/python")).arg(&script).arg(documents))?;
    let last = printed.lines().last().unwrap_or_default();
    let value: Value = serde_json::from_str(last).context("the peers' script printed no JSON")?;
    for (name, row) in value.as_object().into_iter().flatten() {
        println!(
            "{name:24} whole MRZ exact {}/{}, CPU ms per picture {:.0}",
            row["right"],
            row["n"],
            row["cpu_ms"].as_f64().unwrap_or(0.0)
        );
    }
    Ok(value)
}

const PEERS: &str = r#"
import json, os, re, sys, time
folder = sys.argv[1]
cases = {}
for name in ("mrz_specimens", "filled_docs"):
    truth = json.load(open(os.path.join(folder, name, "ground_truth.json")))
    for file, t in truth.items():
        wanted = t.get("all_check_digits_valid", t.get("mrz_on_this_side") and t.get("kind") == "genuine_photo")
        if wanted:
            cases[os.path.join(folder, name, file)] = t["mrz"]
out = {}
def bench(name, read):
    right, start = 0, time.process_time()
    for file, lines in cases.items():
        try:
            right += read(file) == lines
        except Exception:
            pass
    out[name] = {"right": right, "n": len(cases), "cpu_ms": (time.process_time() - start) * 1000 / max(1, len(cases))}
from rapidocr import RapidOCR
engine = RapidOCR()
def rapid(file):
    lines = [re.sub(r"\s", "", t).upper().replace("«", "<<") for t in (engine(file).txts or [])]
    zone = [l for l in lines if len(l) in (30, 36, 44) and "<" in l]
    return zone[-3:] if zone and len(zone[-1]) == 30 else zone[-2:]
bench("rapidocr 3.10.0", rapid)
try:
    from passporteye import read_mrz
    def eye(file):
        m = read_mrz(file)
        return m.aux["text"].split("\n") if m else None
    bench("PassportEye", eye)
except ImportError as error:
    print(error, file=sys.stderr)
print(json.dumps(out))
"#;
