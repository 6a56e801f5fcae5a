//! Attention in windows.

use super::noise;
use crate::attention::window::{
    ProjectionOrder, Sizes, Windows,
    backward::{Saved, backward},
    forward::forward,
};

/// Grid, side, shift, heads, numbers per head.
type Case = ([usize; 2], usize, usize, usize, usize);

const CASES: [Case; 3] = [
    ([1, 1], 1, 0, 1, 1),
    ([8, 12], 4, 1, 2, 5),
    ([14, 7], 7, 3, 1, 32),
];

pub(super) fn of_attention() -> Vec<(String, Vec<f32>)> {
    let mut results = Vec::new();
    for (grid, side, shift, heads, per_head) in CASES {
        let windows = Windows::new(grid, side, shift);
        let tokens = 2 * grid[0] * grid[1];
        let width = heads * per_head;
        let shape = [2, tokens / 2, 3 * width];
        let sizes = Sizes::new(shape, heads, windows, ProjectionOrder::ByPart);
        let (qkv, bias) = (noise(tokens * 3 * width, 1), noise(heads * side.pow(4), 2));
        let gradient = noise(tokens * width, 3);
        let (output, logarithms) = forward(sizes, &qkv, &bias);
        let saved = Saved {
            qkv: &qkv,
            bias: &bias,
            logarithms: &logarithms,
            gradient: &gradient,
        };
        let [of_qkv, of_bias] = backward(sizes, saved);
        let mut add = |name: &str, values| results.push((format!("{name} of {windows:?}"), values));
        add("output", output);
        add("logarithms", logarithms);
        add("gradient", of_qkv);
        add("gradient of the bias", of_bias);
    }
    results
}
