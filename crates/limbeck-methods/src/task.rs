//! What is to be learnt: the supervised loss, and the grid on which predictions are compared.

mod classification;
mod detection;
mod pretraining;
mod segmentation;

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor};
use limbeck_nn::{Feature, Outputs, Taps, TaskKind};

use crate::{MethodError, Target, Term, detection::DetectionLoss};

pub use classification::Classification;
pub use detection::Detection;
pub use pretraining::Pretraining;
pub use segmentation::{AUXILIARY, Ohem, Segmentation};

/// Predictions of student and teacher side by side, a row for each place where they predict.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Logits of the student, `[R, K]`.
    pub student: Tensor<2>,
    /// Logits of the teacher for the same places, `[R, K]`; `None` where there is no teacher.
    pub teacher: Option<Tensor<2>>,
    /// Class of each place, `[R]`; `None` where that is not known.
    pub labels: Option<Tensor<1, Int>>,
}

/// A task of vision.
pub trait Task: Send + Sync + std::fmt::Debug {
    /// Which one.
    fn kind(&self) -> TaskKind;

    /// Taps that the supervised loss reads besides the prediction, such as an auxiliary head's.
    fn taps(&self) -> Taps {
        Taps::none()
    }

    /// The supervised loss of what a network gave out, as named terms with their weights; no terms
    /// where nothing is known of the images.
    ///
    /// # Errors
    /// A prediction or a target that is not the task's.
    fn terms(&self, outputs: &Outputs, target: &Target) -> Result<Vec<Term>, MethodError>;

    /// Predictions of both as rows of logits on one grid; places of which nothing is to be learnt
    /// are left out. Where that leaves none, there is a single row of zeros on both sides, through
    /// which no gradient passes, so that what compares rows finds no difference.
    ///
    /// # Errors
    /// Predictions that are not the task's, or that have no grid in common.
    fn rows(
        &self,
        student: &Feature,
        teacher: Option<&Feature>,
        target: &Target,
    ) -> Result<Rows, MethodError>;

    /// The loss of a detector's cells, of the task of detection.
    fn detection_loss(&self) -> Option<&DetectionLoss> {
        None
    }

    /// How many predictions are right, and of how many: images, or pixels that are not void; `None`
    /// where that is not known.
    fn count_right(&self, prediction: &Feature, target: &Target) -> Option<[usize; 2]>;
}

/// A task with what is known of a batch: whatever learns from labels asks it.
#[derive(Clone, Copy, Debug)]
pub struct Supervision<'a> {
    /// What is to be learnt.
    pub task: &'a dyn Task,
    /// What is known.
    pub target: &'a Target,
}

impl Supervision<'_> {
    /// The supervised loss `[1]` of logits `[R, K]`, all of its terms in their weights.
    ///
    /// # Errors
    /// Images without labels, or logits that the task cannot use.
    pub fn loss(&self, logits: Tensor<2>) -> Result<Tensor<1>, MethodError> {
        self.loss_of(Feature::Vector(logits))
    }

    /// The same of a prediction of any kind, without what the task reads besides it.
    ///
    /// # Errors
    /// Images without labels, or a prediction that the task cannot use.
    pub fn loss_of(&self, prediction: Feature) -> Result<Tensor<1>, MethodError> {
        let outputs = Outputs {
            prediction,
            features: BTreeMap::new(),
        };
        let terms = self.task.terms(&outputs, self.target)?;
        let weighted = terms.into_iter().map(|term| match term.weight {
            1.0 => term.value,
            weight => term.value.mul_scalar(weight),
        });
        weighted
            .reduce(|sum, term| sum + term)
            .ok_or_else(|| MethodError::NoLabels {
                reader: "the supervised loss".to_owned(),
            })
    }
}
