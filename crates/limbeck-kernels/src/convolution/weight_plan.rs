//! What weight gradients are summed from: the copies of inputs and gradients, and where each weight
//! reads them.

use std::ops::Range;

use super::{Geometry, source::Source};
use crate::simd;

/// A weight gradient to be computed.
pub(super) struct Plan<'a> {
    pub geometry: &'a Geometry,
    pub source: Source,
    /// Layout of the copies of the output's gradient.
    pub gradient_source: Source,
    /// Offset in the source of what each weight `[C / groups, kh, kw]` multiplies at output (0, 0).
    pub weights: Vec<usize>,
    pub x: &'a [f32],
    pub gradient: &'a [f32],
}

impl Plan<'_> {
    /// Numbers of one channel of the gradient's copy.
    pub fn map(&self) -> usize {
        self.gradient_source.channel_stride()
    }

    /// Numbers of room that filling needs.
    pub fn room(&self) -> usize {
        self.source.room().max(self.gradient_source.room())
    }

    /// Offset of the input of each vector of outputs, all parts one after the other.
    pub fn steps(&self, parts: usize, source: usize) -> Vec<usize> {
        let row = self.gradient_source.offset(0, 1, 0);
        (0..parts)
            .flat_map(|part| (0..self.gradient_source.rows).map(move |row| (part, row)))
            .flat_map(|(part, index)| {
                let start = part * source + self.source.offset(0, index, 0);
                (0..row).step_by(simd::lanes()).map(move |i| start + i)
            })
            .collect()
    }

    /// Zeros what nothing is copied to, in parts of `source` numbers of the input.
    pub fn clear(&self, source: usize, x: &mut [f32], dy: &mut [f32]) {
        for part in x.chunks_exact_mut(source) {
            self.source.clear(part);
        }
        self.gradient_source.clear(dy);
    }

    /// Copies the channels of one group.
    pub fn fill_input(&self, group: usize, images: Range<usize>, to: &mut [f32], room: &mut [f32]) {
        let channels = 0..self.geometry.group_channels();
        self.fill_channels(group, channels, images, to, room);
    }

    /// Copies some of the channels of one group.
    pub fn fill_channels(
        &self,
        group: usize,
        channels: Range<usize>,
        images: Range<usize>,
        to: &mut [f32],
        room: &mut [f32],
    ) {
        let geometry = self.geometry;
        let size = geometry.input_size();
        let first = group * geometry.group_channels() + channels.start;
        let maps: Vec<&[f32]> = images
            .map(|image| {
                let start = (image * geometry.channels + first) * size;
                &self.x[start..][..channels.len() * size]
            })
            .collect();
        self.source.copy(&maps, to, room);
    }

    /// Copies one channel of the gradient.
    pub fn fill_gradient(
        &self,
        channel: usize,
        images: Range<usize>,
        to: &mut [f32],
        room: &mut [f32],
    ) {
        let size = self.geometry.output_size();
        let maps: Vec<&[f32]> = images
            .map(|image| &self.gradient[(image * self.geometry.outputs + channel) * size..][..size])
            .collect();
        self.gradient_source.copy(&maps, to, room);
    }
}
