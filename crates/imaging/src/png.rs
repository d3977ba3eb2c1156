//! PNG: the chunk walk (ISO/IEC 15948 §5) and the decoder behind it.
//!
//! The decoder is given a rebuilt file of IHDR, PLTE, tRNS, IDAT and IEND only.
//! Compressed text and colour profiles, which unpack without a bound, never
//! reach it; of an animated PNG only the still picture does.

use crate::door::{DecodeError, Decoded, Limits, Metadata, pixels_of, printable, read_exif};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Most bytes of a packed colour profile or text; real ones are some kilobytes.
const MAX_PACKED_METADATA: usize = 128 * 1024;

pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    let mut metadata = Metadata { orientation: 1, pages: 1, ..Metadata::default() };
    let mut lean = Vec::with_capacity(bytes.len().min(limits.max_bytes));
    lean.extend_from_slice(SIGNATURE);
    let (mut at, mut packed, mut most_packed, mut chunks) = (SIGNATURE.len(), 0u64, 0u64, 0u32);
    let mut ended = false;
    while !ended {
        chunks += 1;
        if chunks > 100_000 {
            return Err(DecodeError::TooComplex { what: "too many chunks".into() });
        }
        let Some((length, kind)) = header(bytes, at) else { return Err(DecodeError::Truncated) };
        if length > 0x7FFF_FFFF {
            return Err(DecodeError::malformed("chunk length out of range"));
        }
        let end = at + 12 + length;
        let (Some(whole), Some(body)) = (bytes.get(at..end), bytes.get(at + 8..at + 8 + length)) else {
            return Err(DecodeError::Truncated);
        };
        at = end;
        match &kind {
            b"IHDR" => most_packed = picture_header(body, &mut metadata, limits)?,
            b"IDAT" => packed += length as u64,
            b"IEND" => ended = true,
            b"PLTE" | b"tRNS" => {}
            b"eXIf" => {
                read_exif(body, &mut metadata);
                continue;
            }
            b"tEXt" => {
                if let Some(text) = body.strip_prefix(b"Software\0") {
                    metadata.software =
                        printable(&String::from_utf8_lossy(text.get(..256).unwrap_or(text)), 64);
                }
                continue;
            }
            // Nothing here unpacks them, yet a profile or text of this size is no camera's: it is there to harm.
            b"iCCP" | b"zTXt" if length > MAX_PACKED_METADATA => {
                return Err(DecodeError::TooComplex { what: "its metadata is packed too large".into() });
            }
            [b'A'..=b'Z', ..] => return Err(DecodeError::malformed("unknown critical chunk")),
            _ => continue,
        }
        if metadata.stored_size.0 == 0 {
            return Err(DecodeError::malformed("the first chunk is not IHDR"));
        }
        if packed > most_packed {
            return Err(DecodeError::TooComplex {
                what: "more pixel data than the picture has pixels".into(),
            });
        }
        lean.extend_from_slice(whole);
    }
    metadata.trailing_bytes = bytes.len().saturating_sub(at);
    if packed == 0 {
        return Err(DecodeError::malformed("no pixel data"));
    }
    let decoder =
        image::codecs::png::PngDecoder::with_limits(std::io::Cursor::new(lean), limits.for_decoder())
            .map_err(|error| match error {
                image::ImageError::Limits(_) => {
                    DecodeError::TooComplex { what: "decoding it would take too much memory".into() }
                }
                other => DecodeError::malformed(other),
            })?;
    Ok((pixels_of(decoder, limits)?, metadata))
}

fn header(bytes: &[u8], at: usize) -> Option<(usize, [u8; 4])> {
    let head: &[u8; 8] = bytes.get(at..)?.first_chunk()?;
    let [a, b, c, d, kind @ ..] = *head;
    Some((u32::from_be_bytes([a, b, c, d]) as usize, kind))
}

/// Checks IHDR (§11.2.1); returns the most bytes of packed pixel data that an
/// honest encoder can need: the rows stored uncompressed, and some.
fn picture_header(body: &[u8], metadata: &mut Metadata, limits: &Limits) -> Result<u64, DecodeError> {
    let [w3, w2, w1, w0, h3, h2, h1, h0, depth, colour, _, _, interlace] = *body else {
        return Err(DecodeError::malformed("IHDR of a wrong length"));
    };
    if metadata.stored_size.0 != 0 {
        return Err(DecodeError::malformed("two IHDR"));
    }
    let (width, height) = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
    limits.check_size(width, height)?;
    let channels = match colour {
        0 | 3 => 1,
        2 => 3,
        4 => 2,
        6 => 4,
        _ => return Err(DecodeError::malformed("unknown colour type")),
    };
    if !matches!(depth, 1 | 2 | 4 | 8 | 16) {
        return Err(DecodeError::malformed("unknown bit depth"));
    }
    metadata.stored_size = (width, height);
    let row = (u64::from(width) * channels * u64::from(depth)).div_ceil(8) + 1;
    let rows = u64::from(height) * if interlace == 0 { 1 } else { 2 };
    let raw = row * rows;
    limits
        .check_memory(u64::from(width) * u64::from(height) * (3 + channels * u64::from(depth).div_ceil(8)))?;
    Ok(raw + raw / 16 + 65_536)
}
