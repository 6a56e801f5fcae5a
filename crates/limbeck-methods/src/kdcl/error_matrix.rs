//! Weights of networks by their errors on images that were held out.

use burn::tensor::{Int, Tensor};

use super::ensemble::numbers;

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
    /// was singular, so that 1e-8 was added to its diagonal.
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

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, IndexingUpdateOp};

    use super::*;
    use crate::testing::{assert_close, labels, random, tensor};

    fn six_labels() -> Tensor<1, Int> {
        labels(&[0, 4, 2, 2, 1, 3])
    }

    /// Errors of three networks on some images; each is the label's and noise of this size.
    fn errors(noise: [f64; 3]) -> ErrorMatrix {
        let mut matrix = ErrorMatrix::new(3);
        for part in 0..2 {
            let truth = Tensor::<2>::zeros([6, 5], (&Device::flex(), DType::F64));
            let one = tensor(vec![1.0; 6], [6, 1]);
            let column = six_labels().reshape([6, 1]);
            let truth = truth.scatter(1, column, one, IndexingUpdateOp::Add);
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
