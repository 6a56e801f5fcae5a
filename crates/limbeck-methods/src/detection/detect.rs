//! What a network detects: from raw maps to the boxes that are kept.

use burn::tensor::Tensor;

use super::{Anchors, DetectionError, Kept, SuppressionConfig, decode, suppress};

/// The boxes that are kept of each image, in pixels, of raw maps `[B, A, H, W, 5 + K]`, finest level first. No
/// gradient flows.
///
/// # Errors
/// Those of [`decode`] and [`suppress`].
pub fn detect(
    anchors: &Anchors,
    raw: &[Tensor<5>],
    config: &SuppressionConfig,
) -> Result<Vec<Vec<Kept>>, DetectionError> {
    let raw: Vec<Tensor<5>> = raw.iter().map(|map| map.clone().inner()).collect();
    let predictions = decode(anchors, &raw)?;
    let [_, rows, width] = predictions.dims();
    let numbers: Vec<f64> = predictions.into_data().iter::<f64>().collect();
    numbers
        .chunks(rows * width)
        .map(|image| suppress(image, width - 5, config))
        .collect()
}
