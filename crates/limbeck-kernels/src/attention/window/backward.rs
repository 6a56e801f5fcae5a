//! The gradient.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    Sizes,
    bands::{Band, gather, runs},
    forward::{block_queries, padded},
    scores::{Added, gradients},
    seam::Masks,
};
use crate::{
    pieces::filled,
    product::{
        Matrix,
        block::multiply_block,
        pack::{pack, packed_len},
        tile::TILE_ROWS,
    },
    scratch::with_scratch,
    simd::{self, Kernel, Simd, as_room, dispatch},
};

/// Most queries whose scores are worked through at once.
const MOST_QUERIES: usize = 20 * TILE_ROWS;
/// Most parts in which the bias's gradient is summed, each by one thread at a time.
const MOST_PARTS: usize = 64;
/// Most numbers of all those sums together: 64 MiB.
const MOST_SUMMED: usize = 1 << 24;

/// What the forward pass read and gave, and the gradient of its output.
#[derive(Clone, Copy)]
pub(crate) struct Saved<'a> {
    /// `[B, N, 3D]`.
    pub qkv: &'a [f32],
    /// `[heads, T, T]`.
    pub bias: &'a [f32],
    /// `[B, N, heads]`.
    pub logarithms: &'a [f32],
    /// `[B, N, D]`.
    pub gradient: &'a [f32],
}

/// The gradients with respect to queries, keys and values `[B, N, 3D]`, and to the bias `[heads, T, T]`.
///
/// With P the probabilities of a head in a window, s the scale, and g the rows of the gradient: dV = Pᵀ·g,
/// dP = g·Vᵀ, dS = P∘(dP − Σ P∘dP), dQ = s·dS·K, dK = s·dSᵀ·Q; the bias has the sum of dS over windows
/// and images.
pub(crate) fn backward(sizes: Sizes, saved: Saved<'_>) -> [Vec<f32>; 2] {
    let (tokens, width) = (sizes.all_tokens(), sizes.width());
    let count = sizes.batch * tokens * 3 * width;
    let mut result = Vec::with_capacity(count);
    let keys = sizes.windows.tokens();
    let row = keys.next_multiple_of(simd::lanes());
    let (bias, masks) = (
        padded(sizes, saved.bias, row),
        Masks::new(sizes.windows, row),
    );
    let mut bands: Vec<(usize, usize, Band<'_, MaybeUninit<f32>>)> = result.spare_capacity_mut()
        [..count]
        .chunks_mut(tokens * 3 * width)
        .enumerate()
        .flat_map(|(image, to)| {
            let bands = Band::all(to, sizes.windows).into_iter().enumerate();
            bands.map(move |(band, to)| (image, band, to))
        })
        .collect();
    // The shapes alone decide what is summed in which order, whatever threads there are.
    let of_part = sizes.heads * keys * row;
    let parts = (MOST_SUMMED / of_part).clamp(1, MOST_PARTS);
    let in_part = bands.len().div_ceil(parts);
    let parts = bands.len().div_ceil(in_part);
    let mut sums = vec![0.0; parts * of_part];
    bands
        .par_chunks_mut(in_part)
        .zip(sums.par_chunks_mut(of_part))
        .for_each(|(bands, sums)| {
            let lanes = simd::lanes();
            let queries = block_queries(keys, MOST_QUERIES);
            let by_token = packed_len(sizes.per_head, keys, lanes);
            let of_keys = packed_len(keys, sizes.per_head, lanes);
            let of_block = packed_len(queries, sizes.per_head, lanes);
            // Queries, keys and values, the gradient of the output, and theirs.
            let window = keys * 7 * width;
            let panels = 2 * by_token + of_keys + 2 * of_block;
            with_scratch(
                [window, panels, 2 * queries * row],
                |[window, panels, scores]| {
                    for (image, band, to) in bands {
                        dispatch(RowOfWindows {
                            sizes,
                            qkv: of_image(saved.qkv, *image, 3 * tokens * width),
                            bias: &bias,
                            logarithms: of_image(saved.logarithms, *image, tokens * sizes.heads),
                            gradient: of_image(saved.gradient, *image, tokens * width),
                            masks: &masks,
                            band: *band,
                            to,
                            sums,
                            window,
                            panels,
                            scores,
                        });
                    }
                },
            );
        });
    drop(bands);
    // SAFETY: the bands of all images cover all tokens, their windows too, and each writes the gradients of
    // all queries, keys and values of its tokens.
    unsafe { result.set_len(count) };
    [result, summed(sizes, &sums, row)]
}

/// The numbers of one image, of which each has `count`.
fn of_image(of: &[f32], image: usize, count: usize) -> &[f32] {
    &of[image * count..(image + 1) * count]
}

/// The sum of the parts `[parts, heads, T, row]`, one after the other: `[heads, T, T]`.
fn summed(sizes: Sizes, parts: &[f32], row: usize) -> Vec<f32> {
    let tokens = sizes.windows.tokens();
    let rows = sizes.heads * tokens;
    // SAFETY: the first part fills the room, to which the others are added.
    unsafe {
        filled(rows, tokens, |index, to| {
            let mut of_parts = parts
                .chunks_exact(rows * row)
                .map(|part| &part[index * row..]);
            match of_parts.next() {
                Some(first) => to.write_copy_of_slice(&first[..tokens]),
                None => crate::pieces::fill(to, 0.0),
            };
            let to = to.assume_init_mut();
            for part in of_parts {
                for (to, part) in to.iter_mut().zip(part) {
                    *to += part;
                }
            }
        })
    }
}

/// The gradients of the windows beside each other in one image.
struct RowOfWindows<'a, 'b> {
    sizes: Sizes,
    /// Of the image, as all that follows.
    qkv: &'a [f32],
    /// `[heads, T, row]`.
    bias: &'a [f32],
    logarithms: &'a [f32],
    gradient: &'a [f32],
    masks: &'a Masks,
    /// Number of the row.
    band: usize,
    to: &'a mut Band<'b, MaybeUninit<f32>>,
    /// `[heads, T, row]`, added to.
    sums: &'a mut [f32],
    /// What a window reads and gives, a token after the other.
    window: &'a mut [f32],
    panels: &'a mut [f32],
    scores: &'a mut [f32],
}

impl Kernel for RowOfWindows<'_, '_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; panels are packed before they are read, and the gradients of keys
        // and values are written by the first block before others add to them.
        unsafe {
            let Sizes {
                windows,
                heads,
                per_head,
                ..
            } = self.sizes;
            let (width, tokens) = (self.sizes.width(), windows.tokens());
            let (three, scale) = (3 * width, self.sizes.scale());
            let row = tokens.next_multiple_of(S::LANES);
            let most = block_queries(tokens, MOST_QUERIES);
            let (qkv, rest) = self.window.split_at_mut(tokens * three);
            let (gradient, given) = rest.split_at_mut(tokens * width);
            let by_token = packed_len(per_head, tokens, S::LANES);
            let of_keys = packed_len(tokens, per_head, S::LANES);
            let of_block = packed_len(most, per_head, S::LANES);
            let (keys_by_token, rest) = self.panels.split_at_mut(by_token);
            let (values_by_token, rest) = rest.split_at_mut(by_token);
            let (keys, rest) = rest.split_at_mut(of_keys);
            let (queries_of_block, gradients_of_block) = rest.split_at_mut(of_block);
            let (scores, slopes) = self.scores.split_at_mut(most * row);
            for beside in 0..windows.counts()[1] {
                let window = [self.band, beside];
                gather(self.qkv, three, windows, window, qkv);
                gather(self.gradient, width, windows, window, gradient);
                let mask = self.masks.of(windows.seams(window));
                for head in 0..heads {
                    let places = self.sizes.places(head);
                    let [queries, all_keys, all_values] = places
                        .map(|place| Matrix::with_stride(&qkv[place..], tokens, per_head, three));
                    let gradient =
                        Matrix::with_stride(&gradient[head * per_head..], tokens, per_head, width);
                    pack::<S>(all_keys.transposed(), as_room(keys_by_token));
                    pack::<S>(all_values.transposed(), as_room(values_by_token));
                    pack::<S>(all_keys, as_room(keys));
                    for first in (0..tokens).step_by(most) {
                        let count = most.min(tokens - first);
                        let block = queries.some_rows(first, count);
                        let gradient = gradient.some_rows(first, count);
                        let scores = &mut scores[..count * row];
                        let slopes = &mut slopes[..count * row];
                        let to = as_room(scores);
                        multiply_block::<S>(block, keys_by_token, tokens, false, to, row);
                        let to = as_room(slopes);
                        multiply_block::<S>(gradient, values_by_token, tokens, false, to, row);
                        let rows = scores
                            .chunks_exact_mut(row)
                            .zip(slopes.chunks_exact_mut(row));
                        for (i, (scores, slopes)) in rows.enumerate() {
                            let query = first + i;
                            let at = (head * tokens + query) * row;
                            let added = Added {
                                bias: &self.bias[at..at + row],
                                mask: mask.map(|mask| &mask[query * row..][..row]),
                            };
                            let place = place_of(self.sizes, window, query);
                            let logarithm = self.logarithms[place * heads + head];
                            let sums = &mut self.sums[at..at + row];
                            let rows = [scores, slopes, sums];
                            gradients::<S>(rows, tokens, scale, logarithm, added);
                        }
                        let probabilities = Matrix::with_stride(scores, count, tokens, row);
                        let slopes = Matrix::with_stride(slopes, count, tokens, row);
                        let to = as_room(&mut given[first * three + places[0]..]);
                        multiply_block::<S>(slopes, keys, per_head, false, to, three);
                        pack::<S>(block, as_room(queries_of_block));
                        pack::<S>(gradient, as_room(gradients_of_block));
                        let held = first > 0;
                        let to = as_room(&mut given[places[1]..]);
                        let slopes = slopes.transposed();
                        multiply_block::<S>(slopes, queries_of_block, per_head, held, to, three);
                        let to = as_room(&mut given[places[2]..]);
                        let probabilities = probabilities.transposed();
                        multiply_block::<S>(
                            probabilities,
                            gradients_of_block,
                            per_head,
                            held,
                            to,
                            three,
                        );
                    }
                }
                for run in runs(windows, beside) {
                    let count = run.count * three;
                    let to = self.to.some(run.row, run.column * three, count);
                    to.write_copy_of_slice(&given[run.token * three..][..count]);
                }
            }
        }
    }
}

/// Number in the grid of a window's token.
fn place_of(sizes: Sizes, [band, beside]: [usize; 2], token: usize) -> usize {
    let windows = sizes.windows;
    let [_, columns] = windows.grid;
    let row = super::bands::grid_row(windows, band, token / windows.side);
    let column = (beside * windows.side + token % windows.side + windows.shift[1]) % columns;
    row * columns + column
}
