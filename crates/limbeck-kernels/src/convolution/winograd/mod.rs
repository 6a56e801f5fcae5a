//! 3×3 convolutions with stride 1 or 2 by Winograd's minimal filtering.
//!
//! A tile of 4×4 outputs is a product of polynomials, evaluated at points: with stride 1 at six per
//! axis, 36 multiplications per channel pair instead of 144; with stride 2 at nine, 81 instead of
//! 144 ([`transform::strided`]). Maps that this leaves half-empty tiles of, such as those of 6×6, are cut into
//! tiles of 3×3 with five points per axis ([`transform::three`]). Windows of inputs and the kernels are taken to the points
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

mod by_points;
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
use grid::{Cut, TILE};

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
    let tile = match stride {
        [1, 1] => Cut::unit(output).tile,
        _ => TILE,
    };
    let tiles: usize = output.iter().map(|n| n.div_ceil(tile)).product();
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
        && geometry.output_size() * 2 >= tiles * tile * tile
}
