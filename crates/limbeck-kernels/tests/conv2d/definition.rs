//! The definition, and what is compared with it.

use burn::tensor::DType;
use limbeck_kernels::{Conv2dOptions, conv2d};

use crate::support::{assert_within, noise, plain, tracked, values};

pub const PLAIN: Conv2dOptions = Conv2dOptions {
    stride: [1, 1],
    padding: [0, 0],
    dilation: [1, 1],
    groups: 1,
};

/// Sizes of a case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub x: [usize; 4],
    pub weight: [usize; 4],
    pub options: Conv2dOptions,
}

impl Case {
    pub fn output(&self) -> Option<[usize; 4]> {
        let Conv2dOptions {
            stride,
            padding,
            dilation,
            ..
        } = self.options;
        let size = |axis: usize| {
            let reach = dilation[axis] * (self.weight[2 + axis] - 1) + 1;
            let padded = self.x[2 + axis] + 2 * padding[axis];
            Some(padded.checked_sub(reach)? / stride[axis] + 1)
        };
        Some([self.x[0], self.weight[0], size(0)?, size(1)?])
    }
}

/// Output and the gradients with respect to `x`, `weight` and `bias`.
pub type Results = [Vec<f64>; 4];

/// The definition, element by element. `gradient` is that of the output.
fn definition(case: Case, x: &[f64], weight: &[f64], bias: &[f64], gradient: &[f64]) -> Results {
    let [batch, channels, height, width] = case.x;
    let [outputs, per_group, kh, kw] = case.weight;
    let [_, _, rows, columns] = case.output().expect("a case with outputs");
    let options = case.options;
    let mut y = vec![0.0; batch * outputs * rows * columns];
    let mut dx = vec![0.0; x.len()];
    let mut dweight = vec![0.0; weight.len()];
    let mut dbias = vec![0.0; outputs];
    for (at, y) in y.iter_mut().enumerate() {
        let (image, output) = (at / columns / rows / outputs, at / columns / rows % outputs);
        let (i, j) = (at / columns % rows, at % columns);
        *y += bias[output];
        dbias[output] += gradient[at];
        for tap in 0..per_group * kh * kw {
            let (c, a, b) = (tap / kw / kh, tap / kw % kh, tap % kw);
            let row =
                (i * options.stride[0] + a * options.dilation[0]).checked_sub(options.padding[0]);
            let column =
                (j * options.stride[1] + b * options.dilation[1]).checked_sub(options.padding[1]);
            let (Some(row), Some(column)) = (row, column) else {
                continue;
            };
            if row >= height || column >= width {
                continue;
            }
            let channel = output / (outputs / options.groups) * per_group + c;
            let from = ((image * channels + channel) * height + row) * width + column;
            let element = output * per_group * kh * kw + tap;
            *y += x[from] * weight[element];
            dx[from] += gradient[at] * weight[element];
            dweight[element] += gradient[at] * x[from];
        }
    }
    [y, dx, dweight, dbias]
}

/// Runs `conv2d` and its gradients in `dtype`.
pub fn run(
    case: Case,
    x: &[f64],
    weight: &[f64],
    bias: &[f64],
    gradient: &[f64],
    dtype: DType,
) -> Results {
    let x = tracked(x, case.x, dtype);
    let weight = tracked(weight, case.weight, dtype);
    let bias = tracked(bias, [case.weight[0]], dtype);
    let y = conv2d(x.clone(), weight.clone(), Some(bias.clone()), case.options);
    let gradient = plain(gradient, y.dims(), dtype).autodiff();
    let gradients = (y.clone() * gradient).sum().backward();
    [
        values(y),
        values(x.grad(&gradients).expect("x is tracked")),
        values(weight.grad(&gradients).expect("weight is tracked")),
        values(bias.grad(&gradients).expect("bias is tracked")),
    ]
}

pub fn check(case: Case, seed: u64) {
    let output = case.output().expect("a case with outputs");
    let x = noise(case.x.iter().product(), seed);
    let weight = noise(case.weight.iter().product(), seed + 1);
    let bias = noise(case.weight[0], seed + 2);
    let gradient = noise(output.iter().product(), seed + 3);
    let expected = definition(case, &x, &weight, &bias, &gradient);
    // A sum is as exact as its terms are large, however they cancel.
    let [sizes_x, sizes_weight, sizes_bias, sizes_gradient] =
        [&x, &weight, &bias, &gradient].map(|all| all.iter().map(|v| v.abs()).collect::<Vec<_>>());
    let magnitudes = definition(case, &sizes_x, &sizes_weight, &sizes_bias, &sizes_gradient)
        .map(|all| all.into_iter().fold(0.0, f64::max));
    for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-14)] {
        let found = run(case, &x, &weight, &bias, &gradient, dtype);
        for (i, name) in [
            "output",
            "input gradient",
            "weight gradient",
            "bias gradient",
        ]
        .into_iter()
        .enumerate()
        {
            assert_within(
                &format!("{dtype:?} {name} of {case:?}"),
                &found[i],
                &expected[i],
                tolerance * magnitudes[i],
            );
        }
    }
}
