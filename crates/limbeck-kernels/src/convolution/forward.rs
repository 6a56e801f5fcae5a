//! The forward pass.

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

/// Layout of the input as the outputs read it, and the offset of each kernel element in it.
pub(super) fn input_source(geometry: &Geometry, images: usize) -> (Source, Vec<usize>) {
    let Geometry {
        kernel,
        stride,
        dilation,
        padding,
        output,
        ..
    } = *geometry;
    let residue = |axis: usize, k: usize| (k * dilation[axis]) % stride[axis];
    let shift = |axis: usize, k: usize| (k * dilation[axis]) / stride[axis];
    let elements: Vec<[usize; 2]> = (0..kernel[0])
        .flat_map(|a| (0..kernel[1]).map(move |b| [a, b]))
        .collect();
    let mut phases: Vec<[usize; 2]> = elements
        .iter()
        .map(|&[a, b]| [residue(0, a), residue(1, b)])
        .collect();
    phases.sort_unstable();
    phases.dedup();
    let source = Source {
        size: geometry.input,
        stride,
        before: [padding[0] as isize, padding[1] as isize],
        rows: output[0] + shift(0, kernel[0] - 1),
        columns: output[1] + shift(1, kernel[1] - 1),
        images,
        phases,
    };
    let taps = elements
        .iter()
        .map(|&[a, b]| {
            let phase = [residue(0, a), residue(1, b)];
            let index = source.phases.iter().position(|&p| p == phase).unwrap_or(0);
            source.offset(index, shift(0, a), shift(1, b))
        })
        .collect();
    (source, taps)
}

/// The grid of output rows and columns as vectors go over it: one long row where the source has
/// no columns between the rows.
pub(super) fn output_grid(geometry: &Geometry) -> [usize; 2] {
    let [rows, columns] = geometry.output;
    let reach = (geometry.kernel[1] - 1) * geometry.dilation[1] / geometry.stride[1];
    if reach == 0 {
        [1, rows * columns]
    } else {
        [rows, columns]
    }
}

/// `x` `[B, C, H, W]`, `weight` `[O, C / groups, kh, kw]` → `[B, O, H', W']`.
pub(crate) fn forward(
    x: &[f32],
    weight: &[f32],
    finish: Finish<'_>,
    geometry: &Geometry,
) -> Vec<f32> {
    if let Some(trimmed) = Trimmed::of(geometry) {
        return forward(x, &trimmed.weight(weight), finish, &trimmed.geometry);
    }
    if winograd::fits(geometry) {
        return winograd::forward(x, weight, finish, geometry);
    }
    if let Some(spread) = Spread::of(geometry) {
        let residual = finish.residual;
        let residual = residual.map(|residual| spread.apart(residual, geometry.outputs));
        let finish = Finish {
            residual: residual.as_deref(),
            ..finish
        };
        let x = spread.apart(x, geometry.channels);
        let y = winograd::forward(&x, weight, finish, &spread.geometry);
        return spread.together(&y, geometry.outputs);
    }
    if geometry.is_pointwise() && !geometry.is_depthwise() {
        return pointwise(x, weight, finish, geometry);
    }
    if patches::fits(geometry) {
        return patches::forward(x, weight, finish, geometry);
    }
    let [rows, columns] = output_grid(geometry);
    let images = if geometry.is_depthwise() {
        depthwise::images(geometry.output, geometry.batch)
    } else {
        images_per_vector(columns, geometry.batch)
    };
    let (source, taps) = input_source(geometry, images);
    let (channels, outputs, elements) = (
        geometry.group_channels(),
        geometry.group_outputs(),
        geometry.taps(),
    );
    let plan = Plan {
        source,
        phases: vec![OutputPhase {
            rows,
            columns,
            base: 0,
            taps,
            first: [0, 0],
            step: [1, 1],
        }],
        batch: geometry.batch,
        groups: geometry.groups,
        channels,
        outputs,
        size: geometry.output,
    };
    if geometry.is_depthwise() {
        let weight_of = |channel: usize, _: usize, tap: usize| weight[channel * elements + tap];
        return depthwise::run(&plan, x, weight_of, finish);
    }
    let weights = Weights {
        values: weight,
        output_step: channels * elements,
        channel_step: elements,
        elements: vec![(0..elements).collect()],
    };
    plan.run(x, &weights, finish)
}

/// The forward pass with 1×1 kernels.
fn pointwise(x: &[f32], weight: &[f32], finish: Finish<'_>, geometry: &Geometry) -> Vec<f32> {
    let channels = geometry.group_channels();
    let product = Product {
        batch: geometry.batch,
        groups: geometry.groups,
        channels,
        outputs: geometry.group_outputs(),
        size: geometry.input_size(),
    };
    let weights = Weights {
        values: weight,
        output_step: channels,
        channel_step: 1,
        elements: vec![vec![0]],
    };
    product.run(x, &weights, finish)
}
