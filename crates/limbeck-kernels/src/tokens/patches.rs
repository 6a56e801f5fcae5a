//! Squares of tokens, copied.

use std::mem::MaybeUninit;

use crate::pieces::filled;

/// Sizes of a grid of tokens that is cut into squares.
#[derive(Clone, Copy)]
pub(crate) struct Patches {
    pub batch: usize,
    /// Rows and columns of tokens.
    pub grid: [usize; 2],
    /// Side of a square.
    pub side: usize,
    pub channels: usize,
}

impl Patches {
    /// Squares below and beside each other.
    fn squares(&self) -> [usize; 2] {
        self.grid.map(|length| length / self.side)
    }

    /// Squares of an image.
    pub fn count(&self) -> usize {
        let [rows, columns] = self.squares();
        rows * columns
    }

    /// Numbers of a square.
    pub fn length(&self) -> usize {
        self.side * self.side * self.channels
    }
}

/// The tokens of each square one after the other, `[B, squares, side²·C]`.
pub(crate) fn cut(x: &[f32], sizes: Patches) -> Vec<f32> {
    let Patches {
        grid: [rows, columns],
        side,
        channels,
        ..
    } = sizes;
    let beside = sizes.squares()[1];
    let run = side * channels;
    // SAFETY: the rows of a square are as long as the square.
    unsafe {
        filled(sizes.batch * sizes.count(), sizes.length(), |piece, to| {
            let (image, square) = (piece / sizes.count(), piece % sizes.count());
            let (row, column) = (square / beside * side, square % beside * side);
            for (i, to) in to.chunks_exact_mut(run).enumerate() {
                let from = ((image * rows + row + i) * columns + column) * channels;
                to.write_copy_of_slice(&x[from..from + run]);
            }
        })
    }
}

/// The squares back at their places `[B, rows·columns, C]`, zeros where no square was.
pub(crate) fn put_back(patches: &[f32], sizes: Patches) -> Vec<f32> {
    let Patches {
        grid: [rows, columns],
        side,
        channels,
        ..
    } = sizes;
    let [below, beside] = sizes.squares();
    let run = side * channels;
    // SAFETY: the runs and the zeros behind them fill a row.
    unsafe {
        filled(sizes.batch * rows, columns * channels, |piece, to| {
            let (image, row) = (piece / rows, piece % rows);
            let (square_row, within) = (row / side, row % side);
            if square_row >= below {
                to.fill(MaybeUninit::new(0.0));
                return;
            }
            let (runs, rest) = to.split_at_mut(beside * run);
            for (column, to) in runs.chunks_exact_mut(run).enumerate() {
                let square = (image * below + square_row) * beside + column;
                let from = square * sizes.length() + within * run;
                to.write_copy_of_slice(&patches[from..from + run]);
            }
            rest.fill(MaybeUninit::new(0.0));
        })
    }
}
