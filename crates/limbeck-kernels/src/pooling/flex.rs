//! The poolings' fast paths on the CPU backend.

use burn::{
    backend::{
        Flex, TensorMetadata,
        flex::{FlexTensor, Layout},
        ops::ModuleOps,
    },
    tensor::{Bytes, DType},
};

use super::{
    Pool2dOptions,
    adaptive::{self, Parts},
    average, composed, maximum,
    ops::PoolingOps,
    window::Windows,
};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

impl PoolingOps for Flex {
    fn kernel_max_pool2d(x: FlexTensor, options: Pool2dOptions) -> FlexTensor {
        let _span = span("max pool2d", [&x], || 0);
        let windows = windows(&x, options);
        let Some(numbers) = Numbers::new([&x]).filter(|_| maximum::fits(&windows)) else {
            return composed::max_pool2d::<Self>(x, options);
        };
        let [values] = numbers.slices();
        tensor(maximum::forward(&windows, values), pooled(&x, &windows))
    }

    fn kernel_max_pool2d_with_places(
        x: FlexTensor,
        options: Pool2dOptions,
    ) -> (FlexTensor, FlexTensor) {
        let _span = span("max pool2d with places", [&x], || 0);
        let windows = windows(&x, options);
        let Some(numbers) = Numbers::new([&x]).filter(|_| maximum::fits_places(&windows)) else {
            return composed::max_pool2d_with_places::<Self>(x, options);
        };
        let [values] = numbers.slices();
        let (output, places) = maximum::forward_with_places(&windows, values);
        let shape = pooled(&x, &windows);
        let places = FlexTensor::new(
            Bytes::from_elems(places),
            Layout::contiguous(shape.into()),
            DType::U8,
        );
        (tensor(output, shape), places)
    }

    fn kernel_max_pool2d_backward(
        shape: [usize; 4],
        options: Pool2dOptions,
        places: FlexTensor,
        gradient: FlexTensor,
    ) -> FlexTensor {
        let _span = span("max pool2d backward", [&places, &gradient], || 0);
        match Numbers::new([&gradient]) {
            Some(numbers) if places.dtype() == DType::U8 => {
                let windows = Windows::new(shape, options);
                let [gradient] = numbers.slices();
                let dx = maximum::backward(&windows, places.storage(), gradient);
                tensor(dx, shape)
            }
            _ => composed::max_pool2d_backward::<Self>(shape, options, places, gradient),
        }
    }

    fn kernel_avg_pool2d(x: FlexTensor, options: Pool2dOptions) -> FlexTensor {
        let _span = span("avg pool2d", [&x], || 0);
        let windows = windows(&x, options);
        let Some(numbers) = Numbers::new([&x]) else {
            return composed::avg_pool2d::<Self>(x, options);
        };
        let [values] = numbers.slices();
        tensor(average::forward(&windows, values), pooled(&x, &windows))
    }

    fn kernel_avg_pool2d_backward(
        shape: [usize; 4],
        options: Pool2dOptions,
        gradient: FlexTensor,
    ) -> FlexTensor {
        let _span = span("avg pool2d backward", [&gradient], || 0);
        let Some(numbers) = Numbers::new([&gradient]) else {
            return composed::avg_pool2d_backward::<Self>(shape, options, gradient);
        };
        let [gradient] = numbers.slices();
        let dx = average::backward(&Windows::new(shape, options), gradient);
        tensor(dx, shape)
    }

    fn kernel_adaptive_avg_pool2d(x: FlexTensor, size: [usize; 2]) -> FlexTensor {
        let _span = span("adaptive avg pool2d", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return Self::adaptive_avg_pool2d(x, size);
        };
        let shape: [usize; 4] = x.shape().dims();
        let [values] = numbers.slices();
        tensor(
            adaptive::forward(&Parts::new(shape, size), values),
            [shape[0], shape[1], size[0], size[1]],
        )
    }

    fn kernel_adaptive_avg_pool2d_backward(shape: [usize; 4], gradient: FlexTensor) -> FlexTensor {
        let _span = span("adaptive avg pool2d backward", [&gradient], || 0);
        let Some(numbers) = Numbers::new([&gradient]) else {
            return composed::adaptive_avg_pool2d_backward::<Self>(shape, gradient);
        };
        let [_, _, rows, columns] = gradient.shape().dims();
        let [gradient] = numbers.slices();
        let dx = adaptive::backward(&Parts::new(shape, [rows, columns]), gradient);
        tensor(dx, shape)
    }
}

fn windows(x: &FlexTensor, options: Pool2dOptions) -> Windows {
    Windows::new(x.shape().dims(), options)
}

/// Shape of what the windows over `x` give.
fn pooled(x: &FlexTensor, windows: &Windows) -> [usize; 4] {
    let [batch, channels, _, _] = x.shape().dims();
    let [height, width] = windows.output;
    [batch, channels, height, width]
}
