//! Share of images whose class is among the k most probable.

use super::{Prediction, percent};

/// Share of images whose class is among the k most probable. With fewer than k classes every
/// image counts whose logits are a distribution.
#[derive(Clone, Debug)]
pub struct TopK {
    k: usize,
    right: u64,
    images: u64,
}

impl TopK {
    /// No images so far.
    pub fn new(k: usize) -> Self {
        Self {
            k,
            right: 0,
            images: 0,
        }
    }

    /// Takes in one image of class `label` with `logits` `[K]`.
    pub fn add(&mut self, prediction: &Prediction, logits: &[f32], label: usize) {
        self.images += 1;
        self.right += u64::from(prediction.is_among(logits, label, self.k));
    }

    /// In percent; 0 without images.
    pub fn percent(&self) -> f64 {
        percent(self.right, self.images)
    }
}
