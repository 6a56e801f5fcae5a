//! Log-probabilities of the classes of pixels.

mod autodiff;
mod composed;
mod flex;
pub(crate) mod maps;
mod ops;

use burn::{
    backend::Dispatch,
    tensor::{Int, Tensor},
};

use ops::LikelihoodOps;

/// The log-probability that `logits` `[B, K, H, W]` give each pixel of `classes` `[B, H, W]`:
/// `[B, H, W]`. Classes must be from 0 to K − 1.
///
/// Differentiable in the logits; nothing of their size is kept but themselves. `f32` on the CPU has
/// kernels of its own, whose results do not depend on the number of threads; everything else is made
/// of burn's operations.
///
/// # Panics
/// Where a size is zero or the shapes do not fit each other.
pub fn pixel_log_likelihood(logits: Tensor<4>, classes: Tensor<3, Int>) -> Tensor<3> {
    let ([batch, count, height, width], of_classes) = (logits.dims(), classes.dims());
    assert!(
        batch * count * height * width > 0 && of_classes == [batch, height, width],
        "classes of shape {of_classes:?} do not fit logits of {:?}",
        logits.dims()
    );
    let (output, _) =
        Dispatch::kernel_pixel_log_likelihood(logits.into_dispatch(), classes.into_dispatch());
    Tensor::from_dispatch(output)
}
