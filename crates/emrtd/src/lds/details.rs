//! The groups that hold tagged lists of details: EF.COM, DG7, DG11, DG12, DG13, DG16 (ICAO 9303-10 4.6.1, 4.7).
//!
//! None of them proves anything by itself: EF.COM is not even signed, and is only ever shown, never relied on.

use crate::ber::{Error, Reader, Tlv};

/// One detail: what it is, and its text or image.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Detail {
    /// What it is, such as `full_name`.
    pub name: &'static str,
    /// Its text; a date is YYYYMMDD. Filler characters `<` between parts are kept as the chip has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its bytes, when it is an image or no text.
    #[serde(skip)]
    pub bytes: Option<Vec<u8>>,
}

/// EF.COM.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Com {
    /// Such as `0107`.
    pub lds_version: String,
    /// Such as `040000`.
    pub unicode_version: String,
    /// Numbers of the groups the chip claims to have.
    pub data_groups: Vec<u8>,
}

/// File tag of each data group, DG1 first (ICAO 9303-10 table 38).
pub const GROUP_TAGS: [u8; 16] =
    [0x61, 0x75, 0x63, 0x76, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x6B, 0x6C, 0x6D, 0x6E, 0x6F, 0x70];

/// The number of the data group with this file tag.
pub fn group_of_tag(tag: u8) -> Option<u8> {
    GROUP_TAGS.iter().position(|t| *t == tag).and_then(|at| u8::try_from(at + 1).ok())
}

/// Parses EF.COM (tag 60).
pub fn com(bytes: &[u8]) -> Result<Com, Error> {
    let mut fields = Reader::new(bytes).expect(0x60)?.reader();
    let text = |tlv: Tlv<'_>, size: usize| {
        let text = String::from_utf8(tlv.content.to_vec()).map_err(|_| Error::Value)?;
        if text.len() == size { Ok(text) } else { Err(Error::Value) }
    };
    let lds_version = text(fields.expect(0x5F01)?, 4)?;
    let unicode_version = text(fields.expect(0x5F36)?, 6)?;
    let tags = fields.expect(0x5C)?.content;
    let data_groups =
        tags.iter().map(|tag| group_of_tag(*tag).ok_or(Error::Value)).collect::<Result<_, _>>()?;
    Ok(Com { lds_version, unicode_version, data_groups })
}

/// Names of the details by tag (ICAO 9303-10 tables 50, 52, 61). `A…` marks an image, `D…` a date.
const NAMES: [(u32, &str, Kind); 33] = [
    (0x5F0E, "full_name", Kind::Text),
    (0x5F0F, "other_name", Kind::Text),
    (0x5F10, "personal_number", Kind::Text),
    (0x5F2B, "full_date_of_birth", Kind::Date),
    (0x5F11, "place_of_birth", Kind::Text),
    (0x5F42, "permanent_address", Kind::Text),
    (0x5F12, "telephone", Kind::Text),
    (0x5F13, "profession", Kind::Text),
    (0x5F14, "title", Kind::Text),
    (0x5F15, "personal_summary", Kind::Text),
    (0x5F16, "proof_of_citizenship", Kind::Image),
    (0x5F17, "other_travel_document_numbers", Kind::Text),
    (0x5F18, "custody_information", Kind::Text),
    (0x5F19, "issuing_authority", Kind::Text),
    (0x5F26, "date_of_issue", Kind::Date),
    (0x5F1A, "other_person", Kind::Text),
    (0x5F1B, "endorsements_and_observations", Kind::Text),
    (0x5F1C, "tax_or_exit_requirements", Kind::Text),
    (0x5F1D, "image_of_front", Kind::Image),
    (0x5F1E, "image_of_rear", Kind::Image),
    (0x5F55, "personalisation_time", Kind::Date),
    (0x5F56, "personalisation_system", Kind::Text),
    (0x5F50, "date_recorded", Kind::Date),
    (0x5F51, "person_to_notify", Kind::Text),
    (0x5F52, "person_to_notify_telephone", Kind::Text),
    (0x5F53, "person_to_notify_address", Kind::Text),
    (0x5F40, "portrait", Kind::Image),
    (0x5F43, "signature_or_mark", Kind::Image),
    (0x5F44, "date_of_capture", Kind::Date),
    (0x53, "optional_data", Kind::Image),
    (0x73, "optional_structured_data", Kind::Image),
    (0x5F2E, "biometric_data", Kind::Image),
    (0x7F2E, "biometric_data", Kind::Image),
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Date,
    Image,
}

/// Bounds one file's work.
const MAX_DETAILS: usize = 512;

/// Parses a group of details; `tag` is the file's (67 DG7, 6B DG11, 6C DG12, 70 DG16).
pub fn details(bytes: &[u8], tag: u32) -> Result<Vec<Detail>, Error> {
    let outer = Reader::new(bytes).expect(tag)?;
    let mut out = Vec::new();
    collect(&outer, 0, &mut out)?;
    Ok(out)
}

fn collect(element: &Tlv<'_>, depth: u32, out: &mut Vec<Detail>) -> Result<(), Error> {
    for field in element.children()? {
        match field.tag {
            // list of tags, count of instances
            0x5C | 0x02 => {}
            0xA0..=0xAF if depth < 3 => collect(&field, depth + 1, out)?,
            tag => {
                if out.len() >= MAX_DETAILS {
                    return Err(Error::Malformed);
                }
                out.push(detail(tag, field.content));
            }
        }
    }
    Ok(())
}

fn detail(tag: u32, content: &[u8]) -> Detail {
    let (name, kind) = NAMES
        .iter()
        .find(|(t, ..)| *t == tag)
        .map_or(("unknown", Kind::Image), |(_, name, kind)| (*name, *kind));
    let text = match kind {
        Kind::Image => None,
        // eight digits, or four bytes of two digits each
        Kind::Date if content.len() == 4 || content.len() == 7 => Some(hex::encode(content)),
        _ => Some(match std::str::from_utf8(content) {
            Ok(text) => text.to_owned(),
            // Latin-1 in older documents
            Err(_) => content.iter().map(|b| char::from(*b)).collect(),
        }),
    };
    let bytes = text.is_none().then(|| content.to_vec());
    Detail { name, text, bytes }
}

/// DG13: opaque bytes of the issuer (tag 6D).
pub fn optional(bytes: &[u8]) -> Result<&[u8], Error> {
    Ok(Reader::new(bytes).expect(0x6D)?.content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(bytes: &str, tag: u32) -> Vec<(&'static str, String)> {
        details(&hex::decode(bytes).expect("hex"), tag)
            .expect("parses")
            .into_iter()
            .map(|d| (d.name, d.text.unwrap_or_default()))
            .collect()
    }

    #[test]
    fn personal_details_of_9303_part_10_are_read() {
        let dg11 = "6b605c0a5f0e5f115f425f125f135f0e0d534d4954483c3c4a4f484e3c4a5f110a414e59544f574e3c4d4e5f4217313233204d41504c452052443c414e59544f574e3c4d4e5f120b31363132353535313231325f130c54524156454c3c4147454e54";
        let details = texts(dg11, 0x6B);
        assert_eq!(details[0], ("full_name", "SMITH<<JOHN<J".to_owned()));
        assert_eq!(details[4], ("profession", "TRAVEL<AGENT".to_owned()));
    }

    #[test]
    fn names_in_a_counted_list_are_read_like_a_bare_one() {
        let list =
            texts("6b245c025f0fa01e0201025f0f0b534d4954483c3c4a4f484e5f0f0a4a4f484e3c534d495448", 0x6B);
        assert_eq!(list, [("other_name", "SMITH<<JOHN".to_owned()), ("other_name", "JOHN<SMITH".to_owned())]);
        assert_eq!(texts("6b125c025f0f5f0f0b534d4954483c3c4a4f484e", 0x6B).len(), 1);
    }

    #[test]
    fn dates_in_four_bytes_and_in_digits_look_the_same() {
        assert_eq!(
            texts("6b0b5c025f2b5f2b0420210915", 0x6B),
            [("full_date_of_birth", "20210915".to_owned())]
        );
        assert_eq!(
            texts("6c0f5c025f265f26083230313730393035", 0x6C),
            [("date_of_issue", "20170905".to_owned())]
        );
    }

    #[test]
    fn the_common_file_of_9303_part_10_is_read() {
        let com =
            com(&hex::decode("60145f0104303130365f36063034303030305c026175").expect("hex")).expect("parses");
        assert_eq!((com.lds_version.as_str(), com.data_groups), ("0106", vec![1, 2]));
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), tag in any::<u8>()) {
            let mut file = crate::ber::element(u32::from(tag), &bytes);
            let _ = details(&file, u32::from(tag));
            let _ = com(&file);
            let _ = crate::lds::face::parse(&file);
            file[0] = 0x75;
            let _ = crate::lds::face::parse(&file);
        }

        #[test]
        fn any_face_record_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = crate::lds::face::parse(&[b"FAC\x00010\x00", bytes.as_slice()].concat());
        }
    }
}
