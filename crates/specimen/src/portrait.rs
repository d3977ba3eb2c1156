//! The holder's picture: framed for the document, and seen a second time as a selfie.

use crate::chance::Chance;
use imaging::{Point, RgbImage, fit_within, resize, similarity_warp, warp_quad};

/// A picture of a person and where in it the face is.
#[derive(Debug, Clone)]
pub struct Portrait {
    /// The picture.
    pub pixels: RgbImage,
    /// The face from brow to chin and cheek to cheek: left, top, width, height in pixels.
    pub face: [f32; 4],
}

impl Portrait {
    /// A picture framed like a passport photo: the face in the middle, 40 % as high as the picture.
    pub fn new(pixels: RgbImage) -> Self {
        let (w, h) = (pixels.width() as f32, pixels.height() as f32);
        Self { face: [w * 0.3, h * 0.34, w * 0.4, h * 0.4], pixels }
    }

    /// A picture whose face is known: left, top, width, height in pixels, brow to chin.
    pub fn with_face(pixels: RgbImage, face: [f32; 4]) -> Self {
        Self { pixels, face }
    }

    /// The picture cut as ICAO Doc 9303 part 3 §3.9 asks: the head (1.6 times
    /// brow to chin) is some 75 % of the height.
    pub(crate) fn framed(&self, width: u32, height: u32) -> RgbImage {
        let [x, y, w, h] = self.face;
        let tall = 2.15 * h;
        let wide = tall * width as f32 / height.max(1) as f32;
        let bottom = y + h + 0.13 * tall;
        self.cut(x + w / 2.0 - wide / 2.0, bottom - tall, wide, tall, width, height)
    }

    /// A rectangle of the picture, moved inside it where it can be.
    fn cut(&self, left: f32, top: f32, wide: f32, tall: f32, width: u32, height: u32) -> RgbImage {
        let inside = |at: f32, size: f32, whole: f32| {
            if size <= whole { at.clamp(0.0, whole - size) } else { (whole - size) / 2.0 }
        };
        let left = inside(left, wide, self.pixels.width() as f32);
        let top = inside(top, tall, self.pixels.height() as f32);
        let (right, bottom) = (left + wide, top + tall);
        let quad =
            [(left, top), (right, top), (right, bottom), (left, bottom)].map(|(x, y)| Point::new(x, y));
        warp_quad(&self.pixels, &quad, width, height)
    }
}

/// A second view of the same person, as a phone held at arm's length would take
/// it: turned and tilted a little, another light, the background out of focus
/// and recoloured. 720 × 960 pixels.
///
/// It is made from the one picture that is given, so it is easier to match than
/// a real second photograph would be: it is for demonstration, not for measuring.
pub fn selfie(portrait: &Portrait, seed: u64) -> RgbImage {
    const WIDTH: u32 = 720;
    const HEIGHT: u32 = 960;
    let mut chance = Chance::new(seed, 20);
    let [fx, fy, fw, fh] = portrait.face;
    let scale = fh * chance.between(2.5, 2.9) / HEIGHT as f32;
    let roll = chance.between(-0.09, 0.09);
    let (cx, cy) = (fx + fw / 2.0, fy + fh * 0.45);
    let (sin, cos) = (roll.sin() * scale, roll.cos() * scale);
    let (mx, my) = (WIDTH as f32 * chance.between(0.47, 0.53), HEIGHT as f32 * chance.between(0.42, 0.48));
    // Edges are repeated outward first, so that no black shows where the source ends.
    let padded = extended(&portrait.pixels, (fh * 1.5) as u32);
    let border = (fh * 1.5).floor();
    let map = [cos, -sin, cx + border - cos * mx + sin * my, sin, cos, cy + border - sin * mx - cos * my];
    let upright = similarity_warp(&padded, map, WIDTH, HEIGHT);
    let turned = turned(&upright, mx, fw / scale * 0.9, chance.between(0.05, 0.09) * sign(&mut chance));
    let far = background(&turned, &mut chance);
    let face = [mx, my, fw / scale, fh / scale];
    let mut out = relit(&turned, &far, face, &mut chance);
    soften(&mut out, &mut chance);
    out
}

fn sign(chance: &mut Chance) -> f32 {
    if chance.below(2) == 0 { 1.0 } else { -1.0 }
}

fn extended(image: &RgbImage, border: u32) -> RgbImage {
    let border = border.min(4000);
    let (w, h) = (image.width() + 2 * border, image.height() + 2 * border);
    let (low, right, bottom) =
        (-(border as f32), (image.width() + border) as f32, (image.height() + border) as f32);
    let quad = [(low, low), (right, low), (right, bottom), (low, bottom)].map(|(x, y)| Point::new(x, y));
    warp_quad(image, &quad, w, h)
}

/// The head turned sideways a little: what lies near the axis moves most, as a
/// cylinder's front does.
fn turned(image: &RgbImage, axis: f32, radius: f32, strength: f32) -> RgbImage {
    let mut out = image.clone();
    let width = image.width() as usize;
    for (to, from) in out.chunks_exact_mut(3 * width).zip(image.as_raw().chunks_exact(3 * width)) {
        for (x, pixel) in to.chunks_exact_mut(3).enumerate() {
            let u = (x as f32 + 0.5 - axis) / radius;
            let shift = if u.abs() < 1.0 { strength * radius * (1.0 - u * u) } else { 0.0 };
            let at = (x as f32 + shift).clamp(0.0, width as f32 - 1.001);
            let (k, part) = (at as usize, at.fract());
            if let Some(pair) = from.get(3 * k..3 * k + 6) {
                for (c, value) in pixel.iter_mut().enumerate() {
                    *value = (f32::from(pair[c]) * (1.0 - part) + f32::from(pair[c + 3]) * part + 0.5) as u8;
                }
            }
        }
    }
    out
}

/// The surroundings out of focus and in another light.
fn background(image: &RgbImage, chance: &mut Chance) -> RgbImage {
    let mut small = resize(image, 9, 12);
    let tint = [chance.between(0.55, 0.95), chance.between(0.55, 0.95), chance.between(0.55, 0.95)];
    for pixel in small.chunks_exact_mut(3) {
        let noise = 1.0 + 0.08 * chance.bell();
        for (value, tint) in pixel.iter_mut().zip(tint) {
            *value = (f32::from(*value) * tint * noise).clamp(0.0, 255.0) as u8;
        }
    }
    resize(&small, image.width(), image.height())
}

/// Lays the person on the background and lights both from one side.
fn relit(person: &RgbImage, far: &RgbImage, face: [f32; 4], chance: &mut Chance) -> RgbImage {
    let [cx, cy, fw, fh] = face;
    let (from_side, from_above) = (chance.between(0.10, 0.22) * sign(chance), chance.between(-0.08, 0.08));
    let gamma = chance.between(0.85, 1.18);
    let warmth = chance.between(-0.06, 0.08);
    let gains = [1.0 + warmth, 1.0, 1.0 - warmth];
    let (w, h) = (person.width() as f32, person.height() as f32);
    let mut out = person.clone();
    let width = person.width() as usize;
    for (k, (pixel, far)) in out.chunks_exact_mut(3).zip(far.as_raw().chunks_exact(3)).enumerate() {
        let (x, y) = ((k % width) as f32, (k / width) as f32);
        // Head: an ellipse from above the hair to the chin; body: a bell below it.
        let head = ((x - cx) / (1.02 * fw)).powi(2) + ((y - cy + 0.12 * fh) / (1.0 * fh)).powi(2);
        let below = (y - cy - 0.45 * fh) / fh;
        let body = (x - cx).abs() / (fw * (0.55 + 1.9 * below.max(0.0).sqrt()));
        let head = smooth((2.6 - head) / 1.6);
        let body = smooth(below / 0.2) * smooth((1.5 - body) / 0.6);
        let mask = head.max(body);
        let light = 1.0 + from_side * (2.0 * x / w - 1.0) + from_above * (2.0 * y / h - 1.0);
        for ((value, &far), gain) in pixel.iter_mut().zip(far).zip(gains) {
            let mixed = f32::from(*value) * mask + f32::from(far) * (1.0 - mask);
            let lit = (mixed / 255.0).powf(gamma) * 255.0 * light * gain;
            *value = lit.clamp(0.0, 255.0) as u8;
        }
    }
    out
}

/// 0 below 0, 1 above 1, without a corner between.
fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A sensor's grain.
fn soften(image: &mut RgbImage, chance: &mut Chance) {
    let sigma = chance.between(1.5, 3.0);
    for value in image.iter_mut() {
        *value = (f32::from(*value) + chance.bell() * sigma).clamp(0.0, 255.0) as u8;
    }
}

/// A paler, smaller print of the picture, for the ghost image.
pub(crate) fn ghost(framed: &RgbImage, width: u32, height: u32) -> RgbImage {
    let mut small = resize(&fit_within(framed, 600), width, height);
    for pixel in small.chunks_exact_mut(3) {
        let grey = 0.3 * f32::from(pixel[0]) + 0.59 * f32::from(pixel[1]) + 0.11 * f32::from(pixel[2]);
        for (value, tint) in pixel.iter_mut().zip([70.0, 95.0, 130.0]) {
            *value = (tint + (255.0 - tint) * grey / 255.0) as u8;
        }
    }
    small
}
