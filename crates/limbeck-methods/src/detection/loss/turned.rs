//! The loss turned round: least where a detector is wrong about all that it would learn.

use burn::tensor::{Int, Tensor, TensorData, activation::sigmoid};

use super::{Assigned, Level, MovingBoxes, Picked, mean};
use crate::detection::{DetectionError, DetectionLoss, DetectionTerms};

/// Keeps logarithms finite where a detector is sure (1e-10 in the detection part of TST's code: Shao et al.,
/// "Teaching What You Should Teach", IJCAI 2023).
const FLOOR: f64 = 1e-10;

impl DetectionLoss {
    /// The loss with its signs turned: the box term is −(1 − CIoU); objectness and the labelled class of cells
    /// that learn a box are −ln(1 − p + 1e-10) in the place of −ln p, with the factors that they have there.
    /// Cells without a box, other classes, label smoothing and focal loss have no part in it.
    ///
    /// # Errors
    /// As [`DetectionLoss::terms_of_moving`].
    pub fn turned(
        &self,
        raw: &[Tensor<5>],
        targets: &MovingBoxes,
    ) -> Result<DetectionTerms, DetectionError> {
        let sides = targets.sides.as_ref();
        self.sum_of_levels(raw, &targets.boxes, sides, |entries, picked, rows| {
            self.turned_level(entries, picked, rows)
        })
    }

    fn turned_level(
        &self,
        entries: &[Assigned],
        picked: Option<&Picked>,
        rows: Tensor<2>,
    ) -> Level {
        let Some(picked) = picked else {
            return Level {
                of_entries: None,
                objectness: Tensor::zeros([1], (&rows.device(), rows.dtype())),
            };
        };
        let (count, device) = (rows.dims()[0], rows.device());
        let index = |numbers: Vec<i64>| {
            let length = numbers.len();
            Tensor::<1, Int>::from_data(TensorData::new(numbers, [length]), &device)
        };
        // A cell and anchor with several boxes is one that learns objectness.
        let mut places = picked.places.clone();
        places.sort_unstable();
        places.dedup();
        let objectness = rows.narrow(1, 4, 1).select(0, index(places));
        let factor = self.config.objectness_positive_weight / count as f64;
        let objectness = wrong(objectness).mul_scalar(factor);
        let [taken, numbers] = picked.rows.dims();
        let classes = numbers - 5;
        let class_term = match classes {
            1 => Tensor::zeros([1], (&device, objectness.dtype())),
            _ => {
                let labels = entries.iter().map(|entry| entry.class as i64).collect();
                let logits = picked.rows.clone().narrow(1, 5, classes);
                let labelled = logits.gather(1, index(labels).reshape([taken, 1]));
                let factor = self.config.class_positive_weight / (taken * classes) as f64;
                wrong(labelled).mul_scalar(factor)
            }
        };
        let bounds = mean(picked.overlap.clone().sub_scalar(1.0));
        Level {
            of_entries: Some((bounds, class_term)),
            objectness,
        }
    }
}

/// The sum of −ln(1 − σ(x) + 1e-10): `[1]`.
fn wrong(logits: Tensor<2>) -> Tensor<1> {
    sigmoid(logits.neg()).add_scalar(FLOOR).log().sum().neg()
}
