//! PNGs that attack: bombs in every compressed chunk, sizes that lie, floods of chunks, animations.

use flate2::Crc;

use super::{dice::Dice, pack};

pub(super) const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Adds a chunk with a true check sum.
pub(super) fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    out.extend_from_slice(kind);
    out.extend_from_slice(data);
    out.extend_from_slice(&crc.sum().to_be_bytes());
}

fn header(width: u32, height: u32, depth: u8, colour: u8, interlaced: bool) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    let mut data = Vec::new();
    data.extend_from_slice(&width.to_be_bytes());
    data.extend_from_slice(&height.to_be_bytes());
    data.extend_from_slice(&[depth, colour, 0, 0, u8::from(interlaced)]);
    chunk(&mut out, b"IHDR", &data);
    out
}

fn end(mut out: Vec<u8>) -> Vec<u8> {
    chunk(&mut out, b"IEND", &[]);
    out
}

/// A small honest picture, before its `IEND`.
fn small(extra: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = header(64, 64, 8, 2, false);
    extra(&mut out);
    chunk(&mut out, b"IDAT", &pack::zlib(&vec![0; 64 * (64 * 3 + 1)]));
    end(out)
}

/// A picture whose every pixel is there, up to hundreds of megapixels.
pub(super) fn flood(dice: &mut Dice) -> Vec<u8> {
    let (depth, colour, bits) =
        [(1, 0, 1), (8, 0, 8), (8, 2, 24), (16, 6, 64), (8, 6, 32), (8, 4, 16)][dice.below(6)];
    let side = dice.between(2_000, 30_000) as u32;
    let height = dice.between(500, 30_000) as u32;
    let bytes = u64::from(height) * (u64::from(side) * bits / 8 + 2);
    let mut out = header(side, height, depth, colour, dice.percent(30));
    chunk(&mut out, b"IDAT", &pack::zlib_bomb(b"\0", ((bytes >> 20) + 1).min(700) as usize));
    end(out)
}

/// A header that promises what nothing follows.
pub(super) fn huge(dice: &mut Dice) -> Vec<u8> {
    let sides = [0, 1, 11_999, 12_000, 12_001, 65_535, 1 << 24, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    let mut out = header(
        dice.number(&sides) as u32,
        dice.number(&sides) as u32,
        dice.number(&[0, 1, 2, 4, 8, 16, 3, 255]) as u8,
        dice.number(&[0, 2, 3, 4, 6, 5, 255]) as u8,
        dice.percent(50),
    );
    chunk(&mut out, b"IDAT", &pack::zlib(&dice.bytes(64)));
    end(out)
}

/// Pixel data that go on long after the last pixel.
pub(super) fn excess(dice: &mut Dice) -> Vec<u8> {
    let mut out = header(64, 64, 8, 2, dice.percent(50));
    let bomb = pack::zlib_bomb(b"\0", dice.between(16, 700));
    let parts = dice.number(&[1, 2, 100, 4_000]) as usize;
    for part in bomb.chunks(bomb.len() / parts + 1) {
        chunk(&mut out, b"IDAT", part);
    }
    end(out)
}

/// Tens of thousands of chunks of next to nothing.
pub(super) fn many_chunks(dice: &mut Dice) -> Vec<u8> {
    let kind = dice.pick(&[b"tEXt", b"tIME", b"gAMA", b"PLTE", b"IDAT", b"abCd", b"sPLT", b"IHDR"]);
    let count = dice.between(5_000, 60_000);
    let data = [&b""[..], b"a\0b", b"\0\0\0"][dice.below(3)];
    small(|out| (0..count).for_each(|_| chunk(out, kind, data)))
}

/// A profile or text that unpacks to hundreds of megabytes.
pub(super) fn text_bomb(dice: &mut Dice) -> Vec<u8> {
    let bomb = pack::zlib_bomb(b"A", dice.between(16, 500));
    let (kind, mut data): (&[u8; 4], Vec<u8>) = match dice.below(3) {
        0 => (b"iCCP", b"profile\0\0".to_vec()),
        1 => (b"zTXt", b"Comment\0\0".to_vec()),
        _ => (b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0".to_vec()),
    };
    data.extend_from_slice(&bomb);
    let times = if data.len() < 100_000 { dice.between(1, 8) } else { 1 };
    small(|out| (0..times).for_each(|_| chunk(out, kind, &data)))
}

/// An animation of frames that lie about their number, sizes and order.
pub(super) fn animated(dice: &mut Dice) -> Vec<u8> {
    let mut out = header(64, 64, 8, 2, false);
    let mut control = (dice.number(&[0, 1, 1_000, 0x7fff_ffff, 0xffff_ffff]) as u32).to_be_bytes().to_vec();
    control.extend_from_slice(&[0; 4]);
    chunk(&mut out, b"acTL", &control);
    chunk(&mut out, b"IDAT", &pack::zlib(&vec![0; 64 * 193]));
    let pixels = pack::zlib_bomb(b"\0", dice.between(1, 16));
    for frame in 0..dice.between(1, 30) as u32 {
        let mut data = Vec::new();
        for value in [
            frame * 2,
            dice.number(&[64, 1, 65_535, 1 << 30]) as u32,
            64,
            0,
            dice.number(&[0, 0xffff_ffff]) as u32,
        ] {
            data.extend_from_slice(&value.to_be_bytes());
        }
        data.extend_from_slice(&[0, 0, 0, 0, 0, 1]);
        chunk(&mut out, b"fcTL", &data);
        let mut data = (frame * 2 + 1).to_be_bytes().to_vec();
        data.extend_from_slice(&pixels);
        chunk(&mut out, b"fdAT", &data);
    }
    end(out)
}

/// A palette picture whose pixels, palette and transparency do not fit together.
pub(super) fn palette(dice: &mut Dice) -> Vec<u8> {
    let depth = dice.number(&[1, 2, 4, 8]) as u8;
    let mut out = header(4_000, 3_000, depth, 3, dice.percent(50));
    let entries = dice.below(300);
    let length = entries * 3 + dice.below(3);
    chunk(&mut out, b"PLTE", &dice.bytes(length));
    let length = dice.below(400);
    chunk(&mut out, b"tRNS", &dice.bytes(length));
    chunk(&mut out, b"IDAT", &pack::zlib_bomb(&dice.bytes(97), 13));
    end(out)
}

/// An `eXIf` chunk whose directories point at themselves.
pub(super) fn exif(dice: &mut Dice) -> Vec<u8> {
    let data = super::tiff::directories(dice);
    small(|out| chunk(out, b"eXIf", &data))
}
