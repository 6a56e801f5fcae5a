//! The gradient with respect to the weight: summed at the points over all tiles, then taken back.

use rayon::prelude::*;

use super::{
    POINTS, WINDOW,
    correlate::{channels, input_points, room, rows_in_lanes},
    grid::{Grid, Segment, tiles_of},
    kernels::{GradientPoints, PointLayout},
    product::{Layout, Part, ROWS},
    transform,
};
use crate::{
    convolution::Geometry,
    scratch::{with_scratch, with_shared_scratch},
    simd::{self, Kernel, Simd},
};

/// Tiles that are taken to the points by one task.
const STRIP_TILES: usize = 64;
/// Numbers at the points of the strips that are summed in one go: a few strips per thread without
/// leaving a usual third-level cache. Decided by the geometry alone, as the sum follows it.
const CHUNK_NUMBERS: usize = 3 << 20;

/// As [`crate::convolution::weight_gradient`].
pub(in crate::convolution) fn weight_gradient(
    x: &[f32],
    gradient: &[f32],
    geometry: &Geometry,
) -> Vec<f32> {
    let grid = Grid {
        batch: geometry.batch,
        channels: geometry.channels,
        outputs: geometry.outputs,
        input: geometry.input,
        output: geometry.output,
        padding: geometry.padding,
    };
    let strips = grid.strips(STRIP_TILES);
    let columns = grid.tiles()[1];
    let (input_lanes, output_lanes) = (grid.input_lanes(), grid.output_lanes());
    let most = strips.iter().map(|s| tiles_of(s, columns)).max();
    let most = most.unwrap_or(0);
    // Tiles of a product may read channels behind the last one of the last tile.
    let input = PointLayout::new(most + ROWS.div_ceil(input_lanes), input_lanes);
    let output = PointLayout::new(most, output_lanes);
    let per_strip = input.len() + output.len();
    let per_chunk = (CHUNK_NUMBERS / per_strip).clamp(1, strips.len());
    let rows = grid.channels.next_multiple_of(ROWS);
    let counts = [per_chunk * per_strip, POINTS * rows * output_lanes];
    with_shared_scratch(counts, |[points, sums]| {
        for (index, chunk) in strips.chunks(per_chunk).enumerate() {
            points
                .par_chunks_exact_mut(per_strip)
                .zip(chunk)
                .for_each(|(points, strip)| {
                    let (inputs, outputs) = points.split_at_mut(input.len());
                    with_scratch([room(&grid, strip), 0, 0], |[room, _, _]| {
                        for segment in strip {
                            input_points(&grid, x, segment, inputs, input, room);
                            gradient_points(&grid, gradient, segment, outputs, output, room);
                        }
                    });
                });
            let depths: Vec<usize> = chunk.iter().map(|s| tiles_of(s, columns)).collect();
            sums.par_chunks_exact_mut(rows * output_lanes)
                .enumerate()
                .for_each(|(point, sums)| {
                    simd::dispatch(PointSum {
                        points,
                        per_strip,
                        input,
                        output,
                        depths: &depths,
                        point,
                        channels: grid.channels,
                        sums,
                        add: index > 0,
                    });
                });
        }
        let mut weight = vec![0.0; grid.outputs * grid.channels * 9];
        weight
            .par_chunks_mut(simd::lanes() * grid.channels * 9)
            .enumerate()
            .for_each(|(index, weight)| {
                simd::dispatch(KernelGradients {
                    sums,
                    point: rows * output_lanes,
                    row: output_lanes,
                    first: index * simd::lanes(),
                    channels: grid.channels,
                    weight,
                });
            });
        weight
    })
}

/// Takes the gradient of a segment's outputs of all channels to the points.
fn gradient_points(
    grid: &Grid,
    gradient: &[f32],
    segment: &Segment,
    points: &mut [f32],
    layout: PointLayout,
    room: &mut [f32],
) {
    let rows = grid.output_rows(segment);
    let [height, width] = grid.output;
    for first in (0..grid.outputs).step_by(simd::lanes()) {
        let maps = channels(gradient, grid.outputs, height * width, segment.image, first);
        simd::dispatch(GradientPoints {
            from: rows_in_lanes(&maps, rows.clone(), width, room),
            rows: segment.rows.clone(),
            columns: grid.tiles()[1],
            to: points,
            at: segment.first * layout.tile + first,
            layout,
        });
    }
}

/// The products of inputs and gradients at one point, summed over the tiles of some strips.
struct PointSum<'a> {
    /// The strips' inputs and gradients at the points.
    points: &'a [f32],
    per_strip: usize,
    input: PointLayout,
    output: PointLayout,
    /// Tiles of each strip.
    depths: &'a [usize],
    point: usize,
    channels: usize,
    /// `[channel, output]`, both filled up.
    sums: &'a mut [f32],
    /// Whether to add to the sums that are there.
    add: bool,
}

impl Kernel for PointSum<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { input, output, .. } = self;
        let rows = self.channels.next_multiple_of(ROWS);
        let most = self.depths.iter().copied().max().unwrap_or(0);
        assert!(
            self.depths.len() * self.per_strip <= self.points.len()
                && input.len() + output.len() <= self.per_strip
                && most * input.tile + rows.saturating_sub(input.tile) <= input.point
                && most * output.tile <= output.point
                && rows * output.tile <= self.sums.len(),
            "a product would reach past the end of its matrices"
        );
        let parts: Vec<Part> = self
            .depths
            .iter()
            .enumerate()
            .map(|(strip, &depth)| {
                let start = strip * self.per_strip;
                Part {
                    a: self.points[start + self.point * input.point..].as_ptr(),
                    b: self.points[start + input.len() + self.point * output.point..].as_ptr(),
                    depth,
                }
            })
            .collect();
        let layout = Layout {
            a_row: 1,
            a_step: input.tile,
            b_step: output.tile,
            b_vector: S::LANES,
            c_row: output.tile,
        };
        let (to, vectors) = (self.sums.as_mut_ptr(), output.tile / S::LANES);
        // SAFETY: as this function's own; all matrices were checked.
        unsafe { layout.multiply::<S>(&parts, to, self.channels, vectors, self.add) };
    }
}

/// Takes the sums of a vector of outputs back to kernel elements.
struct KernelGradients<'a> {
    /// `[point, channel, output]`.
    sums: &'a [f32],
    /// Numbers from a point and a channel to the next.
    point: usize,
    row: usize,
    /// First output.
    first: usize,
    channels: usize,
    /// `[outputs, channels, 3, 3]`.
    weight: &'a mut [f32],
}

impl Kernel for KernelGradients<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let reach = (POINTS - 1) * self.point + (self.channels - 1) * self.row;
        assert!(reach + self.first + S::LANES <= self.sums.len());
        // SAFETY: as this function's own; the sums were checked.
        unsafe {
            for channel in 0..self.channels {
                let from = self.sums.as_ptr().add(channel * self.row + self.first);
                let mut half = [[S::splat(0.0); WINDOW]; 3];
                for c in 0..WINDOW {
                    let mut line = [S::splat(0.0); WINDOW];
                    for r in 0..WINDOW {
                        line[r] = S::load(from.add((r * WINDOW + c) * self.point));
                    }
                    let elements = transform::kernel_gradient::<S>(line);
                    for r in 0..3 {
                        half[r][c] = elements[r];
                    }
                }
                for r in 0..3 {
                    let elements = transform::kernel_gradient::<S>(half[r]);
                    for c in 0..3 {
                        let mut lanes = [0.0; simd::MOST_LANES];
                        S::store(lanes.as_mut_ptr(), elements[c]);
                        let outputs = self.weight.chunks_exact_mut(self.channels * 9);
                        for (output, value) in outputs.zip(lanes) {
                            output[channel * 9 + r * 3 + c] = value;
                        }
                    }
                }
            }
        }
    }
}
