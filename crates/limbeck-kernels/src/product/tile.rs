//! The innermost loop of a product.

use std::mem::MaybeUninit;

use super::Matrix;
use crate::simd::{MOST_LANES, Simd, prefetch_near};

/// Rows of a tile.
pub(crate) const TILE_ROWS: usize = 6;

/// Most vectors of columns of a tile in any instruction set.
const MOST_VECTORS: usize = 4;

/// What a product is added to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// Nothing.
    Zero,
    /// One number per column, the columns of the tile.
    Row(&'a [f32]),
    /// What the tile's place holds.
    Held,
}

/// Up to [`TILE_ROWS`] rows of a left factor.
#[derive(Clone, Copy)]
pub(crate) struct LeftRows {
    pub first: *const f32,
    /// At least 1.
    pub rows: usize,
    pub row_stride: usize,
    /// Between neighbours of a row.
    pub inner_stride: usize,
}

impl LeftRows {
    /// `rows` rows from `row` on, and of these the numbers from `from` on; the pointer is valid
    /// for `depth` of them.
    pub fn new(matrix: Matrix<'_>, row: usize, rows: usize, from: usize, depth: usize) -> Self {
        debug_assert!(row + rows <= matrix.rows && from + depth <= matrix.columns);
        let start = row * matrix.row_stride + from * matrix.column_stride;
        Self {
            first: matrix.numbers[start.min(matrix.numbers.len())..].as_ptr(),
            rows,
            row_stride: matrix.row_stride,
            inner_stride: matrix.column_stride,
        }
    }
}

/// The place of a tile in a row-major matrix: `columns` of the rows that start `row_stride` apart.
pub(crate) struct Place<'a> {
    pub numbers: &'a mut [MaybeUninit<f32>],
    pub row_stride: usize,
    pub columns: usize,
}

/// Adds to `start` the product of `left` `[rows, depth]` and of a packed panel `[depth, width]`,
/// `width` being the columns of `to` filled up to whole vectors.
///
/// # Safety
/// The processor must have the instruction set of `S`; pointers and strides of `left` must stay
/// inside its matrix for `depth` numbers of each row, the panel must be `depth` times the width;
/// `to` must have at most [`Simd::TILE_VECTORS`] vectors of columns, room for all rows, and hold
/// numbers where the sums start at what it holds.
#[inline(always)]
pub(crate) unsafe fn multiply<S: Simd>(
    left: LeftRows,
    panel: *const f32,
    depth: usize,
    start: Start<'_>,
    to: Place<'_>,
) {
    // SAFETY: as this function's own; the number of vectors is matched.
    unsafe {
        match to.columns.div_ceil(S::LANES) {
            1 => tile::<S, 1>(left, panel, depth, start, to),
            2 => tile::<S, 2>(left, panel, depth, start, to),
            3 if S::TILE_VECTORS > 2 => tile::<S, 3>(left, panel, depth, start, to),
            _ if S::TILE_VECTORS > 2 => tile::<S, 4>(left, panel, depth, start, to),
            _ => unreachable!("a tile has at most {} vectors", S::TILE_VECTORS),
        }
    }
}

/// [`multiply`] with `V` vectors of columns.
///
/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn tile<S: Simd, const V: usize>(
    left: LeftRows,
    panel: *const f32,
    depth: usize,
    start: Start<'_>,
    to: Place<'_>,
) {
    // SAFETY: rows behind the last repeat it, and only those that exist are written.
    unsafe {
        // What is written last is asked for first: lines that are not in the cache yet come while the
        // sums are made.
        for r in 0..left.rows {
            let row = to.numbers.as_ptr().wrapping_add(r * to.row_stride);
            for v in 0..V {
                prefetch_near(row.wrapping_add(v * S::LANES).cast());
            }
        }
        let mut rows = [left.first; TILE_ROWS];
        for r in 0..TILE_ROWS {
            rows[r] = left.first.add(r.min(left.rows - 1) * left.row_stride);
        }
        let mut first = [S::splat(0.0); V];
        if let Start::Row(values) = start {
            for v in 0..V {
                first[v] = S::load_part(values, v * S::LANES);
            }
        }
        let mut sums = [first; TILE_ROWS];
        let mut panel = panel;
        let mut at = 0;
        for _ in 0..depth {
            let mut right = [S::splat(0.0); V];
            for v in 0..V {
                right[v] = S::load(panel.add(v * S::LANES));
            }
            for r in 0..TILE_ROWS {
                let left = S::splat(*rows[r].add(at));
                for v in 0..V {
                    sums[r][v] = S::multiply_add(left, right[v], sums[r][v]);
                }
            }
            panel = panel.add(V * S::LANES);
            at += left.inner_stride;
        }
        if left.rows == TILE_ROWS && to.columns == V * S::LANES {
            for r in 0..TILE_ROWS {
                let row = &mut to.numbers[r * to.row_stride..][..V * S::LANES];
                for v in 0..V {
                    let place = row.as_mut_ptr().add(v * S::LANES).cast();
                    let held = match start {
                        Start::Held => S::add(S::load(place), sums[r][v]),
                        _ => sums[r][v],
                    };
                    S::store(place, held);
                }
            }
            return;
        }
        // By way of memory: a loop over rows that may be missing would keep the sums out of the
        // registers.
        let mut finished = [0.0; TILE_ROWS * MOST_VECTORS * MOST_LANES];
        for r in 0..TILE_ROWS {
            for v in 0..V {
                let to = finished.as_mut_ptr().add((r * V + v) * S::LANES);
                S::store(to, sums[r][v]);
            }
        }
        for (r, sums) in finished
            .chunks_exact(V * S::LANES)
            .take(left.rows)
            .enumerate()
        {
            let row = &mut to.numbers[r * to.row_stride..][..to.columns];
            for v in 0..V {
                let mut sum = S::load(sums.as_ptr().add(v * S::LANES));
                if matches!(start, Start::Held) {
                    sum = S::add(S::load_part(row.assume_init_ref(), v * S::LANES), sum);
                }
                S::store_part(row, v * S::LANES, sum);
            }
        }
    }
}
