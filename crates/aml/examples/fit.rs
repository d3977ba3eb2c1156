//! Measures the matcher on the labelled files and fits its weights with cross-validation.
#![expect(clippy::print_stdout, reason = "a tool for the person at the terminal")]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use aml::score::Weights;
use aml::{Profile, Query, Schema, Screener, compare_pair};

struct Row {
    category: String,
    schema: Schema,
    name: String,
    expected: String,
    positive: bool,
    fold: u64,
    hard: bool,
}

struct Pair {
    schema: Schema,
    a: String,
    b: String,
    positive: bool,
    fold: u64,
}

const FOLDS: u64 = 5;

fn read(data: &Path) -> (Vec<Row>, Vec<Pair>) {
    let mut rows = Vec::new();
    let mut reader = csv::Reader::from_path(data.join("bench/screening_queries.csv")).expect("queries");
    let head = reader.headers().expect("head").clone();
    let at = |n: &str| head.iter().position(|h| h == n).expect("column");
    let (s, c, sc, q, e, m, id) = (
        at("source"),
        at("category"),
        at("schema"),
        at("query_name"),
        at("expected_id"),
        at("should_match"),
        at("qid"),
    );
    for r in reader.records() {
        let r = r.expect("row");
        rows.push(Row {
            category: r[c].to_owned(),
            schema: Schema::parse(&r[sc]),
            name: r[q].to_owned(),
            expected: format!("{}:{}", &r[s], &r[e]),
            positive: &r[m] == "true",
            fold: names::hash(&r[id]) % FOLDS,
            hard: r[c].starts_with("hard"),
        });
    }
    let mut pairs = Vec::new();
    let mut reader = csv::Reader::from_path(data.join("bench/name_pairs.csv")).expect("pairs");
    for r in reader.records() {
        let r = r.expect("row");
        if &r[1] == "name_bench" {
            pairs.push(Pair {
                schema: Schema::parse(&r[2]),
                a: r[3].to_owned(),
                b: r[4].to_owned(),
                positive: &r[9] == "true",
                fold: names::hash(&r[0]) % FOLDS,
            });
        }
    }
    (rows, pairs)
}

/// Score of the expected entry (positives) and of the best entry (negatives).
fn scores(rows: &[Row], screener: &Screener, keys: &HashMap<String, u32>, weights: &Weights) -> Vec<f32> {
    rows.iter()
        .map(|r| {
            let hits = screener.raw(&r.name, r.schema, weights, 10);
            if r.positive {
                let want = keys.get(&r.expected).copied().unwrap_or(u32::MAX);
                hits.iter().find(|h| h.0 == want).map_or(0.0, |h| h.1)
            } else {
                hits.first().map_or(0.0, |h| h.1)
            }
        })
        .collect()
}

fn threshold(rows: &[Row], scores: &[f32], keep: impl Fn(&Row) -> bool) -> f32 {
    let mut clean: Vec<f32> =
        rows.iter().zip(scores).filter(|(r, _)| !r.positive && !r.hard && keep(r)).map(|x| *x.1).collect();
    clean.sort_by(|a, b| b.total_cmp(a));
    clean.get(clean.len() / 100).copied().unwrap_or(0.0) + 1e-6
}

fn recall(rows: &[Row], scores: &[f32], t: f32, keep: impl Fn(&Row) -> bool) -> (usize, usize) {
    let of: Vec<f32> = rows.iter().zip(scores).filter(|(r, _)| keep(r)).map(|x| *x.1).collect();
    (of.iter().filter(|&&s| s >= t).count(), of.len())
}

fn best_f1(pairs: &[&Pair], weights: &Weights) -> (f32, f32, Vec<f32>) {
    let scores: Vec<f32> = pairs.iter().map(|p| compare_pair(&p.a, &p.b, p.schema, weights).raw).collect();
    let mut best = (0.0, 0.0);
    for step in 1..200 {
        let t = step as f32 / 200.0;
        let (mut tp, mut fp, mut fn_) = (0.0, 0.0, 0.0);
        for (p, s) in pairs.iter().zip(&scores) {
            match (p.positive, *s >= t) {
                (true, true) => tp += 1.0,
                (false, true) => fp += 1.0,
                (true, false) => fn_ += 1.0,
                _ => {}
            }
        }
        let f1 = 2.0 * tp / (2.0 * tp + fp + fn_);
        if f1 > best.0 {
            best = (f1, t);
        }
    }
    (best.0, best.1, scores)
}

fn main() {
    let data =
        PathBuf::from(std::env::var("BONAFIDE_TESTDATA").unwrap_or_else(|_| "../shared/data".to_owned()))
            .join("aml");
    let dir = PathBuf::from(std::env::args().nth(1).expect("index folder"));
    let mode = std::env::args().nth(2).unwrap_or_default();
    let (rows, pairs) = read(&data);
    let screener = Screener::open(&dir).expect("index");
    let keys: HashMap<String, u32> = (0..screener.index().entities() as u32)
        .filter_map(|i| screener.index().entity(i).map(|e| (e.key, i)))
        .collect();
    let mut weights = Weights::default();
    if mode == "try" || mode == "errors" {
        // `try NAME=VALUE…` or `errors NAME=VALUE…`: the figures with other weights.
        let mut value = serde_json::to_value(&weights).expect("json");
        for set in std::env::args().skip(3) {
            let (name, number) = set.split_once('=').expect("NAME=VALUE");
            value[name] = serde_json::json!(number.parse::<f32>().expect("a number"));
        }
        weights = serde_json::from_value(value).expect("weights");
    }
    // `fit` and `nested` try every weight; naming some on the command line tries only these.
    let chosen: Vec<String> = std::env::args().skip(3).collect();
    if mode == "fit" {
        fit(&rows, &pairs, &screener, &keys, &mut weights, &|_| true, &chosen);
        println!("{weights:#?}");
    }
    if mode == "nested" {
        nested(&rows, &pairs, &screener, &keys, &weights, &chosen);
        return;
    }
    let start = std::time::Instant::now();
    let scores = scores(&rows, &screener, &keys, &weights);
    let took = start.elapsed();
    let t = threshold(&rows, &scores, |_| true);
    println!("threshold {t:.4}, {:.0} queries/s wall", rows.len() as f64 / took.as_secs_f64());
    let mut categories: Vec<&str> = rows.iter().filter(|r| r.positive).map(|r| r.category.as_str()).collect();
    categories.sort_unstable();
    categories.dedup();
    let (hit, n) = recall(&rows, &scores, t, |r| r.positive);
    println!("recall {hit}/{n} = {:.4}", hit as f32 / n as f32);
    for c in categories {
        let (hit, n) = recall(&rows, &scores, t, |r| r.positive && r.category == c);
        let found =
            rows.iter().zip(&scores).filter(|(r, s)| r.positive && r.category == c && **s > 0.0).count();
        println!("  {c:24} {hit}/{n} = {:.3}   found {:.3}", hit as f32 / n as f32, found as f32 / n as f32);
    }
    let (hit, n) = recall(&rows, &scores, t, |r| r.hard);
    println!("hard negatives {hit}/{n} = {:.3}", hit as f32 / n as f32);
    let (f1, at, pair_scores) = best_f1(&pairs.iter().collect::<Vec<_>>(), &weights);
    println!("pairs F1 {f1:.3} at {at:.3} (n {})", pairs.len());
    if mode == "errors" {
        for (r, s) in rows.iter().zip(&scores) {
            if r.positive && *s < t {
                println!(
                    "MISS {s:.3} [{}] {} | {}",
                    r.category,
                    r.name,
                    keys.get(&r.expected).and_then(|i| screener.index().entity(*i)).map_or(
                        String::new(),
                        |e| e.names.iter().take(6).map(|n| n.text.clone()).collect::<Vec<_>>().join(" / ")
                    )
                );
            }
        }
        for (r, s) in rows.iter().zip(&scores) {
            if !r.positive && *s >= t - 0.03 {
                println!("FALSE {s:.3} [{}] {} | {}", r.category, r.name, why(&screener, r, &weights));
            }
        }
    }
    if mode == "pairs" {
        for (p, s) in pairs.iter().zip(&pair_scores) {
            if p.positive != (*s >= at) {
                println!("PAIR {s:.3} {} {} | {}", p.positive, p.a, p.b);
            }
        }
    }
}

/// The name that the best hit of a query matched, and how.
fn why(screener: &Screener, row: &Row, weights: &Weights) -> String {
    let query = Query { names: vec![row.name.clone()], schema: row.schema, ..Query::default() };
    let profile = Profile { weights: weights.clone(), threshold: 0.0, name_only: true, ..Profile::default() };
    let Some(hit) = screener.rank(&query, &profile).into_iter().next() else { return String::new() };
    let parts = hit.alignment.iter().map(|a| {
        format!("{}~{} {} {:.2} won {:.1}", a.query, a.listed, a.likeness, a.similarity, a.information)
    });
    format!("{} | {}", hit.matched_name, parts.collect::<Vec<_>>().join("; "))
}

/// What fitting makes greater, over the rows and pairs that `keep` lets through: recall at the threshold of their clean
/// negatives, the real aliases counted again, less what hard negatives alert over 1.5 %, plus half the F1 of the pairs.
fn goal(
    rows: &[Row],
    pairs: &[Pair],
    screener: &Screener,
    keys: &HashMap<String, u32>,
    weights: &Weights,
    keep: &dyn Fn(u64) -> bool,
) -> f32 {
    let s = scores(rows, screener, keys, weights);
    let t = threshold(rows, &s, |r| keep(r.fold));
    let share = |(hit, n): (usize, usize)| hit as f32 / n.max(1) as f32;
    let all = share(recall(rows, &s, t, |r| r.positive && keep(r.fold)));
    let aliases = share(recall(rows, &s, t, |r| r.category == "real_alias_heldout" && keep(r.fold)));
    let hard = share(recall(rows, &s, t, |r| r.hard && keep(r.fold)));
    let kept: Vec<&Pair> = pairs.iter().filter(|p| keep(p.fold)).collect();
    all + 0.3 * aliases - (hard - 0.015).max(0.0) + 0.5 * best_f1(&kept, weights).0
}

fn fit(
    rows: &[Row],
    pairs: &[Pair],
    screener: &Screener,
    keys: &HashMap<String, u32>,
    weights: &mut Weights,
    keep: &dyn Fn(u64) -> bool,
    chosen: &[String],
) {
    let goal = |weights: &Weights| goal(rows, pairs, screener, keys, weights, keep);
    let mut best = goal(weights);
    println!("start {best:.4}");
    let fields = serde_json::to_value(&*weights).expect("json");
    let names: Vec<String> = fields.as_object().expect("object").keys().cloned().collect();
    let names: Vec<String> = names.into_iter().filter(|n| chosen.is_empty() || chosen.contains(n)).collect();
    for step in [1.25f64, 1.12] {
        for name in &names {
            for factor in [step, 1.0 / step] {
                loop {
                    let mut value = serde_json::to_value(&*weights).expect("json");
                    let old = value[name].as_f64().expect("number");
                    value[name] = serde_json::json!(old * factor);
                    let tried: Weights = serde_json::from_value(value).expect("weights");
                    let got = goal(&tried);
                    // Less than half an alias is no gain.
                    if got <= best + 3e-4 {
                        break;
                    }
                    best = got;
                    *weights = tried;
                    println!("{best:.4} {name} {:.3}", old * factor);
                }
            }
        }
    }
}

/// Fits on four folds, sets the threshold there too, and counts on the fifth; sums over the five.
fn nested(
    rows: &[Row],
    pairs: &[Pair],
    screener: &Screener,
    keys: &HashMap<String, u32>,
    start: &Weights,
    chosen: &[String],
) {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let (mut hit_pairs, mut wrong_pairs, mut missed_pairs) = (0.0, 0.0, 0.0);
    for fold in 0..FOLDS {
        let mut weights = start.clone();
        fit(rows, pairs, screener, keys, &mut weights, &|f| f != fold, chosen);
        let s = scores(rows, screener, keys, &weights);
        let t = threshold(rows, &s, |r| r.fold != fold);
        for (r, score) in rows.iter().zip(&s).filter(|(r, _)| r.fold == fold) {
            let kinds = if r.positive { vec!["all", r.category.as_str()] } else { vec![r.category.as_str()] };
            for kind in kinds {
                let count = counts.entry(kind.to_owned()).or_default();
                count.0 += usize::from(*score >= t);
                count.1 += 1;
            }
        }
        let others: Vec<&Pair> = pairs.iter().filter(|p| p.fold != fold).collect();
        let at = best_f1(&others, &weights).1;
        for p in pairs.iter().filter(|p| p.fold == fold) {
            match (p.positive, compare_pair(&p.a, &p.b, p.schema, &weights).raw >= at) {
                (true, true) => hit_pairs += 1.0,
                (false, true) => wrong_pairs += 1.0,
                (true, false) => missed_pairs += 1.0,
                _ => {}
            }
        }
    }
    println!("on the folds that were not fitted:");
    for (kind, (hit, n)) in counts {
        println!("  {kind:24} {hit}/{n} = {:.4}", hit as f32 / n as f32);
    }
    let f1 = 2.0 * hit_pairs / (2.0 * hit_pairs + wrong_pairs + missed_pairs);
    println!("pairs F1 {f1:.3} (n {})", pairs.len());
}
