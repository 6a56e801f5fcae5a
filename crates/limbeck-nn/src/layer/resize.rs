//! Resizing of feature maps.

use burn::tensor::{Int, Tensor, TensorData};

/// Bilinear interpolation to `size` `[height, width]`. With `align_corners` the corner pixels of
/// both grids coincide; without, pixel areas do. `[B, C, H, W]` → `[B, C, size[0], size[1]]`.
///
/// Written as two matrix products, one per axis: exact in any element type, and differentiable.
pub fn resize_bilinear(x: Tensor<4>, size: [usize; 2], align_corners: bool) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    if [height, width] == size {
        return x;
    }
    let options = (&x.device(), x.dtype());
    let matrix = |input, output| {
        let weights = bilinear_weights(input, output, align_corners);
        Tensor::<2>::from_data(TensorData::new(weights, [output, input]), options)
    };
    let rows = matrix(height, size[0]).reshape([1, size[0], height]);
    let columns = matrix(width, size[1]).transpose();
    let wide = x
        .reshape([batch * channels * height, width])
        .matmul(columns)
        .reshape([batch * channels, height, size[1]]);
    let rows = rows.expand([batch * channels, size[0], height]);
    rows.matmul(wide)
        .reshape([batch, channels, size[0], size[1]])
}

/// Row-major `[output, input]`: each output position as a mix of at most two input positions.
fn bilinear_weights(input: usize, output: usize, align_corners: bool) -> Vec<f64> {
    let mut weights = vec![0.0; output * input];
    for position in 0..output {
        let source = if align_corners {
            match output {
                1 => 0.0,
                _ => position as f64 * (input - 1) as f64 / (output - 1) as f64,
            }
        } else {
            ((position as f64 + 0.5) * input as f64 / output as f64 - 0.5).max(0.0)
        };
        let low = (source.floor() as usize).min(input - 1);
        let high = (low + 1).min(input - 1);
        let share = source - low as f64;
        weights[position * input + low] += 1.0 - share;
        weights[position * input + high] += share;
    }
    weights
}

/// Nearest neighbour: source index `⌊dst · in / out⌋`. `[B, C, H, W]` → `[B, C, size[0], size[1]]`.
pub fn resize_nearest(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let device = x.device();
    let indices = |input: usize, output: usize| {
        let sources: Vec<i64> = (0..output).map(|i| (i * input / output) as i64).collect();
        Tensor::<1, Int>::from_data(TensorData::new(sources, [output]), &device)
    };
    x.select(2, indices(height, size[0]))
        .select(3, indices(width, size[1]))
}
