//! Patches of pixels.

use burn::tensor::Tensor;

/// Images `[B, C, H, W]` → the pixels of their patches `[B, L, p · p · C]`, patches row by row, within
/// one row by row and the channels of a pixel side by side.
pub fn patches_of(images: Tensor<4>, patch: usize) -> Tensor<3> {
    let [batch, channels, height, width] = images.dims();
    let [rows, columns] = [height / patch, width / patch];
    images
        .reshape([batch, channels, rows, patch, columns, patch])
        .permute([0, 2, 4, 3, 5, 1])
        .reshape([batch, rows * columns, patch * patch * channels])
}

/// Pixels of patches `[B, L, p · p · C]` as [`patches_of`] gives them → images `[B, C, H, W]` of `channels`
/// channels and this height and width.
pub fn images_of(
    pixels: Tensor<3>,
    patch: usize,
    channels: usize,
    [height, width]: [usize; 2],
) -> Tensor<4> {
    let [batch, ..] = pixels.dims();
    let [rows, columns] = [height / patch, width / patch];
    pixels
        .reshape([batch, rows, columns, patch, patch, channels])
        .permute([0, 5, 1, 3, 2, 4])
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
    use crate::testing::{assert_close, numbers, random, tensor};

    #[test]
    fn pixels_of_a_patch_are_in_the_order_row_column_channel() {
        let images = tensor((0..32).map(f64::from).collect(), [1, 2, 4, 4]);
        let patches = patches_of(images, 2);
        assert_eq!(patches.dims(), [1, 4, 8]);
        let first = [0.0, 16.0, 1.0, 17.0, 4.0, 20.0, 5.0, 21.0];
        assert_close(&numbers(&patches)[..8], &first);
        let last = [10.0, 26.0, 11.0, 27.0, 14.0, 30.0, 15.0, 31.0];
        assert_close(&numbers(&patches)[24..], &last);
    }

    #[test]
    fn patches_go_back_to_the_images_that_they_are_of() {
        let images = random::<4>("images", [2, 3, 4, 6]);
        let back = images_of(patches_of(images.clone(), 2), 2, 3, [4, 6]);
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
