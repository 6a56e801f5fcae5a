//! The forward pass and the input gradient.

use std::{marker::PhantomData, mem::MaybeUninit, ops::Range};

use rayon::prelude::*;

use super::{
    KERNEL_POINTS,
    grid::{Grid, Segment, tiles_of},
    kernel_point,
    kernels::{OutputTiles, PointLayout, Rows, ToPoints},
    transform::{Map, strided, unit},
    weights::{Weights, weights},
};
use crate::{
    convolution::{
        Finish, Geometry,
        interleave::Interleave,
        lanes::OutOfLanes,
        matrix::{Layout, Part, ROWS},
    },
    scratch::{with_scratch, with_shared_scratch},
    simd::{self, Kernel, Simd},
};

/// Numbers at the points of a strip's inputs and of the outputs that are computed at once: a core's
/// second-level cache, of which the kernels at the points take another part.
const STRIP_NUMBERS: usize = 1 << 18;
/// Vectors of outputs that are computed at once.
const BLOCK_VECTORS: usize = 2;
/// Tiles of a strip: fewer leave the products too thin, more bring nothing.
const LEAST_TILES: usize = 24;
const MOST_TILES: usize = 96;

/// As [`crate::convolution::forward`].
pub(in crate::convolution) fn forward(
    x: &[f32],
    weight: &[f32],
    finish: Finish<'_>,
    geometry: &Geometry,
) -> Vec<f32> {
    let grid = Grid::forward(geometry);
    let of = Weights {
        numbers: weight,
        turned: false,
    };
    if geometry.stride == [1, 1] {
        let kernels = weights::<unit::Kernels>(&grid, of);
        correlate::<unit::Inputs, unit::Outputs, 6, 6, 4>(&grid, x, &kernels, finish)
    } else {
        let kernels = weights::<strided::Kernels>(&grid, of);
        correlate::<strided::Inputs, strided::Outputs, 9, 9, 4>(&grid, x, &kernels, finish)
    }
}

/// As [`crate::convolution::input_gradient`]: the output's gradient, correlated with the kernels
/// turned by 180° and with channels and outputs exchanged.
pub(in crate::convolution) fn input_gradient(
    gradient: &[f32],
    weight: &[f32],
    geometry: &Geometry,
) -> Vec<f32> {
    let grid = Grid::input_gradient(geometry);
    let of = Weights {
        numbers: weight,
        turned: true,
    };
    let finish = Finish::default();
    if geometry.stride == [1, 1] {
        let kernels = weights::<unit::Kernels>(&grid, of);
        correlate::<unit::Inputs, unit::Outputs, 6, 6, 4>(&grid, gradient, &kernels, finish)
    } else {
        let kernels = weights::<strided::Kernels>(&grid, of);
        correlate::<strided::Gradients, strided::InputGradients, 5, 9, 8>(
            &grid, gradient, &kernels, finish,
        )
    }
}

/// One task: neighbouring segments, and for each the output's rows of every channel.
struct Strip<'y> {
    segments: Vec<Segment>,
    maps: Vec<Vec<&'y mut [MaybeUninit<f32>]>>,
}

/// Windows are taken to the points by `I`, sums at the points to outputs by `O`.
fn correlate<I, O, const WINDOW: usize, const POINTS: usize, const TILE: usize>(
    grid: &Grid,
    x: &[f32],
    kernels: &[f32],
    finish: Finish<'_>,
) -> Vec<f32>
where
    I: Map<WINDOW, POINTS>,
    O: Map<POINTS, TILE>,
{
    let count = grid.batch * grid.outputs * grid.output[0] * grid.output[1];
    let mut y = Vec::with_capacity(count);
    let per_tile = grid.points() * (grid.input_lanes() + block_lanes(grid));
    let [rows, columns] = grid.tiles();
    // Every thread gets several strips where there is enough to share. Strips change no sum.
    let fair = (grid.batch * rows * columns).div_ceil(4 * rayon::current_num_threads());
    let most = (STRIP_NUMBERS / per_tile)
        .min(fair)
        .clamp(LEAST_TILES, MOST_TILES);
    let strips = divide(grid, most, &mut y.spare_capacity_mut()[..count]);
    // Few images of small maps are too few strips for all threads, which then share their outputs.
    let shares_outputs = strips.len() < rayon::current_num_threads();
    strips.into_par_iter().for_each(|strip| {
        let compute = match shares_outputs {
            true => compute_together::<I, O, WINDOW, POINTS, TILE>,
            false => compute::<I, O, WINDOW, POINTS, TILE>,
        };
        compute(grid, x, kernels, finish, strip);
    });
    // SAFETY: the strips cover all rows of all maps once, and `compute` writes all of its own.
    unsafe { y.set_len(count) };
    y
}

/// Hands each strip its part of the output `[B, O, H', W']`.
fn divide<'y>(grid: &Grid, most: usize, y: &'y mut [MaybeUninit<f32>]) -> Vec<Strip<'y>> {
    let mut strips: Vec<Strip<'y>> = grid
        .strips(most)
        .into_iter()
        .map(|segments| Strip {
            maps: segments
                .iter()
                .map(|_| Vec::with_capacity(grid.outputs))
                .collect(),
            segments,
        })
        .collect();
    let mut of_image: Vec<Vec<(usize, usize)>> = vec![Vec::new(); grid.batch];
    for (number, strip) in strips.iter().enumerate() {
        for (index, segment) in strip.segments.iter().enumerate() {
            of_image[segment.image].push((number, index));
        }
    }
    let width = grid.output[1];
    let mut rest = y;
    for segments in of_image {
        for _ in 0..grid.outputs {
            for &(number, index) in &segments {
                let rows = grid.output_rows(&strips[number].segments[index]);
                let (map, behind) = std::mem::take(&mut rest).split_at_mut(rows.len() * width);
                rest = behind;
                strips[number].maps[index].push(map);
            }
        }
    }
    strips
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
fn compute<I, O, const WINDOW: usize, const POINTS: usize, const TILE: usize>(
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
        for segment in &segments {
            input_points::<I, WINDOW, POINTS>(grid, x, segment, points, layout.input, room);
        }
        let outputs = Outputs {
            grid,
            kernels,
            finish,
            segments: &segments,
            points,
            layout: &layout,
        };
        for (index, maps) in blocks(grid, &mut maps).into_iter().enumerate() {
            outputs.block::<O, POINTS, TILE>(index, maps, sums, room);
        }
    });
}

/// One strip by several threads: each computes some outputs.
fn compute_together<I, O, const WINDOW: usize, const POINTS: usize, const TILE: usize>(
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
        for segment in &segments {
            input_points::<I, WINDOW, POINTS>(grid, x, segment, points, layout.input, room);
        }
        let outputs = Outputs {
            grid,
            kernels,
            finish,
            segments: &segments,
            points,
            layout: &layout,
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
            window: POINTS,
            kernels: &self.kernels[first * KERNEL_POINTS * grid.channels..],
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
fn block_lanes(grid: &Grid) -> usize {
    (BLOCK_VECTORS * simd::lanes()).min(grid.output_lanes())
}

/// Numbers of room for a segment's maps with channels in the lanes.
pub(super) fn room(grid: &Grid, segments: &[Segment]) -> usize {
    let lanes = simd::lanes();
    let of = |rows: usize, columns: usize| (rows * columns).next_multiple_of(lanes) * lanes;
    segments
        .iter()
        .map(|segment| {
            let input = of(grid.input_rows(segment).len(), grid.input[1]);
            input.max(of(grid.output_rows(segment).len(), grid.output[1]))
        })
        .max()
        .unwrap_or(0)
}

/// Takes a segment's windows of all channels to the points.
pub(super) fn input_points<I: Map<WINDOW, POINTS>, const WINDOW: usize, const POINTS: usize>(
    grid: &Grid,
    x: &[f32],
    segment: &Segment,
    points: &mut [f32],
    layout: PointLayout,
    room: &mut [f32],
) {
    let rows = grid.input_rows(segment);
    let [height, width] = grid.input;
    for first in (0..grid.channels).step_by(simd::lanes()) {
        let maps = channels(x, grid.channels, height * width, segment.image, first);
        simd::dispatch(ToPoints {
            map: PhantomData::<I>,
            from: rows_in_lanes(&maps, rows.clone(), width, room),
            rows: segment.rows.clone(),
            columns: grid.tiles()[1],
            step: grid.cut.step,
            padding: grid.padding,
            to: points,
            at: segment.first * layout.tile + first,
            layout,
        });
    }
}

/// Some rows of the maps, `columns` wide, with one map in each lane.
pub(super) fn rows_in_lanes<'r>(
    maps: &[&[f32]],
    range: Range<usize>,
    columns: usize,
    room: &'r mut [f32],
) -> Rows<'r> {
    simd::dispatch(Interleave {
        maps,
        start: range.start * columns,
        plane: range.len() * columns,
        images: simd::lanes(),
        to: room,
    });
    Rows {
        numbers: room,
        range,
        columns,
    }
}

/// The maps of up to a vector of channels of an image, from channel `first` on.
pub(super) fn channels(
    x: &[f32],
    channels: usize,
    plane: usize,
    image: usize,
    first: usize,
) -> Vec<&[f32]> {
    let count = simd::lanes().min(channels - first);
    x[(image * channels + first) * plane..][..count * plane]
        .chunks_exact(plane)
        .collect()
}

/// Takes the sums of a segment to its outputs of all channels, and writes them.
fn output_tiles<O: Map<POINTS, TILE>, const POINTS: usize, const TILE: usize>(
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
    /// Points of an axis.
    window: usize,
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
        let vectors = self.vectors;
        let rows = self.tiles.next_multiple_of(ROWS);
        assert!(
            rows * self.input.tile <= self.input.point
                && rows * lanes <= self.output.point
                && self.input.len() <= self.points.len()
                && self.output.len() <= self.sums.len()
                && vectors * S::LANES <= lanes
                && KERNEL_POINTS * self.channels * vectors * S::LANES <= self.kernels.len(),
            "a product would reach past the end of its matrices"
        );
        let per_point = self.channels * S::LANES;
        let layout = Layout {
            a_row: self.input.tile,
            a_step: 1,
            b_step: S::LANES,
            b_vector: KERNEL_POINTS * per_point,
            c_row: lanes,
        };
        for point in 0..self.window * self.window {
            let part = Part {
                a: self.points[point * self.input.point..].as_ptr(),
                b: self.kernels[kernel_point(point, self.window) * per_point..].as_ptr(),
                depth: self.channels,
            };
            let to = self.sums[point * self.output.point..].as_mut_ptr();
            // SAFETY: as this function's own; all matrices were checked.
            unsafe { layout.multiply::<S>(&[part], to, self.tiles, vectors, false) };
        }
    }
}
