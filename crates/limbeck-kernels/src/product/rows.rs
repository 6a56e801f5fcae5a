//! Products with many rows and a right factor that fits the caches.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    Matrix, block_rows,
    pack::{pack, packed_len, panel_columns},
    tile::{LeftRows, Place, Start, TILE_ROWS, multiply},
};
use crate::simd::{Kernel, Simd, dispatch};

/// Numbers of a row of the left factor whose products are summed in registers before they are added
/// to what is in memory: a panel of as many rows stays in the second-level cache.
const DEPTH: usize = 384;
/// Numbers of the left factor that a task reads again with each panel: 144 KiB, which stay in the
/// second-level cache beside a panel and what is written. The more rows, the more seldom panels come from
/// farther away.
const BLOCK_NUMBERS: usize = 36 * 1024;
/// Most rows of a task.
const MOST_BLOCK_ROWS: usize = 32 * TILE_ROWS;

/// `left` `[M, K]` times `right` `[K, N]`, plus `bias` `[N]` in each row: `[M, N]`.
pub(crate) fn product(left: Matrix<'_>, right: Matrix<'_>, bias: Option<&[f32]>) -> Vec<f32> {
    assert_eq!(left.columns, right.rows, "factors that do not fit");
    let (rows, columns) = (left.rows, right.columns);
    let mut result = Vec::with_capacity(rows * columns);
    if rows * columns == 0 {
        return result;
    }
    let panels = packed(right);
    let most = BLOCK_NUMBERS / left.columns.clamp(1, DEPTH);
    let block = block_rows(rows, most.min(MOST_BLOCK_ROWS));
    result.spare_capacity_mut()[..rows * columns]
        .par_chunks_mut(block * columns)
        .enumerate()
        .for_each(|(index, to)| {
            dispatch(Block {
                left: left.some_rows(index * block, to.len() / columns),
                panels: &panels,
                bias,
                to,
                columns,
            });
        });
    // SAFETY: the blocks cover all rows, and each writes all columns of its rows.
    unsafe { result.set_len(rows * columns) };
    result
}

/// The panels of `right`.
fn packed(right: Matrix<'_>) -> Vec<f32> {
    let width = dispatch(PanelColumns);
    let count = packed_len(right.rows, right.columns, crate::simd::lanes());
    let mut panels = Vec::with_capacity(count);
    if right.rows > 0 {
        panels.spare_capacity_mut()[..count]
            .par_chunks_mut(right.rows * width)
            .enumerate()
            .for_each(|(index, panel)| {
                let first = index * width;
                let columns = width.min(right.columns - first);
                dispatch(PackPanel {
                    part: right.some_columns(first, columns),
                    panel,
                });
            });
    }
    // SAFETY: the panels cover it, and packing writes all of a panel.
    unsafe { panels.set_len(count) };
    panels
}

struct PanelColumns;

impl Kernel for PanelColumns {
    type Output = usize;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> usize {
        panel_columns::<S>()
    }
}

struct PackPanel<'a> {
    part: Matrix<'a>,
    panel: &'a mut [MaybeUninit<f32>],
}

impl Kernel for PackPanel<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own.
        unsafe { pack::<S>(self.part, self.panel) };
    }
}

/// Some rows of a product.
struct Block<'a> {
    left: Matrix<'a>,
    panels: &'a [f32],
    bias: Option<&'a [f32]>,
    /// `[rows, columns]`.
    to: &'a mut [MaybeUninit<f32>],
    columns: usize,
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; tiles cover the block, and the left factor and the
        // panels are as deep as each other.
        unsafe {
            let depth = self.left.columns;
            let start = |first: usize, columns: usize, from: usize| match self.bias {
                _ if from > 0 => Start::Held,
                Some(bias) => Start::Row(&bias[first..first + columns]),
                None => Start::Zero,
            };
            let mut from = 0;
            loop {
                let part = DEPTH.min(depth - from);
                for first in (0..self.columns).step_by(panel_columns::<S>()) {
                    let columns = panel_columns::<S>().min(self.columns - first);
                    let width = columns.next_multiple_of(S::LANES);
                    let panel = &self.panels[first * depth + from * width..][..part * width];
                    for row in (0..self.left.rows).step_by(TILE_ROWS) {
                        let rows = TILE_ROWS.min(self.left.rows - row);
                        multiply::<S>(
                            LeftRows::new(self.left, row, rows, from, part),
                            panel.as_ptr(),
                            part,
                            start(first, columns, from),
                            Place {
                                numbers: &mut self.to[row * self.columns + first..],
                                row_stride: self.columns,
                                columns,
                            },
                        );
                    }
                }
                from += part;
                if from == depth {
                    break;
                }
            }
        }
    }
}
