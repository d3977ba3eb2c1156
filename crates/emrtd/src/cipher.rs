//! The symmetric suites of secure messaging: 3DES and AES-128, -192, -256, with their key derivation,
//! CBC, MAC and padding (ICAO 9303-11 9.7, 9.8).

use crate::hash::Hash;
use aes::cipher::{Array, Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit};

/// A suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Suite {
    /// Two-key 3DES in CBC mode, retail MAC.
    #[serde(rename = "3DES")]
    Tdes,
    /// AES-128, CMAC.
    #[serde(rename = "AES-128")]
    Aes128,
    /// AES-192, CMAC.
    #[serde(rename = "AES-192")]
    Aes192,
    /// AES-256, CMAC.
    #[serde(rename = "AES-256")]
    Aes256,
}

impl Suite {
    /// All of them.
    pub const ALL: [Suite; 4] = [Suite::Tdes, Suite::Aes128, Suite::Aes192, Suite::Aes256];

    /// The suite a protocol identifier's last arc names (1 to 4).
    pub fn from_arc(arc: &str) -> Option<Self> {
        match arc {
            "1" => Some(Suite::Tdes),
            "2" => Some(Suite::Aes128),
            "3" => Some(Suite::Aes192),
            "4" => Some(Suite::Aes256),
            _ => None,
        }
    }

    /// The last arc of protocol identifiers.
    pub fn arc(self) -> u8 {
        match self {
            Suite::Tdes => 1,
            Suite::Aes128 => 2,
            Suite::Aes192 => 3,
            Suite::Aes256 => 4,
        }
    }

    /// Length of a key in bytes.
    pub fn key_size(self) -> usize {
        match self {
            Suite::Tdes | Suite::Aes128 => 16,
            Suite::Aes192 => 24,
            Suite::Aes256 => 32,
        }
    }

    /// Length of a block in bytes.
    pub fn block_size(self) -> usize {
        if self == Suite::Tdes { 8 } else { 16 }
    }

    /// Derives a key from a shared secret (9.7.1); `purpose` 1 encrypts, 2 authenticates, 3 is the password's.
    pub fn derive(self, secret: &[u8], purpose: u32) -> Vec<u8> {
        let input = [secret, &purpose.to_be_bytes()].concat();
        let hash = if matches!(self, Suite::Tdes | Suite::Aes128) { Hash::Sha1 } else { Hash::Sha256 };
        let mut key = hash.digest(&input);
        key.truncate(self.key_size());
        if self == Suite::Tdes {
            for byte in &mut key {
                *byte = (*byte & 0xFE) | u8::from((*byte & 0xFE).count_ones() % 2 == 0);
            }
        }
        key
    }

    fn each_block(self, key: &[u8], data: &mut [u8], iv: &[u8], encrypt: bool) -> Option<()> {
        match self {
            Suite::Tdes => cbc(&des::TdesEde2::new_from_slice(key).ok()?, data, iv, encrypt),
            Suite::Aes128 => cbc(&aes::Aes128::new_from_slice(key).ok()?, data, iv, encrypt),
            Suite::Aes192 => cbc(&aes::Aes192::new_from_slice(key).ok()?, data, iv, encrypt),
            Suite::Aes256 => cbc(&aes::Aes256::new_from_slice(key).ok()?, data, iv, encrypt),
        }
    }

    /// Encrypts whole blocks in CBC mode; `None` when key, vector or data have a wrong length.
    pub fn encrypt(self, key: &[u8], iv: &[u8], data: &[u8]) -> Option<Vec<u8>> {
        let mut out = data.to_vec();
        self.each_block(key, &mut out, iv, true)?;
        Some(out)
    }

    /// Decrypts whole blocks in CBC mode.
    pub fn decrypt(self, key: &[u8], iv: &[u8], data: &[u8]) -> Option<Vec<u8>> {
        let mut out = data.to_vec();
        self.each_block(key, &mut out, iv, false)?;
        Some(out)
    }

    /// The eight-byte MAC: retail MAC (ISO/IEC 9797-1 algorithm 3) over already padded data for 3DES, CMAC for AES.
    pub fn mac(self, key: &[u8], data: &[u8]) -> Option<[u8; 8]> {
        if self == Suite::Tdes {
            return retail_mac(key, data);
        }
        let zero = [0u8; 16];
        let block = |data: &[u8]| self.encrypt(key, &zero, data);
        // NIST SP 800-38B
        let double = |input: &[u8]| -> Vec<u8> {
            let mut out: Vec<u8> = Vec::with_capacity(16);
            for at in 0..16 {
                let next = input.get(at + 1).map_or(0, |b| b >> 7);
                out.push(input.get(at).map_or(0, |b| b << 1) | next);
            }
            if input.first().is_some_and(|b| b & 0x80 != 0)
                && let Some(last) = out.last_mut()
            {
                *last ^= 0x87;
            }
            out
        };
        let k1 = double(&block(&zero)?);
        let full = !data.is_empty() && data.len().is_multiple_of(16);
        let (mut padded, subkey) = if full { (data.to_vec(), k1) } else { (pad(data, 16), double(&k1)) };
        let last = padded.len().checked_sub(16)?;
        for (to, with) in padded.iter_mut().skip(last).zip(subkey) {
            *to ^= with;
        }
        let mac = self.encrypt(key, &zero, &padded)?;
        mac.get(last..last + 8)?.try_into().ok()
    }

    /// The MAC over data that this pads where the suite needs it.
    pub fn mac_padding(self, key: &[u8], data: &[u8]) -> Option<[u8; 8]> {
        if self == Suite::Tdes { self.mac(key, &pad(data, 8)) } else { self.mac(key, data) }
    }
}

fn cbc<C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser>(
    cipher: &C,
    data: &mut [u8],
    iv: &[u8],
    encrypt: bool,
) -> Option<()> {
    let size = C::block_size();
    if iv.len() != size || !data.len().is_multiple_of(size) {
        return None;
    }
    let mut chain = iv.to_vec();
    for chunk in data.chunks_exact_mut(size) {
        let mut block: Block<C> = Array::try_from(&*chunk).ok()?;
        if encrypt {
            for (b, c) in block.iter_mut().zip(&chain) {
                *b ^= c;
            }
            cipher.encrypt_block(&mut block);
            chunk.copy_from_slice(&block);
            chain.copy_from_slice(&block);
        } else {
            let next = chunk.to_vec();
            cipher.decrypt_block(&mut block);
            for ((to, b), c) in chunk.iter_mut().zip(block.iter()).zip(&chain) {
                *to = b ^ c;
            }
            chain = next;
        }
    }
    Some(())
}

fn retail_mac(key: &[u8], data: &[u8]) -> Option<[u8; 8]> {
    let (first, second) = key.split_at_checked(8)?;
    if second.len() != 8 || data.is_empty() || !data.len().is_multiple_of(8) {
        return None;
    }
    let one = des::Des::new_from_slice(first).ok()?;
    let two = des::Des::new_from_slice(second).ok()?;
    let mut state: Block<des::Des> = Array::default();
    for chunk in data.chunks_exact(8) {
        for (s, d) in state.iter_mut().zip(chunk) {
            *s ^= d;
        }
        one.encrypt_block(&mut state);
    }
    two.decrypt_block(&mut state);
    one.encrypt_block(&mut state);
    state.as_slice().try_into().ok()
}

/// Appends 80 and zeros to whole blocks (ISO/IEC 9797-1 padding method 2).
pub fn pad(data: &[u8], block: usize) -> Vec<u8> {
    let mut out = data.to_vec();
    out.push(0x80);
    while !out.len().is_multiple_of(block) {
        out.push(0);
    }
    out
}

/// Takes the padding off; `None` when it is none.
pub fn unpad(data: &[u8]) -> Option<&[u8]> {
    let end = data.iter().rposition(|b| *b != 0)?;
    (data.get(end) == Some(&0x80)).then(|| data.get(..end)).flatten()
}

/// Whether both are equal, in a time that does not depend on where they differ.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0u8, |difference, (x, y)| difference | (x ^ y)) == 0
}

/// Where random bytes come from; a parameter everywhere, so that every exchange can be replayed.
pub trait Entropy {
    /// Fills `bytes` with unpredictable bytes.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<F: FnMut(&mut [u8])> Entropy for F {
    fn fill(&mut self, bytes: &mut [u8]) {
        self(bytes);
    }
}

/// A random number in 1..`bound`, by drawing until one fits.
pub fn random_below(entropy: &mut dyn Entropy, bound: &num_bigint::BigUint) -> num_bigint::BigUint {
    let size = usize::try_from(bound.bits().div_ceil(8)).unwrap_or(1);
    let excess = u32::try_from(size as u64 * 8 - bound.bits()).unwrap_or(0);
    loop {
        let mut bytes = vec![0; size];
        entropy.fill(&mut bytes);
        if let Some(top) = bytes.first_mut() {
            *top &= 0xFFu8 >> excess;
        }
        let value = num_bigint::BigUint::from_bytes_be(&bytes);
        if value != num_bigint::BigUint::ZERO && value < *bound {
            return value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST SP 800-38B D.1 (AES-128), examples 1 and 3.
    #[test]
    fn cmac_gives_the_published_values() {
        let key = hex::decode("2b7e151628aed2a6abf7158809cf4f3c").expect("hex");
        let mac = |data: &str| {
            hex::encode(Suite::Aes128.mac(&key, &hex::decode(data).expect("hex")).expect("fits"))
        };
        assert_eq!(mac(""), "bb1d6929e9593728");
        assert_eq!(mac("6bc1bee22e409f96e93d7e117393172a"), "070a16b46b4d4144");
        assert_eq!(
            mac("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411"),
            "dfa66747de9ae630"
        );
    }

    /// ICAO 9303-11 appendix D.1.
    #[test]
    fn keys_of_the_worked_example_are_derived() {
        let seed = hex::decode("239ab9cb282daf66231dc5a4df6bfbae").expect("hex");
        assert_eq!(hex::encode(Suite::Tdes.derive(&seed, 1)), "ab94fdecf2674fdfb9b391f85d7f76f2");
        assert_eq!(hex::encode(Suite::Tdes.derive(&seed, 2)), "7962d9ece03d1acd4c76089dce131543");
    }

    #[test]
    fn padding_comes_off_only_where_it_is() {
        assert_eq!(unpad(&pad(b"abc", 8)), Some(&b"abc"[..]));
        assert_eq!(unpad(&[1, 2, 3]), None);
        assert_eq!(unpad(&[0, 0]), None);
    }
}
