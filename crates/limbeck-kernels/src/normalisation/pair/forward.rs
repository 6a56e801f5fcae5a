//! The sum of two batch norms.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::{
    activation::Activation,
    normalisation::{Maps, forward::moments, span::Factor},
    simd::{Kernel, Simd, dispatch},
};

/// Output `[B, C, H, W]`; mean and population variance of each channel of both maps, `[C]`.
pub(crate) struct NormalisedPair {
    pub output: Vec<f32>,
    pub means: [Vec<f32>; 2],
    pub variances: [Vec<f32>; 2],
}

/// Normalises both `x` with their own statistics, scales by `weights` and shifts by `biases`, adds
/// the two and applies the activation.
pub(crate) fn forward(
    maps: Maps,
    x: [&[f32]; 2],
    weights: [&[f32]; 2],
    biases: [&[f32]; 2],
    epsilon: f64,
    activation: Activation,
) -> NormalisedPair {
    let mut output = Vec::new();
    let block = maps.block();
    let of_blocks: Vec<[Vec<(f64, f64)>; 2]> = maps
        .blocks(maps.room(&mut output))
        .into_par_iter()
        .enumerate()
        .map(|(index, mut to)| {
            let channels = index * block..((index + 1) * block).min(maps.channels);
            let moments = x.map(|x| moments(maps, x, channels.clone()));
            let affines: Vec<[Affine<f32>; 2]> = channels
                .clone()
                .enumerate()
                .map(|(offset, channel)| {
                    [0, 1].map(|i| {
                        let (mean, variance) = moments[i][offset];
                        let weight = f64::from(weights[i][channel]);
                        Affine {
                            centre: mean as f32,
                            scale: (weight / (variance + epsilon).sqrt()) as f32,
                            shift: biases[i][channel],
                        }
                    })
                })
                .collect();
            if maps.are_small() {
                let spread = [0, 1].map(|i| {
                    let each = |of: fn(&Affine<f32>) -> f32| {
                        let numbers: Vec<f32> = affines.iter().map(|both| of(&both[i])).collect();
                        maps.spread(&numbers)
                    };
                    Affine {
                        centre: each(|affine| affine.centre),
                        scale: each(|affine| affine.scale),
                        shift: each(|affine| affine.shift),
                    }
                });
                for (image, y) in to.into_iter().enumerate() {
                    dispatch(Normalise {
                        x: x.map(|x| maps.some(x, image, channels.clone())),
                        affine: spread.each_ref().map(|of| Affine {
                            centre: &of.centre[..],
                            scale: &of.scale[..],
                            shift: &of.shift[..],
                        }),
                        activation,
                        y,
                    });
                }
                return moments;
            }
            for (image, to) in to.iter_mut().enumerate() {
                let maps_of_image = to.chunks_exact_mut(maps.size);
                for ((channel, &affine), y) in channels.clone().zip(&affines).zip(maps_of_image) {
                    dispatch(Normalise {
                        x: x.map(|x| maps.map(x, image, channel)),
                        affine,
                        activation,
                        y,
                    });
                }
            }
            moments
        })
        .collect();
    let each = |i: usize| of_blocks.iter().flat_map(move |block| block[i].iter());
    NormalisedPair {
        output: maps.assume_written(output),
        means: [0, 1].map(|i| each(i).map(|&(mean, _)| mean as f32).collect()),
        variances: [0, 1].map(|i| each(i).map(|&(_, variance)| variance as f32).collect()),
    }
}

/// (x − centre)·scale + shift.
#[derive(Clone, Copy)]
struct Affine<F> {
    centre: F,
    scale: F,
    shift: F,
}

/// y = Σ (x − centre)·scale + shift over both maps, then the activation.
struct Normalise<'a, F> {
    x: [&'a [f32]; 2],
    affine: [Affine<F>; 2],
    activation: Activation,
    y: &'a mut [MaybeUninit<f32>],
}

impl<F: Factor> Kernel for Normalise<'_, F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside all maps, which are equally long.
        unsafe {
            for at in (0..self.y.len()).step_by(S::LANES) {
                let mut normalised = [S::splat(0.0); 2];
                for i in 0..2 {
                    let of = self.affine[i];
                    let distance = S::subtract(S::load_part(self.x[i], at), of.centre.at::<S>(at));
                    let (scale, shift) = (of.scale.at::<S>(at), of.shift.at::<S>(at));
                    normalised[i] = S::multiply_add(distance, scale, shift);
                }
                let sum = S::add(normalised[0], normalised[1]);
                S::store_part(self.y, at, self.activation.of::<S>(sum));
            }
        }
    }
}
