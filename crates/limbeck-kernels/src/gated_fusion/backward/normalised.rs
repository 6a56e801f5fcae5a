//! From sums to gradients, through the statistics of the batch norm.
//!
//! With D the gradient of the normalised map y, x̄ the input off its mean, σ² + ε the variance of an
//! output and γ its scale, and n the samples: A = Σ D, P = Σ D·x̄ᵀ give the gradients A of the shift,
//! B = w·P/σ of the scale, γ/σ·(P − B/σ·w·K) of a row w of the kernel (K: the covariance of the input),
//! and what the input's gradient has through the statistics: −Wᵀγ/σ·(A/n + B/(n·σ)·W·x̄).

use std::mem::MaybeUninit;

use super::{Read, image::Sums};
use crate::{
    gated_fusion::{sizes::Sizes, statistics::covariances, strip::pack_with_ones},
    product::{
        Matrix,
        pack::panel_columns,
        tile::{LeftRows, Place, Start, TILE_ROWS, multiply},
        transposed_product,
    },
    simd::{Kernel, Simd},
};

pub(super) struct Found {
    pub weight: Vec<f32>,
    pub gate_weight: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    /// What is added to the input's gradient, as a linear map of the input: `[C, C + 1]`, its last
    /// column is added.
    pub correction: Vec<f32>,
}

pub(super) fn gradients(sizes: &Sizes, read: &Read<'_>, map: &[f32], sums: &Sums) -> Found {
    let (inputs, outputs) = (sizes.inputs, sizes.outputs);
    let means = &read.moments[..inputs];
    let covariances = covariances(sizes, read.normalised.weight, read.moments);
    let deviations = read.normalised.deviations(read.variance);
    let [to_own, to_other] = [0, 1].map(|gate| &read.gate_weight[2 * gate * outputs..][..outputs]);
    let mut found = Found {
        weight: Vec::with_capacity(outputs * inputs),
        gate_weight: vec![0.0; 4 * outputs],
        scale: Vec::with_capacity(outputs),
        shift: Vec::with_capacity(outputs),
        correction: Vec::new(),
    };
    // Rows of the kernel by the factor that the squares of the correction have, and that of its constant.
    let mut factored = Vec::with_capacity(outputs * inputs);
    let mut constant = vec![0.0; inputs];
    for output in 0..outputs {
        let of = |all: &'_ [f32]| -> std::ops::Range<usize> {
            debug_assert_eq!(all.len(), outputs * inputs);
            output * inputs..(output + 1) * inputs
        };
        let row = &read.normalised.weight[of(read.normalised.weight)];
        let gates = [to_own, to_other].map(|gate| f64::from(gate[output]));
        let sum = sums.outputs[output] + gates[0] * sums.gates[0] + gates[1] * sums.gates[1];
        let products: Vec<f64> = sums.products[of(&sums.products)]
            .iter()
            .enumerate()
            .map(|(input, product)| {
                let of_gates =
                    gates[0] * sums.inputs[input] + gates[1] * sums.inputs[inputs + input];
                f64::from(*product) + of_gates - sum * f64::from(means[input])
            })
            .collect();
        let deviation = deviations[output];
        let of_scale = products
            .iter()
            .zip(row)
            .map(|(product, w)| product * f64::from(*w))
            .sum::<f64>()
            / deviation;
        let factor = f64::from(read.normalised.scale[output]) / deviation;
        let of_row = products.iter().zip(&covariances[of(&covariances)]);
        found.weight.extend(of_row.map(|(product, covariance)| {
            (factor * (product - of_scale / deviation * f64::from(*covariance))) as f32
        }));
        found.scale.push(of_scale as f32);
        found.shift.push(sum as f32);
        let square = -factor * of_scale / (deviation * sizes.samples());
        factored.extend(row.iter().map(|w| (square * f64::from(*w)) as f32));
        for (constant, w) in constant.iter_mut().zip(row) {
            *constant -= f64::from(*w) * factor * sum / sizes.samples();
        }
    }
    for gate in 0..2 {
        let of_inputs = &sums.inputs[gate * inputs..][..inputs];
        let to = &mut found.gate_weight[2 * gate * outputs..][..2 * outputs];
        for (output, map) in map.chunks_exact(inputs + 1).enumerate() {
            let linear: f64 = of_inputs
                .iter()
                .zip(map)
                .map(|(sum, number)| sum * f64::from(*number))
                .sum();
            to[output] = (linear + f64::from(map[inputs]) * sums.gates[gate]) as f32;
            to[outputs + output] = sums.running[gate * outputs + output] as f32;
        }
    }
    let left = Matrix::new(&factored, outputs, inputs);
    let right = Matrix::new(read.normalised.weight, outputs, inputs);
    let (squares, _) = transposed_product(left, right);
    for (row, constant) in squares.chunks_exact(inputs).zip(constant) {
        let of_means: f64 = row
            .iter()
            .zip(means)
            .map(|(square, mean)| f64::from(*square) * f64::from(*mean))
            .sum();
        found.correction.extend_from_slice(row);
        found.correction.push((constant - of_means) as f32);
    }
    found
}

/// Adds the correction to the gradient of one image.
pub(super) struct Correct<'a> {
    pub sizes: &'a Sizes,
    /// `[C, C + 1]`.
    pub correction: &'a [f32],
    pub x: &'a [f32],
    /// Room for a strip of `x` in panels, with a row of ones.
    pub panels: &'a mut [f32],
    /// Holds numbers.
    pub dx: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Correct<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (inputs, positions) = (self.sizes.inputs, self.sizes.positions());
        for strip in self.sizes.strips() {
            let first = strip.start * self.sizes.size[1];
            let count = strip.len() * self.sizes.size[1];
            // SAFETY: as this function's own; tiles cover the strip, the panels are as deep as the rows
            // of the correction are long, and the gradient holds numbers.
            unsafe {
                let x = Matrix::with_stride(&self.x[first..], inputs, count, positions);
                let depth = pack_with_ones::<S>(x, self.panels);
                let correction = Matrix::new(self.correction, inputs, depth);
                for column in (0..count).step_by(panel_columns::<S>()) {
                    let columns = panel_columns::<S>().min(count - column);
                    for row in (0..inputs).step_by(TILE_ROWS) {
                        let rows = TILE_ROWS.min(inputs - row);
                        multiply::<S>(
                            LeftRows::new(correction, row, rows, 0, depth),
                            self.panels[column * depth..].as_ptr(),
                            depth,
                            Start::Held,
                            Place {
                                numbers: &mut self.dx[row * positions + first + column..],
                                row_stride: positions,
                                columns,
                            },
                        );
                    }
                }
            }
        }
    }
}
