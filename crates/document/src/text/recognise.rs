//! Reads one text line with a CTC net (PP-OCR recognition), keeping where each character stands and how sure it is.

use std::sync::Arc;

use imaging::{Quad, RgbImage};
use inference::{Net, RunError, Tensor};

use crate::geometry::{height, width};

/// Height of the net's input, pixels.
const HEIGHT: u32 = 48;
/// Widths are rounded up to this, so that few input shapes occur.
const WIDTH_STEP: u32 = 32;
/// Longest input; longer lines are squeezed.
const MOST_WIDTH: u32 = 1600;

/// One character of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Glyph {
    pub(crate) ch: char,
    /// Centre along the line, 0 to 1.
    pub(crate) at: f32,
    /// Probability the net gave it.
    pub(crate) p: f32,
    /// What else it could be, likeliest first; `\0` where there is nothing.
    pub(crate) or: [char; ALTERNATIVES],
}

/// Alternatives kept of each character.
pub(crate) const ALTERNATIVES: usize = 4;
/// Least probability of an alternative.
const LEAST_ALTERNATIVE: f32 = 2e-4;

/// The characters the net knows, by class; class 0 is the CTC blank.
pub(crate) struct Alphabet(Vec<char>);

/// A line recogniser: its net, what its classes mean, and the name under which its work is counted.
#[derive(Clone)]
pub(crate) struct LineNet {
    pub(crate) net: Arc<dyn Net>,
    pub(crate) alphabet: Arc<Alphabet>,
    pub(crate) name: &'static str,
}

impl Alphabet {
    /// From the `character` metadata of the model: one character a line; a space is the last class.
    pub(crate) fn from_metadata(characters: &str) -> Self {
        let mut chars = vec!['\0'];
        chars.extend(characters.split('\n').filter_map(|line| line.chars().next()));
        chars.push(' ');
        Self(chars)
    }

    fn get(&self, class: usize) -> Option<char> {
        self.0.get(class).copied()
    }
}

/// A crop scaled to the net's input height: CHW floats in -1..1, padded to a multiple of [`WIDTH_STEP`].
fn prepare(image: &RgbImage, quad: &Quad) -> Tensor {
    let (w, h) = (width(quad).max(1.0), height(quad).max(1.0));
    let wanted = ((w / h) * HEIGHT as f32).round().max(16.0) as u32;
    let used = wanted.min(MOST_WIDTH);
    let crop = imaging::warp_quad(image, quad, used, HEIGHT);
    let padded = used.div_ceil(WIDTH_STEP).max(2) * WIDTH_STEP;
    let plane = (padded * HEIGHT) as usize;
    let mut data = vec![0.0f32; 3 * plane];
    for (x, y, pixel) in crop.enumerate_pixels() {
        let at = (y * padded + x) as usize;
        for c in 0..3 {
            data[c * plane + at] = f32::from(pixel[2 - c]) / 127.5 - 1.0;
        }
    }
    Tensor { shape: vec![1, 3, HEIGHT as usize, padded as usize], data }
}

impl LineNet {
    /// Reads one line. Positions are relative to the quad.
    pub(crate) fn read(&self, image: &RgbImage, quad: &Quad) -> Result<Vec<Glyph>, RunError> {
        let tensor = prepare(image, quad);
        let padded = *tensor.shape.last().unwrap_or(&1);
        crate::effort::count(self.name, padded * HEIGHT as usize);
        let aspect = width(quad).max(1.0) / height(quad).max(1.0);
        let used = (aspect * HEIGHT as f32).clamp(16.0, MOST_WIDTH as f32);
        let mut glyphs = Vec::new();
        self.net.lend(&[tensor], &mut |shape, scores| {
            glyphs = greedy(shape, scores, &self.alphabet, padded as f32 / used);
        })?;
        Ok(glyphs)
    }
}

/// Best class a step, repeats and blanks removed.
fn greedy(shape: &[usize], scores: &[f32], alphabet: &Alphabet, stretch: f32) -> Vec<Glyph> {
    let [_, steps, classes] = *shape else { return Vec::new() };
    let mut glyphs: Vec<Glyph> = Vec::new();
    let mut last = 0;
    for (step, row) in scores.chunks_exact(classes.max(1)).take(steps).enumerate() {
        let (class, p) = best(row);
        let at = ((step as f32 + 0.5) / steps as f32 * stretch).min(1.0);
        if class == last {
            if class != 0
                && let Some(glyph) = glyphs.last_mut()
                && p > glyph.p
            {
                glyph.p = p;
                glyph.or = alternatives(row, class, alphabet);
            }
        } else if class != 0
            && let Some(ch) = alphabet.get(class)
        {
            glyphs.push(Glyph { ch, at, p, or: alternatives(row, class, alphabet) });
        }
        last = class;
    }
    glyphs
}

/// Values compared at once: a step has thousands of classes, most of no weight.
const LANES: usize = 32;

/// The greatest of some values.
fn greatest(values: &[f32]) -> f32 {
    let mut lanes = [f32::MIN; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = if v > *lane { v } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::MIN, |a, &b| if b > a { b } else { a })
}

/// The likeliest class of a step and its probability.
fn best(row: &[f32]) -> (usize, f32) {
    let most = greatest(row);
    (row.iter().position(|v| *v >= most).unwrap_or(0), most)
}

fn alternatives(row: &[f32], taken: usize, alphabet: &Alphabet) -> [char; ALTERNATIVES] {
    let mut best = [(0usize, LEAST_ALTERNATIVE); ALTERNATIVES];
    for (block, values) in row.chunks(LANES).enumerate() {
        if greatest(values) <= best[ALTERNATIVES - 1].1 {
            continue;
        }
        for (i, &p) in values.iter().enumerate() {
            let class = block * LANES + i;
            if class != 0 && class != taken && p > best[ALTERNATIVES - 1].1 {
                best[ALTERNATIVES - 1] = (class, p);
                best.sort_by(|a, b| b.1.total_cmp(&a.1));
            }
        }
    }
    best.map(|(class, _)| if class == 0 { '\0' } else { alphabet.get(class).unwrap_or('\0') })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_removes_repeats_and_blanks_and_keeps_the_best_probability() {
        let alphabet = Alphabet::from_metadata("A\nB");
        // blank, A, A, blank, A, B, space
        let classes = [0, 1, 1, 0, 1, 2, 3];
        let mut data = Vec::new();
        for (i, &class) in classes.iter().enumerate() {
            let mut row = [0.01; 4];
            row[class] = 0.5 + 0.05 * i as f32;
            data.extend(row);
        }
        let glyphs = greedy(&[1, 7, 4], &data, &alphabet, 1.0);
        let text: String = glyphs.iter().map(|g| g.ch).collect();
        assert_eq!(text, "AAB ");
        assert!((glyphs[0].p - 0.6).abs() < 1e-6);
    }
}
