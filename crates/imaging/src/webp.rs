//! WebP: the chunk walk (RFC 9649 §2) and the decoder behind it.

use crate::door::{DecodeError, Decoded, Limits, Metadata, pixels_of, read_exif};

pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    let mut metadata = Metadata { orientation: 1, pages: 1, ..Metadata::default() };
    let Some(&[a, b, c, d]) = bytes.get(4..).and_then(|rest| rest.first_chunk::<4>()) else {
        return Err(DecodeError::Truncated);
    };
    let end = 8 + u32::from_le_bytes([a, b, c, d]) as usize;
    if end > bytes.len() {
        return Err(DecodeError::Truncated);
    }
    metadata.trailing_bytes = bytes.len() - (end + end % 2).min(bytes.len());
    let mut body: Vec<u8> = b"WEBP".to_vec();
    let mut at = 12;
    let mut pictures = 0;
    while at + 8 <= end {
        let Some(&[k0, k1, k2, k3, a, b, c, d]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>())
        else {
            break;
        };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let Some(content) = bytes.get(at + 8..at + 8 + length) else { return Err(DecodeError::Truncated) };
        at += 8 + length + length % 2;
        let kind = [k0, k1, k2, k3];
        let mut head = content.to_vec();
        match (&kind, content) {
            (b"VP8X", &[flags, _, _, _, w0, w1, w2, h0, h1, h2]) => {
                if flags & 0x02 != 0 {
                    return Err(DecodeError::UnsupportedFormat { name: "animated WebP".into() });
                }
                let side = |b0, b1, b2| 1 + u32::from_le_bytes([b0, b1, b2, 0]);
                size(side(w0, w1, w2), side(h0, h1, h2), &mut metadata, limits)?;
                // Only the alpha flag stays: profile, EXIF and XMP are not passed on.
                head[0] = flags & 0x10;
            }
            (b"VP8 ", &[_, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1, ..]) => {
                size(
                    u32::from(u16::from_le_bytes([w0, w1]) & 0x3FFF),
                    u32::from(u16::from_le_bytes([h0, h1]) & 0x3FFF),
                    &mut metadata,
                    limits,
                )?;
                pictures += 1;
            }
            (b"VP8L", &[0x2F, b0, b1, b2, b3, ..]) => {
                let bits = u32::from_le_bytes([b0, b1, b2, b3]);
                size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, &mut metadata, limits)?;
                pictures += 1;
            }
            (b"ALPH", _) => {}
            (b"EXIF", _) => {
                read_exif(content.strip_prefix(b"Exif\0\0").unwrap_or(content), &mut metadata);
                continue;
            }
            (b"VP8X" | b"VP8 " | b"VP8L", _) => return Err(DecodeError::malformed("short picture chunk")),
            _ => continue,
        }
        if pictures > 1 {
            return Err(DecodeError::malformed("two pictures"));
        }
        body.extend_from_slice(&kind);
        body.extend_from_slice(&u32::try_from(length).unwrap_or(0).to_le_bytes());
        body.extend_from_slice(&head);
        if length % 2 == 1 {
            body.push(0);
        }
    }
    if pictures == 0 {
        return Err(if metadata.stored_size.0 == 0 {
            DecodeError::malformed("no picture")
        } else {
            DecodeError::Truncated
        });
    }
    let mut lean = b"RIFF".to_vec();
    lean.extend_from_slice(&u32::try_from(body.len()).unwrap_or(0).to_le_bytes());
    lean.append(&mut body);
    let decoder =
        image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(lean)).map_err(DecodeError::malformed)?;
    Ok((pixels_of(decoder, limits)?, metadata))
}

fn size(width: u32, height: u32, metadata: &mut Metadata, limits: &Limits) -> Result<(), DecodeError> {
    limits.check_size(width, height)?;
    limits.check_memory(u64::from(width) * u64::from(height) * 8)?;
    if metadata.stored_size == (0, 0) {
        metadata.stored_size = (width, height);
    }
    if metadata.stored_size != (width, height) {
        return Err(DecodeError::malformed("canvas and picture differ in size"));
    }
    Ok(())
}
