//! The mean of each window.

use std::mem::MaybeUninit;

use super::{phases::Phases, window::Windows};
use crate::{
    pieces::{fill, filled, filled_from},
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
    let (size, read) = (windows.output_size(), windows.input_size());
    // SAFETY: the runs of windows cover a map.
    unsafe { filled_from(windows.maps, size, read, work) }
}

/// Gradient with respect to the input, `[maps, positions]`.
pub(crate) fn backward(windows: &Windows, gradient: &[f32]) -> Vec<f32> {
    let layout = Spreading::new(windows);
    let work = |map: usize, dx: &mut [MaybeUninit<f32>]| {
        let gradient = &gradient[map * windows.output_size()..][..windows.output_size()];
        let dx = fill(dx, 0.0);
        with_scratch([layout.sums(), layout.phase(), 0], |[sums, phase, _]| {
            dispatch(Spread {
                layout: &layout,
                gradient,
                sums,
                phase,
                dx,
            });
        });
    };
    // SAFETY: all of a map is filled first.
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
        let last = self
            .places
            .iter()
            .max()
            .map_or(0, |place| place + self.y.len());
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

/// How the gradients of windows come to the positions of a map.
///
/// Position p of an axis lies in the windows ⌊(p + padding) / stride⌋ − j for all j ≥ 0 with
/// (p + padding) mod stride + j·stride < kernel. Positions of one phase, the remainder, are handled
/// together: neighbours among them lie in neighbouring windows.
struct Spreading {
    windows: Windows,
    /// Windows of a row that may begin before a position and not reach it, at most: as many zeros
    /// stand on both sides of a row of gradients.
    margin: usize,
    /// Positions of one phase of a padded row that the windows reach.
    reach: usize,
}

impl Spreading {
    fn new(windows: &Windows) -> Self {
        let margin = (windows.options.kernel[1] - 1) / windows.options.stride[1];
        Self {
            margin,
            reach: windows.output[1] + margin,
            windows: windows.clone(),
        }
    }

    /// Room of a row of gradients with its margins and a vector behind.
    fn sums(&self) -> usize {
        self.reach + self.margin + MOST_LANES
    }

    /// Room of a phase with a vector behind.
    fn phase(&self) -> usize {
        self.reach + MOST_LANES
    }

    /// Windows that lie over row `y` of a map.
    fn rows_over(&self, y: usize) -> impl Iterator<Item = usize> + use<> {
        let [kernel, stride] = [
            self.windows.options.kernel[0],
            self.windows.options.stride[0],
        ];
        let rows = self.windows.output[0];
        let padded = y + self.windows.options.padding[0];
        let (newest, phase) = (padded / stride, padded % stride);
        (0..kernel.saturating_sub(phase).div_ceil(stride))
            .filter_map(move |back| newest.checked_sub(back))
            .filter(move |&row| row < rows)
    }

    /// For a phase of the columns: its first position among those that windows reach that is
    /// inside the map, and the column of that.
    fn first_inside(&self, phase: usize) -> (usize, usize) {
        let [padding, stride] = [
            self.windows.options.padding[1],
            self.windows.options.stride[1],
        ];
        let first = padding.saturating_sub(phase).div_ceil(stride);
        (first, first * stride + phase - padding)
    }
}

/// Adds the gradient of one map's windows, evenly over their positions, to zeros.
struct Spread<'a> {
    layout: &'a Spreading,
    gradient: &'a [f32],
    sums: &'a mut [f32],
    phase: &'a mut [f32],
    dx: &'a mut [f32],
}

impl Kernel for Spread<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let &Spreading {
            ref windows,
            margin,
            reach,
        } = self.layout;
        let (width, columns) = (windows.input[1], windows.output[1]);
        let (kernel, stride) = (windows.options.kernel[1], windows.options.stride[1]);
        let share = 1.0 / windows.area() as f32;
        self.sums.fill(0.0);
        for (y, dx) in self.dx.chunks_exact_mut(width).enumerate() {
            let sums = &mut self.sums[margin..margin + columns];
            sums.fill(0.0);
            for row in self.layout.rows_over(y) {
                let row = &self.gradient[row * columns..][..columns];
                for (sum, gradient) in sums.iter_mut().zip(row) {
                    *sum += gradient * share;
                }
            }
            for phase in 0..stride.min(kernel) {
                let windows_over = (kernel - phase).div_ceil(stride);
                for at in (0..reach).step_by(S::LANES) {
                    // SAFETY: as this function's own; both buffers have room for a vector that
                    // starts at their last number, and there are no more windows before a
                    // position than the margin.
                    unsafe {
                        let newest = self.sums.as_ptr().add(at + margin);
                        let mut sum = S::load(newest);
                        for back in 1..windows_over {
                            sum = S::add(sum, S::load(newest.sub(back)));
                        }
                        S::store(self.phase.as_mut_ptr().add(at), sum);
                    }
                }
                let (first, column) = self.layout.first_inside(phase);
                let spread = self.phase[..reach].iter().skip(first);
                let columns = dx.iter_mut().skip(column).step_by(stride);
                for (dx, spread) in columns.zip(spread) {
                    *dx = *spread;
                }
            }
        }
    }
}
