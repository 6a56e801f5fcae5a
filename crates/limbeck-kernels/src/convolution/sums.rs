//! Sums that several tasks have made of their parts.

use rayon::prelude::*;

/// Images whose gradients are summed in one chain; longer batches are cut into at most
/// [`MOST_CHUNKS`] chunks. Fixed, so that the sum does not depend on the number of threads.
const CHUNK: usize = 16;
const MOST_CHUNKS: usize = 8;

/// Images of a chunk of a batch of so many.
pub(super) fn images_per_chunk(batch: usize) -> usize {
    CHUNK.max(batch.div_ceil(MOST_CHUNKS))
}

/// Adds to `total` all of `others`, each of them as long, one after the other.
pub(super) fn add_all(total: &mut [f32], others: &[f32]) {
    /// Numbers that a task adds at least.
    const PIECE: usize = 1 << 14;
    let length = total.len();
    total
        .par_chunks_mut(PIECE)
        .enumerate()
        .for_each(|(piece, total)| {
            for other in others.chunks_exact(length) {
                let other = &other[piece * PIECE..][..total.len()];
                for (total, other) in total.iter_mut().zip(other) {
                    *total += other;
                }
            }
        });
}
