//! A batch of the loader on the device.

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_data::Batch;
use limbeck_methods::{Batch as Tensors, Origin, Replay, Section, Target};

/// Moves `batch` to `device`; floating-point numbers become `dtype`.
pub fn on_device(batch: Batch, device: &Device, dtype: DType) -> Tensors {
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
    let target = |labels: Vec<i64>, shares: Option<Vec<f32>>| {
        let count = labels.len();
        // Images without classes come without labels.
        if count == 0 {
            return Target::None;
        }
        Target::Classes {
            labels: Tensor::from_data(TensorData::new(labels, [count]), device),
            shares: shares.map(|shares| {
                let shape = [count, shares.len() / count];
                Tensor::from_data(TensorData::new(shares, shape), (device, dtype))
            }),
        }
    };
    let views = batch.views.into_iter();
    Tensors {
        images: images(batch.images, count),
        views: views.map(|view| images(view, count)).collect(),
        target: target(batch.labels, batch.targets),
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
            target: target(replay.labels, None),
            indices: replay.indices,
        }),
        large,
    }
}
