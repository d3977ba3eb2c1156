//! The LDS security object: the digests of all data groups that EF.SOD signs (ICAO 9303-10 4.6.2.3).

use crate::ber::{Error, Reader, tag};
use crate::hash::Hash;
use std::collections::BTreeMap;

/// What EF.SOD signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdsSecurityObject {
    /// 0, or 1 with version information.
    pub version: u32,
    /// The digest algorithm; `None` when it is not supported.
    pub hash: Option<Hash>,
    /// Digest by data group number.
    pub digests: BTreeMap<u8, Vec<u8>>,
    /// LDS and Unicode version, such as `0108` and `040000`.
    pub versions: Option<(String, String)>,
}

impl LdsSecurityObject {
    /// Parses the signed content. A group that is listed twice or outside 1 to 16 makes the object invalid.
    pub fn parse(content: &[u8]) -> Result<Self, Error> {
        let mut fields = Reader::new(content).expect(tag::SEQUENCE)?.reader();
        let version = fields.expect(tag::INTEGER)?.small_integer()?;
        let hash = Hash::by_oid(&fields.expect(tag::SEQUENCE)?.reader().expect(tag::OID)?.oid()?);
        let mut digests = BTreeMap::new();
        for pair in fields.expect(tag::SEQUENCE)?.children()? {
            let mut pair = pair.reader();
            let number = pair.expect(tag::INTEGER)?.small_integer()?;
            let number = u8::try_from(number).ok().filter(|n| (1..=16).contains(n)).ok_or(Error::Value)?;
            if digests.insert(number, pair.expect(tag::OCTET_STRING)?.content.to_vec()).is_some() {
                return Err(Error::Value);
            }
        }
        let versions = match fields.optional(tag::SEQUENCE)? {
            Some(info) => {
                let mut info = info.reader();
                let mut text = || info.next().map(|t| String::from_utf8_lossy(t.content).into_owned());
                Some((text()?, text()?))
            }
            None => None,
        };
        Ok(Self { version, hash, digests, versions })
    }

    /// The encoding, for the simulator.
    pub fn to_der(&self) -> Vec<u8> {
        use crate::ber::{Oid, element, integer, wrap};
        let hash = self.hash.unwrap_or(Hash::Sha256);
        let digests: Vec<u8> = self
            .digests
            .iter()
            .flat_map(|(n, d)| wrap(tag::SEQUENCE, &[&integer(&[*n]), &element(tag::OCTET_STRING, d)]))
            .collect();
        let versions = self.versions.as_ref().map_or_else(Vec::new, |(lds, unicode)| {
            wrap(tag::SEQUENCE, &[&element(0x13, lds.as_bytes()), &element(0x13, unicode.as_bytes())])
        });
        wrap(
            tag::SEQUENCE,
            &[
                &integer(&self.version.to_be_bytes()),
                &wrap(tag::SEQUENCE, &[&Oid::new(hash.oid()).to_der()]),
                &element(tag::SEQUENCE, &digests),
                &versions,
            ],
        )
    }
}
