//! What can be wrong with what is to be computed in 8 bits.

use crate::Activation;

/// Errors of the operations on bytes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum IntegerError {
    /// A scale that no number is quantised by.
    #[error("{what}: a scale must be finite and above 0, found {found}")]
    Scale {
        /// Such as `the input`.
        what: String,
        /// What was given.
        found: f32,
    },
    /// Numbers of another shape than is needed.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Such as `the weight`.
        what: &'static str,
        /// Shape that fits.
        expected: String,
        /// Shape given.
        found: String,
    },
    /// Sums of so many products may not fit 32 bits.
    #[error(
        "an output is a sum of {found} products of bytes; 32 bits are sure to hold {most}: compute this layer in f32"
    )]
    Depth {
        /// Products of an output.
        found: usize,
        /// Most that are allowed.
        most: usize,
    },
    /// An activation that is no clamping.
    #[error(
        "{found:?} is no part of a convolution in 8 bits: convolve without an activation, to a map in the range of \
         those numbers, and give it to `ByteMap::mapped`"
    )]
    Activation {
        /// What was asked for.
        found: Activation,
    },
    /// A bias that is no number.
    #[error("the bias of output channel {channel} is {found}")]
    Bias {
        /// Output channel.
        channel: usize,
        /// What was given.
        found: f32,
    },
}
