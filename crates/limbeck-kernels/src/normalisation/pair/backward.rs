//! Gradients of the sum of two batch norms.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::{
    activation::Activation,
    normalisation::{
        Maps, Operand,
        backward::{Coefficients, coefficients},
        span::Gate,
    },
    simd::{self, Kernel, Simd, dispatch},
};

/// What the gradients are computed from beside the first input.
#[derive(Clone, Copy)]
pub(crate) struct ReadPair<'a> {
    /// Second input, `[B, C, H, W]`.
    pub beside: &'a [f32],
    /// `[C]`.
    pub weights: [&'a [f32]; 2],
    pub means: [&'a [f32]; 2],
    pub variances: [&'a [f32]; 2],
    /// `[B, C, H, W]`, where the activation asks for it.
    pub output: Option<&'a [f32]>,
    pub epsilon: f64,
    pub activation: Activation,
}

/// Gradients with respect to both inputs `[B, C, H, W]`, but for the first one where it has taken the
/// room of that input, and the second one where it has taken that of the output's gradient; to both
/// weights and to either bias, `[C]`.
pub(crate) struct PairGradients {
    pub x: Option<Vec<f32>>,
    pub beside: Option<Vec<f32>>,
    pub weights: [Vec<f32>; 2],
    pub bias: Vec<f32>,
}

/// As [`crate::normalisation::backward::batch_norm`] for each of the two; `x` is the first input.
pub(crate) fn gradients(
    maps: Maps,
    read: &ReadPair<'_>,
    x: Operand<'_>,
    gradient: Operand<'_>,
) -> PairGradients {
    let (mut new_x, mut new_beside) = (Vec::new(), Vec::new());
    let (kept_x, given_x) = x.into_parts();
    let (kept, given) = gradient.into_parts();
    for (kept, given) in [(kept_x, &given_x), (kept, &given)] {
        let numbers = kept.map(<[f32]>::len).or(given.as_deref().map(<[_]>::len));
        assert_eq!(numbers, Some(maps.count()), "an operand for each output");
    }
    let (x_is_new, beside_is_new) = (given_x.is_none(), given.is_none());
    let x_room = given_x.unwrap_or_else(|| maps.room(&mut new_x));
    let beside_room = given.unwrap_or_else(|| maps.room(&mut new_beside));
    let block = maps.block();
    let of_blocks: Vec<Vec<([Coefficients; 2], f32)>> = maps
        .blocks(x_room)
        .into_par_iter()
        .zip(maps.blocks(beside_room))
        .enumerate()
        .map(|(index, (mut dx, mut dbeside))| {
            let channels = index * block..((index + 1) * block).min(maps.channels);
            // SAFETY: an operand that is given, which is as long as the maps, lies in its room, to
            // which nothing is written before the sums are complete.
            let of_image = |image: usize| unsafe {
                let [x, gradient] =
                    [(kept_x, &dx), (kept, &dbeside)].map(|(kept, room)| match kept {
                        Some(kept) => maps.some(kept, image, channels.clone()),
                        None => room[image].assume_init_ref(),
                    });
                [x, maps.some(read.beside, image, channels.clone()), gradient]
            };
            let mut sums = vec![[0.0; 3]; channels.len()];
            for image in 0..maps.batch {
                if image + 1 < maps.batch {
                    of_image(image + 1).into_iter().for_each(simd::prefetch);
                    if let Some(output) = read.output {
                        simd::prefetch(maps.some(output, image + 1, channels.clone()));
                    }
                }
                let of_image = of_image(image);
                for (offset, sums) in sums.iter_mut().enumerate() {
                    let channel = channels.start + offset;
                    let [x, beside, gradient] =
                        of_image.map(|of| &of[offset * maps.size..(offset + 1) * maps.size]);
                    let of_map = dispatch(GradientSums {
                        x: [x, beside],
                        centres: read.means.map(|means| means[channel]),
                        gate: read.gate(maps, image, channel),
                        gradient,
                    });
                    for (sum, of_map) in sums.iter_mut().zip(of_map) {
                        *sum += f64::from(of_map);
                    }
                }
            }
            let of_channels: Vec<_> = channels
                .clone()
                .zip(sums)
                .map(|(channel, sums)| (read.coefficients(maps, channel, sums), sums[0] as f32))
                .collect();
            for image in 0..maps.batch {
                let dx = dx[image].chunks_exact_mut(maps.size);
                let dbeside = dbeside[image].chunks_exact_mut(maps.size);
                let rooms = dx.zip(dbeside);
                for ((channel, of_channel), (dx, dbeside)) in
                    channels.clone().zip(&of_channels).zip(rooms)
                {
                    dispatch(InputGradients {
                        x: kept_x.map(|x| maps.map(x, image, channel)),
                        beside: maps.map(read.beside, image, channel),
                        centres: read.means.map(|means| means[channel]),
                        gradient: kept.map(|gradient| maps.map(gradient, image, channel)),
                        gate: read.gate(maps, image, channel),
                        coefficients: of_channel.0,
                        dx,
                        dbeside,
                    });
                }
            }
            of_channels
        })
        .collect();
    let of_channels = || of_blocks.iter().flatten();
    PairGradients {
        x: x_is_new.then(|| maps.assume_written(new_x)),
        beside: beside_is_new.then(|| maps.assume_written(new_beside)),
        weights: [0, 1].map(|i| of_channels().map(|(of, _)| of[i].weight).collect()),
        bias: of_channels().map(|&(_, bias)| bias).collect(),
    }
}

impl ReadPair<'_> {
    fn gate(&self, maps: Maps, image: usize, channel: usize) -> Gate<'_> {
        match self.output {
            Some(output) => Gate::Stored(self.activation, maps.map(output, image, channel)),
            None => Gate::Open,
        }
    }

    /// Of both inputs of a channel, by its Σ g and both Σ g·(x − centre).
    fn coefficients(
        &self,
        maps: Maps,
        channel: usize,
        [sum, products @ ..]: [f64; 3],
    ) -> [Coefficients; 2] {
        [0, 1].map(|i| {
            let (weight, variance) = (self.weights[i][channel], self.variances[i][channel]);
            coefficients(maps, weight, variance, self.epsilon, [sum, products[i]])
        })
    }
}

/// Σ g and both Σ g·(x − centre), with g the gradient that passes the activation.
struct GradientSums<'a> {
    x: [&'a [f32]; 2],
    centres: [f32; 2],
    gradient: &'a [f32],
    gate: Gate<'a>,
}

impl Kernel for GradientSums<'_> {
    type Output = [f32; 3];

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> [f32; 3] {
        // SAFETY: as this function's own; `at` stays inside all maps, which are equally long.
        unsafe {
            let centres = [S::splat(self.centres[0]), S::splat(self.centres[1])];
            let mut sums = [S::splat(0.0); 3];
            for at in (0..self.gradient.len()).step_by(S::LANES) {
                let mut distances = centres;
                for i in 0..2 {
                    distances[i] = S::subtract(S::load_part(self.x[i], at), centres[i]);
                }
                let gradient = S::load_part(self.gradient, at);
                let gradient = self.gate.passed::<S>(at, distances[0], gradient);
                sums[0] = S::add(sums[0], gradient);
                for i in 0..2 {
                    sums[1 + i] = S::multiply_add(gradient, distances[i], sums[1 + i]);
                }
            }
            [S::sum(sums[0]), S::sum(sums[1]), S::sum(sums[2])]
        }
    }
}

/// Both dx = g·scale + (x − centre)·slope + shift, with g as in [`GradientSums`].
struct InputGradients<'a> {
    /// Where it is not given it must lie in the room for its dx, and is overwritten.
    x: Option<&'a [f32]>,
    beside: &'a [f32],
    centres: [f32; 2],
    /// The gradient of the output. Where it is not given it must lie in the room for the second
    /// dx, and is overwritten.
    gradient: Option<&'a [f32]>,
    gate: Gate<'a>,
    coefficients: [Coefficients; 2],
    dx: &'a mut [MaybeUninit<f32>],
    dbeside: &'a mut [MaybeUninit<f32>],
}

impl Kernel for InputGradients<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside all maps, which are equally long, and a
        // room that is read from holds numbers.
        unsafe {
            let mut vectors = [[S::splat(0.0); 4]; 2];
            for (i, of) in self.coefficients.iter().enumerate() {
                vectors[i] = [
                    S::splat(self.centres[i]),
                    S::splat(of.scale),
                    S::splat(of.slope),
                    S::splat(of.shift),
                ];
            }
            for at in (0..self.dx.len()).step_by(S::LANES) {
                let x = match self.x {
                    Some(x) => S::load_part(x, at),
                    None => S::load_part(self.dx.assume_init_ref(), at),
                };
                let gradient = match self.gradient {
                    Some(gradient) => S::load_part(gradient, at),
                    None => S::load_part(self.dbeside.assume_init_ref(), at),
                };
                let mut distances = [x, S::load_part(self.beside, at)];
                for i in 0..2 {
                    let [centre, ..] = vectors[i];
                    distances[i] = S::subtract(distances[i], centre);
                }
                let gradient = self.gate.passed::<S>(at, distances[0], gradient);
                let mut found = distances;
                for i in 0..2 {
                    let [_, scale, slope, shift] = vectors[i];
                    let rest = S::multiply_add(distances[i], slope, shift);
                    found[i] = S::multiply_add(gradient, scale, rest);
                }
                S::store_part(self.dx, at, found[0]);
                S::store_part(self.dbeside, at, found[1]);
            }
        }
    }
}
