//! The gradients of patches of images.

use burn::backend::{
    Autodiff, TensorMetadata,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::{FloatTensor, IntTensor},
};

use super::ops::ImagePatchOps;

#[derive(Debug)]
struct All;

impl<B: ImagePatchOps> Backward<B, 1> for All {
    /// Height and width of the images, side of a patch.
    type State = ([usize; 2], usize);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let ([node], (size, side)) = (ops.parents, ops.state);
        if let Some(node) = node {
            let gradient = B::kernel_image_patches_backward(gradient, size, side);
            gradients.register::<B>(node.id, gradient);
        }
    }
}

#[derive(Debug)]
struct Chosen;

impl<B: ImagePatchOps> Backward<B, 1> for Chosen {
    /// Numbers of the patches, height and width of the images, side of a patch.
    type State = (IntTensor<B>, [usize; 2], usize);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let ([node], (chosen, size, side)) = (ops.parents, ops.state);
        if let Some(node) = node {
            let gradient = B::kernel_chosen_patches_backward(gradient, chosen, size, side);
            gradients.register::<B>(node.id, gradient);
        }
    }
}

impl<B: ImagePatchOps, C: CheckpointStrategy> ImagePatchOps for Autodiff<B, C> {
    fn kernel_image_patches(images: FloatTensor<Self>, side: usize) -> FloatTensor<Self> {
        let (node, size) = (images.node(), size(&images));
        let patches = B::kernel_image_patches(images.into_primitive(), side);
        match All.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => preparation.finish((size, side), patches),
            OpsKind::UnTracked(preparation) => preparation.finish(patches),
        }
    }

    fn kernel_chosen_patches(
        images: FloatTensor<Self>,
        chosen: IntTensor<Self>,
        side: usize,
    ) -> FloatTensor<Self> {
        let (node, size) = (images.node(), size(&images));
        let patches = B::kernel_chosen_patches(images.into_primitive(), chosen.clone(), side);
        match Chosen.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(preparation) => preparation.finish((chosen, size, side), patches),
            OpsKind::UnTracked(preparation) => preparation.finish(patches),
        }
    }
}

/// Height and width of `images` `[B, C, H, W]`.
fn size(images: &impl TensorMetadata) -> [usize; 2] {
    let [_, _, height, width] = images.shape().dims();
    [height, width]
}
