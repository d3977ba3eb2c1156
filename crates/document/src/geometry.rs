//! Plane geometry of text boxes and cards: hulls and smallest rectangles.
//!
//! Projections and warps are `imaging`'s. Coordinates are pixels, y down; quads run clockwise from the top-left corner.

use imaging::{Point, Quad};

/// Shorthand for a point.
pub(crate) fn point(x: f32, y: f32) -> Point {
    Point { x, y }
}

/// Distance between two points.
pub(crate) fn distance(a: Point, b: Point) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// Point a share `t` of the way from `a` to `b`.
pub(crate) fn between(a: Point, b: Point, t: f32) -> Point {
    point(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t)
}

/// Mean of the four corners.
pub(crate) fn centre(quad: &Quad) -> Point {
    let (x, y) = quad.iter().fold((0.0, 0.0), |(x, y), p| (x + p.x, y + p.y));
    point(x / 4.0, y / 4.0)
}

/// Mean length of the top and bottom sides.
pub(crate) fn width(quad: &Quad) -> f32 {
    f32::midpoint(distance(quad[0], quad[1]), distance(quad[3], quad[2]))
}

/// Mean length of the left and right sides.
pub(crate) fn height(quad: &Quad) -> f32 {
    f32::midpoint(distance(quad[0], quad[3]), distance(quad[1], quad[2]))
}

/// The same quad read the other way up.
pub(crate) fn upside_down(quad: &Quad) -> Quad {
    [quad[2], quad[3], quad[0], quad[1]]
}

/// Twice the signed area of the triangle `o a b`.
fn cross(o: Point, a: Point, b: Point) -> f32 {
    (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x)
}

/// Whether a text box lies within an outline, both clockwise; it may stand out by half its height.
pub(crate) fn within(text: &Quad, outline: &Quad) -> bool {
    let room = 0.5 * height(text);
    (0..4).all(|i| {
        let (a, b) = (outline[i], outline[(i + 1) % 4]);
        text.iter().all(|&p| cross(a, b, p) >= -room * distance(a, b))
    })
}

/// Convex hull (Andrew's monotone chain), without collinear points.
pub(crate) fn convex_hull(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    points.dedup_by(|a, b| a.x == b.x && a.y == b.y);
    if points.len() < 3 {
        return points;
    }
    let half = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for p in points {
            while let [.., a, b] = chain[..] {
                if cross(a, b, p) > 0.0 {
                    break;
                }
                chain.pop();
            }
            chain.push(p);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut points.iter().copied());
    hull.extend(half(&mut points.iter().rev().copied()));
    hull
}

/// Area of a simple polygon.
pub(crate) fn polygon_area(points: &[Point]) -> f32 {
    let mut sum = 0.0;
    for (i, a) in points.iter().enumerate() {
        let b = points[(i + 1) % points.len()];
        sum += a.x * b.y - b.x * a.y;
    }
    sum.abs() / 2.0
}

/// A rectangle of any direction: centre, unit direction of its long side, half extents along and across it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rectangle {
    pub(crate) centre: Point,
    pub(crate) direction: Point,
    pub(crate) half_long: f32,
    pub(crate) half_short: f32,
}

impl Rectangle {
    /// Corners, clockwise, the long side as the top; the direction points right (or down when upright).
    pub(crate) fn quad(&self) -> Quad {
        let mut u = self.direction;
        if u.x < -1e-3 || (u.x.abs() <= 1e-3 && u.y < 0.0) {
            u = point(-u.x, -u.y);
        }
        let v = point(-u.y, u.x);
        let at = |a: f32, b: f32| {
            point(
                self.centre.x + u.x * a * self.half_long + v.x * b * self.half_short,
                self.centre.y + u.y * a * self.half_long + v.y * b * self.half_short,
            )
        };
        [at(-1.0, -1.0), at(1.0, -1.0), at(1.0, 1.0), at(-1.0, 1.0)]
    }
}

/// Smallest rectangle around a convex hull: one side lies on a hull edge.
pub(crate) fn smallest_rectangle(hull: &[Point]) -> Option<Rectangle> {
    if hull.len() < 3 {
        return None;
    }
    let mut best: Option<(f32, Rectangle)> = None;
    for (i, &a) in hull.iter().enumerate() {
        let b = hull[(i + 1) % hull.len()];
        let length = distance(a, b);
        if length < 1e-6 {
            continue;
        }
        let u = point((b.x - a.x) / length, (b.y - a.y) / length);
        let (mut x0, mut x1, mut y0, mut y1) = (f32::MAX, f32::MIN, f32::MAX, f32::MIN);
        for p in hull {
            let x = p.x * u.x + p.y * u.y;
            let y = -p.x * u.y + p.y * u.x;
            (x0, x1, y0, y1) = (x0.min(x), x1.max(x), y0.min(y), y1.max(y));
        }
        let area = (x1 - x0) * (y1 - y0);
        if best.as_ref().is_none_or(|(least, _)| area < *least) {
            let (cx, cy) = (f32::midpoint(x0, x1), f32::midpoint(y0, y1));
            let centre = point(cx * u.x - cy * u.y, cx * u.y + cy * u.x);
            let (w, h) = ((x1 - x0) / 2.0, (y1 - y0) / 2.0);
            let rectangle = if w >= h {
                Rectangle { centre, direction: u, half_long: w, half_short: h }
            } else {
                Rectangle { centre, direction: point(-u.y, u.x), half_long: h, half_short: w }
            };
            best = Some((area, rectangle));
        }
    }
    best.map(|(_, rectangle)| rectangle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smallest_rectangle_of_a_turned_bar_has_its_sides_and_direction() {
        let (c, s) = (0.4f32.cos(), 0.4f32.sin());
        let corners: Vec<Point> = [(-50.0, -5.0), (50.0, -5.0), (50.0, 5.0), (-50.0, 5.0)]
            .iter()
            .map(|&(x, y): &(f32, f32)| point(100.0 + x * c - y * s, 80.0 + x * s + y * c))
            .collect();
        let rectangle = smallest_rectangle(&convex_hull(corners)).expect("four corners");
        assert!((rectangle.half_long - 50.0).abs() < 0.01 && (rectangle.half_short - 5.0).abs() < 0.01);
        let quad = rectangle.quad();
        assert!((width(&quad) - 100.0).abs() < 0.05 && (height(&quad) - 10.0).abs() < 0.05);
        assert!(quad[0].x < quad[1].x);
    }

    #[test]
    fn text_that_crosses_the_edge_of_an_outline_is_not_within() {
        let bar = |x0: f32, x1: f32, y0: f32, y1: f32| -> Quad {
            [point(x0, y0), point(x1, y0), point(x1, y1), point(x0, y1)]
        };
        let card = [point(10.0, 0.0), point(110.0, 10.0), point(100.0, 70.0), point(0.0, 60.0)];
        assert!(within(&bar(20.0, 80.0, 30.0, 40.0), &card));
        assert!(within(&bar(2.0, 80.0, 40.0, 50.0), &card));
        assert!(!within(&bar(-20.0, 80.0, 40.0, 50.0), &card));
        assert!(!within(&bar(20.0, 80.0, 75.0, 85.0), &card));
    }
}
