//! Convolutions of each channel alone.

use std::ops::Range;

use super::{
    geometry::Geometry,
    instructions::{Bytes, Kernel, MOST_LANES},
    requantise::{Requantise, Residual},
    strip::Strip,
    target::Target,
};

/// Output positions of a tile.
const POSITIONS: usize = 4;

/// Weights of depthwise convolutions: for each sixteen channels, each column of the kernel and each four rows of it,
/// four weights of each channel.
#[derive(Clone)]
pub(super) struct DepthwiseWeights {
    weights: Vec<i8>,
    outputs: usize,
    kernel: [usize; 2],
}

impl DepthwiseWeights {
    /// Of `weight` `[C, kh, kw]`.
    pub fn new(weight: &[i8], shape: [usize; 3]) -> Self {
        let [outputs, height, width] = shape;
        let mut packed = Self {
            weights: Vec::new(),
            outputs,
            kernel: [height, width],
        };
        let (fours, chunks) = (height.div_ceil(4), outputs.div_ceil(MOST_LANES));
        packed.weights = vec![0; chunks * width * fours * 4 * MOST_LANES];
        for (channel, its) in weight.chunks_exact(height * width).enumerate() {
            for (element, &weight) in its.iter().enumerate() {
                let (y, x) = (element / width, element % width);
                let block = (channel / MOST_LANES * width + x) * fours + y / 4;
                let place = (block * MOST_LANES + channel % MOST_LANES) * 4 + y % 4;
                packed.weights[place] = weight;
            }
        }
        packed
    }

    /// Channels that a strip must have room for.
    pub fn channels(&self) -> usize {
        self.outputs.next_multiple_of(MOST_LANES)
    }
}

/// The output positions of a task.
pub(super) struct Depthwise<'a> {
    /// With as many channels as the weights want.
    pub strip: &'a Strip<'a>,
    pub geometry: &'a Geometry,
    pub weights: &'a DepthwiseWeights,
    pub finish: &'a Requantise,
    pub residual: Option<Residual<'a>>,
    pub target: Target,
    /// Counted through all images.
    pub positions: Range<usize>,
}

impl Kernel for Depthwise<'_> {
    #[inline(always)]
    unsafe fn run<S: Bytes>(self) {
        for piece in (0..self.positions.len()).step_by(POSITIONS) {
            for channel in (0..self.weights.outputs).step_by(S::LANES) {
                // SAFETY: as this function's own; both lie in what this task has.
                unsafe { self.tile::<S>(piece, channel) }
            }
        }
    }
}

impl Depthwise<'_> {
    /// A vector of channels at some positions.
    #[inline(always)]
    unsafe fn tile<S: Bytes>(&self, piece: usize, channel: usize) {
        let [height, width] = self.weights.kernel;
        let fours = height.div_ceil(4);
        let outputs = self.weights.outputs;
        let rows = (self.positions.len() - piece).min(POSITIONS);
        let places = &self.strip.places[piece..piece + POSITIONS];
        // SAFETY: the windows lie in the strip, whose pixels have whole vectors of channels; of rows that the
        // kernel has not, its last one is read, with weights of 0; the lists of `Requantise` are longer than
        // the channels by two vectors.
        unsafe {
            let base = self.strip.bytes.as_ptr().add(channel);
            // Loops, not closures: the instruction set does not reach into these.
            let mut windows = [base; POSITIONS];
            for r in 0..POSITIONS {
                windows[r] = base.add(places[r]);
            }
            let mut sums = [S::load(self.finish.start.as_ptr().add(channel)); POSITIONS];
            let chunk = channel / MOST_LANES * width * fours * 4 * MOST_LANES;
            let weights = self
                .weights
                .weights
                .as_ptr()
                .add(chunk + 4 * (channel % MOST_LANES));
            let mut side_by_side = self.geometry.dilation[1] == 1;
            for r in 1..POSITIONS {
                side_by_side &= places[r] == places[0] + r * self.strip.pixel;
            }
            match width {
                3 if side_by_side => self.shared::<S, 3>(windows[0], weights, &mut sums),
                5 if side_by_side => self.shared::<S, 5>(windows[0], weights, &mut sums),
                _ => self.apart::<S>(windows, weights, &mut sums),
            }
            let position = self.positions.start + piece;
            let lanes = (outputs - channel).min(S::LANES);
            match self.target {
                Target::Bytes(to) => {
                    let line = &self.finish.of_bytes;
                    let mut four = [line.of::<S>(sums[0], channel); POSITIONS];
                    let mut places = [(0, 0); POSITIONS];
                    for r in 0..POSITIONS {
                        let place = (position + r.min(rows - 1)) * outputs + channel;
                        places[r] = (place, if r < rows { lanes } else { 0 });
                        four[r] = line.of::<S>(sums[r], channel);
                        if let Some(residual) = self.residual {
                            four[r] = residual.add::<S>(four[r], place);
                        }
                    }
                    Target::write_four::<S>(to, four, self.finish.range, places);
                }
                Target::Numbers(to) => {
                    for r in 0..rows {
                        let numbers = self.finish.of_numbers.of::<S>(sums[r], channel);
                        let place = (position + r) * outputs + channel;
                        Target::write_numbers::<S>(to.add(place), numbers, lanes, self.finish);
                    }
                }
            }
        }
    }

    /// Adds the products of windows that lie anywhere.
    ///
    /// # Safety
    /// As [`Depthwise::tile`].
    #[inline(always)]
    unsafe fn apart<S: Bytes>(
        &self,
        windows: [*const u8; POSITIONS],
        mut weights: *const i8,
        sums: &mut [S::Sums; POSITIONS],
    ) {
        let [height, width] = self.weights.kernel;
        for x in 0..width {
            for four in 0..height.div_ceil(4) {
                let [a, b, c, d] = self.offsets(four, x);
                // SAFETY: as this function's own.
                unsafe {
                    let signed = S::signed(weights);
                    for r in 0..POSITIONS {
                        let from = windows[r];
                        let rows = [from.add(a), from.add(b), from.add(c), from.add(d)];
                        sums[r] = S::dot(sums[r], S::interleaved(rows), signed);
                    }
                    weights = weights.add(4 * MOST_LANES);
                }
            }
        }
    }

    /// Adds the products of windows of `W` columns that begin one column after the other: each column is
    /// read once for all of them.
    ///
    /// # Safety
    /// As [`Depthwise::tile`].
    #[inline(always)]
    unsafe fn shared<S: Bytes, const W: usize>(
        &self,
        window: *const u8,
        weights: *const i8,
        sums: &mut [S::Sums; POSITIONS],
    ) {
        let fours = self.weights.kernel[0].div_ceil(4);
        let mut found = *sums;
        for four in 0..fours {
            let [a, b, c, d] = self.offsets(four, 0);
            for column in 0..W + POSITIONS - 1 {
                // SAFETY: as this function's own: the last window's last column is the last one.
                unsafe {
                    let from = window.add(column * self.strip.pixel);
                    let rows = [from.add(a), from.add(b), from.add(c), from.add(d)];
                    let bytes = S::interleaved(rows);
                    for r in 0..POSITIONS {
                        if r <= column && column < r + W {
                            let block = (column - r) * fours + four;
                            let signed = S::signed(weights.add(block * 4 * MOST_LANES));
                            found[r] = S::dot(found[r], bytes, signed);
                        }
                    }
                }
            }
        }
        *sums = found;
    }

    /// Four rows of the kernel in a window, at a column of it; of rows that it has not, its last one.
    #[inline(always)]
    fn offsets(&self, four: usize, x: usize) -> [usize; 4] {
        let mut offsets = [x * self.geometry.dilation[1] * self.strip.pixel; 4];
        for i in 0..4 {
            let y = (4 * four + i).min(self.weights.kernel[0] - 1);
            offsets[i] += y * self.geometry.dilation[0] * self.strip.row;
        }
        offsets
    }
}
