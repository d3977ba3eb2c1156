//! Judges what was read from a chip: passive authentication, and the proofs that it is no copy.
//!
//! [`verify`] is a pure function of the files, the proofs and the trust store (ICAO 9303-11
//! 5.1, 9303-12). Passive authentication shows that the data are the issuer's; only chip or
//! active authentication (or PACE with chip authentication mapping) shows that the chip is the issuer's, too.

use crate::cms::{ID_DATA, SignedData, Verified};
use crate::hash::Hash;
use crate::lds::dg1::Dg1;
use crate::lds::sod::LdsSecurityObject;
use crate::time::Time;
use crate::trust::{Chain, Revocation, TrustStore};
use crate::x509::{Certificate, Summary};
use std::collections::{BTreeMap, BTreeSet};

/// Content type of EF.SOD.
pub const LDS_SECURITY_OBJECT: &str = "2.23.136.1.1.1";
/// Content type of EF.CardSecurity (id-SecurityObject of BSI TR-03110).
pub const SECURITY_OBJECT: &str = "0.4.0.127.0.7.3.2.1";
/// Content type some early issuers used for EF.SOD (SDU, ICAO draft).
const EARLY_LDS_SECURITY_OBJECT: &str = "1.2.528.1.1006.1.20.1";

/// Signers of these purposes sign no documents: master lists, deviation lists.
const OTHER_PURPOSES: [&str; 2] = ["2.23.136.1.1.3", "2.23.136.1.1.8"];

/// What is judged.
pub struct Input<'a> {
    /// EF.SOD (or its CMS, or EF.CardSecurity).
    pub sod: &'a [u8],
    /// Data groups by number, each as the whole file.
    pub data_groups: &'a BTreeMap<u8, Vec<u8>>,
    /// The reader asked the chip for every group the SOD lists, so that a missing DG14 or DG15 means the chip withheld
    /// it.
    pub complete_read: bool,
    /// The active authentication exchange, if one took place.
    pub active_authentication: Option<ActiveAuthentication<'a>>,
    /// What chip authentication (or PACE-CAM) showed, if it was tried by the server's own terminal.
    pub chip_authentication: Option<ProofOfChip>,
    /// Certificates and revocation lists.
    pub trust: &'a TrustStore,
    /// The present; `None` leaves out the notes on expiry.
    pub now: Option<Time>,
}

/// An active authentication exchange (ICAO 9303-11 6.1).
#[derive(Debug, Clone, Copy)]
pub struct ActiveAuthentication<'a> {
    /// The eight bytes the chip signed.
    pub challenge: &'a [u8],
    /// The chip's answer.
    pub response: &'a [u8],
    /// The server chose the challenge for this very session; otherwise the answer may be a recording and proves
    /// nothing.
    pub challenge_is_ours: bool,
}

/// What a proof of possession of the chip's private key gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofOfChip {
    /// The chip holds the private key to the signed public key.
    Valid,
    /// It does not.
    Invalid,
    /// The document has no such key.
    NotSupported,
    /// The document has the key, the proof was not asked for or its challenge was not ours.
    NotPerformed,
}

/// The verdict on the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Signed by a trusted issuer, and unchanged.
    Genuine,
    /// Changed, broken, revoked or signed by someone who may not.
    Refused,
    /// Consistent in itself, but no trusted issuer vouches for it.
    Untrusted,
}

/// Whether the signature over the security object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SodSignature {
    /// It verifies, and what it signs is the content.
    Valid,
    /// It does not.
    Invalid,
}

/// Whether the signer's certificate leads to a trusted issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainStatus {
    /// It does.
    Trusted,
    /// No trusted issuer's key made its signature.
    Untrusted,
    /// It names a trusted key, and that key did not make its signature; or the signer or its
    /// issuer was not entitled at the time.
    Invalid,
    /// The signature did not hold, so there is no signer to chain.
    NotChecked,
}

/// What revocation lists say of the signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationStatus {
    /// Not on its issuer's list.
    Good,
    /// On its issuer's list.
    Revoked,
    /// There is no list of its issuer.
    NotChecked,
}

/// A data group against the security object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupStatus {
    /// Its digest is the signed one.
    Match,
    /// It is not.
    Mismatch,
    /// Signed, but not handed in.
    NotSupplied,
    /// Handed in, but not signed: anyone may have written it.
    NotInSod,
}

/// The report.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Report {
    /// The verdict on the data.
    pub verdict: Verdict,
    /// Why it is not genuine, each as `code: explanation`; empty when it is.
    pub reasons: Vec<String>,
    /// What deserves attention without changing the verdict, each as `code: explanation`.
    pub warnings: Vec<String>,
    /// The signature over the security object.
    pub sod_signature: SodSignature,
    /// The signer's certificate.
    pub chain: ChainStatus,
    /// Revocation of the signer's certificate.
    pub revocation: RevocationStatus,
    /// Status by data group number.
    pub dg_hashes: BTreeMap<u8, GroupStatus>,
    /// Whether the chip proved its active authentication key.
    pub active_authentication: ProofOfChip,
    /// Whether the chip proved its chip authentication key.
    pub chip_authentication: ProofOfChip,
    /// Something shows that the chip may be a copy: a failed proof, or withheld keys.
    pub clone_suspected: bool,
    /// The signer's certificate.
    pub certificate_summary: Option<Summary>,
    /// The certificates above the signer, nearest first.
    pub chain_certificates: Vec<Summary>,
    /// Type of the signed content.
    pub content_type: Option<String>,
    /// Digest of the data groups.
    pub digest_algorithm: Option<Hash>,
    /// Algorithm of the signature.
    pub signature_algorithm: Option<String>,
    /// When the object was signed, if it says so.
    pub signing_time: Option<Time>,
    /// LDS version the object states.
    pub lds_version: Option<String>,
}

impl Report {
    fn refuse(&mut self, code: &str, why: impl std::fmt::Display) {
        self.verdict = Verdict::Refused;
        self.reasons.push(format!("{code}: {why}"));
    }

    fn distrust(&mut self, code: &str, why: impl std::fmt::Display) {
        if self.verdict == Verdict::Genuine {
            self.verdict = Verdict::Untrusted;
        }
        self.reasons.push(format!("{code}: {why}"));
    }

    fn warn(&mut self, code: &str, why: impl std::fmt::Display) {
        self.warnings.push(format!("{code}: {why}"));
    }

    /// The codes of the reasons.
    pub fn reason_codes(&self) -> Vec<&str> {
        self.reasons.iter().filter_map(|reason| reason.split(':').next()).collect()
    }
}

/// Judges the files and proofs.
pub fn verify(input: &Input<'_>) -> Report {
    let mut report = Report {
        verdict: Verdict::Genuine,
        reasons: Vec::new(),
        warnings: Vec::new(),
        sod_signature: SodSignature::Invalid,
        chain: ChainStatus::NotChecked,
        revocation: RevocationStatus::NotChecked,
        dg_hashes: BTreeMap::new(),
        active_authentication: ProofOfChip::NotPerformed,
        chip_authentication: ProofOfChip::NotPerformed,
        clone_suspected: false,
        certificate_summary: None,
        chain_certificates: Vec::new(),
        content_type: None,
        digest_algorithm: None,
        signature_algorithm: None,
        signing_time: None,
        lds_version: None,
    };
    let signed = match SignedData::parse(input.sod) {
        Ok(signed) => signed,
        Err(error) => {
            report.refuse("sod_malformed", error);
            return report;
        }
    };
    report.content_type = Some(signed.content_type.to_string());
    let mut signer = None;
    match signed.verify(input.trust.document_signers()) {
        Ok(verified) => {
            report.sod_signature = SodSignature::Valid;
            judge_signer(&mut report, &signed, &verified, input);
            signer = Some(verified.certificate);
        }
        Err(fault) => {
            report.refuse(fault.code(), &fault);
            report.certificate_summary = signed.likely_signer().map(Certificate::summary);
        }
    }
    if signed.trailing_bytes > 0 {
        report.warn("trailing_bytes", format_args!("{} bytes follow the object", signed.trailing_bytes));
    }
    match signed.content_type.as_str() {
        LDS_SECURITY_OBJECT | EARLY_LDS_SECURITY_OBJECT | ID_DATA => {
            judge_groups(&mut report, &signed, input);
            judge_country(&mut report, signer.as_ref(), input);
            judge_chip(&mut report, input);
        }
        SECURITY_OBJECT => {
            if crate::lds::security_infos::SecurityInfos::parse(&signed.content).is_err() {
                report.refuse("security_object_malformed", "the signed content is no set of security infos");
            }
            // It signs keys, no data: groups beside it are signed by nobody.
            for number in input.data_groups.keys() {
                report.dg_hashes.insert(*number, GroupStatus::NotInSod);
                report.refuse(&format!("dg{number}_not_in_sod"), "the object signs no data groups");
            }
            report.active_authentication = ProofOfChip::NotSupported;
            report.chip_authentication = input.chip_authentication.unwrap_or(ProofOfChip::NotPerformed);
        }
        other => report.refuse("content_type_not_accepted", format_args!("{other} is no security object")),
    }
    report
}

fn judge_signer(report: &mut Report, signed: &SignedData, verified: &Verified, input: &Input<'_>) {
    let signer = &verified.certificate;
    report.certificate_summary = Some(signer.summary());
    report.signature_algorithm = Some(verified.algorithm.describe());
    report.signing_time = verified.signing_time;
    if verified.signer_id_mismatch {
        report.warn("signer_id_mismatch", "the signer is named otherwise than its only certificate");
    }
    if verified.algorithm.hash == Hash::Sha1 || verified.digest == Hash::Sha1 {
        report.warn("legacy_sha1", "the object is signed with SHA-1");
    }
    match input.trust.chain(signer, &signed.certificates) {
        Chain::Trusted(path) => {
            report.chain = ChainStatus::Trusted;
            report.chain_certificates = path
                .iter()
                .filter_map(|sha256| {
                    let known = input.trust.anchor(sha256).map(|anchor| anchor.certificate.summary());
                    known.or_else(|| {
                        signed
                            .certificates
                            .iter()
                            .find(|c| c.fingerprint() == *sha256)
                            .map(Certificate::summary)
                    })
                })
                .collect();
        }
        Chain::UnknownIssuer => {
            report.chain = ChainStatus::Untrusted;
            report.distrust("issuer_unknown", format_args!("no trusted certificate of {}", signer.issuer));
        }
        Chain::NoKeyFits { named_key: false } => {
            report.chain = ChainStatus::Untrusted;
            report.distrust(
                "issuer_key_unknown",
                format_args!("no trusted key of {} made the signer's certificate", signer.issuer),
            );
        }
        Chain::NoKeyFits { named_key: true } => {
            report.chain = ChainStatus::Invalid;
            report.refuse(
                "certificate_signature_invalid",
                "the trusted key that the signer's certificate names did not make its signature",
            );
        }
        Chain::IssuerNotValid => {
            report.chain = ChainStatus::Invalid;
            report.refuse(
                "issuer_not_valid_at_issuance",
                "the signer's certificate was issued outside its issuer's validity",
            );
        }
    }
    let issuer = report.chain_certificates.first().and_then(|issuer| input.trust.anchor(&issuer.sha256));
    match input.trust.revocation(signer, issuer.map(|anchor| &anchor.certificate), input.now) {
        Revocation::NotChecked => {}
        Revocation::Good { stale } => {
            report.revocation = RevocationStatus::Good;
            if stale {
                report.warn("revocation_list_stale", "the issuer's revocation list is past its next update");
            }
        }
        Revocation::Revoked { since } => {
            report.revocation = RevocationStatus::Revoked;
            report.refuse(
                "certificate_revoked",
                format_args!("the signer's certificate is revoked since {since}"),
            );
        }
    }
    for sha256 in report.chain_certificates.iter().map(|c| c.sha256.clone()).collect::<Vec<_>>() {
        let Some(anchor) = input.trust.anchor(&sha256) else { continue };
        if let Revocation::Revoked { since } = input.trust.revocation(&anchor.certificate, None, input.now) {
            report.revocation = RevocationStatus::Revoked;
            report
                .refuse("issuer_revoked", format_args!("the issuer's certificate is revoked since {since}"));
        }
    }
    if !signer.may_sign_documents()
        || signer.extended_key_usage.iter().any(|usage| OTHER_PURPOSES.iter().any(|other| usage == other))
    {
        report.chain = ChainStatus::Invalid;
        report.refuse("signer_not_entitled", "the signer's certificate is not one that may sign documents");
    }
    // Validity is judged at the time of signing: documents outlive the keys that signed them.
    let day = 86_400;
    if let Some(at) = verified.signing_time
        && (at.0 < signer.not_before.0 - day || at.0 > signer.not_after.0 + day)
    {
        let why = format!("signed at {at}, valid from {} to {}", signer.not_before, signer.not_after);
        // the dates of a certificate nobody vouches for prove nothing either way
        if report.chain == ChainStatus::Trusted {
            report.chain = ChainStatus::Invalid;
            report.refuse("signed_outside_validity", why);
        } else {
            report.warn("signed_outside_validity", why);
        }
    }
    // The key's own period is shorter than the certificate's (ICAO 9303-12 table 5): a signature outside it is odd, but
    // personalisation clocks are not what the issuer vouches for.
    if let (Some(at), Some((from, until))) = (verified.signing_time, signer.key_usage_period)
        && (from.is_some_and(|from| at.0 < from.0 - day) || until.is_some_and(|until| at.0 > until.0 + day))
    {
        report.warn("signed_outside_key_usage_period", format_args!("signed at {at}"));
    }
    if input.now.is_some_and(|now| now > signer.not_after) {
        report.warn(
            "certificate_expired",
            format_args!("the signer's certificate expired at {}", signer.not_after),
        );
    }
}

fn judge_groups(report: &mut Report, signed: &SignedData, input: &Input<'_>) {
    let object = match LdsSecurityObject::parse(&signed.content) {
        Ok(object) => object,
        Err(error) => {
            report.refuse("security_object_malformed", error);
            return;
        }
    };
    report.lds_version = object.versions.as_ref().map(|(lds, _)| lds.clone());
    let Some(hash) = object.hash else {
        report.refuse(
            "digest_algorithm_not_accepted",
            "the digest of the data groups is not one that is accepted",
        );
        return;
    };
    report.digest_algorithm = Some(hash);
    if hash == Hash::Sha1 && !report.warnings.iter().any(|w| w.starts_with("legacy_sha1")) {
        report.warn("legacy_sha1", "the data groups are hashed with SHA-1");
    }
    for (number, digest) in &object.digests {
        let status = match input.data_groups.get(number) {
            None => GroupStatus::NotSupplied,
            Some(file) if hash.digest(trim_padding(file)) == *digest || hash.digest(file) == *digest => {
                GroupStatus::Match
            }
            Some(_) => {
                report.refuse(&format!("dg{number}_hash_mismatch"), "the data group is not the signed one");
                GroupStatus::Mismatch
            }
        };
        report.dg_hashes.insert(*number, status);
    }
    for number in input.data_groups.keys().filter(|n| !object.digests.contains_key(n)) {
        report.dg_hashes.insert(*number, GroupStatus::NotInSod);
        report.refuse(&format!("dg{number}_not_in_sod"), "the data group is not covered by the signature");
    }
    // Keys that are signed but not shown would let a copy pass without proving itself.
    for number in [14u8, 15] {
        if report.dg_hashes.get(&number) == Some(&GroupStatus::NotSupplied) && !input.data_groups.is_empty() {
            if input.complete_read {
                report.clone_suspected = true;
                report.refuse(
                    &format!("dg{number}_withheld"),
                    "the chip has the signed group, and does not hand it out",
                );
            } else {
                report.warn(
                    &format!("dg{number}_not_supplied"),
                    "without it a copy of the chip cannot be told from the chip",
                );
            }
        }
    }
}

/// A file read in whole blocks may carry bytes after its element; the digest is over the element.
fn trim_padding(file: &[u8]) -> &[u8] {
    crate::ber::announced_length(file).ok().and_then(|length| file.get(..length)).unwrap_or(file)
}

/// Whether the authority that vouches for the document may issue for the state that DG1 names.
fn judge_country(report: &mut Report, signer: Option<&Certificate>, input: &Input<'_>) {
    let Some(signer) = signer else { return };
    let Some(file) = input.data_groups.get(&1) else { return };
    let dg1 = match Dg1::parse(file) {
        Ok(dg1) => dg1,
        Err(error) => {
            report.refuse("dg1_malformed", error);
            return;
        }
    };
    // What the signer's certificate says of its issuer is only as good as the authority that signed it: the country
    // is that of every certificate of the chain.
    let above = report.chain_certificates.iter().filter_map(|c| input.trust.anchor(&c.sha256));
    let countries: BTreeSet<String> = std::iter::once(signer.issuer.country())
        .chain(above.map(|anchor| anchor.certificate.subject.country()))
        .flatten()
        .collect();
    if countries.is_empty() {
        report.warn("issuer_country_missing", "the signer's issuer names no country");
    }
    for country in countries {
        match crate::country::may_sign(&dg1.issuing_state, &country) {
            Some(true) => {}
            Some(false) => report.refuse(
                "issuing_country_mismatch",
                format_args!("a signer of {country} signed a document of {}", dg1.issuing_state),
            ),
            None => report.warn(
                "issuing_state_unknown",
                format_args!("{} is not a listed issuing state", dg1.issuing_state),
            ),
        }
    }
    // ICAO 9303-12 7.1.1: a signer may be for some kinds of document only.
    let kinds = &signer.document_types;
    if !kinds.is_empty() && !kinds.iter().any(|kind| kind.trim_end_matches('<') == dg1.document_code) {
        report.warn(
            "document_type_not_listed",
            format_args!("the signer is for {}, the document is {}", kinds.join(", "), dg1.document_code),
        );
    }
}

fn judge_chip(report: &mut Report, input: &Input<'_>) {
    let signed = |report: &Report, number: u8| report.dg_hashes.get(&number).copied();
    report.active_authentication = match (signed(report, 15), &input.active_authentication) {
        (None, _) => ProofOfChip::NotSupported,
        (Some(GroupStatus::Match), Some(exchange)) => {
            let file = input.data_groups.get(&15).map_or(&[][..], Vec::as_slice);
            let security = input.data_groups.get(&14).map(Vec::as_slice);
            match crate::active::verify(file, security, exchange.challenge, exchange.response) {
                Ok(()) if exchange.challenge_is_ours => ProofOfChip::Valid,
                Ok(()) => {
                    report.warn(
                        "challenge_not_ours",
                        "the active authentication challenge did not come from this server",
                    );
                    ProofOfChip::NotPerformed
                }
                Err(error) => {
                    report.warn("active_authentication_failed", error);
                    ProofOfChip::Invalid
                }
            }
        }
        _ => ProofOfChip::NotPerformed,
    };
    report.chip_authentication = match (signed(report, 14), input.chip_authentication) {
        (_, Some(proof)) => proof,
        (None, None) => ProofOfChip::NotSupported,
        (Some(_), None) => ProofOfChip::NotPerformed,
    };
    if report.active_authentication == ProofOfChip::Invalid
        || report.chip_authentication == ProofOfChip::Invalid
    {
        report.clone_suspected = true;
    }
}
