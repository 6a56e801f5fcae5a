//! The kernel: the angles at one vector after the other.

use rayon::prelude::*;

use super::LENGTH_FLOOR;
use crate::{
    product::{
        Matrix,
        pack::{pack, packed_len, panel_columns},
        tile::{LeftRows, Place, Start, TILE_ROWS, multiply},
    },
    scratch::with_scratch,
    simd::{self, Kernel, Simd, as_room, dispatch},
};

/// Chunks of anchors whose gradients are summed by themselves, at the most. Decided by their number
/// alone, as the sum follows them.
const MOST_CHUNKS: usize = 8;

/// The error of the angles of `count` vectors, and its gradient with respect to `x`.
pub(crate) fn angle_error(x: &[f32], target: &[f32], count: usize) -> (f64, Vec<f32>) {
    let lanes = simd::lanes();
    let widths = [x.len() / count, target.len() / count];
    let room = Room::new(count, widths, lanes);
    let chunk = count.div_ceil(MOST_CHUNKS);
    let parts: Vec<(f64, Vec<f32>)> = (0..count.div_ceil(chunk))
        .into_par_iter()
        .map(|index| {
            let mut slopes = vec![0.0; x.len()];
            let mut error = 0.0;
            with_scratch(room.counts(), |[vectors, panels, cosines]| {
                for anchor in index * chunk..((index + 1) * chunk).min(count) {
                    error += dispatch(Anchor {
                        anchor,
                        count,
                        sides: [x, target],
                        room: &room,
                        vectors: &mut *vectors,
                        panels: &mut *panels,
                        cosines: &mut *cosines,
                        slopes: &mut slopes,
                    });
                }
            });
            (error, slopes)
        })
        .collect();
    let triples = (count * count * count) as f64;
    let error: f64 = parts.iter().map(|(error, _)| error).sum();
    let mut slopes = vec![0.0; x.len()];
    for (_, part) in parts {
        for (sum, slope) in slopes.iter_mut().zip(part) {
            *sum += slope;
        }
    }
    (error / triples, slopes)
}

/// How the room of a task is used, in numbers.
struct Room {
    /// Numbers of a vector on either side.
    widths: [usize; 2],
    /// Of a row of cosines, filled up to whole vectors.
    row: usize,
    /// Of the panels of a factor at the most.
    panels: usize,
}

impl Room {
    fn new(count: usize, widths: [usize; 2], lanes: usize) -> Self {
        let of_angles = widths.map(|width| packed_len(width, count, lanes));
        let of_gradient = packed_len(count, widths[0], lanes);
        Self {
            widths,
            row: count.next_multiple_of(lanes),
            panels: of_angles.into_iter().fold(of_gradient, usize::max),
        }
    }

    /// Unit vectors of either side, the gradient of one side's and lengths; panels; cosines of either
    /// side.
    fn counts(&self) -> [usize; 3] {
        let rows = self.row;
        let [own, other] = self.widths;
        [
            rows * (2 * own + other) + rows,
            self.panels,
            2 * rows * rows,
        ]
    }
}

/// The angles at one vector; gives the sum of their errors and adds to `slopes`.
struct Anchor<'a> {
    anchor: usize,
    count: usize,
    sides: [&'a [f32]; 2],
    room: &'a Room,
    vectors: &'a mut [f32],
    panels: &'a mut [f32],
    cosines: &'a mut [f32],
    slopes: &'a mut [f32],
}

impl Kernel for Anchor<'_> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        let Self {
            anchor,
            count,
            sides,
            room,
            panels,
            ..
        } = self;
        let [own_width, other_width] = room.widths;
        let (units, rest) = self.vectors.split_at_mut(room.row * own_width);
        let (gradient, rest) = rest.split_at_mut(room.row * own_width);
        let (others, inverse) = rest.split_at_mut(room.row * other_width);
        let (cosines, other_cosines) = self.cosines.split_at_mut(room.row * room.row);
        // SAFETY: as this function's own; all rooms are as long as what is put there.
        unsafe {
            directions::<S>(sides[1], anchor, other_width, others, inverse);
            products::<S>(
                Matrix::new(others, count, other_width),
                Matrix::new(others, count, other_width).transposed(),
                panels,
                other_cosines,
                room.row,
            );
            directions::<S>(sides[0], anchor, own_width, units, inverse);
            let own = Matrix::new(units, count, own_width);
            products::<S>(own, own.transposed(), panels, cosines, room.row);
            let error = slopes_of::<S>(cosines, other_cosines, count, room.row);
            let left = Matrix::with_stride(cosines, count, count, room.row);
            products::<S>(left, own, panels, gradient, own_width);
            for (index, inverse) in inverse.iter().enumerate().take(count) {
                let place = index * own_width..(index + 1) * own_width;
                let of_unit = &mut gradient[place.clone()];
                across::<S>(of_unit, &units[place.clone()], *inverse);
                add::<S>(&mut self.slopes[place], of_unit, 1.0);
                let own = anchor * own_width..(anchor + 1) * own_width;
                add::<S>(&mut self.slopes[own], of_unit, -1.0);
            }
            error
        }
    }
}

/// Writes the unit vectors from the vector `anchor` to all, and one over the lengths; zeros where there is
/// no direction.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn directions<S: Simd>(
    vectors: &[f32],
    anchor: usize,
    width: usize,
    units: &mut [f32],
    inverse: &mut [f32],
) {
    let from = &vectors[anchor * width..][..width];
    let rows = vectors
        .chunks_exact(width)
        .zip(units.chunks_exact_mut(width));
    for ((to, unit), inverse) in rows.zip(inverse) {
        // SAFETY: as this function's own; `at` stays inside the vectors.
        unsafe {
            let mut sum = S::splat(0.0);
            for at in (0..width).step_by(S::LANES) {
                let difference = S::subtract(S::load_part(to, at), S::load_part(from, at));
                sum = S::multiply_add(difference, difference, sum);
                S::store_part(as_room(unit), at, difference);
            }
            let length = f64::from(S::sum(sum)).sqrt();
            let found = if length > LENGTH_FLOOR {
                1.0 / length
            } else {
                0.0
            };
            *inverse = found as f32;
            let factor = S::splat(*inverse);
            for at in (0..width).step_by(S::LANES) {
                let scaled = S::multiply(S::load_part(unit, at), factor);
                S::store_part(as_room(unit), at, scaled);
            }
        }
    }
}

/// `left · right`, in rows `stride` apart.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn products<S: Simd>(
    left: Matrix<'_>,
    right: Matrix<'_>,
    panels: &mut [f32],
    to: &mut [f32],
    stride: usize,
) {
    assert!(left.columns == right.rows && right.columns <= stride);
    let depth = right.rows;
    for column in (0..right.columns).step_by(panel_columns::<S>()) {
        let columns = panel_columns::<S>().min(right.columns - column);
        let panel = &mut panels[..depth * columns.next_multiple_of(S::LANES)];
        // SAFETY: as this function's own; tiles cover the rows, which are as long as the panel is deep.
        unsafe {
            pack::<S>(right.some_columns(column, columns), as_room(panel));
            for row in (0..left.rows).step_by(TILE_ROWS) {
                let rows = TILE_ROWS.min(left.rows - row);
                multiply::<S>(
                    LeftRows::new(left, row, rows, 0, depth),
                    panel.as_ptr(),
                    depth,
                    Start::Zero,
                    Place {
                        numbers: &mut as_room(to)[row * stride + column..],
                        row_stride: stride,
                        columns,
                    },
                );
            }
        }
    }
}

/// Sum of the errors of cosines, in rows `stride` apart, which are overwritten with the gradient of the
/// mean over all triples, of both sides of their products.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn slopes_of<S: Simd>(
    cosines: &mut [f32],
    others: &[f32],
    count: usize,
    stride: usize,
) -> f64 {
    let factor = 2.0 / (count * count * count) as f64;
    let rows = cosines
        .chunks_exact_mut(stride)
        .zip(others.chunks_exact(stride));
    let mut total = 0.0;
    for (own, other) in rows.take(count) {
        let (own, other) = (&mut own[..count], &other[..count]);
        // SAFETY: as this function's own; `at` stays inside the row.
        unsafe {
            let one = S::splat(1.0);
            let minus = S::splat(-1.0);
            let half = S::splat(0.5);
            let factor = S::splat(factor as f32);
            let mut sum = S::splat(0.0);
            for at in (0..count).step_by(S::LANES) {
                let difference = S::subtract(S::load_part(own, at), S::load_part(other, at));
                let near = S::maximum(minus, S::at_most(difference, one));
                // near · (difference − near/2): both have one sign.
                let rest = S::subtract(difference, S::multiply(near, half));
                sum = S::multiply_add(near, rest, sum);
                S::store_part(as_room(own), at, S::multiply(near, factor));
            }
            total += f64::from(S::sum(sum));
        }
    }
    total
}

/// Takes off `gradient` what goes along `unit` and divides by the length.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn across<S: Simd>(gradient: &mut [f32], unit: &[f32], inverse: f32) {
    debug_assert_eq!(gradient.len(), unit.len());
    // SAFETY: as this function's own; `at` stays inside both.
    unsafe {
        let mut sum = S::splat(0.0);
        for at in (0..unit.len()).step_by(S::LANES) {
            sum = S::multiply_add(S::load_part(gradient, at), S::load_part(unit, at), sum);
        }
        let along = S::splat(-S::sum(sum));
        let inverse = S::splat(inverse);
        for at in (0..unit.len()).step_by(S::LANES) {
            let left = S::multiply_add(S::load_part(unit, at), along, S::load_part(gradient, at));
            S::store_part(as_room(gradient), at, S::multiply(left, inverse));
        }
    }
}

/// Adds `factor · numbers` to `sums`.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn add<S: Simd>(sums: &mut [f32], numbers: &[f32], factor: f32) {
    debug_assert_eq!(sums.len(), numbers.len());
    // SAFETY: as this function's own; `at` stays inside both.
    unsafe {
        let factor = S::splat(factor);
        for at in (0..sums.len()).step_by(S::LANES) {
            let sum = S::multiply_add(S::load_part(numbers, at), factor, S::load_part(sums, at));
            S::store_part(as_room(sums), at, sum);
        }
    }
}
