//! The gradient with respect to the weight: summed at the points over all tiles, then taken back.

use std::marker::PhantomData;

use rayon::prelude::*;

use super::{
    grid::{Grid, Segment, TILE, tiles_of},
    inputs::{channels, input_points, room, rows_in_lanes},
    kernels::{PointLayout, ToPoints},
    transform::{self, Map, three, unit},
};
use crate::{
    convolution::{
        Geometry,
        matrix::{Layout, Part, ROWS},
        sums::add_all,
    },
    scratch::{with_scratch, with_shared_scratch},
    simd::{self, Kernel, Simd},
};

/// Most numbers at the points of the sums that a task keeps to itself: with the points of a strip
/// about a core's second-level cache.
const TASK_SUMS: usize = 3 << 17;
/// Chunks of strips at the most that tasks sum by themselves. Decided by the geometry alone, as the
/// sum follows them.
const MOST_CHUNKS: usize = 8;
/// Tiles of a strip whose products are added to a task's own sums.
const TASK_TILES: usize = 48;
/// Tiles of a strip whose points all tasks share.
const SHARED_TILES: usize = 32;
/// Numbers at the points of the strips that are summed in one go: a few strips per thread without
/// leaving a usual third-level cache. Decided by the geometry alone, as the sum follows it.
const SHARED_NUMBERS: usize = 3 << 20;

/// As [`crate::convolution::weight_gradient`], with stride 1.
pub(in crate::convolution) fn weight_gradient(
    x: &[f32],
    gradient: &[f32],
    geometry: &Geometry,
) -> Vec<f32> {
    let grid = Grid::forward(geometry);
    let operands = [x, gradient];
    if grid.cut.tile == TILE {
        sums::<unit::Inputs, unit::OutputGradients, unit::KernelGradients, 6, 4>(&grid, operands)
    } else {
        sums::<three::Inputs, three::OutputGradients, three::KernelGradients, 5, 3>(&grid, operands)
    }
}

/// Inputs are taken to the points by `I`, gradients by `G`, and the sums back by `K`.
fn sums<I, G, K, const POINTS: usize, const TILE: usize>(
    grid: &Grid,
    operands: [&[f32]; 2],
) -> Vec<f32>
where
    I: Map<POINTS, POINTS>,
    G: Map<TILE, POINTS>,
    K: Map<POINTS, 3> + Sync,
{
    let count = grid.points() * grid.channels.next_multiple_of(ROWS) * grid.output_lanes();
    if count <= TASK_SUMS {
        of_chunks::<I, G, K, POINTS, TILE>(grid, operands)
    } else {
        of_points::<I, G, K, POINTS, TILE>(grid, operands)
    }
}

/// The strips of a grid, and how the points of one of them lie: inputs, then gradients.
struct Strips {
    strips: Vec<Vec<Segment>>,
    input: PointLayout,
    output: PointLayout,
    /// Columns of tiles.
    columns: usize,
}

impl Strips {
    fn new(grid: &Grid, tiles: usize) -> Self {
        let strips = grid.strips(tiles);
        let columns = grid.tiles()[1];
        let (input_lanes, output_lanes) = (grid.input_lanes(), grid.output_lanes());
        let most = strips.iter().map(|s| tiles_of(s, columns)).max();
        let most = most.unwrap_or(0);
        Self {
            // Tiles of a product may read channels behind the last one of the last tile.
            input: PointLayout::new(
                grid.points(),
                most + ROWS.div_ceil(input_lanes),
                input_lanes,
            ),
            output: PointLayout::new(grid.points(), most, output_lanes),
            strips,
            columns,
        }
    }

    /// Numbers of the points of a strip.
    fn numbers(&self) -> usize {
        self.input.len() + self.output.len()
    }

    /// Takes inputs and gradients of a strip to the points.
    fn to_points<I, G, const POINTS: usize, const TILE: usize>(
        &self,
        grid: &Grid,
        [x, gradient]: [&[f32]; 2],
        strip: &[Segment],
        points: &mut [f32],
        room: &mut [f32],
    ) where
        I: Map<POINTS, POINTS>,
        G: Map<TILE, POINTS>,
    {
        let (inputs, outputs) = points.split_at_mut(self.input.len());
        for segment in strip {
            input_points::<I, POINTS, POINTS>(grid, x, segment, inputs, self.input, room);
            gradient_points::<G, POINTS, TILE>(grid, gradient, segment, outputs, self.output, room);
        }
    }
}

/// Few sums: each task sums a chunk of strips, the points of one of them at a time in its caches.
fn of_chunks<I, G, K, const POINTS: usize, const TILE: usize>(
    grid: &Grid,
    operands: [&[f32]; 2],
) -> Vec<f32>
where
    I: Map<POINTS, POINTS>,
    G: Map<TILE, POINTS>,
    K: Map<POINTS, 3> + Sync,
{
    let all = Strips::new(grid, TASK_TILES);
    let per_chunk = all.strips.len().div_ceil(MOST_CHUNKS);
    let chunks = all.strips.len().div_ceil(per_chunk);
    let rows = grid.channels.next_multiple_of(ROWS);
    let per_point = rows * grid.output_lanes();
    with_shared_scratch([chunks * grid.points() * per_point, 0], |[sums, _]| {
        sums.par_chunks_exact_mut(grid.points() * per_point)
            .zip(all.strips.par_chunks(per_chunk))
            .for_each(|(sums, strips)| {
                let most = strips.iter().map(|strip| room(grid, strip)).max();
                let counts = [all.numbers(), most.unwrap_or(0), 0];
                with_scratch(counts, |[points, room, _]| {
                    for (index, strip) in strips.iter().enumerate() {
                        all.to_points::<I, G, POINTS, TILE>(grid, operands, strip, points, room);
                        for (point, sums) in sums.chunks_exact_mut(per_point).enumerate() {
                            simd::dispatch(PointSum {
                                points,
                                per_strip: all.numbers(),
                                input: all.input,
                                output: all.output,
                                depths: &[tiles_of(strip, all.columns)],
                                point,
                                channels: grid.channels,
                                sums,
                                add: index > 0,
                            });
                        }
                    }
                });
            });
        let (total, others) = sums.split_at_mut(grid.points() * per_point);
        add_all(total, others);
        to_kernels::<K, POINTS>(grid, total, rows)
    })
}

/// Many sums: the points of a chunk of strips are shared, and each task sums one of them over the
/// chunk.
fn of_points<I, G, K, const POINTS: usize, const TILE: usize>(
    grid: &Grid,
    operands: [&[f32]; 2],
) -> Vec<f32>
where
    I: Map<POINTS, POINTS>,
    G: Map<TILE, POINTS>,
    K: Map<POINTS, 3> + Sync,
{
    let all = Strips::new(grid, SHARED_TILES);
    let per_strip = all.numbers();
    let rows = grid.channels.next_multiple_of(ROWS);
    let per_point = rows * grid.output_lanes();
    // Sums are read and written again for each chunk, which has as many numbers then.
    let numbers = SHARED_NUMBERS.max(grid.points() * per_point);
    let most = (numbers / per_strip).clamp(1, all.strips.len());
    // All chunks alike, so that the last one, too, keeps all threads busy.
    let per_chunk = all.strips.len().div_ceil(all.strips.len().div_ceil(most));
    let counts = [per_chunk * per_strip, grid.points() * per_point];
    with_shared_scratch(counts, |[points, sums]| {
        for (index, chunk) in all.strips.chunks(per_chunk).enumerate() {
            points
                .par_chunks_exact_mut(per_strip)
                .zip(chunk)
                .for_each(|(points, strip)| {
                    with_scratch([room(grid, strip), 0, 0], |[room, _, _]| {
                        all.to_points::<I, G, POINTS, TILE>(grid, operands, strip, points, room);
                    });
                });
            let depths: Vec<usize> = chunk.iter().map(|s| tiles_of(s, all.columns)).collect();
            sums.par_chunks_exact_mut(per_point)
                .enumerate()
                .for_each(|(point, sums)| {
                    simd::dispatch(PointSum {
                        points,
                        per_strip,
                        input: all.input,
                        output: all.output,
                        depths: &depths,
                        point,
                        channels: grid.channels,
                        sums,
                        add: index > 0,
                    });
                });
        }
        to_kernels::<K, POINTS>(grid, sums, rows)
    })
}

/// The sums `[point, channel, output]`, with `rows` rows of channels, as kernel elements.
fn to_kernels<K: Map<POINTS, 3> + Sync, const POINTS: usize>(
    grid: &Grid,
    sums: &[f32],
    rows: usize,
) -> Vec<f32> {
    let output_lanes = grid.output_lanes();
    let mut weight = vec![0.0; grid.outputs * grid.channels * 9];
    weight
        .par_chunks_mut(simd::lanes() * grid.channels * 9)
        .enumerate()
        .for_each(|(index, weight)| {
            simd::dispatch(KernelSums::<K, POINTS> {
                map: PhantomData,
                sums,
                point: rows * output_lanes,
                row: output_lanes,
                first: index * simd::lanes(),
                channels: grid.channels,
                weight,
            });
        });
    weight
}

/// Takes the gradient of a segment's outputs of all channels to the points.
fn gradient_points<G: Map<TILE, POINTS>, const POINTS: usize, const TILE: usize>(
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
        simd::dispatch(ToPoints {
            map: PhantomData::<G>,
            from: rows_in_lanes(&maps, rows.clone(), width, room),
            rows: segment.rows.clone(),
            columns: grid.tiles()[1],
            step: TILE,
            padding: [0, 0],
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
struct KernelSums<'a, K, const POINTS: usize> {
    map: PhantomData<K>,
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

impl<K: Map<POINTS, 3>, const POINTS: usize> Kernel for KernelSums<'_, K, POINTS> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let reach = (POINTS * POINTS - 1) * self.point + (self.channels - 1) * self.row;
        assert!(reach + self.first + S::LANES <= self.sums.len());
        // SAFETY: as this function's own; the sums were checked.
        unsafe {
            for channel in 0..self.channels {
                let from = self.sums.as_ptr().add(channel * self.row + self.first);
                let mut sums = [[S::splat(0.0); POINTS]; POINTS];
                for r in 0..POINTS {
                    for c in 0..POINTS {
                        sums[r][c] = S::load(from.add((r * POINTS + c) * self.point));
                    }
                }
                let elements = transform::both::<S, K, POINTS, 3>(&sums);
                for r in 0..3 {
                    for c in 0..3 {
                        let mut lanes = [0.0; simd::MOST_LANES];
                        S::store(lanes.as_mut_ptr(), elements[r][c]);
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
