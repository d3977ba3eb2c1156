//! Draws a head turned in space from one picture: the picture on a relief made of its own mesh.

use face::{Mesh, Pose};
use imaging::RgbImage;

/// A picture as a surface: a grid of points with their place in the picture and their depth.
pub(crate) struct Relief {
    texture: RgbImage,
    columns: usize,
    rows: usize,
    /// x, y in pixels, z in pixels (away from the camera positive).
    vertices: Vec<[f32; 3]>,
    /// How squarely each vertex faces the camera, 0 to 1.
    facing: Vec<f32>,
    centre: [f32; 2],
    size: f32,
}

const STEP: usize = 8;

impl Relief {
    /// The relief of a face, or the flat picture of it.
    pub(crate) fn new(texture: &RgbImage, mesh: &Mesh, flat: bool) -> Self {
        let bounds = mesh.bounds();
        let centre = [(bounds[0] + bounds[2]) / 2.0, (bounds[1] + bounds[3]) / 2.0];
        let size = bounds[2] - bounds[0];
        let columns = texture.width() as usize / STEP + 2;
        let rows = texture.height() as usize / STEP + 2;
        let mut vertices = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = ((column * STEP) as f32, (row * STEP) as f32);
                let z = if flat { 0.0 } else { depth(mesh, x, y, size) };
                vertices.push([x, y, z]);
            }
        }
        let mut relief =
            Self { texture: texture.clone(), columns, rows, vertices, facing: Vec::new(), centre, size };
        relief.facing = (0..rows * columns).map(|i| relief.squareness(i)).collect();
        relief
    }

    fn squareness(&self, index: usize) -> f32 {
        let (row, column) = (index / self.columns, index % self.columns);
        let z = |r: usize, c: usize| {
            self.vertices[r.min(self.rows - 1) * self.columns + c.min(self.columns - 1)][2]
        };
        let dx = (z(row, column + 1) - z(row, column.saturating_sub(1))) / (2.0 * STEP as f32);
        let dy = (z(row + 1, column) - z(row.saturating_sub(1), column)) / (2.0 * STEP as f32);
        1.0 / (1.0 + dx * dx + dy * dy).sqrt()
    }

    /// The head turned as `pose` says, lit by a screen of colour `light` (share of the room's light, a channel).
    pub(crate) fn draw(&self, pose: Pose, light: [f32; 3], noise: &mut Noise) -> RgbImage {
        let (w, h) = self.texture.dimensions();
        let ((sy, cy), (sp, cp)) = (pose.yaw.to_radians().sin_cos(), pose.pitch.to_radians().sin_cos());
        let distance = self.size * 5.0;
        // The head turns about a point behind the face.
        let pivot = self.size * 0.45;
        let placed: Vec<[f32; 3]> = self
            .vertices
            .iter()
            .map(|[x, y, z]| {
                let (x, y, z) = (x - self.centre[0], y - self.centre[1], z - pivot);
                // Yaw to the person's left moves the nose to the right of the picture.
                let (x, z) = (x * cy - z * sy, z * cy + x * sy);
                // Chin down moves the nose down.
                let (y, z) = (y * cp - z * sp, z * cp + y * sp);
                let z = z + pivot;
                let scale = distance / (distance + z);
                [self.centre[0] + x * scale, self.centre[1] + y * scale, z]
            })
            .collect();
        let mut out = RgbImage::new(w, h);
        let mut deep = vec![f32::MAX; (w * h) as usize];
        for row in 0..self.rows - 1 {
            for column in 0..self.columns - 1 {
                let i = row * self.columns + column;
                for corners in [[i, i + 1, i + self.columns], [i + 1, i + self.columns + 1, i + self.columns]]
                {
                    self.triangle(&placed, corners, light, &mut out, &mut deep);
                }
            }
        }
        // Holes at the border take their left neighbour.
        for y in 0..h {
            for x in 1..w {
                if deep[(y * w + x) as usize] == f32::MAX {
                    let left = *out.get_pixel(x - 1, y);
                    out.put_pixel(x, y, left);
                }
            }
        }
        let gain = 1.0 + 0.01 * noise.next();
        for v in out.iter_mut() {
            *v = (f32::from(*v) * gain + 2.2 * noise.next()).round().clamp(0.0, 255.0) as u8;
        }
        out
    }

    fn triangle(
        &self,
        placed: &[[f32; 3]],
        corners: [usize; 3],
        light: [f32; 3],
        out: &mut RgbImage,
        deep: &mut [f32],
    ) {
        let (w, h) = (out.width() as f32, out.height() as f32);
        let [a, b, c] = corners.map(|i| placed[i]);
        let area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]);
        if area.abs() < 1e-6 {
            return;
        }
        let low = |i: usize| a[i].min(b[i]).min(c[i]).floor().max(0.0);
        let high = |i: usize, size: f32| a[i].max(b[i]).max(c[i]).ceil().min(size - 1.0);
        let (x0, x1, y0, y1) = (low(0), high(0, w), low(1), high(1, h));
        let mut y = y0;
        while y <= y1 {
            let mut x = x0;
            while x <= x1 {
                let u = ((b[0] - x) * (c[1] - y) - (c[0] - x) * (b[1] - y)) / area;
                let v = ((c[0] - x) * (a[1] - y) - (a[0] - x) * (c[1] - y)) / area;
                let t = 1.0 - u - v;
                if u >= -1e-4 && v >= -1e-4 && t >= -1e-4 {
                    let z = u * a[2] + v * b[2] + t * c[2];
                    let place = (y as usize) * out.width() as usize + x as usize;
                    if z < deep[place] {
                        deep[place] = z;
                        let [p, q, r] = corners.map(|i| self.vertices[i]);
                        let source = [u * p[0] + v * q[0] + t * r[0], u * p[1] + v * q[1] + t * r[1]];
                        let [f, g, k] = corners.map(|i| self.facing[i]);
                        let square = u * f + v * g + t * k;
                        let mut pixel = self.sample(source);
                        for (value, l) in pixel.0.iter_mut().zip(light) {
                            *value = (f32::from(*value) * (1.0 + l * square)).clamp(0.0, 255.0) as u8;
                        }
                        out.put_pixel(x as u32, y as u32, pixel);
                    }
                }
                x += 1.0;
            }
            y += 1.0;
        }
    }

    fn sample(&self, [x, y]: [f32; 2]) -> image::Rgb<u8> {
        let (w, h) = self.texture.dimensions();
        let (x, y) = (x.clamp(0.0, w as f32 - 1.001), y.clamp(0.0, h as f32 - 1.001));
        let (x0, y0, fx, fy) = (x as u32, y as u32, x.fract(), y.fract());
        let p = |dx: u32, dy: u32| {
            self.texture.get_pixel((x0 + dx).min(w - 1), (y0 + dy).min(h - 1)).0.map(f32::from)
        };
        let (a, b, c, d) = (p(0, 0), p(1, 0), p(0, 1), p(1, 1));
        image::Rgb(std::array::from_fn(|i| {
            let top = a[i] + (b[i] - a[i]) * fx;
            let bottom = c[i] + (d[i] - c[i]) * fx;
            (top + (bottom - top) * fy) as u8
        }))
    }
}

/// Depth at a place: the mesh's own near it, falling away behind the face.
fn depth(mesh: &Mesh, x: f32, y: f32, size: f32) -> f32 {
    let (mut sum, mut weight, mut nearest) = (0.0, 0.0, f32::MAX);
    for p in &mesh.points {
        let d2 = (p[0] - x).powi(2) + (p[1] - y).powi(2);
        nearest = nearest.min(d2);
        let w = 1.0 / (d2 + 4.0).powi(2);
        sum += p[2] * w;
        weight += w;
    }
    let beyond = (nearest.sqrt() - 0.08 * size).max(0.0);
    sum / weight + (0.9 * beyond).min(0.6 * size)
}

/// Sensor noise: seeded, near enough to normal, unit variance.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> f32 {
        let mut sum = 0.0;
        for _ in 0..3 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            sum += (self.0 >> 40) as f32 / 16_777_216.0 - 0.5;
        }
        sum * 2.0
    }
}
