//! Any bytes as a national payload: no panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = barcode::national::parse(data);
});
