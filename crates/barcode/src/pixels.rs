//! Grey pictures and the few operations that bring a barcode upright.

/// A borrowed grey picture, one byte a pixel, rows without padding.
#[derive(Debug, Clone, Copy)]
pub struct GrayView<'a> {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width × height` bytes, 0 black to 255 white.
    pub pixels: &'a [u8],
}

/// An owned grey picture.
#[derive(Debug, Clone)]
pub(crate) struct Gray {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<u8>,
}

/// A place in a picture, in pixels from its top left corner.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Corner {
    /// To the right.
    pub x: f32,
    /// Downwards.
    pub y: f32,
}

impl Gray {
    /// A copy of a view whose size is true; `None` otherwise.
    pub(crate) fn of(view: GrayView<'_>) -> Option<Self> {
        let (width, height) = (view.width as usize, view.height as usize);
        let pixels = view.pixels.get(..width.checked_mul(height)?)?.to_vec();
        (width > 0 && height > 0).then_some(Self { width, height, pixels })
    }

    /// A pixel; outside the picture, white.
    pub(crate) fn at(&self, x: i64, y: i64) -> f32 {
        if x < 0 || y < 0 || x >= self.width as i64 || y >= self.height as i64 {
            return 255.0;
        }
        self.pixels.get(y as usize * self.width + x as usize).map_or(255.0, |p| f32::from(*p))
    }

    /// The grey between four pixels.
    pub(crate) fn bilinear(&self, x: f32, y: f32) -> f32 {
        // `floor` is a call where the processor is not known to have it; this is the same number.
        let below = |v: f32| (v as i64).saturating_sub(i64::from((v as i64) as f32 > v));
        let (left, top) = (below(x), below(y));
        let (fx, fy) = (x - left as f32, y - top as f32);
        if let (Ok(column), Ok(row)) = (usize::try_from(left), usize::try_from(top))
            && column < self.width.saturating_sub(1)
            && row < self.height.saturating_sub(1)
        {
            let at = row * self.width + column;
            if let (Some([a, b]), Some([c, d])) =
                (self.pixels.get(at..at + 2), self.pixels.get(at + self.width..at + self.width + 2))
            {
                let upper = f32::from(*a) * (1.0 - fx) + f32::from(*b) * fx;
                let lower = f32::from(*c) * (1.0 - fx) + f32::from(*d) * fx;
                return upper * (1.0 - fy) + lower * fy;
            }
        }
        let upper = self.at(left, top) * (1.0 - fx) + self.at(left.saturating_add(1), top) * fx;
        let (right, bottom) = (left.saturating_add(1), top.saturating_add(1));
        let lower = self.at(left, bottom) * (1.0 - fx) + self.at(right, bottom) * fx;
        upper * (1.0 - fy) + lower * fy
    }

    /// A picture drawn by asking `source` where each of its pixels lies in this one.
    pub(crate) fn drawn(&self, width: usize, height: usize, source: impl Fn(f32, f32) -> (f32, f32)) -> Self {
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let (sx, sy) = source(x as f32 + 0.5, y as f32 + 0.5);
                pixels.push((self.bilinear(sx - 0.5, sy - 0.5) + 0.5) as u8);
            }
        }
        Self { width, height, pixels }
    }

    /// Scaled by a factor; shrinking averages areas.
    pub(crate) fn scaled(&self, factor: f32) -> Self {
        let width = ((self.width as f32 * factor).round() as usize).max(1);
        let height = ((self.height as f32 * factor).round() as usize).max(1);
        let (fx, fy) = (self.width as f32 / width as f32, self.height as f32 / height as f32);
        if factor >= 1.0 {
            return self.drawn(width, height, |x, y| (x * fx, y * fy));
        }
        let (across, down) = (spans(width, fx, self.width), spans(height, fy, self.height));
        let mut pixels = Vec::with_capacity(width * height);
        let mut sums = vec![0.0_f32; self.width];
        for (top, weights) in &down {
            sums.fill(0.0);
            for (row, weight) in (*top..).zip(weights) {
                let row = self.pixels.get(row * self.width..(row + 1) * self.width).unwrap_or_default();
                for (sum, pixel) in sums.iter_mut().zip(row) {
                    *sum += weight * f32::from(*pixel);
                }
            }
            for (left, weights) in &across {
                let values = sums.get(*left..left + weights.len()).unwrap_or_default();
                let sum: f32 = values.iter().zip(weights).map(|(value, weight)| value * weight).sum();
                pixels.push((sum + 0.5) as u8);
            }
        }
        Self { width, height, pixels }
    }

    /// Turned by an angle (radians, clockwise as seen) about its middle, on a canvas that holds all of it.
    pub(crate) fn turned(&self, angle: f32) -> (Self, Turn) {
        let (sin, cos) = angle.sin_cos();
        let (w, h) = (self.width as f32, self.height as f32);
        let width = (w * cos.abs() + h * sin.abs()).ceil().max(1.0);
        let height = (w * sin.abs() + h * cos.abs()).ceil().max(1.0);
        let turn = Turn { sin, cos, from: (width / 2.0, height / 2.0), to: (w / 2.0, h / 2.0) };
        (self.drawn(width as usize, height as usize, |x, y| turn.back(x, y)), turn)
    }

    /// A part, cut to the picture.
    pub(crate) fn cropped(&self, x0: usize, y0: usize, x1: usize, y1: usize) -> Self {
        let (x1, y1) = (x1.min(self.width), y1.min(self.height));
        let (x0, y0) = (x0.min(x1), y0.min(y1));
        let mut pixels = Vec::with_capacity((x1 - x0) * (y1 - y0));
        for y in y0..y1 {
            pixels.extend_from_slice(
                self.pixels.get(y * self.width + x0..y * self.width + x1).unwrap_or_default(),
            );
        }
        Self { width: x1 - x0, height: y1 - y0, pixels }
    }

    /// Greys spread so that the darkest and lightest hundredth become black and white.
    pub(crate) fn stretched(&self) -> Self {
        let mut counts = [0_usize; 256];
        for pixel in &self.pixels {
            if let Some(count) = counts.get_mut(usize::from(*pixel)) {
                *count += 1;
            }
        }
        let tail = self.pixels.len() / 100;
        let bound = |order: &mut dyn Iterator<Item = usize>| {
            let mut seen = 0;
            for grey in order {
                seen += counts.get(grey).copied().unwrap_or(0);
                if seen > tail {
                    return Some(grey);
                }
            }
            None
        };
        let low = bound(&mut (0..256)).unwrap_or(0) as f32;
        let high = bound(&mut (0..256).rev()).unwrap_or(255) as f32;
        let gain = 255.0 / (high - low).max(1.0);
        let pixels =
            self.pixels.iter().map(|p| ((f32::from(*p) - low) * gain).clamp(0.0, 255.0) as u8).collect();
        Self { width: self.width, height: self.height, pixels }
    }

    /// Edges made steeper: each pixel moves away from the mean of its neighbours by `gain`.
    pub(crate) fn sharpened(&self, gain: f32) -> Self {
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for y in 0..self.height as i64 {
            for x in 0..self.width as i64 {
                let here = self.at(x, y);
                let near = |x: i64, y: i64| {
                    self.at(x.clamp(0, self.width as i64 - 1), y.clamp(0, self.height as i64 - 1))
                };
                let mean = (near(x - 1, y) + near(x + 1, y) + near(x, y - 1) + near(x, y + 1)) / 4.0;
                pixels.push((here + gain * (here - mean)).clamp(0.0, 255.0) as u8);
            }
        }
        Self { width: self.width, height: self.height, pixels }
    }
}

/// Of each of `n` parts of `step` pixels the first pixel and the share that each pixel has in it: modules keep their
/// width where whole pixels only would make every third one wider.
fn spans(n: usize, step: f32, most: usize) -> Vec<(usize, Vec<f32>)> {
    let part = |i: usize| {
        let (start, end) = (i as f32 * step, ((i + 1) as f32 * step).min(most as f32));
        let first = (start as usize).min(most.saturating_sub(1));
        let last = (end.ceil() as usize).clamp(first + 1, most.max(first + 1));
        let share = |k: usize| (end.min(k as f32 + 1.0) - start.max(k as f32)).max(0.0);
        let total: f32 = (first..last).map(share).sum();
        let weights = (first..last).map(|k| if total > 0.0 { share(k) / total } else { 1.0 });
        (first, weights.collect())
    };
    (0..n).map(part).collect()
}

/// A rotation about the middle, from the turned picture back to the first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    sin: f32,
    cos: f32,
    from: (f32, f32),
    to: (f32, f32),
}

impl Turn {
    pub(crate) fn back(&self, x: f32, y: f32) -> (f32, f32) {
        let (dx, dy) = (x - self.from.0, y - self.from.1);
        (self.to.0 + dx * self.cos + dy * self.sin, self.to.1 - dx * self.sin + dy * self.cos)
    }
}

/// A perspective map of the unit square onto a quad.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Square {
    a: [f32; 8],
}

impl Square {
    /// The map that takes (0,0), (1,0), (1,1), (0,1) to the corners (Heckbert 1989, §2.2.3).
    pub(crate) fn onto(q: &[Corner; 4]) -> Option<Self> {
        let [p0, p1, p2, p3] = q;
        let (sx, sy) = (p0.x - p1.x + p2.x - p3.x, p0.y - p1.y + p2.y - p3.y);
        let (dx1, dx2, dy1, dy2) = (p1.x - p2.x, p3.x - p2.x, p1.y - p2.y, p3.y - p2.y);
        let det = dx1 * dy2 - dx2 * dy1;
        if det.abs() < 1e-6 {
            return None;
        }
        let g = (sx * dy2 - dx2 * sy) / det;
        let h = (dx1 * sy - sx * dy1) / det;
        Some(Self {
            a: [
                p1.x - p0.x + g * p1.x,
                p3.x - p0.x + h * p3.x,
                p0.x,
                p1.y - p0.y + g * p1.y,
                p3.y - p0.y + h * p3.y,
                p0.y,
                g,
                h,
            ],
        })
    }

    pub(crate) fn apply(&self, u: f32, v: f32) -> (f32, f32) {
        let [a, b, c, d, e, f, g, h] = self.a;
        let w = g * u + h * v + 1.0;
        let w = if w.abs() < 1e-6 { 1e-6 } else { w };
        ((a * u + b * v + c) / w, (d * u + e * v + f) / w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_keeps_the_mean_and_the_width_of_modules() {
        // Bars of five pixels, shrunk by 0.6: three pixels each, with clean edges.
        let bar = |x: usize| if (x / 5).is_multiple_of(2) { 20 } else { 220 };
        let picture = Gray { width: 100, height: 10, pixels: (0..1000).map(|i| bar(i % 100)).collect() };
        let small = picture.scaled(0.6);
        assert_eq!((small.width, small.height), (60, 6));
        assert!((0..60).all(|x| small.pixels.get(60 + x) == Some(&bar(x * 5 / 3))), "{:?}", small.pixels);
        let even = Gray { width: 97, height: 31, pixels: vec![77; 97 * 31] };
        assert!(even.scaled(0.37).pixels.iter().all(|p| *p == 77));
    }

    #[test]
    fn the_grey_between_pixels_is_their_mean_and_white_outside() {
        let picture = Gray { width: 2, height: 2, pixels: vec![0, 100, 40, 200] };
        assert_eq!(picture.bilinear(0.5, 0.5), 85.0);
        assert_eq!(picture.bilinear(1.0, 0.0), 100.0);
        assert_eq!(picture.bilinear(-3.0, 0.0), 255.0);
    }
}
