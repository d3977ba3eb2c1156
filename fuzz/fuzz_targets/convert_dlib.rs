#![no_main]
//! dlib weights: damaged bytes are refused, never followed.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = inference::convert::dlib_resnet(data);
});
