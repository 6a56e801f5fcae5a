//! The mean of each window.

use std::mem::MaybeUninit;

use super::{phases::Phases, window::Windows};
use crate::{
    pieces::filled,
    scratch::with_scratch,
    simd::{Kernel, MOST_LANES, Simd, dispatch},
};

/// Mean of each window, `[maps, windows]`.
pub(crate) fn forward(windows: &Windows, x: &[f32]) -> Vec<f32> {
    let phases = Phases::new(windows);
    let places = phases.places();
    let work = |map: usize, y: &mut [MaybeUninit<f32>]| {
        let x = &x[map * windows.input_size()..][..windows.input_size()];
        phases.with(x, 0.0, |numbers| {
            for (run, offset) in phases.runs() {
                dispatch(Mean {
                    from: &numbers[offset..],
                    places: &places,
                    y: &mut y[run],
                });
            }
        });
    };
    // SAFETY: the runs of windows cover a map.
    unsafe { filled(windows.maps, windows.output_size(), work) }
}

/// Gradient with respect to the input, `[maps, positions]`.
pub(crate) fn backward(windows: &Windows, gradient: &[f32]) -> Vec<f32> {
    let work = |map: usize, dx: &mut [MaybeUninit<f32>]| {
        let gradient = &gradient[map * windows.output_size()..][..windows.output_size()];
        dispatch(Spread {
            windows,
            gradient,
            dx,
        });
    };
    // SAFETY: the kernel writes a map row by row.
    unsafe { filled(windows.maps, windows.input_size(), work) }
}

/// Means of neighbouring windows.
struct Mean<'a> {
    /// Numbers from the first window on.
    from: &'a [f32],
    places: &'a [usize],
    y: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Mean<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let last = self.places.iter().max().map_or(0, |place| place + self.y.len());
        assert!(last + MOST_LANES <= self.from.len() + 1);
        let share = 1.0 / self.places.len() as f32;
        // SAFETY: as this function's own; a vector may reach past the last window, where the
        // assertion has seen room for it.
        unsafe {
            for at in (0..self.y.len()).step_by(S::LANES) {
                let mut sum = S::splat(0.0);
                for place in self.places {
                    sum = S::add(sum, S::load(self.from.as_ptr().add(place + at)));
                }
                S::store_part(self.y, at, S::multiply(sum, S::splat(share)));
            }
        }
    }
}

/// Spreads the gradient of one map's windows evenly over their positions.
///
/// Position p of an axis lies in the windows ⌊(p + padding) / stride⌋ − j for all j ≥ 0 with
/// (p + padding) mod stride + j·stride < kernel.
struct Spread<'a> {
    windows: &'a Windows,
    gradient: &'a [f32],
    dx: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Spread<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let options = self.windows.options;
        let [[height_of, width_of], [step_y, step_x]] = [options.kernel, options.stride];
        let [rows, columns] = self.windows.output;
        let width = self.windows.input[1];
        let share = 1.0 / self.windows.area() as f32;
        // Windows that end before a position, at most; as many zeros stand on both sides.
        let margin = (width_of - 1) / step_x;
        let padded = columns + 2 * margin;
        // Columns of one phase of the padded row that the windows of a row reach.
        let reach = columns + margin;
        let phases = step_x.min(width_of);
        let counts = [padded + MOST_LANES, phases * reach + MOST_LANES, 0];
        with_scratch(counts, |[sums, spread, _]| {
            sums.fill(0.0);
            for (y, dx) in self.dx.chunks_exact_mut(width).enumerate() {
                let (newest, phase) = (
                    (y + options.padding[0]) / step_y,
                    (y + options.padding[0]) % step_y,
                );
                sums[margin..margin + columns].fill(0.0);
                for back in 0..height_of.saturating_sub(phase).div_ceil(step_y) {
                    let Some(row) = newest.checked_sub(back).filter(|&row| row < rows) else {
                        continue;
                    };
                    let row = &self.gradient[row * columns..][..columns];
                    for (sum, gradient) in sums[margin..].iter_mut().zip(row) {
                        *sum += gradient * share;
                    }
                }
                for phase in 0..phases {
                    let spread = &mut spread[phase * reach..];
                    let taps = (width_of - phase).div_ceil(step_x);
                    for at in (0..reach).step_by(S::LANES) {
                        // SAFETY: as this function's own; both buffers have room for a vector
                        // that starts at their last number.
                        unsafe {
                            let mut sum = S::splat(0.0);
                            for back in 0..taps {
                                let from = sums.as_ptr().add(at + margin - back);
                                sum = S::add(sum, S::load(from));
                            }
                            S::store(spread.as_mut_ptr().add(at), sum);
                        }
                    }
                }
                // Behind the last window, and between windows with gaps, nothing comes.
                for (x, dx) in dx.iter_mut().enumerate() {
                    let (newest, phase) = (
                        (x + options.padding[1]) / step_x,
                        (x + options.padding[1]) % step_x,
                    );
                    dx.write(match phase < phases && newest < reach {
                        true => spread[phase * reach + newest],
                        false => 0.0,
                    });
                }
            }
        });
    }
}
