//! The source of knowledge: outputs for a batch that nothing can train.

use burn::tensor::Tensor;
use limbeck_nn::{Outputs, Tap, Taps};

/// A source of outputs for a batch of the student's images.
pub trait Teacher: Send + Sync {
    /// Zoo name, or what it is made of.
    fn name(&self) -> &str;

    /// Taps with their shapes, in forward order, `logits` last.
    fn taps(&self) -> Vec<Tap>;

    /// Outputs for `images` `[B, C, H, W]`, normalised as the student sees them. They carry no
    /// gradient.
    fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Outputs;

    /// The same with gradients that flow back to `images`, and never into the teacher's numbers.
    /// `None` where outputs do not depend on the images at hand, such as stored ones.
    fn outputs_through(&self, _images: Tensor<4>, _taps: &Taps) -> Option<Outputs> {
        None
    }
}

/// The last linear map of a network: logits = embedding · weightᵀ + bias.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// `[K, D]`.
    pub weight: Tensor<2>,
    /// `[K]`.
    pub bias: Option<Tensor<1>>,
}
