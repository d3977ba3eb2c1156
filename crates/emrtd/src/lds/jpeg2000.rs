//! What decoding a JPEG 2000 image would cost, read from its headers before a decoder sees it (ISO/IEC 15444-1 annexes
//! A and I).
//!
//! A few bytes may ask for gigabytes: huge images, millions of tiles, precincts or layers. A portrait is small and
//! plain; what asks for more than any document needs is not decoded.

/// Most pixels of an image; portraits of documents have less than one million.
const MAX_PIXELS: u64 = 4_000_000;
/// Most components: colours and transparency.
const MAX_COMPONENTS: u64 = 4;
/// Most packets (layer × component × resolution × precinct), by an upper estimate; a portrait has tens to hundreds.
const MAX_PACKETS: u64 = 1 << 18;

/// Width and height of an image that can be decoded at bearable cost; `None` for others and for what is broken.
pub(super) fn bearable(bytes: &[u8]) -> Option<(u32, u32)> {
    let stream = code_stream(bytes)?;
    let size = Size::read(stream)?;
    let pixels = u64::from(size.width) * u64::from(size.height);
    if pixels == 0 || pixels > MAX_PIXELS || !(1..=MAX_COMPONENTS).contains(&size.components) {
        return None;
    }
    let mut worst = Coding::default();
    let mut at = 2;
    // the main header, then the header of every tile part
    loop {
        match marker(stream, at)? {
            SOT => break,
            code => at = size.segment(stream, at, code, &mut worst)?,
        }
    }
    while let Some(SOT) = marker(stream, at) {
        let length = usize::try_from(number(stream, at + 6, 4)?).ok()?;
        let end = if length == 0 { stream.len() } else { at.checked_add(length)? };
        let mut inside = at + 12;
        while inside < end {
            match marker(stream, inside) {
                None | Some(SOD) => break,
                Some(code) => inside = size.segment(stream, inside, code, &mut worst)?,
            }
        }
        // each part moves on by its own header at least
        at = end.max(at + 12);
    }
    let packets = worst.layers.max(1).checked_mul(worst.precincts.max(1))?.checked_mul(size.components)?;
    (packets <= MAX_PACKETS).then_some((size.width, size.height))
}

const SOT: u64 = 0xFF90;
const SOD: u64 = 0xFF93;
const COD: u64 = 0xFF52;
const COC: u64 = 0xFF53;

fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let digits = bytes.get(at..at.checked_add(size)?)?;
    Some(digits.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

fn marker(bytes: &[u8], at: usize) -> Option<u64> {
    number(bytes, at, 2).filter(|code| *code >= 0xFF00)
}

/// The one code stream: the bytes themselves, or the content of the one box that holds it. Files with several, and
/// with palettes of many columns, are none a document has.
fn code_stream(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) {
        return Some(bytes);
    }
    let mut found = None;
    for (kind, content) in boxes(bytes)? {
        match &kind {
            b"jp2c" if found.is_some() => return None,
            b"jp2c" => found = Some(content),
            b"jp2h" => {
                for (kind, palette) in boxes(content)? {
                    if &kind == b"pclr" && number(palette, 2, 1)? > MAX_COMPONENTS {
                        return None;
                    }
                }
            }
            _ => {}
        }
    }
    found.filter(|stream| stream.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]))
}

/// Kind and content of each box in a row.
fn boxes(mut bytes: &[u8]) -> Option<Vec<([u8; 4], &[u8])>> {
    let mut out = Vec::new();
    while bytes.len() >= 8 {
        let kind = bytes.get(4..8)?.try_into().ok()?;
        let (header, length) = match number(bytes, 0, 4)? {
            0 => (8, bytes.len()),
            1 => (16, usize::try_from(number(bytes, 8, 8)?).ok()?),
            short => (8, usize::try_from(short).ok()?),
        };
        if length < header || out.len() > 64 {
            return None;
        }
        // A length beyond the end happens; then the box is the rest.
        let length = length.min(bytes.len());
        out.push((kind, bytes.get(header..length)?));
        bytes = bytes.get(length..)?;
    }
    Some(out)
}

/// Of the SIZ segment.
struct Size {
    width: u32,
    height: u32,
    tiles: u64,
    components: u64,
}

/// The most that any coding style of the stream asks for.
#[derive(Default)]
struct Coding {
    layers: u64,
    precincts: u64,
}

impl Size {
    fn read(stream: &[u8]) -> Option<Self> {
        let word = |at: usize| number(stream, at, 4);
        let (x, y, left, top) = (word(8)?, word(12)?, word(16)?, word(20)?);
        let (tile_width, tile_height, tile_left, tile_top) = (word(24)?, word(28)?, word(32)?, word(36)?);
        if tile_width == 0 || tile_height == 0 {
            return None;
        }
        let tiles =
            x.checked_sub(tile_left)?.div_ceil(tile_width) * y.checked_sub(tile_top)?.div_ceil(tile_height);
        Some(Self {
            width: u32::try_from(x.checked_sub(left)?).ok()?,
            height: u32::try_from(y.checked_sub(top)?).ok()?,
            tiles,
            components: number(stream, 40, 2)?,
        })
    }

    /// Steps over a marker segment of a header and notes what coding styles ask for.
    fn segment(&self, stream: &[u8], at: usize, code: u64, worst: &mut Coding) -> Option<usize> {
        // markers without a segment
        if (0xFF30..=0xFF3F).contains(&code) {
            return Some(at + 2);
        }
        let length = usize::try_from(number(stream, at + 2, 2)?).ok().filter(|length| *length >= 2)?;
        // Scod, then (COD) progression, layers, transform; or (COC) component first: then levels, block, style,
        // kernel, precincts
        let style = match code {
            COD => {
                worst.layers = worst.layers.max(number(stream, at + 6, 2)?);
                Some((number(stream, at + 4, 1)?, at + 9))
            }
            COC => Some((number(stream, at + 5, 1)?, at + 6)),
            _ => None,
        };
        if let Some((flags, levels_at)) = style {
            let levels = number(stream, levels_at, 1)?;
            let mut precincts = 0u64;
            for level in 0..=levels.min(32) {
                let sizes = if flags & 1 == 0 {
                    0xFF
                } else {
                    number(stream, levels_at + 5 + usize::try_from(level).ok()?, 1)?
                };
                // as if every resolution had the size of the whole, and every tile a precinct more
                let across = u64::from(self.width).div_ceil(1 << (sizes & 15));
                let down = u64::from(self.height).div_ceil(1 << (sizes >> 4));
                precincts += across * down + self.tiles;
            }
            worst.precincts = worst.precincts.max(precincts);
        }
        at.checked_add(2)?.checked_add(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Headers of a code stream: size, tile size, layers, precinct size.
    fn stream(size: [u32; 2], tile: [u32; 2], layers: u16, precinct: Option<u8>) -> Vec<u8> {
        let mut out = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 47, 0, 0];
        for word in [size[0], size[1], 0, 0, tile[0], tile[1], 0, 0] {
            out.extend(word.to_be_bytes());
        }
        out.extend([0, 3, 7, 1, 1, 7, 1, 1, 7, 1, 1]);
        let precincts = precinct.map_or_else(Vec::new, |size| vec![size; 6]);
        out.extend([0xFF, 0x52, 0, 12 + u8::try_from(precincts.len()).expect("fits")]);
        out.push(u8::from(precinct.is_some()));
        out.push(0);
        out.extend(layers.to_be_bytes());
        out.extend([1, 5, 4, 4, 0, 0]);
        out.extend(precincts);
        out.extend([0xFF, 0x90, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF, 0x93, 0, 0, 0xFF, 0xD9]);
        out
    }

    #[test]
    fn portraits_are_bearable_and_what_asks_for_millions_of_anything_is_not() {
        let face = [413, 531];
        assert_eq!(bearable(&stream(face, face, 12, None)), Some((413, 531)));
        assert_eq!(bearable(&stream([1600, 2000], [256, 256], 12, Some(0x88))), Some((1600, 2000)));
        assert_eq!(bearable(&stream([8192, 8192], [8192, 8192], 1, None)), None);
        assert_eq!(bearable(&stream(face, [1, 1], 1, None)), None);
        assert_eq!(bearable(&stream(face, [0, 0], 1, None)), None);
        assert_eq!(bearable(&stream(face, face, 65_535, None)), None);
        assert_eq!(bearable(&stream(face, face, 1, Some(0x11))), None);
        // a coding style of one tile part
        let mut hidden = stream(face, face, 1, None);
        let at = hidden.len() - 6;
        hidden.splice(at..at, [0xFF, 0x52, 0, 12, 0, 0, 0xFF, 0xFF, 1, 5, 4, 4, 0, 0]);
        assert_eq!(bearable(&hidden), None);
    }

    #[test]
    fn of_a_file_with_two_code_streams_or_a_small_one_in_front_none_is_taken() {
        let of = |kind: &[u8; 4], content: &[u8]| {
            let length = u32::try_from(content.len() + 8).expect("fits").to_be_bytes();
            [&length[..], kind, content].concat()
        };
        let front = [of(b"jP  ", &[13, 10, 0x87, 10]), of(b"ftyp", b"jp2 \0\0\0\0jp2 ")].concat();
        let (small, huge) =
            (stream([9, 9], [9, 9], 1, None), stream([60_000, 60_000], [60_000, 60_000], 1, None));
        let whole = |parts: &[Vec<u8>]| [front.clone(), parts.concat()].concat();
        assert_eq!(bearable(&whole(&[of(b"jp2c", &small)])), Some((9, 9)));
        assert_eq!(bearable(&whole(&[of(b"jp2c", &small), of(b"jp2c", &huge)])), None);
        assert_eq!(bearable(&whole(&[of(b"free", &small), of(b"jp2c", &huge)])), None);
        let palette = of(b"jp2h", &of(b"pclr", &[0, 2, 200, 0]));
        assert_eq!(bearable(&whole(&[palette, of(b"jp2c", &small)])), None);
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..120, byte: u8) {
            let _ = bearable(&bytes);
            let mut changed = stream([413, 531], [64, 64], 2, Some(0x77));
            if let Some(to) = changed.get_mut(at) {
                *to = byte;
            }
            let _ = bearable(&changed);
            let _ = bearable(&[&[0, 0, 0, 0x0C, b'j', b'P', b' ', b' ', 13, 10, 0x87, 10][..], &bytes].concat());
        }
    }
}
