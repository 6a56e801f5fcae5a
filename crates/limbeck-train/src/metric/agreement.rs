//! How often two networks choose the same class.

use limbeck_report::{AGREEMENT, Measure};

use super::{Answer, Found, Metric, MetricError, percent};

/// Share of images on which student and teacher choose the same class, right or wrong.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    same: u64,
    images: u64,
}

impl Agreement {
    /// Takes in the choices of both for one image.
    pub fn add(&mut self, student: Option<usize>, teacher: usize) {
        self.images += 1;
        self.same += u64::from(student == Some(teacher));
    }

    /// In percent; `None` without images.
    pub fn measure(&self) -> Option<Measure> {
        let value = percent(self.same, self.images);
        let title = "agreement with the teacher";
        (self.images > 0).then(|| Measure::percent(AGREEMENT, title, "same class chosen", value))
    }
}

impl Metric for Agreement {
    fn add(&mut self, answer: &Answer<'_>) {
        if let Some(teacher) = answer.teacher {
            self.add(answer.prediction.class, teacher);
        }
    }

    fn finish(self: Box<Self>, found: &mut Found) -> Result<(), MetricError> {
        found.measures.extend(self.measure());
        Ok(())
    }
}
