//! How far the angles between vectors are from the angles between others.

pub(crate) mod anchors;
mod autodiff;
mod composed;
mod flex;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

/// Vectors closer than this have no direction.
const LENGTH_FLOOR: f64 = 1e-12;

/// Mean over all triples i, j, k of h(cos_ijk(x) − cos_ijk(target)), `[1]`, with h(d) = d²/2 for |d| < 1,
/// else |d| − 1/2, and cos_ijk the cosine of the angle at vector i between j and k; 0 where one of them
/// is no farther than 1e-12 from i. Vectors `[B, D]` and `[B, D']`.
///
/// Differentiable in `x`; `target` is a constant. `f32` on the CPU has a kernel of its own, which holds
/// what belongs to one i at a time, whose results do not depend on the number of threads and which
/// finds the gradient on the way; everything else is made of burn's operations.
///
/// # Panics
/// Where there are not as many vectors on both sides, or a size is zero.
pub fn angle_error(x: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    let (shape, other) = (x.dims(), target.dims());
    assert!(
        shape[0] == other[0] && shape.iter().chain(&other).all(|&n| n > 0),
        "the angles of vectors {shape:?} cannot be compared with those of {other:?}"
    );
    let (x, target) = (x.into_dispatch(), target.inner().into_dispatch());
    Tensor::from_dispatch(Dispatch::kernel_angle_error(x, target).0)
}

/// Errors of angles, with bodies made of burn's own operations; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait AngleOps: Backend {
    /// See [`angle_error`]: the error `[1]`, and its gradient with respect to `x`, `[B, D]`.
    fn kernel_angle_error(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::angle_error::<Self>(x, target)
    }
}
