//! Pictures of a document as a phone takes them, honest or not.
//!
//! The surroundings, the light and the lens are simulated on floating-point
//! pixels; what comes out is encoded and decoded as JPEG once, as a phone's
//! picture is. A simulated screen or photocopy shows the traces that theory
//! predicts (sub-pixels against the sensor's grid, halftone dots); it is not a
//! substitute for real recaptures when a detector is measured.

use crate::chance::Chance;
use imaging::{Limits, Point, Projection, Quad, RgbImage, decode, encode_jpeg, resize};

/// How a document is photographed.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Decides the table, the light and the direction of every disturbance.
    pub seed: u64,
    /// Width of the picture in pixels.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// Share of the picture's width that the document takes, 0.2 to 0.98.
    pub fill: f32,
    /// How far the document is turned in the plane, in degrees.
    pub turn_deg: f32,
    /// Perspective: how far corners move, as a share of the document's height.
    pub tilt: f32,
    /// Rounding of the corners as a share of the width (a card: 0.037).
    pub corner: f32,
    /// Standard deviation of the lens's blur in pixels.
    pub blur: f32,
    /// Length of the motion blur in pixels.
    pub motion: f32,
    /// Gamma of the exposure; above 1 is darker.
    pub gamma: f32,
    /// Strength of a light's reflection on the document, 0 to 1.
    pub glare: f32,
    /// Standard deviation of the sensor's noise in grey levels.
    pub noise: f32,
    /// Quality of the JPEG, 1 to 100.
    pub jpeg: u8,
    /// The document is shown on a screen, and the screen is photographed.
    pub screen: bool,
    /// The document is a black-and-white photocopy on paper.
    pub photocopy: bool,
}

impl Scene {
    /// A well-taken picture, 1600 × 1200, with the small faults every picture has.
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 30);
        Self {
            seed,
            width: 1600,
            height: 1200,
            fill: chance.between(0.74, 0.84),
            turn_deg: chance.between(-2.5, 2.5),
            tilt: chance.between(0.01, 0.03),
            corner: 0.03,
            blur: 0.6,
            motion: 0.0,
            gamma: chance.between(0.92, 1.08),
            glare: 0.0,
            noise: 2.0,
            jpeg: 90,
            screen: false,
            photocopy: false,
        }
    }
}

/// One way in which a picture is worse than it could be, or not what it seems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Degradation {
    /// None: a well-taken picture on a table.
    Photo,
    /// Turned by 5 to 12 degrees.
    Rotate,
    /// Seen from aslant.
    Perspective,
    /// Out of focus.
    Blur,
    /// The camera moved.
    Motion,
    /// Compressed hard.
    Jpeg,
    /// Under-exposed.
    Dark,
    /// Over-exposed.
    Bright,
    /// A lamp's reflection on the document.
    Glare,
    /// A noisy sensor.
    Noise,
    /// Few pixels.
    Lowres,
    /// A screen that shows the document is photographed.
    Screen,
    /// A photocopy of the document is photographed.
    Photocopy,
}

impl Degradation {
    /// All, with the names that commands use.
    pub const ALL: [(&'static str, Self); 13] = [
        ("photo", Self::Photo),
        ("rotate", Self::Rotate),
        ("perspective", Self::Perspective),
        ("blur", Self::Blur),
        ("motion", Self::Motion),
        ("jpeg", Self::Jpeg),
        ("dark", Self::Dark),
        ("bright", Self::Bright),
        ("glare", Self::Glare),
        ("noise", Self::Noise),
        ("lowres", Self::Lowres),
        ("screen", Self::Screen),
        ("photocopy", Self::Photocopy),
    ];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|&(_, found)| found)
    }
}

impl Scene {
    /// A scene with these degradations; their strength is drawn from the seed.
    pub fn degraded(seed: u64, degradations: &[Degradation]) -> Self {
        let mut scene = Self::new(seed);
        let mut chance = Chance::new(seed, 32);
        for degradation in degradations {
            match degradation {
                Degradation::Photo => {}
                Degradation::Rotate => {
                    let turn = chance.between(5.0, 12.0);
                    scene.turn_deg = if chance.below(2) == 0 { turn } else { -turn };
                }
                Degradation::Perspective => scene.tilt = chance.between(0.08, 0.16),
                Degradation::Blur => scene.blur = chance.between(1.8, 3.0),
                Degradation::Motion => scene.motion = chance.between(6.0, 12.0),
                Degradation::Jpeg => scene.jpeg = 15 + chance.below(15) as u8,
                Degradation::Dark => scene.gamma = chance.between(1.8, 2.4),
                Degradation::Bright => scene.gamma = chance.between(0.5, 0.65),
                Degradation::Glare => scene.glare = chance.between(0.7, 1.0),
                Degradation::Noise => scene.noise = chance.between(10.0, 18.0),
                Degradation::Lowres => (scene.width, scene.height) = (800, 600),
                Degradation::Screen => scene.screen = true,
                Degradation::Photocopy => scene.photocopy = true,
            }
        }
        scene
    }
}

/// Photographs a flat document; returns the picture and where the document's corners are in it.
pub fn photograph(document: &RgbImage, scene: &Scene) -> (RgbImage, Quad) {
    let mut chance = Chance::new(scene.seed, 31);
    let (width, height) = (scene.width.clamp(64, 8192), scene.height.clamp(64, 8192));
    let quad = place(document, scene, width, height, &mut chance);
    let mut canvas = Canvas::table(width, height, &mut chance);
    if scene.photocopy {
        // The copy lies on a sheet that reaches beyond it on all sides.
        let sheet = grown(&quad, 0.16);
        canvas.shade(&sheet, 0.35);
        canvas.paint(&RgbImage::from_pixel(8, 8, [238, 238, 236].into()), &sheet, 0.0, Sampling::Smooth);
        canvas.paint(&photocopied(document), &quad, 0.0, Sampling::Smooth);
    } else if scene.screen {
        let shown = screen(document);
        let frame = RgbImage::from_pixel(8, 8, [16, 16, 18].into());
        canvas.paint(&frame, &grown(&quad, 0.18), 0.02, Sampling::Smooth);
        let window = RgbImage::from_pixel(
            shown.width() / 3 * 28 / 25,
            shown.height() / 3 * 28 / 25,
            [92, 95, 101].into(),
        );
        canvas.paint(&lit(&window), &grown(&quad, 0.12), 0.0, Sampling::Sharp);
        canvas.paint(&shown, &quad, 0.0, Sampling::Sharp);
    } else {
        canvas.shade(&quad, 0.45);
        canvas.paint(document, &quad, scene.corner, Sampling::Smooth);
    }
    canvas.light(scene, &quad, &mut chance);
    canvas.blur(scene.blur);
    canvas.move_by(scene.motion, chance.between(0.0, std::f32::consts::TAU));
    let picture = canvas.develop(scene, &mut chance);
    let jpeg = encode_jpeg(&picture, scene.jpeg.clamp(1, 100));
    let picture = decode(&jpeg, &Limits::default()).map_or(picture, |decoded| decoded.pixels);
    (picture, quad)
}

/// Where the document lies.
fn place(document: &RgbImage, scene: &Scene, width: u32, height: u32, chance: &mut Chance) -> Quad {
    let aspect = document.height().max(1) as f32 / document.width().max(1) as f32;
    let turn = scene.turn_deg.to_radians();
    let room = |w: f32| {
        let h = w * aspect;
        (w * turn.cos().abs() + h * turn.sin().abs()) / width as f32 <= 0.98
            && (w * turn.sin().abs() + h * turn.cos().abs()) / height as f32 <= 0.96
    };
    let mut w = scene.fill.clamp(0.2, 0.98) * width as f32;
    while !room(w) && w > 32.0 {
        w *= 0.97;
    }
    let h = w * aspect;
    let (cx, cy) = (width as f32 / 2.0, height as f32 / 2.0);
    let tilt = scene.tilt.clamp(0.0, 0.3) * h;
    [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)].map(|(x, y): (f32, f32)| {
        let (x, y) = (x * w, y * h);
        let (jx, jy) =
            (chance.between(-1.0, 0.2) * tilt * x.signum(), chance.between(-1.0, 0.2) * tilt * y.signum());
        Point::new(cx + x * turn.cos() - y * turn.sin() + jx, cy + x * turn.sin() + y * turn.cos() + jy)
    })
}

/// The quad made larger on every side by a share of its size.
fn grown(quad: &Quad, share: f32) -> Quad {
    let cx = quad.iter().map(|p| p.x).sum::<f32>() / 4.0;
    let cy = quad.iter().map(|p| p.y).sum::<f32>() / 4.0;
    quad.map(|p| Point::new(cx + (p.x - cx) * (1.0 + share), cy + (p.y - cy) * (1.0 + share)))
}

/// Grey, contrast, and dots at 45 degrees, as an office copier prints.
fn photocopied(document: &RgbImage) -> RgbImage {
    let mut out = document.clone();
    let width = document.width() as usize;
    let cell = (document.width() as f32 / 340.0).max(2.0);
    for (k, pixel) in out.chunks_exact_mut(3).enumerate() {
        let (x, y) = ((k % width) as f32, (k / width) as f32);
        let grey = 0.3 * f32::from(pixel[0]) + 0.59 * f32::from(pixel[1]) + 0.11 * f32::from(pixel[2]);
        let tone = ((grey / 255.0 - 0.5) * 1.35 + 0.56).clamp(0.0, 1.0);
        let (u, v) = ((x + y) / cell * 2.22, (x - y) / cell * 2.22);
        let screen = 0.5 + 0.25 * (u.cos() + v.cos());
        let ink = ((screen - tone) * 4.0 + 0.5).clamp(0.0, 1.0);
        let value = (240.0 - 205.0 * (0.45 * ink + 0.55 * (1.0 - tone))) as u8;
        pixel.fill(value);
    }
    out
}

/// The document as a display shows it, three by three samples to a pixel.
fn screen(document: &RgbImage) -> RgbImage {
    // About what a laptop gives a document that fills most of its screen.
    let shown = imaging::fit_within(document, 900);
    lit(&shown)
}

/// What a lit texture must be multiplied by so that its average is a little
/// darker than what it shows: stripes and dark rows swallow most of the light.
const BACKLIGHT: f32 = 2.4;

/// Every pixel as red, green and blue stripes with a dark line between rows.
fn lit(shown: &RgbImage) -> RgbImage {
    let (width, height) = (shown.width() as usize, shown.height() as usize);
    let mut out = RgbImage::new(3 * width as u32, 3 * height as u32);
    let rows = shown.as_raw().chunks_exact(3 * width);
    for (triple, row) in out.chunks_exact_mut(27 * width).zip(rows) {
        for (part, line) in triple.chunks_exact_mut(9 * width).enumerate() {
            let dim = if part == 2 { 0.36 } else { 1.0 };
            for (stripe, pixel) in line.chunks_exact_mut(9).zip(row.chunks_exact(3)) {
                for (k, &value) in pixel.iter().enumerate() {
                    // A stripe shines in its own colour and leaks into the others.
                    for channel in 0..3 {
                        let share = if channel == k { 1.0 } else { 0.22 };
                        let own = if channel == k { f32::from(value) } else { f32::from(pixel[channel]) };
                        stripe[3 * k + channel] = (own * share * dim) as u8;
                    }
                }
            }
        }
    }
    out
}

/// How a texture is sampled.
#[derive(Clone, Copy, PartialEq)]
enum Sampling {
    /// Averaged down first: fine structure fades as in a well-sampled picture.
    Smooth,
    /// A lit screen, sampled as it is: fine structure beats against the sensor's grid (moiré).
    Sharp,
}

/// Linear RGB pixels, 0 to 255.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<f32>,
}

impl Canvas {
    /// A table: wood or cloth of a drawn colour.
    fn table(width: u32, height: u32, chance: &mut Chance) -> Self {
        let base = [chance.between(70.0, 170.0), chance.between(60.0, 140.0), chance.between(50.0, 130.0)];
        let coarse = patches(chance, 9, 7, 14.0);
        let grain = patches(chance, 5, 90, 9.0);
        let coarse = resize(&coarse, width, height);
        let grain = resize(&grain, width, height);
        let pixels = coarse
            .as_raw()
            .iter()
            .zip(grain.as_raw())
            .enumerate()
            .map(|(k, (&c, &g))| base[k % 3] + f32::from(c) - 128.0 + f32::from(g) - 128.0)
            .collect();
        Self { width: width as usize, height: height as usize, pixels }
    }

    /// Darkens the table around the quad, more below it: a soft shadow.
    fn shade(&mut self, quad: &Quad, strength: f32) {
        let side = quad[0].distance(quad[2]) * 0.02;
        let lower = quad.map(|p| Point::new(p.x + side * 0.5, p.y + side));
        let Some(map) = Projection::between(&lower, &unit()) else { return };
        let soft = 0.03;
        for (k, pixel) in self.pixels.chunks_exact_mut(3).enumerate() {
            let at = map.apply(Point::new((k % self.width) as f32 + 0.5, (k / self.width) as f32 + 0.5));
            let outside = (-at.x).max(at.x - 1.0).max(-at.y).max(at.y - 1.0);
            let shadow = strength * (1.0 - (outside / soft + 0.5)).clamp(0.0, 1.0);
            for value in pixel {
                *value *= 1.0 - shadow;
            }
        }
    }

    /// Paints a picture into a quad with rounded corners (share of its width).
    fn paint(&mut self, picture: &RgbImage, quad: &Quad, corner: f32, sampling: Sampling) {
        let gain = if sampling == Sampling::Sharp { BACKLIGHT } else { 1.0 };
        let Some(map) = Projection::between(quad, &unit()) else { return };
        let across = quad[0].distance(quad[1]).max(quad[3].distance(quad[2]));
        let shrink = picture.width() as f32 / across.max(1.0);
        let smaller;
        let picture = if sampling == Sampling::Smooth && shrink > 1.3 {
            let to = |side: u32| ((side as f32 / shrink).round() as u32).max(1);
            smaller = resize(picture, to(picture.width()), to(picture.height()));
            &smaller
        } else {
            picture
        };
        let (w, h) = (picture.width() as f32, picture.height() as f32);
        let aspect = h / w;
        let span = |pick: fn(&Point) -> f32, most: usize| {
            let low = quad.iter().map(pick).fold(f32::MAX, f32::min).floor().max(0.0) as usize;
            let high = quad.iter().map(pick).fold(0.0, f32::max).ceil().max(0.0) as usize + 1;
            (low.min(most), high.min(most))
        };
        let ((left, right), (top, bottom)) = (span(|p| p.x, self.width), span(|p| p.y, self.height));
        for y in top..bottom {
            for x in left..right {
                let (mut sum, mut hits) = ([0.0f32; 3], 0.0f32);
                for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                    let at = map.apply(Point::new(x as f32 + dx, y as f32 + dy));
                    if !inside(at, corner, aspect) {
                        continue;
                    }
                    hits += 0.25;
                    let found = bilinear(picture, at.x * w - 0.5, at.y * h - 0.5);
                    for (sum, found) in sum.iter_mut().zip(found) {
                        *sum += 0.25 * gain * found;
                    }
                }
                let start = 3 * (y * self.width + x);
                if let Some(pixel) = self.pixels.get_mut(start..start + 3) {
                    for (value, sum) in pixel.iter_mut().zip(sum) {
                        *value = *value * (1.0 - hits) + sum;
                    }
                }
            }
        }
    }

    /// A lamp from one side, darker edges, a reflection on the document.
    fn light(&mut self, scene: &Scene, quad: &Quad, chance: &mut Chance) {
        let (side, above) = (chance.between(-0.1, 0.1), chance.between(-0.1, 0.1));
        let centre = |a: Point, b: Point, t: f32| Point::new(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t);
        let spot = centre(
            centre(quad[0], quad[1], chance.between(0.25, 0.75)),
            centre(quad[3], quad[2], chance.between(0.25, 0.75)),
            chance.between(0.3, 0.7),
        );
        let reach = quad[0].distance(quad[2]) * 0.13;
        let (w, h) = (self.width as f32, self.height as f32);
        for (k, pixel) in self.pixels.chunks_exact_mut(3).enumerate() {
            let (x, y) = ((k % self.width) as f32, (k / self.width) as f32);
            let (u, v) = (2.0 * x / w - 1.0, 2.0 * y / h - 1.0);
            let light = 1.0 + side * u + above * v - 0.06 * (u * u + v * v);
            let near = ((x - spot.x) / reach).powi(2) + ((y - spot.y) / (reach * 0.6)).powi(2);
            let glare = if near < 6.0 { scene.glare * 330.0 * (-near).exp() } else { 0.0 };
            for value in pixel {
                *value = *value * light + glare;
            }
        }
    }

    /// Gaussian blur of standard deviation `sigma` pixels.
    fn blur(&mut self, sigma: f32) {
        if sigma < 0.2 {
            return;
        }
        let reach = (sigma * 3.0).ceil() as i32;
        let weights: Vec<f32> =
            (-reach..=reach).map(|k| (-((k * k) as f32) / (2.0 * sigma * sigma)).exp()).collect();
        let total: f32 = weights.iter().sum();
        let steps = |dx: i32, dy: i32| -> Vec<(i32, i32, f32)> {
            (-reach..=reach).zip(&weights).map(|(k, w)| (k * dx, k * dy, w / total)).collect()
        };
        self.gather(&steps(1, 0));
        self.gather(&steps(0, 1));
    }

    /// The camera moved `length` pixels in a direction while the shutter was open.
    fn move_by(&mut self, length: f32, direction: f32) {
        if length < 1.0 {
            return;
        }
        let count = length.ceil() as i32;
        let step = |k: i32| {
            let t = (k as f32 / count as f32 - 0.5) * length;
            (
                (t * direction.cos()).round() as i32,
                (t * direction.sin()).round() as i32,
                1.0 / (count + 1) as f32,
            )
        };
        self.gather(&(0..=count).map(step).collect::<Vec<_>>());
    }

    /// Replaces every pixel by a weighted sum of shifted ones; edges repeat.
    fn gather(&mut self, steps: &[(i32, i32, f32)]) {
        let (width, height) = (self.width as i32, self.height as i32);
        let mut out = vec![0.0f32; self.pixels.len()];
        for (y, line) in out.chunks_exact_mut(3 * self.width).enumerate() {
            for &(dx, dy, weight) in steps {
                let row = (y as i32 + dy).clamp(0, height - 1) as usize * 3 * self.width;
                let Some(from) = self.pixels.get(row..row + 3 * self.width) else { continue };
                if dx == 0 {
                    for (to, from) in line.iter_mut().zip(from) {
                        *to += weight * from;
                    }
                } else {
                    for (x, to) in line.chunks_exact_mut(3).enumerate() {
                        let at = 3 * (x as i32 + dx).clamp(0, width - 1) as usize;
                        for (to, from) in to.iter_mut().zip(from.get(at..at + 3).unwrap_or(&[])) {
                            *to += weight * from;
                        }
                    }
                }
            }
        }
        self.pixels = out;
    }

    /// Exposure, noise, eight bits.
    fn develop(&self, scene: &Scene, chance: &mut Chance) -> RgbImage {
        let gamma = scene.gamma.clamp(0.3, 3.0);
        let bytes = self
            .pixels
            .iter()
            .map(|&value| {
                let exposed = 255.0 * (value.clamp(0.0, 255.0) / 255.0).powf(gamma);
                (exposed + chance.bell() * scene.noise + 0.5).clamp(0.0, 255.0) as u8
            })
            .collect();
        RgbImage::from_raw(self.width as u32, self.height as u32, bytes).unwrap_or_default()
    }
}

fn unit() -> Quad {
    [Point::new(0.0, 0.0), Point::new(1.0, 0.0), Point::new(1.0, 1.0), Point::new(0.0, 1.0)]
}

/// Whether a place of the unit square lies inside its rounded outline.
fn inside(at: Point, corner: f32, aspect: f32) -> bool {
    if !(0.0..1.0).contains(&at.x) || !(0.0..1.0).contains(&at.y) {
        return false;
    }
    let (x, y) = (at.x.min(1.0 - at.x), at.y.min(1.0 - at.y) * aspect);
    x >= corner || y >= corner || (corner - x).hypot(corner - y) <= corner
}

fn bilinear(image: &RgbImage, x: f32, y: f32) -> [f32; 3] {
    let (last_x, last_y) = (image.width().saturating_sub(1) as f32, image.height().saturating_sub(1) as f32);
    let (x, y) = (x.clamp(0.0, last_x), y.clamp(0.0, last_y));
    let (x0, y0) = (x as u32, y as u32);
    let (x1, y1) = ((x0 + 1).min(last_x as u32), (y0 + 1).min(last_y as u32));
    let (ax, ay) = (x.fract(), y.fract());
    let at = |x, y| image.get_pixel(x, y).0;
    let (a, b, c, d) = (at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1));
    std::array::from_fn(|k| {
        let upper = f32::from(a[k]) * (1.0 - ax) + f32::from(b[k]) * ax;
        let lower = f32::from(c[k]) * (1.0 - ax) + f32::from(d[k]) * ax;
        upper * (1.0 - ay) + lower * ay
    })
}

/// Grey noise around 128 on a small grid, to be drawn large.
fn patches(chance: &mut Chance, width: u32, height: u32, strength: f32) -> RgbImage {
    let mut out = RgbImage::new(width, height);
    for pixel in out.chunks_exact_mut(3) {
        pixel.fill((128.0 + chance.bell() * strength).clamp(0.0, 255.0) as u8);
    }
    out
}
