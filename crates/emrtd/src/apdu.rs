//! Commands to a chip and its answers (ISO/IEC 7816-4).

/// A command. `le` is how many bytes are expected at most: 256 and 65536 mean "as many as there are".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Class.
    pub cla: u8,
    /// Instruction.
    pub ins: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    /// Data; empty when there are none.
    pub data: Vec<u8>,
    /// Expected length of the answer's data.
    pub le: Option<usize>,
}

impl Command {
    /// A command of the plain class 00.
    pub fn new(ins: u8, p1: u8, p2: u8, data: &[u8], le: Option<usize>) -> Self {
        Self { cla: 0, ins, p1, p2, data: data.to_vec(), le }
    }

    /// SELECT a file by its identifier, without asking for its description.
    pub fn select_file(id: u16) -> Self {
        Self::new(0xA4, 0x02, 0x0C, &id.to_be_bytes(), None)
    }

    /// SELECT the travel document application.
    pub fn select_application() -> Self {
        Self::new(0xA4, 0x04, 0x0C, &APPLICATION, None)
    }

    /// SELECT the master file.
    pub fn select_master_file() -> Self {
        Self::new(0xA4, 0x00, 0x0C, &[0x3F, 0x00], None)
    }

    /// READ BINARY of `length` bytes at `offset` in the selected file. Beyond 32 KiB the odd instruction carries the
    /// offset, and the data come wrapped in tag 53.
    pub fn read_binary(offset: usize, length: usize) -> Self {
        match u16::try_from(offset) {
            Ok(short) if short < 0x8000 => {
                let [p1, p2] = short.to_be_bytes();
                Self::new(0xB0, p1, p2, &[], Some(length))
            }
            _ => {
                let digits = offset.to_be_bytes();
                let skip = digits.iter().take_while(|b| **b == 0).count();
                let data = crate::ber::element(0x54, digits.get(skip..).unwrap_or(&[]));
                // tag and length of the wrapping count as expected bytes, too
                Self::new(0xB1, 0, 0, &data, Some(length + 4))
            }
        }
    }

    /// The encoding: short form where data and answer allow it, else extended.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.cla, self.ins, self.p1, self.p2];
        let extended = self.data.len() > 255 || self.le.is_some_and(|le| le > 256);
        let word = |n: usize| u16::try_from(n).unwrap_or(0).to_be_bytes();
        if extended {
            out.push(0);
            if !self.data.is_empty() {
                out.extend(word(self.data.len()));
                out.extend_from_slice(&self.data);
            }
            if let Some(le) = self.le {
                out.extend(word(le));
            }
        } else {
            if !self.data.is_empty() {
                out.push(u8::try_from(self.data.len()).unwrap_or(0));
                out.extend_from_slice(&self.data);
            }
            if let Some(le) = self.le {
                out.push(u8::try_from(le).unwrap_or(0));
            }
        }
        out
    }

    /// Parses an encoding; `None` when it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, body) = bytes.split_at_checked(4)?;
        let [cla, ins, p1, p2] = *header else { return None };
        let done = |data: &[u8], le: Option<usize>| Some(Self { cla, ins, p1, p2, data: data.to_vec(), le });
        let short = |b: u8| Some(if b == 0 { 256 } else { usize::from(b) });
        let long = |a: u8, b: u8| {
            Some(if (a, b) == (0, 0) { 65_536 } else { usize::from(u16::from_be_bytes([a, b])) })
        };
        match *body {
            [] => done(&[], None),
            [le] => done(&[], short(le)),
            [0, a, b] => done(&[], long(a, b)),
            [0, a, b, ref rest @ ..] => {
                let (data, tail) = rest.split_at_checked(usize::from(u16::from_be_bytes([a, b])))?;
                match *tail {
                    [] => done(data, None),
                    [a, b] => done(data, long(a, b)),
                    _ => None,
                }
            }
            [lc, ref rest @ ..] => {
                let (data, tail) = rest.split_at_checked(usize::from(lc))?;
                match *tail {
                    [] => done(data, None),
                    [le] => done(data, short(le)),
                    _ => None,
                }
            }
        }
    }
}

/// Identifier of the travel document application (ICAO 9303-10 3.5).
pub const APPLICATION: [u8; 7] = [0xA0, 0x00, 0x00, 0x02, 0x47, 0x10, 0x01];

/// An answer: data and status word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The data.
    pub data: Vec<u8>,
    /// The status word; 9000 is success.
    pub status: u16,
}

impl Response {
    /// Success.
    pub const OK: u16 = 0x9000;

    /// Splits data and status word; `None` for fewer than two bytes.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (data, status) = bytes.split_at_checked(bytes.len().checked_sub(2)?)?;
        Some(Self { data: data.to_vec(), status: u16::from_be_bytes(status.try_into().ok()?) })
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        [self.data.as_slice(), &self.status.to_be_bytes()].concat()
    }

    /// The data of a success, `None` otherwise. A warning of class 62 or 63 (such as 6282, end of file
    /// reached) with data counts as success.
    pub fn success(&self) -> Option<&[u8]> {
        let warned = matches!(self.status, 0x6200..=0x63FF) && !self.data.is_empty();
        (self.status == Self::OK || warned).then_some(&self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_beyond_32_kib_use_the_odd_instruction() {
        assert_eq!(hex::encode(Command::read_binary(0x7FFF, 223).encode()), "00b07fffdf");
        assert_eq!(
            hex::encode(Command::read_binary(0x8000, 223).encode()),
            "00b1000004540280 00e3".replace(' ', "")
        );
    }

    proptest! {
        #[test]
        fn commands_round_trip(ins: u8, p1: u8, p2: u8, data in proptest::collection::vec(any::<u8>(), 0..600), le in proptest::option::of(1usize..=65536)) {
            // the extended form cannot hold both a short answer and long data otherwise than as given
            let command = Command::new(ins, p1, p2, &data, le);
            prop_assert_eq!(Command::parse(&command.encode()), Some(command));
        }

        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let _ = Command::parse(&bytes);
            let _ = Response::parse(&bytes);
        }
    }
}
