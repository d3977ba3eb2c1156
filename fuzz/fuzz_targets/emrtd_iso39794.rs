//! Any bytes as a face record: no panic, and JPEG 2000 within its limits.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for face in emrtd::lds::face::parse(data).into_iter().flatten() {
        let _ = face.decode_jpeg2000();
    }
});
