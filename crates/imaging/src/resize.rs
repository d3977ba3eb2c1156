//! Resizing with an antialiasing (triangle) filter, rows first so that the
//! inner loop runs over a whole row and the compiler can vectorise it.

use crate::RgbImage;

/// The picture at `width` × `height`, both at least 1.
///
/// Triangle filter whose support grows with the reduction ("antialiased
/// bilinear"); growing is plain bilinear.
pub fn resize(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let (width, height) = (width.max(1), height.max(1));
    if image.width() == 0 || image.height() == 0 {
        return RgbImage::new(width, height);
    }
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    let stride = 3 * image.width() as usize;
    let rows = Taps::new(image.height(), height);
    let columns = Taps::new(image.width(), width);
    // One value more, so that a pixel can be taken as four.
    let mut sums = vec![0.0f32; stride + 1];
    let mut out = RgbImage::new(width, height);
    let source = image.as_raw();
    for (line, (first, weights)) in out.chunks_exact_mut(3 * width as usize).zip(rows.iter()) {
        weigh_rows(&mut sums[..stride], &source[first * stride..], stride, weights);
        for (pixel, (first, weights)) in line.chunks_exact_mut(3).zip(columns.iter()) {
            let mut mean = [0.5f32; 4];
            for (at, &weight) in (first..).zip(weights) {
                if let Some(values) = sums.get(3 * at..).and_then(|s| s.first_chunk::<4>()) {
                    for (mean, value) in mean.iter_mut().zip(values) {
                        *mean += weight * value;
                    }
                }
            }
            for (to, mean) in pixel.iter_mut().zip(mean) {
                *to = mean as u8;
            }
        }
    }
    out
}

/// The weighted sum of rows, `LANES` columns at a time: the sums stay in registers over all rows.
fn weigh_rows(sums: &mut [f32], rows: &[u8], stride: usize, weights: &[f32]) {
    const LANES: usize = 16;
    let mut blocks = sums.chunks_exact_mut(LANES);
    let mut at = 0;
    for block in &mut blocks {
        let mut lanes = [0.0f32; LANES];
        for (row, &weight) in rows.chunks_exact(stride).zip(weights) {
            if let Some(values) = row.get(at..).and_then(|r| r.first_chunk::<LANES>()) {
                for (lane, &value) in lanes.iter_mut().zip(values) {
                    *lane += weight * f32::from(value);
                }
            }
        }
        block.copy_from_slice(&lanes);
        at += LANES;
    }
    let rest = blocks.into_remainder();
    rest.fill(0.0);
    for (row, &weight) in rows.chunks_exact(stride).zip(weights) {
        for (sum, &value) in rest.iter_mut().zip(&row[at..]) {
            *sum += weight * f32::from(value);
        }
    }
}

/// The picture made smaller so that neither side exceeds `long_side`; smaller
/// pictures come back as they are.
pub fn fit_within(image: &RgbImage, long_side: u32) -> RgbImage {
    let (w, h) = image.dimensions();
    let longest = w.max(h);
    if longest <= long_side || longest == 0 {
        return image.clone();
    }
    let scaled = |side: u32| {
        ((u64::from(side) * u64::from(long_side) + u64::from(longest) / 2) / u64::from(longest)).max(1) as u32
    };
    resize(image, scaled(w), scaled(h))
}

/// For each output position the first input position and the weights from there.
struct Taps {
    spans: Vec<(usize, usize, usize)>,
    weights: Vec<f32>,
}

impl Taps {
    fn new(from: u32, to: u32) -> Self {
        let scale = f64::from(from) / f64::from(to);
        let support = scale.max(1.0);
        let mut spans = Vec::with_capacity(to as usize);
        let mut weights = Vec::new();
        for position in 0..to {
            let centre = (f64::from(position) + 0.5) * scale;
            let first = (centre - support).floor().max(0.0) as usize;
            let end = ((centre + support).ceil() as usize).min(from as usize).max(first + 1);
            let start = weights.len();
            let weight = |k: usize| (1.0 - ((k as f64 + 0.5 - centre) / support).abs()).max(0.0);
            let total: f64 = (first..end).map(weight).sum();
            if total > 0.0 {
                weights.extend((first..end).map(|k| (weight(k) / total) as f32));
            } else {
                weights.extend((first..end).map(|_| 1.0 / (end - first) as f32));
            }
            spans.push((first, start, weights.len()));
        }
        Self { spans, weights }
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.spans.iter().map(|&(first, start, end)| (first, self.weights.get(start..end).unwrap_or(&[])))
    }
}
