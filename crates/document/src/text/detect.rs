//! Finds the boxes of text lines with a differentiable-binarisation net (PP-OCR detection).
//!
//! The net gives one probability a pixel; regions above [`BINARY`] become their
//! smallest rectangles, grown by the unclip rule of the DB paper (Liao et al.
//! 2020, §3.4: distance = area × ratio ÷ perimeter).

use std::sync::Arc;

use imaging::{Quad, RgbImage};
use inference::{Net, RunError, Tensor};

use crate::geometry::{Rectangle, convex_hull, point, smallest_rectangle};

/// Probability from which a pixel belongs to text (the value the weights were published with).
const BINARY: f32 = 0.3;
/// Mean probability a region must reach.
const REGION: f32 = 0.5;
/// Growth of a region's rectangle.
const UNCLIP: f32 = 1.6;
/// Regions with a shorter side below this many map pixels are specks.
const LEAST_SIDE: f32 = 2.0;
/// No document carries more lines; keeps work bounded on noise.
const MOST_BOXES: usize = 400;

/// The net that finds text, and the name under which its work is counted.
pub(crate) struct Detector {
    pub(crate) net: Arc<dyn Net>,
    pub(crate) name: &'static str,
}

/// Text boxes of a picture, in its own pixels, long side along the text; unordered.
pub(crate) fn detect(detector: &Detector, image: &RgbImage, long_side: u32) -> Result<Vec<Quad>, RunError> {
    let (w, h) = (image.width().max(1), image.height().max(1));
    let scale = long_side as f32 / w.max(h) as f32;
    let fit = |side: u32| ((((side as f32 * scale) / 32.0).round() as u32).max(1)) * 32;
    let (tw, th) = (fit(w), fit(h));
    let small = imaging::resize(image, tw, th);
    let plane = (tw * th) as usize;
    crate::effort::count(detector.name, plane);
    let mut data = vec![0.0f32; 3 * plane];
    // BGR order and ImageNet statistics, as the weights were trained.
    const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
    const STD: [f32; 3] = [0.229, 0.224, 0.225];
    for (i, pixel) in small.pixels().enumerate() {
        for c in 0..3 {
            data[c * plane + i] = (f32::from(pixel[2 - c]) / 255.0 - MEAN[c]) / STD[c];
        }
    }
    let out = detector.net.run(&[Tensor { shape: vec![1, 3, th as usize, tw as usize], data }])?;
    let map = out.into_iter().next().map(|t| t.data).unwrap_or_default();
    let (sx, sy) = (w as f32 / tw as f32, h as f32 / th as f32);
    let mut boxes = boxes_of_map(&map, tw as usize, th as usize);
    for quad in &mut boxes {
        for p in quad.iter_mut() {
            *p = point((p.x * sx).clamp(0.0, w as f32), (p.y * sy).clamp(0.0, h as f32));
        }
    }
    Ok(boxes)
}

/// Rectangles of the regions of a probability map.
fn boxes_of_map(map: &[f32], width: usize, height: usize) -> Vec<Quad> {
    if map.len() < width * height {
        return Vec::new();
    }
    let mut seen = vec![false; width * height];
    let mut stack = Vec::new();
    let mut boxes = Vec::new();
    for start in 0..width * height {
        if seen[start] || map[start] <= BINARY {
            continue;
        }
        seen[start] = true;
        stack.push(start);
        let (mut sum, mut count) = (0.0f32, 0u32);
        // The leftmost and rightmost pixel of every row hold the hull.
        let mut rows: std::collections::BTreeMap<usize, (usize, usize)> = std::collections::BTreeMap::new();
        while let Some(at) = stack.pop() {
            let (x, y) = (at % width, at / width);
            sum += map[at];
            count += 1;
            let row = rows.entry(y).or_insert((x, x));
            *row = (row.0.min(x), row.1.max(x));
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let next = ny * width + nx;
                    if !seen[next] && map[next] > BINARY {
                        seen[next] = true;
                        stack.push(next);
                    }
                }
            }
        }
        if count < 6 || sum / (count as f32) < REGION {
            continue;
        }
        let outline = rows
            .iter()
            .flat_map(|(&y, &(x0, x1))| {
                let (y, x0, x1) = (y as f32, x0 as f32, x1 as f32 + 1.0);
                [point(x0, y), point(x0, y + 1.0), point(x1, y), point(x1, y + 1.0)]
            })
            .collect();
        let Some(rectangle) = smallest_rectangle(&convex_hull(outline)) else { continue };
        if rectangle.half_short * 2.0 < LEAST_SIDE {
            continue;
        }
        boxes.push(unclip(&rectangle).quad());
        if boxes.len() == MOST_BOXES {
            break;
        }
    }
    boxes
}

fn unclip(r: &Rectangle) -> Rectangle {
    let grow = (r.half_long * r.half_short) * UNCLIP / (r.half_long + r.half_short);
    Rectangle { half_long: r.half_long + grow, half_short: r.half_short + grow, ..*r }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{height, width};

    #[test]
    fn a_bar_in_the_map_becomes_one_grown_box() {
        let (w, h) = (64, 32);
        let mut map = vec![0.0; w * h];
        for y in 10..16 {
            for x in 8..48 {
                map[y * w + x] = 0.9;
            }
        }
        let boxes = boxes_of_map(&map, w, h);
        assert_eq!(boxes.len(), 1);
        // 40 × 6 grown by 240·1.6/92 = 4.17 on every side.
        assert!((width(&boxes[0]) - 48.3).abs() < 0.2 && (height(&boxes[0]) - 14.3).abs() < 0.2);
    }

    #[test]
    fn faint_regions_and_specks_are_not_text() {
        let (w, h) = (64, 32);
        let mut map = vec![0.0; w * h];
        for x in 8..48 {
            for y in 10..16 {
                map[y * w + x] = 0.35;
            }
        }
        map[0] = 0.99;
        assert!(boxes_of_map(&map, w, h).is_empty());
        assert!(boxes_of_map(&[], w, h).is_empty());
    }
}
