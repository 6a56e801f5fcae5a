//! # rkd — Relational Knowledge Distillation
//!
//! Not the embeddings but the geometry of the batch is matched: the distances between pairs of
//! images and the angles at the corners of triples.
//!
//! ## Definition
//! L = ce_weight · CE(z, y) + distance_weight · L_D + angle_weight · L_A + triplet_weight · L_T
//!
//! With embeddings x_i of one network, D_ij = √max(‖x_i − x_j‖², 1e-12), D_ii = 0, and
//! ψ_ij = D_ij / mean{D_kl : k ≠ l}: L_D = mean over all B² pairs of h(ψ^s_ij − ψ^t_ij).
//! With unit vectors e_ij = (x_j − x_i) / max(‖x_j − x_i‖, 1e-12) and cos_ijk = ⟨e_ij, e_ik⟩, the
//! angle at i: L_A = mean over all B³ triples of h(cos^s_ijk − cos^t_ijk).
//! h(x) = x²/2 for |x| < 1, else |x| − 1/2. s: student; t: teacher (detached). L_T = mean over
//! triples of max(‖x_a − x_p + 1e-6‖ − ‖x_a − x_n + 1e-6‖ + margin, 0) of student embeddings, with
//! every ordered pair (a, p) of one class and a negative n of another as `sampler` finds it: `all`
//! of them; `random`; `hard`: the nearest to a; `semihard`: the nearest of those farther than p,
//! else the farthest; `distance_weighted`: drawn with log w = (2 − D)·log d − (D − 3)/2·log(1 − d²/4)
//! of unit vectors at d = max(distance, 0.5), never from 1.4 on if others are nearer. With
//! `normalize` the student's embeddings are first divided by max(length, 1e-12).
//!
//! ## Inputs and shapes
//! Embeddings `[B, D_s]` and `[B, D_t]` of any widths: by default `pooled` of both networks. Of a
//! named pair of maps or tokens, the mean over positions or patches is taken. Of networks that
//! segment, by default of what the last classifiers read, each class in each image has an embedding:
//! the mean over its positions, on the smaller grid of the two; masks are needed, and triplets and
//! batches of whole classes are for classifiers alone.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `distance_weight` | 25 | ≥ 0 | RepDistiller and mdistiller |
//! | `angle_weight` | 50 | ≥ 0 | same |
//! | `ce_weight` | 1 | ≥ 0 | same; metric learning 0 |
//! | `triplet_weight` | 0 | ≥ 0 | authors' code: 0 to distil, 1 to train a teacher or a baseline |
//! | `margin` | 0.2 | ≥ 0 | same |
//! | `sampler` | `distance_weighted` | `distance_weighted`, `all`, `random`, `hard`, `semihard` | same |
//! | `normalize` | false | | same: false to distil, true for teachers |
//! | `images_per_class` | none | ≥ 2, a divisor of the batch | same: 5; none is a shuffled order |
//!
//! ## Notes
//! Metric learning, as the authors' code does it: `ce_weight = 0`, `distance_weight = 1`,
//! `angle_weight = 2`, `images_per_class = 5` (batches of whole classes), and
//! `train.choose_by = "recall"`, which keeps the epoch with the best Recall@1 on the validation part
//! and reports Recall@K of `pooled` on the test part. A triplet baseline has `triplet_weight = 1`,
//! the other weights 0 and `normalize = true`. Their last linear map after `pooled` is left out.
//!
//! The student's mean distance is not detached, as in the authors' code. Identical images of a
//! batch have distance 1e-6, angle cosine 0 and no gradient. Distances are taken from products of
//! the centred embeddings, which is the same and keeps more digits. A last batch of one image has
//! no pairs: both terms are zero. Cost: 3·B³·D products for the angles, which are held for one i at a
//! time.
//!
//! ## Reference
//! Park, Kim, Lu, Cho. "Relational Knowledge Distillation". CVPR 2019.
//! <https://arxiv.org/abs/1904.05068>
//! Authors' code: <https://github.com/lenscloth/RKD> (0a6c3c0c1907).

#[cfg(test)]
pub mod golden;

use burn::tensor::{Tensor, TensorData};
use limbeck_nn::{Builder, Pass, Taps, layer::angle_error};
use serde::{Deserialize, Serialize};

use crate::{
    Balanced, Criterion, Images, MethodError, Needs, Probe, Step, Term,
    criterion::{require_at_least, require_weight},
    dense::{labels_at, last_features, on_one_grid, regions},
    pairs::{Pair, embeddings, resolve_pair, vector_of},
    triplets::{NegativeSampler, Triplets, sample_triplets, triplet_loss},
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
    /// Factor of the supervised loss.
    pub ce_weight: f64,
    /// Factor of the triplet loss.
    pub triplet_weight: f64,
    /// How much farther than its positive a triplet's negative is to be.
    pub margin: f64,
    /// How negatives are found.
    pub sampler: NegativeSampler,
    /// Whether the student's embeddings are brought to length one.
    pub normalize: bool,
    /// Images of each class in a batch; a shuffled order where missing.
    pub images_per_class: Option<usize>,
}

impl RkdConfig {
    /// Whether triplets are drawn by class.
    pub(crate) fn reads_labels(&self) -> bool {
        self.triplet_weight > 0.0
    }
}

impl Default for RkdConfig {
    fn default() -> Self {
        Self {
            distance_weight: 25.0,
            angle_weight: 50.0,
            ce_weight: 1.0,
            triplet_weight: 0.0,
            margin: 0.2,
            sampler: NegativeSampler::DistanceWeighted,
            normalize: false,
            images_per_class: None,
        }
    }
}

/// The geometry of a batch of embeddings.
#[derive(Debug)]
pub struct Rkd {
    config: RkdConfig,
    pair: Pair,
    /// Whether regions are embedded in place of images.
    regions: bool,
    balanced: Option<Balanced>,
}

impl Rkd {
    const ID: &'static str = "rkd";

    /// Checks settings and layers.
    ///
    /// # Errors
    /// A negative weight, no teacher, layers that are not there, batches of one image, or batches
    /// that cannot be made of whole classes.
    pub fn new(
        config: RkdConfig,
        probe: &Probe,
        _builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "distance_weight", config.distance_weight)?;
        require_weight(Self::ID, "angle_weight", config.angle_weight)?;
        require_weight(Self::ID, "ce_weight", config.ce_weight)?;
        require_weight(Self::ID, "triplet_weight", config.triplet_weight)?;
        require_weight(Self::ID, "margin", config.margin)?;
        if probe.batch < 2 && !probe.segments() {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "relations between images need at least 2 of them a step (3 for angles), \
                     found a batch of {}",
                    probe.batch
                ),
            });
        }
        let regions = probe.segments();
        if regions && (config.triplet_weight > 0.0 || config.images_per_class.is_some()) {
            return Err(MethodError::Configuration {
                method: Self::ID.to_owned(),
                reason: "`triplet_weight` and `images_per_class` are for classifiers; leave them \
                         out for networks that segment"
                    .to_owned(),
            });
        }
        let default = if regions { last_features } else { embeddings };
        let pair = resolve_pair(Self::ID, probe, default)?;
        let balanced = match config.images_per_class {
            Some(images) => Some(balanced(images, probe.batch)?),
            None => None,
        };
        Ok(Self {
            config,
            pair,
            regions,
            balanced,
        })
    }

    /// Embeddings of student and teacher, `[R, D_s]` and `[R, D_t]`: of images, or of the regions of
    /// images, of which there may be none.
    fn embeddings(&self, step: &Step<'_>) -> Result<Option<(Tensor<2>, Tensor<2>)>, MethodError> {
        let teacher = step.teacher(Self::ID)?;
        if !self.regions {
            let teacher = vector_of(Self::ID, "teacher", &teacher, &self.pair.teacher.name)?;
            let student = vector_of(Self::ID, "student", step.student, &self.pair.student.name)?;
            return Ok(Some((student, teacher)));
        }
        let (student, teacher) = on_one_grid(
            self.pair.student_map(Self::ID, step.student)?,
            self.pair.teacher_map(Self::ID, &teacher)?,
        );
        let [_, _, height, width] = student.dims();
        let labels = labels_at(Self::ID, step, [height, width])?;
        Ok(regions(student, teacher, &labels))
    }

    /// The student's embeddings as they are compared, `[B, D]`.
    pub fn embedding(&self, x: Tensor<2>) -> Tensor<2> {
        if !self.config.normalize {
            return x;
        }
        let squares = x.clone().square().sum_dim(1);
        x / squares.clamp_min(LENGTH_FLOOR * LENGTH_FLOOR).sqrt()
    }

    /// Triplets of embeddings `[B, D]` of images with these labels.
    ///
    /// # Errors
    /// A batch without two images of one class, or with one class alone.
    pub fn triplets(
        &self,
        embeddings: &Tensor<2>,
        labels: &[i64],
        seed: u64,
    ) -> Result<Triplets, MethodError> {
        let triplets = sample_triplets(embeddings, labels, self.config.sampler, seed);
        if triplets.is_empty() {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "triplets need two images of one class and one of another, and the batch of {} \
                     images has none; set `images_per_class` in [method.rkd], such as 5",
                    labels.len()
                ),
            });
        }
        Ok(triplets)
    }

    /// L_T of embeddings `[B, D]`, `[1]`.
    pub fn triplet(&self, embeddings: Tensor<2>, triplets: &Triplets) -> Tensor<1> {
        triplet_loss(embeddings, triplets, self.config.margin)
    }

    /// L_D and L_A of student and teacher embeddings, `[1]` each.
    pub fn relations(&self, student: Tensor<2>, teacher: Tensor<2>) -> [Tensor<1>; 2] {
        [
            huber(
                self.distances(student.clone()),
                self.distances(teacher.clone()),
            ),
            angle_error(student, teacher),
        ]
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
    #[cfg(test)]
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

/// Batches of whole classes.
fn balanced(images: usize, batch: usize) -> Result<Balanced, MethodError> {
    require_at_least(Rkd::ID, "images_per_class", images, 2)?;
    let classes = batch / images;
    if !batch.is_multiple_of(images) || classes < 2 {
        return Err(MethodError::Setting {
            method: Rkd::ID,
            key: "images_per_class",
            expected: format!("a divisor of the {batch} images of a batch, at most half of them"),
            found: images.to_string(),
        });
    }
    Ok(Balanced { classes, images })
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
            logits: false,
        }
    }

    fn task_weight(&self) -> f64 {
        self.config.ce_weight
    }

    fn images(&self) -> Images {
        Images {
            balanced: self.balanced,
            ..Images::default()
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let Some((student, teacher)) = self.embeddings(step)? else {
            let map = self.pair.student_map(Self::ID, step.student)?;
            let nothing = map.sum().mul_scalar(0.0);
            return Ok(vec![
                Term::new("distance", nothing.clone(), self.config.distance_weight),
                Term::new("angle", nothing, self.config.angle_weight),
            ]);
        };
        let student = self.embedding(student);
        let [distance, angle] = self.relations(student.clone(), teacher);
        let mut terms = vec![
            Term::new("distance", distance, self.config.distance_weight),
            Term::new("angle", angle, self.config.angle_weight),
        ];
        if self.config.triplet_weight > 0.0 {
            let labels: Vec<i64> = step
                .labels(Self::ID)?
                .clone()
                .into_data()
                .iter::<i64>()
                .collect();
            let triplets = self.triplets(&student, &labels, pass.next_seed())?;
            let value = self.triplet(student, &triplets);
            terms.push(Term::new("triplet", value, self.config.triplet_weight));
        }
        Ok(terms)
    }

    fn pairs(&self) -> Vec<(String, String)> {
        vec![self.pair.names()]
    }
}

#[cfg(test)]
mod tests;
