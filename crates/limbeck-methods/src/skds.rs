//! # skds — Structured Knowledge Distillation for Dense Prediction
//!
//! Three parts: the class distribution of each pixel, how alike the regions of an image are to each
//! other, and, where it is asked for, a discriminator that cannot tell the student's maps of scores
//! from the teacher's.
//!
//! ## Definition
//! L = CE(z, y) + pixel_weight · L_pi + pair_weight · L_pa − holistic_weight · mean D(z)
//!
//! L_pi = −1/(H·W) Σ_b Σ_p Σ_c softmax(u_bp)_c · log softmax(z_bp)_c: summed over the batch.
//! L_pa = 1/(B·n²) Σ_b Σ_ij (⟨t_bi, t_bj⟩ − ⟨s_bi, s_bj⟩)²
//!
//! z, u: logits of student and teacher (detached). s_bi, t_bi: maximum of the feature over window i
//! of image b, made a unit vector; n: number of windows. Their size is `pool_scale` of the map's
//! along each axis, rounded down, or `window` positions; those at the end may be smaller. The
//! discriminator D minimises holistic_weight · (mean max(0, 1 − D(u)) + mean max(0, 1 + D(z))).
//!
//! ## Inputs and shapes
//! Logits `[B, K, h, w]` of both, one pair of maps, by default what the last classifiers read. Where
//! sizes differ, the teacher's logits are brought to the student's, of the features the larger is
//! averaged over adaptive windows to the smaller. D: batch norm of the K maps, four 4×4 convolutions
//! of stride 2 to 64, 128, 256, 512 channels with spectral norms and leaky ReLUs, attention over
//! positions after the third and the fourth, a 4×4 convolution to scores; logits smaller than 64×64
//! are interpolated to that.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `pixel_weight` | 10 | ≥ 0 | authors' code |
//! | `pair_weight` | 0.5 | ≥ 0 | same; CIRKD's comparison 10 |
//! | `pool_scale` | 0.5 | above 0, to 1 | same: windows of half the map |
//! | `window` | none | ≥ 1 | CIRKD's comparison 2: side of the windows in positions, in place of `pool_scale` |
//! | `lengths_learn` | false | | whether the gradient passes through the vectors' lengths, as in CIRKD's comparison; the authors' code leaves that out |
//! | `holistic_weight` | 0 | ≥ 0 | authors' code 0.1, CIRKD's comparison 0.001 |
//! | `discriminator_rate` | 0.04 | > 0 | authors' code: 4e-4 to the student's 0.01; a factor of the recipe's rate |
//!
//! ## Notes
//! L_pi is a cross entropy and not 0 where the networks agree, and it grows with the batch.
//! `holistic_weight` above 0 makes it a procedure of two acts in each step, student then
//! discriminator, which cannot be joined with other methods. The authors train D by WGAN with a
//! gradient penalty, which needs gradients of gradients; here it is the hinge loss that their code
//! offers too. Their README has 69.10, pixels 70.51, and pairs 71.78, and D 74.08 % on Cityscapes
//! (ResNet18). Cost: B·n²·C multiply-accumulates, and D's passes.
//!
//! ## Reference
//! Liu, Chen, Liu, Qin, Luo, Wang. "Structured Knowledge Distillation for Semantic Segmentation".
//! CVPR 2019. <https://arxiv.org/abs/1903.04197>
//! Authors' code: <https://github.com/irfanICMLL/structure_knowledge_distillation> (ce208e1e5ba9,
//! BSD-2).

mod discriminator;
#[cfg(test)]
pub mod golden;
mod holistic;

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Pass,
    layer::{max_pool2d_windows, soft_cross_entropy},
};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    connector::mean_squared_error,
    criterion::{
        require_at_least, require_positive, require_share, require_teacher, require_weight,
    },
    dense::{last_features, logit_maps, on_one_grid, require_logit_maps},
    pairs::{Pair, resolve_pair},
};
pub use holistic::SkdsStages;

/// Added to the lengths that vectors are divided by where these are constants (authors' code).
const EPSILON: f64 = 1e-8;
/// Least length otherwise (PyTorch's `normalize`).
const FLOOR: f64 = 1e-12;

/// Settings of [`Skds`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SkdsConfig {
    /// Factor of the pixels' cross entropy.
    pub pixel_weight: f64,
    /// Factor of the windows' similarities.
    pub pair_weight: f64,
    /// Size of the windows, as a share of the map's.
    pub pool_scale: f64,
    /// Size of the windows in positions, in place of the share.
    pub window: Option<usize>,
    /// Whether the gradient passes through the lengths of the vectors.
    pub lengths_learn: bool,
    /// Factor of the discriminator's judgement and of its own loss.
    pub holistic_weight: f64,
    /// Factor of the recipe's learning rate for the discriminator.
    pub discriminator_rate: f64,
}

impl Default for SkdsConfig {
    fn default() -> Self {
        Self {
            pixel_weight: 10.0,
            pair_weight: 0.5,
            pool_scale: 0.5,
            window: None,
            lengths_learn: false,
            holistic_weight: 0.0,
            discriminator_rate: 0.04,
        }
    }
}

/// Pixels and pairs of regions.
#[derive(Debug)]
pub struct Skds {
    config: SkdsConfig,
    /// `None` where features are not compared.
    pair: Option<Pair>,
}

impl Skds {
    const ID: &'static str = "skds";

    /// Checks settings and layers.
    ///
    /// # Errors
    /// A setting out of range, no teacher, other classes, layers that are not there, windows of no
    /// positions; a discriminator, which takes acts of its own.
    pub fn new(
        config: SkdsConfig,
        probe: &Probe,
        _builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        if config.holistic_weight != 0.0 {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "holistic_weight",
                expected: "0 where it is joined with other methods: the discriminator learns in \
                           acts of its own"
                    .to_owned(),
                found: config.holistic_weight.to_string(),
            });
        }
        Self::assemble(config, probe)
    }

    fn assemble(config: SkdsConfig, probe: &Probe) -> Result<Self, MethodError> {
        require_weight(Self::ID, "pixel_weight", config.pixel_weight)?;
        require_weight(Self::ID, "pair_weight", config.pair_weight)?;
        require_weight(Self::ID, "holistic_weight", config.holistic_weight)?;
        require_positive(Self::ID, "discriminator_rate", config.discriminator_rate)?;
        require_positive(Self::ID, "pool_scale", config.pool_scale)?;
        require_share(Self::ID, "pool_scale", config.pool_scale)?;
        require_at_least(Self::ID, "window", config.window.unwrap_or(1), 1)?;
        require_teacher(Self::ID, probe)?;
        if config.pixel_weight + config.holistic_weight > 0.0 {
            require_logit_maps(Self::ID, probe)?;
        }
        if config.pixel_weight + config.pair_weight + config.holistic_weight == 0.0 {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "pixel_weight",
                expected: "above 0 where all other weights are 0".to_owned(),
                found: "0".to_owned(),
            });
        }
        let pair = match config.pair_weight > 0.0 {
            true => Some(resolve_pair(Self::ID, probe, last_features)?),
            false => None,
        };
        let method = Self { config, pair };
        if let Some(pair) = &method.pair {
            let ([_, height, width], [_, other_height, other_width]) =
                (pair.student_shape, pair.teacher_shape);
            let size = [height.min(other_height), width.min(other_width)];
            if method.windows(size).contains(&0) {
                let reason = format!(
                    "windows of {} of {}×{} positions are empty; set a greater `pool_scale`, or \
                     `window`, in [method.skds]",
                    method.config.pool_scale, size[0], size[1]
                );
                return Err(pair.mismatch(Self::ID, reason));
            }
        }
        Ok(method)
    }

    /// Height and width of the windows on maps of this size.
    fn windows(&self, size: [usize; 2]) -> [usize; 2] {
        match self.config.window {
            Some(side) => [side; 2],
            None => size.map(|length| (length as f64 * self.config.pool_scale) as usize),
        }
    }

    /// L_pi `[1]` of logits `[B, K, h, w]` on one grid.
    pub fn pixels(student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        let [_, _, height, width] = student.dims();
        soft_cross_entropy(student, teacher).mul_scalar(1.0 / (height * width) as f64)
    }

    /// L_pa `[1]` of maps `[B, C_s, h, w]` and `[B, C_t, h', w']`.
    pub fn pairs_of_windows(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        let (student, teacher) = on_one_grid(student, teacher);
        mean_squared_error(self.similarities(student), self.similarities(teacher))
    }

    /// Products of the windows' unit vectors: `[B, C, h, w]` → `[B, n, n]`.
    fn similarities(&self, map: Tensor<4>) -> Tensor<3> {
        let [_, _, height, width] = map.dims();
        let windows = self.windows([height, width]).map(|length| length.max(1));
        let nodes = max_pool2d_windows(map, windows);
        let [batch, channels, rows, columns] = nodes.dims();
        let nodes = nodes.reshape([batch, channels, rows * columns]);
        let squares = match self.config.lengths_learn {
            true => nodes.clone(),
            false => nodes.clone().detach(),
        };
        let squares = squares.square().sum_dim(1);
        let lengths = match self.config.lengths_learn {
            // The floor is put under the square, so that the gradient at zero is finite.
            true => squares.clamp_min(FLOOR * FLOOR).sqrt(),
            false => squares.sqrt().add_scalar(EPSILON),
        };
        let unit = nodes / lengths;
        unit.clone().swap_dims(1, 2).matmul(unit)
    }

    /// Pixels and pairs of a step.
    fn compare(&self, step: &Step<'_>) -> Result<Vec<Term>, MethodError> {
        let mut terms = Vec::new();
        if self.config.pixel_weight > 0.0 {
            let (student, teacher) = logit_maps(Self::ID, step)?;
            let value = Self::pixels(student, teacher);
            terms.push(Term::new("pixel", value, self.config.pixel_weight));
        }
        if let Some(pair) = &self.pair {
            let student = pair.student_map(Self::ID, step.student)?;
            let teacher = pair.teacher_map(Self::ID, &step.teacher(Self::ID)?)?;
            let value = self.pairs_of_windows(student, teacher);
            terms.push(Term::new("pair", value, self.config.pair_weight));
        }
        Ok(terms)
    }
}

impl Criterion for Skds {
    fn needs(&self) -> Needs {
        Needs {
            student: self.pair.iter().map(|pair| &pair.student.name).collect(),
            teacher: self.pair.iter().map(|pair| &pair.teacher.name).collect(),
            logits: self.config.pixel_weight > 0.0,
        }
    }

    fn terms(&mut self, step: &Step<'_>, _pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        self.compare(step)
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.pair.iter().map(Pair::names).collect()
    }
}

#[cfg(test)]
mod tests;
