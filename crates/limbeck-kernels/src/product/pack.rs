//! Right factors in the order in which tiles read them.

use std::mem::MaybeUninit;

use super::Matrix;
use crate::simd::{MOST_LANES, Simd};

/// Numbers that the panels of a `[depth, columns]` matrix take: its columns are filled up with
/// zeros to whole vectors of `lanes`.
pub(crate) fn packed_len(depth: usize, columns: usize, lanes: usize) -> usize {
    depth * columns.next_multiple_of(lanes)
}

/// Columns of a full panel.
pub(crate) fn panel_columns<S: Simd>() -> usize {
    S::TILE_VECTORS * S::LANES
}

/// Packs `right` `[depth, columns]` into panels, each `[depth, width]`: full ones as wide as a
/// tile, and one of the columns that are left, filled up with zeros to whole vectors. All of the
/// panels is written.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
pub(crate) unsafe fn pack<S: Simd>(right: Matrix<'_>, panels: &mut [MaybeUninit<f32>]) {
    // SAFETY: as this function's own.
    unsafe {
        let mut first = 0;
        let mut rest = panels;
        while first < right.columns {
            let columns = panel_columns::<S>().min(right.columns - first);
            let width = columns.next_multiple_of(S::LANES);
            let (panel, others) = rest.split_at_mut(right.rows * width);
            rest = others;
            let part = right.some_columns(first, columns);
            if right.column_stride == 1 {
                copy::<S>(part, width, panel);
            } else {
                transpose::<S>(part, width, panel);
            }
            first += columns;
        }
    }
}

/// Copies neighbouring columns.
///
/// # Safety
/// As [`pack`], with a panel of `width` numbers for each row of `part`.
#[inline(always)]
unsafe fn copy<S: Simd>(part: Matrix<'_>, width: usize, panel: &mut [MaybeUninit<f32>]) {
    for (k, to) in panel.chunks_exact_mut(width).enumerate() {
        let from = &part.numbers[k * part.row_stride..][..part.columns];
        for at in (0..width).step_by(S::LANES) {
            // SAFETY: as this function's own; `to` holds whole vectors, and `at` lies before the
            // end of `from`, which is less than a vector shorter.
            unsafe { S::store(to[at..].as_mut_ptr().cast(), S::load_part(from, at)) };
        }
    }
}

/// Copies columns of which each lies in one piece, a square of lanes by lanes at a time.
///
/// # Safety
/// As [`pack`], with a panel of `width` numbers for each row of `part`.
#[inline(always)]
unsafe fn transpose<S: Simd>(part: Matrix<'_>, width: usize, panel: &mut [MaybeUninit<f32>]) {
    // SAFETY: as this function's own; whole vectors of the panel's rows are written, and rows of
    // `part` are read as far as they go.
    unsafe {
        let depth = part.rows;
        for first_column in (0..width).step_by(S::LANES) {
            for first_row in (0..depth).step_by(S::LANES) {
                let mut square = [S::splat(0.0); MOST_LANES];
                for i in 0..S::LANES.min(part.columns - first_column) {
                    let start = (first_column + i) * part.column_stride;
                    let column = &part.numbers[start..][..depth];
                    square[i] = S::load_part(column, first_row);
                }
                S::transpose(&mut square);
                for k in 0..S::LANES.min(depth - first_row) {
                    let to = &mut panel[(first_row + k) * width + first_column..][..S::LANES];
                    S::store(to.as_mut_ptr().cast(), square[k]);
                }
            }
        }
    }
}
