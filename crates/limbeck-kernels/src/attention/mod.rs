//! Scaled dot-product attention of tokens among themselves.
//!
//! Vaswani et al. "Attention Is All You Need". NeurIPS 2017, section 3.2. That the backward pass
//! computes the probabilities again from one number per row, instead of keeping them: Dao et al.
//! "FlashAttention". NeurIPS 2022, section 3.1.

mod autodiff;
pub(crate) mod backward;
mod composed;
mod flex;
pub(crate) mod forward;
mod scores;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

/// Self-attention of `qkv` `[B, N, 3D]`, each token's queries, keys and values, of which each is
/// cut into `heads`: softmax(q·kᵀ/√(D/heads))·v for each head, side by side, `[B, N, D]`.
///
/// Differentiable. `f32` on the CPU has kernels of its own, which keep no probabilities and whose
/// results do not depend on the number of threads; everything else is made of burn's operations.
///
/// # Panics
/// Where a size is 0, or the last one is not three times a multiple of `heads`.
pub fn self_attention(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    let shape = qkv.dims();
    assert!(
        heads > 0 && shape.iter().all(|&n| n > 0) && shape[2].is_multiple_of(3 * heads),
        "queries, keys and values of shape {shape:?} do not have {heads} heads"
    );
    let (output, _) = Dispatch::kernel_self_attention(qkv.into_dispatch(), heads);
    Tensor::from_dispatch(output)
}

/// Attention, with bodies made of burn's own operations; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait AttentionOps: Backend {
    /// See [`self_attention`]: output, and the logarithm of the sum of each row's exponentials,
    /// `[B, N, heads]`.
    fn kernel_self_attention(
        qkv: FloatTensor<Self>,
        heads: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::forward::<Self>(qkv, heads)
    }

    /// Gradient with respect to `qkv` from what the forward pass read and gave.
    fn kernel_self_attention_backward(
        qkv: FloatTensor<Self>,
        output: FloatTensor<Self>,
        logarithms: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        composed::backward::<Self>(qkv, output, logarithms, gradient, heads)
    }
}

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub batch: usize,
    pub tokens: usize,
    pub heads: usize,
    /// Numbers of a query, a key or a value of one head.
    pub per_head: usize,
}

impl Sizes {
    /// Sizes of `[B, N, 3D]`.
    pub fn new([batch, tokens, three_widths]: [usize; 3], heads: usize) -> Self {
        Self {
            batch,
            tokens,
            heads,
            per_head: three_widths / (3 * heads),
        }
    }

    /// Numbers of a token.
    pub fn width(&self) -> usize {
        self.heads * self.per_head
    }

    /// What scores are multiplied by.
    pub fn scale(&self) -> f32 {
        (1.0 / (self.per_head as f64).sqrt()) as f32
    }
}
