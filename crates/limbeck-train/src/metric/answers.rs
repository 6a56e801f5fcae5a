//! What a network answered for the images of a part of the data.

use burn::tensor::{Tensor, activation::softmax};

use limbeck_methods::detection::Kept;

use super::pixels::ClassPixels;
use crate::{represent::Glimpse, segment::RunLengths};

/// What was chosen for an image, and how surely.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Choice {
    /// The most probable class; the lowest index where several are equal.
    pub class: usize,
    /// Its probability.
    pub probability: f64,
}

/// What a network answered for the images of a part, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartAnswers {
    /// Of a classifier, one for each image.
    pub choices: Vec<Choice>,
    /// Logits `[N, K]`, row-major, where a measure compares whole distributions; else empty.
    pub logits: Vec<f32>,
    /// Of a network that segments, the mask of each image in the size that it is measured in.
    pub masks: Vec<RunLengths>,
    /// Of these, the pixels' cross entropies with the right mask, added, and the number of pixels that
    /// are not void.
    pub losses: Vec<(f64, u64)>,
    /// Of these, the pixels of the classes that are in each image or were chosen; empty where no right
    /// masks are known.
    pub pixels: Vec<Vec<ClassPixels>>,
    /// Of a detector, the boxes that it finds in each image, in pixels of the image as it is, surest first.
    pub boxes: Vec<Vec<Kept>>,
    /// Of a network that is pre-trained, what is shown of its embeddings of the test part.
    pub glimpse: Option<Glimpse>,
}

impl PartAnswers {
    /// Takes in the `logits` `[B, K]` of a batch, which are themselves kept if `whole`.
    pub fn add(&mut self, logits: &Tensor<2>, whole: bool) {
        self.choices.extend(most_probable(logits));
        if whole {
            self.logits.extend(logits.clone().into_data().iter::<f32>());
        }
    }

    /// Number of classes of the logits that were kept; 0 if none were.
    pub fn classes(&self) -> usize {
        self.logits.len() / self.choices.len().max(1)
    }
}

/// The choice for each row of `logits` `[B, K]`.
fn most_probable(logits: &Tensor<2>) -> Vec<Choice> {
    let [_, classes] = logits.dims();
    let probabilities: Vec<f64> = softmax(logits.clone(), 1)
        .into_data()
        .iter::<f64>()
        .collect();
    probabilities
        .chunks(classes)
        .map(|row| {
            let mut best = Choice {
                class: 0,
                probability: f64::NEG_INFINITY,
            };
            for (class, &probability) in row.iter().enumerate() {
                if probability > best.probability {
                    best = Choice { class, probability };
                }
            }
            best
        })
        .collect()
}
