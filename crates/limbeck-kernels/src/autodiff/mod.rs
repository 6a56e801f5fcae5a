//! Automatic differentiation of the operations, on top of any backend that has them.

mod conv2d;
mod conv2d_pair;
mod relu;

use burn::backend::{
    Autodiff,
    autodiff::{
        checkpoint::strategy::CheckpointStrategy,
        ops::{Backward, OpsKind},
    },
    tensor::FloatTensor,
};

use crate::{Conv2dOptions, ops::KernelOps};
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

    fn kernel_conv2d_pair(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        first_options: Conv2dOptions,
        second_options: Conv2dOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let options = [first_options, second_options];
        let [first, second] = conv2d_pair::conv2d_pair::<B, C>(x, [first, second], options);
        (first, second)
    }

    fn kernel_relu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let output = B::kernel_relu(x.into_primitive());
        match Relu.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => preparation.finish(output.clone(), output),
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        }
    }
}
