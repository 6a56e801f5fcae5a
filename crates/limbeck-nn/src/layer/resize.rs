//! Resizing of feature maps.

use burn::tensor::{Int, Tensor, TensorData};

/// Bilinear interpolation to `size` `[height, width]`. With `align_corners` the corner pixels of
/// both grids coincide; without, pixel areas do. `[B, C, H, W]` → `[B, C, size[0], size[1]]`.
///
/// Written as two matrix products, one per axis: exact in any element type, and differentiable.
pub fn resize_bilinear(x: Tensor<4>, size: [usize; 2], align_corners: bool) -> Tensor<4> {
    resize_by(x, size, |input, output| {
        bilinear_weights(input, output, align_corners)
    })
}

/// Applies one interpolation matrix, `weights(input, output)`, per axis.
fn resize_by(
    x: Tensor<4>,
    size: [usize; 2],
    weights: impl Fn(usize, usize) -> Vec<f64>,
) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    if [height, width] == size {
        return x;
    }
    let options = (&x.device(), x.dtype());
    let matrix = |input, output| {
        Tensor::<2>::from_data(
            TensorData::new(weights(input, output), [output, input]),
            options,
        )
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

/// Bicubic interpolation with antialiasing to `size` `[height, width]`; pixel areas coincide.
/// `[B, C, H, W]` → `[B, C, size[0], size[1]]`.
///
/// Pillow's filter, which PyTorch's `interpolate(mode="bicubic", antialias=True)` follows: Keys's
/// cubic with `a = −1/2`, stretched by the scale when the map shrinks.
pub fn resize_bicubic(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    resize_by(x, size, bicubic_weights)
}

/// Row-major `[output, input]`, rows sum to one.
fn bicubic_weights(input: usize, output: usize) -> Vec<f64> {
    let scale = input as f64 / output as f64;
    let stretch = scale.max(1.0);
    let support = 2.0 * stretch;
    let mut weights = vec![0.0; output * input];
    for (position, row) in weights.chunks_exact_mut(input).enumerate() {
        let centre = scale * (position as f64 + 0.5);
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(input);
        for (source, weight) in row.iter_mut().enumerate().take(end).skip(first) {
            *weight = keys_cubic((source as f64 - centre + 0.5) / stretch);
        }
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|weight| *weight /= sum);
    }
    weights
}

/// Keys. "Cubic Convolution Interpolation for Digital Image Processing". IEEE TASSP 1981,
/// equation 15, with `a = −1/2`.
fn keys_cubic(distance: f64) -> f64 {
    let x = distance.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;

    const MAP: [f64; 25] = [
        -5.0, 2.0, -2.0, 5.0, 1.0, //
        -2.0, -1.0, 0.0, 1.0, 2.0, //
        -4.0, 2.0, -3.0, 3.0, -2.0, //
        0.0, 0.0, 0.0, 0.0, 0.0, //
        -1.0, 4.0, -2.0, 3.0, -3.0,
    ];

    fn check(size: [usize; 2], expected: &[f64]) {
        let map = Tensor::<4>::from_data(
            TensorData::new(MAP.to_vec(), [1, 1, 5, 5]),
            (&Device::flex(), DType::F64),
        );
        let found = resize_bicubic(map, size);
        assert_eq!(found.dims(), [1, 1, size[0], size[1]]);
        for (found, expected) in found.into_data().iter::<f64>().zip(expected) {
            assert!((found - expected).abs() < 2e-6, "{found} and {expected}");
        }
    }

    /// Pillow 13.0.0, `resize(…, BICUBIC)` of an image of 32-bit numbers.
    #[test]
    fn bicubic_resizing_gives_the_numbers_of_pillow() {
        check(
            [3, 2],
            &[
                -1.2516772, 1.773464, -0.9267603, 0.2164617, 0.6302421, -0.1084552,
            ],
        );
        check(
            [4, 6],
            &[
                -4.5373168, 0.2253573, -0.492292, 0.7007562, 3.9192529, 1.2950064, -3.0243022,
                -0.4037497, -0.7580845, -0.0750676, 1.7109956, 0.3146876, -1.7222252, 0.4209193,
                -0.4917342, -0.3414178, 0.8863266, -0.9873896, -0.7419063, 2.6291764, 0.2840895,
                -0.0756252, 1.5154337, -2.5004044,
            ],
        );
    }
}
