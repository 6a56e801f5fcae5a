//! Sizes of what is fused, and how the work is cut.

use std::ops::Range;

/// Positions of a strip, or more where a row has more: what is computed of them, for some hundreds
/// of channels, stays in the second-level cache.
const STRIP: usize = 128;
/// Chunks of images that sums are made of, at the most.
const MOST_CHUNKS: usize = 8;

/// Sizes of what is fused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub batch: usize,
    /// Channels that are convolved.
    pub inputs: usize,
    /// Channels of either side of the mixture.
    pub outputs: usize,
    /// Height and width.
    pub size: [usize; 2],
    /// Those of the coarser map.
    pub coarse: [usize; 2],
}

impl Sizes {
    /// Positions of a map.
    pub fn positions(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Positions of a coarser map.
    pub fn coarse_positions(&self) -> usize {
        self.coarse[0] * self.coarse[1]
    }

    /// Numbers per channel that statistics are taken over.
    pub fn samples(&self) -> f64 {
        (self.batch * self.positions()) as f64
    }

    /// Multiply-adds of the convolution.
    pub fn multiply_adds(&self) -> usize {
        self.batch * self.positions() * self.inputs * self.outputs
    }

    /// Images of a chunk.
    pub fn chunk(&self) -> usize {
        self.batch.div_ceil(MOST_CHUNKS)
    }

    /// Rows of a strip.
    fn strip_rows(&self) -> usize {
        (STRIP / self.size[1]).clamp(1, self.size[0])
    }

    /// Numbers of a strip's row of positions, filled up to whole vectors.
    pub fn strip_width(&self, lanes: usize) -> usize {
        (self.strip_rows() * self.size[1]).next_multiple_of(lanes)
    }

    /// The rows of each strip.
    pub fn strips(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, height) = (self.strip_rows(), self.size[0]);
        (0..height)
            .step_by(rows)
            .map(move |first| first..(first + rows).min(height))
    }
}
