//! The forward pass and the input gradient where there are more weights than the caches hold.
//!
//! Strip by strip all weights would be read from memory for every few tiles. Here the inputs of many strips are
//! taken to the points first, the product at each point is computed for all of them, by one thread, and the sums
//! are taken to the outputs last: each weight is read once. Every output is summed as it is strip by strip, and
//! has the same bits.

use rayon::prelude::*;

use super::{
    grid::{Grid, tiles_of},
    inputs::{input_points, room},
    kernels::PointLayout,
    strip::{Strip, block_lanes, output_tiles},
    transform::Map,
};
use crate::{
    convolution::{
        Finish,
        matrix::{Layout, Part, ROWS},
    },
    scratch::{with_scratch, with_shared_scratch},
    simd::{self, Kernel, Simd},
};

/// Weights at the points from which on they are too many: more than a core's share of a usual third-level cache.
const MANY_WEIGHTS: usize = 3 << 20;
/// Tiles of a strip.
pub(super) const TILES: usize = 48;
/// Numbers at the points, of inputs and outputs together, that are worked on in one go.
const NUMBERS: usize = 16 << 20;

/// Whether the weights at the points are too many to be read for every strip.
pub(super) fn fits(grid: &Grid) -> bool {
    grid.kernel_points() * grid.channels * grid.output_lanes() >= MANY_WEIGHTS
}

/// Computes the outputs of all strips.
pub(super) fn compute<I, O, const WINDOW: usize, const POINTS: usize, const TILE: usize>(
    grid: &Grid,
    x: &[f32],
    kernels: &[f32],
    finish: Finish<'_>,
    mut strips: Vec<Strip<'_>>,
) where
    I: Map<WINDOW, POINTS>,
    O: Map<POINTS, TILE>,
{
    let columns = grid.tiles()[1];
    let tiles = |strip: &Strip<'_>| tiles_of(&strip.segments, columns);
    let rows = strips.iter().map(tiles).max().unwrap_or(0);
    let rows = rows.next_multiple_of(ROWS);
    let input = PointLayout::new(grid.points(), rows, grid.input_lanes());
    let lanes = grid.output_lanes();
    let per_strip = input.len() + grid.points() * rows * lanes;
    let per_chunk = (NUMBERS / per_strip).clamp(1, strips.len().max(1));
    for strips in strips.chunks_mut(per_chunk) {
        let sums_of = PointLayout::new(grid.points(), strips.len() * rows, lanes);
        let counts = [strips.len() * input.len(), sums_of.len()];
        with_shared_scratch(counts, |[points, sums]| {
            points
                .par_chunks_exact_mut(input.len())
                .zip(&*strips)
                .for_each(|(points, strip)| {
                    with_scratch([room(grid, &strip.segments), 0, 0], |[room, _, _]| {
                        for segment in &strip.segments {
                            input_points::<I, WINDOW, POINTS>(
                                grid, x, segment, points, input, room,
                            );
                        }
                    });
                });
            let tiles: Vec<usize> = strips.iter().map(tiles).collect();
            sums.par_chunks_exact_mut(sums_of.point)
                .enumerate()
                .for_each(|(point, sums)| {
                    simd::dispatch(PointProducts {
                        points,
                        input,
                        point,
                        kernels: &kernels
                            [grid.cut.kernel_point(point) * grid.channels * simd::lanes()..],
                        kernel_points: grid.kernel_points(),
                        channels: grid.channels,
                        tiles: &tiles,
                        rows,
                        sums,
                        lanes,
                    });
                });
            strips
                .par_iter_mut()
                .enumerate()
                .for_each(|(index, strip)| {
                    let sums = &sums[index * rows * lanes..];
                    with_scratch([room(grid, &strip.segments), 0, 0], |[room, _, _]| {
                        for (segment, maps) in strip.segments.iter().zip(&mut strip.maps) {
                            let blocks = maps.chunks_mut(block_lanes(grid)).enumerate();
                            for (block, maps) in blocks {
                                let first = block * block_lanes(grid);
                                output_tiles::<O, POINTS, TILE>(
                                    grid,
                                    segment,
                                    &sums[first..],
                                    sums_of,
                                    room,
                                    finish,
                                    first,
                                    maps,
                                );
                            }
                        }
                    });
                });
        });
    }
}

/// The products of some strips at one point.
struct PointProducts<'a> {
    /// The strips' inputs at the points.
    points: &'a [f32],
    input: PointLayout,
    point: usize,
    /// `[vector of outputs, point, channel, lane]`, from the point's on.
    kernels: &'a [f32],
    kernel_points: usize,
    channels: usize,
    /// Of each strip.
    tiles: &'a [usize],
    /// Tiles of a strip that there is room for.
    rows: usize,
    /// `[strip, tile, lane]`.
    sums: &'a mut [f32],
    /// Numbers of a tile's outputs, whole vectors.
    lanes: usize,
}

impl Kernel for PointProducts<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        /// Vectors of outputs whose weights stay in a core's caches while the strips go by.
        const VECTORS: usize = 2;
        let per_point = self.channels * S::LANES;
        let per_vector = self.kernel_points * per_point;
        let vectors = self.lanes / S::LANES;
        let most = self
            .tiles
            .iter()
            .max()
            .map_or(0, |tiles| tiles.next_multiple_of(ROWS));
        assert!(
            most <= self.rows
                && self.rows * self.input.tile <= self.input.point
                && self.point < self.input.points
                && self.tiles.len() * self.input.len() <= self.points.len()
                && self.channels <= self.input.tile
                && (vectors - 1) * per_vector + per_point <= self.kernels.len()
                && self.tiles.len() * self.rows * self.lanes <= self.sums.len(),
            "a product would reach past the end of its matrices"
        );
        let layout = Layout {
            a_row: self.input.tile,
            a_step: 1,
            b_step: S::LANES,
            b_vector: per_vector,
            c_row: self.lanes,
        };
        for first in (0..vectors).step_by(VECTORS) {
            for (strip, &tiles) in self.tiles.iter().enumerate() {
                let start = strip * self.input.len() + self.point * self.input.point;
                let part = Part {
                    a: self.points[start..].as_ptr(),
                    b: self.kernels[first * per_vector..].as_ptr(),
                    depth: self.channels,
                };
                let to =
                    self.sums[strip * self.rows * self.lanes + first * S::LANES..].as_mut_ptr();
                let vectors = VECTORS.min(vectors - first);
                // SAFETY: as this function's own; all matrices were checked.
                unsafe { layout.multiply::<S>(&[part], to, tiles, vectors, false) };
            }
        }
    }
}
