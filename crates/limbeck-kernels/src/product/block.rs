//! A product of one task, from packed panels.

use std::mem::MaybeUninit;

use super::{
    Matrix,
    pack::panel_columns,
    tile::{LeftRows, Place, Start, TILE_ROWS, multiply},
};
use crate::simd::Simd;

/// The product of `left` `[M, K]` and of the packed panels of a `[K, N]` matrix, to the rows of
/// `to`, `row_stride` apart; added to what they hold where `held`. `to` begins at the first number
/// and may end with the last.
///
/// # Safety
/// The processor must have the instruction set of `S`, the panels must be those of a `[K, N]`
/// matrix in it, and `to` must hold numbers where they are added to.
#[inline(always)]
pub(crate) unsafe fn multiply_block<S: Simd>(
    left: Matrix<'_>,
    panels: &[f32],
    columns: usize,
    held: bool,
    to: &mut [MaybeUninit<f32>],
    row_stride: usize,
) {
    // SAFETY: as this function's own; tiles cover the block.
    unsafe {
        let depth = left.columns;
        for first in (0..columns).step_by(panel_columns::<S>()) {
            let tile_columns = panel_columns::<S>().min(columns - first);
            let width = tile_columns.next_multiple_of(S::LANES);
            let panel = &panels[first * depth..][..width * depth];
            for row in (0..left.rows).step_by(TILE_ROWS) {
                let rows = TILE_ROWS.min(left.rows - row);
                multiply::<S>(
                    LeftRows::new(left, row, rows, 0, depth),
                    panel.as_ptr(),
                    depth,
                    if held { Start::Held } else { Start::Zero },
                    Place {
                        numbers: &mut to[row * row_stride + first..],
                        row_stride,
                        columns: tile_columns,
                    },
                );
            }
        }
    }
}
