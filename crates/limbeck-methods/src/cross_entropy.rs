//! The cross entropy with labels: the only one, whoever learns from them.

use burn::tensor::{Int, Tensor, activation::log_softmax};

/// Cross entropy of `logits` `[B, K]` with the classes `labels` `[B]`, each in `0..K`, or with the
/// `shares` of the classes `[B, K]` where there are some, averaged over the batch: `[1]`.
///
/// With smoothing ε (0..1) each label becomes 1 − ε on its class plus ε/K on every class
/// (Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7), as in
/// PyTorch's `cross_entropy`; shares are smoothed alike.
pub fn cross_entropy(
    logits: Tensor<2>,
    labels: &Tensor<1, Int>,
    shares: Option<&Tensor<2>>,
    label_smoothing: f64,
) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let log_probabilities = log_softmax(logits, 1);
    let right = match shares {
        Some(shares) => (log_probabilities.clone() * shares.clone()).sum(),
        None => {
            let index = labels.clone().reshape([batch, 1]);
            log_probabilities.clone().gather(1, index).sum()
        }
    };
    let sum = match label_smoothing {
        0.0 => right,
        smoothing => {
            let spread = log_probabilities.sum();
            right.mul_scalar(1.0 - smoothing) + spread.mul_scalar(smoothing / classes as f64)
        }
    };
    // Not `div_scalar`: its gradient takes the reciprocal in single precision.
    sum.mul_scalar(-1.0 / batch as f64)
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
            value(cross_entropy(matrix(LOGITS), &labels(&[2, 0]), None, 0.0)),
            PLAIN,
        );
    }

    #[test]
    fn smoothing_spreads_a_share_over_all_classes() {
        close(
            value(cross_entropy(matrix(LOGITS), &labels(&[2, 0]), None, 0.1)),
            SMOOTHED,
        );
    }

    #[test]
    fn distributions_that_are_certain_give_what_classes_give() {
        let targets = matrix([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
        for smoothing in [0.0, 0.1, 0.5] {
            close(
                value(cross_entropy(
                    matrix(LOGITS),
                    &labels(&[2, 0]),
                    Some(&targets),
                    smoothing,
                )),
                value(cross_entropy(
                    matrix(LOGITS),
                    &labels(&[2, 0]),
                    None,
                    smoothing,
                )),
            );
        }
    }

    #[test]
    fn mixed_labels_give_the_mixture_of_the_losses() {
        let mixed = matrix([[0.0, 0.3, 0.7], [0.4, 0.6, 0.0]]);
        let one = |row: usize, label: i64| {
            value(cross_entropy(
                matrix([LOGITS[row]]),
                &labels(&[label]),
                None,
                0.0,
            ))
        };
        let expected =
            (0.3 * one(0, 1) + 0.7 * one(0, 2) + 0.4 * one(1, 0) + 0.6 * one(1, 1)) / 2.0;
        close(
            value(cross_entropy(
                matrix(LOGITS),
                &labels(&[2, 1]),
                Some(&mixed),
                0.0,
            )),
            expected,
        );
    }

    /// Loss and gradient of logits `[B, 3]`, flat.
    fn with_gradient(
        logits: &Tensor<2>,
        classes: &[i64],
        shares: Option<&Tensor<2>>,
        smoothing: f64,
    ) -> (f64, Vec<f64>) {
        let leaf = logits.clone().autodiff().require_grad();
        let loss = cross_entropy(leaf.clone(), &labels(classes), shares, smoothing);
        let mut gradients = loss.clone().backward();
        let gradient = leaf.grad_remove(&mut gradients).unwrap();
        (value(loss), gradient.into_data().iter().collect())
    }

    #[test]
    fn value_and_gradient_are_exact_for_batches_that_are_no_power_of_two() {
        for batch in [1, 3, 5, 7, 12, 100] {
            let number = |i: usize| ((i * 37 + 11) % 23) as f64 / 7.0 - 1.5;
            let numbers: Vec<f64> = (0..3 * batch).map(number).collect();
            let rows = TensorData::new(numbers.clone(), [batch, 3]);
            let logits = Tensor::from_data(rows, (&Device::flex(), DType::F64));
            let classes: Vec<i64> = (0..batch as i64).map(|i| i * i % 3).collect();
            let mixed: Vec<f64> = (0..batch)
                .flat_map(|i| {
                    let share = (i % 5) as f64 / 7.0;
                    [share, 0.25, 0.75 - share]
                })
                .collect();
            let mixed_rows = TensorData::new(mixed.clone(), [batch, 3]);
            let mixed_rows = Tensor::from_data(mixed_rows, (&Device::flex(), DType::F64));
            for (smoothing, mixes) in [(0.0, false), (0.1, false), (0.0, true), (0.1, true)] {
                let share = |row: usize, class: usize| {
                    let whole = match mixes {
                        true => mixed[3 * row + class],
                        false => f64::from(u8::from(classes[row] == class as i64)),
                    };
                    (1.0 - smoothing) * whole + smoothing / 3.0
                };
                let mut expected = 0.0;
                let mut slopes = Vec::new();
                for row in 0..batch {
                    let z = &numbers[3 * row..3 * row + 3];
                    let sum: f64 = z.iter().map(|z| z.exp()).sum();
                    for (class, z) in z.iter().enumerate() {
                        expected += share(row, class) * (sum.ln() - z) / batch as f64;
                        let slope = z.exp() / sum - share(row, class);
                        slopes.push(slope / batch as f64);
                    }
                }
                let shares = mixes.then_some(&mixed_rows);
                let (found, gradient) = with_gradient(&logits, &classes, shares, smoothing);
                close(found, expected);
                for (found, expected) in gradient.into_iter().zip(slopes) {
                    assert!(
                        (found - expected).abs() <= 1e-14,
                        "{found} is not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn great_logits_stay_finite() {
        let loss = cross_entropy(matrix([[1e4, -1e4, 0.0]]), &labels(&[1]), None, 0.1);
        assert!(value(loss).is_finite());
    }
}
