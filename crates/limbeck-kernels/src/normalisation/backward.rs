//! The gradients.

use rayon::prelude::*;

use super::{
    Maps, Read,
    span::{GradientSums, InputGradient},
};
use crate::simd::dispatch;

/// Gradients with respect to the input `[B, C, H, W]`, weight and bias `[C]`, and to the residual
/// `[B, C, H, W]` where it was asked for.
pub(crate) struct Gradients {
    pub x: Vec<f32>,
    pub residual: Option<Vec<f32>>,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Of a batch norm with the statistics of the batch. With `g` the gradient of the normalised and
/// scaled map, x̂ the normalised one and n the samples of a channel:
/// db = Σ g, dw = Σ g·x̂, dx = w/√(σ² + ε) · (g − db/n − x̂·dw/n).
pub(crate) fn batch_norm(
    maps: Maps,
    read: &Read<'_>,
    weight: &[f32],
    variance: &[f32],
    epsilon: f64,
    with_residual: bool,
) -> Gradients {
    gradients(maps, read, with_residual, |channel, [sum, product]| {
        let deviation = (f64::from(variance[channel]) + epsilon).sqrt();
        let scale = f64::from(weight[channel]) / deviation;
        let weight = product / deviation;
        Coefficients {
            scale: scale as f32,
            slope: (-scale * weight / (deviation * maps.samples())) as f32,
            shift: (-scale * sum / maps.samples()) as f32,
            weight: weight as f32,
        }
    })
}

/// Of a scaling and shifting: with `g` the gradient of the scaled map, db = Σ g, dw = Σ g·x,
/// dx = g·w.
pub(crate) fn channel_affine(
    maps: Maps,
    read: &Read<'_>,
    scale: &[f32],
    with_residual: bool,
) -> Gradients {
    gradients(maps, read, with_residual, |channel, [_, product]| {
        Coefficients {
            scale: scale[channel],
            slope: 0.0,
            shift: 0.0,
            weight: product as f32,
        }
    })
}

/// `coefficients` are asked for by the number of a channel and its Σ g and Σ g·(x − centre).
fn gradients(
    maps: Maps,
    read: &Read<'_>,
    with_residual: bool,
    coefficients: impl Fn(usize, [f64; 2]) -> Coefficients + Sync,
) -> Gradients {
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
            let of_channels: Vec<Coefficients> = sums(maps, read, first, weight.len())
                .into_iter()
                .enumerate()
                .map(|(offset, sums)| {
                    let of_channel = coefficients(first + offset, sums);
                    weight[offset] = of_channel.weight;
                    bias[offset] = sums[0] as f32;
                    of_channel
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
                    } = of_channels[offset];
                    dispatch(InputGradient {
                        x: maps.map(read.x, image, channel),
                        centre: read.centre[channel],
                        gradient: maps.map(read.gradient, image, channel),
                        output: read.output.map(|y| maps.map(y, image, channel)),
                        activation: read.activation,
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

/// Σ g and Σ g·(x − centre) of `count` channels from `first` on.
fn sums(maps: Maps, read: &Read<'_>, first: usize, count: usize) -> Vec<[f64; 2]> {
    let mut sums = vec![[0.0; 2]; count];
    for image in 0..maps.batch {
        for of in [Some(read.x), Some(read.gradient), read.output] {
            of.into_iter()
                .for_each(|of| maps.prefetch(of, image + 1, first..first + count));
        }
        for (offset, sums) in sums.iter_mut().enumerate() {
            let channel = first + offset;
            let of_map = dispatch(GradientSums {
                x: maps.map(read.x, image, channel),
                centre: read.centre[channel],
                gradient: maps.map(read.gradient, image, channel),
                output: read.output.map(|y| maps.map(y, image, channel)),
                activation: read.activation,
            });
            for (sum, of_map) in sums.iter_mut().zip(of_map) {
                *sum += f64::from(of_map);
            }
        }
    }
    sums
}

/// dx = g·scale + (x − centre)·slope + shift.
struct Coefficients {
    scale: f32,
    slope: f32,
    shift: f32,
    /// Gradient of the weight.
    weight: f32,
}
