//! Crops of a batch of images, scaled bicubically with antialiasing as Pillow does it.

use burn::tensor::{Tensor, TensorData};
use limbeck_nn::layer::linear;

use super::Crop;

/// The kernel's free number in Pillow.
const SHARPNESS: f64 = -0.5;
/// Half the width of the kernel, in pixels of the larger side of both.
const REACH: f64 = 2.0;

/// The `crop` of all `images` `[B, C, H, W]`, scaled to `size` (height, width) and mirrored if it is:
/// `[B, C, h, w]`. Constants.
pub fn crop(images: &Tensor<4>, crop: &Crop, size: [usize; 2]) -> Tensor<4> {
    let [batch, channels, ..] = images.dims();
    let part = images.clone().inner();
    let part = part
        .narrow(2, crop.top, crop.height)
        .narrow(3, crop.left, crop.width);
    let options = (&part.device(), part.dtype());
    let map = |from: usize, to: usize, mirrored: bool| {
        let weights = bicubic(from, to, mirrored);
        Tensor::<2>::from_data(TensorData::new(weights, [to, from]), options)
    };
    let [height, width] = size;
    // Along rows, then with rows and columns exchanged, and back.
    let part = part.reshape([batch * channels, crop.height, crop.width]);
    let part = linear(part, map(crop.width, width, crop.flipped), None).swap_dims(1, 2);
    let part = linear(part, map(crop.height, height, false), None).swap_dims(1, 2);
    part.reshape([batch, channels, height, width])
}

/// The linear map from `from` to `to` pixels, `[to, from]` row-major; rows sum to 1.
fn bicubic(from: usize, to: usize, mirrored: bool) -> Vec<f64> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let mut map = Vec::with_capacity(from * to);
    for output in 0..to {
        let output = match mirrored {
            true => to - 1 - output,
            false => output,
        };
        let centre = (output as f64 + 0.5) * scale;
        let weights: Vec<f64> = (0..from)
            .map(|input| kernel((input as f64 + 0.5 - centre) / stretch))
            .collect();
        let sum: f64 = weights.iter().sum();
        map.extend(weights.iter().map(|weight| weight / sum));
    }
    map
}

fn kernel(distance: f64) -> f64 {
    let (x, a) = (distance.abs(), SHARPNESS);
    match x {
        _ if x < 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        _ if x < REACH => (((x - 5.0) * x + 8.0) * x - 4.0) * a,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, numbers, random, tensor};

    fn of(top: usize, left: usize, height: usize, width: usize) -> Crop {
        Crop {
            top,
            left,
            height,
            width,
            flipped: false,
            grid: [1, 1],
        }
    }

    #[test]
    fn a_crop_of_its_own_size_is_the_part_itself_and_its_mirror_image_if_flipped() {
        let images = random::<4>("images", [2, 3, 8, 6]);
        let plain = crop(&images, &of(2, 1, 4, 5), [4, 5]);
        let part = images.narrow(2, 2, 4).narrow(3, 1, 5);
        assert_close(&numbers(&plain), &numbers(&part));
        let mirrored = Crop {
            flipped: true,
            ..of(0, 0, 4, 5)
        };
        let found = crop(&part, &mirrored, [4, 5]);
        assert_close(&numbers(&found), &numbers(&part.flip([3])));
    }

    #[test]
    fn one_colour_stays_one_colour_at_any_size() {
        let images = Tensor::full([1, 1, 9, 9], 0.7, &burn::tensor::Device::flex());
        for size in [[3, 4], [9, 20], [18, 2]] {
            let found = crop(&images, &of(1, 0, 7, 9), size);
            assert!(numbers(&found).iter().all(|x| (x - 0.7).abs() < 1e-6));
        }
    }

    #[test]
    fn doubling_by_hand() {
        // The centre of output 1 is at 0.75 and that of input 0 at 0.5: distances 0.25, 0.75 and 1.75
        // weigh 0.8671875, 0.2265625 and −0.0234375, which sum to 1.0703125.
        let line = tensor(vec![1.0, 0.0, 0.0, 0.0], [1, 1, 1, 4]);
        let found = numbers(&crop(&line, &of(0, 0, 1, 4), [1, 8]));
        assert_close(&[found[1]], &[0.8671875 / 1.0703125]);
    }
}
