//! A convolution whose weight is divided by its largest singular value.
//!
//! Miyato, Kataoka, Koyama, Yoshida. "Spectral Normalization for Generative Adversarial Networks".
//! ICLR 2018, algorithm 1.

use burn::tensor::Tensor;
use limbeck_kernels::{Conv2dOptions, conv2d};

use crate::{Builder, Init, ParameterId, Pass, Role, layer::Conv2dConfig};

/// Least length that a vector is divided by (PyTorch's `spectral_norm`).
const FLOOR: f64 = 1e-12;

/// `weight_orig` `[O, C, kh, kw]`, optional `bias` `[O]`, and `weight_u` `[O]`, the estimate of the
/// left singular vector: PyTorch's names. In training each pass makes the estimate better by one
/// step of the power iteration.
#[derive(Clone, Copy, Debug)]
pub struct SpectralConv2d {
    weight: ParameterId,
    bias: Option<ParameterId>,
    left: ParameterId,
    config: Conv2dConfig,
}

impl SpectralConv2d {
    /// Makes the parameters at the builder's level, drawn as a plain convolution's; `groups` is 1.
    pub fn new(mut builder: Builder<'_>, config: Conv2dConfig) -> Self {
        let [kh, kw] = config.kernel;
        let default = Init::pytorch_default(config.input * kh * kw);
        let shape = [config.output, config.input, kh, kw];
        let init = config.init.unwrap_or(default);
        let weight = builder.parameter("weight_orig", &shape, Role::Weight, init);
        let bias = config.bias.then(|| {
            let init = config.bias_init.unwrap_or(default);
            builder.parameter("bias", &[config.output], Role::Bias, init)
        });
        let normal = Init::Normal(1.0);
        Self {
            weight,
            bias,
            left: builder.parameter("weight_u", &[config.output], Role::Statistic, normal),
            config,
        }
    }

    /// `[B, C, H, W]` → `[B, O, H', W']`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let weight = pass.get::<4>(self.weight);
        let [output, input, kh, kw] = weight.dims();
        let matrix = weight.clone().reshape([output, input * kh * kw]);
        let constant = matrix.clone().inner();
        let unit = |vector: Tensor<2>| {
            let length = vector.clone().square().sum().sqrt().clamp_min(FLOOR);
            vector / length.unsqueeze()
        };
        let left = pass.current(self.left).inner().reshape([output, 1]);
        let right = unit(constant.clone().transpose().matmul(unit(left.clone())));
        let left = match pass.is_training() {
            true => unit(constant.matmul(right.clone())),
            false => unit(left),
        };
        pass.update(self.left, left.clone().reshape([output]));
        // [1, 1]: gradients pass through the weight, not through the vectors.
        let norm = left.transpose().matmul(matrix.matmul(right));
        let weight = weight / norm.reshape([1, 1, 1, 1]);
        let options = Conv2dOptions {
            stride: self.config.stride,
            padding: self.config.padding,
            dilation: self.config.dilation,
            groups: 1,
        };
        let bias = self.bias.map(|bias| pass.get(bias));
        conv2d(x, weight, bias, options)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::{Mode, Store, Taps};

    fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
        tensor.clone().try_into_vec_as().unwrap()
    }

    #[test]
    fn passes_find_the_largest_singular_value_and_evaluation_keeps_it() {
        let device = Device::flex();
        let mut store = Store::new(&device, DType::F64);
        let config = Conv2dConfig::new(2, 2, 1);
        let layer = SpectralConv2d::new(Builder::new(&mut store, 1), config);
        // Singular values 5 and 2 in turned axes.
        store.set_values(layer.weight, vec![3.0, 4.0, -1.6, 1.2]);
        let x = Tensor::<4>::from_data([[[[1.0]], [[0.0]]]], (&device, DType::F64));
        for _ in 0..60 {
            let mut pass = Pass::new(&store, Mode::Train, Taps::none(), 0);
            layer.forward(&mut pass, x.clone());
            let updates = pass.into_updates();
            store.apply(updates);
        }
        let mut pass = Pass::new(&store, Mode::Evaluate, Taps::none(), 0);
        let found = numbers(&layer.forward(&mut pass, x));
        for (found, expected) in found.iter().zip([3.0 / 5.0, -1.6 / 5.0]) {
            assert!((found - expected).abs() < 1e-9, "{found} and {expected}");
        }
    }
}
