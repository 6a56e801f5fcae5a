//! What is done to outputs before they are written.

use std::{mem::MaybeUninit, ops::Range};

use crate::{
    Activation,
    simd::{self, Kernel, Simd},
};

/// A bias, a residual and an activation, in this order, each where it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Finish<'a> {
    /// Added to each output channel, `[O]`.
    pub bias: Option<&'a [f32]>,
    /// Added number by number, `[B, O, H', W']`.
    pub residual: Option<&'a [f32]>,
    /// What is done to the sums.
    pub activation: Activation,
}

impl<'a> Finish<'a> {
    /// The parts of the residual that lie in `ranges` of `0..count`; empty where there is none.
    pub fn residual_of(
        &self,
        count: usize,
        ranges: impl Fn(usize) -> Range<usize>,
    ) -> Vec<&'a [f32]> {
        self.residual.map_or(Vec::new(), |residual| {
            (0..count).map(|index| &residual[ranges(index)]).collect()
        })
    }

    /// Adds the residual from number `start` on to outputs that have their bias, and activates
    /// them.
    ///
    /// # Safety
    /// All of `outputs` must have been written.
    pub unsafe fn apply(&self, outputs: &mut [MaybeUninit<f32>], start: usize) {
        if self.residual.is_none() && self.activation == Activation::Identity {
            return;
        }
        simd::dispatch(Apply {
            residual: self.residual.map(|r| &r[start..start + outputs.len()]),
            activation: self.activation,
            outputs,
        });
    }
}

struct Apply<'a> {
    /// All written.
    outputs: &'a mut [MaybeUninit<f32>],
    residual: Option<&'a [f32]>,
    activation: Activation,
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            outputs,
            residual,
            activation,
        } = self;
        // SAFETY: as this function's own; `at` stays inside the outputs, which have been written,
        // and the residual is as long.
        unsafe {
            for at in (0..outputs.len()).step_by(S::LANES) {
                let mut values = S::load_part(outputs.assume_init_ref(), at);
                if let Some(residual) = residual {
                    values = S::add(values, S::load_part(residual, at));
                }
                S::store_part(outputs, at, activation.of::<S>(values));
            }
        }
    }
}
