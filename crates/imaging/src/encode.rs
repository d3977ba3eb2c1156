//! Writes pictures anew: what is shown or handed out carries no metadata.

use crate::RgbImage;
use image::ImageEncoder as _;

/// The picture as a baseline JPEG of `quality` 1 to 100, without any metadata.
///
/// A picture with a side of 0 or above 65,535 pixels, which JPEG cannot hold,
/// gives an empty vector.
pub fn encode_jpeg(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let written = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, quality.clamp(1, 100))
        .write_image(image.as_raw(), image.width(), image.height(), image::ExtendedColorType::Rgb8);
    if written.is_err() {
        out.clear();
    }
    out
}

/// The picture as a PNG, lossless, without any metadata; empty for a side of 0.
pub fn encode_png(image: &RgbImage) -> Vec<u8> {
    let mut out = Vec::new();
    let written = image::codecs::png::PngEncoder::new(&mut out).write_image(
        image.as_raw(),
        image.width(),
        image.height(),
        image::ExtendedColorType::Rgb8,
    );
    if written.is_err() {
        out.clear();
    }
    out
}
