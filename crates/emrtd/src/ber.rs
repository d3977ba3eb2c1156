//! Reads and writes the tag-length-value encodings of travel documents (X.690 BER and DER).
//!
//! Real chips deviate from DER: indefinite lengths, lengths longer than needed,
//! octet strings in pieces. [`normalise`] turns such input into one definite form
//! once, leaving every part that is already definite byte for byte as it was (its
//! signature must still verify); all other code reads with [`Reader`] and never
//! meets an indefinite length. Nesting and sizes are bounded.

/// Deepest nesting that is followed.
const MAX_DEPTH: u32 = 32;

/// Why bytes are not an encoding that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The input ends inside an element.
    #[error("data ends inside an element")]
    Truncated,
    /// A tag or a length in a form that is not allowed.
    #[error("tag or length is malformed")]
    Malformed,
    /// Nested deeper than any travel document does.
    #[error("nested too deeply")]
    TooDeep,
    /// Another element was expected here.
    #[error("expected tag {expected:#x}, found {found:#x}")]
    Unexpected {
        /// The tag that should stand here.
        expected: u32,
        /// The tag that stands here; 0 at the end of data.
        found: u32,
    },
    /// A whole file of none of the kinds that are known.
    #[error("not a file of a travel document chip, a certificate or a signed object")]
    Unknown,
    /// The value does not have the form of its type.
    #[error("value is malformed")]
    Value,
    /// Bytes follow where the encoding should end.
    #[error("data follows the last element")]
    Trailing,
}

/// One element: `raw` is the whole encoding, `content` what lies inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// All tag bytes as one number, most significant first, such as `0x30` or `0x7F61`.
    pub tag: u32,
    /// The value bytes.
    pub content: &'a [u8],
    /// Tag, length and value.
    pub raw: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// Whether the value holds elements in turn.
    pub fn constructed(&self) -> bool {
        self.raw.first().is_some_and(|b| b & 0x20 != 0)
    }

    /// A reader over the elements inside.
    pub fn reader(&self) -> Reader<'a> {
        Reader::new(self.content)
    }

    /// The elements inside.
    pub fn children(&self) -> Result<Vec<Tlv<'a>>, Error> {
        self.reader().all()
    }

    /// The bits of a BIT STRING whose count is a multiple of eight.
    pub fn bit_string(&self) -> Result<&'a [u8], Error> {
        match self.content.split_first() {
            Some((0, bits)) => Ok(bits),
            _ => Err(Error::Value),
        }
    }

    /// A small non-negative INTEGER.
    pub fn small_integer(&self) -> Result<u32, Error> {
        if self.content.is_empty()
            || self.content.len() > 5
            || self.content.first().is_some_and(|b| b & 0x80 != 0)
        {
            return Err(Error::Value);
        }
        let value = self.content.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        u32::try_from(value).map_err(|_| Error::Value)
    }

    /// The magnitude bytes of an INTEGER without leading zeros. A set sign bit is
    /// read as part of the magnitude: some issuers forget the leading zero.
    pub fn magnitude(&self) -> &'a [u8] {
        let mut bytes = self.content;
        while let [0, rest @ ..] = bytes {
            bytes = rest;
        }
        bytes
    }

    /// The OBJECT IDENTIFIER in dotted form.
    pub fn oid(&self) -> Result<Oid, Error> {
        if self.tag == tag::OID { Oid::from_content(self.content) } else { Err(Error::Value) }
    }
}

/// Universal tags used in travel documents.
pub mod tag {
    #![expect(missing_docs, reason = "the names are those of X.680")]
    pub const BOOLEAN: u32 = 0x01;
    pub const INTEGER: u32 = 0x02;
    pub const BIT_STRING: u32 = 0x03;
    pub const OCTET_STRING: u32 = 0x04;
    pub const NULL: u32 = 0x05;
    pub const OID: u32 = 0x06;
    pub const UTF8_STRING: u32 = 0x0C;
    pub const PRINTABLE_STRING: u32 = 0x13;
    pub const UTC_TIME: u32 = 0x17;
    pub const GENERALIZED_TIME: u32 = 0x18;
    pub const SEQUENCE: u32 = 0x30;
    pub const SET: u32 = 0x31;
}

/// Reads one element after another.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The tag of the next element without reading it; `None` at the end or when it is malformed.
    pub fn peek_tag(&self) -> Option<u32> {
        read_tag(self.rest).ok().map(|(tag, _)| tag)
    }

    /// Reads the next element of definite length.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator cannot tell the end from an error this plainly"
    )]
    pub fn next(&mut self) -> Result<Tlv<'a>, Error> {
        let header = read_header(self.rest)?;
        let length = header.length.ok_or(Error::Malformed)?;
        let end = header.size.checked_add(length).ok_or(Error::Malformed)?;
        let raw = self.rest.get(..end).ok_or(Error::Truncated)?;
        let content = raw.get(header.size..).ok_or(Error::Truncated)?;
        self.rest = self.rest.get(end..).ok_or(Error::Truncated)?;
        Ok(Tlv { tag: header.tag, content, raw })
    }

    /// Reads the next element, which must carry `expected`.
    pub fn expect(&mut self, expected: u32) -> Result<Tlv<'a>, Error> {
        match self.peek_tag() {
            Some(found) if found == expected => self.next(),
            found => Err(Error::Unexpected { expected, found: found.unwrap_or(0) }),
        }
    }

    /// Reads the next element when it carries `tag`.
    pub fn optional(&mut self, tag: u32) -> Result<Option<Tlv<'a>>, Error> {
        if self.peek_tag() == Some(tag) { self.next().map(Some) } else { Ok(None) }
    }

    /// Reads everything that is left.
    pub fn all(mut self) -> Result<Vec<Tlv<'a>>, Error> {
        let mut elements = Vec::new();
        while !self.is_empty() {
            elements.push(self.next()?);
        }
        Ok(elements)
    }

    /// Fails when something is left.
    pub fn end(self) -> Result<(), Error> {
        if self.is_empty() { Ok(()) } else { Err(Error::Trailing) }
    }
}

/// Reads the one element that `bytes` begins with; what follows is ignored.
pub fn first(bytes: &[u8]) -> Result<Tlv<'_>, Error> {
    Reader::new(bytes).next()
}

/// The length in bytes of the whole element whose beginning is `head`, as far as the
/// header tells; used to learn how much of a file to read.
pub fn announced_length(head: &[u8]) -> Result<usize, Error> {
    let header = read_header(head)?;
    header.length.and_then(|length| length.checked_add(header.size)).ok_or(Error::Malformed)
}

struct Header {
    tag: u32,
    size: usize,
    length: Option<usize>,
}

fn read_tag(bytes: &[u8]) -> Result<(u32, usize), Error> {
    let first = *bytes.first().ok_or(Error::Truncated)?;
    let mut tag = u32::from(first);
    if first & 0x1F != 0x1F {
        return Ok((tag, 1));
    }
    for at in 1..4 {
        let byte = *bytes.get(at).ok_or(Error::Truncated)?;
        tag = tag << 8 | u32::from(byte);
        if byte & 0x80 == 0 {
            return Ok((tag, at + 1));
        }
    }
    Err(Error::Malformed)
}

fn read_header(bytes: &[u8]) -> Result<Header, Error> {
    let (tag, at) = read_tag(bytes)?;
    let first = *bytes.get(at).ok_or(Error::Truncated)?;
    let (size, length) = match first {
        0..=0x7F => (at + 1, Some(usize::from(first))),
        0x80 => (at + 1, None),
        _ => {
            let count = usize::from(first & 0x7F);
            if count > 4 {
                return Err(Error::Malformed);
            }
            let digits = bytes.get(at + 1..at + 1 + count).ok_or(Error::Truncated)?;
            (at + 1 + count, Some(digits.iter().fold(0usize, |n, b| n << 8 | usize::from(*b))))
        }
    };
    Ok(Header { tag, size, length })
}

/// Rewrites the element at the start of `bytes` so that every length is definite and
/// every octet string is in one piece. Parts that already are stay byte for byte.
/// Also returns how many input bytes the element took.
pub fn normalise(bytes: &[u8]) -> Result<(Vec<u8>, usize), Error> {
    let mut out = Vec::with_capacity(bytes.len());
    let used = normalise_one(bytes, &mut out, 0)?;
    Ok((out, used))
}

/// Returns the bytes used; appends the normal form to `out`.
fn normalise_one(bytes: &[u8], out: &mut Vec<u8>, depth: u32) -> Result<usize, Error> {
    if depth > MAX_DEPTH {
        return Err(Error::TooDeep);
    }
    let header = read_header(bytes)?;
    let constructed = bytes.first().is_some_and(|b| b & 0x20 != 0);
    if let (Some(length), false) = (header.length, constructed) {
        let end = header.size.checked_add(length).ok_or(Error::Malformed)?;
        out.extend_from_slice(bytes.get(..end).ok_or(Error::Truncated)?);
        return Ok(end);
    }
    if !constructed {
        return Err(Error::Malformed);
    }
    let mut inner = Vec::new();
    let mut at = header.size;
    let end = match header.length {
        Some(length) => {
            let end = header.size.checked_add(length).ok_or(Error::Malformed)?;
            let body = bytes.get(..end).ok_or(Error::Truncated)?;
            // A definite element can still hold indefinite ones; contents that are not
            // elements at all (opaque constructed tags) stay as they are.
            let mut clean = true;
            while at < end {
                match normalise_one(body.get(at..).ok_or(Error::Truncated)?, &mut inner, depth + 1) {
                    Ok(used) => at += used,
                    Err(Error::TooDeep) => return Err(Error::TooDeep),
                    Err(_) => {
                        clean = false;
                        break;
                    }
                }
            }
            if header.tag != 0x24 && (!clean || body.get(header.size..) == Some(inner.as_slice())) {
                out.extend_from_slice(body);
                return Ok(end);
            }
            end
        }
        None => loop {
            let rest = bytes.get(at..).ok_or(Error::Truncated)?;
            if let [0, 0, ..] = rest {
                break at + 2;
            }
            at += normalise_one(rest, &mut inner, depth + 1)?;
        },
    };
    if header.tag == 0x24 {
        let mut whole = Vec::with_capacity(inner.len());
        for piece in Reader::new(&inner).all()? {
            if piece.tag != tag::OCTET_STRING {
                return Err(Error::Malformed);
            }
            whole.extend_from_slice(piece.content);
        }
        write(out, tag::OCTET_STRING, &whole);
    } else {
        write(out, header.tag, &inner);
    }
    Ok(end)
}

/// Appends an element in DER.
pub fn write(out: &mut Vec<u8>, tag: u32, content: &[u8]) {
    let tag_bytes = tag.to_be_bytes();
    let skip = tag_bytes.iter().take(3).take_while(|b| **b == 0).count();
    out.extend(tag_bytes.iter().skip(skip));
    write_length(out, content.len());
    out.extend_from_slice(content);
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    if let Ok(short) = u8::try_from(length)
        && short < 0x80
    {
        out.push(short);
        return;
    }
    let digits = length.to_be_bytes();
    let skip = digits.iter().take_while(|b| **b == 0).count();
    out.push(0x80 | u8::try_from(digits.len() - skip).unwrap_or(8));
    out.extend(digits.iter().skip(skip));
}

/// One element in DER.
pub fn element(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    write(&mut out, tag, content);
    out
}

/// One element in DER around the given parts.
pub fn wrap(tag: u32, parts: &[&[u8]]) -> Vec<u8> {
    element(tag, &parts.concat())
}

/// A non-negative INTEGER in DER from its magnitude.
pub fn integer(magnitude: &[u8]) -> Vec<u8> {
    let skip = magnitude.iter().take_while(|b| **b == 0).count();
    let digits = magnitude.get(skip..).unwrap_or(&[]);
    let mut content = Vec::with_capacity(digits.len() + 1);
    if digits.first().is_none_or(|b| b & 0x80 != 0) {
        content.push(0);
    }
    content.extend_from_slice(digits);
    element(tag::INTEGER, &content)
}

/// An object identifier in dotted form, such as `2.23.136.1.1.1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Oid(String);

impl Oid {
    /// From the dotted form.
    pub fn new(dotted: &str) -> Self {
        Self(dotted.to_owned())
    }

    /// The dotted form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From the value bytes (X.690 8.19).
    pub fn from_content(content: &[u8]) -> Result<Self, Error> {
        if content.is_empty() || content.len() > 64 {
            return Err(Error::Value);
        }
        let mut arcs = Vec::new();
        let mut value = 0u64;
        for byte in content {
            if value >> 56 != 0 {
                return Err(Error::Value);
            }
            value = value << 7 | u64::from(byte & 0x7F);
            if byte & 0x80 == 0 {
                if arcs.is_empty() {
                    let first = (value / 40).min(2);
                    arcs.push(first.to_string());
                    value -= first * 40;
                }
                arcs.push(value.to_string());
                value = 0;
            }
        }
        if content.last().is_some_and(|b| b & 0x80 != 0) {
            return Err(Error::Value);
        }
        Ok(Self(arcs.join(".")))
    }

    /// The value bytes.
    pub fn to_content(&self) -> Vec<u8> {
        let arcs: Vec<u64> = self.0.split('.').map(|arc| arc.parse().unwrap_or(0)).collect();
        let (top, second) = (arcs.first().copied().unwrap_or(0), arcs.get(1).copied().unwrap_or(0));
        let mut out = Vec::new();
        for arc in std::iter::once(top * 40 + second).chain(arcs.into_iter().skip(2)) {
            let digits = (64 - arc.leading_zeros()).div_ceil(7).max(1);
            for index in (0..digits).rev() {
                let more = if index == 0 { 0 } else { 0x80 };
                out.push(u8::try_from(arc >> (7 * index) & 0x7F).unwrap_or(0) | more);
            }
        }
        out
    }

    /// The element in DER.
    pub fn to_der(&self) -> Vec<u8> {
        element(tag::OID, &self.to_content())
    }

    /// The arcs after `prefix`, when this lies below it.
    pub fn below<'a>(&'a self, prefix: &str) -> Option<&'a str> {
        self.0.strip_prefix(prefix)?.strip_prefix('.')
    }
}

impl std::fmt::Display for Oid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for Oid {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Oid {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn indefinite_lengths_and_split_octet_strings_become_definite() {
        // SEQUENCE { [0] { OCTET STRING in two pieces }, INTEGER 5 }, all indefinite
        let ber = hex::decode("3080A08024800402AABB0401CC00000000020105000099").expect("hex");
        let (der, used) = normalise(&ber).expect("is well formed");
        assert_eq!(hex::encode(der), "300aa0050403aabbcc020105");
        assert_eq!(used, ber.len() - 1);
    }

    #[test]
    fn definite_input_with_lengths_longer_than_needed_stays_byte_for_byte() {
        let ber = hex::decode("30810702820003414243").expect("hex");
        assert_eq!(normalise(&ber).expect("is well formed").0, ber);
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let deep = [0x30, 0x80].repeat(5000);
        assert_eq!(normalise(&deep), Err(Error::TooDeep));
    }

    #[test]
    fn object_identifiers_round_trip() {
        for dotted in ["2.23.136.1.1.1", "0.4.0.127.0.7.2.2.4.2.4", "1.2.840.113549.1.1.10", "2.999.3"] {
            let oid = Oid::new(dotted);
            assert_eq!(Oid::from_content(&oid.to_content()), Ok(oid));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = normalise(&bytes);
            let _ = Reader::new(&bytes).all();
            let _ = announced_length(&bytes);
            let _ = Oid::from_content(&bytes);
        }

        #[test]
        fn what_is_written_is_read(tag in prop_oneof![Just(0x30u32), Just(0x7F61), Just(0x04)], content in proptest::collection::vec(any::<u8>(), 0..70000)) {
            let bytes = element(tag, &content);
            let tlv = first(&bytes).expect("was written");
            prop_assert_eq!(tlv.tag, tag);
            prop_assert_eq!(tlv.content, &content[..]);
            prop_assert_eq!(announced_length(&bytes), Ok(bytes.len()));
        }
    }
}
