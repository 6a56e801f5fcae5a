//! Scaled dot-product attention: of tokens among themselves, and for keys and values of their own.
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
pub(crate) mod window;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

use crate::{product::Matrix, simd::prefetch};

pub use window::{ProjectionOrder, Windows, window_attention};

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

/// Attention of `queries` `[B, N, D]` for `keys_values` `[B, K, 2D]`, the keys first, of which each
/// is cut into `heads`: softmax(q·kᵀ/√(D/heads))·v for each head, side by side, `[B, N, D]`.
///
/// Differentiable in both; as [`self_attention`].
///
/// # Panics
/// Where a size is 0, the batches differ, the width of the queries is no multiple of `heads`, or
/// keys and values are not twice as wide.
pub fn attention(queries: Tensor<3>, keys_values: Tensor<3>, heads: usize) -> Tensor<3> {
    let (shape, others) = (queries.dims(), keys_values.dims());
    assert!(
        heads > 0
            && shape.iter().chain(&others).all(|&n| n > 0)
            && shape[0] == others[0]
            && shape[2].is_multiple_of(heads)
            && others[2] == 2 * shape[2],
        "queries of shape {shape:?}, and keys and values of shape {others:?}, do not have {heads} \
         heads"
    );
    let (output, _) =
        Dispatch::kernel_attention(queries.into_dispatch(), keys_values.into_dispatch(), heads);
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
        composed::self_forward::<Self>(qkv, heads)
    }

    /// Gradient with respect to `qkv` from what the forward pass read and gave.
    fn kernel_self_attention_backward(
        qkv: FloatTensor<Self>,
        output: FloatTensor<Self>,
        logarithms: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        composed::self_backward::<Self>(qkv, output, logarithms, gradient, heads)
    }

    /// See [`attention`]: output and logarithms, as of [`AttentionOps::kernel_self_attention`].
    fn kernel_attention(
        queries: FloatTensor<Self>,
        keys_values: FloatTensor<Self>,
        heads: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::forward::<Self>(queries, keys_values, heads)
    }

    /// Gradients with respect to queries, and to keys and values, from what the forward pass read
    /// and gave.
    fn kernel_attention_backward(
        queries: FloatTensor<Self>,
        keys_values: FloatTensor<Self>,
        output: FloatTensor<Self>,
        logarithms: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        heads: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let saved = [output, logarithms, gradient];
        composed::backward::<Self>(queries, keys_values, saved, heads)
    }
}

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub batch: usize,
    /// Queries.
    pub tokens: usize,
    /// Keys, and values.
    pub keys: usize,
    pub heads: usize,
    /// Numbers of a query, a key or a value of one head.
    pub per_head: usize,
}

impl Sizes {
    /// Multiply-adds of every query with every key, in all heads.
    pub fn products(&self) -> usize {
        self.batch * self.tokens * self.keys * self.width()
    }

    /// Sizes of `[B, N, 3D]`.
    pub fn of_tokens([batch, tokens, three_widths]: [usize; 3], heads: usize) -> Self {
        Self {
            batch,
            tokens,
            keys: tokens,
            heads,
            per_head: three_widths / (3 * heads),
        }
    }

    /// Sizes of queries `[B, N, D]` for as many keys and values.
    pub fn new([batch, tokens, width]: [usize; 3], keys: usize, heads: usize) -> Self {
        Self {
            batch,
            tokens,
            keys,
            heads,
            per_head: width / heads,
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

/// Where queries, keys and values are read.
#[derive(Clone, Copy)]
pub(crate) struct Read<'a> {
    /// Begins with the first query.
    pub queries: &'a [f32],
    /// Numbers from a query to the next one.
    pub query_stride: usize,
    /// Begins with the first key; each value lies a width behind its key.
    pub keys: &'a [f32],
    /// Numbers from a key to the next one.
    pub key_stride: usize,
}

impl<'a> Read<'a> {
    /// `[B, N, 3D]`.
    pub fn joined(qkv: &'a [f32], sizes: Sizes) -> Self {
        let stride = 3 * sizes.width();
        Self {
            queries: qkv,
            query_stride: stride,
            keys: &qkv[sizes.width()..],
            key_stride: stride,
        }
    }

    /// `[B, N, D]` and `[B, K, 2D]`.
    pub fn apart(queries: &'a [f32], keys_values: &'a [f32], sizes: Sizes) -> Self {
        Self {
            queries,
            query_stride: sizes.width(),
            keys: keys_values,
            key_stride: 2 * sizes.width(),
        }
    }

    /// What belongs to one image.
    fn of_image(self, image: usize, sizes: Sizes) -> Self {
        Self {
            queries: &self.queries[image * sizes.tokens * self.query_stride..],
            keys: &self.keys[image * sizes.keys * self.key_stride..],
            ..self
        }
    }

    /// Asks for what a token has of a head to be brought to the second-level cache: heads lie apart in
    /// memory, and the next one is fetched while one is worked through. Heads and tokens that are not
    /// there are left out.
    #[inline(always)]
    fn fetch(&self, token: usize, head: usize, sizes: Sizes) {
        if head >= sizes.heads {
            return;
        }
        if token < sizes.tokens {
            prefetch(self.queries(head, sizes).row(token));
        }
        if token < sizes.keys {
            prefetch(self.keys(head, sizes).row(token));
            prefetch(self.values(head, sizes).row(token));
        }
    }

    /// A head's queries `[N, D / heads]`.
    fn queries(&self, head: usize, sizes: Sizes) -> Matrix<'a> {
        let from = &self.queries[head * sizes.per_head..];
        Matrix::with_stride(from, sizes.tokens, sizes.per_head, self.query_stride)
    }

    /// A head's keys `[K, D / heads]`.
    fn keys(&self, head: usize, sizes: Sizes) -> Matrix<'a> {
        let from = &self.keys[head * sizes.per_head..];
        Matrix::with_stride(from, sizes.keys, sizes.per_head, self.key_stride)
    }

    /// A head's values `[K, D / heads]`.
    fn values(&self, head: usize, sizes: Sizes) -> Matrix<'a> {
        let from = &self.keys[sizes.width() + head * sizes.per_head..];
        Matrix::with_stride(from, sizes.keys, sizes.per_head, self.key_stride)
    }
}
