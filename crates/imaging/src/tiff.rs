//! TIFF: the directory walk (TIFF 6.0 §2) and the decoder behind it.
//!
//! Only the first page is decoded; the others are counted, with loops refused.

use crate::door::{DecodeError, Decoded, Limits, Metadata, pixels_of, read_exif};
use crate::exif::Reader;
use crate::tiff_ycc;

pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    let mut metadata = Metadata { orientation: 1, ..Metadata::default() };
    let reader = Reader::new(bytes).ok_or(DecodeError::UnknownFormat)?;
    let first = reader.u32(4).ok_or(DecodeError::Truncated)?;
    let (entries, mut next) = reader.directory(first).ok_or(DecodeError::Truncated)?;
    let mut seen = vec![first];
    while next != 0 {
        if seen.contains(&next) {
            return Err(DecodeError::malformed("its pages form a loop"));
        }
        if seen.len() >= limits.max_pages {
            return Err(DecodeError::TooManyPages { max: limits.max_pages });
        }
        seen.push(next);
        next = reader.directory(next).ok_or(DecodeError::Truncated)?.1;
    }
    metadata.pages = seen.len();
    let values = |tag: u16, max: usize| {
        entries.iter().find(|e| e.tag == tag).map(|&e| reader.numbers(e, max)).unwrap_or_default()
    };
    let one = |tag: u16| values(tag, 1).first().copied();
    let (width, height) = (one(256).unwrap_or(0), one(257).unwrap_or(0));
    limits.check_size(width, height)?;
    metadata.stored_size = (width, height);
    let samples = u64::from(one(277).unwrap_or(1).clamp(1, 16));
    let bits = u64::from(values(258, 8).into_iter().max().unwrap_or(1).clamp(1, 64));
    let pixels = u64::from(width) * u64::from(height);
    limits.check_memory(pixels * (3 + samples * bits.div_ceil(8)))?;
    if !matches!(one(259).unwrap_or(1), 1 | 2 | 3 | 4 | 5 | 7 | 8 | 32773 | 32946) {
        return Err(DecodeError::UnsupportedFormat { name: "so compressed TIFF".into() });
    }
    let (tile_width, tile_height) = (one(322).unwrap_or(1), one(323).unwrap_or(1));
    limits.check_size(tile_width, tile_height)?;
    let (offsets, counts) = if one(324).is_some() { (324, 325) } else { (273, 279) };
    for (start, count) in values(offsets, 1 << 20).iter().zip(values(counts, 1 << 20)) {
        if u64::from(*start) + u64::from(count) > bytes.len() as u64 {
            return Err(DecodeError::Truncated);
        }
    }
    read_exif(bytes, &mut metadata);
    let subsampling = values(530, 2);
    let subsampled = one(262) == Some(6) && matches!(one(259), Some(1 | 32773)) && samples == 3 && bits == 8;
    if subsampled && offsets == 273 && one(284).unwrap_or(1) == 1 {
        let fractions = |tag: u16, max: usize| {
            entries.iter().find(|e| e.tag == tag).map(|&e| reader.fractions(e, max)).unwrap_or_default()
        };
        let layout = tiff_ycc::Layout {
            width,
            height,
            // Two by two where the tag is absent (§21).
            subsampling: match subsampling[..] {
                [across, down] => (across, down),
                _ => (2, 2),
            },
            rows_per_strip: one(278).unwrap_or(height),
            strips: values(273, 1 << 20).into_iter().zip(values(279, 1 << 20)).collect(),
            packed: one(259) == Some(32773),
            reference: fractions(532, 6).try_into().unwrap_or(tiff_ycc::FULL_RANGE),
            luma: fractions(529, 3).try_into().unwrap_or(tiff_ycc::CCIR_601),
        };
        return Ok((tiff_ycc::decode(bytes, &layout)?, metadata));
    }
    let decoder =
        image::codecs::tiff::TiffDecoder::new(std::io::Cursor::new(bytes)).map_err(DecodeError::malformed)?;
    Ok((pixels_of(decoder, limits)?, metadata))
}
