//! # mgram — Multi-Modality Distillation via Learning the Teacher's Modality-level Gram Matrix
//!
//! A student that copies the final answer alone is free to weigh its modalities as it likes. So
//! the relations between the features of the modalities are a target too.
//!
//! ## Definition
//! L = ce_weight · CE(z, y) + kd_weight · T²/B · Σ_b KL(softmax(u/T) ‖ softmax(z/T))
//!   + weight · mean (G_s − G_t)²
//!
//! z, u: logits of student and teacher, T: `temperature`. For each network f_m `[B, D]` is the
//! feature of modality m of M; with `normalize = "l2"` f_m/max(‖f_m‖, 1e-12), with `none` as it
//! is. G_mn = ⟨f_m, f_n⟩, `[B, M, M]`; the mean is over images and all M² entries, the diagonal
//! included. G_t is detached. Widths of student and teacher may differ.
//!
//! ## Inputs and shapes
//! One map `[B, C, H, W]` of each network before its pooling, by default the last stages; tokens
//! are put back on their grid. The modalities of an image are its parts: the map is averaged over
//! `rows` × `columns` windows, which gives M = rows·columns features of width C; with the default,
//! its left and its right half.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `ce_weight` | 1 | ≥ 0 | our reading |
//! | `kd_weight` | 1 | ≥ 0 | our reading |
//! | `temperature` | 4 | > 0 | our reading |
//! | `weight` | 10 | ≥ 0 | our reading; 1 to 100 are worth trying |
//! | `rows` | 1 | ≥ 1 | ours |
//! | `columns` | 2 | ≥ 1, rows·columns ≥ 2 | ours: two halves |
//! | `normalize` | `l2` | or `none` | our reading; `none` needs features of one scale |
//!
//! ## Notes
//! Neither code nor full text was to be had; the abstract's aim is kept and the rest is our
//! reading. Images have one modality, so parts of the image stand for several: one encoder sees
//! them all, its last map is split before the mean over positions brings them together. Features
//! of a part also know what its surroundings look like. Masks for missing modalities have no use
//! there. Equal up to a common rotation and, with `l2`, the scale of each feature. Cost: B·M²·C.
//!
//! ## Reference
//! Liu. "Multi-Modality Distillation via Learning the Teacher's Modality-level Gram Matrix". 2021.
//! <https://arxiv.org/abs/2112.11447>

#[cfg(test)]
pub mod golden;

use burn::tensor::Tensor;
use limbeck_nn::{Builder, Pass, Taps};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    connector::{mean_squared_error, pool_map},
    criterion::{require_at_least, require_positive, require_weight},
    pairs::{Pair, propose_pairs, resolve_pair},
    softmax::softened_kl,
};

/// Smallest length that a feature is divided by, as in PyTorch's `normalize`.
const LENGTH_FLOOR: f64 = 1e-12;

/// What happens to features before their products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GramNormalisation {
    /// Divided by their lengths.
    #[default]
    L2,
    /// Nothing.
    None,
}

/// Settings of [`Mgram`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MgramConfig {
    /// Factor of the supervised loss.
    pub ce_weight: f64,
    /// Factor of the divergence from the teacher's logits.
    pub kd_weight: f64,
    /// Softens the logits.
    pub temperature: f64,
    /// Factor of the Gram matrices' mean squared error.
    pub weight: f64,
    /// Parts of an image from top to bottom.
    pub rows: usize,
    /// Parts of an image from left to right.
    pub columns: usize,
    /// What happens to features before their products.
    pub normalize: GramNormalisation,
}

impl Default for MgramConfig {
    fn default() -> Self {
        Self {
            ce_weight: 1.0,
            kd_weight: 1.0,
            temperature: 4.0,
            weight: 10.0,
            rows: 1,
            columns: 2,
            normalize: GramNormalisation::L2,
        }
    }
}

/// Relations between the parts of an image.
#[derive(Debug)]
pub struct Mgram {
    config: MgramConfig,
    pair: Pair,
}

impl Mgram {
    const ID: &'static str = "mgram";

    /// Checks settings and layers.
    ///
    /// # Errors
    /// A setting out of range, fewer than two modalities, no teacher, layers that are not there or
    /// that have fewer positions than parts.
    pub fn new(
        config: MgramConfig,
        probe: &Probe,
        _builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "ce_weight", config.ce_weight)?;
        require_weight(Self::ID, "kd_weight", config.kd_weight)?;
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "weight", config.weight)?;
        require_at_least(Self::ID, "rows", config.rows, 1)?;
        require_at_least(Self::ID, "columns", config.columns, 1)?;
        if config.rows.saturating_mul(config.columns) < 2 {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "columns",
                expected: "at least 2 where `rows` is 1: one modality has no relations".to_owned(),
                found: config.columns.to_string(),
            });
        }
        let pair = resolve_pair(Self::ID, probe, |student, teacher| {
            propose_pairs(student, teacher).pop().into_iter().collect()
        })?;
        for [_, height, width] in [pair.student_shape, pair.teacher_shape] {
            if height < config.rows || width < config.columns {
                let reason = format!(
                    "a map of {height}×{width} cannot be cut into {}×{} parts; name an earlier \
                     layer with `pairs` in [method], or set `rows` and `columns`",
                    config.rows, config.columns
                );
                return Err(pair.mismatch(Self::ID, reason));
            }
        }
        Ok(Self { config, pair })
    }

    /// The features of an image's parts: map `[B, C, H, W]` → `[B, M, C]`.
    pub fn parts(&self, map: Tensor<4>) -> Tensor<3> {
        let [batch, channels, ..] = map.dims();
        let (rows, columns) = (self.config.rows, self.config.columns);
        pool_map(map, [rows, columns])
            .reshape([batch, channels, rows * columns])
            .swap_dims(1, 2)
    }

    /// G: features `[B, M, D]` → `[B, M, M]`.
    pub fn gram(&self, features: Tensor<3>) -> Tensor<3> {
        let [_, modalities, _] = features.dims();
        let gram = features.clone().matmul(features.swap_dims(1, 2));
        match self.config.normalize {
            GramNormalisation::None => gram,
            GramNormalisation::L2 => {
                // The squares of the lengths lie on the diagonal: M² products are divided instead of
                // M · D numbers. The floor is put under the square, so that the gradient at zero is zero.
                let diagonal = Tensor::<2>::eye(modalities, &gram.device()).cast(gram.dtype());
                let squares = (gram.clone() * diagonal.unsqueeze()).sum_dim(2);
                let lengths = squares.clamp_min(LENGTH_FLOOR * LENGTH_FLOOR).sqrt();
                gram / (lengths.clone() * lengths.swap_dims(1, 2))
            }
        }
    }

    /// The mean squared difference of the Gram matrices of features `[B, M, D_s]` and
    /// `[B, M, D_t]`, `[1]`.
    ///
    /// # Errors
    /// Different numbers of images or modalities.
    pub fn relations(
        &self,
        student: Tensor<3>,
        teacher: Tensor<3>,
    ) -> Result<Tensor<1>, MethodError> {
        let sizes = |x: &Tensor<3>| [x.dims()[0], x.dims()[1]];
        if sizes(&student) != sizes(&teacher) {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "student and teacher differ in images and modalities: {:?} and {:?}",
                    sizes(&student),
                    sizes(&teacher)
                ),
            });
        }
        Ok(mean_squared_error(self.gram(student), self.gram(teacher)))
    }

    /// T² times the divergence of logits `[B, K]` from the teacher's, `[1]`.
    pub fn soft(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        softened_kl(student, teacher, self.config.temperature)
    }
}

impl Criterion for Mgram {
    fn needs(&self) -> Needs {
        Needs {
            student: Taps::from_iter([&self.pair.student.name]),
            teacher: Taps::from_iter([&self.pair.teacher.name]),
            logits: self.config.kd_weight > 0.0,
        }
    }

    fn task_weight(&self) -> f64 {
        self.config.ce_weight
    }

    fn terms(&mut self, step: &Step<'_>, _pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let outputs = step.teacher(Self::ID)?;
        let teacher = self.parts(self.pair.teacher_map(Self::ID, &outputs)?);
        let student = self.parts(self.pair.student_map(Self::ID, step.student)?);
        let relations = self.relations(student, teacher)?;
        let mut terms = vec![Term::new("gram", relations, self.config.weight)];
        if self.config.kd_weight > 0.0 {
            let (own, others) = step.rows(Self::ID)?;
            let soft = self.soft(own, others);
            terms.push(Term::new("kd", soft, self.config.kd_weight));
        }
        Ok(terms)
    }

    fn pairs(&self) -> Vec<(String, String)> {
        vec![self.pair.names()]
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Int;

    use super::*;
    use crate::testing::{
        assert_close, build, gradient, leaf, map, number, numbers, outputs, probe, random, tensor,
        terms, tokens,
    };

    fn make(config: MgramConfig) -> Mgram {
        let taps = [map("stage1", [3, 4, 4])];
        build(&probe(&taps, &taps), |p, b| Mgram::new(config, p, b))
            .unwrap()
            .0
    }

    fn raw() -> MgramConfig {
        MgramConfig {
            normalize: GramNormalisation::None,
            ..MgramConfig::default()
        }
    }

    #[test]
    fn a_common_rotation_and_with_l2_the_scale_of_a_modality_cost_nothing() {
        let teacher = random("t", [2, 3, 2]);
        // Two numbers turned into three.
        let (sine, cosine) = 0.7f64.sin_cos();
        let turn = tensor(vec![cosine, sine, 0.0, 0.0, 0.0, 1.0], [1, 2, 3]);
        let turned = teacher.clone().matmul(turn.repeat_dim(0, 2));
        let scales = tensor(vec![2.0, 0.5, 7.0], [1, 3, 1]);
        let scaled = turned.clone() * scales;
        let loss =
            |config, student| number(&make(config).relations(student, teacher.clone()).unwrap());
        assert_close(&[loss(MgramConfig::default(), scaled.clone())], &[0.0]);
        assert_close(&[loss(raw(), turned)], &[0.0]);
        assert!(loss(raw(), scaled) > 1e-3);
        assert!(loss(MgramConfig::default(), random("s", [2, 3, 5])) > 1e-3);
    }

    #[test]
    fn matrices_are_symmetric_within_one_and_the_order_of_modalities_does_not_matter() {
        let method = make(MgramConfig::default());
        let (student, teacher) = (random("s", [2, 3, 5]), random("t", [2, 3, 4]));
        let gram = method.gram(student.clone());
        assert_close(&numbers(&gram), &numbers(&gram.clone().swap_dims(1, 2)));
        let entries = numbers(&gram);
        assert!(entries.iter().all(|entry| entry.abs() <= 1.0 + 1e-12));
        for matrix in entries.chunks(9) {
            assert_close(&[matrix[0], matrix[4], matrix[8]], &[1.0; 3]);
        }
        let order = || Tensor::<1, Int>::from_data([2, 0, 1], &student.device());
        let before = method.relations(student.clone(), teacher.clone()).unwrap();
        let after = method
            .relations(
                student.clone().select(1, order()),
                teacher.select(1, order()),
            )
            .unwrap();
        assert_close(&[number(&after)], &[number(&before)]);
    }

    #[test]
    fn with_l2_the_gradient_is_at_right_angles_to_the_feature_and_zero_at_zero() {
        let method = make(MgramConfig::default());
        let student = leaf(random("s", [2, 3, 5]));
        let loss = method
            .relations(student.clone(), random("t", [2, 3, 4]))
            .unwrap();
        let found = gradient(&student, &loss.backward()).unwrap();
        for (gradient, feature) in found.chunks(5).zip(numbers(&student.inner()).chunks(5)) {
            let along: f64 = gradient.iter().zip(feature).map(|(g, f)| g * f).sum();
            assert_close(&[along], &[0.0]);
        }
        let zeros = leaf(random("s", [2, 3, 5]).zeros_like());
        let loss = method
            .relations(zeros.clone(), random("t", [2, 3, 4]))
            .unwrap();
        let found = gradient(&zeros, &loss.backward()).unwrap();
        assert!(found.iter().all(|&g| g == 0.0));
    }

    #[test]
    fn parts_are_the_halves_of_a_map() {
        let method = make(MgramConfig::default());
        let map = tensor(vec![1.0, 3.0, 5.0, 7.0, 0.0, 0.0, 0.0, 8.0], [1, 2, 1, 4]);
        assert_eq!(numbers(&method.parts(map)), [2.0, 0.0, 6.0, 4.0]);
    }

    #[test]
    fn maps_and_grids_of_different_widths_are_compared() {
        let student = [map("stage1", [3, 4, 6])];
        let teacher = [tokens("stage1", 5, [7, 7])];
        let (mut method, store) = build(&probe(&student, &teacher), |p, b| {
            Mgram::new(MgramConfig::default(), p, b)
        })
        .unwrap();
        let (s, t) = (outputs("s", 4, &student), outputs("t", 4, &teacher));
        let found = terms(&mut method, &store, &s, &t);
        let names: Vec<_> = found.iter().map(|t| (t.name.as_str(), t.weight)).collect();
        assert_eq!(names, [("gram", 10.0), ("kd", 1.0)]);
        assert!(found.iter().all(|term| number(&term.value) > 0.0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let taps = [map("stage1", [3, 1, 4])];
        let refused = |config| {
            let made = build(&probe(&taps, &taps), |p, b| Mgram::new(config, p, b));
            made.unwrap_err().to_string()
        };
        let single = refused(MgramConfig {
            columns: 1,
            ..MgramConfig::default()
        });
        assert!(single.contains("`columns` must be at least 2"), "{single}");
        let small = refused(MgramConfig {
            rows: 2,
            ..MgramConfig::default()
        });
        assert!(
            small.contains("1×4 cannot be cut into 2×2 parts"),
            "{small}"
        );
        let negative = refused(MgramConfig {
            weight: -1.0,
            ..MgramConfig::default()
        });
        assert!(negative.contains("`weight`"), "{negative}");
        let method = make(MgramConfig::default());
        let error = method.relations(random("s", [2, 3, 5]), random("t", [2, 2, 5]));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("[2, 3] and [2, 2]"), "{error}");
    }
}
