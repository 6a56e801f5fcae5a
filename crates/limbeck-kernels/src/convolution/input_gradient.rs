//! The gradient with respect to the input.

use rayon::prelude::*;

use super::{
    Finish, Geometry,
    correlate::Plan,
    depthwise,
    grid::OutputPhase,
    pack::Weights,
    patches,
    pointwise::Product,
    source::{Source, images_per_vector},
    spread::{Spread, Trimmed},
    winograd,
};
use crate::simd::{self, Kernel, Simd, as_room};

/// The rows or columns of the input, taken apart by their residue modulo the stride.
///
/// In padded coordinates `u = h + padding`, output `i` meets input `u` through kernel element `k`
/// where `u = i·stride + k·dilation`. All `u = m·stride + residue` meet the kernel elements with
/// `k·dilation ≡ residue`, at `i = m − ⌊k·dilation / stride⌋`: a correlation with stride 1.
struct Axis {
    stride: usize,
    dilation: usize,
    kernel: usize,
    padding: usize,
    input: usize,
}

impl Axis {
    fn new(geometry: &Geometry, axis: usize) -> Self {
        Self {
            stride: geometry.stride[axis],
            dilation: geometry.dilation[axis],
            kernel: geometry.kernel[axis],
            padding: geometry.padding[axis],
            input: geometry.input[axis],
        }
    }

    fn shift(&self, k: usize) -> usize {
        k * self.dilation / self.stride
    }

    /// Smallest and largest `m` of the whole input.
    fn range(&self) -> (usize, usize) {
        (
            self.padding / self.stride,
            (self.padding + self.input - 1) / self.stride,
        )
    }

    /// Zeros before the first output in the source, which begins with what the smallest `m` reads
    /// through the last kernel element.
    fn before(&self) -> isize {
        self.shift(self.kernel - 1) as isize - self.range().0 as isize
    }

    /// Rows or columns of the source.
    fn length(&self) -> usize {
        let (first, last) = self.range();
        last - first + 1 + self.shift(self.kernel - 1)
    }

    /// Of one residue: its first `m` relative to the smallest of all, the number of its inputs,
    /// the first of them, and its kernel elements with their offsets in the source.
    fn residue(&self, residue: usize) -> (usize, usize, usize, Vec<(usize, usize)>) {
        let first = self.padding.saturating_sub(residue).div_ceil(self.stride);
        let last = (self.padding + self.input - 1)
            .checked_sub(residue)
            .map(|n| n / self.stride);
        let count = last.map_or(0, |last| (last + 1).saturating_sub(first));
        let kernels = (0..self.kernel)
            .filter(|k| (k * self.dilation) % self.stride == residue)
            .map(|k| (k, self.shift(self.kernel - 1) - self.shift(k)))
            .collect();
        let input = (first * self.stride + residue).saturating_sub(self.padding);
        (first - self.range().0, count, input, kernels)
    }
}

/// `gradient` `[B, O, H', W']` of the output, `weight` `[O, C / groups, kh, kw]` → `[B, C, H, W]`.
pub(crate) fn input_gradient(gradient: &[f32], weight: &[f32], geometry: &Geometry) -> Vec<f32> {
    if let Some(trimmed) = Trimmed::of(geometry) {
        return input_gradient(gradient, &trimmed.weight(weight), &trimmed.geometry);
    }
    if winograd::fits(geometry) {
        return winograd::input_gradient(gradient, weight, geometry);
    }
    if let Some(spread) = Spread::of(geometry) {
        let gradient = spread.apart(gradient, geometry.outputs);
        let dx = winograd::input_gradient(&gradient, weight, &spread.geometry);
        return spread.together(&dx, geometry.channels);
    }
    if geometry.is_pointwise() && !geometry.is_depthwise() {
        return pointwise(gradient, weight, geometry, Finish::default());
    }
    if patches::fits(geometry) {
        return patches::input_gradient(gradient, weight, geometry);
    }
    let axes = [Axis::new(geometry, 0), Axis::new(geometry, 1)];
    let [rows, columns] = &axes;
    let images = if geometry.is_depthwise() {
        depthwise::images(geometry.input, geometry.batch)
    } else {
        images_per_vector(geometry.input[1].div_ceil(columns.stride), geometry.batch)
    };
    let source = Source {
        size: geometry.output,
        stride: [1, 1],
        before: [rows.before(), columns.before()],
        phases: vec![[0, 0]],
        rows: rows.length(),
        columns: columns.length(),
        images,
    };
    let mut phases = Vec::new();
    // Kernel element of each tap of each phase.
    let mut elements: Vec<Vec<usize>> = Vec::new();
    for p in 0..rows.stride {
        let (row, height, first_row, row_kernels) = rows.residue(p);
        for q in 0..columns.stride {
            let (column, width, first_column, column_kernels) = columns.residue(q);
            if height == 0 || width == 0 {
                continue;
            }
            let pairs = || {
                let columns = &column_kernels;
                row_kernels
                    .iter()
                    .flat_map(move |a| columns.iter().map(move |b| (a, b)))
            };
            phases.push(OutputPhase {
                rows: height,
                columns: width,
                base: source.offset(0, row, column),
                taps: pairs().map(|(a, b)| source.offset(0, a.1, b.1)).collect(),
                first: [first_row, first_column],
                step: geometry.stride,
            });
            elements.push(
                pairs()
                    .map(|(a, b)| a.0 * geometry.kernel[1] + b.0)
                    .collect(),
            );
        }
    }
    let (channels, outputs, taps) = (
        geometry.group_channels(),
        geometry.group_outputs(),
        geometry.taps(),
    );
    let plan = Plan {
        source,
        phases,
        batch: geometry.batch,
        groups: geometry.groups,
        channels: outputs,
        outputs: channels,
        size: geometry.input,
    };
    if geometry.is_depthwise() {
        let weight_of = |channel: usize, phase: usize, tap: usize| {
            weight[channel * taps + elements[phase][tap]]
        };
        return depthwise::run(&plan, gradient, weight_of, Finish::default());
    }
    let weights = Weights {
        values: weight,
        output_step: taps,
        channel_step: channels * taps,
        elements,
    };
    plan.run(gradient, &weights, Finish::default())
}

/// [`input_gradient`] plus `others` `[B, C, H, W]`, where that is computed at once; else see
/// [`add_input_gradient`].
pub(crate) fn input_gradient_plus(
    others: &[f32],
    gradient: &[f32],
    weight: &[f32],
    geometry: &Geometry,
) -> Option<Vec<f32>> {
    let finish = Finish {
        residual: Some(others),
        ..Finish::default()
    };
    (met_alone(geometry) && geometry.stride == [1, 1])
        .then(|| pointwise(gradient, weight, geometry, finish))
}

/// [`input_gradient`], added to `to` `[B, C, H, W]`.
pub(crate) fn add_input_gradient(
    to: &mut [f32],
    gradient: &[f32],
    weight: &[f32],
    geometry: &Geometry,
) {
    let (found, [rows, columns], step) = if met_alone(geometry) {
        // What a stride leaves out gets nothing: neither computed nor added.
        let met = Geometry {
            input: geometry.output,
            stride: [1, 1],
            ..*geometry
        };
        let found = pointwise(gradient, weight, &met, Finish::default());
        (found, geometry.output, geometry.stride)
    } else {
        let found = input_gradient(gradient, weight, geometry);
        (found, geometry.input, [1, 1])
    };
    to.par_chunks_exact_mut(geometry.input_size())
        .zip(found.par_chunks_exact(rows * columns))
        .for_each(|(to, found)| {
            simd::dispatch(AddApart {
                to,
                width: geometry.input[1],
                found,
                columns,
                step,
            });
        });
}

/// Whether each position of the input meets one position of the output at the most.
fn met_alone(geometry: &Geometry) -> bool {
    geometry.kernel == [1, 1] && geometry.padding == [0, 0] && geometry.groups == 1
}

/// Adds a map to every `step`-th row and column of a larger one.
struct AddApart<'a> {
    to: &'a mut [f32],
    /// Columns of `to`.
    width: usize,
    found: &'a [f32],
    /// And of `found`.
    columns: usize,
    step: [usize; 2],
}

impl Kernel for AddApart<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [down, right] = self.step;
        let rows = self.to.chunks_exact_mut(self.width).step_by(down);
        for (to, found) in rows.zip(self.found.chunks_exact(self.columns)) {
            match right {
                // Known beforehand, so that the compiler makes vectors of it.
                1 => to
                    .iter_mut()
                    .zip(found)
                    .for_each(|(to, found)| *to += found),
                // SAFETY: as this function's own.
                2 => unsafe { add_to_every_other::<S>(to, found) },
                _ => (to.iter_mut().step_by(right).zip(found)).for_each(|(to, found)| *to += found),
            }
        }
    }
}

/// Adds numbers to every second one.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn add_to_every_other<S: Simd>(to: &mut [f32], found: &[f32]) {
    for at in (0..found.len()).step_by(S::LANES) {
        // SAFETY: as this function's own; of the two vectors that go with one of `found`, what would
        // lie behind the end is left out.
        unsafe {
            let found = S::load_part(found, at);
            let [low, high] = S::interleave(found, S::splat(0.0));
            for (part, apart) in [low, high].into_iter().enumerate() {
                let at = 2 * at + part * S::LANES;
                if at < to.len() {
                    let sum = S::add(S::load_part(to, at), apart);
                    S::store_part(as_room(to), at, sum);
                }
            }
        }
    }
}

/// The gradient through 1×1 kernels.
fn pointwise(
    gradient: &[f32],
    weight: &[f32],
    geometry: &Geometry,
    finish: Finish<'_>,
) -> Vec<f32> {
    let channels = geometry.group_channels();
    let product = Product {
        batch: geometry.batch,
        groups: geometry.groups,
        channels: geometry.group_outputs(),
        outputs: channels,
        size: geometry.input_size(),
    };
    let weights = Weights {
        values: weight,
        output_step: 1,
        channel_step: channels,
        elements: vec![vec![0]],
    };
    product.run(gradient, &weights, finish)
}
