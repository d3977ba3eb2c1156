//! The server's terminal: reads a chip through someone else's radio, without any I/O of its own.
//!
//! [`Terminal::start`] and [`Terminal::on_responses`] give the next batch of commands; whoever holds the
//! document sends them to the chip in order, stops after the first answer that is not 9000, and
//! hands the answers back. Session keys never leave the server and the answers are authenticated by
//! the chip, so the carrier can delay or drop, but not forge.
//!
//! Order: EF.CardAccess, PACE or BAC, (EF.CardSecurity,) EF.SOD and DG14, chip authentication, the
//! signed data groups that are wanted, active authentication. EF.COM is not read: it is not signed, and
//! EF.SOD says what there is. Fingerprints and irises (DG3, DG4) are never read.

use crate::agreement::Domain;
use crate::apdu::{Command, Response};
use crate::bac::{Bac, Password};
use crate::ber::announced_length;
use crate::chip_auth::ChipAuthentication;
use crate::cipher::{Entropy, Suite};
use crate::cms::SignedData;
use crate::key::PublicKey;
use crate::lds::file_id;
use crate::lds::security_infos::SecurityInfos;
use crate::lds::sod::LdsSecurityObject;
use crate::messaging::{Error as MessagingError, SecureMessaging};
use crate::pace::{ChipEvidence, Mapping, Pace, Protocol};
use crate::time::Time;
use crate::trust::TrustStore;
use crate::verify::{
    ActiveAuthentication, ChainStatus, GroupStatus, Input, ProofOfChip, Report, SodSignature, verify,
};
use std::collections::BTreeMap;

/// How a chip is read.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Data groups to read when the chip has them. DG14 and DG15 are read in any case, DG3 and DG4 never.
    pub groups: Vec<u8>,
    /// Most commands in one batch.
    pub batch: usize,
    /// Bytes asked for with one READ BINARY beyond a file's head. More than 223 needs extended length on both sides;
    /// the terminal falls back to 223 when the chip refuses.
    pub block: usize,
    /// Most commands in all.
    pub max_commands: usize,
    /// Largest file that is read.
    pub max_file_bytes: usize,
    /// The server's challenge for active authentication.
    pub challenge: Option<[u8; 8]>,
}

/// What one answer holds under secure messaging with short length.
const SHORT_BLOCK: usize = 223;

impl Default for Settings {
    fn default() -> Self {
        Self {
            groups: vec![1, 2, 7, 11, 12, 13, 16],
            batch: 128,
            block: SHORT_BLOCK,
            max_commands: 2000,
            max_file_bytes: 256 * 1024,
            challenge: None,
        }
    }
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send these commands in order; stop after the first answer that does not end in 9000.
    Send(Vec<Vec<u8>>),
    /// Everything there is has been read.
    Done(Box<Reading>),
    /// The chip cannot be read.
    Failed(Failure),
}

/// Why a chip cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The chip does not accept the password: mistyped, or another document.
    #[error("the chip does not accept the document's data or number")]
    AccessDenied,
    /// The chip offers no access that the given password serves.
    #[error("the chip offers no supported access")]
    NoAccess,
    /// Not a travel document chip, or its application does not answer.
    #[error("the chip has no travel document application")]
    NoApplication,
    /// Something on the way changed an answer, or the session got out of step.
    #[error("the secure session was broken")]
    SessionBroken,
    /// EF.SOD cannot be read, so nothing could be verified.
    #[error("the chip's signed object cannot be read")]
    NoSignedObject,
    /// The carrier does not keep to the protocol.
    #[error("the answers do not fit the commands")]
    Protocol,
    /// More commands than any document needs.
    #[error("the chip needs too many commands")]
    TooLong,
}

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Access and mapping, such as `PACE-CAM` or `BAC`.
    pub access: String,
    /// The suite of the session that access opened.
    pub suite: Option<Suite>,
    /// EF.CardAccess.
    pub card_access: Option<Vec<u8>>,
    /// EF.CardSecurity.
    pub card_security: Option<Vec<u8>>,
    /// EF.SOD.
    pub sod: Vec<u8>,
    /// Data groups by number.
    pub data_groups: BTreeMap<u8, Vec<u8>>,
    /// What chip authentication showed.
    pub chip_authentication: Option<ProofOfChip>,
    /// What is left to check of chip authentication mapping.
    pub mapping_evidence: Option<ChipEvidence>,
    /// Challenge and answer of active authentication.
    pub active_authentication: Option<([u8; 8], Vec<u8>)>,
    /// The chip has a signed active authentication key, was asked, and did not answer.
    pub active_authentication_refused: bool,
    /// What was not read, and why.
    pub skipped: Vec<String>,
    /// Batches sent.
    pub round_trips: usize,
    /// Commands sent.
    pub commands: usize,
}

impl Reading {
    /// Judges what was read. The challenge was the server's own.
    pub fn judge(&self, trust: &TrustStore, now: Option<Time>) -> Report {
        let exchange = self.active_authentication.as_ref();
        let mut input = Input {
            sod: &self.sod,
            data_groups: &self.data_groups,
            complete_read: true,
            active_authentication: exchange.map(|(challenge, response)| ActiveAuthentication {
                challenge,
                response,
                challenge_is_ours: true,
            }),
            chip_authentication: None,
            trust,
            now,
        };
        let first = verify(&input);
        let key_is_signed = first.dg_hashes.get(&14) == Some(&GroupStatus::Match);
        input.chip_authentication = match self.chip_authentication {
            // a proof with a key that nobody signed proves nothing
            Some(ProofOfChip::Valid) if !key_is_signed => Some(ProofOfChip::NotPerformed),
            other => other,
        };
        if input.chip_authentication != Some(ProofOfChip::Invalid)
            && let Some(evidence) = &self.mapping_evidence
        {
            input.chip_authentication = Some(self.judge_mapping(evidence, &input));
        }
        let mut report = verify(&input);
        if self.active_authentication_refused && report.dg_hashes.get(&15) == Some(&GroupStatus::Match) {
            report.active_authentication = ProofOfChip::Invalid;
            report.clone_suspected = true;
        }
        if let (Some(access), Some(group)) = (&self.card_access, self.data_groups.get(&14))
            && let (Ok(access), Ok(group)) = (SecurityInfos::parse(access), SecurityInfos::parse(group))
            && key_is_signed
            && !access.infos.iter().all(|info| group.infos.contains(info))
        {
            let why = "EF.CardAccess announces what the signed DG14 does not: the access may have been weakened on the way";
            report.warnings.push(format!("card_access_not_signed: {why}"));
        }
        report
    }

    /// The mapping proves the chip when EF.CardSecurity is genuine and holds the key that was used.
    fn judge_mapping(&self, evidence: &ChipEvidence, input: &Input<'_>) -> ProofOfChip {
        let Some(file) = &self.card_security else { return ProofOfChip::NotPerformed };
        let none = BTreeMap::new();
        let report = verify(&Input {
            sod: file,
            data_groups: &none,
            chip_authentication: None,
            active_authentication: None,
            ..*input
        });
        if report.sod_signature != SodSignature::Valid {
            return ProofOfChip::Invalid;
        }
        if report.chain != ChainStatus::Trusted {
            return ProofOfChip::NotPerformed;
        }
        let infos =
            SignedData::parse(file).ok().and_then(|signed| SecurityInfos::parse(&signed.content).ok());
        let proven = infos.is_some_and(|infos| {
            infos
                .public_keys()
                .filter_map(|(key, _)| Domain::of_key(key))
                .any(|(_, key)| evidence.proves(&key))
        });
        if proven { ProofOfChip::Valid } else { ProofOfChip::Invalid }
    }
}

/// A file being read.
struct File {
    id: u16,
    bytes: Vec<u8>,
    /// Its length, once its head is there.
    length: Option<usize>,
    /// Why it is not read.
    skipped: Option<String>,
}

impl File {
    fn new(id: u16) -> Self {
        Self { id, bytes: Vec::new(), length: None, skipped: None }
    }

    fn done(&self) -> bool {
        self.skipped.is_some() || self.length.is_some_and(|length| self.bytes.len() >= length)
    }
}

/// What an answer in the present batch belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    Select(usize),
    Read(usize, usize),
    Other,
}

enum State {
    CardAccess { retried: bool },
    PaceNonce(Box<Pace>),
    PaceMapping(Box<Pace>),
    PaceKey(Box<Pace>),
    PaceToken(Box<Pace>),
    CardSecurity,
    Application,
    BacChallenge,
    BacAnswer(Box<Bac>),
    Security,
    ChipAuthentication(Box<ChipAuthentication>, bool),
    Groups,
    ActiveAuthentication([u8; 8]),
    Over,
}

/// One chip session.
pub struct Terminal {
    password: Password,
    settings: Settings,
    entropy: Box<dyn Entropy + Send>,
    state: State,
    session: Option<SecureMessaging>,
    files: Vec<File>,
    pending: Vec<Purpose>,
    block: usize,
    /// Chip authentication took place, and no answer under the new keys has been seen yet.
    proof_open: bool,
    signed_groups: Vec<u8>,
    in_application: bool,
    reading: Reading,
}

impl Terminal {
    /// A session with the chip that `password` opens. `entropy` must be unpredictable outside tests.
    pub fn new(password: Password, settings: Settings, entropy: Box<dyn Entropy + Send>) -> Self {
        let block = settings.block.max(1);
        Self {
            password,
            settings,
            entropy,
            state: State::CardAccess { retried: false },
            session: None,
            files: vec![File::new(file_id::CARD_ACCESS)],
            pending: Vec::new(),
            block,
            proof_open: false,
            signed_groups: Vec::new(),
            in_application: false,
            reading: Reading::default(),
        }
    }

    /// The first batch.
    pub fn start(&mut self) -> Step {
        self.read_files()
    }

    /// Bytes read so far, and bytes of all files known so far.
    pub fn progress(&self) -> (usize, usize) {
        let read = self.files.iter().map(|f| f.bytes.len()).sum();
        (read, self.files.iter().map(|f| f.length.unwrap_or(f.bytes.len())).sum::<usize>().max(read))
    }

    /// Takes the answers to the last batch and gives the next step. Fewer answers than commands are right only when
    /// the last one is not 9000.
    pub fn on_responses(&mut self, responses: &[Vec<u8>]) -> Step {
        let pending = std::mem::take(&mut self.pending);
        let complete = responses.len() == pending.len();
        let stopped = responses.last().is_some_and(|last| !last.ends_with(&[0x90, 0x00]));
        // in the middle of a batch only successes stand: the carrier stops at anything else
        let rest = responses.get(..responses.len().saturating_sub(1)).unwrap_or(&[]);
        if rest.iter().any(|r| !r.ends_with(&[0x90, 0x00])) {
            return self.fail(Failure::Protocol);
        }
        if pending.is_empty()
            || responses.is_empty()
            || responses.len() > pending.len()
            || !(complete || stopped)
        {
            return self.fail(Failure::Protocol);
        }
        let mut answers = Vec::with_capacity(responses.len());
        for bytes in responses {
            if bytes.len() > 66_000 {
                return self.fail(Failure::Protocol);
            }
            let answer = match &mut self.session {
                None => Response::parse(bytes),
                Some(session) => {
                    session.skip();
                    match session.unwrap(bytes) {
                        Ok(answer) => {
                            if self.proof_open {
                                self.proof_open = false;
                                self.reading.chip_authentication = Some(ProofOfChip::Valid);
                            }
                            Some(answer)
                        }
                        // The first answer after chip authentication does not verify: the chip does not have the key.
                        Err(MessagingError::Mac | MessagingError::Clear(_)) if self.proof_open => {
                            self.reading.chip_authentication = Some(ProofOfChip::Invalid);
                            self.reading
                                .skipped
                                .push("the chip lost the session after chip authentication".to_owned());
                            return self.finish();
                        }
                        Err(MessagingError::Clear(status)) => {
                            self.reading
                                .skipped
                                .push(format!("the chip ended the session with status {status:04x}"));
                            return self.lost();
                        }
                        Err(_) => return self.fail(Failure::SessionBroken),
                    }
                }
            };
            match answer {
                Some(answer) => answers.push(answer),
                None => return self.fail(Failure::Protocol),
            }
        }
        self.advance(&pending, &answers)
    }

    /// The session is gone; what was read until then may still be worth a report.
    fn lost(&mut self) -> Step {
        self.collect();
        if self.reading.sod.is_empty() { self.fail(Failure::SessionBroken) } else { self.finish() }
    }

    fn fail(&mut self, failure: Failure) -> Step {
        self.state = State::Over;
        self.session = None;
        Step::Failed(failure)
    }

    fn finish(&mut self) -> Step {
        self.collect();
        if self.reading.sod.is_empty() {
            return self.fail(Failure::NoSignedObject);
        }
        self.state = State::Over;
        self.session = None;
        Step::Done(Box::new(std::mem::take(&mut self.reading)))
    }

    /// Sends commands, wrapped ahead when there is a session.
    fn send(&mut self, commands: Vec<(Command, Purpose)>) -> Step {
        self.reading.commands += commands.len();
        self.reading.round_trips += 1;
        if self.reading.commands > self.settings.max_commands {
            return self.fail(Failure::TooLong);
        }
        let mut ahead = self.session.clone();
        let mut batch = Vec::with_capacity(commands.len());
        for (command, purpose) in commands {
            batch.push(match &mut ahead {
                Some(session) => {
                    let bytes = session.wrap(&command);
                    session.skip();
                    bytes
                }
                None => command.encode(),
            });
            self.pending.push(purpose);
        }
        Step::Send(batch)
    }

    fn send_plain(&mut self, commands: impl IntoIterator<Item = Command>) -> Step {
        self.send(commands.into_iter().map(|command| (command, Purpose::Other)).collect())
    }

    fn advance(&mut self, pending: &[Purpose], answers: &[Response]) -> Step {
        let last_ok = answers.len() == pending.len() && answers.last().is_some_and(|a| a.success().is_some());
        let last_data = answers.last().and_then(Response::success).map(<[u8]>::to_vec);
        match std::mem::replace(&mut self.state, State::Over) {
            State::CardAccess { retried } => {
                self.state = State::CardAccess { retried };
                // Some chips want the master file selected first.
                if !retried && answers.len() == 1 && answers.first().is_some_and(|a| a.success().is_none()) {
                    self.state = State::CardAccess { retried: true };
                    self.files = vec![File::new(file_id::CARD_ACCESS)];
                    let file = Command::select_file(file_id::CARD_ACCESS);
                    return self.send(vec![
                        (Command::select_master_file(), Purpose::Other),
                        (file, Purpose::Select(0)),
                        (Command::read_binary(0, SHORT_BLOCK), Purpose::Read(0, 0)),
                    ]);
                }
                self.take_reads(pending, answers);
                self.read_files()
            }
            State::PaceNonce(mut pace) => {
                let Some(data) = last_data.filter(|_| last_ok) else {
                    // The chip turns the protocol down; the older access may still serve, and is reported.
                    let status = answers.last().map_or(0, |a| a.status);
                    self.reading.skipped.push(format!("PACE: turned down with status {status:04x}"));
                    return self.fall_back();
                };
                match pace.on_nonce(&data, &mut *self.entropy) {
                    Ok(command) => {
                        self.state = State::PaceMapping(pace);
                        self.send_plain([command])
                    }
                    Err(_) => self.fail(Failure::Protocol),
                }
            }
            State::PaceMapping(mut pace) => {
                match last_data.map(|data| pace.on_mapping(&data, &mut *self.entropy)) {
                    Some(Ok(command)) => {
                        self.state = State::PaceKey(pace);
                        self.send_plain([command])
                    }
                    _ => self.fail(Failure::Protocol),
                }
            }
            State::PaceKey(mut pace) => match last_data.map(|data| pace.on_key(&data)) {
                Some(Ok(command)) => {
                    self.state = State::PaceToken(pace);
                    self.send_plain([command])
                }
                _ => self.fail(Failure::Protocol),
            },
            State::PaceToken(pace) => {
                let (mapping, suite) = (pace.protocol().mapping, pace.protocol().suite);
                match last_data.map(|data| pace.finish(&data)) {
                    Some(Ok((session, evidence))) => {
                        self.session = Some(session);
                        self.reading.suite = Some(suite);
                        self.reading.access = match mapping {
                            Mapping::Generic => "PACE-GM",
                            Mapping::Integrated => "PACE-IM",
                            Mapping::ChipAuthentication => "PACE-CAM",
                        }
                        .to_owned();
                        if evidence.is_some() {
                            self.reading.mapping_evidence = evidence;
                            self.state = State::CardSecurity;
                            self.files = vec![File::new(file_id::CARD_SECURITY)];
                            return self.read_files();
                        }
                        self.select_application()
                    }
                    // The chip refuses our token, or its token is wrong.
                    None | Some(Err(_)) => self.fail(Failure::AccessDenied),
                }
            }
            State::CardSecurity => {
                self.state = State::CardSecurity;
                self.take_reads(pending, answers);
                self.read_files()
            }
            State::Application => {
                if !last_ok {
                    return self.fail(Failure::NoApplication);
                }
                self.start_security()
            }
            State::BacChallenge => {
                let Password::Mrz(digest) = self.password.clone() else {
                    return self.fail(Failure::NoAccess);
                };
                if answers.first().is_none_or(|a| a.success().is_none()) {
                    return self.fail(Failure::NoApplication);
                }
                let begun = last_data
                    .filter(|_| last_ok)
                    .and_then(|c| Bac::authenticate(&digest, &c, &mut *self.entropy));
                match begun {
                    Some((bac, command)) => {
                        self.state = State::BacAnswer(Box::new(bac));
                        self.send_plain([command])
                    }
                    None => self.fail(Failure::NoAccess),
                }
            }
            State::BacAnswer(bac) => match last_data.and_then(|data| bac.finish(&data)) {
                Some(session) => {
                    self.session = Some(session);
                    self.reading.access = "BAC".to_owned();
                    self.reading.suite = Some(Suite::Tdes);
                    self.start_security()
                }
                None => self.fail(Failure::AccessDenied),
            },
            State::Security => {
                self.state = State::Security;
                self.take_reads(pending, answers);
                self.read_files()
            }
            State::ChipAuthentication(exchange, template) => {
                if last_ok {
                    match exchange.finish() {
                        Some(session) => {
                            self.session = Some(session);
                            self.proof_open = true;
                        }
                        None => self.reading.chip_authentication = Some(ProofOfChip::Invalid),
                    }
                    return self.start_groups();
                }
                if !template && let Some(step) = self.start_chip_authentication(true) {
                    return step;
                }
                // The signed DG14 promises it, the chip does not do it.
                self.reading.chip_authentication = Some(ProofOfChip::Invalid);
                self.reading.skipped.push("the chip refused chip authentication".to_owned());
                self.start_groups()
            }
            State::Groups => {
                self.state = State::Groups;
                self.take_reads(pending, answers);
                self.read_files()
            }
            State::ActiveAuthentication(challenge) => {
                match last_data.filter(|data| !data.is_empty()) {
                    Some(response) => self.reading.active_authentication = Some((challenge, response)),
                    None => {
                        let status = answers.last().map_or(0, |a| a.status);
                        self.reading.skipped.push(format!("active authentication: status {status:04x}"));
                        self.reading.active_authentication_refused = true;
                    }
                }
                self.finish()
            }
            State::Over => self.fail(Failure::Protocol),
        }
    }

    /// Notes what a batch of file reads gave.
    fn take_reads(&mut self, pending: &[Purpose], answers: &[Response]) {
        let max = self.settings.max_file_bytes;
        for (purpose, answer) in pending.iter().zip(answers) {
            match *purpose {
                Purpose::Select(at) => {
                    if let Some(file) = self.files.get_mut(at)
                        && answer.success().is_none()
                        && answer.status != Response::OK
                    {
                        file.skipped = Some(format!("status {:04x} at selection", answer.status));
                    }
                }
                Purpose::Read(at, offset) => {
                    let asked = if offset == 0 { SHORT_BLOCK } else { self.block };
                    let Some(file) = self.files.get_mut(at) else { continue };
                    if file.skipped.is_some() || offset != file.bytes.len() {
                        // after a short answer the blocks that follow do not fit any more: they are read again
                        continue;
                    }
                    let data = match answer.success() {
                        Some(data) if offset >= 0x8000 => {
                            crate::ber::first(data).ok().filter(|t| t.tag == 0x53).map(|t| t.content)
                        }
                        other => other,
                    };
                    match data {
                        Some(data) if !data.is_empty() => {
                            file.bytes.extend_from_slice(data);
                            if data.len() < asked
                                && file.length.is_some_and(|length| file.bytes.len() < length)
                            {
                                self.block = data.len();
                            }
                        }
                        _ if self.block > SHORT_BLOCK => self.block = SHORT_BLOCK,
                        _ => file.skipped = Some(format!("status {:04x} at offset {offset}", answer.status)),
                    }
                    if file.length.is_none() {
                        match announced_length(&file.bytes) {
                            Ok(length) if length <= max => file.length = Some(length),
                            Ok(_) => file.skipped = Some("too large".to_owned()),
                            Err(_) => {
                                file.skipped = Some("not a file of the logical data structure".to_owned())
                            }
                        }
                    }
                    if let Some(length) = file.length {
                        file.bytes.truncate(length);
                    }
                }
                Purpose::Other => {}
            }
        }
    }

    /// The next batch of reads, or the next state when all files are there.
    fn read_files(&mut self) -> Step {
        let mut commands = Vec::new();
        let unknown = self.files.iter().any(|f| !f.done() && f.length.is_none());
        for (at, file) in self.files.iter().enumerate() {
            if file.done() || commands.len() + 2 > self.settings.batch.max(2) {
                continue;
            }
            match file.length {
                None => {
                    commands.push((Command::select_file(file.id), Purpose::Select(at)));
                    commands.push((Command::read_binary(0, SHORT_BLOCK), Purpose::Read(at, 0)));
                }
                // All heads first: then the rest goes out in as few batches as possible.
                Some(_) if unknown => {}
                Some(length) => {
                    commands.push((Command::select_file(file.id), Purpose::Select(at)));
                    let mut offset = file.bytes.len();
                    while offset < length && commands.len() < self.settings.batch {
                        let size = self.block.min(length - offset);
                        commands.push((Command::read_binary(offset, size), Purpose::Read(at, offset)));
                        offset += size;
                    }
                }
            }
        }
        if !commands.is_empty() {
            return self.send(commands);
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::CardAccess { .. } => self.open_access(),
            State::CardSecurity => {
                self.collect();
                self.select_application()
            }
            State::Security => {
                self.collect();
                if self.reading.sod.is_empty() {
                    return self.fail(Failure::NoSignedObject);
                }
                self.signed_groups = SignedData::parse(&self.reading.sod)
                    .ok()
                    .and_then(|signed| LdsSecurityObject::parse(&signed.content).ok())
                    .map(|object| object.digests.keys().copied().collect())
                    .unwrap_or_default();
                match self.start_chip_authentication(false) {
                    Some(step) => step,
                    None => self.start_groups(),
                }
            }
            State::Groups => {
                self.collect();
                self.start_active_authentication()
            }
            _ => self.fail(Failure::Protocol),
        }
    }

    /// Moves complete files into the reading.
    fn collect(&mut self) {
        for file in std::mem::take(&mut self.files) {
            let number = u8::try_from(file.id & 0xFF).unwrap_or(0);
            let name = match file.id {
                file_id::SOD if self.in_application => "EF.SOD".to_owned(),
                file_id::SOD => "EF.CardSecurity".to_owned(),
                _ => format!("DG{number}"),
            };
            if let Some(why) = &file.skipped {
                self.reading.skipped.push(format!("{name}: {why}"));
            } else if !file.done() {
                self.reading.skipped.push(format!("{name}: not read to its end"));
            } else if file.id == file_id::SOD {
                // EF.SOD and EF.CardSecurity share their identifier in two folders
                if self.in_application {
                    self.reading.sod = file.bytes;
                } else {
                    self.reading.card_security = Some(file.bytes);
                }
            } else if (1..=16).contains(&number) {
                self.reading.data_groups.insert(number, file.bytes);
            }
        }
    }

    /// PACE when EF.CardAccess offers it, else BAC.
    fn open_access(&mut self) -> Step {
        let file = std::mem::take(&mut self.files).into_iter().next();
        self.reading.card_access = file.filter(|f| f.skipped.is_none() && f.done()).map(|f| f.bytes);
        let protocol = self
            .reading
            .card_access
            .as_ref()
            .and_then(|bytes| SecurityInfos::parse(bytes).ok())
            .and_then(|infos| Protocol::choose(&infos));
        match protocol {
            Some(protocol) => {
                let (pace, commands) = Pace::start(protocol, self.password.clone());
                self.state = State::PaceNonce(Box::new(pace));
                self.send_plain(commands)
            }
            None => self.fall_back(),
        }
    }

    /// BAC, which only the MRZ opens.
    fn fall_back(&mut self) -> Step {
        if matches!(self.password, Password::Can(_)) {
            return self.fail(Failure::NoAccess);
        }
        self.state = State::BacChallenge;
        self.send_plain([Command::select_application(), Bac::get_challenge()])
    }

    fn select_application(&mut self) -> Step {
        self.state = State::Application;
        self.send_plain([Command::select_application()])
    }

    fn start_security(&mut self) -> Step {
        self.state = State::Security;
        self.in_application = true;
        self.files = vec![File::new(file_id::SOD), File::new(file_id::GROUPS + 14)];
        self.read_files()
    }

    /// `None` when the chip offers none. PACE-CAM has already shown as much.
    fn start_chip_authentication(&mut self, template: bool) -> Option<Step> {
        if self.reading.mapping_evidence.is_some() {
            return None;
        }
        let infos = SecurityInfos::parse(self.reading.data_groups.get(&14)?).ok()?;
        let offer = infos.chip_authentications().into_iter().next()?;
        let is_tdes = crate::chip_auth::suite(&offer) == Some(Suite::Tdes);
        if template && !is_tdes {
            return None;
        }
        let template = template || (offer.inferred && is_tdes);
        let (exchange, commands) = ChipAuthentication::start(&offer, template, &mut *self.entropy)?;
        self.state = State::ChipAuthentication(Box::new(exchange), template);
        Some(self.send_plain(commands))
    }

    fn start_groups(&mut self) -> Step {
        self.state = State::Groups;
        let wanted = |n: &u8| (self.settings.groups.contains(n) || *n == 15) && !matches!(n, 3 | 4 | 14);
        self.files = self
            .signed_groups
            .iter()
            .filter(|n| wanted(n))
            .map(|n| File::new(file_id::GROUPS + u16::from(*n)))
            .collect();
        for n in self.signed_groups.iter().filter(|n| !wanted(n) && **n != 14) {
            let why = if matches!(n, 3 | 4) { "only open to authorised terminals" } else { "not wanted" };
            self.reading.skipped.push(format!("DG{n}: {why}"));
        }
        self.read_files()
    }

    fn start_active_authentication(&mut self) -> Step {
        let key = self.reading.data_groups.get(&15).and_then(|file| crate::active::public_key(file).ok());
        let (Some(key), Some(challenge)) = (key, self.settings.challenge) else { return self.finish() };
        // An RSA signature that does not fit a short answer needs extended length.
        let long = matches!(&key, PublicKey::Rsa(key) if key.size() > 231);
        self.state = State::ActiveAuthentication(challenge);
        self.send_plain([Command::new(0x88, 0, 0, &challenge, Some(if long { 65_536 } else { 256 }))])
    }
}
