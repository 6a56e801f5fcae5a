//! Automatic differentiation of the operations, on top of any backend that has them.

mod batch_norm;
mod conv2d;
mod relu;

use burn::backend::{
    Autodiff, AutodiffBackend,
    autodiff::{
        checkpoint::strategy::CheckpointStrategy,
        ops::{Backward, OpsKind},
    },
    tensor::FloatTensor,
};

use crate::{Conv2dOptions, composed::Three, ops::KernelOps};
use batch_norm::{BatchNorm, BatchNormAddRelu, State};
use conv2d::{Conv2d, Conv2dWithBias};
use relu::Relu;

impl<B: KernelOps, C: CheckpointStrategy> KernelOps for Autodiff<B, C> {
    fn kernel_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node()];
        match Conv2d.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut preparation) => {
                let state = (
                    preparation.checkpoint(&x),
                    preparation.checkpoint(&weight),
                    options,
                );
                let output = B::kernel_conv2d(x.into_primitive(), weight.into_primitive(), options);
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(B::kernel_conv2d(
                x.into_primitive(),
                weight.into_primitive(),
                options,
            )),
        }
    }

    fn kernel_conv2d_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Conv2dOptions,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        match Conv2dWithBias
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut preparation) => {
                let state = (
                    preparation.checkpoint(&x),
                    preparation.checkpoint(&weight),
                    options,
                );
                let output = B::kernel_conv2d_with_bias(
                    x.into_primitive(),
                    weight.into_primitive(),
                    bias.into_primitive(),
                    options,
                );
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(B::kernel_conv2d_with_bias(
                x.into_primitive(),
                weight.into_primitive(),
                bias.into_primitive(),
                options,
            )),
        }
    }

    fn kernel_relu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let output = B::kernel_relu(x.into_primitive());
        match Relu.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => preparation.finish(output.clone(), output),
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        }
    }

    fn kernel_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> Three<Self> {
        batch_norm_with::<B, C>(x, weight, bias, epsilon, false)
    }

    fn kernel_batch_norm_relu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> Three<Self> {
        batch_norm_with::<B, C>(x, weight, bias, epsilon, true)
    }

    fn kernel_batch_norm_add_relu(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> Three<Self> {
        let (output, mean, variance) = B::kernel_batch_norm_add_relu(
            x.primitive().clone(),
            residual.primitive().clone(),
            weight.primitive().clone(),
            bias.primitive().clone(),
            epsilon,
        );
        let nodes = [x.node(), residual.node(), weight.node(), bias.node()];
        let result = match BatchNormAddRelu
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut preparation) => {
                let state = State {
                    x: preparation.checkpoint(&x),
                    weight: preparation.checkpoint(&weight),
                    mean: mean.clone(),
                    variance: variance.clone(),
                    output: Some(output.clone()),
                    epsilon,
                };
                preparation.finish(state, output)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        };
        (result, Self::from_inner(mean), Self::from_inner(variance))
    }
}

/// A batch norm, and the positive part of its output where asked for.
fn batch_norm_with<B: KernelOps, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: FloatTensor<Autodiff<B, C>>,
    epsilon: f64,
    relu: bool,
) -> Three<Autodiff<B, C>> {
    let forward = if relu {
        B::kernel_batch_norm_relu
    } else {
        B::kernel_batch_norm
    };
    let (output, mean, variance) = forward(
        x.primitive().clone(),
        weight.primitive().clone(),
        bias.primitive().clone(),
        epsilon,
    );
    let nodes = [x.node(), weight.node(), bias.node()];
    let result = match BatchNorm.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(mut preparation) => {
            let state = State {
                x: preparation.checkpoint(&x),
                weight: preparation.checkpoint(&weight),
                mean: mean.clone(),
                variance: variance.clone(),
                output: relu.then(|| output.clone()),
                epsilon,
            };
            preparation.finish(state, output)
        }
        OpsKind::UnTracked(preparation) => preparation.finish(output),
    };
    let untracked = <Autodiff<B, C> as AutodiffBackend>::from_inner;
    (result, untracked(mean), untracked(variance))
}
