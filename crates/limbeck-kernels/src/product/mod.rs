//! Products of `f32` matrices.
//!
//! A tile of the product, six rows by a few vectors of columns, is summed in registers: the right
//! factor is packed into panels as wide as a tile, the left one is read in place. Each number of a
//! product is summed in an order that its depth alone decides, so that no result depends on the
//! number of threads.

pub(crate) mod block;
mod columns;
mod finish;
pub(crate) mod pack;
mod rows;
pub(crate) mod tile;

pub(crate) use columns::transposed_product;
pub(crate) use finish::{Finish, FinishedTile, Onto, Shares};
pub(crate) use rows::{Rows, block_of, packed, product, product_onto};

/// A matrix in memory, of which the rows or the columns lie in one piece each.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub numbers: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    pub row_stride: usize,
    pub column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix without gaps, row by row.
    pub fn new(numbers: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::with_stride(numbers, rows, columns, columns)
    }

    /// A matrix with rows `row_stride` apart.
    pub fn with_stride(numbers: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(columns <= row_stride || rows <= 1, "rows overlap");
        let end = if rows == 0 {
            0
        } else {
            (rows - 1) * row_stride + columns
        };
        assert!(end <= numbers.len(), "the matrix ends behind its numbers");
        Self {
            numbers,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// Row `index`, which must lie in one piece.
    pub fn row(&self, index: usize) -> &'a [f32] {
        debug_assert!(self.column_stride == 1);
        &self.numbers[index * self.row_stride..][..self.columns]
    }

    /// The same numbers with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// `count` columns from `first` on; there must be one.
    pub fn some_columns(self, first: usize, count: usize) -> Self {
        Self {
            numbers: &self.numbers[first * self.column_stride..],
            columns: count,
            ..self
        }
    }

    /// `count` rows from `first` on; there must be one.
    pub fn some_rows(self, first: usize, count: usize) -> Self {
        self.transposed().some_columns(first, count).transposed()
    }
}

/// Rows of a task, at most about `most`: as many to each thread, as equally as tiles allow. How the rows
/// of a product are cut changes none of its numbers.
fn block_rows(rows: usize, most: usize) -> usize {
    let of_thread = rows.div_ceil(rayon::current_num_threads());
    let blocks = of_thread.div_ceil(most.max(tile::TILE_ROWS));
    of_thread
        .div_ceil(blocks.max(1))
        .next_multiple_of(tile::TILE_ROWS)
}
