//! `bench barcodes`: how many barcodes of real and simulated photos are read, and every licence payload parsed.
//!
//! Read means that the text is exactly the transcript (ends trimmed). Intervals are Wilson's, 95 %.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::shell::{cargo, output, run as shell, target};

pub(crate) fn run(data: &Path) -> anyhow::Result<Value> {
    shell(cargo().args(["build", "--release", "-p", "bonafide"]))?;
    let binary = target().join("release/bonafide");
    let mut figures = serde_json::Map::new();
    println!("{:22} {:>9}  {:>17}  {:>9}", "set", "read", "95 % interval", "ms/image");
    for (name, truth) in [
        ("pdf417_photos", pdf417_photos(data)?),
        ("aamva_card_photos", card_photos(data)?),
        ("aamva_simulated", simulated(data)?),
    ] {
        let started = std::time::Instant::now();
        let got = read(&binary, truth.keys())?;
        let ms = started.elapsed().as_millis() as f64 / truth.len().max(1) as f64;
        let missed: Vec<&PathBuf> = truth
            .iter()
            .filter(|(file, text)| got.get(*file).map(|t| t.trim()) != Some(text.trim()))
            .map(|(f, _)| f)
            .collect();
        let wrong = missed.iter().filter(|file| got.contains_key(**file)).count();
        let right = truth.len() - missed.len();
        let (low, high) = interval(right, truth.len());
        println!(
            "{name:22} {:>9}  {:>7.1} – {:>5.1} %  {ms:>9.0}",
            format!("{right}/{}", truth.len()),
            low * 100.0,
            high * 100.0
        );
        figures.insert(
            name.to_owned(),
            json!({ "right": right, "n": truth.len(), "interval_95": [low, high], "wrong_text": wrong, "ms_per_image_wall": ms,
                    "missed": missed.iter().filter_map(|f| f.file_name()).map(|f| f.to_string_lossy()).collect::<Vec<_>>() }),
        );
    }
    let payloads = payloads(data, &binary)?;
    println!("{:22} {:>9}", "payloads parsed", format!("{}/{}", payloads["parsed"], payloads["n"]));
    println!("{:22} {:>9}", "all three dates", format!("{}/{}", payloads["dates"], payloads["n"]));
    figures.insert("payloads".to_owned(), payloads);
    Ok(Value::Object(figures))
}

/// Wilson's score interval, 95 %.
fn interval(right: usize, n: usize) -> (f64, f64) {
    let (n, z) = (n.max(1) as f64, 1.96_f64);
    let p = right as f64 / n;
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

fn pdf417_photos(data: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut truth = BTreeMap::new();
    for entry in fs_err::read_dir(data.join("documents/pdf417_photos"))? {
        let file = entry?.path();
        if file.extension().is_some_and(|kind| kind == "png") {
            let text = fs_err::read(file.with_extension("txt"))
                .or_else(|_| fs_err::read(file.with_extension("bin")))?;
            truth.insert(file, latin1(&text));
        }
    }
    Ok(truth)
}

fn card_photos(data: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let folder = data.join("documents/aamva_card_photos");
    let truth: BTreeMap<String, Value> =
        serde_json::from_slice(&fs_err::read(folder.join("ground_truth.json"))?)?;
    Ok(truth
        .iter()
        .filter_map(|(name, card)| Some((folder.join(name), card["payload_latin1"].as_str()?.to_owned())))
        .collect())
}

fn simulated(data: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let folder = data.join("aamva/img");
    let cards: Vec<Value> = serde_json::from_slice(&fs_err::read(folder.join("manifest.json"))?)?;
    Ok(cards
        .iter()
        .filter_map(|card| Some((folder.join(card["file"].as_str()?), card["payload"].as_str()?.to_owned())))
        .filter(|(file, _)| file.is_file())
        .collect())
}

fn read<'a>(
    binary: &Path,
    files: impl Iterator<Item = &'a PathBuf>,
) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    use std::process::Stdio;
    let files: Vec<&PathBuf> = files.collect();
    let mut got = BTreeMap::new();
    for some in files.chunks(50) {
        let shown = Command::new(binary)
            .args(["barcode", "read", "--json"])
            .args(some)
            .stdout(Stdio::piped())
            .output()?;
        for line in String::from_utf8_lossy(&shown.stdout).lines() {
            let line: Value = serde_json::from_str(line)?;
            let file = PathBuf::from(line["file"].as_str().context("no file in the answer")?);
            if let Some(raw) = line["barcodes"][0]["data_raw"].as_str() {
                got.insert(file, latin1(&base64(raw)));
            }
        }
    }
    Ok(got)
}

fn base64(text: &str) -> Vec<u8> {
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::new());
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for value in text.chars().filter_map(|c| ALPHABET.find(c)) {
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    out
}

fn payloads(data: &Path, binary: &Path) -> anyhow::Result<Value> {
    let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
    for folder in ["documents/aamva_texts/Licenses", "documents/aamva_texts/Ids"] {
        for entry in fs_err::read_dir(data.join(folder))? {
            let file = entry?.path();
            texts.push((file.display().to_string(), fs_err::read(&file)?));
        }
    }
    for file in ["aamva/synthetic_payloads_dev.json", "aamva/peer_payloads_dev.json"] {
        let cases: Vec<Value> = serde_json::from_slice(&fs_err::read(data.join(file))?)?;
        for (place, case) in cases.iter().enumerate().filter(|(_, case)| case["kind"] != "magstripe") {
            if let Some(payload) = case["payload"].as_str() {
                texts.push((format!("{file}#{place}"), payload.as_bytes().to_vec()));
            }
        }
    }
    let folder = target().join("bench/aamva");
    fs_err::create_dir_all(&folder)?;
    let (mut parsed, mut dates, mut failed) = (0, 0, Vec::new());
    for (place, (name, bytes)) in texts.iter().enumerate() {
        let file = folder.join(format!("{place}.txt"));
        fs_err::write(&file, bytes)?;
        match output(Command::new(binary).args(["aamva", "parse", "--json"]).arg(&file)) {
            Ok(text) => {
                parsed += 1;
                let licence: Value = serde_json::from_str(&text)?;
                let whole =
                    ["birth_date", "issue_date", "expiry_date"].iter().all(|name| licence[*name].is_string());
                dates += usize::from(whole);
                if !whole {
                    failed.push(json!({ "payload": name, "birth": licence["birth_date"], "issue": licence["issue_date"], "expiry": licence["expiry_date"] }));
                }
            }
            Err(error) => failed.push(json!({ "payload": name, "error": error.to_string() })),
        }
    }
    Ok(json!({ "n": texts.len(), "parsed": parsed, "dates": dates, "not_whole": failed }))
}
