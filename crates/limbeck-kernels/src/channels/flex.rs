//! Reordering's fast path on the CPU backend.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::{composed, ops::ChannelOps};
use crate::{
    flex::{Numbers, tensor},
    pieces::filled,
    profile::span,
};

impl ChannelOps for Flex {
    fn kernel_channel_shuffle(x: FlexTensor, groups: usize) -> FlexTensor {
        let _span = span("channel shuffle", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return composed::channel_shuffle::<Self>(x, groups);
        };
        let [values] = numbers.slices();
        let shape: [usize; 4] = x.shape().dims();
        let [_, channels, ..] = shape;
        copied(shape, |image, channel| {
            let of_group = channels / groups;
            let from = channel % groups * of_group + channel / groups;
            (values, image * channels + from)
        })
    }

    fn kernel_interleave_channels(first: FlexTensor, second: FlexTensor) -> FlexTensor {
        let _span = span("interleave channels", [&first, &second], || 0);
        let Some(numbers) = Numbers::new([&first, &second]) else {
            return composed::interleave_channels::<Self>(first, second);
        };
        let values = numbers.slices();
        let [batch, channels, height, width] = first.shape().dims();
        copied([batch, 2 * channels, height, width], |image, channel| {
            (values[channel % 2], image * channels + channel / 2)
        })
    }

    fn kernel_every_other_channel(x: FlexTensor, first: usize) -> FlexTensor {
        let _span = span("every other channel", [&x], || 0);
        let Some(numbers) = Numbers::new([&x]) else {
            return composed::every_other_channel::<Self>(x, first);
        };
        let [values] = numbers.slices();
        let [batch, channels, height, width] = x.shape().dims();
        copied([batch, channels / 2, height, width], |image, channel| {
            (values, image * channels + 2 * channel + first)
        })
    }
}

/// Maps of `shape` `[B, C, H, W]`; `source` says in which numbers, and as which of their maps, an
/// image's channel is found.
fn copied<'a>(
    shape: [usize; 4],
    source: impl Fn(usize, usize) -> (&'a [f32], usize) + Sync,
) -> FlexTensor {
    let [batch, channels, height, width] = shape;
    let size = height * width;
    // SAFETY: each map is copied whole.
    let values = unsafe {
        filled(batch * channels, size, |map, to| {
            let (from, number) = source(map / channels, map % channels);
            to.write_copy_of_slice(&from[number * size..][..size]);
        })
    };
    tensor(values, shape)
}
