//! WebPs that attack: 268 megapixels in thirty bytes, canvases that lie, animations.

use super::{dice::Dice, pack::LowBits};

pub(super) const MAGIC: &[u8] = b"RIFF";

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    out.extend_from_slice(kind);
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
    if data.len() % 2 == 1 {
        out.push(0);
    }
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&(chunks.len() as u32 + 4).to_le_bytes());
    out.extend_from_slice(b"WEBP");
    out.extend_from_slice(chunks);
    out
}

/// A lossless picture of one colour: no bit a pixel.
fn one_colour(width: u32, height: u32, dice: &mut Dice) -> Vec<u8> {
    let mut bits = LowBits::default();
    bits.put(0x2f, 8);
    bits.put(u64::from(width - 1), 14);
    bits.put(u64::from(height - 1), 14);
    bits.put(0, 4);
    // Transforms: none, or some, one after the other.
    if dice.percent(40) {
        for kind in 0..dice.between(1, 5) as u64 {
            bits.put(1, 1);
            bits.put(kind % 4, 2);
            match kind % 4 {
                // Subtract green has nothing of its own.
                2 => continue,
                3 => bits.put(255, 8),
                _ => bits.put(dice.next(), 3),
            }
            // A picture of its own: no cache, five codes of one symbol each.
            bits.put(0, 1);
            (0..5).for_each(|_| bits.put(0b0001, 4));
        }
    }
    bits.put(0, 1);
    if dice.percent(50) {
        bits.put(1, 1);
        bits.put(dice.between(1, 11) as u64, 4);
    } else {
        bits.put(0, 1);
    }
    bits.put(0, 1);
    // Five codes of one symbol each.
    for _ in 0..5 {
        bits.put(0b0001, 4);
    }
    let mut out = bits.done();
    out.extend_from_slice(&[0; 16]);
    out
}

pub(super) fn lossless_bomb(dice: &mut Dice) -> Vec<u8> {
    let sides = [4_000, 7_000, 12_000, 16_383, 16_384];
    let mut chunks = Vec::new();
    let (width, height) = (dice.number(&sides) as u32, dice.number(&[100, 4_000, 7_000, 16_384]) as u32);
    let data = one_colour(width, height, dice);
    chunk(&mut chunks, b"VP8L", &data);
    riff(&chunks)
}

/// A lossless picture whose codes are random.
pub(super) fn lossless_noise(dice: &mut Dice) -> Vec<u8> {
    let mut data = one_colour(dice.between(1, 8_000) as u32, dice.between(1, 6_000) as u32, dice);
    data.truncate(dice.between(5, 8));
    let length = dice.between(16, 60_000);
    data.extend(dice.bytes(length));
    let mut chunks = Vec::new();
    chunk(&mut chunks, b"VP8L", &data);
    riff(&chunks)
}

/// A lossy key frame of any size over any bytes.
fn key_frame(width: u16, height: u16, dice: &mut Dice) -> Vec<u8> {
    let first = dice.number(&[0, 10, 1_000, 0x7_ffff]) as u32;
    let tag = (first << 5) | 0x10 | (dice.below(4) as u32) << 1;
    let mut data = tag.to_le_bytes()[..3].to_vec();
    data.extend_from_slice(&[0x9d, 0x01, 0x2a]);
    data.extend_from_slice(&width.to_le_bytes());
    data.extend_from_slice(&height.to_le_bytes());
    let length = dice.between(100, 20_000);
    if dice.percent(50) {
        data.extend(std::iter::repeat_n(0, length));
    } else {
        data.extend(dice.bytes(length));
    }
    data
}

pub(super) fn lossy(dice: &mut Dice) -> Vec<u8> {
    let sides = [0, 1, 4_000, 7_000, 12_000, 16_383];
    let (width, height) = (dice.number(&sides) as u16, dice.number(&sides) as u16);
    let mut chunks = Vec::new();
    let data = key_frame(width, height, dice);
    chunk(&mut chunks, b"VP8 ", &data);
    riff(&chunks)
}

fn extended(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let mut data = vec![flags, 0, 0, 0];
    data.extend_from_slice(&width.wrapping_sub(1).to_le_bytes()[..3]);
    data.extend_from_slice(&height.wrapping_sub(1).to_le_bytes()[..3]);
    data
}

/// An extended header whose canvas is not that of the picture, with an alpha plane of its own size.
pub(super) fn canvas(dice: &mut Dice) -> Vec<u8> {
    let sides = [1, 64, 4_000, 12_000, 16_384, 1 << 24];
    let mut chunks = Vec::new();
    let flags = dice.next() as u8;
    chunk(&mut chunks, b"VP8X", &extended(flags, dice.number(&sides) as u32, dice.number(&sides) as u32));
    if dice.percent(60) {
        let mut alpha = vec![dice.next() as u8];
        let length = dice.below(5_000);
        alpha.extend(dice.bytes(length));
        chunk(&mut chunks, b"ALPH", &alpha);
    }
    if dice.percent(50) {
        let data = one_colour(dice.number(&[1, 64, 4_000, 16_384]) as u32, 64, dice);
        chunk(&mut chunks, b"VP8L", &data);
    } else {
        let data = key_frame(dice.number(&[1, 64, 4_000, 16_383]) as u16, 64, dice);
        chunk(&mut chunks, b"VP8 ", &data);
    }
    riff(&chunks)
}

/// Thousands of frames.
pub(super) fn animated(dice: &mut Dice) -> Vec<u8> {
    let mut chunks = Vec::new();
    let side = dice.number(&[64, 4_000, 16_384]) as u32;
    chunk(&mut chunks, b"VP8X", &extended(0x02, side, side));
    chunk(&mut chunks, b"ANIM", &[0; 6]);
    let mut frame = Vec::new();
    for value in [0, 0, side - 1, side - 1, 10] {
        frame.extend_from_slice(&u32::to_le_bytes(value)[..3]);
    }
    frame.push(0);
    let data = one_colour(side, side, dice);
    chunk(&mut frame, b"VP8L", &data);
    for _ in 0..dice.between(2, 8_000) {
        chunk(&mut chunks, b"ANMF", &frame);
    }
    riff(&chunks)
}

/// Chunks that claim other lengths than they have, and metadata in floods.
pub(super) fn lengths(dice: &mut Dice) -> Vec<u8> {
    let mut chunks = Vec::new();
    chunk(&mut chunks, b"VP8X", &extended(0x2c, 64, 64));
    for _ in 0..dice.between(1, 3_000) {
        let kind = dice.pick(&[b"ICCP", b"EXIF", b"XMP ", b"ABCD", b"VP8X"]);
        chunk(&mut chunks, kind, &[7; 20]);
    }
    let mut data = one_colour(64, 64, dice);
    data.truncate(dice.between(1, 20));
    chunk(&mut chunks, b"VP8L", &data);
    let mut out = riff(&chunks);
    for _ in 0..dice.below(4) {
        let at = 4 + dice.below(out.len() / 28) * 28;
        if let Some(field) = out.get_mut(at..at + 4) {
            field.copy_from_slice(
                &(dice.number(&[0, 1, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff]) as u32).to_le_bytes(),
            );
        }
    }
    out[..4].copy_from_slice(MAGIC);
    out
}
