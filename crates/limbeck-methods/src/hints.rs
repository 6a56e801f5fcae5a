//! # hints — PURSUhInT: In Search of Informative Hint Points Based on Layer Clustering for Knowledge Distillation
//!
//! Layers of a teacher that represent alike are redundant as hints. They are grouped by how alike
//! they are over a sample of the training images, and the student's stages learn from the centres
//! of the groups.
//!
//! ## Definition
//! X_i: `[N, C_i]`, the mean over positions of block i of L for N training images, not augmented.
//! Distances d_ij = 1 − similarity of X_i and X_j:
//! `r2`: ‖Q_iᵀQ_j‖²/min(rank_i, rank_j) with an orthonormal basis Q of the channels' span, from
//! which the channels' means are taken off first if `center`; directions with a singular value of
//! at most 1e-6 of the greatest are no part of it. `cka_linear`: ‖X_jᵀX_i‖²/(‖X_iᵀX_i‖·‖X_jᵀX_j‖)
//! of centred columns. `cka_rbf`: ⟨G_i, G_j⟩/(‖G_i‖·‖G_j‖) of centred kernels
//! exp(−D²/(2·`rbf_threshold`²·median D²)).
//! Groups: centres begin at ⌊t·(L−1)/(k−1)⌋, t = 0 … k−1. Each layer goes to the nearest centre;
//! a group's new centre is its member nearest to ⌊mean of its members' places⌋ (`centre =
//! "nearest_place"`) or the one with the smallest sum of distances (`medoid`); until nothing
//! changes, at most 80 times.
//!
//! L = ce_weight · CE(z, y) + kd_weight · T²/B · Σ_b KL(softmax(u/T) ‖ softmax(z/T)) + weight ·
//! Σ_l mean (A(F_s,l) − A(F_t,l))² + wsl_weight · T²/B · Σ_b w_b H(softmax(u/T), softmax(z/T))
//!
//! F_t,l: map of centre l, F_s,l: map of the student's l-th hint point, A: normalised mean over
//! channels of the squares as in `at`; z, u: logits; teacher detached. H is the cross entropy and
//! w_b = 1 − exp(−max(CE(z_b)/(CE(u_b) + 1e-7), 0)), detached, at temperature 1.
//!
//! ## Inputs and shapes
//! Maps `[B, C, H, W]` of the teacher's blocks, or of its stages where it shows no blocks; tokens
//! are put back on their grid. The student's hint points are the ends of its stages, evenly spread
//! where there are fewer hints than stages, and blocks evenly spread where there are more.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `hints` | none | 1 to L | none is the student's number of stages: 3 for CIFAR nets, 4 for ImageNet's, as published |
//! | `similarity` | `r2` | `r2`, `cka_linear`, `cka_rbf` | public re-implementation |
//! | `center` | false | | same; true is the proper R² |
//! | `rbf_threshold` | 1 | > 0 | Kornblith et al. |
//! | `centre` | `nearest_place` | or `medoid` | public re-implementation; `medoid` ours |
//! | `images` | 10000 | ≥ 2 | about the re-implementation's sample |
//! | `ce_weight` | 1 | ≥ 0 | RepDistiller |
//! | `kd_weight` | 0 | ≥ 0 | same; 0.9 with KD |
//! | `temperature` | 4 | > 0 | same |
//! | `weight` | 1000 | ≥ 0 | same, for attention transfer |
//! | `wsl_weight` | 0 | ≥ 0 | 2.5 with weighted soft labels (Zhou et al., ICLR 2021) |
//!
//! ## Notes
//! No official code was found and the paper's text was not to be had: the similarity, the rule for
//! centres and the sample follow a public re-implementation. The selection is independent of the
//! loss; the loss here is attention transfer, and `limbeck inspect TEACHER STUDENT --data DATA`
//! prints the pairs for `pairs` of any other method. Centres may alternate for ever: after 80
//! rounds what stands is taken. `cka_rbf` looks at 1,000 images at most. Cost, once: N·ΣC² for the
//! bases, N·L²/2·C² for their products; at each step that of `at`.
//!
//! ## Reference
//! Keser, Ayanzadeh, Aghdam, Kilcioglu, Toreyin, Ure. "PURSUhInT: In Search of Informative Hint
//! Points Based on Layer Clustering for Knowledge Distillation". Expert Systems with Applications
//! 213, 2023. <https://arxiv.org/abs/2103.00053>

#[cfg(test)]
pub mod golden;

use burn::tensor::{Int, Tensor, activation::log_softmax};
use limbeck_nn::Taps;
use serde::{Deserialize, Serialize};

use crate::{
    Act, Cast, CentreRule, HintSelection, HintSettings, Interlude, LayerSimilarity, MethodError,
    Probe, Procedure, Questions, STUDENT, Scene, Stage, State, Term,
    at::energy_distance,
    criterion::{require_positive, require_teacher, require_weight},
    hint_selection::{HintSurvey, hint_points},
    pairs::{blocks, map_of},
    softmax::softened_kl,
};

/// Power of the activations in A.
const POWER: usize = 2;
/// Added to the teacher's cross entropy (Zhou et al.'s code).
const RATIO_FLOOR: f64 = 1e-7;

/// Settings of [`Hints`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HintsConfig {
    /// Number of hints; the student's number of stages where missing.
    pub hints: Option<usize>,
    /// By what layers are compared.
    pub similarity: LayerSimilarity,
    /// Whether R² takes the channels' means off first.
    pub center: bool,
    /// Width of the Gaussian kernel, in roots of the median squared distance.
    pub rbf_threshold: f64,
    /// How a group finds its centre.
    pub centre: CentreRule,
    /// Training images that layers are compared over.
    pub images: usize,
    /// Factor of the supervised loss.
    pub ce_weight: f64,
    /// Factor of the divergence from the teacher.
    pub kd_weight: f64,
    /// Softens the logits.
    pub temperature: f64,
    /// Factor of the sum over hints.
    pub weight: f64,
    /// Factor of the weighted soft labels.
    pub wsl_weight: f64,
}

impl HintsConfig {
    /// Whether soft labels are weighed by how well the labels are known.
    pub(crate) fn reads_labels(&self) -> bool {
        self.wsl_weight > 0.0
    }
}

impl Default for HintsConfig {
    fn default() -> Self {
        Self {
            hints: None,
            similarity: LayerSimilarity::R2,
            center: false,
            rbf_threshold: 1.0,
            centre: CentreRule::NearestPlace,
            images: 10_000,
            ce_weight: 1.0,
            kd_weight: 0.0,
            temperature: 4.0,
            weight: 1000.0,
            wsl_weight: 0.0,
        }
    }
}

impl HintsConfig {
    /// How the hints are chosen.
    pub fn selection(&self) -> HintSettings {
        HintSettings {
            hints: self.hints,
            similarity: self.similarity,
            center: self.center,
            rbf_threshold: self.rbf_threshold,
            centre: self.centre,
            images: self.images,
        }
    }
}

impl Default for HintSettings {
    fn default() -> Self {
        HintsConfig::default().selection()
    }
}

/// Attention transfer from chosen layers.
#[derive(Debug)]
pub struct Hints {
    config: HintsConfig,
    settings: HintSettings,
    /// Names of the teacher's blocks.
    teacher: Vec<String>,
    student: Vec<limbeck_nn::Tap>,
    /// Places of the chosen blocks, ascending; `None` before they are chosen.
    centres: Option<Vec<usize>>,
}

impl Hints {
    const ID: &'static str = "hints";
    const CENTRES: &'static str = "centres";

    /// Checks settings and layers.
    ///
    /// # Errors
    /// A setting out of range, no teacher, more hints than the teacher has blocks, or layer pairs,
    /// which it finds itself.
    pub fn new(config: HintsConfig, probe: &Probe, _cast: &mut Cast) -> Result<Self, MethodError> {
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "ce_weight", config.ce_weight)?;
        require_weight(Self::ID, "kd_weight", config.kd_weight)?;
        require_weight(Self::ID, "weight", config.weight)?;
        require_weight(Self::ID, "wsl_weight", config.wsl_weight)?;
        let taps = require_teacher(Self::ID, probe)?;
        if probe.pairs.is_some() {
            return Err(MethodError::Pairs {
                method: Self::ID.to_owned(),
                reason: "it chooses the layers itself; leave `pairs` out, or use `at` with them"
                    .to_owned(),
            });
        }
        let settings = config.selection();
        let teacher = blocks(taps);
        settings.check(&probe.student, &teacher)?;
        Ok(Self {
            config,
            settings,
            teacher,
            student: probe.student.clone(),
            centres: None,
        })
    }

    /// The loss of each hint, `[1]`, from maps `[B, C, H, W]` of hint points and centres.
    ///
    /// # Errors
    /// Lists of different lengths.
    pub fn transfer(
        &self,
        student: Vec<Tensor<4>>,
        teacher: Vec<Tensor<4>>,
    ) -> Result<Vec<Tensor<1>>, MethodError> {
        if student.len() != teacher.len() {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "{} student maps cannot be paired with {} hints",
                    student.len(),
                    teacher.len()
                ),
            });
        }
        let pairs = student.into_iter().zip(teacher);
        Ok(pairs.map(|(s, t)| energy_distance(s, t, POWER)).collect())
    }

    /// The soft term of logits `[B, K]` with labels `[B]`: T² times the divergence, `[1]`.
    pub fn soft(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        softened_kl(student, teacher, self.config.temperature)
    }

    /// The weighted soft labels: their term `[1]` and the weight of each image `[B]`.
    pub fn weighted_soft(
        &self,
        student: Tensor<2>,
        teacher: Tensor<2>,
        labels: &Tensor<1, Int>,
    ) -> (Tensor<1>, Tensor<1>) {
        let [batch, _] = student.dims();
        let of_labels = |logits: Tensor<2>| {
            let chosen = labels.clone().reshape([batch, 1]);
            log_softmax(logits.inner(), 1).gather(1, chosen).neg()
        };
        let ratio = of_labels(student.clone()) / of_labels(teacher.clone()).add_scalar(RATIO_FLOOR);
        let weights = ratio.clamp_min(0.0).neg().exp().neg().add_scalar(1.0);
        let temperature = self.config.temperature;
        let soften = |logits: Tensor<2>| log_softmax(logits.mul_scalar(1.0 / temperature), 1);
        let entropies = (soften(teacher.inner()).exp() * soften(student))
            .sum_dim(1)
            .neg();
        let value = (entropies * weights.clone()).sum();
        let value = value.mul_scalar(temperature * temperature / batch as f64);
        (value, weights.reshape([batch]))
    }

    fn chosen(&self) -> Vec<(String, String)> {
        let centres = self.centres.as_deref().unwrap_or_default();
        let teacher = centres.iter().map(|&centre| self.teacher[centre].clone());
        hint_points(&self.student, centres.len())
            .into_iter()
            .zip(teacher)
            .collect()
    }
}

impl Procedure for Hints {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        vec![Stage::new("train", epochs, vec![Act::training([STUDENT])])]
    }

    fn sampled(&self) -> usize {
        self.config.images
    }

    fn begin_stage(
        &mut self,
        _stage: usize,
        interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        let (Some(teacher), Some(images)) = (interlude.teacher, interlude.held_out) else {
            return Err(MethodError::NoTeacher { method: Self::ID });
        };
        let mut survey = HintSurvey::new(&self.teacher, self.config.images);
        let taps = Taps::from_iter(&self.teacher);
        images.look(&mut |batch| survey.add(&teacher.outputs(batch.images.clone(), &taps)?))?;
        let HintSelection { clusters, .. } = survey.select(&self.settings, &self.student)?;
        let mut centres = clusters.centres;
        centres.dedup();
        self.centres = Some(centres);
        Ok(())
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let pairs = self.chosen();
        let batch = scene.batch();
        let (points, centres): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let taps = Taps::from_iter(&centres);
        let teacher = scene.teacher_of_batch(Self::ID, &taps)?;
        let taps = Taps::from_iter(&points);
        let student = scene.train(STUDENT, batch.images.clone(), &taps)?;
        let maps = |side, outputs, names: &[String]| {
            let maps = names
                .iter()
                .map(|name| map_of(Self::ID, side, outputs, name));
            maps.collect::<Result<Vec<_>, _>>()
        };
        let hints = self.transfer(
            maps("student", &student, &points)?,
            maps("teacher", &teacher, &centres)?,
        )?;
        let mut terms = scene.supervise(&student, self.config.ce_weight)?;
        let hint = Tensor::cat(hints, 0).sum();
        terms.push(Term::new("hint", hint, self.config.weight));
        if self.config.kd_weight > 0.0 {
            let soft = self.soft(student.logits(), teacher.logits());
            terms.push(Term::new("kd", soft, self.config.kd_weight));
        }
        if self.config.wsl_weight > 0.0 {
            let (labels, _) = batch.target.classes(Self::ID)?;
            let (value, _) = self.weighted_soft(student.logits(), teacher.logits(), labels);
            terms.push(Term::new("wsl", value, self.config.wsl_weight));
        }
        Ok(terms)
    }

    fn questions(&self) -> Questions {
        Questions {
            taps: Taps::from_iter(&self.teacher),
            logits: true,
            beyond: Some("images without augmentation, to choose the hints by"),
        }
    }

    fn state(&self) -> State {
        let mut state = State::new();
        if let Some(centres) = &self.centres {
            let numbers: Vec<f32> = centres.iter().map(|&centre| centre as f32).collect();
            let device = burn::tensor::Device::flex();
            let flat = Tensor::<1>::from_data(numbers.as_slice(), &device);
            state.insert(Self::CENTRES.to_owned(), (vec![centres.len()], flat));
        }
        state
    }

    fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        let refuse = |reason: String| {
            Err(MethodError::State {
                method: Self::ID,
                reason,
            })
        };
        self.centres = None;
        if let Some((_, flat)) = state.remove(Self::CENTRES) {
            let centres: Vec<usize> = flat.into_data().iter::<f64>().map(|x| x as usize).collect();
            let blocks = self.teacher.len();
            if centres.is_empty() || centres.iter().any(|&centre| centre >= blocks) {
                return refuse(format!(
                    "the hints {centres:?} are not among the teacher's {blocks} blocks"
                ));
            }
            self.centres = Some(centres);
        }
        match state.keys().next() {
            Some(name) => refuse(format!("it has no place for `{name}`")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
