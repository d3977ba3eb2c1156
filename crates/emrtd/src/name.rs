//! Distinguished names, compared the way travel documents need it.
//!
//! Issuer and subject of the same authority differ between certificates in string type, case,
//! white space and the order of their parts (`C=GB`, `C=gb`; UTF8String, PrintableString), so
//! equality is on a normal form. A name never proves anything: it only selects candidate keys.

use crate::ber::{Error, Tlv};

/// A distinguished name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Attribute type (dotted) and text, in their order.
    pub attributes: Vec<(String, String)>,
    /// The encoding as it stands in the certificate.
    pub raw: Vec<u8>,
}

impl Name {
    /// Parses a Name (RFC 5280 4.1.2.4).
    pub fn parse(name: &Tlv<'_>) -> Result<Self, Error> {
        let mut attributes = Vec::new();
        for set in name.children()? {
            for pair in set.children()? {
                let mut reader = pair.reader();
                let oid = reader.next()?.oid()?;
                attributes.push((oid.as_str().to_owned(), text(&reader.next()?)));
            }
        }
        Ok(Self { attributes, raw: name.raw.to_vec() })
    }

    /// The form in which names are compared: sorted, lower case, single spaces.
    pub fn normal(&self) -> Vec<(String, String)> {
        let mut parts: Vec<_> = self
            .attributes
            .iter()
            .map(|(oid, value)| {
                (oid.clone(), value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
            })
            .collect();
        parts.sort();
        parts
    }

    /// Whether both name the same authority.
    pub fn matches(&self, other: &Name) -> bool {
        self.raw == other.raw || self.normal() == other.normal()
    }

    /// Whether both hold the same words, whatever their attributes, order and punctuation.
    pub fn resembles(&self, other: &Name) -> bool {
        let words = |name: &Name| {
            let text = name.attributes.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ");
            let mut words: Vec<String> =
                text.to_lowercase().split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect();
            words.retain(|word| !word.is_empty());
            words.sort();
            words
        };
        words(self) == words(other)
    }

    /// The country attribute in upper case.
    pub fn country(&self) -> Option<String> {
        self.attributes.iter().find(|(oid, _)| oid == "2.5.4.6").map(|(_, value)| value.trim().to_uppercase())
    }
}

/// The text of a string element, whatever its type.
fn text(value: &Tlv<'_>) -> String {
    let clean = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
    match value.tag {
        // BMPString
        0x1E => {
            let units: Vec<u16> =
                value.content.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units).chars().map(clean).collect()
        }
        _ => match std::str::from_utf8(value.content) {
            Ok(text) => text.chars().map(clean).collect(),
            // TeletexString in practice holds Latin-1
            Err(_) => value.content.iter().map(|b| clean(char::from(*b))).collect(),
        },
    }
}

impl std::fmt::Display for Name {
    /// Such as `C=DE, O=bund, OU=bsi, CN=csca-germany`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (oid, value)) in self.attributes.iter().enumerate() {
            let label = match oid.as_str() {
                "2.5.4.3" => "CN",
                "2.5.4.5" => "serialNumber",
                "2.5.4.6" => "C",
                "2.5.4.7" => "L",
                "2.5.4.8" => "ST",
                "2.5.4.10" => "O",
                "2.5.4.11" => "OU",
                "1.2.840.113549.1.9.1" => "emailAddress",
                other => other,
            };
            write!(f, "{}{label}={value}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
