//! The largest number of each window.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    phases::Phases,
    side_by_side::{self, LargestOfColumns},
    window::Windows,
};
use crate::{
    pieces::{fill, filled, filled_from, pieces_per_task},
    scratch::with_scratch,
    simd::{Kernel, MOST_LANES, Simd, dispatch},
};

/// Stands for a window whose numbers all are −∞, until its first place is found.
const NONE: u8 = u8::MAX;

/// Whether there is a kernel for such windows.
pub(crate) fn fits(windows: &Windows) -> bool {
    side_by_side::fits(windows) || windows.area() <= usize::from(NONE)
}

/// Whether there is one that names places, each with a byte.
pub(crate) fn fits_places(windows: &Windows) -> bool {
    // Windows that lie side by side have a place for each, and need no number for none.
    fits(windows) && windows.area() <= usize::from(NONE) + usize::from(side_by_side::fits(windows))
}

/// Largest number of each window, `[maps, windows]`.
pub(crate) fn forward(windows: &Windows, x: &[f32]) -> Vec<f32> {
    let (size, read) = (windows.output_size(), windows.input_size());
    if side_by_side::fits(windows) {
        let work = |map: usize, y: &mut [MaybeUninit<f32>]| {
            let x = &x[map * windows.input_size()..][..windows.input_size()];
            largest_of_columns(windows, x, y, &mut []);
        };
        // SAFETY: the rows of windows cover a map.
        return unsafe { filled_from(windows.maps, size, read, work) };
    }
    let phases = Phases::new(windows);
    let places = phases.places();
    let work = |map: usize, y: &mut [MaybeUninit<f32>]| {
        let x = &x[map * windows.input_size()..][..windows.input_size()];
        largest(&phases, &places, x, y, &mut []);
    };
    // SAFETY: the runs of windows cover a map.
    unsafe { filled_from(windows.maps, size, read, work) }
}

/// [`forward`], and the place of that number in its window, row by row.
pub(crate) fn forward_with_places(windows: &Windows, x: &[f32]) -> (Vec<f32>, Vec<u8>) {
    let phases = (!side_by_side::fits(windows)).then(|| Phases::new(windows));
    let places = phases.as_ref().map_or(Vec::new(), Phases::places);
    let (size, count) = (windows.output_size(), windows.maps * windows.output_size());
    let mut output = Vec::with_capacity(count);
    let mut chosen = Vec::with_capacity(count);
    output.spare_capacity_mut()[..count]
        .par_chunks_mut(size)
        .zip(chosen.spare_capacity_mut()[..count].par_chunks_mut(size))
        .zip(x.par_chunks(windows.input_size()))
        .with_min_len(pieces_per_task(windows.input_size()))
        .for_each(|((y, chosen), x)| {
            let Some(phases) = &phases else {
                largest_of_columns(windows, x, y, chosen);
                return;
            };
            largest(phases, &places, x, y, chosen);
            // SAFETY: the runs of windows cover a map, so that all of it is written.
            name_first_places(windows, unsafe { chosen.assume_init_mut() });
        });
    // SAFETY: all maps of both are written.
    unsafe {
        output.set_len(count);
        chosen.set_len(count);
    }
    (output, chosen)
}

/// Gradient with respect to the input, `[maps, positions]`.
pub(crate) fn backward(windows: &Windows, chosen: &[u8], gradient: &[f32]) -> Vec<f32> {
    let size = windows.output_size();
    let [kernel_height, kernel_width] = windows.options.kernel;
    let [stride, padding] = [windows.options.stride, windows.options.padding];
    let [width, columns] = [windows.input[1], windows.output[1]];
    // From the corner of a window to its places. The corner may lie outside, where the place does
    // not: wrapping sums come back inside.
    let mut places = [0; 256];
    for (number, place) in places[..kernel_height * kernel_width]
        .iter_mut()
        .enumerate()
    {
        *place = number / kernel_width * width + number % kernel_width;
    }
    let work = |map: usize, dx: &mut [MaybeUninit<f32>]| {
        let dx = fill(dx, 0.0);
        let chosen = chosen[map * size..][..size].chunks_exact(columns);
        let gradient = gradient[map * size..][..size].chunks_exact(columns);
        for (row, (chosen, gradient)) in chosen.zip(gradient).enumerate() {
            let mut corner = (row * stride[0])
                .wrapping_sub(padding[0])
                .wrapping_mul(width)
                .wrapping_sub(padding[1]);
            for (&chosen, &gradient) in chosen.iter().zip(gradient) {
                dx[corner.wrapping_add(places[usize::from(chosen)])] += gradient;
                corner = corner.wrapping_add(stride[1]);
            }
        }
    };
    // SAFETY: all of a map is filled first.
    unsafe { filled(windows.maps, windows.input_size(), work) }
}

/// Writes the largest numbers of one map's windows, and their places unless `chosen` is empty.
fn largest(
    phases: &Phases,
    places: &[usize],
    x: &[f32],
    y: &mut [MaybeUninit<f32>],
    chosen: &mut [MaybeUninit<u8>],
) {
    phases.with(x, f32::NEG_INFINITY, |numbers| {
        for (run, offset) in phases.runs() {
            let chosen = match chosen.is_empty() {
                true => &mut [],
                false => &mut chosen[run.clone()],
            };
            dispatch(Largest {
                from: &numbers[offset..],
                places,
                y: &mut y[run],
                chosen,
            });
        }
    });
}

/// As [`largest`], of windows that lie side by side.
fn largest_of_columns(
    windows: &Windows,
    x: &[f32],
    y: &mut [MaybeUninit<f32>],
    chosen: &mut [MaybeUninit<u8>],
) {
    let room = side_by_side::room(windows);
    with_scratch([room, room, 0], |[best, rows, _]| {
        dispatch(LargestOfColumns {
            windows,
            x,
            y,
            chosen,
            best,
            rows,
        });
    });
}

/// Windows whose numbers all are −∞ chose no place: theirs is the first that is inside the map.
fn name_first_places(windows: &Windows, chosen: &mut [u8]) {
    if !chosen.contains(&NONE) {
        return;
    }
    let [stride, padding] = [windows.options.stride, windows.options.padding];
    for (number, chosen) in chosen.iter_mut().enumerate() {
        if *chosen == NONE {
            let [row, column] = [
                number / windows.output[1] * stride[0],
                number % windows.output[1] * stride[1],
            ];
            let first = padding[0].saturating_sub(row) * windows.options.kernel[1]
                + padding[1].saturating_sub(column);
            *chosen = first as u8;
        }
    }
}

/// Largest numbers of neighbouring windows, and their places unless `chosen` is empty.
struct Largest<'a> {
    /// Numbers from the first window on.
    from: &'a [f32],
    places: &'a [usize],
    y: &'a mut [MaybeUninit<f32>],
    chosen: &'a mut [MaybeUninit<u8>],
}

impl Kernel for Largest<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let last = self
            .places
            .iter()
            .max()
            .map_or(0, |place| place + self.y.len());
        assert!(last + MOST_LANES <= self.from.len() + 1);
        // SAFETY: as this function's own; a vector may reach past the last window, where the
        // assertion has seen room for it.
        unsafe {
            for at in (0..self.y.len()).step_by(S::LANES) {
                let mut best = [S::splat(f32::NEG_INFINITY), S::splat(f32::from(NONE))];
                let mut tag = 0.0;
                for place in self.places {
                    let candidate = S::load(self.from.as_ptr().add(place + at));
                    best = S::larger(best, candidate, S::splat(tag));
                    tag += 1.0;
                }
                S::store_part(self.y, at, best[0]);
                if self.chosen.is_empty() {
                    continue;
                }
                if at + S::LANES <= self.chosen.len() {
                    S::store_bytes(self.chosen.as_mut_ptr().add(at).cast(), best[1]);
                } else {
                    let mut padded = [0; MOST_LANES];
                    S::store_bytes(padded.as_mut_ptr(), best[1]);
                    let valid = self.chosen.len() - at;
                    self.chosen[at..].write_copy_of_slice(&padded[..valid]);
                }
            }
        }
    }
}
