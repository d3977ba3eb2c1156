//! Reads barcodes out of a grey picture: a bounded ladder of attempts, from the cheap to the patient.
//!
//! 1. the whole picture at a moderate size; 2. every region that looks like bars, brought upright, and every box that
//!    looks like a matrix code; 3. where there are bars, the whole picture at other scales; 4. the regions of bars
//!    turned by some degrees.
//!    Where [`crate::locate`] finds neither bars nor a matrix, one look at half the moderate size is all. It stops at
//!    the first rung that reads something, unless asked for all.

use crate::locate::{Region, find};
use crate::pixels::{Corner, Gray, GrayView, Square};
use rxing::common::{BitMatrix, GlobalHistogramBinarizer, HybridBinarizer};
use rxing::{
    BarcodeFormat, Binarizer, BinaryBitmap, DecodeHints, Luma8LuminanceSource, MultiFormatReader,
    RXingResult, Reader,
};
use serde::Serialize;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A kind of barcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Format {
    /// PDF417 (ISO/IEC 15438).
    #[serde(rename = "PDF417")]
    Pdf417,
    /// QR Code (ISO/IEC 18004).
    #[serde(rename = "QR_CODE")]
    Qr,
    /// Data Matrix (ISO/IEC 16022).
    #[serde(rename = "DATA_MATRIX")]
    DataMatrix,
    /// Aztec (ISO/IEC 24778).
    #[serde(rename = "AZTEC")]
    Aztec,
    /// Code 128 (ISO/IEC 15417).
    #[serde(rename = "CODE_128")]
    Code128,
    /// Code 39 (ISO/IEC 16388).
    #[serde(rename = "CODE_39")]
    Code39,
    /// Interleaved 2 of 5 (ISO/IEC 16390).
    #[serde(rename = "ITF")]
    Itf,
    /// EAN-13 (ISO/IEC 15420).
    #[serde(rename = "EAN_13")]
    Ean13,
}

const NAMES: [(Format, BarcodeFormat); 8] = [
    (Format::Pdf417, BarcodeFormat::PDF_417),
    (Format::Qr, BarcodeFormat::QR_CODE),
    (Format::DataMatrix, BarcodeFormat::DATA_MATRIX),
    (Format::Aztec, BarcodeFormat::AZTEC),
    (Format::Code128, BarcodeFormat::CODE_128),
    (Format::Code39, BarcodeFormat::CODE_39),
    (Format::Itf, BarcodeFormat::ITF),
    (Format::Ean13, BarcodeFormat::EAN_13),
];

/// What to look for and how hard.
#[derive(Debug, Clone)]
pub struct Options {
    /// Kinds to look for.
    pub formats: Vec<Format>,
    /// Pixels that all attempts together may look at, in millions: the bound on work. A reading attempt on one
    /// megapixel takes some tens of milliseconds.
    pub budget_megapixels: f32,
    /// Whether to go on after a rung that read something.
    pub all: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            formats: NAMES.iter().map(|(format, _)| *format).collect(),
            budget_megapixels: 24.0,
            all: false,
        }
    }
}

/// One barcode that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Barcode {
    /// Its kind.
    pub format: Format,
    /// What it says: UTF-8 when its bytes are, otherwise ISO 8859-1.
    pub text: String,
    /// The bytes it holds.
    pub bytes: Vec<u8>,
    /// Where it lies in the picture, clockwise from its own top left; empty when the decoder does not say.
    pub corners: Vec<Corner>,
    /// 1 for a symbology with error correction; 0.6 for linear ones, whose check is weak or none.
    pub confidence: f32,
    /// Which rung of the ladder read it, for those who tune it.
    pub rung: &'static str,
}

/// Reads the barcodes of a picture. A view whose size and pixels disagree holds none.
pub fn read(view: GrayView<'_>, options: &Options) -> Vec<Barcode> {
    let Some(picture) = Gray::of(view) else { return Vec::new() };
    let mut ladder = Ladder { budget: options.budget_megapixels * 1e6, options, found: Vec::new() };
    ladder.climb(&picture);
    ladder.found
}

/// Reads the barcode on the back of a licence or identity card, PDF417 first: the AAMVA case.
pub fn read_document_back(view: GrayView<'_>) -> Option<Barcode> {
    let stacked = Options { formats: vec![Format::Pdf417], ..Options::default() };
    read(view, &stacked).into_iter().next().or_else(|| {
        let rest =
            NAMES.iter().map(|(format, _)| *format).filter(|format| *format != Format::Pdf417).collect();
        read(view, &Options { formats: rest, budget_megapixels: 20.0, all: false }).into_iter().next()
    })
}

/// Pictures are looked at with at most this many pixels on the long side.
const LONG_SIDE: f32 = 2400.0;
/// Regions are enlarged to at most this many pixels on the long side.
const ENLARGED_SIDE: f32 = 2000.0;
/// The whole picture is read with at most this many pixels on the long side: smaller codes are for the located regions.
const WHOLE_SIDE: f32 = 1600.0;

/// What an attempt costs of the budget at least: small pictures have as many to make as large ones.
const LEAST_ATTEMPT: f32 = 40_000.0;

struct Ladder<'a> {
    budget: f32,
    options: &'a Options,
    found: Vec<Barcode>,
}

impl Ladder<'_> {
    fn done(&self) -> bool {
        self.budget <= 0.0 || (!self.options.all && !self.found.is_empty())
    }

    fn climb(&mut self, original: &Gray) {
        let long = original.width.max(original.height) as f32;
        let shrink = (LONG_SIDE / long).min(1.0);
        let picture = if shrink < 1.0 { original.scaled(shrink) } else { original.clone() };
        let wanted = |kinds: &[Format]| -> Vec<Format> {
            self.options.formats.iter().copied().filter(|format| kinds.contains(format)).collect()
        };
        let matrix = wanted(&[Format::Qr, Format::DataMatrix, Format::Aztec]);
        let linear = wanted(&[Format::Code128, Format::Code39, Format::Itf, Format::Ean13]);
        let stacked = wanted(&[Format::Pdf417]);
        // Linear codes have a weak check or none: they are read only where bars are seen.
        let safe: Vec<Format> = stacked.iter().chain(&matrix).copied().collect();
        let bars: Vec<Format> = stacked.iter().chain(&linear).copied().collect();

        let k = (WHOLE_SIDE / picture.width.max(picture.height) as f32).min(1.0);
        let whole = if k < 1.0 { picture.scaled(k) } else { picture.clone() };
        let back = |x: f32, y: f32| (x / (k * shrink), y / (k * shrink));
        let mut spots = find(&picture, 6);
        if bars.is_empty() {
            spots.bars.clear();
        }
        if matrix.is_empty() {
            spots.matrices.clear();
        }
        if spots.bars.is_empty() && spots.matrices.is_empty() {
            // A code that no region shows is a tiny one on a small picture, or so large that fewer pixels will do.
            let part = (WHOLE_SIDE / 2.0 / whole.width.max(whole.height) as f32).min(1.0);
            let small = if part < 1.0 { whole.scaled(part).stretched() } else { whole };
            let k = k * shrink * part;
            self.look(&small, "scaled", &|x, y| (x / k, y / k), &safe, Threshold::Local);
            return;
        }
        // A small budget goes to the regions alone.
        let quick = self.budget < 2.0 * (whole.width * whole.height) as f32;
        if !quick && self.look(&whole, "whole", &back, &safe, Threshold::Local) {
            return;
        }
        for spot in &spots.bars {
            if self.upright(&picture, spot, &bars, shrink) {
                return;
            }
        }
        for area in spots.matrices.iter().take(3) {
            if self.boxed(&picture, area, &matrix, shrink) {
                return;
            }
        }
        if spots.bars.is_empty() {
            // Linear codes need bars, and the boxes were tried at the scales that follow.
            self.look(&whole, "whole", &back, &safe, Threshold::Global);
            return;
        }
        if self.look(&whole, "whole", &back, &self.options.formats.clone(), Threshold::Global) {
            return;
        }
        for factor in [0.5, 2.0] {
            let side = whole.width.max(whole.height) as f32 * factor;
            if side <= LONG_SIDE && side > 60.0 {
                let scaled = whole.scaled(factor).stretched();
                let k = k * shrink * factor;
                if self.attempt(&scaled, "scaled", &|x, y| (x / k, y / k), &safe) {
                    return;
                }
            }
        }
        if stacked.is_empty() {
            return;
        }
        // So many looks would find a linear code that is not there.
        for spot in spots.bars.iter().take(2) {
            if self.tilted(&picture, spot, &stacked, shrink) {
                return;
            }
        }
    }

    /// Cuts out a box that looks like a matrix code and tries it at several scales.
    fn boxed(&mut self, picture: &Gray, area: &[usize; 4], formats: &[Format], shrink: f32) -> bool {
        let [left, top, right, bottom] = *area;
        let room = ((right - left).max(bottom - top) / 6).max(12);
        let (x0, y0) = (left.saturating_sub(room), top.saturating_sub(room));
        let part = picture.cropped(x0, y0, right + room, bottom + room);
        for scale in [1.0_f32, 2.0, 3.0, 0.5] {
            let side = part.width.max(part.height) as f32 * scale;
            if !(24.0..=WHOLE_SIDE / 2.0).contains(&side) {
                continue;
            }
            let sized = if scale == 1.0 { part.stretched() } else { part.scaled(scale).stretched() };
            let back = |x: f32, y: f32| ((x / scale + x0 as f32) / shrink, (y / scale + y0 as f32) / shrink);
            if self.attempt(&sized, "boxed", &back, formats) {
                return true;
            }
        }
        false
    }

    /// Cuts a region out with room around it and tries it turned by its own tilt and some degrees more or less: for
    /// regions whose borders were not found well enough to warp by.
    fn tilted(&mut self, picture: &Gray, region: &Region, formats: &[Format], shrink: f32) -> bool {
        let fold = |of: fn(&Corner) -> f32, start: f32, pick: fn(f32, f32) -> f32| {
            region.quad.iter().map(of).fold(start, pick)
        };
        let (left, right) = (fold(|c| c.x, f32::MAX, f32::min), fold(|c| c.x, f32::MIN, f32::max));
        let (top, bottom) = (fold(|c| c.y, f32::MAX, f32::min), fold(|c| c.y, f32::MIN, f32::max));
        let room = 0.1 * (right - left).max(bottom - top);
        let (x0, y0) = ((left - room).max(0.0) as usize, (top - room).max(0.0) as usize);
        let part =
            picture.cropped(x0, y0, (right + room).max(0.0) as usize, (bottom + room).max(0.0) as usize);
        if part.width < 40 || part.height < 12 {
            return false;
        }
        let [a, b, _, _] = region.quad;
        let own = (b.y - a.y).atan2(b.x - a.x);
        for scale in [1.0_f32, 2.0] {
            if scale > 1.0 && part.width.max(part.height) as f32 * scale > ENLARGED_SIDE {
                continue;
            }
            let sized = if scale > 1.0 { part.scaled(scale) } else { part.clone() };
            for degrees in [0.0_f32, 3.0, -3.0, 6.0, -6.0, 9.0, -9.0] {
                let (turned, turn) = sized.turned(degrees.to_radians() - own);
                let back = |x: f32, y: f32| {
                    let (x, y) = turn.back(x, y);
                    ((x / scale + x0 as f32) / shrink, (y / scale + y0 as f32) / shrink)
                };
                if self.attempt(&turned.stretched(), "tilted", &back, formats) {
                    return true;
                }
            }
        }
        false
    }

    /// Warps a region upright and tries it at several scales and sharpnesses.
    fn upright(&mut self, picture: &Gray, region: &Region, formats: &[Format], shrink: f32) -> bool {
        let [a, b, c, d] = region.quad;
        let side = |p: Corner, q: Corner| (p.x - q.x).hypot(p.y - q.y);
        let width = side(a, b).max(side(d, c));
        let height = side(a, d).max(side(b, c));
        let Some(map) = Square::onto(&region.quad) else { return false };
        for (scale, polish) in
            [(1.0_f32, 0.0_f32), (2.0, 0.0), (2.0, 1.5), (3.0, 0.0), (3.0, 3.0), (1.5, 0.0)]
        {
            let (w, h) = ((width * scale).round(), (height * scale).round());
            // A symbol so large has modules large enough as it is.
            let most = if scale > 1.0 { ENLARGED_SIDE } else { 3600.0 };
            if !(40.0..=most).contains(&w) || !(12.0..=most).contains(&h) {
                continue;
            }
            // A quiet zone of a twentieth on every side.
            let margin = (w * 0.05).max(12.0);
            let (full_w, full_h) = (w + 2.0 * margin, h + 2.0 * margin);
            let place = |x: f32, y: f32| map.apply((x - margin) / w, (y - margin) / h);
            let patch = picture.drawn(full_w as usize, full_h as usize, place).stretched();
            let patch = if polish > 0.0 { patch.sharpened(polish) } else { patch };
            let back = |x: f32, y: f32| {
                let (x, y) = place(x, y);
                (x / shrink, y / shrink)
            };
            if self.attempt(&patch, "upright", &back, formats) {
                return true;
            }
        }
        false
    }

    /// A look with each way to tell dark from light; whether the search is over.
    fn attempt(
        &mut self,
        picture: &Gray,
        rung: &'static str,
        back: &dyn Fn(f32, f32) -> (f32, f32),
        formats: &[Format],
    ) -> bool {
        self.look(picture, rung, back, formats, Threshold::Local)
            || self.look(picture, rung, back, formats, Threshold::Global)
    }

    /// One look with the decoder library; whether the search is over.
    fn look(
        &mut self,
        picture: &Gray,
        rung: &'static str,
        back: &dyn Fn(f32, f32) -> (f32, f32),
        formats: &[Format],
        threshold: Threshold,
    ) -> bool {
        if self.done() || formats.is_empty() {
            return self.done();
        }
        self.budget -= ((picture.width * picture.height) as f32).max(LEAST_ATTEMPT);
        for result in decode(picture, formats, threshold) {
            let Some(barcode) = barcode(&result, rung, back) else { continue };
            if !self.found.iter().any(|known| known.format == barcode.format && known.bytes == barcode.bytes)
            {
                self.found.push(barcode);
            }
        }
        self.done()
    }
}

/// How dark is told from light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Threshold {
    /// By the neighbourhood.
    Local,
    /// By the histogram of the line or picture.
    Global,
}

/// Asks the library. It is a translation of Java code that indexes and unwraps on what the picture shows, so a panic
/// in it is contained here and counts as "nothing read"; nothing of ours is shared with it.
fn decode(picture: &Gray, formats: &[Format], threshold: Threshold) -> Vec<RXingResult> {
    let (width, height) = (picture.width as u32, picture.height as u32);
    if width < 8 || height < 8 {
        return Vec::new();
    }
    let wanted: HashSet<BarcodeFormat> =
        NAMES.iter().filter(|(format, _)| formats.contains(format)).map(|(_, name)| *name).collect();
    let hints = DecodeHints {
        PossibleFormats: Some(wanted),
        TryHarder: Some(true),
        // Bytes come back as the characters of equal number; what they mean is decided by the payload's standard.
        CharacterSet: Some("ISO-8859-1".to_owned()),
        ..DecodeHints::default()
    };
    let outcome = quietly(|| {
        let source = Luma8LuminanceSource::new(picture.pixels.clone(), width, height).ok()?;
        if threshold == Threshold::Global {
            ask(&mut BinaryBitmap::new(GlobalHistogramBinarizer::new(source)), hints)
        } else {
            ask(&mut BinaryBitmap::new(HybridBinarizer::new(source)), hints)
        }
    });
    outcome.flatten().into_iter().collect()
}

/// Asks for the formats of `hints`, but not for QR codes where their finder patterns are without number: the library
/// weighs every three of them.
fn ask<B: Binarizer>(bitmap: &mut BinaryBitmap<B>, mut hints: DecodeHints) -> Option<RXingResult> {
    if let Some(formats) = &mut hints.PossibleFormats
        && formats.contains(&BarcodeFormat::QR_CODE)
        && finders(bitmap.get_black_matrix()) > MOST_FINDERS
    {
        formats.remove(&BarcodeFormat::QR_CODE);
        if formats.is_empty() {
            return None;
        }
    }
    MultiFormatReader::default().decode_with_hints(bitmap, &hints).ok()
}

/// Finder patterns above which a picture shows no QR code but a pattern: a code has three.
const MOST_FINDERS: usize = 100;

/// Lengths of the dark, light and dark runs of a column from a place on, upwards or downwards.
fn runs_along(matrix: &BitMatrix, x: u32, y: u32, step: i64) -> [u32; 3] {
    let mut runs = [0; 3];
    let (mut at, mut run) = (i64::from(y), 0);
    while let Some(length) = runs.get_mut(run) {
        if at < 0 || at >= i64::from(matrix.height()) {
            break;
        }
        if matrix.get(x, at as u32) == (run != 1) {
            *length += 1;
            at += step;
        } else {
            run += 1;
        }
    }
    runs
}

/// Places where dark and light alternate as 1:1:3:1:1 along two rows and down the column between
/// (ISO/IEC 18004 §7.3.2); counting ends above [`MOST_FINDERS`].
fn finders(matrix: &BitMatrix) -> usize {
    let (width, height) = (matrix.width(), matrix.height());
    // The row in which a column was last the middle of a pattern, and over how many rows.
    let mut middles: Vec<(u32, u32)> = vec![(0, 0); width as usize + 2];
    let mut count = 0;
    for y in 1..=height {
        let mut runs = [0_u32; 5];
        let mut dark = false;
        for x in 0..=width {
            let here = x < width && matrix.get(x, y - 1);
            if here == dark && x < width {
                runs[4] += 1;
                continue;
            }
            let [a, b, c, d, e] = runs;
            let unit = (a + b + c + d + e) as f32 / 7.0;
            let like = |run: u32, units: f32| (run as f32 - units * unit).abs() < units * unit * 0.5 + 0.5;
            if dark && a > 0 && like(a, 1.0) && like(b, 1.0) && like(c, 3.0) && like(d, 1.0) && like(e, 1.0) {
                let middle = (x - e - d - c / 2) as usize;
                let near = middles.get(middle.saturating_sub(1)..middle + 2).unwrap_or_default();
                let before = near.iter().filter(|(row, _)| *row + 1 == y).map(|(_, n)| *n).max();
                let rows = before.unwrap_or(0) + 1;
                if let Some(place) = middles.get_mut(middle) {
                    *place = (y, rows);
                }
                let crossed = rows == 2 && {
                    let [up, gap_up, edge_up] = runs_along(matrix, middle as u32, y - 1, -1);
                    let [down, gap_down, edge_down] = runs_along(matrix, middle as u32, y - 1, 1);
                    // The middle row itself is in both halves.
                    like((up + down).saturating_sub(1), 3.0)
                        && [gap_up, edge_up, gap_down, edge_down].iter().all(|run| like(*run, 1.0))
                };
                count += usize::from(crossed);
                if count > MOST_FINDERS {
                    return count;
                }
            }
            runs = [b, c, d, e, 1];
            dark = here;
        }
    }
    count
}

/// Runs the library's code; a panic in it gives `None`.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

fn barcode(
    result: &RXingResult,
    rung: &'static str,
    back: &dyn Fn(f32, f32) -> (f32, f32),
) -> Option<Barcode> {
    let format =
        NAMES.iter().find(|(_, name)| name == result.getBarcodeFormat()).map(|(format, _)| *format)?;
    let (text, bytes) = content(result.getText());
    let place = |p: &rxing::Point| {
        let (x, y) = back(p.x, p.y);
        Corner { x, y }
    };
    let mut corners: Vec<Corner> = result.getPoints().iter().map(place).collect();
    if format == Format::Pdf417 {
        // The library's order: top left, bottom left, top right, bottom right.
        corners = match corners.as_slice() {
            [tl, bl, tr, br, ..] => vec![*tl, *tr, *br, *bl],
            _ => corners,
        };
    }
    let confidence = match format {
        Format::Code128 | Format::Code39 | Format::Itf | Format::Ean13 => 0.6,
        _ => 1.0,
    };
    Some(Barcode { format, text, bytes, corners, confidence, rung })
}

/// The bytes behind a text whose characters are bytes, and the text they make.
pub(crate) fn content(text: &str) -> (String, Vec<u8>) {
    match text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>() {
        Some(bytes) => (String::from_utf8(bytes.clone()).unwrap_or_else(|_| text.to_owned()), bytes),
        None => (text.to_owned(), text.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rxing::{MultiFormatWriter, Writer};

    /// A symbol drawn by the library's encoder, `scale` pixels a module, on a white field, tilted by some degrees.
    fn drawn(text: &str, format: BarcodeFormat, scale: usize, degrees: f32) -> Gray {
        let matrix = MultiFormatWriter.encode(text, &format, 0, 0).expect("a symbol");
        let (w, h) = (matrix.width() as usize, matrix.height() as usize);
        // Linear symbols come one module high, stacked ones with low rows.
        let rows = if h < 4 { 40 } else { 1 };
        let mut picture = Gray { width: w * scale + 160, height: h * scale * rows + 160, pixels: Vec::new() };
        for y in 0..picture.height {
            for x in 0..picture.width {
                let inside = x >= 80 && y >= 80 && x < 80 + w * scale && y < 80 + h * scale * rows;
                let dark = inside && matrix.get(((x - 80) / scale) as u32, ((y - 80) / scale / rows) as u32);
                picture.pixels.push(if dark { 30 } else { 225 });
            }
        }
        if degrees == 0.0 { picture } else { picture.turned(degrees.to_radians()).0 }
    }

    fn view(picture: &Gray) -> GrayView<'_> {
        GrayView { width: picture.width as u32, height: picture.height as u32, pixels: &picture.pixels }
    }

    #[test]
    fn every_format_reads_upright_and_says_its_bytes() {
        for (format, name, text) in [
            (Format::Pdf417, BarcodeFormat::PDF_417, "BONAFIDE SPECIMEN 0123456789"),
            (Format::Qr, BarcodeFormat::QR_CODE, "https://example.org/bonafide"),
            (Format::DataMatrix, BarcodeFormat::DATA_MATRIX, "BONAFIDE12345"),
            (Format::Aztec, BarcodeFormat::AZTEC, "Bonafide specimen"),
            (Format::Code128, BarcodeFormat::CODE_128, "BONA1234567"),
            (Format::Code39, BarcodeFormat::CODE_39, "BONA1234"),
            (Format::Itf, BarcodeFormat::ITF, "12345678901231"),
            (Format::Ean13, BarcodeFormat::EAN_13, "5901234123457"),
        ] {
            let options =
                Options { formats: NAMES.iter().map(|(format, _)| *format).collect(), ..Options::default() };
            let found = read(view(&drawn(text, name, 3, 0.0)), &options);
            let first = found.first().unwrap_or_else(|| panic!("{format:?} not read"));
            assert_eq!(
                (first.format, first.text.as_str(), first.bytes.as_slice()),
                (format, text, text.as_bytes())
            );
        }
    }

    #[test]
    fn a_tilted_stacked_code_reads_and_its_corners_lie_in_the_picture() {
        for degrees in [7.0, -13.0, 98.0] {
            let picture = drawn(
                "BONAFIDE SPECIMEN TILTED 0123456789 ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                BarcodeFormat::PDF_417,
                3,
                degrees,
            );
            let found =
                read_document_back(view(&picture)).unwrap_or_else(|| panic!("not read at {degrees} degrees"));
            assert_eq!(found.format, Format::Pdf417);
            for corner in found.corners {
                assert!(corner.x >= -8.0 && corner.x <= picture.width as f32 + 8.0, "{corner:?}");
                assert!(corner.y >= -8.0 && corner.y <= picture.height as f32 + 8.0, "{corner:?}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_come_back_as_they_were() {
        let bytes: Vec<u8> = (0x80..=0xff).collect();
        let text: String = bytes.iter().map(|b| char::from(*b)).collect();
        assert_eq!(content(&text), (text.clone(), bytes));
        assert_eq!(content("é€"), ("é€".to_owned(), "é€".as_bytes().to_vec()));
    }

    #[test]
    fn matrix_codes_stay_boxes_worth_a_look_however_they_lie() {
        for name in [BarcodeFormat::QR_CODE, BarcodeFormat::DATA_MATRIX, BarcodeFormat::AZTEC] {
            for (text, scale) in [("BONA12", 7), ("https://example.org/bonafide/specimen/0123456789", 4)] {
                for degrees in [0.0, 8.0, 30.0, 45.0] {
                    for shrink in [1.0, 0.6] {
                        let picture = drawn(text, name, scale, degrees).scaled(shrink);
                        let slant = (picture.width as f32, picture.height as f32 * 0.8);
                        let slanted = picture.drawn(slant.0 as usize, slant.1 as usize, |x, y| (x, y / 0.8));
                        for picture in [picture, slanted] {
                            let found = find(&picture, 6);
                            assert!(!found.matrices.is_empty(), "{name:?} {text} {degrees} {shrink}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_field_of_finder_patterns_is_told_from_a_code() {
        let code = drawn("https://example.org/bonafide", BarcodeFormat::QR_CODE, 3, 0.0);
        let count = |picture: &Gray| {
            let source = Luma8LuminanceSource::new(
                picture.pixels.clone(),
                picture.width as u32,
                picture.height as u32,
            )
            .expect("a picture");
            finders(BinaryBitmap::new(GlobalHistogramBinarizer::new(source)).get_black_matrix())
        };
        assert!((3..6).contains(&count(&code)), "{}", count(&code));
        // One pattern in every nine modules of two pixels.
        let ring = |x: usize, y: usize| {
            let (x, y) = (x / 2 % 9, y / 2 % 9);
            let far = x.abs_diff(3).max(y.abs_diff(3));
            x < 7 && y < 7 && far != 2
        };
        let mut field = Gray { width: 360, height: 180, pixels: Vec::new() };
        for y in 0..field.height {
            field.pixels.extend((0..field.width).map(|x| if ring(x, y) { 20 } else { 230 }));
        }
        assert!(count(&field) > MOST_FINDERS);
    }

    #[test]
    fn a_picture_of_nothing_and_a_false_size_hold_no_barcode() {
        assert!(
            read(GrayView { width: 100, height: 100, pixels: &[255; 10] }, &Options::default()).is_empty()
        );
        assert!(
            read(GrayView { width: 64, height: 64, pixels: &[255; 4096] }, &Options::default()).is_empty()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_pixels_make_it_panic(width in 1_u32..80, pixels in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let height = pixels.len() as u32 / width;
            let options = Options { budget_megapixels: 0.5, ..Options::default() };
            let _ = read(GrayView { width, height, pixels: &pixels }, &options);
        }
    }
}
