//! Basic access control (ICAO 9303-11 4.3): a session from what is printed on the document.

use crate::apdu::Command;
use crate::cipher::{Entropy, Suite, equal};
use crate::hash::Hash;
use crate::messaging::SecureMessaging;

/// What opens the chip.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// The digest of document number, birth date and expiry date with their check digits.
    Mrz([u8; 20]),
    /// The card access number printed on the document; PACE only.
    Can(String),
}

impl std::fmt::Debug for Password {
    /// Holds personal data: nothing of it is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Password::Mrz(_)) { "Password::Mrz" } else { "Password::Can" })
    }
}

impl Password {
    /// From the document number (without fillers), birth and expiry date (YYMMDD).
    pub fn from_mrz(document_number: &str, date_of_birth: &str, date_of_expiry: &str) -> Self {
        let number = format!("{document_number:<<9}").to_ascii_uppercase();
        let mut information = String::new();
        for field in [number.as_str(), date_of_birth, date_of_expiry] {
            information.push_str(field);
            information.push(check_digit(field));
        }
        let mut digest = [0; 20];
        digest.copy_from_slice(&Hash::Sha1.digest(information.as_bytes()));
        Password::Mrz(digest)
    }

    /// The secret π that PACE derives its password key from (9.7.3).
    pub fn secret(&self) -> Vec<u8> {
        match self {
            Password::Mrz(digest) => digest.to_vec(),
            Password::Can(digits) => digits.as_bytes().to_vec(),
        }
    }

    /// How MSE:Set AT names it: 1 for the MRZ, 2 for the CAN.
    pub fn reference(&self) -> u8 {
        if matches!(self, Password::Mrz(_)) { 1 } else { 2 }
    }
}

/// The check digit of ICAO 9303-3 4.9.
fn check_digit(field: &str) -> char {
    let sum: u32 = field
        .chars()
        .zip([7, 3, 1].into_iter().cycle())
        .map(|(c, weight)| c.to_digit(36).unwrap_or(0) * weight)
        .sum();
    char::from_digit(sum % 10, 10).unwrap_or('0')
}

/// An exchange under way.
pub struct Bac {
    enc: Vec<u8>,
    mac: Vec<u8>,
    ours: [u8; 8],
    key: [u8; 16],
    theirs: [u8; 8],
}

const SUITE: Suite = Suite::Tdes;
const ZERO: [u8; 8] = [0; 8];

impl Bac {
    /// The first command.
    pub fn get_challenge() -> Command {
        Command::new(0x84, 0, 0, &[], Some(8))
    }

    /// Answers the chip's challenge; `None` when it is not eight bytes.
    pub fn authenticate(
        digest: &[u8; 20],
        challenge: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Option<(Self, Command)> {
        let seed = digest.get(..16)?;
        let (mut ours, mut key) = ([0; 8], [0; 16]);
        entropy.fill(&mut ours);
        entropy.fill(&mut key);
        let bac = Self {
            enc: SUITE.derive(seed, 1),
            mac: SUITE.derive(seed, 2),
            ours,
            key,
            theirs: challenge.try_into().ok()?,
        };
        let plain = [&bac.ours[..], &bac.theirs, &bac.key].concat();
        let data = bac.seal(&plain)?;
        Some((bac, Command::new(0x82, 0, 0, &data, Some(40))))
    }

    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut out = SUITE.encrypt(&self.enc, &ZERO, plain)?;
        let mac = SUITE.mac_padding(&self.mac, &out)?;
        out.extend(mac);
        Some(out)
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (encrypted, mac) = sealed.split_at_checked(32)?;
        if !equal(&SUITE.mac_padding(&self.mac, encrypted)?, mac) {
            return None;
        }
        SUITE.decrypt(&self.enc, &ZERO, encrypted)
    }

    /// Checks the chip's answer and opens the session; `None` when the chip does not know the password.
    pub fn finish(self, answer: &[u8]) -> Option<SecureMessaging> {
        let plain = self.open(answer)?;
        let (theirs, rest) = plain.split_at_checked(8)?;
        let (ours, their_key) = rest.split_at_checked(8)?;
        if theirs != self.theirs || ours != self.ours {
            return None;
        }
        session(&self.key, their_key, &self.theirs, &self.ours)
    }

    /// The chip's side: checks the terminal's command and gives the answer and the session.
    pub fn respond(
        digest: &[u8; 20],
        challenge: [u8; 8],
        data: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Option<(Vec<u8>, SecureMessaging)> {
        let seed = digest.get(..16)?;
        let mut key = [0; 16];
        entropy.fill(&mut key);
        let bac = Self {
            enc: SUITE.derive(seed, 1),
            mac: SUITE.derive(seed, 2),
            ours: challenge,
            key,
            theirs: ZERO,
        };
        let plain = bac.open(data)?;
        let (theirs, rest) = plain.split_at_checked(8)?;
        let (ours, their_key) = rest.split_at_checked(8)?;
        if ours != challenge {
            return None;
        }
        let answer = bac.seal(&[&challenge[..], theirs, &key].concat())?;
        Some((answer, session(their_key, &key, &challenge, theirs)?))
    }
}

/// Keys from both halves (9.7.1), counter from both challenges (9.8.6.3).
fn session(
    terminal: &[u8],
    chip: &[u8],
    chip_challenge: &[u8],
    terminal_challenge: &[u8],
) -> Option<SecureMessaging> {
    let seed: Vec<u8> = terminal.iter().zip(chip).map(|(a, b)| a ^ b).collect();
    let counter = [chip_challenge.get(4..)?, terminal_challenge.get(4..)?].concat();
    SecureMessaging::new(SUITE, SUITE.derive(&seed, 1), SUITE.derive(&seed, 2), counter)
}
