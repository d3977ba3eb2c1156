//! Signed objects: CMS SignedData as EF.SOD, EF.CardSecurity and master lists use it (RFC 5652, ICAO 9303-10 4.6.2).
//!
//! Parsing accepts BER. Verification compares what RFC 5652 demands and general libraries leave
//! out: the signed contentType attribute against eContentType, one value per attribute, signed
//! attributes present unless the content is `id-data`.

use crate::ber::{self, Error as BerError, Oid, Reader, Tlv, tag};
use crate::hash::Hash;
use crate::key::{Error as KeyError, SignatureAlgorithm};
use crate::name::Name;
use crate::time::Time;
use crate::x509::Certificate;

/// id-data, used as content type by Chinese passports.
pub const ID_DATA: &str = "1.2.840.113549.1.7.1";
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
const SIGNING_TIME: &str = "1.2.840.113549.1.9.5";

/// A parsed SignedData.
#[derive(Debug, Clone)]
pub struct SignedData {
    /// The type of the content.
    pub content_type: Oid,
    /// The digests announced in front.
    pub digests: Vec<Hash>,
    /// Whether any digest at all is announced, known or not.
    announces: bool,
    /// The signed content; empty when detached.
    pub content: Vec<u8>,
    /// The certificates that came along and could be read.
    pub certificates: Vec<Certificate>,
    /// How many certificates came along that could not be read.
    pub unreadable_certificates: usize,
    /// The signers.
    pub signers: Vec<Signer>,
    /// Bytes that follow the object; chips often pad.
    pub trailing_bytes: usize,
}

/// How a signer names its certificate.
#[derive(Debug, Clone)]
pub enum SignerId {
    /// By issuer and serial number.
    IssuerAndSerial(Name, Vec<u8>),
    /// By subject key identifier.
    KeyId(Vec<u8>),
}

/// One signer.
#[derive(Debug, Clone)]
pub struct Signer {
    /// Which certificate.
    pub id: SignerId,
    /// The digest of the content.
    pub digest: Result<Hash, KeyError>,
    /// The signature algorithm.
    pub algorithm: Result<SignatureAlgorithm, KeyError>,
    /// The signed attributes' encodings, in their order; `None` when there are none.
    attributes: Option<Vec<Vec<u8>>>,
    /// The signature.
    pub signature: Vec<u8>,
}

/// What the signed attributes say.
#[derive(Debug, Clone, Default)]
struct Attributes {
    content_type: Option<Oid>,
    message_digest: Option<Vec<u8>>,
    signing_time: Option<Time>,
}

/// Why a signed object's signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nobody signed.
    #[error("there is no signer")]
    NoSigner,
    /// ICAO 9303-10 allows one signer.
    #[error("there is more than one signer")]
    SeveralSigners,
    /// Neither in the object nor among the known ones.
    #[error("the signer's certificate is not there")]
    NoCertificate,
    /// Signed attributes are missing or not readable, or one stands twice.
    #[error("the signed attributes are missing or malformed")]
    SignedAttributes,
    /// The signed contentType differs from the type the object claims.
    #[error("the signed content type differs from the content's type")]
    ContentType,
    /// The signed messageDigest is not that of the content.
    #[error("the signed digest is not that of the content")]
    MessageDigest,
    /// The signer's digest is not among those the object announces.
    #[error("the signer's digest is not announced by the object")]
    DigestNotAnnounced,
    /// The algorithm is not supported.
    #[error("the signature algorithm is not accepted: {0}")]
    Algorithm(KeyError),
    /// The signer's key cannot be used, for instance for curve parameters of its own.
    #[error("the signer's key is not accepted: {0}")]
    Key(KeyError),
    /// The signature does not verify with the signer's key.
    #[error("the signature does not verify")]
    Signature,
}

impl Fault {
    /// The stable code of a report's reason.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::NoSigner => "no_signer",
            Fault::SeveralSigners => "several_signers",
            Fault::NoCertificate => "signer_certificate_missing",
            Fault::SignedAttributes => "signed_attributes_malformed",
            Fault::ContentType => "content_type_mismatch",
            Fault::MessageDigest => "message_digest_mismatch",
            Fault::DigestNotAnnounced => "digest_algorithm_mismatch",
            Fault::Algorithm(_) => "signature_algorithm_not_accepted",
            Fault::Key(KeyError::UnknownCurve) => "curve_parameters_not_accepted",
            Fault::Key(_) => "signer_key_not_accepted",
            Fault::Signature => "signature_invalid",
        }
    }
}

/// A signature that holds.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The signer's certificate; it is not yet known whether anyone vouches for it.
    pub certificate: Certificate,
    /// The signature algorithm.
    pub algorithm: SignatureAlgorithm,
    /// The digest of the content.
    pub digest: Hash,
    /// When it was signed, if the signer said so.
    pub signing_time: Option<Time>,
    /// The certificate was not found by the signer's name for it; the only one there verified instead.
    pub signer_id_mismatch: bool,
}

impl SignedData {
    /// Parses a ContentInfo with SignedData, in BER or DER, bare or as EF.SOD (tag 77).
    pub fn parse(bytes: &[u8]) -> Result<Self, BerError> {
        let (normal, used) = ber::normalise(bytes)?;
        let mut outer = ber::first(&normal)?;
        // some software wraps the file once more
        for _ in 0..2 {
            if outer.tag == 0x77 {
                outer = ber::first(outer.content)?;
            }
        }
        if outer.tag != tag::SEQUENCE {
            return Err(BerError::Unexpected { expected: tag::SEQUENCE, found: outer.tag });
        }
        let mut reader = outer.reader();
        if reader.expect(tag::OID)?.oid()? != SIGNED_DATA {
            return Err(BerError::Value);
        }
        let mut fields = reader.expect(0xA0)?.reader().expect(tag::SEQUENCE)?.reader();
        // RFC 5652 5.1 knows versions 1 to 5
        if !(1..=5).contains(&fields.expect(tag::INTEGER)?.small_integer()?) {
            return Err(BerError::Value);
        }
        let announced = fields.expect(tag::SET)?.children()?;
        let digests = announced
            .iter()
            .filter_map(|identifier| Hash::by_oid(&identifier.reader().expect(tag::OID).ok()?.oid().ok()?))
            .collect();
        let mut encapsulated = fields.expect(tag::SEQUENCE)?.reader();
        let content_type = encapsulated.expect(tag::OID)?.oid()?;
        let content = match encapsulated.optional(0xA0)? {
            Some(explicit) => {
                let inner = ber::first(explicit.content)?;
                // PKCS #7 content other than an octet string is signed without its header, too
                if !matches!(inner.tag, tag::OCTET_STRING | tag::SEQUENCE) {
                    return Err(BerError::Unexpected { expected: tag::OCTET_STRING, found: inner.tag });
                }
                inner.content.to_vec()
            }
            None => Vec::new(),
        };
        let mut certificates = Vec::new();
        let mut unreadable_certificates = 0;
        if let Some(set) = fields.optional(0xA0)? {
            for element in set.children()? {
                match Certificate::parse(element.raw) {
                    Ok(certificate) => certificates.push(certificate),
                    Err(_) => unreadable_certificates += 1,
                }
            }
        }
        fields.optional(0xA1)?;
        let mut signers = Vec::new();
        if let Some(set) = fields.optional(tag::SET)? {
            for element in set.children()? {
                signers.push(Signer::parse(&element)?);
            }
        }
        let trailing_bytes = bytes.len().saturating_sub(used);
        Ok(Self {
            content_type,
            digests,
            announces: !announced.is_empty(),
            content,
            certificates,
            unreadable_certificates,
            signers,
            trailing_bytes,
        })
    }

    /// Checks the one signature. `known` are further certificates a signer may name (document signers from a
    /// directory).
    pub fn verify(&self, known: &[Certificate]) -> Result<Verified, Fault> {
        let signer = match self.signers.as_slice() {
            [] => return Err(Fault::NoSigner),
            [signer] => signer,
            _ => return Err(Fault::SeveralSigners),
        };
        let digest = signer.digest.clone().map_err(Fault::Algorithm)?;
        let algorithm = signer.algorithm.clone().map_err(Fault::Algorithm)?;
        // RFC 5652 5.1: the digests of all signers are announced in front, or none
        if self.announces && !self.digests.contains(&digest) {
            return Err(Fault::DigestNotAnnounced);
        }
        let attributes = match &signer.attributes {
            Some(list) => {
                let attributes = Attributes::parse(list).ok_or(Fault::SignedAttributes)?;
                let content_type = attributes.content_type.as_ref().ok_or(Fault::SignedAttributes)?;
                if *content_type != self.content_type {
                    return Err(Fault::ContentType);
                }
                let signed_digest = attributes.message_digest.as_ref().ok_or(Fault::SignedAttributes)?;
                if *signed_digest != digest.digest(&self.content) {
                    return Err(Fault::MessageDigest);
                }
                attributes
            }
            None if self.content_type == ID_DATA => Attributes::default(),
            None => return Err(Fault::SignedAttributes),
        };

        let named = |certificate: &&Certificate| match &signer.id {
            SignerId::IssuerAndSerial(issuer, serial) => {
                certificate.has_serial(serial) && certificate.issuer.matches(issuer)
            }
            SignerId::KeyId(id) => certificate.subject_key_id.as_ref() == Some(id),
        };
        let mut candidates: Vec<&Certificate> = self.certificates.iter().chain(known).filter(named).collect();
        let signer_id_mismatch = candidates.is_empty();
        if signer_id_mismatch {
            // Real documents name their only certificate loosely: with other punctuation or parts in the name, or by another
            // way of computing the key identifier. Another serial number or other words mean another certificate.
            let loosely = |other: &Certificate| match &signer.id {
                SignerId::IssuerAndSerial(issuer, serial) => {
                    other.has_serial(serial) && other.issuer.resembles(issuer)
                }
                SignerId::KeyId(_) => false,
            };
            match (&signer.id, self.certificates.as_slice()) {
                (SignerId::KeyId(_), [only]) => candidates.push(only),
                (SignerId::IssuerAndSerial(..), all) => candidates.extend(all.iter().filter(|c| loosely(c))),
                _ => {}
            }
            if candidates.is_empty() {
                return Err(Fault::NoCertificate);
            }
        }
        let mut fault = Fault::Signature;
        for certificate in candidates {
            match &certificate.key {
                Err(error) => fault = Fault::Key(error.clone()),
                Ok(key) => {
                    let holds = signer
                        .signed_messages(&self.content)
                        .iter()
                        .any(|message| key.verify(&algorithm, message, &signer.signature));
                    if holds {
                        return Ok(Verified {
                            certificate: certificate.clone(),
                            algorithm,
                            digest,
                            signing_time: attributes.signing_time,
                            signer_id_mismatch,
                        });
                    }
                }
            }
        }
        Err(fault)
    }

    /// The certificate the first signer most likely means, for reports about signatures that do not hold.
    pub fn likely_signer(&self) -> Option<&Certificate> {
        self.certificates.first()
    }
}

impl Signer {
    fn parse(element: &Tlv<'_>) -> Result<Self, BerError> {
        let mut fields = element.reader();
        fields.expect(tag::INTEGER)?;
        let id = match fields.peek_tag() {
            Some(tag::SEQUENCE) => {
                let mut pair = fields.next()?.reader();
                let issuer = Name::parse(&pair.expect(tag::SEQUENCE)?)?;
                SignerId::IssuerAndSerial(issuer, pair.expect(tag::INTEGER)?.content.to_vec())
            }
            Some(0x80) => SignerId::KeyId(fields.next()?.content.to_vec()),
            // explicitly tagged by some issuers
            Some(0xA0) => SignerId::KeyId(ber::first(fields.next()?.content)?.content.to_vec()),
            found => return Err(BerError::Unexpected { expected: tag::SEQUENCE, found: found.unwrap_or(0) }),
        };
        let digest_oid = fields.expect(tag::SEQUENCE)?.reader().expect(tag::OID)?.oid()?;
        let digest = Hash::by_oid(&digest_oid).ok_or(KeyError::Algorithm(digest_oid));
        let attributes = match fields.optional(0xA0)? {
            Some(set) => Some(set.children()?.iter().map(|attribute| attribute.raw.to_vec()).collect()),
            None => None,
        };
        let algorithm = SignatureAlgorithm::parse(&fields.expect(tag::SEQUENCE)?, digest.clone().ok());
        let signature = fields.expect(tag::OCTET_STRING)?.content.to_vec();
        Ok(Self { id, digest, algorithm, attributes, signature })
    }

    /// What may have been signed: the attributes as a SET in the order they stand, and in DER order.
    fn signed_messages(&self, content: &[u8]) -> Vec<Vec<u8>> {
        match &self.attributes {
            None => vec![content.to_vec()],
            Some(list) => {
                let as_is = ber::element(tag::SET, &list.concat());
                let mut sorted = list.clone();
                sorted.sort();
                let sorted = ber::element(tag::SET, &sorted.concat());
                if sorted == as_is { vec![as_is] } else { vec![as_is, sorted] }
            }
        }
    }
}

impl Attributes {
    /// `None` when one is malformed, stands twice or has another number of values than one.
    fn parse(list: &[Vec<u8>]) -> Option<Self> {
        let mut out = Self::default();
        for bytes in list {
            let mut reader = Reader::new(bytes).expect(tag::SEQUENCE).ok()?.reader();
            let oid = reader.expect(tag::OID).ok()?.oid().ok()?;
            let values = reader.expect(tag::SET).ok()?.children().ok()?;
            let one = || if let [value] = values.as_slice() { Some(*value) } else { None };
            match oid.as_str() {
                CONTENT_TYPE => {
                    let value = one()?.oid().ok()?;
                    if out.content_type.replace(value).is_some() {
                        return None;
                    }
                }
                MESSAGE_DIGEST => {
                    let value = one()?;
                    if value.tag != tag::OCTET_STRING
                        || out.message_digest.replace(value.content.to_vec()).is_some()
                    {
                        return None;
                    }
                }
                SIGNING_TIME => {
                    if out.signing_time.is_some() {
                        return None;
                    }
                    out.signing_time = one().and_then(|value| Time::parse(&value));
                }
                _ => {}
            }
        }
        Some(out)
    }
}
