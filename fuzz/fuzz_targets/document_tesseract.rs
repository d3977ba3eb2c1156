#![no_main]
//! Tesseract's table: any text gives lines that lie on the page, with a confidence that is one.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for (width, height) in [(1600.0, 1000.0), (0.0, 0.0)] {
        for line in document::NativeLine::of_table(&text, document::Side::Front, width, height) {
            assert!(line.region.iter().all(|v| (0.0..=1.0).contains(v)));
            assert!((0.5..=1.0).contains(&line.confidence));
            assert!(!line.text.is_empty());
        }
    }
});
