//! Finds where stacked and linear barcodes lie by the structure of their gradients.
//!
//! Bars are many parallel edges: in a block of pixels the gradient is strong and points one way. Blocks that agree
//! with their neighbours form a region; its dominant direction tells the tilt, and four lines along its borders tell
//! the perspective. Nothing here knows a symbology.

use crate::pixels::{Corner, Gray, Square};

/// A region that looks like bars.
#[derive(Debug, Clone)]
pub(crate) struct Region {
    /// Clockwise from the corner that is top left once the bars stand upright.
    pub(crate) quad: [Corner; 4],
    /// Sum of gradient energy: how much of the picture's structure it holds.
    energy: f32,
}

/// Side of a block in pixels.
const BLOCK: usize = 8;
/// Blocks whose gradients agree less than this (0 none to 1 all parallel) hold no bars.
const COHERENCE: f32 = 0.35;
/// A region has at least this many blocks.
const SMALLEST: usize = 24;

struct Blocks {
    columns: usize,
    rows: usize,
    /// Double-angle gradient direction (cos 2θ, sin 2θ) weighted by energy, and the energy.
    cells: Vec<(f32, f32, f32)>,
}

fn blocks(picture: &Gray) -> Blocks {
    let (columns, rows) = (picture.width / BLOCK, picture.height / BLOCK);
    let mut cells = vec![(0.0, 0.0, 0.0); columns * rows];
    for y in 1..picture.height.saturating_sub(1) {
        for x in 1..picture.width.saturating_sub(1) {
            let p = |dx: usize, dy: usize| {
                picture.pixels.get((y + dy - 1) * picture.width + x + dx - 1).map_or(0.0, |v| f32::from(*v))
            };
            let gx = p(2, 0) + 2.0 * p(2, 1) + p(2, 2) - p(0, 0) - 2.0 * p(0, 1) - p(0, 2);
            let gy = p(0, 2) + 2.0 * p(1, 2) + p(2, 2) - p(0, 0) - 2.0 * p(1, 0) - p(2, 0);
            let (column, row) = (x / BLOCK, y / BLOCK);
            if column >= columns {
                continue;
            }
            if let Some(cell) = cells.get_mut(row * columns + column) {
                cell.0 += gx * gx - gy * gy;
                cell.1 += 2.0 * gx * gy;
                cell.2 += gx * gx + gy * gy;
            }
        }
    }
    Blocks { columns, rows, cells }
}

/// Sums each cell with its neighbours within `reach`.
fn pooled(blocks: &Blocks, reach: usize) -> Vec<(f32, f32, f32)> {
    let mut out = Vec::with_capacity(blocks.cells.len());
    for row in 0..blocks.rows {
        for column in 0..blocks.columns {
            let mut sum = (0.0, 0.0, 0.0);
            for r in row.saturating_sub(reach)..(row + reach + 1).min(blocks.rows) {
                for c in column.saturating_sub(reach)..(column + reach + 1).min(blocks.columns) {
                    if let Some(cell) = blocks.cells.get(r * blocks.columns + c) {
                        sum.0 += cell.0;
                        sum.1 += cell.1;
                        sum.2 += cell.2;
                    }
                }
            }
            out.push(sum);
        }
    }
    out
}

/// The regions that look like bars, the strongest first, at most `most`.
pub(crate) fn regions(picture: &Gray, most: usize) -> Vec<Region> {
    let blocks = blocks(picture);
    let smooth = pooled(&blocks, 2);
    let mut energies: Vec<f32> = smooth.iter().map(|cell| cell.2).collect();
    energies.sort_by(f32::total_cmp);
    let strongest =
        energies.get(energies.len().saturating_sub(1 + energies.len() / 200)).copied().unwrap_or(0.0);
    // Bars have high contrast: an eighth of the strongest structure's energy is the floor.
    let floor = (strongest / 8.0).max(1.0);
    let active: Vec<bool> =
        smooth.iter().map(|cell| cell.2 > floor && cell.0.hypot(cell.1) / cell.2 > COHERENCE).collect();
    let mut seen = vec![false; active.len()];
    let mut found = Vec::new();
    for start in 0..active.len() {
        if seen.get(start) != Some(&false) || active.get(start) != Some(&true) {
            continue;
        }
        let mut members = Vec::new();
        let mut queue = vec![start];
        if let Some(mark) = seen.get_mut(start) {
            *mark = true;
        }
        while let Some(cell) = queue.pop() {
            members.push(cell);
            let (column, row) = (cell % blocks.columns, cell / blocks.columns);
            let here = smooth.get(cell).copied().unwrap_or_default();
            for (dc, dr) in [(-1_i64, 0_i64), (1, 0), (0, -1), (0, 1)] {
                let (c, r) = (column as i64 + dc, row as i64 + dr);
                if c < 0 || r < 0 || c >= blocks.columns as i64 || r >= blocks.rows as i64 {
                    continue;
                }
                let next = r as usize * blocks.columns + c as usize;
                let there = smooth.get(next).copied().unwrap_or_default();
                let agreement = (here.0 * there.0 + here.1 * there.1)
                    / (here.0.hypot(here.1) * there.0.hypot(there.1)).max(1e-6);
                if active.get(next) == Some(&true) && seen.get(next) == Some(&false) && agreement > 0.8 {
                    if let Some(mark) = seen.get_mut(next) {
                        *mark = true;
                    }
                    queue.push(next);
                }
            }
        }
        if members.len() >= SMALLEST {
            found.push(members);
        }
    }
    let mut regions: Vec<Region> =
        found.iter().filter_map(|members| region(picture, &blocks, members)).collect();
    regions.sort_by(|a, b| b.energy.total_cmp(&a.energy));
    regions.truncate(most);
    regions
}

fn region(picture: &Gray, blocks: &Blocks, members: &[usize]) -> Option<Region> {
    let (mut c2, mut s2, mut energy) = (0.0, 0.0, 0.0);
    for member in members {
        let cell = blocks.cells.get(*member)?;
        c2 += cell.0;
        s2 += cell.1;
        energy += cell.2;
    }
    // Gradients point across the bars, that is along the rows of the symbol.
    let along = s2.atan2(c2) / 2.0;
    let (sin, cos) = along.sin_cos();
    let (mut u, mut v) = ((f32::MAX, f32::MIN), (f32::MAX, f32::MIN));
    for member in members {
        let (column, row) = (member % blocks.columns, member / blocks.columns);
        let (x, y) = ((column as f32 + 0.5) * BLOCK as f32, (row as f32 + 0.5) * BLOCK as f32);
        let (a, b) = (x * cos + y * sin, y * cos - x * sin);
        u = (u.0.min(a), u.1.max(a));
        v = (v.0.min(b), v.1.max(b));
    }
    let margin = 3.0 * BLOCK as f32;
    let point = |a: f32, b: f32| Corner { x: a * cos - b * sin, y: a * sin + b * cos };
    let rough = [
        point(u.0 - margin, v.0 - margin),
        point(u.1 + margin, v.0 - margin),
        point(u.1 + margin, v.1 + margin),
        point(u.0 - margin, v.1 + margin),
    ];
    let (width, height) = (u.1 - u.0 + 2.0 * margin, v.1 - v.0 + 2.0 * margin);
    if width < 48.0 || height < 16.0 || width * height > 4.0 * (picture.width * picture.height) as f32 {
        return None;
    }
    Some(Region { quad: tightened(picture, &rough, width, height).unwrap_or(rough), energy })
}

/// Fits a line to each border of the bars within a rough box, and gives the quad where the lines meet.
fn tightened(picture: &Gray, rough: &[Corner; 4], width: f32, height: f32) -> Option<[Corner; 4]> {
    let map = Square::onto(rough)?;
    let (w, h) = (width.round().clamp(16.0, 4000.0) as usize, height.round().clamp(16.0, 4000.0) as usize);
    let patch = picture.drawn(w, h, |x, y| map.apply(x / w as f32, y / h as f32));
    // Where bars are: the mean absolute step along a row, over a window of some modules.
    const CELL: usize = 4;
    let (columns, rows) = (w / CELL, h / CELL);
    let mut energy = vec![0.0_f32; columns * rows];
    for y in 0..rows * CELL {
        for x in 1..columns * CELL {
            let step = (patch.at(x as i64, y as i64) - patch.at(x as i64 - 1, y as i64)).abs();
            if let Some(cell) = energy.get_mut(y / CELL * columns + x / CELL) {
                *cell += step;
            }
        }
    }
    let smooth = |column: usize, row: usize| {
        let mut sum = 0.0;
        for c in column.saturating_sub(2)..(column + 3).min(columns) {
            sum += energy.get(row * columns + c).copied().unwrap_or(0.0);
        }
        sum
    };
    let mut middle: Vec<f32> = Vec::new();
    for row in rows / 4..rows - rows / 4 {
        for column in columns / 4..columns - columns / 4 {
            middle.push(smooth(column, row));
        }
    }
    middle.sort_by(f32::total_cmp);
    let level = middle.get(middle.len() / 2).copied()? * 0.4;
    let is_bar = |column: usize, row: usize| smooth(column, row) > level;
    let (mut top, mut bottom, mut left, mut right) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for column in 2..columns.saturating_sub(2) {
        // From the middle outwards: the border is where three cells in a row hold no bars.
        let run = |order: &mut dyn Iterator<Item = usize>| {
            let (mut last, mut misses) = (None, 0);
            for row in order {
                if is_bar(column, row) {
                    last = Some(row);
                    misses = 0;
                } else {
                    misses += 1;
                    if misses > 3 && last.is_some() {
                        break;
                    }
                }
            }
            last
        };
        if let Some(row) = run(&mut (0..=rows / 2).rev()) {
            top.push((column as f32 + 0.5, row as f32));
        }
        if let Some(row) = run(&mut (rows / 2..rows)) {
            bottom.push((column as f32 + 0.5, row as f32 + 1.0));
        }
    }
    for row in 1..rows.saturating_sub(1) {
        let run = |order: &mut dyn Iterator<Item = usize>| {
            let (mut last, mut misses) = (None, 0);
            for column in order {
                if is_bar(column, row) {
                    last = Some(column);
                    misses = 0;
                } else {
                    misses += 1;
                    if misses > 6 && last.is_some() {
                        break;
                    }
                }
            }
            last
        };
        if let Some(column) = run(&mut (0..=columns / 2).rev()) {
            left.push((row as f32 + 0.5, column as f32));
        }
        if let Some(column) = run(&mut (columns / 2..columns)) {
            right.push((row as f32 + 0.5, column as f32 + 1.0));
        }
    }
    let (top, bottom, left, right) = (line(&top)?, line(&bottom)?, line(&left)?, line(&right)?);
    // y = a + b·x meets x = c + d·y.
    let meet = |flat: (f32, f32), steep: (f32, f32)| {
        let x = (steep.0 + steep.1 * flat.0) / (1.0 - steep.1 * flat.1);
        (x, flat.0 + flat.1 * x)
    };
    let back = |(x, y): (f32, f32)| {
        let (x, y) = map.apply(x * CELL as f32 / w as f32, y * CELL as f32 / h as f32);
        Corner { x, y }
    };
    let quad = [meet(top, left), meet(top, right), meet(bottom, right), meet(bottom, left)];
    if quad.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
        return None;
    }
    Some(quad.map(back))
}

/// The line value = a + b × place that most points lie near (Theil–Sen: the median of slopes).
fn line(points: &[(f32, f32)]) -> Option<(f32, f32)> {
    if points.len() < 4 {
        return None;
    }
    let step = points.len().div_ceil(160);
    let points: Vec<(f32, f32)> = points.iter().copied().step_by(step).collect();
    let mut slopes = Vec::new();
    for (i, a) in points.iter().enumerate() {
        for b in points.iter().skip(i + points.len() / 4) {
            if b.0 > a.0 {
                slopes.push((b.1 - a.1) / (b.0 - a.0));
            }
        }
    }
    let slope = median(&mut slopes)?;
    let mut offsets: Vec<f32> = points.iter().map(|p| p.1 - slope * p.0).collect();
    Some((median(&mut offsets)?, slope))
}

fn median(values: &mut [f32]) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}
