//! Inputs, taken to the points.

use std::{marker::PhantomData, ops::Range};

use super::{
    grid::{Grid, Segment},
    kernels::{PointLayout, Rows, ToPoints},
    transform::Map,
};
use crate::{convolution::interleave::Interleave, simd};

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
