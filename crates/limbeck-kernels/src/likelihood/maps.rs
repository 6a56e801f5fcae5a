//! The kernels: pixels in the lanes, one class after the other.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::{
    elementary::exponential,
    pieces::filled,
    simd::{Kernel, Simd, dispatch},
};

/// Pixels that one task handles.
const PIXELS: usize = 1 << 12;

/// Sizes of maps of logits.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub batch: usize,
    pub classes: usize,
    /// Pixels of one map.
    pub pixels: usize,
}

/// Log-probability of each pixel's class, and the logarithm of the sum of the exponentials of its
/// logits, `[B, pixels]` each, of `logits` `[B, K, pixels]` and `ids` `[B, pixels]`. A class that is
/// none of the K has the log-probability 0.
pub(crate) fn forward(logits: &[f32], ids: &[u16], sizes: Sizes) -> [Vec<f32>; 2] {
    let Sizes {
        batch,
        classes,
        pixels,
    } = sizes;
    let count = batch * pixels;
    let [mut likelihoods, mut logarithms] = [const { Vec::new() }; 2];
    likelihoods.reserve_exact(count);
    logarithms.reserve_exact(count);
    likelihoods.spare_capacity_mut()[..count]
        .par_chunks_mut(pixels)
        .zip(logarithms.spare_capacity_mut()[..count].par_chunks_mut(pixels))
        .enumerate()
        .flat_map(|(image, (likelihoods, logarithms))| {
            let logits = &logits[image * classes * pixels..][..classes * pixels];
            let ids = &ids[image * pixels..][..pixels];
            likelihoods
                .par_chunks_mut(PIXELS)
                .zip(logarithms.par_chunks_mut(PIXELS))
                .zip(ids.par_chunks(PIXELS))
                .enumerate()
                .map(move |(part, outputs)| (logits, part * PIXELS, outputs))
        })
        .for_each(|(logits, first, ((likelihoods, logarithms), ids))| {
            dispatch(Forward {
                logits,
                ids,
                sizes,
                first,
                likelihoods,
                logarithms,
            });
        });
    // SAFETY: the tasks cover all pixels of all images and write both numbers of theirs.
    unsafe {
        likelihoods.set_len(count);
        logarithms.set_len(count);
    }
    [likelihoods, logarithms]
}

/// Some pixels of one image.
struct Forward<'a> {
    /// `[K, pixels]`.
    logits: &'a [f32],
    ids: &'a [u16],
    sizes: Sizes,
    /// The first pixel.
    first: usize,
    likelihoods: &'a mut [MaybeUninit<f32>],
    logarithms: &'a mut [MaybeUninit<f32>],
}

impl Forward<'_> {
    /// Logits of one class from a pixel on.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`; the pixel must be one of the map's.
    #[inline(always)]
    unsafe fn logits<S: Simd>(&self, class: usize, pixel: usize) -> S::Vector {
        let map = &self.logits[class * self.sizes.pixels..][..self.sizes.pixels];
        // SAFETY: as this function's own.
        unsafe { S::load_part(map, pixel) }
    }
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Sizes {
            classes, pixels, ..
        } = self.sizes;
        let mut most_of = [0.0; crate::simd::MOST_LANES];
        let mut sum_of = most_of;
        for at in (0..self.ids.len()).step_by(S::LANES) {
            // SAFETY: as this function's own; `from` lies inside each class's map.
            unsafe {
                let from = self.first + at;
                let mut most = self.logits::<S>(0, from);
                for class in 1..classes {
                    most = S::maximum(most, self.logits::<S>(class, from));
                }
                let mut sum = S::splat(0.0);
                for class in 0..classes {
                    let distance = S::subtract(self.logits::<S>(class, from), most);
                    sum = S::add(sum, exponential::<S>(distance));
                }
                S::store(most_of.as_mut_ptr(), most);
                S::store(sum_of.as_mut_ptr(), sum);
            }
            for lane in 0..S::LANES.min(self.ids.len() - at) {
                let logarithm = most_of[lane] + sum_of[lane].ln();
                let class = usize::from(self.ids[at + lane]);
                let likelihood = match class < classes {
                    true => self.logits[class * pixels + self.first + at + lane] - logarithm,
                    false => 0.0,
                };
                self.likelihoods[at + lane].write(likelihood);
                self.logarithms[at + lane].write(logarithm);
            }
        }
    }
}

/// The gradient with respect to the logits, `[B, K, pixels]`, of that of the log-probabilities,
/// `[B, pixels]`: with p the probabilities, g·(1 − p) for a pixel's class and −g·p for all others.
pub(crate) fn backward(
    logits: &[f32],
    ids: &[u16],
    logarithms: &[f32],
    gradient: &[f32],
    sizes: Sizes,
) -> Vec<f32> {
    let Sizes {
        batch,
        classes,
        pixels,
    } = sizes;
    // SAFETY: the kernel writes every pixel of a map.
    unsafe {
        filled(batch * classes, pixels, |map, to| {
            let image = map / classes * pixels;
            dispatch(Backward {
                logits: &logits[map * pixels..][..pixels],
                ids: &ids[image..][..pixels],
                logarithms: &logarithms[image..][..pixels],
                gradient: &gradient[image..][..pixels],
                class: map % classes,
                classes,
                to,
            });
        })
    }
}

/// The map of one class of one image.
struct Backward<'a> {
    logits: &'a [f32],
    ids: &'a [u16],
    logarithms: &'a [f32],
    gradient: &'a [f32],
    class: usize,
    classes: usize,
    to: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut share = [0.0; crate::simd::MOST_LANES];
        for at in (0..self.to.len()).step_by(S::LANES) {
            let ids = &self.ids[at..self.ids.len().min(at + S::LANES)];
            for (share, &id) in share.iter_mut().zip(ids) {
                *share = f32::from(u8::from(usize::from(id) == self.class));
            }
            // SAFETY: as this function's own; `at` lies inside all of the maps, which are equally
            // long.
            unsafe {
                let logarithm = S::load_part(self.logarithms, at);
                let score = S::subtract(S::load_part(self.logits, at), logarithm);
                let slope = S::subtract(S::load(share.as_ptr()), exponential::<S>(score));
                let gradient = S::load_part(self.gradient, at);
                S::store_part(self.to, at, S::multiply(gradient, slope));
            }
        }
        // A class that is none of them has no gradient; there are none such in training.
        for (at, &id) in self.ids.iter().enumerate() {
            if usize::from(id) >= self.classes {
                self.to[at].write(0.0);
            }
        }
    }
}
