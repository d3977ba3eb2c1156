//! Active authentication: the chip signs the server's challenge with its own key (ICAO 9303-11 6.1).

use crate::ber::{Reader, first};
use crate::hash::Hash;
use crate::key::{PublicKey, ecdsa_der, ecdsa_plain};
use crate::lds::security_infos::SecurityInfos;
use crate::rsa;

/// Why the exchange proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// DG15 holds no key that can be used.
    #[error("DG15 holds no usable key")]
    Key,
    /// The challenge is not the eight bytes the protocol wants.
    #[error("the challenge is not eight bytes long")]
    Challenge,
    /// The chip's answer is not its key's signature over the challenge.
    #[error("the answer is not the chip key's signature over the challenge")]
    Signature,
}

/// The key of DG15 (tag 6F around a SubjectPublicKeyInfo).
pub fn public_key(dg15: &[u8]) -> Result<PublicKey, Error> {
    let outer = Reader::new(dg15).expect(0x6F).map_err(|_| Error::Key)?;
    let spki = first(outer.content).map_err(|_| Error::Key)?;
    PublicKey::from_spki(&spki).map_err(|_| Error::Key)
}

/// Checks the chip's answer to `challenge`. DG14 names the digest for ECDSA; without it the digests
/// that fit the curve are tried.
pub fn verify(dg15: &[u8], dg14: Option<&[u8]>, challenge: &[u8], response: &[u8]) -> Result<(), Error> {
    if challenge.len() != 8 {
        return Err(Error::Challenge);
    }
    match public_key(dg15)? {
        PublicKey::Rsa(key) => {
            rsa::verify_iso9796(&key, challenge, response).map(|_| ()).ok_or(Error::Signature)
        }
        PublicKey::Ec { curve, point, .. } => {
            let announced = dg14
                .and_then(|bytes| SecurityInfos::parse(bytes).ok())
                .and_then(|infos| infos.active_authentication().and_then(|oid| plain_digest(oid.as_str())));
            let digests = match announced {
                Some(hash) => vec![hash],
                None => Hash::ALL.to_vec(),
            };
            let signatures: Vec<_> =
                [ecdsa_plain(response), ecdsa_der(response)].into_iter().flatten().collect();
            let holds = digests.iter().any(|hash| {
                let digest = hash.digest(challenge);
                signatures.iter().any(|(r, s)| curve.verify_ecdsa(&point, &digest, r, s))
            });
            if holds { Ok(()) } else { Err(Error::Signature) }
        }
        PublicKey::Dh { .. } => Err(Error::Key),
    }
}

/// The digest of an ecdsa-plain (BSI TR-03111) or ecdsa-with (X9.62) algorithm.
fn plain_digest(oid: &str) -> Option<Hash> {
    Some(match oid {
        "0.4.0.127.0.7.1.1.4.1.1" | "1.2.840.10045.4.1" => Hash::Sha1,
        "0.4.0.127.0.7.1.1.4.1.2" | "1.2.840.10045.4.3.1" => Hash::Sha224,
        "0.4.0.127.0.7.1.1.4.1.3" | "1.2.840.10045.4.3.2" => Hash::Sha256,
        "0.4.0.127.0.7.1.1.4.1.4" | "1.2.840.10045.4.3.3" => Hash::Sha384,
        "0.4.0.127.0.7.1.1.4.1.5" | "1.2.840.10045.4.3.4" => Hash::Sha512,
        _ => return None,
    })
}
