//! JBIG2 segments for PDFs (ISO/IEC 14492): pages of gigapixels, regions by the hundred, dictionaries that lie.

use super::dice::Dice;

fn segment(out: &mut Vec<u8>, number: u32, kind: u8, page: u8, data: &[u8]) {
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&[kind, 0, page]);
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    out.extend_from_slice(data);
}

fn region(width: u32, height: u32) -> Vec<u8> {
    let mut data = Vec::new();
    for value in [width, height, 0, 0] {
        data.extend_from_slice(&value.to_be_bytes());
    }
    data.push(0);
    data
}

/// A symbol dictionary that promises more symbols than it holds.
pub(super) fn symbols(dice: &mut Dice) -> Vec<u8> {
    let mut data = (dice.number(&[0, 0x0001, 0x0002, 0x0003, 0x0c00]) as u16).to_be_bytes().to_vec();
    data.extend_from_slice(&[3, 0xff, 0xfd, 0xff, 2, 0xfe, 0xfe, 0xfe]);
    for _ in 0..2 {
        data.extend_from_slice(&(dice.number(&[1, 1_000, 0x7fff_ffff, 0xffff_ffff]) as u32).to_be_bytes());
    }
    let length = dice.between(10, 20_000);
    data.extend(dice.bytes(length));
    let mut out = Vec::new();
    segment(&mut out, 0, 0, 0, &data);
    out
}

/// A page of this size with regions of all kinds on it.
pub(super) fn page(width: u32, height: u32, dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    let mut data = Vec::new();
    let (page_width, page_height) = if dice.percent(50) { (width, height) } else { (65_000, 0xffff_ffff) };
    for value in [page_width, page_height, 0, 0] {
        data.extend_from_slice(&value.to_be_bytes());
    }
    data.extend_from_slice(&[0, 0x80, 0xff]);
    segment(&mut out, 1, 48, 1, &data);
    let count = dice.number(&[1, 1, 10, 200]) as u32;
    for number in 0..count {
        let mut data = region(width, height);
        let kind = match dice.below(5) {
            // Generic, arithmetic or MMR.
            0 | 1 => {
                if dice.percent(50) {
                    data.push(0x01);
                } else {
                    let template = dice.below(4) as u8;
                    data.push((template << 1) | if dice.percent(50) { 0x08 } else { 0 });
                    data.extend_from_slice(if template == 0 {
                        &[3, 0xff, 0xfd, 0xff, 2, 0xfe, 0xfe, 0xfe]
                    } else {
                        &[3, 0xff]
                    });
                }
                38
            }
            // Halftone over a pattern that may not be there.
            2 => {
                data.push(dice.next() as u8);
                for _ in 0..2 {
                    data.extend_from_slice(&(dice.number(&[1, 60_000, 0xffff_ffff]) as u32).to_be_bytes());
                }
                data.extend_from_slice(&[0; 12]);
                23
            }
            // Refinement.
            3 => {
                data.push(dice.below(4) as u8);
                data.extend_from_slice(&[0xff, 0xff, 0xff, 0xff]);
                42
            }
            // Text.
            _ => {
                data.extend_from_slice(&(dice.next() as u16).to_be_bytes());
                data.extend_from_slice(&(dice.number(&[1, 100_000, 0xffff_ffff]) as u32).to_be_bytes());
                6
            }
        };
        let length = dice.between(1, 4_000);
        data.extend(if dice.percent(50) { vec![0; length] } else { dice.bytes(length) });
        segment(&mut out, number + 2, kind, 1, &data);
    }
    out
}
