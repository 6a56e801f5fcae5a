//! Convolutions, linear layers and pooling in 8 bits.
//!
//! Maps are unsigned bytes with a scale and a zero point, channels last ([`ByteMap`]), or numbers in the same
//! order where the next layer wants these ([`NumberMap`]); weights are signed
//! bytes with a scale for each output channel. Sums of their products are exact in 32 bits and become bytes
//! of the next map as they are written. Of an unsigned and a signed byte AVX-512 and AVX-VNNI have the product
//! as one instruction; AVX2's own saturates, so there bytes are widened. Every instruction set gives the same
//! bytes, and so does any number of threads.

mod border;
mod convolution;
mod depthwise;
mod error;
mod geometry;
mod instructions;
mod lookup;
mod map;
mod numbers;
mod pooling;
mod requantise;
mod strip;
mod target;
mod tile;
mod weights;

pub use convolution::{IntegerConvolution, IntegerWeights};
pub use error::IntegerError;
pub use map::{ByteMap, Quantisation};
pub use numbers::NumberMap;
pub use requantise::Addend;

/// Name of the instruction set that 8-bit kernels use on this processor.
pub fn integer_instruction_set() -> &'static str {
    instructions::Level::fastest().name()
}

#[cfg(test)]
mod tests;
