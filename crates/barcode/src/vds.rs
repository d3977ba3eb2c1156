//! Reads ICAO's visible digital seals and checks their signature (Doc 9303-13; BSI TR-03137, TR-03171).
//!
//! Two encodings: the seal (magic `DC`, header in C40, tag-length-value messages, raw ECDSA signature) and the newer
//! barcode data structure (`RDB1`, base 32). What a seal says is worth something only once [`Seal::verify`] has
//! passed with a certificate that the caller trusts; the chain to that trust is the caller's.

use crate::aamva::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A seal as read; nothing in it is verified yet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seal {
    /// Which encoding it came in.
    pub encoding: Encoding,
    /// What it is about, such as `residence_permit`; the reference in hexadecimal when unknown.
    pub document_type: String,
    /// Issuing country, filling removed.
    pub country: String,
    /// Signer identifier: country and two characters; empty for unsigned structures.
    pub signer: String,
    /// Reference of the signer's certificate.
    pub certificate_reference: String,
    /// When the document was issued.
    pub issued: Option<Date>,
    /// When the seal was signed.
    pub signed: Option<Date>,
    /// The messages by name; unknown tags as `tag_<number>` in hexadecimal. Lines of an MRZ are parted by `\n`.
    pub fields: BTreeMap<String, String>,
    /// Raw signature, r then s; empty when there is none.
    #[serde(skip)]
    pub signature: Vec<u8>,
    /// The bytes that are signed.
    #[serde(skip)]
    pub signed_bytes: Vec<u8>,
    /// The signer's certificate, where the structure carries it.
    #[serde(skip)]
    pub certificate: Option<Vec<u8>>,
}

/// How a seal was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Visible digital seal, Doc 9303-13 §2.
    Seal,
    /// Barcode data structure, Doc 9303-13 §6.
    Structure,
}

/// Why bytes are no seal, or a seal does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VdsError {
    /// Neither encoding.
    #[error("bytes are no visible digital seal")]
    NotASeal,
    /// The version is none of those known.
    #[error("unknown version of the seal")]
    Version,
    /// Header or messages end early or contradict themselves.
    #[error("seal is damaged")]
    Damaged,
    /// There is no signature.
    #[error("seal is not signed")]
    Unsigned,
    /// The certificate cannot be read, or its key is on none of the curves known.
    #[error("certificate cannot be used")]
    Certificate,
    /// The certificate is another signer's.
    #[error("certificate is not the one the seal names")]
    OtherSigner,
    /// The signature does not fit.
    #[error("signature does not verify")]
    Signature,
}

/// More bytes than any barcode of one symbol holds.
const LONGEST: usize = 16 * 1024;

type Features = BTreeMap<String, toml::Value>;

#[derive(Deserialize)]
struct Tables {
    seal: BTreeMap<String, Features>,
    profile: BTreeMap<String, Features>,
    message: Features,
    group: BTreeMap<String, Features>,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        toml::from_str(include_str!("../data/vds.toml")).expect("a test reads the embedded table")
    })
}

/// Reads a seal in either encoding.
///
/// # Errors
/// [`VdsError`] when the bytes are no seal or a damaged one.
pub fn parse(bytes: &[u8]) -> Result<Seal, VdsError> {
    if bytes.len() > LONGEST {
        return Err(VdsError::NotASeal);
    }
    if bytes.first() == Some(&0xdc) {
        return seal(bytes);
    }
    // Latin-1 scanners hand the seal over as UTF-8 at times.
    if let Ok(text) = std::str::from_utf8(bytes) {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("RDB1") {
            return structure(rest);
        }
        if text.starts_with('\u{dc}') {
            let raw: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            return seal(&raw.ok_or(VdsError::NotASeal)?);
        }
    }
    Err(VdsError::NotASeal)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], VdsError> {
        let end = self.at.checked_add(count).ok_or(VdsError::Damaged)?;
        let piece = self.bytes.get(self.at..end).ok_or(VdsError::Damaged)?;
        self.at = end;
        Ok(piece)
    }

    fn byte(&mut self) -> Result<u8, VdsError> {
        self.take(1)?.first().copied().ok_or(VdsError::Damaged)
    }

    /// A tag, a length and a value.
    fn message(&mut self) -> Result<(u8, &'a [u8]), VdsError> {
        let tag = self.byte()?;
        let length = match self.byte()? {
            0x81 => usize::from(self.byte()?),
            0x82 => usize::from(self.byte()?) << 8 | usize::from(self.byte()?),
            // Doc 9303-13 has one plain byte, TR-03137 the DER form: 81 and 82 announce the latter.
            short => usize::from(short),
        };
        Ok((tag, self.take(length)?))
    }

    fn done(&self) -> bool {
        self.at >= self.bytes.len()
    }
}

/// C40 as Doc 9303-13 §2.6 has it: three characters in two bytes; `FE` announces one in ASCII.
fn c40(bytes: &[u8]) -> Option<String> {
    let mut out = String::new();
    for pair in bytes.chunks(2) {
        match *pair {
            [0xfe, last] => out.push(char::from(last.checked_sub(1)?)),
            [high, low] => {
                let value = (u32::from(high) << 8 | u32::from(low)).checked_sub(1)?;
                for code in [value / 1600, value % 1600 / 40, value % 40] {
                    match code {
                        3 => out.push(' '),
                        4..=13 => out.push(char::from_u32(code + 44)?),
                        14..=39 => out.push(char::from_u32(code + 51)?),
                        // A shift stands for filling at the end.
                        _ => {}
                    }
                }
            }
            _ => return None,
        }
    }
    Some(out)
}

/// Three bytes: the number MMDDYYYY.
fn date(bytes: &[u8]) -> Option<Date> {
    let [a, b, c] = bytes else { return None };
    let number = u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c);
    let (month, day, year) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    let real = (1..=12).contains(&month) && (1..=31).contains(&day) && (1880..=2999).contains(&year);
    real.then_some(Date { year: year as u16, month: month as u8, day: day as u8 })
}

/// A mask of unknown digits, then a date; `X` for the unknown ones, as `YYYY-MM-DD`.
fn masked_date(bytes: &[u8]) -> Option<String> {
    let (mask, rest) = bytes.split_first()?;
    let [a, b, c] = rest else { return None };
    let number = u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c);
    let digits: Vec<char> = format!("{number:08}")
        .chars()
        .enumerate()
        .map(|(place, digit)| if mask >> (7 - place.min(7)) & 1 == 1 { 'X' } else { digit })
        .collect();
    let piece = |from: usize, to: usize| digits.get(from..to).map(|piece| piece.iter().collect::<String>());
    Some(format!("{}-{}-{}", piece(4, 8)?, piece(0, 2)?, piece(2, 4)?))
}

fn seal(bytes: &[u8]) -> Result<Seal, VdsError> {
    let mut cursor = Cursor { bytes, at: 1 };
    let version = cursor.byte()?;
    if version != 2 && version != 3 {
        return Err(VdsError::Version);
    }
    let country = c40(cursor.take(2)?).ok_or(VdsError::Damaged)?;
    let head = cursor.at;
    // Version 4 of the format (byte 03) writes the reference's length in two digits, hexadecimal by the standard;
    // some issuers write it in decimal. The dates that follow tell which.
    let mut readings = Vec::new();
    if version == 2 {
        let both = c40(bytes.get(head..head + 6).ok_or(VdsError::Damaged)?).ok_or(VdsError::Damaged)?;
        readings.push((
            both.chars().take(4).collect::<String>(),
            both.chars().skip(4).collect::<String>(),
            head + 6,
        ));
    } else {
        let first = c40(bytes.get(head..head + 4).ok_or(VdsError::Damaged)?).ok_or(VdsError::Damaged)?;
        let signer: String = first.chars().take(4).collect();
        let digits: String = first.chars().skip(4).take(2).collect();
        for radix in [16, 10] {
            let Ok(length) = usize::from_str_radix(digits.trim(), radix) else { continue };
            let end = head + 4 + length.saturating_sub(1) / 3 * 2 + 2;
            let Some(reference) = bytes.get(head + 4..end).and_then(c40) else { continue };
            readings.push((signer.clone(), reference.chars().take(length.max(1)).collect(), end));
        }
    }
    let plausible = readings.into_iter().find_map(|(signer, reference, at)| {
        let issued = date(bytes.get(at..at + 3)?);
        let signed = date(bytes.get(at + 3..at + 6)?);
        signed.is_some().then_some((signer, reference, issued, signed, at + 6))
    });
    let (signer, reference, issued, signed, at) = plausible.ok_or(VdsError::Damaged)?;
    cursor.at = at;
    let kind = hex::encode(cursor.take(2)?);
    let mut out = Seal {
        encoding: Encoding::Seal,
        document_type: kind.clone(),
        country: country.trim_end_matches([' ', '<']).to_owned(),
        signer,
        certificate_reference: reference.trim_end().to_owned(),
        issued,
        signed,
        fields: BTreeMap::new(),
        signature: Vec::new(),
        signed_bytes: bytes.to_vec(),
        certificate: None,
    };
    let mut features = tables().seal.get(&kind);
    let mut messages = Vec::new();
    while !cursor.done() {
        let start = cursor.at;
        let (tag, value) = cursor.message()?;
        if tag == 0xff {
            out.signature = value.to_vec();
            out.signed_bytes = bytes.get(..start).unwrap_or_default().to_vec();
            break;
        }
        messages.push((tag, value));
    }
    if let Some(named) = features {
        out.document_type = name(named).unwrap_or(kind.clone());
    }
    for (tag, value) in messages {
        let slot = features
            .and_then(|features| features.get(&tag.to_string()))
            .or_else(|| tables().seal.get(&kind)?.get(&tag.to_string()));
        // A profile, named by tag 0, says what the tags beyond the common ones mean.
        let profiled = kind.starts_with("01c");
        if let Some(profile) = tables().profile.get(&hex::encode(value)).filter(|_| profiled && tag == 0) {
            out.document_type = name(profile).unwrap_or(out.document_type);
            features = Some(profile);
        }
        put(&mut out.fields, tag, slot, value);
    }
    Ok(out)
}

fn name(features: &Features) -> Option<String> {
    features.get("name").and_then(|value| value.as_str()).map(str::to_owned)
}

fn put(fields: &mut BTreeMap<String, String>, tag: u8, slot: Option<&toml::Value>, value: &[u8]) {
    let slot = slot.and_then(|slot| slot.as_array());
    let text = |place: usize| slot.and_then(|slot| slot.get(place)).and_then(|value| value.as_str());
    let (name, coding) = (text(0), text(1).unwrap_or("bytes"));
    let decoded = match coding {
        "c40" => c40(value).map(|text| text.trim_end().to_owned()),
        "text" | "date" => String::from_utf8(value.to_vec()).ok(),
        "number" => value
            .iter()
            .try_fold(0_u64, |sum, b| sum.checked_mul(256)?.checked_add(u64::from(*b)))
            .map(|n| n.to_string()),
        "masked_date" => masked_date(value),
        "mrz" => c40(value).map(|text| lines(&text, 36, 36)),
        "mrva" => c40(value).map(|text| lines(&text, 44, 28)),
        "mrvb" => c40(value).map(|text| lines(&text, 36, 28)),
        _ => None,
    };
    let value = decoded.unwrap_or_else(|| hex::encode(value));
    fields.insert(name.map_or_else(|| format!("tag_{tag}"), str::to_owned), value);
}

/// An MRZ out of C40: spaces are fillers; lines as long as the format has them. Longer ones are 3 × 30 or 2 × 44.
fn lines(text: &str, first: usize, second: usize) -> String {
    let filled: String = text.chars().map(|c| if c == ' ' { '<' } else { c }).collect();
    let length = filled.chars().count();
    let split: &[usize] = match length {
        84.. if length == 90 => &[30, 30, 30],
        84.. => &[44, 44],
        _ => &[first, second],
    };
    let mut rest = filled.chars();
    let lines: Vec<String> = split.iter().map(|count| rest.by_ref().take(*count).collect()).collect();
    lines.into_iter().filter(|line: &String| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// `RDB1`, then A plain, B signed, C packed, D both; then base 32.
fn structure(text: &str) -> Result<Seal, VdsError> {
    let mut chars = text.chars();
    let (signed, packed) = match chars.next() {
        Some('A') => (false, false),
        Some('B') => (true, false),
        Some('C') => (false, true),
        Some('D') => (true, true),
        _ => return Err(VdsError::Version),
    };
    let mut bytes = base32(chars.as_str()).ok_or(VdsError::Damaged)?;
    if packed {
        bytes = inflate(&bytes).ok_or(VdsError::Damaged)?;
    }
    let mut cursor = Cursor { bytes: &bytes, at: 0 };
    let country = c40(cursor.take(2)?).ok_or(VdsError::Damaged)?;
    let mut out = Seal {
        encoding: Encoding::Structure,
        document_type: "barcode_data_structure".to_owned(),
        country: country.trim_end_matches([' ', '<']).to_owned(),
        signer: String::new(),
        certificate_reference: String::new(),
        issued: None,
        signed: None,
        fields: BTreeMap::new(),
        signature: Vec::new(),
        signed_bytes: bytes.clone(),
        certificate: None,
    };
    if signed {
        // Algorithm (01 ECDSA with SHA-256 …), five bytes of certificate reference, masked date of signing.
        cursor.byte()?;
        out.certificate_reference = hex::encode(cursor.take(5)?);
        out.signed = cursor.take(4)?.get(1..).and_then(date);
    }
    while !cursor.done() {
        let (tag, value) = cursor.message()?;
        match tag {
            0x61 => {
                messages(value, &mut out)?;
                out.signed_bytes = bytes.get(..cursor.at).unwrap_or_default().to_vec();
            }
            0x7e => out.certificate = Some(value.to_vec()),
            0x7f => {
                out.signature = value.to_vec();
                break;
            }
            _ => return Err(VdsError::Damaged),
        }
    }
    Ok(out)
}

fn messages(bytes: &[u8], out: &mut Seal) -> Result<(), VdsError> {
    let mut cursor = Cursor { bytes, at: 0 };
    while !cursor.done() {
        let (tag, value) = cursor.message()?;
        let slot = tables().message.get(&tag.to_string());
        match tables().group.get(&tag.to_string()) {
            Some(group) => {
                if let Some(kind) = slot.and_then(|slot| slot.get(0)).and_then(|kind| kind.as_str()) {
                    out.document_type = kind.to_owned();
                }
                let mut inner = Cursor { bytes: value, at: 0 };
                while !inner.done() {
                    let (tag, value) = inner.message()?;
                    put(&mut out.fields, tag, group.get(&tag.to_string()), value);
                }
            }
            None => put(&mut out.fields, tag, slot, value),
        }
    }
    Ok(())
}

fn base32(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::new());
    for c in text.trim_end_matches('=').chars() {
        let value = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c)? as u32;
        bits = bits << 5 | value;
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(out)
}

/// Unpacks zlib or raw deflate, at most [`LONGEST`] bytes.
fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let mut out = Vec::new();
    let limit = LONGEST as u64;
    if flate2::read::ZlibDecoder::new(bytes).take(limit).read_to_end(&mut out).is_ok() {
        return Some(out);
    }
    out.clear();
    flate2::read::DeflateDecoder::new(bytes).take(limit).read_to_end(&mut out).ok().map(|_| out)
}

fn certificate(bytes: &[u8]) -> Result<x509_cert::Certificate, VdsError> {
    use x509_cert::der::{Decode as _, DecodePem as _};
    x509_cert::Certificate::from_der(bytes)
        .or_else(|_| x509_cert::Certificate::from_pem(bytes))
        .map_err(|_| VdsError::Certificate)
}

/// Whether bytes are a certificate (DER or PEM) that [`Seal::verify`] takes.
pub fn is_certificate(bytes: &[u8]) -> bool {
    certificate(bytes).is_ok()
}

impl Seal {
    /// Checks the signature with the signer's certificate (DER or PEM), which must be the one the seal names:
    /// its subject has the signer's country and name, or its serial number is the reference.
    ///
    /// # Errors
    /// [`VdsError`]; only `Ok` means that the seal is what the holder of the certificate's key signed.
    pub fn verify(&self, certificate: &[u8]) -> Result<(), VdsError> {
        use x509_cert::der::Encode as _;
        if self.signature.is_empty() {
            return Err(VdsError::Unsigned);
        }
        let certificate = self::certificate(certificate)?;
        let content = certificate.tbs_certificate();
        if self.encoding == Encoding::Seal {
            let subject = content.subject().to_string().to_uppercase();
            let serial = hex::encode_upper(content.serial_number().as_bytes());
            let reference = self.certificate_reference.to_uppercase();
            let (country, name) = self.signer.split_at_checked(2).ok_or(VdsError::OtherSigner)?;
            let named = subject.contains(&format!("C={country}"))
                && (subject.contains(&format!("CN={name}"))
                    || subject.contains(&format!("CN={country}{name}")));
            let numbered = serial.trim_start_matches('0') == reference.trim_start_matches('0');
            if !named || !numbered {
                return Err(VdsError::OtherSigner);
            }
        }
        let key = content.subject_public_key_info();
        let parameters = key
            .algorithm
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.to_der().ok())
            .ok_or(VdsError::Certificate)?;
        let point = key.subject_public_key.as_bytes().ok_or(VdsError::Certificate)?;
        if check(&parameters, point, &self.signed_bytes, &self.signature)? {
            Ok(())
        } else {
            Err(VdsError::Signature)
        }
    }
}

/// The curve by its object identifier, or by the prime among explicit parameters (Doc 9303-12 has issuers spell them
/// out); the point then decides, for it must lie on the curve that was named.
fn check(parameters: &[u8], point: &[u8], message: &[u8], signature: &[u8]) -> Result<bool, VdsError> {
    use p256::ecdsa::signature::Verifier as _;
    const CURVES: [(&str, &str); 4] = [
        // prime256v1, secp384r1, brainpoolP256r1, brainpoolP384r1: identifier; first bytes of the prime.
        ("06082a8648ce3d030107", "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
        (
            "06052b81040022",
            "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
        ),
        ("06092b2403030208010107", "a9fb57dba1eea9bc3e660a909d838d726e3bf623d52620282013481d1f6e5377"),
        (
            "06092b240303020801010b",
            "8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b412b1da197fb71123acd3a729901d1a71874700133107ec53",
        ),
    ];
    let parameters = hex::encode(parameters);
    let curve = CURVES
        .iter()
        .position(|(oid, prime)| {
            parameters == *oid || (parameters.starts_with("30") && parameters.contains(prime))
        })
        .ok_or(VdsError::Certificate)?;
    macro_rules! verify {
        ($curve:ty) => {{
            let key =
                ecdsa::VerifyingKey::<$curve>::from_sec1_bytes(point).map_err(|_| VdsError::Certificate)?;
            let signature =
                ecdsa::Signature::<$curve>::from_slice(signature).map_err(|_| VdsError::Signature)?;
            key.verify(message, &signature).is_ok()
        }};
    }
    Ok(match curve {
        0 => verify!(p256::NistP256),
        1 => verify!(p384::NistP384),
        2 => verify!(bp256::BrainpoolP256r1),
        _ => verify!(bp384::BrainpoolP384r1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A seal of our own: a residence permit of Utopia.
    fn own() -> Vec<u8> {
        let mut bytes = vec![0xdc, 0x03];
        let pack = |text: &str| -> Vec<u8> {
            let code = |c: char| match c {
                ' ' | '<' => 3,
                '0'..='9' => c as u32 - 44,
                _ => c as u32 - 51,
            };
            text.as_bytes()
                .chunks(3)
                .flat_map(|three| {
                    let value = three.iter().fold(0, |sum, b| sum * 40 + code(char::from(*b))) + 1;
                    [(value >> 8) as u8, value as u8]
                })
                .collect()
        };
        bytes.extend(pack("UTO"));
        bytes.extend(pack("UTTS03"));
        bytes.extend(pack("5BA"));
        for day in [1_012_026_u32, 2_152_026] {
            bytes.extend(day.to_be_bytes().get(1..).expect("three bytes"));
        }
        bytes.extend([0xfb, 0x06]);
        let zone = pack("ARUTOD23145890<1233<<<<<<<<<<<<<<<<<7408122F1204159UTO<<<<<<<<<<<<<<<<<6");
        bytes.extend([2, zone.len() as u8]);
        bytes.extend(zone);
        bytes
    }

    #[test]
    fn a_residence_permit_reads() {
        let seal = parse(&own()).expect("a seal");
        assert_eq!(seal.document_type, "residence_permit");
        assert_eq!(
            (seal.country.as_str(), seal.signer.as_str(), seal.certificate_reference.as_str()),
            ("UTO", "UTTS", "5BA")
        );
        assert_eq!(seal.signed.map(|d| d.to_string()).as_deref(), Some("2026-02-15"));
        assert!(seal.fields["mrz"].starts_with("ARUTOD23145890<"));
        assert_eq!(seal.verify(b""), Err(VdsError::Unsigned));
    }

    fn data() -> Option<serde_json::Value> {
        let root = std::env::var("BONAFIDE_TESTDATA")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned());
        let text = std::fs::read_to_string(format!("{root}/emrtd/vds/vdstools_raw_seals.json")).ok();
        if text.is_none() {
            eprintln!("skipped: no test data");
        }
        serde_json::from_str(&text?).ok()
    }

    #[test]
    fn every_seal_of_the_test_data_reads() {
        let Some(data) = data() else { return };
        for (name, text) in data["vds/VdsRawBytesCommon.kt"].as_object().expect("seals") {
            let bytes = hex::decode(text.as_str().expect("hex")).expect("hex");
            // One entry strings several seals together: it reads as its first.
            let seal = parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                !seal.fields.is_empty()
                    && (name.starts_with("admin")
                        || name == "utoVisa"
                        || !seal.fields.keys().any(|key| key.starts_with("tag_"))),
                "{name}: {seal:?}"
            );
            assert!(
                !name.starts_with("admin") || seal.document_type == "administrative_document",
                "{name}: {seal:?}"
            );
        }
        for (name, text) in data["idb/IcbRawStringsCommon.kt"].as_object().expect("structures") {
            let text = text.as_str().expect("text");
            // Some strings of the collection are cut off: those must be called damaged, not read in part.
            match parse(text.as_bytes()) {
                Ok(seal) => assert!(!seal.fields.is_empty() && seal.signature.len() == 64, "{name}"),
                Err(error) => assert_eq!(error, VdsError::Damaged, "{name}"),
            }
        }
    }

    #[test]
    fn a_signature_is_checked_on_the_curve_the_key_names() {
        use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
        let key = SigningKey::from_slice(&[7; 32]).expect("a key");
        let point = key.verifying_key().to_sec1_point(false);
        let signature: Signature = key.sign(b"message");
        let oid = hex::decode("06082a8648ce3d030107").expect("hex");
        assert_eq!(check(&oid, point.as_bytes(), b"message", &signature.to_bytes()), Ok(true));
        assert_eq!(check(&oid, point.as_bytes(), b"massage", &signature.to_bytes()), Ok(false));
        let other = hex::decode("06092b2403030208010107").expect("hex");
        assert_eq!(
            check(&other, point.as_bytes(), b"message", &signature.to_bytes()),
            Err(VdsError::Certificate)
        );
    }

    // Made with the openssl command: a certificate of Utopia's signer TS, serial 5BA, and its signature over `own()`.
    // The first spells its curve out, as Doc 9303-12 wants.
    const BP256: (&str, &str) = (
        "308202753082021ba003020102020205ba300a06082a8648ce3d040302302b310b3009060355040613025554310f300d060355040a0c0655746f706961310b300906035504030c025453301e170d3236313132333034313335315a170d3336313132303034313335315a302b310b3009060355040613025554310f300d060355040a0c0655746f706961310b300906035504030c025453308201333081ec06072a8648ce3d02013081e0020101302c06072a8648ce3d0101022100a9fb57dba1eea9bc3e660a909d838d726e3bf623d52620282013481d1f6e5377304404207d5a0975fc2c3057eef67530417affe7fb8055c126dc5c6ce94a4b44f330b5d9042026dc5c6ce94a4b44f330b5d9bbd77cbf958416295cf7e1ce6bccdc18ff8c07b60441048bd2aeb9cb7e57cb2c4b482ffc81b7afb9de27e1e3bd23c23a4453bd9ace3262547ef835c3dac4fd97f8461a14611dc9c27745132ded8e545c1d54c72f046997022100a9fb57dba1eea9bc3e660a909d838d718c397aa3b561a6f7901e0e82974856a702010103420004293c1ab8728b4eb64d229cf74d5168cd0ddeff896f8a1460a7459226ff8944db7b747122cb86d16ce7c0086deda900b82d87e87c0378a36bd015e6f7c0d69530a3533051301d0603551d0e041604148d48bb7ef9e8a385c267914302d8ad2bffe13eb7301f0603551d230418301680148d48bb7ef9e8a385c267914302d8ad2bffe13eb7300f0603551d130101ff040530030101ff300a06082a8648ce3d040302034800304502206c827b79a3c738d6fe79142494359719ccdd20558f20157c4e5febc2663773660221008a53c11aee6ddfb03ba4071d06aaff3fe2420f6c2b21e1ea0ff2e7da03c8bc39",
        "18b8b1c2c4433aa0d2d06b79d57fa061a538c8688bd9a1213414eb83f3f3605f46f04b4f0bc61455b12ee0bce6075b3aea04810a8bf437fd8c28e246e1e0ef6c",
    );
    const BP384: (&str, &str) = (
        "308201d930820160a003020102020205ba300a06082a8648ce3d040303302b310b3009060355040613025554310f300d060355040a0c0655746f706961310b300906035504030c025453301e170d3236313132333034313335315a170d3336313132303034313335315a302b310b3009060355040613025554310f300d060355040a0c0655746f706961310b300906035504030c025453307a301406072a8648ce3d020106092b240303020801010b0362000418e72ce95e876a386eff7f0a7ae01e06afeee23278e29e6a3c9742daa1f4d3d6640c61f8c518092f6e5bb4a3adb54580283094795bc1677b4a09061ab0fdc81b03b60cf46e637aff62ee713983e41cce06f6253c2b8bf3d4572f3c673ca86871a3533051301d0603551d0e041604143838db13fbc6a99b0d8f2f18b182f7e3c55d8392301f0603551d230418301680143838db13fbc6a99b0d8f2f18b182f7e3c55d8392300f0603551d130101ff040530030101ff300a06082a8648ce3d04030303670030640230422440d4141682e8c2002b167e9bbf3cefb4d10e3c3c0e4b7f53b2cea6776014809b128e95b8558cc635bb0326bd1a43023039054361a0285cad363a6a5c241e0892a82e95039f0e00a3981a87123352b5391bcd4b7df176686b499b2b5180e9a952",
        "1ee4c666b14cf43491c0d7b441f0369607b3af778bc47cae5f21cac43567ed4945c1651226d810b09262dce9b33ccff565e4c3cfe3222ebfd5c0d5f2696e988bd12b571af46c605e47fc75ad8e3a8ec2b9e88b44a80ae4bb7571843f4c036eb0",
    );
    const P384: (&str, &str) = (
        "308201d63082015ca003020102020205ba300a06082a8648ce3d040303302b310b3009060355040613025554310f300d060355040a0c0655746f706961310b300906035504030c025453301e170d3236313132333034313335315a170d3336313132303034313335315a302b310b3009060355040613025554310f300d060355040a0c0655746f706961310b300906035504030c0254533076301006072a8648ce3d020106052b81040022036200049ebb847f8a4a23c5592699b848cd625822613f79719f7493145b9b976f30b4675fe2c05d04f51ae56f61d480c09f1f6924408cbc9eb069c47b97fd39b180a256eabb09318fb5ede59b1cd037668c6d1e69967f64b8307e66d9a51ac708216d01a3533051301d0603551d0e04160414be351d9d9576fa4fd1f25e4611ba85098d1b6193301f0603551d23041830168014be351d9d9576fa4fd1f25e4611ba85098d1b6193300f0603551d130101ff040530030101ff300a06082a8648ce3d0403030368003065023100f900950287170ea6b8c8c1015e4d87f2d8688e4c86ab2bc0e49507d63d8f45dfd483844dd37302d37a271d46e5ea065f02307289bc4a5ff599a0e60760419dc5530ce518cb7062cb71507bd0f3d39334f98ca28425c00fd549e0bd15d0eab9aeda9b",
        "23fe367f0ed59582d8decd19a43e6167133485d5ea737fe8f908e8398fa4bc40a72ffd916a0ec66ba88b842d24370de62d63f86b8ca36ba33089bf0afa83199c9d9feb680c4e92f47b7acd597d14969d22b779c77216a901e7fccf3c65e012ab",
    );

    #[test]
    fn a_seal_signed_by_another_implementation_verifies_on_every_curve_and_any_change_breaks_it() {
        for (name, (certificate, signature)) in [("BP256", BP256), ("BP384", BP384), ("P384", P384)] {
            let certificate = hex::decode(certificate).expect("hex");
            let mut bytes = own();
            bytes.extend([0xff, (signature.len() / 2) as u8]);
            bytes.extend(hex::decode(signature).expect("hex"));
            let seal = parse(&bytes).expect("a seal");
            assert_eq!(seal.verify(&certificate), Ok(()), "{name}");
            let mut other = seal.clone();
            if let Some(b) = other.signed_bytes.get_mut(40) {
                *b ^= 1;
            }
            assert_eq!(other.verify(&certificate), Err(VdsError::Signature), "{name}");
            let mut stranger = seal.clone();
            stranger.certificate_reference = "5BB".into();
            assert_eq!(stranger.verify(&certificate), Err(VdsError::OtherSigner), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            if let Some(first) = bytes.first_mut() { *first = 0xdc; }
            if let Some(second) = bytes.get_mut(1) { *second = 3; }
            let _ = parse(&bytes);
        }

        #[test]
        fn no_change_of_a_byte_makes_it_panic(at in 0_usize..80, to in any::<u8>()) {
            let mut bytes = own();
            if let Some(slot) = bytes.get_mut(at) { *slot = to; }
            let _ = parse(&bytes);
        }

        #[test]
        fn no_text_makes_the_structure_panic(text in "RDB1[A-D][A-Z2-7]{0,200}") {
            let _ = parse(text.as_bytes());
        }
    }
}
