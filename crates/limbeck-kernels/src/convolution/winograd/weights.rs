//! The weights of a correlation, taken to the points.

use std::{marker::PhantomData, mem::MaybeUninit};

use rayon::prelude::*;

use super::{
    grid::Grid,
    transform::{self, Map},
};
use crate::{
    convolution::interleave::Interleave,
    simd::{self, Kernel, Simd},
};

/// Channels whose weights are brought into lanes at once, where they lie side by side.
const CHANNELS_AT_ONCE: usize = 16;

/// Weights as they lie in memory.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    /// `[O, C, 3, 3]`, or `[C, O, 3, 3]` where they are turned.
    pub numbers: &'a [f32],
    /// Whether channels and outputs are exchanged and the kernels turned by 180°.
    pub turned: bool,
}

/// The kernels at the points, `[vector of outputs, point, channel, lane]`.
pub(super) fn weights<M: Map<3, POINTS> + Sync, const POINTS: usize>(
    grid: &Grid,
    weights: Weights<'_>,
) -> Vec<f32> {
    let lanes = simd::lanes();
    let at_once = match weights.turned {
        true => 1,
        false => CHANNELS_AT_ONCE,
    };
    let length = POINTS * POINTS * grid.channels * grid.output_lanes();
    let mut kernels = Vec::with_capacity(length);
    kernels.spare_capacity_mut()[..length]
        .par_chunks_exact_mut(POINTS * POINTS * grid.channels * lanes)
        .enumerate()
        .for_each(|(index, to)| {
            let first = index * lanes;
            let count = lanes.min(grid.outputs - first);
            let mut elements = vec![0.0; (9 * at_once).next_multiple_of(lanes) * lanes];
            for start in (0..grid.channels).step_by(at_once) {
                let channels = at_once.min(grid.channels - start);
                let rows: Vec<&[f32]> = (first..first + count)
                    .map(|output| {
                        let kernel = match weights.turned {
                            true => start * grid.outputs + output,
                            false => output * grid.channels + start,
                        };
                        &weights.numbers[kernel * 9..][..channels * 9]
                    })
                    .collect();
                simd::dispatch(Interleave {
                    maps: &rows,
                    start: 0,
                    plane: channels * 9,
                    images: lanes,
                    to: &mut elements,
                });
                for (index, elements) in elements.chunks_exact(9 * lanes).enumerate().take(channels)
                {
                    simd::dispatch(KernelPoints::<M, POINTS> {
                        map: PhantomData::<M>,
                        elements,
                        turned: weights.turned,
                        to,
                        channel: start + index,
                        channels: grid.channels,
                    });
                }
            }
        });
    // SAFETY: every vector of outputs was taken to all points for all channels.
    unsafe { kernels.set_len(length) };
    kernels
}

/// Takes the kernels of a channel and a vector of outputs to the points.
struct KernelPoints<'a, M, const POINTS: usize> {
    map: PhantomData<M>,
    /// `[element, lane]`.
    elements: &'a [f32],
    /// Whether the last element comes first.
    turned: bool,
    /// `[point, channel, lane]`.
    to: &'a mut [MaybeUninit<f32>],
    channel: usize,
    channels: usize,
}

impl<M: Map<3, POINTS>, const POINTS: usize> Kernel for KernelPoints<'_, M, POINTS> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        assert!(
            self.elements.len() >= 9 * S::LANES
                && self.channel < self.channels
                && self.to.len() >= POINTS * POINTS * self.channels * S::LANES
        );
        // SAFETY: as this function's own; elements and room were checked.
        unsafe {
            let mut elements = [[S::splat(0.0); 3]; 3];
            for r in 0..3 {
                for c in 0..3 {
                    let element = r * 3 + c;
                    let element = if self.turned { 8 - element } else { element };
                    let at = element * S::LANES;
                    elements[r][c] = S::load(self.elements.as_ptr().add(at));
                }
            }
            let points = transform::both::<S, M, 3, POINTS>(&elements);
            for r in 0..POINTS {
                for c in 0..POINTS {
                    let row = (r * POINTS + c) * self.channels + self.channel;
                    let to = self.to.as_mut_ptr().add(row * S::LANES);
                    S::store(to.cast(), points[r][c]);
                }
            }
        }
    }
}
