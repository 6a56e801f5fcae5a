//! The kernels: all is read once and written once, forward and backward.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::{
    pieces::{filled, pieces_per_task},
    simd::{Kernel, Simd, dispatch},
};

/// `share · first + (1 − share) · second` of maps of one size, one share for each.
pub(crate) fn forward([first, second]: [&[f32]; 2], shares: &[f32]) -> Vec<f32> {
    let size = first.len() / shares.len();
    let work = |map: usize, blended: &mut [MaybeUninit<f32>]| {
        dispatch(Blend {
            first: &first[map * size..][..size],
            second: &second[map * size..][..size],
            share: shares[map],
            blended,
        });
    };
    // SAFETY: the kernel writes all of a map.
    unsafe { filled(shares.len(), size, work) }
}

/// Gradients with respect to both maps and the shares.
pub(crate) struct Gradients {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    pub share: Vec<f32>,
}

/// The gradients of [`forward`].
pub(crate) fn backward(
    [first, second]: [&[f32]; 2],
    shares: &[f32],
    gradient: &[f32],
) -> Gradients {
    let (count, size) = (first.len(), first.len() / shares.len());
    let mut of_first = Vec::with_capacity(count);
    let mut of_second = Vec::with_capacity(count);
    let mut of_share = vec![0.0; shares.len()];
    of_first.spare_capacity_mut()[..count]
        .par_chunks_mut(size)
        .zip(of_second.spare_capacity_mut()[..count].par_chunks_mut(size))
        .zip(&mut of_share)
        .enumerate()
        .with_min_len(pieces_per_task(size))
        .for_each(|(map, ((of_first, of_second), of_share))| {
            *of_share = dispatch(Unblend {
                first: &first[map * size..][..size],
                second: &second[map * size..][..size],
                share: shares[map],
                gradient: &gradient[map * size..][..size],
                of_first,
                of_second,
            });
        });
    // SAFETY: the kernel writes all of both rooms of every map.
    unsafe {
        of_first.set_len(count);
        of_second.set_len(count);
    }
    Gradients {
        first: of_first,
        second: of_second,
        share: of_share,
    }
}

/// One map's forward pass.
struct Blend<'a> {
    first: &'a [f32],
    second: &'a [f32],
    share: f32,
    blended: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Blend<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside the map, which all are as long as.
        unsafe {
            let share = S::splat(self.share);
            for at in (0..self.first.len()).step_by(S::LANES) {
                let second = S::load_part(self.second, at);
                let difference = S::subtract(S::load_part(self.first, at), second);
                let blended = S::multiply_add(difference, share, second);
                S::store_part(self.blended, at, blended);
            }
        }
    }
}

/// One map's backward pass; gives the gradient of the share.
struct Unblend<'a> {
    first: &'a [f32],
    second: &'a [f32],
    share: f32,
    gradient: &'a [f32],
    of_first: &'a mut [MaybeUninit<f32>],
    of_second: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Unblend<'_> {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        // SAFETY: as this function's own; `at` stays inside the map, which all are as long as.
        unsafe {
            let share = S::splat(self.share);
            let mut sum = S::splat(0.0);
            for at in (0..self.first.len()).step_by(S::LANES) {
                let gradient = S::load_part(self.gradient, at);
                let first = S::load_part(self.first, at);
                let difference = S::subtract(first, S::load_part(self.second, at));
                sum = S::multiply_add(gradient, difference, sum);
                let of_first = S::multiply(gradient, share);
                S::store_part(self.of_first, at, of_first);
                S::store_part(self.of_second, at, S::subtract(gradient, of_first));
            }
            S::sum(sum)
        }
    }
}
