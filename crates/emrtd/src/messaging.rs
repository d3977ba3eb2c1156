//! Secure messaging: every command encrypted and authenticated, every answer checked (ICAO 9303-11 9.8).
//!
//! The send sequence counter makes each message unique and in order; command number i uses
//! counter start + 2i + 1 whatever the chip answers, which is why a batch of commands can be wrapped
//! before the first answer is known. One error ends the session: there is no way back into step.

use crate::apdu::{Command, Response};
use crate::ber::{Reader, element};
use crate::cipher::{Suite, equal, pad, unpad};

/// Why an answer is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The chip answered in clear, with this status: it has ended the session or refuses to talk.
    #[error("the chip answered in clear with status {0:04x}")]
    Clear(u16),
    /// Not an answer of secure messaging.
    #[error("the answer is malformed")]
    Malformed,
    /// The authentication code is wrong: something on the way changed the answer.
    #[error("the answer's authentication code is wrong")]
    Mac,
    /// The encrypted data cannot be decrypted.
    #[error("the answer cannot be decrypted")]
    Decrypt,
}

/// One direction-aware session with its keys and counter.
#[derive(Clone)]
pub struct SecureMessaging {
    suite: Suite,
    enc: Vec<u8>,
    mac: Vec<u8>,
    counter: Vec<u8>,
}

impl std::fmt::Debug for SecureMessaging {
    /// Keys stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecureMessaging").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl SecureMessaging {
    /// A session over the two keys; `counter` has the length of a block (8 or 16 bytes).
    pub fn new(suite: Suite, enc: Vec<u8>, mac: Vec<u8>, counter: Vec<u8>) -> Option<Self> {
        let sound = enc.len() == suite.key_size()
            && mac.len() == suite.key_size()
            && counter.len() == suite.block_size();
        sound.then_some(Self { suite, enc, mac, counter })
    }

    /// A session over keys derived from a shared secret, counter zero (PACE and chip authentication).
    pub fn from_secret(suite: Suite, secret: &[u8]) -> Self {
        Self {
            suite,
            enc: suite.derive(secret, 1),
            mac: suite.derive(secret, 2),
            counter: vec![0; suite.block_size()],
        }
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Encryption key, authentication key and counter; for tests against published transcripts.
    pub fn state(&self) -> (&[u8], &[u8], &[u8]) {
        (&self.enc, &self.mac, &self.counter)
    }

    fn step(&mut self) {
        for byte in self.counter.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }

    /// Moves the counter on as if a message had passed; used to wrap a batch ahead of its answers.
    pub(crate) fn skip(&mut self) {
        self.step();
    }

    fn iv(&self) -> Option<Vec<u8>> {
        let zero = vec![0; self.suite.block_size()];
        if self.suite == Suite::Tdes {
            Some(zero)
        } else {
            self.suite.encrypt(&self.enc, &zero, &self.counter)
        }
    }

    fn authenticate(&self, parts: &[u8], always_pad: bool) -> Option<[u8; 8]> {
        let input = [self.counter.as_slice(), parts].concat();
        let block = self.suite.block_size();
        let input = if always_pad || !input.len().is_multiple_of(block) { pad(&input, block) } else { input };
        self.suite.mac(&self.mac, &input)
    }

    fn conceal(&self, tag: u32, data: &[u8]) -> Option<Vec<u8>> {
        if data.is_empty() {
            return Some(Vec::new());
        }
        let encrypted = self.suite.encrypt(&self.enc, &self.iv()?, &pad(data, self.suite.block_size()))?;
        // odd instructions carry encrypted data objects without the padding indicator
        let content = if tag == 0x87 { [&[1], encrypted.as_slice()].concat() } else { encrypted };
        Some(element(tag, &content))
    }

    fn reveal(&self, tag: u32, content: &[u8]) -> Option<Vec<u8>> {
        let encrypted = if tag == 0x87 { content.strip_prefix(&[1])? } else { content };
        if encrypted.is_empty() {
            return None;
        }
        let padded = self.suite.decrypt(&self.enc, &self.iv()?, encrypted)?;
        unpad(&padded).map(<[u8]>::to_vec)
    }

    /// Wraps a command and moves the counter on.
    pub fn wrap(&mut self, command: &Command) -> Vec<u8> {
        self.step();
        let header = [command.cla | 0x0C, command.ins, command.p1, command.p2];
        let tag = if command.ins & 1 == 0 { 0x87 } else { 0x85 };
        let mut objects = self.conceal(tag, &command.data).unwrap_or_default();
        let extended = command.le.is_some_and(|le| le > 256);
        if let Some(le) = command.le {
            let word = u16::try_from(le).unwrap_or(0).to_be_bytes();
            objects.extend(element(0x97, if extended { &word } else { &word[1..] }));
        }
        let mut input = pad(&header, self.suite.block_size());
        input.extend_from_slice(&objects);
        let mac = self.authenticate(&input, !objects.is_empty()).unwrap_or_default();
        objects.extend(element(0x8E, &mac));
        let le = Some(if extended || objects.len() > 255 { 65_536 } else { 256 });
        let [cla, ins, p1, p2] = header;
        Command { cla, ins, p1, p2, data: objects, le }.encode()
    }

    /// Checks and opens an answer, and moves the counter on.
    pub fn unwrap(&mut self, bytes: &[u8]) -> Result<Response, Error> {
        let outer = Response::parse(bytes).ok_or(Error::Malformed)?;
        if outer.data.is_empty() {
            return Err(Error::Clear(outer.status));
        }
        self.step();
        let mut reader = Reader::new(&outer.data);
        let (mut cipher, mut status, mut mac) = (None, None, None);
        let mut covered = 0;
        while !reader.is_empty() {
            let object = reader.next().map_err(|_| Error::Malformed)?;
            let slot = match object.tag {
                0x85 | 0x87 => &mut cipher,
                0x99 => &mut status,
                0x8E => &mut mac,
                _ => return Err(Error::Malformed),
            };
            if slot.replace(object).is_some() || (object.tag != 0x8E && mac.is_some()) {
                return Err(Error::Malformed);
            }
            if object.tag != 0x8E {
                covered = outer.data.len() - reader.rest().len();
            }
        }
        let mac = mac.ok_or(Error::Malformed)?;
        let input = outer.data.get(..covered).ok_or(Error::Malformed)?;
        let expected = self.authenticate(input, true).ok_or(Error::Malformed)?;
        if !equal(&expected, mac.content) {
            return Err(Error::Mac);
        }
        let status = status.ok_or(Error::Malformed)?;
        let status = u16::from_be_bytes(status.content.try_into().map_err(|_| Error::Malformed)?);
        if status != outer.status {
            return Err(Error::Malformed);
        }
        let data = match cipher {
            Some(object) => self.reveal(object.tag, object.content).ok_or(Error::Decrypt)?,
            None => Vec::new(),
        };
        Ok(Response { data, status })
    }

    /// The chip's side: checks and opens a command, and moves the counter on.
    pub fn unwrap_command(&mut self, bytes: &[u8]) -> Option<Command> {
        let outer = Command::parse(bytes)?;
        if outer.cla & 0x0C != 0x0C {
            return None;
        }
        self.step();
        let mut reader = Reader::new(&outer.data);
        let (mut data, mut le, mut mac) = (Vec::new(), None, None);
        let mut covered = 0;
        while !reader.is_empty() {
            let object = reader.next().ok()?;
            match object.tag {
                0x85 | 0x87 => data = self.reveal(object.tag, object.content)?,
                0x97 => {
                    le = match *object.content {
                        [0] => Some(256),
                        [n] => Some(usize::from(n)),
                        [0, 0] => Some(65_536),
                        [a, b] => Some(usize::from(u16::from_be_bytes([a, b]))),
                        _ => return None,
                    };
                }
                0x8E => mac = Some(object.content.to_vec()),
                _ => return None,
            }
            if object.tag != 0x8E {
                covered = outer.data.len() - reader.rest().len();
            }
        }
        let mut input = pad(&[outer.cla, outer.ins, outer.p1, outer.p2], self.suite.block_size());
        input.extend_from_slice(outer.data.get(..covered)?);
        let expected = self.authenticate(&input, covered > 0)?;
        if !equal(&expected, &mac?) {
            return None;
        }
        Some(Command { cla: outer.cla & !0x0C, ins: outer.ins, p1: outer.p1, p2: outer.p2, data, le })
    }

    /// The chip's side: wraps an answer, and moves the counter on.
    pub fn wrap_response(&mut self, response: &Response, odd: bool) -> Vec<u8> {
        self.step();
        let mut objects = self.conceal(if odd { 0x85 } else { 0x87 }, &response.data).unwrap_or_default();
        objects.extend(element(0x99, &response.status.to_be_bytes()));
        let mac = self.authenticate(&objects, true).unwrap_or_default();
        objects.extend(element(0x8E, &mac));
        Response { data: objects, status: response.status }.encode()
    }
}
