//! Names of any bytes: never panics, never an empty romanised token, bounded tokens.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for kind in [names::Kind::Person, names::Kind::Organisation, names::Kind::Thing, names::Kind::Unknown] {
        let name = names::analyse(&text, kind);
        assert!(name.tokens.len() <= names::MAX_TOKENS);
        assert!(name.tokens.iter().all(|t| !t.latin.is_empty() && t.latin.is_ascii()));
        for (a, b) in name.tokens.iter().zip(name.tokens.iter().skip(1)) {
            let _ = names::compare(a.view(), b.view());
        }
    }
});
