//! Finds and reads the machine readable zone of a page.
//!
//! Long text boxes, whichever way up, go through the line recogniser (`mrz-lines`: 32 × 512 grey, 128 CTC
//! steps over 37 characters). Lines that look like MRZ lines are grouped by place, and each group is decoded
//! jointly under the grammar of ICAO Doc 9303 by the `mrz` crate. Where boxes fail (a split or missed line),
//! strips beside a found line and over the bottom of the page are read directly.

use std::str::FromStr as _;

use imaging::{GrayImage, Quad, RgbImage};
use inference::{Net, RunError, Tensor};

use crate::dates::PartialDate;
use crate::fold::squeeze;
use crate::geometry::{between, centre, distance, height, point, upside_down, width};

/// Input of the line recogniser.
const HEIGHT: u32 = 32;
const WIDTH: u32 = 512;
/// Output: steps and classes (0 is the CTC blank).
const STEPS: usize = 128;
const CLASSES: usize = 38;
/// Classes 1..=37.
const ALPHABET: &[u8; 37] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<";
/// Mean probability of its characters from which a strip is taken for an MRZ line.
const LINE_CONFIDENCE: f32 = 0.55;
/// Most boxes looked at on one page.
const MOST_CANDIDATES: usize = 60;

/// Boxes read before it is asked whether they make a zone.
const FEW_CANDIDATES: usize = 6;
/// Mean probability of its lines' characters from which a zone is sure to be one, read the right way up.
const ZONE_CONFIDENCE: f32 = 0.85;
/// No zone has fewer fillers: one name from another, and what is left of a field.
const LEAST_FILLERS: usize = 2;

/// One strip as the recogniser saw it.
#[derive(Debug, Clone)]
pub(crate) struct Strip {
    /// Corners in page pixels, clockwise from the top-left as read.
    pub(crate) quad: Quad,
    /// Probabilities, [`STEPS`] × [`CLASSES`].
    pub(crate) scores: Vec<f32>,
    /// Best character by character.
    pub(crate) text: String,
    /// Mean probability of the characters.
    pub(crate) confidence: f32,
}

impl Strip {
    /// The scores, step by step.
    fn steps(&self) -> Vec<mrz::Step> {
        self.scores.chunks_exact(CLASSES).filter_map(|row| <mrz::Step>::try_from(row).ok()).collect()
    }

    /// Whether this reads like a line of some MRZ.
    fn plausible(&self) -> bool {
        let n = self.text.len();
        let telling = self.text.bytes().filter(|b| *b == b'<' || b.is_ascii_digit()).count();
        (26..=48).contains(&n) && self.confidence >= LINE_CONFIDENCE && telling >= 3
    }
}

/// Reads one strip.
pub(crate) fn read_strip(net: &dyn Net, image: &RgbImage, quad: &Quad) -> Result<Strip, RunError> {
    let grey = imaging::grey(&imaging::warp_quad(image, quad, WIDTH, HEIGHT));
    let tensor = Tensor { shape: vec![1, 1, HEIGHT as usize, WIDTH as usize], data: standardise(&grey) };
    crate::effort::count("mrz-lines", (HEIGHT * WIDTH) as usize);
    let scores = net.run(&[tensor])?.into_iter().next().map(|t| t.data).unwrap_or_default();
    let (text, confidence) = greedy(&scores);
    Ok(Strip { quad: *quad, scores, text, confidence })
}

/// Zero mean, unit deviation: what the net was trained on.
fn standardise(grey: &GrayImage) -> Vec<f32> {
    let n = grey.as_raw().len().max(1) as f32;
    let mean = grey.as_raw().iter().map(|v| f32::from(*v)).sum::<f32>() / n;
    let variance = grey.as_raw().iter().map(|v| (f32::from(*v) - mean).powi(2)).sum::<f32>() / n;
    let deviation = variance.sqrt() + 4.0;
    grey.as_raw().iter().map(|v| (f32::from(*v) - mean) / deviation).collect()
}

fn greedy(scores: &[f32]) -> (String, f32) {
    let (mut text, mut sum, mut n, mut last, mut peak) = (String::new(), 0.0, 0u32, 0, 0.0f32);
    for row in scores.chunks_exact(CLASSES).take(STEPS) {
        let (class, p) =
            row.iter().copied().enumerate().fold((0, f32::MIN), |b, (i, v)| if v > b.1 { (i, v) } else { b });
        if class == last {
            peak = peak.max(p);
        } else {
            if last != 0 {
                sum += peak;
                n += 1;
            }
            if class != 0 {
                text.push(char::from(ALPHABET[class - 1]));
            }
            (last, peak) = (class, p);
        }
    }
    if last != 0 {
        sum += peak;
        n += 1;
    }
    (text, if n == 0 { 0.0 } else { sum / n as f32 })
}

/// The strips of one page, each read once.
struct Strips<'a> {
    net: &'a dyn Net,
    image: &'a RgbImage,
    read: Vec<Strip>,
}

impl Strips<'_> {
    fn read(&mut self, quad: &Quad) -> Result<Strip, RunError> {
        if let Some(known) = self.read.iter().find(|s| s.quad == *quad) {
            return Ok(known.clone());
        }
        let strip = read_strip(self.net, self.image, quad)?;
        self.read.push(strip.clone());
        Ok(strip)
    }
}

/// Where each character of the best reading stands, as shares of the strip's width.
pub(crate) fn peaks(scores: &[f32]) -> Vec<f32> {
    let mut places = Vec::new();
    let (mut last, mut sum, mut weight) = (0, 0.0f32, 0.0f32);
    for (step, row) in scores.chunks_exact(CLASSES).take(STEPS).enumerate() {
        let (class, p) =
            row.iter().copied().enumerate().fold((0, f32::MIN), |b, (i, v)| if v > b.1 { (i, v) } else { b });
        if class != last {
            if last != 0 {
                places.push(sum / weight);
            }
            (last, sum, weight) = (class, 0.0, 0.0);
        }
        sum += p * (step as f32 + 0.5) / STEPS as f32;
        weight += p;
    }
    if last != 0 {
        places.push(sum / weight);
    }
    places
}

/// Characters that would find room between the last of a line and the edge of its document: 2.7 on a card 105 mm wide
/// whose 36 characters stand 2.54 mm apart, none where a longer line was cut.
const LEAST_MARGIN: f32 = 1.0;

/// Whether a line, its characters at these shares of the quad, ends at the edge of a page.
fn ends_at_edge(quad: &Quad, places: &[f32], (w, h): (u32, u32)) -> bool {
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return false };
    let pitch = (last - first) / (places.len().max(2) - 1) as f32;
    let share = last + (0.5 + LEAST_MARGIN) * pitch;
    let room = between(between(quad[0], quad[3], 0.5), between(quad[1], quad[2], 0.5), share);
    !(0.0..=w as f32).contains(&room.x) || !(0.0..=h as f32).contains(&room.y)
}

/// A line that the detector cut or split still covers this share of the page's width.
const SCAN_COVER: f32 = 0.25;

/// Lines that belong together, top to bottom.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    pub(crate) strips: Vec<Strip>,
}

impl Zone {
    /// How many fillers its lines have.
    pub(crate) fn fillers(&self) -> usize {
        self.strips.iter().flat_map(|s| s.text.bytes()).filter(|b| *b == b'<').count()
    }
}

/// How many times longer than high the box of a line is at least. From 6.5 on instead, no zone of 63 pictures and of the 210
/// of `bench poses` is another.
const LEAST_ASPECT: f32 = 10.0;

/// Long boxes of a page that may be MRZ lines, longest first.
fn candidates(boxes: &[Quad]) -> Vec<Quad> {
    let merged = crate::text::merge_collinear(boxes);
    let mut long: Vec<Quad> =
        merged.into_iter().filter(|q| width(q) / height(q).max(1.0) > LEAST_ASPECT).collect();
    long.sort_by(|a, b| width(b).total_cmp(&width(a)));
    long.truncate(MOST_CANDIDATES);
    long
}

/// Candidates that are also read upside down. Reading all of them changes no zone of 63 pictures and of the 210 of
/// `bench poses`.
const MOST_TURNED: usize = 12;

/// The groups of MRZ lines among a page's text boxes, most convincing first. The longest boxes are read first, and the
/// search ends with the first group that is surely a zone; only where no group is are boxes read upside down.
pub(crate) fn zones(net: &dyn Net, image: &RgbImage, boxes: &[Quad]) -> Result<Vec<Zone>, RunError> {
    let candidates = candidates(boxes);
    let mut page = Strips { net, image, read: Vec::new() };
    let mut upright: Vec<Strip> = Vec::new();
    for few in candidates.chunks(FEW_CANDIDATES) {
        for quad in few {
            upright.push(page.read(quad)?);
        }
        let plausible = upright.iter().filter(|s| s.plausible()).cloned().collect();
        let found = grouped(&mut page, plausible, LEAST_FILLERS)?;
        if found.first().is_some_and(is_sure) {
            return Ok(found);
        }
    }
    let mut strips = Vec::new();
    for (place, upright) in upright.into_iter().enumerate() {
        // The lines of a zone are among the longest. Where they are not, the words of a page that stands on its head say
        // so later.
        if place >= MOST_TURNED {
            strips.extend(Some(upright).filter(Strip::plausible));
            continue;
        }
        let turned = page.read(&upside_down(&upright.quad))?;
        let best =
            if turned.confidence > upright.confidence + 0.02 && turned.plausible() || !upright.plausible() {
                turned
            } else {
                upright
            };
        if best.plausible() {
            strips.push(best);
        }
    }
    grouped(&mut page, strips, 1)
}

/// Whether these lines are a zone read the right way up. Fillers on their head pass for figures, and surely: lines
/// without any are not yet a zone.
fn is_sure(zone: &Zone) -> bool {
    mean_confidence(zone) >= ZONE_CONFIDENCE && zone.fillers() >= LEAST_FILLERS
}

/// Strips as zones of two lines or more, most convincing first; those with so many fillers are completed.
fn grouped(page: &mut Strips, strips: Vec<Strip>, fillers: usize) -> Result<Vec<Zone>, RunError> {
    let mut groups = group(strips);
    // Print has no fillers and is not read surely as lines of a zone: what stands beside it is not worth a look.
    for zone in groups.iter_mut().filter(|z| z.fillers() >= fillers || mean_confidence(z) >= ZONE_CONFIDENCE)
    {
        complete(page, zone)?;
    }
    groups.retain(|z| z.strips.len() > 1);
    groups.sort_by(|a, b| mean_confidence(b).total_cmp(&mean_confidence(a)));
    Ok(groups)
}

fn mean_confidence(zone: &Zone) -> f32 {
    zone.strips.iter().map(|s| s.confidence).sum::<f32>() / zone.strips.len().max(1) as f32
}

/// Unit vector along a strip.
fn along(quad: &Quad) -> (f32, f32) {
    let (a, b) = (between(quad[0], quad[3], 0.5), between(quad[1], quad[2], 0.5));
    let length = distance(a, b).max(1e-3);
    ((b.x - a.x) / length, (b.y - a.y) / length)
}

/// Parallel, equally wide strips that stand under one another.
fn group(mut strips: Vec<Strip>) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    if let Some(first) = strips.first().map(|s| s.quad) {
        strips.sort_by(|a, b| down(&first, &a.quad).total_cmp(&down(&first, &b.quad)));
    }
    for strip in strips {
        let fits = zones
            .iter_mut()
            .find(|zone| zone.strips.iter().any(|other| neighbours(&other.quad, &strip.quad)));
        match fits {
            Some(zone) => zone.strips.push(strip),
            None => zones.push(Zone { strips: vec![strip] }),
        }
    }
    for zone in &mut zones {
        if let Some(first) = zone.strips.first().map(|s| s.quad) {
            zone.strips.sort_by(|a, b| down(&first, &a.quad).total_cmp(&down(&first, &b.quad)));
        }
    }
    zones
}

/// How far `quad` lies below `origin`, in the direction that is down for a reader of `origin`.
fn down(origin: &Quad, quad: &Quad) -> f32 {
    let (ux, uy) = along(origin);
    let (a, b) = (centre(origin), centre(quad));
    -(b.x - a.x) * uy + (b.y - a.y) * ux
}

fn neighbours(a: &Quad, b: &Quad) -> bool {
    let (ua, ub) = (along(a), along(b));
    let (wa, wb) = (width(a), width(b));
    let h = height(a).max(height(b));
    let step = down(a, b).abs();
    let (ca, cb) = (centre(a), centre(b));
    let shift = ((cb.x - ca.x) * ua.0 + (cb.y - ca.y) * ua.1).abs();
    ua.0 * ub.0 + ua.1 * ub.1 > 0.98
        && wa.min(wb) / wa.max(wb) > 0.6
        && step > 0.35 * h
        && step < 3.4 * h
        && shift < 0.25 * wa.max(wb)
}

/// Reads the strips beside a zone's lines: a line that the detector missed or cut short.
fn complete(page: &mut Strips, zone: &mut Zone) -> Result<(), RunError> {
    if zone.strips.is_empty() || zone.strips.len() > 3 {
        return Ok(());
    }
    // A strip much narrower than its neighbour was cut: read it again at the neighbour's width.
    let widest = zone.strips.iter().map(|s| width(&s.quad)).fold(0.0, f32::max);
    for i in 0..zone.strips.len() {
        if width(&zone.strips[i].quad) < 0.93 * widest
            && let Some(model) = zone.strips.iter().find(|s| width(&s.quad) >= widest - 0.5).map(|s| s.quad)
        {
            let step = down(&model, &zone.strips[i].quad);
            let again = page.read(&shifted(&model, step))?;
            if again.plausible() && again.text.len() >= zone.strips[i].text.len() {
                zone.strips[i] = again;
            }
        }
    }
    let wanted = match zone.strips.iter().map(|s| s.text.len()).max() {
        Some(n) if n <= 33 => 3,
        _ => 2,
    };
    while zone.strips.len() < wanted {
        let (Some(first), Some(last)) = (zone.strips.first(), zone.strips.last()) else { return Ok(()) };
        let h = height(&first.quad);
        let known = if zone.strips.len() > 1 {
            down(&first.quad, &last.quad) / (zone.strips.len() - 1) as f32
        } else {
            0.0
        };
        let steps: Vec<f32> =
            if known > 0.0 { vec![known] } else { vec![0.85 * h, 1.05 * h, 1.3 * h, 1.6 * h, 2.0 * h] };
        let mut best: Option<(bool, Strip)> = None;
        for step in steps {
            for (above, model, by) in [(true, first.quad, -step), (false, last.quad, step)] {
                let strip = page.read(&shifted(&model, by))?;
                if strip.plausible()
                    && best.as_ref().is_none_or(|(_, b)| strip.confidence > b.confidence)
                    && zone.strips.iter().all(|s| s.text != strip.text)
                {
                    best = Some((above, strip));
                }
            }
        }
        match best {
            Some((true, strip)) => zone.strips.insert(0, strip),
            Some((false, strip)) => zone.strips.push(strip),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// The quad moved down by `by` pixels, as its reader sees it.
fn shifted(quad: &Quad, by: f32) -> Quad {
    let (ux, uy) = along(quad);
    quad.map(|p| point(p.x - uy * by, p.y + ux * by))
}

/// The same quad, grown or shrunk by shares of its height and width: another crop of the same line.
pub(crate) fn jittered(quad: &Quad, tall: f32, wide: f32, shift: f32) -> Quad {
    let (h, w) = (height(quad), width(quad));
    let (ux, uy) = along(quad);
    let (dx, dy) = (wide * w, tall * h);
    let moved = |p: imaging::Point, sx: f32, sy: f32| {
        let (a, b) = (sx * dx, sy * dy + shift * h);
        point(p.x + ux * a - uy * b, p.y + uy * a + ux * b)
    };
    [
        moved(quad[0], -1.0, -1.0),
        moved(quad[1], 1.0, -1.0),
        moved(quad[2], 1.0, 1.0),
        moved(quad[3], -1.0, 1.0),
    ]
}

/// Whether a printed line may be a piece of a zone: it has fillers, or what these are taken for, or runs on like one.
/// Scanning every page whose boxes show no zone finds none more on 63 pictures and on the 210 of `bench poses`.
pub(crate) fn is_like_a_piece(text: &str) -> bool {
    let filler = |c: char| matches!(c, '<' | '‹' | '«' | '〈' | '《' | '＜' | 'く');
    text.contains(filler)
        || text.contains("KKK")
        || text.len() >= 24
            && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
            && text.contains(|c: char| c.is_ascii_digit())
}

/// Reads overlapping strips over the bottom of an upright page, wherever the detector saw some text: finds lines whose
/// boxes were cut, split or joined.
pub(crate) fn scan_bottom(net: &dyn Net, image: &RgbImage, boxes: &[Quad]) -> Result<Vec<Zone>, RunError> {
    let (w, h) = (image.width() as f32, image.height() as f32);
    let extent = |quad: &Quad, of: fn(&imaging::Point) -> f32| {
        quad.iter().map(of).fold((f32::MAX, f32::MIN), |(a, b), v| (a.min(v), b.max(v)))
    };
    // Of the width of the page, what text boxes that cross this height cover.
    let covered = |y: f32| -> f32 {
        let across = boxes.iter().filter(|q| {
            let (top, bottom) = extent(q, |p| p.y);
            top <= y && y <= bottom
        });
        across.map(|q| extent(q, |p| p.x)).map(|(left, right)| right - left).sum::<f32>() / w
    };
    let mut kept: Vec<Strip> = Vec::new();
    for share in [0.055f32, 0.08] {
        let tall = share * h;
        let mut y = 0.5 * h;
        while y + tall <= h {
            if covered(y + tall / 2.0) < SCAN_COVER {
                y += tall * 0.3;
                continue;
            }
            let quad = [
                point(0.02 * w, y),
                point(0.98 * w, y),
                point(0.98 * w, y + tall),
                point(0.02 * w, y + tall),
            ];
            let strip = read_strip(net, image, &quad)?;
            if strip.plausible() {
                // Of strips over one line, the surest stays.
                match kept.iter_mut().find(|k| (centre(&k.quad).y - y - tall / 2.0).abs() < 0.6 * tall) {
                    Some(other) if other.confidence < strip.confidence => *other = strip,
                    Some(_) => {}
                    None => kept.push(strip),
                }
            }
            y += tall * 0.3;
        }
    }
    let mut zones = group(kept);
    zones.retain(|z| z.strips.len() > 1);
    Ok(zones)
}

/// A zone read under the grammar.
#[derive(Debug, Clone)]
pub(crate) struct Decoded {
    pub(crate) mrz: mrz::Mrz,
    pub(crate) corrections: Vec<serde_json::Value>,
    pub(crate) ambiguous: bool,
    /// Every check digit holds and every character is sure.
    pub(crate) valid: bool,
    /// Its lines end at the edge of the page and may go on beyond it.
    pub(crate) cut: bool,
    /// Mean and least probability of a character along the recogniser's path.
    pub(crate) mean: f32,
    pub(crate) least: f32,
    /// The strips of its lines, top to bottom.
    pub(crate) strips: Vec<Strip>,
}

impl Decoded {
    /// Doubts a zone that may be the first columns of a longer one: 36 of the 44 columns of an MRV-A keep all its check
    /// digits and pass for an MRV-B (ICAO Doc 9303-7 §4.2.2, §5.2.2; neither has a composite digit).
    pub(crate) fn doubt_if_cut(&mut self, page: &RgbImage) {
        let ends = |strip: &Strip| ends_at_edge(&strip.quad, &peaks(&strip.scores), page.dimensions());
        if self.mrz.format == mrz::Format::MrvB && self.strips.iter().any(ends) {
            (self.cut, self.valid, self.ambiguous) = (true, false, true);
        }
    }

    /// Whether a printed value of the field `name`, in the record's form, is the number or date that the zone gives
    /// under its check digit.
    pub(crate) fn repeats(&self, name: &str, value: &str) -> bool {
        let date = |field: &Option<mrz::DateField>| {
            let zone = field.as_ref().and_then(|f| f.date);
            zone.zip(PartialDate::from_str(value).ok()).is_some_and(|(zone, printed)| {
                zone.year.map(i32::from) == Some(i32::from(printed.year))
                    && (zone.month, zone.day) == (printed.month, printed.day)
            })
        };
        self.valid
            && match name {
                "date_of_birth" => date(&self.mrz.birth_date),
                "expiration_date" => date(&self.mrz.expiry_date),
                "document_number" => value.len() >= 5 && squeeze(value) == squeeze(&self.mrz.document_number),
                _ => false,
            }
    }
}

/// Least probability that each character must have for a zone to be called valid: check digits say nothing about
/// names. Measured on mrz_specimens and filled_docs: the 39 right readings 0.63 and more, the 3 wrong ones whose digits
/// hold 0.45 and less; on 168 turned, slanted and recompressed copies of them the 159 right ones 0.75 and more, two
/// wrong ones 0.55.
const LEAST_CHARACTER: f32 = 0.6;
/// Columns of the zones most documents have, by number of lines (ICAO Doc 9303-5, -6, -7, -4).
const COLUMNS: [(usize, usize); 3] = [(3, 30), (2, 36), (2, 44)];
/// Lines of one zone have one length: read lengths further apart than this are not the lines of one.
const MOST_SPREAD: usize = 4;
/// Mean probability of its characters below which strips are no zone.
const LEAST_MEAN: f32 = 0.75;
/// Price (nats) above which the rules overrule what was clearly seen: then what was seen stands, and is not valid.
const MOST_COST: f32 = 12.0;
/// Corrections above which strips are not a zone that was misread but something else.
const MOST_CORRECTIONS: usize = 6;

/// The best reading of a zone: two or three consecutive strips.
pub(crate) fn decode(zone: &Zone, today: jiff::civil::Date) -> Option<Decoded> {
    let today = mrz::Today::new(today.year() as u16, today.month() as u8, today.day() as u8);
    let mut best: Option<(f32, Decoded)> = None;
    for n in [3usize, 2] {
        for window in zone.strips.windows(n) {
            let Some(decoded) = decode_window(window, today) else { continue };
            let score = decoded.mean - 0.02 * decoded.corrections.len() as f32
                + if decoded.valid { 1.0 } else { 0.0 };
            if best.as_ref().is_none_or(|(most, _)| score > *most) {
                best = Some((score, decoded));
            }
        }
    }
    best.map(|(_, decoded)| decoded)
}

fn decode_window(window: &[Strip], today: mrz::Today) -> Option<Decoded> {
    let steps: Vec<Vec<mrz::Step>> = window.iter().map(Strip::steps).collect();
    let reading = mrz::decode(&steps, today)?;
    // Text of another length or hardly legible is no zone, whatever the rules make of it.
    let lengths = reading.format.layout().lengths;
    let misfit =
        lengths.iter().zip(window).map(|(n, s)| n.abs_diff(s.text.len())).max().unwrap_or(usize::MAX);
    if misfit > 4 || reading.mean < LEAST_MEAN {
        return None;
    }
    // A rare format must not win by leaving characters out that were read: no common one may fit the lengths better.
    let seen: Vec<usize> = window.iter().map(|s| s.text.len()).collect();
    let away = |wanted: &mut dyn Iterator<Item = usize>| -> usize {
        wanted.zip(&seen).map(|(n, length)| n.abs_diff(*length)).sum()
    };
    let own = away(&mut lengths.iter().copied());
    let better = COLUMNS.iter().any(|(lines, n)| {
        *lines == seen.len() && !lengths.contains(n) && away(&mut std::iter::repeat_n(*n, *lines)) < own
    });
    let spread = seen.iter().max().zip(seen.iter().min()).map_or(0, |(most, least)| most - least);
    if better || spread > MOST_SPREAD {
        return None;
    }
    let mut lines = reading.lines.clone();
    let mut corrections = reading.corrections.clone();
    if !reading.valid || reading.cost > MOST_COST || corrections.len() > MOST_CORRECTIONS {
        // What is printed wrong is reported as printed.
        for c in corrections.drain(..) {
            let (Some(line), 1) = (lines.get_mut(c.line), c.from.len()) else { continue };
            if line.is_char_boundary(c.pos) && line.is_char_boundary(c.pos + 1) && c.pos < line.len() {
                line.replace_range(c.pos..=c.pos, &c.from);
            }
        }
    }
    let mrz = mrz::parse_as(reading.format, &lines, today).ok()?;
    let fillers: usize = lines.iter().map(|l| l.bytes().filter(|b| *b == b'<').count()).sum();
    if fillers < LEAST_FILLERS || !plausible_start(&mrz) {
        return None;
    }
    let valid = mrz.valid() && reading.least >= LEAST_CHARACTER;
    Some(Decoded {
        ambiguous: reading.ambiguous || (mrz.valid() && !valid),
        corrections: corrections.iter().filter_map(|c| serde_json::to_value(c).ok()).collect(),
        mean: reading.mean,
        least: reading.least,
        strips: window.to_vec(),
        cut: false,
        valid,
        mrz,
    })
}

/// Of several readings of one zone, the lines that most agree on; their share of the votes must not leave doubt.
pub(crate) fn vote(readings: Vec<Decoded>) -> Option<Decoded> {
    let total = readings.len();
    let mut groups: Vec<Vec<Decoded>> = Vec::new();
    for reading in readings {
        match groups.iter_mut().find(|g| g.first().is_some_and(|f| f.mrz.lines == reading.mrz.lines)) {
            Some(group) => group.push(reading),
            None => groups.push(vec![reading]),
        }
    }
    let weight =
        |g: &Vec<Decoded>| g.iter().map(|d| d.least + if d.mrz.valid() { 1.0 } else { 0.0 }).sum::<f32>();
    groups.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    let group = groups.into_iter().next()?;
    let votes = group.len();
    let mut best = group.into_iter().max_by(|a, b| a.least.total_cmp(&b.least))?;
    if votes * 2 <= total && total > 1 && best.least < 0.9 {
        best.ambiguous = true;
        best.valid = false;
    }
    Some(best)
}

/// Whether the zone begins as some document does: without valid digits, anything with fillers would pass for one.
fn plausible_start(mrz: &mrz::Mrz) -> bool {
    let code = mrz.document_code.as_str();
    let known = mrz::country::find(&mrz.issuing_state).is_some()
        || mrz::country::find_alpha2(&mrz.issuing_state).is_some();
    let begins = code.starts_with(['P', 'I', 'A', 'C', 'V', 'D', 'R']);
    // Digits that hold speak for an issuer that no table knows.
    let held = mrz.checks.iter().filter(|c| c.holds).count();
    let digits = mrz.lines.iter().map(|l| l.bytes().filter(u8::is_ascii_digit).count()).sum::<usize>();
    begins && digits >= 12 && (known || held * 2 >= mrz.checks.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(x: f32, y: f32, w: f32, text: &str) -> Strip {
        let quad = [point(x, y), point(x + w, y), point(x + w, y + 20.0), point(x, y + 20.0)];
        Strip { quad, scores: Vec::new(), text: text.to_owned(), confidence: 0.9 }
    }

    #[test]
    fn lines_under_one_another_form_one_zone_from_top_to_bottom() {
        let zones = group(vec![
            strip(10.0, 60.0, 400.0, "B"),
            strip(12.0, 30.0, 405.0, "A"),
            strip(10.0, 300.0, 100.0, "C"),
        ]);
        let zone = zones.iter().find(|z| z.strips.len() == 2).expect("a zone of two");
        assert_eq!(zone.strips.iter().map(|s| s.text.as_str()).collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn lines_read_upside_down_keep_their_reading_order() {
        let turned = |s: Strip| Strip { quad: upside_down(&s.quad), ..s };
        let zones = group(vec![turned(strip(10.0, 30.0, 400.0, "B")), turned(strip(12.0, 60.0, 405.0, "A"))]);
        assert_eq!(zones[0].strips.iter().map(|s| s.text.as_str()).collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn a_printed_number_repeats_the_zone_only_when_it_is_the_same_and_the_zone_is_valid() {
        // ICAO Doc 9303-4 appendix B.
        let lines = [
            "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<".to_owned(),
            "L898902C36UTO7408122F1204159ZE184226B<<<<<10".to_owned(),
        ];
        let mrz = mrz::parse_as(mrz::Format::Td3, &lines, mrz::Today::new(2026, 11, 23)).expect("a zone");
        let mut zone = Decoded {
            mrz,
            corrections: Vec::new(),
            ambiguous: false,
            valid: true,
            cut: false,
            mean: 1.0,
            least: 1.0,
            strips: Vec::new(),
        };
        for (name, value, same) in [
            ("date_of_birth", "1974-08-12", true),
            ("date_of_birth", "1974-08-13", false),
            ("date_of_birth", "1974-08", false),
            ("expiration_date", "2012-04-15", true),
            ("date_of_issue", "2012-04-15", false),
            ("document_number", "L898902C3", true),
            ("document_number", "L89890 2C3", true),
            ("document_number", "L898902C8", false),
            ("last_name", "ERIKSSON", false),
        ] {
            assert_eq!(zone.repeats(name, value), same, "{name} {value}");
        }
        zone.valid = false;
        assert!(!zone.repeats("date_of_birth", "1974-08-12"));
    }

    #[test]
    fn a_line_ends_at_the_edge_only_where_no_margin_is_left() {
        let quad = [point(20.0, 80.0), point(380.0, 80.0), point(380.0, 100.0), point(20.0, 100.0)];
        // 36 characters, ten pixels apart.
        let places: Vec<f32> = (0..36).map(|i| (i as f32 + 0.5) / 36.0).collect();
        assert!(ends_at_edge(&quad, &places, (385, 200)));
        assert!(!ends_at_edge(&quad, &places, (400, 200)));
        // Read from the right: a page on its head.
        let turned = upside_down(&quad);
        assert!(!ends_at_edge(&turned, &places, (385, 200)));
        assert!(ends_at_edge(&turned.map(|p| point(p.x - 15.0, p.y)), &places, (385, 200)));
        assert!(!ends_at_edge(&quad, &[], (385, 200)));
    }

    #[test]
    fn figures_alone_are_no_sure_zone() {
        // The zone of a passport as it reads upside down, and as it is.
        let on_its_head =
            ["85555555555555559020I2EWOS02096V9X2MN9J9T7N9", "55555555555555555555555555V700D580JVX0V9XD6"];
        let upright =
            ["P<XGAOKAFOR<<LUCJA<<<<<<<<<<<<<<<<<<<<<<<<<<", "GNLL6CGNW2XGA9602050M3210204<<<<<<<<<<<<<<<8"];
        let zone = |lines: [&str; 2]| Zone { strips: lines.map(|l| strip(10.0, 30.0, 400.0, l)).to_vec() };
        assert!(!is_sure(&zone(on_its_head)) && is_sure(&zone(upright)));
    }

    #[test]
    fn fillers_and_long_runs_of_capitals_and_figures_are_like_a_piece_of_a_zone_and_print_is_not() {
        for piece in
            ["P<UTOERIKSSON<<ANNA", "D231458907«UTO", "ERIKSSONKKKKKK", "L898902C36UTO7408122F1204159"]
        {
            assert!(is_like_a_piece(piece), "{piece}");
        }
        for print in [
            "AUFENTHALTSTITEL",
            "L898902C3",
            "UNITED STATES OF AMERICA 1234",
            "DONAUDAMPFSCHIFFFAHRTSGESELLSCHAFT",
        ] {
            assert!(!is_like_a_piece(print), "{print}");
        }
    }

    #[test]
    fn greedy_reading_of_nothing_is_nothing() {
        assert_eq!(greedy(&[]), (String::new(), 0.0));
    }
}
