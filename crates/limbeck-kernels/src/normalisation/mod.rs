//! Batch normalisation of `f32` maps `[B, C, H, W]`, with the statistics of the batch or with
//! known ones, together with the residual sum and the activation that follow it.
//!
//! One task handles a few neighbouring channels of all images, which stay in the second-level
//! cache between the passes over them: memory is read once and written once, forward and backward.
//! Sums run image by image in `f32` and over images in `f64`, so that no result depends on the
//! number of threads.

pub(crate) mod affine;
mod autodiff;
mod autodiff_pair;
pub(crate) mod backward;
mod composed;
mod flex;
pub(crate) mod forward;
mod ops;
mod outcome;
pub(crate) mod pair;
mod rows;
mod span;

pub(crate) use composed::finish;
pub(crate) use ops::NormalisationOps;

use std::{mem::MaybeUninit, ops::Range};

use crate::{activation::Activation, simd::as_room};

/// Numbers of one image that a task takes from memory in one piece, or more where one channel has
/// more: shorter pieces, a power of two apart, would evict each other from the caches.
const PIECE: usize = 1024;

/// What gradients are computed from.
#[derive(Clone, Copy)]
pub(crate) struct Read<'a> {
    /// Input, `[B, C, H, W]`.
    pub x: &'a [f32],
    /// What is taken off the input before it is scaled, `[C]`.
    pub centre: &'a [f32],
    pub output: Output<'a>,
    pub activation: Activation,
}

/// Where the output, by which the activation lets gradients pass, is had from.
#[derive(Clone, Copy)]
pub(crate) enum Output<'a> {
    /// The activation is the identity and does not ask for it.
    Unasked,
    /// From memory, `[B, C, H, W]`.
    Stored(&'a [f32]),
    /// From the input, by the forward pass's scales and shifts, `[2, C]`: less to read. A residual
    /// must not have been added.
    Computed(&'a [f32]),
}

/// What a backward pass reads, `[B, C, H, W]`.
pub(crate) enum Operand<'a> {
    /// Stays as it is.
    Kept(&'a [f32]),
    /// Is overwritten with a result: what was just read is in the caches, new room is not.
    Given(&'a mut [f32]),
}

impl<'a> Operand<'a> {
    /// What is kept, and what is given as room.
    fn into_parts(self) -> (Option<&'a [f32]>, Option<&'a mut [MaybeUninit<f32>]>) {
        match self {
            Self::Kept(numbers) => (Some(numbers), None),
            Self::Given(numbers) => (None, Some(as_room(numbers))),
        }
    }
}

/// Sizes of the maps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maps {
    pub batch: usize,
    pub channels: usize,
    /// Positions of a map.
    pub size: usize,
}

impl Maps {
    /// Numbers of all maps.
    fn count(&self) -> usize {
        self.batch * self.channels * self.size
    }

    /// Numbers per channel that statistics are taken over.
    fn samples(&self) -> f64 {
        (self.batch * self.size) as f64
    }

    /// Channels that one task handles.
    fn block(&self) -> usize {
        /// Tasks that two or four threads share evenly.
        const TASKS: usize = 4;
        let pieces = (self.channels * self.size).div_ceil(PIECE);
        let tasks = if pieces == 1 {
            1
        } else {
            pieces.next_multiple_of(TASKS)
        };
        self.channels.div_ceil(tasks)
    }

    /// The map of one channel of one image.
    fn map<'a>(&self, of: &'a [f32], image: usize, channel: usize) -> &'a [f32] {
        let start = (image * self.channels + channel) * self.size;
        &of[start..start + self.size]
    }

    /// The maps of some channels of one image.
    fn some<'a>(&self, of: &'a [f32], image: usize, channels: Range<usize>) -> &'a [f32] {
        let start = image * self.channels * self.size;
        &of[start + channels.start * self.size..start + channels.end * self.size]
    }

    /// Room for all maps in `of`, which is empty.
    fn room<'a>(&self, of: &'a mut Vec<f32>) -> &'a mut [MaybeUninit<f32>] {
        of.reserve_exact(self.count());
        &mut of.spare_capacity_mut()[..self.count()]
    }

    /// The room of each block of channels in `to` `[B, C, H, W]`, image by image.
    fn blocks<'a>(&self, to: &'a mut [MaybeUninit<f32>]) -> Vec<Vec<&'a mut [MaybeUninit<f32>]>> {
        let mut blocks: Vec<Vec<_>> = (0..self.channels.div_ceil(self.block()))
            .map(|_| Vec::with_capacity(self.batch))
            .collect();
        for image in to.chunks_exact_mut(self.channels * self.size) {
            let pieces = image.chunks_mut(self.block() * self.size);
            for (block, piece) in blocks.iter_mut().zip(pieces) {
                block.push(piece);
            }
        }
        blocks
    }

    /// Makes the [`Maps::room`] that all blocks were written to the contents of `of`.
    fn assume_written(&self, mut of: Vec<f32>) -> Vec<f32> {
        // SAFETY: the blocks cover every map once, the passes over them write every position of
        // a map, and the capacity was asked for.
        unsafe { of.set_len(self.count()) };
        of
    }
}
