//! The child: locks itself up, then decodes what comes on its standard input until that ends.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    process::ExitCode,
};

use emrtd::lds::face;
use imaging::{DecodeError, RgbImage};

use crate::{
    framing::{Answer, Ask, Hello, Kind, PROTOCOL, Page, Source, header, read_exact, read_header},
    limits,
};

/// The names of the forbidden acts, for the test that tries them all.
pub fn forbidden() -> impl Iterator<Item = &'static str> {
    FORBIDDEN.iter().map(|(name, _)| *name)
}

/// First argument that makes the program such a child.
pub const ARGUMENT: &str = "decode-pictures-for-parent";

/// A forbidden act: its name, and what it gives should the child survive it.
type Attempt = (&'static str, fn() -> String);

/// What the child tries instead of serving when it is asked to, once it is locked up. Each must end it.
const FORBIDDEN: &[Attempt] = &[
    ("open-a-file", || format!("{:?}", std::fs::File::open("/etc/hostname"))),
    ("list-a-folder", || format!("{:?}", std::fs::read_dir("/").map(Iterator::count))),
    ("write-a-file", || format!("{:?}", std::fs::write("/tmp/decoder-was-here", "x"))),
    ("open-a-socket", || format!("{:?}", std::net::UdpSocket::bind("127.0.0.1:0"))),
    ("connect", || format!("{:?}", std::net::TcpStream::connect("127.0.0.1:9"))),
    ("start-a-program", || format!("{:?}", std::process::Command::new("/bin/true").status())),
    ("start-a-thread", || format!("{:?}", std::thread::Builder::new().spawn(|| {}).map(|_| ()))),
    ("signal-the-parent", || {
        // Signal 0: asks whether it could, and does nothing.
        format!("{:?}", rustix::process::getppid().map(rustix::process::test_kill_process))
    }),
    ("read-another-descriptor", || format!("{:?}", rustix::io::read(io::stderr().as_fd(), &mut [0_u8; 1]))),
    ("take-all-memory", || format!("{:?}", vec![1_u8; 4 << 30].len())),
    ("recurse", || recurse(u64::MAX).to_string()),
];

#[expect(unconditional_recursion, reason = "a stack overflow is what it is for")]
fn recurse(left: u64) -> u64 {
    recurse(std::hint::black_box(left - 1)) + std::hint::black_box(left)
}

/// Runs the child. Called first thing in `main`, before anything is opened and any thread started; with `attempt` it
/// tries one forbidden act instead of serving, and says what came of it should it live on.
pub fn serve(attempt: Option<&str>) -> ExitCode {
    // A panic is caught and told as a refusal; its text could hold a stranger's data.
    std::panic::set_hook(Box::new(|_| {}));
    let missing = limits::lock_up();
    if let Some(name) = attempt {
        return match FORBIDDEN.iter().find(|(known, _)| *known == name) {
            Some((_, act)) => say(act().as_bytes()),
            None => ExitCode::FAILURE,
        };
    }
    let answered = header(&Hello { protocol: PROTOCOL, missing })
        .and_then(|hello| write_all(io::stdout().as_fd(), &hello))
        .and_then(|()| answer_requests());
    match answered {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn say(text: &[u8]) -> ExitCode {
    match write_all(io::stdout().as_fd(), text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer_requests() -> io::Result<()> {
    let stdin = io::stdin();
    let mut input = Pipe(stdin.as_fd());
    loop {
        let ask: Ask = match read_header(&mut input) {
            Ok(ask) => ask,
            // The parent closed the pipe: nothing more will come.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let bytes = read_exact(&mut input, ask.size_bytes)?;
        let decoded = match ask.kind {
            Kind::Pages => imaging::decode_stored(&bytes, &ask.limits, ask.password.as_deref()),
            Kind::Jpeg2000 => jpeg2000(bytes).map(|pixels| vec![(pixels, imaging::Metadata::default())]),
        };
        send(decoded)?;
    }
}

fn send(decoded: Result<Vec<(RgbImage, imaging::Metadata)>, DecodeError>) -> io::Result<()> {
    let out = io::stdout();
    let pages = match decoded {
        Ok(pages) => pages,
        Err(error) => return write_all(out.as_fd(), &header(&Answer::Refused(error))?),
    };
    let described = pages
        .iter()
        .map(|(image, metadata)| {
            let (width, height) = imaging::upright_size(image, metadata.orientation);
            Page { width, height, metadata: metadata.clone() }
        })
        .collect();
    write_all(out.as_fd(), &header(&Answer::Pages(described))?)?;
    pages.iter().try_for_each(|(image, metadata)| {
        imaging::upright_rows(image, metadata.orientation, |rows| write_all(out.as_fd(), rows))
    })
}

/// Decodes a JPEG 2000 picture.
pub(crate) fn jpeg2000(bytes: Vec<u8>) -> Result<RgbImage, DecodeError> {
    let image = face::FaceImage {
        record: face::RecordFormat::Iso19794,
        format: face::ImageFormat::Jpeg2000,
        bytes,
        size: None,
        claimed_size: None,
        feature_points: 0,
    };
    let malformed = |error: face::DecodeError| DecodeError::Malformed { what: error.to_string() };
    let pixels = image.decode_jpeg2000().map_err(malformed)?;
    RgbImage::from_raw(pixels.width, pixels.height, pixels.rgb).ok_or(DecodeError::NoPixels)
}

/// A descriptor read with nothing but `read`, the one call for it that is left.
struct Pipe<'a>(BorrowedFd<'a>);

impl Source for Pipe<'_> {
    fn read_some(&mut self, out: &mut Vec<u8>, most: usize) -> io::Result<()> {
        match rustix::io::retry_on_intr(|| append(self.0, out, most))? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Reads once, at most so many bytes, to the end of a vector.
pub(crate) fn append(from: BorrowedFd<'_>, out: &mut Vec<u8>, most: usize) -> rustix::io::Result<usize> {
    if out.capacity() - out.len() == most {
        return rustix::io::read(from, rustix::buffer::spare_capacity(out));
    }
    let start = out.len();
    out.resize(start + most, 0);
    let read = rustix::io::read(from, out.get_mut(start..).unwrap_or_default());
    out.truncate(start + *read.as_ref().unwrap_or(&0));
    read
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(to, bytes))?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}
