//! Any bytes as a face record: no panic, and JPEG 2000 within its limits.
//!
//! Pictures are decoded when they are small: a portrait costs some thirty milliseconds, and the mutations of its
//! wrapping would all wait for it. What asks for more must be refused before it is decoded, which is quick.
#![no_main]

use emrtd::lds::face::DecodeError;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for face in emrtd::lds::face::parse(data).into_iter().flatten() {
        let pixels = face.size.map_or(0, |(width, height)| u64::from(width) * u64::from(height));
        if pixels <= 64 * 64 || pixels > 4_000_000 {
            let decoded = face.decode_jpeg2000();
            if pixels > 4_000_000 {
                assert!(decoded.is_err_and(|error| error != DecodeError::Broken), "was given to the decoder");
            }
        }
    }
});
