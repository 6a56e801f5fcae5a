//! The forward pass.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    Sizes,
    bands::{Band, gather, runs},
    scores::{Added, exponentials},
    seam::{HIDDEN, Masks},
};
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

/// Most queries whose scores are worked through at once: those of 7×7 tokens together.
const MOST_QUERIES: usize = 9 * TILE_ROWS;

/// Output `[B, N, D]` and the logarithm of the sum of the exponentials of each row of scores,
/// `[B, N, heads]`, of `qkv` `[B, N, 3D]` and `bias` `[heads, T, T]`.
pub(crate) fn forward(sizes: Sizes, qkv: &[f32], bias: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (tokens, width) = (sizes.all_tokens(), sizes.width());
    let count = sizes.batch * tokens * width;
    let mut output = Vec::with_capacity(count);
    let mut logarithms = vec![0.0; sizes.batch * tokens * sizes.heads];
    let row = sizes.windows.tokens().next_multiple_of(simd::lanes());
    let (bias, masks) = (padded(sizes, bias, row), Masks::new(sizes.windows, row));
    output.spare_capacity_mut()[..count]
        .par_chunks_mut(tokens * width)
        .zip(logarithms.par_chunks_mut(tokens * sizes.heads))
        .zip(qkv.par_chunks(3 * tokens * width))
        .flat_map(|((output, logarithms), qkv)| {
            let output = Band::all(output, sizes.windows);
            let logarithms = Band::all(logarithms, sizes.windows);
            let bands: Vec<_> = output.into_iter().zip(logarithms).enumerate().collect();
            bands
                .into_par_iter()
                .map(move |(band, (output, logarithms))| (qkv, band, output, logarithms))
        })
        .for_each(|(qkv, band, output, logarithms)| {
            let (keys, lanes) = (sizes.windows.tokens(), simd::lanes());
            let of_keys = packed_len(sizes.per_head, keys, lanes);
            let of_values = packed_len(keys, sizes.per_head, lanes);
            // Queries, keys and values, then what becomes of them.
            let window = keys * (4 * width + sizes.heads);
            let sizes_of = [window, of_keys + of_values, MOST_QUERIES * row];
            with_scratch(sizes_of, |[window, panels, scores]| {
                dispatch(RowOfWindows {
                    sizes,
                    qkv,
                    bias: &bias,
                    masks: &masks,
                    band,
                    output,
                    logarithms,
                    window,
                    panels,
                    scores,
                });
            });
        });
    // SAFETY: the bands of all images cover all tokens, their windows too, and each writes all heads of
    // its tokens.
    unsafe { output.set_len(count) };
    (output, logarithms)
}

/// `bias` with rows of `row` numbers, those behind the keys hidden.
pub(super) fn padded(sizes: Sizes, bias: &[f32], row: usize) -> Vec<f32> {
    let tokens = sizes.windows.tokens();
    let mut padded = vec![HIDDEN; sizes.heads * tokens * row];
    for (to, from) in padded.chunks_exact_mut(row).zip(bias.chunks_exact(tokens)) {
        to[..tokens].copy_from_slice(from);
    }
    padded
}

/// Queries of a block, so that all blocks of a window are about equally large.
pub(super) fn block_queries(tokens: usize, most: usize) -> usize {
    let blocks = tokens.div_ceil(most);
    tokens.div_ceil(blocks).next_multiple_of(TILE_ROWS)
}

/// The windows beside each other in one image.
struct RowOfWindows<'a> {
    sizes: Sizes,
    /// Of the image.
    qkv: &'a [f32],
    /// `[heads, T, row]`.
    bias: &'a [f32],
    masks: &'a Masks,
    /// Number of the row.
    band: usize,
    output: Band<'a, MaybeUninit<f32>>,
    logarithms: Band<'a, f32>,
    /// What a window reads and gives, a token after the other.
    window: &'a mut [f32],
    panels: &'a mut [f32],
    scores: &'a mut [f32],
}

impl Kernel for RowOfWindows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: as this function's own; keys and values are packed before they are read, and the output
        // of a window is written before it is scaled.
        unsafe {
            let Sizes {
                windows,
                heads,
                per_head,
                ..
            } = self.sizes;
            let (width, tokens) = (self.sizes.width(), windows.tokens());
            let row = tokens.next_multiple_of(S::LANES);
            let most = block_queries(tokens, MOST_QUERIES);
            let (qkv, rest) = self.window.split_at_mut(tokens * 3 * width);
            let (mixed, logarithms) = rest.split_at_mut(tokens * width);
            let (keys, values) = self
                .panels
                .split_at_mut(packed_len(per_head, tokens, S::LANES));
            for beside in 0..windows.counts()[1] {
                gather(self.qkv, 3 * width, windows, [self.band, beside], qkv);
                let mask = self.masks.of(windows.seams([self.band, beside]));
                for head in 0..heads {
                    let [queries, of_keys, of_values] = self.sizes.places(head).map(|place| {
                        Matrix::with_stride(&qkv[place..], tokens, per_head, 3 * width)
                    });
                    pack::<S>(of_keys.transposed(), as_room(keys));
                    pack::<S>(of_values, as_room(values));
                    for first in (0..tokens).step_by(most) {
                        let count = most.min(tokens - first);
                        let block = queries.some_rows(first, count);
                        let scores = &mut self.scores[..count * row];
                        multiply_block::<S>(block, keys, tokens, false, as_room(scores), row);
                        let mut sums = [0.0; MOST_QUERIES];
                        for (i, scores) in scores.chunks_exact_mut(row).enumerate() {
                            let at = (head * tokens + first + i) * row;
                            let added = Added {
                                bias: &self.bias[at..at + row],
                                mask: mask.map(|mask| &mask[(first + i) * row..][..row]),
                            };
                            let scale = self.sizes.scale();
                            let [sum, logarithm] = exponentials::<S>(scores, tokens, scale, added);
                            sums[i] = sum;
                            logarithms[(first + i) * heads + head] = logarithm;
                        }
                        let scores = Matrix::with_stride(scores, count, tokens, row);
                        let to = &mut mixed[first * width + head * per_head..];
                        multiply_block::<S>(scores, values, per_head, false, as_room(to), width);
                        for (i, sum) in sums[..count].iter().enumerate() {
                            let to = as_room(&mut to[i * width..][..per_head]);
                            let share = S::splat(1.0 / sum);
                            for at in (0..per_head).step_by(S::LANES) {
                                let value = S::load_part(to.assume_init_ref(), at);
                                S::store_part(to, at, S::multiply(value, share));
                            }
                        }
                    }
                }
                for run in runs(windows, beside) {
                    let of = |length| (run.column * length, run.count * length);
                    let (first, count) = of(width);
                    let to = self.output.some(run.row, first, count);
                    to.write_copy_of_slice(&mixed[run.token * width..][..count]);
                    let (first, count) = of(heads);
                    let to = self.logarithms.some(run.row, first, count);
                    to.copy_from_slice(&logarithms[run.token * heads..][..count]);
                }
            }
        }
    }
}
