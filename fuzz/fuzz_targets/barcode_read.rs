//! Any pixels as a picture with barcodes: no panic that escapes, within the budget.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((width, pixels)) = data.split_first() else { return };
    let width = u32::from(*width).max(1);
    let height = (pixels.len() as u32 / width).min(256);
    let options = barcode::Options { budget_megapixels: 1.0, ..barcode::Options::default() };
    let _ = barcode::read(barcode::GrayView { width, height, pixels }, &options);
});
