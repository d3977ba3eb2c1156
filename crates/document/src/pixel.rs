//! Looks at the pixels of a picture: sharpness, light, and signs that it shows a copy or a screen.
//!
//! All of this is measurement of one picture, heuristic and weak by nature: it may ask for a review or another
//! photo, never prove a fraud. What each threshold was measured on stands beside it.

use imaging::RgbImage;
use rustfft::{FftPlanner, num_complex::Complex};

/// Share of colours out of step from which a picture shows a screen. Measured on filled_docs: the 4 simulated screens
/// 1.41–1.87, 49 other pictures (photos, blurred, copied, specimens) 0.00–0.44; the threshold is the geometric middle.
/// The screens are simulated: nothing is known of real ones.
pub(crate) const FRINGES: f32 = 0.8;

/// Chroma of an upright document: 90th percentile of the distance from the median colour, 8-bit units.
///
/// A grey copy keeps the paper's and the light's tint everywhere, so the tint itself (the median) is taken off.
pub(crate) fn chroma(image: &RgbImage) -> f32 {
    let small = imaging::fit_within(image, 320);
    let opponent: Vec<(f32, f32)> = small
        .pixels()
        .map(|p| {
            let [r, g, b] = p.0.map(f32::from);
            (r - g, 0.5 * (r + g) - b)
        })
        .collect();
    let median = |values: &mut Vec<f32>| {
        values.sort_by(f32::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let (ma, mb) = (
        median(&mut opponent.iter().map(|p| p.0).collect()),
        median(&mut opponent.iter().map(|p| p.1).collect()),
    );
    let mut far: Vec<f32> = opponent.iter().map(|(a, b)| (a - ma).hypot(b - mb)).collect();
    far.sort_by(f32::total_cmp);
    far.get(far.len() * 9 / 10).copied().unwrap_or(0.0)
}

/// Tile of the fringe measure, pixels of the picture as given (never resized: that would remove the pattern).
const TILE: usize = 256;
/// Distance of columns in memory: a power of two would bring all of them to the same few lines of the cache.
const STRIDE: usize = TILE + 8;
/// Most tiles in a row or column.
const MOST_TILES: usize = 6;
/// Shorter side below which too few tiles average the measure: tiny pictures of plain paper came to 1.7.
const LEAST_SIDE: u32 = 512;

/// How much of some spatial frequency the colours carry out of step, 0 to 2.
///
/// A display shows its red, green and blue beside one another, a third of a pixel apart. Photographed, each colour
/// makes its own moiré, and the three stand out of phase in every part of the picture. What is printed, and what
/// lies on a desk, varies in step (or in opposition), and a lens's colour fringes point away from the middle and
/// cancel over the picture. So: the quadrature part of the cross-spectra red-green and green-blue, averaged over
/// tiles, as a share of the power at the same frequency; the fourth strongest frequency, against chance.
/// `None` for a picture too small to tell.
pub(crate) fn colour_fringes(image: &RgbImage) -> Option<f32> {
    let (w, h) = (image.width() as usize, image.height() as usize);
    if image.width().min(image.height()) < LEAST_SIDE {
        return None;
    }
    let window: Vec<f32> = (0..TILE)
        .map(|i| 0.5 - 0.5 * (std::f32::consts::TAU * i as f32 / (TILE as f32 - 1.0)).cos())
        .collect();
    let fft = FftPlanner::<f32>::new().plan_fft_forward(TILE);
    let mut scratch = vec![Complex::new(0.0f32, 0.0); fft.get_inplace_scratch_len()];
    let starts = |side: usize| -> Vec<usize> {
        let n = (side / TILE + 1).clamp(2, MOST_TILES);
        (0..n).map(|i| i * (side - TILE) / (n - 1)).collect()
    };
    let half = TILE / 2;
    let zero = Complex::new(0.0f32, 0.0);
    let (mut red_green, mut green_blue, mut power) =
        (vec![0.0f32; half * TILE], vec![0.0f32; half * TILE], vec![0.0f32; half * TILE]);
    // Column by column, and only the half of the columns that a real signal needs.
    let mut planes = [vec![zero; half * STRIDE], vec![zero; half * STRIDE], vec![zero; half * STRIDE]];
    let mut rows = vec![zero; TILE];
    let raw = image.as_raw();
    for y0 in starts(h) {
        for x0 in starts(w) {
            for (c, plane) in planes.iter_mut().enumerate() {
                let value = |x: usize, y: usize| {
                    raw.get(((y0 + y) * w + x0 + x) * 3 + c).copied().map_or(0.0, f32::from)
                };
                let mean = (0..TILE * TILE).step_by(5).map(|i| value(i % TILE, i / TILE)).sum::<f32>()
                    / (TILE * TILE).div_ceil(5) as f32;
                for y in (0..TILE).step_by(2) {
                    // Two real rows travel as one complex one: the even and the odd part of its spectrum.
                    for (x, v) in rows.iter_mut().enumerate() {
                        let at = |y: usize| (value(x, y) - mean) * window[x] * window[y];
                        *v = Complex::new(at(y), at(y + 1));
                    }
                    fft.process_with_scratch(&mut rows, &mut scratch);
                    for x in 0..half {
                        let (here, there) = (rows[x], rows[(TILE - x) % TILE].conj());
                        let (even, odd) = ((here + there) * 0.5, (here - there) * 0.5);
                        plane[x * STRIDE + y] = even;
                        plane[x * STRIDE + y + 1] = Complex::new(odd.im, -odd.re);
                    }
                }
                for column in plane.chunks_exact_mut(STRIDE) {
                    fft.process_with_scratch(&mut column[..TILE], &mut scratch);
                }
            }
            for x in 0..half {
                for y in 0..TILE {
                    let [r, g, b] = [0, 1, 2].map(|c: usize| planes[c][x * STRIDE + y]);
                    // Divided by the amplitude, so that a few strong tiles do not decide alone.
                    let amplitude = ((r.norm_sqr() + g.norm_sqr() + b.norm_sqr()) / 3.0 + 1e3).sqrt();
                    let at = x * TILE + y;
                    red_green[at] += (r * g.conj()).im / amplitude;
                    green_blue[at] += (g * b.conj()).im / amplitude;
                    power[at] += amplitude;
                }
            }
        }
    }
    let mut strongest = [0.0f32; 4];
    for x in 0..half {
        for y in 0..TILE {
            let v = if y < half { y as i32 } else { y as i32 - TILE as i32 };
            let radius = (x as i32).pow(2) + v * v;
            let at = x * TILE + y;
            // Below, the picture's own shading; above, the noise of compression.
            if !(37..14_400).contains(&radius) || (red_green[at] > 0.0) != (green_blue[at] > 0.0) {
                continue;
            }
            let share = (red_green[at].abs() + green_blue[at].abs()) / power[at].max(1e-6);
            if share > strongest[3] {
                strongest[3] = share;
                strongest.sort_by(|a, b| b.total_cmp(a));
            }
        }
    }
    Some(strongest[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_out_of_step_are_fringes_and_colours_in_step_are_print() {
        let noise = |x: u32, y: u32| {
            ((x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503).wrapping_mul(x | 1)) >> 13) % 24
        };
        let wave = |x: u32, y: u32, phase: f32| 18.0 * (x as f32 * 0.9 + y as f32 * 0.35 + phase).sin();
        let picture = |phases: [f32; 3]| {
            RgbImage::from_fn(768, 640, |x, y| {
                phases.map(|p| (120.0 + noise(x, y) as f32 + wave(x, y, p)) as u8).into()
            })
        };
        let screen = colour_fringes(&picture([0.0, 2.094, 4.189])).expect("large enough");
        let print = colour_fringes(&picture([0.0, 0.0, 0.0])).expect("large enough");
        assert!(screen > 1.2 && print < 0.4, "{screen} {print}");
        assert!(colour_fringes(&RgbImage::new(400, 300)).is_none());
    }

    #[test]
    fn a_tinted_grey_copy_has_no_chroma() {
        let copy = RgbImage::from_fn(200, 100, |x, _| {
            [(x as u8).saturating_add(20), (x as u8).saturating_add(12), x as u8].into()
        });
        assert!(chroma(&copy) < 6.0, "{}", chroma(&copy));
        let colour = RgbImage::from_fn(200, 100, |x, y| {
            if y < 40 { [220, 60, 60].into() } else { [(x / 2) as u8, 180, 90].into() }
        });
        assert!(chroma(&colour) > 20.0);
    }
}
