//! The activations that are fused with what comes before them.

use crate::simd::Simd;

/// What is done to each number last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    ///
    /// Howard et al. "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
    /// Applications". 2017.
    Relu6,
}

/// The bound of [`Activation::Relu6`].
pub(crate) const SIX: f32 = 6.0;

impl Activation {
    /// The activation of a vector.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    pub(crate) unsafe fn of<S: Simd>(self, x: S::Vector) -> S::Vector {
        // SAFETY: as this function's own.
        unsafe {
            match self {
                Activation::Identity => x,
                Activation::Relu => S::positive_part(x),
                Activation::Relu6 => S::at_most(S::positive_part(x), S::splat(SIX)),
            }
        }
    }

    /// What passes of a vector of gradients, by the activation's output.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    pub(crate) unsafe fn passed<S: Simd>(
        self,
        output: S::Vector,
        gradient: S::Vector,
    ) -> S::Vector {
        // SAFETY: as this function's own.
        unsafe {
            match self {
                Activation::Identity => gradient,
                Activation::Relu => S::where_positive(output, gradient),
                Activation::Relu6 => {
                    let gradient = S::where_positive(output, gradient);
                    S::where_below(output, S::splat(SIX), gradient)
                }
            }
        }
    }
}
