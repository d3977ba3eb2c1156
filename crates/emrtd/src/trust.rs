//! The trust store: country signing certificates (CSCA), document signers and revocation lists, with
//! their provenance.
//!
//! Nothing is trusted silently: the store starts empty, and every certificate remembers the imports
//! that brought it. Master lists must carry a valid signature of their own; with roots given,
//! their signer must chain to one of them, else the import is refused. Without roots the report says that
//! the list is trusted on the operator's word.

use crate::ber::{Reader, tag};
use crate::cms::{Fault, SignedData};
use crate::hash::Hash;
use crate::name::Name;
use crate::time::Time;
use crate::x509::{Certificate, Crl};
use base64::Engine as _;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

/// id-icao-cscaMasterList.
pub const MASTER_LIST: &str = "2.23.136.1.1.2";
/// id-icao-cscaMasterListSigningKey.
const MASTER_LIST_SIGNING: &str = "2.23.136.1.1.3";
/// Bounds one file's work.
const MAX_OBJECTS: usize = 50_000;

/// Why a file was not imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither certificate, revocation list, master list, PEM nor LDIF.
    #[error("{name}: not a certificate, revocation list, master list, PEM or LDIF file")]
    Unknown {
        /// The file's name.
        name: String,
    },
    /// A master list whose own signature does not hold.
    #[error("{name}: the master list's signature does not hold")]
    ListSignature {
        /// The file's name.
        name: String,
        /// What is wrong.
        #[source]
        source: Fault,
    },
    /// A master list signed by someone who may not.
    #[error("{name}: the master list's signer does not chain to a given root")]
    ListSigner {
        /// The file's name.
        name: String,
    },
    /// A store file that cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] serde_json::Error),
}

/// A trusted certificate with the imports that brought it.
#[derive(Debug, Clone)]
pub struct Anchor {
    /// The certificate.
    pub certificate: Certificate,
    /// Numbers of the imports (index into [`TrustStore::imports`]).
    pub imports: Vec<usize>,
    /// What is known of its own signature, once somebody asked: see [`TrustStore::standing`].
    standing: OnceLock<Standing>,
}

impl Anchor {
    /// What has been found out about its signature so far; [`TrustStore::standing`] finds out.
    pub fn known_standing(&self) -> Option<Standing> {
        self.standing.get().copied()
    }
}

/// What is known of an anchor's own signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its own key made its signature.
    SelfSigned,
    /// Another anchor of the store made its signature (link certificate).
    Linked,
    /// No certificate of the store made its signature.
    IssuerUnknown,
    /// It claims to be self-signed and is not; such a certificate is kept for the record and never used.
    Broken,
}

/// One import: what came from where, and who vouched for it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Import {
    /// The file's name as given.
    pub source: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// When it was imported.
    pub imported_at: Option<Time>,
    /// Subjects of the master lists' signers.
    pub signers: Vec<String>,
    /// When the master list was signed.
    pub signed_at: Option<Time>,
    /// How the file's authority was established.
    pub authority: Authority,
    /// Certificates in the file.
    pub certificates: usize,
    /// Certificates the store did not have before.
    pub added: usize,
    /// Revocation lists in the file that were taken.
    pub revocation_lists: usize,
    /// What was not taken, and why.
    pub refused: Vec<String>,
}

/// How a file's authority was established, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// The list's signer chains to a root the operator gave.
    Root,
    /// The list's signer chains to a certificate the store already trusted.
    Store,
    /// The list's signature holds, but its signer is vouched for by the list itself or by nobody: the operator's
    /// choice of the file is what makes it trusted.
    Operator,
}

/// Trusted certificates and revocation lists.
#[derive(Debug, Clone, Default)]
pub struct TrustStore {
    anchors: Vec<Anchor>,
    document_signers: Vec<Certificate>,
    crls: Vec<Crl>,
    imports: Vec<Import>,
    by_subject: HashMap<Vec<(String, String)>, Vec<usize>>,
    by_key_id: HashMap<Vec<u8>, Vec<usize>>,
    by_fingerprint: HashMap<String, usize>,
}

/// The certificates above a signer, nearest first, or why there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// Reaches a trusted certificate; fingerprints of the certificates above the signer, nearest first.
    Trusted(Vec<String>),
    /// No trusted certificate has the issuer's name.
    UnknownIssuer,
    /// The issuer's name is known, but none of its keys in the store made the signature; with
    /// the key the certificate names among them when `named_key` is set.
    NoKeyFits {
        /// The very key the certificate names is in the store, and did not make the signature.
        named_key: bool,
    },
    /// The issuer's certificate was not valid when it issued.
    IssuerNotValid,
}

impl TrustStore {
    /// All trusted certificates.
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// All imports, oldest first.
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// All revocation lists.
    pub fn crls(&self) -> &[Crl] {
        &self.crls
    }

    /// Document signers known from directories.
    pub fn document_signers(&self) -> &[Certificate] {
        &self.document_signers
    }

    /// The anchor with this fingerprint.
    pub fn anchor(&self, sha256: &str) -> Option<&Anchor> {
        self.by_fingerprint.get(sha256).and_then(|at| self.anchors.get(*at))
    }

    /// Imports a master list (`.ml`), certificate, revocation list (DER), PEM or LDIF file. Certificates
    /// with CA rights become anchors, others document signers. `roots` are the certificates a master list's
    /// signer must chain to; without any, the list only has to be signed correctly. The signature of every
    /// new certificate is checked, and what does not hold is said.
    pub fn import(
        &mut self,
        name: &str,
        bytes: &[u8],
        roots: &[Certificate],
        imported_at: Option<Time>,
    ) -> Result<Import, Error> {
        self.gather(name, bytes, roots, imported_at)?;
        self.check().ok_or_else(|| Error::Unknown { name: name.to_owned() })
    }

    /// Checks the signature of every certificate that the last import brought, and notes which do not hold.
    pub fn check(&mut self) -> Option<Import> {
        let number = self.imports.len().checked_sub(1)?;
        let mut broken = Vec::new();
        for anchor in self.anchors.iter().filter(|a| a.imports.contains(&number)) {
            if self.standing(anchor) == Standing::Broken {
                let certificate = &anchor.certificate;
                broken.push(format!(
                    "{} ({}): its own signature does not verify",
                    certificate.subject,
                    certificate.fingerprint()
                ));
            }
        }
        let report = self.imports.get_mut(number)?;
        report.refused.extend(broken);
        Some(report.clone())
    }

    /// As [`TrustStore::import`], but certificates' own signatures are only checked when a chain comes to them: for
    /// stores that serve one verification.
    pub fn gather(
        &mut self,
        name: &str,
        bytes: &[u8],
        roots: &[Certificate],
        imported_at: Option<Time>,
    ) -> Result<Import, Error> {
        let number = self.imports.len();
        let mut report = Import {
            source: name.to_owned(),
            sha256: hex::encode(Hash::Sha256.digest(bytes)),
            imported_at,
            signers: Vec::new(),
            signed_at: None,
            authority: Authority::Operator,
            certificates: 0,
            added: 0,
            revocation_lists: 0,
            refused: Vec::new(),
        };
        let objects = split(bytes);
        if objects.is_empty() {
            return Err(Error::Unknown { name: name.to_owned() });
        }
        let mut certificates = Vec::new();
        let mut listed = Vec::new();
        let mut crls = Vec::new();
        let mut understood = false;
        // One list that is not accepted stops the import of its file; among the many lists of a directory (LDIF) it is
        // left out and said.
        let several = objects.len() > 1;
        for object in objects.into_iter().take(MAX_OBJECTS) {
            if let Ok(certificate) = Certificate::parse(&object) {
                understood = true;
                certificates.push(certificate);
            } else if let Ok(crl) = Crl::parse(&object) {
                understood = true;
                crls.push(crl);
            } else if let Ok(signed) = SignedData::parse(&object) {
                understood = true;
                if signed.content_type == MASTER_LIST {
                    match self.open_master_list(name, &signed, roots, &mut report) {
                        Ok(certificates) => listed.extend(certificates),
                        Err(error) if several => report.refused.push(error.to_string()),
                        Err(error) => return Err(error),
                    }
                } else if signed.signers.is_empty() {
                    // a bare bag of certificates (.p7c)
                    certificates.extend(signed.certificates);
                } else {
                    report.refused.push("a signed object that is no master list".to_owned());
                }
            }
        }
        if !understood {
            return Err(Error::Unknown { name: name.to_owned() });
        }
        report.certificates = certificates.len() + listed.len();
        // Being in a master list makes a certificate a CSCA, whatever its extensions say or leave out.
        let listed = listed.into_iter().map(|certificate| (certificate, true));
        for (certificate, is_csca) in
            listed.chain(certificates.into_iter().map(|certificate| (certificate, false)))
        {
            match self.add(certificate, number, is_csca) {
                Ok(true) => report.added += 1,
                Ok(false) => {}
                Err(refusal) => report.refused.push(refusal),
            }
        }
        for crl in crls {
            if self.anchors.iter().any(|a| {
                a.certificate.subject.matches(&crl.issuer)
                    && a.certificate.may_sign_revocations()
                    && crl.signed_by(&a.certificate)
            }) {
                report.revocation_lists += 1;
                self.crls.retain(|old| {
                    !(old.issuer.matches(&crl.issuer)
                        && old.this_update <= crl.this_update
                        && old.der != crl.der
                        && old.revoked.iter().all(|r| crl.revoked.contains(r)))
                });
                if !self.crls.iter().any(|old| old.der == crl.der) {
                    self.crls.push(crl);
                }
            } else {
                report
                    .refused
                    .push(format!("revocation list of {}: no trusted key made its signature", crl.issuer));
            }
        }
        self.imports.push(report.clone());
        Ok(report)
    }

    /// Checks a master list and returns its certificates.
    fn open_master_list(
        &self,
        name: &str,
        signed: &SignedData,
        roots: &[Certificate],
        report: &mut Import,
    ) -> Result<Vec<Certificate>, Error> {
        let verified =
            signed.verify(&[]).map_err(|source| Error::ListSignature { name: name.to_owned(), source })?;
        let signer = &verified.certificate;
        if !signer.extended_key_usage.iter().any(|usage| usage == MASTER_LIST_SIGNING) {
            return Err(Error::ListSigner { name: name.to_owned() });
        }
        let malformed = |_| Error::Unknown { name: name.to_owned() };
        let mut fields = Reader::new(&signed.content).expect(tag::SEQUENCE).map_err(malformed)?.reader();
        fields.expect(tag::INTEGER).map_err(malformed)?;
        let mut certificates = Vec::new();
        for element in fields.expect(tag::SET).map_err(malformed)?.children().map_err(malformed)? {
            match Certificate::parse(element.raw) {
                Ok(certificate) => certificates.push(certificate),
                Err(error) => report.refused.push(format!("a certificate: {error}")),
            }
        }
        // The signer's issuer may come along in the list's own certificates, as a link to the root.
        let reaches = |trusted: &dyn Fn(&Certificate) -> bool| {
            let mut current = signer.clone();
            for _ in 0..4 {
                if trusted(&current) {
                    return true;
                }
                let next = signed.certificates.iter().find(|c| {
                    c.der != current.der
                        && c.may_sign_certificates()
                        && current.may_be_issued_by(c)
                        && current.signed_by(c)
                });
                match next {
                    Some(next) => current = next.clone(),
                    None => return false,
                }
            }
            false
        };
        let by_root = |c: &Certificate| roots.iter().any(|root| c.der == root.der || c.signed_by(root));
        let by_store = |c: &Certificate| {
            self.anchors.iter().any(|a| {
                a.certificate.may_sign_certificates()
                    && c.may_be_issued_by(&a.certificate)
                    && c.signed_by(&a.certificate)
                    && self.standing(a) != Standing::Broken
            })
        };
        let authority = if reaches(&by_root) {
            Authority::Root
        } else if !roots.is_empty() {
            return Err(Error::ListSigner { name: name.to_owned() });
        } else if reaches(&by_store) {
            Authority::Store
        } else {
            Authority::Operator
        };
        // of several lists the least vouched for speaks for the file
        report.authority =
            if report.signers.is_empty() { authority } else { report.authority.max(authority) };
        report.signers.push(signer.subject.to_string());
        report.signed_at = verified.signing_time;
        Ok(certificates)
    }

    /// Adds one certificate; `false` when it was there already.
    fn add(&mut self, certificate: Certificate, import: usize, is_csca: bool) -> Result<bool, String> {
        let fingerprint = certificate.fingerprint();
        if let Some(anchor) = self.by_fingerprint.get(&fingerprint).and_then(|at| self.anchors.get_mut(*at)) {
            if !anchor.imports.contains(&import) {
                anchor.imports.push(import);
            }
            return Ok(false);
        }
        if let Err(error) = &certificate.key {
            return Err(format!("{} ({fingerprint}): {error}", certificate.subject));
        }
        let self_issued = certificate.self_issued();
        // A certificate without CA rights that others issued is a document signer.
        if !is_csca && certificate.ca != Some(true) && !self_issued {
            if self.document_signers.iter().any(|known| known.der == certificate.der) {
                return Ok(false);
            }
            self.document_signers.push(certificate);
            return Ok(true);
        }
        // What hung on nothing may hang on this one.
        for anchor in &mut self.anchors {
            if matches!(anchor.standing.get(), Some(Standing::IssuerUnknown | Standing::Broken)) {
                anchor.standing = OnceLock::new();
            }
        }
        let at = self.anchors.len();
        self.by_subject.entry(certificate.subject.normal()).or_default().push(at);
        if let Some(id) = &certificate.subject_key_id {
            self.by_key_id.entry(id.clone()).or_default().push(at);
        }
        self.by_fingerprint.insert(fingerprint, at);
        self.anchors.push(Anchor { certificate, imports: vec![import], standing: OnceLock::new() });
        Ok(true)
    }

    /// What is known of an anchor's own signature. Checked when first asked for, and remembered.
    pub fn standing(&self, anchor: &Anchor) -> Standing {
        *anchor.standing.get_or_init(|| {
            let certificate = &anchor.certificate;
            if certificate.signed_by(certificate) {
                return Standing::SelfSigned;
            }
            let linked = self.candidates(certificate).into_iter().any(|issuer| {
                issuer.certificate.der != certificate.der && certificate.signed_by(&issuer.certificate)
            });
            match (linked, certificate.claims_own_key()) {
                (true, _) => Standing::Linked,
                (false, true) => Standing::Broken,
                (false, false) => Standing::IssuerUnknown,
            }
        })
    }

    /// Takes over what another store found out about self-signed certificates: that holds wherever they are.
    pub fn learn(&mut self, other: &TrustStore) {
        for anchor in &mut self.anchors {
            let known = other.anchor(&anchor.certificate.fingerprint()).and_then(|a| a.standing.get());
            if known == Some(&Standing::SelfSigned) {
                let _ = anchor.standing.set(Standing::SelfSigned);
            }
        }
    }

    /// Anchors that may have issued `certificate`: by the key it names first, then by name; those that claim to be
    /// self-signed before links.
    fn candidates(&self, certificate: &Certificate) -> Vec<&Anchor> {
        let by_id = certificate.authority_key_id.as_ref().and_then(|id| self.by_key_id.get(id));
        let by_name = self.by_subject.get(&certificate.issuer.normal());
        let mut order: Vec<usize> = Vec::new();
        for at in by_id.into_iter().chain(by_name).flatten() {
            if !order.contains(at) {
                order.push(*at);
            }
        }
        let mut anchors: Vec<&Anchor> = order.iter().filter_map(|at| self.anchors.get(*at)).collect();
        anchors.sort_by_key(|anchor| !anchor.certificate.claims_own_key());
        anchors
    }

    /// Finds the path from `signer` to a trusted certificate, through `extra` certificates that came with the signed
    /// object where needed (link certificates).
    pub fn chain(&self, signer: &Certificate, extra: &[Certificate]) -> Chain {
        let mut path = Vec::new();
        let mut current = signer.clone();
        let mut outcome = Chain::UnknownIssuer;
        for _ in 0..4 {
            let candidates = self.candidates(&current);
            let mut not_valid = false;
            for anchor in &candidates {
                let issuer = &anchor.certificate;
                if issuer.may_sign_certificates()
                    && current.signed_by(issuer)
                    && self.standing(anchor) != Standing::Broken
                {
                    // Chain model: the issuer had to be valid when it issued, not today (ICAO 9303-12 5.3).
                    let day = 86_400;
                    if current.not_before.0 < issuer.not_before.0 - day
                        || current.not_before.0 > issuer.not_after.0 + day
                    {
                        not_valid = true;
                        continue;
                    }
                    path.push(issuer.fingerprint());
                    self.extend_over_links(issuer, &mut path);
                    return Chain::Trusted(path);
                }
            }
            if not_valid {
                return Chain::IssuerNotValid;
            }
            if !candidates.is_empty() && path.is_empty() {
                // A key identifier is a digest of the key where it is long enough for one; shorter ones are counters that
                // mean something only beside the name.
                let named_key = candidates.iter().any(|anchor| {
                    let issuer = &anchor.certificate;
                    let named = current
                        .authority_key_id
                        .as_ref()
                        .filter(|id| Some(*id) == issuer.subject_key_id.as_ref());
                    named.is_some_and(|id| id.len() >= 16 || current.issuer.matches(&issuer.subject))
                        || current.signature_opens_with(issuer)
                });
                outcome = Chain::NoKeyFits { named_key };
            }
            let next = extra.iter().find(|c| {
                c.der != current.der
                    && c.ca == Some(true)
                    && c.may_sign_certificates()
                    // a link leads from one key of a country to the next, never to another country (9303-12 table 4)
                    && c.issuer.country() == c.subject.country()
                    && current.may_be_issued_by(c)
                    && current.signed_by(c)
            });
            match next {
                Some(next) => {
                    path.push(next.fingerprint());
                    current = next.clone();
                }
                None => break,
            }
        }
        outcome
    }

    /// Shows how a link certificate hangs on older keys, as far as the store knows them.
    fn extend_over_links(&self, from: &Certificate, path: &mut Vec<String>) {
        let mut current = from.clone();
        for _ in 0..6 {
            if current.signed_by(&current) {
                return;
            }
            let next = self
                .candidates(&current)
                .into_iter()
                .find(|a| !path.contains(&a.certificate.fingerprint()) && current.signed_by(&a.certificate))
                .filter(|a| self.standing(a) != Standing::Broken);
            match next {
                Some(next) => {
                    path.push(next.certificate.fingerprint());
                    current = next.certificate.clone();
                }
                None => return,
            }
        }
    }

    /// What the revocation lists say of `certificate`. Lists are found by the name it gives its issuer, and by the one
    /// that `issuer`, whose key made its signature, has.
    pub fn revocation(
        &self,
        certificate: &Certificate,
        issuer: Option<&Certificate>,
        now: Option<Time>,
    ) -> Revocation {
        let concerns = |crl: &&Crl| {
            crl.issuer.matches(&certificate.issuer)
                || issuer.is_some_and(|issuer| crl.issuer.matches(&issuer.subject))
        };
        let lists: Vec<&Crl> = self.crls.iter().filter(concerns).collect();
        if lists.is_empty() {
            return Revocation::NotChecked;
        }
        let revoked = lists
            .iter()
            .flat_map(|crl| &crl.revoked)
            .find(|(serial, _)| certificate.has_serial(serial))
            .map(|(_, since)| *since);
        match revoked {
            Some(since) => Revocation::Revoked { since },
            None => {
                let due = lists.iter().filter_map(|crl| crl.next_update).max();
                let stale = matches!((now, due), (Some(now), Some(due)) if due < now);
                Revocation::Good { stale }
            }
        }
    }

    /// Fingerprint and subject of the anchors that only `self` has, and those that only `other` has.
    pub fn diff<'a>(&'a self, other: &'a TrustStore) -> (Vec<&'a Certificate>, Vec<&'a Certificate>) {
        let only = |a: &'a TrustStore, b: &TrustStore| {
            a.anchors
                .iter()
                .filter(|anchor| !b.by_fingerprint.contains_key(&anchor.certificate.fingerprint()))
                .map(|anchor| &anchor.certificate)
                .collect::<Vec<_>>()
        };
        (only(self, other), only(other, self))
    }

    /// Takes over everything another store holds, with its imports.
    pub fn absorb(&mut self, other: &TrustStore) {
        let offset = self.imports.len();
        self.imports.extend(other.imports.iter().cloned());
        for anchor in &other.anchors {
            for import in &anchor.imports {
                let _ = self.add(anchor.certificate.clone(), import + offset, true);
            }
            if let (Some(standing @ (Standing::SelfSigned | Standing::Linked)), Some(ours)) =
                (anchor.standing.get(), self.anchor(&anchor.certificate.fingerprint()))
            {
                let _ = ours.standing.set(*standing);
            }
        }
        for signer in &other.document_signers {
            if !self.document_signers.iter().any(|known| known.der == signer.der) {
                self.document_signers.push(signer.clone());
            }
        }
        for crl in &other.crls {
            if !self.crls.iter().any(|known| known.der == crl.der) {
                self.crls.push(crl.clone());
            }
        }
    }

    /// Whether some anchor carries this name; used to tell an unknown country from an unknown key.
    pub fn knows_issuer(&self, name: &Name) -> bool {
        self.by_subject.contains_key(&name.normal())
    }

    /// The store as a JSON document, with what was found out about every certificate's signature.
    pub fn to_json(&self) -> Result<String, Error> {
        let encode = |der: &[u8]| base64::engine::general_purpose::STANDARD.encode(der);
        let file = StoreFile {
            format: 1,
            standings_sha256: Some(self.seal()),
            imports: self.imports.clone(),
            certificates: self
                .anchors
                .iter()
                .map(|a| StoredCertificate {
                    subject: a.certificate.subject.to_string(),
                    sha256: a.certificate.fingerprint(),
                    imports: a.imports.clone(),
                    standing: Some(self.standing(a)),
                    der: encode(&a.certificate.der),
                })
                .collect(),
            document_signers: self.document_signers.iter().map(|c| encode(&c.der)).collect(),
            revocation_lists: self.crls.iter().map(|c| encode(&c.der)).collect(),
        };
        Ok(serde_json::to_string(&file)?)
    }

    /// What ties the remembered standings to the very certificates they were found for. A file that was changed by
    /// hand, in its certificates or its findings, does not have it, and every signature is checked again. It is no
    /// protection against those who may write the file: they could as well add a certificate.
    fn seal(&self) -> String {
        let mut lines: Vec<String> = self
            .anchors
            .iter()
            .map(|a| format!("{} {:?}\n", a.certificate.fingerprint(), self.standing(a)))
            .collect();
        lines.sort();
        hex::encode(Hash::Sha256.digest(lines.concat().as_bytes()))
    }

    /// Reads a store from its JSON document. Signatures are checked again where the file does not tell their standing,
    /// or was changed since it did.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let file: StoreFile = serde_json::from_str(text)?;
        let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
        let mut store = Self { imports: file.imports, ..Self::default() };
        let mut told = Vec::new();
        for stored in file.certificates {
            let Ok(certificate) = Certificate::parse(&decode(&stored.der)) else { continue };
            for import in stored.imports {
                let _ = store.add(certificate.clone(), import, true);
            }
            told.push((certificate.fingerprint(), stored.standing));
        }
        if let Some(sealed) = file.standings_sha256 {
            let mut sure = store.clone();
            let complete = told.iter().all(|(fingerprint, standing)| {
                let anchor = sure.anchor(fingerprint);
                anchor.zip(*standing).is_some_and(|(a, standing)| a.standing.set(standing).is_ok())
            });
            if complete && sure.anchors.iter().all(|a| a.standing.get().is_some()) && sure.seal() == sealed {
                std::mem::swap(&mut store, &mut sure);
            }
        }
        store.document_signers =
            file.document_signers.iter().filter_map(|text| Certificate::parse(&decode(text)).ok()).collect();
        store.crls = file.revocation_lists.iter().filter_map(|text| Crl::parse(&decode(text)).ok()).collect();
        Ok(store)
    }
}

/// What revocation lists say of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// There is no list of its issuer.
    NotChecked,
    /// Not on its issuer's list.
    Good {
        /// The list is past its next update.
        stale: bool,
    },
    /// On its issuer's list.
    Revoked {
        /// Since when.
        since: Time,
    },
}

#[derive(serde::Serialize, serde::Deserialize)]
struct StoreFile {
    format: u32,
    /// Digest over certificates and standings; files written before it existed lack it.
    #[serde(default)]
    standings_sha256: Option<String>,
    imports: Vec<Import>,
    certificates: Vec<StoredCertificate>,
    document_signers: Vec<String>,
    revocation_lists: Vec<String>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct StoredCertificate {
    subject: String,
    sha256: String,
    imports: Vec<usize>,
    #[serde(default)]
    standing: Option<Standing>,
    der: String,
}

/// Splits a file into its binary objects: PEM blocks, LDIF values, or the DER objects themselves.
pub fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    if bytes.first() == Some(&0x30) {
        // one object, or several in a row
        let mut objects = Vec::new();
        let mut rest = bytes;
        while rest.first() == Some(&0x30) && objects.len() < MAX_OBJECTS {
            match crate::ber::normalise(rest) {
                Ok((_, used)) if used > 0 => {
                    objects.push(rest.get(..used).unwrap_or(rest).to_vec());
                    rest = rest.get(used..).unwrap_or(&[]);
                }
                _ => break,
            }
        }
        return objects;
    }
    // Directories hold names in any encoding; what is wanted of them is ASCII.
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{FEFF}');
    let decode = |digits: &str| {
        let digits: String = digits.chars().filter(|c| !c.is_whitespace()).collect();
        base64::engine::general_purpose::STANDARD.decode(digits).ok()
    };
    let mut objects = Vec::new();
    if text.contains("-----BEGIN ") {
        let mut body: Option<String> = None;
        for line in text.lines() {
            if line.starts_with("-----BEGIN ") {
                body = Some(String::new());
            } else if line.starts_with("-----END ") {
                objects.extend(body.take().and_then(|body| decode(&body)));
            } else if let Some(body) = &mut body {
                body.push_str(line);
            }
        }
        return objects;
    }
    // bare base64, as some portals hand certificates out
    if let Some(object) = decode(text).filter(|object| object.first() == Some(&0x30)) {
        return vec![object];
    }
    // LDIF (RFC 2849): `attribute;binary:: base64`, continued on lines that begin with a space
    let mut value: Option<String> = None;
    for line in text.lines().chain(std::iter::once("")) {
        if let (Some(value), Some(more)) = (&mut value, line.strip_prefix(' ')) {
            value.push_str(more);
            continue;
        }
        objects.extend(value.take().and_then(|value| decode(&value)));
        if let Some((attribute, start)) = line.split_once("::") {
            let attribute = attribute.to_ascii_lowercase();
            let wanted = ["certificate", "revocationlist", "masterlist"];
            if wanted.iter().any(|word| attribute.contains(word)) {
                value = Some(start.trim_start().to_owned());
            }
        }
    }
    objects
}

/// Counts anchors by country, for lists.
pub fn countries(store: &TrustStore) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for anchor in store.anchors() {
        let country = anchor.certificate.subject.country().unwrap_or_else(|| "??".to_owned());
        *counts.entry(country).or_insert(0) += 1;
    }
    counts
}
