//! Products summed over many rows: the gradients of weights.

use rayon::prelude::*;

use super::{
    Matrix,
    pack::{pack, packed_len, panel_columns},
    tile::{LeftRows, Place, Start, TILE_ROWS, multiply},
};
use crate::{
    scratch::with_scratch,
    simd::{self, Kernel, MOST_LANES, Simd, as_room, dispatch},
};

/// Rows whose products are summed in registers before they are added to what is in memory.
const DEPTH: usize = 192;
/// Panels that stay in the second-level cache, beside the packed left factor and the sums.
const BLOCK_PANELS: usize = 3;
const MOST_PANEL: usize = 4 * MOST_LANES;
/// Most rows of the product that one task computes.
const MOST_BLOCK_ROWS: usize = 16 * TILE_ROWS;

/// `left` `[K, M]`, transposed, times `right` `[K, N]`: `[M, N]`. And the sum of `left` over its
/// rows, `[M]`. The rows of both lie in one piece each.
pub(crate) fn transposed_product(left: Matrix<'_>, right: Matrix<'_>) -> (Vec<f32>, Vec<f32>) {
    assert_eq!(left.rows, right.rows, "factors that do not fit");
    assert!(left.column_stride == 1 && right.column_stride == 1);
    let (rows, columns) = (left.columns, right.columns);
    let mut result = vec![0.0; rows * columns];
    let mut sums = vec![0.0; rows];
    if rows * columns == 0 {
        return (result, sums);
    }
    // How the rows are cut changes no sum.
    let block = rows
        .div_ceil(rayon::current_num_threads())
        .next_multiple_of(TILE_ROWS)
        .min(MOST_BLOCK_ROWS);
    result
        .par_chunks_mut(block * columns)
        .zip(sums.par_chunks_mut(block))
        .enumerate()
        .for_each(|(index, (to, sums))| {
            let left = left.some_columns(index * block, sums.len());
            let tiles = sums.len().div_ceil(TILE_ROWS);
            // The last vector of a packed left factor is written whole.
            let packed_left = tiles * DEPTH * TILE_ROWS + MOST_LANES;
            let packed_right = packed_len(DEPTH, BLOCK_PANELS * MOST_PANEL, simd::lanes());
            with_scratch(
                [packed_left, packed_right, 0],
                |[packed_left, panels, _]| {
                    dispatch(Block {
                        left,
                        right,
                        packed_left,
                        panels,
                        to,
                        sums,
                    });
                },
            );
        });
    (result, sums)
}

/// Some rows of a product.
struct Block<'a> {
    left: Matrix<'a>,
    right: Matrix<'a>,
    /// Room for tiles `[depth, TILE_ROWS]` of the left factor.
    packed_left: &'a mut [f32],
    panels: &'a mut [f32],
    to: &'a mut [f32],
    sums: &'a mut [f32],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; tiles cover the block, and both factors are packed for
        // `depth` rows before they are read.
        unsafe {
            let columns = self.right.columns;
            let to = as_room(self.to);
            for first in (0..columns).step_by(BLOCK_PANELS * panel_columns::<S>()) {
                let count = (BLOCK_PANELS * panel_columns::<S>()).min(columns - first);
                let right = self.right.some_columns(first, count);
                for from in (0..right.rows).step_by(DEPTH) {
                    let depth = DEPTH.min(right.rows - from);
                    let left = self.left.some_rows(from, depth);
                    // The sums are taken on the way, once.
                    let sums = (first == 0).then_some(&mut *self.sums);
                    pack_left::<S>(left, self.packed_left, sums);
                    pack::<S>(right.some_rows(from, depth), self.panels);
                    let start = if from == 0 { Start::Zero } else { Start::Held };
                    for panel in (0..count).step_by(panel_columns::<S>()) {
                        let tile_columns = panel_columns::<S>().min(count - panel);
                        for row in (0..left.columns).step_by(TILE_ROWS) {
                            multiply::<S>(
                                LeftRows {
                                    first: self.packed_left[row * depth..].as_ptr(),
                                    rows: TILE_ROWS.min(left.columns - row),
                                    row_stride: 1,
                                    inner_stride: TILE_ROWS,
                                },
                                self.panels[panel * depth..].as_ptr(),
                                depth,
                                start,
                                Place {
                                    numbers: &mut to[row * columns + first + panel..],
                                    row_stride: columns,
                                    columns: tile_columns,
                                },
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Packs `left` `[depth, columns]` into tiles `[depth, TILE_ROWS]` and adds its rows to `sums`.
///
/// # Safety
/// The processor must have the instruction set of `S`; the tiles need a vector of room more than
/// they take.
#[inline(always)]
unsafe fn pack_left<S: Simd>(left: Matrix<'_>, tiles: &mut [f32], sums: Option<&mut [f32]>) {
    // SAFETY: as this function's own; vectors reach over the end of a row of a tile into the next
    // one, which is written later, and behind the last tile into the room left for that.
    unsafe {
        let mut sums = sums;
        const MOST_PARTS: usize = TILE_ROWS.div_ceil(4);
        for row in (0..left.columns).step_by(TILE_ROWS) {
            let rows = TILE_ROWS.min(left.columns - row);
            let tile = &mut tiles[row * left.rows..][..left.rows * TILE_ROWS + MOST_LANES];
            let mut total = [S::splat(0.0); MOST_PARTS];
            for k in 0..left.rows {
                let from = &left.numbers[k * left.row_stride + row..];
                for part in 0..TILE_ROWS.div_ceil(S::LANES) {
                    let at = part * S::LANES;
                    let numbers = S::load_part(from, at.min(from.len()));
                    total[part] = S::add(total[part], numbers);
                    S::store(tile.as_mut_ptr().add(k * TILE_ROWS + at), numbers);
                }
            }
            let mut lanes = [0.0; 2 * MOST_LANES];
            for part in 0..TILE_ROWS.div_ceil(S::LANES) {
                S::store(lanes.as_mut_ptr().add(part * S::LANES), total[part]);
            }
            if let Some(sums) = &mut sums {
                for (sum, lane) in sums[row..row + rows].iter_mut().zip(lanes) {
                    *sum += lane;
                }
            }
        }
    }
}
