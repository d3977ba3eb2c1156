//! Any bytes as a zone to repair, and as a recogniser's scores to decode: bounded work, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split(['\n', '|']).collect();
    let today = mrz::Today::new(2026, 11, 23);
    let outcome = mrz::repair(&lines, today);
    assert_eq!(outcome.valid, outcome.parsed(today).is_some_and(|m| m.valid()));

    let steps: Vec<mrz::Step> = data
        .chunks_exact(38)
        .take(128)
        .map(|c| std::array::from_fn(|i| f32::from(c[i]) / 255.0))
        .collect();
    let _ = mrz::decode(&[steps.as_slice(), steps.as_slice()], today);
});
