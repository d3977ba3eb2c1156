//! Certificates and revocation lists of the document PKI (RFC 5280, ICAO 9303-12).
//!
//! The reader is tolerant where issued certificates are: negative and zero serial numbers, missing
//! BasicConstraints, odd string types. Bytes that are signed are kept as they came.

use crate::ber::{Error as BerError, Oid, Reader, Tlv, tag};
use crate::hash::Hash;
use crate::key::{Error as KeyError, PublicKey, SignatureAlgorithm};
use crate::name::Name;
use crate::time::Time;

/// Why bytes are no certificate or revocation list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The structure is broken.
    #[error("certificate is malformed")]
    Malformed(#[from] BerError),
    /// A validity date cannot be read.
    #[error("validity date is malformed")]
    Time,
}

/// A certificate.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The whole encoding.
    pub der: Vec<u8>,
    /// The signed part.
    pub tbs: Vec<u8>,
    /// The serial number's value bytes as encoded.
    pub serial: Vec<u8>,
    /// Who issued it.
    pub issuer: Name,
    /// Whose key it holds.
    pub subject: Name,
    /// Valid from.
    pub not_before: Time,
    /// Valid until.
    pub not_after: Time,
    /// The key, or why it cannot be used.
    pub key: Result<PublicKey, KeyError>,
    /// The algorithm of its signature, or why it is not supported.
    pub algorithm: Result<SignatureAlgorithm, KeyError>,
    /// Its signature.
    pub signature: Vec<u8>,
    /// Subject key identifier.
    pub subject_key_id: Option<Vec<u8>>,
    /// Authority key identifier.
    pub authority_key_id: Option<Vec<u8>>,
    /// BasicConstraints cA; `None` without the extension.
    pub ca: Option<bool>,
    /// Private key usage period, when present.
    pub key_usage_period: Option<(Option<Time>, Option<Time>)>,
    /// Extended key usages.
    pub extended_key_usage: Vec<Oid>,
    /// KeyUsage bits, first bit first (`digitalSignature`, …, bit 5 `keyCertSign`); `None` without it.
    pub key_usage: Option<u16>,
    /// Document types of ICAO 9303-12 7.1.1 the signer may sign.
    pub document_types: Vec<String>,
}

impl Certificate {
    /// Parses the certificate at the start of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let outer = Reader::new(bytes).expect(tag::SEQUENCE)?;
        let mut reader = outer.reader();
        let tbs = reader.expect(tag::SEQUENCE)?;
        let outer_algorithm = reader.expect(tag::SEQUENCE)?;
        let signature = reader.expect(tag::BIT_STRING)?.bit_string()?.to_vec();

        let mut fields = tbs.reader();
        fields.optional(0xA0)?;
        let serial = fields.expect(tag::INTEGER)?.content.to_vec();
        let inner_algorithm = fields.expect(tag::SEQUENCE)?;
        let issuer = Name::parse(&fields.expect(tag::SEQUENCE)?)?;
        let mut validity = fields.expect(tag::SEQUENCE)?.reader();
        let not_before = Time::parse(&validity.next()?).ok_or(Error::Time)?;
        let not_after = Time::parse(&validity.next()?).ok_or(Error::Time)?;
        let subject = Name::parse(&fields.expect(tag::SEQUENCE)?)?;
        let key = PublicKey::from_spki(&fields.expect(tag::SEQUENCE)?);
        // The signed algorithm identifier decides (RFC 5280 4.1.1.2 wants both equal; some issuers differ in NULL only).
        let algorithm = SignatureAlgorithm::parse(&inner_algorithm, None).and_then(|inner| {
            let same = without_nulls(&outer_algorithm, 0)? == without_nulls(&inner_algorithm, 0)?;
            if same { Ok(inner) } else { Err(KeyError::Malformed(BerError::Value)) }
        });
        let mut certificate = Self {
            der: outer.raw.to_vec(),
            tbs: tbs.raw.to_vec(),
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            key,
            algorithm,
            signature,
            subject_key_id: None,
            authority_key_id: None,
            ca: None,
            key_usage_period: None,
            extended_key_usage: Vec::new(),
            key_usage: None,
            document_types: Vec::new(),
        };
        while !fields.is_empty() {
            let field = fields.next()?;
            if field.tag == 0xA3 {
                for extension in field.reader().expect(tag::SEQUENCE)?.children()? {
                    // An extension that cannot be read counts as absent: it is never a reason to trust.
                    let _ = certificate.read_extension(&extension);
                }
            }
        }
        Ok(certificate)
    }

    fn read_extension(&mut self, extension: &Tlv<'_>) -> Result<(), BerError> {
        let mut reader = extension.reader();
        let oid = reader.expect(tag::OID)?.oid()?;
        reader.optional(tag::BOOLEAN)?;
        let value = reader.expect(tag::OCTET_STRING)?.content;
        let mut value = Reader::new(value);
        match oid.as_str() {
            "2.5.29.14" => self.subject_key_id = Some(value.expect(tag::OCTET_STRING)?.content.to_vec()),
            "2.5.29.35" => {
                let mut fields = value.expect(tag::SEQUENCE)?.reader();
                self.authority_key_id = fields.optional(0x80)?.map(|id| id.content.to_vec());
            }
            "2.5.29.19" => {
                let mut fields = value.expect(tag::SEQUENCE)?.reader();
                let ca =
                    fields.optional(tag::BOOLEAN)?.is_some_and(|flag| flag.content.iter().any(|b| *b != 0));
                self.ca = Some(ca);
            }
            "2.5.29.15" => {
                let bits = value.expect(tag::BIT_STRING)?.content;
                let byte = |at: usize| u16::from(bits.get(at).copied().unwrap_or(0));
                self.key_usage = Some(byte(1) << 8 | byte(2));
            }
            "2.5.29.16" => {
                let mut fields = value.expect(tag::SEQUENCE)?.reader();
                let mut time = |tag: u32| -> Result<Option<Time>, BerError> {
                    Ok(fields.optional(tag)?.and_then(|time| {
                        Time::parse(&Tlv { tag: tag::GENERALIZED_TIME, content: time.content, raw: time.raw })
                    }))
                };
                self.key_usage_period = Some((time(0x80)?, time(0x81)?));
            }
            "2.5.29.37" => {
                for usage in value.expect(tag::SEQUENCE)?.children()? {
                    self.extended_key_usage.push(usage.oid()?);
                }
            }
            // id-icao-mrtd-security-extensions-documentTypeList
            "2.23.136.1.1.6.2" => {
                let mut fields = value.expect(tag::SEQUENCE)?.reader();
                fields.expect(tag::INTEGER)?;
                for kind in fields.expect(tag::SET)?.children()? {
                    self.document_types.push(String::from_utf8_lossy(kind.content).into_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether issuer and subject are the same authority.
    pub fn self_issued(&self) -> bool {
        self.issuer.matches(&self.subject)
    }

    /// Whether the certificate says that its own key signed it: it is self-issued, and names no other key.
    pub fn claims_own_key(&self) -> bool {
        let own_key = match (&self.authority_key_id, &self.subject_key_id) {
            (Some(authority), Some(subject)) => authority == subject,
            _ => true,
        };
        own_key && self.self_issued()
    }

    /// Whether `issuer`'s key made this certificate's signature.
    pub fn signed_by(&self, issuer: &Certificate) -> bool {
        match (&issuer.key, &self.algorithm) {
            (Ok(key), Ok(algorithm)) => key.verify(algorithm, &self.tbs, &self.signature),
            _ => false,
        }
    }

    /// Whether the names and key identifiers make `issuer` a candidate issuer. A candidate must still
    /// have made the signature.
    pub fn may_be_issued_by(&self, issuer: &Certificate) -> bool {
        let by_id = matches!((&self.authority_key_id, &issuer.subject_key_id), (Some(a), Some(b)) if a == b);
        by_id || self.issuer.matches(&issuer.subject)
    }

    /// Whether the certificate may sign certificates. Certificates without the extensions (old
    /// CSCAs) are given the benefit of the doubt: being in a master list is what makes them CSCAs.
    pub fn may_sign_certificates(&self) -> bool {
        self.ca != Some(false) && self.key_usage.is_none_or(|bits| bits & 0x0400 != 0)
    }

    /// Whether the certificate may sign revocation lists; as for certificates, old ones say nothing.
    pub fn may_sign_revocations(&self) -> bool {
        self.ca != Some(false) && self.key_usage.is_none_or(|bits| bits & 0x0200 != 0)
    }

    /// Whether the certificate may sign documents: not a CA, no key usage but signing.
    pub fn may_sign_documents(&self) -> bool {
        self.ca != Some(true) && self.key_usage.is_none_or(|bits| bits & 0x8000 != 0)
    }

    /// Whether the serial number is `serial` (value bytes). Issuers encode the same number with and without a leading
    /// zero (negative serial numbers), so those do not count.
    pub fn has_serial(&self, serial: &[u8]) -> bool {
        let bare = |bytes: &[u8]| bytes.iter().copied().skip_while(|b| *b == 0).collect::<Vec<_>>();
        bare(&self.serial) == bare(serial)
    }

    /// Whether `issuer`'s RSA key made this signature, over whatever content: its padding is sound under that key. A
    /// certificate for which that is so, and which does not verify, was changed after signing.
    pub fn signature_opens_with(&self, issuer: &Certificate) -> bool {
        match (&issuer.key, &self.algorithm) {
            (Ok(PublicKey::Rsa(key)), Ok(algorithm)) => key.opens(algorithm, &self.signature),
            _ => false,
        }
    }

    /// The serial number in hexadecimal.
    pub fn serial_number(&self) -> String {
        hex::encode(&self.serial)
    }

    /// SHA-256 of the encoding, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        hex::encode(Hash::Sha256.digest(&self.der))
    }

    /// What a report shows of the certificate.
    pub fn summary(&self) -> Summary {
        Summary {
            issuer: self.issuer.to_string(),
            subject: self.subject.to_string(),
            serial_number: self.serial_number(),
            not_valid_before: self.not_before,
            not_valid_after: self.not_after,
            key: self.key.as_ref().map_or_else(|error| format!("unusable: {error}"), PublicKey::describe),
            signature_algorithm: self
                .algorithm
                .as_ref()
                .map_or_else(|error| format!("unusable: {error}"), SignatureAlgorithm::describe),
            sha256: self.fingerprint(),
        }
    }
}

/// An algorithm identifier's encoding with its NULL parameters left out.
fn without_nulls(element: &Tlv<'_>, depth: u32) -> Result<Vec<u8>, BerError> {
    if depth > 8 {
        return Err(BerError::TooDeep);
    }
    if !element.constructed() {
        return Ok(if element.tag == tag::NULL { Vec::new() } else { element.raw.to_vec() });
    }
    let inside: Vec<Vec<u8>> =
        element.children()?.iter().map(|child| without_nulls(child, depth + 1)).collect::<Result<_, _>>()?;
    Ok(crate::ber::element(element.tag, &inside.concat()))
}

/// What a report shows of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Distinguished name of the issuer.
    pub issuer: String,
    /// Distinguished name of the subject.
    pub subject: String,
    /// In hexadecimal.
    pub serial_number: String,
    /// Valid until.
    pub not_valid_after: Time,
    /// Valid from.
    pub not_valid_before: Time,
    /// Kind and size of the key.
    pub key: String,
    /// Algorithm of the certificate's signature.
    pub signature_algorithm: String,
    /// Fingerprint of the encoding in hexadecimal.
    pub sha256: String,
}

/// A certificate revocation list.
#[derive(Debug, Clone)]
pub struct Crl {
    /// The whole encoding.
    pub der: Vec<u8>,
    tbs: Vec<u8>,
    signature: Vec<u8>,
    algorithm: Result<SignatureAlgorithm, KeyError>,
    /// Who issued it.
    pub issuer: Name,
    /// When it was made.
    pub this_update: Time,
    /// When the next one is due.
    pub next_update: Option<Time>,
    /// Serial number (value bytes) and time of each revoked certificate.
    pub revoked: Vec<(Vec<u8>, Time)>,
}

impl Crl {
    /// Parses a CertificateList (RFC 5280 5.1).
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let outer = Reader::new(bytes).expect(tag::SEQUENCE)?;
        let mut reader = outer.reader();
        let tbs = reader.expect(tag::SEQUENCE)?;
        let algorithm = SignatureAlgorithm::parse(&reader.expect(tag::SEQUENCE)?, None);
        let signature = reader.expect(tag::BIT_STRING)?.bit_string()?.to_vec();
        let mut fields = tbs.reader();
        fields.optional(tag::INTEGER)?;
        fields.expect(tag::SEQUENCE)?;
        let issuer = Name::parse(&fields.expect(tag::SEQUENCE)?)?;
        let this_update = Time::parse(&fields.next()?).ok_or(Error::Time)?;
        let mut next_update = None;
        if matches!(fields.peek_tag(), Some(tag::UTC_TIME | tag::GENERALIZED_TIME)) {
            next_update = Time::parse(&fields.next()?);
        }
        let mut revoked = Vec::new();
        if let Some(entries) = fields.optional(tag::SEQUENCE)? {
            for entry in entries.children()? {
                let mut entry = entry.reader();
                let serial = entry.expect(tag::INTEGER)?.content.to_vec();
                revoked.push((serial, Time::parse(&entry.next()?).ok_or(Error::Time)?));
            }
        }
        Ok(Self {
            der: outer.raw.to_vec(),
            tbs: tbs.raw.to_vec(),
            signature,
            algorithm,
            issuer,
            this_update,
            next_update,
            revoked,
        })
    }

    /// Whether `issuer`'s key made this list's signature.
    pub fn signed_by(&self, issuer: &Certificate) -> bool {
        match (&issuer.key, &self.algorithm) {
            (Ok(key), Ok(algorithm)) => key.verify(algorithm, &self.tbs, &self.signature),
            _ => false,
        }
    }
}
