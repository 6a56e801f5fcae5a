//! How far distributions are from target distributions, row by row.

mod autodiff;
mod composed;
mod flex;
mod maps;
pub(crate) mod rows;
mod shares;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

/// Σ_r KL(softmax(scale · target_r) ‖ softmax(scale · x_r)) of rows `[R, K]`: `[1]`.
///
/// Differentiable in `x`; `target` is a constant. `f32` on the CPU has a kernel of its own, whose
/// results do not depend on the number of threads and which finds the gradient on the way;
/// everything else is made of burn's operations.
///
/// # Panics
/// Where the shapes differ or rows are empty.
pub fn divergence(x: Tensor<2>, target: Tensor<2>, scale: f64) -> Tensor<1> {
    check(&x, &target);
    let (x, target) = (x.into_dispatch(), target.inner().into_dispatch());
    Tensor::from_dispatch(Dispatch::kernel_divergence(x, target, scale).0)
}

/// [`divergence`] and its gradient with respect to `x`, `[R, K]`; both are constants.
///
/// # Panics
/// As [`divergence`].
pub fn divergence_with_slopes(
    x: Tensor<2>,
    target: Tensor<2>,
    scale: f64,
) -> (Tensor<1>, Tensor<2>) {
    check(&x, &target);
    let (x, target) = (x.inner().into_dispatch(), target.inner().into_dispatch());
    let (sum, slopes) = Dispatch::kernel_divergence(x, target, scale);
    (Tensor::from_dispatch(sum), Tensor::from_dispatch(slopes))
}

/// −Σ softmax(target) · log softmax(x) of maps `[B, K, H, W]`, over all pixels, the distributions
/// being over the K classes: `[1]`.
///
/// Differentiable in `x`; `target` is a constant. See [`divergence`], which it is but for what the
/// target's own entropy adds.
///
/// # Panics
/// Where the shapes differ or a size is zero.
pub fn soft_cross_entropy(x: Tensor<4>, target: Tensor<4>) -> Tensor<1> {
    let (shape, other) = (x.dims(), target.dims());
    assert!(
        shape == other && shape.iter().all(|&n| n > 0),
        "maps {shape:?} cannot be compared with {other:?}"
    );
    let (x, target) = (x.into_dispatch(), target.inner().into_dispatch());
    Tensor::from_dispatch(Dispatch::kernel_soft_cross_entropy(x, target).0)
}

/// −Σ shares · log softmax(x) of rows `[R, K]`: `[1]`. The shares of a row may have any sum.
///
/// Differentiable in `x`; `shares` are constants. See [`divergence`].
///
/// # Panics
/// Where the shapes differ or rows are empty.
pub fn cross_entropy_with_shares(x: Tensor<2>, shares: Tensor<2>) -> Tensor<1> {
    check(&x, &shares);
    let (x, shares) = (x.into_dispatch(), shares.inner().into_dispatch());
    Tensor::from_dispatch(Dispatch::kernel_cross_entropy_with_shares(x, shares).0)
}

fn check(x: &Tensor<2>, target: &Tensor<2>) {
    let (shape, other) = (x.dims(), target.dims());
    assert!(
        shape == other && shape[1] > 0,
        "rows {shape:?} cannot be compared with {other:?}"
    );
}

/// Divergences, with bodies made of burn's own operations; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait DivergenceOps: Backend {
    /// See [`divergence`]: the sum `[1]`, and its gradient with respect to `x`, `[R, K]`.
    fn kernel_divergence(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
        scale: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::divergence::<Self>(x, target, scale)
    }
    /// See [`soft_cross_entropy`]: the sum `[1]`, and its gradient with respect to `x`,
    /// `[B, K, H, W]`.
    fn kernel_soft_cross_entropy(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::soft_cross_entropy::<Self>(x, target)
    }
    /// See [`cross_entropy_with_shares`]: the sum `[1]`, and its gradient with respect to `x`,
    /// `[R, K]`.
    fn kernel_cross_entropy_with_shares(
        x: FloatTensor<Self>,
        shares: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::cross_entropy_with_shares::<Self>(x, shares)
    }
}
