//! Made-up numbers: the work does not depend on them.

use burn::tensor::{Device, Tensor, TensorData};
use limbeck_data::{Batch, Large, Partners, Replay};
use limbeck_methods::Images;
use limbeck_nn::InputShape;

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
pub(super) fn tensor(shape: [usize; 4]) -> Tensor<4> {
    let values = values(shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// The images of a batch on the CPU, `[B, C, H, W]`.
pub(super) fn images(batch: &Batch) -> Tensor<4> {
    let data = TensorData::new(batch.images.clone(), batch.shape);
    Tensor::from_data(data, &Device::flex())
}

/// Images of noise with labels in turn, and whatever else of them a stage wants.
pub(super) fn batch(input: InputShape, count: usize, wanted: Images) -> Batch {
    let shape = [count, input.channels, input.height, input.width];
    let images = values(shape.iter().product());
    let indices: Vec<usize> = (0..count).collect();
    let labels = labels(input.classes, count);
    Batch {
        shape,
        targets: None,
        samples: indices.clone(),
        view: Some(0),
        share: None,
        views: vec![images.clone(); wanted.views - 1],
        partners: wanted.partners.then(|| Partners {
            indices: indices.clone(),
            images: images.clone(),
        }),
        replay: wanted.replay.then(|| Replay {
            indices: indices.clone(),
            images: images.clone(),
            labels: labels.clone(),
        }),
        large: (wanted.enlarged > 1).then(|| Large {
            images: images.repeat(wanted.enlarged * wanted.enlarged),
            size: [
                input.height * wanted.enlarged,
                input.width * wanted.enlarged,
            ],
        }),
        indices,
        images,
        labels,
    }
}

/// Classes in turn.
pub(super) fn labels(classes: usize, count: usize) -> Vec<i64> {
    (0..count).map(|i| (i % classes) as i64).collect()
}
