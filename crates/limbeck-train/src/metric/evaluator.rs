//! All metrics of a classifier together.

use limbeck_report::Evaluation;

use super::{Agreement, Calibration, Confusion, MeanLoss, Prediction, TopK};

/// Errors of metrics.
#[derive(Debug, thiserror::Error)]
pub enum MetricError {
    /// Logits, labels and choices of different numbers of images.
    #[error("expected {expected} {what} for {images} images of {classes} classes, found {found}")]
    Length {
        /// `logits` or `choices of the teacher`.
        what: &'static str,
        /// Number that fits the labels.
        expected: usize,
        /// Number given.
        found: usize,
        /// Number of labels.
        images: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A label that is no class.
    #[error("label {label} of image {image} is not one of the classes 0..{classes}")]
    Label {
        /// The label.
        label: i64,
        /// Index in what was added.
        image: usize,
        /// Number of classes.
        classes: usize,
    },
}

/// Gathers every metric of [`Evaluation`].
#[derive(Clone, Debug)]
pub struct Evaluator {
    classes: usize,
    top1: TopK,
    top5: TopK,
    loss: MeanLoss,
    agreement: Agreement,
    calibration: Calibration,
    confusion: Confusion,
}

impl Evaluator {
    /// No images of `classes` classes so far.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            top1: TopK::new(1),
            top5: TopK::new(5),
            loss: MeanLoss::default(),
            agreement: Agreement::default(),
            calibration: Calibration::default(),
            confusion: Confusion::new(classes),
        }
    }

    /// Takes in some images: `logits` `[B, K]` row-major, `labels` `[B]` in `0..K`, and the
    /// classes `[B]` that the teacher chooses if there is one. Agreement is taken over the images
    /// for which the teacher's choice was given.
    ///
    /// # Errors
    /// Lengths that do not fit, a label out of range; nothing is taken in then.
    pub fn add(
        &mut self,
        logits: &[f32],
        labels: &[i64],
        teacher_choice: Option<&[usize]>,
    ) -> Result<(), MetricError> {
        let classes = self.classes;
        let images = labels.len();
        let has_length = |what, found, expected| {
            if found == expected {
                return Ok(());
            }
            Err(MetricError::Length {
                what,
                expected,
                found,
                images,
                classes,
            })
        };
        has_length("logits", logits.len(), images * classes)?;
        if let Some(choice) = teacher_choice {
            has_length("choices of the teacher", choice.len(), images)?;
        }
        let labels: Vec<usize> = labels
            .iter()
            .enumerate()
            .map(|(image, &label)| {
                usize::try_from(label)
                    .ok()
                    .filter(|&label| label < classes)
                    .ok_or(MetricError::Label {
                        label,
                        image,
                        classes,
                    })
            })
            .collect::<Result<_, _>>()?;
        for (image, (&label, logits)) in
            labels.iter().zip(logits.chunks(classes.max(1))).enumerate()
        {
            self.add_image(logits, label, teacher_choice.map(|choice| choice[image]));
        }
        Ok(())
    }

    fn add_image(&mut self, logits: &[f32], label: usize, teacher: Option<usize>) {
        let prediction = Prediction::read(logits);
        self.top1.add(&prediction, logits, label);
        self.top5.add(&prediction, logits, label);
        self.loss.add(prediction.loss(logits, label));
        self.calibration
            .add(prediction.confidence, prediction.class == Some(label));
        self.confusion.add(label, prediction.class);
        if let Some(teacher) = teacher {
            self.agreement.add(prediction.class, teacher);
        }
    }

    /// What was measured; zeros without images.
    pub fn finish(self) -> Evaluation {
        Evaluation {
            top1: self.top1.percent(),
            top5: self.top5.percent(),
            recall: Vec::new(),
            loss: self.loss.mean(),
            calibration_error: self.calibration.error(),
            agreement: self.agreement.percent(),
            calibration: self.calibration.bins(),
            confusion: self.confusion.into_counts(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_case_agrees_with_a_calculation_by_hand() {
        let mut evaluator = Evaluator::new(6);
        let ln3 = 3.0_f32.ln();
        // Image 0: class 1 with probability 3/8, right. Image 1: the same, label 5 is last of
        // equals and thus sixth. Image 2: label 0, second.
        let row = [0.0, ln3, 0.0, 0.0, 0.0, 0.0];
        evaluator
            .add(&[row, row, row].concat(), &[1, 5, 0], Some(&[1, 1, 2]))
            .unwrap();
        let found = evaluator.finish();
        let third = 100.0 / 3.0;
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-5, "{found}");
        close(found.top1, third);
        close(found.top5, 2.0 * third);
        close(found.agreement.unwrap(), 2.0 * third);
        close(
            found.loss,
            ((8.0_f64 / 3.0).ln() + 2.0 * 8.0_f64.ln()) / 3.0,
        );
        close(found.calibration_error, 100.0 * (0.375 - 1.0 / 3.0));
        assert_eq!(found.confusion[1][1], 1);
        assert_eq!(found.confusion[5][1], 1);
        assert_eq!(found.confusion[0][1], 1);
    }

    #[test]
    fn with_fewer_than_five_classes_the_top_five_are_all_of_them() {
        let mut evaluator = Evaluator::new(3);
        evaluator
            .add(&[0.0, 1.0, 2.0, 0.0, 1.0, 2.0], &[0, 2], None)
            .unwrap();
        let found = evaluator.finish();
        assert_eq!((found.top1, found.top5), (50.0, 100.0));
        assert_eq!(found.agreement, None);
    }

    #[test]
    fn an_image_with_nan_logits_is_wrong_everywhere_and_shows_in_the_loss() {
        let mut evaluator = Evaluator::new(2);
        evaluator
            .add(&[f32::NAN, 0.0, 0.0, 9.0], &[0, 1], Some(&[0, 1]))
            .unwrap();
        let found = evaluator.finish();
        assert_eq!((found.top1, found.top5), (50.0, 50.0));
        assert_eq!(found.agreement, Some(50.0));
        assert!(found.loss.is_nan());
        assert_eq!(found.calibration[0], (1, 0.0, 0.0));
        assert_eq!(found.confusion, [[0, 0], [0, 1]]);
    }

    #[test]
    fn nothing_measured_is_all_zeros() {
        let found = Evaluator::new(2).finish();
        assert_eq!((found.top1, found.top5, found.loss), (0.0, 0.0, 0.0));
        assert_eq!((found.calibration_error, found.agreement), (0.0, None));
    }

    #[test]
    fn lengths_and_labels_that_do_not_fit_are_refused_and_nothing_is_taken_in() {
        let mut evaluator = Evaluator::new(2);
        for (logits, labels, teacher, expected) in [
            (vec![0.0; 3], vec![0, 1], None, "expected 4 logits"),
            (vec![0.0; 4], vec![0, 2], None, "label 2 of image 1"),
            (vec![0.0; 4], vec![-1, 0], None, "label -1 of image 0"),
            (
                vec![0.0; 4],
                vec![0, 1],
                Some(vec![1]),
                "expected 2 choices",
            ),
        ] {
            let error = evaluator
                .add(&logits, &labels, teacher.as_deref())
                .unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert_eq!(evaluator.finish(), Evaluator::new(2).finish());
    }

    type Image = (Vec<f32>, i64, usize);

    fn evaluate(images: &[Image], group: usize) -> Evaluation {
        let mut evaluator = Evaluator::new(7);
        for images in images.chunks(group) {
            let logits: Vec<f32> = images.iter().flat_map(|image| image.0.clone()).collect();
            let labels: Vec<i64> = images.iter().map(|image| image.1).collect();
            let teacher: Vec<usize> = images.iter().map(|image| image.2).collect();
            evaluator.add(&logits, &labels, Some(&teacher)).unwrap();
        }
        evaluator.finish()
    }

    proptest! {
        #[test]
        fn order_and_grouping_change_nothing(
            images in proptest::collection::vec(
                (proptest::collection::vec(-3_i8..4, 7), 0_i64..7, 0_usize..7),
                1..40,
            ),
            group in 1_usize..9,
        ) {
            let mut images: Vec<Image> = images
                .into_iter()
                .map(|(logits, label, teacher)| {
                    (logits.into_iter().map(f32::from).collect(), label, teacher)
                })
                .collect();
            let at_once = evaluate(&images, images.len());
            images.reverse();
            let in_parts = evaluate(&images, group);
            prop_assert_eq!(&at_once.confusion, &in_parts.confusion);
            prop_assert_eq!(at_once.top1, in_parts.top1);
            prop_assert_eq!(at_once.top5, in_parts.top5);
            prop_assert_eq!(at_once.agreement, in_parts.agreement);
            prop_assert!((at_once.loss - in_parts.loss).abs() < 1e-12 * at_once.loss.max(1.0));
            let gap = at_once.calibration_error - in_parts.calibration_error;
            prop_assert!(gap.abs() < 1e-10);
            prop_assert!(at_once.top1 <= at_once.top5 && at_once.top5 <= 100.0);
            let right: u64 = (0..7).map(|class| at_once.confusion[class][class]).sum();
            prop_assert_eq!(at_once.top1, 100.0 * right as f64 / images.len() as f64);
        }
    }
}
