//! The forward pass.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{Read, Sizes, scores::exponentials};
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

/// Queries whose scores are worked through at once.
const BLOCK: usize = 8 * TILE_ROWS;

/// Output `[B, N, D]` and the logarithm of the sum of the exponentials of each row of scores,
/// `[B, N, heads]`.
pub(crate) fn forward(sizes: Sizes, read: Read<'_>) -> (Vec<f32>, Vec<f32>) {
    let Sizes { batch, tokens, .. } = sizes;
    let count = batch * tokens * sizes.width();
    let mut output = Vec::with_capacity(count);
    let mut logarithms = vec![0.0; batch * tokens * sizes.heads];
    // Fewer images than threads: cut the queries too, which changes no number.
    let parts = rayon::current_num_threads().div_ceil(batch);
    let part = tokens
        .div_ceil(parts)
        .next_multiple_of(TILE_ROWS)
        .min(tokens);
    output.spare_capacity_mut()[..count]
        .par_chunks_mut(tokens * sizes.width())
        .zip(logarithms.par_chunks_mut(tokens * sizes.heads))
        .enumerate()
        .flat_map(|(image, (output, logarithms))| {
            let read = read.of_image(image, sizes);
            output
                .par_chunks_mut(part * sizes.width())
                .zip(logarithms.par_chunks_mut(part * sizes.heads))
                .enumerate()
                .map(move |(index, (output, logarithms))| (read, index * part, output, logarithms))
        })
        .for_each(|(read, first, output, logarithms)| {
            let row = sizes.keys.next_multiple_of(simd::lanes());
            let keys = packed_len(sizes.per_head, sizes.keys, simd::lanes());
            let values = packed_len(sizes.keys, sizes.per_head, simd::lanes());
            with_scratch([keys, values, BLOCK * row], |[keys, values, scores]| {
                dispatch(Queries {
                    sizes,
                    read,
                    first,
                    output,
                    logarithms,
                    keys,
                    values,
                    scores,
                });
            });
        });
    // SAFETY: the tasks cover all tokens of all images, and each writes all heads of its tokens.
    unsafe { output.set_len(count) };
    (output, logarithms)
}

/// Some queries of one image.
struct Queries<'a> {
    sizes: Sizes,
    /// Of the image.
    read: Read<'a>,
    /// The first query.
    first: usize,
    /// `[queries, D]`.
    output: &'a mut [MaybeUninit<f32>],
    /// `[queries, heads]`.
    logarithms: &'a mut [f32],
    keys: &'a mut [f32],
    values: &'a mut [f32],
    scores: &'a mut [f32],
}

impl Kernel for Queries<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; keys and values are packed before they are read, and
        // output is read where it was written.
        unsafe {
            let Sizes {
                keys,
                heads,
                per_head,
                ..
            } = self.sizes;
            let width = self.sizes.width();
            let row = keys.next_multiple_of(S::LANES);
            let queries = self.logarithms.len() / heads;
            for head in 0..heads {
                pack::<S>(
                    self.read.keys(head, self.sizes).transposed(),
                    as_room(self.keys),
                );
                pack::<S>(self.read.values(head, self.sizes), as_room(self.values));
                let all = self.read.queries(head, self.sizes);
                for start in (0..queries).step_by(BLOCK) {
                    let count = BLOCK.min(queries - start);
                    let block = all.some_rows(self.first + start, count);
                    let scores = &mut self.scores[..count * row];
                    multiply_block::<S>(block, self.keys, keys, false, as_room(scores), row);
                    let mut sums = [0.0; BLOCK];
                    for (i, scores) in scores.chunks_exact_mut(row).enumerate() {
                        let [sum, logarithm] = exponentials::<S>(scores, keys, self.sizes.scale());
                        sums[i] = sum;
                        self.read
                            .fetch(self.first + start + i, head + 1, self.sizes);
                        self.logarithms[(start + i) * heads + head] = logarithm;
                    }
                    let probabilities = Matrix::with_stride(scores, count, keys, row);
                    let to = &mut self.output[start * width + head * per_head..];
                    multiply_block::<S>(probabilities, self.values, per_head, false, to, width);
                    for (i, sum) in sums[..count].iter().enumerate() {
                        let to = &mut to[i * width..][..per_head];
                        let share = S::splat(1.0 / sum);
                        for at in (0..per_head).step_by(S::LANES) {
                            let value = S::load_part(to.assume_init_ref(), at);
                            S::store_part(to, at, S::multiply(value, share));
                        }
                    }
                }
            }
        }
    }
}
