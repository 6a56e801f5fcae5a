//! Gates, and what they mix; summaries of maps; angles.

use super::noise;
use crate::{
    angles, energy, gate,
    gated_fusion::{
        backward::{self, Read},
        forward,
        sizes::Sizes,
        statistics::Normalised,
    },
};

/// Batch, input and output channels, size, size of the coarser map.
const FUSIONS: [[usize; 5]; 3] = [[2, 3, 5, 7, 3], [3, 33, 20, 16, 8], [9, 70, 71, 3, 1]];

pub(super) fn results() -> Vec<(String, Vec<f32>)> {
    let mut results = Vec::new();
    for case in FUSIONS {
        of_fusion(case, |name, values| {
            results.push((format!("{name} of fusion {case:?}"), values));
        });
    }
    for [channels, size] in [[1, 1], [5, 37], [64, 256]] {
        let x = noise(3 * channels * size, 1);
        let gradient = noise(3 * (channels + size), 2);
        let found = energy::maps::forward(&x, channels, size);
        let back = energy::maps::backward(&x, &gradient, channels, size);
        results.push((format!("summary of {channels}×{size}"), found));
        results.push((format!("its gradient, {channels}×{size}"), back));
    }
    for count in [1, 50, 20_000] {
        let [x, logits, gradient] = [1, 2, 3].map(|seed| noise(count, seed));
        let [of_x, of_logits] = gate::backward(&x, &logits, &gradient);
        results.push((format!("gate, {count}"), gate::forward(&x, &logits)));
        results.push((format!("gradient of what is gated, {count}"), of_x));
        results.push((format!("gradient of the gate, {count}"), of_logits));
    }
    for [count, own, other] in [[3, 2, 5], [20, 65, 33]] {
        let [x, target] = [noise(count * own, 1), noise(count * other, 2)];
        let (error, slopes) = angles::anchors::angle_error(&x, &target, count);
        results.push((format!("error of {count} angles"), vec![error as f32]));
        results.push((format!("slopes of {count} angles"), slopes));
    }
    results
}

fn of_fusion(
    [batch, inputs, outputs, side, coarse]: [usize; 5],
    mut add: impl FnMut(&str, Vec<f32>),
) {
    let sizes = Sizes {
        batch,
        inputs,
        outputs,
        size: [side; 2],
        coarse: [coarse; 2],
    };
    let x = noise(batch * inputs * side * side, 1);
    let weight = noise(outputs * inputs, 2);
    let [scale, shift] = [3, 4].map(|seed| noise(outputs, seed));
    let running = noise(batch * outputs * coarse * coarse, 5);
    let gate_weight = noise(4 * outputs, 6);
    let gate_bias = noise(2, 7);
    let gradient = noise(batch * outputs * side * side, 8);
    let normalised = Normalised {
        weight: &weight,
        scale: &scale,
        shift: &shift,
        epsilon: 1e-5,
    };
    let fused = forward::forward(
        &sizes,
        normalised,
        [&x, &running],
        [&gate_weight, &gate_bias],
    );
    let read = Read {
        normalised,
        x: &x,
        running: &running,
        gate_weight: &gate_weight,
        mean: &fused.statistics.mean,
        variance: &fused.statistics.variance,
        moments: &fused.moments,
        gates: &fused.gates,
    };
    let found = backward::backward(&sizes, &read, &gradient);
    add("output", fused.output);
    add("variance", fused.statistics.variance);
    add("dx", found.x);
    add("dw", found.weight);
    add("gradient of the coarser map", found.running);
    add("gradient of the gates", found.gate_weight);
    add("gradient of the scale", found.scale);
}
