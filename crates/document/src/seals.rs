//! Seals of issuers in barcodes (ICAO Doc 9303-13): what they say, and whether a signer that the operator trusts signed it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use barcode::vds::{self, Encoding, VdsError};
use evidence::Signal;
use serde::Serialize;
use serde_json::json;

use crate::record::Record;

/// What is known of a seal's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SealSignature {
    /// There is none.
    Unsigned,
    /// No certificate of its signer was given.
    NotChecked,
    /// It verifies with the certificate of the signer that the seal names.
    Valid,
    /// It does not.
    Invalid,
}

/// A seal as read from a barcode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seal {
    /// What it is about, such as `residence_permit`.
    pub document_type: String,
    /// Issuing country.
    pub country: String,
    /// Country and name of the signer.
    pub signer: String,
    /// Number of the signer's certificate.
    pub certificate_reference: String,
    /// What it says, by name.
    pub fields: BTreeMap<String, String>,
    /// Whether it is signed by its signer.
    pub signature: SealSignature,
    /// It begins as a seal and does not go on as one; everything else is then empty.
    pub damaged: bool,
    /// As parsed, for the signature.
    #[serde(skip)]
    parsed: Option<Box<vds::Seal>>,
}

impl Seal {
    /// The seal that these bytes are; `None` when they are none.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        match vds::parse(bytes) {
            Ok(seal) => Some(Self {
                document_type: seal.document_type.clone(),
                country: seal.country.clone(),
                signer: seal.signer.clone(),
                certificate_reference: seal.certificate_reference.clone(),
                fields: seal.fields.clone(),
                signature: if seal.signature.is_empty() {
                    SealSignature::Unsigned
                } else {
                    SealSignature::NotChecked
                },
                damaged: false,
                parsed: Some(Box::new(seal)),
            }),
            Err(VdsError::Damaged) => Some(Self {
                document_type: String::new(),
                country: String::new(),
                signer: String::new(),
                certificate_reference: String::new(),
                fields: BTreeMap::new(),
                signature: SealSignature::Unsigned,
                damaged: true,
                parsed: None,
            }),
            Err(_) => None,
        }
    }
}

/// Why a folder of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealSignersError {
    /// The folder or a file in it cannot be read.
    #[error("could not read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is no certificate.
    #[error("{0} is no certificate of a signer of seals: one certificate in DER or PEM is needed")]
    NoCertificate(PathBuf),
    /// There is none.
    #[error("{0} holds no certificate: put files in it that end in .der, .cer, .crt or .pem")]
    Empty(PathBuf),
}

/// Certificates of signers of seals that the operator trusts; by what way they came is the operator's to judge.
#[derive(Debug, Clone, Default)]
pub struct SealSigners {
    certificates: Vec<Vec<u8>>,
}

impl SealSigners {
    /// The certificates of a folder: one a file, DER or PEM.
    ///
    /// # Errors
    /// [`SealSignersError`] naming the file: a trust that is silently smaller than its owner thinks is none.
    pub fn in_folder(folder: &Path) -> Result<Self, SealSignersError> {
        let unreadable = |path: &Path| {
            let path = path.to_path_buf();
            |source| SealSignersError::Read { path, source }
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
            if matches!(ending.as_str(), "der" | "cer" | "crt" | "pem") {
                paths.push(path);
            }
        }
        paths.sort();
        let mut certificates = Vec::new();
        for path in paths {
            let bytes = std::fs::read(&path).map_err(unreadable(&path))?;
            if !vds::is_certificate(&bytes) {
                return Err(SealSignersError::NoCertificate(path));
            }
            certificates.push(bytes);
        }
        if certificates.is_empty() {
            return Err(SealSignersError::Empty(folder.to_path_buf()));
        }
        Ok(Self { certificates })
    }

    /// Checks the seals of a record, says what came of it beside each, and signals those whose signature does not hold.
    pub fn check(&self, record: &mut Record) {
        for code in &mut record.barcodes {
            let Some(seal) = &mut code.seal else { continue };
            seal.signature = self.signature(seal);
            if seal.signature == SealSignature::Invalid {
                let shows = json!({
                    "side": code.side, "signer": seal.signer, "certificate": seal.certificate_reference,
                });
                record.signals.push(Signal::certain("BARCODE_SIGNATURE_INVALID", "seal.signature/1", shows));
            }
        }
    }

    fn signature(&self, seal: &Seal) -> SealSignature {
        let Some(parsed) = &seal.parsed else { return seal.signature };
        if parsed.signature.is_empty() {
            return SealSignature::Unsigned;
        }
        let mut answer = SealSignature::NotChecked;
        for certificate in &self.certificates {
            match parsed.verify(certificate) {
                Ok(()) => return SealSignature::Valid,
                // Only seals name their signer's certificate; under another's a structure need not hold.
                Err(VdsError::Signature) if parsed.encoding == Encoding::Seal => {
                    answer = SealSignature::Invalid
                }
                Err(_) => {}
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Barcode, IdentifiedBy, Side};

    // The seal of Utopia's signer TS and the certificate 5BA, made with the openssl command: those of `barcode::vds`.
    const CERTIFICATE: &str = "308201d63082015ca003020102020205ba300a06082a8648ce3d040303302b310b3009060355040613025554310f300d060355040a0c0655746f706961310b300906035504030c025453301e170d3236313132333034313335315a170d3336313132303034313335315a302b310b3009060355040613025554310f300d060355040a0c0655746f706961310b300906035504030c0254533076301006072a8648ce3d020106052b81040022036200049ebb847f8a4a23c5592699b848cd625822613f79719f7493145b9b976f30b4675fe2c05d04f51ae56f61d480c09f1f6924408cbc9eb069c47b97fd39b180a256eabb09318fb5ede59b1cd037668c6d1e69967f64b8307e66d9a51ac708216d01a3533051301d0603551d0e04160414be351d9d9576fa4fd1f25e4611ba85098d1b6193301f0603551d23041830168014be351d9d9576fa4fd1f25e4611ba85098d1b6193300f0603551d130101ff040530030101ff300a06082a8648ce3d0403030368003065023100f900950287170ea6b8c8c1015e4d87f2d8688e4c86ab2bc0e49507d63d8f45dfd483844dd37302d37a271d46e5ea065f02307289bc4a5ff599a0e60760419dc5530ce518cb7062cb71507bd0f3d39334f98ca28425c00fd549e0bd15d0eab9aeda9b";
    const SIGNATURE: &str = "23fe367f0ed59582d8decd19a43e6167133485d5ea737fe8f908e8398fa4bc40a72ffd916a0ec66ba88b842d24370de62d63f86b8ca36ba33089bf0afa83199c9d9feb680c4e92f47b7acd597d14969d22b779c77216a901e7fccf3c65e012ab";

    fn hex(text: &str) -> Vec<u8> {
        let digit = |at: usize| text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
        (0..text.len()).step_by(2).filter_map(digit).collect()
    }

    /// A residence permit's seal with this document number in its zone.
    fn seal(zone: &str) -> Vec<u8> {
        let pack = |text: &str| -> Vec<u8> {
            let code = |b: u8| match b {
                b' ' | b'<' => 3,
                b'0'..=b'9' => u32::from(b) - 44,
                _ => u32::from(b) - 51,
            };
            let value = |three: &[u8]| three.iter().fold(0, |sum, b| sum * 40 + code(*b)) + 1;
            text.as_bytes().chunks(3).flat_map(|three| (value(three) as u16).to_be_bytes()).collect()
        };
        let mut bytes = vec![0xdc, 0x03];
        for text in ["UTO", "UTTS03", "5BA"] {
            bytes.extend(pack(text));
        }
        for day in [1_012_026_u32, 2_152_026] {
            bytes.extend(day.to_be_bytes().get(1..).expect("three bytes"));
        }
        bytes.extend([0xfb, 0x06, 2, 48]);
        bytes.extend(pack(zone));
        let signature = hex(SIGNATURE);
        bytes.extend([0xff, signature.len() as u8]);
        bytes.extend(signature);
        bytes
    }

    fn record(bytes: &[u8]) -> Record {
        Record {
            identified_by: IdentifiedBy::Unknown,
            template: None,
            document_type: None,
            issuing_state: None,
            fields: BTreeMap::new(),
            mrz: None,
            cards_on_front_picture: 1,
            barcodes: vec![Barcode {
                kind: "QR_CODE".to_owned(),
                side: Side::Front,
                data: String::new(),
                payload: None,
                seal: Seal::of(bytes),
            }],
            quality: BTreeMap::new(),
            signals: Vec::new(),
            timing_ms: BTreeMap::new(),
            cpu_ms: BTreeMap::new(),
            net_pixels: BTreeMap::new(),
            text: Vec::new(),
            native_text: Vec::new(),
            sides: Vec::new(),
            portrait: None,
        }
    }

    #[test]
    fn a_signature_that_does_not_hold_is_signalled_and_one_of_an_unknown_signer_is_not() {
        const GENUINE: &str = "ARUTOD23145890<1233<<<<<<<<<<<<<<<<<7408122F1204159UTO<<<<<<<<<<<<<<<<<6";
        let trusted = SealSigners { certificates: vec![hex(CERTIFICATE)] };
        let seen = |signers: &SealSigners, bytes: &[u8]| {
            let mut record = record(bytes);
            signers.check(&mut record);
            let signature = record.barcodes[0].seal.as_ref().expect("a seal").signature;
            (signature, record.signals.iter().map(|s| s.risk.clone()).collect::<Vec<_>>())
        };
        assert_eq!(seen(&trusted, &seal(GENUINE)), (SealSignature::Valid, Vec::new()));
        let forged = GENUINE.replace("D23145890", "D23145891");
        let invalid = (SealSignature::Invalid, vec!["BARCODE_SIGNATURE_INVALID".to_owned()]);
        assert_eq!(seen(&trusted, &seal(&forged)), invalid);
        assert_eq!(seen(&SealSigners::default(), &seal(&forged)), (SealSignature::NotChecked, Vec::new()));
    }

    #[test]
    fn a_folder_of_certificates_is_taken_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(matches!(SealSigners::in_folder(folder.path()), Err(SealSignersError::Empty(_))));
        std::fs::write(folder.path().join("utts.der"), hex(CERTIFICATE)).expect("written");
        assert_eq!(SealSigners::in_folder(folder.path()).expect("taken").certificates.len(), 1);
        std::fs::write(folder.path().join("other.pem"), "no certificate").expect("written");
        assert!(matches!(SealSigners::in_folder(folder.path()), Err(SealSignersError::NoCertificate(_))));
        assert!(SealSigners::in_folder(&folder.path().join("nowhere")).is_err());
    }

    #[test]
    fn a_seal_that_breaks_off_is_damaged_and_other_bytes_are_none() {
        let whole = seal("ARUTOD23145890<1233<<<<<<<<<<<<<<<<<7408122F1204159UTO<<<<<<<<<<<<<<<<<6");
        assert!(Seal::of(&whole[..40]).is_some_and(|seal| seal.damaged));
        assert!(Seal::of(b"https://example.org").is_none() && Seal::of(&[]).is_none());
    }
}
