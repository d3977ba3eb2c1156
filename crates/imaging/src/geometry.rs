//! Perspective and similarity warps, quarter turns, crops.
//!
//! The warps map each destination pixel back to the source and sample
//! bilinearly there. Where the source is larger than the destination, it is
//! first averaged down by a whole factor, so that fine print does not alias.

use crate::RgbImage;

/// A point in pixels; the centre of the first pixel is (0.5, 0.5).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// To the right.
    pub x: f32,
    /// Down.
    pub y: f32,
}

impl Point {
    /// The point at (`x`, `y`).
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// Distance to `other` in pixels.
    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// Four corners, clockwise from the top left of the (upright) content.
pub type Quad = [Point; 4];

/// A plane projective map, row-major 3×3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projection(pub [f64; 9]);

impl Projection {
    /// The map that takes each corner of `from` to the same corner of `to`;
    /// `None` when three corners of either lie on one line.
    pub fn between(from: &Quad, to: &Quad) -> Option<Self> {
        let to_unit = square_to_quad(from)?.inverse()?;
        square_to_quad(to).map(|to| to.after(&to_unit))
    }

    /// The map that undoes this one; `None` when it flattens the plane.
    pub fn inverse(&self) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, i] = self.0;
        let (ca, cb, cc) = (e * i - f * h, f * g - d * i, d * h - e * g);
        let determinant = a * ca + b * cb + c * cc;
        if !determinant.is_finite() || determinant.abs() < 1e-18 {
            return None;
        }
        let s = 1.0 / determinant;
        Some(Self([
            ca * s,
            (c * h - b * i) * s,
            (b * f - c * e) * s,
            cb * s,
            (a * i - c * g) * s,
            (c * d - a * f) * s,
            cc * s,
            (b * g - a * h) * s,
            (a * e - b * d) * s,
        ]))
    }

    /// The map that first applies `first`, then this one.
    pub fn after(&self, first: &Self) -> Self {
        let (m, n) = (&self.0, &first.0);
        let mut out = [0.0; 9];
        for (k, value) in out.iter_mut().enumerate() {
            let (r, c) = (k / 3 * 3, k % 3);
            *value = m[r] * n[c] + m[r + 1] * n[c + 3] + m[r + 2] * n[c + 6];
        }
        Self(out)
    }

    /// Where `p` lands.
    pub fn apply(&self, p: Point) -> Point {
        let [a, b, c, d, e, f, g, h, i] = self.0;
        let (x, y) = (f64::from(p.x), f64::from(p.y));
        let w = g * x + h * y + i;
        Point { x: ((a * x + b * y + c) / w) as f32, y: ((d * x + e * y + f) / w) as f32 }
    }
}

/// Unit square (0,0) (1,0) (1,1) (0,1) to a quad (Heckbert, "Fundamentals of
/// Texture Mapping and Image Warping", 1989, §2.2.3).
fn square_to_quad(q: &Quad) -> Option<Projection> {
    let [p0, p1, p2, p3] = q.map(|p| (f64::from(p.x), f64::from(p.y)));
    let (dx1, dx2, sx) = (p1.0 - p2.0, p3.0 - p2.0, p0.0 - p1.0 + p2.0 - p3.0);
    let (dy1, dy2, sy) = (p1.1 - p2.1, p3.1 - p2.1, p0.1 - p1.1 + p2.1 - p3.1);
    let denominator = dx1 * dy2 - dx2 * dy1;
    if !denominator.is_finite() || denominator.abs() < 1e-9 {
        return None;
    }
    let g = (sx * dy2 - dx2 * sy) / denominator;
    let h = (dx1 * sy - sx * dy1) / denominator;
    Some(Projection([
        p1.0 - p0.0 + g * p1.0,
        p3.0 - p0.0 + h * p3.0,
        p0.0,
        p1.1 - p0.1 + g * p1.1,
        p3.1 - p0.1 + h * p3.1,
        p0.1,
        g,
        h,
        1.0,
    ]))
}

/// The content of `quad` as an upright picture of `width` × `height`.
///
/// Bilinear; averaged down first where the quad is larger than the result.
/// Outside the source the nearest edge pixel is repeated. A degenerate quad
/// (three corners on a line, or not finite) gives a black picture.
pub fn warp_quad(image: &RgbImage, quad: &Quad, width: u32, height: u32) -> RgbImage {
    let target = [(0.0, 0.0), (width as f32, 0.0), (width as f32, height as f32), (0.0, height as f32)]
        .map(|(x, y)| Point { x, y });
    let Some(map) = Projection::between(&target, quad) else { return RgbImage::new(width, height) };
    let [a, b, c, d] = *quad;
    let across = a.distance(b).max(d.distance(c)) / width.max(1) as f32;
    let down = a.distance(d).max(b.distance(c)) / height.max(1) as f32;
    let bounds = Bounds::of(quad, image);
    let source = Averaged::new(image, bounds, across, down);
    let map = source.shift(&map);
    let mut out = RgbImage::new(width, height);
    if width == 0 || height == 0 || image.width() == 0 || image.height() == 0 {
        return out;
    }
    let [m0, m1, m2, m3, m4, m5, m6, m7, m8] = map.0;
    let source = source.pixels();
    let place = |column: usize, row: usize| {
        let (x, y) = (column as f64 + 0.5, row as f64 + 0.5);
        let inverse = 1.0 / (m6 * x + m7 * y + m8);
        ((m0 * x + m1 * y + m2) * inverse - 0.5, (m3 * x + m4 * y + m5) * inverse - 0.5)
    };
    // A perspective bends most at a corner.
    let straight = |run: usize| {
        let (right, bottom) = ((width as usize).saturating_sub(run), height as usize - 1);
        [(0, 0), (right, 0), (0, bottom), (right, bottom)].into_iter().all(|(column, row)| {
            let (from, to) = (place(column, row), place(column + run, row));
            let middle = place(column + run / 2, row);
            let bend = |a: f64, b: f64, middle: f64| (f64::midpoint(a, b) - middle).abs();
            bend(from.0, to.0, middle.0).max(bend(from.1, to.1, middle.1)) < STRAIGHT
        })
    };
    let run = [8, 4, 2].into_iter().find(|&run| straight(run)).unwrap_or(1);
    for (row, line) in out.chunks_exact_mut(3 * width as usize).enumerate() {
        let mut from = place(0, row);
        for (at, pixels) in line.chunks_mut(3 * run).enumerate() {
            let to = place((at + 1) * run, row);
            let step = ((to.0 - from.0) / run as f64, (to.1 - from.1) / run as f64);
            draw(source, from, step, Edge::Repeats, pixels);
            from = to;
        }
    }
    out
}

/// Pixels of the source by which a run of pixels may leave its line: within it none needs a division.
const STRAIGHT: f64 = 0.01;

/// What is seen beyond the edge of a picture.
#[derive(Clone, Copy, PartialEq)]
enum Edge {
    Repeats,
    Black,
}

/// Pixels seen at `from`, `from + step` …, in the lattice of pixel centres.
#[inline]
fn draw(source: &RgbImage, from: (f64, f64), step: (f64, f64), beyond: Edge, line: &mut [u8]) {
    let (last_x, last_y) = (u64::from(source.width()) - 1, u64::from(source.height()) - 1);
    let stride = 3 * source.width() as usize;
    let raw = source.as_raw();
    // Places in 2^-32 of a pixel: one addition a pixel, and no conversion between whole and broken numbers, which
    // took most of the time. A map that leaves such numbers behind lies outside of every picture.
    let fixed = |v: f64| (v * ONE) as i64;
    let (step, mut at) = ((fixed(step.0), fixed(step.1)), (fixed(from.0), fixed(from.1)));
    for pixel in line.chunks_exact_mut(3) {
        // Negative places become large ones.
        let (x0, y0) = ((at.0 >> 32) as u64, (at.1 >> 32) as u64);
        let (ax, ay) = ((at.0 >> 24) as u32 & 255, (at.1 >> 24) as u32 & 255);
        let inside = x0 < last_x
            && y0 < last_y
            && mix_inside(raw, y0 as usize * stride + 3 * x0 as usize, stride, ax, ay, pixel);
        if !inside {
            at_edge(source, at, beyond, pixel);
        }
        at = (at.0.wrapping_add(step.0), at.1.wrapping_add(step.1));
    }
}

/// One in whole numbers of 2^-32.
const ONE: f64 = 4_294_967_296.0;

#[cold]
fn at_edge(source: &RgbImage, at: (i64, i64), beyond: Edge, pixel: &mut [u8]) {
    let (u, v) = ((at.0 as f64 / ONE) as f32, (at.1 as f64 / ONE) as f32);
    let (w, h) = (source.width() as f32, source.height() as f32);
    if beyond == Edge::Repeats || u >= -0.5 && v >= -0.5 && u <= w - 0.5 && v <= h - 0.5 {
        sample(source, u, v, pixel);
    }
}

/// A picture of `width` × `height` whose pixel (x, y) shows the source at
/// `(m0 x + m1 y + m2, m3 x + m4 y + m5)`: an affine map from destination to
/// source, both in pixels.
///
/// Sampled as by [`warp_quad`]; outside the source black is shown, as the
/// face aligners do.
pub fn similarity_warp(image: &RgbImage, m: [f32; 6], width: u32, height: u32) -> RgbImage {
    let mut out = RgbImage::new(width, height);
    if width == 0
        || height == 0
        || image.width() == 0
        || image.height() == 0
        || m.iter().any(|v| !v.is_finite())
    {
        return out;
    }
    let at = |x: f32, y: f32| Point { x: m[0] * x + m[1] * y + m[2], y: m[3] * x + m[4] * y + m[5] };
    let (w, h) = (width as f32, height as f32);
    let corners = [at(0.0, 0.0), at(w, 0.0), at(w, h), at(0.0, h)];
    let source = Averaged::new(image, Bounds::of(&corners, image), m[0].hypot(m[3]), m[1].hypot(m[4]));
    let map = source.shift(&Projection([
        f64::from(m[0]),
        f64::from(m[1]),
        f64::from(m[2]),
        f64::from(m[3]),
        f64::from(m[4]),
        f64::from(m[5]),
        0.0,
        0.0,
        1.0,
    ]));
    let m = map.0;
    let pixels = source.pixels();
    for (row, line) in out.chunks_exact_mut(3 * width as usize).enumerate() {
        let y = row as f64 + 0.5;
        let from = (0.5 * m[0] + m[1] * y + m[2] - 0.5, 0.5 * m[3] + m[4] * y + m[5] - 0.5);
        draw(pixels, from, (m[0], m[3]), Edge::Black, line);
    }
    out
}

/// The affine map that undoes `m` (same layout as for [`similarity_warp`]);
/// `None` when it flattens the plane.
pub fn invert_similarity(m: [f32; 6]) -> Option<[f32; 6]> {
    let [a, b, c, d, e, f] = m.map(f64::from);
    let determinant = a * e - b * d;
    if !determinant.is_finite() || determinant.abs() < 1e-12 {
        return None;
    }
    let (ia, ib, id, ie) = (e / determinant, -b / determinant, -d / determinant, a / determinant);
    Some([ia, ib, -(ia * c + ib * f), id, ie, -(id * c + ie * f)].map(|v| v as f32))
}

/// The rectangle from (`x`, `y`) of `width` × `height`, cut at the picture's edge.
pub fn crop(image: &RgbImage, x: u32, y: u32, width: u32, height: u32) -> RgbImage {
    let (x, y) = (x.min(image.width()), y.min(image.height()));
    let (width, height) = (width.min(image.width() - x), height.min(image.height() - y));
    let mut out = RgbImage::new(width, height);
    if width == 0 || height == 0 {
        return out;
    }
    let stride = 3 * image.width() as usize;
    let rows = image.as_raw().chunks_exact(stride).skip(y as usize);
    for (to, from) in out.chunks_exact_mut(3 * width as usize).zip(rows) {
        if let Some(part) = from.get(3 * x as usize..3 * (x + width) as usize) {
            to.copy_from_slice(part);
        }
    }
    out
}

/// Turns the picture clockwise by `quarter_turns` × 90° (taken modulo 4).
pub fn rotate90(image: &RgbImage, quarter_turns: u8) -> RgbImage {
    match quarter_turns % 4 {
        1 => image::imageops::rotate90(image),
        2 => image::imageops::rotate180(image),
        3 => image::imageops::rotate270(image),
        _ => image.clone(),
    }
}

/// A rectangle of the source, in whole pixels.
#[derive(Clone, Copy)]
struct Bounds {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl Bounds {
    /// The part of `image` that a warp of `quad` can touch, with a margin for the filter.
    fn of(quad: &Quad, image: &RgbImage) -> Self {
        let fold = |pick: fn(&Point) -> f32| {
            quad.iter().map(pick).fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)))
        };
        let ((left, right), (top, bottom)) = (fold(|p| p.x), fold(|p| p.y));
        let range = |low: f32, high: f32, size: u32| {
            let start = (low - 16.0).clamp(0.0, size.saturating_sub(1) as f32) as u32;
            let end = (high + 16.0).clamp(0.0, size as f32).ceil() as u32;
            (start, end.clamp(start + 1, size.max(1)).saturating_sub(start))
        };
        let (x, width) = range(left, right, image.width());
        let (y, height) = range(top, bottom, image.height());
        Self { x, y, width, height }
    }
}

/// The source, averaged down by whole factors when the warp would skip pixels.
enum Averaged<'a> {
    Whole(&'a RgbImage),
    Part { pixels: RgbImage, x: f64, y: f64, across: f64, down: f64 },
}

impl<'a> Averaged<'a> {
    fn new(image: &'a RgbImage, bounds: Bounds, across: f32, down: f32) -> Self {
        let factor = |scale: f32| if scale.is_finite() { (scale + 0.25).clamp(1.0, 64.0) as u32 } else { 1 };
        let (fx, fy) = (factor(across), factor(down));
        if fx == 1 && fy == 1 {
            return Self::Whole(image);
        }
        let (width, height) = (bounds.width.div_ceil(fx), bounds.height.div_ceil(fy));
        let mut pixels = RgbImage::new(width, height);
        let stride = 3 * image.width() as usize;
        let source = image.as_raw();
        // At most 64 rows of at most 255.
        let mut sums = vec![0u16; 3 * bounds.width as usize];
        let last = bounds.width - (width - 1) * fx;
        for (row, line) in pixels.chunks_exact_mut(3 * width as usize).enumerate() {
            sums.fill(0);
            let top = bounds.y + row as u32 * fy;
            let rows = fy.min(bounds.y + bounds.height - top);
            for y in top..top + rows {
                let start = y as usize * stride + 3 * bounds.x as usize;
                let Some(from) = source.get(start..start + 3 * bounds.width as usize) else { continue };
                for (sum, &value) in sums.iter_mut().zip(from) {
                    *sum += u16::from(value);
                }
            }
            let (inner, outer) = (Divisor::new(rows * fx), Divisor::new(rows * last));
            let blocks = line.chunks_exact_mut(3).zip(sums.chunks(3 * fx as usize));
            for (to, block) in blocks {
                let (mut r, mut g, mut b) = (0u32, 0u32, 0u32);
                for p in block.chunks_exact(3) {
                    r += u32::from(p[0]);
                    g += u32::from(p[1]);
                    b += u32::from(p[2]);
                }
                let divisor = if block.len() == 3 * fx as usize { &inner } else { &outer };
                to.copy_from_slice(&[r, g, b].map(|sum| divisor.mean(sum)));
            }
        }
        Self::Part {
            pixels,
            x: f64::from(bounds.x),
            y: f64::from(bounds.y),
            across: f64::from(fx),
            down: f64::from(fy),
        }
    }

    /// `map` with its results counted in the averaged picture's pixels.
    fn shift(&self, map: &Projection) -> Projection {
        match *self {
            Self::Whole(_) => *map,
            Self::Part { x, y, across, down, .. } => {
                Projection([1.0 / across, 0.0, -x / across, 0.0, 1.0 / down, -y / down, 0.0, 0.0, 1.0])
                    .after(map)
            }
        }
    }

    fn pixels(&self) -> &RgbImage {
        match self {
            Self::Whole(image) => image,
            Self::Part { pixels, .. } => pixels,
        }
    }
}

/// Divides sums of at most 64 × 64 pixels by their count, rounding, with a multiplication: a division a value took
/// most of the time of a warp.
struct Divisor {
    half: u32,
    /// 2^40 over the count, rounded up. Sums stay below 2^20.1 and counts at 2^12 at most, so what the rounding adds,
    /// below 2^20.1 / 2^40, never reaches the next whole number, which is 2^-12 away.
    reciprocal: u64,
}

impl Divisor {
    fn new(count: u32) -> Self {
        let count = count.max(1);
        Self { half: count / 2, reciprocal: (1_u64 << 40).div_ceil(u64::from(count)) }
    }

    fn mean(&self, sum: u32) -> u8 {
        ((u64::from(sum + self.half) * self.reciprocal) >> 40) as u8
    }
}

/// Four neighbours, the first at `start`, mixed in 256ths; false when they are not all there.
#[inline]
fn mix_inside(raw: &[u8], start: usize, stride: usize, ax: u32, ay: u32, out: &mut [u8]) -> bool {
    let at =
        |start: usize| raw.get(start..).and_then(|p| p.first_chunk::<4>()).map(|p| u32::from_le_bytes(*p));
    let (Some(a), Some(b), Some(c), Some(d), [r, g, blue]) =
        (at(start), at(start + 3), at(start + stride), at(start + stride + 3), out)
    else {
        return false;
    };
    // Red and blue in the two halves of a word, green alone: no product reaches the next half.
    const ODD: u32 = 0x00ff_00ff;
    let across = |p: u32, q: u32| {
        ((p & ODD) * (256 - ax) + (q & ODD) * ax, ((p >> 8) & 255) * (256 - ax) + ((q >> 8) & 255) * ax)
    };
    let ((upper, upper_green), (lower, lower_green)) = (across(a, b), across(c, d));
    let down = |upper: u32, lower: u32| ((upper * (256 - ay) + lower * ay + (1 << 15)) >> 16) as u8;
    *r = down(upper & 0xffff, lower & 0xffff);
    *g = down(upper_green, lower_green);
    *blue = down(upper >> 16, lower >> 16);
    true
}

/// Bilinear sample with its lattice on pixel centres; edges repeat.
#[inline]
fn sample(image: &RgbImage, x: f32, y: f32, out: &mut [u8]) {
    let (last_x, last_y) = (image.width() as i32 - 1, image.height() as i32 - 1);
    // `as` saturates and turns NaN into 0, so that any map stays inside.
    let (fx, fy) = (x.clamp(-1.0, last_x as f32 + 1.0), y.clamp(-1.0, last_y as f32 + 1.0));
    // `floor` is a call where the processor is not known to have it; this is the same number.
    let below = |v: f32| v as i32 - i32::from((v as i32) as f32 > v);
    let (x0, y0) = (below(fx), below(fy));
    let (ax, ay) = (((fx - x0 as f32) * 256.0) as u32, ((fy - y0 as f32) * 256.0) as u32);
    let stride = 3 * image.width() as usize;
    if (0..last_x).contains(&x0) && (0..last_y).contains(&y0) {
        let start = y0 as usize * stride + 3 * x0 as usize;
        if mix_inside(image.as_raw(), start, stride, ax, ay, out) {
            return;
        }
    }
    let (left, right) = (x0.clamp(0, last_x) as usize, (x0 + 1).clamp(0, last_x) as usize);
    let (top, bottom) = (y0.clamp(0, last_y) as usize, (y0 + 1).clamp(0, last_y) as usize);
    let raw = image.as_raw();
    let at =
        |row: usize, column: usize| raw.get(row * stride + 3 * column..).and_then(|p| p.first_chunk::<3>());
    if let (Some(a), Some(b), Some(c), Some(d), [r0, r1, r2]) =
        (at(top, left), at(top, right), at(bottom, left), at(bottom, right), out)
    {
        let mix = |k: usize| {
            let upper = u32::from(a[k]) * (256 - ax) + u32::from(b[k]) * ax;
            let lower = u32::from(c[k]) * (256 - ax) + u32::from(d[k]) * ax;
            ((upper * (256 - ay) + lower * ay + (1 << 15)) >> 16) as u8
        };
        (*r0, *r1, *r2) = (mix(0), mix(1), mix(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_multiplication_divides_exactly() {
        for count in (1..=64).flat_map(|a| [1, 2, 3, 31, 63, 64].map(|b| a * b)) {
            let divisor = Divisor::new(count);
            for mean in 0..=255 {
                // Where rounding turns, and the numbers beside it.
                for sum in
                    [mean * count, mean * count + count / 2, (mean * count + count / 2).saturating_sub(1)]
                {
                    let sum = sum.min(255 * count);
                    assert_eq!(u32::from(divisor.mean(sum)), (sum + count / 2) / count, "{sum} of {count}");
                }
            }
        }
    }
}
