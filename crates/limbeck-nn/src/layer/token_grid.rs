//! Tokens of grids that are filled up and cut back.

use burn::tensor::Tensor;

/// Tokens `[B, N, D]` of a grid of rows and columns, with zeros below and right up to `to` rows and columns.
pub fn fill_grid(x: Tensor<3>, grid: [usize; 2], to: [usize; 2]) -> Tensor<3> {
    if grid == to {
        return x;
    }
    let [batch, _, width] = x.dims();
    let missing = [to[0] - grid[0], to[1] - grid[1]];
    x.reshape([batch, grid[0], grid[1], width])
        .pad([(0, 0), (0, missing[0]), (0, missing[1]), (0, 0)], 0.0)
        .reshape([batch, to[0] * to[1], width])
}

/// The way back: the tokens of the first rows and columns, `to`, of a grid.
pub fn crop_grid(x: Tensor<3>, grid: [usize; 2], to: [usize; 2]) -> Tensor<3> {
    if grid == to {
        return x;
    }
    let [batch, _, width] = x.dims();
    x.reshape([batch, grid[0], grid[1], width])
        .narrow(1, 0, to[0])
        .narrow(2, 0, to[1])
        .reshape([batch, to[0] * to[1], width])
}
