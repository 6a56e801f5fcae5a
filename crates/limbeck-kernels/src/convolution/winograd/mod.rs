//! 3×3 convolutions with stride 1 by Winograd's minimal filtering F(4×4, 3×3).
//!
//! A tile of 4×4 outputs is a product of polynomials, evaluated at six points per axis: 36
//! multiplications per channel pair instead of 144. Windows of 6×6 inputs and the kernels are taken
//! to the points ([`transform`]), multiplied there as 36 independent matrix products over the
//! channels ([`product`]), and the sums are taken back. The gradients are the transposed maps: that
//! of the input is another correlation, that of the weight is summed at the points over all tiles.
//!
//! The points are 0, ±3/4, ±3/2 and infinity, whose powers are exact in `f32`: against the usual
//! 0, ±1, ±2 they bring the rounding errors down to about those of the direct sum.
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
mod kernels;
mod product;
mod transform;
mod weight_gradient;

pub(super) use correlate::{forward, input_gradient};
pub(super) use weight_gradient::weight_gradient;

use super::Geometry;

/// Outputs of a tile, per axis.
const TILE: usize = 4;
/// Inputs of a tile, and points, per axis.
const WINDOW: usize = 6;
/// Points of both axes together.
const POINTS: usize = WINDOW * WINDOW;

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
    kernel == [3, 3]
        && stride == [1, 1]
        && dilation == [1, 1]
        && padding.iter().all(|&p| p <= 2)
        && groups == 1
        && channels.min(outputs) >= LEAST_CHANNELS
        // Half-empty tiles, as of maps of 2×2, lose what the points win.
        && geometry.output_size() * 2 >= tiles * TILE * TILE
}
