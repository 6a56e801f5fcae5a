//! A distribution over classes as a store of sparse logits keeps it.

use burn::tensor::{DType, Device, Tensor, TensorData, activation::softmax};
use half::f16;
use limbeck_nn::{Largest, layer::cross_entropy_with_shares};

use crate::MethodError;

/// The largest probabilities of each image, and one number for every other class.
#[derive(Clone, Debug)]
pub struct SparseTarget {
    /// Number of classes C.
    pub classes: usize,
    /// Number of kept probabilities K.
    pub topk: usize,
    /// Classes with the largest probabilities, from the largest down, `[B, K]` in a row.
    pub index: Vec<usize>,
    /// Their probabilities in half precision, `[B, K]` in a row.
    pub value: Vec<f64>,
    /// Probability of each of the other C − K classes, `[B]`; may be a little below 0.
    pub minor: Vec<f64>,
    device: Device,
    dtype: DType,
}

impl SparseTarget {
    /// Cuts the softmax of `logits` `[B, C]` to its `topk` largest probabilities, of equal ones
    /// those of the first classes. `0 < topk < C`.
    ///
    /// # Errors
    /// Logits that are not numbers.
    pub fn cut(logits: Tensor<2>, topk: usize, clamp_minor: bool) -> Result<Self, MethodError> {
        let [batch, classes] = logits.dims();
        let (device, dtype) = (logits.device(), logits.dtype());
        let data = softmax(logits, 1).into_data();
        if let Some(found) = data.iter::<f64>().find(|p| !p.is_finite()) {
            return Err(MethodError::Batch {
                method: "tinyvit",
                reason: format!("the teacher gives probabilities of {found}"),
            });
        }
        let mut target = Self {
            classes,
            topk,
            index: Vec::with_capacity(batch * topk),
            value: Vec::with_capacity(batch * topk),
            minor: Vec::with_capacity(batch),
            device,
            dtype,
        };
        match data.as_slice::<f32>() {
            Ok(probabilities) => {
                let mut largest = Largest::default();
                for row in probabilities.chunks_exact(classes) {
                    let kept = largest.find(row, topk).iter();
                    target.keep(kept.map(|&(class, p)| (class as usize, f64::from(p))));
                }
            }
            Err(_) => {
                let probabilities: Vec<f64> = data.iter::<f64>().collect();
                for row in probabilities.chunks_exact(classes) {
                    let mut order: Vec<usize> = (0..classes).collect();
                    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
                    order.truncate(topk);
                    target.keep(order.into_iter().map(|class| (class, row[class])));
                }
            }
        }
        if clamp_minor {
            for minor in &mut target.minor {
                *minor = minor.max(0.0);
            }
        }
        Ok(target)
    }

    /// Adds an image with these classes and their probabilities.
    fn keep(&mut self, kept: impl Iterator<Item = (usize, f64)>) {
        let mut sum = 0.0;
        for (class, probability) in kept {
            let probability = f64::from(f16::from_f64(probability));
            sum += probability;
            self.index.push(class);
            self.value.push(probability);
        }
        let others = (self.classes - self.topk) as f64;
        self.minor.push((1.0 - sum) / others);
    }

    /// Mean over the batch of the cross entropy of `logits` `[B, C]` with this target. Result
    /// `[1]`.
    pub fn cross_entropy(&self, logits: Tensor<2>) -> Tensor<1> {
        let batch = self.minor.len();
        let target = match self.dtype {
            DType::F32 => TensorData::new(self.dense(|p| p as f32), [batch, self.classes]),
            _ => TensorData::new(self.dense(|p| p), [batch, self.classes]),
        };
        let target = Tensor::from_data(target, (&self.device, self.dtype));
        cross_entropy_with_shares(logits, target).mul_scalar(1.0 / batch as f64)
    }

    /// The whole target, `[B, C]` in a row.
    pub fn dense<T: Copy>(&self, number: impl Fn(f64) -> T) -> Vec<T> {
        let mut dense = Vec::with_capacity(self.minor.len() * self.classes);
        let kept = self.index.chunks_exact(self.topk);
        let kept = kept.zip(self.value.chunks_exact(self.topk));
        for (&minor, (index, value)) in self.minor.iter().zip(kept) {
            let start = dense.len();
            dense.resize(start + self.classes, number(minor));
            for (&class, &value) in index.iter().zip(value) {
                dense[start + class] = number(value);
            }
        }
        dense
    }
}
