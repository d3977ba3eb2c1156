//! The logical data structure: the files of a travel document chip (ICAO 9303-10).
//!
//! [`describe`] tells what a file is and shows it; the submodules parse one kind each.

pub mod details;
pub mod dg1;
pub mod face;
#[cfg(feature = "jpeg2000")]
mod jpeg2000;
pub mod security_infos;
pub mod sod;

use crate::ber::{Error, first};
use crate::cms::SignedData;
use security_infos::{SecurityInfo, SecurityInfos};
use serde_json::{Value, json};

/// File identifier and short identifier of EF.CardAccess, EF.CardSecurity, EF.COM, EF.SOD.
pub mod file_id {
    #![expect(missing_docs, reason = "the names are those of the standard")]
    pub const CARD_ACCESS: u16 = 0x011C;
    pub const CARD_SECURITY: u16 = 0x011D;
    pub const COM: u16 = 0x011E;
    pub const SOD: u16 = 0x011D;
    /// Data group n has 0100 + n.
    pub const GROUPS: u16 = 0x0100;
}

/// Shows any file of a chip as JSON: `file` says what it is, the rest is its content. Images are described, not
/// included.
pub fn describe(bytes: &[u8]) -> Result<Value, Error> {
    // no element, but bytes of its own kind
    if bytes.starts_with(b"FAC\0") {
        return Ok(json!({"file": "face record", "faces": faces(bytes)?}));
    }
    let (normal, _) = crate::ber::normalise(bytes).unwrap_or_else(|_| (bytes.to_vec(), bytes.len()));
    let outer = first(&normal)?;
    let group = u8::try_from(outer.tag).ok().and_then(details::group_of_tag);
    let list = |name: &str| -> Result<Value, Error> {
        let details = details::details(&normal, outer.tag)?;
        let details: Vec<Value> = details
            .iter()
            .map(|d| match &d.bytes {
                Some(bytes) => {
                    json!({"name": d.name, "size_bytes": bytes.len(), "format": face::sniff(bytes)})
                }
                None => json!({"name": d.name, "text": d.text}),
            })
            .collect();
        Ok(json!({"file": name, "details": details}))
    };
    match (outer.tag, group) {
        (0x60, _) => Ok(json!({"file": "EF.COM", "content": details::com(&normal)?})),
        (0x77, _) => signed("EF.SOD", &normal),
        (0x30, _) => {
            if let Ok(certificate) = crate::x509::Certificate::parse(&normal) {
                return Ok(json!({"file": "certificate", "certificate": certificate.summary()}));
            }
            signed("signed object", &normal)
        }
        (0x31, _) => {
            Ok(json!({"file": "EF.CardAccess", "security_infos": infos(&SecurityInfos::parse(&normal)?)}))
        }
        (_, Some(1)) => Ok(json!({"file": "DG1", "mrz": dg1::Dg1::parse(&normal)?})),
        (0xA1 | 0x7F2E, _) => Ok(json!({"file": "face record", "faces": faces(&normal)?})),
        (_, Some(2)) => Ok(json!({"file": "DG2", "faces": faces(&normal)?})),
        (_, Some(number @ (5 | 7 | 11 | 12 | 16))) => list(&format!("DG{number}")),
        (_, Some(14)) => {
            Ok(json!({"file": "DG14", "security_infos": infos(&SecurityInfos::parse(&normal)?)}))
        }
        (_, Some(15)) => {
            let key = crate::active::public_key(&normal).map_err(|_| Error::Value)?;
            Ok(json!({"file": "DG15", "public_key": key.describe()}))
        }
        (_, Some(number)) => Ok(json!({"file": format!("DG{number}"), "size_bytes": outer.content.len()})),
        (_, None) => Err(Error::Unknown),
    }
}

fn faces(bytes: &[u8]) -> Result<Vec<Value>, Error> {
    let bytes = if bytes.first() == Some(&0x7F) { first(bytes)?.content } else { bytes };
    Ok(face::parse(bytes)?
        .iter()
        .map(|face| {
            let decoded = match face.decode_jpeg2000() {
                Ok(pixels) => json!({"width": pixels.width, "height": pixels.height}),
                Err(face::DecodeError::OtherFormat) => Value::Null,
                Err(error) => json!({"error": error.to_string()}),
            };
            json!({
                "record": face.record, "format": face.format, "size_bytes": face.bytes.len(),
                "width": face.size.map(|s| s.0), "height": face.size.map(|s| s.1),
                "feature_points": face.feature_points, "jpeg2000_decoded": decoded,
            })
        })
        .collect())
}

fn infos(infos: &SecurityInfos) -> Vec<Value> {
    infos
        .infos
        .iter()
        .map(|info| match info {
            SecurityInfo::Pace { protocol, version, parameter_id } => {
                json!({"kind": "pace", "protocol": protocol, "version": version, "parameter_id": parameter_id})
            }
            SecurityInfo::ChipAuthentication { protocol, version, key_id } => json!({
                "kind": "chip_authentication", "protocol": protocol, "version": version,
                "key_id": key_id.as_ref().map(hex::encode),
            }),
            SecurityInfo::ChipAuthenticationPublicKey { protocol, key, key_id } => json!({
                "kind": "chip_authentication_public_key", "protocol": protocol,
                "key": key.as_ref().map_or_else(ToString::to_string, crate::key::PublicKey::describe),
                "key_id": key_id.as_ref().map(hex::encode),
            }),
            SecurityInfo::ActiveAuthentication { version, signature_algorithm } => json!({
                "kind": "active_authentication", "version": version, "signature_algorithm": signature_algorithm,
            }),
            SecurityInfo::TerminalAuthentication { version } => {
                json!({"kind": "terminal_authentication", "version": version})
            }
            SecurityInfo::Other { protocol } => json!({"kind": "other", "protocol": protocol}),
        })
        .collect()
}

fn signed(name: &str, bytes: &[u8]) -> Result<Value, Error> {
    let object = SignedData::parse(bytes)?;
    let content = match object.content_type.as_str() {
        crate::verify::SECURITY_OBJECT => {
            json!({"file": "EF.CardSecurity", "security_infos": infos(&SecurityInfos::parse(&object.content)?)})
        }
        crate::trust::MASTER_LIST => json!({"file": "CSCA master list", "size_bytes": object.content.len()}),
        _ => match sod::LdsSecurityObject::parse(&object.content) {
            Ok(lds) => json!({
                "lds_version": lds.versions.as_ref().map(|v| &v.0),
                "digest_algorithm": lds.hash,
                "digests": lds.digests.iter().map(|(n, d)| (n.to_string(), hex::encode(d))).collect::<std::collections::BTreeMap<_, _>>(),
            }),
            Err(_) => json!({"size_bytes": object.content.len()}),
        },
    };
    let name = content.get("file").and_then(Value::as_str).unwrap_or(name).to_owned();
    Ok(json!({
        "file": name,
        "content_type": object.content_type,
        "content": content,
        "certificates": object.certificates.iter().map(crate::x509::Certificate::summary).collect::<Vec<_>>(),
        "signers": object.signers.len(),
    }))
}
