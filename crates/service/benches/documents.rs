//! What the signals on pictures of documents tell, on drawn documents: reuse, ghost portraits, evenness of the zone.
//!
//! `cargo xtask bench documents` runs it: `-- --data DIR --out FILE`. Each rate is a count of right ones among `n`.
//! Drawn documents have the same frame to the pixel, which no two photographs have: that is the hard case of reuse.

#![expect(clippy::print_stderr, reason = "a benchmark says what it does")]

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use checks::document::PortraitSearch;
use imaging::{RgbImage, hash::Fingerprint};
use jiff::civil::date;
use serde_json::{Value, json};
use specimen::{Fault, Kind, Portrait, Spec, draw};

/// Resolution at which a ghost's face is some 60 pixels wide.
const FINE: f32 = 10.0;
/// Resolution that is enough for fingerprints.
const COARSE: f32 = 4.0;
/// Where the specimen's passport has its ghost portrait, in millimetres: left, top, width, height.
const GHOST_MM: [f32; 4] = [104.0, 40.5, 15.0, 19.3];
/// People whose documents are compared with each other.
const PEOPLE: usize = 40;
/// People whose pages get a ghost portrait.
const GHOSTS: usize = 20;
/// Documents whose zone is set in each font.
const ZONES: u64 = 12;

fn main() -> anyhow::Result<()> {
    let (mut data, mut out) = (None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--data" => data = arguments.next().map(PathBuf::from),
            "--out" => out = arguments.next().map(PathBuf::from),
            // `cargo bench` adds it.
            "--bench" => {}
            other => anyhow::bail!("unknown argument {other}"),
        }
    }
    let data = data.context("--data names the folder of test data")?;
    let documents = data.join("documents");
    let people = portraits(&documents.join("faces_london"))?;
    let rates = [reuse(&documents, &people)?, ghosts(&people)?, typography(&people)?].concat();
    let text = serde_json::to_vec_pretty(&rates)?;
    fs_err::write(out.context("--out names the file for the figures")?, text)?;
    Ok(())
}

fn rate(what: &str, right: usize, n: usize) -> Value {
    eprintln!("{what}: {right}/{n}");
    json!({ "what": what, "right": right, "n": n })
}

fn open(path: &Path) -> anyhow::Result<RgbImage> {
    let bytes = fs_err::read(path)?;
    Ok(imaging::decode(&bytes, &imaging::Limits::default())
        .with_context(|| path.display().to_string())?
        .pixels)
}

/// One neutral picture of each person.
fn portraits(folder: &Path) -> anyhow::Result<Vec<RgbImage>> {
    let mut files: Vec<PathBuf> = fs_err::read_dir(folder)?.filter_map(|e| Some(e.ok()?.path())).collect();
    files.retain(|f| f.file_stem().and_then(|s| s.to_str()).is_some_and(|s| s.ends_with("_neutral")));
    files.sort();
    files.iter().take(PEOPLE).map(|file| open(file)).collect()
}

fn drawn(
    kind: Kind,
    seed: u64,
    portrait: &RgbImage,
    fault: Option<Fault>,
    scale: f32,
) -> anyhow::Result<RgbImage> {
    let portrait = Portrait::new(portrait.clone());
    let mut spec = Spec::new(kind, seed, portrait, date(2026, 1, 1));
    (spec.fault, spec.pixels_per_mm) = (fault, scale);
    Ok(draw(&spec)?.front)
}

/// Copies of pictures saved anew, and documents of one kind of different persons.
fn reuse(documents: &Path, people: &[RgbImage]) -> anyhow::Result<Vec<Value>> {
    let mut pictures = Vec::new();
    for set in ["mrz_specimens/arg0s1080_mrz", "mrz_specimens/passporteye", "filled_docs", "docxpand_blank"] {
        let mut files: Vec<PathBuf> =
            fs_err::read_dir(documents.join(set))?.filter_map(|e| Some(e.ok()?.path())).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == "png" || e == "jpg"));
        files.sort();
        pictures.extend(files);
    }
    let (mut found, mut copies) = (0, 0);
    for file in &pictures {
        let picture = open(file)?;
        let print = Fingerprint::of(&picture);
        let smaller = |by: u32| {
            imaging::resize(&picture, (picture.width() / by).max(1), (picture.height() / by).max(1))
        };
        let saved = [
            imaging::encode_jpeg(&picture, 40),
            imaging::encode_jpeg(&picture, 75),
            imaging::encode_jpeg(&smaller(2), 90),
            imaging::encode_jpeg(&smaller(3), 50),
        ];
        for copy in saved {
            let copy = imaging::decode(&copy, &imaging::Limits::default())?.pixels;
            found += usize::from(print.same_picture(&Fingerprint::of(&copy)));
            copies += 1;
        }
    }
    let (mut apart, mut pairs) = (0, 0);
    for kind in [Kind::Passport, Kind::IdCard] {
        let prints = people
            .iter()
            .zip(100..)
            .map(|(person, seed)| Ok(Fingerprint::of(&drawn(kind, seed, person, None, COARSE)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        for (at, one) in prints.iter().enumerate() {
            for other in prints.iter().skip(at + 1) {
                apart += usize::from(!one.same_picture(other));
                pairs += 1;
            }
        }
    }
    Ok(vec![
        rate("reuse: copies saved anew recognised", found, copies),
        rate("reuse: drawn documents of different persons told apart", apart, pairs),
    ])
}

/// Pages whose ghost portrait is the holder's, and the same pages with another person's.
fn ghosts(people: &[RgbImage]) -> anyhow::Result<Vec<Value>> {
    let models = inference::Models::open(&inference::Models::default_dir())?;
    let engine = face::Engine::open(&models)?;
    let people = people.get(..GHOSTS).unwrap_or(people);
    // One seed: the pages differ in the portraits alone.
    let pages = people
        .iter()
        .map(|person| drawn(Kind::Passport, 7, person, None, FINE))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let seen = |page: &RgbImage| -> anyhow::Result<Option<bool>> {
        let search = PortraitSearch::new(&engine);
        search.find(page);
        let side = document::Upright { side: document::Side::Front, image: page.clone(), quad: None };
        let signal = search.ghost(&[side]).map_err(anyhow::Error::msg)?;
        Ok(signal.map(|signal| signal.present()))
    };
    let (mut own, mut own_seen, mut other, mut other_seen) = (0, 0, 0, 0);
    for (at, page) in pages.iter().enumerate() {
        if let Some(accused) = seen(page)? {
            own += usize::from(!accused);
            own_seen += 1;
        }
        let Some(stranger) = pages.get((at + 1) % pages.len()) else { continue };
        let mut swapped = page.clone();
        let [left, top, width, height] = GHOST_MM.map(|mm| (mm * FINE) as u32);
        for (x, y) in (top..top + height).flat_map(|y| (left..left + width).map(move |x| (x, y))) {
            swapped.put_pixel(x, y, *stranger.get_pixel(x, y));
        }
        if let Some(accused) = seen(&swapped)? {
            other += usize::from(accused);
            other_seen += 1;
        }
    }
    Ok(vec![
        rate("ghost portrait: found on drawn pages", own_seen + other_seen, 2 * pages.len()),
        rate("ghost portrait: the holder's own, not accused", own, own_seen),
        rate("ghost portrait: another person's, accused", other, other_seen),
    ])
}

/// Zones in OCR-B and the same ones in a proportional font, on passports read as a whole.
fn typography(people: &[RgbImage]) -> anyhow::Result<Vec<Value>> {
    let models = inference::Models::open(&inference::Models::default_dir())?;
    let reader = document::Reader::open(&models)?;
    let portrait = people.first().context("a portrait is needed")?;
    let options = document::Options { specimens_allowed: true, ..document::Options::on(date(2026, 1, 1)) };
    let mut accused = [0, 0];
    for seed in 0..ZONES {
        for (fault, count) in [None, Some(Fault::MrzFont)].into_iter().zip(&mut accused) {
            let page = drawn(Kind::Passport, 200 + seed, portrait, fault, FINE)?;
            let picture = imaging::decode(&imaging::encode_jpeg(&page, 92), &imaging::Limits::default())?;
            let record = reader.read(&picture, None, &options)?;
            *count += usize::from(record.signals.iter().any(|s| s.risk == "MRZ_TYPOGRAPHY_MISMATCH"));
        }
    }
    let n = usize::try_from(ZONES)?;
    Ok(vec![
        rate("zone in OCR-B: not accused (drawn)", n - accused[0], n),
        rate("zone in a proportional font: accused (drawn)", accused[1], n),
    ])
}
