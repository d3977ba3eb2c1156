#![no_main]
//! Template files: any bytes are a template or an error, never a panic.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = document::Template::parse(text);
    }
});
