//! Password authenticated connection establishment (ICAO 9303-11 4.4): generic, integrated and chip
//! authentication mapping, over curves and prime fields, with every suite.
//!
//! [`Pace`] is the terminal's side without I/O: it gives commands and takes answers' data. The chip's
//! side is in the simulator and uses the same pieces.

use crate::agreement::{Domain, KeyPair, Public};
use crate::apdu::Command;
use crate::bac::Password;
use crate::ber::{Oid, Reader, element, wrap};
use crate::cipher::{Entropy, Suite, equal};
use crate::lds::security_infos::{PACE, SecurityInfos};
use crate::messaging::SecureMessaging;

/// How nonce and generator are tied together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Mapping {
    /// Generic mapping.
    #[serde(rename = "GM")]
    Generic,
    /// Integrated mapping.
    #[serde(rename = "IM")]
    Integrated,
    /// Chip authentication mapping.
    #[serde(rename = "CAM")]
    ChipAuthentication,
}

/// A PACE protocol with its parameters.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// Its identifier.
    pub oid: Oid,
    /// The mapping.
    pub mapping: Mapping,
    /// The suite of the session.
    pub suite: Suite,
    /// The domain parameters.
    pub domain: Domain,
    /// Their standardised id.
    pub parameter_id: u32,
}

impl Protocol {
    /// The protocol with this identifier and these parameters; `None` when it is not supported.
    pub fn new(oid: &Oid, parameter_id: u32) -> Option<Self> {
        let (kind, suite) = oid.below(PACE)?.split_once('.')?;
        let suite = Suite::from_arc(suite)?;
        let (wants_ec, mapping) = match kind {
            "1" => (false, Mapping::Generic),
            "2" => (true, Mapping::Generic),
            "3" => (false, Mapping::Integrated),
            "4" => (true, Mapping::Integrated),
            "6" => (true, Mapping::ChipAuthentication),
            _ => return None,
        };
        // chip authentication mapping is defined for AES only (9.2.3)
        if mapping == Mapping::ChipAuthentication && suite == Suite::Tdes {
            return None;
        }
        let domain = Domain::from_parameter_id(parameter_id)?;
        if matches!(domain, Domain::Ec { .. }) != wants_ec {
            return None;
        }
        Some(Self { oid: oid.clone(), mapping, suite, domain, parameter_id })
    }

    /// The best protocol that EF.CardAccess offers: one that also proves the chip first, then by suite.
    pub fn choose(infos: &SecurityInfos) -> Option<Self> {
        let rank = |p: &Protocol| {
            let mapping = match p.mapping {
                Mapping::ChipAuthentication => 2,
                Mapping::Generic => 1,
                Mapping::Integrated => 0,
            };
            (mapping, p.suite.arc(), matches!(p.domain, Domain::Ec { .. }))
        };
        infos.pace().filter_map(|(oid, id)| Protocol::new(oid, id?)).max_by_key(rank)
    }

    /// What the authentication token is computed over: the protocol and the other side's public key.
    pub fn token_input(&self, public: &Public) -> Vec<u8> {
        let tag = if matches!(self.domain, Domain::Ec { .. }) { 0x86 } else { 0x84 };
        wrap(0x7F49, &[&self.oid.to_der(), &element(tag, &self.domain.encode(public))])
    }

    /// Decrypts the nonce with the password's key.
    pub fn open_nonce(&self, password: &Password, encrypted: &[u8]) -> Option<Vec<u8>> {
        let key = self.suite.derive(&password.secret(), 3);
        self.suite.decrypt(&key, &vec![0; self.suite.block_size()], encrypted)
    }

    /// The chip authentication data of the mapping, decrypted (4.4.3.3.3).
    pub fn open_chip_data(&self, enc: &[u8], data: &[u8]) -> Option<Vec<u8>> {
        let iv = self.chip_data_iv(enc)?;
        let plain = self.suite.decrypt(enc, &iv, data)?;
        crate::cipher::unpad(&plain).map(<[u8]>::to_vec)
    }

    /// The vector for the chip authentication data: minus one, encrypted.
    pub fn chip_data_iv(&self, enc: &[u8]) -> Option<Vec<u8>> {
        self.suite.encrypt(enc, &[0; 16], &[0xFF; 16])
    }
}

/// Why the exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An answer that is none of this protocol.
    #[error("the chip's answer is malformed")]
    Malformed,
    /// A public key that is not of the agreed domain, or mirrors our own.
    #[error("the chip's public key is not sound")]
    Key,
    /// The chip does not know the password, or someone is in between.
    #[error("the chip does not know the password")]
    Token,
}

/// What chip authentication mapping left to be checked once EF.CardSecurity is read.
#[derive(Debug, Clone)]
pub struct ChipEvidence {
    /// The domain before mapping.
    pub domain: Domain,
    /// The chip's public key of the mapping.
    pub mapping_key: Public,
    /// What the chip proved its static key with.
    pub chip_data: Vec<u8>,
}

impl ChipEvidence {
    /// Whether the holder of `key` (from a genuine EF.CardSecurity) took part in the exchange:
    /// the chip data times the static key is the mapping key.
    pub fn proves(&self, key: &Public) -> bool {
        let scalar = num_bigint::BigUint::from_bytes_be(&self.chip_data);
        self.domain.agree(&scalar, key).as_ref() == Some(&self.mapping_key)
    }
}

/// The terminal's side, between two answers.
pub struct Pace {
    protocol: Protocol,
    password: Password,
    nonce: Vec<u8>,
    map_pair: Option<KeyPair>,
    map_nonce: Vec<u8>,
    mapped: Option<Domain>,
    mapping_key: Option<Public>,
    pair: Option<KeyPair>,
    theirs: Option<Public>,
    secret: Vec<u8>,
}

impl Pace {
    /// Starts with the two commands that may go out together: choosing the protocol, and asking for the nonce.
    pub fn start(protocol: Protocol, password: Password) -> (Self, [Command; 2]) {
        let data = [
            element(0x80, &protocol.oid.to_content()),
            element(0x83, &[password.reference()]),
            element(
                0x84,
                crate::ber::first(&crate::ber::integer(&protocol.parameter_id.to_be_bytes()))
                    .map_or(&[0][..], |i| i.content),
            ),
        ]
        .concat();
        let commands = [Command::new(0x22, 0xC1, 0xA4, &data, None), general_authenticate(&[], false)];
        let pace = Self {
            protocol,
            password,
            nonce: Vec::new(),
            map_pair: None,
            map_nonce: Vec::new(),
            mapped: None,
            mapping_key: None,
            pair: None,
            theirs: None,
            secret: Vec::new(),
        };
        (pace, commands)
    }

    /// The protocol.
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// Takes the encrypted nonce and gives the mapping command.
    pub fn on_nonce(&mut self, data: &[u8], entropy: &mut dyn Entropy) -> Result<Command, Error> {
        let encrypted = dynamic_data(data, 0x80)?;
        if encrypted.is_empty() || encrypted.len() > 64 {
            return Err(Error::Malformed);
        }
        self.nonce = self.protocol.open_nonce(&self.password, &encrypted).ok_or(Error::Malformed)?;
        if self.protocol.mapping == Mapping::Integrated {
            self.map_nonce = vec![0; self.protocol.suite.key_size()];
            entropy.fill(&mut self.map_nonce);
            return Ok(general_authenticate(&element(0x81, &self.map_nonce), false));
        }
        let pair = self.protocol.domain.generate(entropy);
        let public = self.protocol.domain.encode(&pair.public);
        self.map_pair = Some(pair);
        Ok(general_authenticate(&element(0x81, &public), false))
    }

    /// Takes the chip's mapping data and gives the key agreement command.
    pub fn on_mapping(&mut self, data: &[u8], entropy: &mut dyn Entropy) -> Result<Command, Error> {
        let theirs = dynamic_data(data, 0x82)?;
        let domain = &self.protocol.domain;
        let mapped = match &self.map_pair {
            Some(pair) => {
                let key = domain.decode(&theirs).ok_or(Error::Key)?;
                if key == pair.public {
                    return Err(Error::Key);
                }
                let shared = domain.agree(&pair.secret, &key).ok_or(Error::Key)?;
                let mapped = domain.map_generic(&self.nonce, &shared).ok_or(Error::Key)?;
                self.mapping_key = Some(key);
                mapped
            }
            None => {
                domain.map_integrated(self.protocol.suite, &self.nonce, &self.map_nonce).ok_or(Error::Key)?
            }
        };
        let pair = mapped.generate(entropy);
        let command = general_authenticate(&element(0x83, &mapped.encode(&pair.public)), false);
        self.pair = Some(pair);
        self.mapped = Some(mapped);
        Ok(command)
    }

    /// Takes the chip's public key and gives the token command.
    pub fn on_key(&mut self, data: &[u8]) -> Result<Command, Error> {
        let (Some(mapped), Some(pair)) = (&self.mapped, &self.pair) else { return Err(Error::Malformed) };
        let theirs = mapped.decode(&dynamic_data(data, 0x84)?).ok_or(Error::Key)?;
        if theirs == pair.public {
            return Err(Error::Key);
        }
        let shared = mapped.agree(&pair.secret, &theirs).ok_or(Error::Key)?;
        self.secret = mapped.secret_bytes(&shared);
        let token = self.token(&theirs)?;
        self.theirs = Some(theirs);
        Ok(general_authenticate(&element(0x85, &token), true))
    }

    fn token(&self, public: &Public) -> Result<[u8; 8], Error> {
        let suite = self.protocol.suite;
        let key = suite.derive(&self.secret, 2);
        suite.mac_padding(&key, &self.protocol.token_input(public)).ok_or(Error::Malformed)
    }

    /// Takes the chip's token and opens the session; with chip authentication mapping, gives what is left to check.
    pub fn finish(self, data: &[u8]) -> Result<(SecureMessaging, Option<ChipEvidence>), Error> {
        let pair = self.pair.as_ref().ok_or(Error::Malformed)?;
        let expected = self.token(&pair.public)?;
        if !equal(&expected, &dynamic_data(data, 0x86)?) {
            return Err(Error::Token);
        }
        let evidence = if self.protocol.mapping == Mapping::ChipAuthentication {
            let enc = self.protocol.suite.derive(&self.secret, 1);
            let encrypted = dynamic_data(data, 0x8A)?;
            let chip_data = self.protocol.open_chip_data(&enc, &encrypted).ok_or(Error::Malformed)?;
            let mapping_key = self.mapping_key.clone().ok_or(Error::Malformed)?;
            Some(ChipEvidence { domain: self.protocol.domain.clone(), mapping_key, chip_data })
        } else {
            None
        };
        Ok((SecureMessaging::from_secret(self.protocol.suite, &self.secret), evidence))
    }
}

/// GENERAL AUTHENTICATE with dynamic authentication data; all but the last of a chain have class 10.
pub fn general_authenticate(data: &[u8], last: bool) -> Command {
    let mut command = Command::new(0x86, 0, 0, &element(0x7C, data), Some(256));
    command.cla = if last { 0x00 } else { 0x10 };
    command
}

/// The value of `tag` inside dynamic authentication data (7C).
pub fn dynamic_data(data: &[u8], tag: u32) -> Result<Vec<u8>, Error> {
    let outer = Reader::new(data).expect(0x7C).map_err(|_| Error::Malformed)?;
    let fields = outer.children().map_err(|_| Error::Malformed)?;
    fields.iter().find(|f| f.tag == tag).map(|f| f.content.to_vec()).ok_or(Error::Malformed)
}
