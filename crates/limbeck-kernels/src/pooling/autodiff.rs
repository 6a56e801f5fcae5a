//! Automatic differentiation of the poolings.

use burn::backend::{
    Autodiff, TensorMetadata,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::{FloatTensor, IntTensor},
};

use super::{Pool2dOptions, ops::PoolingOps};

impl<B: PoolingOps, C: CheckpointStrategy> PoolingOps for Autodiff<B, C> {
    fn kernel_max_pool2d(x: FloatTensor<Self>, options: Pool2dOptions) -> FloatTensor<Self> {
        let shape = x.shape().dims();
        let node = x.node();
        match MaxPool2d.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => {
                let (output, places) =
                    B::kernel_max_pool2d_with_places(x.into_primitive(), options);
                preparation.finish((shape, options, places), output)
            }
            OpsKind::UnTracked(preparation) => {
                preparation.finish(B::kernel_max_pool2d(x.into_primitive(), options))
            }
        }
    }

    fn kernel_avg_pool2d(x: FloatTensor<Self>, options: Pool2dOptions) -> FloatTensor<Self> {
        let shape = x.shape().dims();
        let node = x.node();
        let output = B::kernel_avg_pool2d(x.into_primitive(), options);
        match AvgPool2d.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => preparation.finish((shape, options), output),
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        }
    }

    fn kernel_adaptive_avg_pool2d(x: FloatTensor<Self>, size: [usize; 2]) -> FloatTensor<Self> {
        let shape = x.shape().dims();
        let node = x.node();
        let output = B::kernel_adaptive_avg_pool2d(x.into_primitive(), size);
        match AdaptiveAvgPool2d
            .prepare::<C>([node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(preparation) => preparation.finish(shape, output),
            OpsKind::UnTracked(preparation) => preparation.finish(output),
        }
    }
}

#[derive(Debug)]
struct MaxPool2d;

impl<B: PoolingOps> Backward<B, 1> for MaxPool2d {
    /// Shape of the input, windows, places of the largest numbers.
    type State = ([usize; 4], Pool2dOptions, IntTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (shape, options, places) = ops.state;
        let [node] = ops.parents;
        if let Some(node) = node {
            let dx = B::kernel_max_pool2d_backward(shape, options, places, gradient);
            gradients.register::<B>(node.id, dx);
        }
    }
}

#[derive(Debug)]
struct AvgPool2d;

impl<B: PoolingOps> Backward<B, 1> for AvgPool2d {
    /// Shape of the input, windows.
    type State = ([usize; 4], Pool2dOptions);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (shape, options) = ops.state;
        let [node] = ops.parents;
        if let Some(node) = node {
            let dx = B::kernel_avg_pool2d_backward(shape, options, gradient);
            gradients.register::<B>(node.id, dx);
        }
    }
}

#[derive(Debug)]
struct AdaptiveAvgPool2d;

impl<B: PoolingOps> Backward<B, 1> for AdaptiveAvgPool2d {
    /// Shape of the input.
    type State = [usize; 4];

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            let dx = B::kernel_adaptive_avg_pool2d_backward(ops.state, gradient);
            gradients.register::<B>(node.id, dx);
        }
    }
}
