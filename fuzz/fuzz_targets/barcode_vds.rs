//! Any bytes as a vds payload: no panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = barcode::vds::parse(data);
});
