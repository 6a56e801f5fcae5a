//! # rkd — Relational Knowledge Distillation
//!
//! Not the embeddings but the geometry of the batch is matched: the distances between pairs of
//! images and the angles at the corners of triples.
//!
//! ## Definition
//! L = CE(z, y) + distance_weight · L_D + angle_weight · L_A
//!
//! With embeddings x_i of one network, D_ij = √max(‖x_i − x_j‖², 1e-12), D_ii = 0, and
//! ψ_ij = D_ij / mean{D_kl : k ≠ l}: L_D = mean over all B² pairs of h(ψ^s_ij − ψ^t_ij).
//! With unit vectors e_ij = (x_j − x_i) / max(‖x_j − x_i‖, 1e-12) and cos_ijk = ⟨e_ij, e_ik⟩, the
//! angle at i: L_A = mean over all B³ triples of h(cos^s_ijk − cos^t_ijk).
//! h(x) = x²/2 for |x| < 1, else |x| − 1/2. s: student; t: teacher (detached).
//!
//! ## Inputs and shapes
//! Embeddings `[B, D_s]` and `[B, D_t]` of any widths: by default `pooled` of both networks. Of a
//! named pair of maps or tokens, the mean over positions or patches is taken.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `distance_weight` | 25 | ≥ 0 | RepDistiller and mdistiller |
//! | `angle_weight` | 50 | ≥ 0 | same |
//!
//! ## Notes
//! The student's mean distance is not detached, as in the authors' code. Identical images of a
//! batch have distance 1e-6, angle cosine 0 and no gradient. Distances are taken from products of
//! the centred embeddings, which is the same and keeps more digits. A last batch of one image has
//! no pairs: both terms are zero. Cost: B²·D numbers for the angles, B³ for the cosines.
//!
//! ## Reference
//! Park, Kim, Lu, Cho. "Relational Knowledge Distillation". CVPR 2019.
//! <https://arxiv.org/abs/1904.05068>
//! Authors' code: <https://github.com/lenscloth/RKD> (0a6c3c0c1907).

use burn::tensor::{Tensor, TensorData};
use limbeck_nn::{Builder, Pass, Taps};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    criterion::require_weight,
    pairs::{Pair, embeddings, resolve_pair, vector_of},
};

/// Smallest squared distance of a pair, as in the authors' code.
const SQUARE_FLOOR: f64 = 1e-12;
/// Smallest length that a difference is divided by, as in PyTorch's `normalize`.
const LENGTH_FLOOR: f64 = 1e-12;

/// Settings of [`Rkd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RkdConfig {
    /// Factor of the distances' term.
    pub distance_weight: f64,
    /// Factor of the angles' term.
    pub angle_weight: f64,
}

impl Default for RkdConfig {
    fn default() -> Self {
        Self {
            distance_weight: 25.0,
            angle_weight: 50.0,
        }
    }
}

/// The geometry of a batch of embeddings.
#[derive(Debug)]
pub struct Rkd {
    config: RkdConfig,
    pair: Pair,
}

impl Rkd {
    const ID: &'static str = "rkd";

    /// Checks settings and layers.
    ///
    /// # Errors
    /// A negative weight, no teacher, layers that are not there, or batches of one image.
    pub fn new(
        config: RkdConfig,
        probe: &Probe,
        _builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "distance_weight", config.distance_weight)?;
        require_weight(Self::ID, "angle_weight", config.angle_weight)?;
        if probe.batch < 2 {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "relations between images need at least 2 of them a step (3 for angles), \
                     found a batch of {}",
                    probe.batch
                ),
            });
        }
        let pair = resolve_pair(Self::ID, probe, embeddings)?;
        Ok(Self { config, pair })
    }

    /// Distances of all pairs over the mean distance: `[B, D]` → `[B, B]`, zero on the diagonal.
    pub fn distances(&self, embeddings: Tensor<2>) -> Tensor<2> {
        let [batch, _] = embeddings.dims();
        let centre = embeddings.clone().inner().mean_dim(0);
        let x = embeddings - centre;
        let squares = x.clone().square().sum_dim(1);
        let products = x.clone().matmul(x.clone().transpose());
        let squared = squares.clone() + squares.transpose() - products.mul_scalar(2.0);
        let distances = squared.clamp_min(SQUARE_FLOOR).sqrt();
        let distances = distances * other_images(&x);
        let pairs = (batch * batch.saturating_sub(1)).max(1);
        let mean = distances.clone().sum().mul_scalar(1.0 / pairs as f64);
        distances / mean.clamp_min(LENGTH_FLOOR).reshape([1, 1])
    }

    /// Cosines of the angles at `i` between `j` and `k`: `[B, D]` → `[B, B, B]`.
    pub fn angles(&self, embeddings: Tensor<2>) -> Tensor<3> {
        let [batch, width] = embeddings.dims();
        let to = embeddings.clone().reshape([1, batch, width]);
        let from = embeddings.reshape([batch, 1, width]);
        let differences = to - from;
        // The floor is put under the square, so that the gradient at zero is zero.
        let squares = differences.clone().square().sum_dim(2);
        let lengths = squares.clamp_min(LENGTH_FLOOR * LENGTH_FLOOR).sqrt();
        let units = differences / lengths;
        units.clone().matmul(units.swap_dims(1, 2))
    }
}

/// One for two different images, zero on the diagonal: `[B, D]` → `[B, B]`.
fn other_images(embeddings: &Tensor<2>) -> Tensor<2> {
    let [batch, _] = embeddings.dims();
    let numbers = (0..batch * batch).map(|i| f64::from(u8::from(i / batch != i % batch)));
    Tensor::from_data(
        TensorData::new(numbers.collect::<Vec<_>>(), [batch, batch]),
        (&embeddings.device(), embeddings.dtype()),
    )
}

/// Mean of h(a − b), `[1]`.
fn huber<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<1> {
    let size = (a - b).abs();
    let near = size.clone().clamp_max(1.0);
    // near · (size − near/2) is size²/2 below 1 and size − 1/2 above.
    (near.clone() * (size - near.mul_scalar(0.5))).mean()
}

impl Criterion for Rkd {
    fn needs(&self) -> Needs {
        Needs {
            student: Taps::from_iter([&self.pair.student.name]),
            teacher: Taps::from_iter([&self.pair.teacher.name]),
        }
    }

    fn terms(&mut self, step: &Step<'_>, _pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let teacher = step.teacher(Self::ID)?;
        let teacher = vector_of(Self::ID, "teacher", &teacher, &self.pair.teacher.name)?;
        let student = vector_of(Self::ID, "student", step.student, &self.pair.student.name)?;
        let distance = huber(
            self.distances(student.clone()),
            self.distances(teacher.clone()),
        );
        let angle = huber(self.angles(student), self.angles(teacher));
        Ok(vec![
            Term::new("distance", distance, self.config.distance_weight),
            Term::new("angle", angle, self.config.angle_weight),
        ])
    }

    fn pairs(&self) -> Vec<(String, String)> {
        vec![self.pair.names()]
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Int;
    use limbeck_nn::Feature;

    use super::*;
    use crate::testing::{
        assert_close, build, gradient, leaf, map, number, numbers, outputs, probe, random, tensor,
        terms, tokens, vector,
    };

    fn make() -> (Rkd, limbeck_nn::Store) {
        let probe = probe(&[vector("pooled", 3)], &[vector("pooled", 3)]);
        build(&probe, |p, b| Rkd::new(RkdConfig::default(), p, b)).unwrap()
    }

    fn losses(student: Tensor<2>, teacher: Tensor<2>) -> Vec<f64> {
        let (mut method, store) = make();
        let with = |vector: Tensor<2>| {
            let mut outputs = outputs("x", vector.dims()[0], &[]);
            let feature = Feature::Vector(vector);
            outputs.features.insert("pooled".to_owned(), feature);
            outputs
        };
        terms(&mut method, &store, &with(student), &with(teacher))
            .iter()
            .map(|term| number(&term.value))
            .collect()
    }

    #[test]
    fn turned_scaled_and_shifted_embeddings_cost_nothing() {
        let teacher = random("t", [6, 2]);
        let (sine, cosine) = 0.7f64.sin_cos();
        let turn = tensor(vec![cosine, -sine, sine, cosine], [2, 2]);
        let moved = teacher.clone().matmul(turn).mul_scalar(3.0) + random("shift", [1, 2]);
        for student in [teacher.clone(), moved] {
            assert_close(&losses(student, teacher.clone()), &[0.0, 0.0]);
        }
        let other = losses(random("s", [6, 2]), teacher);
        assert!(other.iter().all(|&loss| loss > 1e-3));
    }

    #[test]
    fn cosines_are_between_minus_one_and_one() {
        let cosines = numbers(&make().0.angles(random("s", [6, 4])));
        assert!(cosines.iter().all(|c| c.abs() <= 1.0 + 1e-12));
        assert!(cosines.iter().any(|c| *c < -0.1) && cosines.iter().any(|c| *c > 0.1));
    }

    #[test]
    fn the_mean_distance_of_other_pairs_is_one_and_of_an_image_to_itself_zero() {
        let distances = numbers(&make().0.distances(random("s", [5, 3])));
        assert_close(&[distances.iter().sum::<f64>() / 20.0], &[1.0]);
        assert!((0..5).all(|i| distances[6 * i] == 0.0));
    }

    #[test]
    fn widths_may_differ_and_the_order_of_images_does_not_matter() {
        let (student, teacher) = (random("s", [5, 3]), random("t", [5, 7]));
        let before = losses(student.clone(), teacher.clone());
        let order = Tensor::<1, Int>::from_data([3, 0, 4, 1, 2], &student.device());
        let after = losses(student.select(0, order.clone()), teacher.select(0, order));
        assert_close(&before, &after);
    }

    #[test]
    fn identical_images_have_finite_gradients() {
        let row = random("row", [1, 3]);
        for rows in [
            Tensor::cat(vec![row.clone(), row.clone(), random("s", [2, 3])], 0),
            row.expand([4, 3]),
        ] {
            let (method, _) = make();
            let student = leaf(rows);
            let teacher = random("t", [4, 3]);
            let loss = huber(
                method.distances(student.clone()),
                method.distances(teacher.clone()),
            ) + huber(method.angles(student.clone()), method.angles(teacher));
            let gradient = gradient(&student, &loss.backward()).unwrap();
            assert!(gradient.iter().all(|g| g.is_finite()));
        }
    }

    #[test]
    fn small_and_large_differences_follow_huber() {
        let zero = tensor(vec![0.0; 3], [3]);
        let values = tensor(vec![0.5, -1.0, 3.0], [3]);
        // 0.125, 0.5, 2.5.
        assert_close(&[number(&huber(values, zero))], &[3.125 / 3.0]);
    }

    #[test]
    fn a_batch_of_one_is_refused_before_and_forgiven_at_the_end_of_an_epoch() {
        assert_eq!(losses(random("s", [1, 3]), random("t", [1, 3])), [0.0, 0.0]);
        let mut probe = probe(&[vector("pooled", 3)], &[vector("pooled", 3)]);
        probe.batch = 1;
        let error = build(&probe, |p, b| Rkd::new(RkdConfig::default(), p, b)).unwrap_err();
        assert!(error.to_string().contains("found a batch of 1"), "{error}");
    }

    #[test]
    fn maps_and_tokens_are_averaged_over_positions() {
        let mut probe = probe(&[map("stage1", [3, 4, 4])], &[tokens("stage1", 5, [7, 7])]);
        let config = RkdConfig::default();
        let error = build(&probe, |p, b| Rkd::new(config.clone(), p, b)).unwrap_err();
        assert!(
            error.to_string().contains("no layers to compare"),
            "{error}"
        );
        probe.pairs = Some(vec![("stage1".to_owned(), "stage1".to_owned())]);
        let (mut method, store) = build(&probe, |p, b| Rkd::new(config, p, b)).unwrap();
        let student = outputs("s", 4, &[map("stage1", [3, 4, 4])]);
        let teacher = outputs("t", 4, &[tokens("stage1", 5, [7, 7])]);
        let found = terms(&mut method, &store, &student, &teacher);
        let vector = |o: &limbeck_nn::Outputs, tap: &str| o.feature(tap).unwrap().to_vector();
        let expected = losses(
            vector(&student, "stage1").unwrap(),
            vector(&teacher, "stage1").unwrap(),
        );
        assert_close(
            &[number(&found[0].value), number(&found[1].value)],
            &expected,
        );
    }
}
