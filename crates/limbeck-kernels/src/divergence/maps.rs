//! The kernel of cross entropies: pixels in the lanes, one class after the other, so that maps are
//! read as they lie.

use rayon::prelude::*;

use crate::{
    elementary::exponential,
    pieces::filled,
    simd::{Kernel, MOST_LANES, Simd, dispatch},
};

/// Pixels that one task handles: each has numbers of all classes.
const PIXELS: usize = 1 << 10;

/// −Σ softmax(target) · log softmax(x) over the pixels and classes of maps `[B, K, pixels]`, and its
/// gradient with respect to `x`.
pub(super) fn cross_entropy(
    x: &[f32],
    target: &[f32],
    classes: usize,
    pixels: usize,
) -> (f64, Vec<f32>) {
    let tasks = pixels.div_ceil(PIXELS);
    let images = x.len() / (classes * pixels);
    let parts: Vec<Part> = (0..images * tasks)
        .into_par_iter()
        .map(|task| {
            let image = task / tasks * classes * pixels;
            let first = task % tasks * PIXELS;
            dispatch(Forward {
                maps: [x, target].map(|maps| &maps[image..][..classes * pixels]),
                pixels,
                first,
                count: PIXELS.min(pixels - first),
            })
        })
        .collect();
    // SAFETY: the kernel writes every pixel of a map.
    let slopes = unsafe {
        filled(images * classes, pixels, |map, slopes| {
            let parts = &parts[map / classes * tasks..][..tasks];
            let chunks = slopes.chunks_mut(PIXELS).zip(parts).enumerate();
            for (index, (slopes, part)) in chunks {
                let from = map * pixels + index * PIXELS;
                dispatch(Slopes {
                    maps: [x, target].map(|maps| &maps[from..][..slopes.len()]),
                    logarithms: part.logarithms.each_ref().map(Vec::as_slice),
                    slopes,
                });
            }
        })
    };
    // In order, whatever the threads.
    (parts.iter().map(|part| part.value).sum(), slopes)
}

/// What some pixels of one image add.
struct Part {
    value: f64,
    /// Logarithm of the sum of the exponentials of each pixel's numbers, of `x` and of `target`.
    logarithms: [Vec<f32>; 2],
}

/// Some pixels of one image.
struct Forward<'a> {
    /// `x` and `target`, `[K, pixels]`.
    maps: [&'a [f32]; 2],
    /// Of one map.
    pixels: usize,
    first: usize,
    count: usize,
}

impl Forward<'_> {
    /// Numbers of one class on one side from a pixel on.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`; the pixel must be one of the map's.
    #[inline(always)]
    unsafe fn numbers<S: Simd>(&self, side: usize, class: usize, pixel: usize) -> S::Vector {
        let map = &self.maps[side][class * self.pixels..][..self.pixels];
        // SAFETY: as this function's own.
        unsafe { S::load_part(map, pixel) }
    }
}

impl Kernel for Forward<'_> {
    type Output = Part;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Part {
        let classes = self.maps[0].len() / self.pixels;
        let mut value = 0.0;
        let mut logarithms = [(); 2].map(|()| vec![0.0; self.count]);
        for at in (0..self.count).step_by(S::LANES) {
            let lanes = S::LANES.min(self.count - at);
            let [mut most_of, mut sum_of] = [[[0.0; MOST_LANES]; 2]; 2];
            let mut cross_of = [0.0; MOST_LANES];
            // SAFETY: as this function's own; the pixel lies inside each class's map.
            unsafe {
                let from = self.first + at;
                let mut own_most = self.numbers::<S>(0, 0, from);
                let mut other_most = self.numbers::<S>(1, 0, from);
                for class in 1..classes {
                    own_most = S::maximum(own_most, self.numbers::<S>(0, class, from));
                    other_most = S::maximum(other_most, self.numbers::<S>(1, class, from));
                }
                let zero = S::splat(0.0);
                let (mut own_sum, mut other_sum, mut cross) = (zero, zero, zero);
                for class in 0..classes {
                    let own = S::subtract(self.numbers::<S>(0, class, from), own_most);
                    let other = S::subtract(self.numbers::<S>(1, class, from), other_most);
                    let share = exponential::<S>(other);
                    own_sum = S::add(own_sum, exponential::<S>(own));
                    other_sum = S::add(other_sum, share);
                    cross = S::multiply_add(share, own, cross);
                }
                S::store(most_of[0].as_mut_ptr(), own_most);
                S::store(most_of[1].as_mut_ptr(), other_most);
                S::store(sum_of[0].as_mut_ptr(), own_sum);
                S::store(sum_of[1].as_mut_ptr(), other_sum);
                S::store(cross_of.as_mut_ptr(), cross);
            }
            for lane in 0..lanes {
                let logarithm = sum_of[0][lane].ln();
                value += f64::from(logarithm) - f64::from(cross_of[lane] / sum_of[1][lane]);
                for side in 0..2 {
                    logarithms[side][at + lane] = most_of[side][lane] + sum_of[side][lane].ln();
                }
            }
        }
        Part { value, logarithms }
    }
}

/// Pixels of the map of one class: softmax(x) − softmax(target).
struct Slopes<'a> {
    /// `x` and `target`.
    maps: [&'a [f32]; 2],
    logarithms: [&'a [f32]; 2],
    slopes: &'a mut [std::mem::MaybeUninit<f32>],
}

impl Kernel for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in (0..self.slopes.len()).step_by(S::LANES) {
            // SAFETY: as this function's own; `at` lies inside all of the maps, which are equally
            // long.
            unsafe {
                let own = S::subtract(
                    S::load_part(self.maps[0], at),
                    S::load_part(self.logarithms[0], at),
                );
                let other = S::subtract(
                    S::load_part(self.maps[1], at),
                    S::load_part(self.logarithms[1], at),
                );
                let slope = S::subtract(exponential::<S>(own), exponential::<S>(other));
                S::store_part(self.slopes, at, slope);
            }
        }
    }
}
