#![no_main]
//! A stored face template.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(template) = face::Template::from_bytes(data) {
        assert!(face::Template::from_bytes(&template.to_bytes()).is_some());
    }
});
