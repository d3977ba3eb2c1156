//! Pixels to tensors: planar floats in a net's colour order and scale.

use imaging::RgbImage;
use inference::Tensor;

/// How a net wants its pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    /// Blue first.
    pub(crate) bgr: bool,
    /// Subtracted from each value 0..255, in the net's channel order.
    pub(crate) mean: [f32; 3],
    /// Multiplied afterwards, in the net's channel order.
    pub(crate) factor: [f32; 3],
}

impl Scale {
    pub(crate) const fn uniform(mean: f32, factor: f32) -> Self {
        Self { bgr: false, mean: [mean; 3], factor: [factor; 3] }
    }
}

/// `[1, 3, height, width]` of the picture.
pub(crate) fn tensor(image: &RgbImage, scale: &Scale) -> Tensor {
    let area = image.width() as usize * image.height() as usize;
    let mut data = vec![0.0; 3 * area];
    for (channel, plane) in data.chunks_exact_mut(area.max(1)).enumerate() {
        let source = if scale.bgr { 2 - channel } else { channel };
        let (mean, factor) = (scale.mean[channel], scale.factor[channel]);
        for (to, pixel) in plane.iter_mut().zip(image.as_raw().chunks_exact(3)) {
            *to = (f32::from(pixel[source]) - mean) * factor;
        }
    }
    Tensor::new(vec![1, 3, image.height() as usize, image.width() as usize], data)
}

/// The mirror image.
pub(crate) fn mirrored(image: &RgbImage) -> RgbImage {
    image::imageops::flip_horizontal(image)
}
