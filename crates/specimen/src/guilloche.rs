//! Guilloches: the fine closed curves of security printing, as SVG paths.

use crate::chance::Chance;
use std::f32::consts::TAU;
use std::fmt::Write as _;

/// A rosette: hypotrochoids of one family laid over each other, around
/// (`x`, `y`) with the given radius, in millimetres.
pub(crate) fn rosette(
    chance: &mut Chance,
    x: f32,
    y: f32,
    radius: f32,
    colour: &str,
    opacity: f32,
) -> String {
    let petals = 5 + chance.below(7);
    let turns = 1.0 + chance.below(3) as f32;
    let mut out = String::new();
    for ring in 0..6 {
        let depth = 0.25 + 0.1 * ring as f32;
        let phase = chance.between(0.0, 0.2);
        let mut path = String::new();
        let steps = 360;
        for step in 0..=steps {
            let angle = TAU * turns * step as f32 / steps as f32;
            let wave = (angle * petals as f32 / turns + phase).cos();
            let r = radius * (1.0 - depth * 0.5 + depth * 0.5 * wave) * (1.0 - 0.06 * ring as f32);
            let (px, py) = (x + r * angle.cos(), y + r * angle.sin());
            let _ = write!(path, "{}{px:.2} {py:.2}", if step == 0 { 'M' } else { 'L' });
        }
        let _ = write!(
            out,
            r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="0.09" stroke-opacity="{opacity}"/>"#
        );
    }
    out
}

/// A band of interwoven waves across `width` around height `y`, in millimetres.
pub(crate) fn band(
    chance: &mut Chance,
    width: f32,
    y: f32,
    swing: f32,
    colour: &str,
    opacity: f32,
) -> String {
    let waves = chance.between(2.0, 5.0);
    let second = chance.between(5.0, 11.0);
    let lines = 9;
    let mut out = String::new();
    for line in 0..lines {
        let shift = TAU * line as f32 / lines as f32;
        let mut path = String::new();
        let steps = 160;
        for step in 0..=steps {
            let t = step as f32 / steps as f32;
            let dy = (TAU * waves * t + shift).sin() + 0.35 * (TAU * second * t - shift).sin();
            let _ =
                write!(path, "{}{:.2} {:.2}", if step == 0 { 'M' } else { 'L' }, width * t, y + swing * dy);
        }
        let _ = write!(
            out,
            r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="0.1" stroke-opacity="{opacity}"/>"#
        );
    }
    out
}

/// A signature-like stroke from (`x`, `y`), `width` millimetres long.
pub(crate) fn signature(chance: &mut Chance, x: f32, y: f32, width: f32) -> String {
    let mut path = format!("M{x:.2} {y:.2}");
    let strokes = 6 + chance.below(4);
    let step = width / strokes as f32;
    let mut at = x;
    for k in 0..strokes {
        let up = chance.between(1.5, if k == 0 { 6.0 } else { 3.5 });
        let _ = write!(
            path,
            "C{:.2} {:.2} {:.2} {:.2} {:.2} {:.2}",
            at + step * 0.1,
            y - up,
            at + step * 0.9,
            y - up * chance.between(0.3, 1.0),
            at + step * chance.between(0.6, 0.8),
            y + chance.between(-0.6, 0.9)
        );
        at += step;
    }
    format!(r##"<path d="{path}" fill="none" stroke="#1a2350" stroke-width="0.35" stroke-linecap="round"/>"##)
}
