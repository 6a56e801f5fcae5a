//! Boxes around objects, with a class of each.

use burn::tensor::{
    Int, Tensor, TensorData,
    activation::{log_sigmoid, log_softmax},
};
use limbeck_nn::{Feature, Outputs, TaskKind};

use super::{Rows, Task};
use crate::{
    MethodError, Target, Term,
    detection::{DetectionLoss, TargetBox},
};

/// Least objectness of the teacher with which a cell is compared though no box is to be learnt there: below
/// it there is hardly a box for anybody who suppresses, and nearly all cells are.
const FOREGROUND: f64 = 0.05;

/// Object detection: the supervised loss is YOLOv5's of all cells and anchors, its three parts times the
/// number of images.
#[derive(Clone, Debug)]
pub struct Detection {
    loss: DetectionLoss,
}

/// A detector's prediction.
struct Cells<'a> {
    feature: &'a Feature,
    /// `[B, N, 5 + K]`.
    cells: &'a Tensor<3>,
    anchors: usize,
    /// Rows and columns of each level.
    levels: &'a [[usize; 2]],
}

impl Detection {
    /// The task of networks with the anchors of `loss`.
    pub fn new(loss: DetectionLoss) -> Self {
        Self { loss }
    }

    fn cells(prediction: &Feature) -> Result<Cells<'_>, MethodError> {
        match prediction {
            Feature::Cells {
                cells,
                anchors,
                levels,
            } => Ok(Cells {
                feature: prediction,
                cells,
                anchors: *anchors,
                levels,
            }),
            other => Err(MethodError::Prediction {
                task: TaskKind::Detection,
                expected: "cells of a detector for each image".to_owned(),
                found: format!("a {} for each", other.kind()),
            }),
        }
    }

    /// What each cell and anchor learns, `[B · N]`: 0 is no object, k + 1 class k.
    fn labels(&self, cells: &Cells<'_>, boxes: &[TargetBox]) -> Result<Vec<i64>, MethodError> {
        let maps = cells.feature.level_maps().unwrap_or_default();
        let assigned = self.loss.assign(&maps, boxes)?;
        let [batch, count, _] = cells.cells.dims();
        let mut labels = vec![0; batch * count];
        let mut first = 0;
        for (entries, [rows, columns]) in assigned.iter().zip(cells.levels) {
            for entry in entries {
                let cell = (entry.anchor * rows + entry.cell[0]) * columns + entry.cell[1];
                labels[entry.image * count + first + cell] = entry.class as i64 + 1;
            }
            first += cells.anchors * rows * columns;
        }
        Ok(labels)
    }
}

/// Log-probabilities `[R, 1 + K]` of raw rows `[R, 5 + K]`: that there is no object, and that there is one of
/// each class, ln σ(o) + ln softmax(c)ₖ. They add up to one, so that their softmax is themselves.
fn log_probabilities(rows: Tensor<2>) -> Tensor<2> {
    let classes = rows.dims()[1] - 5;
    let objectness = rows.clone().narrow(1, 4, 1);
    let none = log_sigmoid(objectness.clone().neg());
    let some = log_sigmoid(objectness) + log_softmax(rows.narrow(1, 5, classes), 1);
    Tensor::cat(vec![none, some], 1)
}

impl Task for Detection {
    fn kind(&self) -> TaskKind {
        TaskKind::Detection
    }

    fn terms(&self, outputs: &Outputs, target: &Target) -> Result<Vec<Term>, MethodError> {
        let Target::Boxes { boxes, images } = target else {
            return Ok(Vec::new());
        };
        let cells = Self::cells(&outputs.prediction)?;
        let [batch, ..] = cells.cells.dims();
        if batch != *images {
            return Err(MethodError::Prediction {
                task: TaskKind::Detection,
                expected: format!("cells for each of {images} images"),
                found: format!("cells for {batch}"),
            });
        }
        let maps = cells.feature.level_maps().unwrap_or_default();
        let terms = self.loss.terms(&maps, boxes)?;
        let times = terms.batch as f64;
        Ok(vec![
            Term::new("box", terms.bounds.mul_scalar(times), 1.0),
            Term::new("objectness", terms.objectness.mul_scalar(times), 1.0),
            Term::new("class", terms.classes.mul_scalar(times), 1.0),
        ])
    }

    /// Cells and anchors as distributions over no object and the classes, so that a divergence between two is
    /// that of their objectness, and of their classes as far as the teacher sees an object there (which is
    /// how Mehta and Ozturk, "Object detection at 200 frames per second", ECCV workshops 2018, weigh it). Kept
    /// are those that learn a box and those whose objectness is at least 0.05 for the teacher.
    fn rows(
        &self,
        student: &Feature,
        teacher: Option<&Feature>,
        target: &Target,
    ) -> Result<Rows, MethodError> {
        let student = Self::cells(student)?;
        let teacher = teacher.map(Self::cells).transpose()?;
        if let Some(teacher) = &teacher
            && (teacher.cells.dims() != student.cells.dims() || teacher.levels != student.levels)
        {
            return Err(MethodError::Prediction {
                task: TaskKind::Detection,
                expected: format!(
                    "a teacher with the student's cells: {}",
                    student.feature.kind()
                ),
                found: teacher.feature.kind().to_string(),
            });
        }
        let [batch, count, width] = student.cells.dims();
        let labels = match target {
            Target::Boxes { boxes, .. } => Some(self.labels(&student, boxes)?),
            Target::None | Target::Classes { .. } | Target::Masks(_) => None,
        };
        let flat = |cells: &Tensor<3>| cells.clone().reshape([batch * count, width]);
        let seen: Option<Vec<f64>> = teacher.as_ref().map(|teacher| {
            let objectness = flat(teacher.cells).narrow(1, 4, 1).inner().into_data();
            objectness.iter::<f64>().collect()
        });
        let least = (FOREGROUND / (1.0 - FOREGROUND)).ln();
        let kept: Vec<i64> = (0..batch * count)
            .filter(|&row| {
                let learnt = labels.as_ref().is_some_and(|labels| labels[row] > 0);
                learnt || seen.as_ref().is_some_and(|seen| seen[row] >= least)
            })
            .map(|row| row as i64)
            .collect();
        let device = student.cells.device();
        if kept.is_empty() {
            let nothing =
                |cells: &Tensor<3>| log_probabilities(flat(cells).narrow(0, 0, 1)).mul_scalar(0.0);
            return Ok(Rows {
                student: nothing(student.cells),
                teacher: teacher.map(|teacher| nothing(teacher.cells)),
                labels: labels.map(|_| Tensor::zeros([1], &device)),
            });
        }
        let labels = labels.map(|labels| {
            let kept: Vec<i64> = kept.iter().map(|&row| labels[row as usize]).collect();
            let count = kept.len();
            Tensor::<1, Int>::from_data(TensorData::new(kept, [count]), &device)
        });
        let rows = kept.len();
        let index = Tensor::<1, Int>::from_data(TensorData::new(kept, [rows]), &device);
        let of = |cells: &Tensor<3>| log_probabilities(flat(cells).select(0, index.clone()));
        Ok(Rows {
            student: of(student.cells),
            teacher: teacher.map(|teacher| of(teacher.cells)),
            labels,
        })
    }

    fn detection_loss(&self) -> Option<&DetectionLoss> {
        Some(&self.loss)
    }

    /// Never: a cell is neither right nor wrong before boxes are suppressed.
    fn count_right(&self, _prediction: &Feature, _target: &Target) -> Option<[usize; 2]> {
        None
    }
}

#[cfg(test)]
mod tests;
