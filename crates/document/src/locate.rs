//! Finds the four corners of a card or page in a photo: by its edges, else with a small net.
//!
//! The picture's rim is taken for the background; pixels whose colour it does not explain are the document.
//! Their hull gives a first quad, whose sides are then drawn to the strongest edges near them. The measure
//! of trust is how much of the quad those pixels fill and how straight its sides stand on edges; a caller that
//! gets no quad reads the whole picture, which costs nothing but the card's coordinates.

use imaging::{Point, Quad, RgbImage};
use inference::{Net, RunError, Tensor};

use crate::geometry::{centre, convex_hull, distance, height, point, polygon_area, width};

/// Long side of the picture the search runs on.
const SEARCH_SIDE: u32 = 360;
/// Of the 60 points along a side, those that must lie on one straight edge.
const LEAST_HITS: usize = 24;
/// Least share of the picture a document must cover.
const LEAST_SHARE: f32 = 0.08;

/// A quad and what speaks for it.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    pub(crate) quad: Quad,
    /// All corners lie inside the picture.
    pub(crate) inside: bool,
}

/// Those of the outlines that are of one format and about one size, in reading order: two are the sides of one card
/// beside each other. Fewer than two are none.
pub(crate) fn cards(outlines: &[Option<Outline>]) -> Vec<Outline> {
    let mut cards: Vec<Outline> = outlines.iter().flatten().cloned().collect();
    let sides = |o: &Outline| {
        let (w, h) = (width(&o.quad), height(&o.quad));
        (w.max(h), w.min(h).max(1.0))
    };
    let Some((long, short)) = cards.first().map(sides) else { return cards };
    let near = |a: f32, b: f32, most: f32| a.max(b) / a.min(b).max(1e-3) < most;
    cards.retain(|card| {
        let (other_long, other_short) = sides(card);
        near(long, other_long, PAIR_SIZES) && near(long / short, other_long / other_short, PAIR_SHAPES)
    });
    if cards.len() < 2 {
        cards.clear();
    }
    cards.sort_by(|a, b| {
        let (a, b) = (centre(&a.quad), centre(&b.quad));
        // Beside each other they go from left to right, else from top to bottom.
        if (a.x - b.x).abs() > (a.y - b.y).abs() { a.x.total_cmp(&b.x) } else { a.y.total_cmp(&b.y) }
    });
    cards
}

/// Cards that are counted in one picture.
const MOST_CARDS: usize = 4;
/// Two sides of one card in one photo differ in size by their distance from the lens only.
const PAIR_SIZES: f32 = 1.35;
/// Their proportions differ by perspective only; ID-1 and ID-3 (ISO/IEC 7810) differ by 1.12.
const PAIR_SHAPES: f32 = 1.1;

/// The outlines of the largest things that lie apart on the background, the largest first, up to the first that could
/// be no card; `None` is a thing without straight edges. Corners run clockwise from the one nearest the picture's top
/// left.
pub(crate) fn outlines(image: &RgbImage) -> Vec<Option<Outline>> {
    let small = imaging::fit_within(image, SEARCH_SIDE);
    let (w, h) = (small.width() as usize, small.height() as usize);
    if w < 64 || h < 64 {
        return Vec::new();
    }
    let Some(foreground) = foreground(&small) else { return Vec::new() };
    let rough: Vec<Quad> = largest_components(&foreground, w, h, MOST_CARDS)
        .into_iter()
        .map_while(|component| rough_quad(component, w, h))
        .collect();
    if rough.is_empty() {
        return Vec::new();
    }
    let fine = imaging::grey(&imaging::fit_within(image, 1000));
    rough.into_iter().map(|quad| refined(&quad, image, &fine, w)).collect()
}

/// The corners of one component of the search picture, `w` × `h`, when it fills a quad of a card's size.
fn rough_quad((component, area): (Vec<Point>, usize), w: usize, h: usize) -> Option<Quad> {
    let hull = convex_hull(component);
    let rough = quad_of_hull(&hull)?;
    let quad_area = polygon_area(&rough);
    let share = quad_area / (w * h) as f32;
    ((LEAST_SHARE..0.97).contains(&share)
        && area as f32 / quad_area >= 0.86
        && polygon_area(&hull) / quad_area >= 0.9)
        .then_some(rough)
}

/// A quad of the search picture, `w` wide, drawn to the edges and brought to the picture's own pixels.
fn refined(rough: &Quad, image: &RgbImage, fine: &imaging::GrayImage, w: usize) -> Option<Outline> {
    let scale = image.width() as f32 / w as f32;
    let up = fine.width() as f32 / w as f32;
    let refined = refine(fine, &rough.map(|p| point(p.x * up, p.y * up)))?;
    let quad = order(refined.map(|p| point(p.x / up * scale, p.y / up * scale)));
    if !well_formed(&quad) {
        return None;
    }
    let margin = 0.002 * image.width().max(image.height()) as f32;
    let inside = quad.iter().all(|p| {
        p.x >= -margin
            && p.y >= -margin
            && p.x <= image.width() as f32 + margin
            && p.y <= image.height() as f32 + margin
    });
    Some(Outline { quad, inside })
}

/// Side of the corner net's input and of its maps.
const FRAME: usize = 256;
const MAP: usize = 64;
/// Long side of the picture within the input; the rest is grey.
const INNER: f32 = 208.0;
/// Least mass of the weakest corner's window (models/document-corners.toml).
const CORNER_CONFIDENCE: f32 = 0.35;
/// Least mass of the weakest corner's window from which one look is enough. Of 90 drawn photos (`bench poses`) one
/// look puts 61 cards' corners within a twenty-fifth of a side, four looks 77, four where one is less sure than this 76.
const CORNER_SURE: f32 = 0.9;

/// The corners by the net `document-corners`, for backgrounds on which [`outlines`] finds no quad.
pub(crate) fn outline_by_net(net: &dyn Net, image: &RgbImage) -> Result<Option<Outline>, RunError> {
    let (w, h) = (image.width().max(1) as f32, image.height().max(1) as f32);
    let scale = INNER / w.max(h);
    let (sw, sh) = (((w * scale).round() as u32).max(1), ((h * scale).round() as u32).max(1));
    let small = imaging::resize(image, sw, sh);
    let (left, top) = ((FRAME as u32 - sw) / 2, (FRAME as u32 - sh) / 2);
    let plane = FRAME * FRAME;
    let mut data = vec![128.0 / 127.5 - 1.0; 3 * plane];
    for (x, y, pixel) in small.enumerate_pixels() {
        let at = (y + top) as usize * FRAME + (x + left) as usize;
        for c in 0..3 {
            data[c * plane + at] = f32::from(pixel[c]) / 127.5 - 1.0;
        }
    }
    let Some(mut maps) = corner_maps(net, &data, 0)? else { return Ok(None) };
    let (mut found, mut least) = corners_of(&maps);
    if least < CORNER_SURE {
        // The net sees a turned card as another picture: what four looks agree on is right more often.
        for quarters in 1..4 {
            let Some(other) = corner_maps(net, &data, quarters)? else { return Ok(None) };
            maps.iter_mut().zip(&other).for_each(|(a, b)| *a += b);
        }
        maps.iter_mut().for_each(|p| *p /= 4.0);
        (found, least) = corners_of(&maps);
    }
    if least.is_nan() || least < CORNER_CONFIDENCE {
        return Ok(None);
    }
    let cell = FRAME as f32 / MAP as f32;
    let quad = found.map(|p| point((p.x * cell - left as f32) / scale, (p.y * cell - top as f32) / scale));
    let share = polygon_area(&quad) / (w * h);
    if !(LEAST_SHARE..0.97).contains(&share) || !well_formed(&quad) {
        return Ok(None);
    }
    let margin = 0.01 * w.max(h);
    let inside = quad.iter().all(|p| p.x > -margin && p.y > -margin && p.x < w + margin && p.y < h + margin);
    Ok(Some(Outline { quad: order(quad), inside }))
}

/// The net's maps of the four corners with the picture turned clockwise by quarters, turned back: what it says of the
/// corner that is first in the picture as it stands comes first.
fn corner_maps(net: &dyn Net, frame: &[f32], quarters: usize) -> Result<Option<Vec<f32>>, RunError> {
    let plane = FRAME * FRAME;
    let mut data = vec![0.0; 3 * plane];
    for y in 0..FRAME {
        for x in 0..FRAME {
            let (tx, ty) = turned(x, y, FRAME, quarters);
            for c in 0..3 {
                data[c * plane + ty * FRAME + tx] = frame[c * plane + y * FRAME + x];
            }
        }
    }
    let out = net.run(&[Tensor { shape: vec![1, 3, FRAME, FRAME], data }])?;
    let Some(seen) = out.into_iter().next().map(|t| t.data).filter(|d| d.len() >= 4 * MAP * MAP) else {
        return Ok(None);
    };
    let mut maps = vec![0.0; 4 * MAP * MAP];
    for corner in 0..4 {
        let from = (corner + quarters) % 4 * MAP * MAP;
        for y in 0..MAP {
            for x in 0..MAP {
                let (tx, ty) = turned(x, y, MAP, quarters);
                maps[corner * MAP * MAP + y * MAP + x] = seen[from + ty * MAP + tx];
            }
        }
    }
    Ok(Some(maps))
}

/// Where a cell of a square of `n` comes to lie when the square is turned clockwise by quarters.
fn turned(x: usize, y: usize, n: usize, quarters: usize) -> (usize, usize) {
    (0..quarters).fold((x, y), |(x, y), _| (n - 1 - y, x))
}

/// The corner each map points at, in cells, and the least mass that one of them has about it.
fn corners_of(maps: &[f32]) -> (Quad, f32) {
    let mut quad = [point(0.0, 0.0); 4];
    let mut least = f32::MAX;
    for (corner, map) in quad.iter_mut().zip(maps.chunks_exact(MAP * MAP)) {
        let peak = map.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
        let (px, py) = (peak % MAP, peak / MAP);
        let (mut mass, mut x, mut y) = (0.0, 0.0, 0.0);
        for cy in py.saturating_sub(2)..=(py + 2).min(MAP - 1) {
            for cx in px.saturating_sub(2)..=(px + 2).min(MAP - 1) {
                let p = map[cy * MAP + cx];
                mass += p;
                x += p * (cx as f32 + 0.5);
                y += p * (cy as f32 + 0.5);
            }
        }
        *corner = point(x / mass, y / mass);
        least = if mass < least || mass.is_nan() { mass } else { least };
    }
    (quad, least)
}

/// Which pixels the rim's colours do not explain.
fn foreground(small: &RgbImage) -> Option<Vec<bool>> {
    let (w, h) = (small.width() as usize, small.height() as usize);
    let features: Vec<[f32; 3]> = small
        .pixels()
        .map(|p| {
            let [r, g, b] = p.0.map(f32::from);
            // Opponent colours; brightness counts less, for shadows and vignettes.
            [0.5 * (0.299 * r + 0.587 * g + 0.114 * b), r - g, 0.5 * (r + g) - b]
        })
        .collect();
    let rim = (w.min(h) / 24).max(3);
    let on_rim = |i: usize| {
        let (x, y) = (i % w, i / w);
        x < rim || y < rim || x >= w - rim || y >= h - rim
    };
    let rim_pixels: Vec<[f32; 3]> = (0..w * h).filter(|&i| on_rim(i)).map(|i| features[i]).collect();
    let n = rim_pixels.len() as f32;
    let mut mean = [0.0; 3];
    for p in &rim_pixels {
        for c in 0..3 {
            mean[c] += p[c] / n;
        }
    }
    let mut cov = [[0.0f32; 3]; 3];
    for p in &rim_pixels {
        for a in 0..3 {
            for b in 0..3 {
                cov[a][b] += (p[a] - mean[a]) * (p[b] - mean[b]) / n;
            }
        }
    }
    for (c, row) in cov.iter_mut().enumerate() {
        row[c] += 12.0;
    }
    let inverse = invert(&cov)?;
    let mut distance: Vec<f32> = features
        .iter()
        .map(|p| {
            let d = [p[0] - mean[0], p[1] - mean[1], p[2] - mean[2]];
            let mut sum = 0.0;
            for a in 0..3 {
                for b in 0..3 {
                    sum += d[a] * inverse[a][b] * d[b];
                }
            }
            sum.max(0.0).sqrt().min(12.0)
        })
        .collect();
    blur(&mut distance, w, h, 2);
    let threshold = otsu(&distance, 12.0).max(1.6);
    let mut mask: Vec<bool> = distance.iter().map(|d| *d > threshold).collect();
    close(&mut mask, w, h, 4);
    Some(mask)
}

fn invert(m: &[[f32; 3]; 3]) -> Option<[[f32; 3]; 3]> {
    let cofactor = |r: usize, c: usize| {
        let (a, b) = ((r + 1) % 3, (r + 2) % 3);
        let (x, y) = ((c + 1) % 3, (c + 2) % 3);
        m[a][x] * m[b][y] - m[a][y] * m[b][x]
    };
    let determinant: f32 = (0..3).map(|c| m[0][c] * cofactor(0, c)).sum();
    if determinant.abs() < 1e-9 {
        return None;
    }
    let mut out = [[0.0; 3]; 3];
    for (r, row) in out.iter_mut().enumerate() {
        for (c, v) in row.iter_mut().enumerate() {
            *v = cofactor(c, r) / determinant;
        }
    }
    Some(out)
}

/// Box blur of radius `r`, rows then columns.
fn blur(map: &mut [f32], w: usize, h: usize, r: usize) {
    let mut line = Vec::new();
    let mut pass = |map: &mut [f32], start: usize, step: usize, n: usize| {
        line.clear();
        line.extend((0..n).map(|i| map[start + i * step]));
        for i in 0..n {
            let (a, b) = (i.saturating_sub(r), (i + r).min(n - 1));
            map[start + i * step] = line[a..=b].iter().sum::<f32>() / (b - a + 1) as f32;
        }
    };
    for y in 0..h {
        pass(map, y * w, 1, w);
    }
    for x in 0..w {
        pass(map, x, w, h);
    }
}

/// Otsu's threshold of values in `0..most`.
fn otsu(values: &[f32], most: f32) -> f32 {
    let mut histogram = [0u32; 128];
    for v in values {
        histogram[((v / most * 127.0) as usize).min(127)] += 1;
    }
    let total = values.len() as f32;
    let sum: f32 = histogram.iter().enumerate().map(|(i, n)| i as f32 * *n as f32).sum();
    let (mut best, mut at) = (0.0, 0);
    let (mut below, mut below_sum) = (0.0, 0.0);
    for (i, n) in histogram.iter().enumerate() {
        below += *n as f32;
        below_sum += i as f32 * *n as f32;
        if below == 0.0 || below == total {
            continue;
        }
        let gap = below_sum / below - (sum - below_sum) / (total - below);
        let between = below * (total - below) * gap * gap;
        if between > best {
            (best, at) = (between, i);
        }
    }
    (at as f32 + 1.0) / 127.0 * most
}

/// Grows then shrinks by `r`: closes thin gaps.
fn close(mask: &mut [bool], w: usize, h: usize, r: usize) {
    for grow in [true, false] {
        for (outer, inner, step, stride) in [(h, w, 1, w), (w, h, w, 1)] {
            for o in 0..outer {
                let line: Vec<bool> = (0..inner).map(|i| mask[o * stride + i * step]).collect();
                for i in 0..inner {
                    let mut window = line[i.saturating_sub(r)..(i + r + 1).min(inner)].iter();
                    mask[o * stride + i * step] = if grow { window.any(|v| *v) } else { window.all(|v| *v) };
                }
            }
        }
    }
}

/// Outline points and area of the `count` largest components, the largest first.
fn largest_components(mask: &[bool], w: usize, h: usize, count: usize) -> Vec<(Vec<Point>, usize)> {
    let mut seen = vec![false; w * h];
    let mut best: Vec<(Vec<Point>, usize)> = Vec::new();
    for start in 0..w * h {
        if seen[start] || !mask[start] {
            continue;
        }
        let mut stack = vec![start];
        seen[start] = true;
        let mut area = 0;
        let mut rows: std::collections::BTreeMap<usize, (usize, usize)> = std::collections::BTreeMap::new();
        while let Some(at) = stack.pop() {
            let (x, y) = (at % w, at / w);
            area += 1;
            let row = rows.entry(y).or_insert((x, x));
            *row = (row.0.min(x), row.1.max(x));
            let mut visit = |next: usize| {
                if !seen[next] && mask[next] {
                    seen[next] = true;
                    stack.push(next);
                }
            };
            if x > 0 {
                visit(at - 1);
            }
            if x + 1 < w {
                visit(at + 1);
            }
            if y > 0 {
                visit(at - w);
            }
            if y + 1 < h {
                visit(at + w);
            }
        }
        if best.len() < count || best.last().is_some_and(|(_, least)| area > *least) {
            // Holes (a dark portrait on a dark desk) belong to the document: rows count from end to end.
            let filled = rows.values().map(|(x0, x1)| x1 - x0 + 1).sum();
            let points = rows
                .into_iter()
                .flat_map(|(y, (x0, x1))| {
                    [point(x0 as f32, y as f32 + 0.5), point(x1 as f32 + 1.0, y as f32 + 0.5)]
                })
                .collect();
            best.push((points, filled));
            best.sort_by_key(|(_, filled)| std::cmp::Reverse(*filled));
            best.truncate(count);
        }
    }
    best
}

/// The largest quad with corners on the hull.
fn quad_of_hull(hull: &[Point]) -> Option<Quad> {
    if hull.len() < 4 {
        return None;
    }
    // Drop the hull point that costs least area until 20 are left: work stays bounded.
    let mut points = hull.to_vec();
    while points.len() > 20 {
        let n = points.len();
        let least = (0..n).min_by(|&a, &b| {
            let cut = |i: usize| polygon_area(&[points[(i + n - 1) % n], points[i], points[(i + 1) % n]]);
            cut(a).total_cmp(&cut(b))
        })?;
        points.remove(least);
    }
    let n = points.len();
    let mut best: Option<(f32, Quad)> = None;
    for a in 0..n {
        for b in a + 1..n {
            for c in b + 1..n {
                for d in c + 1..n {
                    let quad = [points[a], points[b], points[c], points[d]];
                    let area = polygon_area(&quad);
                    if best.as_ref().is_none_or(|(most, _)| area > *most) {
                        best = Some((area, quad));
                    }
                }
            }
        }
    }
    best.map(|(_, quad)| quad)
}

/// Draws each side to the strongest edges within reach and meets the sides again; `None` when no edges support them.
fn refine(grey: &imaging::GrayImage, rough: &Quad) -> Option<Quad> {
    let (w, h) = (grey.width() as f32, grey.height() as f32);
    let at = |p: Point| -> f32 {
        let (x, y) = (p.x.clamp(0.0, w - 1.0) as u32, p.y.clamp(0.0, h - 1.0) as u32);
        f32::from(grey.get_pixel(x, y)[0])
    };
    let mut lines = Vec::with_capacity(4);
    let mut unsupported = 0;
    for i in 0..4 {
        let (a, b) = (rough[i], rough[(i + 1) % 4]);
        let length = distance(a, b);
        if length < 20.0 {
            return None;
        }
        let u = point((b.x - a.x) / length, (b.y - a.y) / length);
        let n = point(-u.y, u.x);
        let reach = (length * 0.035).clamp(6.0, 24.0) as i32;
        let mut hits = Vec::new();
        // Corners are rounded: their tenth is left out.
        for k in 0..60 {
            let t = 0.1 + 0.8 * k as f32 / 59.0;
            let base = point(a.x + u.x * length * t, a.y + u.y * length * t);
            let best = (-reach..=reach)
                .map(|s| {
                    let step =
                        |d: f32| at(point(base.x + n.x * (s as f32 + d), base.y + n.y * (s as f32 + d)));
                    (
                        (step(1.5) - step(-1.5)).abs() + 0.5 * (step(3.0) - step(-3.0)).abs()
                            - 0.3 * (s as f32).abs(),
                        s,
                    )
                })
                .max_by(|x, y| x.0.total_cmp(&y.0));
            if let Some((strength, s)) = best
                && strength > 6.0
            {
                hits.push((t * length, s as f32));
            }
        }
        let line = fit_line(&hits);
        unsupported += usize::from(line.is_none());
        lines.push((a, u, n, line.unwrap_or((0.0, 0.0))));
    }
    // One side may run through a shadow or a hand; a shape without straight edges is no card.
    if unsupported > 1 {
        return None;
    }
    let mut corners = [point(0.0, 0.0); 4];
    for i in 0..4 {
        let (a1, u1, n1, (m1, c1)) = lines[(i + 3) % 4];
        let (a2, u2, n2, (m2, c2)) = lines[i];
        let p1 = point(a1.x + n1.x * c1, a1.y + n1.y * c1);
        let d1 = point(u1.x + n1.x * m1, u1.y + n1.y * m1);
        let p2 = point(a2.x + n2.x * c2, a2.y + n2.y * c2);
        let d2 = point(u2.x + n2.x * m2, u2.y + n2.y * m2);
        let cross = d1.x * d2.y - d1.y * d2.x;
        if cross.abs() < 0.2 {
            return None;
        }
        let t = ((p2.x - p1.x) * d2.y - (p2.y - p1.y) * d2.x) / cross;
        corners[i] = point(p1.x + d1.x * t, p1.y + d1.y * t);
    }
    Some(corners)
}

/// Offset along a side as a line `m·t + c`, by the pair of hits most others agree with; `None` when few do.
fn fit_line(hits: &[(f32, f32)]) -> Option<(f32, f32)> {
    let mut best = (0usize, 0.0, 0.0);
    for (i, a) in hits.iter().enumerate().step_by(2) {
        for b in hits.iter().skip(i + 8).step_by(3) {
            let m = (b.1 - a.1) / (b.0 - a.0).max(1.0);
            let c = a.1 - m * a.0;
            let agree = hits.iter().filter(|(t, s)| (m * t + c - s).abs() < 1.6).count();
            if agree > best.0 {
                best = (agree, m, c);
            }
        }
    }
    if best.0 < LEAST_HITS {
        return None;
    }
    // Least squares over those that agree.
    let inliers: Vec<&(f32, f32)> =
        hits.iter().filter(|(t, s)| (best.1 * t + best.2 - s).abs() < 1.6).collect();
    let n = inliers.len() as f32;
    let (mt, ms) = inliers.iter().fold((0.0, 0.0), |(a, b), (t, s)| (a + t / n, b + s / n));
    let (mut num, mut den) = (0.0, 1e-6);
    for (t, s) in inliers {
        num += (t - mt) * (s - ms);
        den += (t - mt) * (t - mt);
    }
    let m = num / den;
    Some((m, ms - m * mt))
}

/// Clockwise from the corner nearest the top-left.
fn order(quad: Quad) -> Quad {
    let mut q = quad;
    let signed: f32 = (0..4).map(|i| q[i].x * q[(i + 1) % 4].y - q[(i + 1) % 4].x * q[i].y).sum();
    if signed < 0.0 {
        q.reverse();
    }
    let first = (0..4).min_by(|&a, &b| (q[a].x + q[a].y).total_cmp(&(q[b].x + q[b].y))).unwrap_or(0);
    std::array::from_fn(|i| q[(first + i) % 4])
}

/// Convex, with corners of 60° to 120° and opposite sides no more than twice one another.
fn well_formed(q: &Quad) -> bool {
    let corner = |i: usize| {
        let (a, b, c) = (q[(i + 3) % 4], q[i], q[(i + 1) % 4]);
        let (u, v) = ((a.x - b.x, a.y - b.y), (c.x - b.x, c.y - b.y));
        (u.0 * v.0 + u.1 * v.1) / (u.0.hypot(u.1) * v.0.hypot(v.1)).max(1e-6)
    };
    let ratio = |a: f32, b: f32| a.max(b) / a.min(b).max(1e-3);
    (0..4).all(|i| corner(i).abs() < 0.5)
        && ratio(distance(q[0], q[1]), distance(q[3], q[2])) < 2.0
        && ratio(distance(q[0], q[3]), distance(q[1], q[2])) < 2.0
}

/// Width and height in pixels of the upright card of this quad: the nearest ID format, at the picture's own resolution.
pub(crate) fn upright_size(quad: &Quad) -> (u32, u32) {
    let (w, h) = (width(quad).max(1.0), height(quad).max(1.0));
    let long = w.max(h).clamp(320.0, 1600.0);
    // ID-1 (ISO/IEC 7810) 85.60 × 53.98; ID-2 105 × 74 and ID-3 125 × 88 share their ratio.
    let aspect = w.max(h) / w.min(h);
    let fixed = [1.586, 1.42].into_iter().find(|a: &f32| (aspect / a - 1.0).abs() < 0.13);
    let nearest = [1.586f32, 1.42]
        .into_iter()
        .min_by(|a, b| (aspect / a - 1.0).abs().total_cmp(&(aspect / b - 1.0).abs()));
    let ratio = if fixed.is_some() { nearest.unwrap_or(aspect) } else { aspect };
    let (long, short) = (long.round() as u32, (long / ratio).round() as u32);
    if w >= h { (long, short) } else { (short, long) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with the four bright pixels of its input, clockwise from the one nearest the top-left.
    struct Bright;

    impl Net for Bright {
        fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
            let red = &inputs[0].data[..FRAME * FRAME];
            let bright = (0..FRAME * FRAME).filter(|&i| red[i] > 0.5);
            let cell = FRAME / MAP;
            let found: Vec<Point> =
                bright.map(|i| point((i % FRAME / cell) as f32, (i / FRAME / cell) as f32)).collect();
            let hull = convex_hull(found);
            let quad = order([hull[0], hull[1], hull[2], hull[3]]);
            let mut data = vec![0.0; 4 * MAP * MAP];
            for (corner, p) in quad.iter().enumerate() {
                data[corner * MAP * MAP + p.y as usize * MAP + p.x as usize] = 1.0;
            }
            Ok(vec![Tensor { shape: vec![1, 4, MAP, MAP], data }])
        }

        fn runtime(&self) -> inference::Runtime {
            inference::Runtime::Rten
        }
    }

    #[test]
    fn maps_of_a_turned_picture_are_turned_back_to_the_same_corners() {
        let mut frame = vec![0.0; 3 * FRAME * FRAME];
        for (x, y) in [(40, 60), (220, 70), (200, 190), (50, 180)] {
            frame[y * FRAME + x] = 1.0;
        }
        let straight = corner_maps(&Bright, &frame, 0).expect("a net that runs").expect("maps");
        for quarters in 1..4 {
            let turned = corner_maps(&Bright, &frame, quarters).expect("a net that runs").expect("maps");
            assert!(corners_of(&turned) == corners_of(&straight), "{quarters} quarters");
        }
    }

    /// A textured desk with a light card turned by `angle`.
    fn desk(angle: f32) -> (RgbImage, Quad) {
        let (w, h) = (900, 700);
        let (c, s) = (angle.cos(), angle.sin());
        let turn = |x: f32, y: f32| point(450.0 + x * c - y * s, 350.0 + x * s + y * c);
        let quad = [turn(-280.0, -175.0), turn(280.0, -175.0), turn(280.0, 175.0), turn(-280.0, 175.0)];
        let image = RgbImage::from_fn(w, h, |x, y| {
            let (dx, dy) = (x as f32 + 0.5 - 450.0, y as f32 + 0.5 - 350.0);
            let (u, v) = (dx * c + dy * s, -dx * s + dy * c);
            let noise = ((x * 7919 + y * 104_729 + x * y * 31) % 23) as u8;
            let pixel = if u.abs() < 280.0 && v.abs() < 175.0 {
                [225, 220, 205 + noise / 3]
            } else {
                [90 + noise, 70 + noise, 50 + noise]
            };
            pixel.into()
        });
        (image, quad)
    }

    #[test]
    fn a_turned_card_is_found_to_within_two_pixels() {
        for angle in [0.0, 0.15, -0.3] {
            let (image, truth) = desk(angle);
            let outline = outlines(&image).remove(0).expect("a plain card");
            assert!(outline.inside);
            for corner in truth {
                let nearest = outline.quad.iter().map(|p| distance(*p, corner)).fold(f32::MAX, f32::min);
                assert!(nearest < 2.5, "{angle}: {nearest}");
            }
            assert_eq!(upright_size(&outline.quad).0.abs_diff(560) / 8, 0);
        }
    }

    #[test]
    fn cards_of_one_size_are_counted_in_reading_order_and_one_card_is_none() {
        let desk = |cards: &[[u32; 4]]| {
            RgbImage::from_fn(900, 700, |x, y| {
                let noise = ((x * 7919 + y * 104_729 + x * y * 31) % 23) as u8;
                let on = cards.iter().any(|[l, t, r, b]| (*l..*r).contains(&x) && (*t..*b).contains(&y));
                if on { [225, 220, 205 + noise / 3] } else { [90 + noise, 70 + noise, 50 + noise] }.into()
            })
        };
        let seen = |drawn: &[[u32; 4]]| cards(&outlines(&desk(drawn)));
        let pair = seen(&[[250, 380, 650, 632], [260, 60, 660, 312]]);
        let [upper, lower] = &pair[..] else { panic!("two cards: {pair:?}") };
        assert!(centre(&upper.quad).y < 200.0 && centre(&lower.quad).y > 480.0);
        assert!(seen(&[[250, 60, 650, 312]]).is_empty());
        // Another format beside the card is not its other side.
        assert!(seen(&[[250, 380, 650, 632], [260, 30, 560, 330]]).is_empty());
        let three = [[40, 40, 440, 292], [470, 60, 870, 312], [250, 380, 650, 632]];
        assert_eq!(seen(&three).len(), 3);
    }

    #[test]
    fn a_plain_surface_holds_no_document() {
        let image = RgbImage::from_pixel(640, 480, [120, 130, 140].into());
        assert!(outlines(&image).is_empty());
    }
}
