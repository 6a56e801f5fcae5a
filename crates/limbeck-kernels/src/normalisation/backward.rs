//! The gradients.

use rayon::prelude::*;

use super::{
    Maps,
    span::{GradientSums, InputGradient},
};
use crate::simd::dispatch;

/// What the forward pass read and gave, and the gradient of its output.
pub(crate) struct Saved<'a> {
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub mean: &'a [f32],
    pub variance: &'a [f32],
    /// The output, where its positive part was taken: its sign says where the gradient passes.
    pub output: Option<&'a [f32]>,
    pub gradient: &'a [f32],
    pub epsilon: f64,
}

/// Gradients with respect to the input `[B, C, H, W]`, weight and bias `[C]`, and to the residual
/// `[B, C, H, W]` where it was asked for.
pub(crate) struct Gradients {
    pub x: Vec<f32>,
    pub residual: Option<Vec<f32>>,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// With `g` the gradient of the normalised and scaled map, x̂ the normalised one and n the samples
/// of a channel: db = Σ g, dw = Σ g·x̂, dx = w/√(σ² + ε) · (g − db/n − x̂·dw/n).
pub(crate) fn backward(maps: Maps, saved: &Saved<'_>, with_residual: bool) -> Gradients {
    let mut x = Vec::with_capacity(maps.count());
    let mut residual = Vec::with_capacity(if with_residual { maps.count() } else { 0 });
    let mut weight = vec![0.0; maps.channels];
    let mut bias = vec![0.0; maps.channels];
    let block = maps.block();
    let mut blocks = maps.blocks(&mut x.spare_capacity_mut()[..maps.count()]);
    let mut residual_blocks = if with_residual {
        maps.blocks(&mut residual.spare_capacity_mut()[..maps.count()])
    } else {
        blocks.iter().map(|_| Vec::new()).collect()
    };
    blocks
        .par_iter_mut()
        .zip(&mut residual_blocks)
        .zip(weight.par_chunks_mut(block))
        .zip(bias.par_chunks_mut(block))
        .enumerate()
        .for_each(|(index, (((to, residual), weight), bias))| {
            let first = index * block;
            let coefficients: Vec<Coefficients> = sums(maps, saved, first, weight.len())
                .into_iter()
                .enumerate()
                .map(|(offset, sums)| {
                    let coefficients = Coefficients::new(maps, saved, first + offset, sums);
                    weight[offset] = coefficients.weight;
                    bias[offset] = sums[0] as f32;
                    coefficients
                })
                .collect();
            for (image, to) in to.iter_mut().enumerate() {
                let mut residual = residual
                    .get_mut(image)
                    .map(|room| room.chunks_exact_mut(maps.size));
                for (offset, dx) in to.chunks_exact_mut(maps.size).enumerate() {
                    let channel = first + offset;
                    let Coefficients {
                        scale,
                        slope,
                        shift,
                        ..
                    } = coefficients[offset];
                    dispatch(InputGradient {
                        x: maps.map(saved.x, image, channel),
                        centre: saved.mean[channel],
                        gradient: maps.map(saved.gradient, image, channel),
                        output: saved.output.map(|y| maps.map(y, image, channel)),
                        scale,
                        slope,
                        shift,
                        dx,
                        residual: residual.as_mut().and_then(Iterator::next),
                    });
                }
            }
        });
    maps.assume_written(&mut x);
    if with_residual {
        maps.assume_written(&mut residual);
    }
    Gradients {
        x,
        residual: with_residual.then_some(residual),
        weight,
        bias,
    }
}

/// Σ g and Σ g·(x − μ) of `count` channels from `first` on.
fn sums(maps: Maps, saved: &Saved<'_>, first: usize, count: usize) -> Vec<[f64; 2]> {
    let mut sums = vec![[0.0; 2]; count];
    for image in 0..maps.batch {
        for of in [Some(saved.x), Some(saved.gradient), saved.output] {
            of.into_iter()
                .for_each(|of| maps.prefetch(of, image + 1, first..first + count));
        }
        for (offset, sums) in sums.iter_mut().enumerate() {
            let channel = first + offset;
            let of_map = dispatch(GradientSums {
                x: maps.map(saved.x, image, channel),
                centre: saved.mean[channel],
                gradient: maps.map(saved.gradient, image, channel),
                output: saved.output.map(|y| maps.map(y, image, channel)),
            });
            for (sum, of_map) in sums.iter_mut().zip(of_map) {
                *sum += f64::from(of_map);
            }
        }
    }
    sums
}

/// dx = g·scale + (x − μ)·slope + shift.
struct Coefficients {
    scale: f32,
    slope: f32,
    shift: f32,
    /// Gradient of the weight.
    weight: f32,
}

impl Coefficients {
    fn new(maps: Maps, saved: &Saved<'_>, channel: usize, [sum, product]: [f64; 2]) -> Self {
        let deviation = (f64::from(saved.variance[channel]) + saved.epsilon).sqrt();
        let scale = f64::from(saved.weight[channel]) / deviation;
        let weight = product / deviation;
        Self {
            scale: scale as f32,
            slope: (-scale * weight / (deviation * maps.samples())) as f32,
            shift: (-scale * sum / maps.samples()) as f32,
            weight: weight as f32,
        }
    }
}
