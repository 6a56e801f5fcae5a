//! The gradient.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{Sizes, scores::gradients};
use crate::{
    product::{
        Matrix,
        block::multiply_block,
        pack::{pack, packed_len},
        tile::TILE_ROWS,
    },
    scratch::with_scratch,
    simd::{self, Kernel, Simd, as_room, dispatch},
};

/// Most queries whose scores are worked through at once: with those of a few hundred tokens they
/// stay in the second-level cache.
const MOST_QUERIES: usize = 20 * TILE_ROWS;

/// What the forward pass read and gave, and the gradient of its output.
#[derive(Clone, Copy)]
pub(crate) struct Saved<'a> {
    /// `[B, N, 3D]`.
    pub qkv: &'a [f32],
    /// `[B, N, D]`.
    pub output: &'a [f32],
    /// `[B, N, heads]`.
    pub logarithms: &'a [f32],
    /// `[B, N, D]`.
    pub gradient: &'a [f32],
}

/// The gradient with respect to `qkv`, `[B, N, 3D]`.
///
/// With P the probabilities of a head, s the scale, and g and o the rows of the gradient and of
/// the output: dV = Pᵀ·g, dP = g·Vᵀ, dS = s·P∘(dP − g·o), dQ = dS·K, dK = dSᵀ·Q.
pub(crate) fn backward(sizes: Sizes, saved: Saved<'_>) -> Vec<f32> {
    let (tokens, width) = (sizes.tokens, sizes.width());
    let mut result = Vec::with_capacity(saved.qkv.len());
    result.spare_capacity_mut()[..saved.qkv.len()]
        .par_chunks_mut(3 * tokens * width)
        .enumerate()
        .for_each(|(image, to)| {
            let queries = block_queries(tokens);
            let lanes = simd::lanes();
            let by_token = packed_len(sizes.per_head, tokens, lanes);
            let by_number = packed_len(tokens.max(queries), sizes.per_head, lanes);
            let scores = queries * tokens.next_multiple_of(lanes);
            let panels = 2 * by_token + 3 * by_number;
            with_scratch([panels, scores, scores], |[panels, scores, slopes]| {
                dispatch(Image {
                    sizes,
                    saved: Saved {
                        qkv: of_image(saved.qkv, image, 3 * tokens * width),
                        output: of_image(saved.output, image, tokens * width),
                        logarithms: of_image(saved.logarithms, image, tokens * sizes.heads),
                        gradient: of_image(saved.gradient, image, tokens * width),
                    },
                    to,
                    panels,
                    scores,
                    slopes,
                });
            });
        });
    // SAFETY: each image's task writes the gradients of all its queries, keys and values.
    unsafe { result.set_len(saved.qkv.len()) };
    result
}

/// The numbers of one image, of which each has `count`.
fn of_image(of: &[f32], image: usize, count: usize) -> &[f32] {
    &of[image * count..(image + 1) * count]
}

/// Queries of a block, so that all blocks of an image are about equally large.
fn block_queries(tokens: usize) -> usize {
    let blocks = tokens.div_ceil(MOST_QUERIES);
    tokens.div_ceil(blocks).next_multiple_of(TILE_ROWS)
}

/// The gradient of one image.
struct Image<'a> {
    sizes: Sizes,
    saved: Saved<'a>,
    /// `[N, 3D]`.
    to: &'a mut [MaybeUninit<f32>],
    panels: &'a mut [f32],
    scores: &'a mut [f32],
    slopes: &'a mut [f32],
}

impl Kernel for Image<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; panels are packed before they are read, and the
        // gradients of keys and values are written by the first block before others add to them.
        unsafe {
            let Sizes {
                tokens,
                heads,
                per_head,
                ..
            } = self.sizes;
            let (width, scale) = (self.sizes.width(), self.sizes.scale());
            let row = tokens.next_multiple_of(S::LANES);
            let most = block_queries(tokens);
            let by_token = packed_len(per_head, tokens, S::LANES);
            let by_number = packed_len(tokens.max(most), per_head, S::LANES);
            let (keys_by_token, rest) = self.panels.split_at_mut(by_token);
            let (values_by_token, rest) = rest.split_at_mut(by_token);
            let (keys, rest) = rest.split_at_mut(by_number);
            let (queries, gradients_of_block) = rest.split_at_mut(by_number);
            for head in 0..heads {
                let at = head * per_head;
                let part = |which: usize| {
                    let from = &self.saved.qkv[which * width + at..];
                    Matrix::with_stride(from, tokens, per_head, 3 * width)
                };
                let gradient =
                    Matrix::with_stride(&self.saved.gradient[at..], tokens, per_head, width);
                let output = Matrix::with_stride(&self.saved.output[at..], tokens, per_head, width);
                pack::<S>(part(1).transposed(), keys_by_token);
                pack::<S>(part(2).transposed(), values_by_token);
                pack::<S>(part(1), keys);
                for first in (0..tokens).step_by(most) {
                    let count = most.min(tokens - first);
                    let block = part(0).some_rows(first, count);
                    let gradient = gradient.some_rows(first, count);
                    let output = output.some_rows(first, count);
                    let scores = &mut self.scores[..count * row];
                    let slopes = &mut self.slopes[..count * row];
                    multiply_block::<S>(block, keys_by_token, tokens, false, as_room(scores), row);
                    multiply_block::<S>(
                        gradient,
                        values_by_token,
                        tokens,
                        false,
                        as_room(slopes),
                        row,
                    );
                    let rows = scores
                        .chunks_exact_mut(row)
                        .zip(slopes.chunks_exact_mut(row));
                    for (i, (scores, slopes)) in rows.enumerate() {
                        scores[tokens..].fill(0.0);
                        slopes[tokens..].fill(0.0);
                        let mean = dot::<S>(gradient.row(i), output.row(i));
                        let logarithm = self.saved.logarithms[(first + i) * heads + head];
                        gradients::<S>(scores, slopes, scale, logarithm, mean);
                    }
                    let probabilities = Matrix::with_stride(scores, count, tokens, row);
                    let slopes = Matrix::with_stride(slopes, count, tokens, row);
                    let stride = 3 * width;
                    let to = &mut self.to[first * stride + at..];
                    multiply_block::<S>(slopes, keys, per_head, false, to, stride);
                    pack::<S>(block, queries);
                    let to = &mut self.to[width + at..];
                    let held = first > 0;
                    multiply_block::<S>(slopes.transposed(), queries, per_head, held, to, stride);
                    pack::<S>(gradient, gradients_of_block);
                    let to = &mut self.to[2 * width + at..];
                    multiply_block::<S>(
                        probabilities.transposed(),
                        gradients_of_block,
                        per_head,
                        held,
                        to,
                        stride,
                    );
                }
            }
        }
    }
}

/// Σ aᵢ·bᵢ of two equally long rows.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn dot<S: Simd>(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: as this function's own; `at` stays inside both.
    unsafe {
        let mut sum = S::splat(0.0);
        for at in (0..a.len()).step_by(S::LANES) {
            sum = S::multiply_add(S::load_part(a, at), S::load_part(b, at), sum);
        }
        S::sum(sum)
    }
}
