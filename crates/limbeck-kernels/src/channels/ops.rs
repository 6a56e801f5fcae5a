//! Reordering of channels as an extension of burn's backends.

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

use super::composed;

/// Reordering of channels; the bodies given here are made of burn's own operations.
#[backend_extension(Autodiff, Flex)]
pub trait ChannelOps: Backend {
    /// See [`crate::channel_shuffle`]. Its gradient is the shuffle with as many groups as a group
    /// has channels.
    fn kernel_channel_shuffle(x: FloatTensor<Self>, groups: usize) -> FloatTensor<Self> {
        composed::channel_shuffle::<Self>(x, groups)
    }

    /// See [`crate::interleave_channels`].
    fn kernel_interleave_channels(
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::interleave_channels::<Self>(first, second)
    }

    /// Every other channel from `first`, 0 or 1, on: the gradient of
    /// [`ChannelOps::kernel_interleave_channels`].
    fn kernel_every_other_channel(x: FloatTensor<Self>, first: usize) -> FloatTensor<Self> {
        composed::every_other_channel::<Self>(x, first)
    }
}
