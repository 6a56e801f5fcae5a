//! The supervised loss.

use burn::tensor::{Int, Tensor, activation::log_softmax};

/// Cross entropy of `logits` `[B, K]` with the classes `labels` `[B]`, each in `0..K`, averaged
/// over the batch: `[1]`.
///
/// With smoothing ε (0..1) each label becomes 1 − ε on its class plus ε/K on every class
/// (Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7), as in
/// PyTorch's `cross_entropy`.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>, label_smoothing: f64) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let log_probabilities = log_softmax(logits, 1);
    let right = log_probabilities
        .clone()
        .gather(1, labels.reshape([batch, 1]))
        .sum();
    if label_smoothing == 0.0 {
        return right.div_scalar(-(batch as f64));
    }
    let spread = label_smoothing / classes as f64;
    let sum = right.mul_scalar(1.0 - label_smoothing) + log_probabilities.sum().mul_scalar(spread);
    sum.div_scalar(-(batch as f64))
}

/// Cross entropy of `logits` `[B, K]` with the distributions `targets` `[B, K]`, such as mixed
/// labels, averaged over the batch: `[1]`. Smoothing as in [`cross_entropy`].
pub fn soft_cross_entropy(
    logits: Tensor<2>,
    targets: Tensor<2>,
    label_smoothing: f64,
) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let targets = if label_smoothing == 0.0 {
        targets
    } else {
        targets
            .mul_scalar(1.0 - label_smoothing)
            .add_scalar(label_smoothing / classes as f64)
    };
    (targets * log_softmax(logits, 1))
        .sum()
        .div_scalar(-(batch as f64))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;

    fn matrix<const R: usize>(rows: [[f64; 3]; R]) -> Tensor<2> {
        Tensor::from_data(TensorData::from(rows), (&Device::flex(), DType::F64))
    }

    fn labels(labels: &[i64]) -> Tensor<1, Int> {
        Tensor::from_data(TensorData::from(labels), (&Device::flex(), DType::I64))
    }

    fn value(loss: Tensor<1>) -> f64 {
        loss.into_scalar::<f64>()
    }

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-12,
            "{found} is not {expected}"
        );
    }

    // Computed apart, in double precision:
    //   def log_softmax(z): m = max(z); s = m + log(sum(exp(x - m) for x in z)); return [x - s …]
    //   rows (0.5, -1, 2) label 2 and (0, 0, 0) label 0; ce = mean(-logp[label]);
    //   smoothed = (1 - e) * ce + e * mean(-sum(logp) / 3)
    const LOGITS: [[f64; 3]; 2] = [[0.5, -1.0, 2.0], [0.0, 0.0, 0.0]];
    const PLAIN: f64 = 0.669_961_792_662_633_4;
    const SMOOTHED: f64 = 0.744_961_792_662_633_5;

    #[test]
    fn classes_give_the_mean_negative_log_probability() {
        close(
            value(cross_entropy(matrix(LOGITS), labels(&[2, 0]), 0.0)),
            PLAIN,
        );
    }

    #[test]
    fn smoothing_spreads_a_share_over_all_classes() {
        close(
            value(cross_entropy(matrix(LOGITS), labels(&[2, 0]), 0.1)),
            SMOOTHED,
        );
    }

    #[test]
    fn distributions_that_are_certain_give_what_classes_give() {
        let targets = matrix([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
        for smoothing in [0.0, 0.1, 0.5] {
            close(
                value(soft_cross_entropy(
                    matrix(LOGITS),
                    targets.clone(),
                    smoothing,
                )),
                value(cross_entropy(matrix(LOGITS), labels(&[2, 0]), smoothing)),
            );
        }
    }

    #[test]
    fn mixed_labels_give_the_mixture_of_the_losses() {
        let mixed = matrix([[0.0, 0.3, 0.7], [0.4, 0.6, 0.0]]);
        let one = |row: usize, label: i64| {
            value(cross_entropy(matrix([LOGITS[row]]), labels(&[label]), 0.0))
        };
        let expected =
            (0.3 * one(0, 1) + 0.7 * one(0, 2) + 0.4 * one(1, 0) + 0.6 * one(1, 1)) / 2.0;
        close(
            value(soft_cross_entropy(matrix(LOGITS), mixed, 0.0)),
            expected,
        );
    }

    #[test]
    fn the_gradient_is_softmax_minus_target_over_the_batch() {
        let device = Device::flex().autodiff();
        let logits =
            Tensor::<2>::from_data(TensorData::from(LOGITS), (&device, DType::F64)).require_grad();
        let targets =
            Tensor::<1, Int>::from_data(TensorData::from([2_i64, 0]), (&device, DType::I64));
        let mut gradients = cross_entropy(logits.clone(), targets, 0.0).backward();
        let found: Vec<f64> = logits
            .grad_remove(&mut gradients)
            .unwrap()
            .into_data()
            .iter()
            .collect();
        let exps: Vec<f64> = LOGITS[0].iter().map(|z| z.exp()).collect();
        let sum: f64 = exps.iter().sum();
        let third = 1.0 / 3.0;
        let expected = [
            exps[0] / sum,
            exps[1] / sum,
            exps[2] / sum - 1.0,
            third - 1.0,
            third,
            third,
        ];
        for (found, expected) in found.into_iter().zip(expected) {
            close(found, expected / 2.0);
        }
    }

    #[test]
    fn great_logits_stay_finite() {
        let loss = cross_entropy(matrix([[1e4, -1e4, 0.0]]), labels(&[1]), 0.1);
        assert!(value(loss).is_finite());
    }
}
