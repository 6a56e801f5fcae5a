//! Mean cross entropy of the pixels.

use limbeck_report::Measure;

/// Mean cross entropy with the right masks, in nats for a pixel, without weights of classes.
#[derive(Clone, Copy, Debug, Default)]
pub struct PixelLoss {
    sum: f64,
    pixels: u64,
}

impl PixelLoss {
    /// Takes in the cross entropies of `pixels` pixels, added.
    pub fn add(&mut self, sum: f64, pixels: u64) {
        self.sum += sum;
        self.pixels += pixels;
    }

    /// Their mean; `None` without pixels.
    pub fn measure(&self) -> Option<Measure> {
        let value = self.sum / self.pixels as f64;
        let measure = Measure::cost("loss", "cross entropy", "mean over pixels", "nats", value);
        (self.pixels > 0).then_some(measure)
    }
}
