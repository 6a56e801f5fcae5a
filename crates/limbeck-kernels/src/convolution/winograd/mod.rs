//! 3×3 convolutions with stride 1 or 2 by Winograd's minimal filtering.
//!
//! A tile of 4×4 outputs is a product of polynomials, evaluated at points: with stride 1 at six per
//! axis, 36 multiplications per channel pair instead of 144; with stride 2 at nine, 81 instead of
//! 144 ([`transform::strided`]). Windows of inputs and the kernels are taken to the points
//! ([`transform`]), multiplied there as independent matrix products over the channels ([`matrix`](super::matrix)),
//! and the sums are taken back. The gradients are the transposed maps: that of the input is another
//! correlation, that of the weight is summed at the points over all tiles.
//!
//! The finite points have powers that are exact in `f32` and are closer together than the usual 0,
//! ±1, ±2, which brings the rounding errors down to about those of the direct sum.
//!
//! Lanes of vectors are channels. Every output is summed over the channels in order, and the weight
//! gradient over tiles in order, in parts that the geometry alone decides: results do not depend on
//! the number of threads.
//!
//! Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016; Barabasz et al.,
//! "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks",
//! ACM TOMS 2020, for the choice of points.

mod correlate;
mod grid;
mod inputs;
mod kernels;
mod strip;
mod transform;
mod weight_gradient;
mod weights;

pub(super) use correlate::{forward, input_gradient};
pub(super) use weight_gradient::weight_gradient;

use super::Geometry;

/// Outputs of a tile, per axis.
const TILE: usize = 4;

/// Different values of a kernel at the points of an axis.
const KERNEL_WINDOW: usize = 6;
/// And of both axes together.
const KERNEL_POINTS: usize = KERNEL_WINDOW * KERNEL_WINDOW;

/// Fewer channels on either side than this leave too little product for its transforms.
const LEAST_CHANNELS: usize = 12;

/// Whether these kernels compute the convolution, and faster than the direct ones.
pub(super) fn fits(geometry: &Geometry) -> bool {
    let Geometry {
        kernel,
        stride,
        dilation,
        padding,
        groups,
        channels,
        outputs,
        output,
        ..
    } = *geometry;
    let tiles: usize = output.iter().map(|n| n.div_ceil(TILE)).product();
    let fitting = match stride {
        [1, 1] => padding.iter().all(|&p| p <= 2),
        // Other padding would shift the halves that the input gradient is made of.
        [2, 2] => padding == [1, 1],
        _ => false,
    };
    fitting
        && kernel == [3, 3]
        && dilation == [1, 1]
        && groups == 1
        && channels.min(outputs) >= LEAST_CHANNELS
        // Half-empty tiles, as of maps of 2×2, lose what the points win.
        && geometry.output_size() * 2 >= tiles * TILE * TILE
}

/// Which of the kernel's values meets the inputs at a point, where an axis has `window` points.
/// With stride 2 the last points of an axis, of which there are four, meet the same value.
fn kernel_point(point: usize, window: usize) -> usize {
    let of_axis = |point: usize| point.min(KERNEL_WINDOW - 1);
    of_axis(point / window) * KERNEL_WINDOW + of_axis(point % window)
}
