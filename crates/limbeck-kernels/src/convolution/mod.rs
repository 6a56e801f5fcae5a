//! Convolution of `f32` maps `[B, C, H, W]`, without an unfolded copy of the input: 3×3 with stride 1
//! or 2 by minimal filtering ([`winograd`]), everything else directly.
//!
//! The forward pass and the input gradient are both a correlation with stride 1 over a padded
//! copy of the input of a few images ([`Source`]): a stride is taken apart into phases when the
//! copy is made, and the gradient's stride into phases of the output. The kernel holds a tile of
//! up to six output channels × four vectors of positions in registers and goes once over all
//! input channels and kernel elements, so that nothing but the finished tile is ever written.
//! Maps that are too narrow for the vectors are interleaved with those of other images.
//!
//! Dilated kernels are taken for ordinary ones where that can be ([`spread`]). Some kernels have
//! ways of their own: 1×1 ones are a product without any copy ([`pointwise`]), those as large as
//! their stride a product of patches ([`patches`]), depthwise ones on small maps hold one image to a
//! lane ([`depthwise_lanes`]), the weight gradient of kernels that do not overlap is a product with
//! copied patches or gradients ([`patch_weight`]), and that of others with enough channels a product
//! for every kernel element ([`element_weight`]).
//!
//! Every output is one chain of multiply-adds in the order channel, kernel row, kernel column,
//! whatever the tiles; the weight gradient is summed over chunks of images that the shapes alone
//! decide. Results therefore do not depend on the number of threads.

mod correlate;
mod depthwise;
mod depthwise_columns;
mod depthwise_lanes;
mod depthwise_weight;
mod element_weight;
mod finish;
mod forward;
mod geometry;
mod grid;
mod input_gradient;
mod interleave;
mod lanes;
mod matrix;
mod pack;
mod patch_weight;
mod patches;
mod pointwise;
mod source;
mod spread;
mod sums;
mod tile;
mod weight_gradient;
mod weight_plan;
mod winograd;

pub(crate) use finish::Finish;
pub(crate) use forward::forward;
pub(crate) use geometry::Geometry;
pub(crate) use input_gradient::{add_input_gradient, input_gradient, input_gradient_plus};
pub(crate) use lanes::{IntoLanes, OutOfLanes};
pub(crate) use weight_gradient::{bias_gradient, weight_gradient, weight_gradients};
