//! Mean cross entropy.

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
