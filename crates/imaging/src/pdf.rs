//! PDF: rendered page by page (ISO 32000), after a look at what it would unpack to.
//!
//! The look gives the common bombs a clear answer at once. It cannot see what
//! drawing costs, nor into every kind of stream: that a file is bounded at all
//! is the work of the process that calls this (`decoder`).

use crate::RgbImage;
use crate::door::{DecodeError, Decoded, Limits, Metadata, printable};
use hayro::hayro_interpret::InterpreterSettings;
use hayro::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro::vello_cpu::color::palette::css::WHITE;
use std::io::Read as _;
use std::sync::Arc;

pub(crate) fn decode(
    bytes: &[u8],
    limits: &Limits,
    password: Option<&str>,
) -> Result<Vec<Decoded>, DecodeError> {
    bound_streams(bytes, limits)?;
    let data: Arc<Vec<u8>> = Arc::new(bytes.to_vec());
    let pdf = Pdf::new_with_password(data, password.unwrap_or("")).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) if password.is_none() => {
            DecodeError::PasswordRequired
        }
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => DecodeError::WrongPassword,
        LoadPdfError::Decryption(_) => DecodeError::EncryptionUnsupported,
        LoadPdfError::Invalid => DecodeError::malformed("no readable PDF"),
    })?;
    let pages = pdf.pages();
    if pages.is_empty() {
        return Err(DecodeError::NoPixels);
    }
    if pages.len() > limits.max_pages {
        return Err(DecodeError::TooManyPages { max: limits.max_pages });
    }
    let about = pdf.metadata();
    let text =
        |raw: &Option<Box<[u8]>>| raw.as_deref().and_then(|raw| printable(&String::from_utf8_lossy(raw), 64));
    let metadata = Metadata {
        orientation: 1,
        pages: pages.len(),
        software: text(&about.producer).or_else(|| text(&about.creator)),
        ..Metadata::default()
    };
    let cache = hayro::RenderCache::new();
    let mut out = Vec::new();
    for page in pages.iter().take(limits.max_rendered_pages.max(1)) {
        let (width, height) = page.render_dimensions();
        if !(width.is_finite() && height.is_finite() && width >= 1.0 && height >= 1.0) {
            return Err(DecodeError::NoPixels);
        }
        // A page may declare any size; the resolution gives way, not the limit.
        let pixels = (limits.max_pixels.min(16_000_000) as f32 / (width * height)).sqrt();
        let side = limits.max_side.min(u32::from(u16::MAX)) as f32 / width.max(height);
        let scale = (limits.pdf_dpi / 72.0).min(pixels).min(side);
        limits.check_size((width * scale) as u32, (height * scale) as u32)?;
        let settings = InterpreterSettings::default();
        let pixmap = hayro::render(
            page,
            &cache,
            &settings,
            &hayro::RenderSettings::default(),
            &hayro::PixmapSettings { x_scale: scale, y_scale: scale, bg_color: WHITE },
        );
        let (width, height) = (u32::from(pixmap.width()), u32::from(pixmap.height()));
        let rgb = pixmap.data().iter().flat_map(|p| [p.r, p.g, p.b]).collect();
        let image = RgbImage::from_raw(width, height, rgb).ok_or(DecodeError::NoPixels)?;
        out.push((image, Metadata { stored_size: (width, height), ..metadata.clone() }));
    }
    Ok(out)
}

/// Refuses a PDF whose streams unpack to more than the limit, or whose images
/// declare more pixels than it, before anything is kept in memory; as far as that can be seen (see above).
///
/// Streams cannot stand inside other streams (ISO 32000-1 §7.5.7), so all of an
/// unencrypted file's are visible here. Each is unpacked into nothing.
fn bound_streams(bytes: &[u8], limits: &Limits) -> Result<(), DecodeError> {
    let too_much = Err(DecodeError::TooComplex { what: "its streams unpack to too much".into() });
    let (mut at, mut unpacked, mut read, mut streams) = (0, 0u64, 0u64, 0u32);
    while let Some(found) = find(bytes.get(at..).unwrap_or(&[]), b"stream") {
        let keyword = at + found;
        at = keyword + 6;
        let before = bytes.get(keyword.saturating_sub(512)..keyword).unwrap_or(&[]);
        if before.ends_with(b"end") {
            continue;
        }
        streams += 1;
        if streams > 20_000 {
            return Err(DecodeError::TooComplex { what: "too many streams".into() });
        }
        let dictionary = find_last(before, b"obj").and_then(|start| before.get(start..)).unwrap_or(before);
        if count(dictionary, b"FlateDecode") + count(dictionary, b"LZWDecode") > 1 {
            return Err(DecodeError::TooComplex { what: "a stream packed twice".into() });
        }
        if let (Some(width), Some(height)) = (number(dictionary, b"/Width"), number(dictionary, b"/Height"))
            && width.saturating_mul(height) > limits.max_pixels
        {
            return too_much;
        }
        let body = bytes.get(at..).unwrap_or(&[]);
        let start = body.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(0);
        let body = body.get(start..).unwrap_or(&[]);
        if matches!(body, [first, ..] if first & 0x0F == 8) {
            let left = limits.max_unpacked_bytes.saturating_sub(unpacked) + 1;
            let mut reader = flate2::read::ZlibDecoder::new(body).take(left);
            // What does not unpack costs nothing; the renderer decides about it.
            unpacked += drain(&mut reader);
            read += reader.into_inner().total_in();
            if unpacked > limits.max_unpacked_bytes {
                return too_much;
            }
            if read > 4 * bytes.len() as u64 {
                return Err(DecodeError::TooComplex { what: "streams that overlap".into() });
            }
        }
        at += start;
    }
    Ok(())
}

fn drain(reader: &mut impl std::io::Read) -> u64 {
    let mut buffer = [0u8; 32 << 10];
    let mut total = 0;
    while let Ok(n @ 1..) = reader.read(&mut buffer) {
        total += n as u64;
    }
    total
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = 0;
    while let Some(found) = haystack.get(at..)?.iter().position(|&b| b == first) {
        at += found;
        if haystack.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn find_last(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    (0..haystack.len()).rev().find(|&at| haystack.get(at..).is_some_and(|rest| rest.starts_with(needle)))
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    let (mut at, mut found) = (0, 0);
    while let Some(next) = find(haystack.get(at..).unwrap_or(&[]), needle) {
        found += 1;
        at += next + needle.len();
    }
    found
}

/// The whole number after a key, when it stands there directly.
fn number(dictionary: &[u8], key: &[u8]) -> Option<u64> {
    let rest = dictionary.get(find(dictionary, key)? + key.len()..)?;
    let digits: String = rest
        .iter()
        .skip_while(|b| b.is_ascii_whitespace())
        .take_while(|b| b.is_ascii_digit())
        .take(18)
        .map(|&b| char::from(b))
        .collect();
    let after = rest
        .iter()
        .skip_while(|b| b.is_ascii_whitespace())
        .skip(digits.len())
        .take(4)
        .copied()
        .collect::<Vec<u8>>();
    // `12 0 R` is a reference, not a number.
    (!after.starts_with(b" 0 R")).then(|| digits.parse().ok()).flatten()
}
