//! What is done to a product while it is in the cache.

use std::{mem::MaybeUninit, ops::Range};

use crate::simd::Simd;

/// A tile of some rows of a product, all of whose sums are made.
pub(crate) struct FinishedTile<'a> {
    /// The rows, one after the other.
    pub numbers: &'a mut [MaybeUninit<f32>],
    /// Numbers of a row.
    pub stride: usize,
    /// The tile's rows.
    pub rows: Range<usize>,
    /// And columns.
    pub columns: Range<usize>,
}

/// What is done to each tile.
pub(crate) trait Finish {
    /// # Safety
    /// The processor must have the instruction set of `S`, and the tile must have been written.
    unsafe fn finish<S: Simd>(&mut self, tile: FinishedTile<'_>);
}

/// Nothing.
impl Finish for () {
    #[inline(always)]
    unsafe fn finish<S: Simd>(&mut self, _: FinishedTile<'_>) {}
}

/// Factors of groups of rows, such as those of an image each.
#[derive(Clone, Copy)]
pub(crate) struct Shares<'a> {
    /// A number for each group.
    pub factors: &'a [f32],
    /// Rows of a group.
    pub rows: usize,
}

/// Adds rows, multiplied by their share, to others.
#[derive(Clone, Copy)]
pub(crate) struct Onto<'a> {
    /// What is added to, as many rows as are finished.
    pub residual: &'a [f32],
    pub shares: Option<Shares<'a>>,
    /// Number of the first row among all that have shares.
    pub first: usize,
}

impl<'a> Onto<'a> {
    /// The same of `count` numbers of rows of `stride` from number `at` on.
    pub fn part(self, at: usize, count: usize, stride: usize) -> Self {
        Self {
            residual: &self.residual[at..at + count],
            first: self.first + at / stride,
            ..self
        }
    }
}

impl Finish for Onto<'_> {
    #[inline(always)]
    unsafe fn finish<S: Simd>(&mut self, tile: FinishedTile<'_>) {
        // SAFETY: as this function's own; the residual is as long as the rows.
        unsafe {
            let FinishedTile {
                numbers,
                stride,
                rows,
                columns,
            } = tile;
            for row in rows {
                let start = row * stride + columns.start;
                let numbers = &mut numbers[start..start + columns.len()];
                let residual = &self.residual[start..start + columns.len()];
                let share = self
                    .shares
                    .map(|shares| S::splat(shares.factors[(self.first + row) / shares.rows]));
                for at in (0..numbers.len()).step_by(S::LANES) {
                    let mut number = S::load_part(numbers.assume_init_ref(), at);
                    if let Some(share) = share {
                        number = S::multiply(number, share);
                    }
                    let sum = S::add(S::load_part(residual, at), number);
                    S::store_part(numbers, at, sum);
                }
            }
        }
    }
}
