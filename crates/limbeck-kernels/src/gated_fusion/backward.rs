//! The gradients.
//!
//! With G the gradient of the mixture, W the one linear map of convolution and norm, g and h the gates
//! and x, y, r as before: Z = Wᵀ·G gives the gates' gradients (Σ y·G = x·Z per position) and, in g, the
//! input's. The gradient of y, g·G plus the gates' share, is never made: its products with x are those
//! of G with g·x, and the gates' share is of rank two.

mod image;
mod normalised;

use std::mem::MaybeUninit;

use rayon::prelude::*;

use image::{Image, Room, Sums};

use super::{sizes::Sizes, statistics::Normalised};
use crate::{
    resize::nearest::Nearest,
    scratch::with_scratch,
    simd::{self, dispatch},
};

/// What the backward pass reads.
pub(crate) struct Read<'a> {
    pub normalised: Normalised<'a>,
    /// `[B, C, H, W]`.
    pub x: &'a [f32],
    /// `[B, M, h, w]`.
    pub running: &'a [f32],
    /// `[2, 2·M]`.
    pub gate_weight: &'a [f32],
    /// Of the convolved map, `[M]`.
    pub mean: &'a [f32],
    /// Of the convolved map, `[M]`.
    pub variance: &'a [f32],
    /// See [`super::statistics::moments`].
    pub moments: &'a [f32],
    /// `[B, 2, H, W]`.
    pub gates: &'a [f32],
}

/// Gradients with respect to what is told by their names.
pub(crate) struct Gradients {
    pub x: Vec<f32>,
    pub weight: Vec<f32>,
    pub running: Vec<f32>,
    pub gate_weight: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub gate_bias: Vec<f32>,
}

/// From the gradient of the mixture, `[B, M, H, W]`.
pub(crate) fn backward(sizes: &Sizes, read: &Read<'_>, gradient: &[f32]) -> Gradients {
    let map = read.normalised.as_one(sizes, read.mean, read.variance);
    let projected = projected_gates(sizes, &map, read.gate_weight);
    let nearest = Nearest::new(sizes.coarse, sizes.size);
    let (numbers, coarse) = (
        sizes.inputs * sizes.positions(),
        sizes.outputs * sizes.coarse_positions(),
    );
    let mut x = Vec::with_capacity(sizes.batch * numbers);
    let mut running = vec![0.0; sizes.batch * coarse];
    let chunk = sizes.chunk();
    let sums: Vec<Sums> = x.spare_capacity_mut()[..sizes.batch * numbers]
        .par_chunks_mut(chunk * numbers)
        .zip(running.par_chunks_mut(chunk * coarse))
        .enumerate()
        .map(|(index, (dx, d_running))| {
            let mut sums = Sums::new(sizes);
            let room = Room::of(sizes, simd::lanes());
            with_scratch(room.counts(), |[gradients, mapped, rest]| {
                let images = dx
                    .chunks_exact_mut(numbers)
                    .zip(d_running.chunks_exact_mut(coarse));
                for (offset, (dx, d_running)) in images.enumerate() {
                    let image = index * chunk + offset;
                    dispatch(Image {
                        sizes,
                        nearest: &nearest,
                        map: &map,
                        projected: &projected,
                        gate_weight: read.gate_weight,
                        x: &read.x[image * numbers..][..numbers],
                        running: &read.running[image * coarse..][..coarse],
                        gates: of_image(read.gates, 2 * sizes.positions(), image),
                        gradient: of_image(gradient, sizes.outputs * sizes.positions(), image),
                        gradients: &mut *gradients,
                        mapped: &mut *mapped,
                        rest: &mut *rest,
                        room: &room,
                        sums: &mut sums,
                        dx,
                        d_running,
                    });
                }
            });
            sums
        })
        .collect();
    let sums = Sums::total(sums);
    let found = normalised::gradients(sizes, read, &map, &sums);
    x.spare_capacity_mut()[..sizes.batch * numbers]
        .par_chunks_mut(numbers)
        .zip(read.x.par_chunks(numbers))
        .for_each(|(dx, x)| correct(sizes, &found.correction, x, dx));
    // SAFETY: every image writes all of its input's gradient.
    unsafe { x.set_len(sizes.batch * numbers) };
    Gradients {
        x,
        running,
        weight: found.weight,
        gate_weight: found.gate_weight,
        scale: found.scale,
        shift: found.shift,
        gate_bias: sums.gates.iter().map(|sum| *sum as f32).collect(),
    }
}

fn of_image(all: &[f32], length: usize, image: usize) -> &[f32] {
    &all[image * length..][..length]
}

/// The gates' kernels for y, taken back through the linear map: `[2, C]`.
fn projected_gates(sizes: &Sizes, map: &[f32], gate_weight: &[f32]) -> Vec<f32> {
    let mut projected = Vec::with_capacity(2 * sizes.inputs);
    for weight in gate_weight.chunks_exact(2 * sizes.outputs) {
        let mut sums = vec![0.0; sizes.inputs];
        for (weight, row) in weight.iter().zip(map.chunks_exact(sizes.inputs + 1)) {
            for (sum, number) in sums.iter_mut().zip(row) {
                *sum += f64::from(*weight) * f64::from(*number);
            }
        }
        projected.extend(sums.into_iter().map(|sum| sum as f32));
    }
    projected
}

/// Adds to the gradient of an image what it has through the statistics.
fn correct(sizes: &Sizes, correction: &[f32], x: &[f32], dx: &mut [MaybeUninit<f32>]) {
    let panels = (sizes.inputs + 1) * sizes.strip_width(simd::lanes());
    with_scratch([panels, 0, 0], |[panels, _, _]| {
        dispatch(normalised::Correct {
            sizes,
            correction,
            x,
            panels,
            dx,
        });
    });
}
