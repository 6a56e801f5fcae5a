//! Small maps: the maps of some channels of one image lie side by side, and are gone through as one row.
//!
//! Map by map most of a vector would stay empty, and every few numbers would begin anew. What belongs to a
//! channel is spread over its positions instead, so that all passes run over whole vectors. Sums are taken
//! position by position, in `f32` over a few images and in `f64` over those, then over the positions of a map.

use std::{mem::MaybeUninit, ops::Range};

use super::{
    Maps, Output, Read,
    span::{Gate, gradient_at},
};
use crate::simd::{self, Kernel, Simd, as_room, dispatch};

/// Images whose sums are taken in `f32`.
const IMAGES: usize = 8;

impl Maps {
    /// Whether maps are so small that channels are gone through together.
    pub(super) fn are_small(&self) -> bool {
        /// Vectors of the widest kind in a map that fills them well enough by itself.
        const VECTORS: usize = 8;
        self.size < VECTORS * simd::MOST_LANES
    }

    /// A number for each position of the maps that `of` has a number each for.
    pub(super) fn spread(&self, of: &[f32]) -> Vec<f32> {
        let repeated = |&number| std::iter::repeat_n(number, self.size);
        of.iter().flat_map(repeated).collect()
    }
}

/// Sums of numbers by position, over images.
pub(super) struct Sums {
    /// Of the last few images.
    pub few: Vec<f32>,
    /// Of those before.
    all: Vec<f64>,
}

impl Sums {
    pub fn new(length: usize) -> Self {
        Self {
            few: vec![0.0; length],
            all: vec![0.0; length],
        }
    }

    /// To be called after each image, by its number.
    pub fn after(&mut self, image: usize) {
        if (image + 1).is_multiple_of(IMAGES) {
            self.empty();
        }
    }

    fn empty(&mut self) {
        for (all, few) in self.all.iter_mut().zip(&mut self.few) {
            *all += f64::from(*few);
            *few = 0.0;
        }
    }

    /// The sum of each map.
    pub fn by_map(mut self, size: usize) -> impl Iterator<Item = f64> {
        self.empty();
        let count = self.all.len() / size;
        (0..count).map(move |map| self.all[map * size..][..size].iter().sum())
    }
}

/// Mean of some channels, and Σ (x − the mean as `f32`)².
pub(super) fn mean_and_squares(maps: Maps, x: &[f32], channels: Range<usize>) -> Vec<(f64, f64)> {
    let length = channels.len() * maps.size;
    let mut sums = Sums::new(length);
    for image in 0..maps.batch {
        if image + 1 < maps.batch {
            simd::prefetch(maps.some(x, image + 1, channels.clone()));
        }
        dispatch(Add {
            x: maps.some(x, image, channels.clone()),
            sums: &mut sums.few,
        });
        sums.after(image);
    }
    let means: Vec<f64> = (sums.by_map(maps.size))
        .map(|sum| sum / maps.samples())
        .collect();
    let rounded: Vec<f32> = means.iter().map(|&mean| mean as f32).collect();
    let centre = maps.spread(&rounded);
    let mut squares = Sums::new(length);
    for image in 0..maps.batch {
        dispatch(AddSquares {
            x: maps.some(x, image, channels.clone()),
            centre: &centre,
            sums: &mut squares.few,
        });
        squares.after(image);
    }
    squares
        .by_map(maps.size)
        .zip(means)
        .map(|(squares, mean)| (mean, squares))
        .collect()
}

/// [`super::backward::sums`] of small maps.
pub(super) fn gradient_sums<'a>(
    maps: Maps,
    read: &Read<'_>,
    gradient: impl Fn(usize) -> Option<&'a [f32]>,
    mut passed: Option<&mut [&mut [MaybeUninit<f32>]]>,
    channels: Range<usize>,
) -> Vec<[f64; 2]> {
    let row = Row::new(maps, read, channels.clone());
    let length = channels.len() * maps.size;
    let [mut sums, mut products] = [(); 2].map(|()| Sums::new(length));
    for image in 0..maps.batch {
        if image + 1 < maps.batch {
            simd::prefetch(maps.some(read.x, image + 1, channels.clone()));
            gradient(image + 1).into_iter().for_each(simd::prefetch);
            if let Output::Stored(output) = read.output {
                simd::prefetch(maps.some(output, image + 1, channels.clone()));
            }
        }
        dispatch(AddGradients {
            x: row.x(image),
            centre: &row.centre,
            gradient: gradient(image),
            gate: row.gate(image),
            passed: passed.as_mut().map(|rooms| &mut *rooms[image]),
            sums: &mut sums.few,
            products: &mut products.few,
        });
        sums.after(image);
        products.after(image);
    }
    let products = products.by_map(maps.size);
    sums.by_map(maps.size)
        .zip(products)
        .map(|(sum, product)| [sum, product])
        .collect()
}

/// What reads the maps of some channels of an image as one row.
pub(super) struct Row<'a> {
    maps: Maps,
    read: &'a Read<'a>,
    channels: Range<usize>,
    /// By position.
    pub centre: Vec<f32>,
    /// Scale and shift that the output is computed from, by position.
    scaling: [Vec<f32>; 2],
}

impl<'a> Row<'a> {
    pub fn new(maps: Maps, read: &'a Read<'_>, channels: Range<usize>) -> Self {
        let scaling = match read.output {
            Output::Computed(scaling) => {
                let (scale, shift) = scaling.split_at(maps.channels);
                [scale, shift].map(|of| maps.spread(&of[channels.clone()]))
            }
            Output::Unasked | Output::Stored(_) => [const { Vec::new() }; 2],
        };
        Self {
            maps,
            read,
            centre: maps.spread(&read.centre[channels.clone()]),
            channels,
            scaling,
        }
    }

    /// The input of an image.
    pub fn x(&self, image: usize) -> &'a [f32] {
        self.maps.some(self.read.x, image, self.channels.clone())
    }

    /// What lets gradients of an image pass.
    pub fn gate(&self, image: usize) -> Gate<'_, &[f32]> {
        match self.read.output {
            Output::Unasked => Gate::Open,
            Output::Stored(output) => {
                let output = self.maps.some(output, image, self.channels.clone());
                Gate::Stored(self.read.activation, output)
            }
            Output::Computed(_) => {
                let [scale, shift] = &self.scaling;
                Gate::Computed {
                    activation: self.read.activation,
                    scale,
                    shift,
                }
            }
        }
    }
}

/// Adds x to the sums.
struct Add<'a> {
    x: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside both, which are equally long.
        unsafe {
            for at in (0..self.x.len()).step_by(S::LANES) {
                let sum = S::add(S::load_part(self.sums, at), S::load_part(self.x, at));
                S::store_part(as_room(self.sums), at, sum);
            }
        }
    }
}

/// Adds (x − centre)² to the sums.
struct AddSquares<'a> {
    x: &'a [f32],
    centre: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for AddSquares<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside all, which are equally long.
        unsafe {
            for at in (0..self.x.len()).step_by(S::LANES) {
                let centre = S::load_part(self.centre, at);
                let distance = S::subtract(S::load_part(self.x, at), centre);
                let sum = S::load_part(self.sums, at);
                let sum = S::multiply_add(distance, distance, sum);
                S::store_part(as_room(self.sums), at, sum);
            }
        }
    }
}

/// Adds g and g·(x − centre), with g the gradient that passes the activation.
struct AddGradients<'a> {
    x: &'a [f32],
    centre: &'a [f32],
    /// As in [`super::span::GradientSums`].
    gradient: Option<&'a [f32]>,
    gate: Gate<'a, &'a [f32]>,
    passed: Option<&'a mut [MaybeUninit<f32>]>,
    sums: &'a mut [f32],
    products: &'a mut [f32],
}

impl Kernel for AddGradients<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside all, which are equally long, and a room that is read from
        // holds numbers.
        unsafe {
            let mut passed = self.passed;
            for at in (0..self.x.len()).step_by(S::LANES) {
                let centre = S::load_part(self.centre, at);
                let distance = S::subtract(S::load_part(self.x, at), centre);
                let gradient = gradient_at::<S>(self.gradient, passed.as_deref(), at);
                let gradient = self.gate.passed::<S>(at, distance, gradient);
                if let Some(passed) = &mut passed {
                    S::store_part(passed, at, gradient);
                }
                let sum = S::add(S::load_part(self.sums, at), gradient);
                S::store_part(as_room(self.sums), at, sum);
                let product = S::load_part(self.products, at);
                let product = S::multiply_add(gradient, distance, product);
                S::store_part(as_room(self.products), at, product);
            }
        }
    }
}
