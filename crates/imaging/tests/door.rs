//! The door's promises on files made here: orientation, metadata, truncation,
//! limits before decoding, and no panic on any bytes.

use imaging::{
    DecodeError, Format, Limits, RgbImage, decode, decode_pages, encode_jpeg, encode_png, sniff,
    upright_rows, upright_size,
};
use proptest::prelude::*;

/// A picture with a red top left quarter, otherwise a gradient.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        if x < width / 2 && y < height / 2 {
            [220, 20, 20].into()
        } else {
            [40, (x % 256) as u8, (y % 256) as u8].into()
        }
    })
}

/// An EXIF segment with the orientation, a maker and a GPS directory of one position.
fn exif_segment(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    tiff.extend(3u16.to_le_bytes());
    tiff.extend(entry(0x010F, 2, 5, 50));
    tiff.extend(entry(0x0112, 3, 1, u32::from(orientation)));
    tiff.extend(entry(0x8825, 4, 1, 56));
    tiff.extend([0; 4]);
    tiff.extend(b"Acme\0\0");
    tiff.extend(1u16.to_le_bytes());
    tiff.extend(entry(2, 5, 3, 0));
    tiff.extend([0; 4]);
    let body = [b"Exif\0\0".as_slice(), &tiff].concat();
    let length = u16::try_from(body.len() + 2).expect("short");
    [&[0xFF, 0xE1][..], &length.to_be_bytes(), &body].concat()
}

fn with_exif(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    [&jpeg[..2], &exif_segment(orientation), &jpeg[2..]].concat()
}

/// Where the red quarter is: 0 top left, then clockwise.
fn red_corner(image: &RgbImage) -> Option<usize> {
    let (w, h) = image.dimensions();
    let places = [(w / 4, h / 4), (3 * w / 4, h / 4), (3 * w / 4, 3 * h / 4), (w / 4, 3 * h / 4)];
    places.iter().position(|&(x, y)| {
        let [r, g, b] = image.get_pixel(x, y).0;
        r > 180 && g < 80 && b < 80
    })
}

#[test]
fn each_exif_orientation_is_undone() {
    let jpeg = encode_jpeg(&picture(64, 32), 95);
    // Where the stored top left corner is shown (EXIF 2.32 §4.6.4 A).
    for (orientation, corner) in [(1, 0), (2, 1), (3, 2), (4, 3), (5, 0), (6, 1), (7, 2), (8, 3)] {
        let decoded = decode(&with_exif(&jpeg, orientation), &Limits::default()).expect("decodes");
        assert_eq!(red_corner(&decoded.pixels), Some(corner), "orientation {orientation}");
        let turned = orientation >= 5;
        assert_eq!(decoded.pixels.dimensions(), if turned { (32, 64) } else { (64, 32) });
        assert_eq!(decoded.metadata.stored_size, (64, 32));
    }
}

#[test]
fn a_picture_of_any_size_is_turned_pixel_by_pixel() {
    for (width, height) in [(1, 1), (1, 90), (90, 1), (32, 33), (65, 40), (31, 64)] {
        let stored = RgbImage::from_fn(width, height, |x, y| [x as u8, y as u8, 7].into());
        for orientation in 0..=9 {
            let mut rows = Vec::new();
            upright_rows(&stored, orientation, |some| {
                rows.extend_from_slice(some);
                Ok::<(), ()>(())
            })
            .expect("takes all");
            let (w, h) = upright_size(&stored, orientation);
            let upright = RgbImage::from_raw(w, h, rows).expect("is whole");
            for (x, y, pixel) in upright.enumerate_pixels() {
                let (right, below) = (width - 1, height - 1);
                // EXIF 2.32 §4.6.4 A: which stored row and column the upright ones are.
                let from = match orientation {
                    2 => (right - x, y),
                    3 => (right - x, below - y),
                    4 => (x, below - y),
                    5 => (y, x),
                    6 => (y, below - x),
                    7 => (right - y, below - x),
                    8 => (right - y, x),
                    _ => (x, y),
                };
                assert_eq!(pixel.0, [from.0 as u8, from.1 as u8, 7], "orientation {orientation} at {x}, {y}");
            }
        }
    }
}

#[test]
fn metadata_is_summarised_and_gone_after_writing_anew() {
    let decoded =
        decode(&with_exif(&encode_jpeg(&picture(64, 32), 95), 1), &Limits::default()).expect("decodes");
    assert_eq!(decoded.metadata.make.as_deref(), Some("Acme"));
    assert!(decoded.metadata.has_gps);
    let anew = encode_jpeg(&decoded.pixels, 90);
    assert!(!anew.windows(4).any(|w| w == b"Acme" || w == b"Exif"));
}

#[test]
fn a_jpeg_cut_anywhere_in_its_pixels_is_reported_as_truncated() {
    let jpeg = encode_jpeg(&picture(320, 240), 90);
    for tenth in 3..10 {
        let cut = &jpeg[..jpeg.len() * tenth / 10];
        assert_eq!(decode(cut, &Limits::default()).err(), Some(DecodeError::Truncated), "{tenth}/10");
        // An end marker put behind the cut does not make it whole.
        let patched = [cut, &[0xFF, 0xD9]].concat();
        assert_eq!(
            decode(&patched, &Limits::default()).err(),
            Some(DecodeError::Truncated),
            "{tenth}/10, patched"
        );
    }
}

#[test]
fn a_blank_page_that_is_whole_is_not_called_truncated() {
    for (width, height) in [(300, 200), (17, 9), (1, 1), (640, 333)] {
        for quality in [30, 75, 100] {
            let blank = RgbImage::from_pixel(width, height, [250, 250, 247].into());
            let decoded = decode(&encode_jpeg(&blank, quality), &Limits::default()).expect("decodes");
            assert!(!decoded.metadata.truncated && !decoded.metadata.damaged);
        }
    }
}

#[test]
fn bytes_after_the_picture_are_counted() {
    for file in [encode_jpeg(&picture(40, 40), 90), encode_png(&picture(40, 40))] {
        let with_tail = [file.as_slice(), b"<script>alert(1)</script>"].concat();
        assert_eq!(decode(&file, &Limits::default()).expect("decodes").metadata.trailing_bytes, 0);
        assert_eq!(decode(&with_tail, &Limits::default()).expect("decodes").metadata.trailing_bytes, 25);
    }
}

#[test]
fn limits_hold_before_anything_is_decoded() {
    let jpeg = encode_jpeg(&picture(300, 200), 90);
    let code = |limits: Limits| decode(&jpeg, &limits).err().map(|error| error.code());
    assert_eq!(code(Limits { max_bytes: 100, ..Limits::default() }), Some("image_too_many_bytes"));
    assert_eq!(code(Limits { max_pixels: 59_999, ..Limits::default() }), Some("image_too_many_pixels"));
    assert_eq!(code(Limits { max_side: 299, ..Limits::default() }), Some("image_side_too_long"));
    assert_eq!(code(Limits { min_side: 201, ..Limits::default() }), Some("image_too_small"));
    assert_eq!(code(Limits::default()), None);
}

#[test]
fn formats_are_told_by_content_and_heic_is_named() {
    assert_eq!(sniff(&encode_png(&picture(4, 4))), Ok(Format::Png));
    assert_eq!(sniff(b"%PDF-1.7"), Ok(Format::Pdf));
    assert_eq!(
        sniff(b"\0\0\0\x18ftypheic\0\0\0\0mif1"),
        Err(DecodeError::UnsupportedFormat { name: "HEIC".into() })
    );
    assert_eq!(
        sniff(b"<!doctype html>"),
        Err(DecodeError::UnsupportedFormat { name: "XML, SVG or HTML".into() })
    );
}

#[test]
fn transparent_pixels_are_laid_on_white() {
    // A 1 × 1 RGBA PNG, red at alpha 0, written by hand: stored deflate block.
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], body: &[u8]| {
        png.extend(u32::try_from(body.len()).expect("short").to_be_bytes());
        let checked = [kind.as_slice(), body].concat();
        png.extend(&checked);
        png.extend(crc32(&checked).to_be_bytes());
    };
    chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0]);
    let raw = [0u8, 255, 0, 0, 0];
    let adler = adler32(&raw);
    chunk(b"IDAT", &[&[0x78, 0x01, 1, 5, 0, 250, 255][..], &raw, &adler.to_be_bytes()].concat());
    chunk(b"IEND", &[]);
    let decoded = decode(&png, &Limits::default()).expect("decodes");
    assert_eq!(decoded.pixels.get_pixel(0, 0).0, [255, 255, 255]);
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes
        .iter()
        .fold((1u32, 0u32), |(a, b), &v| ((a + u32::from(v)) % 65521, (b + a + u32::from(v)) % 65521));
    b << 16 | a
}

/// A one-page PDF of 200 × 100 points with a red rectangle in its upper left quarter.
fn pdf(page_box: &str) -> Vec<u8> {
    let content = "1 0 0 rg 0 50 100 50 re f";
    format!(
        "%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n\
         3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox{page_box}/Contents 4 0 R/Resources<<>>>>\nendobj\n\
         4 0 obj\n<</Length {}>>\nstream\n{content}\nendstream\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n",
        content.len()
    )
    .into_bytes()
}

#[test]
fn a_pdf_page_is_rendered_upright() {
    let pages = decode_pages(&pdf("[0 0 200 100]"), &Limits::default(), None).expect("renders");
    assert_eq!(pages.len(), 1);
    let page = &pages[0];
    assert_eq!(page.format, Format::Pdf);
    assert_eq!(red_corner(&page.pixels), Some(0));
    assert_eq!(page.pixels.get_pixel(page.pixels.width() - 5, page.pixels.height() - 5).0, [255, 255, 255]);
}

#[test]
fn a_pdf_page_of_any_declared_size_stays_within_the_limits() {
    for page_box in ["[0 0 9000000 9000000]", "[0 0 100000 10]", "[0 0 0.001 0.001]", "[0 0 nan 1]"] {
        if let Ok(page) = decode(&pdf(page_box), &Limits::default()) {
            let (w, h) = page.pixels.dimensions();
            assert!(u64::from(w) * u64::from(h) <= Limits::default().max_pixels, "{page_box}: {w} × {h}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_behind_any_known_beginning_are_answered(
        start in prop::sample::select(vec![
            &b"\xFF\xD8\xFF"[..], b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"RIFF\xff\0\0\0WEBPVP8 ", b"RIFF\xff\0\0\0WEBPVP8X\x0a\0\0\0",
            b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"%PDF-1.4\n", b"",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
        let _ = decode(&[start, &rest].concat(), &limits);
    }

    #[test]
    fn a_file_with_changed_bytes_is_answered(
        kind in 0usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        shorten in any::<bool>(),
    ) {
        let mut file = match kind {
            0 => with_exif(&encode_jpeg(&picture(48, 40), 80), 6),
            1 => encode_png(&picture(48, 40)),
            _ => pdf("[0 0 60 40]"),
        };
        for (at, value) in changes {
            let at = at.index(file.len());
            file[at] = value;
        }
        if shorten {
            file.truncate(cut.index(file.len()));
        }
        let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
        if let Ok(picture) = decode(&file, &limits) {
            prop_assert!(u64::from(picture.pixels.width()) * u64::from(picture.pixels.height()) <= limits.max_pixels);
        }
    }
}
