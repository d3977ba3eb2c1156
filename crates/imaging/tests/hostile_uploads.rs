//! Every file of the hostile upload corpus is answered with a typed error, or
//! decoded safely, in at most 2 s and 300 MiB (acceptance test T34).
//!
//! One test in its own process, so that the peak memory is this test's.

use imaging::{DecodeError, Limits, decode, encode_jpeg};
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn corpus() -> Option<PathBuf> {
    let given = std::env::var_os("BONAFIDE_TESTDATA").map(PathBuf::from);
    let root =
        given.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")));
    let folder = root.join("hostile-uploads");
    folder.is_dir().then_some(folder)
}

/// Peak resident memory of this process in MiB, where the system tells it.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().split(' ').next()?.parse::<u64>().ok()? / 1024)
}

/// The code each file is answered with; absent: it holds a sound picture.
fn expected(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "empty.jpg" => &["image_empty"],
        "one_byte.jpg" | "asn1_len_4GB.der" | "asn1_nested_30k.der" | "json_depth_100k.json" => {
            &["image_format_unknown"]
        }
        "html_named.jpg"
        | "svg_xxe.svg"
        | "xml_billion_laughs.svg"
        | "bmp_dims_lie.bmp"
        | "gif_65535_screen_20k_frames.gif"
        | "poly_gif_js.gif"
        | "zip_bomb.zip" => &["image_format_unsupported"],
        "jpg_dims_65500.jpg"
        | "jpg_dims_65500_trunc.jpg"
        | "png_dims_2e31.png"
        | "png_flood_900MP_1bit.png" => &["image_side_too_long", "image_too_many_pixels"],
        "webp_vp8x_16383.webp" => &["image_side_too_long"],
        "png_dims_zero.png" => &["image_no_pixels"],
        "jpg_truncated.jpg" => &["image_truncated"],
        "jpg_progressive_many_scans.jpg"
        | "png_idat_excess_512MB.png"
        | "png_iccp_256MB.png"
        | "png_ztxt_256MB.png"
        | "pdf_flate_512MB_js.pdf" => &["image_too_complex"],
        "tiff_ifd_loop.tif" => &["image_malformed"],
        _ => return None,
    })
}

#[test]
fn every_hostile_file_is_answered_in_bounded_time_and_memory() {
    let Some(folder) = corpus() else {
        eprintln!("skipped: no test data");
        return;
    };
    let mut names: Vec<_> =
        std::fs::read_dir(folder).expect("corpus").map(|e| e.expect("entry").path()).collect();
    // PDFs that no look at their bytes bounds have a folder of their own: they are for the process of `decoder`.
    names.retain(|path| path.is_file());
    names.sort();
    assert!(names.len() >= 20, "the corpus is there");
    for path in names {
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).expect("file");
        let begun = Instant::now();
        let result = decode(&bytes, &Limits::default());
        let took = begun.elapsed();
        let code = result.as_ref().err().map(DecodeError::code);
        eprintln!("{name:<34} {:>6} ms  peak {:>4} MiB  {code:?}", took.as_millis(), peak_mib().unwrap_or(0));
        assert!(took < Duration::from_secs(2), "{name} took {took:?}");
        match (expected(&name), result) {
            (Some(codes), Err(error)) => assert!(codes.contains(&error.code()), "{name}: {error}"),
            (Some(codes), Ok(_)) => panic!("{name} was decoded, expected {codes:?}"),
            (None, Err(error)) => panic!("{name} holds a sound picture: {error}"),
            (None, Ok(picture)) => {
                // A polyglot is only ever served anew: nothing of the other file is left.
                let anew = encode_jpeg(&picture.pixels, 90);
                assert!(
                    !anew.windows(4).any(|w| w == b"<htm" || w == b"<scr" || w == b"PK\x03\x04"),
                    "{name}"
                );
                if name == "poly_jpg_zip.jpg" {
                    assert!(picture.metadata.trailing_bytes > 0, "{name} says that bytes follow the picture");
                }
                if name.starts_with("ok_exif_gps") {
                    assert_eq!((picture.metadata.orientation, picture.metadata.has_gps), (6, true));
                    let (w, h) = picture.metadata.stored_size;
                    assert_eq!(picture.pixels.dimensions(), (h, w), "turned upright");
                }
            }
        }
    }
    if let Some(peak) = peak_mib() {
        assert!(peak <= 300, "peak memory {peak} MiB");
    }
}
