//! The tiles of a correlation, cut into strips that fit the caches.

use std::ops::Range;

use super::TILE;
use crate::simd;

/// Sizes of a correlation of `[B, C, H, W]` with 3×3 kernels and stride 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub batch: usize,
    pub channels: usize,
    pub outputs: usize,
    /// `[H, W]` of the maps that are read.
    pub input: [usize; 2],
    /// `[H', W']`.
    pub output: [usize; 2],
    /// Zeros before the first row and column, at most 2.
    pub padding: [usize; 2],
}

/// Neighbouring rows of tiles of one image.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub image: usize,
    /// Rows of tiles.
    pub rows: Range<usize>,
    /// Number of its first tile in the strip.
    pub first: usize,
}

impl Grid {
    /// `[rows, columns]` of the tiles of an image.
    pub fn tiles(&self) -> [usize; 2] {
        self.output.map(|n| n.div_ceil(TILE))
    }

    /// Numbers per tile and point of all input channels, whole vectors counted.
    pub fn input_lanes(&self) -> usize {
        self.channels.next_multiple_of(simd::lanes())
    }

    /// Numbers per tile and point of all output channels, whole vectors counted.
    pub fn output_lanes(&self) -> usize {
        self.outputs.next_multiple_of(simd::lanes())
    }

    /// Cuts all tiles into strips of about `most` tiles, at least one row of tiles each.
    pub fn strips(&self, most: usize) -> Vec<Vec<Segment>> {
        let [rows, columns] = self.tiles();
        let rows_per_strip = (most / columns).max(1);
        (0..self.batch * rows)
            .step_by(rows_per_strip)
            .map(|start| {
                let end = (start + rows_per_strip).min(self.batch * rows);
                (start / rows..=(end - 1) / rows)
                    .map(|image| {
                        let begin = start.max(image * rows);
                        Segment {
                            image,
                            rows: begin - image * rows..(end - image * rows).min(rows),
                            first: (begin - start) * columns,
                        }
                    })
                    .collect()
            })
            .collect()
    }

    /// The rows of an input map that a segment reads.
    pub fn input_rows(&self, segment: &Segment) -> Range<usize> {
        let begin = (segment.rows.start * TILE).saturating_sub(self.padding[0]);
        let end = (segment.rows.end * TILE + 2)
            .saturating_sub(self.padding[0])
            .min(self.input[0]);
        begin.min(end)..end
    }

    /// The rows of an output map that a segment writes.
    pub fn output_rows(&self, segment: &Segment) -> Range<usize> {
        segment.rows.start * TILE..(segment.rows.end * TILE).min(self.output[0])
    }
}

/// Tiles of a strip.
pub(super) fn tiles_of(strip: &[Segment], columns: usize) -> usize {
    strip.iter().map(|s| s.rows.len() * columns).sum()
}
