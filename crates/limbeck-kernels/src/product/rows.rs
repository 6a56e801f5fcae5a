//! Products with many rows and a right factor that fits the caches.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    Matrix, block_rows,
    finish::{Finish, FinishedTile, Onto},
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
    product_onto(left, right, bias, None)
}

/// [`product`], added to `onto` where there is something.
pub(crate) fn product_onto(
    left: Matrix<'_>,
    right: Matrix<'_>,
    bias: Option<&[f32]>,
    onto: Option<Onto<'_>>,
) -> Vec<f32> {
    assert_eq!(left.columns, right.rows, "factors that do not fit");
    let (rows, columns) = (left.rows, right.columns);
    let mut result = Vec::with_capacity(rows * columns);
    if rows * columns == 0 {
        return result;
    }
    let panels = packed(right);
    let block = block_of(rows, left.columns);
    result.spare_capacity_mut()[..rows * columns]
        .par_chunks_mut(block * columns)
        .enumerate()
        .for_each(|(index, to)| {
            let start = index * block * columns;
            dispatch(Block {
                rows: Rows {
                    left: left.some_rows(index * block, to.len() / columns),
                    panels: &panels,
                    bias,
                    columns,
                },
                onto: onto.map(|onto| onto.part(start, to.len(), columns)),
                to,
            });
        });
    // SAFETY: the blocks cover all rows, and each writes all columns of its rows.
    unsafe { result.set_len(rows * columns) };
    result
}

/// Rows of a task of a product of `rows` rows and so deep.
pub(crate) fn block_of(rows: usize, depth: usize) -> usize {
    let most = BLOCK_NUMBERS / depth.clamp(1, DEPTH);
    block_rows(rows, most.min(MOST_BLOCK_ROWS))
}

/// The panels of `right`.
pub(crate) fn packed(right: Matrix<'_>) -> Vec<f32> {
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
    rows: Rows<'a>,
    onto: Option<Onto<'a>>,
    /// `[rows, columns]`.
    to: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own.
        unsafe {
            match self.onto {
                Some(mut onto) => self.rows.multiply::<S, _>(self.to, &mut onto),
                None => self.rows.multiply::<S, _>(self.to, &mut ()),
            }
        }
    }
}

/// Some rows of a left factor, and the packed right one.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub left: Matrix<'a>,
    /// Of a matrix as deep as the left one is wide.
    pub panels: &'a [f32],
    pub bias: Option<&'a [f32]>,
    /// Columns of the right factor.
    pub columns: usize,
}

impl Rows<'_> {
    /// Writes the product, plus the bias, to `to` `[rows, columns]`, and has each tile finished.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`, and the panels must be packed in it.
    #[inline(always)]
    pub unsafe fn multiply<S: Simd, F: Finish>(&self, to: &mut [MaybeUninit<f32>], finish: &mut F) {
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
                                numbers: &mut to[row * self.columns + first..],
                                row_stride: self.columns,
                                columns,
                            },
                        );
                        if from + part == depth {
                            finish.finish::<S>(FinishedTile {
                                numbers: &mut *to,
                                stride: self.columns,
                                rows: row..row + rows,
                                columns: first..first + columns,
                            });
                        }
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
