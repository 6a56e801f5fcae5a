//! The tiles of a correlation, cut into strips that fit the caches.

use std::ops::Range;

use crate::{
    convolution::{Geometry, matrix::TILE_ROWS},
    simd,
};

/// Outputs of a tile, per axis, unless maps are such that [`Cut::unit`] cuts them otherwise.
pub(super) const TILE: usize = 4;

/// What a tile reads and writes along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Inputs of a tile.
    pub window: usize,
    /// Inputs from a tile's first one to the next tile's.
    pub step: usize,
    /// Outputs of a tile.
    pub tile: usize,
    /// Points of a tile.
    pub points: usize,
    /// Different values of a kernel at the points: of several points at infinity all have the same.
    pub kernel: usize,
}

impl Cut {
    /// That of a correlation with stride 1 to `[H', W']` with the fewest multiplications.
    pub fn unit(output: [usize; 2]) -> Self {
        let [four, three] = [(TILE, 6), (3, 5)].map(|(tile, points)| Self {
            window: points,
            step: tile,
            tile,
            points,
            kernel: points,
        });
        let multiplications = |cut: &Self| -> usize {
            let points = output.map(|length| length.div_ceil(cut.tile) * cut.points);
            points.iter().product()
        };
        // Smaller tiles have more transforms for each multiplication.
        match 10 * multiplications(&three) < 9 * multiplications(&four) {
            true => three,
            false => four,
        }
    }

    /// Which of the kernel's values meets the inputs at a point of both axes: the last points of an axis may
    /// meet the same value.
    pub fn kernel_point(&self, point: usize) -> usize {
        let of_axis = |point: usize| point.min(self.kernel - 1);
        of_axis(point / self.points) * self.kernel + of_axis(point % self.points)
    }
}

/// Sizes of a correlation of `[B, C, H, W]` with 3×3 kernels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub cut: Cut,
    pub batch: usize,
    pub channels: usize,
    pub outputs: usize,
    /// `[H, W]` of the maps that are read.
    pub input: [usize; 2],
    /// `[H', W']`.
    pub output: [usize; 2],
    /// Zeros before the first row and column.
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
    /// Of the forward pass, and of the weight gradient.
    pub fn forward(geometry: &Geometry) -> Self {
        let cut = match geometry.stride {
            [1, 1] => Cut::unit(geometry.output),
            _ => Cut {
                window: 9,
                step: 2 * TILE,
                tile: TILE,
                points: 9,
                kernel: 6,
            },
        };
        Self {
            cut,
            batch: geometry.batch,
            channels: geometry.channels,
            outputs: geometry.outputs,
            input: geometry.input,
            output: geometry.output,
            padding: geometry.padding,
        }
    }

    /// Of the input gradient: channels and outputs change places.
    pub fn input_gradient(geometry: &Geometry) -> Self {
        let (cut, padding) = match geometry.stride {
            [1, 1] => (Cut::unit(geometry.input), geometry.padding.map(|p| 2 - p)),
            _ => (
                Cut {
                    window: 5,
                    step: TILE,
                    tile: 2 * TILE,
                    points: 9,
                    kernel: 6,
                },
                [0, 0],
            ),
        };
        Self {
            cut,
            batch: geometry.batch,
            channels: geometry.outputs,
            outputs: geometry.channels,
            input: geometry.output,
            output: geometry.input,
            padding,
        }
    }

    /// `[rows, columns]` of the tiles of an image.
    pub fn tiles(&self) -> [usize; 2] {
        self.output.map(|n| n.div_ceil(self.cut.tile))
    }

    /// Points of both axes together.
    pub fn points(&self) -> usize {
        self.cut.points * self.cut.points
    }

    /// Different values of a kernel at the points of both axes together.
    pub fn kernel_points(&self) -> usize {
        self.cut.kernel * self.cut.kernel
    }

    /// Numbers per tile and point of all input channels, whole vectors counted.
    pub fn input_lanes(&self) -> usize {
        self.channels.next_multiple_of(simd::lanes())
    }

    /// Numbers per tile and point of all output channels, whole vectors counted.
    pub fn output_lanes(&self) -> usize {
        self.outputs.next_multiple_of(simd::lanes())
    }

    /// Cuts all tiles into strips of at most `most` tiles, or one row of tiles where that has more,
    /// and of so many rows that few rows of the products' last tile of registers stay unused.
    pub fn strips(&self, most: usize) -> Vec<Vec<Segment>> {
        let [rows, columns] = self.tiles();
        let most = (most / columns).max(1);
        let rows_per_strip = (most.div_ceil(2)..=most)
            .rev()
            .min_by_key(|rows| {
                let tiles = rows * columns;
                (tiles.next_multiple_of(TILE_ROWS) - tiles) * 100 / tiles
            })
            .unwrap_or(most);
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
        let Cut { window, step, .. } = self.cut;
        let begin = (segment.rows.start * step).saturating_sub(self.padding[0]);
        let end = ((segment.rows.end - 1) * step + window)
            .saturating_sub(self.padding[0])
            .min(self.input[0]);
        begin.min(end)..end
    }

    /// The rows of an output map that a segment writes.
    pub fn output_rows(&self, segment: &Segment) -> Range<usize> {
        let tile = self.cut.tile;
        segment.rows.start * tile..(segment.rows.end * tile).min(self.output[0])
    }
}

/// Tiles of a strip.
pub(super) fn tiles_of(strip: &[Segment], columns: usize) -> usize {
    strip.iter().map(|s| s.rows.len() * columns).sum()
}
