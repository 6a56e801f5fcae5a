//! What is done to maps alone: pooling, functions of numbers, and the way in and out.

use super::draws::Draws;
use crate::{
    Activation, Levels, Pool2dOptions,
    integer::{Addend, ByteMap, NumberMap, Quantisation, instructions::Level},
};

#[test]
fn pooling_is_that_of_the_definition() {
    let mut draws = Draws(5);
    let quantisation = Quantisation {
        scale: 0.5,
        zero_point: 9,
        greatest: 255,
    };
    for [batch, height, width, channels, kernel, stride, padding] in [
        [2, 8, 9, 5, 3, 2, 1],
        [1, 7, 7, 33, 7, 1, 0],
        [3, 6, 5, 16, 2, 2, 0],
        [1, 4, 4, 3, 3, 1, 1],
    ] {
        let bytes = draws.bytes(batch * height * width * channels);
        let x = ByteMap::new(&bytes, [batch, height, width, channels], quantisation).unwrap();
        let options = Pool2dOptions {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [padding; 2],
        };
        let [largest, mean] = [x.max_pool(options), x.average_pool(options)].map(Result::unwrap);
        let [rows, columns] = [height, width].map(|n| (n + 2 * padding - kernel) / stride + 1);
        assert_eq!(largest.shape(), [batch, rows, columns, channels]);
        for (index, (&largest, &mean)) in largest.bytes().iter().zip(mean.bytes()).enumerate() {
            let (place, c) = (index / channels, index % channels);
            let (b, y, x) = (
                place / columns / rows,
                place / columns % rows,
                place % columns,
            );
            let (mut most, mut sum) = (0, 0);
            for (i, j) in (0..kernel * kernel).map(|k| (k / kernel, k % kernel)) {
                let row = (y * stride + i).wrapping_sub(padding);
                let column = (x * stride + j).wrapping_sub(padding);
                if row < height && column < width {
                    let byte = bytes[((b * height + row) * width + column) * channels + c];
                    most = byte.max(most);
                    sum += u32::from(byte);
                } else {
                    sum += 9;
                }
            }
            assert_eq!(largest, most);
            let exact = f64::from(sum) / (kernel * kernel) as f64;
            assert_eq!(f64::from(mean), (exact + 0.5).floor());
        }
        let all = x.global_average_pool().unwrap();
        assert_eq!(all.shape(), [batch, 1, 1, channels]);
    }
}

#[test]
fn numbers_come_back_to_within_half_a_step() {
    let mut draws = Draws(8);
    let shape = [2, 3, 2, 75];
    let numbers: Vec<f32> = (0..900).map(|_| 4.0 * draws.share() - 1.0).collect();
    let quantisation = Quantisation::of_range(-1.0, 3.0).unwrap();
    let bytes = ByteMap::quantise(&numbers, shape, quantisation).unwrap();
    assert_eq!(bytes.shape(), [2, 2, 75, 3]);
    let back = bytes.numbers();
    for level in Level::all() {
        let same = ByteMap::quantise_by(level, &numbers, shape, quantisation).unwrap();
        assert_eq!(same.bytes(), bytes.bytes(), "{level:?}");
    }
    for (number, back) in numbers.iter().zip(back) {
        assert!(
            (number - back).abs() < 0.501 * quantisation.scale,
            "{number} {back}"
        );
    }
    // Zero stands for itself, and what is out of range for the nearest end.
    let ends = [0.0, -9.0, f32::INFINITY, f32::NAN, f32::NEG_INFINITY];
    let zero = quantisation.zero_point;
    for level in Level::all() {
        let found = ByteMap::quantise_by(level, &ends, [1, 1, 1, 5], quantisation).unwrap();
        assert_eq!(found.bytes(), [zero, 0, 255, zero, 0]);
    }
    let found = ByteMap::quantise(&ends, [1, 1, 1, 5], quantisation).unwrap();
    assert_eq!(found.numbers()[0], 0.0);
    for (least, greatest) in [(2.0, 3.0), (-3.0, -2.0), (0.0, 0.0), (f32::MIN, f32::MAX)] {
        let quantisation = Quantisation::of_range(least, greatest).unwrap();
        assert_eq!(quantisation.number(quantisation.zero_point), 0.0);
        assert!(quantisation.scale.is_finite() && quantisation.scale > 0.0);
    }
    assert!(Quantisation::of_range(0.0, f32::INFINITY).is_err());
}

#[test]
fn a_function_of_each_number() {
    let [from, to] = [(0.1, 100), (0.02, 30)].map(|(scale, zero_point)| Quantisation {
        scale,
        zero_point,
        greatest: 255,
    });
    let bytes = Draws(3).bytes(70_000);
    let x = ByteMap::new(&bytes, [2, 100, 35, 10], from).unwrap();
    let found = x.mapped(to, |x| x / (1.0 + (-x).exp())).unwrap();
    assert_eq!((found.shape(), found.quantisation()), (x.shape(), to));
    for (&byte, &found) in bytes.iter().zip(found.bytes()) {
        let x = from.number(byte);
        assert_eq!(found, to.byte(x / (1.0 + (-x).exp())));
    }
    assert!(
        x.mapped(to, |_| f32::NAN)
            .unwrap()
            .bytes()
            .iter()
            .all(|&byte| byte == 30)
    );
}

#[test]
fn bytes_of_fewer_bits_are_their_levels() {
    let mut draws = Draws(21);
    let numbers: Vec<f32> = (0..4000).map(|_| 6.0 * draws.share() - 2.5).collect();
    for bits in 1..=8 {
        let levels = Levels::covering([-1.0, 2.0], bits).unwrap();
        let quantisation = Quantisation::of_levels(levels).unwrap();
        assert_eq!(u32::from(quantisation.greatest), (1 << bits) - 1);
        let bytes = ByteMap::quantise(&numbers, [1, 4, 10, 100], quantisation).unwrap();
        let wanted = crate::quantise::span::forward(&numbers, levels);
        for (found, wanted) in bytes.numbers().iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{bits}: {found} {wanted}");
        }
    }
    let levels = Levels::covering([0.0, 1.0], 9).unwrap();
    assert!(Quantisation::of_levels(levels).is_none());
}

#[test]
fn maps_of_numbers_are_finished_quantised_and_turned() {
    let mut draws = Draws(4);
    let shape = [2, 9, 11, 21];
    let count = shape.iter().product();
    let mut numbers = || -> Vec<f32> { (0..count).map(|_| 12.0 * draws.share() - 4.0).collect() };
    let (first, second) = (numbers(), numbers());
    let map = NumberMap::new(&first, shape).unwrap();
    let more = NumberMap::new(&second, shape).unwrap();
    let quantisation = Quantisation::of_range(-4.0, 8.0).unwrap();
    let bytes = more.quantised(quantisation).unwrap();
    let turned = ByteMap::quantise(&more.channels_first(), [2, 21, 9, 11], quantisation).unwrap();
    assert_eq!(turned.bytes(), bytes.bytes());
    let silu = |x: f32| x / (1.0 + (-x).exp());
    // Of this the operation has tests of its own.
    let gelu = |x: f32| crate::gelu::forward(&[x])[0];
    type Case = (Activation, fn(f32) -> f32);
    let cases: [Case; 5] = [
        (Activation::Identity, |x| x),
        (Activation::Relu, |x| x.max(0.0)),
        (Activation::Relu6, |x| x.clamp(0.0, 6.0)),
        (Activation::Silu, silu),
        (Activation::Gelu, gelu),
    ];
    for (activation, function) in cases {
        for residual in [
            None,
            Some(Addend::Numbers(&more)),
            Some(Addend::Bytes(&bytes)),
        ] {
            let found = map.clone().finished(residual, activation).unwrap();
            for (i, &found) in found.numbers().iter().enumerate() {
                let added = match residual {
                    None => 0.0,
                    Some(Addend::Numbers(_)) => second[i],
                    Some(Addend::Bytes(map)) => quantisation.number(map.bytes()[i]),
                };
                let wanted = function(first[i] + added);
                assert!(
                    (found - wanted).abs() < 1e-5,
                    "{activation:?} {found} {wanted}"
                );
            }
        }
    }
    assert!(NumberMap::new(&first, [1, 9, 11, 21]).is_err());
    let other = NumberMap::new(&first[..21], [1, 1, 1, 21]).unwrap();
    assert!(
        map.finished(Some(Addend::Numbers(&other)), Activation::Relu)
            .is_err()
    );
}
