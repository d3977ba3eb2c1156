#![no_main]
//! A TensorFlow.js graph: the first half of the input is its JSON, the rest its weights.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (json, bin) = data.split_at(data.len() / 2);
    let _ = inference::convert::tfjs(json, bin);
});
