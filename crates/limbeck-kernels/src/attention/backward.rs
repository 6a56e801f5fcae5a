//! The gradient.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{Read, Sizes, scores::gradients};
use crate::{
    product::{
        Matrix,
        block::multiply_block,
        pack::{pack, packed_len},
        tile::TILE_ROWS,
    },
    scratch::with_scratch,
    simd::{self, Kernel, Simd, as_room, dispatch, prefetch},
};

/// Most queries whose scores are worked through at once: with those of a few hundred tokens they
/// stay in the second-level cache.
const MOST_QUERIES: usize = 20 * TILE_ROWS;

/// What the forward pass read and gave, and the gradient of its output.
#[derive(Clone, Copy)]
pub(crate) struct Saved<'a> {
    /// Queries, keys and values.
    pub read: Read<'a>,
    /// `[B, N, D]`.
    pub output: &'a [f32],
    /// `[B, N, heads]`.
    pub logarithms: &'a [f32],
    /// `[B, N, D]`.
    pub gradient: &'a [f32],
}

/// The gradient with respect to queries, keys and values side by side, `[B, N, 3D]`.
///
/// With P the probabilities of a head, s the scale, and g and o the rows of the gradient and of
/// the output: dV = Pᵀ·g, dP = g·Vᵀ, dS = s·P∘(dP − g·o), dQ = dS·K, dK = dSᵀ·Q.
pub(crate) fn backward_joined(sizes: Sizes, saved: Saved<'_>) -> Vec<f32> {
    let of_one = 3 * sizes.tokens * sizes.width();
    let count = sizes.batch * of_one;
    let mut result = Vec::with_capacity(count);
    result.spare_capacity_mut()[..count]
        .par_chunks_mut(of_one)
        .enumerate()
        .for_each(|(image, to)| backward_of_image(sizes, saved, image, To::Joined(to)));
    // SAFETY: each image's task writes the gradients of all its queries, keys and values.
    unsafe { result.set_len(count) };
    result
}

/// The gradients with respect to queries, `[B, N, D]`, and to keys and values, `[B, K, 2D]`.
pub(crate) fn backward_apart(sizes: Sizes, saved: Saved<'_>) -> [Vec<f32>; 2] {
    let of_one = [sizes.tokens * sizes.width(), 2 * sizes.keys * sizes.width()];
    let counts = of_one.map(|count| sizes.batch * count);
    let [mut queries, mut keys] = counts.map(Vec::with_capacity);
    queries.spare_capacity_mut()[..counts[0]]
        .par_chunks_mut(of_one[0])
        .zip(keys.spare_capacity_mut()[..counts[1]].par_chunks_mut(of_one[1]))
        .enumerate()
        .for_each(|(image, (queries, keys))| {
            backward_of_image(sizes, saved, image, To::Apart { queries, keys });
        });
    // SAFETY: each image's task writes the gradients of all its queries, keys and values.
    unsafe {
        queries.set_len(counts[0]);
        keys.set_len(counts[1]);
    }
    [queries, keys]
}

fn backward_of_image(sizes: Sizes, saved: Saved<'_>, image: usize, to: To<'_>) {
    let (tokens, width) = (sizes.tokens, sizes.width());
    let queries = block_queries(tokens);
    let lanes = simd::lanes();
    let by_token = packed_len(sizes.per_head, sizes.keys, lanes);
    let of_keys = packed_len(sizes.keys, sizes.per_head, lanes);
    let of_block = packed_len(queries, sizes.per_head, lanes);
    let scores = queries * sizes.keys.next_multiple_of(lanes);
    let panels = 2 * by_token + of_keys + 2 * of_block;
    with_scratch([panels, scores, scores], |[panels, scores, slopes]| {
        dispatch(Image {
            sizes,
            saved: Saved {
                read: saved.read.of_image(image, sizes),
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
}

/// Where the gradients of an image go.
enum To<'a> {
    /// `[N, 3D]`.
    Joined(&'a mut [MaybeUninit<f32>]),
    /// `[N, D]` and `[K, 2D]`.
    Apart {
        queries: &'a mut [MaybeUninit<f32>],
        keys: &'a mut [MaybeUninit<f32>],
    },
}

impl To<'_> {
    /// From the first query's gradient on, and the distance to the next one's.
    fn queries(&mut self, width: usize) -> (&mut [MaybeUninit<f32>], usize) {
        match self {
            To::Joined(to) => (to, 3 * width),
            To::Apart { queries, .. } => (queries, width),
        }
    }

    /// From the first key's gradient on, and the distance to the next one's; values lie a width
    /// behind.
    fn keys(&mut self, width: usize) -> (&mut [MaybeUninit<f32>], usize) {
        match self {
            To::Joined(to) => (&mut to[width..], 3 * width),
            To::Apart { keys, .. } => (keys, 2 * width),
        }
    }
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
    to: To<'a>,
    panels: &'a mut [f32],
    scores: &'a mut [f32],
    slopes: &'a mut [f32],
}

impl Kernel for Image<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: as this function's own; panels are packed before they are read, and the
        // gradients of keys and values are written by the first block before others add to them.
        unsafe {
            let Sizes {
                tokens,
                keys: key_count,
                heads,
                per_head,
                ..
            } = self.sizes;
            let (width, scale) = (self.sizes.width(), self.sizes.scale());
            let row = key_count.next_multiple_of(S::LANES);
            let most = block_queries(tokens);
            let by_token = packed_len(per_head, key_count, S::LANES);
            let of_keys = packed_len(key_count, per_head, S::LANES);
            let of_block = packed_len(most, per_head, S::LANES);
            let (keys_by_token, rest) = self.panels.split_at_mut(by_token);
            let (values_by_token, rest) = rest.split_at_mut(by_token);
            let (keys, rest) = rest.split_at_mut(of_keys);
            let (queries, gradients_of_block) = rest.split_at_mut(of_block);
            for head in 0..heads {
                let at = head * per_head;
                let read = self.saved.read;
                let all_queries = read.queries(head, self.sizes);
                let all_keys = read.keys(head, self.sizes);
                let all_values = read.values(head, self.sizes);
                let gradient =
                    Matrix::with_stride(&self.saved.gradient[at..], tokens, per_head, width);
                let output = Matrix::with_stride(&self.saved.output[at..], tokens, per_head, width);
                pack::<S>(all_keys.transposed(), as_room(keys_by_token));
                pack::<S>(all_values.transposed(), as_room(values_by_token));
                pack::<S>(all_keys, as_room(keys));
                for first in (0..tokens).step_by(most) {
                    let count = most.min(tokens - first);
                    let block = all_queries.some_rows(first, count);
                    let gradient = gradient.some_rows(first, count);
                    let output = output.some_rows(first, count);
                    let scores = &mut self.scores[..count * row];
                    let slopes = &mut self.slopes[..count * row];
                    multiply_block::<S>(
                        block,
                        keys_by_token,
                        key_count,
                        false,
                        as_room(scores),
                        row,
                    );
                    multiply_block::<S>(
                        gradient,
                        values_by_token,
                        key_count,
                        false,
                        as_room(slopes),
                        row,
                    );
                    let rows = scores
                        .chunks_exact_mut(row)
                        .zip(slopes.chunks_exact_mut(row));
                    for (i, (scores, slopes)) in rows.enumerate() {
                        scores[key_count..].fill(0.0);
                        slopes[key_count..].fill(0.0);
                        let mean = dot::<S>(gradient.row(i), output.row(i));
                        let logarithm = self.saved.logarithms[(first + i) * heads + head];
                        gradients::<S>(scores, slopes, scale, logarithm, mean);
                        read.fetch(first + i, head + 1, self.sizes);
                        if head + 1 < heads {
                            let next = (first + i) * width + at + per_head;
                            prefetch(&self.saved.gradient[next..][..per_head]);
                            prefetch(&self.saved.output[next..][..per_head]);
                        }
                    }
                    let probabilities = Matrix::with_stride(scores, count, key_count, row);
                    let slopes = Matrix::with_stride(slopes, count, key_count, row);
                    let (to, stride) = self.to.queries(width);
                    let to = &mut to[first * stride + at..];
                    multiply_block::<S>(slopes, keys, per_head, false, to, stride);
                    pack::<S>(block, as_room(queries));
                    pack::<S>(gradient, as_room(gradients_of_block));
                    let (to, stride) = self.to.keys(width);
                    let to = &mut to[at..];
                    let held = first > 0;
                    multiply_block::<S>(slopes.transposed(), queries, per_head, held, to, stride);
                    multiply_block::<S>(
                        probabilities.transposed(),
                        gradients_of_block,
                        per_head,
                        held,
                        &mut to[width..],
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
