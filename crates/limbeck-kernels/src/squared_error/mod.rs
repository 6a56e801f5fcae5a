//! Mean squared errors, of tensors as they are and of maps averaged to coarser ones besides.

mod autodiff;
mod composed;
mod flex;
pub(crate) mod pieces;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

/// Maps averaged to `side`×`side` parts as in [`crate::adaptive_avg_pool2d`], which are compared
/// too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PyramidLevel {
    /// Parts along each axis, at least 1.
    pub side: usize,
    /// Factor of their mean squared error.
    pub weight: f64,
}

/// Mean of the squared differences over all numbers of two tensors of one shape, `[1]`.
///
/// Differentiable in both. `f32` on the CPU has a kernel of its own, whose results do not depend on
/// the number of threads and which finds the gradient on the way; everything else is made of burn's
/// operations.
///
/// # Panics
/// Where the shapes differ.
pub fn mean_squared_error<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<1> {
    let (shape, other) = (a.dims(), b.dims());
    assert!(
        shape == other,
        "tensors of shapes {shape:?} and {other:?} cannot be compared number by number"
    );
    compare(a, b, Vec::new())
}

/// [`mean_squared_error`] of maps `[B, C, H, W]` of one shape as they are, plus that of the averaged
/// ones of each level by its weight, `[1]`.
///
/// Differentiable in both; see [`mean_squared_error`].
///
/// # Panics
/// Where the shapes differ, or a size or side is zero.
pub fn pyramid_squared_error(a: Tensor<4>, b: Tensor<4>, levels: &[PyramidLevel]) -> Tensor<1> {
    let (shape, other) = (a.dims(), b.dims());
    let sides = levels.iter().map(|level| &level.side);
    assert!(
        shape == other && shape.iter().chain(sides).all(|&n| n > 0),
        "maps of shapes {shape:?} and {other:?} cannot be compared at {levels:?}"
    );
    compare(a, b, levels.to_vec())
}

fn compare<const D: usize>(a: Tensor<D>, b: Tensor<D>, levels: Vec<PyramidLevel>) -> Tensor<1> {
    let (a, b) = (a.into_dispatch(), b.into_dispatch());
    Tensor::from_dispatch(Dispatch::kernel_squared_error(a, b, levels, false).0)
}

/// Squared errors, with bodies made of burn's own operations; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait SquaredErrorOps: Backend {
    /// See [`pyramid_squared_error`]: the error `[1]` and, where asked for, its gradient with
    /// respect to `a`; that with respect to `b` is its negative. Without levels, tensors of any
    /// shape.
    fn kernel_squared_error(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        levels: Vec<PyramidLevel>,
        with_slopes: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        composed::squared_error::<Self>(a, b, &levels, with_slopes)
    }

    /// `slopes` times the only number of `gradient`, `[1]`.
    fn kernel_squared_error_backward(
        slopes: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::scale::<Self>(slopes, gradient)
    }
}
