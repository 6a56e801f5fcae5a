//! The quantisers of DoReFa-Net, as GHOST's code has them.
//!
//! Zhou, Wu, Ni, Zhou, Wen, Zou. "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with
//! Low Bitwidth Gradients". 2016. <https://arxiv.org/abs/1606.06160>

use burn::tensor::{Tensor, activation::tanh};
use limbeck_kernels::{Levels, quantise};

use super::{Bits, QuantiseError};

/// `value` with the gradient of `through`, which has the same shape: a straight-through gradient, without
/// a rounding error of its own.
fn straight_through<const D: usize>(value: Tensor<D>, through: Tensor<D>) -> Tensor<D> {
    // The difference is 0 to the last bit.
    value.inner() + (through.clone() - through.inner())
}

/// Weights of `bits` bits, of any shape. With k ≥ 2 bits `2·q(tanh w / (2M) + 1/2) − 1` with
/// `q(v) = round(v·(2^k − 1))/(2^k − 1)`, halves to even, and M the layer's largest |tanh w|, which has no
/// gradient: from −1 to 1, and not brought back to the weights' scale, which a norm behind the layer takes
/// care of. With 1 bit `sign(w)·E`, E the layer's mean |w|, without gradient. With 32 bits `w`.
///
/// The gradient goes through rounding and sign as if they were not there.
///
/// # Errors
/// No weights, or nothing but zeros with fewer than 32 bits: `layer` names them.
pub fn dorefa_weight<const D: usize>(
    layer: &str,
    weight: Tensor<D>,
    bits: Bits,
) -> Result<Tensor<D>, QuantiseError> {
    let layer = || layer.to_owned();
    if weight.shape().num_elements() == 0 {
        return Err(QuantiseError::NoWeights { layer: layer() });
    }
    if bits.is_full() {
        return Ok(weight);
    }
    let constant = weight.clone().inner();
    let largest: f64 = number(constant.clone().abs().max());
    if !largest.is_finite() {
        return Err(QuantiseError::NotFinite { layer: layer() });
    }
    if largest == 0.0 {
        return Err(QuantiseError::AllZero { layer: layer() });
    }
    if bits.count() == 1 {
        let size: f64 = number(constant.clone().abs().mean());
        return Ok(straight_through(constant.sign().mul_scalar(size), weight));
    }
    let bent = tanh(weight);
    // tanh is odd and rises, so the largest weight has the largest value.
    let greatest: f64 = number(bent.clone().inner().abs().max());
    let share = bent.mul_scalar(0.5 / greatest).add_scalar(0.5);
    let steps = f64::from((1u32 << bits.count()) - 1);
    let codes = share.clone().inner().mul_scalar(steps).round();
    let quantised = codes.mul_scalar(2.0 / steps).sub_scalar(1.0);
    Ok(straight_through(quantised, share.mul_scalar(2.0)))
}

/// Activations of `bits` bits, of any shape: `q(clamp(a, 0, 1))` with `q` as in [`dorefa_weight`], 1 bit
/// being the sign of what was clamped; with 32 bits `a`. The gradient passes from 0 to 1.
pub fn dorefa_activation<const D: usize>(a: Tensor<D>, bits: Bits) -> Tensor<D> {
    match bits.count() {
        32 => a,
        1 => {
            let within = a.clone().clamp(0.0, 1.0);
            straight_through(within.clone().inner().sign(), within)
        }
        bits => quantise(a, Levels::unit(bits)),
    }
}

fn number(one: Tensor<1>) -> f64 {
    one.into_data().iter::<f64>().sum()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;

    fn tensor(numbers: &[f64]) -> Tensor<1> {
        let data = TensorData::new(numbers.to_vec(), [numbers.len()]);
        Tensor::from_data(data, (&Device::flex(), DType::F32))
    }

    fn numbers(tensor: Tensor<1>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    fn bits(count: u32) -> Bits {
        Bits::new(count).unwrap()
    }

    fn ramp() -> Vec<f64> {
        (-300..=300).map(|i| f64::from(i) / 100.0).collect()
    }

    #[test]
    fn weights_have_at_most_two_to_the_bits_levels_from_minus_one_to_one_and_keep_their_order() {
        for count in 1..=8 {
            let found = dorefa_weight("l", tensor(&ramp()), bits(count)).unwrap();
            let found = numbers(found);
            assert!(found.windows(2).all(|pair| pair[0] <= pair[1]), "{count}");
            let mut levels = found.clone();
            levels.dedup();
            // The sign of 0 is a level of its own.
            assert!(
                levels.len() <= (1 << count) + usize::from(count == 1),
                "{count}"
            );
            if count > 1 {
                assert_eq!([found[0], found[600]], [-1.0, 1.0]);
                // Of more levels than that, the ramp is too coarse for some.
                assert!(levels.len() == 1 << count || count > 6, "{count}");
            }
        }
    }

    #[test]
    fn the_opposite_weight_has_the_opposite_level() {
        let weight: Vec<f64> = ramp().into_iter().filter(|w| *w != 0.0).collect();
        let opposite: Vec<f64> = weight.iter().map(|w| -w).collect();
        for count in [1, 2, 4, 7] {
            let of = |w: &[f64]| numbers(dorefa_weight("l", tensor(w), bits(count)).unwrap());
            for (level, opposite) in of(&weight).into_iter().zip(of(&opposite)) {
                assert!(
                    (level + opposite).abs() < 1e-6,
                    "{count}: {level} {opposite}"
                );
            }
        }
    }

    #[test]
    fn the_gradient_of_weights_is_that_of_the_bent_weight() {
        let values = [0.3, -0.8, 0.1];
        let weight = tensor(&values).autodiff().require_grad();
        let sum = dorefa_weight("l", weight.clone(), bits(3)).unwrap().sum();
        let found = numbers(weight.grad(&sum.backward()).unwrap());
        for (found, w) in found.iter().zip(values) {
            let expected = (1.0 - w.tanh().powi(2)) / 0.8f64.tanh();
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn activations_are_levels_from_zero_to_one() {
        for count in 2..=8 {
            let steps = f64::from((1 << count) - 1);
            for a in numbers(dorefa_activation(tensor(&ramp()), bits(count))) {
                let code = a * steps;
                assert!((code - code.round()).abs() < 1e-4 && (0.0..=1.0).contains(&a));
            }
        }
        let signs = numbers(dorefa_activation(tensor(&[-1.0, 0.0, 0.2, 3.0]), bits(1)));
        assert_eq!(signs, [0.0, 0.0, 1.0, 1.0]);
        let same = numbers(dorefa_activation(tensor(&[-1.0, 3.0]), Bits::FULL));
        assert_eq!(same, [-1.0, 3.0]);
    }

    #[test]
    fn empty_and_zero_layers_are_named() {
        let error = dorefa_weight("conv1.weight", tensor(&[]), bits(4)).unwrap_err();
        assert!(error.to_string().contains("`conv1.weight` has no weights"));
        let error = dorefa_weight("conv1.weight", tensor(&[0.0; 3]), bits(4)).unwrap_err();
        assert!(
            error.to_string().contains("`conv1.weight` are zero"),
            "{error}"
        );
        let error = dorefa_weight("conv1.weight", tensor(&[f64::NAN]), bits(4)).unwrap_err();
        assert!(error.to_string().contains("not finite"), "{error}");
    }
}
