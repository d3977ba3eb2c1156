//! A complete travel document chip in software, with the authorities that issue it.
//!
//! For tests of everything above the radio: BAC, PACE (all mappings, curves and groups), secure messaging,
//! chip and active authentication, files of any size, and the misbehaviours that must be caught
//! ([`Fault`]). Its keys are test keys; nothing it issues chains to a real authority.

use crate::agreement::{Domain, KeyPair, Public};
use crate::apdu::{APPLICATION, Command, Response};
use crate::bac::{Bac, Password};
use crate::ber::{Oid, Reader, element, integer, tag, wrap};
use crate::cipher::{Entropy, Suite, random_below};
use crate::curve::{Curve, by_name, fixed};
use crate::hash::Hash;
use crate::lds::details::GROUP_TAGS;
use crate::lds::file_id;
use crate::lds::sod::LdsSecurityObject;
use crate::messaging::SecureMessaging;
use crate::pace::{Mapping, Protocol};
use crate::rsa;
use crate::time::Time;
use num_bigint::BigUint;
use std::collections::BTreeMap;

/// A signing key of an authority.
#[derive(Clone)]
pub enum SigningKey {
    /// ECDSA.
    Ec {
        /// The curve.
        curve: &'static Curve,
        /// The private scalar.
        secret: BigUint,
        /// Certificates carry the curve as explicit parameters.
        explicit: bool,
    },
    /// RSA with PKCS #1 v1.5 or PSS padding.
    Rsa {
        /// The key pair.
        key: rsa::PrivateKey,
        /// PSS padding.
        pss: bool,
    },
}

/// One of the RSA keys published with the simulator (1024 or 2048 bits).
pub fn rsa_key(bits: u32) -> Option<rsa::PrivateKey> {
    include_str!("../data/simulator_rsa.txt").lines().filter(|l| !l.starts_with('#')).find_map(|line| {
        let mut fields = line.split(' ');
        if fields.next()? != bits.to_string() {
            return None;
        }
        let mut number = || BigUint::parse_bytes(fields.next()?.as_bytes(), 16);
        let (n, e, d) = (number()?, number()?, number()?);
        Some(rsa::PrivateKey { public: rsa::PublicKey::new(n, e)?, d })
    })
}

impl SigningKey {
    /// A fresh key on a curve.
    pub fn ec(curve: &'static Curve, explicit: bool, entropy: &mut dyn Entropy) -> Self {
        SigningKey::Ec { curve, secret: random_below(entropy, &curve.n), explicit }
    }

    /// Its SubjectPublicKeyInfo.
    pub fn spki(&self) -> Vec<u8> {
        match self {
            SigningKey::Ec { curve, secret, explicit } => {
                ec_spki(curve, &curve.encode_point(&curve.multiply(secret, &curve.generator)), *explicit)
            }
            SigningKey::Rsa { key, .. } => rsa_spki(&key.public),
        }
    }

    /// The AlgorithmIdentifier of its signatures.
    pub fn algorithm(&self, hash: Hash) -> Vec<u8> {
        let oid = |text: &str| Oid::new(text).to_der();
        match self {
            SigningKey::Ec { .. } => {
                let text = match hash {
                    Hash::Sha1 => "1.2.840.10045.4.1",
                    Hash::Sha224 => "1.2.840.10045.4.3.1",
                    Hash::Sha256 => "1.2.840.10045.4.3.2",
                    Hash::Sha384 => "1.2.840.10045.4.3.3",
                    Hash::Sha512 => "1.2.840.10045.4.3.4",
                };
                wrap(tag::SEQUENCE, &[&oid(text)])
            }
            SigningKey::Rsa { pss: false, .. } => {
                let text = match hash {
                    Hash::Sha1 => "1.2.840.113549.1.1.5",
                    Hash::Sha224 => "1.2.840.113549.1.1.14",
                    Hash::Sha256 => "1.2.840.113549.1.1.11",
                    Hash::Sha384 => "1.2.840.113549.1.1.12",
                    Hash::Sha512 => "1.2.840.113549.1.1.13",
                };
                wrap(tag::SEQUENCE, &[&oid(text), &[5, 0]])
            }
            SigningKey::Rsa { pss: true, .. } => {
                let digest = wrap(tag::SEQUENCE, &[&oid(hash.oid())]);
                let mask = wrap(tag::SEQUENCE, &[&oid("1.2.840.113549.1.1.8"), &digest]);
                let size = integer(&[u8::try_from(hash.size()).unwrap_or(20)]);
                let parameters =
                    [element(0xA0, &digest), element(0xA1, &mask), element(0xA2, &size)].concat();
                wrap(tag::SEQUENCE, &[&oid("1.2.840.113549.1.1.10"), &element(tag::SEQUENCE, &parameters)])
            }
        }
    }

    /// Signs a message.
    pub fn sign(&self, hash: Hash, message: &[u8], entropy: &mut dyn Entropy) -> Vec<u8> {
        let digest = hash.digest(message);
        match self {
            SigningKey::Ec { curve, secret, .. } => {
                let (r, s) = sign_ecdsa(curve, secret, &digest, entropy);
                wrap(tag::SEQUENCE, &[&integer(&r.to_bytes_be()), &integer(&s.to_bytes_be())])
            }
            SigningKey::Rsa { key, pss } => {
                let block = if *pss {
                    let mut salt = vec![0; hash.size()];
                    entropy.fill(&mut salt);
                    let bits = usize::try_from(key.public.n.bits()).unwrap_or(0);
                    rsa::pss_encode(hash, hash, &salt, &digest, bits)
                } else {
                    rsa::pkcs1_encode(hash, &digest, key.public.size(), true)
                };
                key.sign_block(&block.unwrap_or_default())
            }
        }
    }
}

fn sign_ecdsa(
    curve: &Curve,
    secret: &BigUint,
    digest: &[u8],
    entropy: &mut dyn Entropy,
) -> (BigUint, BigUint) {
    loop {
        let k = random_below(entropy, &curve.n);
        if let Some(signature) = curve.sign_ecdsa(secret, digest, &k) {
            return signature;
        }
    }
}

fn rsa_spki(key: &rsa::PublicKey) -> Vec<u8> {
    let numbers = wrap(tag::SEQUENCE, &[&integer(&key.n.to_bytes_be()), &integer(&key.e.to_bytes_be())]);
    let algorithm = wrap(tag::SEQUENCE, &[&Oid::new("1.2.840.113549.1.1.1").to_der(), &[5, 0]]);
    wrap(tag::SEQUENCE, &[&algorithm, &element(tag::BIT_STRING, &[&[0], numbers.as_slice()].concat())])
}

fn ec_spki(curve: &Curve, point: &[u8], explicit: bool) -> Vec<u8> {
    let size = curve.field_bytes();
    let parameters = if explicit {
        let field =
            wrap(tag::SEQUENCE, &[&Oid::new("1.2.840.10045.1.1").to_der(), &integer(&curve.p.to_bytes_be())]);
        let coefficients = [&curve.a, &curve.b].map(|c| element(tag::OCTET_STRING, &fixed(c, size))).concat();
        let generator = element(tag::OCTET_STRING, &curve.encode_point(&curve.generator));
        let order = integer(&curve.n.to_bytes_be());
        let parts =
            [integer(&[1]), field, element(tag::SEQUENCE, &coefficients), generator, order, integer(&[1])];
        element(tag::SEQUENCE, &parts.concat())
    } else {
        Oid::new(curve.oid).to_der()
    };
    let algorithm = wrap(tag::SEQUENCE, &[&Oid::new("1.2.840.10045.2.1").to_der(), &parameters]);
    wrap(tag::SEQUENCE, &[&algorithm, &element(tag::BIT_STRING, &[&[0], point].concat())])
}

/// A country's authority: a CSCA, and a document signer under it.
pub struct Issuer {
    /// The CSCA certificate.
    pub csca: Vec<u8>,
    /// The document signer's certificate.
    pub signer: Vec<u8>,
    signer_key: SigningKey,
    hash: Hash,
    country: String,
}

/// Valid from and until, of everything the simulator issues.
const VALID: (&str, &str) = ("200101000000Z", "350101000000Z");

fn name(country: &str, common: &str) -> Vec<u8> {
    let part = |oid: &str, kind: u32, text: &str| {
        let pair = wrap(tag::SEQUENCE, &[&Oid::new(oid).to_der(), &element(kind, text.as_bytes())]);
        element(tag::SET, &pair)
    };
    let parts = [
        part("2.5.4.6", tag::PRINTABLE_STRING, country),
        part("2.5.4.10", tag::UTF8_STRING, "Simulator"),
        part("2.5.4.3", tag::UTF8_STRING, common),
    ];
    element(tag::SEQUENCE, &parts.concat())
}

struct CertificatePlan<'a> {
    serial: u8,
    issuer: &'a [u8],
    subject: &'a [u8],
    spki: &'a [u8],
    own_id: &'a [u8],
    issuer_id: &'a [u8],
    authority: bool,
}

fn certificate(
    plan: &CertificatePlan<'_>,
    key: &SigningKey,
    hash: Hash,
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let algorithm = key.algorithm(hash);
    let time = |text: &str| element(tag::UTC_TIME, text.as_bytes());
    let extension = |oid: &str, value: &[u8]| {
        wrap(tag::SEQUENCE, &[&Oid::new(oid).to_der(), &element(tag::OCTET_STRING, value)])
    };
    let usage: &[u8] = if plan.authority { &[1, 0x06] } else { &[7, 0x80] };
    let mut extensions = vec![
        extension("2.5.29.14", &element(tag::OCTET_STRING, plan.own_id)),
        extension("2.5.29.35", &wrap(tag::SEQUENCE, &[&element(0x80, plan.issuer_id)])),
        extension("2.5.29.15", &element(tag::BIT_STRING, usage)),
    ];
    if plan.authority {
        extensions.push(extension("2.5.29.19", &wrap(tag::SEQUENCE, &[&element(tag::BOOLEAN, &[0xFF])])));
    }
    let parts = [
        element(0xA0, &integer(&[2])),
        integer(&[plan.serial]),
        algorithm.clone(),
        plan.issuer.to_vec(),
        wrap(tag::SEQUENCE, &[&time(VALID.0), &time(VALID.1)]),
        plan.subject.to_vec(),
        plan.spki.to_vec(),
        element(0xA3, &element(tag::SEQUENCE, &extensions.concat())),
    ];
    let tbs = element(tag::SEQUENCE, &parts.concat());
    let signature = key.sign(hash, &tbs, entropy);
    wrap(
        tag::SEQUENCE,
        &[&tbs, &algorithm, &element(tag::BIT_STRING, &[&[0], signature.as_slice()].concat())],
    )
}

impl Issuer {
    /// An authority of `country` (alpha-2) with the given keys.
    pub fn new(
        country: &str,
        csca_key: &SigningKey,
        signer_key: SigningKey,
        hash: Hash,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let (root, below) = (name(country, "CSCA"), name(country, "Document Signer"));
        let (root_spki, below_spki) = (csca_key.spki(), signer_key.spki());
        let (root_id, below_id) = (Hash::Sha1.digest(&root_spki), Hash::Sha1.digest(&below_spki));
        let plan = CertificatePlan {
            serial: 1,
            issuer: &root,
            subject: &root,
            spki: &root_spki,
            own_id: &root_id,
            issuer_id: &root_id,
            authority: true,
        };
        let csca = certificate(&plan, csca_key, hash, entropy);
        let plan = CertificatePlan {
            serial: 2,
            subject: &below,
            spki: &below_spki,
            own_id: &below_id,
            authority: false,
            ..plan
        };
        let signer = certificate(&plan, csca_key, hash, entropy);
        Self { csca, signer, signer_key, hash, country: country.to_owned() }
    }

    /// An authority on brainpoolP256r1 with explicit parameters, as most European ones are.
    pub fn european(country: &str, entropy: &mut dyn Entropy) -> Option<Self> {
        let curve = by_name("brainpoolP256r1")?;
        let csca = SigningKey::ec(curve, true, entropy);
        let signer = SigningKey::ec(curve, true, entropy);
        Some(Self::new(country, &csca, signer, Hash::Sha256, entropy))
    }

    /// Signs content of `content_type` as CMS; `time` becomes the signing time.
    pub fn sign(
        &self,
        content_type: &str,
        content: &[u8],
        time: Option<&str>,
        entropy: &mut dyn Entropy,
    ) -> Vec<u8> {
        let oid = |text: &str| Oid::new(text).to_der();
        let digest = wrap(tag::SEQUENCE, &[&oid(self.hash.oid())]);
        let attribute =
            |kind: &str, value: &[u8]| wrap(tag::SEQUENCE, &[&oid(kind), &element(tag::SET, value)]);
        let mut attributes = vec![
            attribute("1.2.840.113549.1.9.3", &oid(content_type)),
            attribute("1.2.840.113549.1.9.4", &element(tag::OCTET_STRING, &self.hash.digest(content))),
        ];
        if let Some(time) = time {
            attributes.push(attribute("1.2.840.113549.1.9.5", &element(tag::UTC_TIME, time.as_bytes())));
        }
        attributes.sort();
        let attributes = attributes.concat();
        let signature = self.signer_key.sign(self.hash, &element(tag::SET, &attributes), entropy);
        let issuer_and_serial = wrap(tag::SEQUENCE, &[&name(&self.country, "CSCA"), &integer(&[2])]);
        let signer = wrap(
            tag::SEQUENCE,
            &[
                &integer(&[1]),
                &issuer_and_serial,
                &digest,
                &element(0xA0, &attributes),
                &self.signer_key.algorithm(self.hash),
                &element(tag::OCTET_STRING, &signature),
            ],
        );
        let content = element(0xA0, &element(tag::OCTET_STRING, content));
        let signed = wrap(
            tag::SEQUENCE,
            &[
                &integer(&[3]),
                &element(tag::SET, &digest),
                &wrap(tag::SEQUENCE, &[&oid(content_type), &content]),
                &element(0xA0, &self.signer),
                &element(tag::SET, &signer),
            ],
        );
        wrap(tag::SEQUENCE, &[&oid("1.2.840.113549.1.7.2"), &element(0xA0, &signed)])
    }

    /// EF.SOD over data groups.
    pub fn sign_groups(&self, groups: &BTreeMap<u8, Vec<u8>>, entropy: &mut dyn Entropy) -> Vec<u8> {
        let object = LdsSecurityObject {
            version: 0,
            hash: Some(self.hash),
            digests: groups.iter().map(|(n, file)| (*n, self.hash.digest(file))).collect(),
            versions: None,
        };
        element(
            0x77,
            &self.sign(crate::verify::LDS_SECURITY_OBJECT, &object.to_der(), Some("240115120000Z"), entropy),
        )
    }
}

/// What a document is made of.
#[derive(Clone)]
pub struct Recipe {
    /// The machine readable zone, lines joined.
    pub mrz: String,
    /// The card access number, for PACE.
    pub can: Option<String>,
    /// The face image (JPEG or JPEG 2000).
    pub face: Vec<u8>,
    /// The chip offers BAC.
    pub bac: bool,
    /// PACE protocols: mapping, suite, domain parameter id.
    pub pace: Vec<(Mapping, Suite, u32)>,
    /// Chip authentication: suite and domain parameter id.
    pub chip_authentication: Option<(Suite, u32)>,
    /// Active authentication: a curve's name, or `RSA-1024`, `RSA-2048`.
    pub active_authentication: Option<String>,
    /// How it misbehaves.
    pub fault: Fault,
    /// Further data groups, as whole files.
    pub extra_groups: BTreeMap<u8, Vec<u8>>,
}

/// How a chip misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Not at all.
    #[default]
    None,
    /// A copy: all files are there, the private keys are not.
    Clone,
    /// A copy that hides the groups that would give it away.
    HidesKeys,
    /// DG1 was changed after signing.
    ChangedGroup,
    /// Answers every read with fewer bytes than asked for.
    ShortReads,
    /// Announces a file of four gigabytes.
    HugeFile,
    /// Refuses to select EF.CardAccess before the master file.
    NeedsMasterFile,
    /// Refuses the general form of chip authentication.
    TemplateOnly,
}

impl Recipe {
    /// A fictitious passport of Utopia with BAC, PACE-GM, chip authentication and a face of `face_bytes` bytes.
    pub fn passport(face_bytes: usize) -> Self {
        let mut face = vec![0xFF, 0xD8, 0xFF, 0xE0];
        face.resize(face_bytes.max(4), 0x5A);
        Self {
            mrz: "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<L898902C36UTO7408122F1204159ZE184226B<<<<<10"
                .to_owned(),
            can: Some("123456".to_owned()),
            face,
            bac: true,
            pace: vec![(Mapping::Generic, Suite::Aes128, 13)],
            chip_authentication: Some((Suite::Aes128, 13)),
            active_authentication: None,
            fault: Fault::None,
            extra_groups: BTreeMap::new(),
        }
    }

    /// The password that its machine readable zone gives.
    pub fn password(&self) -> Option<Password> {
        let dg1 = crate::lds::dg1::Dg1::from_mrz(&self.mrz).ok()?;
        Some(Password::from_mrz(&dg1.document_number, &dg1.date_of_birth, &dg1.date_of_expiry))
    }

    /// Issues the document.
    pub fn issue(&self, issuer: &Issuer, entropy: Box<dyn Entropy + Send>) -> Option<Chip> {
        Chip::issue(self, issuer, entropy)
    }
}

/// The identifier of a PACE protocol.
pub fn pace_oid(mapping: Mapping, suite: Suite, parameter_id: u32) -> Oid {
    let ec = parameter_id > 2;
    let arc = match (mapping, ec) {
        (Mapping::Generic, false) => 1,
        (Mapping::Generic, true) => 2,
        (Mapping::Integrated, false) => 3,
        (Mapping::Integrated, true) => 4,
        (Mapping::ChipAuthentication, _) => 6,
    };
    Oid::new(&format!("{}.{arc}.{}", crate::lds::security_infos::PACE, suite.arc()))
}

enum PaceState {
    Chosen(Box<Protocol>, Password),
    Nonce(Box<Protocol>, Vec<u8>),
    Mapped(Box<Protocol>, Domain, Option<KeyPair>),
    Agreed(Box<Protocol>, Vec<u8>, Public, Public, Option<KeyPair>),
}

/// The chip.
pub struct Chip {
    digest: [u8; 20],
    can: Option<String>,
    bac: bool,
    protocols: Vec<Protocol>,
    master_files: BTreeMap<u16, Vec<u8>>,
    files: BTreeMap<u16, Vec<u8>>,
    chip_key: Option<(Domain, KeyPair, Suite)>,
    mapping_key: Option<KeyPair>,
    active_key: Option<SigningKey>,
    fault: Fault,
    entropy: Box<dyn Entropy + Send>,
    session: Option<SecureMessaging>,
    next_session: Option<SecureMessaging>,
    challenge: Option<[u8; 8]>,
    pace: Option<PaceState>,
    pending_chip_authentication: bool,
    in_application: bool,
    master_selected: bool,
    selected: Option<u16>,
}

const OK: u16 = Response::OK;

impl Chip {
    fn issue(recipe: &Recipe, issuer: &Issuer, mut entropy: Box<dyn Entropy + Send>) -> Option<Self> {
        let Some(Password::Mrz(digest)) = recipe.password() else { return None };
        let protocols: Vec<Protocol> = recipe
            .pace
            .iter()
            .map(|(mapping, suite, id)| Protocol::new(&pace_oid(*mapping, *suite, *id), *id))
            .collect::<Option<_>>()?;
        let pace_infos: Vec<Vec<u8>> = protocols
            .iter()
            .map(|p| {
                wrap(
                    tag::SEQUENCE,
                    &[&p.oid.to_der(), &integer(&[2]), &integer(&p.parameter_id.to_be_bytes())],
                )
            })
            .collect();

        let mut groups = recipe.extra_groups.clone();
        groups.insert(1, element(0x61, &element(0x5F1F, recipe.mrz.as_bytes())));
        groups.insert(2, face_group(&recipe.face));
        let mut security: Vec<u8> = pace_infos.concat();
        let chip_key = match recipe.chip_authentication {
            Some((suite, id)) => {
                let domain = Domain::from_parameter_id(id)?;
                let pair = domain.generate(&mut *entropy);
                let (arc, oid) = if matches!(domain, Domain::Ec { .. }) { (2, 2) } else { (1, 1) };
                let protocol = Oid::new(&format!(
                    "{}.{arc}.{}",
                    crate::lds::security_infos::CHIP_AUTHENTICATION,
                    suite.arc()
                ));
                security.extend(wrap(tag::SEQUENCE, &[&protocol.to_der(), &integer(&[1])]));
                security.extend(key_info(oid, &standardised_spki(&domain, &pair.public, id)));
                Some((domain, pair, suite))
            }
            None => None,
        };
        let active_key = match recipe.active_authentication.as_deref() {
            Some("RSA-1024") => Some(SigningKey::Rsa { key: rsa_key(1024)?, pss: false }),
            Some("RSA-2048") => Some(SigningKey::Rsa { key: rsa_key(2048)?, pss: false }),
            Some(curve) => {
                let info = [
                    Oid::new(crate::lds::security_infos::ACTIVE_AUTHENTICATION).to_der(),
                    integer(&[1]),
                    Oid::new("0.4.0.127.0.7.1.1.4.1.3").to_der(),
                ];
                security.extend(element(tag::SEQUENCE, &info.concat()));
                Some(SigningKey::ec(by_name(curve)?, false, &mut *entropy))
            }
            None => None,
        };
        if let Some(key) = &active_key {
            groups.insert(15, element(0x6F, &key.spki()));
        }
        if !security.is_empty() {
            groups.insert(14, element(0x6E, &element(tag::SET, &security)));
        }
        let sod = issuer.sign_groups(&groups, &mut *entropy);
        if recipe.fault == Fault::ChangedGroup {
            let changed = recipe.mrz.replace("ANNA", "ANNE");
            groups.insert(1, element(0x61, &element(0x5F1F, changed.as_bytes())));
        }
        let mut master_files = BTreeMap::new();
        if !pace_infos.is_empty() {
            master_files.insert(file_id::CARD_ACCESS, element(tag::SET, &pace_infos.concat()));
        }
        let mut mapping_key = None;
        if let Some(protocol) = protocols.iter().find(|p| p.mapping == Mapping::ChipAuthentication) {
            let pair = protocol.domain.generate(&mut *entropy);
            let spki = standardised_spki(&protocol.domain, &pair.public, protocol.parameter_id);
            let infos = element(tag::SET, &[pace_infos.concat(), key_info(2, &spki)].concat());
            let signed = issuer.sign(crate::verify::SECURITY_OBJECT, &infos, None, &mut *entropy);
            master_files.insert(file_id::CARD_SECURITY, signed);
            mapping_key = Some(pair);
        }
        let tags: Vec<u8> =
            groups.keys().filter_map(|n| GROUP_TAGS.get(usize::from(*n) - 1).copied()).collect();
        let com = [element(0x5F01, b"0107"), element(0x5F36, b"040000"), element(0x5C, &tags)].concat();
        let mut files: BTreeMap<u16, Vec<u8>> =
            groups.into_iter().map(|(n, file)| (file_id::GROUPS + u16::from(n), file)).collect();
        files.insert(file_id::COM, element(0x60, &com));
        files.insert(file_id::SOD, sod);
        if recipe.fault == Fault::HidesKeys {
            files.remove(&(file_id::GROUPS + 14));
            files.remove(&(file_id::GROUPS + 15));
        }
        if recipe.fault == Fault::HugeFile {
            files.insert(file_id::GROUPS + 2, vec![0x75, 0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0]);
        }
        let mut chip = Self {
            digest,
            can: recipe.can.clone(),
            bac: recipe.bac,
            protocols,
            master_files,
            files,
            chip_key,
            mapping_key,
            active_key,
            fault: recipe.fault,
            entropy,
            session: None,
            next_session: None,
            challenge: None,
            pace: None,
            pending_chip_authentication: false,
            in_application: false,
            master_selected: false,
            selected: None,
        };
        if recipe.fault == Fault::Clone {
            chip.forget_keys();
        }
        Some(chip)
    }

    /// What a copy of the chip has instead of the private keys.
    fn forget_keys(&mut self) {
        if let Some((domain, pair, _)) = &mut self.chip_key {
            *pair = domain.generate(&mut *self.entropy);
        }
        if let (Some(pair), Some(protocol)) = (&mut self.mapping_key, self.protocols.first()) {
            *pair = protocol.domain.generate(&mut *self.entropy);
        }
        self.active_key = match &self.active_key {
            Some(SigningKey::Ec { curve, .. }) => Some(SigningKey::ec(curve, false, &mut *self.entropy)),
            // the other published key signs, of the wrong length or not
            Some(SigningKey::Rsa { .. }) => rsa_key(1024).map(|mut key| {
                key.d += 2u8;
                SigningKey::Rsa { key, pss: false }
            }),
            None => None,
        };
    }

    /// Answers one command.
    pub fn transmit(&mut self, bytes: &[u8]) -> Vec<u8> {
        let plain = |status: u16| Response { data: Vec::new(), status }.encode();
        match self.session.clone() {
            Some(mut session) => {
                let Some(command) = session.unwrap_command(bytes) else {
                    // one wrong command ends the session
                    self.session = None;
                    self.in_application = false;
                    return plain(0x6988);
                };
                let response = self.execute(&command);
                let out = session.wrap_response(&response, command.ins & 1 == 1);
                self.session = Some(self.next_session.take().unwrap_or(session));
                out
            }
            None => {
                let Some(command) = Command::parse(bytes) else { return plain(0x6700) };
                if command.cla & 0x0C != 0 {
                    return plain(0x6982);
                }
                let response = self.execute(&command);
                if let Some(session) = self.next_session.take() {
                    self.session = Some(session);
                }
                response.encode()
            }
        }
    }

    fn execute(&mut self, command: &Command) -> Response {
        let (data, status) = match command.ins {
            0xA4 => (Vec::new(), self.select(command)),
            0xB0 | 0xB1 => match self.read(command) {
                Ok(data) => (data, OK),
                Err(status) => (Vec::new(), status),
            },
            0x84 if self.bac && self.in_application => {
                let mut challenge = [0; 8];
                self.entropy.fill(&mut challenge);
                self.challenge = Some(challenge);
                (challenge.to_vec(), OK)
            }
            0x82 => {
                let opened = self.challenge.take().and_then(|challenge| {
                    Bac::respond(&self.digest, challenge, &command.data, &mut *self.entropy)
                });
                match opened {
                    Some((answer, session)) => {
                        self.next_session = Some(session);
                        (answer, OK)
                    }
                    None => (Vec::new(), 0x6300),
                }
            }
            0x22 => (Vec::new(), self.manage(command)),
            0x86 => match self.authenticate(command) {
                Some(data) => (element(0x7C, &data), OK),
                None => {
                    self.pace = None;
                    (Vec::new(), 0x6300)
                }
            },
            0x88 => match self.sign_challenge(&command.data) {
                Some(data) => (data, OK),
                None => (Vec::new(), 0x6985),
            },
            _ => (Vec::new(), 0x6D00),
        };
        Response { data, status }
    }

    fn select(&mut self, command: &Command) -> u16 {
        match (command.p1, command.data.as_slice()) {
            (0x00, [0x3F, 0x00]) => {
                self.in_application = false;
                self.master_selected = true;
                OK
            }
            (0x04, name) if name == APPLICATION => {
                self.in_application = true;
                self.selected = None;
                OK
            }
            (0x02, [a, b]) => {
                let id = u16::from_be_bytes([*a, *b]);
                if self.in_application && self.session.is_none() {
                    return 0x6982;
                }
                if self.fault == Fault::NeedsMasterFile && !self.in_application && !self.master_selected {
                    return 0x6A82;
                }
                let files = if self.in_application { &self.files } else { &self.master_files };
                let open = id != file_id::CARD_SECURITY || self.in_application || self.session.is_some();
                if files.contains_key(&id) && open {
                    self.selected = Some(id);
                    OK
                } else {
                    0x6A82
                }
            }
            _ => 0x6A82,
        }
    }

    fn read(&self, command: &Command) -> Result<Vec<u8>, u16> {
        let id = self.selected.ok_or(0x6986u16)?;
        let files = if self.in_application { &self.files } else { &self.master_files };
        let file = files.get(&id).ok_or(0x6986u16)?;
        let mut length = command.le.unwrap_or(0);
        let odd = command.ins == 0xB1;
        let offset = if odd {
            let object = Reader::new(&command.data).expect(0x54).map_err(|_| 0x6A80u16)?;
            length = length.saturating_sub(4);
            object.content.iter().fold(0usize, |n, b| n << 8 | usize::from(*b))
        } else {
            usize::from(u16::from_be_bytes([command.p1, command.p2]))
        };
        if self.fault == Fault::ShortReads {
            length = length.min(100);
        }
        if offset > file.len() {
            return Err(0x6B00);
        }
        let data = file.get(offset..(offset + length).min(file.len())).unwrap_or(&[]).to_vec();
        Ok(if odd { element(0x53, &data) } else { data })
    }

    fn manage(&mut self, command: &Command) -> u16 {
        let Ok(fields) = Reader::new(&command.data).all() else { return 0x6A80 };
        let field = |tag: u32| fields.iter().find(|f| f.tag == tag).map(|f| f.content);
        match (command.p1, command.p2) {
            (0xC1, 0xA4) => {
                let oid = field(0x80).and_then(|content| Oid::from_content(content).ok());
                let id = field(0x84).map(|content| content.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)));
                let found = self
                    .protocols
                    .iter()
                    .find(|p| Some(&p.oid) == oid.as_ref() && id.is_none_or(|id| id == p.parameter_id));
                let password = match field(0x83) {
                    Some([1]) => Some(Password::Mrz(self.digest)),
                    Some([2]) => self.can.clone().map(Password::Can),
                    _ => None,
                };
                match (found, password) {
                    (Some(protocol), Some(password)) => {
                        self.pace = Some(PaceState::Chosen(Box::new(protocol.clone()), password));
                        OK
                    }
                    _ => 0x6A80,
                }
            }
            (0x41, 0xA4) if self.chip_key.is_some() && self.fault != Fault::TemplateOnly => {
                self.pending_chip_authentication = true;
                OK
            }
            (0x41, 0xA6) => match field(0x91).and_then(|public| self.agree(public)) {
                Some(session) => {
                    self.next_session = Some(session);
                    OK
                }
                None => 0x6A80,
            },
            _ => 0x6A81,
        }
    }

    /// The session of a chip authentication.
    fn agree(&self, public: &[u8]) -> Option<SecureMessaging> {
        let (domain, pair, suite) = self.chip_key.as_ref()?;
        let shared = domain.agree(&pair.secret, &domain.decode(public)?)?;
        Some(SecureMessaging::from_secret(*suite, &domain.secret_bytes(&shared)))
    }

    fn authenticate(&mut self, command: &Command) -> Option<Vec<u8>> {
        let fields = Reader::new(&command.data).expect(0x7C).ok()?.children().ok()?;
        let field = |tag: u32| fields.iter().find(|f| f.tag == tag).map(|f| f.content.to_vec());
        if std::mem::take(&mut self.pending_chip_authentication) {
            self.next_session = Some(self.agree(&field(0x80)?)?);
            return Some(Vec::new());
        }
        match self.pace.take()? {
            PaceState::Chosen(protocol, password) => {
                // a multiple of the block that is no shorter than the key (4.4.3.3)
                let mut nonce = vec![0; protocol.suite.key_size().next_multiple_of(16)];
                self.entropy.fill(&mut nonce);
                let key = protocol.suite.derive(&password.secret(), 3);
                let encrypted =
                    protocol.suite.encrypt(&key, &vec![0; protocol.suite.block_size()], &nonce)?;
                self.pace = Some(PaceState::Nonce(protocol, nonce));
                Some(element(0x80, &encrypted))
            }
            PaceState::Nonce(protocol, nonce) => {
                let theirs = field(0x81)?;
                if protocol.mapping == Mapping::Integrated {
                    let mapped = protocol.domain.map_integrated(protocol.suite, &nonce, &theirs)?;
                    self.pace = Some(PaceState::Mapped(protocol, mapped, None));
                    return Some(element(0x82, &[]));
                }
                let pair = protocol.domain.generate(&mut *self.entropy);
                let shared = protocol.domain.agree(&pair.secret, &protocol.domain.decode(&theirs)?)?;
                let mapped = protocol.domain.map_generic(&nonce, &shared)?;
                let answer = element(0x82, &protocol.domain.encode(&pair.public));
                self.pace = Some(PaceState::Mapped(protocol, mapped, Some(pair)));
                Some(answer)
            }
            PaceState::Mapped(protocol, mapped, map_pair) => {
                let theirs = mapped.decode(&field(0x83)?)?;
                let pair = mapped.generate(&mut *self.entropy);
                let shared = mapped.agree(&pair.secret, &theirs)?;
                let secret = mapped.secret_bytes(&shared);
                let answer = element(0x84, &mapped.encode(&pair.public));
                self.pace = Some(PaceState::Agreed(protocol, secret, pair.public, theirs, map_pair));
                Some(answer)
            }
            PaceState::Agreed(protocol, secret, ours, theirs, map_pair) => {
                let suite = protocol.suite;
                let mac = suite.derive(&secret, 2);
                let expected = suite.mac_padding(&mac, &protocol.token_input(&ours))?;
                if field(0x85)? != expected {
                    return None;
                }
                let mut answer = element(0x86, &suite.mac_padding(&mac, &protocol.token_input(&theirs))?);
                if protocol.mapping == Mapping::ChipAuthentication {
                    let data = self.chip_data(&protocol, &map_pair?, &suite.derive(&secret, 1))?;
                    answer.extend(element(0x8A, &data));
                }
                self.next_session = Some(SecureMessaging::from_secret(suite, &secret));
                Some(answer)
            }
        }
    }

    /// The mapping secret divided by the static secret, encrypted.
    fn chip_data(&self, protocol: &Protocol, map_pair: &KeyPair, enc: &[u8]) -> Option<Vec<u8>> {
        let Domain::Ec { curve, .. } = &protocol.domain else { return None };
        let secret = &self.mapping_key.as_ref()?.secret;
        let inverse = secret.modpow(&(&curve.n - 2u8), &curve.n);
        let quotient = &map_pair.secret * inverse % &curve.n;
        let plain = crate::cipher::pad(&fixed(&quotient, curve.order_bytes()), 16);
        protocol.suite.encrypt(enc, &protocol.chip_data_iv(enc)?, &plain)
    }

    fn sign_challenge(&mut self, challenge: &[u8]) -> Option<Vec<u8>> {
        match self.active_key.clone()? {
            SigningKey::Ec { curve, secret, .. } => {
                let digest = Hash::Sha256.digest(challenge);
                let (r, s) = sign_ecdsa(curve, &secret, &digest, &mut *self.entropy);
                let size = curve.order_bytes();
                Some([fixed(&r, size), fixed(&s, size)].concat())
            }
            SigningKey::Rsa { key, .. } => {
                let size = key.public.size();
                let mut recovered = vec![0; size.checked_sub(1 + 32 + 2)?];
                self.entropy.fill(&mut recovered);
                let digest = Hash::Sha256.digest(&[recovered.as_slice(), challenge].concat());
                let block = [&[0x6A], recovered.as_slice(), &digest, &[0x34, 0xCC]].concat();
                Some(key.sign_block(&block))
            }
        }
    }
}

/// ChipAuthenticationPublicKeyInfo; `arc` 1 for DH, 2 for ECDH.
fn key_info(arc: u8, spki: &[u8]) -> Vec<u8> {
    let oid = Oid::new(&format!("{}.{arc}", crate::lds::security_infos::PUBLIC_KEY));
    wrap(tag::SEQUENCE, &[&oid.to_der(), spki])
}

/// A key that names its parameters by their standardised id.
fn standardised_spki(domain: &Domain, public: &Public, id: u32) -> Vec<u8> {
    let algorithm =
        wrap(tag::SEQUENCE, &[&Oid::new("0.4.0.127.0.7.1.2").to_der(), &integer(&id.to_be_bytes())]);
    let encoded = match public {
        Public::Point(_) => domain.encode(public),
        Public::Number(n) => integer(&n.to_bytes_be()),
    };
    wrap(tag::SEQUENCE, &[&algorithm, &element(tag::BIT_STRING, &[&[0], encoded.as_slice()].concat())])
}

/// DG2 with one ISO/IEC 19794-5 record.
fn face_group(image: &[u8]) -> Vec<u8> {
    let length = u32::try_from(image.len()).unwrap_or(0);
    let mut record = b"FAC\x00010\x00".to_vec();
    record.extend((length + 46).to_be_bytes());
    record.extend([0, 1]);
    record.extend((length + 32).to_be_bytes());
    record.extend([0; 16]);
    record.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    record.extend_from_slice(image);
    let header = element(0xA1, &[element(0x87, &[1, 1]), element(0x88, &[0, 8])].concat());
    let template = wrap(0x7F60, &[&header, &element(0x5F2E, &record)]);
    element(0x75, &wrap(0x7F61, &[&integer(&[1]), &template]))
}

/// A repeatable source of bytes for tests, from a seed. Never for anything that must stay secret.
pub fn seeded(seed: u64) -> impl FnMut(&mut [u8]) + Send {
    let mut counter = 0u64;
    move |bytes: &mut [u8]| {
        for chunk in bytes.chunks_mut(32) {
            let block = Hash::Sha256.digest(&[seed.to_be_bytes(), counter.to_be_bytes()].concat());
            counter += 1;
            for (to, from) in chunk.iter_mut().zip(block) {
                *to = from;
            }
        }
    }
}

/// Runs a terminal against a chip as an honest carrier would, and gives the last step.
pub fn run(terminal: &mut crate::terminal::Terminal, chip: &mut Chip) -> crate::terminal::Step {
    use crate::terminal::Step;
    let mut step = terminal.start();
    while let Step::Send(batch) = &step {
        let responses = carry(chip, batch);
        step = terminal.on_responses(&responses);
    }
    step
}

/// What a carrier does with one batch: sends in order, stops after the first answer that is not 9000.
pub fn carry(chip: &mut Chip, batch: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut responses = Vec::with_capacity(batch.len());
    for command in batch {
        let response = chip.transmit(command);
        let stop = !response.ends_with(&[0x90, 0x00]);
        responses.push(response);
        if stop {
            break;
        }
    }
    responses
}

/// A moment inside the validity of everything the simulator issues.
pub const NOW: Time = Time(1_790_000_000);
