//! Measures of a picture's quality, each with its unit and what it ignores.
//!
//! All are pure functions of grey pixels and take part in no decision here:
//! the checks that use them name their own thresholds and how these were found.

use crate::GrayImage;

/// What [`measure`] found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Variance of the 4-neighbour Laplacian, in squared grey levels. Blur lowers
    /// it, noise raises it; it depends on resolution, so compare only pictures
    /// brought to the same size.
    pub focus: f32,
    /// Mean grey level, 0 (black) to 255 (white).
    pub brightness: f32,
    /// Standard deviation of the grey levels, 0 to 127.5.
    pub contrast: f32,
    /// Share of the picture (0 to 1) in saturated spots: pixels of 250 or more
    /// whose whole 9×9 surrounding averages 245 or more, as a light's
    /// reflection leaves them. White paper below saturation does not count.
    pub glare_share: f32,
    /// Share of pixels (0 to 1) darker than grey level 16: drowned in shadow.
    pub dark_share: f32,
}

/// Measures a picture; a picture below 3×3 pixels has focus 0.
pub fn measure(image: &GrayImage) -> Quality {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let raw = image.as_raw();
    let count = raw.len().max(1) as f64;
    let mut histogram = [0u64; 256];
    for &value in raw {
        histogram[usize::from(value)] += 1;
    }
    let levels = || histogram.iter().enumerate().map(|(level, &n)| (level as f64, n as f64));
    let mean = levels().map(|(level, n)| level * n).sum::<f64>() / count;
    let variance = levels().map(|(level, n)| (level - mean).powi(2) * n).sum::<f64>() / count;
    let dark: u64 = histogram.iter().take(16).sum();
    Quality {
        focus: laplacian_variance(raw, width, height) as f32,
        brightness: mean as f32,
        contrast: variance.sqrt() as f32,
        glare_share: glare_share(raw, width, height) as f32,
        dark_share: (dark as f64 / count) as f32,
    }
}

fn laplacian_variance(raw: &[u8], width: usize, height: usize) -> f64 {
    if width < 3 || height < 3 {
        return 0.0;
    }
    let (mut sum, mut squares) = (0i64, 0i64);
    let mut rows = raw.chunks_exact(width);
    let (Some(mut above), Some(mut here)) = (rows.next(), rows.next()) else { return 0.0 };
    for below in rows {
        let (mut row_sum, mut row_squares) = (0i32, 0i64);
        let sides = here.windows(3).zip(above.get(1..).unwrap_or(&[])).zip(below.get(1..).unwrap_or(&[]));
        for ((side, &up), &down) in sides {
            let value = i32::from(side[0]) + i32::from(side[2]) + i32::from(up) + i32::from(down)
                - 4 * i32::from(side[1]);
            row_sum += value;
            row_squares += i64::from(value * value);
        }
        sum += i64::from(row_sum);
        squares += row_squares;
        (above, here) = (here, below);
    }
    let count = ((width - 2) * (height - 2)) as f64;
    let mean = sum as f64 / count;
    squares as f64 / count - mean * mean
}

fn glare_share(raw: &[u8], width: usize, height: usize) -> f64 {
    const REACH: usize = 4;
    if width == 0 || height == 0 {
        return 0.0;
    }
    // Sums of each column over the window's rows slide down; a running sum slides across.
    let mut columns = vec![0u32; width];
    let row = |y: usize| raw.get(y * width..(y + 1) * width).unwrap_or(&[]);
    let add = |y: usize, sign: bool, columns: &mut Vec<u32>| {
        for (sum, &value) in columns.iter_mut().zip(row(y)) {
            *sum = if sign { *sum + u32::from(value) } else { *sum - u32::from(value) };
        }
    };
    for y in 0..REACH.min(height) {
        add(y, true, &mut columns);
    }
    let mut glaring = 0u64;
    for y in 0..height {
        if y + REACH < height {
            add(y + REACH, true, &mut columns);
        }
        if y > REACH {
            add(y - REACH - 1, false, &mut columns);
        }
        let rows = (y + REACH).min(height - 1) - y.saturating_sub(REACH) + 1;
        let mut sum: u32 = columns.iter().take(REACH.min(width)).sum();
        for (x, &value) in row(y).iter().enumerate() {
            if let Some(&next) = columns.get(x + REACH) {
                sum += next;
            }
            if x > REACH {
                sum -= columns.get(x - REACH - 1).copied().unwrap_or(0);
            }
            let across = (x + REACH).min(width - 1) - x.saturating_sub(REACH) + 1;
            glaring += u64::from(value >= 250 && sum as usize >= 245 * rows * across);
        }
    }
    glaring as f64 / raw.len().max(1) as f64
}
