//! A batch of the loader on the device.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use limbeck_data::Batch;
use limbeck_methods::{Batch as Tensors, Origin, Replay, Section};

/// A batch on the device, with the class of each image at hand for counting.
pub struct DeviceBatch {
    /// What methods see.
    pub tensors: Tensors,
    /// `[B]`.
    pub classes: Vec<i64>,
}

impl DeviceBatch {
    /// Moves `batch` to `device`; floating-point numbers become `dtype`.
    pub fn new(batch: Batch, device: &Device, dtype: DType) -> Self {
        let [count, channels, height, width] = batch.shape;
        let images = |numbers: Vec<f32>, count: usize| {
            let shape = [count, channels, height, width];
            Tensor::<4>::from_data(TensorData::new(numbers, shape), (device, dtype))
        };
        let large = batch.large.map(|large| {
            let [height, width] = large.size;
            let shape = [count, channels, height, width];
            Tensor::from_data(TensorData::new(large.images, shape), (device, dtype))
        });
        let labels = |labels: Vec<i64>| {
            let count = labels.len();
            Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), device)
        };
        let views = batch.views.into_iter();
        Self {
            tensors: Tensors {
                images: images(batch.images, count),
                views: views.map(|view| images(view, count)).collect(),
                labels: labels(batch.labels.clone()),
                targets: batch.targets.map(|targets| {
                    let shape = [count, targets.len() / count];
                    Tensor::from_data(TensorData::new(targets, shape), (device, dtype))
                }),
                // Only images of the training part are augmented.
                origin: batch.view.map(|view| Origin {
                    section: Section::Train,
                    view: view as u64,
                    samples: batch.samples,
                    share: batch.share,
                }),
                indices: batch.indices,
                partners: batch
                    .partners
                    .map(|partners| images(partners.images, count)),
                replay: batch.replay.map(|replay| Replay {
                    images: images(replay.images, replay.indices.len()),
                    labels: labels(replay.labels),
                    indices: replay.indices,
                }),
                large,
            },
            classes: batch.labels,
        }
    }
}
