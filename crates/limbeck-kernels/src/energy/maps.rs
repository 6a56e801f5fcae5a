//! The kernels: an image's maps are read once, forward and backward.

use std::mem::MaybeUninit;

use crate::{
    pieces::{fill, filled, filled_from},
    simd::{Kernel, Simd, as_room, dispatch},
};

/// Of maps `[B, channels, size]`, each image's energies, then its means: `[B, size + channels]`.
pub(crate) fn forward(x: &[f32], channels: usize, size: usize) -> Vec<f32> {
    let image = channels * size;
    let work = |index: usize, room: &mut [MaybeUninit<f32>]| {
        let x = &x[index * image..][..image];
        dispatch(Image {
            x,
            size,
            found: fill(room, 0.0),
        });
    };
    // SAFETY: all of an image's room is filled first.
    unsafe { filled_from(x.len() / image, size + channels, image, work) }
}

/// Gradient with respect to the maps, from that of [`forward`].
pub(crate) fn backward(x: &[f32], gradient: &[f32], channels: usize, size: usize) -> Vec<f32> {
    let image = channels * size;
    let work = |index: usize, dx: &mut [MaybeUninit<f32>]| {
        let gradient = &gradient[index * (size + channels)..][..size + channels];
        let (energies, means) = gradient.split_at(size);
        dispatch(Back {
            x: &x[index * image..][..image],
            energies,
            means,
            dx,
        });
    };
    // SAFETY: the kernel writes all of an image's maps.
    unsafe { filled(x.len() / image, image, work) }
}

/// One image's forward pass.
struct Image<'a> {
    x: &'a [f32],
    size: usize,
    /// Zeros: room for energies, then for means.
    found: &'a mut [f32],
}

impl Kernel for Image<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (energies, means) = self.found.split_at_mut(self.size);
        for (x, mean) in self.x.chunks_exact(self.size).zip(&mut *means) {
            // SAFETY: as this function's own; `at` stays inside the map.
            unsafe {
                let mut sum = S::splat(0.0);
                for at in (0..self.size).step_by(S::LANES) {
                    let x = S::load_part(x, at);
                    let energy = S::multiply_add(x, x, S::load_part(energies, at));
                    S::store_part(as_room(energies), at, energy);
                    sum = S::add(sum, x);
                }
                *mean = S::sum(sum) / self.size as f32;
            }
        }
        let channels = means.len() as f32;
        for energy in energies {
            *energy /= channels;
        }
    }
}

/// One image's backward pass.
struct Back<'a> {
    x: &'a [f32],
    energies: &'a [f32],
    means: &'a [f32],
    dx: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Back<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let size = self.energies.len();
        let factor = 2.0 / self.means.len() as f32;
        let maps = self
            .x
            .chunks_exact(size)
            .zip(self.dx.chunks_exact_mut(size));
        for ((x, dx), mean) in maps.zip(self.means) {
            // SAFETY: as this function's own; `at` stays inside the map.
            unsafe {
                let factor = S::splat(factor);
                let mean = S::splat(mean / size as f32);
                for at in (0..size).step_by(S::LANES) {
                    let x = S::multiply(S::load_part(x, at), factor);
                    let dx_at = S::multiply_add(x, S::load_part(self.energies, at), mean);
                    S::store_part(dx, at, dx_at);
                }
            }
        }
    }
}
