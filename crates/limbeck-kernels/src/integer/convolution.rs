//! Convolutions and linear layers of bytes.

use std::{fmt, ops::Range};

use rayon::prelude::*;

use super::{
    Addend, ByteMap, IntegerError, NumberMap, Quantisation,
    depthwise::{Depthwise, DepthwiseWeights},
    geometry::{Geometry, check_options},
    instructions::Level,
    requantise::{Requantise, Residual},
    strip::with_strip,
    target::Target,
    tile::Tiles,
    weights::PackedWeights,
};
use crate::{
    Activation, Conv2dOptions,
    profile::{Span, span_of_bytes},
};

/// Bytes of input that a task works on: they stay in the second-level cache while weights go by.
const TASK: usize = 192 << 10;

/// What an 8-bit convolution is made of. A linear layer is one with a 1×1 kernel over a map of one position.
#[derive(Clone, Copy, Debug)]
pub struct IntegerWeights<'a> {
    /// `[O, C / groups, kh, kw]`; a weight is its output channel's scale times the integer.
    pub weight: &'a [i8],
    /// `[O, C / groups, kh, kw]`.
    pub shape: [usize; 4],
    /// Of each output channel, `[O]`; 0 of one whose weights are all 0.
    pub scales: &'a [f32],
    /// `[O]`.
    pub bias: Option<&'a [f32]>,
}

/// A convolution of unsigned bytes with signed ones, made for its weights once.
///
/// Sums are exact in 32 bits, whatever the instruction set; they are scaled, rounded and clamped to bytes of
/// the output's quantisation as they are written. Results are the same on every processor and for any number
/// of threads.
#[derive(Clone)]
pub struct IntegerConvolution {
    shape: [usize; 4],
    options: Conv2dOptions,
    input: Quantisation,
    finish: Requantise,
    body: Body,
}

impl fmt::Debug for IntegerConvolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntegerConvolution")
            .field("shape", &self.shape)
            .field("options", &self.options)
            .field("input", &self.input)
            .field("output", &self.finish.output)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
enum Body {
    /// Whether segments are whole rows of the kernel.
    Tiles(PackedWeights, bool),
    Depthwise(DepthwiseWeights),
}

impl IntegerConvolution {
    /// Of maps quantised as `input` to maps quantised as `output`, or to numbers.
    ///
    /// # Errors
    /// [`IntegerError`] where shapes do not fit each other, a scale or bias is none, 32 bits may not hold a
    /// sum, or the activation is not one that clamps.
    pub fn new(
        weights: &IntegerWeights<'_>,
        options: Conv2dOptions,
        input: Quantisation,
        output: Quantisation,
        activation: Activation,
    ) -> Result<Self, IntegerError> {
        let shape = weights.shape;
        let [outputs, channels, height, width] = shape;
        let expect = |what, expected: String, found: String| {
            Err(IntegerError::Shape {
                what,
                expected,
                found,
            })
        };
        check_options([height, width], &options)?;
        let count = shape
            .iter()
            .try_fold(1usize, |count, &n| count.checked_mul(n));
        let divided = outputs.is_multiple_of(options.groups);
        if count != Some(weights.weight.len()) || count == Some(0) || !divided {
            return expect(
                "the weight",
                format!(
                    "as many numbers as its shape has, outputs of {} groups",
                    options.groups
                ),
                format!("{} numbers for {shape:?}", weights.weight.len()),
            );
        }
        let bias = weights.bias.map_or(outputs, <[f32]>::len);
        if weights.scales.len() != outputs || bias != outputs {
            return expect(
                "scales and bias",
                format!("{outputs} numbers each"),
                format!("{} and {bias}", weights.scales.len()),
            );
        }
        let finish = Requantise::new(
            weights.weight,
            weights.scales,
            weights.bias,
            input,
            output,
            activation,
        )?;
        let body = if channels == 1 && outputs == options.groups && outputs > 1 {
            Body::Depthwise(DepthwiseWeights::new(
                weights.weight,
                [outputs, height, width],
            ))
        } else {
            let joined = options.groups == 1 && (options.dilation[1] == 1 || width == 1);
            let packed = PackedWeights::new(weights.weight, shape, options.groups, joined);
            Body::Tiles(packed, joined)
        };
        Ok(Self {
            shape,
            options,
            input,
            finish,
            body,
        })
    }

    /// Shape of the output for an input of shape `[B, H, W, C]`: `[B, H', W', O]` with
    /// `H' = (H + 2·padding − dilation·(kh − 1) − 1) / stride + 1`.
    ///
    /// # Errors
    /// [`IntegerError::Shape`] where the input has other channels or is smaller than the kernel.
    pub fn output_shape(&self, input: [usize; 4]) -> Result<[usize; 4], IntegerError> {
        let geometry = self.geometry(input)?;
        let [rows, columns] = geometry.output;
        Ok([geometry.batch, rows, columns, self.shape[0]])
    }

    /// The convolution of `x` `[B, H, W, C]` plus, where there is one, `residual` `[B, H', W', O]`, then the
    /// activation: `[B, H', W', O]`. Padding stands for 0.
    ///
    /// # Errors
    /// [`IntegerError::Shape`] where shapes do not fit, or `x` has not the quantisation that this was made
    /// for.
    pub fn forward(
        &self,
        x: &ByteMap,
        residual: Option<Addend<'_>>,
    ) -> Result<ByteMap, IntegerError> {
        self.forward_by(Level::fastest(), x, residual)
    }

    pub(super) fn forward_by(
        &self,
        level: Level,
        x: &ByteMap,
        residual: Option<Addend<'_>>,
    ) -> Result<ByteMap, IntegerError> {
        let geometry = self.checked(x)?;
        let shape = self.output_shape(x.shape())?;
        if let Some(residual) = residual
            && residual.shape() != shape
        {
            return Err(IntegerError::Shape {
                what: "the residual",
                expected: format!("{shape:?}"),
                found: format!("{:?}", residual.shape()),
            });
        }
        let _span = self.span(x, shape);
        let residual = residual.map(|residual| residual.in_steps_of(self.finish.output));
        // SAFETY: the tasks write every channel of every position.
        Ok(unsafe {
            ByteMap::filled(shape, self.finish.output, |room| {
                let target = Target::Bytes(room.as_mut_ptr().cast());
                self.run(level, x, &geometry, residual, target);
            })
        })
    }

    /// The convolution of `x` `[B, H, W, C]`, then the activation, as numbers `[B, H', W', O]`.
    ///
    /// # Errors
    /// As [`IntegerConvolution::forward`].
    pub fn forward_to_numbers(&self, x: &ByteMap) -> Result<NumberMap, IntegerError> {
        self.forward_to_numbers_by(Level::fastest(), x)
    }

    pub(super) fn forward_to_numbers_by(
        &self,
        level: Level,
        x: &ByteMap,
    ) -> Result<NumberMap, IntegerError> {
        let geometry = self.checked(x)?;
        let shape = self.output_shape(x.shape())?;
        let _span = self.span(x, shape);
        // SAFETY: the tasks write every channel of every position.
        Ok(unsafe {
            NumberMap::filled(shape, |room| {
                let target = Target::Numbers(room.as_mut_ptr().cast());
                self.run(level, x, &geometry, None, target);
            })
        })
    }

    fn geometry(&self, input: [usize; 4]) -> Result<Geometry, IntegerError> {
        let channels = self.shape[1] * self.options.groups;
        if input[3] != channels {
            return Err(IntegerError::Shape {
                what: "the input",
                expected: format!("{channels} channels, as the last of [B, H, W, C]"),
                found: format!("{input:?}"),
            });
        }
        Geometry::new(input, [self.shape[2], self.shape[3]], &self.options)
    }

    fn checked(&self, x: &ByteMap) -> Result<Geometry, IntegerError> {
        if x.quantisation() != self.input {
            return Err(IntegerError::Shape {
                what: "the input",
                expected: format!("bytes quantised by {:?}", self.input),
                found: format!("{:?}", x.quantisation()),
            });
        }
        self.geometry(x.shape())
    }

    /// Begins the convolution of `x` to `[B, H', W', O]` in a profile.
    fn span(&self, x: &ByteMap, output: [usize; 4]) -> Span {
        let of_output: usize = self.shape[1..].iter().product();
        span_of_bytes("integer conv2d", x, || {
            output.iter().product::<usize>() * of_output
        })
    }

    fn run(
        &self,
        level: Level,
        x: &ByteMap,
        geometry: &Geometry,
        residual: Option<Residual<'_>>,
        target: Target,
    ) {
        let outputs = self.shape[0];
        let [_, columns] = geometry.output;
        let panels = match &self.body {
            Body::Tiles(weights, _) => weights.panels.len(),
            Body::Depthwise(_) => 1,
        };
        let pixel = match &self.body {
            Body::Tiles(..) => geometry.channels,
            Body::Depthwise(weights) => weights.channels(),
        };
        let (rows, panel_parts) = tasks(geometry, pixel, panels);
        let row_parts = geometry.output_rows().div_ceil(rows);
        let work = |task: usize| {
            let (part, panel_part) = (task / panel_parts, task % panel_parts);
            let its = part * rows..((part + 1) * rows).min(geometry.output_rows());
            let positions = its.start * columns..its.end * columns;
            let zero_point = self.input.zero_point;
            with_strip(
                x.with_slack(),
                geometry,
                its,
                pixel,
                zero_point,
                |strip| match &self.body {
                    Body::Tiles(weights, joined) => {
                        let segments = segments(geometry, *joined, strip.row, strip.pixel);
                        level.run(Tiles {
                            strip: &strip,
                            segments: &segments,
                            group_channels: self.shape[1],
                            weights,
                            panels: share(panels, panel_parts, panel_part),
                            finish: &self.finish,
                            residual,
                            target,
                            outputs,
                            positions,
                        });
                    }
                    Body::Depthwise(weights) => level.run(Depthwise {
                        strip: &strip,
                        geometry,
                        weights,
                        finish: &self.finish,
                        residual,
                        target,
                        positions,
                    }),
                },
            );
        };
        let count = row_parts * panel_parts;
        match count {
            1 => work(0),
            _ => (0..count).into_par_iter().with_max_len(1).for_each(work),
        }
    }
}

/// How many rows of output a task has, and into how many parts its panels are cut. It changes no number.
fn tasks(geometry: &Geometry, pixel: usize, panels: usize) -> (usize, usize) {
    let rows = geometry.output_rows();
    let threads = rayon::current_num_threads();
    let bytes = geometry.stride[0] * (geometry.input[1] + 2 * geometry.padding[1]) * pixel;
    let most = (TASK / bytes.max(1)).clamp(1, rows);
    if threads == 1 {
        return (most, 1);
    }
    // Two tasks for each thread where there is as much work; where the rows are few, by panels.
    let wanted = 2 * threads;
    let least = 16usize.div_ceil(geometry.output[1]).min(rows);
    let of_task = most.min(rows.div_ceil(wanted)).max(least);
    let parts = rows.div_ceil(of_task);
    (of_task, wanted.div_ceil(parts).min(panels).max(1))
}

/// The part `index` of `parts` of 0..`count`, as equal as can be.
fn share(count: usize, parts: usize, index: usize) -> Range<usize> {
    count * index / parts..count * (index + 1) / parts
}

/// Where the segments of a window begin.
fn segments(geometry: &Geometry, joined: bool, row: usize, pixel: usize) -> Vec<usize> {
    let [height, width] = geometry.kernel;
    let columns = if joined { 1 } else { width };
    (0..height)
        .flat_map(|y| (0..columns).map(move |x| [y, x]))
        .map(|[y, x]| y * geometry.dilation[0] * row + x * geometry.dilation[1] * pixel)
        .collect()
}
