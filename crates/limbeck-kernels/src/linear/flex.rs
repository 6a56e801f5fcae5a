//! Linear maps on the CPU backend.

use std::mem::MaybeUninit;

use burn::{
    backend::{Flex, TensorMetadata, flex::FlexTensor},
    tensor::DType,
};

use super::{LinearOps, composed};
use crate::{
    flex::{Numbers, tensor},
    optional::Optional,
    pieces::filled,
    product::{Matrix, Onto, Shares, product, product_onto, transposed_product},
    profile::span,
    simd::{Kernel, Simd, dispatch},
};

/// `[…, columns]` as a matrix.
fn rows(numbers: &[f32], columns: usize) -> Matrix<'_> {
    Matrix::new(numbers, numbers.len() / columns.max(1), columns)
}

fn elements(x: &FlexTensor) -> usize {
    x.shape().num_elements()
}

fn last(x: &FlexTensor) -> usize {
    let shape = x.shape();
    shape[shape.num_dims() - 1]
}

/// The rows of `x` times `right`, plus the bias.
fn map(x: &FlexTensor, numbers: &[f32], right: Matrix<'_>, bias: Option<&[f32]>) -> FlexTensor {
    let mut shape = x.shape();
    let axis = shape.num_dims() - 1;
    shape[axis] = right.columns;
    tensor(product(rows(numbers, right.rows), right, bias), shape)
}

/// Whether a tensor that need not be there is none of another type than `f32`.
pub(crate) fn single(tensor: Option<&FlexTensor>) -> bool {
    tensor.is_none_or(|tensor| tensor.dtype() == DType::F32)
}

/// The contiguous `shares` of images of so many rows.
pub(crate) fn shares_of(shares: &FlexTensor, rows: usize) -> Shares<'_> {
    Shares {
        factors: shares.storage(),
        rows,
    }
}

/// Each image of `numbers` times its share.
pub(crate) fn images_scaled(numbers: &[f32], shares: &FlexTensor) -> Vec<f32> {
    let shares = shares.to_contiguous();
    let shares: &[f32] = shares.storage();
    let of_image = numbers.len() / shares.len().max(1);
    // The largest part of an image that tasks of some size divide.
    let pieces = (1..=64)
        .rev()
        .find(|&pieces| of_image.is_multiple_of(pieces));
    let size = of_image / pieces.unwrap_or(1);
    if size == 0 {
        return Vec::new();
    }
    // SAFETY: the kernel writes all numbers of a piece.
    unsafe {
        filled(numbers.len() / size, size, |piece, to| {
            dispatch(Scale {
                from: &numbers[piece * size..][..size],
                share: shares[piece * size / of_image],
                to,
            });
        })
    }
}

/// Numbers times a share.
struct Scale<'a> {
    from: &'a [f32],
    share: f32,
    to: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Scale<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside both, which are equally long.
        unsafe {
            let share = S::splat(self.share);
            for at in (0..self.from.len()).step_by(S::LANES) {
                S::store_part(self.to, at, S::multiply(S::load_part(self.from, at), share));
            }
        }
    }
}

impl LinearOps for Flex {
    fn kernel_linear_onto(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        shares: Optional<Self>,
    ) -> FlexTensor {
        let _span = span("linear onto", [&x, &weight, &bias, &residual], || {
            elements(&x) * weight.shape()[0]
        });
        let shares = shares.into_option();
        let numbers = Numbers::new([&x, &weight, &bias, &residual]);
        let Some(numbers) = numbers.filter(|_| single(shares.as_ref())) else {
            return composed::linear_onto::<Self>(x, weight, bias, residual, shares);
        };
        let [values, factors, bias, onto] = numbers.slices();
        let shares = shares.map(|shares| shares.to_contiguous());
        let onto = Onto {
            residual: onto,
            shares: shares
                .as_ref()
                .map(|shares| shares_of(shares, x.shape()[1])),
            first: 0,
        };
        let right = rows(factors, last(&weight)).transposed();
        let left = rows(values, right.rows);
        let y = product_onto(left, right, Some(bias), Some(onto));
        tensor(y, residual.shape())
    }

    fn kernel_scale_images(x: FlexTensor, shares: FlexTensor) -> FlexTensor {
        let _span = span("scale images", [&x, &shares], || 0);
        let Some(numbers) = Numbers::new([&x, &shares]) else {
            return composed::scale_images::<Self>(x, shares);
        };
        let [values, _] = numbers.slices();
        tensor(images_scaled(values, &shares), x.shape())
    }

    fn kernel_linear(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let _span = span("linear", [&x, &weight], || elements(&x) * weight.shape()[0]);
        let Some(numbers) = Numbers::new([&x, &weight]) else {
            return composed::linear::<Self>(x, weight);
        };
        let [values, factors] = numbers.slices();
        map(&x, values, rows(factors, last(&weight)).transposed(), None)
    }

    fn kernel_linear_with_bias(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let _span = span("linear with bias", [&x, &weight, &bias], || {
            elements(&x) * weight.shape()[0]
        });
        let Some(numbers) = Numbers::new([&x, &weight, &bias]) else {
            return composed::linear_with_bias::<Self>(x, weight, bias);
        };
        let [values, factors, bias] = numbers.slices();
        let right = rows(factors, last(&weight)).transposed();
        map(&x, values, right, Some(bias))
    }

    fn kernel_linear_input_gradient(weight: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let _span = span("linear input gradient", [&weight, &gradient], || {
            elements(&gradient) * last(&weight)
        });
        let Some(numbers) = Numbers::new([&weight, &gradient]) else {
            return composed::input_gradient::<Self>(weight, gradient);
        };
        let [factors, values] = numbers.slices();
        map(&gradient, values, rows(factors, last(&weight)), None)
    }

    fn kernel_linear_weight_gradient(
        x: FlexTensor,
        gradient: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let _span = span("linear weight gradient", [&x, &gradient], || {
            elements(&x) * last(&gradient)
        });
        let Some(numbers) = Numbers::new([&x, &gradient]) else {
            return composed::weight_gradient::<Self>(x, gradient);
        };
        let [values, gradients] = numbers.slices();
        let (inputs, outputs) = (last(&x), last(&gradient));
        let (weight, bias) = transposed_product(rows(gradients, outputs), rows(values, inputs));
        (tensor(weight, [outputs, inputs]), tensor(bias, [outputs]))
    }
}
