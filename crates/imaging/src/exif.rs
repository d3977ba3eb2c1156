//! Reads the few EXIF tags the summary needs (EXIF 2.32; TIFF 6.0 §2).
//!
//! The block is untrusted: at most three directories of at most 512 entries are
//! looked at, pointers are followed once, and whatever does not fit is absent.

use crate::door::printable;

/// What the block said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Exif {
    pub(crate) orientation: Option<u8>,
    pub(crate) software: Option<String>,
    pub(crate) make: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) datetime: Option<String>,
    pub(crate) has_gps: bool,
}

/// Numbers of a TIFF structure in its byte order, at offsets from its start.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    little: bool,
}

/// One 12-byte directory entry.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) tag: u16,
    kind: u16,
    count: u32,
    /// Where the value or its offset stands.
    at: usize,
}

impl<'a> Reader<'a> {
    /// `None` when the block does not begin with a TIFF header.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        match bytes {
            [b'I', b'I', 42, 0, ..] => Some(Self { bytes, little: true }),
            [b'M', b'M', 0, 42, ..] => Some(Self { bytes, little: false }),
            _ => None,
        }
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let raw = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little { u16::from_le_bytes(raw) } else { u16::from_be_bytes(raw) })
    }

    pub(crate) fn u32(&self, at: usize) -> Option<u32> {
        let raw = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
    }

    /// The entries of the directory at `offset` and the offset of the next one.
    pub(crate) fn directory(&self, offset: u32) -> Option<(Vec<Entry>, u32)> {
        let at = offset as usize;
        let count = usize::from(self.u16(at)?);
        if count > 512 {
            return None;
        }
        let entries = (0..count)
            .map_while(|k| {
                let at = at + 2 + 12 * k;
                Some(Entry {
                    tag: self.u16(at)?,
                    kind: self.u16(at + 2)?,
                    count: self.u32(at + 4)?,
                    at: at + 8,
                })
            })
            .collect();
        Some((entries, self.u32(at + 2 + 12 * count).unwrap_or(0)))
    }

    /// The entry's values as whole numbers, at most `max` of them.
    pub(crate) fn numbers(&self, entry: Entry, max: usize) -> Vec<u32> {
        let size = match entry.kind {
            1 => 1,
            3 => 2,
            4 | 13 => 4,
            _ => return Vec::new(),
        };
        let count = (entry.count as usize).min(max);
        let start = if entry.count as usize * size <= 4 {
            Some(entry.at)
        } else {
            self.u32(entry.at).map(|v| v as usize)
        };
        let Some(start) = start else { return Vec::new() };
        (0..count)
            .map_while(|k| {
                let at = start.checked_add(k * size)?;
                match size {
                    1 => self.bytes.get(at).map(|&v| u32::from(v)),
                    2 => self.u16(at).map(u32::from),
                    _ => self.u32(at),
                }
            })
            .collect()
    }

    /// The entry's fractions, at most `max` of them; one without a denominator ends them.
    pub(crate) fn fractions(&self, entry: Entry, max: usize) -> Vec<f32> {
        let Some(start) = (entry.kind == 5).then(|| self.u32(entry.at)).flatten() else { return Vec::new() };
        (0..(entry.count as usize).min(max))
            .map_while(|k| {
                let at = (start as usize).checked_add(8 * k)?;
                let (over, under) = (self.u32(at)?, self.u32(at.checked_add(4)?)?);
                (under > 0).then(|| over as f32 / under as f32)
            })
            .collect()
    }

    fn text(&self, entry: Entry) -> Option<String> {
        if entry.kind != 2 {
            return None;
        }
        let length = (entry.count as usize).min(256);
        let start = if entry.count <= 4 { entry.at } else { self.u32(entry.at)? as usize };
        let raw = self.bytes.get(start..start.checked_add(length)?)?;
        let raw = raw.split(|&b| b == 0).next()?;
        printable(&String::from_utf8_lossy(raw), 64)
    }
}

/// Reads a block; what is absent or broken stays absent.
pub(crate) fn read(block: &[u8]) -> Exif {
    let mut exif = Exif::default();
    let Some(reader) = Reader::new(block) else { return exif };
    let Some((entries, _)) = reader.u32(4).and_then(|at| reader.directory(at)) else { return exif };
    let mut details = None;
    for entry in entries {
        match entry.tag {
            0x010F => exif.make = reader.text(entry),
            0x0110 => exif.model = reader.text(entry),
            0x0112 => {
                exif.orientation = reader
                    .numbers(entry, 1)
                    .first()
                    .and_then(|&v| u8::try_from(v).ok())
                    .filter(|v| (1..=8).contains(v));
            }
            0x0131 => exif.software = reader.text(entry),
            0x0132 => exif.datetime = exif.datetime.or_else(|| reader.text(entry)),
            0x8769 => details = reader.u32(entry.at),
            0x8825 => {
                // A GPS directory that holds only its version tag (0000) says nothing of a place.
                let gps = reader.u32(entry.at).and_then(|at| reader.directory(at));
                exif.has_gps = gps.is_none_or(|(entries, _)| entries.iter().any(|e| e.tag != 0));
            }
            _ => {}
        }
    }
    if let Some((entries, _)) = details.and_then(|at| reader.directory(at)) {
        for entry in entries {
            if entry.tag == 0x9003 {
                exif.datetime = reader.text(entry).or(exif.datetime.take());
            }
        }
    }
    exif
}
