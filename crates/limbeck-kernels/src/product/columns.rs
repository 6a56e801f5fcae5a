//! Products summed over many rows: the gradients of weights.

use std::{mem::MaybeUninit, ops::Range};

use rayon::prelude::*;

use super::{
    Matrix, block_rows,
    pack::{pack, panel_columns},
    tile::{LeftRows, Place, Start, TILE_ROWS, multiply},
};
use crate::{
    scratch::with_scratch,
    simd::{self, Kernel, MOST_LANES, Simd, as_room, dispatch, prefetch},
};

/// Most rows whose products are summed in registers before they are added to what is in memory.
const DEPTH: usize = 384;
/// Most rows of the product that one task computes: [`DEPTH`] rows of that much of the left factor,
/// 288 KiB, stay in the second-level cache beside a panel of the right one, and each panel is read
/// from there often enough for its packing not to count.
const MOST_BLOCK_ROWS: usize = 32 * TILE_ROWS;
/// Most columns of a panel in any instruction set.
const MOST_PANEL: usize = 4 * MOST_LANES;

/// `left` `[K, M]`, transposed, times `right` `[K, N]`: `[M, N]`. And the sum of `left` over its
/// rows, `[M]`. The rows of both lie in one piece each.
pub(crate) fn transposed_product(left: Matrix<'_>, right: Matrix<'_>) -> (Vec<f32>, Vec<f32>) {
    assert_eq!(left.rows, right.rows, "factors that do not fit");
    assert!(left.column_stride == 1 && right.column_stride == 1);
    let (rows, columns) = (left.columns, right.columns);
    let mut result = Vec::with_capacity(rows * columns);
    let mut sums = vec![0.0; rows];
    if rows * columns == 0 {
        return (result, sums);
    }
    let block = block_rows(rows, MOST_BLOCK_ROWS);
    let lanes = simd::lanes();
    let panel = DEPTH * MOST_PANEL.min(columns.next_multiple_of(lanes));
    result.spare_capacity_mut()[..rows * columns]
        .par_chunks_mut(block * columns)
        .zip(sums.par_chunks_mut(block))
        .enumerate()
        .for_each(|(index, (to, sums))| {
            let left = left.some_columns(index * block, sums.len());
            let copied = DEPTH * left.columns.next_multiple_of(lanes);
            with_scratch([copied, panel, 0], |[copied, panel, _]| {
                dispatch(Block {
                    left,
                    right,
                    copied,
                    panel,
                    to,
                    sums,
                });
            });
        });
    // SAFETY: the blocks cover all rows, and the first part of the depth, which there always is,
    // writes all columns of them.
    unsafe { result.set_len(rows * columns) };
    (result, sums)
}

/// Some rows of a product.
struct Block<'a> {
    left: Matrix<'a>,
    right: Matrix<'a>,
    /// Room for [`DEPTH`] rows of the left factor, each filled up to whole vectors.
    copied: &'a mut [f32],
    /// Room for as many rows of a panel of the right one.
    panel: &'a mut [f32],
    to: &'a mut [MaybeUninit<f32>],
    sums: &'a mut [f32],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; tiles cover the block, and both factors are packed for
        // `depth` rows before they are read.
        unsafe {
            let (rows, columns) = (self.left.columns, self.right.columns);
            let width = rows.next_multiple_of(S::LANES);
            let tiles = rows.div_ceil(TILE_ROWS);
            let panels = columns.div_ceil(panel_columns::<S>());
            let parts = self.right.rows.div_ceil(DEPTH).max(1);
            let most = self.right.rows.div_ceil(parts);
            for part in 0..parts {
                let depths = range(part, most, self.right.rows);
                let behind = range(part + 1, most, self.right.rows);
                let depth = depths.len();
                copy_left::<S>(some_rows(self.left, &depths), self.copied, self.sums);
                let start = if part == 0 { Start::Zero } else { Start::Held };
                for panel in 0..panels {
                    let shown = range(panel, panel_columns::<S>(), columns);
                    pack::<S>(
                        some_rows(self.right, &depths).some_columns(shown.start, shown.len()),
                        as_room(self.panel),
                    );
                    // What is packed next comes from memory meanwhile, a share with each tile.
                    let next_left = (&behind, 0..rows);
                    let next_right = if panel + 1 < panels {
                        (&depths, range(panel + 1, panel_columns::<S>(), columns))
                    } else {
                        (&behind, range(0, panel_columns::<S>(), columns))
                    };
                    for tile in 0..tiles {
                        fetch(
                            self.left,
                            next_left.clone(),
                            panel * tiles + tile,
                            panels * tiles,
                        );
                        fetch(self.right, next_right.clone(), tile, tiles);
                        let row = tile * TILE_ROWS;
                        multiply::<S>(
                            LeftRows {
                                first: self.copied[row..].as_ptr(),
                                rows: TILE_ROWS.min(rows - row),
                                row_stride: 1,
                                inner_stride: width,
                            },
                            self.panel.as_ptr(),
                            depth,
                            start,
                            Place {
                                numbers: &mut self.to[row * columns + shown.start..],
                                row_stride: columns,
                                columns: shown.len(),
                            },
                        );
                    }
                }
            }
        }
    }
}

/// Number `index` of the ranges of `length` that `count` is cut into; empty behind the last one.
fn range(index: usize, length: usize, count: usize) -> Range<usize> {
    (index * length).min(count)..((index + 1) * length).min(count)
}

/// Rows of a matrix, of which there must be one unless the matrix has none.
fn some_rows<'a>(matrix: Matrix<'a>, rows: &Range<usize>) -> Matrix<'a> {
    matrix.some_rows(rows.start, rows.len())
}

/// Asks for a share of `rows` and `columns` of a matrix, part `part` of `parts` of the rows, to be
/// brought to the second-level cache.
#[inline(always)]
fn fetch(
    matrix: Matrix<'_>,
    (rows, columns): (&Range<usize>, Range<usize>),
    part: usize,
    parts: usize,
) {
    let first = rows.start + rows.len() * part / parts;
    let end = rows.start + rows.len() * (part + 1) / parts;
    for row in first..end {
        prefetch(&matrix.row(row)[columns.clone()]);
    }
}

/// Copies the rows of `left`, each filled up with zeros to whole vectors, and adds them to `sums`.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn copy_left<S: Simd>(left: Matrix<'_>, copied: &mut [f32], sums: &mut [f32]) {
    // SAFETY: as this function's own; whole vectors are written, for which each row has room.
    unsafe {
        let width = left.columns.next_multiple_of(S::LANES);
        let copied = &mut copied[..left.rows * width];
        let sums = as_room(sums);
        for at in (0..width).step_by(S::LANES) {
            let mut sum = S::load_part(sums.assume_init_ref(), at);
            for k in 0..left.rows {
                let numbers = S::load_part(left.row(k), at);
                S::store(copied[k * width + at..][..S::LANES].as_mut_ptr(), numbers);
                sum = S::add(sum, numbers);
            }
            S::store_part(sums, at, sum);
        }
    }
}
