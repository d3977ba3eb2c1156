//! Any bytes as a zone: parsed or refused, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split(['\n', '|']).collect();
    let today = mrz::Today::new(2026, 11, 23);
    if let Ok(zone) = mrz::parse(&lines, today) {
        let _ = (zone.block(), zone.key(), zone.nationality_alpha3().len());
    }
    let cleaned: Vec<String> = lines.iter().map(|l| mrz::clean(l)).collect();
    let _ = mrz::parse(&cleaned, today);
});
