//! Reads payloads of national cards that follow no international standard.
//!
//! Layouts are those the issuers print or that readers of the cards have published: Argentina (RENAPER), Chile
//! (Registro Civil), Colombia (Registraduría), South Africa (Home Affairs), India (UIDAI), the Philippines (PSA).
//! A payload is taken only when its own fields confirm the layout; nothing is verified by a signature here.

use serde::Serialize;
use std::collections::BTreeMap;

/// What a national payload says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NationalPayload {
    /// Which, such as `ar.dni`.
    pub kind: &'static str,
    /// Fields by name: `document_number`, `family_name`, `given_names`, `birth_date` (YYYY-MM-DD), `sex` (M, F, X) …
    pub fields: BTreeMap<&'static str, String>,
}

/// Longest payload looked at.
const LONGEST: usize = 16 * 1024;

/// Reads a payload of any kind known; `None` when it is none of them.
pub fn parse(bytes: &[u8]) -> Option<NationalPayload> {
    if bytes.is_empty() || bytes.len() > LONGEST {
        return None;
    }
    let text: String = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    };
    let trimmed = text.trim_matches(['\u{feff}', '\0', ' ', '\r', '\n']);
    argentina(trimmed)
        .or_else(|| chile(trimmed))
        .or_else(|| aadhaar_xml(trimmed))
        .or_else(|| aadhaar_secure(trimmed))
        .or_else(|| philippines(trimmed))
        .or_else(|| south_africa(trimmed))
        .or_else(|| south_african_licence(bytes))
        .or_else(|| colombia(bytes))
}

struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Keeps a value that says something.
    fn put(&mut self, name: &'static str, value: &str) {
        let value = value.trim();
        if !value.is_empty() {
            self.0.insert(name, value.to_owned());
        }
    }

    fn day(&mut self, name: &'static str, value: Option<String>) {
        if let Some(value) = value {
            self.0.insert(name, value);
        }
    }

    fn of(self, kind: &'static str) -> Option<NationalPayload> {
        Some(NationalPayload { kind, fields: self.0 })
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A day as `YYYY-MM-DD`, when it can be one.
fn iso(year: &str, month: &str, day: &str) -> Option<String> {
    let (y, m, d) = (year.parse::<u16>().ok()?, month.parse::<u8>().ok()?, day.parse::<u8>().ok()?);
    let real = (1880..=2200).contains(&y) && (1..=12).contains(&m) && (1..=31).contains(&d);
    real.then(|| format!("{y:04}-{m:02}-{d:02}"))
}

/// `DD/MM/YYYY`, also with dashes.
fn day_first(text: &str) -> Option<String> {
    match text.trim().split(['/', '-']).collect::<Vec<_>>().as_slice() {
        [day, month, year] if year.len() == 4 => iso(year, month, day),
        [year, month, day] if year.len() == 4 => iso(year, month, day),
        _ => None,
    }
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// `01 JAN 1970`, `19700101` or a date with slashes.
fn any_day(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() == 8 && digits(text) {
        return iso(text.get(..4)?, text.get(4..6)?, text.get(6..)?);
    }
    if let [day, month, year] = text.split_whitespace().collect::<Vec<_>>().as_slice() {
        let month = MONTHS.iter().position(|name| month.to_ascii_uppercase().starts_with(name))? + 1;
        return iso(year, &month.to_string(), day);
    }
    day_first(text)
}

/// Since 2012: `tramite@SURNAME@NAMES@SEX@NUMBER@COPY@BIRTH@ISSUE[@CUIL digits][@EXPIRY]`;
/// before: `@NUMBER@COPY@1@SURNAME@NAMES@NATIONALITY@BIRTH@SEX@ISSUE@TRAMITE@OFFICE@EXPIRY…`.
fn argentina(text: &str) -> Option<NationalPayload> {
    let old = text.starts_with('@');
    let parts: Vec<&str> = text.split('@').map(|part| part.trim().trim_matches('"')).collect();
    let get = |place: usize| parts.get(place).copied().unwrap_or("");
    let mut fields = Fields::new();
    let (number, sex, birth) = if old { (get(1), get(8), get(7)) } else { (get(4), get(3), get(6)) };
    if !(6..=9).contains(&number.trim_start_matches(['M', 'F']).len())
        || !digits(number.trim_start_matches(['M', 'F']))
        || !matches!(sex, "M" | "F" | "X")
    {
        return None;
    }
    let birth = day_first(birth)?;
    fields.put("document_number", number);
    fields.put("sex", sex);
    fields.day("birth_date", Some(birth));
    if old {
        fields.put("copy", get(2));
        fields.put("family_name", get(4));
        fields.put("given_names", get(5));
        fields.put("nationality", get(6));
        fields.day("issue_date", day_first(get(9)));
        fields.put("procedure_number", get(10));
        fields.day("expiry_date", day_first(get(12)));
    } else {
        fields.put("procedure_number", get(0));
        fields.put("family_name", get(1));
        fields.put("given_names", get(2));
        fields.put("copy", get(5));
        fields.day("issue_date", day_first(get(7)));
        // The first two and the last digit of the CUIL stand around the document number.
        let cuil = get(8);
        if cuil.len() == 3 && digits(cuil) && number.len() == 8 {
            let (head, tail) = cuil.split_at_checked(2)?;
            fields.put("cuil", &format!("{head}{number}{tail}"));
        }
    }
    fields.of("ar.dni")
}

/// The address of the registry's look-up page, with the number and the document's serial in its query.
fn chile(text: &str) -> Option<NationalPayload> {
    let (place, query) = text.split_once('?')?;
    if !place.to_ascii_lowercase().contains("registrocivil.cl") {
        return None;
    }
    let mut fields = Fields::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key.to_ascii_lowercase().as_str() {
            "run" => fields.put("national_number", value),
            "type" => fields.put("document_type", value),
            "serial" => fields.put("document_number", value),
            "mrz" => {
                // Document number, check, birth date, check, expiry, check.
                fields.put("mrz", value);
                let number = |from: usize| value.get(from..from + 6).filter(|part| digits(part));
                if value.len() >= 24 {
                    for (name, from) in [("birth_date_yymmdd", 10), ("expiry_date_yymmdd", 17)] {
                        if let Some(part) = number(from) {
                            fields.put(name, part);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    fields.0.contains_key("national_number").then_some(())?;
    fields.of("cl.cedula")
}

/// The first Aadhaar code: one XML element whose attributes are the fields.
fn aadhaar_xml(text: &str) -> Option<NationalPayload> {
    let (_, rest) = text.split_once("<PrintLetterBarcodeData").or_else(|| text.split_once("<QPDB"))?;
    let mut fields = Fields::new();
    let mut rest = rest;
    while let Some((key, tail)) = rest.split_once("=\"") {
        let (value, tail) = tail.split_once('"')?;
        let value = value.replace("&amp;", "&").replace("&apos;", "'").replace("&quot;", "\"");
        match key.trim() {
            "uid" | "u" => fields.put("national_number", &value),
            "name" | "n" => fields.put("full_name", &value),
            "gender" | "g" => fields.put("sex", value.get(..1).unwrap_or("")),
            "yob" => fields.put("birth_year", &value),
            "dob" | "d" => fields.day("birth_date", day_first(&value)),
            "co" => fields.put("care_of", &value),
            "house" => fields.put("house", &value),
            "street" => fields.put("street", &value),
            "loc" => fields.put("locality", &value),
            "vtc" => fields.put("city", &value),
            "dist" => fields.put("district", &value),
            "state" => fields.put("state", &value),
            "pc" => fields.put("postal_code", &value),
            "a" => fields.put("address", &value),
            _ => {}
        }
        rest = tail;
    }
    fields.0.contains_key("full_name").then_some(())?;
    fields.of("in_.aadhaar")
}

/// The secure code: a decimal number whose bytes, unpacked, are fields parted by 0xFF, a picture, and RSA signature.
fn aadhaar_secure(text: &str) -> Option<NationalPayload> {
    use std::io::Read as _;
    if text.len() < 300 || text.len() > 12_000 || !digits(text) {
        return None;
    }
    let packed = big_number(text);
    let mut bytes = Vec::new();
    // Real codes unpack to two or three kilobytes.
    flate2::read::MultiGzDecoder::new(packed.as_slice()).take(64 * 1024).read_to_end(&mut bytes).ok()?;
    let body = bytes.get(..bytes.len().checked_sub(256)?)?;
    let mut parts =
        body.split(|b| *b == 0xff).map(|part| part.iter().map(|b| char::from(*b)).collect::<String>());
    let first = parts.next()?;
    // Versions since 2020 begin with their name; the indicator of e-mail and mobile follows.
    let indicator = if first.starts_with('V') { parts.next()? } else { first.clone() };
    if !matches!(indicator.as_str(), "0" | "1" | "2" | "3") {
        return None;
    }
    const NAMES: [&str; 15] = [
        "reference",
        "full_name",
        "birth_date",
        "sex",
        "care_of",
        "district",
        "landmark",
        "house",
        "location",
        "postal_code",
        "post_office",
        "state",
        "street",
        "sub_district",
        "city",
    ];
    let mut fields = Fields::new();
    for (name, value) in NAMES.into_iter().zip(parts) {
        match name {
            "birth_date" => fields.day(name, day_first(&value)),
            "reference" => {
                fields.put(name, &value);
                fields.put("national_number_last_four", value.get(..4).unwrap_or(""));
            }
            _ => fields.put(name, &value),
        }
    }
    if first.starts_with('V') {
        fields.put("version", &first);
    }
    fields.0.contains_key("full_name").then_some(())?;
    fields.of("in_.aadhaar_secure")
}

/// The bytes, highest first, of a number in decimal.
fn big_number(decimal: &str) -> Vec<u8> {
    let mut limbs: Vec<u32> = Vec::new();
    for chunk in decimal.as_bytes().chunks(9) {
        let scale = 10_u64.pow(chunk.len() as u32);
        let mut carry = chunk.iter().fold(0_u64, |sum, b| sum * 10 + u64::from(b - b'0'));
        for limb in &mut limbs {
            let value = u64::from(*limb) * scale + carry;
            *limb = value as u32;
            carry = value >> 32;
        }
        if carry > 0 {
            limbs.push(carry as u32);
        }
    }
    let bytes: Vec<u8> = limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    bytes.into_iter().skip_while(|b| *b == 0).collect()
}

/// The national identity's JSON, signed with EdDSA (not verified here).
fn philippines(text: &str) -> Option<NationalPayload> {
    if !text.starts_with('{') {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let issuer = value.get("Issuer").or_else(|| value.get("i"))?.as_str()?;
    let subject = value.get("subject").or_else(|| value.get("sb"))?;
    if issuer != "PSA" {
        return None;
    }
    let get =
        |keys: [&str; 2]| keys.iter().find_map(|key| subject.get(key)?.as_str()).unwrap_or("").to_owned();
    let mut fields = Fields::new();
    fields.put("family_name", &get(["lName", "ln"]));
    fields.put("given_names", &get(["fName", "fn"]));
    fields.put("middle_names", &get(["mName", "mn"]));
    fields.put("name_suffix", &get(["Suffix", "sf"]));
    fields.put("sex", get(["sex", "s"]).get(..1).unwrap_or(""));
    fields.put("birth_place", &get(["POB", "p"]));
    fields.put("national_number", &get(["PCN", "pcn"]));
    let birth = get(["DOB", "bd"]);
    fields.day("birth_date", long_day(&birth).or_else(|| any_day(&birth)));
    fields.of("ph.philid")
}

/// `January 02, 1990`.
fn long_day(text: &str) -> Option<String> {
    let clean = text.replace(',', " ");
    let [month, day, year] = clean.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
    let month: &str = month;
    let month = MONTHS.iter().position(|name| month.to_ascii_uppercase().starts_with(name))? + 1;
    iso(year, &month.to_string(), day)
}

/// The smart card: `SURNAME|NAMES|SEX|NATIONALITY|NUMBER|BIRTH|COUNTRY OF BIRTH|STATUS|ISSUE|…`.
fn south_africa(text: &str) -> Option<NationalPayload> {
    let parts: Vec<&str> = text.split('|').collect();
    let [surname, names, sex, nationality, number, birth, born_in, status, issued, rest @ ..] =
        parts.as_slice()
    else {
        return None;
    };
    if number.len() != 13 || !digits(number) || !matches!(*sex, "M" | "F") {
        return None;
    }
    let mut fields = Fields::new();
    fields.put("family_name", surname);
    fields.put("given_names", names);
    fields.put("sex", sex);
    fields.put("nationality", nationality);
    fields.put("national_number", number);
    fields.day("birth_date", Some(any_day(birth)?));
    fields.put("birth_country", born_in);
    fields.put("status", status);
    fields.day("issue_date", any_day(issued));
    if let Some(card) = rest.iter().find(|part| part.len() == 9 && digits(part)) {
        fields.put("document_number", card);
    }
    fields.of("za.smart_id")
}

/// The licence's 720 bytes: a version, then blocks encrypted with the issuer's RSA key, which we do not have.
fn south_african_licence(bytes: &[u8]) -> Option<NationalPayload> {
    let version = match (bytes.len(), bytes.get(..4)?) {
        (720, [0x01, 0xe1, 0x02, 0x45]) => "1",
        (720, [0x01, 0x9b, 0x09, 0x45]) => "2",
        _ => return None,
    };
    let mut fields = Fields::new();
    fields.put("version", version);
    fields.put("content", "encrypted");
    fields.of("za.driving_licence")
}

/// The cédula's PDF417: fixed places, filled with zero bytes, marked `PubDSK_`.
fn colombia(bytes: &[u8]) -> Option<NationalPayload> {
    if !bytes.windows(7).any(|window| window == b"PubDSK_") {
        return None;
    }
    let text = |from: usize, to: usize| -> Option<String> {
        let piece: String =
            bytes.get(from..to)?.iter().map(|b| if *b == 0 { ' ' } else { char::from(*b) }).collect();
        Some(piece.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    // Readers differ by a byte or two in what they keep of the start: look where the sex and the date agree.
    for shift in 0..=4_usize {
        let at = |from: usize, to: usize| text(from + shift, to + shift);
        let (Some(number), Some(sex), Some(birth)) = (at(48, 58), at(151, 152), at(152, 160)) else {
            continue;
        };
        let (true, Some(birth)) = (matches!(sex.as_str(), "M" | "F") && digits(&number), any_day(&birth))
        else {
            continue;
        };
        let mut fields = Fields::new();
        fields.put("document_number", number.trim_start_matches('0'));
        fields.put("family_name", &format!("{} {}", at(58, 81)?, at(81, 104)?));
        fields.put("given_names", &format!("{} {}", at(104, 127)?, at(127, 150)?));
        fields.put("sex", &sex);
        fields.day("birth_date", Some(birth));
        fields.put("municipality", &at(160, 162)?);
        fields.put("department", &at(162, 165)?);
        fields.put("blood_type", &at(166, 169).unwrap_or_default());
        return fields.of("co.cedula");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn field<'a>(payload: &'a NationalPayload, name: &str) -> Option<&'a str> {
        payload.fields.get(name).map(String::as_str)
    }

    #[test]
    fn both_argentine_layouts_read() {
        let new =
            parse(b"00123456789@MUESTRA@MARIA ANA@F@12345678@A@01/02/1980@03/04/2015@279").expect("a DNI");
        assert_eq!((new.kind, field(&new, "birth_date")), ("ar.dni", Some("1980-02-01")));
        assert_eq!(field(&new, "cuil"), Some("27123456789"));
        let old = parse(b"@12345678    @A@1@MUESTRA@MARIA ANA@ARGENTINA@01/02/1980@F@03/04/2011@00012345678@8075 @03/04/2026@")
            .expect("a DNI");
        assert_eq!(
            (field(&old, "family_name"), field(&old, "expiry_date")),
            (Some("MUESTRA"), Some("2026-04-03"))
        );
    }

    #[test]
    fn the_chilean_address_reads() {
        let text = b"https://portal.sidiv.registrocivil.cl/docstatus?RUN=11111111-1&type=CEDULA&serial=100000001&mrz=100000001380010112801019";
        let card = parse(text).expect("a card");
        assert_eq!((card.kind, field(&card, "national_number")), ("cl.cedula", Some("11111111-1")));
        assert!(parse(b"https://example.org/?RUN=1").is_none());
    }

    #[test]
    fn an_aadhaar_secure_code_reads_back_what_was_packed() {
        let mut body: Vec<u8> = Vec::new();
        for part in
            ["V2", "3", "123420260101010101000", "Asha Example", "02-03-1990", "F", "C/O Ravi", "Pune"]
        {
            body.extend(part.bytes());
            body.push(0xff);
        }
        // Noise in the place of picture and signature, so that packing does not shrink it below a real code's size.
        body.extend((0..700_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(&body).expect("memory");
        let packed = packer.finish().expect("memory");
        // To decimal by schoolbook division.
        let (mut rest, mut decimal) = (packed, Vec::new());
        while rest.iter().any(|b| *b > 0) {
            let mut carry = 0_u32;
            for b in &mut rest {
                let value = carry * 256 + u32::from(*b);
                *b = (value / 10) as u8;
                carry = value % 10;
            }
            decimal.push(b'0' + carry as u8);
        }
        decimal.reverse();
        let card = parse(&decimal).expect("a code");
        assert_eq!(card.kind, "in_.aadhaar_secure");
        assert_eq!(
            (field(&card, "full_name"), field(&card, "birth_date")),
            (Some("Asha Example"), Some("1990-03-02"))
        );
        assert_eq!(field(&card, "national_number_last_four"), Some("1234"));
    }

    #[test]
    fn a_south_african_smart_card_reads() {
        let text =
            b"MUSTER|ANNA|F|RSA|8001010001081|01 JAN 1980|RSA|CITIZEN|02 FEB 2015|12345|123456789|1234";
        let card = parse(text).expect("a card");
        assert_eq!((card.kind, field(&card, "issue_date")), ("za.smart_id", Some("2015-02-02")));
        assert_eq!(field(&card, "document_number"), Some("123456789"));
    }

    #[test]
    fn a_colombian_card_reads_by_its_places() {
        let mut bytes = vec![0_u8; 530];
        let mut put = |at: usize, text: &str| {
            for (slot, b) in bytes.iter_mut().skip(at).zip(text.bytes()) {
                *slot = b;
            }
        };
        put(0, "030123456789");
        put(24, "PubDSK_1");
        put(48, "0012345678");
        put(58, "EJEMPLO");
        put(81, "DE PRUEBA");
        put(104, "ANA");
        put(151, "F19800201");
        put(166, "O+");
        let card = parse(&bytes).expect("a card");
        assert_eq!((card.kind, field(&card, "document_number")), ("co.cedula", Some("12345678")));
        assert_eq!(
            (field(&card, "family_name"), field(&card, "birth_date")),
            (Some("EJEMPLO DE PRUEBA"), Some("1980-02-01"))
        );
    }

    #[test]
    fn ordinary_texts_are_none_of_them() {
        for text in
            ["", "hello", "a@b@c@d@e@f@g@h", "https://example.org", "{\"a\":1}", "1|2|3|4|5|6|7|8|9|10"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..800)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_text_of_their_letters_makes_it_panic(text in "[@|<=\"?&A-Z0-9/ {}:-]{0,200}") {
            let _ = parse(text.as_bytes());
        }

        #[test]
        fn no_long_number_makes_it_panic(text in "[0-9]{300,1200}") {
            let _ = parse(text.as_bytes());
        }
    }
}
