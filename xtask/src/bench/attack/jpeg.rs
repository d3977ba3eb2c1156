//! JPEGs that attack: endless scans over large pictures, restart floods, tables without end, processes that few decoders know.

use super::dice::Dice;

pub(super) const MAGIC: &[u8] = b"\xff\xd8";

fn segment(out: &mut Vec<u8>, marker: u8, data: &[u8]) {
    out.extend_from_slice(&[0xff, marker]);
    out.extend_from_slice(&(data.len().min(65_533) as u16 + 2).to_be_bytes());
    out.extend_from_slice(&data[..data.len().min(65_533)]);
}

/// One quantisation table of ones, and Huffman tables of one code each: a bit "0" means `dc` or `ac`.
fn tables(out: &mut Vec<u8>, dc: u8, ac: u8) {
    let mut quantisers = vec![0];
    quantisers.extend_from_slice(&[1; 64]);
    segment(out, 0xdb, &quantisers);
    for (class, symbol) in [(0x00, dc), (0x10, ac)] {
        let mut table = vec![class, 1];
        table.extend_from_slice(&[0; 15]);
        table.push(symbol);
        segment(out, 0xc4, &table);
    }
}

/// A frame header; every component has the same sampling.
fn frame(out: &mut Vec<u8>, process: u8, bits: u8, width: u16, height: u16, components: u8, sampling: u8) {
    let mut data = vec![bits];
    data.extend_from_slice(&height.to_be_bytes());
    data.extend_from_slice(&width.to_be_bytes());
    data.push(components);
    for id in 1..=components {
        data.extend_from_slice(&[id, if id == 1 { sampling } else { 0x11 }, 0]);
    }
    segment(out, process, &data);
}

fn scan(out: &mut Vec<u8>, components: &[u8], spectrum: (u8, u8), approximation: u8) {
    let mut data = vec![components.len() as u8];
    for id in components {
        data.extend_from_slice(&[*id, 0]);
    }
    data.extend_from_slice(&[spectrum.0, spectrum.1, approximation]);
    segment(out, 0xda, &data);
}

const END: &[u8] = &[0xff, 0xd9];

/// A picture of one colour as large as its sender likes, two bits a block.
pub(super) fn flood(dice: &mut Dice) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    tables(&mut out, 0, 0);
    let (width, height) = (dice.between(3_000, 12_000) as u16, dice.between(1_000, 4_100) as u16);
    let components = dice.number(&[1, 3, 4]) as u8;
    let sampling = dice.number(&[0x11, 0x22, 0x44, 0x41]) as u8;
    frame(&mut out, 0xc0, 8, width, height, components, sampling);
    let ids: Vec<u8> = (1..=components).collect();
    scan(&mut out, &ids, (0, 63), 0);
    out.extend(std::iter::repeat_n(
        0,
        usize::from(width) * usize::from(height) / 64 * usize::from(components) / 4 + 64,
    ));
    out.truncate(1_000_000);
    out.extend_from_slice(END);
    out
}

/// A header that promises what does not follow, in every process.
pub(super) fn huge(dice: &mut Dice) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    tables(&mut out, 0, 0);
    let process = dice.number(&[0xc0, 0xc1, 0xc2, 0xc3, 0xc5, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xcf]) as u8;
    let sides = [0, 1, 8, 11_999, 12_000, 65_500, 65_535];
    let components = dice.number(&[0, 1, 2, 3, 4, 255]) as u8;
    let bits = dice.number(&[8, 12, 16, 2, 0, 255]) as u8;
    let sampling = dice.number(&[0x11, 0x22, 0x44, 0x00, 0xff, 0x14]) as u8;
    let (width, height) = (dice.number(&sides) as u16, dice.number(&sides) as u16);
    frame(&mut out, process, bits, width, height, components, sampling);
    scan(&mut out, &[1], (0, 63), 0);
    let length = dice.below(2_000);
    out.extend(dice.bytes(length).iter().filter(|byte| **byte != 0xff));
    out.extend_from_slice(END);
    out
}

/// A progressive picture of many megapixels, gone over again and again in scans of a few bytes.
pub(super) fn many_scans(dice: &mut Dice) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    // "0" and 14 bits: the end of a band for up to 32,767 blocks.
    tables(&mut out, 0, 0xe0);
    let side = dice.number(&[2_000, 4_000, 7_000, 12_000, 65_500]) as u16;
    frame(&mut out, 0xc2, 8, side, side.min(7_000), dice.number(&[1, 3]) as u8, 0x11);
    scan(&mut out, &[1], (0, 0), 1);
    out.extend(std::iter::repeat_n(0, dice.between(10, 2_000)));
    let count = dice.number(&[50, 99, 100, 101, 1_000, 20_000]) as usize;
    let band = dice.bytes(12);
    for number in 0..count {
        let first = 1 + (number % 63) as u8;
        let approximation = if number < 63 { 0x01 } else { 0x10 };
        scan(&mut out, &[1], (first, first), approximation);
        out.extend(band.iter().map(|byte| byte & 0x7f));
        if out.len() > 900_000 {
            break;
        }
    }
    out.extend_from_slice(END);
    out
}

/// Restart markers everywhere.
pub(super) fn restarts(dice: &mut Dice) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    tables(&mut out, 0, 0);
    segment(&mut out, 0xdd, &(dice.number(&[1, 2, 65_535]) as u16).to_be_bytes());
    frame(&mut out, dice.number(&[0xc0, 0xc2]) as u8, 8, 8_000, 6_000, 1, 0x11);
    scan(&mut out, &[1], (0, if dice.percent(50) { 63 } else { 0 }), 0);
    for number in 0..dice.between(1_000, 300_000) {
        out.extend_from_slice(&[0xff, 0xd0 + if dice.percent(99) { number as u8 % 8 } else { 3 }]);
        if dice.percent(20) {
            out.push(0);
        }
    }
    out.extend_from_slice(END);
    out
}

/// Tables defined over and over.
pub(super) fn many_tables(dice: &mut Dice) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    let count = dice.between(500, 6_000);
    for _ in 0..count {
        tables(&mut out, 0, 0);
    }
    frame(&mut out, 0xc0, 8, 640, 480, 1, 0x11);
    scan(&mut out, &[1], (0, 63), 0);
    out.extend_from_slice(&[0; 1_300]);
    out.extend_from_slice(END);
    out
}

/// Huffman tables that no encoder would write: too many codes, codes that overlap, none at all.
pub(super) fn wrong_tables(dice: &mut Dice) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for number in 0..dice.between(1, 8) as u8 {
        let mut table = vec![(number % 4) | if number & 4 == 0 { 0 } else { 0x10 }];
        table.extend((0..16).map(|_| dice.number(&[0, 0, 0, 1, 2, 16, 255]) as u8));
        let length = dice.below(300);
        table.extend(dice.bytes(length));
        segment(&mut out, 0xc4, &table);
    }
    let precision = dice.number(&[0x00, 0x10, 0x13, 0x40, 0xff]) as u8;
    let mut quantisers = vec![precision];
    let length = dice.number(&[0, 63, 64, 128]) as usize;
    quantisers.extend(dice.bytes(length));
    segment(&mut out, 0xdb, &quantisers);
    frame(&mut out, dice.number(&[0xc0, 0xc1, 0xc2]) as u8, 8, 3_000, 2_000, 3, 0x22);
    scan(&mut out, &[1, 2, 3], (0, 63), 0);
    let length = dice.below(20_000);
    out.extend(dice.bytes(length));
    out.extend_from_slice(END);
    out
}

/// Two frames, frames after scans, scans of components that are not there, a `DNL` with another height.
pub(super) fn disorder(dice: &mut Dice) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    tables(&mut out, 0, 0);
    for _ in 0..dice.between(2, 40) {
        match dice.below(6) {
            0 => {
                let sides = [0, 8, 64, 4_000, 65_535];
                let (width, height) = (dice.number(&sides) as u16, dice.number(&sides) as u16);
                frame(&mut out, dice.number(&[0xc0, 0xc2, 0xc1]) as u8, 8, width, height, 3, 0x21);
            }
            1 => {
                let length = dice.below(6);
                let components = dice.bytes(length);
                scan(&mut out, &components, (dice.below(70) as u8, dice.below(70) as u8), dice.next() as u8);
            }
            2 => segment(&mut out, 0xdc, &(dice.next() as u16).to_be_bytes()),
            3 => out.extend_from_slice(MAGIC),
            4 => tables(&mut out, dice.below(16) as u8, dice.next() as u8),
            _ => {
                let length = dice.below(4_000);
                out.extend(dice.bytes(length));
            }
        }
    }
    out.extend_from_slice(END);
    out
}

/// Metadata without end: EXIF whose directories loop, profiles in 255 pieces, comments.
pub(super) fn metadata(dice: &mut Dice) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for number in 0..dice.between(1, 14) as u8 {
        match dice.below(4) {
            0 => {
                let mut exif = b"Exif\0\0".to_vec();
                exif.extend(super::tiff::directories(dice));
                segment(&mut out, 0xe1, &exif);
            }
            1 => {
                let mut profile = b"ICC_PROFILE\0".to_vec();
                profile.extend_from_slice(&[number, dice.number(&[0, 1, 255]) as u8]);
                profile.extend(std::iter::repeat_n(7, 60_000));
                segment(&mut out, 0xe2, &profile);
            }
            2 => (0..dice.between(10, 2_000)).for_each(|_| segment(&mut out, 0xfe, b"x")),
            _ => segment(&mut out, 0xee, b"Adobe\0\x64\0\0\0\0\x02"),
        }
    }
    tables(&mut out, 0, 0);
    frame(&mut out, 0xc0, 8, 640, 480, dice.number(&[1, 3, 4]) as u8, 0x11);
    scan(&mut out, &[1], (0, 63), 0);
    out.extend_from_slice(&[0; 2_400]);
    out.extend_from_slice(END);
    out
}

/// One kind after another, for PDFs that hold a JPEG.
pub(super) fn any(dice: &mut Dice) -> Vec<u8> {
    let kinds = [flood, huge, many_scans, restarts, wrong_tables, disorder];
    kinds[dice.below(kinds.len())](dice)
}
