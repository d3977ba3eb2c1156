//! Screening: recall at 1 % false alerts by kind of query, hard negatives, name pairs, OFAC parity, speed, size, delta;
//! RapidFuzz and nomenklatura from PyPI beside it on the same files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde_json::{Value, json};

use crate::shell::{output, root, run as execute, step, target};

/// Splits one line of CSV; the labelled files have no line breaks inside fields.
fn fields(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    for c in line.trim_end_matches('\r').chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(String::new()),
            c => out.last_mut().into_iter().for_each(|f| f.push(c)),
        }
    }
    out
}

/// Rows of a CSV file by column name.
fn table(path: &Path) -> anyhow::Result<Vec<BTreeMap<String, String>>> {
    let text = fs_err::read_to_string(path)?;
    let mut lines = text.lines();
    let header = fields(lines.next().context("an empty file")?);
    Ok(lines.map(|l| header.iter().cloned().zip(fields(l)).collect()).collect())
}

/// Wilson's 95 % interval.
fn interval(hits: usize, n: usize) -> (f64, f64) {
    let (p, n, z) = (hits as f64 / n.max(1) as f64, n.max(1) as f64, 1.959_964_f64);
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

fn rate(name: &str, hits: usize, n: usize) -> Value {
    let (low, high) = interval(hits, n);
    eprintln!("{name:28} {hits:5} / {n:5}  {:.3}  [{low:.3}, {high:.3}]", hits as f64 / n.max(1) as f64);
    json!({"hits": hits, "n": n, "rate": hits as f64 / n.max(1) as f64, "low": low, "high": high})
}

/// Highest F1 over all thresholds of `(score, positive)`: `(F1, threshold)`.
fn best_f1(scores: &[(f64, bool)]) -> (f64, f64) {
    let positives = scores.iter().filter(|s| s.1).count();
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut best, mut true_positives) = ((0.0, 0.0), 0usize);
    for (i, (score, positive)) in sorted.iter().enumerate() {
        true_positives += usize::from(*positive);
        let last_of_ties = sorted.get(i + 1).is_none_or(|next| next.0 < *score);
        let f1 = 2.0 * true_positives as f64 / (i + 1 + positives) as f64;
        if last_of_ties && f1 > best.0 {
            best = (f1, *score);
        }
    }
    best
}

pub(crate) fn run(data: &Path) -> anyhow::Result<Value> {
    let aml = data.join("aml");
    let work = target().join("bench/aml");
    fs_err::create_dir_all(&work)?;
    step("building the release binary and the measuring example");
    execute(Command::new("cargo").args(["build", "--release", "-p", "bonafide"]))?;
    execute(Command::new("cargo").args(["build", "--release", "-p", "aml", "--example", "scale"]))?;
    let bonafide = target().join("release/bonafide");
    let ofac = format!("ofac-csv={}", aml.join("bench/index_ofac").display());
    let un =
        format!("un-xml={}", aml.join("bench/index_un/un_consolidated_no_original_script.xml").display());
    let index = work.join("index");

    step("indexing OFAC and UN, screening the labelled queries by name alone");
    execute(
        Command::new(&bonafide).args(["aml", "index", "--list", &ofac, "--list", &un, "--out"]).arg(&index),
    )?;
    let queries = aml.join("bench/screening_queries.csv");
    let hits_file = work.join("hits.csv");
    execute(
        Command::new(&bonafide)
            .args(["aml", "screen", "--name-only", "--limit", "10", "--index"])
            .arg(&index)
            .arg("--queries")
            .arg(&queries)
            .arg("--out")
            .arg(&hits_file),
    )?;
    let figures = screening(&table(&queries)?, &table(&hits_file)?);

    step("name pairs and OFAC parity");
    let pairs = work.join("pairs.csv");
    execute(
        Command::new(&bonafide)
            .args(["aml", "compare", "--pairs"])
            .arg(aml.join("bench/name_pairs.csv"))
            .arg("--out")
            .arg(&pairs),
    )?;
    let rows = table(&pairs)?;
    let labelled: Vec<(f64, bool)> = rows
        .iter()
        .filter(|r| r.get("suite").is_some_and(|s| s == "name_bench"))
        .filter_map(|r| Some((r.get("score")?.parse().ok()?, r.get("should_match")? == "true")))
        .collect();
    let (f1, at) = best_f1(&labelled);
    eprintln!("name pairs (n {}): F1 {f1:.3} at score {at:.1}", labelled.len());
    let parity = parity(&aml, &bonafide, &work)?;

    step("size and delta (generated people)");
    let scale = target().join("release/examples/scale");
    let mut sizes = Vec::new();
    for (mode, count) in [("names", "1000000"), ("names", "4000000"), ("delta", "1000000")] {
        let text = output(Command::new(&scale).args([mode, count, &ofac, &un]))?;
        eprintln!("{mode} {count}: {}", text.trim());
        sizes.push(serde_json::from_str::<Value>(text.trim())?);
    }
    let peers = peers(&aml, &work)?;
    Ok(
        json!({"screening": figures, "name_pairs": {"n": labelled.len(), "f1": f1, "threshold": at}, "ofac_parity": parity, "size": sizes, "peers": peers}),
    )
}

fn screening(queries: &[BTreeMap<String, String>], hits: &[BTreeMap<String, String>]) -> Value {
    let mut best: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
    for hit in hits {
        if let (Some(qid), Some(key), Some(score)) =
            (hit.get("qid"), hit.get("entity_id"), hit.get("score").and_then(|s| s.parse().ok()))
        {
            best.entry(qid).or_default().push((key, score));
        }
    }
    let get = |row: &BTreeMap<String, String>, name: &str| row.get(name).cloned().unwrap_or_default();
    let top = |qid: &str| best.get(qid).and_then(|h| h.first()).map_or(0.0, |h| h.1);
    let negative = |r: &&BTreeMap<String, String>| get(r, "should_match") == "false";
    let mut clean: Vec<f64> = queries
        .iter()
        .filter(negative)
        .filter(|r| get(r, "category") != "hard_recombined")
        .map(|r| top(&get(r, "qid")))
        .collect();
    clean.sort_by(|a, b| b.total_cmp(a));
    // The lowest threshold that alerts fewer than 1 % of the clean negatives.
    let threshold = clean.get(clean.len() / 100).copied().unwrap_or(0.0) + 1e-6;
    eprintln!("score threshold at 1 % false alerts (n {}): {threshold:.2}", clean.len());
    let mut categories: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for row in queries.iter().filter(|r| get(r, "should_match") == "true") {
        let want = format!("{}:{}", get(row, "source"), get(row, "expected_id"));
        let found = best
            .get(get(row, "qid").as_str())
            .is_some_and(|h| h.iter().any(|(key, score)| *key == want && *score >= threshold));
        for name in [get(row, "category"), "all".to_owned()] {
            let entry = categories.entry(name).or_default();
            entry.0 += usize::from(found);
            entry.1 += 1;
        }
    }
    let mut out = serde_json::Map::new();
    for (name, (hits, n)) in &categories {
        out.insert(name.clone(), rate(name, *hits, *n));
    }
    let hard: Vec<f64> = queries
        .iter()
        .filter(|r| get(r, "category") == "hard_recombined")
        .map(|r| top(&get(r, "qid")))
        .collect();
    let alerted = hard.iter().filter(|&&s| s >= threshold).count();
    out.insert("hard_negatives_alerted".to_owned(), rate("hard negatives alerted", alerted, hard.len()));
    json!({"threshold": threshold, "recall": out})
}

fn parity(aml: &Path, bonafide: &Path, work: &Path) -> anyhow::Result<Value> {
    let rows = table(&aml.join("bench/ofac_tool_score_parity.csv"))?;
    let quote = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = "case_id,schema,query_name,candidate_name\n".to_owned();
    for (i, row) in rows.iter().enumerate() {
        if let (Some(query), Some(listed)) = (row.get("query_name"), row.get("result_name")) {
            text.push_str(&format!("{i},Person,{},{}\n", quote(query), quote(listed)));
        }
    }
    let (pairs, scored) = (work.join("parity.csv"), work.join("parity_scored.csv"));
    fs_err::write(&pairs, text)?;
    execute(
        Command::new(bonafide)
            .args(["aml", "compare", "--profile", "ofac", "--pairs"])
            .arg(&pairs)
            .arg("--out")
            .arg(&scored),
    )?;
    let score = |row: &BTreeMap<String, String>, name: &str| {
        row.get(name).and_then(|s| s.parse::<f64>().ok()).unwrap_or(-99.0)
    };
    let near = table(&scored)?
        .iter()
        .zip(&rows)
        .filter(|(ours, theirs)| (score(ours, "score") - score(theirs, "ofac_score")).abs() <= 5.0)
        .count();
    Ok(rate("OFAC parity within 5", near, rows.len()))
}

/// RapidFuzz and nomenklatura on the same pairs, in a virtual environment of their own.
fn peers(aml: &Path, work: &Path) -> anyhow::Result<Value> {
    step("peers from PyPI on the same pairs");
    let venv = work.join("venv");
    let script = root().join("xtask/src/bench/aml_peers.py");
    let installed = venv.join("bin/python").exists()
        || (execute(Command::new("python3").args(["-m", "venv"]).arg(&venv)).is_ok()
            && execute(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "rapidfuzz==3.14.3"]))
                .is_ok());
    if !installed {
        eprintln!("skipped: the peers could not be installed");
        return Ok(json!({"skipped": "the peers could not be installed"}));
    }
    // nomenklatura brings many packages; without it the other peer is still measured.
    let _ = execute(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "nomenklatura==4.17.4"]));
    let text =
        output(Command::new(venv.join("bin/python")).arg(script).arg(aml.join("bench/name_pairs.csv")))?;
    eprintln!("{}", text.trim());
    Ok(serde_json::from_str(text.trim())?)
}
