//! Made-up numbers: the work does not depend on them.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor, TensorData, activation::softmax};
use limbeck_data::{Batch, Large, MAX_MASK_CLASSES};
use limbeck_methods::{
    Batch as Tensors, Classification, HeldOut, Images, MethodError, Normalisation, Pretraining,
    Segmentation, Task, TrainingPart,
};
use limbeck_nn::{Feature, InputShape, Outputs, Tap, TapKind, Taps, TaskKind};

use super::cells::Cells;
use crate::{cache::LOGITS, recipe::Recipe};

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

/// The task as recipes have it where they say nothing of it; detectors learn cells of zeros.
pub(super) fn task(kind: TaskKind) -> Box<dyn Task> {
    match kind {
        TaskKind::Classification => Box::new(Classification::PLAIN),
        TaskKind::Pretraining => Box::new(Pretraining),
        TaskKind::Detection => Box::new(Cells),
        TaskKind::Segmentation => Box::new(Segmentation {
            auxiliary_weight: Recipe::default().task.auxiliary_weight,
            ..Segmentation::default()
        }),
    }
}

/// The part that `count` images are of.
pub(super) fn training_part(kind: TaskKind, input: InputShape, count: usize) -> TrainingPart {
    let normalisation = Normalisation::identity(input.channels);
    match kind {
        TaskKind::Classification => TrainingPart {
            normalisation,
            ..TrainingPart::labelled(labels(input.classes, count))
        },
        TaskKind::Segmentation | TaskKind::Detection | TaskKind::Pretraining => TrainingPart {
            images: count,
            labels: None,
            normalisation,
        },
    }
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
        TapKind::Cells {
            shape: [n, d],
            anchors,
            ref levels,
        } => Feature::Cells {
            cells: leaf(tensor([batch, n, d]), tracked),
            anchors,
            levels: levels.clone(),
        },
    };
    let mut features: BTreeMap<String, Feature> = taps
        .iter()
        .filter(|tap| tap.name == LOGITS || wanted.wants(&tap.name))
        .map(|tap| (tap.name.clone(), feature(&tap.kind)))
        .collect();
    let prediction = features
        .remove(LOGITS)
        .unwrap_or_else(|| Feature::Vector(leaf(tensor([batch, 1]), tracked)));
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
    pub fn new(kind: TaskKind, input: InputShape, batch: usize, count: usize) -> Self {
        let images = self::batch(kind, input, batch, Images::default());
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

/// Images of noise with labels in turn or masks, and whatever else of them a stage wants.
pub(super) fn batch(kind: TaskKind, input: InputShape, count: usize, wanted: Images) -> Batch {
    let shape = [count, input.channels, input.height, input.width];
    let (labels, masks) = match kind {
        TaskKind::Classification => (labels(input.classes, count), Vec::new()),
        TaskKind::Segmentation => (Vec::new(), masks(input, count)),
        TaskKind::Detection | TaskKind::Pretraining => (Vec::new(), Vec::new()),
    };
    let indices: Vec<usize> = (0..count).collect();
    let alone = Batch {
        boxes: Vec::new(),
        frames: Vec::new(),
        styled: None,
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
        labels,
        masks,
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

/// Classes in turn.
pub(super) fn labels(classes: usize, count: usize) -> Vec<i64> {
    (0..count).map(|i| (i % classes) as i64).collect()
}

/// Masks `[count, H, W]` of squares of [`SQUARE`] pixels, the classes in turn.
pub(super) fn masks(input: InputShape, count: usize) -> Vec<u8> {
    let InputShape {
        height,
        width,
        classes,
        ..
    } = input;
    let place = |index: usize| [index / width % height, index % width].map(|i| i / SQUARE);
    let classes = classes.clamp(1, MAX_MASK_CLASSES);
    (0..count * height * width)
        .map(|index| {
            let [row, column] = place(index);
            ((row + column) % classes) as u8
        })
        .collect()
}

/// Side of a square of one class in masks.
const SQUARE: usize = 16;
