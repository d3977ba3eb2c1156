//! What parent and child say to each other: a length, a header in JSON, and the bytes that the header announces.
//!
//! The child is not believed. [`receive`] checks every number against the
//! limits of the request before anything is allocated for it, and cleans every
//! text; whatever the bytes are, it gives pixels within the limits or an error.

use std::io;

use imaging::{DecodeError, Limits, Metadata, RgbImage};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Longest header in bytes. One has a few texts of at most 64 characters for each of a few pages.
const MOST_HEADER: usize = 64 << 10;

/// What a child says once it is locked up and ready.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Version of this protocol, so that another program in its place is noticed.
    pub(crate) protocol: u32,
    /// Bounds that this machine could not give it, in words for the log.
    pub(crate) missing: Vec<String>,
}

/// The protocol of this version.
pub(crate) const PROTOCOL: u32 = 1;

/// What is to be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// A picture or PDF, by [`imaging::decode_pages`].
    Pages,
    /// A JPEG 2000 picture of a chip.
    Jpeg2000,
}

/// A request; the file's bytes follow it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) kind: Kind,
    pub(crate) limits: Limits,
    pub(crate) password: Option<String>,
    pub(crate) size_bytes: usize,
}

/// An answer; the pixels of its pages follow it, three bytes each, row by row.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Pages(Vec<Page>),
    Refused(DecodeError),
}

/// One page of an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) metadata: Metadata,
}

/// What came back for a request.
pub(crate) type Received = Result<Vec<(RgbImage, Metadata)>, DecodeError>;

/// Where bytes come from: a pipe with a deadline, or a test's bytes.
pub(crate) trait Source {
    /// Appends at least one and at most `most` bytes; an error at the end.
    fn read_some(&mut self, out: &mut Vec<u8>, most: usize) -> io::Result<()>;
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads so many bytes.
pub(crate) fn read_exact(source: &mut impl Source, size: usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    out.try_reserve_exact(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    while out.len() < size {
        let before = out.len();
        let left = size - before;
        source.read_some(&mut out, left)?;
        if out.len() <= before || out.len() > size {
            return Err(broken("another number of bytes than announced"));
        }
    }
    Ok(out)
}

/// Reads a header.
pub(crate) fn read_header<T: DeserializeOwned>(source: &mut impl Source) -> io::Result<T> {
    let length = read_exact(source, 4)?;
    let length = <[u8; 4]>::try_from(length.as_slice()).map_or(u32::MAX, u32::from_le_bytes);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MOST_HEADER {
        return Err(broken("a header that is too long"));
    }
    let header = read_exact(source, length)?;
    serde_json::from_slice(&header).map_err(|_| broken("a header that is none"))
}

/// A header as it is sent.
pub(crate) fn header(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(value)?;
    let length = u32::try_from(json.len()).map_err(|_| broken("a header that is too long"))?;
    Ok([&length.to_le_bytes()[..], &json].concat())
}

/// Reads the answer to a request within its limits.
///
/// # Errors
/// When the source ends, fails, or says what no honest child says.
pub(crate) fn receive(source: &mut impl Source, limits: &Limits) -> io::Result<Received> {
    let pages = match read_header(source)? {
        Answer::Refused(error) => return Ok(Err(error.cleaned())),
        Answer::Pages(pages) => pages,
    };
    if pages.is_empty() || pages.len() > limits.max_rendered_pages.max(1) {
        return Err(broken("another number of pages than asked for"));
    }
    let mut out = Vec::with_capacity(pages.len());
    for page in pages {
        limits.check_size(page.width, page.height).map_err(|_| broken("a picture beyond the limits"))?;
        let size = u64::from(page.width) * u64::from(page.height) * 3;
        let size = usize::try_from(size).map_err(|_| broken("a picture beyond the limits"))?;
        let pixels = read_exact(source, size)?;
        let image = RgbImage::from_raw(page.width, page.height, pixels)
            .ok_or_else(|| broken("another number of bytes than announced"))?;
        out.push((image, page.metadata.cleaned()));
    }
    Ok(Ok(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes in pieces, as a pipe gives them.
    struct Bytes<'a> {
        left: &'a [u8],
        piece: usize,
    }

    impl Source for Bytes<'_> {
        fn read_some(&mut self, out: &mut Vec<u8>, most: usize) -> io::Result<()> {
            let size = most.min(self.piece).min(self.left.len());
            if size == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (now, left) = self.left.split_at(size);
            out.extend_from_slice(now);
            self.left = left;
            Ok(())
        }
    }

    fn received(bytes: &[u8], limits: &Limits) -> io::Result<Received> {
        receive(&mut Bytes { left: bytes, piece: 7 }, limits)
    }

    fn small() -> Limits {
        Limits { max_pixels: 100, max_side: 20, max_rendered_pages: 2, ..Limits::default() }
    }

    fn answer(pages: &[(u32, u32)], pixels: usize) -> Vec<u8> {
        let metadata = Metadata { software: Some("x\u{0}y".repeat(99)), ..Metadata::default() };
        let pages =
            pages.iter().map(|&(width, height)| Page { width, height, metadata: metadata.clone() }).collect();
        let mut bytes = header(&Answer::Pages(pages)).expect("is written");
        bytes.extend(vec![7; pixels]);
        bytes
    }

    #[test]
    fn an_honest_answer_is_taken_and_its_texts_are_cleaned() {
        let pages =
            received(&answer(&[(4, 3), (2, 2)], 48), &small()).expect("is whole").expect("is decoded");
        let sizes: Vec<_> = pages.iter().map(|(image, _)| image.dimensions()).collect();
        assert_eq!(sizes, [(4, 3), (2, 2)]);
        let software = pages[0].1.software.as_deref().expect("has a text");
        assert!(software.chars().count() <= 64 && !software.contains('\0'), "{software:?}");
        assert_eq!(pages[0].1.orientation, 1, "no other value than 1 to 8 passes");
    }

    #[test]
    fn what_goes_beyond_the_limits_is_refused_before_memory_is_taken_for_it() {
        for (pages, pixels) in [
            (&[(u32::MAX, u32::MAX)][..], 10),
            (&[(21, 1)], 63),
            (&[(0, 5)], 0),
            (&[(11, 10)], 330),
            (&[(1, 1), (1, 1), (1, 1)], 9),
            (&[], 0),
            (&[(4, 3)], 35),
        ] {
            assert!(received(&answer(pages, pixels), &small()).is_err(), "{pages:?}");
        }
        assert!(received(&u32::MAX.to_le_bytes(), &small()).is_err());
    }

    #[test]
    fn a_refusal_comes_through_with_its_code_and_its_texts_are_cut() {
        let refusals = [
            DecodeError::Truncated,
            DecodeError::Malformed { what: format!("\u{1b}[2J{}", "a".repeat(9999)) },
        ];
        for refusal in refusals {
            let bytes = header(&Answer::Refused(refusal.clone())).expect("is written");
            let came = received(&bytes, &small()).expect("is whole").expect_err("is refused");
            assert_eq!(came.code(), refusal.code());
            assert!(came.to_string().len() < 200 && !came.to_string().contains('\u{1b}'));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_of_a_child_never_panic_and_never_pass_the_limits(
            noise in prop::collection::vec(any::<u8>(), 0..300),
            pages in prop::collection::vec((0_u32..30, 0_u32..30), 0..4),
            pixels in 0_usize..700,
            flips in prop::collection::vec((0_usize..400, any::<u8>()), 0..4),
            piece in 1_usize..50,
        ) {
            let mut damaged = answer(&pages, pixels);
            for (at, bits) in flips {
                let at = at % damaged.len();
                damaged[at] ^= bits;
            }
            for bytes in [&noise, &damaged] {
                if let Ok(Ok(pages)) = receive(&mut Bytes { left: bytes, piece }, &small()) {
                    prop_assert!(pages.len() <= 2);
                    for (image, _) in pages {
                        prop_assert!(u64::from(image.width()) * u64::from(image.height()) <= 100);
                    }
                }
            }
        }
    }
}
