//! Attention of the tokens of each window of a grid among themselves, with a bias for each pair.
//!
//! Liu et al. "Swin Transformer". ICCV 2021, section 3.2; Wu et al. "TinyViT". ECCV 2022, section 3.3.
//! Windows are read where they lie in the grid, shifted ones too.

mod autodiff;
pub(crate) mod backward;
mod bands;
mod composed;
mod flex;
pub(crate) mod forward;
mod scores;
mod seam;

use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};

/// How the tokens of a grid are cut into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Rows and columns of tokens, whole windows each.
    grid: [usize; 2],
    /// Tokens of a side.
    side: usize,
    /// Rows and columns by which windows are shifted.
    shift: [usize; 2],
}

impl Windows {
    /// Windows of `side` by `side` tokens over the rows and columns of `grid`, which is filled up to whole
    /// windows below and right ([`Windows::grid`]). They are shifted down and right by `shift` tokens, along
    /// those axes alone along which there are several; what the last ones have behind the grid's end is its
    /// begin, from which the rest of the window is hidden.
    ///
    /// # Panics
    /// Where a length is 0, or the shift not smaller than the side.
    pub fn new(grid: [usize; 2], side: usize, shift: usize) -> Self {
        assert!(
            grid.iter().all(|&length| length > 0) && shift < side,
            "a grid of {grid:?} has no windows of {side} shifted by {shift}"
        );
        let grid = grid.map(|length| length.next_multiple_of(side));
        Self {
            grid,
            side,
            shift: grid.map(|length| if length > side { shift } else { 0 }),
        }
    }

    /// Rows and columns of tokens, filled up to whole windows.
    pub fn grid(&self) -> [usize; 2] {
        self.grid
    }

    /// Tokens of a window.
    pub fn tokens(&self) -> usize {
        self.side * self.side
    }

    /// Windows below and beside each other.
    fn counts(&self) -> [usize; 2] {
        self.grid.map(|length| length / self.side)
    }

    /// Windows of an image.
    pub fn count(&self) -> usize {
        self.counts().iter().product()
    }
}

/// In what order a token has its queries, keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectionOrder {
    /// The queries of all heads, then the keys, then the values, as in vision transformers.
    ByPart,
    /// Query, key and value of the first head, then of the next, as in LeViT and TinyViT.
    ByHead,
}

/// Self-attention within windows of `qkv` `[B, N, 3D]`, the tokens of the windows' grid row by row: for each
/// head softmax(q·kᵀ/√(D/heads) + bias)·v over the tokens of a window, side by side, `[B, N, D]`. `bias`
/// `[heads, T, T]` has a number for each query and key of a window's T tokens.
///
/// Differentiable in both. `f32` on the CPU has kernels of its own, which keep no probabilities and whose
/// results do not depend on the number of threads; everything else is made of burn's operations.
///
/// # Panics
/// Where the shapes do not fit each other or the windows.
pub fn window_attention(
    qkv: Tensor<3>,
    bias: Tensor<3>,
    windows: Windows,
    order: ProjectionOrder,
) -> Tensor<3> {
    let (shape, [heads, queries, keys]) = (qkv.dims(), bias.dims());
    let [rows, columns] = windows.grid();
    assert!(
        heads > 0
            && shape[0] > 0
            && shape[2] > 0
            && shape[1] == rows * columns
            && [queries, keys] == [windows.tokens(); 2]
            && shape[2].is_multiple_of(3 * heads),
        "queries, keys and values of shape {shape:?} and a bias of {:?} do not fit {windows:?}",
        bias.dims()
    );
    let (output, _) = Dispatch::kernel_window_attention(
        qkv.into_dispatch(),
        bias.into_dispatch(),
        windows,
        order,
    );
    Tensor::from_dispatch(output)
}

/// Attention in windows, with bodies made of burn's own operations; see [`crate::ops::KernelOps`].
#[backend_extension(Autodiff, Flex)]
pub trait WindowAttentionOps: Backend {
    /// See [`window_attention`]: output, and the logarithm of the sum of each row's exponentials,
    /// `[B, N, heads]`.
    fn kernel_window_attention(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        windows: Windows,
        order: ProjectionOrder,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::forward::<Self>(qkv, bias, windows, order)
    }

    /// Gradients with respect to `qkv` and bias from what the forward pass read and its logarithms.
    fn kernel_window_attention_backward(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        logarithms: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        windows: Windows,
        order: ProjectionOrder,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::backward::<Self>(qkv, bias, [logarithms, gradient], windows, order)
    }
}

/// Sizes of an attention in windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub batch: usize,
    pub windows: Windows,
    pub heads: usize,
    /// Numbers of a query, a key or a value of one head.
    pub per_head: usize,
    pub order: ProjectionOrder,
}

impl Sizes {
    /// Sizes of `[B, N, 3D]`.
    pub fn new(
        [batch, _, three_widths]: [usize; 3],
        heads: usize,
        windows: Windows,
        order: ProjectionOrder,
    ) -> Self {
        Self {
            batch,
            windows,
            heads,
            per_head: three_widths / (3 * heads),
            order,
        }
    }

    /// Numbers of a token.
    pub fn width(&self) -> usize {
        self.heads * self.per_head
    }

    /// Tokens of an image.
    pub fn all_tokens(&self) -> usize {
        self.windows.grid.iter().product()
    }

    /// Multiply-adds of a product of all queries with the keys of their windows.
    fn products(&self) -> usize {
        self.batch * self.all_tokens() * self.windows.tokens() * self.width()
    }

    /// What scores are multiplied by.
    fn scale(&self) -> f32 {
        (1.0 / (self.per_head as f64).sqrt()) as f32
    }

    /// Where query, key and value of a head begin in a token.
    fn places(&self, head: usize) -> [usize; 3] {
        match self.order {
            ProjectionOrder::ByPart => {
                [0, 1, 2].map(|part| part * self.width() + head * self.per_head)
            }
            ProjectionOrder::ByHead => [0, 1, 2].map(|part| (3 * head + part) * self.per_head),
        }
    }
}
