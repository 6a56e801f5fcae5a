//! The fast paths on the CPU backend.

use burn::{
    backend::{
        Flex, TensorMetadata,
        flex::{FlexTensor, Layout},
        ops::{ActivationOps, FloatTensorOps, ModuleOps},
    },
    tensor::{Bytes, DType, Shape},
};

use crate::{
    Conv2dOptions, composed,
    convolution::{self, Finish, Geometry},
    normalisation::{self, Maps, Saved},
    ops::KernelOps,
    rectifier,
};

type Three = composed::Three<Flex>;

/// The tensors' numbers, in order, if all are `f32`.
pub(crate) struct Numbers<const N: usize>([FlexTensor; N]);

impl<const N: usize> Numbers<N> {
    pub(crate) fn new(tensors: [&FlexTensor; N]) -> Option<Self> {
        tensors
            .iter()
            .all(|t| t.dtype() == DType::F32)
            .then(|| Self(tensors.map(FlexTensor::to_contiguous)))
    }

    pub(crate) fn slices(&self) -> [&[f32]; N] {
        self.0.each_ref().map(FlexTensor::storage)
    }
}

pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape.into()),
        DType::F32,
    )
}

fn geometry(x: &FlexTensor, weight: &FlexTensor, options: Conv2dOptions) -> Geometry {
    Geometry::new(x.shape().dims(), weight.shape().dims(), options)
}

/// The convolution of `values` with `kernels`, the numbers of `x` and `weight`.
fn convolve(
    x: &FlexTensor,
    weight: &FlexTensor,
    values: &[f32],
    kernels: &[f32],
    finish: Finish<'_>,
    options: Conv2dOptions,
) -> FlexTensor {
    let geometry = geometry(x, weight, options);
    let [height, width] = geometry.output;
    tensor(
        convolution::forward(values, kernels, finish, &geometry),
        [geometry.batch, geometry.outputs, height, width],
    )
}

impl KernelOps for Flex {
    fn kernel_conv2d(x: FlexTensor, weight: FlexTensor, options: Conv2dOptions) -> FlexTensor {
        let Some(numbers) = Numbers::new([&x, &weight]) else {
            return Self::conv2d(x, weight, None, options.into());
        };
        let [values, kernels] = numbers.slices();
        convolve(&x, &weight, values, kernels, Finish::default(), options)
    }

    fn kernel_conv2d_with_bias(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        options: Conv2dOptions,
    ) -> FlexTensor {
        let Some(numbers) = Numbers::new([&x, &weight, &bias]) else {
            return Self::conv2d(x, weight, Some(bias), options.into());
        };
        let [values, kernels, bias] = numbers.slices();
        let finish = Finish {
            bias: Some(bias),
            ..Finish::default()
        };
        convolve(&x, &weight, values, kernels, finish, options)
    }

    fn kernel_conv2d_relu(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        options: Conv2dOptions,
    ) -> FlexTensor {
        let Some(numbers) = Numbers::new([&x, &weight, &bias]) else {
            return Self::relu(Self::conv2d(x, weight, Some(bias), options.into()));
        };
        let [values, kernels, bias] = numbers.slices();
        let finish = Finish {
            bias: Some(bias),
            residual: None,
            relu: true,
        };
        convolve(&x, &weight, values, kernels, finish, options)
    }

    fn kernel_conv2d_add_relu(
        x: FlexTensor,
        residual: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        options: Conv2dOptions,
    ) -> FlexTensor {
        let Some(numbers) = Numbers::new([&x, &weight, &bias, &residual]) else {
            let y = Self::conv2d(x, weight, Some(bias), options.into());
            return Self::relu(Self::float_add(y, residual));
        };
        let [values, kernels, bias, residual] = numbers.slices();
        let finish = Finish {
            bias: Some(bias),
            residual: Some(residual),
            relu: true,
        };
        convolve(&x, &weight, values, kernels, finish, options)
    }

    fn kernel_conv2d_input_gradient(
        x: FlexTensor,
        weight: FlexTensor,
        gradient: FlexTensor,
        options: Conv2dOptions,
    ) -> FlexTensor {
        let Some(numbers) = Numbers::new([&weight, &gradient]) else {
            return Self::conv2d_x_backward(x, weight, gradient, options.into());
        };
        let geometry = geometry(&x, &weight, options);
        let [weight, gradient] = numbers.slices();
        tensor(
            convolution::input_gradient(gradient, weight, &geometry),
            x.shape(),
        )
    }

    fn kernel_conv2d_weight_gradient(
        x: FlexTensor,
        weight: FlexTensor,
        gradient: FlexTensor,
        options: Conv2dOptions,
    ) -> FlexTensor {
        let Some(numbers) = Numbers::new([&x, &gradient]) else {
            return Self::conv2d_weight_backward(x, weight, gradient, options.into());
        };
        let geometry = geometry(&x, &weight, options);
        let [x, gradient] = numbers.slices();
        tensor(
            convolution::weight_gradient(x, gradient, &geometry),
            weight.shape(),
        )
    }

    fn kernel_conv2d_bias_gradient(gradient: FlexTensor) -> FlexTensor {
        let [_, outputs, height, width] = gradient.shape().dims();
        let Some(numbers) = Numbers::new([&gradient]) else {
            return composed::sum_per_channel::<Self>(gradient);
        };
        let [gradient] = numbers.slices();
        tensor(
            convolution::bias_gradient(gradient, outputs, height * width),
            [outputs],
        )
    }

    fn kernel_relu(x: FlexTensor) -> FlexTensor {
        let Some(numbers) = Numbers::new([&x]) else {
            return Self::relu(x);
        };
        let [values] = numbers.slices();
        tensor(rectifier::forward(values), x.shape())
    }

    fn kernel_relu_backward(output: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let Some(numbers) = Numbers::new([&output, &gradient]) else {
            return Self::relu_backward(output, gradient);
        };
        let [values, gradient] = numbers.slices();
        tensor(rectifier::backward(values, gradient), output.shape())
    }

    fn kernel_batch_norm(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f64,
    ) -> Three {
        match Numbers::new([&x, &weight, &bias]) {
            Some(numbers) => batch_norm(&x, numbers.slices(), None, epsilon, false),
            None => composed::batch_norm::<Self>(x, weight, bias, epsilon),
        }
    }

    fn kernel_batch_norm_relu(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f64,
    ) -> Three {
        match Numbers::new([&x, &weight, &bias]) {
            Some(numbers) => batch_norm(&x, numbers.slices(), None, epsilon, true),
            None => composed::batch_norm_relu::<Self>(x, weight, bias, epsilon),
        }
    }

    fn kernel_batch_norm_add_relu(
        x: FlexTensor,
        residual: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f64,
    ) -> Three {
        let Some(numbers) = Numbers::new([&x, &weight, &bias, &residual]) else {
            return composed::batch_norm_add_relu::<Self>(x, residual, weight, bias, epsilon);
        };
        let [values, weight, bias, residual] = numbers.slices();
        batch_norm(&x, [values, weight, bias], Some(residual), epsilon, true)
    }

    fn kernel_batch_norm_backward(
        x: FlexTensor,
        weight: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        gradient: FlexTensor,
        epsilon: f64,
    ) -> Three {
        let Some(numbers) = Numbers::new([&x, &weight, &mean, &variance, &gradient]) else {
            let saved = composed::Saved {
                x,
                weight,
                mean,
                variance,
                epsilon,
            };
            return composed::batch_norm_backward::<Self>(saved, gradient);
        };
        let [values, weight, mean, variance, gradient] = numbers.slices();
        let saved = Saved {
            x: values,
            weight,
            mean,
            variance,
            output: None,
            gradient,
            epsilon,
        };
        let (x, _, weight, bias) = batch_norm_backward(&x, &saved, false);
        (x, weight, bias)
    }

    fn kernel_batch_norm_relu_backward(
        x: FlexTensor,
        weight: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        output: FlexTensor,
        gradient: FlexTensor,
        epsilon: f64,
        with_residual: bool,
    ) -> (FlexTensor, Option<FlexTensor>, FlexTensor, FlexTensor) {
        let tensors = [&x, &weight, &mean, &variance, &output, &gradient];
        let Some(numbers) = Numbers::new(tensors) else {
            let saved = composed::Saved {
                x,
                weight,
                mean,
                variance,
                epsilon,
            };
            return composed::batch_norm_relu_backward::<Self>(
                saved,
                output,
                gradient,
                with_residual,
            );
        };
        let [values, weight, mean, variance, output, gradient] = numbers.slices();
        let saved = Saved {
            x: values,
            weight,
            mean,
            variance,
            output: Some(output),
            gradient,
            epsilon,
        };
        batch_norm_backward(&x, &saved, with_residual)
    }
}

fn maps(x: &FlexTensor) -> Maps {
    let [batch, channels, height, width] = x.shape().dims();
    Maps {
        batch,
        channels,
        size: height * width,
    }
}

fn batch_norm(
    x: &FlexTensor,
    [values, weight, bias]: [&[f32]; 3],
    residual: Option<&[f32]>,
    epsilon: f64,
    relu: bool,
) -> Three {
    let maps = maps(x);
    let result = normalisation::forward(maps, values, weight, bias, residual, epsilon, relu);
    (
        tensor(result.output, x.shape()),
        tensor(result.mean, [maps.channels]),
        tensor(result.variance, [maps.channels]),
    )
}

fn batch_norm_backward(
    x: &FlexTensor,
    saved: &Saved<'_>,
    with_residual: bool,
) -> (FlexTensor, Option<FlexTensor>, FlexTensor, FlexTensor) {
    let maps = maps(x);
    let result = normalisation::backward(maps, saved, with_residual);
    (
        tensor(result.x, x.shape()),
        result.residual.map(|values| tensor(values, x.shape())),
        tensor(result.weight, [maps.channels]),
        tensor(result.bias, [maps.channels]),
    )
}
