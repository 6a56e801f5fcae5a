//! Convolutions of many kinds, and what they are by the definition.

use super::draws::Draws;
use crate::{
    Activation, Conv2dOptions,
    integer::{ByteMap, IntegerConvolution, IntegerWeights, Quantisation},
};

/// Batch, channels, outputs, height, width, kernel height, kernel width, stride, padding, dilation, groups.
pub const CASES: [[usize; 11]; 23] = [
    [1, 16, 32, 5, 5, 3, 3, 1, 1, 1, 4],
    [1, 3, 16, 9, 11, 7, 7, 2, 3, 1, 1],
    [2, 64, 64, 7, 7, 3, 3, 1, 1, 1, 1],
    [3, 5, 33, 8, 6, 3, 3, 2, 1, 1, 1],
    [1, 4, 48, 5, 5, 3, 3, 1, 2, 2, 1],
    [2, 16, 24, 6, 5, 1, 1, 1, 0, 1, 1],
    [2, 7, 70, 6, 5, 1, 1, 2, 0, 1, 1],
    [5, 130, 10, 1, 1, 1, 1, 1, 0, 1, 1],
    [1, 512, 100, 1, 1, 1, 1, 1, 0, 1, 1],
    [2, 12, 18, 7, 7, 3, 3, 1, 1, 1, 3],
    [2, 12, 40, 7, 5, 1, 1, 1, 0, 1, 2],
    [1, 6, 12, 7, 5, 3, 3, 1, 1, 1, 6],
    [2, 32, 32, 8, 9, 3, 3, 1, 1, 1, 32],
    [1, 21, 21, 9, 8, 3, 3, 2, 1, 1, 21],
    [1, 17, 17, 12, 13, 5, 5, 2, 2, 1, 17],
    [2, 48, 48, 6, 6, 7, 7, 1, 3, 1, 48],
    [1, 16, 16, 9, 9, 3, 3, 1, 2, 2, 16],
    [1, 40, 40, 5, 5, 1, 1, 1, 0, 1, 40],
    [1, 32, 32, 6, 6, 3, 3, 1, 0, 1, 32],
    [4, 3, 40, 14, 14, 3, 3, 1, 1, 1, 1],
    [1, 64, 96, 15, 15, 3, 1, 1, 1, 1, 1],
    [1, 9, 5, 4, 30, 2, 4, 2, 0, 1, 1],
    [3, 256, 65, 3, 3, 3, 3, 1, 1, 1, 1],
];

pub struct Case {
    pub x: ByteMap,
    pub residual: ByteMap,
    pub weight: Vec<i8>,
    pub shape: [usize; 4],
    pub scales: Vec<f32>,
    pub bias: Vec<f32>,
    pub options: Conv2dOptions,
    pub output: Quantisation,
    pub size: [usize; 2],
}

impl Case {
    pub fn new(case: [usize; 11], seed: u64) -> Self {
        let [
            batch,
            channels,
            outputs,
            height,
            width,
            kh,
            kw,
            stride,
            padding,
            dilation,
            groups,
        ] = case;
        let mut draws = Draws(seed);
        let depth = channels / groups * kh * kw;
        let zero = |draws: &mut Draws| [0, 100, 128, 200][draws.next() as usize % 4];
        let quantisation = |draws: &mut Draws| Quantisation {
            scale: 0.001 + draws.share(),
            zero_point: zero(draws),
            greatest: 255,
        };
        let input = quantisation(&mut draws);
        let weight: Vec<i8> = draws
            .bytes(outputs * depth)
            .into_iter()
            .map(u8::cast_signed)
            .collect();
        let scales: Vec<f32> = (0..outputs).map(|_| 0.01 + draws.share()).collect();
        let bias = (0..outputs).map(|_| 4.0 * (draws.share() - 0.5)).collect();
        let output = Quantisation {
            scale: 0.04 + 0.05 * draws.share(),
            zero_point: zero(&mut draws),
            greatest: 255,
        };
        let size = [(height, kh), (width, kw)]
            .map(|(n, k)| (n + 2 * padding - dilation * (k - 1) - 1) / stride + 1);
        let residual_shape = [batch, size[0], size[1], outputs];
        let residual = draws.bytes(residual_shape.iter().product());
        let of_residual = Quantisation {
            scale: output.scale * (0.1 + draws.share()),
            zero_point: 77,
            greatest: 255,
        };
        let mut case = Self {
            x: ByteMap::new(
                &draws.bytes(batch * height * width * channels),
                [batch, height, width, channels],
                input,
            )
            .unwrap(),
            residual: ByteMap::new(&residual, residual_shape, of_residual).unwrap(),
            weight,
            shape: [outputs, channels / groups, kh, kw],
            scales,
            bias,
            options: Conv2dOptions {
                stride: [stride; 2],
                padding: [padding; 2],
                dilation: [dilation; 2],
                groups,
            },
            output,
            size,
        };
        // So that outputs reach from −10 to 10 or so.
        let most = case.sums().into_iter().map(i64::abs).max().unwrap_or(1);
        let step = 10.0 / most.max(1) as f32 / input.scale;
        case.scales.iter_mut().for_each(|scale| *scale *= step);
        case
    }

    pub fn convolution(&self, activation: Activation) -> IntegerConvolution {
        let weights = IntegerWeights {
            weight: &self.weight,
            shape: self.shape,
            scales: &self.scales,
            bias: Some(&self.bias),
        };
        let input = self.x.quantisation();
        IntegerConvolution::new(&weights, self.options, input, self.output, activation).unwrap()
    }

    /// Exact sums of `(x − zero) · w`, `[B, H', W', O]`.
    pub fn sums(&self) -> Vec<i64> {
        let [batch, height, width, channels] = self.x.shape();
        let [outputs, group_channels, kh, kw] = self.shape;
        let group_outputs = outputs / self.options.groups;
        let zero = i64::from(self.x.quantisation().zero_point);
        let mut sums = Vec::new();
        for b in 0..batch {
            for y in 0..self.size[0] {
                for x in 0..self.size[1] {
                    for o in 0..outputs {
                        let mut sum = 0;
                        for i in 0..kh {
                            for j in 0..kw {
                                let at = |p: usize, k: usize, axis: usize| {
                                    (p * self.options.stride[axis]
                                        + k * self.options.dilation[axis])
                                        .checked_sub(self.options.padding[axis])
                                };
                                let (Some(row), Some(column)) = (at(y, i, 0), at(x, j, 1)) else {
                                    continue;
                                };
                                if row >= height || column >= width {
                                    continue;
                                }
                                for c in 0..group_channels {
                                    let channel = o / group_outputs * group_channels + c;
                                    let place = ((b * height + row) * width + column) * channels;
                                    let byte = i64::from(self.x.bytes()[place + channel]) - zero;
                                    let place = ((o * group_channels + c) * kh + i) * kw + j;
                                    sum += byte * i64::from(self.weight[place]);
                                }
                            }
                        }
                        sums.push(sum);
                    }
                }
            }
        }
        sums
    }
}
