//! Targets made of the logits of several networks, all of them constants.

use burn::tensor::{DType, Device, Int, Tensor, TensorData, activation::log_softmax};

use serde::{Deserialize, Serialize};

use super::simplex::{Mixture, Problem};

/// How the networks' logits become one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ensemble {
    /// The best network of each image.
    Naive,
    /// The mixture with the least cross entropy.
    Linear,
    /// The least logit of each class.
    #[default]
    MinLogit,
    /// Weights from errors on held-out images.
    General,
    /// Equal weights.
    Mean,
}

/// What has a mixture of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinearScope {
    /// A batch.
    #[default]
    Batch,
    /// An image.
    Sample,
}

/// What the networks are taught.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct EnsembleTarget {
    /// `[B, K]`.
    pub logits: Tensor<2>,
    /// Share of each network's logits, `[B, M]`, or `[1, M]` where it is the same for all images;
    /// `None` where the target is no mixture.
    pub shares: Option<Tensor<2>>,
}

impl EnsembleTarget {
    /// The logits of all networks, `[B, K]` each, mixed by shares `[B, M]` or `[1, M]`.
    pub(super) fn mixed(logits: &[Tensor<2>], shares: Tensor<2>) -> Self {
        let [rows, _] = shares.dims();
        let share = |i: usize| shares.clone().slice([0..rows, i..i + 1]);
        let part = |i: usize| logits[i].clone() * share(i);
        Self {
            logits: (1..logits.len()).fold(part(0), |sum, i| sum + part(i)),
            shares: Some(shares),
        }
    }
}

/// For each image the logits of the network with the least cross entropy, the first of equals.
pub(super) fn naive(logits: &[Tensor<2>], labels: &Tensor<1, Int>) -> EnsembleTarget {
    let [batch, _] = logits[0].dims();
    let column = labels.clone().reshape([batch, 1]);
    let losses: Vec<Vec<f64>> = logits
        .iter()
        .map(|z| numbers(log_softmax(z.clone(), 1).gather(1, column.clone()).neg()))
        .collect();
    let mut shares = vec![0.0; batch * logits.len()];
    for image in 0..batch {
        let mut best = 0;
        for network in 1..logits.len() {
            if losses[network][image] < losses[best][image] {
                best = network;
            }
        }
        shares[image * logits.len() + best] = 1.0;
    }
    EnsembleTarget::mixed(logits, matrix(shares, logits))
}

/// The mixture with the least cross entropy with the labels, one for the batch or one for each
/// image. Also how many searches did not come to an end.
pub(super) fn linear(
    logits: &[Tensor<2>],
    labels: &Tensor<1, Int>,
    for_each_image: bool,
) -> (EnsembleTarget, usize) {
    let [batch, classes] = logits[0].dims();
    let labels: Vec<usize> = labels.to_data().iter::<i64>().map(|y| y as usize).collect();
    let numbers: Vec<Vec<f64>> = logits.iter().map(|z| numbers(z.clone())).collect();
    let solve = |from: usize, to: usize| {
        let problem = Problem {
            logits: numbers
                .iter()
                .map(|all| &all[from * classes..to * classes])
                .collect(),
            labels: &labels[from..to],
            classes,
        };
        problem.solve()
    };
    let found: Vec<Mixture> = match for_each_image {
        true => (0..batch).map(|image| solve(image, image + 1)).collect(),
        false => vec![solve(0, batch)],
    };
    let open = found.iter().filter(|mixture| !mixture.is_close()).count();
    let shares = found
        .into_iter()
        .flat_map(|mixture| mixture.shares)
        .collect();
    (EnsembleTarget::mixed(logits, matrix(shares, logits)), open)
}

/// With the labelled class' logit moved to 0 in each network, the least logit of each class.
pub(super) fn min_logit(logits: &[Tensor<2>], labels: &Tensor<1, Int>) -> EnsembleTarget {
    let [batch, _] = logits[0].dims();
    let column = labels.clone().reshape([batch, 1]);
    let moved = |z: &Tensor<2>| z.clone() - z.clone().gather(1, column.clone());
    let least = logits[1..]
        .iter()
        .fold(moved(&logits[0]), |least, z| least.min_pair(moved(z)));
    EnsembleTarget {
        logits: least,
        shares: None,
    }
}

/// Shares, row by row, beside the networks' logits: same device, same element type.
fn matrix(shares: Vec<f64>, logits: &[Tensor<2>]) -> Tensor<2> {
    let networks = logits.len();
    let rows = shares.len() / networks;
    let (device, dtype) = (logits[0].device(), logits[0].dtype());
    constants(shares, [rows, networks], &device, dtype)
}

/// A matrix of these numbers, row by row.
pub(super) fn constants(
    numbers: Vec<f64>,
    shape: [usize; 2],
    device: &Device,
    dtype: DType,
) -> Tensor<2> {
    Tensor::from_data(TensorData::new(numbers, shape), (device, dtype))
}

/// All elements, row by row.
pub(super) fn numbers(tensor: Tensor<2>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, labels, numbers, random, tensor};

    fn logits(networks: usize) -> Vec<Tensor<2>> {
        let one = |i| random::<2>(&format!("network {i}"), [6, 5]).mul_scalar(2.0);
        (0..networks).map(one).collect()
    }

    fn six_labels() -> Tensor<1, Int> {
        labels(&[0, 4, 2, 2, 1, 3])
    }

    /// Cross entropy of each image.
    fn losses(logits: &Tensor<2>) -> Vec<f64> {
        let column = six_labels().reshape([6, 1]);
        numbers(&log_softmax(logits.clone(), 1).gather(1, column).neg())
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn naive_has_for_each_image_the_least_cross_entropy_and_takes_the_first_of_equals() {
        let networks = logits(3);
        let found = losses(&naive(&networks, &six_labels()).logits);
        let each: Vec<Vec<f64>> = networks.iter().map(losses).collect();
        let least: Vec<f64> = (0..6)
            .map(|i| each.iter().map(|l| l[i]).fold(f64::INFINITY, f64::min))
            .collect();
        assert_close(&found, &least);
        let twice = [networks[0].clone(), networks[0].clone()];
        let shares = naive(&twice, &six_labels()).shares.unwrap();
        assert_eq!(numbers(&shares), [1.0, 0.0].repeat(6));
    }

    #[test]
    fn linear_is_as_good_as_the_best_network_and_as_the_mean() {
        let networks = logits(3);
        let equal = tensor(vec![1.0 / 3.0; 3], [1, 3]);
        let middle = losses(&EnsembleTarget::mixed(&networks, equal).logits);
        let each: Vec<Vec<f64>> = networks.iter().map(losses).collect();
        let (batch, open) = linear(&networks, &six_labels(), false);
        assert_eq!(open, 0);
        assert_eq!(batch.shares.unwrap().dims(), [1, 3]);
        let found = mean(&losses(&batch.logits));
        assert!(found <= mean(&middle) && each.iter().all(|l| found <= mean(l)));
        let (single, open) = linear(&networks, &six_labels(), true);
        assert_eq!(open, 0);
        assert_eq!(single.shares.unwrap().dims(), [6, 3]);
        for (i, found) in losses(&single.logits).into_iter().enumerate() {
            let least = each.iter().map(|l| l[i]).fold(middle[i], f64::min);
            assert!(found <= least + 1e-12);
        }
    }

    #[test]
    fn min_logit_keeps_the_label_at_0_ignores_shifts_and_is_better_than_all() {
        let networks = logits(3);
        let found = min_logit(&networks, &six_labels()).logits;
        let own = found.clone().gather(1, six_labels().reshape([6, 1]));
        assert_eq!(numbers(&own), [0.0; 6]);
        let mut shifted = networks.clone();
        shifted[1] = shifted[1].clone() + random("shift", [6, 1]).mul_scalar(10.0);
        let again = min_logit(&shifted, &six_labels()).logits;
        assert_close(&numbers(&again), &numbers(&found));
        for network in &networks {
            for (target, own) in losses(&found).iter().zip(losses(network)) {
                assert!(*target <= own);
            }
        }
    }
}
