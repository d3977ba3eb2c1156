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
    let row_of =
        |y: usize| picture.pixels.get(y * picture.width..(y + 1) * picture.width).unwrap_or_default();
    let last = picture.width.saturating_sub(1);
    for y in 1..picture.height.saturating_sub(1) {
        let row = y / BLOCK;
        let Some(cells) = cells.get_mut(row * columns..(row + 1) * columns) else { break };
        let (above, here, below) = (row_of(y - 1), row_of(y), row_of(y + 1));
        for (column, cell) in cells.iter_mut().enumerate() {
            let (from, to) = ((column * BLOCK).max(1), (column * BLOCK + BLOCK).min(last));
            let (Some(a), Some(h), Some(b)) =
                (above.get(from - 1..to + 1), here.get(from - 1..to + 1), below.get(from - 1..to + 1))
            else {
                continue;
            };
            let (xx, yy, xy) = match (a.first_chunk(), h.first_chunk(), b.first_chunk()) {
                (Some(a), Some(h), Some(b)) => products::<BLOCK, { BLOCK + 2 }>(a, h, b),
                // The first and the last column lack a neighbour.
                _ => (0..to - from).fold((0, 0, 0), |sum, i| {
                    let three = |row: &[u8]| row.get(i..i + 3).and_then(|p| p.first_chunk().copied());
                    let (Some(a), Some(h), Some(b)) = (three(a), three(h), three(b)) else { return sum };
                    let (xx, yy, xy) = products::<1, 3>(&a, &h, &b);
                    (sum.0 + xx, sum.1 + yy, sum.2 + xy)
                }),
            };
            cell.0 += (xx - yy) as f32;
            cell.1 += (2 * xy) as f32;
            cell.2 += (xx + yy) as f32;
        }
    }
    Blocks { columns, rows, cells }
}

/// Sums of gx², gy² and gx·gy (Sobel) over `N` pixels of a row, from the three rows around them. Sixteen bits hold a
/// gradient, and of a fixed number of them the compiler makes vectors.
fn products<const N: usize, const M: usize>(
    above: &[u8; M],
    here: &[u8; M],
    below: &[u8; M],
) -> (i32, i32, i32) {
    let (mut gx, mut gy) = ([0_i16; N], [0_i16; N]);
    let rows = above.windows(3).zip(here.windows(3)).zip(below.windows(3));
    for ((gx, gy), ((a, h), b)) in gx.iter_mut().zip(&mut gy).zip(rows) {
        let ([a0, a1, a2], [h0, _, h2], [b0, b1, b2]) = (a, h, b) else { continue };
        let of = |p: &u8| i16::from(*p);
        *gx = of(a2) + 2 * of(h2) + of(b2) - of(a0) - 2 * of(h0) - of(b0);
        *gy = of(b0) + 2 * of(b1) + of(b2) - of(a0) - 2 * of(a1) - of(a2);
    }
    let dot =
        |a: &[i16; N], b: &[i16; N]| a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>();
    (dot(&gx, &gx), dot(&gy, &gy), dot(&gx, &gy))
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

/// What a picture may hold.
pub(crate) struct Found {
    /// Regions that look like bars, the strongest first.
    pub(crate) bars: Vec<Region>,
    /// Upright boxes that look like matrix codes (left, top, right, bottom), the strongest first.
    pub(crate) matrices: Vec<[usize; 4]>,
}

/// Finds at most `most` regions of each sort. Only those whose greys change along a line as the modules of a symbol
/// do are given: what looks alike to the gradients alone (printed text, guilloches) would cost many attempts.
pub(crate) fn find(picture: &Gray, most: usize) -> Found {
    let blocks = blocks(picture);
    let smooth = pooled(&blocks, 2);
    let mut bars = bars(picture, &blocks, &smooth, most);
    bars.retain(|region| {
        let [a, b, _, d] = region.quad;
        let side = |p: Corner, q: Corner| (p.x - q.x).hypot(p.y - q.y);
        Square::onto(&region.quad).is_some_and(|map| {
            let across = lines(picture, side(a, b), &|along, line| map.apply(along, 0.1 + 0.8 * line));
            let down = lines(picture, side(a, d), &|along, line| map.apply(0.1 + 0.8 * line, along));
            across.changes >= BAR_CHANGES
                && across.empty <= EMPTY_LINES
                && down.steps <= BAR_STEPS * across.steps
        })
    });
    Found { bars, matrices: matrices(picture, &blocks, &smooth, most) }
}

/// Bars change grey at least so often along the middle lines of their region. A PDF417 of one column has 42 changes, the
/// shortest useful linear codes about 30; a fifth may blur away. Licence photos had 36 or more, text mostly 16 to 22.
const BAR_CHANGES: f32 = 24.0;
/// Share of lines with next to no change that a symbol may show (its ends). All 36 licence photos had none.
const EMPTY_LINES: f32 = 0.1;
/// Steps down the bars in relation to steps along the rows; all 36 had at most 0.47 by energy.
const BAR_STEPS: f32 = 0.85;
/// A matrix code of ten modules, the smallest, changes so often in random data.
const MATRIX_CHANGES: f32 = 4.0;
/// Modules are square: greys change about as often a pixel down as across. 96 drawn codes, turned, slanted or shrunk, stay
/// at or above 0.78 (test in `read`); of 51 boxes of print and portraits on 32 pictures of documents 17 lie below 0.6.
const SQUARE: f32 = 0.6;

/// How greys change along the parallel lines of a region.
struct Lines {
    /// Changes between darker and lighter than the line's middle grey, mean over the lines.
    changes: f32,
    /// Share of lines with fewer than a quarter of the mean's changes.
    empty: f32,
    /// Mean absolute step from sample to sample, the samples a pixel apart.
    steps: f32,
}

fn lines(picture: &Gray, length: f32, place: &dyn Fn(f32, f32) -> (f32, f32)) -> Lines {
    const COUNT: usize = 24;
    let samples = length.clamp(8.0, 1000.0) as usize;
    let mut counts = Vec::with_capacity(COUNT);
    let mut steps = 0.0;
    for line in 0..COUNT {
        let values: Vec<f32> = (0..samples)
            .map(|i| {
                let (x, y) = place((i as f32 + 0.5) / samples as f32, (line as f32 + 0.5) / COUNT as f32);
                picture.bilinear(x - 0.5, y - 0.5)
            })
            .collect();
        let middle = values.iter().sum::<f32>() / samples as f32;
        steps += values.windows(2).map(|w| if let [a, b] = w { (a - b).abs() } else { 0.0 }).sum::<f32>()
            / samples as f32;
        counts.push(
            values.windows(2).filter(|w| matches!(w, [a, b] if (*a < middle) != (*b < middle))).count()
                as f32,
        );
    }
    let changes = counts.iter().sum::<f32>() / COUNT as f32;
    let empty = counts.iter().filter(|c| **c < changes / 4.0).count() as f32 / COUNT as f32;
    Lines { changes, empty, steps: steps / COUNT as f32 }
}

/// Boxes of dense structure that points both ways: about square, filled, with changes along every line.
fn matrices(picture: &Gray, blocks: &Blocks, smooth: &[(f32, f32, f32)], most: usize) -> Vec<[usize; 4]> {
    let mut energies: Vec<f32> = smooth.iter().map(|cell| cell.2).collect();
    energies.sort_by(f32::total_cmp);
    let strongest =
        energies.get(energies.len().saturating_sub(1 + energies.len() / 200)).copied().unwrap_or(0.0);
    let floor = (strongest / 4.0).max(1.0);
    let active: Vec<bool> = smooth.iter().map(|cell| cell.2 > floor).collect();
    let mut found: Vec<(f32, [usize; 4])> = Vec::new();
    for members in joined(blocks, &active, &|_, _| true) {
        let (mut left, mut top, mut right, mut bottom, mut energy) = (usize::MAX, usize::MAX, 0, 0, 0.0);
        for member in &members {
            let (column, row) = (member % blocks.columns, member / blocks.columns);
            (left, top) = (left.min(column), top.min(row));
            (right, bottom) = (right.max(column + 1), bottom.max(row + 1));
            energy += smooth.get(*member).map_or(0.0, |c| c.2);
        }
        let (columns, rows) = (right - left, bottom - top);
        // Turned by 45 degrees a square fills half of its box.
        if members.len() * 100 < columns * rows * 45 || columns > 2 * rows || rows > 2 * columns {
            continue;
        }
        let (w, h) = ((columns * BLOCK) as f32, (rows * BLOCK) as f32);
        let at = |u: f32, v: f32| ((left * BLOCK) as f32 + u * w, (top * BLOCK) as f32 + v * h);
        let across = lines(picture, w, &|along, line| at(along, 0.2 + 0.6 * line));
        let down = lines(picture, h, &|along, line| at(0.2 + 0.6 * line, along));
        let (per_column, per_row) = (across.changes / w, down.changes / h);
        if across.changes.min(down.changes) >= MATRIX_CHANGES
            && across.empty.max(down.empty) <= EMPTY_LINES
            && per_column.min(per_row) >= SQUARE * per_column.max(per_row)
        {
            found.push((energy, [left * BLOCK, top * BLOCK, right * BLOCK, bottom * BLOCK]));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().take(most).map(|(_, area)| area).collect()
}

/// Groups of active cells that touch and agree, of at least [`SMALLEST`] cells.
fn joined(blocks: &Blocks, active: &[bool], agree: &dyn Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
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
            for (dc, dr) in [(-1_i64, 0_i64), (1, 0), (0, -1), (0, 1)] {
                let (c, r) = (column as i64 + dc, row as i64 + dr);
                if c < 0 || r < 0 || c >= blocks.columns as i64 || r >= blocks.rows as i64 {
                    continue;
                }
                let next = r as usize * blocks.columns + c as usize;
                if active.get(next) == Some(&true) && seen.get(next) == Some(&false) && agree(cell, next) {
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
    found
}

fn bars(picture: &Gray, blocks: &Blocks, smooth: &[(f32, f32, f32)], most: usize) -> Vec<Region> {
    let mut energies: Vec<f32> = smooth.iter().map(|cell| cell.2).collect();
    energies.sort_by(f32::total_cmp);
    let strongest =
        energies.get(energies.len().saturating_sub(1 + energies.len() / 200)).copied().unwrap_or(0.0);
    // Bars have high contrast: an eighth of the strongest structure's energy is the floor.
    let floor = (strongest / 8.0).max(1.0);
    let active: Vec<bool> =
        smooth.iter().map(|cell| cell.2 > floor && cell.0.hypot(cell.1) / cell.2 > COHERENCE).collect();
    let found = joined(blocks, &active, &|cell, next| {
        let here = smooth.get(cell).copied().unwrap_or_default();
        let there = smooth.get(next).copied().unwrap_or_default();
        let agreement =
            (here.0 * there.0 + here.1 * there.1) / (here.0.hypot(here.1) * there.0.hypot(there.1)).max(1e-6);
        agreement > 0.8
    });
    let energy =
        |members: &Vec<usize>| members.iter().filter_map(|m| blocks.cells.get(*m)).map(|c| c.2).sum::<f32>();
    let mut found: Vec<(f32, Vec<usize>)> = found.into_iter().map(|m| (energy(&m), m)).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.iter().take(most).filter_map(|(_, members)| region(picture, blocks, members)).collect()
}

fn region(picture: &Gray, blocks: &Blocks, members: &[usize]) -> Option<Region> {
    let (mut c2, mut s2) = (0.0, 0.0);
    for member in members {
        let cell = blocks.cells.get(*member)?;
        c2 += cell.0;
        s2 += cell.1;
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
    Some(Region { quad: tightened(picture, &rough, width, height).unwrap_or(rough) })
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
