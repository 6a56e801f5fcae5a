//! How a picture is shown to a network that segments: whole or window by window, in one size or
//! several, mirrored or not.

use burn::tensor::{Tensor, activation::softmax};
use limbeck_nn::layer::resize_bilinear;

use crate::{
    TrainError,
    recipe::{EvaluateMode, EvaluateRecipe, Recipe},
};

/// How a picture is shown to a network. The default shows it once, whole and in its own size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segmenter {
    /// Height and width of windows, and the way from one to the next; whole where missing.
    windows: Option<([usize; 2], [usize; 2])>,
    /// Factors of the size; empty stands for the picture's own alone.
    scales: Vec<f64>,
    flip: bool,
    /// Whether corner pixels keep their places where logits are resized.
    align_corners: bool,
}

impl Segmenter {
    /// As a recipe says, whose `augment.size` is settled.
    pub fn of(recipe: &Recipe) -> Self {
        let align_corners = recipe.task.align_corners;
        Self::new(&recipe.evaluate, recipe.augment.size, align_corners)
    }

    /// As `evaluate` says, with windows of `size` where it leaves them open; `align_corners` as the
    /// network was trained.
    pub fn new(evaluate: &EvaluateRecipe, size: [usize; 2], align_corners: bool) -> Self {
        let window = evaluate.window.unwrap_or(size);
        let thirds = window.map(|side| (side * 2 / 3).max(1));
        Self {
            windows: (evaluate.mode == EvaluateMode::Sliding)
                .then(|| (window, evaluate.stride.unwrap_or(thirds))),
            scales: evaluate.scales.clone(),
            flip: evaluate.flip,
            align_corners,
        }
    }

    /// Whether corner pixels keep their places where logits are resized.
    pub fn align_corners(&self) -> bool {
        self.align_corners
    }

    /// Logits `[B, K, h, w]` of `images` `[B, C, H, W]` by `forward`, in the network's own grid where
    /// they are shown once and whole, else in the images' size. What was averaged over scales or
    /// mirrored is the logarithm of the mean probabilities, which are those of its softmax.
    ///
    /// # Errors
    /// Those of `forward`.
    pub fn logits(
        &self,
        images: Tensor<4>,
        forward: &dyn Fn(Tensor<4>) -> Result<Tensor<4>, TrainError>,
    ) -> Result<Tensor<4>, TrainError> {
        let own = [1.0];
        let scales: &[f64] = match self.scales.is_empty() {
            true => &own,
            false => &self.scales,
        };
        if *scales == own && !self.flip {
            return self.once(images, forward);
        }
        let [_, _, height, width] = images.dims();
        let mut sum: Option<Tensor<4>> = None;
        let mirrors: &[bool] = if self.flip { &[false, true] } else { &[false] };
        for scale in scales {
            let sides = [height, width].map(|side| (side as f64 * scale).round().max(1.0) as usize);
            let scaled = resize_bilinear(images.clone(), sides, false);
            for &mirrored in mirrors {
                let turn = |map: Tensor<4>| if mirrored { map.flip([3]) } else { map };
                let logits = turn(self.once(turn(scaled.clone()), forward)?);
                let logits = resize_bilinear(logits, [height, width], self.align_corners);
                let p = softmax(logits, 1);
                sum = Some(match sum {
                    Some(sum) => sum + p,
                    None => p,
                });
            }
        }
        let shown = (scales.len() * mirrors.len()) as f64;
        // A probability of 0 has no logarithm.
        let mean = sum.map(|sum| sum.div_scalar(shown).clamp_min(f32::MIN_POSITIVE));
        mean.map(Tensor::log)
            .ok_or_else(|| TrainError::Setting("evaluate.scales is empty".to_owned()))
    }

    /// One size, not mirrored.
    fn once(
        &self,
        images: Tensor<4>,
        forward: &dyn Fn(Tensor<4>) -> Result<Tensor<4>, TrainError>,
    ) -> Result<Tensor<4>, TrainError> {
        let [batch, channels, height, width] = images.dims();
        let Some((window, stride)) = self.windows else {
            return forward(images);
        };
        let window = [window[0].min(height), window[1].min(width)];
        if window == [height, width] {
            return forward(images);
        }
        let options = (&images.device(), images.dtype());
        let mut sum: Option<Tensor<4>> = None;
        let mut times = Tensor::<4>::zeros([1, 1, height, width], options);
        for top in starts(height, window[0], stride[0]) {
            for left in starts(width, window[1], stride[1]) {
                let (rows, columns) = (top..top + window[0], left..left + window[1]);
                let part =
                    images
                        .clone()
                        .slice([0..batch, 0..channels, rows.clone(), columns.clone()]);
                let logits = resize_bilinear(forward(part)?, window, self.align_corners);
                let [_, classes, ..] = logits.dims();
                let place = [0..batch, 0..classes, rows.clone(), columns.clone()];
                let all = sum.take();
                let all =
                    all.unwrap_or_else(|| Tensor::zeros([batch, classes, height, width], options));
                let more = all.clone().slice(place.clone()) + logits;
                sum = Some(all.slice_assign(place, more));
                let place = [0..1, 0..1, rows, columns];
                let more = times.clone().slice(place.clone()).add_scalar(1.0);
                times = times.slice_assign(place, more);
            }
        }
        sum.map(|sum| sum / times)
            .ok_or_else(|| TrainError::Setting("evaluate.window has no pixels".to_owned()))
    }
}

/// Where windows begin along a side of `length`, the last one at its end.
fn starts(length: usize, window: usize, stride: usize) -> Vec<usize> {
    let count = (length - window).div_ceil(stride.max(1)) + 1;
    (0..count)
        .map(|place| (place * stride).min(length - window))
        .collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn images() -> Tensor<4> {
        let numbers = (0..2 * 6 * 9).map(|i| ((i * 37) % 23) as f32 / 7.0);
        Tensor::from_data(
            TensorData::new(numbers.collect::<Vec<_>>(), [2, 1, 6, 9]),
            &Device::flex(),
        )
    }

    /// Two classes, one pixel after the other: the image and its negative.
    fn network(images: Tensor<4>) -> Result<Tensor<4>, TrainError> {
        Ok(Tensor::cat(vec![images.clone(), images.neg()], 1))
    }

    fn numbers(tensor: Tensor<4>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[track_caller]
    fn close(left: Tensor<4>, right: Tensor<4>) {
        assert_eq!(left.dims(), right.dims());
        for (a, b) in numbers(left).into_iter().zip(numbers(right)) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }

    #[test]
    fn windows_begin_a_stride_apart_and_the_last_ends_with_the_side() {
        assert_eq!(starts(10, 4, 3), [0, 3, 6]);
        assert_eq!(starts(11, 4, 3), [0, 3, 6, 7]);
        assert_eq!(starts(4, 4, 3), [0]);
    }

    #[test]
    fn windows_of_a_network_that_looks_at_single_pixels_change_nothing() {
        let sliding = Segmenter {
            windows: Some(([4, 5], [3, 2])),
            ..Segmenter::default()
        };
        let whole = Segmenter::default().logits(images(), &network).unwrap();
        close(sliding.logits(images(), &network).unwrap(), whole.clone());
        let large = Segmenter {
            windows: Some(([40, 50], [3, 2])),
            ..Segmenter::default()
        };
        close(large.logits(images(), &network).unwrap(), whole);
    }

    #[test]
    fn what_is_shown_twice_has_the_mean_of_the_probabilities() {
        // Adds the column's number: what it says depends on whether the picture is mirrored.
        let leaning = |images: Tensor<4>| {
            let [.., width] = images.dims();
            let columns = Tensor::<1>::from_data(
                TensorData::new(
                    (0..width).map(|x| x as f32 * 0.3).collect::<Vec<_>>(),
                    [width],
                ),
                &images.device(),
            );
            network(images + columns.reshape([1, 1, 1, width]))
        };
        let both = Segmenter {
            flip: true,
            ..Segmenter::default()
        };
        let found = softmax(both.logits(images(), &leaning).unwrap(), 1);
        let plain = softmax(leaning(images()).unwrap(), 1);
        let mirrored = softmax(leaning(images().flip([3])).unwrap().flip([3]), 1);
        close(found, (plain + mirrored).div_scalar(2.0));
        let sizes = Segmenter {
            scales: vec![1.0, 2.0],
            ..Segmenter::default()
        };
        let found = softmax(sizes.logits(images(), &network).unwrap(), 1);
        let large = network(resize_bilinear(images(), [12, 18], false)).unwrap();
        let large = softmax(resize_bilinear(large, [6, 9], false), 1);
        let own = softmax(network(images()).unwrap(), 1);
        close(found, (own + large).div_scalar(2.0));
    }
}
