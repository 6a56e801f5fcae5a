//! Depthwise 3×3 convolution of tokens, with channels in the lanes.
//!
//! A row of tokens is gone through from left to right with the nine neighbours in registers: three
//! new ones are read for each token that is written.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::{
    activation::Activation,
    pieces::filled,
    simd::{Kernel, Simd, as_room, dispatch},
};

/// Elements of a kernel.
const ELEMENTS: usize = 9;
/// Rows of tokens whose share of the weight's gradient is summed in one chain.
const ROWS: usize = 8;

/// Sizes of tokens.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub batch: usize,
    /// Rows and columns of tokens.
    pub grid: [usize; 2],
    pub channels: usize,
}

impl Sizes {
    /// Numbers of a row of tokens.
    fn row(&self) -> usize {
        self.grid[1] * self.channels
    }
}

/// `x` `[B, rows·columns, C]`, `weight` `[C, 9]` and `bias` `[C]` → the shape of `x`, activated.
pub(crate) fn forward(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    sizes: Sizes,
    activation: Activation,
) -> Vec<f32> {
    let weight = by_element(weight, |element| element);
    correlate(x, &weight, bias, sizes, activation)
}

/// The gradient with respect to the tokens: the correlation of the output's with the kernel turned
/// about.
pub(crate) fn input_gradient(gradient: &[f32], weight: &[f32], sizes: Sizes) -> Vec<f32> {
    let weight = by_element(weight, |element| ELEMENTS - 1 - element);
    let bias = vec![0.0; sizes.channels];
    correlate(gradient, &weight, &bias, sizes, Activation::Identity)
}

/// `[C, 9]` → `[9, C]`, of which element `e` is `source(e)` of the kernel.
fn by_element(weight: &[f32], source: impl Fn(usize) -> usize) -> Vec<f32> {
    let channels = weight.len() / ELEMENTS;
    let places = (0..ELEMENTS).flat_map(|element| (0..channels).map(move |c| (c, element)));
    places
        .map(|(channel, element)| weight[channel * ELEMENTS + source(element)])
        .collect()
}

/// `weight` `[9, C]`.
fn correlate(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    sizes: Sizes,
    activation: Activation,
) -> Vec<f32> {
    let rows = sizes.grid[0];
    let nothing = vec![0.0; sizes.row()];
    // SAFETY: the kernel writes all channels of all tokens of its row.
    unsafe {
        filled(sizes.batch * rows, sizes.row(), |piece, to| {
            let (image, row) = (piece / rows, piece % rows);
            dispatch(Row {
                sources: Image::new(x, image, sizes).around(row, &nothing),
                weight,
                bias,
                channels: sizes.channels,
                activation,
                to,
            });
        })
    }
}

/// The tokens of one image, `[rows, columns·C]`.
#[derive(Clone, Copy)]
struct Image<'a> {
    numbers: &'a [f32],
    sizes: Sizes,
}

impl<'a> Image<'a> {
    fn new(x: &'a [f32], image: usize, sizes: Sizes) -> Self {
        let size = sizes.grid[0] * sizes.row();
        Self {
            numbers: &x[image * size..][..size],
            sizes,
        }
    }

    fn row(&self, row: usize) -> &'a [f32] {
        &self.numbers[row * self.sizes.row()..][..self.sizes.row()]
    }

    /// The row above, the row itself, the one below; `nothing` where there is none.
    fn around(&self, row: usize, nothing: &'a [f32]) -> [&'a [f32]; 3] {
        [
            row.checked_sub(1).map_or(nothing, |above| self.row(above)),
            self.row(row),
            match row + 1 < self.sizes.grid[0] {
                true => self.row(row + 1),
                false => nothing,
            },
        ]
    }
}

/// The neighbours of a token, some channels of each: `[column][row]`.
struct Neighbours<'a, S: Simd> {
    sources: [&'a [f32]; 3],
    channels: usize,
    /// The first of the channels.
    first: usize,
    /// Left, middle, right.
    columns: [[S::Vector; 3]; 3],
}

impl<'a, S: Simd> Neighbours<'a, S> {
    /// Of the place before the first token.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    unsafe fn new(sources: [&'a [f32]; 3], channels: usize, first: usize) -> Self {
        // SAFETY: as this function's own.
        unsafe {
            let mut neighbours = Self {
                sources,
                channels,
                first,
                columns: [[S::splat(0.0); 3]; 3],
            };
            neighbours.columns[2] = neighbours.column(0);
            neighbours
        }
    }

    /// Goes on to `token`, the one after the last.
    ///
    /// # Safety
    /// As [`Neighbours::new`].
    #[inline(always)]
    unsafe fn advance(&mut self, token: usize) {
        let [_, middle, right] = self.columns;
        // SAFETY: as this function's own.
        self.columns = [middle, right, unsafe { self.column(token + 1) }];
    }

    /// Zeros where there is no such token.
    ///
    /// # Safety
    /// As [`Neighbours::new`].
    #[inline(always)]
    unsafe fn column(&self, token: usize) -> [S::Vector; 3] {
        let at = token * self.channels + self.first;
        // SAFETY: as this function's own. A vector that reaches into the next token's channels is
        // used as far as the token's own go.
        unsafe {
            if at >= self.sources[0].len() {
                return [S::splat(0.0); 3];
            }
            let [above, own, below] = self.sources;
            [
                S::load_part(above, at),
                S::load_part(own, at),
                S::load_part(below, at),
            ]
        }
    }
}

/// One row of the output.
struct Row<'a> {
    /// `[columns, C]` each.
    sources: [&'a [f32]; 3],
    /// `[9, C]`.
    weight: &'a [f32],
    bias: &'a [f32],
    channels: usize,
    activation: Activation,
    /// `[columns, C]`.
    to: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.channels;
        for first in (0..channels).step_by(S::LANES) {
            // SAFETY: as this function's own; what is stored ends with the token's channels.
            unsafe {
                let mut weight = [S::splat(0.0); ELEMENTS];
                for (element, weight) in weight.iter_mut().enumerate() {
                    *weight = S::load_part(&self.weight[element * channels..][..channels], first);
                }
                let bias = S::load_part(self.bias, first);
                let mut neighbours = Neighbours::<S>::new(self.sources, channels, first);
                for (token, to) in self.to.chunks_exact_mut(channels).enumerate() {
                    neighbours.advance(token);
                    // A chain of sums for each row: one alone would wait for each product.
                    let mut sums = [bias, S::splat(0.0), S::splat(0.0)];
                    for row in 0..3 {
                        for column in 0..3 {
                            sums[row] = S::multiply_add(
                                weight[3 * row + column],
                                neighbours.columns[column][row],
                                sums[row],
                            );
                        }
                    }
                    let sum = S::add(sums[0], S::add(sums[1], sums[2]));
                    S::store_part(to, first, self.activation.of::<S>(sum));
                }
            }
        }
    }
}

/// The gradients with respect to the weight, `[C, 9]`, and to the bias, `[C]`.
pub(crate) fn weight_gradient(x: &[f32], gradient: &[f32], sizes: Sizes) -> [Vec<f32>; 2] {
    let (channels, rows) = (sizes.channels, sizes.grid[0]);
    let parts = rows.div_ceil(ROWS);
    let length = (ELEMENTS + 1) * channels;
    let mut sums = vec![0.0; sizes.batch * parts * length];
    let nothing = vec![0.0; sizes.row()];
    sums.par_chunks_mut(length)
        .enumerate()
        .for_each(|(index, sums)| {
            let (image, part) = (index / parts, index % parts);
            dispatch(Share {
                x: Image::new(x, image, sizes),
                gradient: Image::new(gradient, image, sizes),
                rows: [part * ROWS, rows.min((part + 1) * ROWS)],
                nothing: &nothing,
                sums,
            });
        });
    let mut total = vec![0.0; length];
    for sums in sums.chunks_exact(length) {
        for (total, sum) in total.iter_mut().zip(sums) {
            *total += sum;
        }
    }
    let bias = total.split_off(ELEMENTS * channels);
    let weight = (0..channels)
        .flat_map(|channel| (0..ELEMENTS).map(move |element| (channel, element)))
        .map(|(channel, element)| total[element * channels + channel])
        .collect();
    [weight, bias]
}

/// What some rows of one image add to the gradients.
struct Share<'a> {
    x: Image<'a>,
    gradient: Image<'a>,
    /// First row, and the one behind the last.
    rows: [usize; 2],
    nothing: &'a [f32],
    /// `[9 + 1, C]`.
    sums: &'a mut [f32],
}

impl Kernel for Share<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.x.sizes.channels;
        for first in (0..channels).step_by(S::LANES) {
            // SAFETY: as this function's own; what is stored ends with the channels.
            unsafe {
                let mut sums = [S::splat(0.0); ELEMENTS + 1];
                for row in self.rows[0]..self.rows[1] {
                    let sources = self.x.around(row, self.nothing);
                    let mut neighbours = Neighbours::<S>::new(sources, channels, first);
                    let gradients = self.gradient.row(row).chunks_exact(channels);
                    for (token, gradient) in gradients.enumerate() {
                        neighbours.advance(token);
                        let gradient = S::load_part(gradient, first);
                        for element in 0..ELEMENTS {
                            sums[element] = S::multiply_add(
                                gradient,
                                neighbours.columns[element % 3][element / 3],
                                sums[element],
                            );
                        }
                        sums[ELEMENTS] = S::add(sums[ELEMENTS], gradient);
                    }
                }
                for (element, sum) in sums.into_iter().enumerate() {
                    let to = &mut self.sums[element * channels..][..channels];
                    S::store_part(as_room(to), first, sum);
                }
            }
        }
    }
}
