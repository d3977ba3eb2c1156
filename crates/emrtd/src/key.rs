//! Public keys and signature algorithms of certificates, signed objects and chips.

use crate::ber::{Error as BerError, Oid, Reader, Tlv, tag};
use crate::curve::{Curve, Point, by_oid};
use crate::hash::Hash;
use crate::rsa;
use num_bigint::BigUint;

/// Why a key or an algorithm cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not an encoding of a key or an algorithm.
    #[error("key or algorithm is malformed")]
    Malformed(#[from] BerError),
    /// The algorithm is not one travel documents use.
    #[error("algorithm {0} is not supported")]
    Algorithm(Oid),
    /// Explicit curve parameters that equal no listed curve.
    #[error("curve parameters equal no accepted curve")]
    UnknownCurve,
    /// A number or a point that makes no sound key.
    #[error("key is not sound")]
    Unsound,
}

/// A public key.
#[derive(Debug, Clone, PartialEq)]
pub enum PublicKey {
    /// RSA, whatever padding is used with it.
    Rsa(rsa::PublicKey),
    /// A point on a listed curve.
    Ec {
        /// The curve.
        curve: &'static Curve,
        /// The public point.
        point: Point,
        /// Whether the curve came as explicit parameters instead of by name.
        explicit: bool,
    },
    /// Diffie-Hellman over a prime field (chip authentication only).
    Dh {
        /// The prime.
        p: BigUint,
        /// The generator.
        g: BigUint,
        /// The public value.
        y: BigUint,
    },
}

impl PublicKey {
    /// Parses a SubjectPublicKeyInfo (RFC 5280 4.1.2.7, RFC 5480, BSI TR-03111).
    pub fn from_spki(spki: &Tlv<'_>) -> Result<Self, Error> {
        let mut reader = spki.reader();
        let mut algorithm = reader.expect(tag::SEQUENCE)?.reader();
        let key = reader.expect(tag::BIT_STRING)?.bit_string()?;
        let oid = algorithm.expect(tag::OID)?.oid()?;
        match oid.as_str() {
            // rsaEncryption, id-RSASSA-PSS and RSAES-OAEP keys all hold the same numbers
            "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" | "1.2.840.113549.1.1.7" => {
                let mut numbers = Reader::new(key).expect(tag::SEQUENCE)?.reader();
                let n = BigUint::from_bytes_be(numbers.expect(tag::INTEGER)?.magnitude());
                let e = BigUint::from_bytes_be(numbers.expect(tag::INTEGER)?.magnitude());
                rsa::PublicKey::new(n, e).map(PublicKey::Rsa).ok_or(Error::Unsound)
            }
            // id-ecPublicKey, id-ecDH, and the bare id-ecTLSKeyset-like forms of BSI standardised parameters
            "1.2.840.10045.2.1" | "1.3.132.1.12" => {
                let (curve, explicit) = curve_parameters(&algorithm.next()?)?;
                let point = curve.decode_point(key).ok_or(Error::Unsound)?;
                Ok(PublicKey::Ec { curve, point, explicit })
            }
            // standardizedDomainParameters (BSI TR-03110-3 A.2.1.1)
            "0.4.0.127.0.7.1.2" => {
                let id = algorithm.expect(tag::INTEGER)?.small_integer()?;
                if let Some(curve) = crate::curve::by_parameter_id(id) {
                    let point = curve.decode_point(key).ok_or(Error::Unsound)?;
                    return Ok(PublicKey::Ec { curve, point, explicit: false });
                }
                let group = crate::dh::by_parameter_id(id).ok_or(Error::UnknownCurve)?;
                let y = BigUint::from_bytes_be(first_integer(key)?.magnitude());
                // an element of small order would agree on a secret that anybody can guess
                if !group.contains(&y) {
                    return Err(Error::Unsound);
                }
                Ok(PublicKey::Dh { p: group.p.clone(), g: group.g.clone(), y })
            }
            // dhKeyAgreement (PKCS #3), dhPublicNumber (X9.42)
            "1.2.840.113549.1.3.1" | "1.2.840.10046.2.1" => {
                let mut parameters = algorithm.expect(tag::SEQUENCE)?.reader();
                let p = BigUint::from_bytes_be(parameters.expect(tag::INTEGER)?.magnitude());
                let g = BigUint::from_bytes_be(parameters.expect(tag::INTEGER)?.magnitude());
                let y = BigUint::from_bytes_be(first_integer(key)?.magnitude());
                let two = BigUint::from(2u8);
                let sound = (1024..=4096).contains(&p.bits())
                    && p.bit(0)
                    && g >= two
                    && g < p
                    && y >= two
                    && y < &p - 1u8;
                if sound { Ok(PublicKey::Dh { p, g, y }) } else { Err(Error::Unsound) }
            }
            _ => Err(Error::Algorithm(oid)),
        }
    }

    /// Parses an encoded SubjectPublicKeyInfo.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_spki(&Reader::new(bytes).expect(tag::SEQUENCE)?)
    }

    /// A short description, such as `RSA-4096` or `brainpoolP256r1 (explicit)`.
    pub fn describe(&self) -> String {
        match self {
            PublicKey::Rsa(key) => format!("RSA-{}", key.n.bits()),
            PublicKey::Ec { curve, explicit: true, .. } => format!("{} (explicit parameters)", curve.name),
            PublicKey::Ec { curve, .. } => curve.name.to_owned(),
            PublicKey::Dh { p, .. } => format!("DH-{}", p.bits()),
        }
    }

    /// Whether `signature` over `message` verifies with this key under `algorithm`.
    pub fn verify(&self, algorithm: &SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let digest = algorithm.hash.digest(message);
        match (self, algorithm.scheme) {
            (PublicKey::Rsa(key), Scheme::Pkcs1) => key.verify_pkcs1(algorithm.hash, &digest, signature),
            (PublicKey::Rsa(key), Scheme::Pss { mask, salt_size }) => {
                key.verify_pss(algorithm.hash, mask, salt_size, &digest, signature)
            }
            // Some signers put the plain form under the identifier of the ASN.1 form.
            (PublicKey::Ec { curve, point, .. }, Scheme::Ecdsa) => ecdsa_der(signature)
                .or_else(|| {
                    (signature.len() == 2 * curve.order_bytes()).then(|| ecdsa_plain(signature)).flatten()
                })
                .is_some_and(|(r, s)| curve.verify_ecdsa(point, &digest, &r, &s)),
            (PublicKey::Ec { curve, point, .. }, Scheme::EcdsaPlain) => {
                ecdsa_plain(signature).is_some_and(|(r, s)| curve.verify_ecdsa(point, &digest, &r, &s))
            }
            _ => false,
        }
    }
}

fn first_integer(bytes: &[u8]) -> Result<Tlv<'_>, BerError> {
    Reader::new(bytes).expect(tag::INTEGER)
}

/// Reads (r, s) from an Ecdsa-Sig-Value.
pub fn ecdsa_der(signature: &[u8]) -> Option<(BigUint, BigUint)> {
    let mut reader = Reader::new(signature).expect(tag::SEQUENCE).ok()?.reader();
    let r = reader.expect(tag::INTEGER).ok()?.magnitude();
    let s = reader.expect(tag::INTEGER).ok()?.magnitude();
    reader.end().ok()?;
    Some((BigUint::from_bytes_be(r), BigUint::from_bytes_be(s)))
}

/// Reads (r, s) from the plain form r ‖ s (BSI TR-03111 5.2.1).
pub fn ecdsa_plain(signature: &[u8]) -> Option<(BigUint, BigUint)> {
    if signature.is_empty() || !signature.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = signature.split_at(signature.len() / 2);
    Some((BigUint::from_bytes_be(r), BigUint::from_bytes_be(s)))
}

/// A named curve, or explicit parameters (X9.62 ECParameters) that equal a listed one.
fn curve_parameters(parameters: &Tlv<'_>) -> Result<(&'static Curve, bool), Error> {
    if parameters.tag == tag::OID {
        let oid = parameters.oid()?;
        return by_oid(oid.as_str()).map(|curve| (curve, false)).ok_or(Error::UnknownCurve);
    }
    if parameters.tag != tag::SEQUENCE {
        return Err(Error::UnknownCurve);
    }
    let mut reader = parameters.reader();
    reader.expect(tag::INTEGER)?;
    let mut field = reader.expect(tag::SEQUENCE)?.reader();
    if field.expect(tag::OID)?.oid()? != "1.2.840.10045.1.1" {
        return Err(Error::UnknownCurve);
    }
    let p = BigUint::from_bytes_be(field.expect(tag::INTEGER)?.magnitude());
    let mut coefficients = reader.expect(tag::SEQUENCE)?.reader();
    let a = BigUint::from_bytes_be(coefficients.expect(tag::OCTET_STRING)?.content);
    let b = BigUint::from_bytes_be(coefficients.expect(tag::OCTET_STRING)?.content);
    let generator = reader.expect(tag::OCTET_STRING)?.content;
    let n = BigUint::from_bytes_be(reader.expect(tag::INTEGER)?.magnitude());
    // The cofactor is optional, but when it is there it must be 1 as for every listed curve.
    if let Some(cofactor) = reader.optional(tag::INTEGER)?
        && cofactor.magnitude() != [1]
    {
        return Err(Error::UnknownCurve);
    }
    Curve::matching(&p, &a, &b, generator, &n).map(|curve| (curve, true)).ok_or(Error::UnknownCurve)
}

/// How a digest is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5.
    Pkcs1,
    /// RSASSA-PSS with its mask digest and the salt's length in bytes.
    Pss {
        /// The digest of the mask generation function.
        mask: Hash,
        /// The salt's length in bytes.
        salt_size: usize,
    },
    /// ECDSA with the signature in ASN.1.
    Ecdsa,
    /// ECDSA with the signature as r ‖ s (BSI TR-03111).
    EcdsaPlain,
}

/// A signature algorithm: digest and scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureAlgorithm {
    /// The digest.
    pub hash: Hash,
    /// The scheme.
    pub scheme: Scheme,
}

impl SignatureAlgorithm {
    /// Parses an AlgorithmIdentifier. `message_digest` is the digest a SignerInfo names beside it:
    /// the algorithm may leave the digest open (`rsaEncryption`, `id-ecPublicKey`).
    pub fn parse(identifier: &Tlv<'_>, message_digest: Option<Hash>) -> Result<Self, Error> {
        let mut reader = identifier.reader();
        let oid = reader.expect(tag::OID)?.oid()?;
        let open = || message_digest.ok_or_else(|| Error::Algorithm(oid.clone()));
        let (hash, scheme) = match oid.as_str() {
            "1.2.840.113549.1.1.1" => (open()?, Scheme::Pkcs1),
            "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => (Hash::Sha1, Scheme::Pkcs1),
            "1.2.840.113549.1.1.14" => (Hash::Sha224, Scheme::Pkcs1),
            "1.2.840.113549.1.1.11" => (Hash::Sha256, Scheme::Pkcs1),
            "1.2.840.113549.1.1.12" => (Hash::Sha384, Scheme::Pkcs1),
            "1.2.840.113549.1.1.13" => (Hash::Sha512, Scheme::Pkcs1),
            "1.2.840.113549.1.1.10" => return pss_parameters(reader),
            "1.2.840.10045.2.1" => (open()?, Scheme::Ecdsa),
            "1.2.840.10045.4.1" => (Hash::Sha1, Scheme::Ecdsa),
            "1.2.840.10045.4.3.1" => (Hash::Sha224, Scheme::Ecdsa),
            "1.2.840.10045.4.3.2" => (Hash::Sha256, Scheme::Ecdsa),
            "1.2.840.10045.4.3.3" => (Hash::Sha384, Scheme::Ecdsa),
            "1.2.840.10045.4.3.4" => (Hash::Sha512, Scheme::Ecdsa),
            // ecdsa-with-Specified: the digest is the parameter
            "1.2.840.10045.4.3" => {
                let inner = reader.expect(tag::SEQUENCE)?.reader().expect(tag::OID)?.oid()?;
                (Hash::by_oid(&inner).ok_or(Error::Algorithm(inner))?, Scheme::Ecdsa)
            }
            "0.4.0.127.0.7.1.1.4.1.1" => (Hash::Sha1, Scheme::EcdsaPlain),
            "0.4.0.127.0.7.1.1.4.1.2" => (Hash::Sha224, Scheme::EcdsaPlain),
            "0.4.0.127.0.7.1.1.4.1.3" => (Hash::Sha256, Scheme::EcdsaPlain),
            "0.4.0.127.0.7.1.1.4.1.4" => (Hash::Sha384, Scheme::EcdsaPlain),
            "0.4.0.127.0.7.1.1.4.1.5" => (Hash::Sha512, Scheme::EcdsaPlain),
            _ => return Err(Error::Algorithm(oid)),
        };
        Ok(Self { hash, scheme })
    }

    /// A short description, such as `RSASSA-PSS with SHA-256`.
    pub fn describe(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Pkcs1 => "RSASSA-PKCS1-v1_5",
            Scheme::Pss { .. } => "RSASSA-PSS",
            Scheme::Ecdsa | Scheme::EcdsaPlain => "ECDSA",
        };
        format!("{scheme} with {}", self.hash.name())
    }
}

/// RSASSA-PSS-params (RFC 8017 A.2.3): what is absent is SHA-1, MGF1 with SHA-1, salt 20, trailer 1.
fn pss_parameters(mut reader: Reader<'_>) -> Result<SignatureAlgorithm, Error> {
    let (mut hash, mut mask, mut salt_size) = (Hash::Sha1, Hash::Sha1, 20);
    if let Some(parameters) = reader.optional(tag::SEQUENCE)? {
        for field in parameters.children()? {
            let mut inner = field.reader();
            match field.tag {
                0xA0 => {
                    let oid = inner.expect(tag::SEQUENCE)?.reader().expect(tag::OID)?.oid()?;
                    hash = Hash::by_oid(&oid).ok_or(Error::Algorithm(oid))?;
                }
                0xA1 => {
                    let mut generator = inner.expect(tag::SEQUENCE)?.reader();
                    let oid = generator.expect(tag::OID)?.oid()?;
                    if oid != "1.2.840.113549.1.1.8" {
                        return Err(Error::Algorithm(oid));
                    }
                    mask = match generator.optional(tag::SEQUENCE)? {
                        Some(identifier) => {
                            let oid = identifier.reader().expect(tag::OID)?.oid()?;
                            Hash::by_oid(&oid).ok_or(Error::Algorithm(oid))?
                        }
                        None => Hash::Sha1,
                    };
                }
                0xA2 => {
                    salt_size =
                        usize::try_from(inner.expect(tag::INTEGER)?.small_integer()?).unwrap_or(usize::MAX);
                    if salt_size > 1024 {
                        return Err(Error::Unsound);
                    }
                }
                0xA3 => {
                    if inner.expect(tag::INTEGER)?.small_integer()? != 1 {
                        return Err(Error::Unsound);
                    }
                }
                _ => return Err(Error::Malformed(BerError::Value)),
            }
        }
    }
    Ok(SignatureAlgorithm { hash, scheme: Scheme::Pss { mask, salt_size } })
}
