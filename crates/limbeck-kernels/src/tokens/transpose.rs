//! Rows and columns exchanged.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::simd::{Kernel, MOST_LANES, Simd, dispatch};

/// Columns of a matrix, which become rows, that one task handles: four cache lines of each row.
const COLUMNS: usize = 64;

/// Matrices `[rows, columns]`, one after the other, each as `[columns, rows]`.
pub(crate) fn transposed(x: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let mut result = Vec::with_capacity(x.len());
    result.spare_capacity_mut()[..x.len()]
        .par_chunks_mut(rows * columns)
        .zip(x.par_chunks(rows * columns))
        .flat_map(|(to, from)| {
            to.par_chunks_mut(COLUMNS * rows)
                .enumerate()
                .map(move |(index, to)| (from, index * COLUMNS, to))
        })
        .for_each(|(from, first, to)| {
            dispatch(Transpose {
                from,
                rows,
                columns,
                first,
                to,
            });
        });
    // SAFETY: the tasks cover all columns of all matrices and write all numbers of theirs.
    unsafe { result.set_len(x.len()) };
    result
}

/// Some columns of one matrix.
struct Transpose<'a> {
    /// `[rows, columns]`.
    from: &'a [f32],
    rows: usize,
    columns: usize,
    /// The first column.
    first: usize,
    /// `[some columns, rows]`.
    to: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (rows, columns) = (self.rows, self.columns);
        let count = self.to.len() / rows;
        for row in (0..rows).step_by(S::LANES) {
            let height = S::LANES.min(rows - row);
            for column in (0..count).step_by(S::LANES) {
                let width = S::LANES.min(count - column);
                // SAFETY: as this function's own; `at` lies inside a row of the matrix, numbers
                // read behind its end are not written, and rows of `to` are written as far as they
                // go.
                unsafe {
                    let mut square = [S::splat(0.0); MOST_LANES];
                    for i in 0..height {
                        let at = (row + i) * columns + self.first + column;
                        square[i] = S::load_part(self.from, at);
                    }
                    S::transpose(&mut square);
                    for i in 0..width {
                        let line = &mut self.to[(column + i) * rows..][..rows];
                        S::store_part(line, row, square[i]);
                    }
                }
            }
        }
    }
}
