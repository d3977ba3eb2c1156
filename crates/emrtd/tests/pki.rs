//! The document PKI (ICAO 9303-12): whose certificates lead to a trusted issuer, when, and which do not.

use emrtd::ber::{Oid, element, integer, tag, wrap};
use emrtd::curve::{Curve, by_name};
use emrtd::hash::Hash;
use emrtd::lds::sod::LdsSecurityObject;
use emrtd::rsa;
use emrtd::simulator::{NOW, SigningKey, rsa_key, seeded};
use emrtd::trust::{Authority, Standing, TrustStore};
use emrtd::verify::{
    ChainStatus, GroupStatus, Input, LDS_SECURITY_OBJECT, Report, RevocationStatus, SECURITY_OBJECT, Verdict,
    verify,
};
use emrtd::x509::Certificate;
use num_bigint::BigUint;
use std::collections::BTreeMap;

type Groups = BTreeMap<u8, Vec<u8>>;

fn oid(text: &str) -> Vec<u8> {
    Oid::new(text).to_der()
}

/// A name in parts: attribute, string type, text.
fn name(parts: &[(&str, u32, &str)]) -> Vec<u8> {
    let sets: Vec<u8> = parts
        .iter()
        .flat_map(|(kind, form, text)| {
            element(tag::SET, &wrap(tag::SEQUENCE, &[&oid(kind), &element(*form, text.as_bytes())]))
        })
        .collect();
    element(tag::SEQUENCE, &sets)
}

const C: &str = "2.5.4.6";
const O: &str = "2.5.4.10";
const CN: &str = "2.5.4.3";

fn plain(country: &str, common: &str) -> Vec<u8> {
    name(&[(C, tag::PRINTABLE_STRING, country), (CN, tag::UTF8_STRING, common)])
}

fn key(seed: u64) -> SigningKey {
    SigningKey::ec(by_name("brainpoolP256r1").expect("is listed"), true, &mut seeded(seed))
}

/// A certificate, each part of which a test can bend.
#[derive(Clone)]
struct Cert {
    serial: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    valid: (&'static str, &'static str),
    key: SigningKey,
    by: SigningKey,
    hash: Hash,
    /// cA, or no extension.
    ca: Option<bool>,
    /// Key usage bits, or no extension.
    usage: Option<u8>,
    /// Whether key identifiers are there.
    ids: bool,
    purpose: Option<&'static str>,
    /// Version 1: no extensions at all.
    v1: bool,
    kinds: Vec<&'static str>,
}

impl Cert {
    fn csca(subject: &[u8], key: &SigningKey) -> Self {
        Cert {
            serial: vec![1],
            issuer: subject.to_vec(),
            subject: subject.to_vec(),
            valid: ("200101000000Z", "350101000000Z"),
            key: key.clone(),
            by: key.clone(),
            hash: Hash::Sha256,
            ca: Some(true),
            usage: Some(0x06),
            ids: true,
            purpose: None,
            v1: false,
            kinds: Vec::new(),
        }
    }

    fn signer(issuer: &[u8], by: &SigningKey, key: &SigningKey) -> Self {
        Cert {
            serial: vec![0x22],
            subject: plain("DE", "Document Signer"),
            by: by.clone(),
            ca: None,
            usage: Some(0x80),
            ..Cert::csca(issuer, key)
        }
    }

    fn der(&self) -> Vec<u8> {
        let id = |key: &SigningKey| Hash::Sha1.digest(&key.spki());
        let extension =
            |kind: &str, value: &[u8]| wrap(tag::SEQUENCE, &[&oid(kind), &element(tag::OCTET_STRING, value)]);
        let mut extensions = Vec::new();
        if self.ids {
            extensions.push(extension("2.5.29.14", &element(tag::OCTET_STRING, &id(&self.key))));
            extensions.push(extension("2.5.29.35", &wrap(tag::SEQUENCE, &[&element(0x80, &id(&self.by))])));
        }
        if let Some(bits) = self.usage {
            extensions.push(extension("2.5.29.15", &element(tag::BIT_STRING, &[0, bits])));
        }
        if let Some(ca) = self.ca {
            let flag = if ca { element(tag::BOOLEAN, &[0xFF]) } else { Vec::new() };
            extensions.push(extension("2.5.29.19", &element(tag::SEQUENCE, &flag)));
        }
        if let Some(purpose) = self.purpose {
            extensions.push(extension("2.5.29.37", &wrap(tag::SEQUENCE, &[&oid(purpose)])));
        }
        if !self.kinds.is_empty() {
            let kinds: Vec<u8> =
                self.kinds.iter().flat_map(|kind| element(tag::PRINTABLE_STRING, kind.as_bytes())).collect();
            let value = wrap(tag::SEQUENCE, &[&integer(&[0]), &element(tag::SET, &kinds)]);
            extensions.push(extension("2.23.136.1.1.6.2", &value));
        }
        let algorithm = self.by.algorithm(self.hash);
        let time = |text: &str| element(tag::UTC_TIME, text.as_bytes());
        let mut parts = vec![
            element(tag::INTEGER, &self.serial),
            algorithm.clone(),
            self.issuer.clone(),
            wrap(tag::SEQUENCE, &[&time(self.valid.0), &time(self.valid.1)]),
            self.subject.clone(),
            self.key.spki(),
        ];
        if !self.v1 {
            parts.insert(0, element(0xA0, &integer(&[2])));
            parts.push(element(0xA3, &element(tag::SEQUENCE, &extensions.concat())));
        }
        let tbs = element(tag::SEQUENCE, &parts.concat());
        let signature = self.by.sign(self.hash, &tbs, &mut seeded(77));
        let bits = element(tag::BIT_STRING, &[&[0], signature.as_slice()].concat());
        wrap(tag::SEQUENCE, &[&tbs, &algorithm, &bits])
    }
}

/// A revocation list.
fn crl(issuer: &[u8], by: &SigningKey, serials: &[&[u8]], until: &str) -> Vec<u8> {
    let time = |text: &str| element(tag::UTC_TIME, text.as_bytes());
    let entries: Vec<u8> = serials
        .iter()
        .flat_map(|serial| wrap(tag::SEQUENCE, &[&element(tag::INTEGER, serial), &time("250101000000Z")]))
        .collect();
    let mut parts =
        vec![integer(&[1]), by.algorithm(Hash::Sha256), issuer.to_vec(), time("250601000000Z"), time(until)];
    if !serials.is_empty() {
        parts.push(element(tag::SEQUENCE, &entries));
    }
    let tbs = element(tag::SEQUENCE, &parts.concat());
    let signature = by.sign(Hash::Sha256, &tbs, &mut seeded(78));
    let bits = element(tag::BIT_STRING, &[&[0], signature.as_slice()].concat());
    wrap(tag::SEQUENCE, &[&tbs, &by.algorithm(Hash::Sha256), &bits])
}

const MRZ: &str = "P<D<<ERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<L898902C36D<<7408122F1204159ZE184226B<<<<<10";

fn dg1(mrz: &str) -> Vec<u8> {
    element(0x61, &element(0x5F1F, mrz.as_bytes()))
}

/// Content signed with `key`, naming `certificates[0]`.
fn signed(
    kind: &str,
    content: &[u8],
    certificates: &[Vec<u8>],
    key: &SigningKey,
    hash: Hash,
    at: Option<&str>,
) -> Vec<u8> {
    let attribute = |kind: &str, value: &[u8]| wrap(tag::SEQUENCE, &[&oid(kind), &element(tag::SET, value)]);
    let mut attributes = vec![
        attribute("1.2.840.113549.1.9.3", &oid(kind)),
        attribute("1.2.840.113549.1.9.4", &element(tag::OCTET_STRING, &hash.digest(content))),
    ];
    if let Some(at) = at {
        attributes.push(attribute("1.2.840.113549.1.9.5", &element(tag::UTC_TIME, at.as_bytes())));
    }
    attributes.sort();
    let attributes = attributes.concat();
    let named = Certificate::parse(&certificates[0]).expect("is one");
    let digest = wrap(tag::SEQUENCE, &[&oid(hash.oid())]);
    let signer = wrap(
        tag::SEQUENCE,
        &[
            &integer(&[1]),
            &wrap(tag::SEQUENCE, &[&named.issuer.raw, &element(tag::INTEGER, &named.serial)]),
            &digest,
            &element(0xA0, &attributes),
            &key.algorithm(hash),
            &element(tag::OCTET_STRING, &key.sign(hash, &element(tag::SET, &attributes), &mut seeded(79))),
        ],
    );
    let whole = wrap(
        tag::SEQUENCE,
        &[
            &integer(&[3]),
            &element(tag::SET, &digest),
            &wrap(tag::SEQUENCE, &[&oid(kind), &element(0xA0, &element(tag::OCTET_STRING, content))]),
            &element(0xA0, &certificates.concat()),
            &element(tag::SET, &signer),
        ],
    );
    wrap(tag::SEQUENCE, &[&oid("1.2.840.113549.1.7.2"), &element(0xA0, &whole)])
}

fn groups(mrz: &str) -> Groups {
    [(1, dg1(mrz)), (2, b"two".to_vec())].into()
}

fn object(groups: &Groups, hash: Hash) -> Vec<u8> {
    let digests = groups.iter().map(|(n, file)| (*n, hash.digest(file))).collect();
    LdsSecurityObject { version: 0, hash: Some(hash), digests, versions: None }.to_der()
}

fn judge_groups(sod: &[u8], groups: &Groups, trust: &TrustStore) -> Report {
    verify(&Input {
        sod,
        data_groups: groups,
        complete_read: false,
        active_authentication: None,
        chip_authentication: None,
        trust,
        now: Some(NOW),
    })
}

/// The report on a German document whose signer `certificate` holds `key`, with further certificates beside it.
fn judge(certificate: &Cert, beside: &[Vec<u8>], trust: &TrustStore) -> Report {
    judge_signed_at(certificate, beside, trust, Some("240115120000Z"))
}

fn judge_signed_at(certificate: &Cert, beside: &[Vec<u8>], trust: &TrustStore, at: Option<&str>) -> Report {
    let groups = groups(MRZ);
    let certificates: Vec<Vec<u8>> =
        std::iter::once(certificate.der()).chain(beside.iter().cloned()).collect();
    let content = object(&groups, certificate.hash);
    let sod = signed(LDS_SECURITY_OBJECT, &content, &certificates, &certificate.key, certificate.hash, at);
    judge_groups(&sod, &groups, trust)
}

fn trusting(files: &[Vec<u8>]) -> TrustStore {
    let mut trust = TrustStore::default();
    for file in files {
        trust.import("file", file, &[], None).expect("imports");
    }
    trust
}

fn expect(report: &Report, verdict: Verdict, codes: &[&str]) {
    assert_eq!((report.verdict, report.reason_codes()), (verdict, codes.to_vec()), "{report:#?}");
}

fn warned(report: &Report, code: &str) -> bool {
    report.warnings.iter().any(|warning| warning.starts_with(code))
}

#[test]
fn a_link_certificate_leads_from_a_new_key_to_the_trusted_old_one() {
    let name = plain("DE", "CSCA");
    let (old, new, signer, stranger) = (key(1), key(2), key(3), key(4));
    let root = Cert::csca(&name, &old);
    let link = Cert { key: new.clone(), serial: vec![7], ..root.clone() };
    let document = Cert::signer(&name, &new, &signer);
    // the link comes along with the document
    let report = judge(&document, &[link.der()], &trusting(&[root.der()]));
    expect(&report, Verdict::Genuine, &[]);
    let above: Vec<_> = report.chain_certificates.iter().map(|c| c.sha256.clone()).collect();
    let fingerprint = |cert: &Cert| Certificate::parse(&cert.der()).expect("is one").fingerprint();
    assert_eq!(above, [fingerprint(&link), fingerprint(&root)]);
    // or stands in the store
    let trust = trusting(&[root.der(), link.der()]);
    let standings: Vec<_> = trust.anchors().iter().map(|a| trust.standing(a)).collect();
    assert_eq!(standings, [Standing::SelfSigned, Standing::Linked]);
    expect(&judge(&document, &[], &trust), Verdict::Genuine, &[]);
    // the authority took another name with its new key
    let renamed = Cert { subject: plain("DE", "CSCA 2"), ..link.clone() };
    let below = Cert::signer(&renamed.subject, &new, &signer);
    expect(&judge(&below, &[renamed.der()], &trusting(&[root.der()])), Verdict::Genuine, &[]);
    // without the link there is no way
    let report = judge(&document, &[], &trusting(&[root.der()]));
    expect(&report, Verdict::Untrusted, &["issuer_key_unknown"]);
    // links that lead nowhere: made by another key, without the right to, over to another country
    let forged = Cert { by: stranger, ..link.clone() };
    let meek = Cert { ca: Some(false), ..link.clone() };
    let silent = Cert { ca: None, ..link.clone() };
    let narrow = Cert { usage: Some(0x80), ..link.clone() };
    for (what, bad) in [("forged", forged), ("meek", meek), ("silent", silent), ("narrow", narrow)] {
        let report = judge(&document, &[bad.der()], &trusting(&[root.der()]));
        assert_ne!(report.verdict, Verdict::Genuine, "{what}");
        assert_ne!(report.chain, ChainStatus::Trusted, "{what}");
    }
    let abroad = Cert { subject: plain("FR", "CSCA"), ..link.clone() };
    let below = Cert::signer(&abroad.subject, &new, &signer);
    let report = judge(&below, &[abroad.der()], &trusting(&[root.der()]));
    assert_ne!(report.chain, ChainStatus::Trusted, "a link does not leave its country");
}

#[test]
fn after_a_key_rollover_the_key_that_signed_is_found_with_and_without_identifiers() {
    let name = plain("DE", "CSCA");
    let (first, second, third, signer) = (key(1), key(2), key(3), key(9));
    for ids in [true, false] {
        let root =
            |key: &SigningKey, serial: u8| Cert { serial: vec![serial], ids, ..Cert::csca(&name, key) };
        let trust = trusting(&[root(&first, 1).der(), root(&second, 2).der(), root(&third, 3).der()]);
        for (by, serial) in [(&first, 1u8), (&second, 2), (&third, 3)] {
            let document = Cert { ids, ..Cert::signer(&name, by, &signer) };
            let report = judge(&document, &[], &trust);
            expect(&report, Verdict::Genuine, &[]);
            assert_eq!(report.chain_certificates[0].serial_number, format!("{serial:02x}"), "ids {ids}");
        }
        let document = Cert { ids, ..Cert::signer(&name, &key(5), &signer) };
        expect(&judge(&document, &[], &trust), Verdict::Untrusted, &["issuer_key_unknown"]);
    }
}

#[test]
fn an_old_authority_of_version_1_is_an_issuer_when_it_was_imported_and_only_then() {
    let name = plain("DE", "CSCA");
    let (root_key, signer, middle) = (key(1), key(2), key(3));
    let root = Cert { v1: true, ..Cert::csca(&name, &root_key) };
    let document = Cert { ids: false, ..Cert::signer(&name, &root_key, &signer) };
    let trust = trusting(&[root.der()]);
    assert_eq!(trust.standing(&trust.anchors()[0]), Standing::SelfSigned);
    expect(&judge(&document, &[], &trust), Verdict::Genuine, &[]);
    // one that merely comes along has no right to issue
    let between = Cert { v1: true, key: middle.clone(), serial: vec![5], ..root.clone() };
    let below = Cert { ids: false, ..Cert::signer(&name, &middle, &signer) };
    assert_ne!(judge(&below, &[between.der()], &trust).chain, ChainStatus::Trusted);
}

#[test]
fn names_are_the_same_whatever_their_case_string_type_order_and_spaces() {
    let (root_key, signer) = (key(1), key(2));
    let root = name(&[
        (C, tag::PRINTABLE_STRING, "DE"),
        (O, tag::UTF8_STRING, "Bundes  druckerei"),
        (CN, tag::UTF8_STRING, "csca-germany"),
    ]);
    let forms: [Vec<u8>; 5] = [
        root.clone(),
        name(&[
            (C, tag::PRINTABLE_STRING, "de"),
            (O, tag::UTF8_STRING, "Bundes  druckerei"),
            (CN, tag::UTF8_STRING, "csca-germany"),
        ]),
        name(&[
            (C, tag::UTF8_STRING, "DE"),
            (O, tag::PRINTABLE_STRING, "Bundes druckerei"),
            (CN, tag::PRINTABLE_STRING, " csca-germany "),
        ]),
        name(&[
            (CN, tag::UTF8_STRING, "CSCA-Germany"),
            (O, tag::UTF8_STRING, "Bundes druckerei"),
            (C, tag::PRINTABLE_STRING, "De"),
        ]),
        // TeletexString
        name(&[(C, 0x13, "DE"), (O, 0x14, "Bundes druckerei"), (CN, 0x14, "csca-germany")]),
    ];
    for ids in [true, false] {
        let trust = trusting(&[Cert { ids, ..Cert::csca(&root, &root_key) }.der()]);
        for form in &forms {
            let document = Cert { ids, ..Cert::signer(form, &root_key, &signer) };
            expect(&judge(&document, &[], &trust), Verdict::Genuine, &[]);
        }
        // another authority of the country, by name only: no candidate without the identifier
        let other = Cert { ids: false, ..Cert::signer(&plain("DE", "another"), &root_key, &signer) };
        expect(&judge(&other, &[], &trust), Verdict::Untrusted, &["issuer_unknown"]);
    }
    // the country code of the certificate in either case signs for the state of the zone
    for code in ["de", "DE", "De"] {
        let root = plain(code, "CSCA");
        let document = Cert::signer(&root, &root_key, &signer);
        let report = judge(&document, &[], &trusting(&[Cert::csca(&root, &root_key).der()]));
        expect(&report, Verdict::Genuine, &[]);
    }
}

#[test]
fn an_authority_signs_for_its_own_country_whatever_name_its_signers_give_it() {
    let (french, signer) = (key(1), key(2));
    let root = Cert::csca(&plain("FR", "CSCA"), &french);
    // The signer's certificate says Germany, its identifier and signature are the French authority's.
    let document = Cert::signer(&plain("DE", "CSCA"), &french, &signer);
    let report = judge(&document, &[], &trusting(&[root.der()]));
    expect(&report, Verdict::Refused, &["issuing_country_mismatch"]);
    let document = Cert::signer(&plain("FR", "CSCA"), &french, &signer);
    let report = judge(&document, &[], &trusting(&[root.der()]));
    expect(&report, Verdict::Refused, &["issuing_country_mismatch"]);
}

#[test]
fn a_revoked_signer_or_authority_is_refused_and_only_the_issuers_own_list_counts() {
    let name = plain("DE", "CSCA");
    let (root_key, signer, stranger) = (key(1), key(2), key(3));
    let root = Cert::csca(&name, &root_key);
    let document = Cert::signer(&name, &root_key, &signer);
    let with = |list: Vec<u8>| {
        let mut trust = trusting(&[root.der()]);
        let report = trust.import("crl", &list, &[], None).expect("is read");
        (report.revocation_lists, judge(&document, &[], &trust))
    };
    let later = "300101000000Z";
    let (taken, report) = with(crl(&name, &root_key, &[&[0x21], &[0x22]], later));
    assert_eq!((taken, report.revocation), (1, RevocationStatus::Revoked));
    expect(&report, Verdict::Refused, &["certificate_revoked"]);
    let (_, report) = with(crl(&name, &root_key, &[], later));
    assert_eq!(report.revocation, RevocationStatus::Good);
    expect(&report, Verdict::Genuine, &[]);
    let (_, report) = with(crl(&name, &root_key, &[&[0x21]], "250701000000Z"));
    assert_eq!(report.revocation, RevocationStatus::Good);
    assert!(warned(&report, "revocation_list_stale"), "{:?}", report.warnings);
    // a list that another key signed, and one of another authority that trusts the same serial numbers away
    let (taken, report) = with(crl(&name, &stranger, &[&[0x22]], later));
    assert_eq!(
        (taken, report.revocation, report.verdict),
        (0, RevocationStatus::NotChecked, Verdict::Genuine)
    );
    let mut trust = trusting(&[root.der(), Cert::csca(&plain("FR", "CSCA"), &stranger).der()]);
    trust
        .import("crl", &crl(&plain("FR", "CSCA"), &stranger, &[&[0x22]], later), &[], None)
        .expect("is read");
    assert_eq!(trust.crls().len(), 1);
    assert_eq!(judge(&document, &[], &trust).revocation, RevocationStatus::NotChecked);
    // an authority without the right to sign lists
    let narrow = Cert { usage: Some(0x04), ..root.clone() };
    let mut trust = trusting(&[narrow.der()]);
    let report = trust.import("crl", &crl(&name, &root_key, &[&[0x22]], later), &[], None).expect("is read");
    assert_eq!((report.revocation_lists, report.refused.len()), (0, 1));
    // serial numbers with and without the leading zero are one number
    let negative = Cert { serial: vec![0x92], ..document.clone() };
    let mut trust = trusting(&[root.der()]);
    trust.import("crl", &crl(&name, &root_key, &[&[0, 0x92]], later), &[], None).expect("is read");
    expect(&judge(&negative, &[], &trust), Verdict::Refused, &["certificate_revoked"]);
    // the signer gives its issuer another name, so that the list is found by the key that signed
    let alias = Cert::signer(&plain("DE", "CSCA, the authority"), &root_key, &signer);
    let mut trust = trusting(&[root.der()]);
    trust.import("crl", &crl(&name, &root_key, &[&[0x22]], later), &[], None).expect("is read");
    expect(&judge(&alias, &[], &trust), Verdict::Refused, &["certificate_revoked"]);
    // the authority itself
    let mut trust = trusting(&[root.der()]);
    trust.import("crl", &crl(&name, &root_key, &[&[1]], later), &[], None).expect("is read");
    expect(&judge(&document, &[], &trust), Verdict::Refused, &["issuer_revoked"]);
}

#[test]
fn validity_is_judged_when_it_was_signed_and_issued_not_today() {
    let name = plain("DE", "CSCA");
    let (root_key, signer) = (key(1), key(2));
    let root = Cert { valid: ("100101000000Z", "200101000000Z"), ..Cert::csca(&name, &root_key) };
    let document =
        Cert { valid: ("150101000000Z", "160101000000Z"), ..Cert::signer(&name, &root_key, &signer) };
    let trust = trusting(&[root.der()]);
    // both are long over, and were not when it mattered
    let report = judge_signed_at(&document, &[], &trust, Some("150615000000Z"));
    expect(&report, Verdict::Genuine, &[]);
    assert!(warned(&report, "certificate_expired"));
    for at in ["141231120000Z", "160101120000Z"] {
        let report = judge_signed_at(&document, &[], &trust, Some(at));
        expect(&report, Verdict::Genuine, &[]);
    }
    for at in ["141215000000Z", "160615000000Z", "240115120000Z"] {
        let report = judge_signed_at(&document, &[], &trust, Some(at));
        expect(&report, Verdict::Refused, &["signed_outside_validity"]);
    }
    let report = judge_signed_at(&document, &[], &trust, None);
    expect(&report, Verdict::Genuine, &[]);
    assert_eq!(report.signing_time, None);
    // issued before its issuer was valid, or after
    for valid in [("050101000000Z", "160101000000Z"), ("210101000000Z", "300101000000Z")] {
        let early = Cert { valid, ..document.clone() };
        let report = judge_signed_at(&early, &[], &trust, None);
        expect(&report, Verdict::Refused, &["issuer_not_valid_at_issuance"]);
    }
}

#[test]
fn certificates_without_the_right_sign_no_documents() {
    let name = plain("DE", "CSCA");
    let (root_key, signer) = (key(1), key(2));
    let trust = trusting(&[Cert::csca(&name, &root_key).der()]);
    let document = Cert::signer(&name, &root_key, &signer);
    let refused = [
        ("an authority", Cert { ca: Some(true), usage: Some(0x86), ..document.clone() }),
        ("a key for encryption", Cert { usage: Some(0x20), ..document.clone() }),
        ("a signer of master lists", Cert { purpose: Some("2.23.136.1.1.3"), ..document.clone() }),
        ("a signer of deviation lists", Cert { purpose: Some("2.23.136.1.1.8"), ..document.clone() }),
    ];
    for (what, certificate) in refused {
        let report = judge(&certificate, &[], &trust);
        assert_eq!(report.reason_codes(), ["signer_not_entitled"], "{what}");
        assert_eq!(report.verdict, Verdict::Refused, "{what}");
    }
    // a signer's own signature under another certificate: it is no authority
    let below = Cert::signer(&plain("DE", "Document Signer"), &signer, &key(3));
    assert_ne!(judge(&below, &[document.der()], &trust).chain, ChainStatus::Trusted);
    // without key usage, and for another kind of document
    expect(&judge(&Cert { usage: None, ..document.clone() }, &[], &trust), Verdict::Genuine, &[]);
    let passports = judge(&Cert { kinds: vec!["P"], ..document.clone() }, &[], &trust);
    assert!(passports.verdict == Verdict::Genuine && !warned(&passports, "document_type_not_listed"));
    let cards = judge(&Cert { kinds: vec!["ID", "AR"], ..document.clone() }, &[], &trust);
    assert!(cards.verdict == Verdict::Genuine && warned(&cards, "document_type_not_listed"));
}

/// The prime factors of a modulus whose exponents are known (HAC 8.2.2).
fn factors(key: &rsa::PrivateKey) -> (BigUint, BigUint) {
    let (n, one) = (&key.public.n, BigUint::from(1u8));
    let even = &key.public.e * &key.d - 1u8;
    let twos = even.trailing_zeros().expect("is even");
    for base in 2u8..100 {
        let mut power = BigUint::from(base).modpow(&(&even >> twos), n);
        for _ in 0..twos {
            let square = &power * &power % n;
            if square == one && power != one && power != n - 1u8 {
                let (mut a, mut b) = (n.clone(), power - 1u8);
                while b != BigUint::ZERO {
                    (a, b) = (b.clone(), a % b);
                }
                return (n / &a, a);
            }
            power = square;
        }
    }
    panic!("the exponents do not belong to the modulus");
}

#[test]
fn rsa_authorities_with_odd_exponents_and_pss_are_accepted() {
    let published = rsa_key(2048).expect("is published");
    let (p, q) = factors(&published);
    assert_eq!(&p * &q, published.public.n);
    let phi = (&p - 1u8) * (&q - 1u8);
    let name = plain("DE", "CSCA");
    let mut tried = 0;
    for exponent in [3u32, 17, 38_129, 56_611, 107_903, 65_537] {
        let e = BigUint::from(exponent);
        let Some(d) = e.modinv(&phi) else { continue };
        tried += 1;
        let public = rsa::PublicKey::new(published.public.n.clone(), e).expect("is accepted");
        for pss in [false, true] {
            for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
                let root_key =
                    SigningKey::Rsa { key: rsa::PrivateKey { public: public.clone(), d: d.clone() }, pss };
                let signer = SigningKey::Rsa { key: rsa_key(2048).expect("is published"), pss };
                let root = Cert { hash, ..Cert::csca(&name, &root_key) };
                let document = Cert { hash, ..Cert::signer(&name, &root_key, &signer) };
                let report = judge(&document, &[], &trusting(&[root.der()]));
                expect(&report, Verdict::Genuine, &[]);
                assert_eq!(warned(&report, "legacy_sha1"), hash == Hash::Sha1);
            }
        }
    }
    assert!(tried >= 4, "{tried} exponents have an inverse");
}

/// A subject public key info with explicit parameters, each of which can be bent.
fn explicit(curve: &Curve, point: &[u8], change: &str) -> Vec<u8> {
    let one = BigUint::from(1u8);
    let bend = |what: &str, value: &BigUint| if change == what { value + &one } else { value.clone() };
    let bytes = |value: &BigUint| {
        let raw = value.to_bytes_be();
        [vec![0; curve.field_bytes() - raw.len()], raw].concat()
    };
    let field =
        wrap(tag::SEQUENCE, &[&oid("1.2.840.10045.1.1"), &integer(&bend("p", &curve.p).to_bytes_be())]);
    let mut coefficients = [
        element(tag::OCTET_STRING, &bytes(&bend("a", &curve.a))),
        element(tag::OCTET_STRING, &bytes(&bend("b", &curve.b))),
    ]
    .concat();
    if change == "seed" {
        coefficients.extend(element(tag::BIT_STRING, &[0, 1, 2, 3, 4]));
    }
    let mut generator = curve.encode_point(&curve.generator);
    match change {
        "generator" => {
            generator = curve.encode_point(&curve.multiply(&BigUint::from(2u8), &curve.generator));
        }
        "compressed" => {
            let odd = generator.last().is_some_and(|b| b & 1 == 1);
            generator.truncate(1 + curve.field_bytes());
            generator[0] = 2 + u8::from(odd);
        }
        _ => {}
    }
    let mut parts = vec![
        integer(&[1]),
        field,
        element(tag::SEQUENCE, &coefficients),
        element(tag::OCTET_STRING, &generator),
        integer(&bend("n", &curve.n).to_bytes_be()),
    ];
    match change {
        "no cofactor" => {}
        "cofactor" => parts.push(integer(&[2])),
        _ => parts.push(integer(&[1])),
    }
    let algorithm =
        wrap(tag::SEQUENCE, &[&oid("1.2.840.10045.2.1"), &element(tag::SEQUENCE, &parts.concat())]);
    wrap(tag::SEQUENCE, &[&algorithm, &element(tag::BIT_STRING, &[&[0], point].concat())])
}

#[test]
fn explicit_curve_parameters_are_accepted_when_all_of_them_equal_a_listed_curve() {
    use emrtd::key::{Error, PublicKey};
    for curve in emrtd::curve::curves() {
        let point = curve.encode_point(&curve.multiply(&BigUint::from(12_345u32), &curve.generator));
        for same in ["", "seed", "compressed", "no cofactor"] {
            let key = PublicKey::from_der(&explicit(curve, &point, same));
            assert!(
                matches!(&key, Ok(PublicKey::Ec { curve: found, explicit: true, .. }) if *found == curve),
                "{} {same}: {key:?}",
                curve.name
            );
        }
        for other in ["p", "a", "b", "generator", "n", "cofactor"] {
            let key = PublicKey::from_der(&explicit(curve, &point, other));
            assert_eq!(key, Err(Error::UnknownCurve), "{} {other}", curve.name);
        }
        // a point beside the curve, in any form
        let mut beside = point.clone();
        *beside.last_mut().expect("is there") ^= 1;
        assert_eq!(PublicKey::from_der(&explicit(curve, &beside, "")), Err(Error::Unsound), "{}", curve.name);
        assert_eq!(PublicKey::from_der(&explicit(curve, &[0], "")), Err(Error::Unsound), "infinity");
    }
}

#[test]
fn keys_of_small_order_are_no_keys() {
    use emrtd::key::{Error, PublicKey};
    for group in emrtd::dh::groups() {
        let key = |y: &BigUint| {
            let id = integer(&group.parameter_id.to_be_bytes());
            let algorithm = wrap(tag::SEQUENCE, &[&oid("0.4.0.127.0.7.1.2"), &id]);
            let bits = [vec![0], integer(&y.to_bytes_be())].concat();
            PublicKey::from_der(&wrap(tag::SEQUENCE, &[&algorithm, &element(tag::BIT_STRING, &bits)]))
        };
        let y = group.g.modpow(&BigUint::from(12_345u32), &group.p);
        assert!(matches!(key(&y), Ok(PublicKey::Dh { .. })), "{}", group.name);
        let one = BigUint::from(1u8);
        for weak in [BigUint::ZERO, one.clone(), &group.p - &one, &group.p + &one, &group.p - &y] {
            assert_eq!(key(&weak), Err(Error::Unsound), "{}", group.name);
        }
    }
}

#[test]
fn every_group_is_judged_changed_extra_and_withheld_ones_too() {
    let name = plain("DE", "CSCA");
    let (root_key, signer) = (key(1), key(2));
    let trust = trusting(&[Cert::csca(&name, &root_key).der()]);
    let certificate = Cert::signer(&name, &root_key, &signer);
    let mut all = groups(MRZ);
    for number in [3u8, 11, 14, 15] {
        all.insert(number, vec![0x60 + number, 1, number]);
    }
    let content = object(&all, Hash::Sha256);
    let sod = signed(LDS_SECURITY_OBJECT, &content, &[certificate.der()], &signer, Hash::Sha256, None);
    expect(&judge_groups(&sod, &all, &trust), Verdict::Genuine, &[]);
    let changed = |change: &dyn Fn(&mut Groups)| {
        let mut groups = all.clone();
        change(&mut groups);
        judge_groups(&sod, &groups, &trust)
    };
    // fingerprints are out of reach, DG11 was not asked for: said, and no reason
    let report = changed(&|groups| groups.retain(|n, _| ![3, 11].contains(n)));
    expect(&report, Verdict::Genuine, &[]);
    assert_eq!(report.dg_hashes[&3], GroupStatus::NotSupplied);
    // padding after the file is not the file
    expect(&changed(&|groups| groups.get_mut(&11).expect("is there").extend([0, 0])), Verdict::Genuine, &[]);
    expect(
        &changed(&|groups| groups.get_mut(&11).expect("is there")[2] ^= 1),
        Verdict::Refused,
        &["dg11_hash_mismatch"],
    );
    // a group that nobody signed, and one in the place of another
    let report = changed(&|groups| drop(groups.insert(12, b"unsigned".to_vec())));
    expect(&report, Verdict::Refused, &["dg12_not_in_sod"]);
    assert_eq!(report.dg_hashes[&12], GroupStatus::NotInSod);
    let report = changed(&|groups| drop(groups.insert(2, groups[&11].clone())));
    expect(&report, Verdict::Refused, &["dg2_hash_mismatch"]);
    // Without the keys a copy cannot be told: a note where the caller chose the files, a reason where the chip did.
    for number in [14u8, 15] {
        let report = changed(&|groups| drop(groups.remove(&number)));
        expect(&report, Verdict::Genuine, &[]);
        assert!(warned(&report, &format!("dg{number}_not_supplied")));
        let mut groups = all.clone();
        groups.remove(&number);
        let report = verify(&Input {
            sod: &sod,
            data_groups: &groups,
            complete_read: true,
            active_authentication: None,
            chip_authentication: None,
            trust: &trust,
            now: None,
        });
        expect(&report, Verdict::Refused, &[&format!("dg{number}_withheld")]);
        assert!(report.clone_suspected);
    }
    // a group listed twice makes the object nothing that can be relied on
    let pair = |number: u8| {
        wrap(
            tag::SEQUENCE,
            &[&integer(&[number]), &element(tag::OCTET_STRING, &Hash::Sha256.digest(&all[&number]))],
        )
    };
    let twice = wrap(
        tag::SEQUENCE,
        &[
            &integer(&[0]),
            &wrap(tag::SEQUENCE, &[&oid(Hash::Sha256.oid())]),
            &element(tag::SEQUENCE, &[pair(1), pair(2), pair(1)].concat()),
        ],
    );
    let sod = signed(LDS_SECURITY_OBJECT, &twice, &[certificate.der()], &signer, Hash::Sha256, None);
    expect(&judge_groups(&sod, &groups(MRZ), &trust), Verdict::Refused, &["security_object_malformed"]);
}

#[test]
fn an_object_that_signs_keys_vouches_for_no_data_beside_it() {
    let name = plain("DE", "CSCA");
    let (root_key, signer) = (key(1), key(2));
    let trust = trusting(&[Cert::csca(&name, &root_key).der()]);
    let certificate = Cert::signer(&name, &root_key, &signer).der();
    let infos = hex::decode("31143012060a04007f0007020204020202010202010d").expect("hex");
    let security =
        signed(SECURITY_OBJECT, &infos, std::slice::from_ref(&certificate), &signer, Hash::Sha256, None);
    expect(&judge_groups(&security, &BTreeMap::new(), &trust), Verdict::Genuine, &[]);
    // EF.CardSecurity of any genuine card beside a forged DG1
    let report = judge_groups(&security, &groups(MRZ), &trust);
    expect(&report, Verdict::Refused, &["dg1_not_in_sod", "dg2_not_in_sod"]);
    // objects of other purposes are no security objects, well signed as they are
    for kind in ["2.23.136.1.1.2", "2.23.136.1.1.7", "1.3.6.1.4.1.1"] {
        let other = signed(kind, &infos, std::slice::from_ref(&certificate), &signer, Hash::Sha256, None);
        let report = judge_groups(&other, &BTreeMap::new(), &trust);
        expect(&report, Verdict::Refused, &["content_type_not_accepted"]);
    }
    // what was signed as another type stays that type
    let content = object(&groups(MRZ), Hash::Sha256);
    let mut relabelled = signed(SECURITY_OBJECT, &content, &[certificate], &signer, Hash::Sha256, None);
    let (from, to) = (oid(SECURITY_OBJECT), oid("0.4.0.127.0.7.3.2.2"));
    let at = relabelled.windows(from.len()).position(|w| w == from).expect("is there");
    relabelled[at..at + to.len()].copy_from_slice(&to);
    assert_eq!(judge_groups(&relabelled, &groups(MRZ), &trust).reason_codes()[0], "content_type_mismatch");
}

#[test]
fn a_master_list_is_vouched_for_by_authorities_only() {
    let name = plain("DE", "CSCA");
    let (root_key, signer, other) = (key(1), key(2), key(3));
    let listed = Cert::csca(&plain("XX", "CSCA"), &other).der();
    let content = wrap(tag::SEQUENCE, &[&integer(&[0]), &element(tag::SET, &listed)]);
    let list = |certificate: &Cert| {
        signed("2.23.136.1.1.2", &content, &[certificate.der()], &certificate.key, Hash::Sha256, None)
    };
    let editor = Cert { purpose: Some("2.23.136.1.1.3"), ..Cert::signer(&name, &root_key, &signer) };
    let authority =
        |trust: &mut TrustStore, list: &[u8]| trust.import("list", list, &[], None).map(|i| i.authority);
    let mut trust = trusting(&[Cert::csca(&name, &root_key).der()]);
    assert_eq!(authority(&mut trust, &list(&editor)).expect("imports"), Authority::Store);
    // a trusted certificate that may not issue vouches for nobody; nor does a list without the purpose import at all
    let mut trust = trusting(&[Cert { usage: Some(0x80), ..Cert::csca(&name, &root_key) }.der()]);
    assert_eq!(authority(&mut trust, &list(&editor)).expect("imports"), Authority::Operator);
    assert!(authority(&mut trust, &list(&Cert { purpose: None, ..editor })).is_err());
}
