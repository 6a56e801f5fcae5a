//! Gradients of the sum of two batch norms.

use std::{mem::MaybeUninit, ops::Range};

use rayon::prelude::*;

use crate::{
    activation::Activation,
    normalisation::{
        Maps, Operand,
        backward::{Coefficients, coefficients},
        rows::Sums,
        span::{Factor, Gate},
    },
    simd::{self, Kernel, Simd, as_room, dispatch},
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
            let sums = match maps.are_small() {
                true => read.sums_of_rows(maps, of_image, channels.clone()),
                false => read.sums(maps, of_image, channels.clone()),
            };
            let of_channels: Vec<_> = channels
                .clone()
                .zip(sums)
                .map(|(channel, sums)| (read.coefficients(maps, channel, sums), sums[0] as f32))
                .collect();
            if maps.are_small() {
                let centres = read.spread_means(maps, channels.clone());
                let coefficients = [0, 1].map(|i| {
                    let each = |of: fn(&Coefficients) -> f32| {
                        let of_input = of_channels.iter().map(|(both, _)| of(&both[i]));
                        maps.spread(&of_input.collect::<Vec<f32>>())
                    };
                    [
                        each(|of| of.scale),
                        each(|of| of.slope),
                        each(|of| of.shift),
                    ]
                });
                for (image, (dx, dbeside)) in dx.into_iter().zip(dbeside).enumerate() {
                    let of_image = |of| maps.some(of, image, channels.clone());
                    dispatch(InputGradients {
                        x: kept_x.map(of_image),
                        beside: of_image(read.beside),
                        centres: centres.each_ref().map(|centre| &centre[..]),
                        gradient: kept.map(of_image),
                        gate: read.gate_of_row(maps, image, channels.clone()),
                        coefficients: (coefficients.each_ref())
                            .map(|of| of.each_ref().map(|factor| &factor[..])),
                        dx,
                        dbeside,
                    });
                }
                return of_channels;
            }
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
                        coefficients: of_channel.0.map(|of| [of.scale, of.slope, of.shift]),
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

    fn gate_of_row(&self, maps: Maps, image: usize, channels: Range<usize>) -> Gate<'_, &[f32]> {
        match self.output {
            Some(output) => Gate::Stored(self.activation, maps.some(output, image, channels)),
            None => Gate::Open,
        }
    }

    /// Both means of some channels, by position.
    fn spread_means(&self, maps: Maps, channels: Range<usize>) -> [Vec<f32>; 2] {
        self.means
            .map(|means| maps.spread(&means[channels.clone()]))
    }

    /// Fetches what of an image is not at hand.
    fn prefetch(&self, maps: Maps, of_image: [&[f32]; 3], image: usize, channels: Range<usize>) {
        of_image.into_iter().for_each(simd::prefetch);
        if let Some(output) = self.output {
            simd::prefetch(maps.some(output, image, channels));
        }
    }

    /// Σ g and both Σ g·(x − centre) of some channels; of an image `of_image` gives both inputs and the gradient.
    fn sums<'a>(
        &self,
        maps: Maps,
        of_image: impl Fn(usize) -> [&'a [f32]; 3],
        channels: Range<usize>,
    ) -> Vec<[f64; 3]> {
        let mut sums = vec![[0.0; 3]; channels.len()];
        for image in 0..maps.batch {
            if image + 1 < maps.batch {
                self.prefetch(maps, of_image(image + 1), image + 1, channels.clone());
            }
            let of_image = of_image(image);
            for (offset, sums) in sums.iter_mut().enumerate() {
                let channel = channels.start + offset;
                let [x, beside, gradient] =
                    of_image.map(|of| &of[offset * maps.size..(offset + 1) * maps.size]);
                let of_map = dispatch(GradientSums {
                    x: [x, beside],
                    centres: self.means.map(|means| means[channel]),
                    gate: self.gate(maps, image, channel),
                    gradient,
                });
                for (sum, of_map) in sums.iter_mut().zip(of_map) {
                    *sum += f64::from(of_map);
                }
            }
        }
        sums
    }

    /// [`ReadPair::sums`] of small maps.
    fn sums_of_rows<'a>(
        &self,
        maps: Maps,
        of_image: impl Fn(usize) -> [&'a [f32]; 3],
        channels: Range<usize>,
    ) -> Vec<[f64; 3]> {
        let centres = self.spread_means(maps, channels.clone());
        let mut sums = [(); 3].map(|()| Sums::new(channels.len() * maps.size));
        for image in 0..maps.batch {
            if image + 1 < maps.batch {
                self.prefetch(maps, of_image(image + 1), image + 1, channels.clone());
            }
            let [x, beside, gradient] = of_image(image);
            dispatch(AddGradients {
                x: [x, beside],
                centres: centres.each_ref().map(|centre| &centre[..]),
                gradient,
                gate: self.gate_of_row(maps, image, channels.clone()),
                sums: sums.each_mut().map(|sums| &mut sums.few[..]),
            });
            sums.iter_mut().for_each(|sums| sums.after(image));
        }
        let [sum, first, second] = sums.map(|sums| sums.by_map(maps.size));
        sum.zip(first.zip(second))
            .map(|(sum, (first, second))| [sum, first, second])
            .collect()
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

/// Adds g and both g·(x − centre) to the sums, position by position.
struct AddGradients<'a> {
    x: [&'a [f32]; 2],
    centres: [&'a [f32]; 2],
    gradient: &'a [f32],
    gate: Gate<'a, &'a [f32]>,
    sums: [&'a mut [f32]; 3],
}

impl Kernel for AddGradients<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside all, which are equally long.
        unsafe {
            let [sum, products @ ..] = self.sums;
            for at in (0..self.gradient.len()).step_by(S::LANES) {
                let mut distances = [S::splat(0.0); 2];
                for i in 0..2 {
                    let centre = S::load_part(self.centres[i], at);
                    distances[i] = S::subtract(S::load_part(self.x[i], at), centre);
                }
                let gradient = S::load_part(self.gradient, at);
                let gradient = self.gate.passed::<S>(at, distances[0], gradient);
                let total = S::add(S::load_part(sum, at), gradient);
                S::store_part(as_room(sum), at, total);
                for i in 0..2 {
                    let product = S::load_part(products[i], at);
                    let product = S::multiply_add(gradient, distances[i], product);
                    S::store_part(as_room(products[i]), at, product);
                }
            }
        }
    }
}

/// Both dx = g·scale + (x − centre)·slope + shift, with g as in [`GradientSums`].
struct InputGradients<'a, F> {
    /// Where it is not given it must lie in the room for its dx, and is overwritten.
    x: Option<&'a [f32]>,
    beside: &'a [f32],
    centres: [F; 2],
    /// The gradient of the output. Where it is not given it must lie in the room for the second
    /// dx, and is overwritten.
    gradient: Option<&'a [f32]>,
    gate: Gate<'a, F>,
    /// Scale, slope and shift of both.
    coefficients: [[F; 3]; 2],
    dx: &'a mut [MaybeUninit<f32>],
    dbeside: &'a mut [MaybeUninit<f32>],
}

impl<F: Factor> Kernel for InputGradients<'_, F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside all maps, which are equally long, and a
        // room that is read from holds numbers.
        unsafe {
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
                    distances[i] = S::subtract(distances[i], self.centres[i].at::<S>(at));
                }
                let gradient = self.gate.passed::<S>(at, distances[0], gradient);
                let mut found = distances;
                for i in 0..2 {
                    let [scale, slope, shift] = self.coefficients[i];
                    let (slope, shift) = (slope.at::<S>(at), shift.at::<S>(at));
                    let rest = S::multiply_add(distances[i], slope, shift);
                    found[i] = S::multiply_add(gradient, scale.at::<S>(at), rest);
                }
                S::store_part(self.dx, at, found[0]);
                S::store_part(self.dbeside, at, found[1]);
            }
        }
    }
}
