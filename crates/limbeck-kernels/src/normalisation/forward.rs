//! The forward pass.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    Maps, rows,
    span::{Normalise, SquaredDistance, Sum},
};
use crate::{
    activation::Activation,
    simd::{self, dispatch},
};

/// Output `[B, C, H, W]`; mean, population variance and scale of each channel, `[C]`.
pub(crate) struct Normalised {
    pub output: Vec<f32>,
    /// What the distance from the mean was multiplied by.
    pub scale: Vec<f32>,
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
}

/// Normalises `x` with its own statistics, scales by `weight` and shifts by `bias`, then adds
/// `residual` where there is one, and applies the activation.
pub(crate) fn forward(
    maps: Maps,
    [x, weight, bias]: [&[f32]; 3],
    residual: Option<&[f32]>,
    epsilon: f64,
    activation: Activation,
) -> Normalised {
    let mut output = Vec::new();
    let mut scale = vec![0.0; maps.channels];
    let mut mean = vec![0.0; maps.channels];
    let mut variance = vec![0.0; maps.channels];
    let block = maps.block();
    let blocks = maps.blocks(maps.room(&mut output));
    blocks
        .into_par_iter()
        .zip(mean.par_chunks_mut(block))
        .zip(variance.par_chunks_mut(block))
        .zip(scale.par_chunks_mut(block))
        .enumerate()
        .for_each(|(index, (((mut to, mean), variance), scale))| {
            let first = index * block;
            let moments = moments(maps, x, first..first + mean.len());
            for (offset, (centre, spread)) in moments.into_iter().enumerate() {
                let weight = f64::from(weight[first + offset]);
                scale[offset] = (weight / (spread + epsilon).sqrt()) as f32;
                mean[offset] = centre as f32;
                variance[offset] = spread as f32;
            }
            if maps.are_small() {
                let channels = first..first + mean.len();
                let centre = maps.spread(mean);
                let [scale, shift] = [scale, &bias[channels.clone()]].map(|of| maps.spread(of));
                for (image, y) in to.into_iter().enumerate() {
                    dispatch(Normalise {
                        x: maps.some(x, image, channels.clone()),
                        residual: residual.map(|r| maps.some(r, image, channels.clone())),
                        centre: &centre[..],
                        scale: &scale[..],
                        shift: &shift[..],
                        activation,
                        y,
                    });
                }
                return;
            }
            for (image, to) in to.iter_mut().enumerate() {
                let maps_of_image = to.chunks_exact_mut(maps.size).enumerate();
                for (offset, y) in maps_of_image {
                    let channel = first + offset;
                    dispatch(Normalise {
                        x: maps.map(x, image, channel),
                        residual: residual.map(|r| maps.map(r, image, channel)),
                        centre: mean[offset],
                        scale: scale[offset],
                        shift: bias[channel],
                        activation,
                        y,
                    });
                }
            }
        });
    Normalised {
        output: maps.assume_written(output),
        scale,
        mean,
        variance,
    }
}

/// Mean and population variance of some channels.
pub(super) fn moments(maps: Maps, x: &[f32], channels: Range<usize>) -> Vec<(f64, f64)> {
    let found = match maps.are_small() {
        true => rows::mean_and_squares(maps, x, channels),
        false => mean_and_squares(maps, x, channels),
    };
    found
        .into_iter()
        .map(|(mean, squares)| {
            // Taken around the rounded mean; the part that the rounding adds is taken off.
            let rounding = f64::from(mean as f32) - mean;
            let variance = squares / maps.samples() - rounding * rounding;
            (mean, variance.max(0.0))
        })
        .collect()
}

/// Mean of some channels, and Σ (x − the mean as `f32`)², map by map.
fn mean_and_squares(maps: Maps, x: &[f32], channels: Range<usize>) -> Vec<(f64, f64)> {
    let mut means = vec![0.0; channels.len()];
    for image in 0..maps.batch {
        if image + 1 < maps.batch {
            simd::prefetch(maps.some(x, image + 1, channels.clone()));
        }
        for (channel, sum) in channels.clone().zip(&mut means) {
            *sum += f64::from(dispatch(Sum(maps.map(x, image, channel))));
        }
    }
    for mean in &mut means {
        *mean /= maps.samples();
    }
    let mut squares = vec![0.0; channels.len()];
    for image in 0..maps.batch {
        for ((channel, sum), mean) in channels.clone().zip(&mut squares).zip(&means) {
            *sum += f64::from(dispatch(SquaredDistance {
                x: maps.map(x, image, channel),
                centre: *mean as f32,
            }));
        }
    }
    means.into_iter().zip(squares).collect()
}
