//! From sums of products to the bytes of the next map.

use super::{
    IntegerError, Quantisation,
    instructions::{MOST_LANES, Range},
};
use crate::{Activation, activation::SIX};

/// Most products of one output: with inputs up to 255, weights down to −128 and a bias of 2³⁰ they stay below
/// 2³¹.
pub(super) const MOST_PRODUCTS: usize = 32_768;

/// Greatest bias in steps of the sums.
const MOST_BIAS: f64 = (1 << 30) as f64;

/// What is done to the sums of each output channel. Lists are longer than the channels by two
/// vectors: a tile may begin at any channel.
#[derive(Clone, Debug)]
pub(super) struct Requantise {
    /// What sums begin with: the bias, less what the zero point of the input adds.
    pub start: Vec<i32>,
    /// Step of the sums in steps of the output.
    pub scale: Vec<f32>,
    /// Step of the sums.
    pub step: Vec<f32>,
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
        let [mut step, mut scale] = [(); 2].map(|()| vec![0.0; padded]);
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
                of_weights = bias.abs().max(f32::MIN_POSITIVE) / input.scale;
            }
            Quantisation {
                scale: of_weights,
                zero_point: 0,
            }
            .check(&format!("weights of output channel {channel}"))?;
            let of_zero: i64 = weight.iter().map(|&w| i64::from(w)).sum();
            let of_zero = of_zero * i64::from(input.zero_point);
            let its_step = f64::from(input.scale) * f64::from(of_weights);
            let steps = (f64::from(bias) / its_step).round_ties_even();
            let steps = steps.clamp(-MOST_BIAS, MOST_BIAS) as i64;
            // Below 2³¹ in size: a sum never leaves 32 bits, in whatever order its products come.
            start[channel] = (steps - of_zero) as i32;
            step[channel] = its_step as f32;
            scale[channel] = step[channel] / output.scale;
            if !scale[channel].is_finite() {
                return Err(IntegerError::Scale {
                    what: format!("sums of output channel {channel}, in steps of the output"),
                    found: scale[channel],
                });
            }
        }
        let bounds = match activation {
            Activation::Identity => [f32::NEG_INFINITY, f32::INFINITY],
            Activation::Relu => [0.0, f32::INFINITY],
            Activation::Relu6 => [0.0, SIX],
            Activation::Silu => return Err(IntegerError::Activation { found: activation }),
        };
        let [low, high] = bounds.map(|bound| output.byte(bound));
        Ok(Self {
            start,
            scale,
            step,
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

/// A map that is added before the activation.
#[derive(Clone, Copy)]
pub(super) struct Residual<'a> {
    /// With the slack.
    pub bytes: &'a [u8],
    pub zero_point: i32,
    /// Its steps in steps of the output.
    pub scale: f32,
}
