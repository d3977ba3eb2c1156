//! TIFF pictures in luminance and subsampled colour difference (TIFF 6.0 §21), which the decoder behind [`crate::tiff`]
//! does not read: uncompressed or PackBits (§9), in strips.
//!
//! Every strip gives as many units of samples as its rows have, or the file is cut short; nothing is read past a strip,
//! and no run unpacks to more than a strip can use.

use crate::RgbImage;
use crate::door::DecodeError;

/// What the directory says of such a picture.
pub(crate) struct Layout {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Columns and rows that share one pair of colour differences: 1, 2 or 4 (tag 530).
    pub(crate) subsampling: (u32, u32),
    pub(crate) rows_per_strip: u32,
    /// Where each strip begins and how long it is.
    pub(crate) strips: Vec<(u32, u32)>,
    /// Compression is PackBits; else none.
    pub(crate) packed: bool,
    /// Black and white of Y, Cb and Cr (tag 532).
    pub(crate) reference: [f32; 6],
    /// Shares of red, green and blue in luminance (tag 529).
    pub(crate) luma: [f32; 3],
}

/// Black and white where tag 532 is absent.
pub(crate) const FULL_RANGE: [f32; 6] = [0.0, 255.0, 128.0, 255.0, 128.0, 255.0];
/// Shares of luminance where tag 529 is absent (CCIR 601-1).
pub(crate) const CCIR_601: [f32; 3] = [0.299, 0.587, 0.114];

pub(crate) fn decode(bytes: &[u8], layout: &Layout) -> Result<RgbImage, DecodeError> {
    let (h, v) = layout.subsampling;
    if ![1, 2, 4].contains(&h) || ![1, 2, 4].contains(&v) || layout.rows_per_strip == 0 {
        return Err(DecodeError::malformed("its colour subsampling is none that TIFF has"));
    }
    let [red, green, blue] = layout.luma;
    if green <= 0.0 || !(0.0..1.0).contains(&red) || !(0.0..1.0).contains(&blue) {
        return Err(DecodeError::malformed("its luminance has no shares of the colours"));
    }
    let mut out = RgbImage::new(layout.width, layout.height);
    let across = layout.width.div_ceil(h);
    let unit = (h * v + 2) as usize;
    let mut top = 0;
    for &(start, length) in &layout.strips {
        if top >= layout.height {
            break;
        }
        let rows = layout.rows_per_strip.min(layout.height - top);
        let wanted = across as usize * rows.div_ceil(v) as usize * unit;
        let end = (start as usize).checked_add(length as usize).ok_or(DecodeError::Truncated)?;
        let stored = bytes.get(start as usize..end).ok_or(DecodeError::Truncated)?;
        let unpacked;
        let samples = if layout.packed {
            unpacked = unpack(stored, wanted);
            &unpacked
        } else {
            stored
        };
        if samples.len() < wanted {
            return Err(DecodeError::Truncated);
        }
        for (index, unit) in samples.chunks_exact(unit).take(wanted / unit).enumerate() {
            let (left, upper) = (index as u32 % across * h, top + index as u32 / across * v);
            let [.., cb, cr] = unit else { continue };
            let scaled = |value: u8, pair: usize, full: f32| {
                let (black, white) = (layout.reference[2 * pair], layout.reference[2 * pair + 1]);
                (f32::from(value) - black) * full / (white - black).abs().max(1.0)
            };
            let (cb, cr) = (scaled(*cb, 1, 127.0), scaled(*cr, 2, 127.0));
            for (k, y) in unit.iter().take((h * v) as usize).enumerate() {
                let (x, row) = (left + k as u32 % h, upper + k as u32 / h);
                if x >= layout.width || row >= layout.height {
                    continue;
                }
                let y = scaled(*y, 0, 255.0);
                let r = cr * (2.0 - 2.0 * red) + y;
                let b = cb * (2.0 - 2.0 * blue) + y;
                let g = (y - blue * b - red * r) / green;
                out.put_pixel(x, row, [r, g, b].map(|c| c.round().clamp(0.0, 255.0) as u8).into());
            }
        }
        top += rows;
    }
    if top < layout.height {
        return Err(DecodeError::Truncated);
    }
    Ok(out)
}

/// PackBits (TIFF 6.0 §9), no further than `most` bytes.
fn unpack(mut stored: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(most.min(stored.len().saturating_mul(64)));
    while let Some((&head, rest)) = stored.split_first() {
        if out.len() >= most {
            break;
        }
        let used = match head.cast_signed() {
            n @ 0.. => {
                let length = (usize::from(n.unsigned_abs()) + 1).min(rest.len());
                out.extend_from_slice(&rest[..length]);
                length
            }
            -128 => 0,
            n => {
                let Some(&value) = rest.first() else { break };
                out.extend(std::iter::repeat_n(value, usize::from(n.unsigned_abs()) + 1));
                1
            }
        };
        stored = &rest[used..];
    }
    out.truncate(most);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(width: u32, height: u32, length: u32, packed: bool) -> Layout {
        Layout {
            width,
            height,
            subsampling: (2, 2),
            rows_per_strip: height,
            strips: vec![(0, length)],
            packed,
            reference: FULL_RANGE,
            luma: CCIR_601,
        }
    }

    #[test]
    fn packbits_unpacks_the_example_of_the_standard() {
        // TIFF 6.0 §9, page 42.
        let packed =
            [0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7, 0xAA];
        let plain = [
            0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22, 0xAA, 0xAA,
            0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
        ];
        assert_eq!(unpack(&packed, 100), plain);
        assert_eq!(unpack(&packed, 5), plain[..5]);
        assert!(unpack(&[0xFE], 5).is_empty());
    }

    #[test]
    fn grey_stays_grey_red_is_red_and_odd_edges_are_cut() {
        // Three pixels wide, one row: two units of 2 × 2, the second half outside.
        let grey = [10, 20, 0, 0, 128, 128, 30, 0, 0, 0, 128, 128];
        let picture = decode(&grey, &layout(3, 1, 12, false)).expect("decodes");
        assert_eq!(picture.as_raw(), &[10, 10, 10, 20, 20, 20, 30, 30, 30]);
        let red = [76, 76, 76, 76, 85, 255];
        let picture = decode(&red, &layout(2, 2, 6, false)).expect("decodes");
        let [r, g, b] = picture.get_pixel(1, 1).0;
        assert!(r > 250 && g < 4 && b < 4, "{r} {g} {b}");
    }

    #[test]
    fn a_strip_that_is_short_or_outside_the_file_is_refused() {
        assert!(matches!(decode(&[0; 5], &layout(2, 2, 5, false)), Err(DecodeError::Truncated)));
        assert!(matches!(decode(&[0; 5], &layout(2, 2, 6, false)), Err(DecodeError::Truncated)));
        assert!(matches!(decode(&[0xFB, 1], &layout(4, 2, 2, true)), Err(DecodeError::Truncated)));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, width in 1u32..40, height in 1u32..40, start: u32, length: u32, packed: bool) {
            let strips = vec![(start % 64, length % 256), (0, bytes.len() as u32)];
            let _ = decode(&bytes, &Layout { rows_per_strip: height.div_ceil(2), strips, ..layout(width, height, 0, packed) });
        }
    }
}
