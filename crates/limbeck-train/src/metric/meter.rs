//! What measures a network: fed batch by batch, asked once.

use limbeck_nn::{Outputs, Taps};
use limbeck_report::Evaluation;

use super::{MetricError, PartAnswers};

/// What a network gave out for a batch, and what is known of the images.
pub struct Seen<'a> {
    /// What the network gave out.
    pub outputs: &'a Outputs,
    /// Right classes `[B]`; empty where the data has no labels.
    pub labels: &'a [i64],
    /// What the teacher answered for all images of the part, where there is one.
    pub teacher: Option<&'a PartAnswers>,
    /// Index in the part of the batch's first image.
    pub first: usize,
}

/// Measures a network on a part of the data. Taking the images in any grouping gives the same as
/// taking them all at once.
pub trait Meter {
    /// Taps that it reads besides the network's prediction.
    fn taps(&self) -> Taps {
        Taps::none()
    }

    /// Takes in a batch.
    ///
    /// # Errors
    /// What does not fit together; nothing is taken in then.
    fn add(&mut self, seen: &Seen<'_>) -> Result<(), MetricError>;

    /// What was measured; the first measure is what epochs are chosen by.
    ///
    /// # Errors
    /// What cannot be measured, such as embeddings that are not finite.
    fn finish(self: Box<Self>) -> Result<Evaluation, MetricError>;
}
