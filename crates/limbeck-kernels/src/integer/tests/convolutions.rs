//! Convolutions and linear layers.

use std::collections::BTreeSet;

use super::scene::{CASES, Case};
use crate::{
    Activation, Conv2dOptions,
    integer::{
        Addend, ByteMap, IntegerConvolution, IntegerWeights, NumberMap, Quantisation,
        instructions::Level,
    },
};

fn activations() -> [Activation; 3] {
    [Activation::Identity, Activation::Relu, Activation::Relu6]
}

fn activated(number: f64, activation: Activation) -> f64 {
    match activation {
        Activation::Relu => number.max(0.0),
        Activation::Relu6 => number.clamp(0.0, 6.0),
        _ => number,
    }
}

#[test]
fn convolutions_are_those_of_the_definition() {
    for (seed, case) in CASES.into_iter().enumerate() {
        let activation = activations()[seed % 3];
        let case = Case::new(case, seed as u64);
        let convolution = case.convolution(activation);
        let sums = case.sums();
        let outputs = case.shape[0];
        let input = f64::from(case.x.quantisation().scale);
        let plain: Vec<f64> = sums
            .iter()
            .enumerate()
            .map(|(i, &sum)| {
                let step = input * f64::from(case.scales[i % outputs]);
                sum as f64 * step + f64::from(case.bias[i % outputs])
            })
            .collect();
        let output = f64::from(case.output.scale);
        let with_residual = [false, true].map(|added| {
            let residual = added.then_some(Addend::Bytes(&case.residual));
            let bytes = convolution.forward(&case.x, residual).unwrap();
            for (i, (&byte, &number)) in bytes.bytes().iter().zip(&plain).enumerate() {
                let more = case
                    .residual
                    .quantisation()
                    .number(case.residual.bytes()[i]);
                let number = number + if added { f64::from(more) } else { 0.0 };
                let steps = activated(number, activation) / output;
                let steps = (steps + f64::from(case.output.zero_point)).clamp(0.0, 255.0);
                // Half a step, and what single precision adds.
                assert!(
                    (f64::from(byte) - steps).abs() < 0.5001,
                    "{seed} {i}: {byte} {steps}"
                );
            }
            bytes
        });
        assert!(with_residual[0].bytes() != with_residual[1].bytes());
        let different = with_residual[0]
            .bytes()
            .iter()
            .collect::<BTreeSet<_>>()
            .len();
        assert!(different > 5, "{seed}: {different}");
        let numbers = convolution.forward_to_numbers(&case.x).unwrap();
        assert_eq!(numbers.numbers().len(), plain.len());
        for (i, (&found, &number)) in numbers.numbers().iter().zip(&plain).enumerate() {
            let tolerance = 1e-6 * (1.0 + number.abs());
            let wanted = activated(number, activation);
            assert!(
                (f64::from(found) - wanted).abs() < tolerance,
                "{seed} {i}: {found} {wanted}"
            );
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same() {
    for (seed, case) in CASES.into_iter().enumerate() {
        let case = Case::new(case, 100 + seed as u64);
        let activation = activations()[seed % 3];
        let convolution = case.convolution(activation);
        let quantisation = case.residual.quantisation();
        let residual = case.residual.bytes().iter();
        let residual: Vec<f32> = residual.map(|&byte| quantisation.number(byte)).collect();
        let residual = NumberMap::new(&residual, case.residual.shape()).unwrap();
        let all = |level| {
            let bytes = |residual| convolution.forward_by(level, &case.x, residual).unwrap();
            let numbers = convolution.forward_to_numbers_by(level, &case.x).unwrap();
            let bits: Vec<u32> = numbers.numbers().iter().map(|x| x.to_bits()).collect();
            (
                bytes(None).bytes().to_vec(),
                bytes(Some(Addend::Bytes(&case.residual))).bytes().to_vec(),
                bytes(Some(Addend::Numbers(&residual))).bytes().to_vec(),
                bits,
            )
        };
        let expected = all(Level::Baseline);
        for level in Level::all() {
            assert!(all(level) == expected, "{level:?} {seed} {activation:?}");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same() {
    for (seed, case) in CASES.into_iter().enumerate() {
        let case = Case::new(case, 200 + seed as u64);
        let convolution = case.convolution(Activation::Relu);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let residual = Some(Addend::Bytes(&case.residual));
            pool.install(|| convolution.forward(&case.x, residual).unwrap())
        };
        let expected = with(1);
        for threads in [2, 3, 7] {
            assert!(
                with(threads).bytes() == expected.bytes(),
                "{threads} {seed}"
            );
        }
    }
}

/// Bytes that no 16 bits hold the sum of two products of, and sums that clamp at both ends.
#[test]
fn nothing_saturates_on_the_way() {
    for weight in [-128, 127] {
        let depth = 32_768;
        let weight = vec![weight; depth];
        let one = Quantisation {
            scale: 1.0,
            zero_point: 0,
            greatest: 255,
        };
        let x = ByteMap::new(&vec![255; depth], [1, 1, 1, depth], one).unwrap();
        let weights = IntegerWeights {
            weight: &weight,
            shape: [1, depth, 1, 1],
            scales: &[1.0],
            bias: None,
        };
        let options = Conv2dOptions {
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
            groups: 1,
        };
        let convolution =
            IntegerConvolution::new(&weights, options, one, one, Activation::Identity).unwrap();
        let wanted = depth as f32 * 255.0 * f32::from(weight[0]);
        for level in Level::all() {
            assert_eq!(
                convolution
                    .forward_to_numbers_by(level, &x)
                    .unwrap()
                    .numbers(),
                [wanted]
            );
            let byte = if wanted > 0.0 { 255 } else { 0 };
            assert_eq!(
                convolution.forward_by(level, &x, None).unwrap().bytes(),
                [byte]
            );
        }
    }
}

#[test]
fn a_channel_without_weights_is_its_bias() {
    let quantisation = Quantisation {
        scale: 0.1,
        zero_point: 3,
        greatest: 255,
    };
    let x = ByteMap::new(&[200; 4], [1, 1, 1, 4], quantisation).unwrap();
    let weights = IntegerWeights {
        weight: &[0; 12],
        shape: [3, 4, 1, 1],
        scales: &[0.0; 3],
        bias: Some(&[1.5, -2.0, 0.0]),
    };
    let options = Conv2dOptions {
        stride: [1; 2],
        padding: [0; 2],
        dilation: [1; 2],
        groups: 1,
    };
    let convolution = IntegerConvolution::new(
        &weights,
        options,
        quantisation,
        quantisation,
        Activation::Identity,
    );
    let numbers = convolution.unwrap().forward_to_numbers(&x).unwrap();
    for (&number, wanted) in numbers.numbers().iter().zip([1.5f32, -2.0, 0.0]) {
        assert!((number - wanted).abs() < 1e-6, "{number} {wanted}");
    }
}

/// A residual of numbers is that of the bytes that stand for them.
#[test]
fn residuals_of_numbers_are_added_as_they_are() {
    for (seed, case) in CASES.into_iter().enumerate() {
        let case = Case::new(case, 300 + seed as u64);
        let convolution = case.convolution(Activation::Relu);
        let quantisation = case.residual.quantisation();
        let numbers = case.residual.bytes().iter();
        let numbers: Vec<f32> = numbers.map(|&byte| quantisation.number(byte)).collect();
        let numbers = NumberMap::new(&numbers, case.residual.shape()).unwrap();
        let of = |residual| convolution.forward(&case.x, Some(residual)).unwrap();
        let [bytes, numbers] = [Addend::Bytes(&case.residual), Addend::Numbers(&numbers)].map(of);
        for (byte, number) in bytes.bytes().iter().zip(numbers.bytes()) {
            // Where the sum lies between two bytes, rounding decides.
            assert!(byte.abs_diff(*number) <= 1, "{seed}: {byte} {number}");
        }
        let same = bytes
            .bytes()
            .iter()
            .zip(numbers.bytes())
            .filter(|(a, b)| a == b);
        assert!(1000 * same.count() >= 990 * bytes.bytes().len(), "{seed}");
    }
}
