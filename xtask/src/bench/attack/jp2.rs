//! JPEG 2000 that attacks: huge grids, tiles of one sample, decompositions and layers without end; bare, in JP2 boxes, and in PDFs.

use super::dice::Dice;

pub(super) const MAGIC: &[u8] = b"\0\0\0\x0cjP  \r\n\x87\n";
pub(super) const BARE: &[u8] = b"\xff\x4f\xff\x51";

fn segment(out: &mut Vec<u8>, marker: u8, data: &[u8]) {
    out.extend_from_slice(&[0xff, marker]);
    out.extend_from_slice(&(data.len().min(65_533) as u16 + 2).to_be_bytes());
    out.extend_from_slice(&data[..data.len().min(65_533)]);
}

/// What the main header says.
struct Grid {
    width: u32,
    height: u32,
    tile: (u32, u32),
    components: u16,
    bits: u8,
    subsampling: u8,
    levels: u8,
    layers: u16,
    /// Exponents of a code block's sides, less two.
    block: (u8, u8),
    precincts: Option<u8>,
    progression: u8,
}

impl Grid {
    /// A picture that a decoder can finish.
    fn plain(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            tile: (width, height),
            components: 3,
            bits: 7,
            subsampling: 1,
            levels: 5,
            layers: 1,
            block: (4, 4),
            precincts: None,
            progression: 0,
        }
    }

    fn header(&self) -> Vec<u8> {
        let mut out = vec![0xff, 0x4f];
        let mut size = vec![0, 0];
        for value in [self.width, self.height, 0, 0, self.tile.0, self.tile.1, 0, 0] {
            size.extend_from_slice(&value.to_be_bytes());
        }
        size.extend_from_slice(&self.components.to_be_bytes());
        for _ in 0..self.components {
            size.extend_from_slice(&[self.bits, self.subsampling, self.subsampling]);
        }
        segment(&mut out, 0x51, &size);
        let mut coding = vec![u8::from(self.precincts.is_some()), self.progression];
        coding.extend_from_slice(&self.layers.to_be_bytes());
        coding.extend_from_slice(&[0, self.levels, self.block.0, self.block.1, 0, 1]);
        if let Some(size) = self.precincts {
            coding.extend(std::iter::repeat_n(size, usize::from(self.levels) + 1));
        }
        segment(&mut out, 0x52, &coding);
        let mut quantisation = vec![0x40];
        quantisation.extend((0..=3 * u32::from(self.levels)).map(|_| 0x48_u8));
        segment(&mut out, 0x5c, &quantisation);
        out
    }

    /// The header and `tiles` tile parts of these packets.
    fn stream(&self, tiles: usize, packets: &[u8]) -> Vec<u8> {
        let mut out = self.header();
        for index in 0..tiles {
            let mut part = (index as u16).to_be_bytes().to_vec();
            part.extend_from_slice(&(packets.len() as u32 + 14).to_be_bytes());
            part.extend_from_slice(&[0, 1]);
            segment(&mut out, 0x90, &part);
            out.extend_from_slice(&[0xff, 0x93]);
            out.extend_from_slice(packets);
            if out.len() > 900_000 {
                break;
            }
        }
        out.extend_from_slice(&[0xff, 0xd9]);
        out
    }
}

fn boxed(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    out.extend_from_slice(&(data.len() as u32 + 8).to_be_bytes());
    out.extend_from_slice(kind);
    out.extend_from_slice(data);
}

/// Puts a code stream into JP2 boxes, or leaves it bare.
fn wrapped(stream: Vec<u8>, width: u32, height: u32, components: u16, dice: &mut Dice) -> Vec<u8> {
    if dice.percent(25) {
        return stream;
    }
    let mut out = MAGIC.to_vec();
    boxed(&mut out, b"ftyp", b"jp2 \0\0\0\0jp2 ");
    let mut header = Vec::new();
    let mut image = height.to_be_bytes().to_vec();
    image.extend_from_slice(&width.to_be_bytes());
    image.extend_from_slice(&components.to_be_bytes());
    image.extend_from_slice(&[7, 7, 0, 0]);
    boxed(&mut header, b"ihdr", &image);
    boxed(&mut header, b"colr", &[1, 0, 0, 0, 0, 0, 16]);
    boxed(&mut out, b"jp2h", &header);
    boxed(&mut out, b"jp2c", &stream);
    out
}

/// A picture as large as its header says, over nothing.
pub(super) fn huge(dice: &mut Dice) -> Vec<u8> {
    let sides = [1, 4_000, 12_000, 65_535, 1 << 20, 0x7fff_ffff, 0xffff_ffff];
    let mut grid = Grid::plain(dice.number(&sides) as u32, dice.number(&sides) as u32);
    grid.bits = dice.number(&[0, 7, 15, 37, 127]) as u8;
    let (packets, tiles) = (dice.bytes(300), dice.between(0, 2));
    wrapped(grid.stream(tiles, &packets), grid.width, grid.height, 3, dice)
}

/// Tens of thousands of tiles.
pub(super) fn tiles(dice: &mut Dice) -> Vec<u8> {
    let side = dice.number(&[250, 1_000, 5_000, 60_000]) as u32;
    let mut grid = Grid::plain(side, side);
    let tile = dice.number(&[1, 2, 16, 250]) as u32;
    grid.tile = (tile, dice.number(&[1, 2, 16, 250]) as u32);
    grid.levels = dice.number(&[0, 1, 5, 32]) as u8;
    let count = dice.number(&[1, 1_000, 65_535]) as usize;
    let packets = vec![0; dice.below(8)];
    wrapped(grid.stream(count, &packets), side, side, 3, dice)
}

/// Decompositions, layers, precincts and code blocks at and past what the standard allows.
pub(super) fn structure(dice: &mut Dice) -> Vec<u8> {
    let side = dice.number(&[64, 1_000, 4_000, 8_000]) as u32;
    let mut grid = Grid::plain(side, side);
    grid.levels = dice.number(&[0, 5, 32, 33, 255]) as u8;
    grid.layers = dice.number(&[0, 1, 1_000, 65_535]) as u16;
    grid.block = (dice.number(&[0, 4, 8, 15]) as u8, dice.number(&[0, 4, 8, 15]) as u8);
    grid.precincts = dice.percent(60).then(|| dice.number(&[0x00, 0x11, 0x77, 0xff]) as u8);
    grid.progression = dice.below(6) as u8;
    let length = dice.between(0, 40_000);
    let packets = if dice.percent(50) { vec![0; length] } else { dice.bytes(length) };
    wrapped(grid.stream(1, &packets), side, side, 3, dice)
}

/// Thousands of components.
pub(super) fn components(dice: &mut Dice) -> Vec<u8> {
    let side = dice.number(&[16, 640, 4_000]) as u32;
    let mut grid = Grid::plain(side, side);
    grid.components = dice.number(&[0, 2, 4, 255, 16_384, 21_000]) as u16;
    grid.subsampling = dice.number(&[0, 1, 2, 255]) as u8;
    let count = grid.components;
    let packets = vec![0; dice.below(2_000)];
    wrapped(grid.stream(1, &packets), side, side, count, dice)
}

/// Packets that say that everything is there.
pub(super) fn packets(dice: &mut Dice) -> Vec<u8> {
    let side = dice.number(&[256, 1_024, 4_000]) as u32;
    let mut grid = Grid::plain(side, side);
    grid.layers = dice.number(&[1, 20]) as u16;
    let length = dice.between(1_000, 200_000);
    let mut packets = dice.bytes(length);
    for byte in &mut packets {
        *byte = if *byte == 0xff { 0xfe } else { *byte | 0x80 };
    }
    wrapped(grid.stream(1, &packets), side, side, 3, dice)
}

/// Boxes in boxes, boxes longer than the file, palettes larger than their picture.
pub(super) fn boxes(dice: &mut Dice) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for _ in 0..dice.between(1, 2_000) {
        let kind = dice.pick(&[
            b"ftyp", b"jp2h", b"ihdr", b"colr", b"pclr", b"cmap", b"cdef", b"jp2c", b"uuid", b"res ",
        ]);
        let length = dice.below(40);
        let data = dice.bytes(length);
        let start = out.len();
        boxed(&mut out, kind, &data);
        if dice.percent(5) {
            let lie = dice.number(&[0, 1, 7, 0x7fff_ffff, 0xffff_ffff]) as u32;
            out[start..start + 4].copy_from_slice(&lie.to_be_bytes());
        }
    }
    boxed(&mut out, b"jp2c", &Grid::plain(640, 480).stream(1, &[0; 100]));
    out
}

/// One kind after another, for PDFs and chip portraits.
pub(super) fn any(dice: &mut Dice) -> Vec<u8> {
    let kinds = [huge, tiles, structure, components, packets, boxes];
    kinds[dice.below(kinds.len())](dice)
}
