//! From sums of products to the bytes of the next map.

use super::{
    ByteMap, IntegerError, NumberMap, Quantisation,
    instructions::{Bytes, MOST_LANES, Range},
};
use crate::{Activation, activation::SIX};

/// Most products of one output: with inputs up to 255 and weights down to −128 they stay below 2³⁰, and so does
/// what the zero point of the input adds.
pub(super) const MOST_PRODUCTS: usize = 32_768;

/// `sum · scale + offset` for each output channel.
#[derive(Clone, Debug)]
pub(super) struct Affine {
    pub scale: Vec<f32>,
    pub offset: Vec<f32>,
}

impl Affine {
    /// The vector of it that begins at `channel`.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`, and the channel must be one.
    #[inline(always)]
    pub unsafe fn of<S: Bytes>(&self, sums: S::Sums, channel: usize) -> S::Numbers {
        debug_assert!(channel + S::LANES <= self.scale.len());
        // SAFETY: as this function's own; the lists are longer than the channels by two vectors.
        unsafe {
            let (scale, offset) = (self.scale.as_ptr(), self.offset.as_ptr());
            S::scaled(sums, scale.add(channel), offset.add(channel))
        }
    }
}

/// What is done to the sums of each output channel. Lists are longer than the channels by two
/// vectors: a tile may begin at any channel.
#[derive(Clone, Debug)]
pub(super) struct Requantise {
    /// What sums begin with: less what the zero point of the input adds.
    pub start: Vec<i32>,
    /// Step of the sums and bias, in steps of the output.
    pub of_bytes: Affine,
    /// Step of the sums and bias.
    pub of_numbers: Affine,
    pub range: Range,
    pub output: Quantisation,
    /// What the activation clamps numbers to.
    pub bounds: [f32; 2],
}

impl Requantise {
    /// `weight` holds those of each output channel one after the other.
    pub fn new(
        weight: &[i8],
        scales: &[f32],
        bias: Option<&[f32]>,
        input: Quantisation,
        output: Quantisation,
        activation: Activation,
    ) -> Result<Self, IntegerError> {
        input.check("the input")?;
        output.check("the output")?;
        let outputs = scales.len();
        let depth = weight.len() / outputs;
        if depth > MOST_PRODUCTS {
            return Err(IntegerError::Depth {
                found: depth,
                most: MOST_PRODUCTS,
            });
        }
        let padded = outputs + 2 * MOST_LANES;
        let mut start = vec![0; padded];
        let line = || Affine {
            scale: vec![0.0; padded],
            offset: vec![0.0; padded],
        };
        let [mut of_bytes, mut of_numbers] = [line(), line()];
        for (channel, weight) in weight.chunks_exact(depth).enumerate() {
            let bias = bias.map_or(0.0, |bias| bias[channel]);
            if !bias.is_finite() {
                return Err(IntegerError::Bias {
                    channel,
                    found: bias,
                });
            }
            let mut of_weights = scales[channel];
            if of_weights == 0.0 && weight.iter().all(|&w| w == 0) {
                // Such a channel is its bias, whatever the step.
                of_weights = output.scale / input.scale;
            }
            Quantisation {
                scale: of_weights,
                zero_point: 0,
                greatest: 255,
            }
            .check(&format!("weights of output channel {channel}"))?;
            let of_zero: i64 = weight.iter().map(|&w| i64::from(w)).sum();
            let of_zero = of_zero * i64::from(input.zero_point);
            // Below 2³⁰ in size: a sum never leaves 32 bits, in whatever order its products come.
            start[channel] = -of_zero as i32;
            let step = input.scale * of_weights;
            let scale = step / output.scale;
            if !scale.is_finite() {
                return Err(IntegerError::Scale {
                    what: format!("sums of output channel {channel}, in steps of the output"),
                    found: scale,
                });
            }
            // Not in the sums: of few bits, their steps are as large as the bias.
            of_numbers.scale[channel] = step;
            of_numbers.offset[channel] = bias;
            of_bytes.scale[channel] = scale;
            of_bytes.offset[channel] = bias / output.scale;
        }
        let bounds = match activation {
            Activation::Identity => [f32::NEG_INFINITY, f32::INFINITY],
            Activation::Relu => [0.0, f32::INFINITY],
            Activation::Relu6 => [0.0, SIX],
            Activation::Silu | Activation::Gelu => {
                return Err(IntegerError::Activation { found: activation });
            }
        };
        let [low, high] = bounds.map(|bound| output.byte(bound));
        Ok(Self {
            start,
            of_bytes,
            of_numbers,
            range: Range {
                zero_point: output.zero_point,
                low,
                high,
            },
            output,
            bounds,
        })
    }

    /// The activation of a number.
    pub fn activate(&self, number: f32) -> f32 {
        number.clamp(self.bounds[0], self.bounds[1])
    }
}

/// A map that is added to what a convolution gives, before the activation; `[B, H', W', O]`.
#[derive(Clone, Copy, Debug)]
pub enum Addend<'a> {
    /// In steps of its own.
    Bytes(&'a ByteMap),
    /// As it is.
    Numbers(&'a NumberMap),
}

impl<'a> Addend<'a> {
    /// `[B, H', W', O]`.
    pub fn shape(&self) -> [usize; 4] {
        match self {
            Self::Bytes(map) => map.shape(),
            Self::Numbers(map) => map.shape(),
        }
    }

    /// As it is added to sums in steps of `output`.
    pub(super) fn in_steps_of(self, output: Quantisation) -> Residual<'a> {
        match self {
            Self::Bytes(map) => Residual::Bytes {
                bytes: map.with_slack(),
                zero_point: i32::from(map.quantisation().zero_point),
                scale: map.quantisation().scale / output.scale,
            },
            Self::Numbers(map) => Residual::Numbers {
                numbers: map.with_slack(),
                scale: 1.0 / output.scale,
            },
        }
    }
}

/// A map that is added before the activation, with the slack; its steps, or numbers, in steps of the output.
#[derive(Clone, Copy)]
pub(super) enum Residual<'a> {
    Bytes {
        bytes: &'a [u8],
        zero_point: i32,
        scale: f32,
    },
    Numbers {
        numbers: &'a [f32],
        scale: f32,
    },
}

impl Residual<'_> {
    /// Adds the vector of it that begins at `place`.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`, and `place` must lie in the map.
    #[inline(always)]
    pub unsafe fn add<S: Bytes>(self, to: S::Numbers, place: usize) -> S::Numbers {
        // SAFETY: as this function's own; behind the map there is its slack.
        unsafe {
            match self {
                Self::Bytes {
                    bytes,
                    zero_point,
                    scale,
                } => S::add_bytes(to, bytes.as_ptr().add(place), zero_point, scale),
                Self::Numbers { numbers, scale } => {
                    S::add_numbers(to, numbers.as_ptr().add(place), scale)
                }
            }
        }
    }
}
