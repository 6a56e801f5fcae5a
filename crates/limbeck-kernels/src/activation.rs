//! The activations that are fused with what comes before them.

use crate::{
    elementary::{DENSITY_SCALE, exponential, normal_distribution},
    simd::Simd,
};

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
    /// `x·σ(x)` with σ the logistic function.
    ///
    /// Elfwing, Uchibe and Doya. "Sigmoid-weighted linear units for neural network function
    /// approximation in reinforcement learning". 2018.
    Silu,
    /// `x·Φ(x)` with Φ the standard normal distribution.
    ///
    /// Hendrycks and Gimpel. "Gaussian Error Linear Units (GELUs)". 2016.
    Gelu,
}

/// The bound of [`Activation::Relu6`].
pub(crate) const SIX: f32 = 6.0;

impl Activation {
    /// Whether what it lets pass of a gradient is told by what it was given alone, and slow to compute.
    pub(crate) fn is_smooth(self) -> bool {
        matches!(self, Activation::Silu | Activation::Gelu)
    }

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
                Activation::Silu => S::multiply(x, logistic::<S>(x)[0]),
                Activation::Gelu => S::multiply(x, normal_distribution::<S>(x)[0]),
            }
        }
    }

    /// What passes of a vector of gradients, by what the activation was given; rectifiers tell it by
    /// their output as well.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    pub(crate) unsafe fn passed<S: Simd>(self, given: S::Vector, gradient: S::Vector) -> S::Vector {
        // SAFETY: as this function's own.
        unsafe {
            match self {
                Activation::Identity => gradient,
                Activation::Relu => S::where_positive(given, gradient),
                Activation::Relu6 => {
                    let gradient = S::where_positive(given, gradient);
                    S::where_below(given, S::splat(SIX), gradient)
                }
                Activation::Silu => {
                    // σ + x·σ·(1 − σ)
                    let [share, rest] = logistic::<S>(given);
                    let slope = S::multiply_add(S::multiply(given, share), rest, share);
                    S::multiply(gradient, slope)
                }
                Activation::Gelu => S::multiply(gradient, gelu_and_slope::<S>(given)[1]),
            }
        }
    }
}

/// [`Activation::Gelu`] of x, and its slope Φ(x) + x·φ(x), φ being the density.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
pub(crate) unsafe fn gelu_and_slope<S: Simd>(x: S::Vector) -> [S::Vector; 2] {
    // SAFETY: as this function's own.
    unsafe {
        let [distribution, density] = normal_distribution::<S>(x);
        let density = S::multiply(density, S::splat(DENSITY_SCALE));
        [
            S::multiply(x, distribution),
            S::multiply_add(x, density, distribution),
        ]
    }
}

/// σ = 1 / (1 + e⁻ˣ), and 1 − σ with all of its digits.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
pub(crate) unsafe fn logistic<S: Simd>(x: S::Vector) -> [S::Vector; 2] {
    // SAFETY: as this function's own.
    unsafe {
        let one = S::splat(1.0);
        let away = exponential::<S>(S::subtract(S::splat(0.0), x));
        let share = S::divide(one, S::add(one, away));
        [share, S::multiply(away, share)]
    }
}
