//! Decodes untrusted pictures once, at one door, and measures and warps them.
//!
//! [`decode`] and [`decode_pages`] are the only way from bytes to pixels in
//! this program, and `decoder` is their only caller but for tests, benchmarks
//! and own files: they recognise the format by its content, check every size
//! that the header promises before a decoder sees it, hand the decoder only
//! the parts a picture needs, and turn it upright. Everything else here is a
//! pure function of pixels. Coordinates are in pixels; the centre of the first
//! pixel is (0.5, 0.5).

mod door;
mod encode;
mod exif;
mod geometry;
pub mod hash;
mod jpeg;
mod jpeg_scan;
mod pdf;
mod png;
pub mod quality;
mod resize;
mod tiff;
mod tiff_ycc;
mod webp;

pub use door::{
    DecodeError, Decoded, Format, Limits, Metadata, Picture, decode, decode_pages, decode_stored, sniff,
    upright_rows, upright_size,
};
pub use encode::{encode_jpeg, encode_png};
pub use geometry::{Point, Projection, Quad, crop, invert_similarity, rotate90, similarity_warp, warp_quad};
pub use image::{GrayImage, RgbImage};
pub use resize::{fit_within, resize};

/// The picture in grey, Rec. 601 luma (`0.299 R + 0.587 G + 0.114 B`).
pub fn grey(image: &RgbImage) -> GrayImage {
    let mut out = GrayImage::new(image.width(), image.height());
    for (to, from) in out.iter_mut().zip(image.as_raw().chunks_exact(3)) {
        if let [r, g, b] = *from {
            *to = ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 32768) >> 16) as u8;
        }
    }
    out
}
