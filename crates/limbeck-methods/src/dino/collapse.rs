//! Whether the teacher still tells images apart.
//!
//! Two ways of telling nothing lower the loss: one prototype for all images, and all prototypes alike
//! for each (Caron et al. 2021, section 5.3). The centre works against the first, the low temperature
//! against the second.

use burn::tensor::{DType, Device, Tensor};

use super::objective::{ViewTokens, class_outputs};

/// The mean output of one prototype has no entropy: below this share of log K there are hardly any
/// others. Ours; healthy runs are above a half.
const LEAST_VARIETY: f64 = 0.05;
/// Each output has an entropy of log K where all prototypes are alike: above this share of it. Ours.
const GREATEST_DOUBT: f64 = 0.99;
/// Epochs before which nothing is told: networks begin with the same output for all images, which
/// the centre then takes away.
const SETTLING: usize = 2;

/// Sums over the steps of an epoch.
#[derive(Clone, Debug)]
pub struct CollapseWatch {
    /// Σ over steps of the mean output, `[K]`.
    outputs: Tensor<1>,
    /// Σ over steps of the mean entropy, and the number of steps, `[2]`.
    entropies: Tensor<1>,
    told: bool,
}

impl CollapseWatch {
    /// Nothing seen of `prototypes` prototypes.
    pub fn new(prototypes: usize, device: &Device, dtype: DType) -> Self {
        Self {
            outputs: Tensor::zeros([prototypes], (device, dtype)),
            entropies: Tensor::zeros([2], (device, dtype)),
            told: false,
        }
    }

    /// Forgets the epoch before.
    pub fn begin_epoch(&mut self) {
        self.outputs = self.outputs.zeros_like();
        self.entropies = self.entropies.zeros_like();
    }

    /// Looks at the teacher's sharpened views; gives the mean entropy `[1]` of its outputs.
    pub fn look(&mut self, teacher: &[ViewTokens]) -> Option<Tensor<1>> {
        let (output, entropy) = class_outputs(teacher)?;
        let step = Tensor::cat(vec![entropy.clone(), entropy.ones_like()], 0);
        self.outputs = self.outputs.clone() + output;
        self.entropies = self.entropies.clone() + step;
        Some(entropy)
    }

    /// A sentence, once, where the epoch that has ended tells of a collapse; it is the epoch number
    /// `epoch`, counted from 1.
    pub fn warning(&mut self, method: &str, epoch: usize) -> Option<String> {
        if self.told || epoch < SETTLING {
            return None;
        }
        let sentence = self.sentence(method)?;
        self.told = true;
        Some(sentence)
    }

    fn sentence(&self, method: &str) -> Option<String> {
        let sums: Vec<f64> = self.entropies.to_data().iter::<f64>().collect();
        let &[entropy, steps] = &sums[..] else {
            return None;
        };
        if steps == 0.0 {
            return None;
        }
        let outputs: Vec<f64> = self.outputs.to_data().iter::<f64>().collect();
        let most = (outputs.len() as f64).ln();
        let of_mean: f64 = outputs.iter().map(|sum| surprise(sum / steps)).sum();
        let (variety, doubt) = (of_mean / most, entropy / steps / most);
        if variety < LEAST_VARIETY {
            return Some(format!(
                "method `{method}`: collapse: the teacher gives all images the same prototype (its \
                 mean output has {:.1} % of the greatest entropy); lower centre_momentum or the \
                 learning rate, or raise teacher_temperature",
                100.0 * variety
            ));
        }
        (doubt > GREATEST_DOUBT).then(|| {
            format!(
                "method `{method}`: collapse: the teacher finds all prototypes alike for each image \
                 ({:.1} % of the greatest entropy); lower teacher_temperature, or momentum in a \
                 short run, or raise the learning rate",
                100.0 * doubt
            )
        })
    }

    /// Both sums, for checkpoints.
    pub fn sums(&self) -> [Tensor<1>; 2] {
        [self.outputs.clone(), self.entropies.clone()]
    }

    /// Takes them back; `false` where they do not fit.
    pub fn restore(&mut self, [outputs, entropies]: [Tensor<1>; 2]) -> bool {
        let fits = outputs.dims() == self.outputs.dims() && entropies.dims() == [2];
        if fits {
            self.outputs = outputs.to_device(&self.outputs.device());
            self.entropies = entropies.to_device(&self.entropies.device());
        }
        fits
    }
}

/// −p · log p, 0 at 0.
fn surprise(probability: f64) -> f64 {
    match probability > 0.0 {
        true => -probability * probability.ln(),
        false => 0.0,
    }
}
