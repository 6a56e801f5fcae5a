//! Mean cross entropy.

use limbeck_report::Measure;

use super::{Answer, Found, Metric, MetricError};

/// Mean cross entropy with the right classes, in nats.
#[derive(Clone, Debug, Default)]
pub struct MeanLoss {
    sum: f64,
    images: u64,
}

impl MeanLoss {
    /// Takes in the loss of one image, in nats.
    pub fn add(&mut self, loss: f64) {
        self.sum += loss;
        self.images += 1;
    }

    /// The mean; 0 without images.
    pub fn mean(&self) -> f64 {
        if self.images == 0 {
            return 0.0;
        }
        self.sum / self.images as f64
    }
}

impl Metric for MeanLoss {
    fn add(&mut self, answer: &Answer<'_>) {
        self.add(answer.prediction.loss(answer.logits, answer.label));
    }

    fn finish(self: Box<Self>, found: &mut Found) -> Result<(), MetricError> {
        let meaning = "with the right classes";
        found.measures.push(Measure::cost(
            "loss",
            "cross entropy",
            meaning,
            "nats",
            self.mean(),
        ));
        Ok(())
    }
}
