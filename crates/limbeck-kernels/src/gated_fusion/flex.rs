//! Gated fusion on the CPU backend.

use burn::{
    backend::{Flex, TensorMetadata, flex::FlexTensor},
    tensor::DType,
};

use super::{
    Fused, GatedFusionOps, Gradients,
    backward::{self, Read},
    composed, forward,
    sizes::Sizes,
    statistics::Normalised,
};
use crate::{
    flex::{Numbers, tensor},
    profile::span,
};

fn sizes(x: &FlexTensor, weight: &FlexTensor, running: &FlexTensor) -> Sizes {
    let [batch, inputs, height, width] = x.shape().dims();
    let outputs = weight.shape()[0];
    let [_, _, rows, columns] = running.shape().dims();
    Sizes {
        batch,
        inputs,
        outputs,
        size: [height, width],
        coarse: [rows, columns],
    }
}

impl GatedFusionOps for Flex {
    fn kernel_gated_fusion(
        x: FlexTensor,
        weight: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        running: FlexTensor,
        gate_weight: FlexTensor,
        gate_bias: FlexTensor,
        epsilon: f64,
    ) -> Fused<Self> {
        let _span = span("gated fusion", [&x, &weight, &running], || {
            sizes(&x, &weight, &running).multiply_adds()
        });
        let all = [
            &x,
            &weight,
            &scale,
            &shift,
            &running,
            &gate_weight,
            &gate_bias,
        ];
        let Some(numbers) = Numbers::new(all) else {
            return composed::fuse::<Self>(
                [x, weight, scale, shift],
                [running, gate_weight, gate_bias],
                epsilon,
            );
        };
        let sizes = sizes(&x, &weight, &running);
        let [x, weight, scale, shift, running, gate_weight, gate_bias] = numbers.slices();
        let normalised = Normalised {
            weight,
            scale,
            shift,
            epsilon,
        };
        let fused = forward::forward(&sizes, normalised, [x, running], [gate_weight, gate_bias]);
        let Sizes {
            batch,
            inputs,
            outputs,
            size: [height, width],
            ..
        } = sizes;
        (
            tensor(fused.output, [batch, outputs, height, width]),
            tensor(fused.statistics.mean, [outputs]),
            tensor(fused.statistics.variance, [outputs]),
            tensor(fused.moments, [inputs + 1, inputs]),
            tensor(fused.gates, [batch, 2, height, width]),
        )
    }

    fn kernel_gated_fusion_backward(
        x: FlexTensor,
        weight: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        running: FlexTensor,
        gate_weight: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        kept: FlexTensor,
        gates: FlexTensor,
        gradient: FlexTensor,
        epsilon: f64,
    ) -> Gradients<Self> {
        let read = [&x, &weight, &running, &gradient];
        let _span = span("gated fusion backward", read, || {
            2 * sizes(&x, &weight, &running).multiply_adds()
        });
        let given = [&x, &weight, &scale, &shift, &running, &gate_weight];
        let found = [&mean, &variance, &kept, &gates, &gradient];
        let single = x.dtype() == DType::F32;
        let (Some(given), Some(found), true) = (Numbers::new(given), Numbers::new(found), single)
        else {
            return composed::gradients::<Self>(
                [x, weight, scale, shift],
                [running, gate_weight],
                [mean, variance, kept, gates],
                gradient,
                epsilon,
            );
        };
        let shapes = [&x, &weight, &running, &gate_weight].map(FlexTensor::shape);
        let sizes = sizes(&x, &weight, &running);
        let [x, weight, scale, shift, running, gate_weight] = given.slices();
        let [mean, variance, moments, gates, gradient] = found.slices();
        let read = Read {
            normalised: Normalised {
                weight,
                scale,
                shift,
                epsilon,
            },
            x,
            running,
            gate_weight,
            mean,
            variance,
            moments,
            gates,
        };
        let found = backward::backward(&sizes, &read, gradient);
        let rest = [found.scale, found.shift, found.gate_bias].concat();
        let count = rest.len();
        let [of_x, of_weight, of_running, of_gate_weight] = shapes;
        (
            tensor(found.x, of_x),
            tensor(found.weight, of_weight),
            tensor(found.running, of_running),
            tensor(found.gate_weight, of_gate_weight),
            tensor(rest, [count]),
        )
    }
}
