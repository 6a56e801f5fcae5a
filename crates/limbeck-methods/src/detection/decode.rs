//! From a network's raw maps to boxes in pixels.

use burn::tensor::{DType, Device, Tensor, TensorData, activation::sigmoid};

use super::{Anchors, DetectionError};

/// Predictions `[B, N, 5 + K]` of the raw maps `[B, A, H, W, 5 + K]` of all levels: centre x, centre y, width
/// and height in pixels, then objectness and classes as probabilities. Rows go by level, anchor, row and
/// column of the cell.
///
/// With s the sigmoid of a raw number, a centre is (2s − ½ + cell)·stride and a side (2s)² times the
/// anchor's, which reach half a cell beyond the cell and up to four times the anchor (YOLOv5,
/// `models/yolo.py`, `Detect`). Gradients flow.
///
/// # Errors
/// [`DetectionError::Shape`] where the maps do not fit the anchors.
pub fn decode(anchors: &Anchors, raw: &[Tensor<5>]) -> Result<Tensor<3>, DetectionError> {
    let [batch, classes] = anchors.check_maps(raw)?;
    let levels = raw.iter().zip(anchors.levels()).map(|(map, level)| {
        let [_, count, height, width, entries] = map.dims();
        let options = (&map.device(), map.dtype());
        let stride = level.stride as f64;
        let probabilities = sigmoid(map.clone());
        let center = probabilities.clone().narrow(4, 0, 2);
        let center = center.mul_scalar(2.0 * stride) + corners(height, width, stride, options);
        let side = probabilities.clone().narrow(4, 2, 2).mul_scalar(2.0);
        let sizes: Vec<f64> = level.sizes.iter().flatten().copied().collect();
        let sizes = Tensor::<5>::from_data(TensorData::new(sizes, [1, count, 1, 1, 2]), options);
        let size = side.clone() * side * sizes;
        let rest = probabilities.narrow(4, 4, 1 + classes);
        Tensor::cat(vec![center, size, rest], 4).reshape([batch, count * height * width, entries])
    });
    Ok(Tensor::cat(levels.collect(), 1))
}

/// What a centre of 0 stands for in each cell, half a cell before its upper left corner, in pixels:
/// `[1, 1, H, W, 2]`.
fn corners(height: usize, width: usize, stride: f64, options: (&Device, DType)) -> Tensor<5> {
    let at = |i: usize| (i as f64 - 0.5) * stride;
    let numbers: Vec<f64> = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| [at(x), at(y)]))
        .collect();
    Tensor::from_data(TensorData::new(numbers, [1, 1, height, width, 2]), options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, numbers, random};

    #[test]
    fn zeros_are_anchors_in_the_middle_of_their_cells() {
        let anchors = Anchors::yolov5();
        let raw: Vec<Tensor<5>> = [[4, 6], [2, 3], [1, 2]]
            .into_iter()
            .map(|[h, w]| random("raw", [1, 3, h, w, 7]).mul_scalar(0.0))
            .collect();
        let found = decode(&anchors, &raw).unwrap();
        assert_eq!(found.dims(), [1, 3 * (24 + 6 + 2), 7]);
        let row = |i: usize| numbers(&found.clone().narrow(1, i, 1));
        assert_close(&row(0), &[4.0, 4.0, 10.0, 13.0, 0.5, 0.5, 0.5]);
        // Second anchor of the first level, second row, third column.
        assert_close(&row(24 + 6 + 2), &[20.0, 12.0, 16.0, 30.0, 0.5, 0.5, 0.5]);
        // The last of all.
        assert_close(&row(95), &[48.0, 16.0, 373.0, 326.0, 0.5, 0.5, 0.5]);
    }

    #[test]
    fn maps_of_other_shapes_are_refused() {
        assert!(decode(&Anchors::yolov5(), &[random("raw", [1, 3, 4, 4, 7])]).is_err());
    }
}
