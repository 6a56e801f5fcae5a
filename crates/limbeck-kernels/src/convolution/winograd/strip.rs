//! A strip of tiles, from inputs to outputs.

use std::{marker::PhantomData, mem::MaybeUninit};

use rayon::prelude::*;

use super::{
    grid::{Cut, Grid, Segment, tiles_of},
    inputs::{input_points, room},
    kernels::{OutputTiles, PointLayout},
    transform::Map,
};
use crate::{
    convolution::{
        Finish,
        lanes::OutOfLanes,
        matrix::{Layout, Part, ROWS},
    },
    scratch::{with_scratch, with_shared_scratch},
    simd::{self, Kernel, Simd},
};

/// Vectors of outputs that are computed at once.
const BLOCK_VECTORS: usize = 2;

/// One task: neighbouring segments, and for each the output's rows of every channel.
pub(super) struct Strip<'y> {
    pub segments: Vec<Segment>,
    pub maps: Vec<Vec<&'y mut [MaybeUninit<f32>]>>,
}

/// How a strip's numbers at the points lie.
struct StripLayout {
    tiles: usize,
    input: PointLayout,
    output: PointLayout,
    /// Numbers of room for a segment's maps.
    room: usize,
}

impl StripLayout {
    fn new(grid: &Grid, segments: &[Segment]) -> Self {
        let tiles = tiles_of(segments, grid.tiles()[1]);
        let rows = tiles.next_multiple_of(ROWS);
        Self {
            tiles,
            input: PointLayout::new(grid.points(), rows, grid.input_lanes()),
            output: PointLayout::new(grid.points(), rows, block_lanes(grid)),
            room: room(grid, segments),
        }
    }
}

/// One strip by one thread.
pub(super) fn compute<I, O, const WINDOW: usize, const POINTS: usize, const TILE: usize>(
    grid: &Grid,
    x: &[f32],
    kernels: &[f32],
    finish: Finish<'_>,
    strip: Strip<'_>,
) where
    I: Map<WINDOW, POINTS>,
    O: Map<POINTS, TILE>,
{
    let Strip { segments, mut maps } = strip;
    let layout = StripLayout::new(grid, &segments);
    let counts = [layout.input.len(), layout.output.len(), layout.room];
    with_scratch(counts, |[points, sums, room]| {
        let outputs = Outputs {
            grid,
            kernels,
            finish,
            segments: &segments,
            layout: &layout,
            points: take_to_points::<I, WINDOW, POINTS>(grid, x, &segments, &layout, points, room),
        };
        for (index, maps) in blocks(grid, &mut maps).into_iter().enumerate() {
            outputs.block::<O, POINTS, TILE>(index, maps, sums, room);
        }
    });
}

/// One strip by several threads: each computes some outputs.
pub(super) fn compute_together<I, O, const WINDOW: usize, const POINTS: usize, const TILE: usize>(
    grid: &Grid,
    x: &[f32],
    kernels: &[f32],
    finish: Finish<'_>,
    strip: Strip<'_>,
) where
    I: Map<WINDOW, POINTS>,
    O: Map<POINTS, TILE>,
{
    let Strip { segments, mut maps } = strip;
    let layout = StripLayout::new(grid, &segments);
    with_shared_scratch([layout.input.len(), layout.room], |[points, room]| {
        let outputs = Outputs {
            grid,
            kernels,
            finish,
            segments: &segments,
            layout: &layout,
            points: take_to_points::<I, WINDOW, POINTS>(grid, x, &segments, &layout, points, room),
        };
        blocks(grid, &mut maps)
            .into_par_iter()
            .enumerate()
            .for_each(|(index, maps)| {
                with_scratch([layout.output.len(), layout.room, 0], |[sums, room, _]| {
                    outputs.block::<O, POINTS, TILE>(index, maps, sums, room);
                });
            });
    });
}

/// The inputs of a strip at the points, which lie in `points` then.
fn take_to_points<'p, I: Map<WINDOW, POINTS>, const WINDOW: usize, const POINTS: usize>(
    grid: &Grid,
    x: &[f32],
    segments: &[Segment],
    layout: &StripLayout,
    points: &'p mut [f32],
    room: &mut [f32],
) -> &'p [f32] {
    for segment in segments {
        input_points::<I, WINDOW, POINTS>(grid, x, segment, points, layout.input, room);
    }
    points
}

/// The maps of each segment, in blocks of outputs that are computed at once.
fn blocks<'m, 'y>(
    grid: &Grid,
    maps: &'m mut [Vec<&'y mut [MaybeUninit<f32>]>],
) -> Vec<Vec<&'m mut [&'y mut [MaybeUninit<f32>]]>> {
    let lanes = block_lanes(grid);
    let mut blocks: Vec<Vec<_>> = Vec::new();
    blocks.resize_with(grid.outputs.div_ceil(lanes), Vec::new);
    for maps in maps {
        for (block, maps) in blocks.iter_mut().zip(maps.chunks_mut(lanes)) {
            block.push(maps);
        }
    }
    blocks
}

/// What the outputs of a strip are computed from.
struct Outputs<'a> {
    grid: &'a Grid,
    kernels: &'a [f32],
    finish: Finish<'a>,
    segments: &'a [Segment],
    /// The inputs at the points.
    points: &'a [f32],
    layout: &'a StripLayout,
}

impl Outputs<'_> {
    /// Computes the block `index` of outputs, `maps` of each segment.
    fn block<O: Map<POINTS, TILE>, const POINTS: usize, const TILE: usize>(
        &self,
        index: usize,
        maps: Vec<&mut [&mut [MaybeUninit<f32>]]>,
        sums: &mut [f32],
        room: &mut [f32],
    ) {
        let grid = self.grid;
        let lanes = block_lanes(grid);
        let first = index * lanes;
        let count = lanes.min(grid.outputs - first);
        let StripLayout {
            tiles,
            input,
            output,
            ..
        } = *self.layout;
        simd::dispatch(Products {
            points: self.points,
            input,
            cut: grid.cut,
            kernels: &self.kernels[first * grid.kernel_points() * grid.channels..],
            channels: grid.channels,
            tiles,
            sums,
            output,
            vectors: count.div_ceil(simd::lanes()),
        });
        for (segment, maps) in self.segments.iter().zip(maps) {
            output_tiles::<O, POINTS, TILE>(
                grid,
                segment,
                sums,
                output,
                room,
                self.finish,
                first,
                maps,
            );
        }
    }
}

/// Numbers per tile and point of the outputs that are computed at once, whole vectors counted.
pub(super) fn block_lanes(grid: &Grid) -> usize {
    (BLOCK_VECTORS * simd::lanes()).min(grid.output_lanes())
}

/// Takes the sums of a segment to its outputs of all channels, and writes them.
pub(super) fn output_tiles<O: Map<POINTS, TILE>, const POINTS: usize, const TILE: usize>(
    grid: &Grid,
    segment: &Segment,
    sums: &[f32],
    layout: PointLayout,
    room: &mut [f32],
    finish: Finish<'_>,
    first_output: usize,
    maps: &mut [&mut [MaybeUninit<f32>]],
) {
    let rows = grid.output_rows(segment);
    let [height, width] = grid.output;
    let plane = rows.len() * width;
    for (index, maps) in maps.chunks_mut(simd::lanes()).enumerate() {
        let offset = index * simd::lanes();
        let first = first_output + offset;
        simd::dispatch(OutputTiles {
            map: PhantomData::<O>,
            from: sums,
            at: segment.first * layout.tile + offset,
            layout,
            rows: segment.rows.len(),
            bias: finish
                .bias
                .map_or(&[], |bias| &bias[first..first + maps.len()]),
            size: [rows.len(), width],
            to: room,
        });
        let residual = finish.residual_of(maps.len(), |output| {
            let map = (segment.image * grid.outputs + first + output) * height * width;
            map + rows.start * width..map + rows.end * width
        });
        simd::dispatch(OutOfLanes {
            from: room,
            maps,
            start: 0,
            count: plane,
            residual: &residual,
            activation: finish.activation,
        });
    }
}

/// The products at all points of a strip.
struct Products<'a> {
    points: &'a [f32],
    input: PointLayout,
    cut: Cut,
    kernels: &'a [f32],
    channels: usize,
    tiles: usize,
    sums: &'a mut [f32],
    output: PointLayout,
    /// Vectors of outputs.
    vectors: usize,
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let lanes = self.output.tile;
        let kernel_points = self.cut.kernel * self.cut.kernel;
        let vectors = self.vectors;
        let rows = self.tiles.next_multiple_of(ROWS);
        assert!(
            rows * self.input.tile <= self.input.point
                && rows * lanes <= self.output.point
                && self.input.len() <= self.points.len()
                && self.output.len() <= self.sums.len()
                && vectors * S::LANES <= lanes
                && kernel_points * self.channels * vectors * S::LANES <= self.kernels.len(),
            "a product would reach past the end of its matrices"
        );
        let per_point = self.channels * S::LANES;
        let layout = Layout {
            a_row: self.input.tile,
            a_step: 1,
            b_step: S::LANES,
            b_vector: kernel_points * per_point,
            c_row: lanes,
        };
        for point in 0..self.input.points {
            let part = Part {
                a: self.points[point * self.input.point..].as_ptr(),
                b: self.kernels[self.cut.kernel_point(point) * per_point..].as_ptr(),
                depth: self.channels,
            };
            let to = self.sums[point * self.output.point..].as_mut_ptr();
            // SAFETY: as this function's own; all matrices were checked.
            unsafe { layout.multiply::<S>(&[part], to, self.tiles, vectors, false) };
        }
    }
}
