//! Batch normalisation, with the statistics of the batch and with known ones.

use burn::{backend::Dispatch, tensor::Tensor};

use crate::{activation::Activation, normalisation::NormalisationOps, optional::Optional};

/// What [`batch_norm_train`] returns.
#[derive(Clone, Debug)]
pub struct BatchNormOutput {
    /// The result, `[B, C, H, W]`.
    pub output: Tensor<4>,
    /// Mean of each channel, `[C]`, detached.
    pub mean: Tensor<1>,
    /// Population (biased) variance of each channel, `[C]`, without `epsilon`, detached.
    pub variance: Tensor<1>,
}

/// Normalises each channel of `x` `[B, C, H, W]` with its own mean and population variance over
/// batch and positions, scales by `weight` `[C]` and shifts by `bias` `[C]`, then adds `residual`
/// `[B, C, H, W]` and applies `activation`: one pass over memory each way.
///
/// Differentiable in all tensors, through the statistics too. `f32` on the CPU has kernels of its
/// own, whose results do not depend on the number of threads; everything else is made of burn's
/// operations.
///
/// # Panics
/// Where the batch is empty, or the shapes do not fit each other.
pub fn batch_norm_train(
    x: Tensor<4>,
    residual: Option<Tensor<4>>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
    activation: Activation,
) -> BatchNormOutput {
    check(&x, residual.as_ref(), &weight, &bias);
    let (activation, last) = fused(activation, residual.is_some());
    let (output, mean, variance, _) = Dispatch::kernel_batch_norm(
        x.into_dispatch(),
        Optional::new(residual.map(Tensor::into_dispatch)),
        weight.into_dispatch(),
        bias.into_dispatch(),
        epsilon,
        activation,
    );
    BatchNormOutput {
        output: last.apply(Tensor::from_dispatch(output)),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// What [`batch_norm_pair_train`] returns.
#[derive(Clone, Debug)]
pub struct BatchNormPairOutput {
    /// The result, `[B, C, H, W]`.
    pub output: Tensor<4>,
    /// As [`BatchNormOutput::mean`], of both maps.
    pub means: [Tensor<1>; 2],
    /// As [`BatchNormOutput::variance`], of both maps.
    pub variances: [Tensor<1>; 2],
}

/// [`batch_norm_train`] of each of two `x` `[B, C, H, W]`, with `weights` and `biases` `[C]`, then
/// their sum and `activation`: the same numbers as the one with the other as its residual, with
/// less traffic to memory.
///
/// # Panics
/// As [`batch_norm_train`].
pub fn batch_norm_pair_train(
    x: [Tensor<4>; 2],
    weights: [Tensor<1>; 2],
    biases: [Tensor<1>; 2],
    epsilon: f64,
    activation: Activation,
) -> BatchNormPairOutput {
    let [first, second] = &x;
    check(first, Some(second), &weights[0], &biases[0]);
    check(second, None, &weights[1], &biases[1]);
    let (activation, last) = fused(activation, true);
    let [x, beside] = x.map(Tensor::into_dispatch);
    let [weight, weight_beside] = weights.map(Tensor::into_dispatch);
    let [bias, bias_beside] = biases.map(Tensor::into_dispatch);
    let (output, mean, mean_beside, variance, variance_beside) = Dispatch::kernel_batch_norm_pair(
        x,
        beside,
        weight,
        weight_beside,
        bias,
        bias_beside,
        epsilon,
        activation,
    );
    BatchNormPairOutput {
        output: last.apply(Tensor::from_dispatch(output)),
        means: [mean, mean_beside].map(Tensor::from_dispatch),
        variances: [variance, variance_beside].map(Tensor::from_dispatch),
    }
}

/// `activation(x · scale + shift + residual)` of `x` and `residual` `[B, C, H, W]`, `scale` and
/// `shift` `[C]`: a batch norm with statistics that are known, in one pass over memory.
///
/// Differentiable in all tensors. `f32` on the CPU has kernels of its own, whose results do not
/// depend on the number of threads; everything else is made of burn's operations.
///
/// # Panics
/// As [`batch_norm_train`].
pub fn channel_affine(
    x: Tensor<4>,
    residual: Option<Tensor<4>>,
    scale: Tensor<1>,
    shift: Tensor<1>,
    activation: Activation,
) -> Tensor<4> {
    check(&x, residual.as_ref(), &scale, &shift);
    let (activation, last) = fused(activation, true);
    last.apply(Tensor::from_dispatch(Dispatch::kernel_channel_affine(
        x.into_dispatch(),
        Optional::new(residual.map(Tensor::into_dispatch)),
        scale.into_dispatch(),
        shift.into_dispatch(),
        activation,
    )))
}

/// What the norm does last, and what is done after it: the gradients of SiLU and GELU go by what they were given,
/// which can be computed once more from what was normalised, but not from sums.
fn fused(activation: Activation, of_sums: bool) -> (Activation, Activation) {
    match activation.is_smooth() && of_sums {
        true => (Activation::Identity, activation),
        false => (activation, Activation::Identity),
    }
}

fn check(x: &Tensor<4>, residual: Option<&Tensor<4>>, weight: &Tensor<1>, bias: &Tensor<1>) {
    if let Some(residual) = residual {
        assert!(
            residual.dims() == x.dims(),
            "a residual of shape {:?} does not fit maps of shape {:?}",
            residual.dims(),
            x.dims()
        );
    }
    let shape = x.dims();
    assert!(
        shape.iter().all(|&n| n > 0),
        "maps of shape {shape:?} have no statistics: every size must be at least 1"
    );
    assert!(
        weight.dims() == [shape[1]] && bias.dims() == [shape[1]],
        "a weight of {:?} and a bias of {:?} do not fit maps of shape {shape:?}",
        weight.dims(),
        bias.dims()
    );
}
