//! Log-probabilities of pixels as an extension of burn's backends.

use burn::backend::{
    Backend, backend_extension,
    tensor::{FloatTensor, IntTensor},
};

use super::composed;

/// Log-probabilities; the bodies given here are made of burn's own operations.
#[backend_extension(Autodiff, Flex)]
pub trait LikelihoodOps: Backend {
    /// See [`crate::pixel_log_likelihood`]: output, and the logarithm of the sum of each pixel's
    /// exponentials, `[B, H, W]` each.
    fn kernel_pixel_log_likelihood(
        logits: FloatTensor<Self>,
        classes: IntTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::forward::<Self>(logits, classes)
    }

    /// Gradient with respect to the logits.
    fn kernel_pixel_log_likelihood_backward(
        logits: FloatTensor<Self>,
        classes: IntTensor<Self>,
        logarithms: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::backward::<Self>(logits, classes, logarithms, gradient)
    }
}
