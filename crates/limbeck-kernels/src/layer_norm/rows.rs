//! The kernels: one pass over memory each way, a row at a time.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::simd::{Kernel, Simd, as_room, dispatch};

/// Rows that one task handles, and whose share of the weight's gradient is summed in one chain.
const ROWS: usize = 64;

/// Output `[rows, D]`, and mean and 1/√(variance + ε) of each row.
pub(crate) struct Normalised {
    pub output: Vec<f32>,
    pub mean: Vec<f32>,
    pub scale: Vec<f32>,
}

/// Normalises the rows of `x`, each as long as `weight` and `bias`.
pub(crate) fn forward(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) -> Normalised {
    let width = weight.len();
    let rows = x.len() / width;
    let mut output = Vec::with_capacity(x.len());
    let (mut mean, mut scale) = (vec![0.0; rows], vec![0.0; rows]);
    output.spare_capacity_mut()[..x.len()]
        .par_chunks_mut(ROWS * width)
        .zip(x.par_chunks(ROWS * width))
        .zip(mean.par_chunks_mut(ROWS))
        .zip(scale.par_chunks_mut(ROWS))
        .for_each(|(((output, x), mean), scale)| {
            dispatch(Forward {
                x,
                weight,
                bias,
                epsilon,
                output,
                mean,
                scale,
            });
        });
    // SAFETY: the tasks cover all rows and write all numbers of theirs.
    unsafe { output.set_len(x.len()) };
    Normalised {
        output,
        mean,
        scale,
    }
}

/// Gradients with respect to the input `[rows, D]`, weight and bias `[D]`.
///
/// With g the gradient of the output, x̂ the normalised row and s its 1/√(σ² + ε): db = Σ g,
/// dw = Σ g·x̂ over rows, dx = s·(g·w − mean(g·w) − x̂·mean(g·w·x̂)) in each row.
pub(crate) fn backward(
    x: &[f32],
    weight: &[f32],
    mean: &[f32],
    scale: &[f32],
    gradient: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let width = weight.len();
    let mut dx = Vec::with_capacity(x.len());
    let tasks = mean.len().div_ceil(ROWS);
    let mut sums = vec![0.0; tasks * 2 * width];
    dx.spare_capacity_mut()[..x.len()]
        .par_chunks_mut(ROWS * width)
        .zip(x.par_chunks(ROWS * width))
        .zip(gradient.par_chunks(ROWS * width))
        .zip(mean.par_chunks(ROWS))
        .zip(scale.par_chunks(ROWS))
        .zip(sums.par_chunks_mut(2 * width))
        .for_each(|(((((dx, x), gradient), mean), scale), sums)| {
            let (dw, db) = sums.split_at_mut(width);
            dispatch(InputGradient {
                x,
                weight,
                mean,
                scale,
                gradient,
                dx,
                dw,
                db,
            });
        });
    // SAFETY: the tasks cover all rows and write all numbers of theirs.
    unsafe { dx.set_len(x.len()) };
    let mut total = vec![0.0; 2 * width];
    for sums in sums.chunks_exact(2 * width) {
        for (total, sum) in total.iter_mut().zip(sums) {
            *total += sum;
        }
    }
    let bias = total.split_off(width);
    (dx, total, bias)
}

struct Forward<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
    output: &'a mut [MaybeUninit<f32>],
    mean: &'a mut [f32],
    scale: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside the row, the weight and the bias, which
        // are equally long.
        unsafe {
            let width = self.weight.len();
            let rows = self
                .x
                .chunks_exact(width)
                .zip(self.output.chunks_exact_mut(width));
            let statistics = self.mean.iter_mut().zip(self.scale);
            for ((x, y), (mean, scale)) in rows.zip(statistics) {
                let mut sum = S::splat(0.0);
                for at in (0..width).step_by(S::LANES) {
                    sum = S::add(sum, S::load_part(x, at));
                }
                *mean = S::sum(sum) / width as f32;
                let centre = S::splat(*mean);
                let mut squares = S::splat(0.0);
                let whole = width / S::LANES * S::LANES;
                for at in (0..whole).step_by(S::LANES) {
                    let distance = S::subtract(S::load_part(x, at), centre);
                    squares = S::multiply_add(distance, distance, squares);
                }
                let mut squares = S::sum(squares);
                for x in &x[whole..] {
                    squares += (x - *mean) * (x - *mean);
                }
                *scale = 1.0 / (squares / width as f32 + self.epsilon).sqrt();
                let factor = S::splat(*scale);
                for at in (0..width).step_by(S::LANES) {
                    let normal = S::multiply(S::subtract(S::load_part(x, at), centre), factor);
                    let weight = S::load_part(self.weight, at);
                    let bias = S::load_part(self.bias, at);
                    S::store_part(y, at, S::multiply_add(normal, weight, bias));
                }
            }
        }
    }
}

struct InputGradient<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    mean: &'a [f32],
    scale: &'a [f32],
    gradient: &'a [f32],
    dx: &'a mut [MaybeUninit<f32>],
    dw: &'a mut [f32],
    db: &'a mut [f32],
}

impl Kernel for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside rows, weight and sums, which are
        // equally long. Numbers read behind a row's end are multiplied by a gradient of 0.
        unsafe {
            let width = self.weight.len();
            let (dw, db) = (as_room(self.dw), as_room(self.db));
            let inputs = self
                .x
                .chunks_exact(width)
                .zip(self.gradient.chunks_exact(width));
            let rows = inputs.zip(self.dx.chunks_exact_mut(width));
            let statistics = self.mean.iter().zip(self.scale);
            for (((x, gradient), dx), (mean, scale)) in rows.zip(statistics) {
                let (centre, factor) = (S::splat(*mean), S::splat(*scale));
                let (mut sum, mut product) = (S::splat(0.0), S::splat(0.0));
                for at in (0..width).step_by(S::LANES) {
                    let g = S::load_part(gradient, at);
                    let normal = S::multiply(S::subtract(S::load_part(x, at), centre), factor);
                    let held = S::load_part(db.assume_init_ref(), at);
                    S::store_part(db, at, S::add(held, g));
                    let held = S::load_part(dw.assume_init_ref(), at);
                    S::store_part(dw, at, S::multiply_add(g, normal, held));
                    let g = S::multiply(g, S::load_part(self.weight, at));
                    sum = S::add(sum, g);
                    product = S::multiply_add(g, normal, product);
                }
                let shift = S::splat(-S::sum(sum) / width as f32);
                let slope = S::splat(-S::sum(product) / width as f32);
                for at in (0..width).step_by(S::LANES) {
                    let g = S::load_part(gradient, at);
                    let normal = S::multiply(S::subtract(S::load_part(x, at), centre), factor);
                    // Rounded as in the sums above, so that what cancels does so exactly.
                    let g = S::multiply(g, S::load_part(self.weight, at));
                    let g = S::add(g, shift);
                    let g = S::multiply_add(normal, slope, g);
                    S::store_part(dx, at, S::multiply(g, factor));
                }
            }
        }
    }
}
