//! Any bytes as a licence payload: no panic, bounded work.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(licence) = barcode::aamva::parse(data) {
        assert!(serde_json::to_string(&licence).is_ok());
    }
});
