//! DG2: the face image, in ISO/IEC 19794-5 or ISO/IEC 39794-5 form (ICAO 9303-10 4.7.2).
//!
//! Hands out the image bytes as they are (JPEG or JPEG 2000), told apart by their magic, not
//! by what the record claims. JPEG goes through the product's one decoding door; JPEG 2000 is turned
//! into pixels here ([`FaceImage::decode_jpeg2000`]).

use crate::ber::{Error, Reader, Tlv, first};

/// Most images a record may hold; documents have one.
const MAX_IMAGES: usize = 16;

/// The biometric format a face came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum RecordFormat {
    /// ISO/IEC 19794-5:2005.
    #[serde(rename = "ISO/IEC 19794-5")]
    Iso19794,
    /// ISO/IEC 39794-5:2019.
    #[serde(rename = "ISO/IEC 39794-5")]
    Iso39794,
}

/// The coding of an image, by its magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum ImageFormat {
    /// JPEG.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// JPEG 2000, as a JP2 file or a bare code stream.
    #[serde(rename = "image/jp2")]
    Jpeg2000,
    /// PNG, seen in no passport but allowed by 39794.
    #[serde(rename = "image/png")]
    Png,
    /// Something else.
    #[serde(rename = "application/octet-stream")]
    Unknown,
}

/// One face image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaceImage {
    /// The record's form.
    pub record: RecordFormat,
    /// The image's coding.
    pub format: ImageFormat,
    /// The encoded image.
    pub bytes: Vec<u8>,
    /// Width and height in pixels as the image itself says.
    pub size: Option<(u32, u32)>,
    /// Width and height as a 19794-5 record claims; they may disagree with the image.
    pub claimed_size: Option<(u16, u16)>,
    /// How many feature points or landmarks the record holds.
    pub feature_points: usize,
}

/// Decoded pixels: 8-bit RGB, row by row from the top left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Three bytes a pixel.
    pub rgb: Vec<u8>,
}

/// Why a JPEG 2000 image gave no pixels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Another coding.
    #[error("not a JPEG 2000 image")]
    OtherFormat,
    /// Larger, or cut into more pieces, than a document's face ever is; or its headers are broken.
    #[error("image is broken or larger than a portrait")]
    TooLarge,
    /// The decoder gave up.
    #[error("image cannot be decoded")]
    Broken,
    /// Built without the decoder.
    #[error("built without JPEG 2000")]
    NotBuilt,
}

impl FaceImage {
    fn new(record: RecordFormat, bytes: &[u8]) -> Self {
        let format = sniff(bytes);
        let size = match format {
            ImageFormat::Jpeg => jpeg_size(bytes),
            ImageFormat::Jpeg2000 => jpeg2000_size(bytes),
            _ => None,
        };
        Self { record, format, bytes: bytes.to_vec(), size, claimed_size: None, feature_points: 0 }
    }

    /// Decodes a JPEG 2000 image.
    #[cfg(feature = "jpeg2000")]
    pub fn decode_jpeg2000(&self) -> Result<Pixels, DecodeError> {
        if self.format != ImageFormat::Jpeg2000 {
            return Err(DecodeError::OtherFormat);
        }
        let bearable = super::jpeg2000::bearable(&self.bytes).ok_or(DecodeError::TooLarge)?;
        // The decoder is not ours: should it panic on hostile input, the image is broken, not the server.
        let decoded = std::panic::catch_unwind(|| {
            let settings = hayro_jpeg2000::DecodeSettings { strict: false, ..Default::default() };
            let image = hayro_jpeg2000::Image::new(&self.bytes, &settings).ok()?;
            // what the decoder is about to do is what was found to be bearable
            if (image.width(), image.height()) != bearable {
                return None;
            }
            let mut context = hayro_jpeg2000::DecoderContext::default();
            let decoded = image.decode(&mut context).ok()?.data_u8();
            Some((decoded, image.width(), image.height()))
        });
        let (decoded, width, height) = decoded.ok().flatten().ok_or(DecodeError::Broken)?;
        let pixels = width as usize * height as usize;
        let channels = decoded.len().checked_div(pixels).unwrap_or(0);
        let rgb = match channels {
            1 => decoded.iter().flat_map(|v| [*v; 3]).collect(),
            2 => decoded.chunks_exact(2).flat_map(|v| [v[0]; 3]).collect(),
            3 => decoded,
            4 => decoded.chunks_exact(4).flat_map(|v| [v[0], v[1], v[2]]).collect(),
            _ => return Err(DecodeError::Broken),
        };
        Ok(Pixels { width, height, rgb })
    }

    /// Decodes a JPEG 2000 image.
    #[cfg(not(feature = "jpeg2000"))]
    pub fn decode_jpeg2000(&self) -> Result<Pixels, DecodeError> {
        Err(DecodeError::NotBuilt)
    }
}

/// Parses DG2: 75 { 7F61 { 02 n, 7F60 { A1 header, 5F2E or 7F2E record }… } }. Also takes a bare record.
pub fn parse(bytes: &[u8]) -> Result<Vec<FaceImage>, Error> {
    if bytes.starts_with(b"FAC\0") {
        return iso19794(bytes);
    }
    let outer = first(bytes)?;
    if matches!(outer.tag, 0xA1 | 0x65) {
        return iso39794(&outer);
    }
    if outer.tag != 0x75 {
        return Err(Error::Unexpected { expected: 0x75, found: outer.tag });
    }
    let mut group = outer.reader().expect(0x7F61)?.reader();
    group.optional(0x02)?;
    let mut faces = Vec::new();
    while let Some(template) = group.optional(0x7F60)? {
        for field in template.children()? {
            match field.tag {
                0x5F2E => faces.extend(iso19794(field.content)?),
                // 7F2E holds 39794 elements, or (seldom) a 19794 record in disguise
                0x7F2E if field.content.starts_with(b"FAC\0") => faces.extend(iso19794(field.content)?),
                0x7F2E => faces.extend(iso39794(&first(field.content)?)?),
                _ => {}
            }
        }
        if faces.len() > MAX_IMAGES {
            return Err(Error::Malformed);
        }
    }
    if faces.is_empty() { Err(Error::Value) } else { Ok(faces) }
}

/// ISO/IEC 19794-5:2005 clause 5: header 14 bytes, then per face 20 bytes, 8 per feature point, 12, image.
fn iso19794(bytes: &[u8]) -> Result<Vec<FaceImage>, Error> {
    let u16_at = |at: usize| bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map(u16::from_be_bytes);
    let u32_at = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    let to_usize = |n: u32| usize::try_from(n).map_err(|_| Error::Malformed);
    let count = usize::from(u16_at(12).ok_or(Error::Truncated)?);
    if !bytes.starts_with(b"FAC\0") || count == 0 || count > MAX_IMAGES {
        return Err(Error::Value);
    }
    let mut at = 14usize;
    let mut faces = Vec::new();
    for _ in 0..count {
        let length = to_usize(u32_at(at).ok_or(Error::Truncated)?)?;
        let points = usize::from(u16_at(at + 4).ok_or(Error::Truncated)?);
        let information = at + 20 + 8 * points;
        let end = at.checked_add(length).ok_or(Error::Malformed)?;
        let start = information + 12;
        // A wrong length happens when there is one face: then the image reaches to the end.
        let image = match bytes.get(start..end) {
            Some(image) if !image.is_empty() => image,
            _ if count == 1 => bytes.get(start..).ok_or(Error::Truncated)?,
            _ => return Err(Error::Truncated),
        };
        let mut face = FaceImage::new(RecordFormat::Iso19794, image);
        face.feature_points = points;
        face.claimed_size = u16_at(information + 2).zip(u16_at(information + 4));
        faces.push(face);
        at = end;
    }
    Ok(faces)
}

/// ISO/IEC 39794-5 in its ICAO profile (implicit tags): the one path that leads to the image, and the landmarks' count.
fn iso39794(element: &Tlv<'_>) -> Result<Vec<FaceImage>, Error> {
    let block = if element.tag == 0x65 { *element } else { Reader::new(element.content).expect(0x65)? };
    let mut fields = block.reader();
    fields.expect(0xA0)?;
    let mut faces = Vec::new();
    for representation in fields.expect(0xA1)?.children()? {
        let mut fields = representation.reader();
        fields.expect(0x80)?;
        let base = fields.expect(0xA1)?.reader().expect(0xA0)?;
        let image = base.reader().expect(0xA0)?.reader().expect(0x80)?;
        let mut face = FaceImage::new(RecordFormat::Iso39794, image.content);
        while !fields.is_empty() {
            let field = fields.next()?;
            if field.tag == 0xA9 {
                face.feature_points = field.children()?.len();
            }
        }
        faces.push(face);
        if faces.len() > MAX_IMAGES {
            return Err(Error::Malformed);
        }
    }
    if faces.is_empty() { Err(Error::Value) } else { Ok(faces) }
}

/// Tells the coding by the first bytes.
pub fn sniff(bytes: &[u8]) -> ImageFormat {
    if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
        ImageFormat::Jpeg
    } else if bytes.starts_with(&[0, 0, 0, 0x0C, b'j', b'P', b' ', b' '])
        || bytes.starts_with(&[0xFF, 0x4F, 0xFF, 0x51])
    {
        ImageFormat::Jpeg2000
    } else if bytes.starts_with(&[0x89, b'P', b'N', b'G']) {
        ImageFormat::Png
    } else {
        ImageFormat::Unknown
    }
}

/// Width and height from the frame header.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2usize;
    loop {
        let [0xFF, marker] = *bytes.get(at..at + 2)? else { return None };
        if marker == 0xFF {
            at += 1;
            continue;
        }
        let length = usize::from(u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?));
        if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
            let number = |from: usize| {
                bytes.get(from..from + 2).and_then(|b| b.try_into().ok()).map(u16::from_be_bytes)
            };
            return Some((u32::from(number(at + 7)?), u32::from(number(at + 5)?)));
        }
        at = at.checked_add(2 + length.max(2))?;
    }
}

/// Width and height from the SIZ marker segment of the code stream.
fn jpeg2000_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let start = bytes.windows(4).position(|w| w == [0xFF, 0x4F, 0xFF, 0x51])?;
    let number = |at: usize| {
        bytes.get(start + at..start + at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes)
    };
    Some((number(8)?.checked_sub(number(16)?)?, number(12)?.checked_sub(number(20)?)?))
}
