//! Packers that attackers use: streams of a few hundred bytes that unpack to gigabytes, and the plain codecs around them.

use std::io::Write as _;

use flate2::{Compress, Compression, FlushCompress, write::ZlibEncoder};

/// What one repeated block of a bomb unpacks to.
const BLOCK: usize = 1 << 20;

/// Packs bytes as zlib.
pub(super) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    // A vector takes every write.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// A zlib stream that unpacks to about `mebibytes` MiB of `unit` repeated, with a true check sum. A thousandth of that is sent.
pub(super) fn zlib_bomb(unit: &[u8], mebibytes: usize) -> Vec<u8> {
    let repeats = (BLOCK / unit.len().max(1)).max(1);
    let block = unit.repeat(repeats);
    let mut packed = Vec::with_capacity(8 * 1024);
    let mut deflate = Compress::new(Compression::best(), false);
    // A full flush ends on a byte and forgets what came before, so that the block can be repeated as it is.
    let _ = deflate.compress_vec(&block, &mut packed, FlushCompress::Full);
    let mut out = vec![0x78, 0x9c];
    for _ in 0..mebibytes {
        out.extend_from_slice(&packed);
    }
    out.extend_from_slice(&[0x03, 0x00]);
    out.extend_from_slice(&adler_repeated(&block, mebibytes).to_be_bytes());
    out
}

/// A zlib stream of a zlib stream: a few kilobytes that unpack, twice, to `mebibytes` MiB.
pub(super) fn double_bomb(unit: &[u8], mebibytes: usize) -> Vec<u8> {
    zlib(&zlib_bomb(unit, mebibytes))
}

/// Adler-32 of a block repeated, without walking through all of it.
fn adler_repeated(block: &[u8], times: usize) -> u32 {
    const MODULUS: u64 = 65_521;
    let length = block.len() as u64;
    let (mut sum, mut weighted) = (0, 0);
    for (index, byte) in block.iter().enumerate() {
        sum = (sum + u64::from(*byte)) % MODULUS;
        weighted = (weighted + (length - index as u64) % MODULUS * u64::from(*byte)) % MODULUS;
    }
    let (mut a, mut b) = (1, 0);
    for _ in 0..times {
        b = (b + length % MODULUS * a + weighted) % MODULUS;
        a = (a + sum) % MODULUS;
    }
    ((b << 16) | a) as u32
}

/// Writes numbers of any width, the highest bit first.
#[derive(Default)]
pub(super) struct HighBits {
    out: Vec<u8>,
    held: u64,
    bits: u32,
}

impl HighBits {
    pub(super) fn put(&mut self, value: u64, bits: u32) {
        self.held = (self.held << bits) | (value & ((1 << bits) - 1));
        self.bits += bits;
        while self.bits >= 8 {
            self.bits -= 8;
            self.out.push((self.held >> self.bits) as u8);
        }
    }

    pub(super) fn done(mut self) -> Vec<u8> {
        if self.bits > 0 {
            self.out.push((self.held << (8 - self.bits)) as u8);
        }
        self.out
    }
}

/// Writes numbers of any width, the lowest bit first.
#[derive(Default)]
pub(super) struct LowBits {
    out: Vec<u8>,
    held: u64,
    bits: u32,
}

impl LowBits {
    pub(super) fn put(&mut self, value: u64, bits: u32) {
        self.held |= (value & ((1 << bits) - 1)) << self.bits;
        self.bits += bits;
        while self.bits >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.bits -= 8;
        }
    }

    pub(super) fn done(mut self) -> Vec<u8> {
        if self.bits > 0 {
            self.out.push(self.held as u8);
        }
        self.out
    }
}

/// LZW as PDF and TIFF use it: `cycles` × 7.3 MB of one byte in `cycles` × 5.6 KB.
pub(super) fn lzw_bomb(byte: u8, cycles: usize) -> Vec<u8> {
    let mut bits = HighBits::default();
    let width = |next: u64| {
        if next < 511 {
            9
        } else if next < 1023 {
            10
        } else if next < 2047 {
            11
        } else {
            12
        }
    };
    let mut last = 9;
    for _ in 0..cycles {
        bits.put(256, last);
        bits.put(u64::from(byte), 9);
        // The table's next entry is always the one just used, one byte longer.
        for code in 258..4_093 {
            last = width(code);
            bits.put(code, last);
        }
    }
    bits.put(257, last);
    bits.done()
}

/// Run lengths as PDF and TIFF (PackBits) use them: 128 bytes from two.
pub(super) fn run_length_bomb(byte: u8, kilobytes: usize) -> Vec<u8> {
    [129, byte].repeat(kilobytes * 8)
}

pub(super) fn ascii_hex(bytes: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    out.push(b'>');
    out
}

pub(super) fn ascii_85(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 5 / 4 + 8);
    for chunk in bytes.chunks(4) {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        let mut value = u32::from_be_bytes(word);
        if chunk.len() == 4 && value == 0 {
            out.push(b'z');
            continue;
        }
        let mut digits = [0; 5];
        for digit in digits.iter_mut().rev() {
            *digit = b'!' + (value % 85) as u8;
            value /= 85;
        }
        out.extend_from_slice(&digits[..=chunk.len()]);
    }
    out.extend_from_slice(b"~>");
    out
}

pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// RC4, for encrypted PDFs.
pub(super) fn rc4(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut state: Vec<u8> = (0..=255).collect();
    let mut j = 0_usize;
    for i in 0..256 {
        j = (j + usize::from(state[i]) + usize::from(key[i % key.len()])) & 255;
        state.swap(i, j);
    }
    let (mut i, mut j) = (0_usize, 0_usize);
    bytes
        .iter()
        .map(|byte| {
            i = (i + 1) & 255;
            j = (j + usize::from(state[i])) & 255;
            state.swap(i, j);
            byte ^ state[(usize::from(state[i]) + usize::from(state[j])) & 255]
        })
        .collect()
}

/// MD5 (RFC 1321), for the keys of encrypted PDFs.
pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    const TURNS: [u32; 16] = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
    let mut message = bytes.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&(bytes.len() as u64 * 8).to_le_bytes());
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in message.chunks_exact(64) {
        let words: Vec<u32> =
            block.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64 {
            let (mixed, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), 7 * step % 16),
            };
            let constant = ((step as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mixed).wrapping_add(constant).wrapping_add(words[word]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(TURNS[step / 16 * 4 + step % 4]));
        }
        for (total, part) in state.iter_mut().zip([a, b, c, d]) {
            *total = total.wrapping_add(part);
        }
    }
    let mut out = [0; 16];
    for (to, from) in out.chunks_exact_mut(4).zip(state) {
        to.copy_from_slice(&from.to_le_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_zlib_bomb_unpacks_with_a_true_check_sum() {
        let bomb = zlib_bomb(b"0 0 9 9 re f\n", 3);
        assert!(bomb.len() < 20_000, "{}", bomb.len());
        let mut out = Vec::new();
        flate2::read::ZlibDecoder::new(&bomb[..]).read_to_end(&mut out).unwrap();
        assert!(out.len() > 3_000_000 && out.starts_with(b"0 0 9 9 re f\n0 0 9"));
        let mut inner = Vec::new();
        flate2::read::ZlibDecoder::new(&double_bomb(b"\0", 8)[..]).read_to_end(&mut inner).unwrap();
        assert_eq!(inner, zlib_bomb(b"\0", 8));
    }

    #[test]
    fn md5_and_rc4_agree_with_their_published_vectors() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        // RFC 1321, A.5.
        assert_eq!(hex(&md5(b"")), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hex(&md5(b"message digest")), "f96b697d7cb7938d525a2f31aaf161d0");
        // RFC 6229, section 2: the first bytes of the key stream of 0102030405.
        assert_eq!(hex(&rc4(&[1, 2, 3, 4, 5], &[0; 8])), "b2396305f03dc027");
    }

    #[test]
    fn texts_of_bytes_are_written_as_their_standards_say() {
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
        assert_eq!(base64(b"fooba"), "Zm9vYmE=");
        assert_eq!(base64(b"foob"), "Zm9vYg==");
        assert_eq!(ascii_85(b"Man "), b"9jqo^~>");
        assert_eq!(ascii_85(&[0, 0, 0, 0, 77]), b"z9`~>".to_vec());
        assert_eq!(ascii_hex(&[0x4f, 1]), b"4f01>");
    }
}
