//! Decodes strangers' pictures in a bounded child process.
//!
//! `imaging` holds the decoders; they are other people's code on untrusted
//! bytes, and no look at the bytes beforehand says what they will cost. So they
//! run in children of this program ([`serve`]) that can do nothing but read a
//! request and write pixels: limited in memory, processor time and files, and
//! (on Linux) in the calls they may make. A child that breaks its limits dies,
//! and only its picture is refused ([`DecodeError::NotDecodable`]). What a
//! child says is checked here again: one that was taken over can give a wrong
//! picture and nothing else.
//!
//! The program says once how pictures are decoded: [`use_program`], or, for
//! tests and benchmarks that have no such program, [`use_this_process`].
//! Without either nothing is decoded.

mod framing;
mod limits;
mod pool;
mod served;

use std::sync::OnceLock;

use imaging::{DecodeError, Limits, Picture};
use sha2::{Digest as _, Sha256};

pub use crate::{
    pool::{Budget, Pool, Program},
    served::{ARGUMENT, forbidden, serve},
};

/// How pictures are decoded in this process.
enum How {
    /// In children of this program.
    Children(Program),
    /// Here: asked for by name, by tests and benchmarks.
    Here,
}

static HOW: OnceLock<How> = OnceLock::new();
static POOL: OnceLock<Pool> = OnceLock::new();

/// Decodes in children of this program from now on. They start with the first picture, or with [`warm`].
pub fn use_program(program: Program) {
    // Whoever comes first decides; a second call would be the same program.
    let _ = HOW.set(How::Children(program));
}

/// Decodes in this process, without any limit that only a process of its own can have. For tests and benchmarks of
/// crates that have no program to start; a server never asks for it.
pub fn use_this_process() {
    let _ = HOW.set(How::Here);
}

/// Starts the children, so that the first picture finds one.
pub fn warm() {
    if let Some(How::Children(program)) = HOW.get() {
        pool(program);
    }
}

fn pool(program: &Program) -> &'static Pool {
    POOL.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Pool::start(program.clone(), cores, Budget::default())
    })
}

/// Decodes a picture, or the first page of a PDF or TIFF, as [`imaging::decode`] does.
///
/// # Errors
/// [`DecodeError`]; `NotDecodable` when the child broke its limits, `Unavailable` when there was none.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, DecodeError> {
    let one = Limits { max_rendered_pages: 1, ..limits.clone() };
    decode_pages(bytes, &one, None)?.pop().ok_or(DecodeError::NoPixels)
}

/// Decodes the pages of a PDF, or one picture, as [`imaging::decode_pages`] does.
///
/// # Errors
/// [`DecodeError`]; `NotDecodable` when the child broke its limits, `Unavailable` when there was none.
pub fn decode_pages(
    bytes: &[u8],
    limits: &Limits,
    password: Option<&str>,
) -> Result<Vec<Picture>, DecodeError> {
    match HOW.get() {
        Some(How::Children(program)) => pool(program).decode_pages(bytes, limits, password),
        Some(How::Here) => imaging::decode_pages(bytes, limits, password),
        None => Err(not_set_up()),
    }
}

/// Decodes a JPEG 2000 picture, as chips hold them.
///
/// # Errors
/// [`DecodeError`]; `NotDecodable` when the child broke its limits, `Unavailable` when there was none.
pub fn decode_jpeg2000(bytes: &[u8], limits: &Limits) -> Result<imaging::RgbImage, DecodeError> {
    match HOW.get() {
        Some(How::Children(program)) => pool(program).decode_jpeg2000(bytes, limits),
        Some(How::Here) => served::jpeg2000(bytes.to_vec()),
        None => Err(not_set_up()),
    }
}

fn not_set_up() -> DecodeError {
    tracing::error!("nothing was said about where pictures are decoded: none is");
    DecodeError::Unavailable
}

/// SHA-256 of a file, taken here: a child's word on it would be worth nothing.
fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
