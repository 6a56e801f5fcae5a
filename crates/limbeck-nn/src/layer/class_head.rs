//! The end of a classifier.

use burn::tensor::Tensor;

use super::Linear;
use crate::{Builder, Init, Pass};

/// The linear map from embedding to logits, or nothing where a network is asked for no classes: what
/// it predicts is its embedding then, as with timm's `num_classes=0`.
#[derive(Clone, Copy, Debug)]
pub struct ClassHead(Option<Linear>);

impl ClassHead {
    /// With a bias, both drawn by PyTorch's default.
    pub fn new(builder: Builder<'_>, width: usize, classes: usize) -> Self {
        Self((classes > 0).then(|| Linear::new(builder, width, classes)))
    }

    /// With these distributions; no bias where `bias` is `None`.
    pub fn with_init(
        builder: Builder<'_>,
        width: usize,
        classes: usize,
        weight: Init,
        bias: Option<Init>,
    ) -> Self {
        Self((classes > 0).then(|| Linear::with_init(builder, width, classes, weight, bias)))
    }

    /// `[B, D]` → `[B, K]`, or the embedding as it is.
    pub fn forward(&self, pass: &mut Pass<'_>, embedding: Tensor<2>) -> Tensor<2> {
        match &self.0 {
            Some(linear) => linear.forward(pass, embedding),
            None => embedding,
        }
    }
}
