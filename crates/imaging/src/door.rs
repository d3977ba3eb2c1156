//! The one decoding door.
//!
//! Order of work, so that nothing costly happens before it is known to be
//! bounded: size in bytes → format by content → a header walk of our own that
//! finds sizes, scans, pages and metadata without decompressing anything →
//! limits → a copy of the file that holds only what the pixels need → a pure
//! Rust decoder under its own limits → upright RGB.
//!
//! A picture's metadata never passes this door: only the [`Metadata`] summary
//! does. What is shown or handed out later must be written anew by
//! [`crate::encode_jpeg`], so that a file that is also HTML or a ZIP archive
//! is never served as such.

use crate::{RgbImage, exif, jpeg, pdf, png, tiff, webp};
use image::{DynamicImage, ImageDecoder};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

/// A decoded picture, upright.
#[derive(Debug, Clone)]
pub struct Picture {
    /// RGB pixels, turned upright as the EXIF orientation says; transparent
    /// pixels are laid on white.
    pub pixels: RgbImage,
    /// What the file was, by its content.
    pub format: Format,
    /// SHA-256 of the file's bytes as given.
    pub sha256: [u8; 32],
    /// A summary of what the file said about itself.
    pub metadata: Metadata,
}

/// The formats that pass the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG: ISO/IEC 10918-1, Huffman coded, baseline to progressive.
    Jpeg,
    /// PNG: ISO/IEC 15948; of an animated one the still picture.
    Png,
    /// WebP: RFC 9649, not animated.
    Webp,
    /// TIFF 6.0, the first page.
    Tiff,
    /// PDF: ISO 32000, rendered.
    Pdf,
}

impl Metadata {
    /// The summary as another process gave it, within the bounds that this type promises.
    #[must_use]
    pub fn cleaned(self) -> Self {
        let text = |text: Option<String>| text.and_then(|text| printable(&text, 64));
        Self {
            orientation: if (1..=8).contains(&self.orientation) { self.orientation } else { 1 },
            software: text(self.software),
            make: text(self.make),
            model: text(self.model),
            datetime: text(self.datetime),
            ..self
        }
    }
}

impl Format {
    /// The registered media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Tiff => "image/tiff",
            Self::Pdf => "application/pdf",
        }
    }
}

/// What a file said about itself. Texts are cut to 64 printable characters;
/// all of it is the sender's claim, none of it is proof.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Metadata {
    /// Width and height as stored, before the orientation was applied.
    pub stored_size: (u32, u32),
    /// EXIF orientation 1 to 8; 1 when absent.
    pub orientation: u8,
    /// Program that wrote the file (EXIF `Software`, PNG `Software`, PDF `Producer`/`Creator`).
    pub software: Option<String>,
    /// Maker of the camera.
    pub make: Option<String>,
    /// Model of the camera.
    pub model: Option<String>,
    /// When it was taken, as written (EXIF `DateTimeOriginal`, else `DateTime`).
    pub datetime: Option<String>,
    /// Whether a GPS position was present. The position itself is not read.
    pub has_gps: bool,
    /// The file ends before its end marker, yet all pixels are there.
    pub truncated: bool,
    /// The decoder met faults in the pixel data and went on.
    pub damaged: bool,
    /// Bytes after the picture's end: another file may hide there.
    pub trailing_bytes: usize,
    /// Pages the file has, as far as they were counted.
    pub pages: usize,
}

/// What the door lets through.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Largest file, in bytes.
    pub max_bytes: usize,
    /// Most pixels (width × height) of one picture.
    pub max_pixels: u64,
    /// Longest side in pixels.
    pub max_side: u32,
    /// Smallest side in pixels.
    pub min_side: u32,
    /// Most pages of a PDF or TIFF; a file with more is refused.
    pub max_pages: usize,
    /// Most pages [`decode_pages`] renders; the rest is only counted.
    pub max_rendered_pages: usize,
    /// Most scans of a progressive JPEG. Ordinary encoders write 3 to 12.
    pub max_scans: usize,
    /// Most memory in bytes that decoding may take, estimated from the header.
    pub max_decode_bytes: u64,
    /// Most bytes that a PDF's streams may unpack to, all together.
    pub max_unpacked_bytes: u64,
    /// Resolution at which PDF pages are rendered, in dots per inch; lowered for
    /// pages so large that `max_pixels` or `max_side` would be passed.
    pub pdf_dpi: f32,
}

impl Default for Limits {
    /// 20 MiB, 50 megapixels, sides of 1 to 12,000 pixels, 20 pages (4 rendered at
    /// 200 dpi), 100 scans, 256 MiB.
    fn default() -> Self {
        Self {
            max_bytes: 20 << 20,
            max_pixels: 50_000_000,
            max_side: 12_000,
            min_side: 1,
            max_pages: 20,
            max_rendered_pages: 4,
            max_scans: 100,
            max_decode_bytes: 256 << 20,
            max_unpacked_bytes: 64 << 20,
            pdf_dpi: 200.0,
        }
    }
}

impl Limits {
    /// Checks a size from a header, before anything is allocated for it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_size(&self, width: u32, height: u32) -> Result<(), DecodeError> {
        if width == 0 || height == 0 {
            return Err(DecodeError::NoPixels);
        }
        if width > self.max_side || height > self.max_side {
            return Err(DecodeError::SideTooLong { width, height, max: self.max_side });
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(DecodeError::TooManyPixels { width, height, max: self.max_pixels });
        }
        if width < self.min_side || height < self.min_side {
            return Err(DecodeError::TooSmall { width, height, min: self.min_side });
        }
        Ok(())
    }

    /// Checks an estimate of the memory that decoding would take.
    pub(crate) fn check_memory(&self, bytes: u64) -> Result<(), DecodeError> {
        if bytes > self.max_decode_bytes {
            return Err(DecodeError::TooComplex { what: "decoding it would take too much memory".into() });
        }
        Ok(())
    }

    pub(crate) fn for_decoder(&self) -> image::Limits {
        let mut limits = image::Limits::no_limits();
        limits.max_image_width = Some(self.max_side);
        limits.max_image_height = Some(self.max_side);
        limits.max_alloc = Some(self.max_decode_bytes);
        limits
    }
}

/// Why a file did not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum DecodeError {
    /// No bytes.
    #[error("the file is empty")]
    Empty,
    /// Larger than [`Limits::max_bytes`].
    #[error("the file has {bytes} bytes, more than the {max} allowed")]
    TooManyBytes {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// None of the known beginnings.
    #[error("the content is no JPEG, PNG, WebP, TIFF or PDF")]
    UnknownFormat,
    /// A known format or variant that this program does not read.
    #[error("{name} files are not supported; send JPEG, PNG, WebP, TIFF or PDF")]
    UnsupportedFormat {
        /// Its common name, such as `HEIC`.
        name: Cow<'static, str>,
    },
    /// Width or height is 0.
    #[error("the picture has no pixels")]
    NoPixels,
    /// More than [`Limits::max_pixels`].
    #[error("the picture has {width} × {height} pixels, more than {max} in all")]
    TooManyPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit on their product.
        max: u64,
    },
    /// A side longer than [`Limits::max_side`].
    #[error("the picture has {width} × {height} pixels, a side longer than {max}")]
    SideTooLong {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit on each.
        max: u32,
    },
    /// A side shorter than [`Limits::min_side`].
    #[error("the picture has {width} × {height} pixels, a side shorter than {min}")]
    TooSmall {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit on each.
        min: u32,
    },
    /// More than [`Limits::max_pages`].
    #[error("the file has more than {max} pages")]
    TooManyPages {
        /// The limit.
        max: usize,
    },
    /// Small to send, costly to open.
    #[error("the file asks for too much work: {what}")]
    TooComplex {
        /// What in it does.
        what: Cow<'static, str>,
    },
    /// Ends in the middle of the picture (`image_truncated`).
    #[error("the file ends in the middle of the picture")]
    Truncated,
    /// Not what its beginning promises.
    #[error("the file is damaged: {what}")]
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// A PDF that opens only with a password, and none was given.
    #[error("the PDF asks for a password")]
    PasswordRequired,
    /// A PDF that does not open with the password given.
    #[error("the password does not open the PDF")]
    WrongPassword,
    /// A PDF encrypted in a way that cannot be opened here.
    #[error("the PDF is encrypted in an unsupported way")]
    EncryptionUnsupported,
    /// A PDF where only a picture is taken: no camera makes one.
    #[error("a PDF is not taken here")]
    PictureExpected,
    /// The process that decoded it broke its limits and was ended.
    #[error("the file could not be opened: {what}; save the picture anew, or take another")]
    NotDecodable {
        /// Which.
        what: Cow<'static, str>,
    },
    /// No process was free to decode it: nothing is wrong with the file.
    #[error("no decoder is free; try again in a moment")]
    Unavailable,
}

impl DecodeError {
    pub(crate) fn malformed(what: impl std::fmt::Display) -> Self {
        Self::Malformed { what: printable(&what.to_string(), 120).unwrap_or_default() }
    }

    /// The error as another process gave it, its texts cut to printable ones.
    #[must_use]
    pub fn cleaned(self) -> Self {
        let clean = |text: &str| printable(text, 120).unwrap_or_default();
        match self {
            Self::UnsupportedFormat { name } => Self::UnsupportedFormat { name: clean(&name).into() },
            Self::TooComplex { what } => Self::TooComplex { what: clean(&what).into() },
            Self::NotDecodable { what } => Self::NotDecodable { what: clean(&what).into() },
            Self::Malformed { what } => Self::malformed(what),
            other => other,
        }
    }

    /// A stable name in snake case, such as `image_truncated`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "image_empty",
            Self::TooManyBytes { .. } => "image_too_many_bytes",
            Self::UnknownFormat => "image_format_unknown",
            Self::UnsupportedFormat { .. } => "image_format_unsupported",
            Self::NoPixels => "image_no_pixels",
            Self::TooManyPixels { .. } => "image_too_many_pixels",
            Self::SideTooLong { .. } => "image_side_too_long",
            Self::TooSmall { .. } => "image_too_small",
            Self::TooManyPages { .. } => "image_too_many_pages",
            Self::TooComplex { .. } => "image_too_complex",
            Self::Truncated => "image_truncated",
            Self::Malformed { .. } => "image_malformed",
            Self::PasswordRequired => "pdf_password_required",
            Self::WrongPassword => "pdf_password_wrong",
            Self::EncryptionUnsupported => "pdf_encryption_unsupported",
            Self::PictureExpected => "image_expected",
            Self::NotDecodable { .. } => "image_not_decodable",
            Self::Unavailable => "decoder_unavailable",
        }
    }
}

/// Recognises a file by its content; the name and any declared type play no part.
pub fn sniff(bytes: &[u8]) -> Result<Format, DecodeError> {
    let unsupported = |name: &'static str| Err(DecodeError::UnsupportedFormat { name: name.into() });
    match bytes {
        [] => Err(DecodeError::Empty),
        [0xFF, 0xD8, 0xFF, ..] => Ok(Format::Jpeg),
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Ok(Format::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Format::Webp),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Ok(Format::Tiff),
        [b'I', b'I', 43, 0, ..] | [b'M', b'M', 0, 43, ..] => unsupported("BigTIFF"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Ok(Format::Pdf),
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.get(..4) {
            Some(b"avif" | b"avis") => unsupported("AVIF"),
            Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1") => {
                unsupported("HEIC")
            }
            _ => unsupported("video"),
        },
        [b'G', b'I', b'F', b'8', ..] => unsupported("GIF"),
        [b'B', b'M', ..] => unsupported("BMP"),
        [b'P', b'K', 3 | 5, ..] => unsupported("ZIP"),
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] => unsupported("JPEG 2000"),
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => unsupported("JPEG XL"),
        _ => {
            let start =
                bytes.iter().position(|b| !b.is_ascii_whitespace() && !matches!(b, 0xEF | 0xBB | 0xBF));
            match start.and_then(|at| bytes.get(at..)) {
                Some([b'%', b'P', b'D', b'F', b'-', ..]) if start < Some(1024) => Ok(Format::Pdf),
                Some([b'<', ..]) => unsupported("XML, SVG or HTML"),
                _ => Err(DecodeError::UnknownFormat),
            }
        }
    }
}

/// Decodes a picture, or the first page of a PDF or TIFF.
///
/// Work and memory are bounded by `limits`, as far as headers tell; every refusal is typed. Strangers' files are given to
/// `decoder`, which runs this in a process that is bounded in any case.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, DecodeError> {
    let one = Limits { max_rendered_pages: 1, ..limits.clone() };
    decode_pages(bytes, &one, None)?.pop().ok_or(DecodeError::NoPixels)
}

/// Decodes all pages of a PDF (up to [`Limits::max_rendered_pages`]), opened
/// with `password` where it needs one; other formats give one picture.
pub fn decode_pages(
    bytes: &[u8],
    limits: &Limits,
    password: Option<&str>,
) -> Result<Vec<Picture>, DecodeError> {
    let stored = decode_stored(bytes, limits, password)?;
    let format = sniff(bytes)?;
    let sha256: [u8; 32] = Sha256::digest(bytes).into();
    let upright = |(pixels, metadata): Decoded| {
        let pixels = if metadata.orientation > 1 { upright(&pixels, metadata.orientation)? } else { pixels };
        Some(Picture { pixels, format, sha256, metadata })
    };
    stored.into_iter().map(|page| upright(page).ok_or(DecodeError::NoPixels)).collect()
}

/// As [`decode_pages`], with the pixels as the file stores them: not yet turned upright ([`upright_rows`]).
pub fn decode_stored(
    bytes: &[u8],
    limits: &Limits,
    password: Option<&str>,
) -> Result<Vec<Decoded>, DecodeError> {
    if bytes.len() > limits.max_bytes {
        return Err(DecodeError::TooManyBytes { bytes: bytes.len(), max: limits.max_bytes });
    }
    let format = sniff(bytes)?;
    let work = || match format {
        Format::Jpeg => jpeg::decode(bytes, limits).map(|one| vec![one]),
        Format::Png => png::decode(bytes, limits).map(|one| vec![one]),
        Format::Webp => webp::decode(bytes, limits).map(|one| vec![one]),
        Format::Tiff => tiff::decode(bytes, limits).map(|one| vec![one]),
        Format::Pdf => pdf::decode(bytes, limits, password),
    };
    // The decoders are other people's code on untrusted bytes: where one panics,
    // this file is refused and nothing else is touched.
    std::panic::catch_unwind(work)
        .unwrap_or_else(|_| Err(DecodeError::malformed("the decoder gave up on it")))
}

/// A decoder's pixels and the summary of what stood beside them.
pub type Decoded = (RgbImage, Metadata);

/// Runs one of `image`'s decoders under its limits and lays transparency on white.
pub(crate) fn pixels_of(mut decoder: impl ImageDecoder, limits: &Limits) -> Result<RgbImage, DecodeError> {
    let (width, height) = decoder.dimensions();
    limits.check_size(width, height)?;
    limits.check_memory(decoder.total_bytes().saturating_add(u64::from(width) * u64::from(height) * 3))?;
    decoder.set_limits(limits.for_decoder()).map_err(image_error)?;
    let image = DynamicImage::from_decoder(decoder).map_err(image_error)?;
    Ok(match image {
        DynamicImage::ImageRgb8(rgb) => rgb,
        image if image.color().has_alpha() => on_white(&image),
        image => image.into_rgb8(),
    })
}

fn on_white(image: &DynamicImage) -> RgbImage {
    let rgba = image.to_rgba8();
    let mut out = RgbImage::new(rgba.width(), rgba.height());
    for (to, from) in out.chunks_exact_mut(3).zip(rgba.as_raw().chunks_exact(4)) {
        let alpha = u32::from(from[3]);
        for (to, &from) in to.iter_mut().zip(from) {
            *to = ((u32::from(from) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    out
}

fn image_error(error: image::ImageError) -> DecodeError {
    match error {
        image::ImageError::Limits(_) => {
            DecodeError::TooComplex { what: "decoding it would take too much memory".into() }
        }
        image::ImageError::Unsupported(_) => DecodeError::UnsupportedFormat { name: "such".into() },
        image::ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            DecodeError::Truncated
        }
        other => DecodeError::malformed(other),
    }
}

fn upright(pixels: &RgbImage, orientation: u8) -> Option<RgbImage> {
    let mut out = Vec::with_capacity(pixels.as_raw().len());
    let Ok(()) = upright_rows(pixels, orientation, |rows| {
        out.extend_from_slice(rows);
        Ok::<(), std::convert::Infallible>(())
    });
    let (width, height) = upright_size(pixels, orientation);
    RgbImage::from_raw(width, height, out)
}

/// Width and height of a picture once it is upright.
pub fn upright_size(pixels: &RgbImage, orientation: u8) -> (u32, u32) {
    let (width, height) = pixels.dimensions();
    if matches!(orientation, 5..=8) { (height, width) } else { (width, height) }
}

/// Undoes the EXIF orientation (EXIF 2.32 §4.6.4 A, tag 0112), giving a few rows at a time, so that no second picture
/// has to be held.
///
/// # Errors
/// What `take` gives.
pub fn upright_rows<E>(
    pixels: &RgbImage,
    orientation: u8,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    let row = |y: usize| pixels.as_raw().get(y * width * 3..(y + 1) * width * 3).unwrap_or_default();
    // Which way columns and rows of the stored picture run in the upright one.
    let from_right = matches!(orientation, 2 | 3 | 7 | 8);
    let from_below = matches!(orientation, 3 | 4 | 6 | 7);
    if !matches!(orientation, 2..=8) {
        return take(pixels.as_raw());
    }
    if orientation < 5 {
        let mut line = Vec::with_capacity(width * 3);
        for y in 0..height {
            let stored = row(if from_below { height - 1 - y } else { y });
            line.clear();
            if from_right {
                line.extend(stored.chunks_exact(3).rev().flatten());
            } else {
                line.extend_from_slice(stored);
            }
            take(&line)?;
        }
        return Ok(());
    }
    // Columns become rows. A band of them is filled at once, because each visit to a stored row brings its neighbours along.
    let mut band = vec![0; BAND.min(width) * height * 3];
    for start in (0..width).step_by(BAND) {
        let count = BAND.min(width - start);
        for y in 0..height {
            let stored = row(y);
            let to = if from_below { height - 1 - y } else { y };
            for line in 0..count {
                let x = if from_right { width - 1 - start - line } else { start + line };
                let at = (line * height + to) * 3;
                if let (Some(to), Some(from)) = (band.get_mut(at..at + 3), stored.get(x * 3..x * 3 + 3)) {
                    to.copy_from_slice(from);
                }
            }
        }
        take(band.get(..count * height * 3).unwrap_or_default())?;
    }
    Ok(())
}

/// Columns that are turned together.
const BAND: usize = 32;

/// The printable part of a text, cut to `max` characters; `None` when nothing is left.
pub(crate) fn printable(text: &str, max: usize) -> Option<String> {
    let kept: String = text.chars().filter(|c| !c.is_control()).take(max).collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// Fills the metadata from an EXIF block (TIFF structure, without the `Exif\0\0` mark).
pub(crate) fn read_exif(block: &[u8], metadata: &mut Metadata) {
    let exif = exif::read(block);
    metadata.orientation = exif.orientation.unwrap_or(metadata.orientation.max(1));
    metadata.software = exif.software.or_else(|| metadata.software.take());
    metadata.make = exif.make.or_else(|| metadata.make.take());
    metadata.model = exif.model.or_else(|| metadata.model.take());
    metadata.datetime = exif.datetime.or_else(|| metadata.datetime.take());
    metadata.has_gps |= exif.has_gps;
}
