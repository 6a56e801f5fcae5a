//! Targets made of the logits of several networks, all of them constants.

use burn::tensor::{DType, Device, Int, Tensor, TensorData, activation::log_softmax};

use super::simplex::{Mixture, Problem};

/// What the networks are taught.
#[derive(Clone, Debug)]
pub struct Target {
    /// `[B, K]`.
    pub logits: Tensor<2>,
    /// Share of each network's logits, `[B, M]`, or `[1, M]` where it is the same for all images;
    /// `None` where the target is no mixture.
    pub shares: Option<Tensor<2>>,
}

impl Target {
    /// The logits of all networks, `[B, K]` each, mixed by shares `[B, M]` or `[1, M]`.
    pub(super) fn mixed(logits: &[Tensor<2>], shares: Tensor<2>) -> Self {
        let [rows, _] = shares.dims();
        let share = |i: usize| shares.clone().slice([0..rows, i..i + 1]);
        let parts = logits.iter().enumerate().map(|(i, z)| z.clone() * share(i));
        // There are always networks: the fallback has the first one's shape.
        let mixed = parts.reduce(|sum, part| sum + part);
        Self {
            logits: mixed.unwrap_or_else(|| logits[0].clone()),
            shares: Some(shares),
        }
    }
}

/// For each image the logits of the network with the least cross entropy, the first of equals.
pub(super) fn naive(logits: &[Tensor<2>], labels: &Tensor<1, Int>) -> Target {
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
    Target::mixed(logits, matrix(shares, logits))
}

/// The mixture with the least cross entropy with the labels, one for the batch or one for each
/// image. Also how many searches did not come to an end.
pub(super) fn linear(
    logits: &[Tensor<2>],
    labels: &Tensor<1, Int>,
    for_each_image: bool,
) -> (Target, usize) {
    let [batch, classes] = logits[0].dims();
    let labels: Vec<usize> = labels.to_data().iter::<i64>().map(|y| y as usize).collect();
    let numbers: Vec<Vec<f64>> = logits.iter().map(|z| numbers(z.clone())).collect();
    let solve = |from: usize, to: usize| {
        let rows = |all: &'_ Vec<f64>| from * classes..(to * classes).min(all.len());
        let problem = Problem {
            logits: numbers.iter().map(|all| &all[rows(all)]).collect(),
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
    (Target::mixed(logits, matrix(shares, logits)), open)
}

/// With the labelled class' logit moved to 0 in each network, the least logit of each class.
pub(super) fn min_logit(logits: &[Tensor<2>], labels: &Tensor<1, Int>) -> Target {
    let [batch, _] = logits[0].dims();
    let column = labels.clone().reshape([batch, 1]);
    let moved = |z: &Tensor<2>| z.clone() - z.clone().gather(1, column.clone());
    let least = logits[1..]
        .iter()
        .fold(moved(&logits[0]), |least, z| least.min_pair(moved(z)));
    Target {
        logits: least,
        shares: None,
    }
}

/// Products of the networks' errors on images that none of them has trained on.
#[derive(Clone, Debug)]
pub struct ErrorMatrix {
    /// `Σ_n ⟨p_i(x_n) − y_n, p_j(x_n) − y_n⟩`, `[M, M]`.
    sums: Vec<Vec<f64>>,
    images: usize,
}

impl ErrorMatrix {
    /// Of this many networks, with no images yet.
    pub fn new(networks: usize) -> Self {
        Self {
            sums: vec![vec![0.0; networks]; networks],
            images: 0,
        }
    }

    /// Adds images: probabilities `[N, K]` of each network, labels `[N]`.
    pub fn add(&mut self, probabilities: &[Tensor<2>], labels: &Tensor<1, Int>) {
        let [images, classes] = probabilities[0].dims();
        let labels: Vec<usize> = labels.to_data().iter::<i64>().map(|y| y as usize).collect();
        let errors = |p: &Tensor<2>| {
            let mut errors = numbers(p.clone());
            for (image, label) in labels.iter().enumerate() {
                errors[image * classes + label] -= 1.0;
            }
            errors
        };
        let errors: Vec<Vec<f64>> = probabilities.iter().map(errors).collect();
        for (i, row) in self.sums.iter_mut().enumerate() {
            for (j, sum) in row.iter_mut().enumerate() {
                *sum += errors[i]
                    .iter()
                    .zip(&errors[j])
                    .map(|(a, b)| a * b)
                    .sum::<f64>();
            }
        }
        self.images += images;
    }

    /// Images so far.
    pub fn images(&self) -> usize {
        self.images
    }

    /// C: the mean over the images, `[M, M]`.
    pub fn mean(&self) -> Vec<Vec<f64>> {
        let scale = 1.0 / self.images.max(1) as f64;
        let row = |row: &Vec<f64>| row.iter().map(|sum| sum * scale).collect();
        self.sums.iter().map(row).collect()
    }

    /// The weights `C⁻¹ 1 / (1ᵀ C⁻¹ 1)` with sum 1, of which some may be negative, and whether C
    /// was singular, so that [`RIDGE`] was added to its diagonal.
    pub fn weights(&self) -> (Vec<f64>, bool) {
        let mut matrix = self.mean();
        let solution = ones_over(matrix.clone());
        let singular = solution.is_none();
        let solution = solution.or_else(|| {
            for (i, row) in matrix.iter_mut().enumerate() {
                row[i] += RIDGE;
            }
            ones_over(matrix)
        });
        let networks = self.sums.len();
        let solution = solution.unwrap_or_else(|| vec![1.0; networks]);
        let sum: f64 = solution.iter().sum();
        (solution.iter().map(|x| x / sum).collect(), singular)
    }
}

/// Added to the diagonal of a singular error matrix. From the method's description.
pub const RIDGE: f64 = 1e-8;
/// A pivot that is so small beside the greatest element is rounding.
const SINGULAR: f64 = 1e-13;

/// `matrix⁻¹ 1` by elimination with row pivots; `None` where the matrix is singular.
fn ones_over(mut matrix: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let size = matrix.len();
    let greatest = matrix
        .iter()
        .flatten()
        .fold(0.0, |m: f64, x| m.max(x.abs()));
    let mut right = vec![1.0; size];
    for step in 0..size {
        let pivot = (step..size).max_by(|&a, &b| {
            let size = |row: usize| matrix[row][step].abs();
            size(a).total_cmp(&size(b))
        })?;
        if matrix[pivot][step]
            .abs()
            .total_cmp(&(SINGULAR * greatest))
            .is_le()
        {
            return None;
        }
        matrix.swap(step, pivot);
        right.swap(step, pivot);
        let (above, below) = matrix.split_at_mut(step + 1);
        let source = &above[step];
        for (offset, row) in below.iter_mut().enumerate() {
            let factor = row[step] / source[step];
            for (x, s) in row.iter_mut().zip(source).skip(step) {
                *x -= factor * s;
            }
            right[step + 1 + offset] -= factor * right[step];
        }
    }
    for step in (0..size).rev() {
        let known: f64 = (step + 1..size).map(|j| matrix[step][j] * right[j]).sum();
        right[step] = (right[step] - known) / matrix[step][step];
    }
    Some(right)
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
fn numbers(tensor: Tensor<2>) -> Vec<f64> {
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
        let middle = losses(&Target::mixed(&networks, equal).logits);
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

    /// Errors of three networks on some images; each is the label's and noise of this size.
    fn errors(noise: [f64; 3]) -> ErrorMatrix {
        let mut matrix = ErrorMatrix::new(3);
        for part in 0..2 {
            let truth = Tensor::<2>::zeros([6, 5], (&Device::flex(), DType::F64));
            let one = tensor(vec![1.0; 6], [6, 1]);
            let column = six_labels().reshape([6, 1]);
            let truth = truth.scatter(1, column, one, burn::tensor::IndexingUpdateOp::Add);
            let probabilities: Vec<Tensor<2>> = (0..3)
                .map(|i| {
                    let name = format!("noise {part} {i}");
                    truth.clone() + random::<2>(&name, [6, 5]).mul_scalar(noise[i])
                })
                .collect();
            matrix.add(&probabilities, &six_labels());
        }
        matrix
    }

    #[test]
    fn weights_by_error_have_sum_1_beat_each_network_and_favour_the_best() {
        let matrix = errors([0.3, 0.2, 0.25]);
        assert_eq!(matrix.images(), 12);
        let (weights, singular) = matrix.weights();
        assert!(!singular);
        assert_close(&[weights.iter().sum()], &[1.0]);
        let c = matrix.mean();
        let value: f64 = (0..3)
            .flat_map(|i| (0..3).map(move |j| (i, j)))
            .map(|(i, j)| weights[i] * c[i][j] * weights[j])
            .sum();
        assert!((0..3).all(|i| value <= c[i][i] + 1e-12));
        let (weights, _) = errors([0.3, 0.001, 0.3]).weights();
        assert!(weights[1] > 0.95, "{weights:?}");
    }

    #[test]
    fn a_singular_matrix_is_told_and_shares_equally_between_equals() {
        let mut matrix = ErrorMatrix::new(2);
        let p = random::<2>("p", [6, 5]);
        matrix.add(&[p.clone(), p], &six_labels());
        let (weights, singular) = matrix.weights();
        assert!(singular);
        for weight in weights {
            assert!((weight - 0.5).abs() < 1e-6);
        }
        let (weights, singular) = ErrorMatrix::new(2).weights();
        assert!(singular);
        assert_eq!(weights, [0.5, 0.5]);
    }
}
