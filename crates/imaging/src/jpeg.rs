//! JPEG: the marker walk (ISO/IEC 10918-1 annex B) and the decoder behind it.

use crate::door::{DecodeError, Decoded, Limits, Metadata, read_exif};
use crate::{RgbImage, jpeg_scan};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// What the walk found, and the file without anything the pixels do not need.
struct Walk {
    lean: Vec<u8>,
    width: u32,
    height: u32,
    /// Bytes of coefficients that a progressive picture holds at once.
    coefficients: u64,
    ended: bool,
    metadata: Metadata,
}

pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    let walk = walk(bytes, limits)?;
    let mut metadata = walk.metadata;
    metadata.truncated = !walk.ended;
    let pixels = match run(&walk.lean, limits, true) {
        Ok(pixels) => pixels,
        // Without its end marker and not decodable to the last block: it was cut.
        Err(_) if !walk.ended => return Err(DecodeError::Truncated),
        Err(error) if error.contains("remature end") || error.contains("xhausted") => {
            return Err(DecodeError::Truncated);
        }
        // Some cameras write stray bytes that a strict reader refuses.
        Err(_) => {
            metadata.damaged = true;
            run(&walk.lean, limits, false).map_err(DecodeError::malformed)?
        }
    };
    if pixels.dimensions() != (walk.width, walk.height) {
        return Err(DecodeError::malformed("the decoder found another size than the header"));
    }
    if ends_evenly(&pixels) && jpeg_scan::ends_early(&walk.lean) {
        return Err(DecodeError::Truncated);
    }
    Ok((pixels, metadata))
}

/// Whether the end of the last rows repeats itself from block to block: paper,
/// or what a decoder makes of missing bits. Small pictures always count.
fn ends_evenly(pixels: &RgbImage) -> bool {
    /// Width of the widest unit that blocks are coded in, in bytes.
    const UNIT: usize = 3 * 16;
    let stride = 3 * pixels.width() as usize;
    pixels.as_raw().rchunks_exact(stride.max(1)).take(2).all(|row| {
        let tail = row.get(stride / 2..).unwrap_or(&[]);
        tail.iter().zip(tail.get(UNIT..).unwrap_or(&[])).all(|(a, b)| a.abs_diff(*b) <= 2)
    })
}

fn run(lean: &[u8], limits: &Limits, strict: bool) -> Result<RgbImage, String> {
    let options = DecoderOptions::default()
        .set_max_width(limits.max_side as usize)
        .set_max_height(limits.max_side as usize)
        .jpeg_set_max_scans(limits.max_scans)
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .set_strict_mode(strict);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(lean), options);
    let pixels = decoder.decode().map_err(|error| format!("{error:?}"))?;
    let (width, height) = decoder.dimensions().ok_or("no size")?;
    let channels = decoder.output_colorspace().map_or(0, |space| space.num_components());
    let size = |side: usize| u32::try_from(side).map_err(|_| "size out of range".to_owned());
    let pixels = match channels {
        3 => pixels,
        1 => pixels.iter().flat_map(|&v| [v, v, v]).collect(),
        _ => return Err(format!("{channels} colour channels")),
    };
    RgbImage::from_raw(size(width)?, size(height)?, pixels).ok_or_else(|| "too few pixels".to_owned())
}

fn walk(bytes: &[u8], limits: &Limits) -> Result<Walk, DecodeError> {
    let mut walk = Walk {
        lean: Vec::with_capacity(bytes.len()),
        width: 0,
        height: 0,
        coefficients: 0,
        ended: false,
        metadata: Metadata { orientation: 1, pages: 1, ..Metadata::default() },
    };
    walk.lean.extend_from_slice(&[0xFF, 0xD8]);
    let (mut at, mut scans, mut segments) = (2, 0, 0);
    while let Some(marker) = next_marker(bytes, &mut at) {
        if marker == 0xD9 {
            walk.ended = true;
            break;
        }
        if matches!(marker, 0xD0..=0xD8 | 0x01) {
            continue;
        }
        segments += 1;
        if segments > 4096 {
            return Err(DecodeError::TooComplex { what: "thousands of segments".into() });
        }
        let length = match bytes.get(at..) {
            Some([high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])),
            _ => break,
        };
        let Some(body) = bytes.get(at + 2..at + length.max(2)) else { break };
        let segment = bytes.get(at..at + length.max(2)).unwrap_or(&[]);
        at += length.max(2);
        match marker {
            0xC0..=0xC2 => frame(body, marker == 0xC2, &mut walk, limits)?,
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                return Err(DecodeError::UnsupportedFormat {
                    name: "lossless, hierarchical or arithmetic JPEG".into(),
                });
            }
            0xE1 => {
                if let Some(block) = body.strip_prefix(b"Exif\0\0") {
                    read_exif(block, &mut walk.metadata);
                }
                continue;
            }
            0xE0 | 0xE2..=0xED | 0xEF | 0xFE => continue,
            _ => {}
        }
        walk.lean.extend_from_slice(&[0xFF, marker]);
        walk.lean.extend_from_slice(segment);
        if marker == 0xDA {
            scans += 1;
            if scans > limits.max_scans {
                return Err(DecodeError::TooComplex { what: "too many scans".into() });
            }
            let end = end_of_scan(bytes, at);
            walk.lean.extend_from_slice(bytes.get(at..end).unwrap_or(&[]));
            at = end;
        }
    }
    if walk.width == 0 {
        let error = if walk.ended { DecodeError::NoPixels } else { DecodeError::Truncated };
        return Err(error);
    }
    if scans == 0 {
        return Err(if walk.ended { DecodeError::malformed("no scan") } else { DecodeError::Truncated });
    }
    if walk.ended {
        walk.lean.extend_from_slice(&[0xFF, 0xD9]);
        walk.metadata.trailing_bytes = bytes.len().saturating_sub(at);
    }
    Ok(walk)
}

/// The next marker's code; `at` moves behind it. Bytes between segments are skipped.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        let rest = bytes.get(*at..)?;
        let start = rest.iter().position(|&b| b == 0xFF)?;
        let code = rest.get(start..)?.iter().position(|&b| b != 0xFF)?;
        *at += start + code + 1;
        match rest.get(start + code) {
            Some(0) => {}
            Some(&marker) => return Some(marker),
            None => return None,
        }
    }
}

/// Where the entropy-coded data that begins at `at` ends: at the next marker
/// that is neither a stuffed zero nor a restart.
fn end_of_scan(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xFF)) {
        match bytes.get(at + found + 1) {
            Some(0 | 0xD0..=0xD7) => at += found + 2,
            Some(0xFF) => at += found + 1,
            Some(_) => return at + found,
            None => break,
        }
    }
    bytes.len()
}

/// The frame header (B.2.2): sizes and sampling.
fn frame(body: &[u8], progressive: bool, walk: &mut Walk, limits: &Limits) -> Result<(), DecodeError> {
    let [precision, h1, h0, w1, w0, count, components @ ..] = body else {
        return Err(DecodeError::malformed("short frame header"));
    };
    if walk.width != 0 {
        return Err(DecodeError::malformed("two frames"));
    }
    if *precision != 8 {
        return Err(DecodeError::UnsupportedFormat { name: "12-bit JPEG".into() });
    }
    let (width, height) =
        (u32::from(u16::from_be_bytes([*w1, *w0])), u32::from(u16::from_be_bytes([*h1, *h0])));
    limits.check_size(width, height)?;
    let sampling: Vec<(u64, u64)> = components
        .chunks_exact(3)
        .take(usize::from(*count))
        .map(|c| (u64::from(c[1] >> 4).clamp(1, 4), u64::from(c[1] & 15).clamp(1, 4)))
        .collect();
    let most = |pick: fn(&(u64, u64)) -> u64| sampling.iter().map(pick).max().unwrap_or(1);
    let (across, down) = (most(|s| s.0), most(|s| s.1));
    let pixels = u64::from(width) * u64::from(height);
    if progressive {
        walk.coefficients = sampling.iter().map(|(h, v)| pixels * h * v * 2 / (across * down)).sum();
    }
    limits.check_memory(pixels * 3 + walk.coefficients)?;
    walk.metadata.stored_size = (width, height);
    (walk.width, walk.height) = (width, height);
    Ok(())
}
