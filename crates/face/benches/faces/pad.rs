//! Passive liveness: the packaged nets and the nets they learnt from, on the same faces.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use face::{Engine, Passive, PassiveLiveness};
use inference::Models;
use inference::recipe::recipes;
use serde_json::{Value, json};

use crate::{decode, equal_error, name, parallel, pictures, prominent, rate, say};

/// What is judged: live faces, photographs of faces, portraits that are live, and faces without a label.
const FOLDERS: [&str; 4] = ["faces/nuaa/live", "faces/nuaa/print", "documents/faces_london", "faces/lfw"];

/// Scores of a picture by each of the judges; below 0 where it was not evaluated.
struct Scored {
    file: PathBuf,
    scores: Vec<f64>,
}

pub(crate) fn measure(engine: &Engine, models: &Models, data: &Path) -> anyhow::Result<Value> {
    let mut judges = vec![("installed", PassiveLiveness::open(models)?)];
    // The teachers from the test data, as `bonafide models add` would install them.
    let folder = tempfile::tempdir()?;
    let mut added = 0;
    for (name, file) in [
        ("minifasnet-v2", "2.7_80x80_MiniFASNetV2.pth"),
        ("minifasnet-v1se", "4_0_0_80x80_MiniFASNetV1SE.pth"),
    ] {
        let recipe = recipes().into_iter().find(|r| r.name == name).context("no recipe")?;
        if let Ok(bytes) = std::fs::read(data.join("models").join(file)) {
            inference::recipe::add(folder.path(), name, &recipe, &bytes, false)?;
            added += 1;
        }
    }
    if added == 2 {
        judges.push(("minifasnet", PassiveLiveness::open(&Models::open(folder.path())?)?));
    }
    let judge = |file: &PathBuf| -> anyhow::Result<Scored> {
        let image = decode(file)?;
        let face = prominent(engine, &image)?;
        let score = |judge: &PassiveLiveness| {
            let passive = face
                .as_ref()
                .map_or(Passive::NotEvaluated { reason: "no_face" }, |f| judge.evaluate(&image, f));
            // Not evaluated is never a pass: it counts as refused.
            passive.score().unwrap_or(-1.0)
        };
        Ok(Scored { file: file.clone(), scores: judges.iter().map(|(_, judge)| score(judge)).collect() })
    };
    let mut folders: Vec<Vec<Scored>> = Vec::new();
    for folder in FOLDERS {
        let files = pictures(&data.join(folder))?;
        folders.push(parallel(&files, judge).into_iter().collect::<anyhow::Result<_>>()?);
    }
    let mut out = serde_json::Map::new();
    for (at, (who, judge)) in judges.iter().enumerate() {
        let figures = if judge.is_available() {
            figures(who, &folders, at)
        } else {
            say(&format!("{who}: not evaluated, no liveness model"));
            json!({ "status": "not_evaluated", "reason": "no_model" })
        };
        out.insert((*who).to_owned(), figures);
    }
    if judges.len() == 2 && judges[0].1.is_available() {
        let mut agreement = serde_json::Map::new();
        for (folder, scored) in FOLDERS.iter().zip(&folders) {
            agreement.insert((*folder).to_owned(), agree(folder, scored));
        }
        out.insert("agreement".into(), Value::Object(agreement));
    }
    out.insert("exif_changes_nothing".into(), json!(exif_changes_nothing(data)?));
    Ok(Value::Object(out))
}

/// How far two judges agree where both answered: on the same side of one half, and how their scores go together.
fn agree(folder: &str, scored: &[Scored]) -> Value {
    let pairs: Vec<(f64, f64)> = scored
        .iter()
        .filter_map(|s| match s.scores[..] {
            [a, b] if a >= 0.0 && b >= 0.0 => Some((a, b)),
            _ => None,
        })
        .collect();
    let n = pairs.len();
    let same = pairs.iter().filter(|(a, b)| (*a >= 50.0) == (*b >= 50.0)).count();
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n.max(1) as f64;
    let (ma, mb) = (mean(&|p| p.0), mean(&|p| p.1));
    let covariance = mean(&|p| (p.0 - ma) * (p.1 - mb));
    let r = covariance / (mean(&|p| (p.0 - ma).powi(2)) * mean(&|p| (p.1 - mb).powi(2))).sqrt();
    let apart = mean(&|p| (p.0 - p.1).abs());
    say(&format!(
        "{folder}: same side of 50 in {same} of {n}; r {r:.4}; scores {apart:.2} points apart on average"
    ));
    json!({ "same_side_of_50": rate(same, n), "r": r, "mean_points_apart": apart })
}

fn figures(who: &str, folders: &[Vec<Scored>], at: usize) -> Value {
    let scores = |folder: usize| -> Vec<f64> {
        folders.get(folder).into_iter().flatten().map(|s| s.scores.get(at).copied().unwrap_or(-1.0)).collect()
    };
    let (live, print, london) = (scores(0), scores(1), scores(2));
    let mut subjects: BTreeMap<String, [Vec<f64>; 2]> = BTreeMap::new();
    for (class, folder) in folders.iter().enumerate().take(2) {
        for (scored, score) in folder.iter().zip(scores(class)) {
            let subject = name(&scored.file).split('_').next().unwrap_or_default().to_owned();
            subjects.entry(subject).or_default()[class].push(score);
        }
    }
    let auc = area(&live, &print);
    let (at10, refused) = refused_at_10(&live, &print);
    // Pictures of one person are no independent looks: the intervals come from drawing people.
    let people: Vec<&[Vec<f64>; 2]> = subjects.values().collect();
    let mut state = 7_u64;
    let mut drawn = [Vec::new(), Vec::new()];
    while drawn[0].len() < 500 {
        let mut sample: [Vec<f64>; 2] = Default::default();
        for _ in 0..people.len() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let person = people[(state >> 33) as usize % people.len()];
            sample[0].extend(&person[0]);
            sample[1].extend(&person[1]);
        }
        if sample.iter().all(|s| !s.is_empty()) {
            drawn[0].push(area(&sample[0], &sample[1]));
            drawn[1].push(refused_at_10(&sample[0], &sample[1]).1 as f64 / sample[0].len() as f64);
        }
    }
    let bounds = drawn.map(|mut d| {
        d.sort_by(f64::total_cmp);
        [d[12], d[487]]
    });
    let within: BTreeMap<&String, f64> = subjects
        .iter()
        .filter(|(_, s)| s.iter().all(|c| !c.is_empty()))
        .map(|(n, s)| (n, area(&s[0], &s[1])))
        .collect();
    say(&format!(
        "{who}: 95 % over people: AUC {:.3}..{:.3}, BPCER@APCER10 {:.3}..{:.3}; AUC within one person {within:.2?}",
        bounds[0][0], bounds[0][1], bounds[1][0], bounds[1][1]
    ));
    let eer = equal_error(&live, &print);
    let missing = live.iter().chain(&print).filter(|s| **s < 0.0).count();
    let passed50 = print.iter().filter(|s| **s >= 50.0).count();
    let refused50 = live.iter().filter(|s| **s < 50.0).count();
    let london50 = london.iter().filter(|s| **s < 50.0).count();
    say(&format!(
        "{who}: NUAA live {} print {}: AUC {auc:.4} EER {eer:.3} BPCER@APCER10 {:.3} (threshold {at10:.1}); at 50 APCER {:.3} BPCER {:.3}; not evaluated {missing}; London refused {london50} of {}",
        live.len(),
        print.len(),
        refused as f64 / live.len() as f64,
        passed50 as f64 / print.len() as f64,
        refused50 as f64 / live.len() as f64,
        london.len()
    ));
    // The service's bands: declined at or below 30, reviewed at or below 70.
    let mut bands = serde_json::Map::new();
    for threshold in [30.0, 70.0] {
        let low = |scores: &[f64]| scores.iter().filter(|s| **s <= threshold).count();
        let passed = print.len() - low(&print);
        say(&format!(
            "{who}: at or below {threshold}: London live {} of {}, NUAA live {} of {}; NUAA prints above it {passed} of {}",
            low(&london),
            london.len(),
            low(&live),
            live.len(),
            print.len()
        ));
        bands.insert(
            format!("{threshold}"),
            json!({
                "london_at_or_below": rate(low(&london), london.len()), "nuaa_live_at_or_below": rate(low(&live), live.len()),
                "nuaa_prints_above": rate(passed, print.len()),
            }),
        );
    }
    json!({
        "auc_95_over_people": bounds[0], "bpcer_at_apcer_10_95_over_people": bounds[1], "auc_within_person": within,
        "live": live.len(), "print": print.len(), "auc": auc, "eer": eer,
        "bpcer_at_apcer_10": rate(refused, live.len()), "apcer_at_50": rate(passed50, print.len()),
        "bpcer_at_50": rate(refused50, live.len()), "london_refused_at_50": rate(london50, london.len()),
        "bands": bands, "not_evaluated": missing,
    })
}

/// Metadata must not change a score: whether a picture with EXIF added has the same pixels.
fn exif_changes_nothing(data: &Path) -> anyhow::Result<bool> {
    let first = pictures(&data.join(FOLDERS[0]))?;
    let plain = std::fs::read(first.first().context("no pictures")?)?;
    let mut marked = plain[..2].to_vec();
    marked.extend(b"\xff\xe1\x00\x1eExif\0\0II*\0\x08\0\0\0\x01\0\x31\x01\x02\0\0\0\0\0\0\0\0\0");
    marked.extend(&plain[2..]);
    let limits = imaging::Limits::default();
    let same = match (imaging::decode(&plain, &limits), imaging::decode(&marked, &limits)) {
        (Ok(a), Ok(b)) => a.pixels == b.pixels,
        _ => false,
    };
    say(&format!("EXIF added: pixels the same: {same}"));
    Ok(same)
}

/// The area under the curve: how often a live face scores above an attack.
fn area(live: &[f64], attack: &[f64]) -> f64 {
    let mut wins = 0.0;
    for l in live {
        for a in attack {
            wins += match l.total_cmp(a) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    wins / (live.len() * attack.len()) as f64
}

/// The threshold that a tenth of the attacks passes, and how many live faces do not.
fn refused_at_10(live: &[f64], attack: &[f64]) -> (f64, usize) {
    let mut sorted = attack.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let at = sorted[attack.len() / 10];
    (at, live.iter().filter(|s| **s <= at).count())
}
