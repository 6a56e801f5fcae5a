//! One class of each image.

use burn::tensor::{DType, Tensor};
use limbeck_nn::{Feature, Outputs};

use super::{Rows, Task, TaskKind};
use crate::{MethodError, Target, Term, cross_entropy::cross_entropy};

/// Classification: the supervised loss is the cross entropy with the labels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Classification {
    /// Share of each label that is spread over all classes, 0..1.
    pub label_smoothing: f64,
}

impl Classification {
    /// Labels as they are.
    pub const PLAIN: Self = Self {
        label_smoothing: 0.0,
    };

    fn logits(prediction: &Feature) -> Result<Tensor<2>, MethodError> {
        match prediction {
            Feature::Vector(logits) => Ok(logits.clone()),
            other => Err(MethodError::Prediction {
                task: TaskKind::Classification,
                expected: "a vector of logits for each image".to_owned(),
                found: format!("a {} for each", other.kind()),
            }),
        }
    }
}

impl Task for Classification {
    fn kind(&self) -> TaskKind {
        TaskKind::Classification
    }

    fn terms(&self, outputs: &Outputs, target: &Target) -> Result<Vec<Term>, MethodError> {
        let Target::Classes { labels, shares } = target else {
            return Ok(Vec::new());
        };
        let logits = Self::logits(&outputs.prediction)?;
        let ([rows, classes], [images]) = (logits.dims(), labels.dims());
        let shares_fit = shares.as_ref().is_none_or(|s| s.dims() == [rows, classes]);
        if rows != images || !shares_fit {
            return Err(MethodError::Prediction {
                task: self.kind(),
                expected: match shares {
                    Some(shares) => format!("logits {:?} as the labels' shares", shares.dims()),
                    None => format!("a row of logits for each of {images} labels"),
                },
                found: format!("logits {:?}", [rows, classes]),
            });
        }
        let value = cross_entropy(logits, labels, shares.as_ref(), self.label_smoothing);
        Ok(vec![Term::new("task", value, 1.0)])
    }

    fn rows(
        &self,
        student: &Feature,
        teacher: Option<&Feature>,
        target: &Target,
    ) -> Result<Rows, MethodError> {
        let student = Self::logits(student)?;
        let teacher = teacher.map(Self::logits).transpose()?;
        match &teacher {
            Some(logits) if logits.dims() != student.dims() => Err(MethodError::Prediction {
                task: self.kind(),
                expected: format!(
                    "the teacher's logits {:?}, as the student's",
                    student.dims()
                ),
                found: format!("{:?}", logits.dims()),
            }),
            _ => Ok(Rows {
                student,
                teacher,
                labels: match target {
                    Target::Classes { labels, .. } => Some(labels.clone()),
                    Target::None | Target::Masks(_) | Target::Boxes { .. } => None,
                },
            }),
        }
    }

    fn count_right(&self, prediction: &Feature, target: &Target) -> Option<[usize; 2]> {
        let Target::Classes { labels, .. } = target else {
            return None;
        };
        let logits = Self::logits(prediction).ok()?;
        let [rows, _] = logits.dims();
        let chosen = logits.inner().argmax(1).reshape([rows]).cast(DType::I64);
        let right = chosen.equal(labels.clone().cast(DType::I64)).into_data();
        let right = right.iter::<bool>().filter(|&right| right).count();
        Some([right, rows])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Supervision,
        testing::{assert_close, labels, number, random, tensor},
    };

    fn loss(logits: Tensor<2>, target: &Target, label_smoothing: f64) -> Tensor<1> {
        let task = &Classification { label_smoothing };
        Supervision { task, target }.loss(logits).unwrap()
    }

    #[test]
    fn hard_labels_and_whole_shares_are_one_loss() {
        let logits = random("z", [3, 4]);
        let hard = Target::labels(labels(&[2, 0, 3]));
        let shares = vec![0., 0., 1., 0., 1., 0., 0., 0., 0., 0., 0., 1.];
        let soft = Target::Classes {
            labels: labels(&[2, 0, 3]),
            shares: Some(tensor(shares, [3, 4])),
        };
        for smoothing in [0.0, 0.1] {
            assert_close(
                &[number(&loss(logits.clone(), &soft, smoothing))],
                &[number(&loss(logits.clone(), &hard, smoothing))],
            );
        }
    }

    #[test]
    fn without_labels_there_are_no_terms_and_no_loss() {
        let outputs = Outputs::from_logits(random("z", [3, 4]));
        let task = Classification::PLAIN;
        assert!(task.terms(&outputs, &Target::None).unwrap().is_empty());
        let supervision = Supervision {
            task: &task,
            target: &Target::None,
        };
        let error = supervision.loss(outputs.logits()).unwrap_err().to_string();
        assert!(error.contains("needs labels"), "{error}");
        assert!(error.contains("at, ") && error.contains(" kd, "), "{error}");
        assert_eq!(task.count_right(&outputs.prediction, &Target::None), None);
    }

    #[test]
    fn predictions_that_do_not_fit_are_told() {
        let task = Classification::PLAIN;
        let told = |outputs: &Outputs| {
            let target = Target::labels(labels(&[0, 1, 2]));
            task.terms(outputs, &target).unwrap_err().to_string()
        };
        let error = told(&Outputs::from_logits(random("z", [2, 4])));
        assert!(
            error.contains("3 labels") && error.contains("[2, 4]"),
            "{error}"
        );
        let error = told(&Outputs {
            prediction: Feature::Map(random("z", [3, 4, 2, 2])),
            features: Default::default(),
        });
        assert!(error.contains("map [4, 2, 2]"), "{error}");
    }

    #[test]
    fn rows_are_those_of_both_networks() {
        let (a, b) = (random("a", [3, 4]), random("b", [3, 4]));
        let task = Classification::PLAIN;
        let feature = |logits: &Tensor<2>| Feature::Vector(logits.clone());
        let rows = task.rows(&feature(&a), Some(&feature(&b)), &Target::None);
        let rows = rows.unwrap();
        assert_eq!(rows.student.dims(), rows.teacher.unwrap().dims());
        let other = Feature::Vector(random("b", [3, 5]));
        let error = task.rows(&feature(&a), Some(&other), &Target::None);
        assert!(error.unwrap_err().to_string().contains("[3, 5]"));
    }

    #[test]
    fn right_images_are_counted_by_their_labels() {
        let logits = tensor(vec![1., 0., 0., 1., 2., 0.], [3, 2]);
        let target = Target::labels(labels(&[0, 0, 0]));
        let right = Classification::PLAIN.count_right(&Feature::Vector(logits), &target);
        assert_eq!(right, Some([2, 3]));
    }
}
