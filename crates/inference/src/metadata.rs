//! Reads the notes that an ONNX file carries beside its graph.
//!
//! Only the outermost message is walked (`ModelProto`, onnx.proto3); the graph
//! is skipped by its length, so that the cost does not grow with the weights.

use std::collections::BTreeMap;

/// The `metadata_props` of an ONNX file, such as a recogniser's `character`
/// dictionary; empty when there are none or the file is not ONNX.
pub fn onnx_metadata(onnx: &[u8]) -> BTreeMap<String, String> {
    const METADATA_PROPS: u64 = 14;
    let mut found = BTreeMap::new();
    let mut rest = onnx;
    while let Some((field, body)) = next_field(&mut rest) {
        if field != METADATA_PROPS {
            continue;
        }
        let (mut key, mut value) = (None, None);
        let mut entry = body;
        while let Some((field, body)) = next_field(&mut entry) {
            let text = std::str::from_utf8(body).ok().map(str::to_owned);
            match field {
                1 => key = text,
                2 => value = text,
                _ => {}
            }
        }
        if let (Some(key), Some(value)) = (key, value) {
            found.insert(key, value);
        }
    }
    found
}

/// The next field's number and bytes (empty for numbers); `None` at the end or
/// at the first thing that does not fit.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let key = varint(rest)?;
    let length = match key & 7 {
        0 => {
            varint(rest)?;
            0
        }
        1 => 8,
        2 => usize::try_from(varint(rest)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let (body, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((key >> 3, body))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_past_other_fields() {
        // ir_version = 8; graph of 3 bytes; metadata_props { "a": "bc" }.
        let file = [0x08, 8, 0x3A, 3, 1, 2, 3, 0x72, 7, 0x0A, 1, b'a', 0x12, 2, b'b', b'c'];
        assert_eq!(onnx_metadata(&file), BTreeMap::from([("a".to_owned(), "bc".to_owned())]));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            onnx_metadata(&bytes);
        }
    }
}
