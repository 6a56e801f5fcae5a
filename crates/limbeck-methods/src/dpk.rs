//! # dpk — Better Teacher Better Student: Dynamic Prior Knowledge for Knowledge Distillation
//!
//! A share of the teacher's own tokens is handed to the student as prior knowledge: an encoder and
//! decoder rebuild the teacher's map from tokens of both. The less alike the two networks are, the
//! greater the share, so that a great teacher's map stays within reach.
//!
//! ## Definition
//! L = CE(z, y) + weight · Σ_stages D(ŷ, F_t) + kd_weight · T²/B Σ_b KL(softmax(u/T) ‖ softmax(z/T))
//!
//! F_s, F_t: maps of student and teacher (detached), z, u: logits, T: `temperature`. For each
//! stage a = E_s(patches_s(F_s) + pos) and b = E_t(patches_t(F_t) + pos), N tokens each; m has
//! k = ⌊ρN + 0.5⌋ ones for each image, drawn anew; h = m·b + (1 − m)·a;
//! ŷ = linear(norm(decoder(h))), its tokens laid out as the tiles of a map. E_s, E_t and the
//! decoder are transformer blocks. D is the mean squared error, or ReviewKD's weighted mean of it
//! over resolutions (`hcl`). ρ is `teacher_ratio`, or 1 − CKA of the two maps, without gradient:
//!
//! CKA = HSIC₁(K, L)/√(HSIC₁(K, K)·HSIC₁(L, L)), HSIC₁(K, L) = [tr(K̃L̃) + 1ᵀK̃1·1ᵀL̃1/((n − 1)(n − 2))
//! − 2/(n − 2)·1ᵀK̃L̃1]/(n(n − 3)), K = XXᵀ of the images' flattened maps, K̃ is K with a zero
//! diagonal, n: images of the step. It is kept between 0 and 1 and averaged over steps:
//! cka ← momentum·cka + (1 − momentum)·new, from 0.5.
//!
//! ## Inputs and shapes
//! Student and teacher maps `[B, C_s, H, W]`, `[B, C_t, H, W]` (tokens are put back on their
//! grid), H and W multiples of the patch. Default: the deepest pair of stages of one size, else the
//! last stages.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `weight` | 1 | ≥ 0 | ours |
//! | `distance` | `mse` | `mse`, `hcl` | ours |
//! | `teacher_ratio` | none | 0 to 1 | none: by CKA, as in the paper; a number is its ablation |
//! | `align` | `maps` | `maps`, `tokens` | ours: what CKA compares, F_s and F_t or a and b |
//! | `momentum` | 0.9 | 0 to 1 | unofficial code |
//! | `patch` | none | ≥ 1 | ours: 1 for maps up to 8×8, 2 up to 16×16, 4 beyond, as far as it divides |
//! | `dim` | none | multiple of `heads` | ours: 256, or C_t in whole heads if there are fewer channels |
//! | `heads` | 4 | ≥ 1 | ours |
//! | `encoder_depth` | 1 | ≥ 0 | ours |
//! | `decoder_depth` | 2 | ≥ 0 | ours |
//! | `mlp_ratio` | 4 | ≥ 1 | ours, the field's standard |
//! | `resize` | true | | ours: a student map of another size is brought to the teacher's, averaged or interpolated; false refuses it |
//! | `kd_weight` | 0 | ≥ 0 | ours; 1 for the variant with logits |
//! | `temperature` | 4 | > 0 | CIFAR protocol of RepDistiller |
//!
//! ## Notes
//! The authors have released no code; this follows the paper's text, its authors' reply to the
//! reviewers (the estimator of CKA) and, where both are silent, what the field does ("ours").
//! Masks have an exact count and differ between images; unofficial code draws one for the batch
//! by coin. `teacher_ratio` among the terms is the mean ρ of the step and weighs nothing. Features
//! that do not differ between images are like nothing: CKA 0. A batch of fewer than 4 images, for
//! which there is no unbiased CKA, leaves ρ as it is. Cost: about 12·d² weights a block, work for N
//! tokens in each, and n²·C·H·W products for CKA; one forward pass of the teacher.
//!
//! ## Reference
//! Qiu, Ma, Yang, Liu, Hou, Yi, Ouyang. "Better Teacher Better Student: Dynamic Prior Knowledge for
//! Knowledge Distillation". ICLR 2023. <https://arxiv.org/abs/2206.06067>
//! Authors' page: <https://github.com/Cuibaby/DPK> (f846b1017c6b, no code).

#[cfg(test)]
pub mod golden;
mod prior;
#[cfg(test)]
mod tests;

use burn::tensor::{Device, Tensor};
use limbeck_nn::{Builder, Init, Pass, Tap};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, State, Step, Term,
    connector::resize_map,
    criterion::{require_at_least, require_positive, require_share, require_weight},
    kernel_alignment::unbiased_alignment,
    pairs::{Pair, map_shape, propose_pairs, resolve_pairs},
    softmax::softened_kl,
};
pub use prior::{Prior, teacher_mask};

/// How the rebuilt map is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DpkDistance {
    /// Mean squared error.
    #[default]
    Mse,
    /// The same at several resolutions.
    Hcl,
}

/// What decides how alike the networks are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DpkAlign {
    /// The maps as they are.
    #[default]
    Maps,
    /// The encoded tokens.
    Tokens,
}

/// Settings of [`Dpk`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpkConfig {
    /// Factor of the distances.
    pub weight: f64,
    /// How the rebuilt map is compared.
    pub distance: DpkDistance,
    /// Share of the teacher's tokens; `None`: by how unlike the networks are.
    pub teacher_ratio: Option<f64>,
    /// What decides how alike the networks are.
    pub align: DpkAlign,
    /// Share of the past in the running alignment.
    pub momentum: f64,
    /// Side of a patch in positions of the map; `None`: by the map's size.
    pub patch: Option<usize>,
    /// Length of a token; `None`: by the teacher's channels.
    pub dim: Option<usize>,
    /// Attention heads.
    pub heads: usize,
    /// Blocks of each encoder.
    pub encoder_depth: usize,
    /// Blocks of the decoder.
    pub decoder_depth: usize,
    /// Inner width of a block's perceptron, in token lengths.
    pub mlp_ratio: usize,
    /// Whether a student map of another size is brought to the teacher's.
    pub resize: bool,
    /// Factor of the divergence of the logits.
    pub kd_weight: f64,
    /// Softens the logits.
    pub temperature: f64,
}

impl Default for DpkConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            distance: DpkDistance::Mse,
            teacher_ratio: None,
            align: DpkAlign::Maps,
            momentum: 0.9,
            patch: None,
            dim: None,
            heads: 4,
            encoder_depth: 1,
            decoder_depth: 2,
            mlp_ratio: 4,
            resize: true,
            kd_weight: 0.0,
            temperature: 4.0,
        }
    }
}

/// The teacher's maps rebuilt from tokens of both networks.
#[derive(Debug)]
pub struct Dpk {
    config: DpkConfig,
    pairs: Vec<Pair>,
    priors: Vec<Prior>,
    /// Running CKA of each pair, between 0 and 1.
    alignments: Vec<f64>,
    device: Device,
}

/// Running CKA before the first step: unofficial code.
const FIRST_ALIGNMENT: f64 = 0.5;

/// Least images for an unbiased CKA.
const LEAST_IMAGES: usize = 4;

impl Dpk {
    const ID: &'static str = "dpk";
    const ALIGNMENTS: &'static str = "alignments";

    /// Makes the encoders and decoders: `stages.0.*` for the first pair, ….
    ///
    /// # Errors
    /// A setting out of range, no teacher, layers that are not there or that do not fit, or fewer
    /// images a step than the CKA needs.
    pub fn new(
        config: DpkConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "weight", config.weight)?;
        require_weight(Self::ID, "kd_weight", config.kd_weight)?;
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_share(Self::ID, "momentum", config.momentum)?;
        let ratio = config.teacher_ratio.unwrap_or_default();
        require_share(Self::ID, "teacher_ratio", ratio)?;
        for (key, count) in [
            ("heads", config.heads),
            ("mlp_ratio", config.mlp_ratio),
            ("patch", config.patch.unwrap_or(1)),
            ("dim", config.dim.unwrap_or(1)),
        ] {
            require_at_least(Self::ID, key, count, 1)?;
        }
        let pairs = resolve_pairs(Self::ID, probe, deepest_of_one_size)?;
        if config.teacher_ratio.is_none() && probe.batch < LEAST_IMAGES {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "the unbiased CKA needs at least {LEAST_IMAGES} images a step, there are {}; \
                     use a greater batch, or fix the share of the teacher's tokens with \
                     `teacher_ratio`",
                    probe.batch
                ),
            });
        }
        let mut priors = Vec::new();
        for (i, pair) in pairs.iter().enumerate() {
            let ([channels, ..], shape) = (pair.student_shape, pair.teacher_shape);
            if pair.student_shape[1..] != shape[1..] && !config.resize {
                let reason = "their heights and widths differ; name layers of one size with \
                              `pairs` in [method], or set resize = true";
                return Err(pair.mismatch(Self::ID, reason.to_owned()));
            }
            let level = builder.sub(format!("stages.{i}"));
            let prior = Prior::new(level, &config, channels, shape);
            priors.push(prior.map_err(|reason| pair.mismatch(Self::ID, reason))?);
        }
        Ok(Self {
            alignments: vec![FIRST_ALIGNMENT; pairs.len()],
            device: probe.device.clone(),
            config,
            pairs,
            priors,
        })
    }

    /// The share of the teacher's tokens that an alignment asks for.
    pub fn ratio(alignment: f64) -> f64 {
        1.0 - alignment.clamp(0.0, 1.0)
    }

    /// ρ of a pair, after a look at this step's features, each `[B, …]`.
    fn update_ratio(&mut self, pair: usize, student: &Tensor<4>, teacher: &Tensor<4>) -> f64 {
        if let Some(ratio) = self.config.teacher_ratio {
            return ratio;
        }
        let running = &mut self.alignments[pair];
        if let Some(new) = unbiased_alignment(student, teacher) {
            let momentum = self.config.momentum;
            *running = momentum * *running + (1.0 - momentum) * new.clamp(0.0, 1.0);
        }
        Self::ratio(*running)
    }
}

/// The deepest pair of stages with maps of one size; without one the last stages.
fn deepest_of_one_size(student: &[Tap], teacher: &[Tap]) -> Vec<(String, String)> {
    let pairs = propose_pairs(student, teacher);
    let size = |taps: &[Tap], name: &str| {
        let tap = taps.iter().find(|tap| tap.name == name)?;
        map_shape(&tap.kind).map(|[_, height, width]| [height, width])
    };
    let one_size = |(s, t): &&(String, String)| size(student, s) == size(teacher, t);
    let chosen = pairs.iter().rev().find(one_size).or(pairs.last());
    chosen.cloned().into_iter().collect()
}

impl Criterion for Dpk {
    fn needs(&self) -> Needs {
        Needs {
            student: self.pairs.iter().map(|pair| &pair.student.name).collect(),
            teacher: self.pairs.iter().map(|pair| &pair.teacher.name).collect(),
            logits: self.config.kd_weight > 0.0,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let outputs = step.teacher(Self::ID)?;
        let mut distances = Vec::new();
        let mut ratios = 0.0;
        for index in 0..self.pairs.len() {
            let pair = &self.pairs[index];
            let teacher = pair.teacher_map(Self::ID, &outputs)?;
            let [batch, _, height, width] = teacher.dims();
            let student = pair.student_map(Self::ID, step.student)?;
            let student = resize_map(student, [height, width]);
            let tokens = self.priors[index].encode(pass, student.clone(), teacher.clone());
            let ratio = match self.config.align {
                DpkAlign::Maps => self.update_ratio(index, &student, &teacher),
                DpkAlign::Tokens => {
                    let [a, b] = [&tokens.student, &tokens.teacher]
                        .map(|tokens| tokens.clone().unsqueeze_dim::<4>(3));
                    self.update_ratio(index, &a, &b)
                }
            };
            let prior = &self.priors[index];
            let count = prior.tokens();
            let noise = Init::Uniform(1.0).draw(pass.next_seed(), "mask", batch * count);
            let mask = teacher_mask(&noise, count, ratio, &teacher);
            let rebuilt = prior.rebuild(pass, &tokens, &mask);
            distances.push(prior.distance(rebuilt.map, teacher));
            ratios += ratio;
        }
        let value = Tensor::cat(distances, 0).sum();
        let mean = value.zeros_like().inner();
        let mean = mean.add_scalar(ratios / self.pairs.len() as f64);
        let mut terms = vec![
            Term::new("dpk", value, self.config.weight),
            Term::new("teacher_ratio", mean, 0.0),
        ];
        if self.config.kd_weight > 0.0 {
            let (own, others) = step.rows(Self::ID)?;
            let value = softened_kl(own, others, self.config.temperature);
            terms.push(Term::new("kd", value, self.config.kd_weight));
        }
        Ok(terms)
    }

    fn state(&self) -> State {
        let count = self.alignments.len();
        let data = burn::tensor::TensorData::new(self.alignments.clone(), [count]);
        let options = (&self.device, burn::tensor::DType::F64);
        let flat = Tensor::<1>::from_data(data, options);
        [(Self::ALIGNMENTS.to_owned(), (vec![count], flat))].into()
    }

    fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        let count = self.alignments.len();
        let refuse = |found: String| MethodError::State {
            method: Self::ID,
            reason: format!("`{}` {found}, expected [{count}]", Self::ALIGNMENTS),
        };
        let stored = state.remove(Self::ALIGNMENTS);
        let (shape, flat) = stored.ok_or_else(|| refuse("is missing".to_owned()))?;
        if shape != [count] {
            return Err(refuse(format!("is {shape:?}")));
        }
        self.alignments = flat.into_data().iter().collect();
        Ok(())
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.pairs.iter().map(Pair::names).collect()
    }
}
