//! Any bytes at the decoding door: a typed error or a picture within the limits.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The limits of the server: a smaller one hides what a file that keeps to them can cost.
    let limits = imaging::Limits::default();
    if let Ok(pages) = imaging::decode_pages(data, &limits, None) {
        for page in pages {
            assert!(u64::from(page.pixels.width()) * u64::from(page.pixels.height()) <= limits.max_pixels);
        }
    }
});
