//! Measures what this crate promises: verification, liveness, search, speed, age.
//!
//! `cargo bench -p face --bench faces -- --data DIR --out JSON [--only SECTION]… [--ideas]
//! [--install-age DIR]` (or `cargo xtask bench faces`); `--meshes FILE [--of FOLDER]…` writes boxes and meshes for `training/` and ends. Every rate has its n and its 95 % interval.

mod active;
mod pad;
mod render;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use face::age::{AgeEstimator, Answer};
use face::score::interval;
use face::{Calibration, Effort, Engine, ExactIndex, Face, FaceIndex as _, Jitter, Template};
use imaging::RgbImage;
use inference::Models;
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let values = |name: &str| -> Vec<String> {
        arguments.windows(2).filter(|w| w[0] == name).map(|w| w[1].clone()).collect()
    };
    let Some(data) = values("--data").pop().map(PathBuf::from) else {
        say("skipped: no test data (--data DIR)");
        return Ok(());
    };
    let only = values("--only");
    let install_age = values("--install-age").pop().map(PathBuf::from);
    // Ensembles of frames and the coarse mesh too: eight times the computing.
    let ideas = arguments.iter().any(|a| a == "--ideas");
    let wanted = |section: &str| only.is_empty() || only.iter().any(|o| o == section);
    let models = Models::open(&Models::default_dir())?;
    let engine = Engine::open(&models)?;
    if let Some(out) = values("--meshes").pop() {
        return meshes(&engine, &data, &values("--of"), Path::new(&out));
    }
    let mut report = serde_json::Map::new();
    report.insert("model".into(), engine.model().into());
    report.insert("runtime".into(), json!(models.runtime()));
    let mut section = |name: &str, run: &dyn Fn() -> anyhow::Result<Value>| -> anyhow::Result<()> {
        if wanted(name) {
            say(&format!("== {name}"));
            report.insert(name.into(), run().with_context(|| format!("section {name}"))?);
        }
        Ok(())
    };
    // Measured first, so that the groups' rates are those of the scores it gives.
    let measured = std::cell::RefCell::new(None);
    section("lfw", &|| lfw(&engine, &data, ideas, &mut measured.borrow_mut()))?;
    section("london", &|| london(&engine, &data, &mut measured.borrow_mut()))?;
    section("quality", &|| quality(&engine, &data))?;
    section("pad", &|| pad::measure(&engine, &models, &data))?;
    section("active", &|| active::measure(&engine, &data))?;
    section("search", &search)?;
    section("speed", &|| speed(&engine, &data))?;
    section("age", &|| age(&engine, &models, &data, install_age.as_deref()))?;
    if let Some(calibration) = measured.borrow().as_ref() {
        report.insert("calibration".into(), json!(calibration.to_toml()?));
    }
    if let Some(out) = values("--out").pop() {
        std::fs::write(out, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

/// Boxes and meshes as `training/pad/evaluate.py` and `training/align/measure.py` read them: one JSON line a picture of the
/// folders, which are the licence-clean portraits unless others are named.
fn meshes(engine: &Engine, data: &Path, folders: &[String], out: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    let clean = ["documents/faces_london", "documents/faces_cc0_lisa"].map(str::to_owned);
    for folder in if folders.is_empty() { &clean } else { folders } {
        for file in pictures(&data.join(folder))? {
            let Some(face) = prominent(engine, &decode(&file)?)? else { continue };
            let points: Vec<[f32; 2]> = face.mesh.points.iter().map(|p| [p[0], p[1]]).collect();
            text += &format!("{}\n", json!({ "path": file, "bbox": face.bbox, "points": points }));
        }
    }
    Ok(std::fs::write(out, text)?)
}

/// The table goes to standard error: standard output stays free.
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

pub(crate) fn decode(path: &Path) -> anyhow::Result<RgbImage> {
    Ok(imaging::decode(&std::fs::read(path)?, &imaging::Limits::default())?.pixels)
}

pub(crate) fn pictures(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| format!("no folder {}", folder.display()))?
        .filter_map(Result::ok)
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "jpg" || e == "png"))
        .collect();
    files.sort();
    Ok(files)
}

pub(crate) fn name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Runs `f` over all items on all cores, in order.
pub(crate) fn parallel<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(i) else { break };
                    let result = f(item);
                    done.lock().expect("no panics").push((i, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no panics");
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, r)| r).collect()
}

pub(crate) fn rate(events: usize, n: usize) -> Value {
    json!({ "events": events, "n": n, "rate": events as f64 / n.max(1) as f64, "ci95": interval(events as u64, n as u64) })
}

pub(crate) fn prominent(engine: &Engine, image: &RgbImage) -> anyhow::Result<Option<Face>> {
    Ok(engine.faces(image)?.into_iter().next())
}

/// Embeddings of one picture by variant.
type Variants = BTreeMap<&'static str, Vec<f32>>;

fn mean(frames: &[Vec<f32>]) -> Option<Vec<f32>> {
    let mut sum = frames.first()?.clone();
    for f in &frames[1..] {
        sum.iter_mut().zip(f).for_each(|(s, v)| *s += v);
    }
    Template::new(sum, "m").map(|t| t.vector)
}

fn variants(
    engine: &Engine,
    unrefined: &Engine,
    image: &RgbImage,
    ideas: bool,
) -> anyhow::Result<Option<Variants>> {
    let Some(face) = prominent(engine, image)? else { return Ok(None) };
    let n = Jitter::NONE;
    let frame = |jitter: Jitter, mirror: bool| -> anyhow::Result<Vec<f32>> {
        engine.embedding(image, &face, jitter, mirror)?.context("no embedding")
    };
    let mut out = Variants::new();
    out.insert("packaged", engine.template(image, &face)?.context("no template")?.vector);
    if !ideas {
        return Ok(Some(out));
    }
    out.insert("1 single", frame(n, false)?);
    out.insert("2 pair", engine.template_with(image, &face, Effort::Pair)?.context("no template")?.vector);
    let zoom = |zoom| Jitter { zoom, ..n };
    let up = |y| Jitter { shift: [0.0, y], ..n };
    let sets: [(&'static str, &[Jitter]); 4] = [
        ("3 mirrored", &[n]),
        ("3 mirrored + zooms", &[n, zoom(1.1), zoom(0.92)]),
        ("4 mirrored + shifts", &[n, up(0.03), up(-0.03)]),
        ("5 mirrored + zooms + shifts", &[n, zoom(1.1), zoom(0.92), up(0.03), up(-0.03)]),
    ];
    for (name, jitters) in sets {
        let mut frames = Vec::new();
        for &jitter in jitters {
            frames.extend([frame(jitter, false)?, frame(jitter, true)?]);
        }
        out.insert(name, mean(&frames).context("mean")?);
    }
    if let Some(coarse) = prominent(unrefined, image)? {
        let pair = [false, true].map(|m| engine.embedding(image, &coarse, n, m));
        let [Ok(Some(a)), Ok(Some(b))] = pair else { anyhow::bail!("no embedding") };
        out.insert("0 mirrored, mesh fitted once", mean(&[a, b]).context("mean")?);
    }
    Ok(Some(out))
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn lfw(
    engine: &Engine,
    data: &Path,
    ideas: bool,
    measured: &mut Option<Calibration>,
) -> anyhow::Result<Value> {
    let folder = data.join("faces/lfw");
    let models = Models::open(&Models::default_dir())?;
    let unrefined = Engine::open(&models)?.with_refits(0);
    let files = pictures(&folder)?;
    let found = parallel(&files, |f| variants(engine, &unrefined, &decode(f)?, ideas));
    let mut vectors: BTreeMap<String, Variants> = BTreeMap::new();
    let mut missed = 0;
    for (file, found) in files.iter().zip(found) {
        match found? {
            Some(v) => {
                vectors.insert(name(file), v);
            }
            None => missed += 1,
        }
    }
    say(&format!("pictures {}, no face {missed}", files.len()));
    let text = std::fs::read_to_string(folder.join("pairs.csv"))?;
    let pairs: Vec<(u32, &str, &str, bool)> = text
        .lines()
        .skip(1)
        .filter_map(|l| {
            let mut c = l.split(',');
            Some((c.next()?.parse().ok()?, c.next()?, c.next()?, c.next()?.trim() == "1"))
        })
        .collect();
    let people: Vec<&str> = vectors.keys().map(|n| n.rsplit_once('_').map_or(n.as_str(), |p| p.0)).collect();
    let names: Vec<&'static str> =
        vectors.values().next().map(|v| v.keys().copied().collect()).unwrap_or_default();
    let mut table = serde_json::Map::new();
    for variant in names {
        let get = |n: &str| vectors.get(n).and_then(|v| v.get(variant));
        let scored: Vec<(u32, f32, bool)> = pairs
            .iter()
            .map(|&(fold, a, b, same)| (fold, get(a).zip(get(b)).map_or(-1.0, |(a, b)| dot(a, b)), same))
            .collect();
        // The threshold of a fold is the best one on the others.
        let folds: std::collections::BTreeSet<u32> = scored.iter().map(|s| s.0).collect();
        let (mut right, mut per_fold) = (0, Vec::new());
        for fold in &folds {
            let best = best_threshold(scored.iter().filter(|s| s.0 != *fold).map(|s| (s.1, s.2)).collect());
            let mine: Vec<_> = scored.iter().filter(|s| s.0 == *fold).collect();
            let ok = mine.iter().filter(|s| (s.1 >= best) == s.2).count();
            right += ok;
            per_fold.push(ok as f64 / mine.len() as f64);
        }
        let all: Vec<&[f32]> = vectors.values().filter_map(|v| v.get(variant)).map(Vec::as_slice).collect();
        let rows: Vec<usize> = (0..all.len()).collect();
        let halves = parallel(&rows, |&i| {
            let (mut genuine, mut impostor) = (Vec::new(), Vec::new());
            for j in i + 1..all.len() {
                let c = dot(all[i], all[j]);
                if people[i] == people[j] { genuine.push(c) } else { impostor.push(c) }
            }
            (genuine, impostor)
        });
        let (mut genuine, mut impostor) = (Vec::new(), Vec::new());
        for (g, i) in halves {
            genuine.extend(g);
            impostor.extend(i);
        }
        impostor.sort_by(|a, b| b.total_cmp(a));
        let mut at = serde_json::Map::new();
        let mut line = String::new();
        for fmr in [1e-2, 1e-3, 1e-4] {
            let rank = (impostor.len() as f64 * fmr) as usize;
            let threshold = impostor[rank];
            let missed = genuine.iter().filter(|&&g| g <= threshold).count();
            line += &format!("  FNMR@{fmr:e} {:.2} %", 100.0 * missed as f64 / genuine.len() as f64);
            at.insert(
                format!("fmr_{fmr:e}"),
                json!({ "cosine": threshold, "fnmr": rate(missed, genuine.len()) }),
            );
        }
        say(&format!("{variant:<30} accuracy {:.2} %{line}", 100.0 * right as f64 / scored.len() as f64));
        if variant == "packaged" {
            let wide = |v: &[f32]| v.iter().map(|&c| f64::from(c)).collect::<Vec<_>>();
            let mut calibration = Calibration::measure(
                engine.model(),
                "LFW (half of the deep-funneled set), all pairs of its pictures",
                wide(&genuine),
                wide(&impostor),
            )
            .map_err(|e| anyhow::anyhow!(e))?;
            calibration.measured_on += "; cargo bench -p face --bench faces";
            for row in &calibration.table {
                say(&format!(
                    "  score {:>4} cosine {:.4} FMR {:.2e} {:?} FNMR {:.2e} {:?}",
                    row.score, row.cosine, row.fmr, row.fmr_95, row.fnmr, row.fnmr_95
                ));
            }
            *measured = Some(calibration);
        }
        table.insert(
            variant.into(),
            json!({
                "accuracy": rate(right, scored.len()), "folds": per_fold,
                "genuine": genuine.len(), "impostor": impostor.len(), "at": at,
            }),
        );
    }
    Ok(json!({ "pictures": files.len(), "no_face": missed, "variants": table }))
}

fn best_threshold(mut scored: Vec<(f32, bool)>) -> f32 {
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    // All accepted: right are the genuine ones.
    let mut right = scored.iter().filter(|s| s.1).count() as i64;
    let (mut best, mut at) = (right, -1.0);
    for (i, (c, same)) in scored.iter().enumerate() {
        right += if *same { -1 } else { 1 };
        if right > best {
            best = right;
            at = scored.get(i + 1).map_or(*c, |n| (c + n.0) / 2.0);
        }
    }
    at
}

fn london(engine: &Engine, data: &Path, measured: &mut Option<Calibration>) -> anyhow::Result<Value> {
    let calibration = measured.as_ref().unwrap_or_else(|| engine.calibration()).clone();
    let folder = data.join("documents/faces_london");
    let info = std::fs::read_to_string(folder.join("london_info.csv")).unwrap_or_default();
    let groups = london_info(&info);
    let files = pictures(&folder)?;
    let found = parallel(&files, |f| -> anyhow::Result<Option<Template>> {
        let image = decode(f)?;
        let Some(face) = prominent(engine, &image)? else { return Ok(None) };
        Ok(engine.template(&image, &face)?)
    });
    let mut all = Vec::new();
    let mut missed = 0;
    for (file, template) in files.iter().zip(found) {
        match template? {
            Some(t) => all.push((name(file).split('_').next().unwrap_or_default().to_owned(), t)),
            None => missed += 1,
        }
    }
    let (mut genuine, mut impostor) = (Vec::new(), Vec::new());
    let mut within: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (i, (p, a)) in all.iter().enumerate() {
        for (q, b) in &all[i + 1..] {
            let score = calibration.score(engine.compare(a, b)?.raw);
            if p == q {
                genuine.push(score);
                continue;
            }
            impostor.push(score);
            if let (Some(g), Some(h)) = (groups.get(p), groups.get(q))
                && g.0 == h.0
            {
                within.entry(g.0.clone()).or_default().push(score);
            }
        }
    }
    let lowest = genuine.iter().copied().fold(f64::MAX, f64::min);
    let highest = impostor.iter().copied().fold(f64::MIN, f64::max);
    let below: BTreeMap<String, usize> = [40.0, 50.0, 60.0, 70.0, 80.0]
        .into_iter()
        .map(|t| (format!("{t}"), genuine.iter().filter(|g| **g < t).count()))
        .collect();
    say(&format!("genuine pairs below a score: {below:?} of {}", genuine.len()));
    let eer = if lowest > highest { 0.0 } else { equal_error(&genuine, &impostor) };
    say(&format!(
        "faces {}, missed {missed}; genuine {} lowest {lowest:.1}; impostor {} highest {highest:.1}; EER {eer:.4}",
        all.len(),
        genuine.len(),
        impostor.len()
    ));
    let mut table = serde_json::Map::new();
    for (group, scores) in &within {
        let mut at = serde_json::Map::new();
        let mut line = format!("{group:<28} pairs {:>5}", scores.len());
        for threshold in [30.0, 40.0, 50.0, 60.0] {
            let n = scores.iter().filter(|s| **s >= threshold).count();
            line += &format!("  FMR@{threshold} {:.3}", n as f64 / scores.len() as f64);
            at.insert(format!("score_{threshold}"), rate(n, scores.len()));
            if let Some(measured) = measured.as_mut() {
                measured.groups.push(face::score::GroupRow {
                    group: format!("{group} (Face Research Lab London Set)"),
                    score: threshold,
                    impostor_pairs: scores.len() as u64,
                    fmr: n as f64 / scores.len() as f64,
                    fmr_95: interval(n as u64, scores.len() as u64),
                });
            }
        }
        say(&line);
        table.insert(group.clone(), Value::Object(at));
    }
    let bands = &calibration;
    let approved = genuine.iter().filter(|s| **s >= bands.approve_from).count();
    let refused = genuine.iter().filter(|s| **s < bands.decline_below).count();
    Ok(json!({
        "faces": all.len(), "missed": missed, "genuine": genuine.len(), "impostor": impostor.len(), "eer": eer,
        "genuine_below": below, "lowest_genuine": lowest, "highest_impostor": highest, "groups": table,
        "genuine_approved": rate(approved, genuine.len()), "genuine_declined": rate(refused, genuine.len()),
    }))
}

/// Face id → (group, age), from the CSV's columns by name.
fn london_info(text: &str) -> BTreeMap<String, (String, Option<f64>)> {
    let mut lines = text.lines();
    let header: Vec<&str> =
        lines.next().unwrap_or_default().split(',').map(|h| h.trim_matches('"')).collect();
    let column = |name: &str| header.iter().position(|h| h.contains(name));
    let (id, age) = (column("id"), column("age"));
    let (gender, ethnicity) = (column("gender"), column("eth"));
    lines
        .filter_map(|line| {
            let cells: Vec<&str> = line.split(',').map(|c| c.trim_matches('"')).collect();
            let cell = |i: Option<usize>| i.and_then(|i| cells.get(i)).copied().unwrap_or_default();
            let digits: String = cell(id).chars().filter(char::is_ascii_digit).collect();
            let group = format!("{} {}", cell(ethnicity), cell(gender));
            Some((format!("{:0>3}", digits.parse::<u32>().ok()?), (group, cell(age).parse().ok())))
        })
        .collect()
}

/// The rate at which false matches and misses are equal.
pub(crate) fn equal_error(good: &[f64], bad: &[f64]) -> f64 {
    let mut thresholds: Vec<f64> = good.iter().chain(bad).copied().collect();
    thresholds.sort_by(f64::total_cmp);
    let rates = |t: f64| {
        let miss = good.iter().filter(|s| **s < t).count() as f64 / good.len() as f64;
        let pass = bad.iter().filter(|s| **s >= t).count() as f64 / bad.len() as f64;
        (miss, pass)
    };
    let (mut low, mut high) = (0, thresholds.len() - 1);
    while low < high {
        let middle = (low + high) / 2;
        let (miss, pass) = rates(thresholds[middle]);
        if miss >= pass { high = middle } else { low = middle + 1 }
    }
    let (miss, pass) = rates(thresholds[low]);
    (miss + pass) / 2.0
}

fn quality(engine: &Engine, data: &Path) -> anyhow::Result<Value> {
    let mut out = serde_json::Map::new();
    for (set, folder) in [("london", "documents/faces_london"), ("lfw", "faces/lfw")] {
        let files: Vec<_> =
            pictures(&data.join(folder))?.into_iter().step_by(if set == "lfw" { 6 } else { 1 }).collect();
        let faces = parallel(&files, |f| decode(f).and_then(|i| prominent(engine, &i)));
        let mut failed: BTreeMap<&str, usize> = BTreeMap::new();
        let mut values: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
        let mut n = 0;
        for face in faces {
            let Some(face) = face? else { continue };
            n += 1;
            for c in &face.quality.components {
                values.entry(c.name).or_default().push(c.value);
                *failed.entry(c.name).or_default() += usize::from(!c.passed);
            }
        }
        for (component, v) in &mut values {
            v.sort_by(f32::total_cmp);
            let q = |p: f64| v[((v.len() - 1) as f64 * p) as usize];
            say(&format!(
                "{set:<7} {component:<11} refused {:>3} of {n}; 1 % {:.2} median {:.2} 99 % {:.2}",
                failed[component],
                q(0.01),
                q(0.5),
                q(0.99)
            ));
        }
        let table: BTreeMap<_, _> = failed.iter().map(|(c, f)| (*c, rate(*f, n))).collect();
        out.insert(set.into(), json!(table));
    }
    // Turned pictures are found as well as upright ones.
    let files: Vec<_> = pictures(&data.join("documents/faces_london"))?.into_iter().step_by(4).collect();
    let mut turned = 0;
    for file in &files {
        let image = decode(file)?;
        for turns in 1..4_u8 {
            let face = prominent(engine, &imaging::rotate90(&image, turns))?;
            turned += usize::from(face.is_some_and(|f| f.quarter_turns == (4 - turns) % 4));
        }
    }
    say(&format!("turned by 90, 180, 270: right way found {turned} of {}", files.len() * 3));
    out.insert("turned_found".into(), rate(turned, files.len() * 3));
    // A small face in a large picture, a face cut in half by the edge, two people in one picture.
    let (mut small, mut cut, mut cut_named, mut both) = (0, 0, 0, 0);
    for (file, other) in files.iter().zip(files.iter().cycle().skip(1)) {
        let (image, other) = (decode(file)?, decode(other)?);
        let Some(face) = prominent(engine, &image)? else { continue };
        let mut wide = RgbImage::from_pixel(1_280, 960, image::Rgb([90, 100, 110]));
        image::imageops::replace(&mut wide, &imaging::fit_within(&image, 240), 900, 80);
        let found = prominent(engine, &wide)?.map(|f| [f.bbox[0] + f.bbox[2], f.bbox[1] + f.bbox[3]]);
        let inside = |[x, y]: [f32; 2]| (1_800.0..2_280.0).contains(&x) && (160.0..640.0).contains(&y);
        small += usize::from(found.is_some_and(inside));
        let middle = ((face.bbox[0] + face.bbox[2]) / 2.0 - 0.15 * (face.bbox[2] - face.bbox[0])) as u32;
        let half = imaging::crop(&image, middle, 0, image.width() - middle, image.height());
        if let Some(face) = prominent(engine, &half)? {
            cut += 1;
            cut_named += usize::from(face.quality.components.iter().any(|c| c.name == "cut" && !c.passed));
        }
        let mut pair = RgbImage::new(image.width() + other.width(), image.height().max(other.height()));
        image::imageops::replace(&mut pair, &image, 0, 0);
        image::imageops::replace(&mut pair, &other, i64::from(image.width()), 0);
        both += usize::from(engine.faces(&pair)?.len() == 2);
    }
    let n = files.len();
    say(&format!(
        "small face found {small} of {n}; cut face found {cut}, said to be cut {cut_named}; two faces seen as two {both} of {n}"
    ));
    out.insert("small_found".into(), rate(small, n));
    out.insert("cut_said".into(), rate(cut_named, cut));
    out.insert("two_faces_seen".into(), rate(both, n));
    Ok(Value::Object(out))
}

fn search() -> anyhow::Result<Value> {
    const N: usize = 1_000_000;
    const D: usize = 128;
    let mut state = 0x1234_5678_9abc_def0_u64;
    let mut random = || {
        // Sum of four: near enough to a normal distribution.
        (0..4)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / 16_777_216.0 - 0.5
            })
            .sum::<f32>()
    };
    // Like real embeddings: a common direction (impostors at cosine 0.8) and a person's own.
    let common: Vec<f32> = (0..D).map(|_| random()).collect();
    let mut person = |_| -> Vec<f32> { common.iter().map(|c| 2.0 * c + random()).collect() };
    let mut index = ExactIndex::new("m/1", D);
    index.reserve(N);
    let started = Instant::now();
    for id in 0..N {
        let t = Template::new(person(id), "m/1").context("a direction")?;
        index.insert(id as u128, &t)?;
    }
    let built = started.elapsed().as_secs_f64();
    let mut times = Vec::new();
    let (mut lost, mut different) = (0, 0);
    let queries = 200;
    for q in 0..queries {
        let target = Template::new(person(q), "m/1").context("a direction")?;
        let started = Instant::now();
        let fast = index.search(&target, 10, -1.0)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        if q < 50 {
            let exact = index.search_exhaustively(&target, 10, -1.0)?;
            lost += usize::from(fast.first().map(|h| h.id) != exact.first().map(|h| h.id));
            different += usize::from(fast != exact);
        }
    }
    times.sort_by(f64::total_cmp);
    let p50 = times[times.len() / 2];
    let fresh = Template::new(person(0), "m/1").context("a direction")?;
    let started = Instant::now();
    for i in 0..1_000 {
        index.insert((N + i) as u128, &fresh)?;
    }
    let insert_us = started.elapsed().as_secs_f64() * 1e3;
    let started = Instant::now();
    for i in 0..1_000 {
        anyhow::ensure!(index.erase((N + i) as u128), "an enrolled face is erased");
    }
    let erase_us = started.elapsed().as_secs_f64() * 1e3;
    let megabytes = index.memory_bytes() as f64 / 1e6;
    say(&format!(
        "1,000,000 x {D}: built {built:.1} s; search p50 {p50:.1} ms, fastest {:.1} ms, one thread; recall@1 lost {lost} of 50, whole list differs {different}; {megabytes:.0} MB; insert {insert_us:.1} us, erase {erase_us:.1} us",
        times[0]
    ));
    Ok(json!({
        "n": N, "dimension": D, "p50_ms": p50, "best_ms": times[0], "recall_at_1_lost": rate(lost, 50),
        "lists_different": rate(different, 50), "memory_mb": megabytes, "insert_us": insert_us, "erase_us": erase_us,
    }))
}

/// CPU seconds of this process so far (user + system), from the kernel's account of it.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn speed(engine: &Engine, data: &Path) -> anyhow::Result<Value> {
    let images = pictures(&data.join("documents/faces_london"))?
        .iter()
        .take(40)
        .map(|f| decode(f))
        .collect::<Result<Vec<_>, _>>()?;
    let mut out = serde_json::Map::new();
    let efforts = [
        ("detect + align only", None),
        ("one frame", Some(Effort::Single)),
        ("pair", Some(Effort::Pair)),
        ("ensemble (packaged)", Some(Effort::Ensemble)),
    ];
    for (label, effort) in efforts {
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        for image in &images {
            if let (Some(face), Some(effort)) = (prominent(engine, image)?, effort) {
                engine.template_with(image, &face, effort)?;
            }
        }
        let n = images.len() as f64;
        let (cpu, wall) = ((cpu_seconds() - cpu) / n * 1e3, wall.elapsed().as_secs_f64() / n * 1e3);
        say(&format!(
            "{label}: one face {cpu:.1} ms CPU, {wall:.1} ms wall; two faces {:.1} ms CPU",
            2.0 * cpu
        ));
        out.insert(
            label.into(),
            json!({ "cpu_ms_per_face": cpu, "wall_ms_per_face": wall, "two_faces_cpu_ms": 2.0 * cpu }),
        );
    }
    Ok(Value::Object(out))
}

/// The age net: the operator's, or one that the bench installs for itself into `folder`.
fn age_net(models: &Models, folder: Option<&Path>) -> anyhow::Result<Option<AgeEstimator>> {
    let missing = match AgeEstimator::open(models) {
        Ok(estimator) => return Ok(Some(estimator)),
        Err(error) => error,
    };
    let Some(folder) = folder else {
        say(&format!("not evaluated: {missing}; --install-age DIR fetches it for the bench alone"));
        return Ok(None);
    };
    let note = models.entry("faceres-age").map_or("", |e| e.provenance.as_str());
    say(&format!("the opt-in age net is installed for this bench alone; its licence note: {note}"));
    // The entry leads to npm; without it the section is skipped, not failed.
    if let Err(error) = inference::install::install(folder, &["faceres-age".to_owned()], &mut |_| {}) {
        say(&format!("not evaluated: {error}"));
        return Ok(None);
    }
    Ok(Some(AgeEstimator::open(&Models::open(folder)?)?))
}

/// What was answered to a threshold about people who are older, and about people who are younger.
#[derive(Default)]
struct Asked {
    /// Over, uncertain, under.
    older: [usize; 3],
    younger: [usize; 3],
}

fn age(engine: &Engine, models: &Models, data: &Path, install: Option<&Path>) -> anyhow::Result<Value> {
    let Some(estimator) = age_net(models, install)? else {
        return Ok(json!({ "status": "not_evaluated" }));
    };
    let folder = data.join("documents/faces_london");
    let info = london_info(&std::fs::read_to_string(folder.join("london_info.csv")).unwrap_or_default());
    let (mut errors, mut truths) = (Vec::new(), Vec::new());
    let questions =
        [(18.0, 0.0), (18.0, 7.0), (21.0, 0.0), (21.0, 7.0), (25.0, 0.0), (25.0, 7.0), (30.0, 7.0)];
    let mut answers: [Asked; 7] = Default::default();
    let mut covered = 0;
    for file in pictures(&folder)? {
        let stem = name(&file);
        let Some((_, Some(truth))) = info.get(stem.split('_').next().unwrap_or_default()) else { continue };
        if !stem.contains("neutral") {
            continue;
        }
        let image = decode(&file)?;
        let Some(face) = prominent(engine, &image)? else { continue };
        let Some(age) = estimator.estimate(&image, &face)? else { continue };
        errors.push(age.years - truth);
        truths.push(*truth);
        covered += usize::from((age.low..=age.high).contains(truth));
        for ((threshold, buffer), asked) in questions.iter().zip(&mut answers) {
            let kind = match age.at_least(*threshold, *buffer) {
                Answer::Over => 0,
                Answer::Uncertain => 1,
                Answer::Under => 2,
            };
            let side = if truth >= threshold { &mut asked.older } else { &mut asked.younger };
            side[kind] += 1;
        }
    }
    let n = errors.len().max(1) as f64;
    let mae = errors.iter().map(|e: &f64| e.abs()).sum::<f64>() / n;
    let bias = errors.iter().sum::<f64>() / n;
    let mut sorted: Vec<f64> = errors.iter().map(|e| e.abs()).collect();
    sorted.sort_by(f64::total_cmp);
    let q90 = sorted.get((sorted.len() * 9 / 10).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0);
    let average = truths.iter().sum::<f64>() / n;
    let constant = truths.iter().map(|t| (t - average).abs()).sum::<f64>() / n;
    // Of the mean: 1.96 standard errors of the absolute errors.
    let spread = (errors.iter().map(|e| (e.abs() - mae).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
    let half = 1.96 * spread / n.sqrt();
    say(&format!(
        "London n={}: MAE {mae:.2} years (95 % {:.2}..{:.2}), bias {bias:+.2}, 90 % within {q90:.1} (interval holds {covered}); a constant guess {constant:.2}",
        errors.len(),
        mae - half,
        mae + half
    ));
    say(
        "at least | buffer | older: over, uncertain, under (wrong, 95 %) | younger: over (wrong, 95 %), uncertain, under",
    );
    let mut table = Vec::new();
    for ((threshold, buffer), Asked { older, younger }) in questions.iter().zip(&answers) {
        let (old, young) = (older.iter().sum::<usize>(), younger.iter().sum::<usize>());
        let of = |wrong: usize, n: usize| match interval(wrong as u64, n as u64) {
            _ if n == 0 => "nobody".to_owned(),
            [low, high] => format!("{wrong} of {n}: {:.0}-{:.0} %", low * 100.0, high * 100.0),
        };
        say(&format!(
            "{threshold:>8} | {buffer:>6} | {older:?} ({}) | {younger:?} ({})",
            of(older[2], old),
            of(younger[0], young)
        ));
        table.push(json!({
            "threshold": threshold, "buffer": buffer,
            "older": { "over": older[0], "uncertain": older[1], "under": older[2], "wrong": rate(older[2], old) },
            "younger": { "over": younger[0], "uncertain": younger[1], "under": younger[2], "wrong": rate(younger[0], young) },
        }));
    }
    Ok(json!({
        "n": errors.len(), "mae": mae, "mae_ci95": [mae - half, mae + half], "bias": bias, "abs_error_90": q90,
        "constant_guess_mae": constant, "interval_covers": rate(covered, errors.len()), "answers": table,
    }))
}
