//! What forward and backward pass do with a strip of rows.

use crate::{
    product::{
        Matrix,
        pack::{pack, panel_columns},
    },
    simd::{Kernel, Simd, as_room},
};

/// Numbers that are summed in `f32` before their sum goes on in `f64`.
const RUN: usize = 4096;

/// Sum of all numbers.
pub(super) struct Total<'a> {
    pub numbers: &'a [f32],
}

impl Kernel for Total<'_> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        let mut total = 0.0;
        for run in self.numbers.chunks(RUN) {
            // SAFETY: as this function's own; `at` stays inside the run.
            unsafe {
                let mut sum = S::splat(0.0);
                for at in (0..run.len()).step_by(S::LANES) {
                    sum = S::add(sum, S::load_part(run, at));
                }
                total += f64::from(S::sum(sum));
            }
        }
        total
    }
}

/// Packs a strip's columns `[rows, columns]` of a map into panels with a row of ones below each; gives
/// their depth.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
pub(super) unsafe fn pack_with_ones<S: Simd>(strip: Matrix<'_>, panels: &mut [f32]) -> usize {
    let depth = strip.rows + 1;
    let mut rest = panels;
    for first in (0..strip.columns).step_by(panel_columns::<S>()) {
        let columns = panel_columns::<S>().min(strip.columns - first);
        let width = columns.next_multiple_of(S::LANES);
        let (panel, others) = rest.split_at_mut(depth * width);
        rest = others;
        let (numbers, ones) = panel.split_at_mut(strip.rows * width);
        // SAFETY: as this function's own.
        unsafe { pack::<S>(strip.some_columns(first, columns), as_room(numbers)) };
        ones.fill(1.0);
    }
    depth
}
