//! # byot — Be Your Own Teacher
//!
//! A classifier is attached to the end of every stage but the last, and each learns from the
//! labels, from the network's own softened prediction and from its own embedding: the deepest part
//! of the student teaches the shallower ones. No teacher is read; the attached classifiers are
//! trained along and thrown away.
//!
//! ## Definition
//! z, f: logits and embedding of the student (detached wherever they teach); z_i, f_i: those of
//! branch i, counted from the output, so that branch 0 reads the last stage but one. H(p, z) is
//! the cross entropy of softmax(z) with p, averaged over the batch; T: `temperature`;
//! α: `kd_share`; β: `feature_weight`.
//!
//! `form = "conference"`: L = (1 − α)·(CE(z, y) + Σ_i CE(z_i, y)) + α·T²·Σ_i H(softmax(z/T), z_i/T) +
//! β·Σ_i F(f_i, f), where F sums (f_i − f)² over the batch and those channels in which f_i or f
//! is above 0. A branch is a 1×1 convolution to a quarter of the embedding's width, a convolution
//! whose kernel and stride are the ratio of its map to the last stage's, and a 1×1 convolution to
//! the embedding's width, each with bias, batch norm and ReLU; then the mean over positions and a
//! linear map.
//!
//! `form = "journal"`: L = CE(z, y) + Σ_i [(1 − α)·CE(z_i, y) + α·H(softmax(z/T), z_i/T)] +
//! β·Σ_{i>0} ‖A_i f_i − f‖, one Euclidean norm over the whole batch, not squared, and A_i a
//! linear map. A branch multiplies its map by sigmoid(up(ReLU(BN(S(x))))), runs one S for each
//! stage that follows, to that stage's width, and ends with the mean over positions and a linear
//! map. S is a separable convolution: depthwise 3×3 of stride 2, 1×1, BN, ReLU, depthwise 3×3,
//! 1×1, BN, ReLU; up restores height and width bilinearly.
//!
//! ## Inputs and shapes
//! The student's maps `[B, C, H, W]` at the ends of its stages (tokens are put back on their
//! grid), its embedding `pooled` `[B, D]`, its logits `[B, K]`, labels `[B]` or the shares of the
//! classes `[B, K]`. In the conference form, heights and widths are multiples of the last stage's
//! and D is divisible by 4.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `form` | `conference` | `conference`, `journal` | the paper; its authors' later code |
//! | `temperature` | 3 | > 0 | both codes |
//! | `kd_share` | none | 0 to 1 | 0.1 in the conference form (unofficial code), 0.3 in the journal's (authors' code) |
//! | `feature_weight` | none | ≥ 0 | 1e-6 and 0.03, from the same |
//!
//! ## Notes
//! The authors released the later form alone; the conference form follows the usual unofficial
//! code, constant kernels 8, 4, 2 becoming the ratios of the maps. The authors' journal branches
//! are fixed to a ResNet whose stages double in width; here they follow the stages' widths. Its
//! first feature term is left out as in the code. Where all f_i equal f the norm's gradient is
//! taken as 0. The branches' logits as early exits are not kept: the student is deployed alone.
//! Cost: one small head for each stage but the last, no second pass over the images.
//!
//! ## Reference
//! Zhang, Song, Gao, Chen, Bao, Ma. "Be Your Own Teacher: Improve the Performance of Convolutional
//! Neural Networks via Self Distillation". ICCV 2019. <https://arxiv.org/abs/1905.08094>
//! Codes: <https://github.com/luanyunteng/pytorch-be-your-own-teacher> (8045079f9933, unofficial)
//! and <https://github.com/ArchipLab-LinfengZhang/pytorch-self-distillation-final> (47ca93b6a60b);
//! neither has a licence.

mod branch;
#[cfg(test)]
pub mod golden;
#[cfg(test)]
mod tests;

use burn::tensor::{Tensor, activation::softmax};
use limbeck_nn::{Builder, Pass, Taps, layer::Linear};
use serde::{Deserialize, Serialize};

pub use self::branch::{Branch, BranchOutput};
use crate::{
    Criterion, MethodError, Needs, Probe, Step, Supervision, Term,
    criterion::{require_positive, require_share, require_weight},
    pairs::{find_map, map_of, stages, vector_of},
    softmax::soft_cross_entropy,
};

/// Which of the two published forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByotForm {
    /// Bottleneck branches, T², squared masked feature distance.
    Conference,
    /// Attentive branches, no T², Euclidean norm after a linear map.
    Journal,
}

/// Settings of [`Byot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ByotConfig {
    /// Which of the two published forms.
    pub form: ByotForm,
    /// Softens both distributions.
    pub temperature: f64,
    /// Share of the student's prediction in what a branch learns, the rest is the labels'; `None`
    /// takes the form's.
    pub kd_share: Option<f64>,
    /// Factor of the distance of the features; `None` takes the form's.
    pub feature_weight: Option<f64>,
}

impl Default for ByotConfig {
    fn default() -> Self {
        Self {
            form: ByotForm::Conference,
            temperature: 3.0,
            kd_share: None,
            feature_weight: None,
        }
    }
}

/// The deepest classifier teaches those of earlier stages.
#[derive(Debug)]
pub struct Byot {
    form: ByotForm,
    temperature: f64,
    kd_share: f64,
    feature_weight: f64,
    /// Taps that the branches read, nearest to the output first.
    taps: Vec<String>,
    branches: Vec<Branch>,
    /// From each branch's feature to the embedding; the journal form alone has them.
    adaptations: Vec<Linear>,
}

/// Added to the squared norm of the journal form, so that its root has a gradient at 0: far below
/// what single precision resolves beside any distance that matters.
const SQUARED_NORM_FLOOR: f64 = 1e-24;

impl Byot {
    const ID: &'static str = "byot";
    const EMBEDDING: &'static str = "pooled";

    /// Makes the branches: `branches.0.*` for the one nearest to the output, …; and in the journal
    /// form `adaptation_layers.0.*`, ….
    ///
    /// # Errors
    /// A setting out of range, a student of fewer than two stages or without embedding, or maps
    /// that no branch of the form reduces.
    pub fn new(
        config: ByotConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        let (kd_share, feature_weight) = match config.form {
            ByotForm::Conference => (0.1, 1e-6),
            ByotForm::Journal => (0.3, 0.03),
        };
        let kd_share = config.kd_share.unwrap_or(kd_share);
        let feature_weight = config.feature_weight.unwrap_or(feature_weight);
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_share(Self::ID, "kd_share", kd_share)?;
        require_weight(Self::ID, "feature_weight", feature_weight)?;

        let (_, [width, ..]) = find_map(Self::ID, "student", &probe.student, Self::EMBEDDING)?;
        let mut maps = Vec::new();
        for tap in stages(&probe.student) {
            maps.push(find_map(Self::ID, "student", &probe.student, &tap.name)?);
        }
        if maps.len() < 2 {
            return Err(MethodError::Pairs {
                method: Self::ID.to_owned(),
                reason: format!(
                    "the student has {} stages, and a branch needs one before the last; choose \
                     another student",
                    maps.len()
                ),
            });
        }
        let mut branches = Vec::new();
        let mut adaptations = Vec::new();
        for (i, at) in (0..maps.len() - 1).rev().enumerate() {
            let (tap, shape) = &maps[at];
            let deeper: Vec<[usize; 3]> = maps[at + 1..].iter().map(|(_, shape)| *shape).collect();
            let level = builder.sub(format!("branches.{i}"));
            let branch = match config.form {
                ByotForm::Conference => {
                    let last = deeper[deeper.len() - 1];
                    Branch::bottleneck(level, *shape, last, width, probe)
                }
                ByotForm::Journal => Branch::attentive(level, *shape, &deeper, probe),
            };
            let branch = branch.map_err(|reason| MethodError::Shape {
                method: Self::ID,
                feature: format!("the student's `{}` ({})", tap.name, tap.kind),
                reason,
            })?;
            if config.form == ByotForm::Journal {
                let level = builder.sub(format!("adaptation_layers.{i}"));
                adaptations.push(Linear::new(level, branch.width(), width));
            }
            branches.push(branch);
        }
        let names = maps.iter().rev().skip(1).map(|(tap, _)| tap.name.clone());
        Ok(Self {
            form: config.form,
            temperature: config.temperature,
            kd_share,
            feature_weight,
            taps: names.collect(),
            branches,
            adaptations,
        })
    }

    /// The terms from the student's logits `[B, K]` and embedding `[B, D]`, what the branches gave
    /// out, nearest to the output first, and labels `[B]` or shares of the classes `[B, K]`:
    /// `branches`, the branches' own cross entropies; `kd`, towards the student's prediction;
    /// `feature`, towards its embedding.
    pub fn losses(
        &self,
        pass: &mut Pass<'_>,
        logits: &Tensor<2>,
        feature: &Tensor<2>,
        branches: &[BranchOutput],
        supervision: Supervision<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let soften = |logits: Tensor<2>| logits.mul_scalar(1.0 / self.temperature);
        let target = softmax(soften(logits.clone().inner()), 1);
        let mut supervised = Vec::new();
        let mut taught = Vec::new();
        let mut distances = Vec::new();
        for (i, branch) in branches.iter().enumerate() {
            supervised.push(supervision.loss(branch.logits.clone())?);
            let softened = soften(branch.logits.clone());
            taught.push(soft_cross_entropy(softened, target.clone()));
            if let Some(distance) = self.distance(pass, i, branch.feature.clone(), feature) {
                distances.push(distance);
            }
        }
        let scale = match self.form {
            ByotForm::Conference => self.temperature * self.temperature,
            ByotForm::Journal => 1.0,
        };
        let sum = |parts: Vec<Tensor<1>>| match parts.is_empty() {
            true => Tensor::zeros([1], (&logits.device(), logits.dtype())),
            false => Tensor::cat(parts, 0).sum(),
        };
        Ok(vec![
            Term::new("branches", sum(supervised), 1.0 - self.kd_share),
            Term::new("kd", sum(taught).mul_scalar(scale), self.kd_share),
            Term::new("feature", sum(distances), self.feature_weight),
        ])
    }

    /// How far the feature `[B, D_i]` of branch `index` is from the student's embedding `[B, D]`,
    /// which teaches, `[1]`; `None` where the form leaves the branch out.
    pub fn distance(
        &self,
        pass: &mut Pass<'_>,
        index: usize,
        branch: Tensor<2>,
        feature: &Tensor<2>,
    ) -> Option<Tensor<1>> {
        let feature = feature.clone().inner();
        match self.form {
            ByotForm::Conference => {
                let active = branch.clone().inner().greater_scalar(0.0);
                let active = active.bool_or(feature.clone().greater_scalar(0.0));
                let active = active.float().cast(feature.dtype());
                Some(((branch - feature).square() * active).sum())
            }
            ByotForm::Journal if index == 0 => None,
            ByotForm::Journal => {
                let adapted = self.adaptations[index].forward(pass, branch);
                let squared = (adapted - feature).square().sum();
                Some(squared.add_scalar(SQUARED_NORM_FLOOR).sqrt())
            }
        }
    }
}

impl Criterion for Byot {
    fn needs(&self) -> Needs {
        let embedding = Self::EMBEDDING.to_owned();
        Needs {
            student: Taps::from_iter(self.taps.iter().cloned().chain([embedding])),
            teacher: Taps::none(),
            logits: false,
        }
    }

    fn task_weight(&self) -> f64 {
        match self.form {
            ByotForm::Conference => 1.0 - self.kd_share,
            ByotForm::Journal => 1.0,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let feature = vector_of(Self::ID, "student", step.student, Self::EMBEDDING)?;
        let mut outputs = Vec::new();
        for (branch, tap) in self.branches.iter().zip(&self.taps) {
            let map = map_of(Self::ID, "student", step.student, tap)?;
            outputs.push(branch.forward(pass, map));
        }
        let logits = step.student.logits();
        self.losses(pass, &logits, &feature, &outputs, step.supervision)
    }
}
