//! The kernels: some tokens at a time, whose inner numbers stay in the cache.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::{
    activation::{Activation, gelu_and_slope},
    product::{Finish, FinishedTile, Matrix, Onto, Rows, block_of, packed, tile::TILE_ROWS},
    scratch::with_scratch,
    simd::{Kernel, Simd, as_room, dispatch},
};

/// Inner numbers of the tokens of a task, 384 KiB: beside panels they stay in the second-level cache.
const MOST_INNER: usize = 96 * 1024;
/// Least tokens of a task: panels come from farther away than the second-level cache, each once for all
/// tokens of a task.
const LEAST_TOKENS: usize = 8 * TILE_ROWS;

/// Both maps.
#[derive(Clone, Copy)]
pub(crate) struct Maps<'a> {
    /// `[I, F]`.
    pub first: Matrix<'a>,
    pub first_bias: &'a [f32],
    /// `[F, O]`.
    pub second: Matrix<'a>,
    pub second_bias: &'a [f32],
}

/// What becomes of the tokens `x` `[M, I]`, `[M, O]`, and what the unit was given, `[M, F]`, where that is
/// `kept`, else nothing.
pub(crate) fn forward(
    x: Matrix<'_>,
    maps: Maps<'_>,
    onto: Onto<'_>,
    kept: bool,
) -> (Vec<f32>, Vec<f32>) {
    let (tokens, inner, outputs) = (x.rows, maps.first.columns, maps.second.columns);
    let mut output = Vec::with_capacity(tokens * outputs);
    let of_given = if kept { inner } else { 0 };
    let mut given = Vec::with_capacity(tokens * of_given);
    if tokens * outputs == 0 {
        return (output, vec![0.0; tokens * of_given]);
    }
    let [first, second] = [maps.first, maps.second].map(packed);
    let most = (MOST_INNER / inner.max(1)).max(LEAST_TOKENS) / TILE_ROWS * TILE_ROWS;
    let block = block_of(tokens, x.columns).min(most);
    let mut rest = &mut given.spare_capacity_mut()[..tokens * of_given];
    let tasks: Vec<_> = output.spare_capacity_mut()[..tokens * outputs]
        .chunks_mut(block * outputs)
        .enumerate()
        .map(|(index, output)| {
            let count = output.len() / outputs;
            let (given, behind) = std::mem::take(&mut rest).split_at_mut(count * of_given);
            rest = behind;
            (index * block, count, output, given)
        })
        .collect();
    tasks
        .into_par_iter()
        .for_each(|(start, count, output, given)| {
            with_scratch([count * inner, 0, 0], |[activated, _, _]| {
                dispatch(Forward {
                    first: Rows {
                        left: x.some_rows(start, count),
                        panels: &first,
                        bias: Some(maps.first_bias),
                        columns: inner,
                    },
                    second: &second,
                    second_bias: maps.second_bias,
                    onto: onto.part(start * outputs, output.len(), outputs),
                    given: kept.then_some(given),
                    activated,
                    output,
                });
            });
        });
    // SAFETY: the tasks cover all tokens, and each writes all outputs of its tokens, and all that the unit
    // is given where there is room for that.
    unsafe {
        output.set_len(tokens * outputs);
        given.set_len(tokens * of_given);
    }
    (output, given)
}

/// Some tokens.
struct Forward<'a> {
    first: Rows<'a>,
    second: &'a [f32],
    second_bias: &'a [f32],
    onto: Onto<'a>,
    given: Option<&'a mut [MaybeUninit<f32>]>,
    /// `[tokens, F]`.
    activated: &'a mut [f32],
    output: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: as this function's own; all that is activated is written before it is read.
        unsafe {
            let (tokens, inner) = (self.first.left.rows, self.first.columns);
            match self.given {
                Some(given) => {
                    let mut beside = ActivatedBeside(as_room(self.activated));
                    self.first.multiply::<S, _>(given, &mut beside);
                }
                None => {
                    let room = as_room(self.activated);
                    self.first.multiply::<S, _>(room, &mut Activated);
                }
            }
            let second = Rows {
                left: Matrix::new(self.activated, tokens, inner),
                panels: self.second,
                bias: Some(self.second_bias),
                columns: self.output.len() / tokens,
            };
            second.multiply::<S, _>(self.output, &mut self.onto);
        }
    }
}

/// The unit in place.
struct Activated;

impl Finish for Activated {
    #[inline(always)]
    unsafe fn finish<S: Simd>(&mut self, tile: FinishedTile<'_>) {
        // SAFETY: as this function's own.
        unsafe {
            for row in tile.rows {
                let start = row * tile.stride + tile.columns.start;
                let numbers = &mut tile.numbers[start..start + tile.columns.len()];
                for at in (0..numbers.len()).step_by(S::LANES) {
                    let given = S::load_part(numbers.assume_init_ref(), at);
                    S::store_part(numbers, at, Activation::Gelu.of::<S>(given));
                }
            }
        }
    }
}

/// What the unit gives, at the same places of another matrix.
struct ActivatedBeside<'a>(&'a mut [MaybeUninit<f32>]);

impl Finish for ActivatedBeside<'_> {
    #[inline(always)]
    unsafe fn finish<S: Simd>(&mut self, tile: FinishedTile<'_>) {
        // SAFETY: as this function's own.
        unsafe {
            for row in tile.rows {
                let start = row * tile.stride + tile.columns.start;
                let given = tile.numbers[start..start + tile.columns.len()].assume_init_ref();
                let to = &mut self.0[start..start + given.len()];
                for at in (0..given.len()).step_by(S::LANES) {
                    let given = S::load_part(given, at);
                    S::store_part(to, at, Activation::Gelu.of::<S>(given));
                }
            }
        }
    }
}

/// The gradient of what the unit was given, `[M, F]`, of that of the output, `gradient` `[M, O]`; and what
/// the unit gave, `[M, F]`. `second` is the second map's weight, `[O, F]`.
pub(crate) fn backward(
    gradient: Matrix<'_>,
    second: Matrix<'_>,
    given: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let (tokens, inner) = (gradient.rows, second.columns);
    let count = tokens * inner;
    let [mut slopes, mut activated] = [0, 1].map(|_| Vec::with_capacity(count));
    if count == 0 {
        return (slopes, activated);
    }
    let panels = packed(second);
    let block = block_of(tokens, gradient.columns);
    slopes.spare_capacity_mut()[..count]
        .par_chunks_mut(block * inner)
        .zip(activated.spare_capacity_mut()[..count].par_chunks_mut(block * inner))
        .zip(given.par_chunks(block * inner))
        .enumerate()
        .for_each(|(index, ((slopes, activated), given))| {
            dispatch(Backward {
                rows: Rows {
                    left: gradient.some_rows(index * block, slopes.len() / inner),
                    panels: &panels,
                    bias: None,
                    columns: inner,
                },
                slopes,
                unit: Derivative { given, activated },
            });
        });
    // SAFETY: the tasks cover all tokens, and each writes both of all inner numbers of its tokens.
    unsafe {
        slopes.set_len(count);
        activated.set_len(count);
    }
    (slopes, activated)
}

/// Some tokens' gradients.
struct Backward<'a> {
    rows: Rows<'a>,
    slopes: &'a mut [MaybeUninit<f32>],
    unit: Derivative<'a>,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: as this function's own.
        unsafe { self.rows.multiply::<S, _>(self.slopes, &mut self.unit) };
    }
}

/// Gradients of what the unit gave to those of what it was given, and what it gave.
struct Derivative<'a> {
    given: &'a [f32],
    activated: &'a mut [MaybeUninit<f32>],
}

impl Finish for Derivative<'_> {
    #[inline(always)]
    unsafe fn finish<S: Simd>(&mut self, tile: FinishedTile<'_>) {
        // SAFETY: as this function's own; what was given and what is activated are as long as the rows.
        unsafe {
            for row in tile.rows {
                let start = row * tile.stride + tile.columns.start;
                let place = start..start + tile.columns.len();
                let given = &self.given[place.clone()];
                let activated = &mut self.activated[place.clone()];
                let numbers = &mut tile.numbers[place];
                for at in (0..given.len()).step_by(S::LANES) {
                    let [output, slope] = gelu_and_slope::<S>(S::load_part(given, at));
                    let gradient = S::load_part(numbers.assume_init_ref(), at);
                    S::store_part(numbers, at, S::multiply(gradient, slope));
                    S::store_part(activated, at, output);
                }
            }
        }
    }
}
