//! SecurityInfos: what EF.CardAccess, DG14 and EF.CardSecurity announce (ICAO 9303-11 9.2).

use crate::ber::{Error, Oid, Reader, Tlv, first, tag};
use crate::key::{Error as KeyError, PublicKey};

/// Prefix of the PACE protocols.
pub const PACE: &str = "0.4.0.127.0.7.2.2.4";
/// Prefix of the chip authentication protocols.
pub const CHIP_AUTHENTICATION: &str = "0.4.0.127.0.7.2.2.3";
/// Prefix of the chip authentication public keys.
pub const PUBLIC_KEY: &str = "0.4.0.127.0.7.2.2.1";
/// Terminal authentication.
pub const TERMINAL_AUTHENTICATION: &str = "0.4.0.127.0.7.2.2.2";
/// Active authentication.
pub const ACTIVE_AUTHENTICATION: &str = "2.23.136.1.1.5";

/// Bounds one file's work; real documents have fewer than twenty.
const MAX_INFOS: usize = 256;

/// One announcement.
#[derive(Debug, Clone, PartialEq)]
pub enum SecurityInfo {
    /// The chip supports PACE with this protocol.
    Pace {
        /// The protocol.
        protocol: Oid,
        /// Must be 2.
        version: u32,
        /// Standardised domain parameters, or the id of own ones.
        parameter_id: Option<u32>,
    },
    /// The chip supports chip authentication with this protocol.
    ChipAuthentication {
        /// The protocol.
        protocol: Oid,
        /// 1 or 2.
        version: u32,
        /// Which of its keys.
        key_id: Option<Vec<u8>>,
    },
    /// A chip authentication public key.
    ChipAuthenticationPublicKey {
        /// Key agreement: DH or ECDH.
        protocol: Oid,
        /// The key, or why it cannot be used.
        key: Result<PublicKey, KeyError>,
        /// Its id when there are several.
        key_id: Option<Vec<u8>>,
    },
    /// How active authentication signs.
    ActiveAuthentication {
        /// Must be 1.
        version: u32,
        /// ecdsa-plain with its digest.
        signature_algorithm: Oid,
    },
    /// The chip supports terminal authentication.
    TerminalAuthentication {
        /// 1 or 2.
        version: u32,
    },
    /// Anything else.
    Other {
        /// Its type.
        protocol: Oid,
    },
}

/// All announcements of a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SecurityInfos {
    /// In their order.
    pub infos: Vec<SecurityInfo>,
}

/// A chip authentication that the chip offers.
#[derive(Debug, Clone, PartialEq)]
pub struct ChipAuthenticationOffer {
    /// The protocol, such as `0.4.0.127.0.7.2.2.3.2.2`.
    pub protocol: Oid,
    /// The chip's public key.
    pub key: PublicKey,
    /// Its id when there are several.
    pub key_id: Option<Vec<u8>>,
    /// No info names the protocol; it was inferred from a key alone.
    pub inferred: bool,
}

impl SecurityInfos {
    /// Parses the SET, bare (EF.CardAccess, content of EF.CardSecurity) or in DG14 (tag 6E). An info
    /// of a known type that is malformed makes the file malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut outer = first(bytes)?;
        if outer.tag == 0x6E {
            outer = first(outer.content)?;
        }
        if outer.tag != tag::SET {
            return Err(Error::Unexpected { expected: tag::SET, found: outer.tag });
        }
        let elements = outer.children()?;
        if elements.len() > MAX_INFOS {
            return Err(Error::Malformed);
        }
        let infos = elements.iter().map(parse_one).collect::<Result<_, _>>()?;
        Ok(Self { infos })
    }

    /// The PACE protocols with their parameters.
    pub fn pace(&self) -> impl Iterator<Item = (&Oid, Option<u32>)> {
        self.infos.iter().filter_map(|info| match info {
            SecurityInfo::Pace { protocol, parameter_id, .. } => Some((protocol, *parameter_id)),
            _ => None,
        })
    }

    /// The public keys.
    pub fn public_keys(&self) -> impl Iterator<Item = (&PublicKey, Option<&[u8]>)> {
        self.infos.iter().filter_map(|info| match info {
            SecurityInfo::ChipAuthenticationPublicKey { key: Ok(key), key_id, .. } => {
                Some((key, key_id.as_deref()))
            }
            _ => None,
        })
    }

    /// The chip authentications on offer, strongest cipher first. A key without an info that names it means 3DES
    /// (some early documents leave the info out; ICAO 9303-11 9.2.5 note).
    pub fn chip_authentications(&self) -> Vec<ChipAuthenticationOffer> {
        let mut offers: Vec<ChipAuthenticationOffer> = Vec::new();
        for info in &self.infos {
            let SecurityInfo::ChipAuthentication { protocol, key_id, .. } = info else { continue };
            let Some(suffix) = protocol.below(CHIP_AUTHENTICATION) else { continue };
            let wants_ec = suffix.starts_with('2');
            let fits = |key: &PublicKey| matches!(key, PublicKey::Ec { .. }) == wants_ec;
            let mut keys = self.public_keys().filter(|(key, _)| fits(key));
            let chosen = match key_id {
                Some(id) => keys.find(|(_, other)| *other == Some(id.as_slice())),
                None => keys.next(),
            };
            if let Some((key, _)) = chosen {
                offers.push(ChipAuthenticationOffer {
                    protocol: protocol.clone(),
                    key: key.clone(),
                    key_id: key_id.clone(),
                    inferred: false,
                });
            }
        }
        if offers.is_empty() {
            for (key, key_id) in self.public_keys() {
                let protocol = match key {
                    PublicKey::Ec { .. } => "0.4.0.127.0.7.2.2.3.2.1",
                    _ => "0.4.0.127.0.7.2.2.3.1.1",
                };
                offers.push(ChipAuthenticationOffer {
                    protocol: Oid::new(protocol),
                    key: key.clone(),
                    key_id: key_id.map(<[u8]>::to_vec),
                    inferred: true,
                });
            }
        }
        offers.sort_by(|a, b| {
            b.protocol.as_str().rsplit('.').next().cmp(&a.protocol.as_str().rsplit('.').next())
        });
        offers
    }

    /// The signature algorithm of active authentication, when one is announced.
    pub fn active_authentication(&self) -> Option<&Oid> {
        self.infos.iter().find_map(|info| match info {
            SecurityInfo::ActiveAuthentication { signature_algorithm, .. } => Some(signature_algorithm),
            _ => None,
        })
    }
}

fn parse_one(element: &Tlv<'_>) -> Result<SecurityInfo, Error> {
    let mut fields = Reader::new(element.raw).expect(tag::SEQUENCE)?.reader();
    let protocol = fields.expect(tag::OID)?.oid()?;
    let depth = |prefix: &str| protocol.below(prefix).map_or(0, |suffix| suffix.split('.').count());
    // {PACE}.mapping.cipher is an info; {PACE}.mapping alone announces domain parameters
    if depth(PACE) == 2 {
        let version = fields.expect(tag::INTEGER)?.small_integer()?;
        if version != 2 {
            return Err(Error::Value);
        }
        let parameter_id = fields.optional(tag::INTEGER)?.map(|id| id.small_integer()).transpose()?;
        return Ok(SecurityInfo::Pace { protocol, version, parameter_id });
    }
    if depth(CHIP_AUTHENTICATION) == 2 && fields.peek_tag() == Some(tag::INTEGER) {
        let version = fields.expect(tag::INTEGER)?.small_integer()?;
        let key_id = fields.optional(tag::INTEGER)?.map(|id| id.magnitude().to_vec());
        return Ok(SecurityInfo::ChipAuthentication { protocol, version, key_id });
    }
    if depth(PUBLIC_KEY) == 1 {
        let spki = fields.expect(tag::SEQUENCE)?;
        let key = PublicKey::from_spki(&spki);
        let key_id = fields.optional(tag::INTEGER)?.map(|id| id.magnitude().to_vec());
        return Ok(SecurityInfo::ChipAuthenticationPublicKey { protocol, key, key_id });
    }
    if protocol == ACTIVE_AUTHENTICATION && fields.peek_tag() == Some(tag::INTEGER) {
        let version = fields.expect(tag::INTEGER)?.small_integer()?;
        let signature_algorithm = fields.expect(tag::OID)?.oid()?;
        return Ok(SecurityInfo::ActiveAuthentication { version, signature_algorithm });
    }
    if protocol == TERMINAL_AUTHENTICATION {
        let version = fields.expect(tag::INTEGER)?.small_integer()?;
        if !(1..=2).contains(&version) {
            return Err(Error::Value);
        }
        return Ok(SecurityInfo::TerminalAuthentication { version });
    }
    fields.next()?;
    Ok(SecurityInfo::Other { protocol })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_card_access_of_a_german_passport_offers_generic_and_chip_mapping() {
        let bytes = hex::decode(
            "31283012060a04007f0007020204020202010202010d3012060a04007f0007020204060202010202010d",
        )
        .expect("hex");
        let infos = SecurityInfos::parse(&bytes).expect("parses");
        let offers: Vec<_> = infos.pace().map(|(oid, id)| (oid.as_str().to_owned(), id)).collect();
        assert_eq!(offers[0], ("0.4.0.127.0.7.2.2.4.2.2".to_owned(), Some(13)));
        assert_eq!(offers[1], ("0.4.0.127.0.7.2.2.4.6.2".to_owned(), Some(13)));
    }

    #[test]
    fn a_pace_info_of_version_1_is_refused() {
        let bytes = hex::decode("31143012060a04007f0007020204020202010102010d").expect("hex");
        assert!(SecurityInfos::parse(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = SecurityInfos::parse(&bytes).map(|infos| infos.chip_authentications());
        }
    }
}
