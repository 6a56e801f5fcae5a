//! The steps of optimisers, in one pass over the numbers each.

mod composed;
mod flex;
mod ops;
pub(crate) mod span;

use burn::{backend::Dispatch, tensor::Tensor};

use crate::optional::Optional;
use ops::OptimizerOps;

/// One step of stochastic gradient descent; the letters are those of [`sgd_step`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// η.
    pub learning_rate: f64,
    /// λ: pull towards zero, added to the gradient.
    pub weight_decay: f64,
    /// μ, 0..1; 0 switches momentum off.
    pub momentum: f64,
    /// τ, 0..1: share of the gradient that is kept out of the momentum.
    pub dampening: f64,
    /// Whether to step along the momentum to come.
    pub nesterov: bool,
}

/// One step of `torch.optim.SGD` for a parameter p `[n]` with gradient g `[n]` and momentum b `[n]`,
/// `None` before its first step: g ← g + λp; b ← g at the first step, else μb + (1 − τ)g;
/// d = g without momentum, g + μb with Nesterov, else b; p ← p − ηd.
///
/// Returns the parameter and its momentum, `None` where that is switched off. `f32` on the CPU is
/// changed in place where nobody else holds the numbers; everything else is made of burn's
/// operations.
///
/// # Panics
/// Where the lengths differ.
pub fn sgd_step(
    value: Tensor<1>,
    gradient: Tensor<1>,
    momentum: Option<Tensor<1>>,
    step: SgdStep,
) -> (Tensor<1>, Option<Tensor<1>>) {
    check(&value, [Some(&gradient), momentum.as_ref()]);
    let (value, momentum) = Dispatch::kernel_sgd_step(
        value.into_dispatch(),
        gradient.into_dispatch(),
        Optional::new(momentum.map(Tensor::into_dispatch)),
        step,
    );
    (
        Tensor::from_dispatch(value),
        momentum.map(Tensor::from_dispatch),
    )
}

/// One step of Adam with decoupled weight decay; the letters are those of [`adamw_step`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// η.
    pub learning_rate: f64,
    /// λ: pull towards zero, beside the gradient.
    pub weight_decay: f64,
    /// β₁, 0..1: decay of the mean of gradients.
    pub beta1: f64,
    /// β₂, 0..1: decay of the mean of squared gradients.
    pub beta2: f64,
    /// ε, added to the root of the squared mean after its bias correction.
    pub epsilon: f64,
    /// t: number of the parameter's step, 1 for the first.
    pub step: u32,
}

/// What AdamW holds of a parameter, `[n]` each.
#[derive(Clone, Debug)]
pub struct AdamWTensors {
    /// p: the parameter.
    pub value: Tensor<1>,
    /// m: mean of its gradients; zeros before the first step.
    pub mean: Tensor<1>,
    /// v: mean of its squared gradients; zeros before the first step.
    pub square: Tensor<1>,
}

/// One step of `torch.optim.AdamW` for a parameter with gradient g `[n]`: p ← p · (1 − ηλ);
/// m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; p ← p − η/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε).
///
/// `f32` on the CPU is changed in place where nobody else holds the numbers; everything else is
/// made of burn's operations.
///
/// # Panics
/// Where the lengths differ.
pub fn adamw_step(tensors: AdamWTensors, gradient: Tensor<1>, step: AdamWStep) -> AdamWTensors {
    let AdamWTensors {
        value,
        mean,
        square,
    } = tensors;
    check(&value, [Some(&gradient), Some(&mean), Some(&square)]);
    let (value, mean, square) = Dispatch::kernel_adamw_step(
        value.into_dispatch(),
        gradient.into_dispatch(),
        mean.into_dispatch(),
        square.into_dispatch(),
        step,
    );
    AdamWTensors {
        value: Tensor::from_dispatch(value),
        mean: Tensor::from_dispatch(mean),
        square: Tensor::from_dispatch(square),
    }
}

/// decay · average + (1 − decay) · value, of `[n]` each: one update of a moving average.
///
/// `f32` on the CPU is changed in place where nobody else holds the average; everything else is
/// made of burn's operations.
///
/// # Panics
/// Where the lengths differ.
pub fn moving_average(average: Tensor<1>, value: Tensor<1>, decay: f64) -> Tensor<1> {
    check(&average, [Some(&value)]);
    let (average, value) = (average.into_dispatch(), value.into_dispatch());
    Tensor::from_dispatch(Dispatch::kernel_moving_average(average, value, decay))
}

/// Σ x², summed in double precision whatever the type of `x` `[n]`.
pub fn sum_of_squares(x: Tensor<1>) -> f64 {
    Tensor::<1>::from_dispatch(Dispatch::kernel_sum_of_squares(x.into_dispatch()))
        .into_scalar::<f64>()
}

fn check<const N: usize>(value: &Tensor<1>, others: [Option<&Tensor<1>>; N]) {
    let [expected] = value.dims();
    for other in others.into_iter().flatten() {
        let [found] = other.dims();
        assert!(
            found == expected,
            "{found} numbers do not belong to a parameter of {expected}"
        );
    }
}
