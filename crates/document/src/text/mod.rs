//! Text of a page: where the lines are and what they say.

pub(crate) mod detect;
pub(crate) mod recognise;

use imaging::Quad;

use crate::geometry::{between, centre, height, width};
use recognise::Glyph;

/// One line of text on a page.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Corners in page pixels, clockwise from the top-left as read.
    pub(crate) quad: Quad,
    pub(crate) glyphs: Vec<Glyph>,
    /// Read by the small net only: good for words that tell the document, not for values.
    pub(crate) draft: bool,
}

impl Line {
    /// What it says.
    pub(crate) fn text(&self) -> String {
        self.glyphs.iter().map(|g| g.ch).collect::<String>().trim().to_owned()
    }

    /// Mean probability of its characters; 0 when it has none.
    pub(crate) fn confidence(&self) -> f32 {
        let (sum, n) =
            self.glyphs.iter().filter(|g| g.ch != ' ').fold((0.0, 0u32), |(s, n), g| (s + g.p, n + 1));
        if n == 0 { 0.0 } else { sum / n as f32 }
    }

    /// Least probability of its characters; 0 when it has none.
    pub(crate) fn least(&self) -> f32 {
        self.glyphs.iter().filter(|g| g.ch != ' ').map(|g| g.p).reduce(f32::min).unwrap_or(0.0)
    }

    /// Whether it holds a digit.
    pub(crate) fn has_digits(&self) -> bool {
        self.glyphs.iter().any(|g| g.ch.is_numeric())
    }

    /// The part between two shares of its length, as a line of its own.
    pub(crate) fn slice(&self, glyphs: std::ops::Range<usize>) -> Option<Self> {
        let part = self.glyphs.get(glyphs.clone())?;
        let (first, last) = (part.first()?, part.last()?);
        let step = 0.5 / self.glyphs.len().max(1) as f32;
        let (a, b) = ((first.at - step).clamp(0.0, 1.0), (last.at + step).clamp(0.0, 1.0));
        let q = &self.quad;
        let quad =
            [between(q[0], q[1], a), between(q[0], q[1], b), between(q[3], q[2], b), between(q[3], q[2], a)];
        let span = (b - a).max(1e-6);
        let glyphs = part.iter().map(|g| Glyph { at: (g.at - a) / span, ..*g }).collect();
        Some(Self { quad, glyphs, draft: self.draft })
    }

    pub(crate) fn height(&self) -> f32 {
        height(&self.quad)
    }
}

/// Joins boxes that stand on one line with gaps below three heights: detectors split long MRZ lines.
pub(crate) fn merge_collinear(boxes: &[Quad]) -> Vec<Quad> {
    let mut merged: Vec<Quad> = boxes.to_vec();
    merged.sort_by(|a, b| a[0].x.total_cmp(&b[0].x));
    let mut i = 0;
    while i < merged.len() {
        let mut joined = false;
        for j in 0..merged.len() {
            if i == j {
                continue;
            }
            let (a, b) = (merged[i], merged[j]);
            if centre(&a).x <= centre(&b).x && in_one_line(&a, &b) {
                merged[i] = [a[0], b[1], b[2], a[3]];
                merged.remove(j);
                joined = true;
                break;
            }
        }
        if joined {
            i = 0;
        } else {
            i += 1;
        }
    }
    merged
}

fn in_one_line(left: &Quad, right: &Quad) -> bool {
    let (hl, hr) = (height(left), height(right));
    if hl.min(hr) < 0.6 * hl.max(hr) || width(left) < hl || width(left) + width(right) < 6.0 * hl {
        return false;
    }
    let (start, end) = (between(left[0], left[3], 0.5), between(left[1], left[2], 0.5));
    let length = crate::geometry::distance(start, end).max(1e-3);
    let u = ((end.x - start.x) / length, (end.y - start.y) / length);
    let along = |p: imaging::Point| {
        ((p.x - end.x) * u.0 + (p.y - end.y) * u.1, -(p.x - end.x) * u.1 + (p.y - end.y) * u.0)
    };
    let (near, far) = (along(between(right[0], right[3], 0.5)), along(between(right[1], right[2], 0.5)));
    let h = hl.max(hr);
    near.0 > -h
        && near.0 < 3.0 * h
        && far.0 > near.0
        && near.1.abs() < 0.45 * h
        && far.1.abs() < 0.45 * h + 0.05 * (far.0 - near.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::point;

    fn bar(x0: f32, x1: f32, y0: f32, y1: f32) -> Quad {
        [point(x0, y0), point(x1, y0), point(x1, y1), point(x0, y1)]
    }

    #[test]
    fn two_halves_of_an_mrz_line_become_one_and_neighbouring_lines_do_not() {
        let merged = merge_collinear(&[
            bar(0.0, 200.0, 0.0, 20.0),
            bar(230.0, 480.0, 2.0, 21.0),
            bar(0.0, 480.0, 30.0, 50.0),
        ]);
        assert_eq!(merged.len(), 2);
        assert!(merged.iter().all(|q| width(q) > 470.0));
    }

    #[test]
    fn a_slice_keeps_its_place_on_the_line() {
        let glyphs =
            (0..10).map(|i| Glyph { ch: 'A', at: 0.05 + 0.1 * i as f32, p: 1.0, or: ['\0'; 4] }).collect();
        let line = Line { quad: bar(0.0, 100.0, 0.0, 10.0), glyphs, draft: false };
        let part = line.slice(5..8).expect("three glyphs");
        assert!((part.quad[0].x - 50.0).abs() < 0.1 && (part.quad[1].x - 80.0).abs() < 0.1);
    }
}
