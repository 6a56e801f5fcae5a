//! What a batch norm needs of a map that a 1×1 convolution would give, without that map.
//!
//! With μ `[C]` and K `[C, C]` the mean and the covariance of x over all positions, the mean of a
//! convolved channel with kernel w is w·μ, its variance w·K·w.

use rayon::prelude::*;

use super::{sizes::Sizes, strip};
use crate::{
    product::{
        Matrix,
        pack::{pack, panel_columns},
        product,
        tile::{LeftRows, Place, Start, TILE_ROWS, multiply},
    },
    scratch::with_scratch,
    simd::{self, Kernel, Simd, as_room, dispatch},
};

/// Mean `[C]` and covariance `[C, C]` of `x` `[B, C, H, W]`, one after the other.
pub(crate) fn moments(sizes: &Sizes, x: &[f32]) -> Vec<f32> {
    let inputs = sizes.inputs;
    let image = inputs * sizes.positions();
    let chunk = sizes.chunk() * image;
    let sums: Vec<Vec<f64>> = x
        .par_chunks(chunk)
        .map(|x| {
            let mut sums = vec![0.0; inputs];
            for (index, map) in x.chunks_exact(sizes.positions()).enumerate() {
                sums[index % inputs] += dispatch(strip::Total { numbers: map });
            }
            sums
        })
        .collect();
    let mut found = vec![0.0; inputs * (1 + inputs)];
    let (means, covariance) = found.split_at_mut(inputs);
    for (channel, mean) in means.iter_mut().enumerate() {
        let sum: f64 = sums.iter().map(|sums| sums[channel]).sum();
        *mean = (sum / sizes.samples()) as f32;
    }
    let products: Vec<Vec<f32>> = x
        .par_chunks(chunk)
        .map(|x| products(sizes, x, means))
        .collect();
    covariance
        .par_iter_mut()
        .enumerate()
        .for_each(|(index, covariance)| {
            let sum: f64 = products.iter().map(|part| f64::from(part[index])).sum();
            *covariance = (sum / sizes.samples()) as f32;
        });
    found
}

/// Σ (x − μ)·(x − μ)ᵀ over the images `x`, `[C, C]`.
fn products(sizes: &Sizes, x: &[f32], means: &[f32]) -> Vec<f32> {
    let inputs = sizes.inputs;
    let mut sums = vec![0.0; inputs * inputs];
    let width = sizes.strip_width(simd::lanes());
    let panels = width * inputs.next_multiple_of(simd::lanes());
    with_scratch([inputs * width, panels, 0], |[centred, panels, _]| {
        for x in x.chunks_exact(inputs * sizes.positions()) {
            dispatch(Products {
                sizes,
                x,
                means,
                centred,
                panels,
                sums: &mut sums,
            });
        }
    });
    sums
}

/// [`products`] of one image, added to `sums`.
struct Products<'a> {
    sizes: &'a Sizes,
    x: &'a [f32],
    means: &'a [f32],
    /// Room for the numbers of a strip.
    centred: &'a mut [f32],
    /// And for them in panels.
    panels: &'a mut [f32],
    sums: &'a mut [f32],
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let sizes = self.sizes;
        let (inputs, positions) = (sizes.inputs, sizes.positions());
        let width = sizes.strip_width(S::LANES);
        for rows in sizes.strips() {
            let first = rows.start * sizes.size[1];
            let count = rows.len() * sizes.size[1];
            for (channel, to) in self.centred.chunks_exact_mut(width).enumerate() {
                let from = &self.x[channel * positions + first..][..count];
                let to = as_room(&mut to[..count]);
                // SAFETY: as this function's own; `at` stays inside both.
                unsafe {
                    let mean = S::splat(self.means[channel]);
                    for at in (0..count).step_by(S::LANES) {
                        S::store_part(to, at, S::subtract(S::load_part(from, at), mean));
                    }
                }
            }
            for column in (0..inputs).step_by(panel_columns::<S>()) {
                let columns = panel_columns::<S>().min(inputs - column);
                let panel = &mut self.panels[..count * columns.next_multiple_of(S::LANES)];
                let centred = Matrix::with_stride(self.centred, inputs, count, width);
                let right = centred.some_rows(column, columns).transposed();
                // SAFETY: as this function's own; tiles cover the columns, the rows are as long as the
                // panel is deep, and the sums hold numbers.
                unsafe {
                    pack::<S>(right, as_room(panel));
                    for row in (0..inputs).step_by(TILE_ROWS) {
                        let rows = TILE_ROWS.min(inputs - row);
                        multiply::<S>(
                            LeftRows::new(centred, row, rows, 0, count),
                            panel.as_ptr(),
                            count,
                            Start::Held,
                            Place {
                                numbers: &mut as_room(self.sums)[row * inputs + column..],
                                row_stride: inputs,
                                columns,
                            },
                        );
                    }
                }
            }
        }
    }
}

/// A convolution and the batch norm behind it.
#[derive(Clone, Copy)]
pub(crate) struct Normalised<'a> {
    /// `[M, C]`.
    pub weight: &'a [f32],
    /// `[M]`.
    pub scale: &'a [f32],
    /// `[M]`.
    pub shift: &'a [f32],
    pub epsilon: f64,
}

/// Mean and variance `[M]` of the convolved map.
pub(crate) struct Statistics {
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
}

/// `weight · covariance`, `[M, C]`.
pub(crate) fn covariances(sizes: &Sizes, weight: &[f32], moments: &[f32]) -> Vec<f32> {
    let (inputs, outputs) = (sizes.inputs, sizes.outputs);
    let covariance = Matrix::new(&moments[inputs..], inputs, inputs);
    product(Matrix::new(weight, outputs, inputs), covariance, None)
}

impl Normalised<'_> {
    pub fn statistics(&self, sizes: &Sizes, moments: &[f32]) -> Statistics {
        let means = &moments[..sizes.inputs];
        let covariances = covariances(sizes, self.weight, moments);
        let rows = self.weight.chunks_exact(sizes.inputs);
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter()
                .zip(b)
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum()
        };
        let products = covariances.chunks_exact(sizes.inputs);
        Statistics {
            mean: rows.clone().map(|row| dot(row, means) as f32).collect(),
            variance: rows
                .zip(products)
                .map(|(row, of_row)| dot(row, of_row).max(0.0) as f32)
                .collect(),
        }
    }

    /// √(σ² + ε) of each output.
    pub fn deviations(&self, variance: &[f32]) -> Vec<f64> {
        let deviation = |variance: &f32| (f64::from(*variance) + self.epsilon).sqrt();
        variance.iter().map(deviation).collect()
    }

    /// Convolution and norm as one linear map, `[M, C + 1]`: the last column is added.
    pub fn as_one(&self, sizes: &Sizes, mean: &[f32], variance: &[f32]) -> Vec<f32> {
        let mut map = Vec::with_capacity((sizes.outputs + 2) * (sizes.inputs + 1));
        let deviations = self.deviations(variance);
        for (output, row) in self.weight.chunks_exact(sizes.inputs).enumerate() {
            let factor = f64::from(self.scale[output]) / deviations[output];
            map.extend(row.iter().map(|w| (f64::from(*w) * factor) as f32));
            map.push((f64::from(self.shift[output]) - f64::from(mean[output]) * factor) as f32);
        }
        map
    }
}
