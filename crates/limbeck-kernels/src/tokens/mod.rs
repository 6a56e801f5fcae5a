//! Sequences of tokens `[B, N, C]` that are the pixels of a map, row by row.
//!
//! Transformers with convolutions inside go back and forth between the two orders of the same
//! numbers; depthwise convolutions and the cutting into patches need no such change.

mod autodiff;
mod composed;
pub(crate) mod depthwise;
mod flex;
mod ops;
pub(crate) mod patches;
pub(crate) mod transpose;

use burn::{backend::Dispatch, tensor::Tensor};

use crate::Activation;
use ops::TokenOps;

/// `[B, C, H, W]` → `[B, H·W, C]`.
///
/// Differentiable. `f32` on the CPU is copied in squares on all threads; everything else is made
/// of burn's operations.
///
/// # Panics
/// Where a size is zero.
pub fn map_to_tokens(map: Tensor<4>) -> Tensor<3> {
    let shape = map.dims();
    assert!(
        shape.iter().all(|&n| n > 0),
        "maps of shape {shape:?} have no tokens"
    );
    let [batch, channels, height, width] = shape;
    let rows = map.reshape([batch, channels, height * width]);
    Tensor::from_dispatch(Dispatch::kernel_transpose(rows.into_dispatch()))
}

/// `[B, N, C]` → `[B, C, rows, columns]`.
///
/// Differentiable; see [`map_to_tokens`].
///
/// # Panics
/// Where a size is zero or the grid has another number of places than there are tokens.
pub fn tokens_to_map(tokens: Tensor<3>, grid: [usize; 2]) -> Tensor<4> {
    check(tokens.dims(), grid);
    let [batch, _, channels] = tokens.dims();
    let map = Dispatch::kernel_transpose(tokens.into_dispatch());
    Tensor::<3>::from_dispatch(map).reshape([batch, channels, grid[0], grid[1]])
}

/// The tokens of each square of `side` by `side` tokens of a grid `[rows, columns]`, one after the
/// other: `[B, N, C]` → `[B, ⌊rows / side⌋·⌊columns / side⌋, side²·C]`. Rows and columns that fill
/// no square are left out.
///
/// Differentiable; see [`map_to_tokens`].
///
/// # Panics
/// Where a size is zero, no square fits, or the grid has another number of places than there are
/// tokens.
pub fn token_patches(tokens: Tensor<3>, grid: [usize; 2], side: usize) -> Tensor<3> {
    check(tokens.dims(), grid);
    assert!(
        side > 0 && grid.iter().all(|&length| length >= side),
        "a grid of {grid:?} has no squares of {side} by {side}"
    );
    let patches = Dispatch::kernel_token_patches(tokens.into_dispatch(), grid, side);
    Tensor::from_dispatch(patches)
}

/// Depthwise convolution of the map that the tokens `[B, N, C]` of a grid `[rows, columns]` are,
/// with `weight` `[C, 1, 3, 3]`, zeros around it, and `bias` `[C]`: the same shape.
///
/// Differentiable in all three tensors. `f32` on the CPU has kernels of its own, whose results do
/// not depend on the number of threads; everything else is burn's convolution.
///
/// # Panics
/// Where a size is zero or the shapes do not fit each other.
pub fn depthwise_tokens(
    tokens: Tensor<3>,
    grid: [usize; 2],
    weight: Tensor<4>,
    bias: Tensor<1>,
) -> Tensor<3> {
    check_depthwise(&tokens, grid, &weight, &bias);
    Tensor::from_dispatch(Dispatch::kernel_depthwise_tokens(
        tokens.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        grid,
    ))
}

/// [`depthwise_tokens`], then `activation`, in the convolution's write-out.
///
/// The same numbers as one after the other. For inference: where gradients are recorded it is one after
/// the other.
///
/// # Panics
/// As [`depthwise_tokens`].
pub fn depthwise_tokens_with(
    tokens: Tensor<3>,
    grid: [usize; 2],
    weight: Tensor<4>,
    bias: Tensor<1>,
    activation: Activation,
) -> Tensor<3> {
    check_depthwise(&tokens, grid, &weight, &bias);
    Tensor::from_dispatch(Dispatch::kernel_depthwise_tokens_with(
        tokens.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        grid,
        activation,
    ))
}

fn check_depthwise(tokens: &Tensor<3>, grid: [usize; 2], weight: &Tensor<4>, bias: &Tensor<1>) {
    let shape = tokens.dims();
    check(shape, grid);
    assert!(
        weight.dims() == [shape[2], 1, 3, 3] && bias.dims() == [shape[2]],
        "a weight of {:?} and a bias of {:?} do not fit tokens of shape {shape:?}",
        weight.dims(),
        bias.dims()
    );
}

fn check(shape: [usize; 3], grid: [usize; 2]) {
    assert!(
        shape.iter().all(|&n| n > 0) && grid[0] * grid[1] == shape[1],
        "tokens of shape {shape:?} are no grid of {grid:?}"
    );
}
