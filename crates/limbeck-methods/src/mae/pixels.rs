//! Patches of pixels.

use burn::tensor::Tensor;

/// Pixels of patches `[B, L, C · p · p]`, patches row by row and within one channel by channel, row by row
/// (`image_patches`) → images `[B, C, H, W]` of `channels` channels and this height and width.
pub fn images_of(
    pixels: Tensor<3>,
    patch: usize,
    channels: usize,
    [height, width]: [usize; 2],
) -> Tensor<4> {
    let [batch, ..] = pixels.dims();
    let [rows, columns] = [height / patch, width / patch];
    pixels
        .reshape([batch, rows, columns, channels, patch, patch])
        .permute([0, 3, 1, 4, 2, 5])
        .reshape([batch, channels, height, width])
}

/// Pixels `[B, L, N]` less the mean of their patch, over its deviation: (x − mean) / √(var + 1e-6), the
/// variance divided by N − 1.
///
/// He et al. "Masked Autoencoders Are Scalable Vision Learners". CVPR 2022, section 3; authors' code
/// for the constant.
pub fn standardised(pixels: Tensor<3>) -> Tensor<3> {
    let (mean, deviation) = moments(&pixels);
    (pixels - mean) / deviation
}

/// Standardised pixels `[B, L, N]` with the mean and the deviation of the patches of `pixels` again.
pub fn unstandardised(standard: Tensor<3>, pixels: Tensor<3>) -> Tensor<3> {
    let (mean, deviation) = moments(&pixels);
    standard * deviation + mean
}

/// Mean and deviation √(var + 1e-6) of each patch, `[B, L, 1]`.
fn moments(pixels: &Tensor<3>) -> (Tensor<3>, Tensor<3>) {
    const EPSILON: f64 = 1e-6;
    let count = pixels.dims()[2];
    let mean = pixels.clone().mean_dim(2);
    let squares = (pixels.clone() - mean.clone()).square().sum_dim(2);
    let variance = squares.div_scalar(count.saturating_sub(1).max(1) as f64);
    (mean, variance.add_scalar(EPSILON).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, numbers, random};
    use limbeck_nn::layer::image_patches;

    #[test]
    fn patches_go_back_to_the_images_that_they_are_of() {
        let images = random::<4>("images", [2, 3, 4, 6]);
        let back = images_of(image_patches(images.clone(), 2, None), 2, 3, [4, 6]);
        assert_eq!(numbers(&back), numbers(&images));
    }

    #[test]
    fn standardised_patches_have_mean_zero_and_variance_one() {
        let pixels = random("pixels", [2, 3, 12]).mul_scalar(7.0).add_scalar(3.0);
        for patch in numbers(&standardised(pixels)).chunks(12) {
            let mean = patch.iter().sum::<f64>() / 12.0;
            let variance = patch.iter().map(|x| x * x).sum::<f64>() / 11.0;
            assert!(mean.abs() < 1e-12 && (variance - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn standardised_patches_get_back_what_was_taken() {
        let pixels = random("pixels", [2, 3, 12]).mul_scalar(7.0).add_scalar(3.0);
        let back = unstandardised(standardised(pixels.clone()), pixels.clone());
        assert_close(&numbers(&back), &numbers(&pixels));
    }
}
