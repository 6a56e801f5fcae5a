//! The forward pass and the input gradient.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    by_points,
    grid::{Grid, TILE},
    strip::{Strip, block_lanes, compute, compute_together},
    transform::{Map, strided, three, unit},
    weights::{Weights, weights},
};
use crate::convolution::{Finish, Geometry};

/// Numbers at the points of a strip's inputs and of the outputs that are computed at once: a core's
/// second-level cache, of which the kernels at the points take another part.
const STRIP_NUMBERS: usize = 1 << 18;
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
        correlate_densely(&grid, x, of, finish)
    } else {
        let kernels = weights::<strided::Kernels, 6>(&grid, of);
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
        correlate_densely(&grid, gradient, of, finish)
    } else {
        let kernels = weights::<strided::Kernels, 6>(&grid, of);
        correlate::<strided::Gradients, strided::InputGradients, 5, 9, 8>(
            &grid, gradient, &kernels, finish,
        )
    }
}

/// With stride 1.
fn correlate_densely(grid: &Grid, x: &[f32], of: Weights<'_>, finish: Finish<'_>) -> Vec<f32> {
    if grid.cut.tile == TILE {
        let kernels = weights::<unit::Kernels, 6>(grid, of);
        correlate::<unit::Inputs, unit::Outputs, 6, 6, 4>(grid, x, &kernels, finish)
    } else {
        let kernels = weights::<three::Kernels, 5>(grid, of);
        correlate::<three::Inputs, three::Outputs, 5, 5, 3>(grid, x, &kernels, finish)
    }
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
    let by_points = by_points::fits(grid);
    let most = if by_points { by_points::TILES } else { most };
    let strips = divide(grid, most, &mut y.spare_capacity_mut()[..count]);
    // Few images of small maps are too few strips for all threads, which then share their outputs.
    let shares_outputs = strips.len() < rayon::current_num_threads();
    if by_points && !shares_outputs {
        by_points::compute::<I, O, WINDOW, POINTS, TILE>(grid, x, kernels, finish, strips);
    } else {
        strips.into_par_iter().for_each(|strip| {
            let compute = match shares_outputs {
                true => compute_together::<I, O, WINDOW, POINTS, TILE>,
                false => compute::<I, O, WINDOW, POINTS, TILE>,
            };
            compute(grid, x, kernels, finish, strip);
        });
    }
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
