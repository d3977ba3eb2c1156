//! Converts the published weight files that packages carry into ONNX, once, at installation.
//!
//! Three formats come in: dlib's serialised residual net, a TensorFlow.js
//! graph model (`.json` + `.bin`) and a PyTorch state dict. Every reader is a
//! bounded parser of untrusted bytes: it executes nothing, allocates no more
//! than a small multiple of its input, and answers damaged input with a
//! [`ConvertError`]. The writer is deterministic, so that a converted file has
//! one SHA-256 that the manifest can pin.
//!
//! Images are planar in every converted net: inputs are `[1, 3, height, width]`.

mod dlib;
mod minifasnet;
pub mod onnx;
mod tfjs;
mod torch;

pub use dlib::dlib_resnet;
pub use tfjs::tfjs;
pub use torch::{StateDict, StateTensor, read_state_dict};

/// Why a weight file could not be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The input ends before the value that was being read.
    #[error("input ends inside {0}")]
    Truncated(&'static str),
    /// The input breaks its format's rules.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A size in the input is beyond what any known model needs.
    #[error("{what} is {found}, more than the limit {limit}")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// The count found in the input.
        found: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// A well-formed feature that this converter does not translate.
    #[error("unsupported {kind} `{name}`")]
    Unsupported {
        /// What kind of thing it is: operator, data type, pickle opcode.
        kind: &'static str,
        /// Its name in the input.
        name: String,
    },
    /// A tensor the architecture needs is absent or has another shape.
    #[error("tensor `{0}` is absent or has an unexpected shape")]
    Tensor(String),
    /// The graph description is not JSON of the expected form.
    #[error("cannot read the graph description")]
    Json(#[from] serde_json::Error),
    /// The archive around a state dict cannot be opened.
    #[error("cannot read the archive")]
    Archive(#[from] zip::result::ZipError),
}

/// The architectures whose PyTorch state dicts can be rebuilt as a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Minivision's MiniFASNet V1, V2, V1SE and V2SE (80×80 BGR 0..255 → 3 logits).
    MiniFasNet,
}

/// Converts a PyTorch state dict (`.pth`, legacy or zip container) of a known architecture to ONNX.
///
/// # Errors
/// [`ConvertError`] when the container is damaged or a tensor does not fit the architecture.
pub fn torch_state_dict(bytes: &[u8], architecture: Architecture) -> Result<Vec<u8>, ConvertError> {
    let state = torch::read_state_dict(bytes)?;
    match architecture {
        Architecture::MiniFasNet => minifasnet::build(&state),
    }
}

/// Most elements one tensor may have (the largest known, dlib's, has 590 080).
const MAX_TENSOR_ELEMENTS: u64 = 64 << 20;

/// The product of dimensions, refused above [`MAX_TENSOR_ELEMENTS`].
fn element_count(dims: impl IntoIterator<Item = u64>) -> Result<usize, ConvertError> {
    let mut count = 1_u64;
    for dim in dims {
        count = count.saturating_mul(dim);
    }
    if count > MAX_TENSOR_ELEMENTS {
        return Err(ConvertError::TooLarge {
            what: "tensor element count",
            found: count,
            limit: MAX_TENSOR_ELEMENTS,
        });
    }
    Ok(count as usize)
}

/// Little-endian f32 values of `bytes`; a trailing partial value is ignored.
fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
}

/// IEEE 754 binary16 to binary32.
fn half_to_float(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let mantissa = u32::from(bits) & 0x3ff;
    match (exponent, mantissa) {
        (0, 0) => f32::from_bits(sign),
        (0, m) => {
            let magnitude = m as f32 / 16_777_216.0;
            if sign == 0 { magnitude } else { -magnitude }
        }
        (0x1f, m) => f32::from_bits(sign | 0x7f80_0000 | (m << 13)),
        (e, m) => f32::from_bits(sign | ((e + 112) << 23) | (m << 13)),
    }
}

#[cfg(test)]
mod tests;
