//! The lines of a batch, however the stream is cut: the same lines, none longer than allowed, and a query or an error
//! from each. The first byte chooses the length of the pieces.
#![no_main]

use aml::ndjson::{Line, Lines};

const MOST: usize = 256;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&piece, text)) = data.split_first() else { return };
    let mut found = Vec::new();
    let mut lines = Lines::new(MOST);
    for bytes in text.chunks(usize::from(piece) + 1) {
        lines.push(bytes, &mut found);
        assert!(lines.held() <= MOST);
    }
    lines.end(&mut found);
    let mut whole = Vec::new();
    let mut lines = Lines::new(MOST);
    lines.push(text, &mut whole);
    lines.end(&mut whole);
    assert_eq!(found, whole);
    for line in found {
        let Line::Whole(line) = line else { continue };
        assert!(line.len() <= MOST && !line.contains(&b'\n'));
        // What yente's clients send is read from the same bytes.
        if let Ok(example) = serde_json::from_slice::<aml::yente::Example>(&line) {
            let _ = example.query();
        }
        let _ = serde_json::from_slice::<aml::Query>(&line);
    }
});
