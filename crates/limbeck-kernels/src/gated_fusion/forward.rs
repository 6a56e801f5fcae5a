//! The forward pass.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    sizes::Sizes,
    statistics::{Normalised, Statistics, moments},
    strip::pack_with_ones,
};
use crate::{
    activation::logistic,
    product::{
        Matrix,
        pack::panel_columns,
        tile::{LeftRows, Place, Start, TILE_ROWS, multiply},
    },
    resize::nearest::Nearest,
    scratch::with_scratch,
    simd::{self, Kernel, Simd, as_room, dispatch},
};

/// The mixture and what the backward pass reads.
pub(crate) struct Fused {
    /// `[B, M, H, W]`.
    pub output: Vec<f32>,
    pub statistics: Statistics,
    /// See [`moments`].
    pub moments: Vec<f32>,
    /// `[B, 2, H, W]`.
    pub gates: Vec<f32>,
}

/// Of `x` `[B, C, H, W]` and `running` `[B, M, h, w]`, with the gates' kernel `[2, 2·M]` and bias `[2]`.
pub(crate) fn forward(
    sizes: &Sizes,
    normalised: Normalised<'_>,
    [x, running]: [&[f32]; 2],
    [gate_weight, gate_bias]: [&[f32]; 2],
) -> Fused {
    let moments = moments(sizes, x);
    let statistics = normalised.statistics(sizes, &moments);
    let mut map = normalised.as_one(sizes, &statistics.mean, &statistics.variance);
    add_gates(sizes, &mut map, gate_weight, gate_bias);
    let positions = sizes.positions();
    let nearest = Nearest::new(sizes.coarse, sizes.size);
    let (count, of_gates) = (
        sizes.batch * sizes.outputs * positions,
        sizes.batch * 2 * positions,
    );
    let mut output = Vec::with_capacity(count);
    let mut gates = Vec::with_capacity(of_gates);
    let width = sizes.strip_width(simd::lanes());
    let room = [
        (sizes.inputs + 1) * width,
        (sizes.outputs + 2) * width,
        3 * width + 2 * sizes.coarse_positions(),
    ];
    output.spare_capacity_mut()[..count]
        .par_chunks_mut(sizes.outputs * positions)
        .zip(gates.spare_capacity_mut()[..of_gates].par_chunks_mut(2 * positions))
        .enumerate()
        .for_each(|(image, (output, gates))| {
            let (numbers, coarse) = (
                sizes.inputs * positions,
                sizes.outputs * sizes.coarse_positions(),
            );
            with_scratch(room, |[panels, mixed, rows]| {
                dispatch(Image {
                    sizes,
                    nearest: &nearest,
                    map: &map,
                    gate_weight,
                    x: &x[image * numbers..][..numbers],
                    running: &running[image * coarse..][..coarse],
                    panels,
                    mixed,
                    rows,
                    output,
                    gates,
                });
            });
        });
    // SAFETY: every image writes all of its output and gates.
    unsafe {
        output.set_len(count);
        gates.set_len(of_gates);
    }
    Fused {
        output,
        statistics,
        moments,
        gates,
    }
}

/// Adds two rows to the linear map: what the gates see of the map that it makes, and their bias.
fn add_gates(sizes: &Sizes, map: &mut Vec<f32>, gate_weight: &[f32], gate_bias: &[f32]) {
    let length = sizes.inputs + 1;
    for (weight, bias) in gate_weight.chunks_exact(2 * sizes.outputs).zip(gate_bias) {
        let mut row = vec![0.0; length];
        for (weight, of_output) in weight
            .iter()
            .zip(map.chunks_exact(length))
            .take(sizes.outputs)
        {
            for (sum, number) in row.iter_mut().zip(of_output) {
                *sum += f64::from(*weight) * f64::from(*number);
            }
        }
        row[length - 1] += f64::from(*bias);
        map.extend(row.into_iter().map(|number| number as f32));
    }
}

/// One image.
struct Image<'a> {
    sizes: &'a Sizes,
    nearest: &'a Nearest,
    /// `[M + 2, C + 1]`.
    map: &'a [f32],
    gate_weight: &'a [f32],
    x: &'a [f32],
    running: &'a [f32],
    /// Room for a strip of `x` in panels, with a row of ones.
    panels: &'a mut [f32],
    /// For a strip of what the linear map makes of it.
    mixed: &'a mut [f32],
    /// For three rows of a strip and two coarser maps.
    rows: &'a mut [f32],
    output: &'a mut [MaybeUninit<f32>],
    gates: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Image<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let sizes = self.sizes;
        let (inputs, outputs) = (sizes.inputs, sizes.outputs);
        let (positions, coarse) = (sizes.positions(), sizes.coarse_positions());
        let width = sizes.strip_width(S::LANES);
        let (rooms, low) = self.rows.split_at_mut(3 * width);
        let (wide, own) = rooms.split_at_mut(width);
        let (own, other) = own.split_at_mut(width);
        let low = &mut low[..2 * coarse];
        low.fill(0.0);
        for (channel, running) in self.running.chunks_exact(coarse).enumerate() {
            for (gate, low) in low.chunks_exact_mut(coarse).enumerate() {
                let weight = self.gate_weight[(2 * gate + 1) * outputs + channel];
                // SAFETY: as this function's own.
                unsafe { add_times::<S>(low, running, weight) };
            }
        }
        for strip in sizes.strips() {
            let first = strip.start * sizes.size[1];
            let count = strip.len() * sizes.size[1];
            // SAFETY: as this function's own; tiles cover the strip, the panels are as deep as the rows
            // of the map are long, and `at` stays inside the strip.
            unsafe {
                let x = Matrix::with_stride(&self.x[first..], inputs, count, positions);
                let depth = pack_with_ones::<S>(x, self.panels);
                let map = Matrix::new(self.map, outputs + 2, depth);
                for column in (0..count).step_by(panel_columns::<S>()) {
                    let columns = panel_columns::<S>().min(count - column);
                    for row in (0..map.rows).step_by(TILE_ROWS) {
                        let rows = TILE_ROWS.min(map.rows - row);
                        multiply::<S>(
                            LeftRows::new(map, row, rows, 0, depth),
                            self.panels[column * depth..].as_ptr(),
                            depth,
                            Start::Zero,
                            Place {
                                numbers: &mut as_room(self.mixed)[row * width + column..],
                                row_stride: width,
                                columns,
                            },
                        );
                    }
                }
                let wide = &mut wide[..count];
                for (gate, shares) in [&mut *own, &mut *other].into_iter().enumerate() {
                    let low = &low[gate * coarse..][..coarse];
                    self.nearest
                        .copy_rows::<S>(low, strip.clone(), as_room(wide));
                    let logits = &self.mixed[(outputs + gate) * width..][..count];
                    let kept = &mut self.gates[gate * positions + first..][..count];
                    for at in (0..count).step_by(S::LANES) {
                        let logit = S::add(S::load_part(logits, at), S::load_part(wide, at));
                        let [share, _] = logistic::<S>(logit);
                        S::store_part(as_room(&mut shares[..count]), at, share);
                        S::store_part(kept, at, share);
                    }
                }
                let (own, other) = (&own[..count], &other[..count]);
                for channel in 0..outputs {
                    let running = &self.running[channel * coarse..][..coarse];
                    self.nearest
                        .copy_rows::<S>(running, strip.clone(), as_room(wide));
                    let y = &self.mixed[channel * width..][..count];
                    let to = &mut self.output[channel * positions + first..][..count];
                    for at in (0..count).step_by(S::LANES) {
                        let mixed = S::multiply(S::load_part(y, at), S::load_part(own, at));
                        let wide = S::load_part(wide, at);
                        let mixed = S::multiply_add(wide, S::load_part(other, at), mixed);
                        S::store_part(to, at, mixed);
                    }
                }
            }
        }
    }
}

/// Adds `factor · numbers` to `sums`.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
pub(super) unsafe fn add_times<S: Simd>(sums: &mut [f32], numbers: &[f32], factor: f32) {
    debug_assert_eq!(sums.len(), numbers.len());
    // SAFETY: as this function's own; `at` stays inside both.
    unsafe {
        let factor = S::splat(factor);
        for at in (0..sums.len()).step_by(S::LANES) {
            let sum = S::load_part(sums, at);
            let sum = S::multiply_add(S::load_part(numbers, at), factor, sum);
            S::store_part(as_room(sums), at, sum);
        }
    }
}
