//! Which image is turned here: similarities between turned and upright images, and their loss.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{cross_entropy, rotation::TURNS};

/// Norms below this count as it (PyTorch's cosine similarity).
const LEAST_NORM: f64 = 1e-8;

/// Upright rows `[B, n]` and turned rows `[3·B, n]` of `[4·B, n]`.
pub(super) fn split(rows: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let [count, width] = rows.dims();
    let images = count / TURNS;
    let views = rows.reshape([images, TURNS, width]);
    (
        views.clone().narrow(1, 0, 1).reshape([images, width]),
        views
            .narrow(1, 1, TURNS - 1)
            .reshape([images * (TURNS - 1), width]),
    )
}

/// Cosine of the angle between each turned and each upright row of a projection `[4·B, d]`:
/// `[3·B, B]`.
pub fn similarity(projection: Tensor<2>) -> Tensor<2> {
    let unit = |rows: Tensor<2>| {
        let norm = rows.clone().powi_scalar(2).sum_dim(1).sqrt();
        rows / norm.clamp_min(LEAST_NORM)
    };
    let (upright, turned) = split(projection);
    unit(turned).matmul(unit(upright).transpose())
}

/// The image that each turned row shows: 0, 0, 0, 1, 1, 1, …, `[3·B]`.
pub fn pretext_targets(images: usize, device: &Device) -> Tensor<1, Int> {
    let rows = images * (TURNS - 1);
    let targets: Vec<i64> = (0..rows).map(|row| (row / (TURNS - 1)) as i64).collect();
    Tensor::from_data(TensorData::new(targets, [rows]), device)
}

/// The first stage's loss from similarities `[3·B, B]`: `[1]`.
pub fn pretext_loss(similarity: Tensor<2>) -> Tensor<1> {
    let [_, images] = similarity.dims();
    let targets = pretext_targets(images, &similarity.device());
    cross_entropy(similarity, &targets, None, 0.0)
}

/// Share of the turned rows `[3·B, B]` that are most similar to their own image, `[1]`.
pub(super) fn pretext_accuracy(similarity: &Tensor<2>) -> Tensor<1> {
    let similarity = similarity.clone().inner();
    let [rows, images] = similarity.dims();
    let targets = pretext_targets(images, &similarity.device());
    let dtype = similarity.dtype();
    let chosen = similarity.argmax(1).reshape([rows]);
    chosen.equal(targets).float().cast(dtype).mean()
}
