//! A perceptual hash: alike pictures have hashes that differ in few bits.
//!
//! 64 bits from the low frequencies of a 32×32 cosine transform (the "pHash"
//! construction: Zauner, "Implementation and benchmarking of perceptual image
//! hash functions", 2010, §3.2.1). It survives resizing, re-encoding and
//! mild brightness changes; it does not survive crops or turns.

use crate::{RgbImage, grey, resize};
use std::sync::LazyLock;

const SIDE: usize = 32;
const KEPT: usize = 8;

/// The 64-bit perceptual hash of a picture; compare by [`distance`].
pub fn perceptual(image: &RgbImage) -> u64 {
    static COSINES: LazyLock<[[f32; SIDE]; KEPT]> = LazyLock::new(|| {
        std::array::from_fn(|k| {
            std::array::from_fn(|n| {
                ((std::f32::consts::PI / SIDE as f32) * (n as f32 + 0.5) * (k as f32 + 1.0)).cos()
            })
        })
    });
    let small = grey(&resize(image, SIDE as u32, SIDE as u32));
    let mut rows = [[0.0f32; KEPT]; SIDE];
    for (line, out) in small.as_raw().chunks_exact(SIDE).zip(&mut rows) {
        for (basis, out) in COSINES.iter().zip(out) {
            *out = basis.iter().zip(line).map(|(c, &v)| c * f32::from(v)).sum();
        }
    }
    let mut values = [0.0f32; KEPT * KEPT];
    for (k, value) in values.iter_mut().enumerate() {
        *value = rows.iter().zip(&COSINES[k / KEPT]).map(|(row, c)| c * row[k % KEPT]).sum();
    }
    let mut sorted = values;
    sorted.sort_by(f32::total_cmp);
    let median = (sorted[KEPT * KEPT / 2 - 1] + sorted[KEPT * KEPT / 2]) / 2.0;
    values.iter().enumerate().fold(0, |hash, (bit, &value)| hash | (u64::from(value > median) << bit))
}

/// In how many of the 64 bits two hashes differ; unrelated pictures differ in about 32.
pub fn distance(a: u64, b: u64) -> u32 {
    (a ^ b).count_ones()
}
