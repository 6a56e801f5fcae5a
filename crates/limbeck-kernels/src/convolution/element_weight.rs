//! The weight gradient of kernels that overlap, with channels in the lanes: for every kernel element
//! a product of the inputs that it meets and the output's gradients, summed over the positions.
//!
//! A few images at a time are copied to `[row, column, channel]`, the input with its padding. Some
//! rows of positions, which stay in the first-level cache, are then multiplied for all elements one
//! after the other; the sums of a chunk of images stay in the second-level cache. A 1×1 convolution of
//! the same input, as beside a residual block's first one, is an element more with a gradient of its
//! own.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    Geometry,
    lanes::IntoLanes,
    matrix::{Layout, Part, ROWS},
    sums::{add_all, images_per_chunk},
};
use crate::{
    scratch::{with_scratch, with_shared_scratch},
    simd::{self, Kernel, Simd},
};

/// Positions that are multiplied at once: with four vectors of outputs 16 KiB of gradients.
const POSITIONS: usize = 64;
/// Fewer channels on either side than this leave too little of the lanes filled.
const LEAST_CHANNELS: usize = 12;
/// Fewer columns of the output than this make the runs of neighbouring positions too short.
const LEAST_COLUMNS: usize = 4;

/// Whether this computes the weight gradient, and faster than with positions in the lanes.
pub(super) fn fits(geometry: &Geometry) -> bool {
    geometry.groups == 1
        && geometry.channels.min(geometry.outputs) >= LEAST_CHANNELS
        && geometry.output[1] >= LEAST_COLUMNS
}

/// Whether [`weight_gradients`] computes the weight gradient of a 1×1 convolution of the same input
/// along, in the place of which the kernel has an element.
pub(super) fn fits_beside(geometry: &Geometry, beside: &Geometry) -> bool {
    fits(geometry)
        && beside.kernel == [1, 1]
        && beside.padding == [0, 0]
        && beside.groups == 1
        && beside.stride == geometry.stride
        && beside.outputs == geometry.outputs
        && beside.output == geometry.output
        && (0..2).all(|axis| {
            let Geometry {
                kernel,
                padding,
                dilation,
                ..
            } = *geometry;
            padding[axis].is_multiple_of(dilation[axis])
                && padding[axis] / dilation[axis] < kernel[axis]
        })
}

/// `x` `[B, C, H, W]`, `gradient` `[B, O, H', W']` of the output → `[O, C, kh, kw]`.
pub(super) fn weight_gradient(x: &[f32], gradient: &[f32], geometry: &Geometry) -> Vec<f32> {
    let [weight, _] = sum(&Plan::new(x, [gradient, &[]], geometry));
    weight
}

/// As [`weight_gradient`], and that of a 1×1 convolution with an output of the same shape:
/// `[O, C, kh, kw]` and `[O, C, 1, 1]`.
pub(super) fn weight_gradients(
    x: &[f32],
    gradients: [&[f32]; 2],
    geometry: &Geometry,
) -> [Vec<f32>; 2] {
    sum(&Plan::new(x, gradients, geometry))
}

fn sum(plan: &Plan<'_>) -> [Vec<f32>; 2] {
    let geometry = plan.geometry;
    let lanes = simd::lanes();
    let chunk = images_per_chunk(geometry.batch);
    let chunks = geometry.batch.div_ceil(chunk);
    let vectors = geometry.outputs.div_ceil(lanes);
    // Fewer chunks than threads: cut the outputs too, which changes no sum.
    let parts = rayon::current_num_threads().div_ceil(chunks).min(vectors);
    let part = vectors.div_ceil(parts);
    // `[chunk, part, element, channel, output]`, channels and outputs filled up. What fills them up is
    // whatever was there, and never read.
    let per_vector = plan.elements() * plan.rows * lanes;
    with_shared_scratch([chunks * vectors * per_vector, 0], |[sums, _]| {
        sums.par_chunks_mut(vectors * per_vector)
            .enumerate()
            .flat_map(|(index, sums)| {
                let images = index * chunk..((index + 1) * chunk).min(geometry.batch);
                sums.par_chunks_mut(part * per_vector)
                    .enumerate()
                    .map(move |(number, sums)| (images.clone(), number * part, sums))
            })
            .for_each(|(images, first, sums)| {
                plan.compute(images, first * lanes, sums.len() / per_vector, sums);
            });
        let (total, others) = sums.split_at_mut(vectors * per_vector);
        add_all(total, others);
        let own = geometry.taps();
        [0..own, own..plan.elements()].map(|elements| plan.in_order(total, part, elements))
    })
}

struct Plan<'a> {
    geometry: &'a Geometry,
    x: &'a [f32],
    gradient: &'a [f32],
    /// Of the 1×1 convolution beside; empty where there is none.
    gradient_beside: &'a [f32],
    /// `[rows, columns]` of the copied input: as far as the kernel reaches.
    input: [usize; 2],
    /// Images that are copied at once.
    images: usize,
    /// Numbers from a position of the copy to the next; see [`apart`].
    channels: usize,
    /// Rows of the sums of an element: channels, filled up.
    rows: usize,
    /// Where each position of an input map belongs in the copy of its image; those that nothing
    /// reads behind it.
    positions: Vec<usize>,
}

impl<'a> Plan<'a> {
    fn new(
        x: &'a [f32],
        [gradient, gradient_beside]: [&'a [f32]; 2],
        geometry: &'a Geometry,
    ) -> Self {
        let Geometry {
            kernel,
            stride,
            padding,
            dilation,
            output,
            ..
        } = *geometry;
        let reach = |axis: usize| {
            (output[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        };
        let [rows, columns] = [reach(0), reach(1)];
        let channels = apart(geometry.channels.next_multiple_of(simd::lanes()));
        let [height, width] = geometry.input;
        let positions = (0..height)
            .flat_map(|row| (0..width).map(move |column| (row + padding[0], column + padding[1])))
            .map(|(row, column)| {
                let read = row < rows && column < columns;
                let at = if read {
                    row * columns + column
                } else {
                    rows * columns
                };
                at * channels
            })
            .collect();
        Self {
            geometry,
            x,
            gradient,
            gradient_beside,
            input: [rows, columns],
            images: (POSITIONS / geometry.output_size()).max(1),
            channels,
            rows: geometry.channels.next_multiple_of(ROWS),
            positions,
        }
    }

    /// Of the kernel, and that of the 1×1 convolution beside.
    fn elements(&self) -> usize {
        self.geometry.taps() + usize::from(!self.gradient_beside.is_empty())
    }

    /// Numbers of the copy of one image of the input, and of what is not read.
    fn copy(&self) -> usize {
        (self.input[0] * self.input[1] + 1) * self.channels
    }

    /// The sums over some images of `vectors` vectors of outputs from output `first` on.
    fn compute(
        &self,
        images_of_chunk: Range<usize>,
        first: usize,
        vectors: usize,
        sums: &mut [f32],
    ) {
        let geometry = self.geometry;
        let lanes = simd::lanes();
        let (positions, width) = (geometry.output_size(), vectors * lanes);
        let step = apart(width);
        let outputs = geometry.outputs.min(first + width) - first;
        let places: Vec<usize> = (0..positions).map(|position| position * step).collect();
        // Tiles of a product may read channels behind the last one of the last position.
        let of_gradient = self.images * positions * step;
        let counts = [
            self.images * self.copy() + ROWS,
            of_gradient,
            match self.gradient_beside {
                [] => 0,
                _ => of_gradient,
            },
        ];
        with_scratch(counts, |[x, gradient, beside]| {
            x.fill(0.0);
            for start in images_of_chunk.clone().step_by(self.images) {
                let images = start..(start + self.images).min(images_of_chunk.end);
                let copies = x.chunks_exact_mut(self.copy());
                for (image, x) in images.clone().zip(copies) {
                    let from = image * geometry.channels;
                    into_lanes(self.x, from, geometry.channels, &self.positions, x);
                }
                for (of, to) in [
                    (self.gradient, &mut *gradient),
                    (self.gradient_beside, &mut *beside),
                ] {
                    if of.is_empty() {
                        continue;
                    }
                    let copies = to.chunks_exact_mut(positions * step);
                    for (image, to) in images.clone().zip(copies) {
                        let from = image * geometry.outputs + first;
                        into_lanes(of, from, outputs, &places, to);
                    }
                }
                simd::dispatch(Products {
                    plan: self,
                    images: images.len(),
                    x,
                    gradient,
                    beside,
                    vectors,
                    sums,
                    add: start > images_of_chunk.start,
                });
            }
        });
    }

    /// `[part, element, channel, output]` with `part` vectors of outputs in each part but the last
    /// one → `[output, channel, element]` of some elements.
    fn in_order(&self, sums: &[f32], part: usize, elements: Range<usize>) -> Vec<f32> {
        let (channels, count) = (self.geometry.channels, elements.len());
        let lanes = simd::lanes();
        let vectors = sums.len() / (self.elements() * self.rows * lanes);
        let mut weight = vec![0.0; self.geometry.outputs * channels * count];
        weight
            .par_chunks_mut((lanes * channels * count).max(1))
            .enumerate()
            .for_each(|(vector, weight)| {
                let first = vector / part * part;
                let width = part.min(vectors - first) * lanes;
                let sums = &sums[first * self.elements() * self.rows * lanes..];
                let column = (vector - first) * lanes;
                for (index, element) in elements.clone().enumerate() {
                    for channel in 0..channels {
                        let row = element * self.rows + channel;
                        let values = &sums[row * width + column..][..lanes];
                        let outputs = weight.chunks_exact_mut(channels * count);
                        for (output, value) in outputs.zip(values) {
                            output[channel * count + index] = *value;
                        }
                    }
                }
            });
        weight
    }
}

/// Numbers from a position to the next where each has so many: positions a large power of two apart
/// would evict each other from the first-level cache.
fn apart(numbers: usize) -> usize {
    if numbers.is_multiple_of(128) {
        numbers + 16
    } else {
        numbers
    }
}

/// Copies `count` neighbouring maps, the first of number `first`, each a lane of its position.
fn into_lanes(from: &[f32], first: usize, count: usize, places: &[usize], to: &mut [f32]) {
    let plane = places.len();
    let maps: Vec<&[f32]> = from[first * plane..(first + count) * plane]
        .chunks_exact(plane)
        .collect();
    for (vector, maps) in maps.chunks(simd::lanes()).enumerate() {
        simd::dispatch(IntoLanes {
            maps,
            offsets: places,
            to: &mut to[vector * simd::lanes()..],
        });
    }
}

/// Sums the products of some copied images.
struct Products<'a> {
    plan: &'a Plan<'a>,
    images: usize,
    x: &'a [f32],
    /// `[image, position, output]`.
    gradient: &'a [f32],
    /// And that of the 1×1 convolution beside, where there is one.
    beside: &'a [f32],
    /// Vectors of outputs.
    vectors: usize,
    /// `[element, channel, output]`.
    sums: &'a mut [f32],
    /// Whether to add to the sums that are there.
    add: bool,
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let plan = self.plan;
        let Geometry {
            kernel,
            stride,
            padding,
            dilation,
            channels,
            output,
            ..
        } = *plan.geometry;
        let width = self.vectors * S::LANES;
        let step = apart(width);
        let positions = output[0] * output[1];
        assert!(
            self.images * plan.copy() + ROWS <= self.x.len()
                && self.images * positions * step <= self.gradient.len()
                && (plan.gradient_beside.is_empty()
                    || self.images * positions * step <= self.beside.len())
                && plan.elements() * plan.rows * width <= self.sums.len(),
            "a product would reach past the end of its matrices"
        );
        let layout = Layout {
            a_row: 1,
            a_step: stride[1] * plan.channels,
            b_step: step,
            b_vector: S::LANES,
            c_row: width,
        };
        let rows: Vec<(usize, usize)> = (0..self.images)
            .flat_map(|image| (0..output[0]).map(move |row| (image, row)))
            .collect();
        let mut parts = Vec::with_capacity(rows.len());
        let at_once = rows.chunks((POSITIONS / output[1]).max(1));
        for (index, rows) in at_once.enumerate() {
            let add = self.add || index > 0;
            for number in 0..plan.elements() {
                // The 1×1 kernel lies where the padding ends.
                let (element, gradient) = match number < kernel[0] * kernel[1] {
                    true => ([number / kernel[1], number % kernel[1]], self.gradient),
                    false => ([0, 1].map(|i| padding[i] / dilation[i]), self.beside),
                };
                parts.clear();
                parts.extend(rows.iter().map(|&(image, row)| {
                    let top = row * stride[0] + element[0] * dilation[0];
                    let left = element[1] * dilation[1];
                    let at = (top * plan.input[1] + left) * plan.channels;
                    Part {
                        a: self.x[image * plan.copy() + at..].as_ptr(),
                        b: gradient[(image * output[0] + row) * output[1] * step..].as_ptr(),
                        depth: output[1],
                    }
                }));
                let sums = &mut self.sums[number * plan.rows * width..];
                // SAFETY: as this function's own; all matrices were checked: an element meets
                // positions inside the copied input, and rows behind its channels are sums that
                // are dropped.
                unsafe {
                    layout.multiply::<S>(&parts, sums.as_mut_ptr(), channels, self.vectors, add);
                }
            }
        }
    }
}
