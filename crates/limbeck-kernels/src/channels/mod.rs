//! Reordering of the channels of feature maps `[B, C, H, W]`.

mod autodiff;
mod composed;
mod flex;
mod ops;

use burn::{backend::Dispatch, tensor::Tensor};

use ops::ChannelOps;

/// Takes channels from the groups in turn: channel `g · (C / groups) + c` becomes
/// `c · groups + g`. `[B, C, H, W]` → the same shape.
///
/// Differentiable. `f32` on the CPU is copied map by map on all threads; everything else is made
/// of burn's operations.
///
/// Zhang et al. "ShuffleNet". CVPR 2018, section 3.1.
///
/// # Panics
/// Where `groups` does not divide the channels, or a size is zero.
pub fn channel_shuffle(x: Tensor<4>, groups: usize) -> Tensor<4> {
    let shape = x.dims();
    assert!(
        groups > 0 && shape[1].is_multiple_of(groups) && shape.iter().all(|&n| n > 0),
        "{groups} groups do not divide the channels of maps of shape {shape:?}"
    );
    if groups == 1 {
        return x;
    }
    Tensor::from_dispatch(Dispatch::kernel_channel_shuffle(x.into_dispatch(), groups))
}

/// Takes channels from `first` and `second`, `[B, C, H, W]` each, in turn: `[B, 2·C, H, W]`. The
/// same as [`channel_shuffle`] in two groups of one after the other.
///
/// Differentiable; see [`channel_shuffle`].
///
/// # Panics
/// Where the shapes differ, or a size is zero.
pub fn interleave_channels(first: Tensor<4>, second: Tensor<4>) -> Tensor<4> {
    let (shape, other) = (first.dims(), second.dims());
    assert!(
        shape == other && shape.iter().all(|&n| n > 0),
        "the channels of maps of shapes {shape:?} and {other:?} cannot be taken in turn"
    );
    Tensor::from_dispatch(Dispatch::kernel_interleave_channels(
        first.into_dispatch(),
        second.into_dispatch(),
    ))
}
