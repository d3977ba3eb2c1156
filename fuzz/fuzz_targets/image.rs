//! Any bytes at the decoding door: a typed error or a picture within the limits.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = imaging::Limits { max_pixels: 1 << 20, ..imaging::Limits::default() };
    if let Ok(pages) = imaging::decode_pages(data, &limits, None) {
        for page in pages {
            assert!(u64::from(page.pixels.width()) * u64::from(page.pixels.height()) <= limits.max_pixels);
        }
    }
});
