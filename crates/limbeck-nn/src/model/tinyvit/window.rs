//! Attention in windows, with a bias for each distance.

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_kernels::{ProjectionOrder, Windows, window_attention};

use super::{EPSILON, linear};
use crate::{
    Builder, Init, ParameterId, Pass, Role,
    layer::{LayerNorm, Linear, crop_grid, fill_grid},
};

/// Self-attention among the tokens of each window. The norm lies inside: the zeros that fill up
/// the last windows become the norm's shift, and are attended to like tokens.
///
/// `attention_biases` `[heads, window²]`: what is added to the score of two tokens, by the number
/// of rows and columns between them, as in LeViT (Graham et al. ICCV 2021, section 4.5). `qkv`
/// gives query, key and value of the first head, then those of the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowAttention {
    biases: ParameterId,
    norm: LayerNorm,
    qkv: Linear,
    proj: Linear,
    heads: usize,
    window: usize,
}

impl WindowAttention {
    /// Biases start at 0.
    pub(super) fn new(mut builder: Builder<'_>, width: usize, heads: usize, window: usize) -> Self {
        let zero = Init::Constant(0.0);
        let shape = [heads, window * window];
        Self {
            biases: builder.parameter("attention_biases", &shape, Role::Token, zero),
            norm: LayerNorm::new(builder.sub("norm"), width, EPSILON),
            qkv: linear(builder.sub("qkv"), width, 3 * width),
            proj: linear(builder.sub("proj"), width, width),
            heads,
            window,
        }
    }

    /// Tokens `[B, N, D]` of a grid of rows and columns → the same shape, added to what is read; in
    /// training left out for whole samples with probability `drop_path`.
    pub(super) fn forward(
        &self,
        pass: &mut Pass<'_>,
        residual: Tensor<3>,
        grid: [usize; 2],
        drop_path: f64,
    ) -> Tensor<3> {
        let windows = Windows::new(grid, self.window, 0);
        let x = fill_grid(residual.clone(), grid, windows.grid());
        let shape = x.dims();
        let [batch, tokens, width] = shape;
        let x = self.norm.forward(pass, x);
        let qkv = self.qkv.forward(pass, x);
        let keys = windows.tokens();
        let written = batch * tokens * (self.heads * keys + width);
        pass.count(2 * batch * tokens * keys * width, written);
        let mixed = match pass.is_counting() {
            true => Tensor::zeros(shape, (pass.device(), pass.dtype())),
            false => window_attention(qkv, self.bias(pass), windows, ProjectionOrder::ByHead),
        };
        let mixed = crop_grid(mixed, windows.grid(), grid);
        self.proj.forward_onto(pass, mixed, residual, drop_path)
    }

    /// `[heads, window², window²]`: the bias of every pair of tokens.
    fn bias(&self, pass: &Pass<'_>) -> Tensor<3> {
        let tokens = self.window * self.window;
        let indices = TensorData::new(distances(self.window), [tokens * tokens]);
        let indices = Tensor::<1, Int>::from_data(indices, pass.device());
        pass.get::<2>(self.biases)
            .select(1, indices)
            .reshape([self.heads, tokens, tokens])
    }
}

/// For each pair of tokens of a window, the place of their distance in `attention_biases`: rows
/// between them times `window`, plus columns between them.
fn distances(window: usize) -> Vec<i64> {
    let places = || (0..window).flat_map(move |row| (0..window).map(move |column| (row, column)));
    places()
        .flat_map(|(row, column)| {
            places().map(move |(other_row, other_column)| {
                (row.abs_diff(other_row) * window + column.abs_diff(other_column)) as i64
            })
        })
        .collect()
}
