//! Two-dimensional convolution.

use burn::{backend::Dispatch, tensor::Tensor};

use crate::{activation::Activation, convolution::Geometry, ops::KernelOps, optional::Optional};

/// Geometry of a two-dimensional convolution, `[height, width]` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Step between output positions, at least 1.
    pub stride: [usize; 2],
    /// Zeros added on both sides.
    pub padding: [usize; 2],
    /// Distance between kernel elements, at least 1.
    pub dilation: [usize; 2],
    /// Number of channel groups; divides input and output channels.
    pub groups: usize,
}

/// Cross-correlates `x` `[B, C, H, W]` with `weight` `[O, C / groups, kh, kw]`, adds `bias` `[O]`
/// and returns `[B, O, H', W']` with `H' = (H + 2·padding − dilation·(kh − 1) − 1) / stride + 1`.
///
/// Differentiable in all three tensors. `f32` on the CPU has kernels of its own, whose results do
/// not depend on the number of threads; everything else is burn's convolution.
///
/// # Panics
/// Where a size is zero or the shapes do not fit each other.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: Conv2dOptions,
) -> Tensor<4> {
    check(&x, &weight, bias.as_ref(), options);
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => Dispatch::kernel_conv2d_with_bias(x, weight, bias.into_dispatch(), options),
        None => Dispatch::kernel_conv2d(x, weight, options),
    })
}

/// [`conv2d`] of the same `x` with two weights, without bias: the first convolution of a residual
/// block and the one beside it. Backward, the second one's gradient is added to what the first one
/// has found, in the same room or as it is written; name the one that has more to compute first.
///
/// # Panics
/// As [`conv2d`].
pub fn conv2d_pair(
    x: Tensor<4>,
    weights: [Tensor<4>; 2],
    options: [Conv2dOptions; 2],
) -> [Tensor<4>; 2] {
    for (weight, options) in weights.iter().zip(options) {
        check(&x, weight, None, options);
    }
    let [first, second] = weights.map(Tensor::into_dispatch);
    let [first_options, second_options] = options;
    let (first, second) = Dispatch::kernel_conv2d_pair(
        x.into_dispatch(),
        first,
        second,
        first_options,
        second_options,
    );
    [first, second].map(Tensor::from_dispatch)
}

/// [`conv2d`], plus `residual` `[B, O, H', W']` where there is one, then `activation`, all in the
/// convolution's write-out.
///
/// The same numbers as one after the other. For inference: where gradients are recorded it is one
/// after the other.
///
/// # Panics
/// As [`conv2d`], and where the residual has another shape than the output.
pub fn conv2d_with(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    residual: Option<Tensor<4>>,
    activation: Activation,
    options: Conv2dOptions,
) -> Tensor<4> {
    let geometry = check(&x, &weight, Some(&bias), options);
    if let Some(residual) = &residual {
        let [rows, columns] = geometry.output;
        let output = [geometry.batch, geometry.outputs, rows, columns];
        assert!(
            residual.dims() == output,
            "a residual of shape {:?} does not fit outputs of shape {output:?}",
            residual.dims()
        );
    }
    Tensor::from_dispatch(Dispatch::kernel_conv2d_with(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        Optional::new(residual.map(Tensor::into_dispatch)),
        activation,
        options,
    ))
}

/// Checked here, so that every path refuses the same shapes with the same words.
fn check(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    options: Conv2dOptions,
) -> Geometry {
    let geometry = Geometry::new(x.dims(), weight.dims(), options);
    if let Some(bias) = bias {
        let [count] = bias.dims();
        assert!(
            count == geometry.outputs,
            "a bias of {count} does not fit {} output channels",
            geometry.outputs
        );
    }
    geometry
}

/// The gradient of [`conv2d`] with respect to its input, alone: `x_shape` is that input's
/// `[B, C, H, W]`, `gradient` the gradient of the output, `[B, O, H', W']`. Returns `x_shape`.
///
/// Training does not need it, since [`conv2d`] is differentiable; it is there to be measured. What
/// it returns records no gradients.
///
/// # Panics
/// Where a size is zero or the shapes do not fit each other.
pub fn conv2d_input_gradient(
    x_shape: [usize; 4],
    weight: Tensor<4>,
    gradient: Tensor<4>,
    options: Conv2dOptions,
) -> Tensor<4> {
    check_gradient(&Geometry::new(x_shape, weight.dims(), options), &gradient);
    let x = of_shape(x_shape, &weight);
    Tensor::from_dispatch(Dispatch::kernel_conv2d_input_gradient(
        x.into_dispatch(),
        weight.inner().into_dispatch(),
        gradient.inner().into_dispatch(),
        options,
    ))
}

/// The gradient of [`conv2d`] with respect to its weight, alone: `weight_shape` is that weight's
/// `[O, C / groups, kh, kw]`, `gradient` the gradient of the output, `[B, O, H', W']`. Returns
/// `weight_shape`.
///
/// There to be measured, as [`conv2d_input_gradient`].
///
/// # Panics
/// Where a size is zero or the shapes do not fit each other.
pub fn conv2d_weight_gradient(
    x: Tensor<4>,
    weight_shape: [usize; 4],
    gradient: Tensor<4>,
    options: Conv2dOptions,
) -> Tensor<4> {
    check_gradient(&Geometry::new(x.dims(), weight_shape, options), &gradient);
    let weight = of_shape(weight_shape, &x);
    Tensor::from_dispatch(Dispatch::kernel_conv2d_weight_gradient(
        x.inner().into_dispatch(),
        weight.into_dispatch(),
        gradient.inner().into_dispatch(),
        options,
    ))
}

fn check_gradient(geometry: &Geometry, gradient: &Tensor<4>) {
    let [height, width] = geometry.output;
    let output = [geometry.batch, geometry.outputs, height, width];
    let found = gradient.dims();
    assert!(
        found == output,
        "a gradient of {found:?} does not fit an output of {output:?}"
    );
}

/// A tensor on the device of `like` of which the shape alone will be read: one number, repeated
/// without a copy.
fn of_shape(shape: [usize; 4], like: &Tensor<4>) -> Tensor<4> {
    let options = (&like.device().inner(), like.dtype());
    Tensor::<4>::zeros([1; 4], options).expand(shape)
}
