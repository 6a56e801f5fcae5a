//! The forward pass and the input gradient.

use std::{mem::MaybeUninit, ops::Range};

use rayon::prelude::*;

use super::{
    POINTS, WINDOW,
    grid::{Grid, Segment, tiles_of},
    kernels::{InputPoints, OutputTiles, PointLayout, Rows},
    product::{Layout, Part, ROWS},
    transform,
};
use crate::{
    convolution::{Finish, Geometry, interleave::Interleave, lanes::OutOfLanes},
    scratch::with_scratch,
    simd::{self, Kernel, Simd},
};

/// Numbers at the points of a strip's inputs and outputs: about two cores' second-level caches,
/// of which one point at a time is in use.
const STRIP_NUMBERS: usize = 1 << 19;
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
    let channels = geometry.channels;
    let grid = Grid {
        batch: geometry.batch,
        channels,
        outputs: geometry.outputs,
        input: geometry.input,
        output: geometry.output,
        padding: geometry.padding,
    };
    let kernels = kernels(&grid, |channel, output, element| {
        weight[(output * channels + channel) * 9 + element]
    });
    correlate(&grid, x, &kernels, finish)
}

/// As [`crate::convolution::input_gradient`]: the output's gradient, correlated with the kernels
/// turned by 180° and with channels and outputs exchanged.
pub(in crate::convolution) fn input_gradient(
    gradient: &[f32],
    weight: &[f32],
    geometry: &Geometry,
) -> Vec<f32> {
    let outputs = geometry.channels;
    let grid = Grid {
        batch: geometry.batch,
        channels: geometry.outputs,
        outputs,
        input: geometry.output,
        output: geometry.input,
        padding: geometry.padding.map(|p| 2 - p),
    };
    let kernels = kernels(&grid, |channel, output, element| {
        weight[(channel * outputs + output) * 9 + 8 - element]
    });
    correlate(&grid, gradient, &kernels, Finish::default())
}

/// The kernels at the points, `[vector of outputs, point, channel, lane]`.
fn kernels(grid: &Grid, weight: impl Fn(usize, usize, usize) -> f32 + Sync) -> Vec<f32> {
    let lanes = simd::lanes();
    let length = POINTS * grid.channels * grid.output_lanes();
    let mut kernels = Vec::with_capacity(length);
    kernels.spare_capacity_mut()[..length]
        .par_chunks_exact_mut(POINTS * grid.channels * lanes)
        .enumerate()
        .for_each(|(index, to)| {
            let first = index * lanes;
            let count = lanes.min(grid.outputs - first);
            let mut elements = vec![0.0; 9 * lanes];
            for channel in 0..grid.channels {
                for lane in 0..count {
                    for element in 0..9 {
                        elements[element * lanes + lane] = weight(channel, first + lane, element);
                    }
                }
                simd::dispatch(KernelPoints {
                    elements: &elements,
                    to,
                    channel,
                    channels: grid.channels,
                });
            }
        });
    // SAFETY: every vector of outputs was taken to all points for all channels.
    unsafe { kernels.set_len(length) };
    kernels
}

/// Takes the kernels of a channel and a vector of outputs to the points.
struct KernelPoints<'a> {
    /// `[element, lane]`.
    elements: &'a [f32],
    /// `[point, channel, lane]`.
    to: &'a mut [MaybeUninit<f32>],
    channel: usize,
    channels: usize,
}

impl Kernel for KernelPoints<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        assert!(
            self.elements.len() >= 9 * S::LANES
                && self.channel < self.channels
                && self.to.len() >= POINTS * self.channels * S::LANES
        );
        // SAFETY: as this function's own; elements and room were checked.
        unsafe {
            let mut half = [[S::splat(0.0); 3]; WINDOW];
            for c in 0..3 {
                let mut line = [S::splat(0.0); 3];
                for r in 0..3 {
                    line[r] = S::load(self.elements.as_ptr().add((r * 3 + c) * S::LANES));
                }
                let points = transform::kernel::<S>(line);
                for r in 0..WINDOW {
                    half[r][c] = points[r];
                }
            }
            for r in 0..WINDOW {
                let points = transform::kernel::<S>(half[r]);
                for c in 0..WINDOW {
                    let row = (r * WINDOW + c) * self.channels + self.channel;
                    S::store(self.to.as_mut_ptr().add(row * S::LANES).cast(), points[c]);
                }
            }
        }
    }
}

/// One task: neighbouring segments, and for each the output's rows of every channel.
struct Strip<'y> {
    segments: Vec<Segment>,
    maps: Vec<Vec<&'y mut [MaybeUninit<f32>]>>,
}

fn correlate(grid: &Grid, x: &[f32], kernels: &[f32], finish: Finish<'_>) -> Vec<f32> {
    let count = grid.batch * grid.outputs * grid.output[0] * grid.output[1];
    let mut y = Vec::with_capacity(count);
    let per_tile = POINTS * (grid.input_lanes() + grid.output_lanes());
    let [rows, columns] = grid.tiles();
    // Every thread gets several strips where there is enough to share. Strips change no sum.
    let fair = (grid.batch * rows * columns).div_ceil(4 * rayon::current_num_threads());
    let most = (STRIP_NUMBERS / per_tile)
        .min(fair)
        .clamp(LEAST_TILES, MOST_TILES);
    divide(grid, most, &mut y.spare_capacity_mut()[..count])
        .into_par_iter()
        .for_each(|strip| compute(grid, x, kernels, finish, strip));
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

fn compute(grid: &Grid, x: &[f32], kernels: &[f32], finish: Finish<'_>, mut strip: Strip<'_>) {
    let columns = grid.tiles()[1];
    let tiles = tiles_of(&strip.segments, columns);
    let rows = tiles.next_multiple_of(ROWS);
    let (input_lanes, output_lanes) = (grid.input_lanes(), grid.output_lanes());
    let input = PointLayout::new(rows, input_lanes);
    let output = PointLayout::new(rows, output_lanes);
    let room = room(grid, &strip.segments);
    with_scratch([input.len(), output.len(), room], |[points, sums, room]| {
        for segment in &strip.segments {
            input_points(grid, x, segment, points, input, room);
        }
        simd::dispatch(Products {
            points,
            input,
            kernels,
            channels: grid.channels,
            tiles,
            sums,
            output,
        });
        for (segment, maps) in strip.segments.iter().zip(&mut strip.maps) {
            output_tiles(grid, segment, sums, output, room, finish, maps);
        }
    });
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
pub(super) fn input_points(
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
        simd::dispatch(InputPoints {
            from: rows_in_lanes(&maps, rows.clone(), width, room),
            rows: segment.rows.clone(),
            columns: grid.tiles()[1],
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
fn output_tiles(
    grid: &Grid,
    segment: &Segment,
    sums: &[f32],
    layout: PointLayout,
    room: &mut [f32],
    finish: Finish<'_>,
    maps: &mut [&mut [MaybeUninit<f32>]],
) {
    let rows = grid.output_rows(segment);
    let [height, width] = grid.output;
    let plane = rows.len() * width;
    for (index, maps) in maps.chunks_mut(simd::lanes()).enumerate() {
        let first = index * simd::lanes();
        simd::dispatch(OutputTiles {
            from: sums,
            at: segment.first * layout.tile + first,
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
    kernels: &'a [f32],
    channels: usize,
    tiles: usize,
    sums: &'a mut [f32],
    output: PointLayout,
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let lanes = self.output.tile;
        let rows = self.tiles.next_multiple_of(ROWS);
        assert!(
            rows * self.input.tile <= self.input.point
                && rows * lanes <= self.output.point
                && self.input.len() <= self.points.len()
                && self.output.len() <= self.sums.len()
                && POINTS * self.channels * lanes <= self.kernels.len(),
            "a product would reach past the end of its matrices"
        );
        let per_point = self.channels * S::LANES;
        let layout = Layout {
            a_row: self.input.tile,
            a_step: 1,
            b_step: S::LANES,
            b_vector: POINTS * per_point,
            c_row: lanes,
        };
        for point in 0..POINTS {
            let part = Part {
                a: self.points[point * self.input.point..].as_ptr(),
                b: self.kernels[point * per_point..].as_ptr(),
                depth: self.channels,
            };
            let to = self.sums[point * self.output.point..].as_mut_ptr();
            // SAFETY: as this function's own; all matrices were checked.
            unsafe { layout.multiply::<S>(&[part], to, self.tiles, lanes / S::LANES, false) };
        }
    }
}
