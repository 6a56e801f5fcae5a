//! The bits of two norms in one against those of one after the other.

use std::sync::PoisonError;

use super::*;
use crate::{
    activation::Activation,
    normalisation::{Maps, Operand, Output, Read, backward, forward::forward as one},
    simd::LEVELS,
};

/// Numbers from −2 to 2; others for every `seed`.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 37 + seed * 11) % 41) as f32 / 10.0 - 2.0)
        .collect()
}

fn bits(of: &[f32]) -> Vec<u32> {
    of.iter().map(|x| x.to_bits()).collect()
}

/// Both gradients of inputs and of weights, and that of the biases.
fn of_pair(
    maps: Maps,
    read: &ReadPair<'_>,
    x: &[f32],
    gradient: &[f32],
    given: [bool; 2],
) -> [Vec<u32>; 5] {
    let (mut x, mut gradient) = (x.to_vec(), gradient.to_vec());
    let operand = |numbers, given| match given {
        true => Operand::Given(numbers),
        false => Operand::Kept(numbers),
    };
    let [x_operand, operand] = [operand(&mut x, given[0]), operand(&mut gradient, given[1])];
    let found = gradients(maps, read, x_operand, operand);
    assert_eq!([found.x.is_none(), found.beside.is_none()], given);
    let [weight, weight_beside] = &found.weights;
    [
        bits(&found.x.unwrap_or(x)),
        bits(&found.beside.unwrap_or(gradient)),
        bits(weight),
        bits(weight_beside),
        bits(&found.bias),
    ]
}

#[test]
fn bits_are_those_of_one_norm_after_the_other_wherever_the_results_lie() {
    let _same = LEVELS.read().unwrap_or_else(PoisonError::into_inner);
    for (batch, channels, size) in [(1, 1, 1), (3, 7, 5), (2, 3, 1100), (4, 33, 49)] {
        let maps = Maps {
            batch,
            channels,
            size,
        };
        let [x, beside, gradient] = [1, 2, 3].map(|seed| numbers(maps.count(), seed));
        let [weight, weight_beside, bias, bias_beside] =
            [4, 5, 6, 7].map(|seed| numbers(channels, seed));
        for activation in [Activation::Identity, Activation::Relu, Activation::Relu6] {
            let of_beside = [&beside[..], &weight_beside, &bias_beside];
            let second = one(maps, of_beside, None, 1e-5, Activation::Identity);
            let residual = Some(&second.output[..]);
            let first = one(maps, [&x, &weight, &bias], residual, 1e-5, activation);
            let pair = forward(
                maps,
                [&x, &beside],
                [&weight, &weight_beside],
                [&bias, &bias_beside],
                1e-5,
                activation,
            );
            assert_eq!(bits(&pair.output), bits(&first.output));
            assert_eq!(pair.means, [first.mean.clone(), second.mean.clone()]);
            assert_eq!(
                pair.variances,
                [first.variance.clone(), second.variance.clone()]
            );

            let kept = Operand::Kept(&gradient);
            let output = match activation {
                Activation::Identity => Output::Unasked,
                _ => Output::Stored(&first.output),
            };
            let read = Read {
                x: &x,
                centre: &first.mean,
                output,
                activation,
            };
            let variance = &first.variance;
            let of_first = backward::batch_norm(maps, &read, kept, &weight, variance, 1e-5, true);
            let read = Read {
                x: &beside,
                centre: &second.mean,
                output: Output::Unasked,
                activation: Activation::Identity,
            };
            let kept = Operand::Kept(of_first.residual.as_deref().unwrap());
            let (weight_of_second, variance) = (&weight_beside, &second.variance);
            let of_second =
                backward::batch_norm(maps, &read, kept, weight_of_second, variance, 1e-5, false);
            let expected = [
                bits(&of_first.x.unwrap()),
                bits(&of_second.x.unwrap()),
                bits(&of_first.weight),
                bits(&of_second.weight),
                bits(&of_first.bias),
            ];
            assert_eq!(bits(&of_first.bias), bits(&of_second.bias));

            let read = ReadPair {
                beside: &beside,
                weights: [&weight, &weight_beside],
                means: [&first.mean, &second.mean],
                variances: [&first.variance, &second.variance],
                output: (activation != Activation::Identity).then_some(&first.output[..]),
                epsilon: 1e-5,
                activation,
            };
            for given in [[false, false], [false, true], [true, false], [true, true]] {
                let found = of_pair(maps, &read, &x, &gradient, given);
                assert!(found == expected, "{maps:?} {activation:?} {given:?}");
            }
        }
    }
}
