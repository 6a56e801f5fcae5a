//! What is done to outputs before they are written.

use std::mem::MaybeUninit;

use crate::simd::{self, Kernel, Simd};

/// A bias, a residual and the positive part, in this order, each where it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Finish<'a> {
    /// Added to each output channel, `[O]`.
    pub bias: Option<&'a [f32]>,
    /// Added number by number, `[B, O, H', W']`.
    pub residual: Option<&'a [f32]>,
    /// Whether what is negative becomes zero.
    pub relu: bool,
}

impl Finish<'_> {
    /// Adds the residual from number `start` on to outputs that have their bias, and takes the
    /// positive part.
    ///
    /// # Safety
    /// All of `outputs` must have been written.
    pub unsafe fn apply(&self, outputs: &mut [MaybeUninit<f32>], start: usize) {
        if self.residual.is_none() && !self.relu {
            return;
        }
        simd::dispatch(Apply {
            residual: self.residual.map(|r| &r[start..start + outputs.len()]),
            relu: self.relu,
            outputs,
        });
    }
}

struct Apply<'a> {
    /// All written.
    outputs: &'a mut [MaybeUninit<f32>],
    residual: Option<&'a [f32]>,
    relu: bool,
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            outputs,
            residual,
            relu,
        } = self;
        // SAFETY: as this function's own; `at` stays inside the outputs, which have been written,
        // and the residual is as long.
        unsafe {
            for at in (0..outputs.len()).step_by(S::LANES) {
                let mut values = S::load_part(outputs.assume_init_ref(), at);
                if let Some(residual) = residual {
                    values = S::add(values, S::load_part(residual, at));
                }
                if relu {
                    values = S::positive_part(values);
                }
                S::store_part(outputs, at, values);
            }
        }
    }
}
