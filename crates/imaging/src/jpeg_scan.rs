//! Counts the blocks that a baseline JPEG's scan really holds.
//!
//! A file cut in its middle and closed with an end marker looks whole: decoders
//! go on with zero bits, which gives the same block again and again. Where a
//! picture ends evenly, the entropy-coded data is walked here (ISO/IEC 10918-1
//! §F.2.2, without computing any pixel) to tell paper from absence.

/// Whether the only scan of a sequential Huffman JPEG ends before its last
/// block. `false` also for what is not judged: progressive files, several scans.
pub(crate) fn ends_early(lean: &[u8]) -> bool {
    missing_blocks(lean).unwrap_or(false)
}

/// A Huffman table as a look-up by the next 16 bits: length and symbol.
struct Table(Vec<(u8, u8)>);

impl Table {
    /// Builds the table of §C.2 from the counts per length and the symbols.
    fn new(counts: &[u8], symbols: &[u8]) -> Self {
        let mut lookup = vec![(0u8, 0u8); 1 << 16];
        let mut code = 0usize;
        let mut symbols = symbols.iter();
        for (length, &count) in (1usize..=16).zip(counts) {
            for _ in 0..count {
                let Some(&symbol) = symbols.next() else { return Self(lookup) };
                let start = code << (16 - length);
                let end = (start + (1 << (16 - length))).min(lookup.len());
                if let Some(span) = lookup.get_mut(start..end) {
                    span.fill((length as u8, symbol));
                }
                code += 1;
            }
            code <<= 1;
        }
        Self(lookup)
    }
}

/// The bits of a scan, stuffing and restart markers taken out.
struct Bits<'a> {
    bytes: std::slice::Iter<'a, u8>,
    held: u64,
    count: u32,
    /// Bits handed out beyond the end.
    over: u32,
}

impl Bits<'_> {
    fn fill(&mut self) {
        while self.count <= 48 {
            let byte = match self.bytes.next() {
                Some(0xFF) => {
                    self.bytes.next();
                    0xFF
                }
                Some(&byte) => byte,
                None => {
                    self.over += 8;
                    0
                }
            };
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    fn symbol(&mut self, table: &Table) -> Option<u8> {
        self.fill();
        let next = (self.held >> (self.count - 16)) & 0xFFFF;
        let &(length, symbol) = table.0.get(next as usize)?;
        if length == 0 {
            return None;
        }
        self.count -= u32::from(length);
        Some(symbol)
    }

    fn skip(&mut self, bits: u32) {
        self.fill();
        self.count -= bits.min(16);
    }

    /// Whether more was read than there is.
    fn exhausted(&self) -> bool {
        self.over > self.count
    }
}

fn missing_blocks(lean: &[u8]) -> Option<bool> {
    let mut tables: [[Option<Table>; 4]; 2] = Default::default();
    let (mut width, mut height, mut restart) = (0usize, 0usize, 0usize);
    let mut components: Vec<(u8, usize, usize)> = Vec::new();
    let mut at = 2;
    loop {
        let marker = *lean.get(at + 1)?;
        let length = usize::from(u16::from_be_bytes([*lean.get(at + 2)?, *lean.get(at + 3)?]));
        let body = lean.get(at + 4..at + 2 + length)?;
        at += 2 + length;
        match marker {
            0xC0 | 0xC1 => {
                height = usize::from(u16::from_be_bytes([*body.get(1)?, *body.get(2)?]));
                width = usize::from(u16::from_be_bytes([*body.get(3)?, *body.get(4)?]));
                components = body
                    .get(6..)?
                    .chunks_exact(3)
                    .map(|c| (c[0], usize::from(c[1] >> 4), usize::from(c[1] & 15)))
                    .collect();
            }
            0xC2 => return None,
            0xC4 => {
                let mut rest = body;
                while let Some((&class, after)) = rest.split_first() {
                    let counts = after.get(..16)?;
                    let total: usize = counts.iter().map(|&n| usize::from(n)).sum();
                    let slot = tables.get_mut(usize::from(class >> 4))?.get_mut(usize::from(class & 15))?;
                    *slot = Some(Table::new(counts, after.get(16..16 + total)?));
                    rest = after.get(16 + total..)?;
                }
            }
            0xDD => restart = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?])),
            0xDA => {
                if usize::from(*body.first()?) != components.len() || components.is_empty() {
                    return None;
                }
                // The order of blocks in one MCU, each with its two tables.
                let mut blocks = Vec::new();
                for spec in body.get(1..1 + 2 * components.len())?.chunks_exact(2) {
                    let &(_, h, v) = components.iter().find(|(id, ..)| *id == spec[0])?;
                    let dc = tables[0].get(usize::from(spec[1] >> 4))?.as_ref()?;
                    let ac = tables[1].get(usize::from(spec[1] & 15))?.as_ref()?;
                    let count = if components.len() == 1 { 1 } else { h * v };
                    blocks.extend(std::iter::repeat_n((dc, ac), count.min(16)));
                }
                let most = |pick: fn(&(u8, usize, usize)) -> usize| components.iter().map(pick).max();
                let (h, v) = if components.len() == 1 { (1, 1) } else { (most(|c| c.1)?, most(|c| c.2)?) };
                let units = width.div_ceil(8 * h.max(1)) * height.div_ceil(8 * v.max(1));
                return Some(!holds(lean.get(at..)?, units, restart, &blocks));
            }
            _ => {}
        }
    }
}

/// Whether the scan holds `units` MCUs of these blocks.
fn holds(scan: &[u8], units: usize, restart: usize, blocks: &[(&Table, &Table)]) -> bool {
    let intervals = if restart == 0 { 1 } else { units.div_ceil(restart) };
    let mut parts = Intervals { rest: Some(scan) };
    for interval in 0..intervals {
        let Some(part) = parts.next() else { return false };
        let expected = if restart == 0 { units } else { restart.min(units - interval * restart) };
        let mut bits = Bits { bytes: part.iter(), held: 0, count: 0, over: 0 };
        for _ in 0..expected {
            for (dc, ac) in blocks {
                if !block(&mut bits, dc, ac) {
                    return false;
                }
            }
        }
        if bits.exhausted() {
            return false;
        }
    }
    true
}

/// Walks one block; `false` when the bits are none or have run out.
fn block(bits: &mut Bits<'_>, dc: &Table, ac: &Table) -> bool {
    let Some(size) = bits.symbol(dc) else { return false };
    bits.skip(u32::from(size));
    let mut k = 1;
    while k < 64 {
        match bits.symbol(ac) {
            Some(0) => break,
            Some(0xF0) => k += 16,
            Some(symbol) => {
                k += 1 + usize::from(symbol >> 4);
                bits.skip(u32::from(symbol & 15));
            }
            None => return false,
        }
    }
    !bits.exhausted()
}

/// The parts of a scan between restart markers, up to any other marker.
struct Intervals<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Intervals<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let mut at = 0;
        loop {
            let found = rest.get(at..)?.iter().position(|&b| b == 0xFF);
            let Some(found) = found else {
                self.rest = None;
                return Some(rest);
            };
            at += found;
            match rest.get(at + 1) {
                Some(0) => at += 2,
                Some(0xD0..=0xD7) => {
                    self.rest = rest.get(at + 2..);
                    return rest.get(..at);
                }
                _ => {
                    self.rest = None;
                    return rest.get(..at);
                }
            }
        }
    }
}
