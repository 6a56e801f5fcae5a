//! The gradients.

use std::{mem::MaybeUninit, ops::Range};

use rayon::prelude::*;

use super::{
    Maps, Operand, Output, Read,
    rows::{self, Row},
    span::{Gate, GradientSums, InputGradient},
};
use crate::simd::{self, dispatch};

/// Gradients with respect to the input `[B, C, H, W]`, weight and bias `[C]`, and to the residual
/// `[B, C, H, W]` where it was asked for; without the one that has taken the room of the output's
/// gradient.
pub(crate) struct Gradients {
    pub x: Option<Vec<f32>>,
    pub residual: Option<Vec<f32>>,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Of a batch norm with the statistics of the batch. A gradient that is given is overwritten with
/// the residual's where that is asked for, else with the input's.
///
/// With `g` the gradient of the normalised and scaled map, x̂ the normalised one and n the samples of
/// a channel: db = Σ g, dw = Σ g·x̂, dx = w/√(σ² + ε) · (g − db/n − x̂·dw/n).
pub(crate) fn batch_norm(
    maps: Maps,
    read: &Read<'_>,
    gradient: Operand<'_>,
    weight: &[f32],
    variance: &[f32],
    epsilon: f64,
    with_residual: bool,
) -> Gradients {
    gradients(maps, read, gradient, with_residual, |channel, sums| {
        coefficients(maps, weight[channel], variance[channel], epsilon, sums)
    })
}

/// Those of a channel of a batch norm, by its Σ g and Σ g·(x − centre).
pub(super) fn coefficients(
    maps: Maps,
    weight: f32,
    variance: f32,
    epsilon: f64,
    [sum, product]: [f64; 2],
) -> Coefficients {
    let deviation = (f64::from(variance) + epsilon).sqrt();
    let scale = f64::from(weight) / deviation;
    let weight = product / deviation;
    Coefficients {
        scale: scale as f32,
        slope: (-scale * weight / (deviation * maps.samples())) as f32,
        shift: (-scale * sum / maps.samples()) as f32,
        weight: weight as f32,
    }
}

/// Of a scaling and shifting: with `g` the gradient of the scaled map, db = Σ g, dw = Σ g·x,
/// dx = g·w.
pub(crate) fn channel_affine(
    maps: Maps,
    read: &Read<'_>,
    gradient: Operand<'_>,
    scale: &[f32],
    with_residual: bool,
) -> Gradients {
    gradients(
        maps,
        read,
        gradient,
        with_residual,
        |channel, [_, product]| Coefficients {
            scale: scale[channel],
            slope: 0.0,
            shift: 0.0,
            weight: product as f32,
        },
    )
}

/// `coefficients` are asked for by the number of a channel and its Σ g and Σ g·(x − centre).
fn gradients(
    maps: Maps,
    read: &Read<'_>,
    gradient: Operand<'_>,
    with_residual: bool,
    coefficients: impl Fn(usize, [f64; 2]) -> Coefficients + Sync,
) -> Gradients {
    let (mut x, mut residual) = (Vec::new(), Vec::new());
    let mut weight = vec![0.0; maps.channels];
    let mut bias = vec![0.0; maps.channels];
    let (kept, given) = gradient.into_parts();
    let numbers = kept.map(<[f32]>::len).or(given.as_deref().map(<[_]>::len));
    assert_eq!(numbers, Some(maps.count()), "one gradient for each output");
    let (x_is_new, residual_is_new) = match given {
        Some(_) => (with_residual, false),
        None => (true, with_residual),
    };
    let (x_room, residual_room) = match (given, with_residual) {
        (Some(room), false) => (room, None),
        (Some(room), true) => (maps.room(&mut x), Some(room)),
        (None, false) => (maps.room(&mut x), None),
        (None, true) => (maps.room(&mut x), Some(maps.room(&mut residual))),
    };
    // What a slow activation lets pass is computed once, and lies in the room for dx until that takes its place.
    let passes_once = read.activation.is_smooth() && !with_residual;
    let block = maps.block();
    let mut blocks = maps.blocks(x_room);
    let mut residual_blocks = match residual_room {
        Some(room) => maps.blocks(room),
        None => blocks.iter().map(|_| Vec::new()).collect(),
    };
    blocks
        .par_iter_mut()
        .zip(&mut residual_blocks)
        .zip(weight.par_chunks_mut(block))
        .zip(bias.par_chunks_mut(block))
        .enumerate()
        .for_each(|(index, (((to, residual), weight), bias))| {
            let first = index * block;
            let gradient_of_image = |image: usize| match kept {
                Some(gradient) => maps.some(gradient, image, first..first + weight.len()),
                // SAFETY: the gradient, which is as long as the maps, lies in this room, to which
                // nothing is written before the sums are complete.
                None => unsafe { residual.get(image).unwrap_or(&to[image]).assume_init_ref() },
            };
            let channels = first..first + weight.len();
            let sums = match passes_once {
                true => {
                    let gradient =
                        |image| kept.map(|gradient| maps.some(gradient, image, channels.clone()));
                    sums(maps, read, gradient, Some(&mut to[..]), channels.clone())
                }
                false => {
                    let gradient = |image| Some(gradient_of_image(image));
                    sums(maps, read, gradient, None, channels.clone())
                }
            };
            let of_channels: Vec<Coefficients> = sums
                .into_iter()
                .enumerate()
                .map(|(offset, sums)| {
                    let of_channel = coefficients(first + offset, sums);
                    weight[offset] = of_channel.weight;
                    bias[offset] = sums[0] as f32;
                    of_channel
                })
                .collect();
            if maps.are_small() {
                let row = Row::new(maps, read, channels.clone());
                let spread = |of: fn(&Coefficients) -> f32| {
                    let numbers: Vec<f32> = of_channels.iter().map(of).collect();
                    maps.spread(&numbers)
                };
                let scale = spread(|of_channel| of_channel.scale);
                let slope = spread(|of_channel| of_channel.slope);
                let shift = spread(|of_channel| of_channel.shift);
                for (image, dx) in to.iter_mut().enumerate() {
                    let of_image = |gradient| maps.some(gradient, image, channels.clone());
                    dispatch(InputGradient {
                        x: row.x(image),
                        centre: &row.centre[..],
                        gradient: kept.filter(|_| !passes_once).map(of_image),
                        gate: if passes_once {
                            Gate::Open
                        } else {
                            row.gate(image)
                        },
                        scale: &scale[..],
                        slope: &slope[..],
                        shift: &shift[..],
                        dx,
                        residual: residual.get_mut(image).map(|room| &mut room[..]),
                    });
                }
                return;
            }
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
                        gradient: (kept.filter(|_| !passes_once))
                            .map(|gradient| maps.map(gradient, image, channel)),
                        gate: match passes_once {
                            true => Gate::Open,
                            false => read.gate(maps, image, channel),
                        },
                        scale,
                        slope,
                        shift,
                        dx,
                        residual: residual.as_mut().and_then(Iterator::next),
                    });
                }
            }
        });
    Gradients {
        x: x_is_new.then(|| maps.assume_written(x)),
        residual: residual_is_new.then(|| maps.assume_written(residual)),
        weight,
        bias,
    }
}

/// Σ g and Σ g·(x − centre) of some channels; `gradient` is asked for these channels' gradient of
/// the output by the number of an image. With `passed`, room for these channels of each image, g is written there;
/// a gradient that is not given must lie there.
pub(super) fn sums<'a>(
    maps: Maps,
    read: &Read<'_>,
    gradient: impl Fn(usize) -> Option<&'a [f32]>,
    mut passed: Option<&mut [&mut [MaybeUninit<f32>]]>,
    channels: Range<usize>,
) -> Vec<[f64; 2]> {
    if maps.are_small() {
        return rows::gradient_sums(maps, read, gradient, passed, channels);
    }
    let mut sums = vec![[0.0; 2]; channels.len()];
    for image in 0..maps.batch {
        if image + 1 < maps.batch {
            simd::prefetch(maps.some(read.x, image + 1, channels.clone()));
            gradient(image + 1).into_iter().for_each(simd::prefetch);
            if let Output::Stored(output) = read.output {
                simd::prefetch(maps.some(output, image + 1, channels.clone()));
            }
        }
        let gradient = gradient(image);
        for ((offset, channel), sums) in channels.clone().enumerate().zip(&mut sums) {
            let its = offset * maps.size..(offset + 1) * maps.size;
            let of_map = dispatch(GradientSums {
                x: maps.map(read.x, image, channel),
                centre: read.centre[channel],
                gradient: gradient.map(|gradient| &gradient[its.clone()]),
                gate: read.gate(maps, image, channel),
                passed: passed.as_mut().map(|rooms| &mut rooms[image][its]),
            });
            for (sum, of_map) in sums.iter_mut().zip(of_map) {
                *sum += f64::from(of_map);
            }
        }
    }
    sums
}

impl Read<'_> {
    fn gate(&self, maps: Maps, image: usize, channel: usize) -> Gate<'_> {
        match self.output {
            Output::Unasked => Gate::Open,
            Output::Stored(output) => {
                Gate::Stored(self.activation, maps.map(output, image, channel))
            }
            Output::Computed(scaling) => Gate::Computed {
                activation: self.activation,
                scale: scaling[channel],
                shift: scaling[maps.channels + channel],
            },
        }
    }
}

/// dx = g·scale + (x − centre)·slope + shift.
#[derive(Clone, Copy)]
pub(super) struct Coefficients {
    pub scale: f32,
    pub slope: f32,
    pub shift: f32,
    /// Gradient of the weight.
    pub weight: f32,
}

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;

    use super::*;
    use crate::{activation::Activation, normalisation::forward::forward, simd::LEVELS};

    /// Numbers from −2 to 2, zeros of both signs among them; others for every `seed`.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| match (i * 37 + seed * 11) % 41 {
                20 => -0.0,
                n => (n as f32 - 20.0) / 10.0,
            })
            .collect()
    }

    fn bits(of: &[f32]) -> Vec<u32> {
        of.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn neither_the_room_nor_the_source_of_the_output_changes_a_bit() {
        let _same = LEVELS.read().unwrap_or_else(PoisonError::into_inner);
        for (batch, channels, size) in [(1, 1, 1), (3, 7, 5), (2, 3, 1100), (4, 33, 49)] {
            let maps = Maps {
                batch,
                channels,
                size,
            };
            let [x, gradient] = [1, 2].map(|seed| numbers(maps.count(), seed));
            let [weight, bias] = [3, 4].map(|seed| numbers(channels, seed));
            for activation in [
                Activation::Identity,
                Activation::Relu,
                Activation::Relu6,
                Activation::Silu,
                Activation::Gelu,
            ] {
                let normed = forward(maps, [&x, &weight, &bias], None, 1e-5, activation);
                let scaling = [&normed.scale[..], &bias].concat();
                let run = |output, with_residual, given| {
                    let mut room = gradient.clone();
                    let read = Read {
                        x: &x,
                        centre: &normed.mean,
                        output,
                        activation,
                    };
                    let from = match given {
                        true => Operand::Given(&mut room),
                        false => Operand::Kept(&gradient),
                    };
                    let variance = &normed.variance;
                    let found =
                        batch_norm(maps, &read, from, &weight, variance, 1e-5, with_residual);
                    assert_eq!(found.x.is_none(), given && !with_residual);
                    assert_eq!(found.residual.is_none(), given || !with_residual);
                    let residual = match given {
                        true => with_residual.then(|| room.clone()),
                        false => found.residual,
                    };
                    (
                        bits(&found.x.unwrap_or(room)),
                        residual.as_deref().map(bits),
                        bits(&found.weight),
                        bits(&found.bias),
                    )
                };
                if activation.is_smooth() {
                    // Told by what it was given alone; its gradient passes it once or twice.
                    let computed = Output::Computed(&scaling);
                    let [found, given] = [false, true].map(|given| run(computed, false, given));
                    assert!(found == given, "{maps:?} {activation:?}");
                    let (dx, _, weight, bias) = run(computed, true, false);
                    let (found_dx, _, found_weight, found_bias) = found;
                    assert!((found_dx, found_weight, found_bias) == (dx, weight, bias));
                    continue;
                }
                for with_residual in [false, true] {
                    let stored = Output::Stored(&normed.output);
                    let expected = run(stored, with_residual, false);
                    for output in [stored, Output::Computed(&scaling)] {
                        for given in [false, true] {
                            let found = run(output, with_residual, given);
                            assert!(found == expected, "{maps:?} {activation:?} {given}");
                        }
                    }
                }
            }
        }
    }
}
