//! Objects built to be wrong in one way each, and objects odd in ways real ones are (9303-10, 9303-12, RFC 5652).

use emrtd::ber::{Oid, element, integer, tag, wrap};
use emrtd::curve::by_name;
use emrtd::hash::Hash;
use emrtd::lds::sod::LdsSecurityObject;
use emrtd::rsa;
use emrtd::simulator::{Issuer, NOW, SigningKey, rsa_key, seeded};
use emrtd::trust::TrustStore;
use emrtd::verify::{Input, LDS_SECURITY_OBJECT, Report, Verdict, verify};
use emrtd::x509::Certificate;
use std::collections::BTreeMap;

const TYPE: &str = "1.2.840.113549.1.9.3";
const DIGEST: &str = "1.2.840.113549.1.9.4";
const TIME: &str = "1.2.840.113549.1.9.5";

fn oid(text: &str) -> Vec<u8> {
    Oid::new(text).to_der()
}

fn attribute(kind: &str, value: &[u8]) -> Vec<u8> {
    wrap(tag::SEQUENCE, &[&oid(kind), &element(tag::SET, value)])
}

/// A signed object in parts, so that a test can bend each.
#[derive(Clone)]
struct Plan {
    version: u8,
    announced: Option<Hash>,
    digest: Hash,
    content_type: &'static str,
    content: Vec<u8>,
    attributes: Option<Vec<Vec<u8>>>,
    /// Attributes are signed in this order, and as they stand.
    sorted: bool,
    signer_id: Vec<u8>,
    certificates: Vec<u8>,
    signers: usize,
    /// Identifier and padding of the signature.
    scheme: Scheme,
}

#[derive(Clone, Copy)]
enum Scheme {
    /// `rsaEncryption`: the digest is named beside it.
    Open,
    Pkcs1(Hash),
    /// Digest, mask digest, salt; what the identifier says.
    Pss(Hash, Hash, usize),
    /// PSS with absent parameters: all defaults.
    PssBare,
}

fn rsa_issuer() -> (Issuer, TrustStore) {
    let key = |bits| SigningKey::Rsa { key: rsa_key(bits).expect("is published"), pss: false };
    let issuer = Issuer::new("UT", &key(2048), key(1024), Hash::Sha256, &mut seeded(5));
    let mut trust = TrustStore::default();
    trust.import("csca.der", &issuer.csca, &[], None).expect("imports");
    (issuer, trust)
}

fn plan(issuer: &Issuer) -> Plan {
    let object = LdsSecurityObject {
        version: 0,
        hash: Some(Hash::Sha256),
        digests: [(1, Hash::Sha256.digest(b"one")), (2, Hash::Sha256.digest(b"two"))].into(),
        versions: None,
    };
    let content = object.to_der();
    let certificate = Certificate::parse(&issuer.signer).expect("is one");
    Plan {
        version: 3,
        announced: Some(Hash::Sha256),
        digest: Hash::Sha256,
        content_type: LDS_SECURITY_OBJECT,
        attributes: Some(vec![
            attribute(TYPE, &oid(LDS_SECURITY_OBJECT)),
            attribute(DIGEST, &element(tag::OCTET_STRING, &Hash::Sha256.digest(&content))),
            attribute(TIME, &element(tag::UTC_TIME, b"240115120000Z")),
        ]),
        content,
        sorted: true,
        signer_id: wrap(
            tag::SEQUENCE,
            &[&certificate.issuer.raw, &element(tag::INTEGER, &certificate.serial)],
        ),
        certificates: issuer.signer.clone(),
        signers: 1,
        scheme: Scheme::Pkcs1(Hash::Sha256),
    }
}

impl Plan {
    fn build(&self) -> Vec<u8> {
        let key = rsa_key(1024).expect("is published");
        let message = match &self.attributes {
            None => self.content.clone(),
            Some(list) => {
                let mut list = list.clone();
                if self.sorted {
                    list.sort();
                }
                element(tag::SET, &list.concat())
            }
        };
        let algorithm = |hash: Hash| wrap(tag::SEQUENCE, &[&oid(hash.oid()), &[5, 0]]);
        let pss = |hash: Hash, mask: Hash, salt: usize| {
            rsa::pss_encode(hash, mask, &vec![0x5A; salt], &hash.digest(&message), 1024).expect("fits")
        };
        let pkcs1 = |hash: Hash| {
            rsa::pkcs1_encode(hash, &hash.digest(&message), key.public.size(), true).expect("fits")
        };
        let (identifier, block) = match self.scheme {
            Scheme::Open => {
                (wrap(tag::SEQUENCE, &[&oid("1.2.840.113549.1.1.1"), &[5, 0]]), pkcs1(self.digest))
            }
            Scheme::Pkcs1(hash) => {
                let text = match hash {
                    Hash::Sha1 => "1.2.840.113549.1.1.5",
                    Hash::Sha512 => "1.2.840.113549.1.1.13",
                    _ => "1.2.840.113549.1.1.11",
                };
                (wrap(tag::SEQUENCE, &[&oid(text), &[5, 0]]), pkcs1(hash))
            }
            Scheme::Pss(hash, mask, salt) => {
                let generator = wrap(tag::SEQUENCE, &[&oid("1.2.840.113549.1.1.8"), &algorithm(mask)]);
                let parameters = [
                    element(0xA0, &algorithm(hash)),
                    element(0xA1, &generator),
                    element(0xA2, &integer(&[u8::try_from(salt).expect("is small")])),
                ]
                .concat();
                let identifier = wrap(
                    tag::SEQUENCE,
                    &[&oid("1.2.840.113549.1.1.10"), &element(tag::SEQUENCE, &parameters)],
                );
                (identifier, pss(hash, mask, salt))
            }
            Scheme::PssBare => {
                (wrap(tag::SEQUENCE, &[&oid("1.2.840.113549.1.1.10")]), pss(Hash::Sha1, Hash::Sha1, 20))
            }
        };
        let attributes = self.attributes.as_ref().map_or_else(Vec::new, |list| {
            let mut list = list.clone();
            if self.sorted {
                list.sort();
            }
            element(0xA0, &list.concat())
        });
        let signer = wrap(
            tag::SEQUENCE,
            &[
                &integer(&[1]),
                &self.signer_id,
                &algorithm(self.digest),
                &attributes,
                &identifier,
                &element(tag::OCTET_STRING, &key.sign_block(&block)),
            ],
        );
        let content = element(0xA0, &element(tag::OCTET_STRING, &self.content));
        let certificates =
            if self.certificates.is_empty() { Vec::new() } else { element(0xA0, &self.certificates) };
        let signed = wrap(
            tag::SEQUENCE,
            &[
                &integer(&[self.version]),
                &element(tag::SET, &self.announced.map(algorithm).unwrap_or_default()),
                &wrap(tag::SEQUENCE, &[&oid(self.content_type), &content]),
                &certificates,
                &element(tag::SET, &signer.repeat(self.signers)),
            ],
        );
        let info = wrap(tag::SEQUENCE, &[&oid("1.2.840.113549.1.7.2"), &element(0xA0, &signed)]);
        element(0x77, &info)
    }
}

fn judge(sod: &[u8], trust: &TrustStore) -> Report {
    let none = BTreeMap::new();
    verify(&Input {
        sod,
        data_groups: &none,
        complete_read: false,
        active_authentication: None,
        chip_authentication: None,
        trust,
        now: Some(NOW),
    })
}

fn expect(sod: &[u8], trust: &TrustStore, verdict: Verdict, codes: &[&str]) {
    let report = judge(sod, trust);
    assert_eq!((report.verdict, report.reason_codes()), (verdict, codes.to_vec()), "{report:#?}");
}

/// Every definite constructed element becomes indefinite, octet strings of some size come in two pieces.
fn indefinite(bytes: &[u8]) -> Vec<u8> {
    let element = emrtd::ber::first(bytes).expect("is an element");
    let tag_size = usize::from(element.tag > 0xFF) + 1;
    if element.constructed() {
        let mut out = bytes[..tag_size].to_vec();
        out.push(0x80);
        for child in element.children().expect("are elements") {
            out.extend(indefinite(child.raw));
        }
        out.extend([0, 0]);
        return out;
    }
    if element.tag == tag::OCTET_STRING && element.content.len() > 60 {
        let (a, b) = element.content.split_at(20);
        let mut out = vec![0x24, 0x80];
        out.extend(emrtd::ber::element(tag::OCTET_STRING, a));
        out.extend(emrtd::ber::element(tag::OCTET_STRING, b));
        out.extend([0, 0]);
        return out;
    }
    bytes.to_vec()
}

#[test]
fn odd_objects_as_real_issuers_make_them_are_genuine() {
    let (issuer, trust) = rsa_issuer();
    let good = plan(&issuer);
    let key_id = Certificate::parse(&issuer.signer).expect("is one").subject_key_id.expect("has one");
    let without_time = |mut plan: Plan| {
        plan.attributes.as_mut().expect("has them").truncate(2);
        plan
    };
    let mut unsorted = Plan { sorted: false, ..good.clone() };
    unsorted.attributes.as_mut().expect("has them").reverse();
    let sha1 = {
        let digest = attribute(DIGEST, &element(tag::OCTET_STRING, &Hash::Sha1.digest(&good.content)));
        let attributes = Some(vec![attribute(TYPE, &oid(LDS_SECURITY_OBJECT)), digest]);
        Plan {
            announced: Some(Hash::Sha1),
            digest: Hash::Sha1,
            scheme: Scheme::Open,
            attributes,
            ..good.clone()
        }
    };
    let data = Plan {
        content_type: "1.2.840.113549.1.7.1",
        attributes: Some(vec![
            attribute(TYPE, &oid("1.2.840.113549.1.7.1")),
            attribute(DIGEST, &element(tag::OCTET_STRING, &Hash::Sha256.digest(&good.content))),
        ]),
        ..good.clone()
    };
    let loose = {
        let certificate = Certificate::parse(&issuer.signer).expect("is one");
        let mut name = certificate.issuer.raw.clone();
        let at = name.windows(9).position(|w| w == b"Simulator").expect("is there");
        // the organisation's attribute type becomes another, the words stay
        name[at - 3] ^= 1;
        wrap(tag::SEQUENCE, &[&name, &element(tag::INTEGER, &certificate.serial)])
    };
    let cases: Vec<(&str, Plan)> = vec![
        ("plain", good.clone()),
        ("version 1", Plan { version: 1, ..good.clone() }),
        ("no signing time", without_time(good.clone())),
        ("attributes out of order", unsorted),
        ("rsaEncryption names no digest", Plan { scheme: Scheme::Open, ..good.clone() }),
        (
            "signature digest other than the content's",
            Plan { scheme: Scheme::Pkcs1(Hash::Sha512), ..good.clone() },
        ),
        ("PSS", Plan { scheme: Scheme::Pss(Hash::Sha256, Hash::Sha256, 32), ..good.clone() }),
        ("PSS, odd salt", Plan { scheme: Scheme::Pss(Hash::Sha256, Hash::Sha256, 20), ..good.clone() }),
        ("PSS, no salt", Plan { scheme: Scheme::Pss(Hash::Sha256, Hash::Sha256, 0), ..good.clone() }),
        (
            "PSS, mask of another digest",
            Plan { scheme: Scheme::Pss(Hash::Sha256, Hash::Sha1, 32), ..good.clone() },
        ),
        ("PSS, absent parameters", Plan { scheme: Scheme::PssBare, ..good.clone() }),
        ("named by key", Plan { signer_id: element(0x80, &key_id), ..good.clone() }),
        ("SHA-1", sha1),
        ("no digest is announced", Plan { announced: None, ..good.clone() }),
        (
            "named with other punctuation, two certificates there",
            Plan {
                signer_id: loose,
                certificates: [issuer.csca.clone(), issuer.signer.clone()].concat(),
                ..good.clone()
            },
        ),
        ("id-data", data),
        (
            "the issuer's certificate comes along, first",
            Plan { certificates: [issuer.csca.clone(), issuer.signer.clone()].concat(), ..good.clone() },
        ),
    ];
    for (name, plan) in &cases {
        let der = plan.build();
        for (form, bytes) in [
            ("DER", der.clone()),
            ("BER", indefinite(&der)),
            ("padded", [der.clone(), vec![0; 7]].concat()),
            ("wrapped twice", element(0x77, &der)),
        ] {
            let report = judge(&bytes, &trust);
            assert_eq!(report.verdict, Verdict::Genuine, "{name} in {form}: {:?}", report.reasons);
        }
    }
    let sha1 = cases.iter().find(|(name, _)| *name == "SHA-1").map(|(_, plan)| judge(&plan.build(), &trust));
    assert!(sha1.is_some_and(|report| report.warnings.iter().any(|w| w.starts_with("legacy_sha1"))));
}

#[test]
fn objects_wrong_in_one_way_are_refused_for_that_reason() {
    let (issuer, trust) = rsa_issuer();
    let good = plan(&issuer);
    let swap = |at: usize, with: Vec<u8>| {
        let mut plan = good.clone();
        plan.attributes.as_mut().expect("has them")[at] = with;
        plan
    };
    let twice = {
        let mut plan = good.clone();
        let list = plan.attributes.as_mut().expect("has them");
        list.push(list[1].clone());
        plan
    };
    let other = LdsSecurityObject {
        version: 0,
        hash: Some(Hash::Sha256),
        digests: [(1, Hash::Sha256.digest(b"forged"))].into(),
        versions: None,
    };
    let wrong_serial = {
        let name = Certificate::parse(&issuer.signer).expect("is one").issuer.raw;
        wrap(tag::SEQUENCE, &[&name, &integer(&[9])])
    };
    let cases: Vec<(&str, Plan)> = vec![
        ("content_type_mismatch", swap(0, attribute(TYPE, &oid("0.4.0.127.0.7.3.2.1")))),
        ("signed_attributes_malformed", swap(0, attribute(TIME, &element(tag::UTC_TIME, b"240115120000Z")))),
        ("signed_attributes_malformed", twice),
        ("signed_attributes_malformed", Plan { attributes: None, ..good.clone() }),
        ("message_digest_mismatch", Plan { content: other.to_der(), ..good.clone() }),
        ("several_signers", Plan { signers: 2, ..good.clone() }),
        ("no_signer", Plan { signers: 0, ..good.clone() }),
        ("signer_certificate_missing", Plan { certificates: Vec::new(), ..good.clone() }),
        ("signer_certificate_missing", Plan { signer_id: wrong_serial, ..good.clone() }),
        ("digest_algorithm_mismatch", Plan { announced: Some(Hash::Sha512), ..good.clone() }),
    ];
    for (code, plan) in &cases {
        expect(&plan.build(), &trust, Verdict::Refused, &[code]);
    }
    // an object that says it was signed before its signer's certificate was valid
    let early = swap(2, attribute(TIME, &element(tag::UTC_TIME, b"100115120000Z")));
    expect(&early.build(), &trust, Verdict::Refused, &["signed_outside_validity"]);
    // the signer's certificate does not hold the key
    let wrong = Plan { certificates: issuer.csca.clone(), ..good.clone() };
    assert_eq!(judge(&wrong.build(), &trust).verdict, Verdict::Refused);
    // a CSCA must not sign documents itself
    let csca = Certificate::parse(&issuer.csca).expect("is one");
    assert!(!csca.may_sign_documents());
}

#[test]
fn a_certificate_changed_after_signing_is_refused_and_an_unknown_one_untrusted() {
    let (issuer, trust) = rsa_issuer();
    let good = plan(&issuer);
    // the subject's last letter, inside the signed part
    let mut changed = issuer.signer.clone();
    let at = changed.windows(6).position(|w| w == b"Signer").expect("is there");
    changed[at + 5] = b'x';
    let plan = Plan { certificates: changed, ..good.clone() };
    expect(&plan.build(), &trust, Verdict::Refused, &["certificate_signature_invalid"]);
    expect(&good.build(), &TrustStore::default(), Verdict::Untrusted, &["issuer_unknown"]);
}

#[test]
fn a_curve_of_ones_own_is_not_accepted_and_a_listed_one_is_whatever_its_form() {
    for (name, explicit) in [
        ("brainpoolP512r1", true),
        ("brainpoolP224r1", true),
        ("P-521", true),
        ("P-256", false),
        ("brainpoolP256t1", true),
    ] {
        let curve = by_name(name).expect("is listed");
        let mut random = seeded(7);
        let csca = SigningKey::ec(curve, explicit, &mut random);
        let signer = SigningKey::ec(curve, explicit, &mut random);
        let issuer = Issuer::new("UT", &csca, signer, Hash::Sha512, &mut random);
        let mut trust = TrustStore::default();
        trust.import("csca.der", &issuer.csca, &[], None).expect("imports");
        let groups = [(1u8, b"one".to_vec())].into();
        let sod = issuer.sign_groups(&groups, &mut random);
        expect(&sod, &trust, Verdict::Genuine, &[]);
        if explicit {
            // another generator with the same public key: CVE-2020-0601
            let mut forged = sod.clone();
            let generator = curve.encode_point(&curve.generator);
            let at = forged.windows(generator.len()).position(|w| w == generator).expect("is there");
            forged[at + generator.len() - 1] ^= 1;
            expect(&forged, &trust, Verdict::Refused, &["curve_parameters_not_accepted"]);
        }
    }
}

#[test]
fn an_rsa_key_with_exponent_three_verifies_and_a_forged_cube_root_does_not() {
    // e = 3: a block that only begins right is a cube of something (Bleichenbacher 2006); ours compares the whole block.
    let n = (num_bigint::BigUint::from(1u8) << 2047u32) + 9u8;
    let key = rsa::PublicKey::new(n.clone(), num_bigint::BigUint::from(3u8)).expect("is accepted");
    let digest = Hash::Sha256.digest(b"forged");
    let whole = rsa::pkcs1_encode(Hash::Sha256, &digest, key.size(), true).expect("fits");
    // padding cut short, rubbish behind the digest
    let info = whole.iter().skip(2).position(|b| *b == 0).expect("is padded") + 2;
    let mut block = [&[0, 1, 255, 255, 255, 255, 255, 255, 255, 255], &whole[info..]].concat();
    block.resize(key.size(), 0);
    let wanted = num_bigint::BigUint::from_bytes_be(&block) + (num_bigint::BigUint::from(1u8) << 1400u32);
    let root = wanted.nth_root(3);
    let cube = &root * &root * &root;
    let opened = {
        let mut bytes = cube.to_bytes_be();
        bytes.splice(0..0, vec![0; key.size() - bytes.len()]);
        bytes
    };
    assert!(opened.starts_with(&block[..60]), "the forgery looks right at its beginning");
    assert!(!key.verify_pkcs1(Hash::Sha256, &digest, &root.to_bytes_be()));
}

#[test]
fn certificates_come_as_der_pem_ldif_bare_base64_and_in_a_row() {
    use base64::Engine as _;
    let (issuer, _) = rsa_issuer();
    let other = Issuer::european("XX", &mut seeded(9)).expect("issues");
    let text = base64::engine::general_purpose::STANDARD.encode(&issuer.csca);
    let folded: Vec<&str> =
        text.as_bytes().chunks(60).map(|c| std::str::from_utf8(c).expect("is ASCII")).collect();
    let ldif = format!(
        "dn: c=UT,dc=data\r\nobjectClass: pkdMasterList\r\nuserCertificate;binary:: {}\r\ncn:: w6TDtg==\r\n\r\n",
        folded.join("\r\n ")
    );
    let forms: [Vec<u8>; 6] = [
        issuer.csca.clone(),
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", folded.join("\n"))
            .into_bytes(),
        ldif.clone().into_bytes(),
        ldif.replace("binary:: ", "binary::").into_bytes(),
        text.into_bytes(),
        [ldif.as_bytes(), b"description: \xE4\n"].concat(),
    ];
    for form in &forms {
        let mut trust = TrustStore::default();
        assert_eq!(trust.import("file", form, &[], None).expect("imports").added, 1);
    }
    let row = [issuer.csca.clone(), other.csca.clone(), issuer.signer.clone()].concat();
    let mut trust = TrustStore::default();
    let report = trust.import("row", &row, &[], None).expect("imports");
    assert_eq!((report.added, trust.anchors().len(), trust.document_signers().len()), (3, 2, 1));
    // an object without its certificate finds the signer in the directory
    let plan = Plan { certificates: Vec::new(), ..plan(&issuer) };
    expect(&plan.build(), &trust, Verdict::Genuine, &[]);
    // one store takes another in
    let mut whole = TrustStore::default();
    whole.absorb(&trust);
    whole.absorb(&trust);
    assert_eq!((whole.anchors().len(), whole.document_signers().len(), whole.imports().len()), (2, 1, 2));
}
