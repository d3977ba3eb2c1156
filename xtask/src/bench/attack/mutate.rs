//! Genuine and hostile files, changed: flipped, cut, joined, doubled, with lengths and numbers that lie.

use super::{
    dice::Dice,
    png,
    seeds::{Format, Seed},
};

/// Values that decoders meet at their limits.
const EDGES: [u64; 14] =
    [0, 1, 2, 7, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x10_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/// Changes one seed, with others at hand to splice from.
pub(super) fn mutate(seed: &Seed, others: &[&Seed], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.bytes.clone();
    for _ in 0..dice.number(&[1, 1, 1, 2, 3, 8]) {
        if bytes.is_empty() {
            bytes = dice.bytes(16);
        }
        match dice.below(12) {
            0 => flip(&mut bytes, dice),
            1 => {
                let keep = dice.below(bytes.len());
                bytes.truncate(keep.max(8));
            }
            2 | 3 => edge(&mut bytes, dice),
            4 => splice(&mut bytes, others, dice),
            5 => double(&mut bytes, dice),
            6 => {
                let (start, end) = range(&bytes, dice);
                bytes.drain(start..end);
            }
            7 => {
                let (start, end) = range(&bytes, dice);
                let fill = dice.number(&[0, 0xff, 0x41, 0x20]) as u8;
                bytes[start..end].fill(fill);
            }
            8 => {
                let at = dice.below(bytes.len());
                let length = dice.between(1, 2_000);
                let noise = dice.bytes(length);
                bytes.splice(at..at, noise);
            }
            _ => match seed.format {
                Format::Png => png_chunk(&mut bytes, dice),
                Format::Pdf => digits(&mut bytes, dice),
                Format::Jpeg => marker(&mut bytes, dice),
                _ => header(&mut bytes, dice),
            },
        }
    }
    bytes.truncate(super::kinds::LARGEST);
    bytes
}

/// A range of at most a tenth of the file, or a few bytes.
fn range(bytes: &[u8], dice: &mut Dice) -> (usize, usize) {
    let start = dice.below(bytes.len());
    let most = if dice.percent(50) { 16 } else { bytes.len() / 10 + 1 };
    (start, (start + 1 + dice.below(most)).min(bytes.len()))
}

fn flip(bytes: &mut [u8], dice: &mut Dice) {
    for _ in 0..dice.number(&[1, 4, 64, 1_000]) {
        let at = dice.below(bytes.len());
        bytes[at] ^= 1 << dice.below(8);
    }
}

/// Writes an edge value at a place drawn at random.
fn edge(bytes: &mut [u8], dice: &mut Dice) {
    let at = dice.below(bytes.len());
    write_edge(bytes, at, dice);
}

/// The same near the start, where sizes stand.
fn header(bytes: &mut [u8], dice: &mut Dice) {
    let at = dice.below(bytes.len().min(160));
    write_edge(bytes, at, dice);
}

fn write_edge(bytes: &mut [u8], at: usize, dice: &mut Dice) {
    let value = dice.number(&EDGES);
    let width = dice.number(&[1, 2, 4]) as usize;
    let mut field = value.to_le_bytes()[..width].to_vec();
    if dice.percent(60) {
        field.reverse();
    }
    if let Some(place) = bytes.get_mut(at..at + width) {
        place.copy_from_slice(&field);
    }
}

/// The start of this file and the end of another.
fn splice(bytes: &mut Vec<u8>, others: &[&Seed], dice: &mut Dice) {
    let Some(other) = others.get(dice.below(others.len())) else { return };
    if other.bytes.is_empty() {
        return;
    }
    let (here, there) = (dice.below(bytes.len()), dice.below(other.bytes.len()));
    bytes.truncate(here.max(8));
    bytes.extend_from_slice(&other.bytes[there..]);
}

fn double(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let (start, end) = range(bytes, dice);
    let part = bytes[start..end].to_vec();
    let times = dice.number(&[1, 2, 50]) as usize;
    if bytes.len() + part.len() * times < super::kinds::LARGEST {
        bytes.splice(end..end, part.repeat(times));
    }
}

/// Changes, doubles, moves or empties a chunk and gives it a true check sum, so that the decoder goes on past it.
fn png_chunk(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let mut chunks = Vec::new();
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let kind = [head[4], head[5], head[6], head[7]];
        let Some(data) = at.checked_add(8 + length).and_then(|end| bytes.get(at + 8..end)) else { break };
        chunks.push((kind, data.to_vec()));
        at += 12 + length;
    }
    if chunks.is_empty() {
        return flip(bytes, dice);
    }
    let index = dice.below(chunks.len());
    match dice.below(5) {
        0 if !chunks[index].1.is_empty() => flip(&mut chunks[index].1, dice),
        1 if !chunks[index].1.is_empty() => edge(&mut chunks[index].1, dice),
        2 => {
            let again = chunks[index].clone();
            chunks.insert(dice.below(chunks.len()), again);
        }
        3 => chunks[index].1.clear(),
        _ => {
            let other = dice.below(chunks.len());
            chunks.swap(index, other);
        }
    }
    bytes.truncate(8);
    for (kind, data) in chunks {
        png::chunk(bytes, &kind, &data);
    }
}

/// Puts an edge value where a PDF has a number.
fn digits(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let from = dice.below(bytes.len());
    let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit).map(|at| from + at) else { return };
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = match dice.below(4) {
        0 => "-1".to_owned(),
        1 => "99999999999999999999".to_owned(),
        2 => format!("{}", dice.below(12)),
        _ => format!("{}", dice.number(&EDGES)),
    };
    bytes.splice(start..start + length, value.into_bytes());
}

/// Changes a byte after a JPEG marker, or the marker.
fn marker(bytes: &mut [u8], dice: &mut Dice) {
    let places: Vec<usize> = bytes
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0] == 0xff && pair[1] >= 0xc0)
        .map(|(at, _)| at)
        .collect();
    let Some(at) = places.get(dice.below(places.len())) else { return };
    let at = at + 1 + dice.below(20);
    write_edge(bytes, at, dice);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_dice_change_a_file_in_the_same_way_and_others_otherwise() {
        let seed = Seed { name: "a".into(), format: Format::Png, bytes: png::huge(&mut Dice::new(1, 1)) };
        let once = mutate(&seed, &[&seed], &mut Dice::new(7, 3));
        assert_eq!(once, mutate(&seed, &[&seed], &mut Dice::new(7, 3)));
        let distinct: std::collections::BTreeSet<Vec<u8>> =
            (0..50).map(|number| mutate(&seed, &[&seed], &mut Dice::new(7, number))).collect();
        assert!(distinct.len() > 40, "{}", distinct.len());
    }

    #[test]
    fn an_empty_or_tiny_seed_can_be_changed() {
        for (number, bytes) in [vec![], vec![1], b"\x89PNG\r\n\x1a\n".to_vec()].into_iter().enumerate() {
            for format in [Format::Png, Format::Pdf, Format::Jpeg, Format::Other] {
                let seed = Seed { name: "tiny".into(), format, bytes: bytes.clone() };
                for draw in 0..100 {
                    let out = mutate(&seed, &[&seed], &mut Dice::new(number as u64, draw));
                    assert!(out.len() <= super::super::kinds::LARGEST);
                }
            }
        }
    }
}
