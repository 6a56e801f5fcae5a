//! Patches of images against their definition, in `f32` (the kernels) and in `f64` (burn's own
//! operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use limbeck_kernels::{Conv2dOptions, conv2d, image_patches, linear};
use proptest::prelude::*;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

/// Batch, channels, height, width.
type Shape = [usize; 4];

fn size(shape: Shape) -> usize {
    shape.iter().product()
}

/// Where in the images the numbers of patch `number` of `image` are, in their order.
fn places(shape: Shape, side: usize, image: usize, number: usize) -> Vec<usize> {
    let [_, channels, height, width] = shape;
    let beside = width / side;
    let (top, left) = (number / beside * side, number % beside * side);
    let mut places = Vec::new();
    for channel in 0..channels {
        for (row, column) in (0..side).flat_map(|i| (0..side).map(move |j| (i, j))) {
            let line = (image * channels + channel) * height + top + row;
            places.push(line * width + left + column);
        }
    }
    places
}

/// `per_image` numbers of patches for each image, repeats among them.
fn draw([batch, _, height, width]: Shape, side: usize, per_image: usize, seed: u64) -> Vec<i64> {
    let count = ((height / side) * (width / side)) as f64;
    let shares = noise(batch * per_image, seed);
    let number = |share: f64| ((share + 0.5) * count).floor().clamp(0.0, count - 1.0);
    shares.into_iter().map(|x| number(x) as i64).collect()
}

fn integers(numbers: &[i64], batch: usize, dtype: DType) -> Tensor<2, Int> {
    let data = TensorData::new(numbers.to_vec(), [batch, numbers.len() / batch]);
    Tensor::from_data(data, (&Device::flex(), dtype))
}

/// Patches of random images, and the gradient of the images for a random one of the patches.
fn run(
    shape: Shape,
    side: usize,
    chosen: Option<&Tensor<2, Int>>,
    seed: u64,
    dtype: DType,
) -> [Vec<f64>; 2] {
    let images = tracked(&noise(size(shape), seed), shape, dtype);
    let patches = image_patches(images.clone(), side, chosen);
    let cut = patches.dims();
    let gradient = noise(cut.iter().product(), seed + 1);
    let gradient = plain(&gradient, cut, dtype).autodiff();
    let gradients = (patches.clone() * gradient).sum().backward();
    let gradient = images.grad(&gradients).expect("tracked");
    [values(patches), values(gradient)]
}

fn check(shape: Shape, side: usize, per_image: usize, seed: u64) {
    let [batch, channels, height, width] = shape;
    let all: Vec<i64> = (0..(height / side * (width / side)) as i64).collect();
    let chosen = draw(shape, side, per_image, seed + 2);
    for dtype in [DType::F32, DType::F64] {
        for some in [false, true] {
            let numbers = match some {
                true => chosen.clone(),
                false => all.repeat(batch),
            };
            let count = numbers.len() / batch;
            let tensor = integers(&numbers, batch, DType::I64);
            let [found, of_images] = run(shape, side, some.then_some(&tensor), seed, dtype);
            let images = noise(size(shape), seed);
            let gradient = noise(batch * count * channels * side * side, seed + 1);
            let mut expected = Vec::new();
            let mut expected_gradient = vec![0.0; images.len()];
            for (index, &number) in numbers.iter().enumerate() {
                for place in places(shape, side, index / count, number as usize) {
                    expected_gradient[place] += gradient[expected.len()];
                    expected.push(images[place]);
                }
            }
            let what = format!("{shape:?} in patches of {side}, {some}");
            assert_eq!(found, expected, "{what}");
            assert_close(&what, &of_images, &expected_gradient, 1e-6);
        }
    }
}

#[test]
fn a_small_image_is_cut_as_by_hand() {
    // Two channels of 2 × 5 pixels: the last column fills no patch.
    let pixels: Vec<f64> = (0..20).map(f64::from).collect();
    let images = plain(&pixels, [1, 2, 2, 5], DType::F32);
    let first = [0.0, 1.0, 5.0, 6.0, 10.0, 11.0, 15.0, 16.0];
    let second = [2.0, 3.0, 7.0, 8.0, 12.0, 13.0, 17.0, 18.0];
    let patches = image_patches(images.clone(), 2, None);
    assert_eq!(patches.dims(), [1, 2, 8]);
    assert_eq!(values(patches), [first, second].concat());
    let chosen = integers(&[1, 0, 1], 1, DType::I64);
    let patches = image_patches(images, 2, Some(&chosen));
    assert_eq!(patches.dims(), [1, 3, 8]);
    assert_eq!(values(patches), [second, first, second].concat());
}

#[test]
fn usual_sizes_follow_the_definition() {
    for (shape, side, per_image) in [
        ([2, 3, 64, 48], 16, 4),
        ([3, 3, 32, 32], 4, 16),
        ([2, 1, 28, 28], 1, 300),
        ([1, 4, 33, 50], 8, 3),
    ] {
        check(shape, side, per_image, 7);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_size_follows_the_definition(
        batch in 1usize..=3,
        channels in 1usize..=5,
        height in 1usize..=24,
        width in 1usize..=24,
        side in 1usize..=9,
        per_image in 1usize..=12,
        seed in 1u64..1 << 32,
    ) {
        let side = side.min(height).min(width);
        check([batch, channels, height, width], side, per_image, seed);
    }
}

#[test]
fn a_product_of_patches_is_the_convolution_whose_kernel_is_its_stride() {
    let (shape, side, outputs) = ([2, 3, 21, 18], 5, 7);
    let images = tracked(&noise(size(shape), 1), shape, DType::F64);
    let weight = [outputs, 3, side, side];
    let weight = tracked(&noise(size(weight), 2), weight, DType::F64);
    let bias = tracked(&noise(outputs, 3), [outputs], DType::F64);
    let all = |y: Tensor<3>| {
        let gradient = noise(y.shape().num_elements(), 4);
        let gradient = plain(&gradient, y.dims(), DType::F64).autodiff();
        let gradients = (y.clone() * gradient).sum().backward();
        [
            values(y),
            values(images.grad(&gradients).expect("tracked")),
            values(weight.grad(&gradients).expect("tracked")),
            values(bias.grad(&gradients).expect("tracked")),
        ]
    };
    let rows = image_patches(images.clone(), side, None);
    let flat = weight.clone().reshape([outputs, 3 * side * side]);
    let found = all(linear(rows, flat, Some(bias.clone())));
    let options = Conv2dOptions {
        stride: [side; 2],
        padding: [0; 2],
        dilation: [1; 2],
        groups: 1,
    };
    let map = conv2d(images.clone(), weight.clone(), Some(bias.clone()), options);
    let expected = all(map.reshape([2, outputs, 12]).swap_dims(1, 2));
    for (found, expected) in found.iter().zip(&expected) {
        assert_close("product", found, expected, 1e-12);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for (shape, side) in [([3, 3, 160, 150], 16), ([1, 2, 200, 90], 3)] {
        let chosen = draw(shape, side, 90, 5);
        let chosen = integers(&chosen, shape[0], DType::I64);
        for chosen in [None, Some(&chosen)] {
            let one = with_threads(1, || run(shape, side, chosen, 1, DType::F32));
            for threads in [2, 5] {
                let many = with_threads(threads, || run(shape, side, chosen, 1, DType::F32));
                assert!(one == many, "{shape:?} on {threads} threads");
            }
        }
    }
}

#[test]
fn images_in_another_order_of_memory_and_other_integers_are_understood() {
    let turned = plain(&noise(2 * 3 * 8 * 12, 1), [2, 3, 12, 8], DType::F32).swap_dims(2, 3);
    let straight = plain(&values(turned.clone()), [2, 3, 8, 12], DType::F32);
    let numbers = [5, 0, 2, 2];
    let expected = integers(&numbers, 2, DType::I64);
    let expected = bits(image_patches(straight, 4, Some(&expected)));
    for dtype in [DType::I64, DType::I32, DType::I16] {
        let chosen = integers(&numbers, 2, dtype);
        let found = image_patches(turned.clone(), 4, Some(&chosen));
        assert_eq!(bits(found), expected, "{dtype:?}");
    }
}

#[test]
fn images_that_are_not_tracked_record_nothing() {
    let images = plain(&noise(2 * 64, 1), [2, 1, 8, 8], DType::F32).autodiff();
    let chosen = integers(&[3, 0], 2, DType::I64);
    for chosen in [None, Some(&chosen)] {
        assert!(!image_patches(images.clone(), 4, chosen).is_tracked());
    }
}

fn four_patches(number: i64, dtype: DType) {
    let images = plain(&noise(2 * 64, 1), [2, 1, 8, 8], dtype);
    let chosen = integers(&[0, number], 2, DType::I64);
    image_patches(images, 4, Some(&chosen));
}

#[test]
#[should_panic(expected = "there is no patch 4 in an image of 4")]
fn a_number_that_no_patch_has_is_refused() {
    four_patches(4, DType::F32);
}

#[test]
#[should_panic(expected = "there is no patch -1 in an image of 4")]
fn a_negative_number_is_refused() {
    four_patches(-1, DType::F32);
}

#[test]
#[should_panic(expected = "there is no patch 9 in an image of 4")]
fn a_number_that_no_patch_has_is_refused_in_double_precision_too() {
    four_patches(9, DType::F64);
}

#[test]
#[should_panic(expected = "have no patches of 9 by 9")]
fn patches_larger_than_the_images_are_refused() {
    image_patches(plain(&[0.0; 80], [1, 1, 8, 10], DType::F32), 9, None);
}

#[test]
#[should_panic(expected = "do not fit images of shape")]
fn numbers_for_another_batch_are_refused() {
    let images = plain(&[0.0; 64], [1, 1, 8, 8], DType::F32);
    image_patches(images, 4, Some(&integers(&[0, 1], 2, DType::I64)));
}
