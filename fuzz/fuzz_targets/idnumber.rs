//! Any text under any kind of number: no panic, a reason exactly when it is not valid.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for kind in idnumber::kinds() {
        if let Ok(verdict) = idnumber::check(kind.id, text) {
            assert_eq!(verdict.valid, verdict.reason.is_none());
        }
    }
});
