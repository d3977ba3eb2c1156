//! TIFFs that attack: every compression as a bomb, directories that loop, counts that lie, strips by the hundred thousand.

use super::{dice::Dice, jpeg, pack};

/// What one directory holds before it is laid out.
struct Directory {
    big_endian: bool,
    out: Vec<u8>,
    entries: Vec<(u16, u16, u32, [u8; 4])>,
}

impl Directory {
    fn new(dice: &mut Dice) -> Self {
        let big_endian = dice.percent(50);
        let mut directory = Self { big_endian, out: Vec::new(), entries: Vec::new() };
        let start = if big_endian { b"MM" } else { b"II" };
        directory.out.extend_from_slice(start);
        let version = directory.u16(42);
        directory.out.extend_from_slice(&version);
        directory.out.extend_from_slice(&[0; 4]);
        directory
    }

    fn u16(&self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(&self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    /// Adds bytes; gives where they lie.
    fn data(&mut self, bytes: &[u8]) -> u32 {
        if self.out.len() % 2 == 1 {
            self.out.push(0);
        }
        self.out.extend_from_slice(bytes);
        (self.out.len() - bytes.len()) as u32
    }

    /// An entry whose value stands in it as it is.
    fn entry(&mut self, tag: u16, kind: u16, count: u32, value: u32) {
        let field = if kind == 3 && count == 1 {
            let short = self.u16(value as u16);
            [short[0], short[1], 0, 0]
        } else {
            self.u32(value)
        };
        self.entries.push((tag, kind, count, field));
    }

    fn short(&mut self, tag: u16, value: u32) {
        self.entry(tag, 3, 1, value);
    }

    fn long(&mut self, tag: u16, value: u32) {
        self.entry(tag, 4, 1, value);
    }

    fn longs(&mut self, tag: u16, values: &[u32]) {
        if let [one] = values {
            return self.long(tag, *one);
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| self.u32(*value)).collect();
        let at = self.data(&bytes);
        self.entry(tag, 4, values.len() as u32, at);
    }

    fn shorts(&mut self, tag: u16, values: &[u16]) {
        if let [one] = values {
            return self.short(tag, u32::from(*one));
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| self.u16(*value)).collect();
        if let [a, b, c, d] = bytes[..] {
            self.entries.push((tag, 3, 2, [a, b, c, d]));
            return;
        }
        let at = self.data(&bytes);
        self.entry(tag, 3, values.len() as u32, at);
    }

    /// Writes the directory and the pointer to it; `next` is where the one after it lies.
    fn done(mut self, next: u32) -> Vec<u8> {
        self.entries.sort_by_key(|(tag, ..)| *tag);
        let at = self.data(&[]);
        let count = self.u16(self.entries.len() as u16);
        self.out.extend_from_slice(&count);
        for (tag, kind, count, field) in std::mem::take(&mut self.entries) {
            let (tag, kind, count) = (self.u16(tag), self.u16(kind), self.u32(count));
            self.out.extend_from_slice(&tag);
            self.out.extend_from_slice(&kind);
            self.out.extend_from_slice(&count);
            self.out.extend_from_slice(&field);
        }
        let next = self.u32(next);
        self.out.extend_from_slice(&next);
        let pointer = self.u32(at);
        self.out[4..8].copy_from_slice(&pointer);
        self.out
    }

    fn picture(&mut self, width: u32, height: u32, bits: &[u16], compression: u32, photometric: u32) {
        self.long(256, width);
        self.long(257, height);
        self.shorts(258, bits);
        self.short(259, compression);
        self.short(262, photometric);
        self.short(277, bits.len() as u32);
    }
}

/// A strip that unpacks, by its compression, to far more or far less than it must.
fn packed(compression: u64, dice: &mut Dice) -> Vec<u8> {
    let mut strip = match compression {
        5 => pack::lzw_bomb(0, dice.between(1, 20)),
        6 | 7 => jpeg::any(dice),
        8 | 32_946 => pack::zlib_bomb(b"\0", dice.between(1, 500)),
        32_773 => pack::run_length_bomb(0, dice.between(10, 20_000)),
        _ => {
            let length = dice.between(1, 60_000);
            if dice.percent(50) { vec![0; length] } else { dice.bytes(length) }
        }
    };
    strip.truncate(600_000);
    strip
}

const COMPRESSIONS: [u64; 13] = [1, 2, 3, 4, 5, 6, 7, 8, 32_773, 32_946, 34_712, 50_000, 50_001];

/// One strip of any compression in a picture of any size.
pub(super) fn strips(dice: &mut Dice) -> Vec<u8> {
    let compression = dice.number(&COMPRESSIONS);
    let strip = packed(compression, dice);
    let mut directory = Directory::new(dice);
    let (width, height) = (dice.between(100, 12_000) as u32, dice.between(100, 8_000) as u32);
    let bits = [&[1][..], &[8], &[8, 8, 8], &[8, 8, 8, 8], &[16, 16, 16], &[4]][dice.below(6)];
    let photometric = dice.number(&[0, 1, 2, 3, 5, 6, 8]) as u32;
    directory.picture(width, height, bits, compression as u32, photometric);
    let at = directory.data(&strip);
    directory.long(273, at);
    directory.long(278, height);
    directory.long(279, strip.len() as u32);
    if dice.percent(30) {
        directory.short(317, dice.number(&[1, 2, 3, 34_892]) as u32);
    }
    directory.done(0)
}

/// A bomb of deflate, LZW or PackBits as large as its picture: everything is true, only large.
pub(super) fn flood(dice: &mut Dice) -> Vec<u8> {
    let compression = dice.number(&[5, 8, 32_773]);
    let (width, height) = (dice.between(2_000, 12_000), dice.between(1_000, 6_000));
    let bytes = width * height * 3;
    let strip = match compression {
        5 => pack::lzw_bomb(0, bytes / 7_000_000 + 1),
        8 => pack::zlib_bomb(b"\0", (bytes >> 20) + 1),
        _ => pack::run_length_bomb(0, (bytes / 1_024).min(60_000)),
    };
    let mut directory = Directory::new(dice);
    directory.picture(width as u32, height as u32, &[8, 8, 8], compression as u32, 2);
    let at = directory.data(&strip);
    directory.long(273, at);
    directory.long(278, height as u32);
    directory.long(279, strip.len() as u32);
    directory.done(0)
}

/// Tiles of all sizes that all lie in the same few bytes.
pub(super) fn tiles(dice: &mut Dice) -> Vec<u8> {
    let compression = dice.number(&COMPRESSIONS);
    let tile = packed(compression, dice);
    let mut directory = Directory::new(dice);
    let (width, height) = (
        dice.number(&[64, 4_000, 12_000, 65_535, 0xffff_ffff]),
        dice.number(&[64, 4_000, 8_000, 0xffff_ffff]),
    );
    directory.picture(width as u32, height as u32, &[8, 8, 8], compression as u32, 2);
    let (tile_width, tile_height) =
        (dice.number(&[0, 1, 16, 256, 65_536, 0xffff_fff0]), dice.number(&[0, 1, 16, 256, 0xffff_fff0]));
    directory.long(322, tile_width as u32);
    directory.long(323, tile_height as u32);
    let at = directory.data(&tile);
    let count = dice.number(&[1, 100, 60_000]) as usize;
    directory.longs(324, &vec![at; count]);
    directory.longs(325, &vec![tile.len() as u32; count]);
    directory.done(0)
}

/// A strip for every row, by the ten thousand.
pub(super) fn many_strips(dice: &mut Dice) -> Vec<u8> {
    let compression = dice.number(&[1, 5, 8, 32_773, 7]);
    let strip = match compression {
        8 => pack::zlib(&[0; 300]),
        7 => jpeg::huge(dice),
        5 => pack::lzw_bomb(0, 1),
        _ => vec![0; 300],
    };
    let mut directory = Directory::new(dice);
    let rows = dice.number(&[1_000, 12_000, 60_000]) as usize;
    directory.picture(100, rows as u32, &[8, 8, 8], compression as u32, 2);
    let at = directory.data(&strip);
    directory.longs(273, &vec![at; rows]);
    directory.long(278, 1);
    directory.longs(279, &vec![strip.len() as u32; rows]);
    directory.done(0)
}

/// Sample kinds that few decoders expect: 32 and 64 bits, floating point, planes, hundreds of samples a pixel.
pub(super) fn samples(dice: &mut Dice) -> Vec<u8> {
    let depth = dice.number(&[1, 2, 3, 12, 16, 24, 32, 64, 65_535]) as u16;
    let count = dice.number(&[1, 2, 3, 4, 5, 100, 30_000]) as usize;
    let compression = dice.number(&[1, 5, 8]);
    let strip = packed(compression, dice);
    let mut directory = Directory::new(dice);
    let (width, height) = (dice.between(1, 3_000) as u32, dice.between(1, 3_000) as u32);
    directory.picture(
        width,
        height,
        &vec![depth; count],
        compression as u32,
        dice.number(&[0, 1, 2, 3, 5, 6, 8, 32_845]) as u32,
    );
    directory.shorts(339, &vec![dice.number(&[1, 2, 3, 4, 5, 6]) as u16; count]);
    directory.short(284, dice.number(&[1, 2, 3]) as u32);
    let at = directory.data(&strip);
    let planes = if dice.percent(50) { count.min(10_000) } else { 1 };
    directory.longs(273, &vec![at; planes]);
    directory.long(278, height);
    directory.longs(279, &vec![strip.len() as u32; planes]);
    if dice.percent(40) {
        directory.short(317, dice.number(&[2, 3]) as u32);
    }
    if dice.percent(30) {
        directory.shorts(530, &[dice.number(&[0, 1, 4, 65_535]) as u16, dice.number(&[0, 2, 4, 255]) as u16]);
    }
    directory.done(0)
}

/// Entries whose kinds and counts reach past the file and past memory.
pub(super) fn lying_counts(dice: &mut Dice) -> Vec<u8> {
    let mut directory = Directory::new(dice);
    directory.picture(640, 480, &[8, 8, 8], dice.number(&[1, 5, 7, 8]) as u32, 2);
    let at = directory.data(&[0; 600]);
    directory.long(273, at);
    directory.long(278, 480);
    directory.long(279, dice.number(&[600, 0, 0x7fff_ffff, 0xffff_ffff]) as u32);
    for _ in 0..dice.between(1, 400) {
        let tag = dice.number(&[258, 273, 279, 320, 324, 330, 347, 34_665, 34_675, 700, 339, 65_000]) as u16;
        let kind = dice.number(&[0, 1, 2, 3, 4, 5, 10, 12, 13, 16, 255]) as u16;
        let count = dice.number(&[0, 1, 65_535, 0x2000_0000, 0x7fff_ffff, 0xffff_ffff]) as u32;
        let value = if dice.percent(50) { at } else { dice.next() as u32 };
        directory.entry(tag, kind, count, value);
    }
    directory.done(if dice.percent(30) { 8 } else { 0 })
}

/// Directories that point at themselves, at each other, and at sub-directories that point back. Also used as EXIF.
pub(super) fn directories(dice: &mut Dice) -> Vec<u8> {
    let big_endian = dice.percent(50);
    let write16 = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let write32 = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut out = if big_endian { b"MM".to_vec() } else { b"II".to_vec() };
    out.extend_from_slice(&write16(42));
    out.extend_from_slice(&write32(8));
    let count = dice.number(&[1, 2, 10, 1_000]) as u32;
    let entries = 3_u32;
    let size = 2 + entries * 12 + 4;
    for index in 0..count {
        let somewhere = |dice: &mut Dice| 8 + size * dice.below(count as usize) as u32;
        out.extend_from_slice(&write16(entries as u16));
        for tag in [330_u16, 34_665, 34_853] {
            out.extend_from_slice(&write16(tag));
            out.extend_from_slice(&write16(4));
            out.extend_from_slice(&write32(1));
            out.extend_from_slice(&write32(somewhere(dice)));
        }
        let next = if index + 1 < count { 8 + size * (index + 1) } else { somewhere(dice) };
        out.extend_from_slice(&write32(next));
    }
    out
}

/// A TIFF with 64-bit offsets.
pub(super) fn big(dice: &mut Dice) -> Vec<u8> {
    let mut out = b"II\x2b\0\x08\0\0\0".to_vec();
    out.extend_from_slice(&16_u64.to_le_bytes());
    let count = dice.number(&[0, 1, 20, 0xffff, u64::MAX]);
    out.extend_from_slice(&count.to_le_bytes());
    for _ in 0..count.min(20) {
        let tag = dice.number(&[256, 257, 258, 259, 262, 273, 277, 278, 279, 324]) as u16;
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&(dice.number(&[3, 4, 16, 13]) as u16).to_le_bytes());
        out.extend_from_slice(&dice.number(&[1, 3, 1 << 40, u64::MAX]).to_le_bytes());
        out.extend_from_slice(&dice.number(&[1, 8, 16, 640, u64::MAX]).to_le_bytes());
    }
    out.extend_from_slice(&16_u64.to_le_bytes());
    out
}
