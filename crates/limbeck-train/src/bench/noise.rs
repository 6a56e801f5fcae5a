//! Made-up numbers: the work does not depend on them.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Int, Tensor, TensorData, activation::softmax};
use limbeck_data::{Batch, Large};
use limbeck_methods::{Batch as Tensors, HeldOut, Images, MethodError};
use limbeck_nn::{Feature, InputShape, Outputs, Tap, TapKind, Taps};

use crate::cache::LOGITS;

/// Images of the made-up training part: as many as CIFAR's, since banks of what was seen of each
/// image cost time and memory by their number.
pub(super) const TRAINING_IMAGES: usize = 50_000;

/// Values in −1..1 from a linear congruential generator.
fn values(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state as f32 / (u32::MAX / 2) as f32 - 1.0
        })
        .collect()
}

/// A tensor in `f32` on the CPU.
pub(super) fn tensor<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let values = values(shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// The images of a batch on the CPU, `[B, C, H, W]`.
pub(super) fn images(batch: &Batch) -> Tensor<4> {
    let data = TensorData::new(batch.images.clone(), batch.shape);
    Tensor::from_data(data, &Device::flex())
}

/// What a network with these taps gives out for `batch` images where `wanted` is asked for. If
/// `tracked`, everything records its gradient.
pub(super) fn outputs(taps: &[Tap], wanted: &Taps, batch: usize, tracked: bool) -> Outputs {
    fn leaf<const D: usize>(tensor: Tensor<D>, tracked: bool) -> Tensor<D> {
        match tracked {
            true => tensor.autodiff().require_grad(),
            false => tensor,
        }
    }
    let feature = |kind: &TapKind| match *kind {
        TapKind::Map([c, h, w]) => Feature::Map(leaf(tensor([batch, c, h, w]), tracked)),
        TapKind::Tokens {
            shape: [n, d],
            prefix,
            grid,
        } => Feature::Tokens {
            tokens: leaf(tensor([batch, n, d]), tracked),
            prefix,
            grid,
        },
        TapKind::Vector(d) => Feature::Vector(leaf(tensor([batch, d]), tracked)),
        TapKind::Attention([heads, n, m]) => {
            let scores = tensor([batch, heads, n, m]);
            Feature::Attention(leaf(softmax(scores, 3), tracked))
        }
    };
    let mut features: BTreeMap<String, Feature> = taps
        .iter()
        .filter(|tap| tap.name == LOGITS || wanted.wants(&tap.name))
        .map(|tap| (tap.name.clone(), feature(&tap.kind)))
        .collect();
    let prediction = match features.remove(LOGITS) {
        Some(logits) => logits,
        None => Feature::Vector(leaf(tensor([batch, 1]), tracked)),
    };
    Outputs {
        prediction,
        features,
    }
}

/// Images that a method looks at between steps.
pub(super) struct Looked {
    batch: Tensors,
    /// How often the batch is shown.
    times: usize,
}

impl Looked {
    /// At least `count` images, in batches of `batch`.
    pub fn new(input: InputShape, batch: usize, count: usize) -> Self {
        let images = self::batch(input, batch, Images::default());
        Self {
            batch: Tensors::on_device(images, &Device::flex(), DType::F32),
            times: count.div_ceil(batch).max(1),
        }
    }
}

impl HeldOut for Looked {
    fn look(
        &self,
        look: &mut dyn FnMut(&Tensors) -> Result<(), MethodError>,
    ) -> Result<(), MethodError> {
        (0..self.times).try_for_each(|_| look(&self.batch))
    }
}

/// Images of noise with labels in turn, and whatever else of them a stage wants.
pub(super) fn batch(input: InputShape, count: usize, wanted: Images) -> Batch {
    let shape = [count, input.channels, input.height, input.width];
    let indices: Vec<usize> = (0..count).collect();
    let alone = Batch {
        shape,
        targets: None,
        samples: indices.clone(),
        view: None,
        share: None,
        views: Vec::new(),
        partners: None,
        replay: None,
        large: None,
        indices,
        images: values(shape.iter().product()),
        labels: labels(input.classes, count),
        masks: Vec::new(),
    };
    let size = [input.height, input.width];
    let largest = wanted.largest(size);
    Batch {
        view: Some(0),
        views: vec![alone.images.clone(); wanted.views - 1],
        partners: wanted.partners.then(|| Box::new(alone.clone())),
        replay: wanted.replay.then(|| Box::new(alone.clone())),
        large: (largest != size).then(|| Large {
            images: values(count * input.channels * largest[0] * largest[1]),
            size: largest,
        }),
        ..alone
    }
}

/// Masks `[B, H, W]` of squares of 16 pixels, the classes in turn.
pub(super) fn masks(input: InputShape, count: usize) -> Tensor<3, Int> {
    const SIDE: usize = 16;
    let shape = [count, input.height, input.width];
    let class = |i: usize| {
        let (row, column) = (i / input.width, i % input.width);
        ((row / SIDE + column / SIDE) % input.classes) as i64
    };
    let ids = (0..shape.iter().product()).map(class).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(ids, shape), &Device::flex())
}

/// Classes in turn.
pub(super) fn labels(classes: usize, count: usize) -> Vec<i64> {
    (0..count).map(|i| (i % classes) as i64).collect()
}
