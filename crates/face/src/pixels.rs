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
    let (first, rest) = data.split_at_mut(area);
    let (second, third) = rest.split_at_mut(area);
    // In the picture's own order, so that each pixel is read once.
    let [red, green, blue] = if scale.bgr { [third, second, first] } else { [first, second, third] };
    let [r, g, b] = if scale.bgr { [2, 1, 0] } else { [0, 1, 2] };
    let ready = |value: u8, channel: usize| (f32::from(value) - scale.mean[channel]) * scale.factor[channel];
    let planes = red.iter_mut().zip(green).zip(blue);
    for (((red, green), blue), pixel) in planes.zip(image.as_raw().chunks_exact(3)) {
        (*red, *green, *blue) = (ready(pixel[0], r), ready(pixel[1], g), ready(pixel[2], b));
    }
    Tensor::new(vec![1, 3, image.height() as usize, image.width() as usize], data)
}

/// The mirror image.
pub(crate) fn mirrored(image: &RgbImage) -> RgbImage {
    image::imageops::flip_horizontal(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_stand_in_the_order_and_scale_of_the_net() {
        let image = RgbImage::from_raw(2, 1, vec![10, 20, 30, 40, 50, 60]).expect("six values");
        let (mean, factor) = ([1.0, 2.0, 3.0], [1.0, 10.0, 100.0]);
        let rgb = tensor(&image, &Scale { bgr: false, mean, factor });
        assert_eq!((rgb.shape, rgb.data), (vec![1, 3, 1, 2], vec![9.0, 39.0, 180.0, 480.0, 2700.0, 5700.0]));
        let bgr = tensor(&image, &Scale { bgr: true, mean, factor });
        assert_eq!(bgr.data, [29.0, 59.0, 180.0, 480.0, 700.0, 3700.0]);
    }
}
