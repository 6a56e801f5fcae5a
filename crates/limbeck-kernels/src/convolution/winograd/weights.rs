//! The weights of a correlation, taken to the points.

use std::{marker::PhantomData, mem::MaybeUninit};

use rayon::prelude::*;

use super::{
    KERNEL_POINTS, KERNEL_WINDOW,
    grid::Grid,
    transform::{self, Map},
};
use crate::simd::{self, Kernel, Simd};

/// The kernels at the points, `[vector of outputs, point, channel, lane]`.
pub(super) fn weights<M: Map<3, KERNEL_WINDOW> + Sync>(
    grid: &Grid,
    weight: impl Fn(usize, usize, usize) -> f32 + Sync,
) -> Vec<f32> {
    let lanes = simd::lanes();
    let length = KERNEL_POINTS * grid.channels * grid.output_lanes();
    let mut kernels = Vec::with_capacity(length);
    kernels.spare_capacity_mut()[..length]
        .par_chunks_exact_mut(KERNEL_POINTS * grid.channels * lanes)
        .enumerate()
        .for_each(|(index, to)| {
            let first = index * lanes;
            let count = lanes.min(grid.outputs - first);
            let mut elements = vec![0.0; 9 * lanes];
            for channel in 0..grid.channels {
                for lane in 0..count {
                    for element in 0..9 {
                        elements[element * lanes + lane] = weight(channel, first + lane, element);
                    }
                }
                simd::dispatch(KernelPoints {
                    map: PhantomData::<M>,
                    elements: &elements,
                    to,
                    channel,
                    channels: grid.channels,
                });
            }
        });
    // SAFETY: every vector of outputs was taken to all points for all channels.
    unsafe { kernels.set_len(length) };
    kernels
}

/// Takes the kernels of a channel and a vector of outputs to the points.
struct KernelPoints<'a, M> {
    map: PhantomData<M>,
    /// `[element, lane]`.
    elements: &'a [f32],
    /// `[point, channel, lane]`.
    to: &'a mut [MaybeUninit<f32>],
    channel: usize,
    channels: usize,
}

impl<M: Map<3, KERNEL_WINDOW>> Kernel for KernelPoints<'_, M> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        assert!(
            self.elements.len() >= 9 * S::LANES
                && self.channel < self.channels
                && self.to.len() >= KERNEL_POINTS * self.channels * S::LANES
        );
        // SAFETY: as this function's own; elements and room were checked.
        unsafe {
            let mut elements = [[S::splat(0.0); 3]; 3];
            for r in 0..3 {
                for c in 0..3 {
                    let at = (r * 3 + c) * S::LANES;
                    elements[r][c] = S::load(self.elements.as_ptr().add(at));
                }
            }
            let points = transform::both::<S, M, 3, KERNEL_WINDOW>(&elements);
            for r in 0..KERNEL_WINDOW {
                for c in 0..KERNEL_WINDOW {
                    let row = (r * KERNEL_WINDOW + c) * self.channels + self.channel;
                    let to = self.to.as_mut_ptr().add(row * S::LANES);
                    S::store(to.cast(), points[r][c]);
                }
            }
        }
    }
}
