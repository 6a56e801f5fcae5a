//! Nearest neighbours: copies.

use std::mem::MaybeUninit;

use super::axis;
use crate::pieces::{fill, filled};

/// The copies for maps of one size.
pub(crate) struct Nearest {
    input: [usize; 2],
    output: [usize; 2],
    rows: Vec<usize>,
    columns: Vec<usize>,
}

impl Nearest {
    pub fn new(input: [usize; 2], output: [usize; 2]) -> Self {
        Self {
            input,
            output,
            rows: axis::nearest(input[0], output[0]),
            columns: axis::nearest(input[1], output[1]),
        }
    }

    fn input_size(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn output_size(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// `[maps, input]` → `[maps, output]`.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let (size, width) = (self.input_size(), self.input[1]);
        let work = |map: usize, y: &mut [MaybeUninit<f32>]| {
            let x = &x[map * size..][..size];
            for (&row, y) in self.rows.iter().zip(y.chunks_exact_mut(self.output[1])) {
                let x = &x[row * width..][..width];
                for (&column, y) in self.columns.iter().zip(y) {
                    y.write(x[column]);
                }
            }
        };
        // SAFETY: every row and column of a map is written.
        unsafe { filled(x.len() / size, self.output_size(), work) }
    }

    /// Gradient with respect to the input: `[maps, output]` → `[maps, input]`.
    pub fn backward(&self, gradient: &[f32]) -> Vec<f32> {
        let (size, width) = (self.output_size(), self.input[1]);
        let work = |map: usize, dx: &mut [MaybeUninit<f32>]| {
            let dx = fill(dx, 0.0);
            let gradient = &gradient[map * size..][..size];
            for (&row, gradient) in self.rows.iter().zip(gradient.chunks_exact(self.output[1])) {
                let dx = &mut dx[row * width..][..width];
                for (&column, gradient) in self.columns.iter().zip(gradient) {
                    dx[column] += gradient;
                }
            }
        };
        // SAFETY: all of a map is filled first.
        unsafe { filled(gradient.len() / size, self.input_size(), work) }
    }
}
