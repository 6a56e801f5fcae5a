//! A distribution over classes as a store of sparse logits keeps it.

use burn::tensor::{
    Int, Tensor, TensorData,
    activation::{log_softmax, softmax},
};
use half::f16;

use crate::MethodError;

/// The largest probabilities of each image, and one number for every other class.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct SparseTarget {
    /// Number of classes C.
    pub classes: usize,
    /// Classes with the largest probabilities, from the largest down, `[B, K]`.
    pub index: Tensor<2, Int>,
    /// Their probabilities in half precision, `[B, K]`.
    pub value: Tensor<2>,
    /// Probability of each of the other C − K classes, `[B, 1]`; may be a little below 0.
    pub minor: Tensor<2>,
}

impl SparseTarget {
    /// Cuts the softmax of `logits` `[B, C]` to its `topk` largest probabilities, of equal ones
    /// those of the first classes. `0 < topk < C`.
    ///
    /// # Errors
    /// Logits that are not numbers.
    pub fn cut(logits: Tensor<2>, topk: usize, clamp_minor: bool) -> Result<Self, MethodError> {
        let [batch, classes] = logits.dims();
        let options = (logits.device(), logits.dtype());
        let data = softmax(logits, 1).into_data();
        let probabilities: Vec<f64> = data.iter::<f64>().collect();
        if let Some(found) = probabilities.iter().find(|p| !p.is_finite()) {
            return Err(MethodError::Batch {
                method: "tinyvit",
                reason: format!("the teacher gives probabilities of {found}"),
            });
        }
        let mut index = Vec::with_capacity(batch * topk);
        let mut value = Vec::with_capacity(batch * topk);
        let mut minor = Vec::with_capacity(batch);
        for row in probabilities.chunks_exact(classes) {
            let mut order: Vec<usize> = (0..classes).collect();
            let ahead = |a: &usize, b: &usize| row[*b].total_cmp(&row[*a]).then(a.cmp(b));
            order.select_nth_unstable_by(topk - 1, ahead);
            order.truncate(topk);
            order.sort_unstable_by(ahead);
            let kept = || {
                order
                    .iter()
                    .map(|&class| f64::from(f16::from_f64(row[class])))
            };
            let left = (1.0 - kept().sum::<f64>()) / (classes - topk) as f64;
            minor.push(if clamp_minor { left.max(0.0) } else { left });
            value.extend(kept());
            index.extend(order.iter().map(|&class| class as i64));
        }
        let device = &options.0;
        Ok(Self {
            classes,
            index: Tensor::from_data(TensorData::new(index, [batch, topk]), device),
            value: Tensor::from_data(TensorData::new(value, [batch, topk]), (device, options.1)),
            minor: Tensor::from_data(TensorData::new(minor, [batch, 1]), (device, options.1)),
        })
    }

    /// Mean over the batch of the cross entropy of `logits` `[B, C]` with this target. Result
    /// `[1]`.
    pub fn cross_entropy(&self, logits: Tensor<2>) -> Tensor<1> {
        let [batch, _] = logits.dims();
        let own = log_softmax(logits, 1);
        let all = own.clone().sum_dim(1) * self.minor.clone();
        let kept = own.gather(1, self.index.clone()) * (self.value.clone() - self.minor.clone());
        (all.sum() + kept.sum()).mul_scalar(-1.0 / batch as f64)
    }

    /// The whole target, `[B, C]`, row-major.
    #[cfg(test)]
    pub fn dense(&self) -> Vec<f64> {
        let [batch, topk] = self.index.dims();
        let index: Vec<i64> = self.index.to_data().iter::<i64>().collect();
        let value: Vec<f64> = self.value.to_data().iter::<f64>().collect();
        let minor = self.minor.to_data();
        let mut dense: Vec<f64> = minor
            .iter::<f64>()
            .flat_map(|minor| std::iter::repeat_n(minor, self.classes))
            .collect();
        for (place, (class, value)) in index.into_iter().zip(value).enumerate() {
            dense[place / topk * self.classes + class as usize] = value;
        }
        debug_assert_eq!(dense.len(), batch * self.classes);
        dense
    }
}
