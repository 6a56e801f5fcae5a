//! A padded map, taken apart so that neighbouring windows read neighbouring numbers.
//!
//! With a stride of s, the same place of neighbouring windows is s positions apart. The rows and
//! columns of the padded map are dealt out to s phases each: in a phase, the numbers that one
//! place of all windows reads lie side by side.

use std::ops::Range;

use super::window::Windows;
use crate::{
    scratch::with_scratch,
    simd::{Kernel, MOST_LANES, Simd, dispatch},
};

/// Layout of the phases `[min(s, k), min(s, k), rows, columns]` of a map.
#[derive(Clone, Debug)]
pub(super) struct Phases {
    windows: Windows,
    /// Phases in use along each axis.
    count: [usize; 2],
    /// Rows and columns of a phase.
    size: [usize; 2],
}

impl Phases {
    pub fn new(windows: &Windows) -> Self {
        let (kernel, stride) = (windows.options.kernel, windows.options.stride);
        Self {
            count: std::array::from_fn(|axis| stride[axis].min(kernel[axis])),
            size: std::array::from_fn(|axis| {
                windows.output[axis] + (kernel[axis] - 1) / stride[axis]
            }),
            windows: windows.clone(),
        }
    }

    /// Numbers of all phases, with room for a vector that starts at the last.
    fn room(&self) -> usize {
        self.count[0] * self.count[1] * self.size[0] * self.size[1] + MOST_LANES
    }

    /// Where the first window finds each of its places, row by row.
    pub fn places(&self) -> Vec<usize> {
        let Windows { options, .. } = &self.windows;
        let [rows, columns] = self.size;
        let mut places = Vec::with_capacity(self.windows.area());
        for y in 0..options.kernel[0] {
            for x in 0..options.kernel[1] {
                let phase = y % options.stride[0] * self.count[1] + x % options.stride[1];
                let [row, column] = [y / options.stride[0], x / options.stride[1]];
                places.push((phase * rows + row) * columns + column);
            }
        }
        places
    }

    /// Runs of neighbouring windows: the numbers of the windows, and how far the first of them is
    /// from the first of all in a phase.
    pub fn runs(&self) -> impl Iterator<Item = (Range<usize>, usize)> + use<> {
        let [height, width] = self.windows.output;
        let columns = self.size[1];
        // Where windows have no more columns than a phase has, all of them are one run.
        let (runs, length) = match columns == width {
            true => (1, height * width),
            false => (height, width),
        };
        (0..runs).map(move |run| (run * length..(run + 1) * length, run * columns))
    }

    /// Takes `map` apart, with `fill` in the places that padding adds, and lends the phases to
    /// `work`, together with the room of another `extra` numbers. `work` must not use scratch.
    pub fn with<R>(&self, map: &[f32], fill: f32, work: impl FnOnce(&[f32]) -> R) -> R {
        with_scratch([self.room(), 0, 0], |[phases, _, _]| {
            dispatch(TakeApart {
                layout: self,
                map,
                fill,
                phases,
            });
            work(phases)
        })
    }
}

struct TakeApart<'a> {
    layout: &'a Phases,
    map: &'a [f32],
    fill: f32,
    phases: &'a mut [f32],
}

impl Kernel for TakeApart<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Phases {
            windows,
            count,
            size: [rows, columns],
        } = self.layout;
        let (stride, padding) = (windows.options.stride, windows.options.padding);
        let [height, width] = windows.input;
        for (index, row) in self.phases.chunks_exact_mut(rows * columns).enumerate() {
            // The room behind the last phase is shorter than a phase, or not a phase.
            if index == count[0] * count[1] {
                break;
            }
            let (phase_y, phase_x) = (index / count[1], index % count[1]);
            for (number, to) in row.chunks_exact_mut(*columns).enumerate() {
                let y = number * stride[0] + phase_y;
                if y < padding[0] || y >= padding[0] + height {
                    to.fill(self.fill);
                    continue;
                }
                let from = &self.map[(y - padding[0]) * width..][..width];
                // SAFETY: as this function's own.
                unsafe { take_row::<S>(from, to, stride[1], phase_x, padding[1], self.fill) };
            }
        }
    }
}

/// `to[i] = from[i · stride + phase − padding]`, `fill` where there is no such number.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn take_row<S: Simd>(
    from: &[f32],
    to: &mut [f32],
    stride: usize,
    phase: usize,
    padding: usize,
    fill: f32,
) {
    let before = padding.saturating_sub(phase).div_ceil(stride).min(to.len());
    let after = (from.len() + padding)
        .saturating_sub(phase)
        .div_ceil(stride)
        .clamp(before, to.len());
    to[..before].fill(fill);
    to[after..].fill(fill);
    let to = &mut to[before..after];
    if to.is_empty() {
        return;
    }
    let from = &from[before * stride + phase - padding..];
    match stride {
        1 => to.copy_from_slice(&from[..to.len()]),
        2 => {
            let whole = (from.len() / (2 * S::LANES)).min(to.len() / S::LANES) * S::LANES;
            for at in (0..whole).step_by(S::LANES) {
                // SAFETY: as this function's own; twice a whole vector is inside `from`, once
                // inside `to`.
                unsafe {
                    let first = S::load(from.as_ptr().add(2 * at));
                    let second = S::load(from.as_ptr().add(2 * at + S::LANES));
                    let [even, _] = S::deinterleave(first, second);
                    S::store(to.as_mut_ptr().add(at), even);
                }
            }
            for at in whole..to.len() {
                to[at] = from[2 * at];
            }
        }
        _ => {
            for (to, from) in to.iter_mut().zip(from.iter().step_by(stride)) {
                *to = *from;
            }
        }
    }
}
