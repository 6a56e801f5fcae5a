//! Attention in windows that may be shifted, with a bias for each distance.

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_kernels::{ProjectionOrder, Windows, window_attention};

use super::{INIT, block::BlockShape, linear};
use crate::{
    Builder, ParameterId, Pass, Role,
    layer::{Linear, crop_grid, fill_grid},
};

/// Self-attention among the tokens of each window.
///
/// `relative_position_bias_table` `[(2·window − 1)², heads]`: what is added to the score of two tokens, by
/// the rows and columns from the key to the query, the most negative ones first. `qkv` gives queries,
/// keys, values, each cut into heads. Zeros that fill up the last windows are attended to like tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowAttention {
    table: ParameterId,
    qkv: Linear,
    proj: Linear,
    heads: usize,
    window: usize,
    shift: usize,
}

impl WindowAttention {
    pub(super) fn new(mut builder: Builder<'_>, shape: BlockShape) -> Self {
        let BlockShape {
            width,
            heads,
            window,
            shift,
            ..
        } = shape;
        let distances = (2 * window - 1) * (2 * window - 1);
        let name = "relative_position_bias_table";
        Self {
            table: builder.parameter(name, &[distances, heads], Role::Token, INIT),
            qkv: linear(builder.sub("qkv"), width, 3 * width),
            proj: linear(builder.sub("proj"), width, width),
            heads,
            window,
            shift,
        }
    }

    /// Tokens `[B, N, D]` of a grid of rows and columns → the same shape, added to `residual` as by
    /// [`Linear::forward_onto`].
    pub(super) fn forward_onto(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<3>,
        residual: Tensor<3>,
        grid: [usize; 2],
        drop_path: f64,
    ) -> Tensor<3> {
        let windows = Windows::new(grid, self.window, self.shift);
        let x = fill_grid(x, grid, windows.grid());
        let shape = x.dims();
        let [batch, tokens, width] = shape;
        let qkv = self.qkv.forward(pass, x);
        let keys = windows.tokens();
        let written = batch * tokens * (self.heads * keys + width);
        pass.count(2 * batch * tokens * keys * width, written);
        let mixed = match pass.is_counting() {
            true => Tensor::zeros(shape, (pass.device(), pass.dtype())),
            false => window_attention(qkv, self.bias(pass), windows, ProjectionOrder::ByPart),
        };
        let mixed = crop_grid(mixed, windows.grid(), grid);
        self.proj.forward_onto(pass, mixed, residual, drop_path)
    }

    /// `[heads, window², window²]`: the bias of every pair of query and key.
    fn bias(&self, pass: &Pass<'_>) -> Tensor<3> {
        let tokens = self.window * self.window;
        let places = TensorData::new(distances(self.window), [tokens * tokens]);
        let places = Tensor::<1, Int>::from_data(places, pass.device());
        pass.get::<2>(self.table)
            .transpose()
            .select(1, places)
            .reshape([self.heads, tokens, tokens])
    }
}

/// For each pair of query and key of a window, the row of their distance in
/// `relative_position_bias_table`.
fn distances(window: usize) -> Vec<i64> {
    let places = || (0..window).flat_map(move |row| (0..window).map(move |column| (row, column)));
    let distance = move |query: usize, key: usize| query + window - 1 - key;
    places()
        .flat_map(|(row, column)| {
            places().map(move |(key_row, key_column)| {
                let rows = distance(row, key_row);
                (rows * (2 * window - 1) + distance(column, key_column)) as i64
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_go_from_key_to_query() {
        // Two by two: rows from −1 to 1 times 3, plus columns from −1 to 1.
        let first = [4, 3, 1, 0];
        let last = [8, 7, 5, 4];
        let all = distances(2);
        assert_eq!([&all[..4], &all[12..]], [first, last]);
    }
}
