//! One class of each pixel.

use burn::tensor::{Bool, DType, Int, Tensor};
use limbeck_data::VOID;
use limbeck_nn::{
    Feature, Outputs, TaskKind,
    layer::{resize_bilinear, resize_nearest},
};

use super::{Rows, Task};
use crate::{MethodError, Target, Term};

/// Semantic segmentation: the supervised loss is the cross entropy of each pixel that is not void,
/// with logits brought to the masks' size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Segmentation {
    /// Whether corner pixels keep their places where maps are resized.
    pub align_corners: bool,
}

impl Segmentation {
    /// The logits `[B, K, h, w]` of a prediction.
    fn logits(prediction: &Feature) -> Result<Tensor<4>, MethodError> {
        match prediction {
            Feature::Map(logits) => Ok(logits.clone()),
            other => Err(MethodError::Prediction {
                task: TaskKind::Segmentation,
                expected: "a map of logits for each image".to_owned(),
                found: format!("a {} for each", other.kind()),
            }),
        }
    }

    /// Masks `[B, H, W]` at `[height, width]`, by the nearest pixel.
    pub fn reduced(masks: &Tensor<3, Int>, [height, width]: [usize; 2]) -> Tensor<3, Int> {
        let [batch, ..] = masks.dims();
        let maps = masks.clone().float().unsqueeze_dim::<4>(1);
        resize_nearest(maps, [height, width])
            .reshape([batch, height, width])
            .int()
    }

    /// Numbers of the rows of a batch's masks `[B, H, W]` that are not void, `[R]`.
    fn known(masks: &Tensor<3, Int>) -> Tensor<1, Int> {
        let known: Tensor<1, Bool> = masks.clone().flatten::<1>(0, 2).not_equal_elem(VOID);
        known.argwhere().flatten(0, 1)
    }
}

impl Task for Segmentation {
    fn kind(&self) -> TaskKind {
        TaskKind::Segmentation
    }

    fn terms(&self, outputs: &Outputs, target: &Target) -> Result<Vec<Term>, MethodError> {
        let Target::Masks(masks) = target else {
            return Ok(Vec::new());
        };
        let logits = Self::logits(&outputs.prediction)?;
        let [_, height, width] = masks.dims();
        let logits =
            Feature::Map(resize_bilinear(logits, [height, width], self.align_corners)).to_rows();
        let known = Self::known(masks);
        let [count] = known.dims();
        if count == 0 {
            return Ok(vec![Term::new("task", logits.sum().mul_scalar(0.0), 1.0)]);
        }
        let labels = masks.clone().flatten::<1>(0, 2).select(0, known.clone());
        let value = crate::cross_entropy(logits.select(0, known), &labels, None, 0.0);
        Ok(vec![Term::new("task", value, 1.0)])
    }

    /// The student's grid: the teacher's logits are resized to it, masks reduced to it.
    fn rows(
        &self,
        student: &Feature,
        teacher: Option<&Feature>,
        target: &Target,
    ) -> Result<Rows, MethodError> {
        let student = Self::logits(student)?;
        let [_, classes, height, width] = student.dims();
        let teacher = teacher.map(Self::logits).transpose()?;
        let teacher = match teacher {
            Some(logits) if logits.dims()[1] != classes => {
                return Err(MethodError::Prediction {
                    task: self.kind(),
                    expected: format!("a teacher of {classes} classes, as the student's"),
                    found: format!("{}", logits.dims()[1]),
                });
            }
            Some(logits) => Some(resize_bilinear(logits, [height, width], self.align_corners)),
            None => None,
        };
        let rows = |logits: Tensor<4>| Feature::Map(logits).to_rows();
        let Target::Masks(masks) = target else {
            return Ok(Rows {
                student: rows(student),
                teacher: teacher.map(rows),
                labels: None,
            });
        };
        let masks = Self::reduced(masks, [height, width]);
        let known = Self::known(&masks);
        let labels = masks.flatten::<1>(0, 2).select(0, known.clone());
        Ok(Rows {
            student: rows(student).select(0, known.clone()),
            teacher: teacher.map(|logits| rows(logits).select(0, known)),
            labels: Some(labels),
        })
    }

    fn count_right(&self, prediction: &Feature, target: &Target) -> Option<[usize; 2]> {
        let Target::Masks(masks) = target else {
            return None;
        };
        let logits = Self::logits(prediction).ok()?.inner();
        let [_, _, height, width] = logits.dims();
        let masks = Self::reduced(masks, [height, width]);
        let chosen = logits.argmax(1).squeeze_dim::<3>(1).cast(DType::I64);
        let right = chosen.equal(masks.clone().cast(DType::I64)).into_data();
        let right = right.iter::<bool>().filter(|&right| right).count();
        let void = masks.equal_elem(VOID).into_data();
        let known = void.iter::<bool>().filter(|&void| !void).count();
        Some([right, known])
    }
}
