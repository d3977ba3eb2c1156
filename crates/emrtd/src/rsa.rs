//! RSA verification for travel documents: PKCS #1 v1.5, PSS and ISO/IEC 9796-2.
//!
//! Keys from 512 to 8192 bits with any odd exponent are accepted: CSCAs with 6144 bits and
//! exponents such as 3 or 38129 rounded up to odd exist. Only the public operation is
//! needed; signing (simulator) is the same power with the private exponent.

use crate::hash::Hash;
use num_bigint::BigUint;

/// An RSA public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The modulus.
    pub n: BigUint,
    /// The public exponent.
    pub e: BigUint,
}

impl PublicKey {
    /// A key within the accepted sizes; `None` for any other.
    pub fn new(n: BigUint, e: BigUint) -> Option<Self> {
        let sound = (512..=8192).contains(&n.bits())
            && n.bit(0)
            && e > BigUint::from(1u8)
            && e.bits() <= 256
            && e.bit(0);
        sound.then_some(Self { n, e })
    }

    /// Length of the modulus in bytes.
    pub fn size(&self) -> usize {
        usize::try_from(self.n.bits().div_ceil(8)).unwrap_or(0)
    }

    /// The public operation on a signature of any length up to the modulus; the result
    /// has the modulus' length.
    pub fn open(&self, signature: &[u8]) -> Option<Vec<u8>> {
        let s = BigUint::from_bytes_be(signature);
        if s >= self.n || signature.len() > self.size() {
            return None;
        }
        Some(crate::curve::fixed(&s.modpow(&self.e, &self.n), self.size()))
    }

    /// RSASSA-PKCS1-v1_5 (RFC 8017 8.2.2): compares with the one valid encoding, and with the
    /// one that leaves out the NULL parameter as RFC 8017 allows verifiers to accept.
    pub fn verify_pkcs1(&self, hash: Hash, digest: &[u8], signature: &[u8]) -> bool {
        let Some(opened) = self.open(signature) else { return false };
        [true, false]
            .into_iter()
            .any(|with_null| pkcs1_encode(hash, digest, self.size(), with_null).as_deref() == Some(&opened))
    }

    /// Whether the signature has sound padding under this key, whatever it signs; by chance this happens less than once
    /// in 2^64 signatures.
    pub fn opens(&self, algorithm: &crate::key::SignatureAlgorithm, signature: &[u8]) -> bool {
        use crate::key::Scheme;
        let Some(opened) = self.open(signature) else { return false };
        match algorithm.scheme {
            Scheme::Pkcs1 => {
                let padding = opened.iter().skip(2).take_while(|b| **b == 0xFF).count();
                opened.starts_with(&[0, 1]) && padding >= 8 && opened.get(2 + padding) == Some(&0)
            }
            Scheme::Pss { mask, salt_size } => {
                let bits = usize::try_from(self.n.bits()).unwrap_or(0) - 1;
                let zeros = bits.div_ceil(8).saturating_sub(algorithm.hash.size() + salt_size + 2);
                zeros >= 8 && pss_open(algorithm.hash, mask, salt_size, &opened, bits).is_some()
            }
            Scheme::Ecdsa | Scheme::EcdsaPlain => false,
        }
    }

    /// RSASSA-PSS (RFC 8017 8.1.2 and 9.1.2).
    pub fn verify_pss(
        &self,
        hash: Hash,
        mask: Hash,
        salt_size: usize,
        digest: &[u8],
        signature: &[u8],
    ) -> bool {
        let Some(opened) = self.open(signature) else { return false };
        pss_check(hash, mask, salt_size, digest, &opened, usize::try_from(self.n.bits()).unwrap_or(0) - 1)
            .is_some()
    }
}

/// The padded digest of PKCS #1 v1.5; `None` when it does not fit.
pub fn pkcs1_encode(hash: Hash, digest: &[u8], size: usize, with_null: bool) -> Option<Vec<u8>> {
    use crate::ber::{Oid, element, tag, wrap};
    let oid = Oid::new(hash.oid()).to_der();
    let null: &[u8] = if with_null { &[5, 0] } else { &[] };
    let info =
        wrap(tag::SEQUENCE, &[&wrap(tag::SEQUENCE, &[&oid, null]), &element(tag::OCTET_STRING, digest)]);
    let padding = size.checked_sub(info.len() + 3).filter(|n| *n >= 8)?;
    let mut out = vec![0, 1];
    out.resize(2 + padding, 0xFF);
    out.push(0);
    out.extend(info);
    Some(out)
}

fn mgf1(hash: Hash, seed: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 64);
    let mut counter = 0u32;
    while out.len() < size {
        out.extend(hash.digest(&[seed, &counter.to_be_bytes()].concat()));
        counter += 1;
    }
    out.truncate(size);
    out
}

fn pss_check(
    hash: Hash,
    mask: Hash,
    salt_size: usize,
    digest: &[u8],
    opened: &[u8],
    bits: usize,
) -> Option<()> {
    let (h, salt) = pss_open(hash, mask, salt_size, opened, bits)?;
    (digest.len() == hash.size() && hash.digest(&[&[0; 8], digest, &salt].concat()) == h).then_some(())
}

/// The digest H and the salt, when the padding is sound.
fn pss_open(
    hash: Hash,
    mask: Hash,
    salt_size: usize,
    opened: &[u8],
    bits: usize,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let size = bits.div_ceil(8);
    let lead = opened.len().checked_sub(size)?;
    let (front, encoded) = opened.split_at(lead);
    if front.iter().any(|b| *b != 0) || encoded.last() != Some(&0xBC) {
        return None;
    }
    let split = size.checked_sub(hash.size() + 1)?;
    let masked = encoded.get(..split)?;
    let h = encoded.get(split..split + hash.size())?;
    let top_mask = 0xFFu8 >> (8 * size - bits);
    if masked.first()? & !top_mask != 0 {
        return None;
    }
    let mut db: Vec<u8> = masked.iter().zip(mgf1(mask, h, split)).map(|(a, b)| a ^ b).collect();
    *db.first_mut()? &= top_mask;
    let one = split.checked_sub(salt_size + 1)?;
    if db.get(..one)?.iter().any(|b| *b != 0) || db.get(one) != Some(&1) {
        return None;
    }
    Some((h.to_vec(), db.get(one + 1..)?.to_vec()))
}

/// The PSS encoding of a digest, for the simulator.
pub fn pss_encode(
    hash: Hash,
    mask: Hash,
    salt: &[u8],
    digest: &[u8],
    modulus_bits: usize,
) -> Option<Vec<u8>> {
    let bits = modulus_bits - 1;
    let size = bits.div_ceil(8);
    let h = hash.digest(&[&[0; 8], digest, salt].concat());
    let split = size.checked_sub(hash.size() + 1)?;
    let mut db = vec![0; split.checked_sub(salt.len() + 1)?];
    db.push(1);
    db.extend_from_slice(salt);
    for (to, with) in db.iter_mut().zip(mgf1(mask, &h, split)) {
        *to ^= with;
    }
    *db.first_mut()? &= 0xFF >> (8 * size - bits);
    db.extend(h);
    db.push(0xBC);
    Some(db)
}

/// Checks an ISO/IEC 9796-2 signature, scheme 1 (partial message recovery) as active authentication uses it
/// (ICAO 9303-11 6.1.2.2): header 6A, recovered part M1, digest of M1 ‖ `message`, trailer.
/// Returns the digest algorithm the trailer names.
pub fn verify_iso9796(key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<Hash> {
    let plain = key.open(signature)?;
    // Some chips give n - s; both represent the same signature (ISO/IEC 9796-2 clause on the absolute value).
    let other = key.n.clone() - BigUint::from_bytes_be(&plain);
    let other = crate::curve::fixed(&other, key.size());
    iso9796_recover(&plain, message).or_else(|| iso9796_recover(&other, message))
}

/// The check on the opened block.
pub fn iso9796_recover(block: &[u8], message: &[u8]) -> Option<Hash> {
    // a modulus of 8k+1..8k+7 bits leaves leading zero bytes
    let skip = block.iter().take_while(|b| **b == 0).count();
    let block = block.get(skip..)?;
    let (header, body) = block.split_first()?;
    if *header != 0x6A {
        return None;
    }
    let (trailer, body) = body.split_last()?;
    let (hash, body) = match trailer {
        0xBC => (Hash::Sha1, body),
        0xCC => {
            let (id, body) = body.split_last()?;
            let hash = match id {
                0x33 => Hash::Sha1,
                0x34 => Hash::Sha256,
                0x35 => Hash::Sha512,
                0x36 => Hash::Sha384,
                0x38 => Hash::Sha224,
                _ => return None,
            };
            (hash, body)
        }
        _ => return None,
    };
    let split = body.len().checked_sub(hash.size())?;
    let (recovered, digest) = body.split_at(split);
    (hash.digest(&[recovered, message].concat()) == digest).then_some(hash)
}

/// A key pair, for the simulator.
#[derive(Clone)]
pub struct PrivateKey {
    /// The public half.
    pub public: PublicKey,
    /// The private exponent.
    pub d: BigUint,
}

impl PrivateKey {
    /// The private operation on a padded block.
    pub fn sign_block(&self, block: &[u8]) -> Vec<u8> {
        crate::curve::fixed(
            &BigUint::from_bytes_be(block).modpow(&self.d, &self.public.n),
            self.public.size(),
        )
    }
}
