//! `bonafide face`: compares faces, scores lists of pairs, searches a folder, calibrates an embedder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, anyhow, bail};
use face::index::FaceIndex as _;
use face::{Calibration, Engine, ExactIndex, Face, Template, calibration_file};
use imaging::{Limits, RgbImage};
use inference::Models;

/// Compares faces, scores lists of pairs, searches a folder, calibrates an embedder.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Compare the most prominent faces of two pictures.
    Compare {
        /// A picture.
        a: PathBuf,
        /// Another picture.
        b: PathBuf,
        /// Print JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Score every pair of a list; the list's columns are kept and `score` is added.
    Pairs {
        /// CSV with the columns `a` and `b`.
        #[arg(long, value_name = "PAIRS")]
        csv: PathBuf,
        /// Folder that `a` and `b` are names in.
        #[arg(long, value_name = "DIR")]
        images: PathBuf,
        /// CSV to write; the score is empty where a picture shows no face.
        #[arg(long, value_name = "CSV")]
        out: PathBuf,
    },
    /// Find the faces of a folder that are like the one in a picture.
    Search {
        /// Folder of pictures, one face each.
        #[arg(long, value_name = "DIR")]
        gallery: PathBuf,
        /// The picture to search for.
        picture: PathBuf,
        /// Faces to return at most.
        #[arg(long, default_value_t = 10)]
        limit: usize,
        /// Print JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Measure what scores of the installed embedder mean, on labelled pairs.
    Calibrate {
        /// CSV with the columns `a`, `b`, `same` (1 or 0) and optionally `group`.
        #[arg(long, value_name = "PAIRS")]
        csv: PathBuf,
        /// Folder that `a` and `b` are names in [default: the folder of the list].
        #[arg(long, value_name = "DIR")]
        images: Option<PathBuf>,
        /// Calibration to write [default: into the models folder, where it takes effect].
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Also use every pair of pictures of different people in the list (names before the last `_` tell people apart).
        #[arg(long)]
        all_impostors: bool,
        /// Print JSON on standard output.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Compare { a, b, json } => compare(a, b, *json)?,
        Command::Pairs { csv, images, out } => pairs(csv, images, out)?,
        Command::Search { gallery, picture, limit, json } => search(gallery, picture, *limit, *json)?,
        Command::Calibrate { csv, images, out, all_impostors, json } => {
            let images = images.as_deref().or(csv.parent()).unwrap_or(Path::new("."));
            calibrate(csv, images, out.as_deref(), *all_impostors, *json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The models folder that every command uses.
pub(super) fn models() -> anyhow::Result<Models> {
    Ok(Models::open(&Models::default_dir())?)
}

/// A picture through the one decoding door.
pub(super) fn picture(path: &Path) -> anyhow::Result<RgbImage> {
    let bytes = fs_err::read(path)?;
    let picture = decoder::decode(&bytes, &Limits::default())
        .with_context(|| format!("cannot decode {}", path.display()))?;
    Ok(picture.pixels)
}

/// The most prominent face of a picture.
pub(super) fn prominent(engine: &Engine, image: &RgbImage) -> anyhow::Result<Option<Face>> {
    Ok(engine.faces(image)?.into_iter().next())
}

fn template(engine: &Engine, image: &RgbImage) -> anyhow::Result<Option<(Face, Template)>> {
    let Some(face) = prominent(engine, image)? else { return Ok(None) };
    Ok(engine.template(image, &face)?.map(|t| (face, t)))
}

fn described(face: &Face) -> serde_json::Value {
    serde_json::json!({
        "bbox": face.bbox, "confidence": face.confidence, "pose": face.pose, "quarter_turns": face.quarter_turns,
        "quality": face.quality,
    })
}

fn compare(a: &Path, b: &Path, json: bool) -> anyhow::Result<()> {
    let engine = Engine::open(&models()?)?;
    let read = |path: &Path| -> anyhow::Result<(Face, Template)> {
        template(&engine, &picture(path)?)?.ok_or_else(|| anyhow!("no face found in {}", path.display()))
    };
    let ((face_a, ta), (face_b, tb)) = (read(a)?, read(b)?);
    let similarity = engine.compare(&ta, &tb)?;
    let band = engine.band(similarity.score_0_100);
    let calibration = engine.calibration();
    if json {
        return super::print_json(&serde_json::json!({
            "score": similarity.score_0_100, "decision": band, "cosine": similarity.raw, "model": engine.model(),
            "thresholds": { "decline_below": calibration.decline_below, "approve_from": calibration.approve_from },
            "a": described(&face_a), "b": described(&face_b),
        }));
    }
    let band = serde_json::to_value(band)?;
    super::print_line(&format!(
        "score {:.1} of 100: {}",
        similarity.score_0_100,
        band.as_str().unwrap_or_default()
    ))
}

/// Templates of named pictures of a folder, computed on all cores; `None` where there is no picture or no face.
fn templates(
    engine: &Engine,
    folder: &Path,
    names: &[String],
) -> anyhow::Result<BTreeMap<String, Option<Template>>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    let failed = Mutex::new(None);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // A picture that cannot be decoded shows no face; a net that fails is an error.
                    let found = match picture(&folder.join(name)) {
                        Ok(image) => template(engine, &image).map(|t| t.map(|(_, t)| t)),
                        Err(error) => {
                            eprintln!("bonafide: {error:#}");
                            Ok(None)
                        }
                    };
                    match found {
                        Ok(found) => {
                            done.lock()
                                .unwrap_or_else(std::sync::PoisonError::into_inner)
                                .insert(name.clone(), found);
                        }
                        Err(error) => {
                            *failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                            next.store(names.len(), Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error);
    }
    Ok(done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// A list of pairs: header, rows, and where the columns `a` and `b` are.
struct List {
    header: csv::StringRecord,
    rows: Vec<csv::StringRecord>,
    a: usize,
    b: usize,
}

impl List {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut reader = csv::Reader::from_reader(fs_err::File::open(path)?);
        let header = reader.headers()?.clone();
        let column = |name: &str| {
            header
                .iter()
                .position(|h| h.trim() == name)
                .ok_or_else(|| anyhow!("the list has no column `{name}`"))
        };
        let (a, b) = (column("a")?, column("b")?);
        Ok(Self { a, b, rows: reader.records().collect::<Result<_, _>>()?, header })
    }

    fn pair<'a>(&self, row: &'a csv::StringRecord) -> (&'a str, &'a str) {
        (row.get(self.a).unwrap_or_default(), row.get(self.b).unwrap_or_default())
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.rows.iter().flat_map(|r| <[&str; 2]>::from(self.pair(r)).map(str::to_owned)).collect();
        names.sort();
        names.dedup();
        names
    }
}

fn pairs(csv: &Path, images: &Path, out: &Path) -> anyhow::Result<()> {
    let list = List::read(csv)?;
    let engine = Engine::open(&models()?)?;
    let templates = templates(&engine, images, &list.names())?;
    let mut writer = csv::Writer::from_writer(fs_err::File::create(out)?);
    let mut header = list.header.clone();
    header.push_field("score");
    writer.write_record(&header)?;
    for row in &list.rows {
        let (a, b) = list.pair(row);
        let get = |name: &str| templates.get(name).and_then(Option::as_ref);
        let score = match (get(a), get(b)) {
            (Some(a), Some(b)) => format!("{:.3}", engine.compare(a, b)?.score_0_100),
            _ => String::new(),
        };
        let mut row = row.clone();
        row.push_field(&score);
        writer.write_record(&row)?;
    }
    writer.flush()?;
    Ok(())
}

fn search(gallery: &Path, path: &Path, limit: usize, json: bool) -> anyhow::Result<()> {
    let engine = Engine::open(&models()?)?;
    let Some((_, searched)) = template(&engine, &picture(path)?)? else {
        bail!("no face found in {}", path.display());
    };
    let mut names: Vec<String> = fs_err::read_dir(gallery)?
        .filter_map(Result::ok)
        .filter(|e| e.path().is_file())
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut index = ExactIndex::new(engine.model(), searched.vector.len());
    let templates = templates(&engine, gallery, &names)?;
    let mut skipped = Vec::new();
    for (id, name) in names.iter().enumerate() {
        match templates.get(name).and_then(Option::as_ref) {
            Some(template) => index.insert(id as u128, template)?,
            None => skipped.push(name),
        }
    }
    let hits: Vec<_> = index
        .search(&searched, limit, -1.0)?
        .into_iter()
        .filter_map(|hit| {
            let name = names.get(usize::try_from(hit.id).ok()?)?;
            let score = engine.calibration().score(f64::from(hit.cosine));
            Some(serde_json::json!({
                "file": name, "score": score, "cosine": hit.cosine, "decision": engine.band(score),
            }))
        })
        .collect();
    if json {
        return super::print_json(&serde_json::json!({
            "file": path, "hits": hits, "enrolled": index.len(), "without_face": skipped, "model": engine.model(),
            "thresholds": {
                "decline_below": engine.calibration().decline_below, "approve_from": engine.calibration().approve_from,
            },
        }));
    }
    for hit in &hits {
        super::print_line(&format!(
            "{:>6.1}  {}",
            hit["score"].as_f64().unwrap_or(0.0),
            hit["file"].as_str().unwrap_or_default()
        ))?;
    }
    Ok(())
}

fn calibrate(
    csv: &Path,
    images: &Path,
    out: Option<&Path>,
    all_impostors: bool,
    json: bool,
) -> anyhow::Result<()> {
    let list = List::read(csv)?;
    let column = |name: &str| list.header.iter().position(|h| h.trim() == name);
    let same = column("same").ok_or_else(|| anyhow!("the list has no column `same`"))?;
    let group = column("group");
    let models = models()?;
    let engine = Engine::open_uncalibrated(&models)?;
    let templates = templates(&engine, images, &list.names())?;
    let get = |name: &str| templates.get(name).and_then(Option::as_ref);
    let (mut genuine, mut impostor, mut groups) =
        (Vec::new(), Vec::new(), BTreeMap::<String, Vec<f64>>::new());
    let mut without_face = 0_u64;
    for row in &list.rows {
        let (a, b) = list.pair(row);
        let (Some(a), Some(b)) = (get(a), get(b)) else {
            without_face += 1;
            continue;
        };
        let cosine = engine.compare(a, b)?.raw;
        match row.get(same).map(str::trim) {
            Some("1") => genuine.push(cosine),
            Some("0") => {
                impostor.push(cosine);
                if let Some(name) = group.and_then(|g| row.get(g)).filter(|g| !g.is_empty()) {
                    groups.entry(name.to_owned()).or_default().push(cosine);
                }
            }
            _ => bail!("the column `same` holds something other than 0 and 1"),
        }
    }
    if all_impostors {
        let person = |name: &str| name.rsplit_once('_').map_or(name, |(p, _)| p).to_owned();
        let all: Vec<_> = templates.iter().filter_map(|(n, t)| Some((person(n), t.as_ref()?))).collect();
        impostor.clear();
        for (i, (p, a)) in all.iter().enumerate() {
            for (q, b) in all.iter().skip(i + 1) {
                if p != q {
                    impostor.push(engine.compare(a, b)?.raw);
                }
            }
        }
    }
    let measured_on = csv.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut calibration =
        Calibration::measure(engine.model(), &measured_on, genuine, impostor).map_err(|why| anyhow!(why))?;
    for (name, cosines) in groups {
        for score in [30.0, 40.0, 50.0, 60.0] {
            let threshold = calibration.cosine(score);
            let matched = cosines.iter().filter(|c| **c >= threshold).count() as u64;
            calibration.groups.push(face::score::GroupRow {
                group: name.clone(),
                score,
                impostor_pairs: cosines.len() as u64,
                fmr: matched as f64 / cosines.len() as f64,
                fmr_95: face::score::interval(matched, cosines.len() as u64),
            });
        }
    }
    let embedder = engine.model().split('/').next().unwrap_or_default();
    let out = out.map_or_else(|| models.dir().join(calibration_file(embedder)), Path::to_path_buf);
    fs_err::write(&out, calibration.to_toml()?)?;
    if json {
        return super::print_json(&serde_json::json!({
            "written": out, "pairs_without_face": without_face, "calibration": calibration,
        }));
    }
    super::print_line(&format!("{:>6} {:>8} {:>10} {:>10}", "score", "cosine", "FMR", "FNMR"))?;
    for row in &calibration.table {
        super::print_line(&format!("{:>6} {:>8} {:>10} {:>10}", row.score, row.cosine, row.fmr, row.fnmr))?;
    }
    super::print_line(&format!("written to {}", out.display()))
}
