//! The kernel of cross entropies with given shares: each row is read three times, from the nearest
//! cache after the first.

use std::mem::MaybeUninit;

use super::rows::{Scaled, row_by_row};
use crate::{
    elementary::exponential,
    simd::{Kernel, Simd, dispatch},
};

/// −Σ shares · log softmax(x) over rows of `width` numbers, and its gradient with respect to `x`.
pub(super) fn cross_entropy(x: &[f32], shares: &[f32], width: usize) -> (f64, Vec<f32>) {
    // SAFETY: the kernel writes all slopes of its rows.
    unsafe {
        row_by_row([x, shares], width, |[x, shares], slopes, values| {
            dispatch(Rows {
                x,
                shares,
                width,
                slopes,
                values,
            });
        })
    }
}

struct Rows<'a> {
    x: &'a [f32],
    shares: &'a [f32],
    width: usize,
    slopes: &'a mut [MaybeUninit<f32>],
    values: &'a mut [f64],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let rows = self.x.chunks_exact(self.width);
        let rows = rows.zip(self.shares.chunks_exact(self.width));
        let rows = rows.zip(self.slopes.chunks_exact_mut(self.width));
        for (((x, shares), slopes), value) in rows.zip(self.values) {
            let own = Scaled::new(x, 1.0);
            // SAFETY: as this function's own; `at` stays inside the row, which all three are as
            // long as.
            unsafe {
                let zero = S::splat(0.0);
                let (mut own_sum, mut share_sum, mut cross) = (zero, zero, zero);
                for at in (0..self.width).step_by(S::LANES) {
                    let shifted = own.shifted::<S>(at);
                    let exponential = exponential::<S>(shifted);
                    // Zeros behind the row's end.
                    let share = S::load_part(shares, at);
                    own_sum = S::add(own_sum, exponential);
                    share_sum = S::add(share_sum, share);
                    cross = S::multiply_add(share, shifted, cross);
                    S::store_part(slopes, at, exponential);
                }
                let own_sum = f64::from(S::sum(own_sum));
                let share_sum = f64::from(S::sum(share_sum));
                *value = share_sum * own_sum.ln() - f64::from(S::sum(cross));
                let factor = S::splat((share_sum / own_sum) as f32);
                for at in (0..self.width).step_by(S::LANES) {
                    // SAFETY: all of the row has been written.
                    let own = S::load_part(slopes.assume_init_ref(), at);
                    let own = S::multiply(own, factor);
                    S::store_part(slopes, at, S::subtract(own, S::load_part(shares, at)));
                }
            }
        }
    }
}
