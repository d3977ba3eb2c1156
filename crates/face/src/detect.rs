//! Finds faces: BlazeFace (or an operator's YuNet) over the whole picture, its turns and its parts.
//!
//! A picture is searched upright first. When nothing convincing is seen it is
//! searched with a margin (a face cut by the edge, or filling the picture),
//! turned by 90°, 180° and 270°, and in overlapping parts (small faces). Boxes
//! and points are always in pixels of the picture as given.

use imaging::{RgbImage, rotate90};
use inference::{Net, RunError, Tensor};

use crate::pixels::{Scale, tensor};

/// A found face before its mesh is fitted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Detection {
    /// Left, top, right, bottom in pixels; may reach over the edge.
    pub(crate) bbox: [f32; 4],
    pub(crate) confidence: f32,
    /// Right eye, left eye (the person's own right and left), in pixels.
    pub(crate) eyes: [[f32; 2]; 2],
    /// Clockwise quarter turns that bring the picture upright for this face.
    pub(crate) quarter_turns: u8,
}

impl Detection {
    fn area(&self) -> f32 {
        let [l, t, r, b] = self.bbox;
        (r - l).max(0.0) * (b - t).max(0.0)
    }

    pub(crate) fn overlap(&self, other: &Self) -> f32 {
        let [l, t, r, b] = self.bbox;
        let [l2, t2, r2, b2] = other.bbox;
        let both = (r.min(r2) - l.max(l2)).max(0.0) * (b.min(b2) - t.max(t2)).max(0.0);
        both / (self.area() + other.area() - both).max(1e-6)
    }

    fn map(mut self, f: impl Fn([f32; 2]) -> [f32; 2]) -> Self {
        let [l, t, r, b] = self.bbox;
        let (a, c) = (f([l, t]), f([r, b]));
        self.bbox = [a[0].min(c[0]), a[1].min(c[1]), a[0].max(c[0]), a[1].max(c[1])];
        self.eyes = self.eyes.map(f);
        self
    }
}

/// Which detector's outputs are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detector {
    /// 256×256, RGB -1..1, 896 anchors.
    BlazeFace,
    /// OpenCV Zoo's YuNet (2023): BGR 0..255, three strides.
    YuNet {
        /// Side of the square input in pixels, a multiple of 32.
        side: u32,
    },
}

/// Below this a box is not a face.
const FLOOR: f32 = 0.5;
/// From this on the upright search is believed without looking further.
const SURE: f32 = 0.8;
/// Boxes that overlap more than this are one face.
const SAME: f32 = 0.3;

/// All faces of the picture, most confident first, at most `limit`.
pub(crate) fn detect(
    net: &dyn Net,
    kind: Detector,
    image: &RgbImage,
    limit: usize,
) -> Result<Vec<Detection>, RunError> {
    let upright = search(net, kind, image, 1.0)?;
    let sure = |found: &[Detection]| found.iter().any(|d| d.confidence >= SURE);
    if sure(&upright) {
        return Ok(merge(upright, limit));
    }
    // A face that touches the edge of the picture: give it a margin.
    let mut best = merge([upright, search(net, kind, image, 1.6)?].concat(), limit);
    if sure(&best) {
        return Ok(best);
    }
    let (w, h) = (image.width() as f32, image.height() as f32);
    for turns in 1..4_u8 {
        let found: Vec<_> = search(net, kind, &rotate90(image, turns), 1.0)?
            .into_iter()
            .map(|d| Detection { quarter_turns: turns, ..d.map(|p| unturn(p, turns, w, h)) })
            .collect();
        let top = |d: &[Detection]| d.iter().map(|d| d.confidence).fold(0.0, f32::max);
        // An upright reading is kept unless a turn is clearly better.
        if top(&found) > top(&best) + 0.05 {
            best = merge(found, limit);
        }
    }
    if best.is_empty() && image.width().min(image.height()) >= 160 {
        best = merge(search_parts(net, kind, image)?, limit);
    }
    Ok(best)
}

/// A point of the turned picture in pixels of the original.
fn unturn(p: [f32; 2], turns: u8, w: f32, h: f32) -> [f32; 2] {
    match turns {
        1 => [p[1], h - p[0]],
        2 => [w - p[0], h - p[1]],
        3 => [w - p[1], p[0]],
        _ => p,
    }
}

/// Overlapping parts of half the side: small faces become twice as large.
fn search_parts(net: &dyn Net, kind: Detector, image: &RgbImage) -> Result<Vec<Detection>, RunError> {
    let (w, h) = (image.width() / 2, image.height() / 2);
    let mut found = Vec::new();
    for y in [0, h / 2, image.height() - h] {
        for x in [0, w / 2, image.width() - w] {
            let part = imaging::crop(image, x, y, w, h);
            let shift = |p: [f32; 2]| [p[0] + x as f32, p[1] + y as f32];
            found.extend(search(net, kind, &part, 1.0)?.into_iter().map(|d| d.map(shift)));
        }
    }
    Ok(found)
}

/// One pass. `margin` 1 fits the picture into the net's square, more leaves black around it.
fn search(net: &dyn Net, kind: Detector, image: &RgbImage, margin: f32) -> Result<Vec<Detection>, RunError> {
    let side = match kind {
        Detector::BlazeFace => 256,
        Detector::YuNet { side } => side,
    };
    let long = image.width().max(image.height()) as f32 * margin;
    let scale = side as f32 / long;
    let w = ((image.width() as f32 * scale).round() as u32).clamp(1, side);
    let h = ((image.height() as f32 * scale).round() as u32).clamp(1, side);
    let small = imaging::resize(image, w, h);
    let (x0, y0) = ((side - w) / 2, (side - h) / 2);
    let mut square = RgbImage::new(side, side);
    image::imageops::replace(&mut square, &small, i64::from(x0), i64::from(y0));
    let back = |p: [f32; 2]| [(p[0] - x0 as f32) / scale, (p[1] - y0 as f32) / scale];
    let found = match kind {
        Detector::BlazeFace => {
            let outputs = net.run(&[tensor(&square, &Scale::uniform(127.5, 1.0 / 127.5))])?;
            read_blazeface(&outputs)
        }
        Detector::YuNet { .. } => {
            let scale = Scale { bgr: true, mean: [0.0; 3], factor: [1.0; 3] };
            let outputs = net.run(&[tensor(&square, &scale)])?;
            read_yunet(&outputs, side)
        }
    };
    // Faces in the black around the picture are none.
    let inside = |d: &Detection| {
        let [cx, cy] = [(d.bbox[0] + d.bbox[2]) / 2.0, (d.bbox[1] + d.bbox[3]) / 2.0];
        (0.0..image.width() as f32).contains(&cx) && (0.0..image.height() as f32).contains(&cy)
    };
    Ok(found.into_iter().map(|d| d.map(back)).filter(inside).collect())
}

/// BlazeFace: scores as logits, boxes as centre offset and size, six points, in pixels of 256.
fn read_blazeface(outputs: &[Tensor]) -> Vec<Detection> {
    let of = |count: usize, width: usize| {
        outputs
            .iter()
            .find(|t| t.data.len() == count * width && t.shape.contains(&count))
            .map(|t| t.data.as_slice())
    };
    let mut found = Vec::new();
    for (cells, per_cell) in [(16_usize, 2_usize), (8, 6)] {
        let count = cells * cells * per_cell;
        let (Some(scores), Some(boxes)) = (of(count, 1), of(count, 16)) else { continue };
        for (index, (score, b)) in scores.iter().zip(boxes.chunks_exact(16)).enumerate() {
            let confidence = 1.0 / (1.0 + (-score.clamp(-80.0, 80.0)).exp());
            if confidence.is_nan() || confidence < FLOOR || b.iter().any(|v| !v.is_finite()) {
                continue;
            }
            let cell = index / per_cell;
            let step = 256.0 / cells as f32;
            let (ax, ay) = (((cell % cells) as f32 + 0.5) * step, ((cell / cells) as f32 + 0.5) * step);
            let (cx, cy, w, h) = (b[0] + ax, b[1] + ay, b[2], b[3]);
            found.push(Detection {
                bbox: [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0],
                confidence,
                eyes: [[b[4] + ax, b[5] + ay], [b[6] + ax, b[7] + ay]],
                quarter_turns: 0,
            });
        }
    }
    merge(found, 64)
}

/// YuNet: class and object scores, boxes and five points for strides 8, 16 and 32.
fn read_yunet(outputs: &[Tensor], side: u32) -> Vec<Detection> {
    let mut found = Vec::new();
    for stride in [8_u32, 16, 32] {
        let cells = (side / stride) as usize;
        let of = |width: usize| {
            outputs
                .iter()
                .filter(move |t| t.data.len() == cells * cells * width && t.shape.last() == Some(&width))
        };
        let scores: Vec<_> = of(1).collect();
        let (Some(boxes), Some(points), [class, object]) = (of(4).next(), of(10).next(), scores.as_slice())
        else {
            continue;
        };
        let s = stride as f32;
        for cell in 0..cells * cells {
            let get = |t: &Tensor, i: usize| t.data.get(i).copied().unwrap_or(f32::NAN);
            let confidence = (get(class, cell).clamp(0.0, 1.0) * get(object, cell).clamp(0.0, 1.0)).sqrt();
            let (col, row) = ((cell % cells) as f32, (cell / cells) as f32);
            let b: [f32; 4] = std::array::from_fn(|i| get(boxes, cell * 4 + i));
            let k: [f32; 4] = std::array::from_fn(|i| get(points, cell * 10 + i));
            if confidence.is_nan() || confidence < FLOOR || b.iter().chain(&k).any(|v| !v.is_finite()) {
                continue;
            }
            let (cx, cy, w, h) = ((col + b[0]) * s, (row + b[1]) * s, b[2].exp() * s, b[3].exp() * s);
            found.push(Detection {
                bbox: [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0],
                confidence,
                eyes: [[(col + k[0]) * s, (row + k[1]) * s], [(col + k[2]) * s, (row + k[3]) * s]],
                quarter_turns: 0,
            });
        }
    }
    merge(found, 64)
}

/// Keeps the most confident of overlapping boxes, placing it at their weighted mean.
fn merge(mut found: Vec<Detection>, limit: usize) -> Vec<Detection> {
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut kept: Vec<Detection> = Vec::new();
    while !found.is_empty() && kept.len() < limit {
        let lead = found.remove(0);
        let (mut bbox, mut eyes, mut weight) = ([0.0; 4], [[0.0; 2]; 2], 0.0);
        let mut group = vec![lead.clone()];
        found.retain(|d| {
            let same = lead.overlap(d) > SAME;
            if same && d.quarter_turns == lead.quarter_turns {
                group.push(d.clone());
            }
            !same
        });
        for d in &group {
            weight += d.confidence;
            for (sum, v) in bbox.iter_mut().zip(d.bbox) {
                *sum += v * d.confidence;
            }
            for (sum, v) in eyes.iter_mut().flatten().zip(d.eyes.iter().flatten()) {
                *sum += v * d.confidence;
            }
        }
        kept.push(Detection {
            bbox: bbox.map(|v| v / weight),
            eyes: eyes.map(|p| p.map(|v| v / weight)),
            ..lead
        });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turned_points_come_back_to_the_original_picture() {
        // Picture 40 wide, 30 high; the point (10, 5) after one clockwise turn lies at (30 - 5, 10).
        assert_eq!(unturn([25.0, 10.0], 1, 40.0, 30.0), [10.0, 5.0]);
        assert_eq!(unturn([30.0, 25.0], 2, 40.0, 30.0), [10.0, 5.0]);
        assert_eq!(unturn([5.0, 30.0], 3, 40.0, 30.0), [10.0, 5.0]);
    }

    #[test]
    fn overlapping_boxes_become_one_face() {
        let face = |x: f32, confidence| Detection {
            bbox: [x, 0.0, x + 10.0, 10.0],
            confidence,
            eyes: [[x + 3.0, 4.0], [x + 7.0, 4.0]],
            quarter_turns: 0,
        };
        let merged = merge(vec![face(0.0, 0.6), face(2.0, 0.9), face(50.0, 0.7)], 8);
        assert_eq!(merged.len(), 2);
        assert!((merged[0].bbox[0] - 1.2).abs() < 1e-5 && merged[0].confidence == 0.9);
    }

    #[test]
    fn yunet_outputs_are_read_at_every_stride() {
        let mut outputs = Vec::new();
        for stride in [8, 16, 32] {
            let n = 64 / stride;
            for width in [1, 1, 4, 10] {
                outputs.push(Tensor::new(vec![1, n * n, width], vec![0.0; n * n * width]));
            }
        }
        // One face in cell (1, 2) of stride 16 (outputs 4..8, 4×4 cells): width e^1·16, centre offset 0.5.
        let cell = 2 * 4 + 1;
        outputs[4].data[cell] = 0.81;
        outputs[5].data[cell] = 1.0;
        outputs[6].data[cell * 4..cell * 4 + 4].copy_from_slice(&[0.5, 0.5, 1.0, 1.0]);
        let found = read_yunet(&outputs, 64);
        assert_eq!(found.len(), 1);
        assert!((found[0].confidence - 0.9).abs() < 1e-6);
        assert!((found[0].bbox[0] - (24.0 - 8.0 * 1_f32.exp())).abs() < 1e-4);
    }

    #[test]
    fn a_detector_that_answers_not_a_number_finds_nothing() {
        let outputs = [
            Tensor::new(vec![512, 1], vec![f32::NAN; 512]),
            Tensor::new(vec![512, 16], vec![f32::NAN; 512 * 16]),
        ];
        assert!(read_blazeface(&outputs).is_empty());
    }
}
