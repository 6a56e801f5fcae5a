//! What can be measured of a network on images without labels: how like its teacher it answers.

use limbeck_report::{Details, Evaluation, Measure};

use super::{Agreement, Meter, MetricError, Prediction, Seen};

/// Agreement with the teacher, and how far the student's probabilities are from its own. Without a
/// teacher, nothing is measured.
#[derive(Debug, Default)]
pub struct WithoutLabels {
    agreement: Agreement,
    divergence: f64,
    images: usize,
}

impl WithoutLabels {
    /// Takes in the logits `[K]` of both for one image, and the teacher's choice.
    fn add_image(&mut self, student: &[f32], teacher: &[f32], choice: usize) {
        self.images += 1;
        self.agreement.add(Prediction::read(student).class, choice);
        self.divergence += divergence(teacher, student);
    }
}

impl Meter for WithoutLabels {
    fn add(&mut self, seen: &Seen<'_>) -> Result<(), MetricError> {
        let Some(teacher) = seen.teacher else {
            return Ok(());
        };
        let [images, classes] = seen.outputs.logits().dims();
        let logits: Vec<f32> = seen.outputs.logits().into_data().iter::<f32>().collect();
        let choices = teacher.choices.get(seen.first..seen.first + images);
        let taught = teacher
            .logits
            .get(seen.first * classes..(seen.first + images) * classes);
        let (Some(choices), Some(taught)) = (choices, taught) else {
            return Err(MetricError::Length {
                what: "answers of the teacher",
                expected: images,
                found: teacher.choices.len().saturating_sub(seen.first),
                images,
                classes,
            });
        };
        let rows = logits.chunks(classes).zip(taught.chunks(classes));
        for ((student, teacher), choice) in rows.zip(choices) {
            self.add_image(student, teacher, choice.class);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Evaluation, MetricError> {
        let mut measures: Vec<Measure> = self.agreement.measure().into_iter().collect();
        if self.images > 0 {
            measures.push(Measure::cost(
                "divergence",
                "divergence from the teacher",
                "Kullback-Leibler, of the probabilities",
                "nats",
                self.divergence / self.images as f64,
            ));
        }
        Ok(Evaluation {
            measures,
            per_class: Vec::new(),
            details: Details::None,
        })
    }
}

/// Kullback-Leibler divergence of the student's distribution from the teacher's,
/// Σ p_t (ln p_t − ln p_s), in nats; NaN where logits are no distribution.
fn divergence(teacher: &[f32], student: &[f32]) -> f64 {
    let (of_teacher, of_student) = (Prediction::read(teacher), Prediction::read(student));
    (0..teacher.len())
        .map(|class| {
            // A class's loss is −ln of its probability.
            let (ln_teacher, ln_student) = (
                -of_teacher.loss(teacher, class),
                -of_student.loss(student, class),
            );
            let probability = ln_teacher.exp();
            match probability {
                0.0 => 0.0,
                _ => probability * (ln_teacher - ln_student),
            }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use limbeck_report::AGREEMENT;

    use super::*;

    #[test]
    fn the_first_measure_is_agreement_and_the_second_divergence() {
        let mut meter = Box::new(WithoutLabels::default());
        let ln = f32::ln;
        // Teacher 3/4, 1/4; students the same, and 1/4, 3/4.
        let teacher = [ln(3.0), 0.0];
        meter.add_image(&[ln(3.0), 0.0], &teacher, 0);
        meter.add_image(&[0.0, ln(3.0)], &teacher, 0);
        let found = meter.finish().unwrap();
        assert_eq!(found.first().unwrap().name, AGREEMENT);
        assert_eq!(found.score(), 50.0);
        // 3/4 · ln 3 − 1/4 · ln 3 of the second, nothing of the first.
        let expected = 0.5 * 3.0_f64.ln() / 2.0;
        assert!((found.value("divergence").unwrap() - expected).abs() < 1e-6);
        assert!(found.details.is_none() && found.per_class.is_empty());
    }

    #[test]
    fn a_class_that_the_teacher_rules_out_adds_nothing() {
        let ruled_out = [0.0, f32::NEG_INFINITY];
        assert_eq!(divergence(&ruled_out, &[0.0, 0.0]), 2.0_f64.ln());
        assert_eq!(divergence(&[0.0, 0.0], &ruled_out), f64::INFINITY);
        assert!(divergence(&[0.0, f32::NAN], &[0.0, 0.0]).is_nan());
    }

    #[test]
    fn without_a_teacher_nothing_is_measured() {
        let found = Box::new(WithoutLabels::default()).finish().unwrap();
        assert!(found.measures.is_empty() && found.score().is_nan());
    }
}
