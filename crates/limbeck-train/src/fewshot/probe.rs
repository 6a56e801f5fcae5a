//! A linear probe: ridge regression on frozen features, in closed form.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Strengths that are tried. Rows have length 1 besides their constant, so that from the first to the
/// last the probe goes from fitting every shot to comparing with the means of the classes.
pub const REGULARISATIONS: [f64; 6] = [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0];

/// The strength with one shot, where a shot that is left out leaves a class without any.
pub const SINGLE_SHOT_REGULARISATION: f64 = 1.0;

/// Linear scores of features.
#[derive(Clone, Debug)]
pub struct LinearProbe {
    /// `[width + 1, classes]`, the constant last.
    weights: DMatrix<f64>,
    /// Strength of the ridge.
    pub regularisation: f64,
}

/// What all strengths share: one decomposition of the smaller of the two products of the rows.
struct Decomposed {
    /// Rows with a constant of 1, `[n, p]`.
    rows: DMatrix<f64>,
    /// One-hot classes, `[n, classes]`.
    targets: DMatrix<f64>,
    values: DVector<f64>,
    vectors: DMatrix<f64>,
    /// Whether what is decomposed is rows·rowsᵀ `[n, n]`, and not rowsᵀ·rows `[p, p]`.
    of_images: bool,
}

impl LinearProbe {
    /// Fits `rows` `[n, width]`, of length 1, to their `labels` `[n]` below `classes`. The strength of
    /// the ridge is the one of [`REGULARISATIONS`] under which most rows are of their class when they
    /// are left out, each in turn; among equals the one with the smaller squared error then. With
    /// `shots` of 1 it is [`SINGLE_SHOT_REGULARISATION`].
    pub fn fit(rows: &[f32], width: usize, labels: &[usize], classes: usize, shots: usize) -> Self {
        let decomposed = Decomposed::new(rows, width, labels, classes);
        let regularisation = match shots {
            0 | 1 => SINGLE_SHOT_REGULARISATION,
            _ => decomposed.choose(labels),
        };
        Self {
            weights: decomposed.weights(regularisation),
            regularisation,
        }
    }

    /// The class of each row, `[n, width]` → `[n]`.
    pub fn classify(&self, rows: &[f32], width: usize) -> Vec<usize> {
        let scores = with_constant(rows, width) * &self.weights;
        let scores = scores.row_iter();
        scores.map(|row| greatest(row.iter().copied())).collect()
    }
}

impl Decomposed {
    fn new(rows: &[f32], width: usize, labels: &[usize], classes: usize) -> Self {
        let rows = with_constant(rows, width);
        let (count, length) = rows.shape();
        let mut targets = DMatrix::zeros(count, classes);
        for (image, &label) in labels.iter().enumerate() {
            if let Some(target) = targets.get_mut((image, label)) {
                *target = 1.0;
            }
        }
        let of_images = count <= length;
        let product = match of_images {
            true => &rows * rows.transpose(),
            false => rows.transpose() * &rows,
        };
        let SymmetricEigen {
            eigenvalues: values,
            eigenvectors: vectors,
        } = SymmetricEigen::new(product);
        Self {
            rows,
            targets,
            values,
            vectors,
            of_images,
        }
    }

    /// `vectors · (values + λ)⁻¹ · matrix`.
    fn divided(&self, mut matrix: DMatrix<f64>, regularisation: f64) -> DMatrix<f64> {
        for (mut row, value) in matrix.row_iter_mut().zip(self.values.iter()) {
            row /= value.max(0.0) + regularisation;
        }
        &self.vectors * matrix
    }

    fn weights(&self, regularisation: f64) -> DMatrix<f64> {
        let turned = self.vectors.transpose();
        match self.of_images {
            true => {
                let of_rows = self.divided(turned * &self.targets, regularisation);
                self.rows.transpose() * of_rows
            }
            false => self.divided(
                turned * (self.rows.transpose() * &self.targets),
                regularisation,
            ),
        }
    }

    /// Scores `[n, classes]` of each row by the others: exact, without fitting anew.
    fn left_out(&self, regularisation: f64) -> DMatrix<f64> {
        let inverse = self
            .values
            .map(|value| 1.0 / (value.max(0.0) + regularisation));
        // The diagonals of (rows·rowsᵀ + λ)⁻¹, or of the matrix that turns targets into scores.
        let basis = match self.of_images {
            true => self.vectors.clone(),
            false => &self.rows * &self.vectors,
        };
        let diagonal = basis.map(|number| number * number) * inverse;
        let mut scores = match self.of_images {
            true => self.divided(self.vectors.transpose() * &self.targets, regularisation),
            false => &self.rows * self.weights(regularisation),
        };
        for (image, mut row) in scores.row_iter_mut().enumerate() {
            let own = diagonal[image];
            for (score, target) in row.iter_mut().zip(self.targets.row(image).iter()) {
                *score = match self.of_images {
                    true => target - *score / own,
                    false => (*score - own * target) / (1.0 - own).max(1e-12),
                };
            }
        }
        scores
    }

    fn choose(&self, labels: &[usize]) -> f64 {
        let mut best = (0, f64::INFINITY, SINGLE_SHOT_REGULARISATION);
        for regularisation in REGULARISATIONS {
            let scores = self.left_out(regularisation);
            let rows = scores.row_iter().zip(labels);
            let right = rows.filter(|(row, label)| greatest(row.iter().copied()) == **label);
            let right = right.count();
            let error = (&scores - &self.targets).norm_squared();
            if right > best.0 || (right == best.0 && error < best.1) {
                best = (right, error, regularisation);
            }
        }
        best.2
    }
}

fn with_constant(rows: &[f32], width: usize) -> DMatrix<f64> {
    let count = rows.len() / width.max(1);
    DMatrix::from_fn(count, width + 1, |image, column| match column < width {
        true => f64::from(rows[image * width + column]),
        false => 1.0,
    })
}

/// Position of the greatest number, the first of equals.
fn greatest(numbers: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (position, number) in numbers.enumerate() {
        if number > best.1 {
            best = (position, number);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use limbeck_data::Stream;

    use super::*;

    /// Rows of length 1 around a direction for each of three classes.
    fn made(count: usize, width: usize) -> (Vec<f32>, Vec<usize>) {
        let mut stream = Stream::of_seed(4);
        let labels: Vec<usize> = (0..count).map(|i| i % 3).collect();
        let mut rows = Vec::new();
        for &label in &labels {
            let mut row: Vec<f64> = (0..width).map(|_| 0.6 * stream.normal()).collect();
            row[label] += 1.0;
            let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            rows.extend(row.iter().map(|x| (x / length) as f32));
        }
        (rows, labels)
    }

    /// More images than numbers, and fewer: both ways of solving.
    const SIZES: [(usize, usize); 2] = [(24, 5), (9, 12)];

    #[test]
    fn the_weights_solve_the_normal_equations() {
        for (count, width) in SIZES {
            let (rows, labels) = made(count, width);
            let decomposed = Decomposed::new(&rows, width, &labels, 3);
            let weights = decomposed.weights(0.3);
            let x = &decomposed.rows;
            let left = x.transpose() * x * &weights + 0.3 * &weights;
            let right = x.transpose() * &decomposed.targets;
            assert!((left - right).amax() < 1e-9);
        }
    }

    #[test]
    fn scores_of_rows_left_out_are_those_of_a_fit_without_them() {
        for (count, width) in SIZES {
            let (rows, labels) = made(count, width);
            let found = Decomposed::new(&rows, width, &labels, 3).left_out(0.1);
            for image in 0..count {
                let mut others = rows.clone();
                others.drain(image * width..(image + 1) * width);
                let mut other_labels = labels.clone();
                other_labels.remove(image);
                let weights = Decomposed::new(&others, width, &other_labels, 3).weights(0.1);
                let own = with_constant(&rows[image * width..(image + 1) * width], width);
                let expected = own * weights;
                for class in 0..3 {
                    let difference = found[(image, class)] - expected[(0, class)];
                    assert!(difference.abs() < 1e-8, "{count}: {difference}");
                }
            }
        }
    }

    #[test]
    fn classes_that_lie_apart_are_told_apart() {
        let (rows, labels) = made(60, 12);
        let probe = LinearProbe::fit(&rows[..24 * 12], 12, &labels[..24], 3, 8);
        assert!(REGULARISATIONS.contains(&probe.regularisation));
        let found = probe.classify(&rows[24 * 12..], 12);
        let right = found.iter().zip(&labels[24..]).filter(|(a, b)| a == b);
        assert!(right.count() >= 22, "{found:?}");
        let single = LinearProbe::fit(&rows[..3 * 12], 12, &labels[..3], 3, 1);
        assert_eq!(single.regularisation, SINGLE_SHOT_REGULARISATION);
    }
}
