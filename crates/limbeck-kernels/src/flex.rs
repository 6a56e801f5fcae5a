//! The fast paths on the CPU backend.

use std::mem::MaybeUninit;

use burn::{
    backend::{
        Flex, TensorMetadata,
        flex::{FlexTensor, Layout},
        ops::{ActivationOps, FloatTensorOps, ModuleOps},
    },
    tensor::{Bytes, DType, Shape},
};

use crate::{
    Conv2dOptions,
    activation::Activation,
    composed,
    convolution::{self, Finish, Geometry},
    normalisation,
    ops::{self, KernelOps},
    optional::Optional,
    pieces,
    profile::{span, wrote},
    rectifier,
};

/// The tensors' numbers, in order, if all are `f32`.
pub(crate) struct Numbers<const N: usize>([FlexTensor; N]);

impl<const N: usize> Numbers<N> {
    pub(crate) fn new(tensors: [&FlexTensor; N]) -> Option<Self> {
        tensors
            .iter()
            .all(|t| t.dtype() == DType::F32)
            .then(|| Self(tensors.map(|tensor| contiguous(tensor.clone()))))
    }

    pub(crate) fn slices(&self) -> [&[f32]; N] {
        self.0.each_ref().map(FlexTensor::storage)
    }
}

pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    wrote(size_of_val(&values[..]));
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape.into()),
        DType::F32,
    )
}

/// The tensor with its numbers side by side, which are its own if they were before: the handle
/// that was handed over is given up.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    match tensor.is_contiguous() {
        false if let Some(together) = rows_together(&tensor) => together,
        _ => tensor.to_contiguous(),
    }
}

/// A tensor of `f32` whose numbers lie side by side but for the first axis, such as some channels of every image of
/// maps, with all of them side by side. `None` where they lie otherwise.
fn rows_together(tensor: &FlexTensor) -> Option<FlexTensor> {
    let shape = tensor.shape();
    let strides = tensor.layout().strides();
    let mut length = 1;
    for axis in (1..shape.num_dims()).rev() {
        if shape[axis] != 1 && strides[axis] != length as isize {
            return None;
        }
        length *= shape[axis];
    }
    let step = usize::try_from(*strides.first()?).ok()?;
    if tensor.dtype() != DType::F32 || length == 0 {
        return None;
    }
    let numbers: &[f32] = tensor.storage();
    let start = tensor.layout().start_offset();
    let copy = |row: usize, to: &mut [MaybeUninit<f32>]| {
        to.write_copy_of_slice(&numbers[start + row * step..][..length]);
    };
    // SAFETY: a row is written whole.
    let values = unsafe { pieces::filled(shape[0], length, copy) };
    Some(self::tensor(values, shape))
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
        let _span = span("conv2d", [&x, &weight], || {
            geometry(&x, &weight, options).multiply_adds()
        });
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
        let _span = span("conv2d with bias", [&x, &weight, &bias], || {
            geometry(&x, &weight, options).multiply_adds()
        });
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

    fn kernel_conv2d_with(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: Optional<Self>,
        activation: Activation,
        options: Conv2dOptions,
    ) -> FlexTensor {
        let _span = span("conv2d with", [&x, &weight, &bias], || {
            geometry(&x, &weight, options).multiply_adds()
        });
        let residual = residual.into_option();
        let single = |residual: &FlexTensor| residual.dtype() == DType::F32;
        let numbers =
            Numbers::new([&x, &weight, &bias]).filter(|_| residual.as_ref().is_none_or(single));
        let Some(numbers) = numbers else {
            let y = Self::conv2d(x, weight, Some(bias), options.into());
            return normalisation::finish::<Self>(y, residual, activation);
        };
        let residual = residual.map(|residual| residual.to_contiguous());
        let [values, kernels, bias] = numbers.slices();
        let finish = Finish {
            bias: Some(bias),
            residual: residual.as_ref().map(FlexTensor::storage),
            activation,
        };
        convolve(&x, &weight, values, kernels, finish, options)
    }

    fn kernel_conv2d_input_gradient(
        x: FlexTensor,
        weight: FlexTensor,
        gradient: FlexTensor,
        options: Conv2dOptions,
    ) -> FlexTensor {
        let _span = span("conv2d input gradient", [&x, &weight, &gradient], || {
            geometry(&x, &weight, options).multiply_adds()
        });
        let Some(numbers) = Numbers::new([&weight, &gradient]) else {
            return Self::conv2d_x_backward(x, weight, gradient, options.into());
        };
        let (geometry, shape) = (geometry(&x, &weight, options), x.shape());
        // Where nobody else holds it, its room is the gradient's.
        drop(x);
        let [weight, gradient] = numbers.slices();
        tensor(
            convolution::input_gradient(gradient, weight, &geometry),
            shape,
        )
    }

    fn kernel_conv2d_add_input_gradient(
        to: FlexTensor,
        x: FlexTensor,
        weight: FlexTensor,
        gradient: FlexTensor,
        options: Conv2dOptions,
    ) -> FlexTensor {
        let _span = span(
            "conv2d add input gradient",
            [&to, &x, &weight, &gradient],
            || geometry(&x, &weight, options).multiply_adds(),
        );
        let numbers = Numbers::new([&weight, &gradient]).filter(|_| to.dtype() == DType::F32);
        let Some(numbers) = numbers else {
            let gradient = Self::kernel_conv2d_input_gradient(x, weight, gradient, options);
            return Self::float_add(to, gradient);
        };
        let geometry = geometry(&x, &weight, options);
        let [weight, gradient] = numbers.slices();
        let mut to = contiguous(to);
        let plus = convolution::input_gradient_plus(to.storage(), gradient, weight, &geometry);
        if let Some(sum) = plus {
            return tensor(sum, to.shape());
        }
        convolution::add_input_gradient(to.storage_mut(), gradient, weight, &geometry);
        to
    }

    fn kernel_conv2d_weight_gradient(
        x: FlexTensor,
        weight: FlexTensor,
        gradient: FlexTensor,
        options: Conv2dOptions,
    ) -> FlexTensor {
        let _span = span("conv2d weight gradient", [&x, &weight, &gradient], || {
            geometry(&x, &weight, options).multiply_adds()
        });
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

    fn kernel_conv2d_weight_gradients(
        x: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        first_gradient: FlexTensor,
        second_gradient: FlexTensor,
        first_options: Conv2dOptions,
        second_options: Conv2dOptions,
    ) -> (FlexTensor, FlexTensor) {
        let _span = span(
            "conv2d weight gradients",
            [&x, &first, &second, &first_gradient, &second_gradient],
            || {
                geometry(&x, &first, first_options).multiply_adds()
                    + geometry(&x, &second, second_options).multiply_adds()
            },
        );
        let at_once = Numbers::new([&x, &first_gradient, &second_gradient]).and_then(|numbers| {
            let [x_values, gradients @ ..] = numbers.slices();
            let geometries = [
                geometry(&x, &first, first_options),
                geometry(&x, &second, second_options),
            ];
            convolution::weight_gradients(x_values, gradients, geometries.each_ref())
        });
        if let Some([of_first, of_second]) = at_once {
            return (
                tensor(of_first, first.shape()),
                tensor(of_second, second.shape()),
            );
        }
        ops::weight_gradients_one_by_one::<Self>(
            x,
            [first, second],
            [first_gradient, second_gradient],
            [first_options, second_options],
        )
    }

    fn kernel_conv2d_bias_gradient(gradient: FlexTensor) -> FlexTensor {
        let _span = span("conv2d bias gradient", [&gradient], || 0);
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
        let _span = span("relu", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return Self::relu(x);
        };
        let [values] = numbers.slices();
        tensor(rectifier::forward(values), x.shape())
    }

    fn kernel_relu_backward(output: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let _span = span("relu backward", [&output, &gradient], || 0);
        let Some(numbers) = Numbers::new([&output, &gradient]) else {
            return Self::relu_backward(output, gradient);
        };
        let [values, gradient] = numbers.slices();
        tensor(rectifier::backward(values, gradient), output.shape())
    }
}
