//! All metrics of a classifier together.

use limbeck_nn::{Feature, Taps};
use limbeck_report::{Classification, Details, Evaluation, Measure};

use super::{EMBEDDING, Meter, MetricError, Prediction, Seen, classifier_metrics};
use crate::recipe::ChooseBy;

/// What a classifier said of one image.
pub struct Answer<'a> {
    /// Logits `[K]`, before any softmax.
    pub logits: &'a [f32],
    /// What they say.
    pub prediction: Prediction,
    /// The right class.
    pub label: usize,
    /// The class that the teacher chooses, where there is one.
    pub teacher: Option<usize>,
    /// The embedding `[D]`, where recall is measured.
    pub embedding: Option<&'a [f32]>,
}

/// What the metrics of a classifier found.
#[derive(Debug, Default)]
pub struct Found {
    /// The measures, in the order in which they are told.
    pub measures: Vec<Measure>,
    /// Share right of each class, in percent; `None` for one without images.
    pub per_class: Vec<Option<f64>>,
    /// What the page's section of classifiers shows.
    pub details: Classification,
}

/// A metric of a classifier, image by image.
pub trait Metric {
    /// Takes in one image.
    fn add(&mut self, answer: &Answer<'_>);

    /// Notes what was measured.
    ///
    /// # Errors
    /// What cannot be measured, such as embeddings that are not finite.
    fn finish(self: Box<Self>, found: &mut Found) -> Result<(), MetricError>;
}

/// Feeds every metric of a classifier.
pub struct ClassificationMeter {
    classes: usize,
    by_recall: bool,
    metrics: Vec<Box<dyn Metric>>,
}

impl ClassificationMeter {
    /// No images of `classes` classes so far. What epochs are chosen by comes first.
    pub fn new(classes: usize, choose_by: ChooseBy) -> Self {
        Self {
            classes,
            by_recall: choose_by == ChooseBy::Recall,
            metrics: classifier_metrics(classes, choose_by),
        }
    }

    /// Takes in some images: `logits` `[B, K]` row-major, `labels` `[B]` in `0..K`, the classes `[B]`
    /// that the teacher chooses if there is one, and the embeddings `[B, D]` if recall is measured.
    fn add_rows(
        &mut self,
        logits: &[f32],
        labels: &[i64],
        teacher: Option<&[usize]>,
        embeddings: Option<&[f32]>,
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
        if let Some(teacher) = teacher {
            has_length("choices of the teacher", teacher.len(), images)?;
        }
        let label_of = |(image, &label): (usize, &i64)| {
            let class = usize::try_from(label).ok();
            let class = class.filter(|&class| class < classes);
            class.ok_or(MetricError::Label {
                label,
                image,
                classes,
            })
        };
        let labels: Vec<usize> = labels
            .iter()
            .enumerate()
            .map(label_of)
            .collect::<Result<_, _>>()?;
        let width = embeddings.map_or(0, |all| all.len() / images.max(1));
        for (image, (&label, logits)) in
            labels.iter().zip(logits.chunks(classes.max(1))).enumerate()
        {
            let answer = Answer {
                logits,
                prediction: Prediction::read(logits),
                label,
                teacher: teacher.map(|teacher| teacher[image]),
                embedding: embeddings.map(|all| &all[image * width..(image + 1) * width]),
            };
            for metric in &mut self.metrics {
                metric.add(&answer);
            }
        }
        Ok(())
    }
}

impl Meter for ClassificationMeter {
    fn taps(&self) -> Taps {
        match self.by_recall {
            true => Taps::from_iter([EMBEDDING]),
            false => Taps::none(),
        }
    }

    fn add(&mut self, seen: &Seen<'_>) -> Result<(), MetricError> {
        let read = |values: burn::tensor::Tensor<2>| -> Vec<f32> {
            values.into_data().iter::<f32>().collect()
        };
        let embeddings = seen.outputs.feature(EMBEDDING).and_then(Feature::to_vector);
        let embeddings = embeddings.filter(|_| self.by_recall).map(read);
        let teacher: Option<Vec<usize>> = seen.teacher.map(|teacher| {
            let choices = teacher.choices.iter().skip(seen.first);
            choices
                .take(seen.labels.len())
                .map(|choice| choice.class)
                .collect()
        });
        self.add_rows(
            &read(seen.outputs.logits()),
            seen.labels,
            teacher.as_deref(),
            embeddings.as_deref(),
        )
    }

    fn finish(self: Box<Self>) -> Result<Evaluation, MetricError> {
        let mut found = Found::default();
        for metric in self.metrics {
            metric.finish(&mut found)?;
        }
        Ok(Evaluation {
            measures: found.measures,
            per_class: found.per_class,
            details: Details::Classification(found.details),
        })
    }
}

#[cfg(test)]
mod tests {
    use limbeck_report::AGREEMENT;
    use proptest::prelude::*;

    use super::*;

    fn meter(classes: usize) -> Box<ClassificationMeter> {
        Box::new(ClassificationMeter::new(classes, ChooseBy::Accuracy))
    }

    fn value(found: &Evaluation, name: &str) -> f64 {
        found.value(name).unwrap()
    }

    fn details(found: &Evaluation) -> &Classification {
        found.details.classification().unwrap()
    }

    #[test]
    fn a_small_case_agrees_with_a_calculation_by_hand() {
        let mut meter = meter(6);
        let ln3 = 3.0_f32.ln();
        // Image 0: class 1 with probability 3/8, right. Image 1: the same, label 5 is last of
        // equals and thus sixth. Image 2: label 0, second.
        let row = [0.0, ln3, 0.0, 0.0, 0.0, 0.0];
        let rows = [row, row, row].concat();
        meter
            .add_rows(&rows, &[1, 5, 0], Some(&[1, 1, 2]), None)
            .unwrap();
        let found = meter.finish().unwrap();
        let third = 100.0 / 3.0;
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-5, "{found}");
        assert_eq!(found.first().unwrap().name, "top1");
        assert_eq!(found.first().unwrap().chance, Some(100.0 / 6.0));
        close(value(&found, "top1"), third);
        close(value(&found, "top5"), 2.0 * third);
        close(value(&found, AGREEMENT), 2.0 * third);
        close(
            value(&found, "loss"),
            ((8.0_f64 / 3.0).ln() + 2.0 * 8.0_f64.ln()) / 3.0,
        );
        close(
            value(&found, "calibration_error"),
            100.0 * (0.375 - 1.0 / 3.0),
        );
        for class in [0, 1, 5] {
            assert_eq!(details(&found).confusion[class][&1], 1);
        }
        assert_eq!(
            found.per_class,
            [Some(0.0), Some(100.0), None, None, None, Some(0.0)]
        );
    }

    #[test]
    fn of_five_classes_the_top_five_are_not_told() {
        let mut meter = meter(3);
        let rows = [0.0, 1.0, 2.0, 0.0, 1.0, 2.0];
        meter.add_rows(&rows, &[0, 2], None, None).unwrap();
        let found = meter.finish().unwrap();
        assert_eq!(value(&found, "top1"), 50.0);
        assert_eq!(found.value("top5"), None);
        assert_eq!(found.value(AGREEMENT), None);
    }

    #[test]
    fn an_image_with_nan_logits_is_wrong_everywhere_and_shows_in_the_loss() {
        let mut meter = meter(2);
        let rows = [f32::NAN, 0.0, 0.0, 9.0];
        meter.add_rows(&rows, &[0, 1], Some(&[0, 1]), None).unwrap();
        let found = meter.finish().unwrap();
        assert_eq!(value(&found, "top1"), 50.0);
        assert_eq!(value(&found, AGREEMENT), 50.0);
        assert!(value(&found, "loss").is_nan());
        assert_eq!(details(&found).calibration[0], (1, 0.0, 0.0));
        assert_eq!(details(&found).confusion, [[].into(), [(1, 1)].into()]);
    }

    #[test]
    fn nothing_measured_is_all_zeros() {
        let found = meter(2).finish().unwrap();
        for name in ["top1", "loss", "calibration_error"] {
            assert_eq!(value(&found, name), 0.0, "{name}");
        }
        assert_eq!(found.value(AGREEMENT), None);
    }

    #[test]
    fn with_recall_it_comes_first() {
        let mut meter = Box::new(ClassificationMeter::new(2, ChooseBy::Recall));
        let rows = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
        let embeddings = [0.0, 1.0, 5.0, 0.0, 0.0, 2.0];
        meter
            .add_rows(&rows, &[0, 1, 0], None, Some(&embeddings))
            .unwrap();
        let found = meter.finish().unwrap();
        let names: Vec<&str> = found
            .measures
            .iter()
            .map(|found| found.name.as_str())
            .collect();
        assert_eq!(names[..3], ["recall_at_1", "recall_at_2", "top1"]);
        assert!((found.score() - 200.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn lengths_and_labels_that_do_not_fit_are_refused_and_nothing_is_taken_in() {
        let mut meter = meter(2);
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
            let error = meter
                .add_rows(&logits, &labels, teacher.as_deref(), None)
                .unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert_eq!(
            meter.finish().unwrap(),
            super::tests::meter(2).finish().unwrap()
        );
    }

    type Image = (Vec<f32>, i64, usize);

    fn evaluate(images: &[Image], group: usize) -> Evaluation {
        let mut meter = meter(7);
        for images in images.chunks(group) {
            let logits: Vec<f32> = images.iter().flat_map(|image| image.0.clone()).collect();
            let labels: Vec<i64> = images.iter().map(|image| image.1).collect();
            let teacher: Vec<usize> = images.iter().map(|image| image.2).collect();
            meter
                .add_rows(&logits, &labels, Some(&teacher), None)
                .unwrap();
        }
        meter.finish().unwrap()
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
            prop_assert_eq!(&details(&at_once).confusion, &details(&in_parts).confusion);
            prop_assert_eq!(&at_once.per_class, &in_parts.per_class);
            for name in ["top1", "top5", AGREEMENT] {
                prop_assert_eq!(value(&at_once, name), value(&in_parts, name));
            }
            let loss = value(&at_once, "loss");
            prop_assert!((loss - value(&in_parts, "loss")).abs() < 1e-12 * loss.max(1.0));
            let error = "calibration_error";
            prop_assert!((value(&at_once, error) - value(&in_parts, error)).abs() < 1e-10);
            let top1 = value(&at_once, "top1");
            prop_assert!(top1 <= value(&at_once, "top5") && value(&at_once, "top5") <= 100.0);
            let right: u64 = details(&at_once)
                .confusion
                .iter()
                .enumerate()
                .map(|(class, row)| row.get(&class).copied().unwrap_or(0))
                .sum();
            prop_assert_eq!(top1, 100.0 * right as f64 / images.len() as f64);
        }
    }
}
