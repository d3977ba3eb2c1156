//! What decoding in a process of its own costs: the same pictures here and there, in turns, and the largest ones alone.
//!
//! `cargo run --release -p decoder --example cost -- FILE…` prints JSON; `cargo xtask bench decoder` calls it with the
//! test pictures.

use std::{
    io::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use decoder::{Budget, Pool, Program};
use imaging::{Limits, RgbImage};
use serde_json::{Value, json};

/// Turns of each picture.
const TURNS: usize = 7;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == decoder::ARGUMENT) {
        return decoder::serve(arguments.nth(1).as_deref());
    }
    let program = match Program::this() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let budget = Budget { cpu: Duration::from_secs(60), wall: Duration::from_secs(60) };
    let pool = Pool::start(program, 1, budget);
    let files: Vec<Vec<u8>> = arguments.filter_map(|file| std::fs::read(file).ok()).collect();
    let limits = Limits { max_rendered_pages: 1, ..Limits::default() };
    let pictures: Vec<&Vec<u8>> =
        files.iter().filter(|bytes| imaging::decode_pages(bytes, &limits, None).is_ok()).collect();
    let mut rows = vec![("test pictures", paired(&pool, &pictures, &limits))];
    let photo = pictures.first().and_then(|bytes| imaging::decode(bytes, &limits).ok());
    let Some(photo) = photo else {
        eprintln!("name pictures to decode");
        return ExitCode::FAILURE;
    };
    let sized = |width, height| imaging::resize(&photo.pixels, width, height);
    let twelve = sized(4_000, 3_000);
    rows.push(("12 megapixels, JPEG", paired(&pool, &[&imaging::encode_jpeg(&twelve, 88)], &limits)));
    rows.push(("12 megapixels, PNG", paired(&pool, &[&imaging::encode_png(&twelve)], &limits)));
    drop(twelve);
    let largest = sized(8_000, 6_000);
    rows.push(("48 megapixels, JPEG", paired(&pool, &[&imaging::encode_jpeg(&largest, 80)], &limits)));
    rows.push((
        "48 megapixels, JPEG to be turned",
        paired(&pool, &[&turned(imaging::encode_jpeg(&largest, 80))], &limits),
    ));
    drop(largest);
    let below = sized(7_680, 5_760);
    rows.push(("44 megapixels, PNG", paired(&pool, &[&png(&below)], &limits)));
    for (name, row) in rows {
        if writeln!(std::io::stdout(), "{}", json!({ "set": name, "result": row })).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// A PNG that keeps to the largest upload.
fn png(image: &RgbImage) -> Vec<u8> {
    let mut coarse = image.clone();
    coarse.iter_mut().for_each(|value| *value &= 0xE0);
    imaging::encode_png(&coarse)
}

/// The same JPEG with the EXIF orientation 6.
fn turned(jpeg: Vec<u8>) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let length = u16::try_from(exif.len() + 2).unwrap_or(0).to_be_bytes();
    let mut out = vec![0xFF, 0xD8, 0xFF, 0xE1];
    out.extend(length);
    out.append(&mut exif);
    out.extend(jpeg.get(2..).unwrap_or_default());
    out
}

fn paired(pool: &Pool, pictures: &[&Vec<u8>], limits: &Limits) -> Value {
    let ms = |work: &dyn Fn() -> bool| {
        let begun = Instant::now();
        let worked = work();
        worked.then(|| begun.elapsed().as_secs_f64() * 1_000.0)
    };
    let (mut here, mut there, mut more, mut refused) = (Vec::new(), Vec::new(), Vec::new(), None);
    for _ in 0..TURNS {
        for bytes in pictures {
            let local = ms(&|| imaging::decode_pages(bytes, limits, None).is_ok());
            let child = ms(&|| pool.decode_pages(bytes, limits, None).is_ok());
            match local.zip(child) {
                Some((local, child)) => {
                    here.push(local);
                    there.push(child);
                    more.push(child - local);
                }
                None => refused = pool.decode_pages(bytes, limits, None).err().map(|error| error.to_string()),
            }
        }
    }
    json!({
        "n": more.len(), "bytes": pictures.iter().map(|bytes| bytes.len()).sum::<usize>() / pictures.len().max(1),
        "here_ms": spread(&mut here), "child_ms": spread(&mut there), "more_ms": spread(&mut more),
        "peak_mib_of_the_child": peak_mib(), "refused": refused,
    })
}

/// Median, and the middle half.
fn spread(values: &mut [f64]) -> Value {
    values.sort_by(f64::total_cmp);
    let at = |share: usize| values.get(values.len() * share / 100).map(|v| (v * 100.0).round() / 100.0);
    json!({ "p25": at(25), "p50": at(50), "p75": at(75) })
}

/// Most memory that a child of this process ever held, of those that live.
fn peak_mib() -> Option<u64> {
    let own = format!("PPid:\t{}", std::process::id());
    let statuses = std::fs::read_dir("/proc").ok()?.flatten();
    statuses
        // Between its fork and its start a child is a copy of this process; with its argument it is itself.
        .filter(|entry| {
            let line = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            line.contains(decoder::ARGUMENT)
        })
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok())
        .filter(|status| status.lines().any(|line| line == own))
        .filter_map(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().split(' ').next()?.parse::<u64>().ok()
        })
        .max()
        .map(|kib| kib / 1024)
}
