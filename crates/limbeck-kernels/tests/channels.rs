//! Reordering of channels against the definition, in `f32` (the kernels) and in `f64` (burn's own
//! operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::{channel_shuffle, interleave_channels};
use proptest::prelude::*;
use support::{bits, noise, plain, tracked, values, with_threads};

/// The maps of `values` `[B, C, size]` in another order of channels.
fn reordered(values: &[f64], channels: usize, size: usize, from: &[usize]) -> Vec<f64> {
    values
        .chunks(channels * size)
        .flat_map(|image| {
            from.iter()
                .flat_map(|&c| image[c * size..][..size].to_vec())
        })
        .collect()
}

fn check(batch: usize, groups: usize, of_group: usize, sizes: [usize; 2], seed: u64) {
    let (channels, size) = (groups * of_group, sizes[0] * sizes[1]);
    let shape = [batch, channels, sizes[0], sizes[1]];
    let (x, gradient) = (
        noise(batch * channels * size, seed),
        noise(batch * channels * size, 7),
    );
    let order: Vec<usize> = (0..channels)
        .map(|c| c % groups * of_group + c / groups)
        .collect();
    let back: Vec<usize> = (0..channels)
        .map(|c| order.iter().position(|&from| from == c).unwrap())
        .collect();
    let expected = reordered(&x, channels, size, &order);
    let expected_dx = reordered(&gradient, channels, size, &back);
    for dtype in [DType::F32, DType::F64] {
        let x = tracked(&x, shape, dtype);
        let weigh = |y: Tensor<4>| (y * plain(&gradient, shape, dtype).autodiff()).sum();
        let y = channel_shuffle(x.clone(), groups);
        let dx = x.grad(&weigh(y.clone()).backward()).unwrap();
        assert_eq!(values(y), expected);
        assert_eq!(values(dx), expected_dx);
        if groups == 2 {
            let half = |start| x.clone().narrow(1, start, of_group);
            let y = interleave_channels(half(0), half(of_group));
            let dx = x.grad(&weigh(y.clone()).backward()).unwrap();
            assert_eq!(values(y), expected);
            assert_eq!(values(dx), expected_dx);
        }
    }
}

#[test]
fn channels_are_taken_in_turn() {
    let x = || plain(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [1, 6, 1, 1], DType::F32);
    assert_eq!(
        values(channel_shuffle(x(), 2)),
        [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    );
    assert_eq!(
        values(channel_shuffle(x(), 3)),
        [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]
    );
    assert_eq!(values(channel_shuffle(x(), 1)), values(x()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_groups_follow_the_definition(
        batch in 1usize..=3,
        groups in 1usize..=5,
        of_group in 1usize..=7,
        sizes in (1usize..=5, 1usize..=7),
        seed in 1u64..1 << 32,
    ) {
        check(batch, groups, of_group, [sizes.0, sizes.1], seed);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let x = noise(64 * 12 * 30, 3);
    let on = |threads| {
        with_threads(threads, || {
            bits(channel_shuffle(plain(&x, [64, 12, 5, 6], DType::F32), 3))
        })
    };
    assert_eq!(on(1), on(4));
}

#[test]
#[should_panic(expected = "4 groups do not divide the channels")]
fn groups_that_do_not_divide_the_channels_are_refused() {
    channel_shuffle(plain(&[0.0; 6], [1, 6, 1, 1], DType::F32), 4);
}

#[test]
#[should_panic(expected = "cannot be taken in turn")]
fn maps_of_different_shapes_are_refused() {
    let maps = |channels| plain(&vec![0.0; channels], [1, channels, 1, 1], DType::F32);
    interleave_channels(maps(2), maps(3));
}
