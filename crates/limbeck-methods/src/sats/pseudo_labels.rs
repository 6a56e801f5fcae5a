//! Labels of the background from a network that knows the old classes, where it is certain.
//!
//! Douillard, Chen, Dapogny, Cord. "PLOP: Learning without Forgetting for Continual Semantic
//! Segmentation". CVPR 2021, section 3.3.

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};
use limbeck_data::VOID;
use limbeck_nn::layer::resize_bilinear;

/// The class whose pixels may be others.
const BACKGROUND: i64 = 0;
/// Bins of the histograms of entropy.
const BINS: usize = 100;
/// Least threshold, and that of a class that no pixel was given: authors' code.
const LEAST: f32 = 0.001;
const UNSEEN: f32 = 0.005;

/// What a network says of each pixel.
#[derive(Clone, Debug)]
pub struct Certainty {
    /// The most probable class, `[B, H, W]`.
    class: Tensor<3, Int>,
    /// Entropy over ln of the number of all classes, `[B, H, W]`.
    entropy: Tensor<3>,
}

impl Certainty {
    /// Of logits `[B, O, h, w]`, brought to the size of masks `[B, H, W]`, with `classes` classes in
    /// all.
    pub fn of(logits: Tensor<4>, masks: &Tensor<3, Int>, classes: usize) -> Self {
        let [_, height, width] = masks.dims();
        let [.., h, w] = logits.dims();
        let logits = match [h, w] == [height, width] {
            true => logits,
            false => resize_bilinear(logits, [height, width], false),
        };
        let logs = log_softmax(logits, 1);
        let entropy = (logs.clone().exp() * logs.clone()).sum_dim(1);
        let scale = -1.0 / (classes.max(2) as f64).ln();
        Self {
            class: logs.argmax(1).squeeze_dim(1),
            entropy: entropy.squeeze_dim::<3>(1).mul_scalar(scale),
        }
    }
}

/// Histograms of entropy over the background pixels of each class.
#[derive(Clone, Debug)]
pub struct Medians {
    counts: Vec<[u64; BINS]>,
}

impl Medians {
    /// Nothing seen.
    pub fn new(classes: usize) -> Self {
        Self {
            counts: vec![[0; BINS]; classes],
        }
    }

    /// Adds the pixels of masks `[B, H, W]`.
    pub fn add(&mut self, masks: &Tensor<3, Int>, certainty: &Certainty) {
        let masks = masks.to_data();
        let classes = certainty.class.to_data();
        let entropies = certainty.entropy.to_data();
        let said = classes.iter::<i64>().zip(entropies.iter::<f32>());
        for (mask, (class, entropy)) in masks.iter::<i64>().zip(said) {
            if mask != BACKGROUND {
                continue;
            }
            let bin = (entropy.max(0.0) * BINS as f32) as usize;
            let of_class = usize::try_from(class).ok();
            if let Some(counts) = of_class.and_then(|class| self.counts.get_mut(class)) {
                counts[bin.min(BINS - 1)] += 1;
            }
        }
    }

    /// The median of each class, the middle of its bin.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds::new(self.counts.iter().map(median).collect())
    }
}

fn median(counts: &[u64; BINS]) -> f32 {
    let all: u64 = counts.iter().sum();
    let mut below = 0;
    for (bin, count) in counts.iter().enumerate() {
        below += count;
        if 2 * below >= all && all > 0 {
            let middle = (bin as f32 + 0.5) / BINS as f32;
            return middle.max(LEAST);
        }
    }
    UNSEEN
}

/// Greatest entropy, over ln of the number of all classes, with which a class is believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds(Vec<f32>);

impl Thresholds {
    /// One for each class of the network that is asked.
    pub fn new(values: Vec<f32>) -> Self {
        Self(values)
    }

    /// One for each class.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Masks `[B, H, W]` with what was said of their background pixels where it is certain, and void
    /// where it is not.
    pub fn label(&self, masks: &Tensor<3, Int>, certainty: &Certainty) -> Tensor<3, Int> {
        let shape = masks.dims();
        let Certainty { class, entropy } = certainty;
        let data = TensorData::new(self.0.clone(), [self.0.len()]);
        let options = (&entropy.device(), entropy.dtype());
        let thresholds = Tensor::<1>::from_data(data, options);
        let greatest = thresholds
            .select(0, class.clone().flatten::<1>(0, 2))
            .reshape(shape);
        let certain = entropy.clone().lower(greatest);
        let background = masks.clone().equal_elem(BACKGROUND);
        let labelled = class.clone().cast(masks.dtype());
        masks
            .clone()
            .mask_where(background.clone().bool_and(certain.clone()), labelled)
            .mask_fill(background.bool_and(certain.bool_not()), VOID)
    }
}
